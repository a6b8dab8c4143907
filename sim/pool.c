#include "sim/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "engine/pda.h"
#include "sim/account.h"

#define SPAN_TICKS (WHIRL_ARRAY_TICKS * POOL_SPACING)
#define FEE_RATE 400 /* 0.04 % */
#define PROTOCOL_RATE 1300
#define NEAR_BPS 2

/* ---- prices ---- */

static u128_t isqrt(u128_t v)
{
    u128_t r = 0, bit = (u128_t)1 << 126;
    while (bit > v) bit >>= 2;
    for (; bit; bit >>= 2) {
        if (v >= r + bit) {
            v -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    return r;
}

/* One SOL is 1e9 units and one USDC 1e6, so a price of x micro-USDC is x / 1e9 in raw units. */
static u128_t sqrt_of_price(int64_t micro)
{
    return isqrt(((u128_t)micro << 98) / 1000000000u) << 15;
}

int64_t pool_price_micro(const pool_t *p)
{
    u128_t s = p->w.sqrt_price >> 32;
    return (int64_t)((s * s * 1000000000u) >> 64);
}

/* ---- liquidity ---- */

static ptick_t *tick_at(pool_t *p, int32_t tick, parray_t **in)
{
    int32_t from = p->array[0].start;
    if (tick < from || tick >= from + POOL_ARRAYS * SPAN_TICKS) return NULL;
    parray_t *a = &p->array[(tick - from) / SPAN_TICKS];
    if (in) *in = a;
    return &a->tick[(tick - a->start) / POOL_SPACING];
}

/* Fee growth outside a tick starts as everything so far when the tick is at or below the price, else as nothing. */
static void tick_add(pool_t *p, int32_t tick, i128_t net, i128_t gross)
{
    parray_t *a;
    ptick_t *t = tick_at(p, tick, &a);
    XASSERT(t && tick % POOL_SPACING == 0);
    if (!t->init) {
        *t = (ptick_t){.init = true};
        if (tick <= p->w.tick) t->out_a = p->growth_a, t->out_b = p->growth_b;
    }
    t->net += net;
    t->gross = (u128_t)((i128_t)t->gross + gross);
    if (!t->gross) memset(t, 0, sizeof(*t));
    a->changed = true;
}

static void position_apply(pool_t *p, const position_t *q, int sign)
{
    i128_t l = (i128_t)q->l * sign;
    tick_add(p, q->lo, l, l);
    tick_add(p, q->hi, -l, l);
    if (q->lo <= p->w.tick && p->w.tick < q->hi) p->w.liquidity = (u128_t)((i128_t)p->w.liquidity + l);
    p->changed = true;
    p->changes++;
}

static int32_t snap(int64_t tick)
{
    return (int32_t)(tick / POOL_SPACING * POOL_SPACING);
}

static void position_add(pool_t *p, int64_t lo, int64_t hi, u128_t l)
{
    int32_t first = p->array[0].start, last = first + POOL_ARRAYS * SPAN_TICKS - POOL_SPACING;
    position_t q = {snap(lo), snap(hi), l};
    if (q.lo < first) q.lo = first;
    if (q.hi > last) q.hi = last;
    if (q.hi <= q.lo || p->pos_n == POOL_POSITIONS) return;
    p->pos[p->pos_n++] = q;
    position_apply(p, &q, 1);
}

/* A wide base that always holds some liquidity, a ladder that thins out, and many narrow positions near the price. */
static void seed_positions(pool_t *p)
{
    int64_t at = p->w.tick;
    u128_t unit = 1000000000000ULL;
    position_add(p, -1000000, 1000000, unit * 60);
    for (int k = 0; k < 24; k++) {
        int64_t half = 400 + k * 110;
        position_add(p, at - half - rng_range(&p->rng, 0, 200), at + half + rng_range(&p->rng, 0, 200),
                     unit * (unsigned)rng_range(&p->rng, 4, 16));
    }
    for (int k = 0; k < 110; k++) {
        int64_t mid = at + rng_range(&p->rng, -1500, 1500), half = rng_range(&p->rng, 6, 160);
        position_add(p, mid - half, mid + half, unit * (unsigned)rng_range(&p->rng, 1, 14));
    }
}

static void maybe_reposition(pool_t *p)
{
    if (++p->slots % 40) return; /* every 16 s */
    if (p->pos_n > 100 && rng_chance(&p->rng, 50)) {
        /* The first positions are the base and stay. */
        unsigned i = (unsigned)rng_range(&p->rng, 30, p->pos_n - 1);
        position_apply(p, &p->pos[i], -1);
        p->pos[i] = p->pos[--p->pos_n];
    } else {
        int64_t mid = p->w.tick + rng_range(&p->rng, -500, 500), half = rng_range(&p->rng, 6, 120);
        position_add(p, mid - half, mid + half, (u128_t)1000000000000ULL * (unsigned)rng_range(&p->rng, 1, 10));
    }
}

/* ---- swaps ---- */

/* Nearest initialised tick a swap of that direction can reach, else none. */
static bool next_tick(const pool_t *p, bool a_to_b, int32_t *out)
{
    int32_t from = p->array[0].start, end = from + POOL_ARRAYS * SPAN_TICKS;
    int32_t t = p->w.tick / POOL_SPACING * POOL_SPACING;
    if (t > p->w.tick) t -= POOL_SPACING;
    if (!a_to_b) t += POOL_SPACING;
    for (; t >= from && t < end; t += a_to_b ? -POOL_SPACING : POOL_SPACING) {
        const parray_t *a = &p->array[(t - from) / SPAN_TICKS];
        if (a->tick[(t - a->start) / POOL_SPACING].init) return *out = t, true;
    }
    return false;
}

static unsigned near_arrays(const pool_t *p, whirl_array_t out[WHIRL_ARRAYS_MAX])
{
    int32_t here = whirl_array_start(p->w.tick, POOL_SPACING);
    unsigned n = 0;
    for (unsigned i = 0; i < POOL_ARRAYS && n < WHIRL_ARRAYS_MAX; i++) {
        if (abs(p->array[i].start - here) <= 2 * SPAN_TICKS) parray_view(&p->array[i], &out[n++]);
    }
    return n;
}

static void fees_grow(pool_t *p, bool a_to_b, uint64_t fee, u128_t liquidity)
{
    uint64_t share = (uint64_t)((u128_t)fee * p->w.protocol_rate / 10000);
    *(a_to_b ? &p->owed_a : &p->owed_b) += share;
    if (liquidity) *(a_to_b ? &p->growth_a : &p->growth_b) += ((u128_t)(fee - share) << 64) / liquidity;
}

/* One leg, inside one liquidity: to the limit or to the next initialised tick, whichever comes first. */
static xerr_t leg(pool_t *p, u128_t limit, bool *reached)
{
    bool a_to_b = limit < p->w.sqrt_price;
    int32_t tick = 0;
    u128_t stop = limit, edge = 0;
    bool has = next_tick(p, a_to_b, &tick) && whirl_sqrt_of_tick(tick, &edge) == XE_OK;
    if (has && (a_to_b ? edge >= limit : edge <= limit)) stop = edge;
    whirl_array_t arrays[WHIRL_ARRAYS_MAX];
    unsigned n = near_arrays(p, arrays);
    u128_t before = p->w.liquidity;
    /* An a-to-b swap that starts exactly on a tick of its own array crosses it without moving. */
    whirl_ask_t ask = {.amount = UINT64_MAX / 4, .exact_in = true, .a_to_b = a_to_b, .sqrt_limit = stop};
    whirl_quote_t q;
    xerr_t err = XE_OK;
    if (stop == p->w.sqrt_price) {
        q = (whirl_quote_t){.sqrt_after = stop, .tick_after = a_to_b ? tick - 1 : tick};
        const ptick_t *t = tick_at(p, tick, NULL);
        q.liquidity_after = (u128_t)((i128_t)before + (a_to_b ? -t->net : t->net));
    } else {
        err = whirl_quote(&p->w, arrays, n, &ask, &q);
    }
    if (err) return err;
    fees_grow(p, a_to_b, q.fee, before);
    p->w.sqrt_price = q.sqrt_after;
    p->w.liquidity = q.liquidity_after;
    p->w.tick = q.tick_after;
    if (has && q.sqrt_after == edge) {
        parray_t *in;
        ptick_t *t = tick_at(p, tick, &in);
        t->out_a = p->growth_a - t->out_a;
        t->out_b = p->growth_b - t->out_b;
        in->changed = true;
    }
    *reached = q.sqrt_after == limit;
    return XE_OK;
}

static void swap_to(pool_t *p, u128_t limit)
{
    bool reached = p->w.sqrt_price == limit;
    for (unsigned guard = 0; !reached && guard < 2000; guard++) {
        if (leg(p, limit, &reached)) break;
        p->changed = true;
    }
    p->swaps++;
}

void pool_slot(pool_t *p, uint64_t slot, int64_t price_micro)
{
    p->slot = slot;
    int64_t here = pool_price_micro(p), off = price_micro > here ? price_micro - here : here - price_micro;
    if (off * 10000 > here * NEAR_BPS) swap_to(p, sqrt_of_price(price_micro));
    maybe_reposition(p);
}

void pool_settled(pool_t *p)
{
    p->changed = false;
    for (unsigned i = 0; i < POOL_ARRAYS; i++) p->array[i].changed = false;
}

/* ---- addresses ---- */

static xerr_t derive(pool_t *p)
{
    uint8_t program[32], config[32], want[32];
    uint8_t tier[2] = {POOL_SPACING, 0};
    account_key(program, ACCOUNT_WHIRLPOOL_PROGRAM);
    account_key(config, ACCOUNT_WHIRLPOOL_CONFIG);
    account_key(want, ACCOUNT_POOL);
    const span_t seeds[] = {SPAN_LIT("whirlpool"), span_make((const char *)config, 32),
                            span_make((const char *)p->w.mint_a, 32), span_make((const char *)p->w.mint_b, 32),
                            span_make((const char *)tier, 2)};
    xerr_t err = pda_find(seeds, 5, program, p->key, &p->bump);
    if (err || memcmp(p->key, want, 32) != 0) return XE_INTERNAL;
    for (unsigned i = 0; i < POOL_ARRAYS && !err; i++) {
        char text[16];
        uint8_t bump;
        snprintf(text, sizeof(text), "%d", p->array[i].start);
        const span_t s[] = {SPAN_LIT("tick_array"), span_make((const char *)p->key, 32), span_of(text)};
        err = pda_find(s, 3, program, p->array[i].key, &bump);
    }
    return err;
}

xerr_t pool_init(pool_t *p, uint64_t seed, int64_t price_micro)
{
    memset(p, 0, sizeof(*p));
    rng_init(&p->rng, seed ^ 0x706f6f6cULL);
    p->w.tick_spacing = p->w.fee_tier_index = POOL_SPACING;
    p->w.fee_rate = FEE_RATE;
    p->w.protocol_rate = PROTOCOL_RATE;
    account_key(p->w.mint_a, ACCOUNT_SOL_MINT);
    account_key(p->w.mint_b, ACCOUNT_USDC_MINT);
    account_key(p->w.vault_a, ACCOUNT_VAULT_A);
    account_key(p->w.vault_b, ACCOUNT_VAULT_B);
    p->w.sqrt_price = sqrt_of_price(price_micro);
    xerr_t err = whirl_tick_of_sqrt(p->w.sqrt_price, &p->w.tick);
    if (err) return err;
    p->growth_a = (u128_t)rng_next(&p->rng) << 40 | rng_next(&p->rng) >> 24;
    p->growth_b = (u128_t)rng_next(&p->rng) << 36 | rng_next(&p->rng) >> 28;
    int32_t here = whirl_array_start(p->w.tick, POOL_SPACING);
    for (int i = 0; i < POOL_ARRAYS; i++) {
        p->array[i].start = here + (i - POOL_ARRAYS_SIDE) * SPAN_TICKS;
        /* One array of the newer kind close enough to be loaded by every client. */
        p->array[i].dynamic = i == POOL_ARRAYS_SIDE + 1;
    }
    err = derive(p);
    if (!err) seed_positions(p);
    pool_settled(p);
    return err;
}
