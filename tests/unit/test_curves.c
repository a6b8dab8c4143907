/* Pools on a constant product: Raydium AMM v4 and CPMM, the Pump.fun curve. Numbers worked out by hand, and the product
 * that must never shrink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bytes.h"
#include "engine/impact.h"
#include "engine/pump.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_cpmm.h"
#include "engine/u256.h"

static uint64_t rng = 0x2545f4914f6cdd1du;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static uint64_t sized(void) { return next() >> (next() % 60); }

/* ---- AMM v4 ---- */

static const ray_amm_t amm = {.status = 6, .fee_num = 25, .fee_den = 10000, .owed_coin = 100, .owed_pc = 200};

static void amm_by_hand(void **state)
{
    ray_amm_ask_t ask = {.vault_coin = 1000100, .vault_pc = 2000200, .amount = 1000, .exact_in = true, .coin_to_pc = true};
    ray_amm_quote_t q;
    assert_int_equal(ray_amm_quote(&amm, &ask, &q), XE_OK); /* fee ceil(2.5), 997 * 2000000 / 1000997 */
    assert_true(q.in == 1000 && q.fee == 3 && q.out == 1992);
    ask.exact_in = false;
    ask.amount = 1992; /* ceil(1000000 * 1992 / 1998008) = 997, ceil(997 * 10000 / 9975) = 1000 */
    assert_int_equal(ray_amm_quote(&amm, &ask, &q), XE_OK);
    assert_true(q.in == 1000 && q.out == 1992 && q.fee == 3);
    ask.amount = 2000000;
    assert_int_equal(ray_amm_quote(&amm, &ask, &q), XE_DEPTH);
    ask.amount = 0;
    assert_int_equal(ray_amm_quote(&amm, &ask, &q), XE_BAD_INPUT);
    ask.amount = 5, ask.vault_pc = 199; /* less in the vault than is owed */
    assert_int_equal(ray_amm_quote(&amm, &ask, &q), XE_DEPTH);
}

static void amm_product_never_shrinks(void **state)
{
    for (int i = 0; i < 50000; i++) {
        ray_amm_ask_t ask = {.vault_coin = 100 + sized() / 4, .vault_pc = 200 + sized() / 4, .amount = sized(), .exact_in = i & 1, .coin_to_pc = i & 2};
        uint64_t rin = ask.coin_to_pc ? ask.vault_coin - 100 : ask.vault_pc - 200, rout = ask.coin_to_pc ? ask.vault_pc - 200 : ask.vault_coin - 100;
        ray_amm_quote_t q;
        if (ray_amm_quote(&amm, &ask, &q)) continue;
        assert_true(u256_le(u256_mul(rin, rout), u256_mul((u128_t)rin + q.in, rout - q.out)));
        if (!ask.exact_in) continue;
        ray_amm_ask_t back = ask;
        ray_amm_quote_t r;
        back.exact_in = false;
        back.amount = q.out;
        assert_int_equal(ray_amm_quote(&amm, &back, &r), XE_OK);
        assert_true(r.in <= q.in + 1); /* what it takes to get as much is no more than was paid, but for one rounding */
    }
}

static void amm_bytes(void **state)
{
    uint8_t b[RAY_AMM_LEN] = {7, 0};
    ray_amm_t a;
    put64(b + 176, 25), put64(b + 184, 10000), put64(b + 224, 1000);
    memset(b + 336, 5, 32);
    assert_int_equal(ray_amm_decode(b, sizeof b, &a), XE_OK);
    assert_true(a.coin_vault[31] == 5 && !ray_amm_trades(&a, 999) && ray_amm_trades(&a, 1000));
    for (size_t n = 0; n < sizeof b; n += 13) assert_int_equal(ray_amm_decode(b, n, &a), XE_BAD_INPUT);
    b[0] = 8;
    assert_int_equal(ray_amm_decode(b, sizeof b, &a), XE_BAD_INPUT);
    b[0] = 4;
    assert_int_equal(ray_amm_decode(b, sizeof b, &a), XE_OK);
    assert_false(ray_amm_trades(&a, UINT64_MAX));
    put64(b + 184, 25);
    assert_int_equal(ray_amm_decode(b, sizeof b, &a), XE_BAD_INPUT);
}

/* ---- CPMM ---- */

static const ray_cpmm_config_t conf = {.trade_rate = 2500, .protocol_rate = 120000, .fund_rate = 40000, .creator_rate = 500};

static void cpmm_by_hand(void **state)
{
    ray_cpmm_t p = {.protocol_fees = {100, 0}, .fund_fees = {20, 0}, .creator_fees = {3, 0}};
    ray_cpmm_ask_t ask = {.vault = {1000123, 2000000}, .amount = 100000, .exact_in = true, .zero_for_one = true};
    ray_cpmm_quote_t q;
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_OK); /* fee 250; 99750 * 2000000 / 1099750 */
    assert_true(q.trade_fee == 250 && q.out == 181404 && q.protocol_fee == 30 && q.fund_fee == 10 && q.creator_fee == 0);
    p.creator_fee = true; /* both fees under one ceiling: 300, of which floor(300 * 500 / 3000) is the creator's */
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_OK);
    assert_true(q.trade_fee == 250 && q.creator_fee == 50 && q.out == 181322);
    p.creator_side = RAY_FEE_TOKEN_1; /* the output: ceil(181404 * 0.0005) */
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_OK);
    assert_true(q.trade_fee == 250 && q.creator_fee == 91 && q.out == 181404 - 91);
}

static void cpmm_exact_out_gives_what_exact_in_asks(void **state)
{
    for (int i = 0; i < 50000; i++) {
        ray_cpmm_t p = {.creator_fee = i & 1, .creator_side = (ray_fee_side_t)(next() % 3)};
        ray_cpmm_ask_t ask = {.vault = {1 + sized() / 4, 1 + sized() / 4}, .amount = sized(), .zero_for_one = i & 2};
        ray_cpmm_quote_t q, r;
        if (ray_cpmm_quote(&p, &conf, &ask, &q)) continue;
        ask.amount = q.in, ask.exact_in = true;
        assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &r), XE_OK);
        assert_true(r.out >= q.out || q.dust);
    }
}

static void cpmm_transfer_fees(void **state)
{
    token_fee_t in = {.bps = 100, .max = UINT64_MAX}, out = {.bps = 200, .max = UINT64_MAX};
    ray_cpmm_t p = {0};
    ray_cpmm_ask_t ask = {.vault = {1000000000, 1000000000}, .amount = 100000, .exact_in = true, .zero_for_one = true, .fee = {&in, &out}};
    ray_cpmm_ask_t bare = ask;
    ray_cpmm_quote_t q, r;
    bare.fee[0] = bare.fee[1] = NULL, bare.amount = 99000;
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_OK);
    assert_int_equal(ray_cpmm_quote(&p, &conf, &bare, &r), XE_OK);
    assert_true(q.in == 100000 && q.out == r.out - token_fee_of(&out, r.out));
    ask.exact_in = false, ask.amount = 50000;
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_OK);
    assert_true(q.out >= 50000 && q.out <= 50001);
    ask.amount = UINT64_MAX;
    assert_int_equal(ray_cpmm_quote(&p, &conf, &ask, &q), XE_RANGE);
}

static void cpmm_bytes(void **state)
{
    uint8_t b[RAY_CPMM_LEN] = {0xf7, 0xed, 0xe3, 0xf5, 0xd7, 0xc3, 0xde, 0x46}, k[RAY_CPMM_CONFIG_LEN] = {0xda, 0xf4, 0x21, 0x68, 0xcb, 0xcb, 0x2b, 0x6f};
    ray_cpmm_t p;
    ray_cpmm_config_t c;
    memset(b + 8 + 32 * 2, 7, 32);
    put64(b + 373, 50);
    b[389] = 2, b[390] = 1;
    assert_int_equal(ray_cpmm_decode(b, sizeof b, &p), XE_OK);
    assert_true(p.vault[0][0] == 7 && p.creator_fee && p.creator_side == RAY_FEE_TOKEN_1 && ray_cpmm_trades(&p, 51) && !ray_cpmm_trades(&p, 50));
    b[329] = 4;
    assert_int_equal(ray_cpmm_decode(b, sizeof b, &p), XE_OK);
    assert_false(ray_cpmm_trades(&p, 51));
    assert_int_equal(ray_cpmm_decode(b, sizeof b - 1, &p), XE_BAD_INPUT);
    b[389] = 3;
    assert_int_equal(ray_cpmm_decode(b, sizeof b, &p), XE_BAD_INPUT);
    put64(k + 12, 2500), put64(k + 108, 500);
    assert_int_equal(ray_cpmm_config_decode(k, sizeof k, &c), XE_OK);
    assert_true(c.trade_rate == 2500 && c.creator_rate == 500);
    put64(k + 12, 1000000);
    assert_int_equal(ray_cpmm_config_decode(k, sizeof k, &c), XE_BAD_INPUT);
}

/* ---- Pump.fun ---- */

static pump_curve_t fresh(void)
{
    return (pump_curve_t){.virtual_token = 1073000000000000, .virtual_quote = 30000000000, .real_token = 793100000000000,
                          .supply = 1000000000000000, .creator = {1}};
}

static void curve_by_hand(void **state)
{
    pump_curve_t c = fresh();
    pump_fees_t f = {100, 0};
    uint64_t v;
    int64_t net;
    u128_t cap;
    assert_int_equal(pump_market_cap(&c, &cap), XE_OK);
    assert_true(cap == 27958993476u);
    assert_int_equal(pump_buy_with(&c, &f, 1010001, &v), XE_OK); /* x = floor(1010000 * 10000 / 10100) = 1000000 */
    assert_true(v == (uint64_t)((u128_t)1000000 * c.virtual_token / (c.virtual_quote + 1000000)));
    assert_int_equal(pump_buy_cost(&c, &f, 1, &v), XE_OK); /* one lamport for nothing, and its fee rounded up */
    assert_int_equal(v, 2);
    assert_int_equal(pump_sell(&c, &f, 1, &net), XE_OK);
    assert_int_equal(net, 0);
    f.creator_bps = 50;
    assert_int_equal(pump_sell(&c, &f, 36000, &net), XE_OK); /* price 1, two fees of one lamport */
    assert_int_equal(net, -1);
    assert_int_equal(pump_buy_with(&c, &f, UINT64_MAX, &v), XE_OK);
    assert_true(v == c.real_token);
    assert_int_equal(pump_buy_cost(&c, &f, c.real_token + 1, &v), XE_DEPTH);
    assert_int_equal(pump_buy_with(&c, &f, 0, &v), XE_BAD_INPUT);
    c.complete = true;
    assert_int_equal(pump_buy_with(&c, &f, 5, &v), XE_CLOSED);
}

static void curve_tiers(void **state)
{
    pump_curve_t c = fresh();
    pump_fees_t f;
    const pump_tier_t tiers[] = {{1000, {95, 30}}, {2000, {90, 80}}, {3000, {5, 5}}};
    assert_int_equal(pump_fees_at(&c, 5, tiers, 3, &f), XE_OK);
    assert_true(f.protocol_bps == 95 && f.creator_bps == 30);
    assert_int_equal(pump_fees_at(&c, 2000, tiers, 3, &f), XE_OK);
    assert_true(f.protocol_bps == 90 && f.creator_bps == 80);
    c.creator_bps = 7;
    assert_int_equal(pump_fees_at(&c, 9999, tiers, 3, &f), XE_OK);
    assert_true(f.protocol_bps == 5 && f.creator_bps == 7);
    assert_int_equal(pump_fees_at(&c, 1, tiers, 0, &f), XE_BAD_INPUT);
}

static void curve_bytes_of_every_age(void **state)
{
    uint8_t b[151] = {0x17, 0xb7, 0xf8, 0x37, 0x60, 0xd8, 0xac, 0x60};
    pump_curve_t c;
    put64(b + 8, 5);
    memset(b + 49, 4, 32);
    b[81] = 1, b[82] = 1;
    memset(b + 83, 6, 32);
    put64(b + 115, 91);
    b[124] = 1;
    static const struct { size_t n; bool creator, mayhem, cashback, mint, bps, holder; } rows[] = {
        {49, 0, 0, 0, 0, 0, 0}, {81, 1, 0, 0, 0, 0, 0}, {82, 1, 1, 0, 0, 0, 0}, {83, 1, 1, 1, 0, 0, 0},
        {115, 1, 1, 1, 1, 0, 0}, {125, 1, 1, 1, 1, 1, 1}, {150, 1, 1, 1, 1, 1, 1}, {151, 1, 1, 1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *exact = malloc(rows[i].n);
        memcpy(exact, b, rows[i].n);
        assert_int_equal(pump_curve_decode(exact, rows[i].n, &c), XE_OK);
        free(exact);
        assert_int_equal(pump_has_creator(&c), rows[i].creator);
        assert_true(c.mayhem == rows[i].mayhem && c.cashback == rows[i].cashback && (c.quote_mint[0] == 6) == rows[i].mint);
        assert_true((c.creator_bps == 91) == rows[i].bps && c.holder_reward == rows[i].holder);
    }
    assert_int_equal(pump_curve_decode(b, 48, &c), XE_BAD_INPUT);
    b[48] = 2;
    assert_int_equal(pump_curve_decode(b, 151, &c), XE_BAD_INPUT);
}

/* A swap of a tenth of the reserve trades an eleventh below the price; of a hundredth, a hundred-and-first. */
static void impact_by_hand(void **state)
{
    ray_amm_t free_of_fee = {.status = 6, .fee_den = 10000};
    ray_amm_ask_t ask = {.vault_coin = 1000000000, .vault_pc = 3000000000, .amount = 100000000, .exact_in = true, .coin_to_pc = true};
    ray_amm_quote_t q;
    assert_int_equal(ray_amm_quote(&free_of_fee, &ask, &q), XE_OK);
    assert_int_equal(impact_at_reserves(1000000000, 3000000000, q.in, q.out), 90910); /* 1/11, rounded up */
    assert_int_equal(impact_at_reserves(10, 10, 0, 0), IMPACT_ONE);
    assert_int_equal(impact_at_reserves(10, 10, 5, 9), 0);
    u128_t two = (u128_t)2 << 64; /* price 4 */
    assert_int_equal(impact_at_price(two, true, 1000, 3960), 10000);
    assert_int_equal(impact_at_price(two, false, 4000, 990), 10000);
    assert_int_equal(impact_at_price(two, true, 1000, 4000), 0);
    assert_int_equal(impact_at_price((u128_t)0xfffec4b1 << 64, true, UINT64_MAX, UINT64_MAX), IMPACT_ONE);
    assert_int_equal(impact_at_price(4295048016u, false, UINT64_MAX, UINT64_MAX), IMPACT_ONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amm_by_hand), cmocka_unit_test(amm_product_never_shrinks), cmocka_unit_test(amm_bytes),
        cmocka_unit_test(cpmm_by_hand), cmocka_unit_test(cpmm_exact_out_gives_what_exact_in_asks), cmocka_unit_test(cpmm_transfer_fees),
        cmocka_unit_test(cpmm_bytes), cmocka_unit_test(curve_by_hand), cmocka_unit_test(curve_tiers), cmocka_unit_test(curve_bytes_of_every_age),
        cmocka_unit_test(impact_by_hand),
    };
    return cmocka_run_group_tests_name("curves", tests, NULL, NULL);
}
