/* Profit and loss of opportunities (CI-10 as far as no trade is executed yet), sizes, the basis, and how long they live. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/market.h"

static void open_at(mkt_t *m, const char *bid, const char *ask)
{
    mkt_open(m);
    mkt_book(m, I_SPOT, bid, ask);
}

static int64_t ceil_share(int64_t v, int64_t millionths) { return (v * millionths + 999999) / 1000000; }

static void test_profit_to_dex(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    assert_int_equal(m.opens, 1);
    const opp_t *o = &m.last;
    assert_int_equal(o->dir, DIR_CEX_TO_DEX);
    assert_int_equal(o->buy, VENUE_COINBASE);
    assert_int_equal(o->sell, VENUE_ORCA);
    /* 1,000 dollars at 148: 6.756756756 SOL cost 999.999999888 dollars, rounded up */
    assert_true(o->size.raw == (i128_t)6756756756 * 1000);
    assert_int_equal(o->buy_cost.raw, 1000000000);
    assert_int_equal(o->fee_cex.raw, 1000000);
    assert_int_equal(o->fee_network.raw, 10000);
    /* the same swap asked directly; the basis bid is exactly one dollar */
    whirl_array_t arrays[3];
    memset(arrays, 0, sizeof arrays);
    for (int k = 0; k < 3; k++) arrays[k].start = whirl_array_start(POOL_TICK, 4) - k * 352;
    whirl_pool_t p = mkt_pool_state(POOL_TICK, (u128_t)1 << 55, 400);
    whirl_ask_t ask = {.amount = 6756756756, .exact_in = true, .a_to_b = true};
    whirl_quote_t q;
    assert_int_equal(whirl_quote(&p, arrays, 3, &ask, &q), XE_OK);
    assert_int_equal(o->sell_proceeds.raw, q.out);
    assert_int_equal(o->predicted_pnl.raw, o->sell_proceeds.raw - o->buy_cost.raw - o->fee_cex.raw - o->fee_network.raw);
    assert_true(o->predicted_pnl.raw > 11500000 && o->predicted_pnl.raw < 13000000);
    mkt_close(&m);
}

static void test_profit_to_cex(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "152", "152.1");
    assert_int_equal(m.opens, 1);
    const opp_t *o = &m.last;
    assert_int_equal(o->dir, DIR_DEX_TO_CEX);
    assert_int_equal(o->buy, VENUE_ORCA);
    assert_int_equal(o->sell, VENUE_COINBASE);
    assert_int_equal(o->fee_cex.raw, ceil_share(o->sell_proceeds.raw, 1000));
    assert_int_equal(o->predicted_pnl.raw, o->sell_proceeds.raw - o->buy_cost.raw - o->fee_cex.raw - o->fee_network.raw);
    assert_true(o->predicted_pnl.raw > 0);
    assert_true(o->basis.raw >= DEC_SCALE + DEC_SCALE / 10000); /* USDC is bought at the ask */
    mkt_close(&m);
}

static void test_loss_gives_no_signal(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "149.9", "149.95"); /* 3 bps better than the pool, 14 bps of fees */
    assert_int_equal(m.opens, 0);
    assert_true(eng_rejected(m.e, REJ_FEES) > 0);
    mkt_close(&m);
}

static void test_negative_spread_always_loses(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    c.min_net_bps_x100 = 0;
    c.network_fee.raw = 0;
    c.insts[I_SPOT].taker_bps_x100 = 0;
    mkt_open_with(&m, &c);
    mkt_calm(&m);
    for (int i = 0; i < 300; i++) { /* the pool stands at 149.98: books around it on both sides */
        char bid[16], ask[16];
        snprintf(bid, sizeof bid, "149.%02d", i % 97);
        snprintf(ask, sizeof ask, "150.%02d", (i * 7) % 97);
        mkt_book(&m, I_SPOT, bid, ask);
    }
    assert_int_equal(m.opens, 0);
    mkt_close(&m);
}

static void test_fee_component_breakdown(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    const opp_t *o = &m.last;
    assert_int_equal(o->fee_total.raw, o->fee_cex.raw + o->fee_dex.raw + o->fee_network.raw);
    /* pool fee: 4 bps of 6.756756756 SOL at about 150 dollars */
    assert_true(o->fee_dex.raw > 404000 && o->fee_dex.raw < 406500);
    int64_t gross = o->predicted_pnl.raw + o->fee_total.raw;
    assert_int_equal(o->gross_bps_x100, gross * 1000000 / o->buy_cost.raw);
    assert_int_equal(o->net_bps_x100, o->predicted_pnl.raw * 1000000 / o->buy_cost.raw);
    assert_true(o->slippage.raw >= 0);
    mkt_close(&m);
}

/* Lowest gap between pool and book that opens at a threshold, in hundredths of a basis point of the book's price. */
static int gap_that_opens(int32_t threshold)
{
    for (int gap = 0; gap < 10000; gap += 5) {
        mkt_t m;
        eng_conf_t c = mkt_conf();
        char bid[32], ask[32];
        c.min_net_bps_x100 = threshold;
        mkt_open_with(&m, &c);
        mkt_calm(&m);
        int64_t mid = 149991000; /* pool price, micro-dollars, by its tick */
        int64_t px = mid * 1000000 / (1000000 + gap);
        snprintf(bid, sizeof bid, "%lld.%06lld", (long long)(px / 1000000 - 1), (long long)(px % 1000000));
        snprintf(ask, sizeof ask, "%lld.%06lld", (long long)(px / 1000000), (long long)(px % 1000000));
        mkt_book(&m, I_SPOT, bid, ask);
        unsigned opens = m.opens;
        mkt_close(&m);
        if (opens) return gap;
    }
    return -1;
}

static void test_breakeven_and_minimum_profitable_spread(void **state)
{
    (void)state;
    /* 10 bps taker + 4 bps pool + 0.1 bps network for 1,000 dollars, and a little impact */
    int even = gap_that_opens(0), ten = gap_that_opens(1000);
    print_message("breakeven at %.2f bps, 10 bps net at %.2f bps\n", even / 100.0, ten / 100.0);
    assert_true(even > 1300 && even < 1560);
    assert_true(ten - even >= 990 && ten - even <= 1015);
}

static void test_threshold_boundary(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    int32_t net = m.last.net_bps_x100;
    mkt_close(&m);
    eng_conf_t c = mkt_conf();
    for (int32_t more = 0; more <= 1; more++) {
        c.min_net_bps_x100 = net + more;
        mkt_open_with(&m, &c);
        mkt_calm(&m);
        mkt_book(&m, I_SPOT, "147.9", "148");
        assert_int_equal(m.opens, more ? 0 : 1);
        mkt_close(&m);
    }
}

static void test_small_and_large_trades(void **state)
{
    (void)state;
    const int64_t usd[] = {1, 100, 100000};
    int32_t last = 1000000;
    for (size_t i = 0; i < 3; i++) {
        mkt_t m;
        eng_conf_t c = mkt_conf();
        c.size_min.raw = c.size_max.raw = usd[i] * 1000000;
        c.size_steps = 1;
        c.network_fee.raw = 0;
        mkt_open_with(&m, &c);
        mkt_calm(&m);
        mkt_book(&m, I_SPOT, "147.9", "148");
        assert_int_equal(m.opens, 1);
        assert_true(m.last.net_bps_x100 <= last + 5); /* prices only get worse with size; a dollar feels the rounding */
        last = m.last.net_bps_x100;
        mkt_close(&m);
    }
}

static void thin_book(mkt_t *m)
{
    mkt_begin(m, I_SPOT, true);
    mkt_level(m, I_SPOT, SIDE_BID, "147", "100");
    mkt_level(m, I_SPOT, SIDE_ASK, "148", "3");
    mkt_level(m, I_SPOT, SIDE_ASK, "155", "100");
    mkt_kind(m, EV_BOOK_END, I_SPOT);
}

static void test_size_of_greatest_profit(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    thin_book(&m);
    assert_int_equal(m.opens, 1);
    /* sizes tried: 100, 400, 700, 1000 dollars; only three SOL (444 dollars) are cheap */
    assert_true(m.last.size.raw == (i128_t)2702702702 * 1000);
    int64_t best = m.last.predicted_pnl.raw;
    mkt_close(&m);
    const int64_t usd[] = {100, 700, 1000};
    for (size_t i = 0; i < 3; i++) {
        eng_conf_t c = mkt_conf();
        c.size_min.raw = c.size_max.raw = usd[i] * 1000000;
        c.size_steps = 1;
        mkt_open_with(&m, &c);
        mkt_calm(&m);
        thin_book(&m);
        assert_true(m.opens == 0 || m.last.predicted_pnl.raw < best);
        mkt_close(&m);
    }
}

static void test_slippage_is_told_once(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    c.size_min.raw = c.size_max.raw = 600 * 1000000;
    c.size_steps = 1;
    c.min_net_bps_x100 = -10000;
    mkt_open_with(&m, &c);
    mkt_book(&m, I_BASIS, "1", "1.0001");
    mkt_arrays(&m, 1);
    mkt_pool(&m, POOL_TICK, 1);
    thin_book(&m);
    assert_int_equal(m.opens, 1);
    const opp_t *o = &m.last;
    assert_int_equal(o->dir, DIR_CEX_TO_DEX);
    /* 4.054 SOL: 1.054 of them seven dollars above the touch */
    assert_true(o->slippage.raw > 7370000 && o->slippage.raw < 7400000);
    assert_int_equal(o->predicted_pnl.raw, o->sell_proceeds.raw - o->buy_cost.raw - o->fee_cex.raw - o->fee_network.raw);
    assert_true(o->buy_px.raw > o->buy_touch.raw);
    mkt_close(&m);
}

static void test_opportunity_maps_to_its_money(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    const opp_t *o = &m.last;
    usd_t cost, proceeds;
    assert_int_equal(usd_of(o->buy_px, o->size, ROUND_UP, &cost), XE_OK);
    assert_int_equal(usd_of(o->sell_px, o->size, ROUND_DOWN, &proceeds), XE_OK);
    assert_true(cost.raw - o->buy_cost.raw >= 0 && cost.raw - o->buy_cost.raw <= 1);
    assert_true(o->sell_proceeds.raw - proceeds.raw >= 0 && o->sell_proceeds.raw - proceeds.raw <= 1);
    assert_true(o->buy_touch.raw == mkt_dec("148"));
    assert_true(o->sell_touch.raw > mkt_dec("149.9") && o->sell_touch.raw < mkt_dec("150.1"));
    assert_int_equal(o->pool_slot, 100);
    assert_string_equal(o->decision, "OBSERVE_ONLY");
    assert_int_equal(strlen(o->id), 36);
    assert_int_equal(o->recv_ns, m.now_ns);
    assert_int_equal(o->parsed_ns, m.now_ns + 1000);
    mkt_close(&m);
}

/* ---- the basis ---------------------------------------------------------------------------------------------------- */

static void test_no_basis_no_signal(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    mkt_open_with(&m, &c);
    mkt_arrays(&m, 1);
    mkt_pool(&m, POOL_TICK, 1);
    mkt_book(&m, I_SPOT, "147.9", "148");
    assert_int_equal(m.opens, 0);
    assert_int_equal(eng_rejected(m.e, REJ_BASIS), 2);
    mkt_book(&m, I_BASIS, "1", "1.0001"); /* its arrival is enough */
    assert_int_equal(m.opens, 1);
    mkt_close(&m);
}

static void test_the_basis_moves_the_profit(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    int64_t at_par = m.last.predicted_pnl.raw;
    mkt_close(&m);
    eng_conf_t c = mkt_conf();
    mkt_open_with(&m, &c);
    mkt_arrays(&m, 100);
    mkt_pool(&m, POOL_TICK, 100);
    mkt_book(&m, I_BASIS, "0.995", "0.996"); /* half a per cent less for each USDC */
    mkt_book(&m, I_SPOT, "145", "148");
    assert_int_equal(m.opens, 1);
    assert_true(at_par - m.last.predicted_pnl.raw > 5000000 && at_par - m.last.predicted_pnl.raw < 5200000);
    assert_true(m.last.basis.raw <= mkt_dec("0.995") && m.last.basis.raw > mkt_dec("0.99499999"));
    mkt_book(&m, I_BASIS, "0.98", "0.981");
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "FEES");
    mkt_close(&m);
}

static void test_a_stale_basis_ends_the_opportunity(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    mkt_conn(&m, VENUE_GEMINI, false);
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "BASIS");
    mkt_close(&m);
}

static void test_a_thin_basis_book_limits_the_size(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_begin(&m, I_BASIS, true);
    mkt_level(&m, I_BASIS, SIDE_BID, "1", "500");
    mkt_level(&m, I_BASIS, SIDE_ASK, "1.0001", "500");
    mkt_kind(&m, EV_BOOK_END, I_BASIS);
    mkt_book(&m, I_SPOT, "147.9", "148");
    assert_int_equal(m.opens, 1);
    assert_true(m.last.sell_proceeds.raw < 500000000);
    mkt_close(&m);
}

/* ---- one live opportunity ----------------------------------------------------------------------------------------- */

static void test_one_lives_per_pair_direction_and_venues(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    for (int i = 0; i < 20; i++) {
        m.now_ns += SEC / 100;
        mkt_book(&m, I_SPOT, "147.9", "148");
    }
    assert_int_equal(m.opens, 1);
    assert_int_equal(m.updates, 0);
    assert_true(eng_rejected(m.e, REJ_DUPLICATE) >= 20);
    assert_int_equal(eng_rejected(m.e, REJ_OBSERVE_ONLY), 1);
    mkt_book(&m, I_SPOT2, "147.8", "147.9"); /* another venue: its own opportunity */
    assert_int_equal(m.opens, 2);
    mkt_close(&m);
}

static void test_updates_come_in_sensible_steps(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    char id[37];
    memcpy(id, m.last.id, sizeof id);
    int32_t first = m.last.net_bps_x100;
    m.now_ns += SEC;
    mkt_book(&m, I_SPOT, "147.9", "147.99"); /* under a basis point better */
    assert_int_equal(m.updates, 0);
    mkt_book(&m, I_SPOT, "147.7", "147.8");
    assert_int_equal(m.updates, 1);
    assert_int_equal(m.last.phase, OPP_UPDATE);
    assert_string_equal(m.last.id, id);
    assert_true(m.last.peak_net_bps_x100 > first);
    m.now_ns += SEC / 10;
    mkt_book(&m, I_SPOT, "147.4", "147.5"); /* better again, but too soon */
    assert_int_equal(m.updates, 1);
    m.now_ns += SEC / 4;
    mkt_book(&m, I_SPOT, "147.7", "147.8");
    assert_int_equal(m.updates, 1); /* back where it was told */
    mkt_book(&m, I_SPOT, "149.95", "150.05");
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.id, id);
    assert_string_equal(m.last.reason, "FEES");
    assert_int_equal(m.last.lifetime_ms, 1350);
    assert_true(m.last.peak_net_bps_x100 > first + 3000); /* the best moment, told or not */
    assert_true(m.last.closed_wall_us > m.last.opened_wall_us);
    mkt_book(&m, I_SPOT, "147.9", "148");
    assert_int_equal(m.opens, 2);
    assert_string_not_equal(m.last.id, id);
    mkt_close(&m);
}

static void test_reasons_of_the_end(void **state)
{
    (void)state;
    mkt_t m;
    open_at(&m, "147.9", "148");
    mkt_conn(&m, VENUE_COINBASE, false);
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "STALE");
    mkt_close(&m);
    open_at(&m, "147.9", "148");
    mkt_pool(&m, POOL_TICK + 352 * 6, 101); /* the price runs out of what is loaded */
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "DEPTH");
    mkt_close(&m);
    open_at(&m, "147.9", "148");
    mkt_begin(&m, I_SPOT, true);
    mkt_level(&m, I_SPOT, SIDE_BID, "147.9", "5");
    mkt_level(&m, I_SPOT, SIDE_ASK, "148", "0.01"); /* not even the smallest size */
    mkt_kind(&m, EV_BOOK_END, I_SPOT);
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "DEPTH");
    mkt_close(&m);
    open_at(&m, "147.9", "148");
    mkt_begin(&m, I_SPOT, false);
    mkt_level(&m, I_SPOT, SIDE_BID, "149", "5");
    mkt_kind(&m, EV_BOOK_END, I_SPOT); /* crossed */
    assert_int_equal(m.closes, 1);
    assert_int_equal(m.resyncs, 1);
    assert_string_equal(m.last.reason, "STALE");
    mkt_close(&m);
}

static void test_swap_beyond_the_loaded_arrays_gives_no_signal(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    c.size_min.raw = c.size_max.raw = INT64_C(50000000) * 1000000;
    c.size_steps = 1;
    mkt_open_with(&m, &c);
    mkt_book(&m, I_BASIS, "1", "1.0001");
    whirl_array_t only = {.start = whirl_array_start(POOL_TICK, 4)};
    mkt_send(&m, (ev_t){.kind = EV_POOL_ARRAY, .inst = I_POOL, .u.array = {&only, 1}});
    whirl_pool_t p = mkt_pool_state(POOL_TICK, (u128_t)1 << 44, 400);
    mkt_send(&m, (ev_t){.kind = EV_POOL, .inst = I_POOL, .u.pool = {&p, 1}});
    mkt_book(&m, I_SPOT, "99.9", "100");
    assert_int_equal(m.opens, 0);
    assert_true(eng_rejected(m.e, REJ_DEPTH) > 0);
    mkt_close(&m);
}

static void test_ids_repeat_with_the_seed(void **state)
{
    (void)state;
    char id[2][37];
    for (int i = 0; i < 2; i++) {
        mkt_t m;
        open_at(&m, "147.9", "148");
        memcpy(id[i], m.last.id, 37);
        mkt_close(&m);
    }
    assert_string_equal(id[0], id[1]);
    assert_int_equal(id[0][14], '7');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profit_to_dex), cmocka_unit_test(test_profit_to_cex), cmocka_unit_test(test_loss_gives_no_signal),
        cmocka_unit_test(test_negative_spread_always_loses), cmocka_unit_test(test_fee_component_breakdown),
        cmocka_unit_test(test_breakeven_and_minimum_profitable_spread), cmocka_unit_test(test_threshold_boundary),
        cmocka_unit_test(test_small_and_large_trades), cmocka_unit_test(test_size_of_greatest_profit),
        cmocka_unit_test(test_slippage_is_told_once), cmocka_unit_test(test_opportunity_maps_to_its_money),
        cmocka_unit_test(test_no_basis_no_signal), cmocka_unit_test(test_the_basis_moves_the_profit),
        cmocka_unit_test(test_a_stale_basis_ends_the_opportunity), cmocka_unit_test(test_a_thin_basis_book_limits_the_size),
        cmocka_unit_test(test_one_lives_per_pair_direction_and_venues), cmocka_unit_test(test_updates_come_in_sensible_steps),
        cmocka_unit_test(test_reasons_of_the_end), cmocka_unit_test(test_swap_beyond_the_loaded_arrays_gives_no_signal),
        cmocka_unit_test(test_ids_repeat_with_the_seed),
    };
    return cmocka_run_group_tests_name("signal", tests, NULL, NULL);
}
