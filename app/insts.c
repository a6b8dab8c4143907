#include "app/insts.h"

#include <string.h>
#include <strings.h>

/* Which pair a venue's own market name prices. A market that is not listed is kept as a book but makes no signal. */
typedef struct {
    venue_t venue;
    const char *market;
    inst_kind_t kind;
    int8_t pair;
} known_t;

static const pair_conf_t pairs[] = {
    {"SOL/USD", 9, 6, false},
};

static const known_t known[] = {
    {VENUE_COINBASE, "SOL-USD", INST_SPOT, 0},
    {VENUE_COINBASE, "SOL-USDC", INST_SPOT, 0}, /* alias: shares the book of SOL-USD */
    {VENUE_GEMINI, "solusd", INST_SPOT, 0},
    {VENUE_GEMINI, "usdcusd", INST_BASIS, -1},
    {VENUE_BITSTAMP, "solusd", INST_SPOT, 0},
    {VENUE_BITSTAMP, "sol/usd", INST_SPOT, 0},
};

static void classify(inst_conf_t *in)
{
    in->kind = INST_SPOT;
    in->pair = -1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].venue != in->venue || strcasecmp(known[i].market, in->market) != 0) continue;
        in->kind = known[i].kind;
        in->pair = known[i].pair;
    }
}

static xerr_t add(eng_conf_t *e, venue_t v, span_t name, int64_t taker, buf_t *errors)
{
    inst_conf_t *in = &e->insts[e->insts_n];
    if (e->insts_n == ENG_INSTS_MAX) {
        buf_fmt(errors, "[feeds]: more than %d markets in all\n", ENG_INSTS_MAX);
        return XE_BAD_INPUT;
    }
    if (name.n >= sizeof in->market) {
        buf_fmt(errors, "[feeds]: market name of %s longer than %zu characters\n", venue_name(v), sizeof in->market - 1);
        return XE_BAD_INPUT;
    }
    memset(in, 0, sizeof *in);
    in->venue = v;
    memcpy(in->market, name.p, name.n);
    in->taker_bps_x100 = (uint32_t)taker;
    classify(in);
    if (v == VENUE_ORCA) {
        in->kind = INST_POOL;
        in->pair = 0;
    }
    e->insts_n++;
    return XE_OK;
}

static xerr_t add_list(eng_conf_t *e, venue_t v, const char *list, int64_t taker, buf_t *errors)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        span_t name = {list, n};
        while (name.n && name.p[0] == ' ') name.p++, name.n--;
        while (name.n && name.p[name.n - 1] == ' ') name.n--;
        if (name.n) {
            xerr_t err = add(e, v, name, taker, errors);
            if (err) return err;
        }
        list += n + (list[n] == ',');
    }
    return XE_OK;
}

static void limits_from_cfg(const cfg_t *c, eng_conf_t *e)
{
    e->book_levels = (size_t)c->feeds_book_levels;
    e->stale_ms = c->arb_stale_ms;
    e->pool_stale_ms = c->arb_stale_ms;
    e->basis_stale_ms = c->arb_basis_stale_ms;
    e->min_net_bps_x100 = (int32_t)c->arb_min_net_bps_x100;
    e->size_min.raw = c->arb_size_min_usd * 1000000;
    e->size_max.raw = c->arb_size_max_usd * 1000000;
    e->size_steps = (unsigned)c->arb_size_steps;
    e->network_fee.raw = c->arb_network_fee_e6;
}

xerr_t insts_from_cfg(const cfg_t *c, eng_conf_t *out, buf_t *errors)
{
    xerr_t err = XE_OK;
    memset(out, 0, sizeof *out);
    limits_from_cfg(c, out);
    out->pairs_n = sizeof pairs / sizeof *pairs;
    memcpy(out->pairs, pairs, sizeof pairs);
    if (!c->feeds_enabled) return XE_OK;
    if (c->feeds_coinbase_url[0]) err = add_list(out, VENUE_COINBASE, c->feeds_coinbase_markets, c->arb_coinbase_taker_bps_x100, errors);
    if (!err && c->feeds_gemini_url[0]) err = add_list(out, VENUE_GEMINI, c->feeds_gemini_markets, c->arb_gemini_taker_bps_x100, errors);
    if (!err && c->feeds_bitstamp_url[0]) err = add_list(out, VENUE_BITSTAMP, c->feeds_bitstamp_markets, c->arb_bitstamp_taker_bps_x100, errors);
    if (!err && c->feeds_solana_rpc_url[0]) err = add_list(out, VENUE_ORCA, c->feeds_orca_pools, 0, errors);
    return err;
}
