/* Opportunities between one order book and one pool. For each size the whole way is priced as it would execute: the
 * book is walked, the pool is quoted exactly, USDC becomes dollars through the basis book, and every rounding is against
 * us. The best size is kept; one opportunity lives per pair, direction and venues. */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "engine/core.h"
#include "engine/u256.h"

#define UPDATE_BPS_X100 500
#define UPDATE_NS 250000000
#define USD_SANE (INT64_MAX / 16) /* sums of a few such values stay inside 64 bits */
#define FEE_ONE 1000000 /* fees are hundredths of a basis point, millionths of the value */

/* What one evaluation works with: all legs are known to be usable. */
typedef struct {
    const eng_conf_t *conf;
    const pair_conf_t *pair;
    dir_t dir;
    const instr_t *spot, *pool, *basis;
    px_t spot_touch, basis_touch;
    px_t mid;               /* pool, dollars per base at the basis touch */
    i128_t base_step;       /* qty_t of one base unit of the token */
    i128_t quote_step;
    int64_t wall_us;        /* an adaptive fee falls with time */
} legs_t;

typedef struct {
    qty_t size;
    usd_t cost, proceeds, fee_cex, fee_dex, fee_network, slippage, net;
    i128_t usdc;            /* qty_t through the basis book */
    int32_t net_bps, gross_bps;
} trade_t;

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static bool pairable(const inst_conf_t *spot, const inst_conf_t *pool)
{
    return spot->kind == INST_SPOT && pool->kind == INST_POOL && spot->pair >= 0 && spot->pair == pool->pair;
}

static bool has_route(const engine_t *e, int8_t pair, venue_t cex, venue_t dex)
{
    for (unsigned i = 0; i < e->routes_n; i++)
        if (e->routes[i].pair == pair && e->routes[i].cex == cex && e->routes[i].dex == dex) return true;
    return false;
}

bool signal_init(engine_t *e)
{
    const eng_conf_t *c = &e->conf;
    e->routes = calloc((size_t)2 * ENG_PAIRS_MAX * VENUE_N * VENUE_N, sizeof *e->routes);
    if (!e->routes) return false;
    for (unsigned s = 0; s < c->insts_n; s++) {
        for (unsigned p = 0; p < c->insts_n; p++) {
            const inst_conf_t *spot = &c->insts[s], *pool = &c->insts[p];
            if (!pairable(spot, pool) || has_route(e, spot->pair, spot->venue, pool->venue)) continue;
            for (int d = DIR_CEX_TO_DEX; d <= DIR_DEX_TO_CEX; d++)
                e->routes[e->routes_n++] = (route_t){.pair = spot->pair, .dir = (dir_t)d, .cex = spot->venue, .dex = pool->venue};
        }
    }
    return true;
}

/* ---- arithmetic --------------------------------------------------------------------------------------------------- */

static i128_t mul_div(i128_t a, int64_t b, int64_t den, bool up)
{
    i128_t p = a * b, q = p / den;
    if (up && p % den != 0) q++;
    return q;
}

static int64_t share_up(usd_t v, uint32_t millionths) { return (int64_t)mul_div(v.raw, millionths, FEE_ONE, true); }

/* part/whole in hundredths of a basis point, toward minus infinity. */
static int32_t bps_of(int64_t part, int64_t whole)
{
    i128_t p = (i128_t)part * FEE_ONE, q = p / whole;
    if (p % whole != 0 && p < 0) q--;
    if (q > INT32_MAX) return INT32_MAX;
    return q < INT32_MIN ? INT32_MIN : (int32_t)q;
}

/* Dollars per unit, from a value and a quantity. */
static px_t average(usd_t value, i128_t qty, bool up)
{
    u256_t num = u256_mul((u128_t)value.raw, USD_OF_DIVISOR);
    u128_t v;
    if (qty <= 0 || !u256_div_to_128(num, u256_of((u128_t)qty), up, &v)) return (px_t){0};
    return (px_t){(i128_t)v};
}

/* Quote tokens per base token at the pool's own price, 1e-12, toward zero. */
static xerr_t pool_mid(const whirl_pool_t *p, const pair_conf_t *c, i128_t *out)
{
    u256_t q128 = u256_mul(p->sqrt_price, p->sqrt_price);
    u128_t q64 = u256_shr(q128, 64).lo; /* the price is under 2^192 in Q128 */
    if (c->base_is_b) {
        u256_t rem, one = {0, (u128_t)1 << 64};
        q64 = u256_div(one, q128, &rem).lo;
    }
    u128_t scale = 1;
    for (int i = 0; i < 12 + c->base_decimals - c->quote_decimals; i++) scale *= 10;
    u256_t v = u256_shr(u256_mul(q64, scale), 64);
    if (v.hi != 0 || v.lo == 0 || v.lo > (u128_t)1 << 96) return XE_RANGE;
    *out = (i128_t)v.lo;
    return XE_OK;
}

static i128_t unit_of(unsigned decimals)
{
    i128_t v = 1;
    for (unsigned i = decimals; i < 12; i++) v *= 10;
    return v;
}

/* ---- one size ----------------------------------------------------------------------------------------------------- */

/* Our clock stands for the chain's; where it lags behind what the oracle has seen, the oracle is right. */
static uint64_t chain_time(const legs_t *l, const whirl_oracle_t *o)
{
    uint64_t now = l->wall_us > 0 ? (uint64_t)l->wall_us / 1000000 : 0;
    if (now < o->last_reference_at) now = o->last_reference_at;
    return now < o->last_major_at ? o->last_major_at : now;
}

static xerr_t quote_pool(const legs_t *l, uint64_t base, whirl_quote_t *q)
{
    const pool_t *p = l->pool->pool;
    bool sell = l->dir == DIR_CEX_TO_DEX;
    whirl_ask_t ask = {.amount = base, .exact_in = sell, .a_to_b = sell != l->pair->base_is_b};
    if (p->have_oracle) {
        ask.oracle = &p->oracle;
        ask.now = chain_time(l, &p->oracle);
    }
    xerr_t err = whirl_quote(&p->state, p->arrays, p->arrays_n, &ask, q);
    return !err && q->unfilled ? XE_DEPTH : err;
}

static int64_t over(int64_t v) { return v > 0 ? v : 0; }

/* Difference to the touch on both legs, in dollars; told, not subtracted: it is inside cost and proceeds. */
static xerr_t slippage_of(const legs_t *l, trade_t *t)
{
    bool buy = l->dir == DIR_CEX_TO_DEX;
    usd_t at_touch, at_mid;
    xerr_t err = usd_of(l->spot_touch, t->size, buy ? ROUND_DOWN : ROUND_UP, &at_touch);
    if (!err) err = usd_of(l->mid, t->size, buy ? ROUND_UP : ROUND_DOWN, &at_mid);
    if (err) return err;
    int64_t cex = buy ? t->cost.raw - at_touch.raw : at_touch.raw - t->proceeds.raw;
    int64_t dex = buy ? at_mid.raw - t->proceeds.raw - t->fee_dex.raw : t->cost.raw - t->fee_dex.raw - at_mid.raw;
    t->slippage.raw = over(cex) + over(dex);
    return XE_OK;
}

static xerr_t settle(const legs_t *l, trade_t *t)
{
    bool buy = l->dir == DIR_CEX_TO_DEX;
    if (t->cost.raw <= 0 || t->cost.raw > USD_SANE || t->proceeds.raw > USD_SANE || t->fee_dex.raw > USD_SANE) return XE_RANGE;
    t->fee_cex.raw = share_up(buy ? t->cost : t->proceeds, l->spot->conf.taker_bps_x100);
    t->fee_network = l->conf->network_fee;
    xerr_t err = slippage_of(l, t);
    if (err) return err;
    t->net.raw = t->proceeds.raw - t->cost.raw - t->fee_cex.raw - t->fee_network.raw;
    t->net_bps = bps_of(t->net.raw, t->cost.raw);
    t->gross_bps = bps_of(t->net.raw + t->fee_cex.raw + t->fee_dex.raw + t->fee_network.raw, t->cost.raw);
    return XE_OK;
}

/* Buy the base on the book, sell it into the pool, turn the USDC into dollars at the basis bid. */
static xerr_t price_to_dex(const legs_t *l, uint64_t base, trade_t *t)
{
    fill_t buy, basis;
    whirl_quote_t q;
    xerr_t err = book_walk(l->spot->book, SIDE_ASK, t->size, &buy);
    if (!err) err = quote_pool(l, base, &q);
    if (err) return err;
    t->usdc = (i128_t)q.out * l->quote_step;
    if (book_walk(l->basis->book, SIDE_BID, (qty_t){t->usdc}, &basis)) return XE_STALE;
    t->cost = buy.value;
    t->proceeds = basis.value;
    return usd_of(l->mid, (qty_t){(i128_t)q.fee * l->base_step}, ROUND_UP, &t->fee_dex);
}

/* Buy USDC at the basis ask, buy the base from the pool, sell it on the book. */
static xerr_t price_to_cex(const legs_t *l, uint64_t base, trade_t *t)
{
    fill_t sell, basis;
    whirl_quote_t q;
    xerr_t err = book_walk(l->spot->book, SIDE_BID, t->size, &sell);
    if (!err) err = quote_pool(l, base, &q);
    if (err) return err;
    t->usdc = (i128_t)q.in * l->quote_step;
    if (book_walk(l->basis->book, SIDE_ASK, (qty_t){t->usdc}, &basis)) return XE_STALE;
    t->cost = basis.value;
    t->proceeds = sell.value;
    return usd_of(l->basis_touch, (qty_t){(i128_t)q.fee * l->quote_step}, ROUND_UP, &t->fee_dex);
}

static xerr_t price_size(const legs_t *l, uint64_t base, trade_t *t)
{
    *t = (trade_t){.size = {(i128_t)base * l->base_step}};
    xerr_t err = l->dir == DIR_CEX_TO_DEX ? price_to_dex(l, base, t) : price_to_cex(l, base, t);
    return err ? err : settle(l, t);
}

/* ---- one pair of instruments -------------------------------------------------------------------------------------- */

/* Base units bought by that many dollars at the touch of the book; 0 when it is nothing or far too much. */
static uint64_t units_for(const legs_t *l, int64_t usd)
{
    u256_t num = u256_mul((u128_t)usd, USD_OF_DIVISOR);
    u128_t qty;
    if (!u256_div_to_128(num, u256_of((u128_t)l->spot_touch.raw), false, &qty)) return 0;
    u128_t units = qty / (u128_t)l->base_step;
    return units <= UINT64_MAX / 2 ? (uint64_t)units : 0;
}

/* The best any size could reach: touch against the pool's price before the trade. Walks and quotes only get worse. */
static bool hopeless(const legs_t *l)
{
    int64_t pool_fee = l->pool->pool->state.fee_rate, taker = l->spot->conf.taker_bps_x100;
    i128_t mid = l->mid.raw, touch = l->spot_touch.raw, cost, gain;
    if (touch > (i128_t)1 << 96) return false;
    if (l->dir == DIR_CEX_TO_DEX) {
        cost = touch;
        gain = mul_div(mid + 1, FEE_ONE - pool_fee, FEE_ONE, true) + 1 - cost - mul_div(touch, taker, FEE_ONE, false);
    } else {
        cost = mul_div(mid, FEE_ONE, FEE_ONE - pool_fee, false) - 1;
        gain = mul_div(touch, FEE_ONE - taker, FEE_ONE, true) + 1 - cost;
    }
    return cost > 0 && gain * FEE_ONE < (i128_t)l->conf->min_net_bps_x100 * cost;
}

static reject_t best_size(const legs_t *l, trade_t *best, bool *found)
{
    const eng_conf_t *c = l->conf;
    reject_t why = REJ_DEPTH;
    if (hopeless(l)) return REJ_FEES;
    for (unsigned i = 0; i < c->size_steps; i++) {
        int64_t span = c->size_max.raw - c->size_min.raw;
        int64_t usd = c->size_steps == 1 ? c->size_max.raw : c->size_min.raw + (int64_t)((i128_t)span * i / (c->size_steps - 1));
        uint64_t base = units_for(l, usd);
        trade_t t;
        if (base == 0) continue;
        xerr_t err = price_size(l, base, &t);
        if (err == XE_STALE) return *found ? REJ_FEES : REJ_BASIS; /* the basis book holds less than this size needs */
        if (err) break;                                            /* larger sizes need even more */
        why = REJ_FEES;
        if (!*found || t.net.raw > best->net.raw) *best = t;
        *found = true;
    }
    return why;
}

static xerr_t legs_prices(legs_t *l)
{
    bool buy = l->dir == DIR_CEX_TO_DEX;
    const level_t *spot = book_level(l->spot->book, buy ? SIDE_ASK : SIDE_BID, 0);
    const level_t *basis = book_level(l->basis->book, buy ? SIDE_BID : SIDE_ASK, 0);
    i128_t mid;
    if (!spot || !basis) return XE_DEPTH;
    l->spot_touch = spot->px;
    l->basis_touch = basis->px;
    l->base_step = unit_of(l->pair->base_decimals);
    l->quote_step = unit_of(l->pair->quote_decimals);
    xerr_t err = pool_mid(&l->pool->pool->state, l->pair, &mid);
    if (err) return err;
    u128_t usd;
    if (!u256_div_to_128(u256_mul((u128_t)mid, (u128_t)basis->px.raw), u256_of(DEC_SCALE), false, &usd) || usd == 0) return XE_RANGE;
    if (usd > (u128_t)1 << 96) return XE_RANGE;
    l->mid.raw = (i128_t)usd;
    return XE_OK;
}

static const instr_t *basis_for(const engine_t *e)
{
    for (unsigned i = 0; i < e->conf.insts_n; i++)
        if (e->inst[i].conf.kind == INST_BASIS && eng_usable(e, (inst_t)i, e->now_ns, NULL)) return &e->inst[i];
    return NULL;
}

/* ---- opportunities ------------------------------------------------------------------------------------------------ */

static void stamp_event(opp_t *o, const ev_t *ev)
{
    o->source_us = ev->source_us;
    o->recv_wall_us = ev->recv_wall_us;
    o->recv_ns = ev->recv_ns;
    o->parsed_ns = ev->parsed_ns;
    o->detect_ns = ev->parsed_ns ? ev->parsed_ns : ev->recv_ns; /* the door knows better: it has a clock */
    o->detect_wall_us = ev->recv_wall_us;
}

static void fill_opp(const legs_t *l, const trade_t *t, const ev_t *ev, opp_t *o)
{
    bool to_dex = l->dir == DIR_CEX_TO_DEX;
    o->buy = to_dex ? l->spot->conf.venue : l->pool->conf.venue;
    o->sell = to_dex ? l->pool->conf.venue : l->spot->conf.venue;
    o->buy_px = average(t->cost, t->size.raw, true);
    o->sell_px = average(t->proceeds, t->size.raw, false);
    o->buy_touch = to_dex ? l->spot_touch : l->mid;
    o->sell_touch = to_dex ? l->mid : l->spot_touch;
    o->size = t->size;
    o->buy_cost = t->cost;
    o->sell_proceeds = t->proceeds;
    o->fee_cex = t->fee_cex;
    o->fee_dex = t->fee_dex;
    o->fee_network = t->fee_network;
    o->fee_total.raw = t->fee_cex.raw + t->fee_dex.raw + t->fee_network.raw;
    o->slippage = t->slippage;
    o->basis = average(to_dex ? t->proceeds : t->cost, t->usdc, !to_dex);
    o->gross_bps_x100 = t->gross_bps;
    o->net_bps_x100 = t->net_bps;
    if (t->net_bps > o->peak_net_bps_x100) o->peak_net_bps_x100 = t->net_bps;
    o->predicted_pnl = t->net;
    o->pool_slot = l->pool->pool->slot;
    stamp_event(o, ev);
}

static void tell(engine_t *e, route_t *r, opp_phase_t phase, eff_list_t *out)
{
    r->opp.phase = phase;
    r->opp.lifetime_ms = (e->now_ns - r->opened_ns) / 1000000;
    r->told_ns = e->now_ns;
    r->told_net = r->opp.net_bps_x100;
    eff_push(out, EFF_OPP)->u.opp = r->opp;
}

static void open_route(engine_t *e, route_t *r, const legs_t *l, const trade_t *t, const ev_t *ev, eff_list_t *out)
{
    r->live = true;
    r->opened_ns = e->now_ns;
    memset(&r->opp, 0, sizeof r->opp);
    r->opp.pair = r->pair;
    r->opp.dir = r->dir;
    r->opp.peak_net_bps_x100 = INT32_MIN;
    r->opp.decision = "OBSERVE_ONLY";
    r->opp.reason = "";
    r->opp.opened_wall_us = ev->recv_wall_us;
    fill_opp(l, t, ev, &r->opp);
    uuid7_from(ev->recv_wall_us / 1000, e->seed, ++e->made, r->opp.id);
    e->rejected[REJ_OBSERVE_ONLY]++;
    tell(e, r, OPP_OPEN, out);
}

static void update_route(engine_t *e, route_t *r, const legs_t *l, const trade_t *t, const ev_t *ev, eff_list_t *out)
{
    fill_opp(l, t, ev, &r->opp);
    e->rejected[REJ_DUPLICATE]++;
    int64_t change = (int64_t)r->opp.net_bps_x100 - r->told_net;
    if (change < 0) change = -change;
    if (change >= UPDATE_BPS_X100 && e->now_ns - r->told_ns >= UPDATE_NS) tell(e, r, OPP_UPDATE, out);
}

static void close_route(engine_t *e, route_t *r, reject_t why, const ev_t *ev, eff_list_t *out)
{
    r->opp.reason = reject_name(why);
    r->opp.closed_wall_us = ev->recv_wall_us;
    stamp_event(&r->opp, ev);
    tell(e, r, OPP_CLOSE, out);
    r->live = false;
}

/* Prices every pair of instruments behind a route and keeps the best; says why there is none. */
typedef struct { legs_t legs; trade_t trade; inst_t spot, pool; bool found; } choice_t;

static reject_t unusable(xerr_t why) { return why == XE_DEPTH ? REJ_DEPTH : REJ_STALE; }

static reject_t try_pair(const engine_t *e, const route_t *r, inst_t s, inst_t p, const instr_t *basis, choice_t *best)
{
    xerr_t why;
    if (!eng_usable(e, s, e->now_ns, &why) || !eng_usable(e, p, e->now_ns, &why)) return unusable(why);
    if (!basis) return REJ_BASIS;
    legs_t l = {.conf = &e->conf, .pair = &e->conf.pairs[r->pair], .dir = r->dir, .spot = &e->inst[s], .pool = &e->inst[p], .basis = basis,
                .wall_us = e->wall_us};
    if (legs_prices(&l)) return REJ_DEPTH;
    trade_t t;
    bool found = false;
    reject_t reason = best_size(&l, &t, &found);
    if (found && (!best->found || t.net.raw > best->trade.net.raw))
        *best = (choice_t){.legs = l, .trade = t, .spot = s, .pool = p, .found = true};
    return reason;
}

static reject_t choose(const engine_t *e, const route_t *r, choice_t *best)
{
    const instr_t *basis = basis_for(e);
    reject_t why = REJ_N;
    for (unsigned s = 0; s < e->conf.insts_n; s++) {
        for (unsigned p = 0; p < e->conf.insts_n; p++) {
            const inst_conf_t *spot = &e->inst[s].conf, *pool = &e->inst[p].conf;
            if (!pairable(spot, pool) || spot->pair != r->pair || spot->venue != r->cex || pool->venue != r->dex) continue;
            reject_t one = try_pair(e, r, (inst_t)s, (inst_t)p, basis, best);
            if (why == REJ_N || one == REJ_FEES) why = one; /* a priced refusal says more than a missing leg */
        }
    }
    return why == REJ_N ? REJ_DEPTH : why;
}

static void evaluate(engine_t *e, route_t *r, const ev_t *ev, eff_list_t *out)
{
    choice_t best = {.found = false};
    e->evaluations++;
    reject_t why = choose(e, r, &best);
    if (!best.found || best.trade.net_bps < e->conf.min_net_bps_x100) {
        if (best.found) why = REJ_FEES;
        e->rejected[why]++;
        if (r->live) close_route(e, r, why, ev, out);
        return;
    }
    r->spot = best.spot;
    r->pool = best.pool;
    if (r->live) update_route(e, r, &best.legs, &best.trade, ev, out);
    else open_route(e, r, &best.legs, &best.trade, ev, out);
}

static bool involved(const route_t *r, const inst_conf_t *in)
{
    switch (in->kind) {
    case INST_SPOT: return in->pair == r->pair && in->venue == r->cex;
    case INST_POOL: return in->pair == r->pair && in->venue == r->dex;
    case INST_BASIS: break;
    }
    return in->kind == INST_BASIS;
}

void signal_evaluate(engine_t *e, inst_t i, const ev_t *ev, eff_list_t *out)
{
    for (unsigned k = 0; k < e->routes_n; k++)
        if (involved(&e->routes[k], &e->inst[i].conf)) evaluate(e, &e->routes[k], ev, out);
}

void signal_drop(engine_t *e, inst_t i, xerr_t why, const ev_t *ev, eff_list_t *out)
{
    for (unsigned k = 0; k < e->routes_n; k++) {
        route_t *r = &e->routes[k];
        const inst_conf_t *in = &e->inst[i].conf;
        if (!r->live || !involved(r, in)) continue;
        if (in->kind == INST_BASIS) {
            if (!basis_for(e)) close_route(e, r, REJ_BASIS, ev, out);
        } else if (i == r->spot || i == r->pool) {
            close_route(e, r, unusable(why), ev, out);
        }
    }
}
