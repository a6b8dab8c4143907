/* Raydium CLMM: beside the constant product it is without ticks, with ticks, orders, fee sides and the dynamic fee. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bytes.h"
#include "engine/raydium_clmm_math.h"

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

typedef struct {
    ray_clmm_t pool;
    ray_clmm_config_t conf;
    ray_array_t a[3];
} world_t;

/* Price 1, arrays -1, 0, 1 of spacing 10, one range from -500 to 500 that holds all the liquidity. */
static void world(world_t *w, u128_t liquidity, uint32_t fee)
{
    memset(w, 0, sizeof *w);
    w->pool = (ray_clmm_t){.tick_spacing = 10, .liquidity = liquidity, .sqrt_price = (u128_t)1 << 64};
    w->conf = (ray_clmm_config_t){.tick_spacing = 10, .trade_rate = fee, .protocol_rate = 120000, .fund_rate = 40000};
    for (int32_t i = 0; i < 3; i++) w->a[i].start = (i - 1) * 600;
    w->pool.bits[8] = 3;                /* arrays 0 and 1 */
    w->pool.bits[7] = 1ull << 63;       /* array -1 */
    w->a[0].ticks[w->a[0].n++] = (ray_tick_t){.index = -500, .net = (i128_t)liquidity, .gross = liquidity};
    w->a[1].ticks[w->a[1].n++] = (ray_tick_t){.index = 500, .net = -(i128_t)liquidity, .gross = liquidity};
    w->a[2].ticks[w->a[2].n++] = (ray_tick_t){.index = 900, .net = 0, .gross = 1};
}

static xerr_t quote(const world_t *w, uint64_t amount, bool in, bool down, ray_clmm_quote_t *q)
{
    ray_clmm_ask_t ask = {.amount = amount, .exact_in = in, .zero_for_one = down};
    return ray_clmm_quote(&w->pool, &w->conf, w->a, 3, &ask, q);
}

static void ticks_and_prices_invert(void **state)
{
    u128_t p, at;
    int32_t t;
    for (int i = 0; i < 20000; i++) {
        int32_t tick = (int32_t)(next() % 887272) - 443636;
        assert_int_equal(ray_sqrt_of_tick(tick, &p), XE_OK);
        assert_int_equal(ray_tick_of_sqrt(p, &t), XE_OK);
        assert_int_equal(t, tick);
        if (tick == RAY_TICK_MAX - 1) continue;
        assert_int_equal(ray_sqrt_of_tick(tick + 1, &at), XE_OK);
        assert_int_equal(ray_tick_of_sqrt(at - 1, &t), XE_OK);
        assert_int_equal(t, tick);
    }
    assert_int_equal(ray_sqrt_of_tick(RAY_TICK_MIN, &p), XE_OK);
    assert_true(p == RAY_SQRT_MIN);
    assert_int_equal(ray_sqrt_of_tick(RAY_TICK_MAX, &p), XE_OK);
    assert_true(p == RAY_SQRT_MAX);
    assert_int_equal(ray_sqrt_of_tick(RAY_TICK_MAX + 1, &p), XE_RANGE);
    assert_int_equal(ray_tick_of_sqrt(RAY_SQRT_MAX, &t), XE_RANGE);
}

/* Inside the range: dy = L*dx / (L+dx) with dx net of the fee, but for one unit of rounding. */
static void inside_the_range_it_is_a_product(void **state)
{
    world_t w;
    ray_clmm_quote_t q;
    const uint64_t l = 1000000000000;
    world(&w, l, 2500);
    for (int i = 0; i < 2000; i++) {
        uint64_t dx = 1000 + next() % 20000000000, net = (uint64_t)((u128_t)dx * 997500 / 1000000), want = (uint64_t)((u128_t)l * net / (l + net));
        for (int down = 0; down < 2; down++) {
            assert_int_equal(quote(&w, dx, true, down, &q), XE_OK);
            assert_true(q.out <= want && want - q.out <= 1 && q.in == dx && q.unfilled == 0);
            assert_true(q.lp_fee + q.protocol_fee + q.fund_fee >= dx - net);
        }
    }
}

static void exact_out_costs_what_exact_in_pays(void **state)
{
    world_t w;
    ray_clmm_quote_t q, r;
    world(&w, 1000000000000, 2500);
    for (int i = 0; i < 2000; i++) {
        for (int side = 0; side < 3; side++) {
            w.pool.fee_on = (ray_fee_side_t)side;
            uint64_t out = 1 + next() % 20000000000;
            assert_int_equal(quote(&w, out, false, i & 1, &q), XE_OK);
            assert_int_equal(q.out, out);
            assert_int_equal(quote(&w, q.in, true, i & 1, &r), XE_OK);
            assert_true(r.out >= out && r.out - out <= 2);
        }
    }
}

static void never_a_guess_beyond_what_is_loaded(void **state)
{
    world_t w;
    ray_clmm_quote_t q;
    world(&w, 1000000000, 2500);
    assert_int_equal(quote(&w, 1000000000, true, true, &q), XE_DEPTH); /* the range is used up and nothing follows */
    ray_clmm_ask_t ask = {.amount = 1000000000, .exact_in = true, .zero_for_one = true};
    w.pool.bits[7] |= 1ull << 62; /* array -2 exists, but is not here */
    assert_int_equal(ray_clmm_quote(&w.pool, &w.conf, w.a, 3, &ask, &q), XE_DEPTH);
    ask.amount = 0;
    assert_int_equal(ray_clmm_quote(&w.pool, &w.conf, w.a, 3, &ask, &q), XE_BAD_INPUT);
    ask.amount = 5, ask.sqrt_limit = w.pool.sqrt_price + 1;
    assert_int_equal(ray_clmm_quote(&w.pool, &w.conf, w.a, 3, &ask, &q), XE_BAD_INPUT);
    ask.amount = 1, ask.sqrt_limit = 0; /* nothing comes out of so little */
    assert_int_equal(ray_clmm_quote(&w.pool, &w.conf, w.a, 3, &ask, &q), XE_DEPTH);
}

static void a_limit_stops_it(void **state)
{
    world_t w;
    ray_clmm_quote_t q;
    world(&w, 1000000000, 0);
    ray_clmm_ask_t ask = {.amount = 1000000000, .exact_in = true, .zero_for_one = true};
    assert_int_equal(ray_sqrt_of_tick(-100, &ask.sqrt_limit), XE_OK);
    assert_int_equal(ray_clmm_quote(&w.pool, &w.conf, w.a, 3, &ask, &q), XE_OK);
    assert_true(q.sqrt_after == ask.sqrt_limit && q.unfilled > 0 && q.in + q.unfilled == ask.amount && q.tick_after == -100);
}

/* Orders of a million rest on tick 100 and sell token 0; the swap that comes up takes them before it goes on. */
static void resting_orders(void **state)
{
    world_t w;
    ray_clmm_quote_t plain, q;
    u128_t at;
    world(&w, 1000000000, 0);
    assert_int_equal(quote(&w, 8000000, true, false, &plain), XE_OK); /* the tick is reached after five million */
    w.a[1].ticks[1] = w.a[1].ticks[0];
    w.a[1].ticks[0] = (ray_tick_t){.index = 100, .orders = 400000, .part = 600000};
    w.a[1].n = 2;
    assert_int_equal(quote(&w, 8000000, true, false, &q), XE_OK);
    assert_true(q.out > plain.out && q.sqrt_after < plain.sqrt_after && q.crossed == 0 && q.unfilled == 0);
    w.a[1].ticks[0].orders = 100000000; /* more than is wanted: the price stays on the tick, the tick below it */
    assert_int_equal(quote(&w, 8000000, true, false, &q), XE_OK);
    assert_int_equal(ray_sqrt_of_tick(100, &at), XE_OK);
    assert_true(q.sqrt_after == at && q.tick_after == 99 && q.out > plain.out);
    w.a[1].ticks[0].part = w.a[1].ticks[0].orders = UINT64_MAX;
    assert_int_equal(quote(&w, 8000000, true, false, &q), XE_RANGE);
}

static void fees_on_either_side(void **state)
{
    world_t w;
    ray_clmm_quote_t q;
    world(&w, 1000000000000, 10000);
    w.pool.fee_on = RAY_FEE_TOKEN_1;
    assert_int_equal(quote(&w, 1000000, true, true, &q), XE_OK); /* token 1 comes out: 999999 less 1 %, rounded up */
    assert_true(q.fee_in_output);
    assert_int_equal(q.out, 989999);
    assert_int_equal(q.lp_fee + q.protocol_fee + q.fund_fee, 10000);
    assert_int_equal(quote(&w, 1000000, true, false, &q), XE_OK); /* token 1 goes in */
    assert_true(!q.fee_in_output);
    assert_int_equal(q.out, 989999);
}

static void dynamic_fee_rises_and_rests(void **state)
{
    world_t w;
    ray_clmm_quote_t q, calm;
    world(&w, 1000000000000, 1000);
    assert_int_equal(quote(&w, 20000000000, true, true, &calm), XE_OK);
    w.pool.dynamic = true;
    w.pool.dynfee = (ray_dynfee_t){.filter_period = 10, .decay_period = 100, .reduction = 5000, .control = 50000, .volatility_max = 1000000, .updated_at = 1000};
    ray_clmm_ask_t ask = {.amount = 20000000000, .exact_in = true, .zero_for_one = true, .now = 1005};
    ray_run_t run;
    assert_int_equal(ray_clmm_run(&w.pool, &w.conf, w.a, 3, &ask, &run), RAY_FINE);
    assert_true(run.q.out < calm.out && run.dynfee.volatility > 0 && run.dynfee.updated_at == 1000);
    w.pool.dynfee = run.dynfee;
    ask.now = 1050; /* between the periods: half of it stays as the reference */
    assert_int_equal(ray_clmm_run(&w.pool, &w.conf, w.a, 3, &ask, &run), RAY_FINE);
    assert_int_equal(run.dynfee.volatility_reference, w.pool.dynfee.volatility / 2);
    ask.now = 5000;
    assert_int_equal(ray_clmm_run(&w.pool, &w.conf, w.a, 3, &ask, &run), RAY_FINE);
    assert_int_equal(run.dynfee.volatility_reference, 0);
    w.pool.dynfee.control = 100001;
    assert_int_equal(quote(&w, 5, true, true, &q), XE_BAD_INPUT);
}

static void bitmap_is_walked_both_ways(void **state)
{
    ray_clmm_t p = {.tick_spacing = 1};
    static ray_bits_t ext;
    int32_t at;
    p.bits[0] = 1;           /* array -512 */
    p.bits[15] = 1ull << 63; /* array 511 */
    assert_int_equal(ray_next_array(&p, NULL, 0, true, true, &at), XE_OK);
    assert_int_equal(at, -512 * 60);
    assert_int_equal(ray_next_array(&p, NULL, at, true, false, &at), XE_DEPTH); /* only the extension knows */
    assert_int_equal(ray_next_array(&p, &ext, at, true, false, &at), XE_NOT_FOUND);
    ext.below[0][7] = 1ull << 63; /* array -513 */
    ext.below[13][0] = 1ull << 63; /* array -7617 would lie beyond the ticks */
    ext.above[0][0] = 1;          /* array 512 */
    assert_int_equal(ray_next_array(&p, &ext, -512 * 60, true, false, &at), XE_OK);
    assert_int_equal(at, -513 * 60);
    assert_int_equal(ray_next_array(&p, &ext, at, true, false, &at), XE_NOT_FOUND);
    assert_int_equal(ray_next_array(&p, &ext, 0, false, true, &at), XE_OK);
    assert_int_equal(at, 511 * 60);
    assert_int_equal(ray_next_array(&p, &ext, at, false, false, &at), XE_OK);
    assert_int_equal(at, 512 * 60);
    p.tick_spacing = 60; /* with wide spacings the pool's own bits reach everywhere */
    assert_int_equal(ray_next_array(&p, NULL, 0, true, true, &at), XE_NOT_FOUND);
}

static void bytes_are_read_or_refused(void **state)
{
    static uint8_t b[RAY_CLMM_ARRAY_LEN] = {0xf7, 0xed, 0xe3, 0xf5, 0xd7, 0xc3, 0xde, 0x46};
    static ray_array_t a;
    ray_clmm_t p;
    put16(b + 235, 10);
    put128(b + 253, (u128_t)1 << 64);
    assert_int_equal(ray_clmm_decode(b, RAY_CLMM_LEN, &p), XE_OK);
    assert_true(p.tick_spacing == 10 && !p.dynamic && ray_clmm_trades(&p, 0));
    assert_int_equal(ray_clmm_decode(b, RAY_CPMM_LEN, &p), XE_BAD_INPUT);
    b[389] = 16;
    assert_int_equal(ray_clmm_decode(b, RAY_CLMM_LEN, &p), XE_OK);
    assert_false(ray_clmm_trades(&p, 0));
    b[1096] = 5;
    assert_int_equal(ray_clmm_decode(b, RAY_CLMM_LEN, &p), XE_OK);
    assert_true(p.dynamic && p.dynfee.filter_period == 5);
    put128(b + 253, 5);
    assert_int_equal(ray_clmm_decode(b, RAY_CLMM_LEN, &p), XE_BAD_INPUT);
    memset(b, 0, sizeof b);
    static const uint8_t tag[8] = {0xc0, 0x9b, 0x55, 0xcd, 0x31, 0xf9, 0x81, 0x2a};
    memcpy(b, tag, 8);
    put32(b + 40, 600);
    uint8_t *t = b + 44 + 2 * 168;
    put32(t, 620), put128(t + 4, (u128_t)-5), put128(t + 20, 5), put64(t + 124, 7);
    assert_int_equal(ray_array_decode(b, sizeof b, 10, &a), XE_OK);
    assert_true(a.n == 1 && a.ticks[0].index == 620 && a.ticks[0].net == -5 && a.ticks[0].orders == 7);
    assert_int_equal(ray_array_decode(b, sizeof b, 7, &a), XE_BAD_INPUT);
    put32(t, 621);
    assert_int_equal(ray_array_decode(b, sizeof b, 10, &a), XE_BAD_INPUT);
    assert_int_equal(ray_array_decode(b, sizeof b - 1, 10, &a), XE_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_and_prices_invert), cmocka_unit_test(inside_the_range_it_is_a_product), cmocka_unit_test(exact_out_costs_what_exact_in_pays),
        cmocka_unit_test(never_a_guess_beyond_what_is_loaded), cmocka_unit_test(a_limit_stops_it), cmocka_unit_test(resting_orders),
        cmocka_unit_test(fees_on_either_side), cmocka_unit_test(dynamic_fee_rises_and_rests), cmocka_unit_test(bitmap_is_walked_both_ways),
        cmocka_unit_test(bytes_are_read_or_refused),
    };
    return cmocka_run_group_tests_name("clmm", tests, NULL, NULL);
}
