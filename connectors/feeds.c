#include "connectors/feeds.h"

#include <stdlib.h>

#include "connectors/cex.h"
#include "connectors/orca.h"
#include "reactor/log.h"

#define CEX_N 3

struct feeds {
    wsc_t *wsc;
    bool own_wsc;
    cex_t *cex[CEX_N]; /* Coinbase, Gemini, Bitstamp; NULL: off */
    orca_t *orca;
};

/* One row per centralized venue. */
typedef struct {
    venue_t venue;
    const char *url, *protocol, *rest_url;
} row_t;

static cex_t *open_cex(const feeds_t *f, const feeds_conf_t *c, const row_t *r)
{
    if (!r->url[0] || !f->wsc) return NULL;
    const venue_ops_t *ops = venue_by_protocol(r->protocol);
    if (!ops || ops->venue != r->venue) {
        log_error("feed", venue_name(r->venue), "feeds.%s_protocol names no protocol of this venue: the feed is off", venue_name(r->venue));
        return NULL;
    }
    cex_conf_t k = {.loop = c->loop, .wsc = f->wsc, .http = c->http, .metrics = c->metrics, .cfg = c->cfg, .ops = ops, .url = r->url,
                    .rest_url = r->rest_url, .insts = c->insts, .door = c->door, .journal = c->journal};
    return cex_open(&k);
}

feeds_t *feeds_open(const feeds_conf_t *c)
{
    const cfg_t *cfg = c->cfg;
    feeds_t *f = calloc(1, sizeof *f);
    XASSERT(f != NULL);
    f->own_wsc = c->wsc == NULL;
    f->wsc = c->wsc ? c->wsc : wsc_new(c->loop, cfg->feeds_ca_file[0] ? cfg->feeds_ca_file : NULL);
    if (!f->wsc) log_error("feed", "-", "the websocket library did not start (is its libuv plugin installed?): feeds by websocket are off");
    const row_t rows[CEX_N] = {
        {VENUE_COINBASE, cfg->feeds_coinbase_url, cfg->feeds_coinbase_protocol, ""},
        {VENUE_GEMINI, cfg->feeds_gemini_url, cfg->feeds_gemini_protocol, ""},
        {VENUE_BITSTAMP, cfg->feeds_bitstamp_url, cfg->feeds_bitstamp_protocol, cfg->feeds_bitstamp_rest_url},
    };
    for (int i = 0; i < CEX_N; i++) f->cex[i] = open_cex(f, c, &rows[i]);
    if (c->rpc && rpc_endpoints(c->rpc)) f->orca = orca_open(c->loop, f->wsc, c->metrics, cfg, c->insts, c->rpc, c->door, c->journal);
    return f;
}

void feeds_resync(feeds_t *f, inst_t inst, xerr_t why)
{
    for (int i = 0; i < CEX_N; i++)
        if (f->cex[i] && cex_has(f->cex[i], inst)) cex_resync(f->cex[i], inst, why);
    if (f->orca && orca_has(f->orca, inst)) orca_resync(f->orca, inst);
}

void feeds_drain(feeds_t *f)
{
    for (int i = 0; i < CEX_N; i++)
        if (f->cex[i]) cex_stop(f->cex[i]);
    if (f->orca) orca_stop(f->orca);
}

bool feeds_idle(const feeds_t *f)
{
    for (int i = 0; i < CEX_N; i++)
        if (f->cex[i] && !cex_idle(f->cex[i])) return false;
    return (!f->orca || orca_idle(f->orca)) && (!f->wsc || wsc_idle(f->wsc));
}

void feeds_close(feeds_t *f)
{
    if (!f) return;
    feeds_drain(f);
    for (int i = 0; i < CEX_N; i++) cex_free(f->cex[i]);
    orca_free(f->orca);
    if (f->own_wsc) wsc_free(f->wsc);
    free(f);
}

unsigned feeds_health(const feeds_t *f, feed_health_t *out, unsigned max)
{
    unsigned n = 0;
    for (int i = 0; i < CEX_N; i++)
        if (f->cex[i] && n < max) out[n++] = *cex_health(f->cex[i]);
    if (f->orca && n < max) out[n++] = *orca_health(f->orca);
    return n;
}
