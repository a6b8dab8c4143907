#include "connectors/feeds.h"

#include <stdlib.h>

#include "connectors/cex.h"
#include "connectors/orca.h"
#include "reactor/log.h"

struct feeds {
    wsc_t *wsc;
    cex_t *cex[2]; /* Coinbase, Gemini; NULL: off */
    orca_t *orca;
};

static cex_t *open_cex(const feeds_t *f, const feeds_conf_t *c, const venue_ops_t *ops, const char *url)
{
    return ops && url[0] && f->wsc ? cex_open(c->loop, f->wsc, c->metrics, c->cfg, ops, url, c->insts, c->door, c->journal) : NULL;
}

static const venue_ops_t *gemini_ops(const cfg_t *cfg)
{
    const venue_ops_t *ops = venue_by_protocol(cfg->feeds_gemini_protocol);
    if (ops && ops->venue == VENUE_GEMINI) return ops;
    log_error("feed", "gemini", "unknown feeds.gemini_protocol: the feed is off");
    return NULL;
}

feeds_t *feeds_open(const feeds_conf_t *c)
{
    const cfg_t *cfg = c->cfg;
    feeds_t *f = calloc(1, sizeof *f);
    XASSERT(f != NULL);
    f->wsc = wsc_new(c->loop, cfg->feeds_ca_file[0] ? cfg->feeds_ca_file : NULL);
    if (!f->wsc) log_error("feed", "-", "the websocket library did not start (is its libuv plugin installed?): feeds by websocket are off");
    f->cex[0] = open_cex(f, c, &venue_coinbase, cfg->feeds_coinbase_url);
    f->cex[1] = open_cex(f, c, cfg->feeds_gemini_url[0] ? gemini_ops(cfg) : NULL, cfg->feeds_gemini_url);
    if (c->rpc && rpc_endpoints(c->rpc)) f->orca = orca_open(c->loop, f->wsc, c->metrics, cfg, c->insts, c->rpc, c->door, c->journal);
    return f;
}

void feeds_resync(feeds_t *f, inst_t inst, xerr_t why)
{
    for (int i = 0; i < 2; i++)
        if (f->cex[i] && cex_has(f->cex[i], inst)) cex_resync(f->cex[i], inst, why);
    if (f->orca && orca_has(f->orca, inst)) orca_resync(f->orca, inst);
}

void feeds_drain(feeds_t *f)
{
    for (int i = 0; i < 2; i++)
        if (f->cex[i]) cex_stop(f->cex[i]);
    if (f->orca) orca_stop(f->orca);
}

bool feeds_idle(const feeds_t *f)
{
    for (int i = 0; i < 2; i++)
        if (f->cex[i] && !cex_idle(f->cex[i])) return false;
    return (!f->orca || orca_idle(f->orca)) && (!f->wsc || wsc_idle(f->wsc));
}

void feeds_close(feeds_t *f)
{
    if (!f) return;
    feeds_drain(f);
    for (int i = 0; i < 2; i++) cex_free(f->cex[i]);
    orca_free(f->orca);
    wsc_free(f->wsc);
    free(f);
}

unsigned feeds_health(const feeds_t *f, feed_health_t *out, unsigned max)
{
    unsigned n = 0;
    for (int i = 0; i < 2; i++)
        if (f->cex[i] && n < max) out[n++] = *cex_health(f->cex[i]);
    if (f->orca && n < max) out[n++] = *orca_health(f->orca);
    return n;
}
