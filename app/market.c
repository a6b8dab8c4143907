#include "app/market.h"

enum { BODY_MAX = 8 << 20, CONNS_PER_HOST = 4, WAITING_MAX = 64, LAST_BLOCKS_MS = 2000 };

static bool open_journal(loop_t *l, metrics_t *m, const cfg_t *cfg, const char *dir, market_io_t *io, const char **why)
{
    journal_conf_t c = {.dir = dir, .bytes_max = cfg->record_max_mb << 20, .queue_bytes = (size_t)cfg->record_queue_mb << 20,
                        .flush_ms = (unsigned)cfg->record_flush_ms};
    io->journal = journal_open(l, m, &c, why);
    return io->journal != NULL;
}

bool market_open(loop_t *l, metrics_t *m, const cfg_t *cfg, const char *dir, market_io_t *io, const char **why)
{
    *io = (market_io_t){0};
    if (dir && !open_journal(l, m, cfg, dir, io, why)) return false;
    httpc_conf_t hc = {.ca_file = cfg->feeds_ca_file[0] ? cfg->feeds_ca_file : NULL, .body_max = BODY_MAX, .conns_per_host = CONNS_PER_HOST,
                       .queue_max = WAITING_MAX};
    io->httpc = httpc_new(l, m, &hc);
    const char *urls[] = {cfg->feeds_solana_rpc_url, cfg->feeds_solana_rpc_fallback};
    rpc_conf_t rc = {.urls = urls, .urls_n = 2, .per_s = (unsigned)cfg->feeds_solana_rpc_per_s, .journal = io->journal};
    if (cfg->feeds_enabled || cfg->prices_birdeye_url[0]) io->wsc = wsc_new(l, hc.ca_file);
    io->rpc = rpc_new(l, m, io->httpc, &rc);
    return true;
}

void market_close(market_io_t *io)
{
    wsc_free(io->wsc);
    if (io->httpc) httpc_free(io->httpc);
    rpc_free(io->rpc);
    (void)journal_close(io->journal, LAST_BLOCKS_MS);
    *io = (market_io_t){0};
}
