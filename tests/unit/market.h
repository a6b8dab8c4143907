/* A small market for engine tests: two venues with books, a basis book and a pool, on a clock the test moves. */
#ifndef XORJ_TESTS_UNIT_MARKET_H
#define XORJ_TESTS_UNIT_MARKET_H

#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

enum { I_SPOT, I_BASIS, I_POOL, I_SPOT2, I_N };

#define POOL_TICK (-18972) /* about 150 dollars with 9 and 6 decimals */
#define WALL0_US 1790000000000000
#define SEC 1000000000LL

typedef struct {
    engine_t *e;
    eng_conf_t conf;
    eff_list_t out;     /* of the last step */
    int64_t now_ns;
    unsigned opens, updates, closes, resyncs, on, off;
    opp_t last;         /* last opportunity told */
    xerr_t last_why;    /* of the last EFF_INST or EFF_RESYNC */
} mkt_t;

static inline eng_conf_t mkt_conf(void)
{
    return (eng_conf_t){
        .insts_n = I_N, .pairs_n = 1,
        .insts = {
            [I_SPOT] = {.venue = VENUE_COINBASE, .kind = INST_SPOT, .market = "SOL-USD", .pair = 0, .taker_bps_x100 = 1000},
            [I_BASIS] = {.venue = VENUE_GEMINI, .kind = INST_BASIS, .market = "usdcusd", .pair = -1},
            [I_POOL] = {.venue = VENUE_ORCA, .kind = INST_POOL, .market = "pool", .pair = 0},
            [I_SPOT2] = {.venue = VENUE_GEMINI, .kind = INST_SPOT, .market = "solusd", .pair = 0, .taker_bps_x100 = 2000},
        },
        .pairs = {{.name = "SOL/USD", .base_decimals = 9, .quote_decimals = 6}},
        .book_levels = 256, .stale_ms = 10000, .basis_stale_ms = 60000, .pool_stale_ms = 10000, .min_net_bps_x100 = 1000,
        .size_min = {100 * 1000000}, .size_max = {1000 * 1000000}, .size_steps = 4, .network_fee = {10000},
    };
}

static inline void mkt_count(mkt_t *m)
{
    for (unsigned i = 0; i < m->out.n; i++) {
        const eff_t *f = &m->out.e[i];
        switch (f->kind) {
        case EFF_OPP:
            m->last = f->u.opp;
            if (f->u.opp.phase == OPP_OPEN) m->opens++;
            else if (f->u.opp.phase == OPP_UPDATE) m->updates++;
            else m->closes++;
            break;
        case EFF_RESYNC: m->resyncs++, m->last_why = f->u.resync.why; break;
        case EFF_INST:
            if (f->u.inst.usable) m->on++;
            else m->off++;
            m->last_why = f->u.inst.why;
            break;
        case EFF_BOT: break;
        }
    }
}

static inline void mkt_send(mkt_t *m, ev_t ev)
{
    if (ev.recv_ns == 0) ev.recv_ns = m->now_ns;
    ev.recv_wall_us = WALL0_US + m->now_ns / 1000;
    ev.parsed_ns = ev.recv_ns + 1000;
    if (ev.inst >= 0 && ev.kind != EV_TIMER && ev.kind != EV_BOOT && ev.kind != EV_CONN) ev.venue = m->conf.insts[ev.inst].venue;
    eng_step(m->e, &ev, &m->out);
    mkt_count(m);
}

static inline void mkt_kind(mkt_t *m, ev_kind_t kind, inst_t i) { mkt_send(m, (ev_t){.kind = kind, .inst = i}); }

static inline void mkt_conn(mkt_t *m, venue_t v, bool up)
{
    mkt_send(m, (ev_t){.kind = EV_CONN, .venue = v, .inst = -1, .u.conn.up = up});
}

static inline void mkt_alive(mkt_t *m, venue_t v)
{
    ev_t ev = {.kind = EV_ALIVE, .venue = v, .inst = -1};
    mkt_send(m, ev);
}

static inline void mkt_begin(mkt_t *m, inst_t i, bool snapshot)
{
    mkt_send(m, (ev_t){.kind = EV_BOOK_BEGIN, .inst = i, .u.begin.snapshot = snapshot});
}

static inline i128_t mkt_dec(const char *s)
{
    i128_t v = 0;
    XASSERT(dec_parse(span_of(s), &v) == XE_OK);
    return v;
}

static inline void mkt_level(mkt_t *m, inst_t i, side_t s, const char *px, const char *qty)
{
    chg_t c = {.side = (uint8_t)s, .lv = {{mkt_dec(px)}, {mkt_dec(qty)}}};
    mkt_send(m, (ev_t){.kind = EV_BOOK_LEVELS, .inst = i, .u.levels = {&c, 1}});
}

/* A whole snapshot with one level on each side. */
static inline void mkt_book(mkt_t *m, inst_t i, const char *bid, const char *ask)
{
    mkt_begin(m, i, true);
    mkt_level(m, i, SIDE_BID, bid, "1000000");
    mkt_level(m, i, SIDE_ASK, ask, "1000000");
    mkt_kind(m, EV_BOOK_END, i);
}

static inline whirl_pool_t mkt_pool_state(int32_t tick, u128_t liquidity, uint16_t fee)
{
    whirl_pool_t p = {.tick_spacing = 4, .fee_tier_index = 4, .fee_rate = fee, .protocol_rate = 1300, .liquidity = liquidity, .tick = tick};
    XASSERT(whirl_sqrt_of_tick(tick, &p.sqrt_price) == XE_OK);
    return p;
}

static inline void mkt_arrays(mkt_t *m, uint64_t slot)
{
    for (int k = -3; k <= 3; k++) {
        whirl_array_t a = {.start = whirl_array_start(POOL_TICK, 4) + k * 352};
        mkt_send(m, (ev_t){.kind = EV_POOL_ARRAY, .inst = I_POOL, .u.array = {&a, slot}});
    }
}

static inline void mkt_pool(mkt_t *m, int32_t tick, uint64_t slot)
{
    whirl_pool_t p = mkt_pool_state(tick, (u128_t)1 << 55, 400);
    mkt_send(m, (ev_t){.kind = EV_POOL, .inst = I_POOL, .u.pool = {&p, slot}});
}

static inline void mkt_open_with(mkt_t *m, const eng_conf_t *c)
{
    memset(m, 0, sizeof *m);
    m->conf = *c;
    m->e = eng_new(c);
    XASSERT(m->e != NULL);
    m->now_ns = SEC;
    mkt_send(m, (ev_t){.kind = EV_BOOT, .inst = -1, .u.seed = 42});
    for (int v = 0; v < VENUE_N; v++) mkt_conn(m, (venue_t)v, true);
}

/* Everything fresh, prices in line: no opportunity. */
static inline void mkt_calm(mkt_t *m)
{
    mkt_book(m, I_BASIS, "1", "1.0001");
    mkt_arrays(m, 100);
    mkt_pool(m, POOL_TICK, 100);
    mkt_book(m, I_SPOT, "149.95", "150.05");
}

static inline void mkt_open(mkt_t *m)
{
    eng_conf_t c = mkt_conf();
    mkt_open_with(m, &c);
    mkt_calm(m);
}

static inline void mkt_close(mkt_t *m) { eng_free(m->e); }

#endif
