/* Pool mathematics: the cases of CI-9 as they apply to concentrated liquidity. Without ticks in reach a pool of
 * liquidity L at price 1 is the constant product x*y = L^2, which the first tests use as an independent formula. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/whirl_math.h"

#define ONE ((u128_t)1 << 64) /* sqrt price 1 */

static uint64_t rng;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

typedef struct {
    whirl_pool_t pool;
    whirl_array_t a[7];
    size_t n;
} world_t;

/* Empty arrays on both sides of the price. */
static void world(world_t *w, int32_t tick, u128_t liquidity, uint16_t fee, uint16_t spacing)
{
    memset(w, 0, sizeof *w);
    w->pool = (whirl_pool_t){.tick_spacing = spacing, .fee_tier_index = spacing, .fee_rate = fee, .protocol_rate = 1300,
                             .liquidity = liquidity, .tick = tick};
    assert_int_equal(whirl_sqrt_of_tick(tick, &w->pool.sqrt_price), XE_OK);
    int32_t span = WHIRL_ARRAY_TICKS * spacing, here = whirl_array_start(tick, spacing);
    for (int i = -3; i <= 3; i++) w->a[w->n++].start = here + i * span;
}

static xerr_t quote(const world_t *w, uint64_t amount, bool in, bool a_to_b, whirl_quote_t *q)
{
    whirl_ask_t ask = {.amount = amount, .exact_in = in, .a_to_b = a_to_b};
    return whirl_quote(&w->pool, w->a, w->n, &ask, q);
}

/* dy = L*dx/(L+dx) at price 1, dx net of the fee. */
static uint64_t product_out(uint64_t l, uint64_t dx, uint32_t fee)
{
    uint64_t net = (uint64_t)((u128_t)dx * (WHIRL_FEE_ONE - fee) / WHIRL_FEE_ONE);
    return (uint64_t)((u128_t)l * net / ((u128_t)l + net));
}

static void near(uint64_t got, uint64_t want, uint64_t slack)
{
    uint64_t d = got > want ? got - want : want - got;
    if (d > slack) fail_msg("got %llu, want %llu within %llu", (unsigned long long)got, (unsigned long long)want, (unsigned long long)slack);
}

static void test_constant_product(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000000u, 0, 64);
    for (uint64_t dx = 1000; dx < 200000000000u; dx *= 7) {
        assert_int_equal(quote(&w, dx, true, true, &q), XE_OK);
        assert_true(q.in == dx && q.unfilled == 0 && q.fee == 0);
        near(q.out, product_out(1000000000000u, dx, 0), 1);
        assert_true(q.out <= product_out(1000000000000u, dx, 0));
        assert_int_equal(quote(&w, dx, true, false, &q), XE_OK);
        near(q.out, product_out(1000000000000u, dx, 0), 1);
    }
}

static void test_fee_of_30_bps(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000000u, 3000, 64);
    assert_int_equal(quote(&w, 1000000, true, true, &q), XE_OK);
    near(q.out, product_out(1000000000000u, 1000000, 3000), 1);
    assert_int_equal(q.fee, 3000);
    assert_int_equal(q.in, 1000000);
}

static void test_fee_tiers_5_30_100_bps(void **state)
{
    (void)state;
    const uint16_t fees[] = {500, 3000, 10000};
    uint64_t last = UINT64_MAX;
    for (size_t i = 0; i < 3; i++) {
        world_t w;
        whirl_quote_t q;
        world(&w, 0, 1000000000000000u, fees[i], 64);
        assert_int_equal(quote(&w, 10000000, true, false, &q), XE_OK);
        assert_int_equal(q.fee, 10 * fees[i]);
        assert_true(q.out < last);
        last = q.out;
        assert_int_equal(quote(&w, 9000000, false, false, &q), XE_OK);
        assert_int_equal(q.out, 9000000);
        near(q.fee, (q.in * fees[i] + 999999) / 1000000, 1);
    }
}

static void test_impact_of_small_and_large_swaps(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t small, large;
    world(&w, 0, 1000000000000u, 0, 64);
    assert_int_equal(quote(&w, 1000000, true, true, &small), XE_OK);
    assert_int_equal(quote(&w, 200000000000u, true, true, &large), XE_OK);
    assert_true(small.out >= 999998);                                 /* a millionth of the depth: no impact to speak of */
    near(large.out, 166666666666u, 2);                                /* 0.2 L in gives L/6 out */
    assert_true(small.sqrt_after > large.sqrt_after);
    /* average price of the large swap = 1/(1+dx/L): exactly 5/6 */
    near(large.out * 6 / 5, 200000000000u, 4);
}

static void test_unbalanced_pools(void **state)
{
    (void)state;
    const int32_t ticks[] = {-200000, -18972, 45000, 120000};
    for (size_t i = 0; i < 4; i++) {
        world_t w;
        whirl_quote_t q, back;
        world(&w, ticks[i], 5000000000000u, 400, 64);
        bool a_to_b = ticks[i] > 0; /* so that the output is larger than the input */
        assert_int_equal(quote(&w, 10000, true, a_to_b, &q), XE_OK);
        assert_true(q.out > 10000);
        world_t after = w;
        after.pool.sqrt_price = q.sqrt_after;
        after.pool.tick = q.tick_after;
        assert_int_equal(quote(&after, q.out, true, !a_to_b, &back), XE_OK);
        assert_true(back.out < 10000);
    }
}

static void test_zero_input(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000u, 3000, 64);
    for (int k = 0; k < 4; k++) assert_int_equal(quote(&w, 0, k & 1, k & 2, &q), XE_BAD_INPUT);
}

static void test_no_input_comes_from_nothing(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000u, 3000, 64);
    assert_int_equal(quote(&w, 1, true, true, &q), XE_OK);
    assert_int_equal(q.out, 0);
    assert_int_equal(q.in, 1);
    assert_int_equal(quote(&w, 1, false, true, &q), XE_OK);
    assert_int_equal(q.out, 1);
    assert_true(q.in >= 2);
}

static void test_price_impact_is_exact(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000000u, 0, 64);
    assert_int_equal(quote(&w, 100000000000u, true, false, &q), XE_OK); /* B in: sqrt grows by in/L = 0.1 */
    u128_t want = ONE + ONE / 10;
    assert_true(q.sqrt_after <= want && want - q.sqrt_after < 20000000);
    assert_int_equal(q.tick_after, 1906); /* 2*ln(1.1)/ln(1.0001) = 1906.3 */
}

static void test_extreme_imbalance(void **state)
{
    (void)state;
    const int32_t ends[] = {WHIRL_TICK_MIN + 200, WHIRL_TICK_MAX - 200};
    for (size_t i = 0; i < 2; i++) {
        world_t w;
        whirl_quote_t q;
        world(&w, ends[i], 1000000000000u, 3000, 1);
        for (int k = 0; k < 4; k++) {
            xerr_t err = quote(&w, 1000, k & 1, k & 2, &q);
            assert_true(err == XE_OK || err == XE_DEPTH || err == XE_RANGE);
            if (!err) assert_true(q.sqrt_after >= WHIRL_SQRT_MIN && q.sqrt_after <= WHIRL_SQRT_MAX);
        }
    }
}

static void test_very_small_and_very_large_reserves(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 10, 3000, 64);
    assert_int_equal(quote(&w, 1000000, true, true, &q), XE_DEPTH); /* runs to the end of what is loaded */
    world(&w, 0, (u128_t)1 << 100, 3000, 64);
    assert_int_equal(quote(&w, UINT64_MAX, true, true, &q), XE_OK);
    near(q.out, UINT64_MAX - UINT64_MAX / 1000 * 3, UINT64_MAX / 900);
    world(&w, 0, ~(u128_t)0, 3000, 64);
    xerr_t err = quote(&w, 1000, true, true, &q);
    assert_true(err == XE_RANGE || err == XE_OK);
}

static void test_decimal_precision(void **state)
{
    (void)state;
    /* 9 and 6 decimals, 150 dollars: 1 SOL sells for about 150 USDC in a deep pool without fee. */
    world_t w;
    whirl_quote_t q;
    world(&w, -18972, (u128_t)1 << 60, 0, 4);
    assert_int_equal(quote(&w, 1000000000, true, true, &q), XE_OK);
    near(q.out, 150000000, 100000);
    uint64_t one = q.out;
    assert_int_equal(quote(&w, 1000000, true, true, &q), XE_OK);
    near(q.out, one / 1000, 1);
    assert_int_equal(quote(&w, one, false, true, &q), XE_OK);
    near(q.in, 1000000000, 10000); /* one unit of USDC is worth 6,667 lamports */
}

static void test_round_trip_never_gains(void **state)
{
    (void)state;
    rng = 424242;
    for (int i = 0; i < 20000; i++) {
        world_t w;
        whirl_quote_t q, back;
        int32_t tick = (int32_t)(next() % 200000) - 100000;
        world(&w, tick, (next() >> (next() % 40)) + 1000, (uint16_t)(next() % 10000), (uint16_t)(1 + next() % 128));
        uint64_t amount = (next() >> (24 + next() % 36)) + 1;
        bool a_to_b = next() & 1;
        if (quote(&w, amount, true, a_to_b, &q) || q.out == 0) continue;
        world_t after = w;
        after.pool.sqrt_price = q.sqrt_after;
        after.pool.tick = q.tick_after;
        after.pool.liquidity = q.liquidity_after;
        if (quote(&after, q.out, true, !a_to_b, &back)) continue;
        if (back.out > amount) fail_msg("%llu in, %llu back", (unsigned long long)amount, (unsigned long long)back.out);
        whirl_quote_t out;
        if (quote(&w, q.out, false, a_to_b, &out)) continue;
        if (out.in > amount) fail_msg("exact-out costs more than the exact-in that gave as much");
    }
}

/* A pool as Orca's SOL/USDC ones look: liquidity in ranges around the price, made up numbers. */
static void ranges(world_t *w)
{
    world(w, -18972, 0, 400, 4);
    const struct { int32_t lo, hi; int64_t l; } pos[] = {
        {-19500, -18500, 800000000000}, {-19100, -18900, 9000000000000}, {-19000, -18960, 25000000000000},
        {-18960, -18800, 7000000000000}, {-19300, -19000, 3000000000000},
    };
    for (size_t i = 0; i < sizeof pos / sizeof *pos; i++) {
        if (pos[i].lo <= w->pool.tick && w->pool.tick < pos[i].hi) w->pool.liquidity = w->pool.liquidity + (uint64_t)pos[i].l;
        const int32_t at[2] = {pos[i].lo, pos[i].hi};
        for (int k = 0; k < 2; k++) {
            for (size_t a = 0; a < w->n; a++) {
                whirl_array_t *arr = &w->a[a];
                if (at[k] < arr->start || at[k] >= arr->start + 352) continue;
                unsigned p = 0;
                while (p < arr->n && arr->ticks[p].index < at[k]) p++;
                i128_t net = k ? -(i128_t)pos[i].l : (i128_t)pos[i].l;
                if (p < arr->n && arr->ticks[p].index == at[k]) {
                    arr->ticks[p].net += net;
                    continue;
                }
                memmove(&arr->ticks[p + 1], &arr->ticks[p], (arr->n - p) * sizeof(whirl_tick_t));
                arr->ticks[p] = (whirl_tick_t){.index = at[k], .net = net};
                arr->n++;
            }
        }
    }
}

static void test_ranges_are_crossed(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    ranges(&w);
    assert_int_equal(quote(&w, 2000000000, true, true, &q), XE_OK);
    assert_int_equal(q.crossed, 0);
    assert_int_equal(quote(&w, 400000000000, true, true, &q), XE_OK);
    assert_true(q.crossed >= 1);
    assert_true(q.liquidity_after < w.pool.liquidity);
    uint64_t one = q.out;
    /* the same amount in two halves gives the same, within the roundings */
    whirl_quote_t a, b;
    assert_int_equal(quote(&w, 200000000000, true, true, &a), XE_OK);
    world_t after = w;
    after.pool.sqrt_price = a.sqrt_after;
    after.pool.tick = a.tick_after;
    after.pool.liquidity = a.liquidity_after;
    assert_int_equal(quote(&after, 200000000000, true, true, &b), XE_OK);
    near(a.out + b.out, one, 4);
}

/* Taking arrays away must give the very same quote or none. */
static void test_never_a_guess_beyond_what_is_loaded(void **state)
{
    (void)state;
    rng = 99;
    world_t full, part;
    unsigned depth = 0, same = 0;
    ranges(&full);
    for (int i = 0; i < 20000; i++) {
        bool in = next() & 1, a_to_b = next() & 1;
        uint64_t amount = (next() >> (14 + next() % 30)) + 1;
        whirl_quote_t want, got;
        xerr_t err = quote(&full, amount, in, a_to_b, &want);
        part = full;
        for (size_t a = 0; a < part.n;) {
            if (next() % 3 == 0) part.a[a] = part.a[--part.n];
            else a++;
        }
        xerr_t less = quote(&part, amount, in, a_to_b, &got);
        if (less == XE_DEPTH) {
            depth++;
            continue;
        }
        assert_int_equal(less, err);
        if (!err) same++;
        if (!err && (got.in != want.in || got.out != want.out || got.sqrt_after != want.sqrt_after)) fail_msg("guessed");
    }
    assert_true(depth > 1000 && same > 1000);
}

static void test_missing_arrays_are_empty_and_absent_ones_are_not_loaded(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000, 0, 4);
    for (size_t i = 0; i < w.n; i++) w.a[i].missing = true;
    assert_int_equal(quote(&w, 100, true, true, &q), XE_OK);
    w.n = 3; /* only arrays below the one of the price */
    assert_int_equal(quote(&w, 100, true, true, &q), XE_DEPTH);
    assert_int_equal(q.program_error, 0);
    world(&w, 0, 1000000, 0, 4);
    assert_int_equal(quote(&w, 100000000, true, true, &q), XE_DEPTH); /* past the three arrays of one swap */
    assert_int_equal(q.program_error, 6038);
}

static void test_refused_by_rule(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000, 3000, 64);
    w.pool.fee_tier_index = 1025;
    assert_int_equal(quote(&w, 100, true, true, &q), XE_UNSUPPORTED);
    world(&w, 0, 1000000, 3000, 64);
    whirl_ask_t ask = {.amount = 1, .exact_in = true, .a_to_b = true, .sqrt_limit = w.pool.sqrt_price};
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_BAD_INPUT);
}

static void test_price_limit_stops_the_swap(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000, 3000, 64);
    whirl_ask_t ask = {.amount = 1000000000, .exact_in = true, .a_to_b = true, .sqrt_limit = ONE - ONE / 100};
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_OK);
    assert_true(q.sqrt_after == ask.sqrt_limit);
    assert_true(q.unfilled > 0 && q.in + q.unfilled == ask.amount);
}

static void test_ticks_and_prices_invert(void **state)
{
    (void)state;
    u128_t p, below = 0;
    int32_t t;
    for (int32_t i = WHIRL_TICK_MIN; i <= WHIRL_TICK_MAX; i += i % 7 == 0 ? 11 : 5) {
        assert_int_equal(whirl_sqrt_of_tick(i, &p), XE_OK);
        assert_true(p > below);
        below = p;
        assert_int_equal(whirl_tick_of_sqrt(p, &t), XE_OK);
        assert_int_equal(t, i);
        if (i == WHIRL_TICK_MIN) continue;
        assert_int_equal(whirl_tick_of_sqrt(p - 1, &t), XE_OK);
        assert_int_equal(t, i - 1);
    }
    assert_int_equal(whirl_sqrt_of_tick(WHIRL_TICK_MAX + 1, &p), XE_RANGE);
    assert_int_equal(whirl_sqrt_of_tick(WHIRL_TICK_MIN - 1, &p), XE_RANGE);
    assert_int_equal(whirl_tick_of_sqrt(WHIRL_SQRT_MIN - 1, &t), XE_RANGE);
    assert_int_equal(whirl_tick_of_sqrt(WHIRL_SQRT_MAX + 1, &t), XE_RANGE);
}

/* ---- account bytes ------------------------------------------------------------------------------------------------ */

static void put(uint8_t *p, u128_t v, int n)
{
    for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static void test_pool_bytes(void **state)
{
    (void)state;
    uint8_t b[WHIRL_POOL_LEN] = {0x3f, 0x95, 0xd1, 0x0c, 0xe1, 0x80, 0x63, 0x09};
    whirl_pool_t p;
    put(b + 41, 4, 2);
    put(b + 43, 4, 2);
    put(b + 45, 400, 2);
    put(b + 47, 1300, 2);
    put(b + 49, 123456789, 16);
    put(b + 65, ONE, 16);
    put(b + 81, (uint32_t)-5, 4);
    memset(b + 101, 0xaa, 32);
    assert_int_equal(whirl_pool_decode(b, sizeof b, &p), XE_OK);
    assert_true(p.tick_spacing == 4 && p.fee_rate == 400 && p.liquidity == 123456789 && p.sqrt_price == ONE && p.tick == -5);
    assert_int_equal(p.mint_a[31], 0xaa);
    assert_int_equal(whirl_pool_decode(b, sizeof b - 1, &p), XE_BAD_INPUT);
    b[0]++;
    assert_int_equal(whirl_pool_decode(b, sizeof b, &p), XE_BAD_INPUT);
    b[0]--;
    put(b + 41, 0, 2);
    assert_int_equal(whirl_pool_decode(b, sizeof b, &p), XE_BAD_INPUT);
    put(b + 41, 4, 2);
    put(b + 65, 0, 16);
    assert_int_equal(whirl_pool_decode(b, sizeof b, &p), XE_BAD_INPUT);
}

static size_t dynamic(uint8_t *b, int32_t start, const int *used, size_t n)
{
    const uint8_t tag[8] = {0x11, 0xd8, 0xf6, 0x8e, 0xe1, 0xc7, 0xda, 0x38};
    size_t at = 60, k = 0;
    u128_t bits = 0;
    memset(b, 0, 10004);
    memcpy(b, tag, 8);
    put(b + 8, (uint32_t)start, 4);
    for (int i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        b[at] = k < n && used[k] == i;
        if (!b[at++]) continue;
        put(b + at, (u128_t)-(i128_t)(1000 + i), 16);
        put(b + at + 16, 5000, 16);
        bits |= (u128_t)1 << i;
        at += 112;
        k++;
    }
    put(b + 44, bits, 16);
    return at;
}

static void test_dynamic_array_bytes(void **state)
{
    (void)state;
    static uint8_t b[10004];
    const int used[] = {0, 5, 87};
    whirl_array_t a;
    size_t n = dynamic(b, -352, used, 3);
    assert_int_equal(n, 148 + 3 * 112);
    assert_int_equal(whirl_array_decode(b, n, 4, &a), XE_OK);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.ticks[1].index, -352 + 20);
    assert_int_equal(a.ticks[2].index, -352 + 87 * 4);
    assert_true(a.ticks[1].net == -1005 && a.ticks[1].gross == 5000);
    for (size_t cut = 0; cut < n; cut++) assert_int_equal(whirl_array_decode(b, cut, 4, &a), XE_BAD_INPUT);
    assert_int_equal(whirl_array_decode(b, n, 8, &a), XE_BAD_INPUT); /* start does not belong to that spacing */
    b[60] = 2;
    assert_int_equal(whirl_array_decode(b, n, 4, &a), XE_BAD_INPUT);
    b[60] = 1;
    b[44] ^= 2; /* the bitmap says otherwise */
    assert_int_equal(whirl_array_decode(b, n, 4, &a), XE_BAD_INPUT);
}

static void test_fixed_array_bytes(void **state)
{
    (void)state;
    static uint8_t b[9988] = {0x45, 0x61, 0xbd, 0xbe, 0x6e, 0x07, 0x42, 0xbb};
    whirl_array_t a;
    put(b + 8, 0, 4);
    b[12 + 113 * 3] = 1;
    put(b + 13 + 113 * 3, 77, 16);
    assert_int_equal(whirl_array_decode(b, sizeof b, 64, &a), XE_OK);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.ticks[0].index, 192);
    assert_true(a.ticks[0].net == 77);
    assert_int_equal(whirl_array_decode(b, sizeof b - 1, 64, &a), XE_BAD_INPUT);
    b[12] = 3;
    assert_int_equal(whirl_array_decode(b, sizeof b, 64, &a), XE_BAD_INPUT);
}

/* Any bytes may come: decoders answer, they do not read past the end (seen under AddressSanitizer). */
static void test_random_bytes_are_survived(void **state)
{
    (void)state;
    static uint8_t b[10004];
    const int used[] = {1, 2, 3, 50};
    rng = 7;
    whirl_array_t a;
    whirl_pool_t p;
    for (int i = 0; i < 3000; i++) {
        size_t n = dynamic(b, 0, used, 4);
        for (int k = 0; k < 3; k++) b[8 + next() % (n - 8)] = (uint8_t)next();
        uint8_t copy[1024];
        size_t len = next() % (n + 1);
        memcpy(copy, b, len);
        (void)whirl_array_decode(copy, len, 1 + (unsigned)(next() % 4), &a);
        (void)whirl_pool_decode(copy, len, &p);
    }
}

/* ---- adaptive fee ---- */

static whirl_oracle_t oracle(void)
{
    return (whirl_oracle_t){.filter_period = 10, .decay_period = 100, .reduction = 5000, .control = 50000, .volatility_max = 1000000,
                            .group_size = 8, .major_ticks = 50, .last_reference_at = 1000, .last_major_at = 1000};
}

static void test_adaptive_needs_a_sane_oracle(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q;
    world(&w, 0, 1000000000000, 1000, 8);
    w.pool.fee_tier_index = 1024;
    whirl_oracle_t o = oracle();
    whirl_ask_t ask = {.amount = 1000000, .exact_in = true, .a_to_b = true, .now = 1000};
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_UNSUPPORTED);
    ask.oracle = &o;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_OK);
    ask.now = 999;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_STALE);
    ask.now = 1000, o.enabled_from = 1001;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_DENIED);
    o = oracle(), o.group_size = 0;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_BAD_INPUT);
    o = oracle(), o.group_size = 3; /* does not divide the spacing */
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_BAD_INPUT);
    o = oracle(), o.volatility_max = UINT32_MAX;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_BAD_INPUT);
}

/* Ten groups of 8 ticks away: 50000 * (10 * 10000 * 8)^2 / (1e5 * 1e8) = 3200 millionths on top. */
static void test_adaptive_rate_by_hand(void **state)
{
    (void)state;
    world_t w;
    whirl_run_t run;
    world(&w, 4, 1000000000000, 1000, 8);
    w.pool.fee_tier_index = 1024;
    whirl_oracle_t o = oracle();
    whirl_ask_t ask = {.amount = UINT64_MAX / 4, .exact_in = true, .a_to_b = true, .oracle = &o, .now = 1001};
    assert_int_equal(whirl_sqrt_of_tick(-77, &ask.sqrt_limit), XE_OK); /* group -10 */
    assert_int_equal(whirl_run(&w.pool, w.a, w.n, &ask, &run), WHIRL_FINE);
    assert_true(run.fee_rate_low == 1000 && run.fee_rate_high == 4200 && run.oracle.volatility == 100000 && run.steps == 11);
    assert_true(run.oracle.last_major_at == 1001 && run.oracle.last_reference_at == 1000); /* 81 ticks are a major swap */
    o = run.oracle;
    ask.now = 1050; /* decays: half the volatility is the new reference */
    w.pool.tick = run.q.tick_after, w.pool.sqrt_price = run.q.sqrt_after;
    assert_int_equal(whirl_sqrt_of_tick(-79, &ask.sqrt_limit), XE_OK);
    assert_int_equal(whirl_run(&w.pool, w.a, w.n, &ask, &run), WHIRL_FINE);
    assert_true(run.oracle.volatility_reference == 50000 && run.oracle.group_reference == -10 && run.fee_rate_low == 1000 + 800);
    ask.now = 1001 + 5000; /* long ago: as if nothing had been */
    assert_int_equal(whirl_run(&w.pool, w.a, w.n, &ask, &run), WHIRL_FINE);
    assert_true(run.oracle.volatility_reference == 0 && run.fee_rate_high == 1000);
}

static void test_adaptive_without_control_is_static(void **state)
{
    (void)state;
    world_t w, s;
    whirl_quote_t q, r;
    world(&w, 4, 1000000000000, 1000, 8);
    s = w;
    w.pool.fee_tier_index = 1024;
    whirl_oracle_t o = oracle();
    o.control = 0;
    for (int i = 0; i < 200; i++) {
        whirl_ask_t ask = {.amount = 1 + next() % 3000000000, .exact_in = i & 1, .a_to_b = i & 2, .oracle = &o, .now = 1200};
        assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_OK);
        assert_int_equal(whirl_quote(&s.pool, s.a, s.n, &ask, &r), XE_OK);
        assert_true(q.in == r.in && q.out == r.out && q.sqrt_after == r.sqrt_after);
    }
}

static void test_transfer_fees(void **state)
{
    (void)state;
    world_t w;
    whirl_quote_t q, r;
    token_fee_t in = {.bps = 100, .max = 5000}, out = {.bps = 50, .max = UINT64_MAX};
    world(&w, 0, 1000000000000, 3000, 8);
    whirl_ask_t ask = {.amount = 100000, .exact_in = true, .a_to_b = true, .fee_a = &in, .fee_b = &out};
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_OK);
    assert_int_equal(quote(&w, 99000, true, true, &r), XE_OK);
    assert_true(q.in == 100000 && q.out == r.out - token_fee_of(&out, r.out));
    ask.exact_in = false;
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_OK);
    uint64_t gross, cost;
    assert_int_equal(token_gross_of(&out, 100000, &gross), XE_OK);
    assert_int_equal(quote(&w, gross, false, true, &r), XE_OK);
    assert_int_equal(token_gross_of(&in, r.in, &cost), XE_OK);
    assert_true(q.out == 100000 && q.in == cost);
    out = (token_fee_t){.bps = 10000, .max = UINT64_MAX};
    assert_int_equal(whirl_quote(&w.pool, w.a, w.n, &ask, &q), XE_RANGE);
    assert_int_equal(q.program_error, WHIRL_TransferFeeCalculationError);
}

static void test_quotes_per_second(void **state)
{
    (void)state;
    enum { N = 100000 };
    world_t w;
    whirl_quote_t q;
    ranges(&w);
    struct timespec t0, t1;
    uint64_t sum = 0;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(quote(&w, 400000000000u + (uint64_t)i, true, true, &q), XE_OK);
        sum += q.out;
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-9;
    print_message("quotes with %u crossings: %.2f M/s (%llu)\n", q.crossed, N / s * 1e-6, (unsigned long long)(sum & 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_product), cmocka_unit_test(test_fee_of_30_bps), cmocka_unit_test(test_fee_tiers_5_30_100_bps),
        cmocka_unit_test(test_impact_of_small_and_large_swaps), cmocka_unit_test(test_unbalanced_pools), cmocka_unit_test(test_zero_input),
        cmocka_unit_test(test_no_input_comes_from_nothing), cmocka_unit_test(test_price_impact_is_exact),
        cmocka_unit_test(test_extreme_imbalance), cmocka_unit_test(test_very_small_and_very_large_reserves),
        cmocka_unit_test(test_decimal_precision), cmocka_unit_test(test_round_trip_never_gains), cmocka_unit_test(test_ranges_are_crossed),
        cmocka_unit_test(test_never_a_guess_beyond_what_is_loaded),
        cmocka_unit_test(test_missing_arrays_are_empty_and_absent_ones_are_not_loaded), cmocka_unit_test(test_refused_by_rule),
        cmocka_unit_test(test_price_limit_stops_the_swap), cmocka_unit_test(test_ticks_and_prices_invert),
        cmocka_unit_test(test_pool_bytes), cmocka_unit_test(test_dynamic_array_bytes), cmocka_unit_test(test_fixed_array_bytes),
        cmocka_unit_test(test_random_bytes_are_survived), cmocka_unit_test(test_adaptive_needs_a_sane_oracle),
        cmocka_unit_test(test_adaptive_rate_by_hand), cmocka_unit_test(test_adaptive_without_control_is_static),
        cmocka_unit_test(test_transfer_fees), cmocka_unit_test(test_quotes_per_second),
    };
    return cmocka_run_group_tests_name("whirl", tests, NULL, NULL);
}
