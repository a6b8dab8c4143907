/* Opportunities as rows: written in batches, coalesced, listed by filter and cursor; nothing lost but by name. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "storage/opps.h"
#include "tests/unit/pgfixture.h"

static fx_t fx;
static unsigned answers;
static xerr_t last_err;
static opp_row_t rows[64];
static opp_page_t page;

static void on_page(void *ctx, xerr_t err, const opp_page_t *p)
{
    (void)ctx;
    last_err = err;
    answers++;
    if (!p)
        return;
    page = *p;
    for (unsigned i = 0; i < p->n && i < 64; i++)
        rows[i] = p->rows[i];
}

static bool answered(void *ctx)
{
    return answers >= *(unsigned *)ctx;
}

static void list(const opp_query_t *q)
{
    unsigned want = answers + 1;
    opps_list(fx.s, q, on_page, NULL);
    assert_true(fx_turns(&fx, answered, &want, 3000));
    assert_int_equal(last_err, XE_OK);
}

static bool idle(void *ctx)
{
    (void)ctx;
    return store_idle(fx.s);
}

static opp_t make(unsigned i)
{
    opp_t o = {
        .phase = OPP_OPEN,
        .dir = i % 2 ? DIR_DEX_TO_CEX : DIR_CEX_TO_DEX,
        .buy = i % 2 ? VENUE_ORCA : VENUE_COINBASE,
        .sell = i % 2 ? VENUE_GEMINI : VENUE_ORCA,
        .buy_px.raw = (i128_t)150 * DEC_SCALE + DEC_SCALE / 8,
        .sell_px.raw = (i128_t)151 * DEC_SCALE,
        .size.raw = (i128_t)2 * DEC_SCALE,
        .buy_cost.raw = 300250000,
        .sell_proceeds.raw = 302000000,
        .fee_total.raw = 1,
        .basis.raw = DEC_SCALE,
        .gross_bps_x100 = 5829,
        .net_bps_x100 = (int32_t)(i * 100),
        .peak_net_bps_x100 = -5,
        .predicted_pnl.raw = -1500000,
        .detect_wall_us = 1700000000000000 + i * 1000000,
        .recv_wall_us = 1700000000000000,
        .recv_ns = 1000,
        .parsed_ns = 3000,
        .detect_ns = 9000,
        .pool_slot = 18446744073709551615u,
        .decision = "OBSERVE_ONLY",
        .reason = "",
    };
    uuid7_from(1700000000000 + i, 42, i, o.id);
    return o;
}

static void test_put_and_list(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        opp_t o = make(i);
        opps_put(fx.s, &o, i % 4 ? "SOL/USD" : "ETH/USD");
    }
    assert_true(fx_turns(&fx, idle, NULL, 3000));
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM opportunities"), 200);
    list(&(opp_query_t){.limit = 5});
    assert_int_equal(page.n, 5);
    assert_int_equal(page.total, 200);
    assert_true(page.has_more);
    assert_string_equal(rows[0].id, make(199).id);
    assert_string_equal(rows[0].buy_price, "150.125");
    assert_string_equal(rows[0].net_bps, "199.00");
    assert_string_equal(rows[0].peak_net_bps, "-0.05");
    assert_string_equal(rows[0].predicted_pnl, "-1.5");
    assert_string_equal(rows[0].direction, "DEX_TO_CEX");
    assert_string_equal(rows[0].status, "open");
    assert_int_equal(rows[0].source_us, 0);
    assert_int_equal(rows[0].detected_us, make(199).detect_wall_us);
    assert_int_equal(rows[0].parse_ns, 2000);
    /* the cursor walks all of them, each once, newest first */
    opp_query_t q = {.limit = 60};
    unsigned seen = 0;
    int64_t before = INT64_MAX;
    do {
        list(&q);
        for (unsigned i = 0; i < page.n; i++) {
            assert_true(rows[i].seq < before);
            before = rows[i].seq;
            seen++;
        }
        q.before_seq = page.next_seq;
    } while (page.has_more);
    assert_int_equal(seen, 200);
    list(&(opp_query_t){.limit = 10, .pair = SPAN_LIT("ETH/USD")});
    assert_int_equal(page.total, 50);
    list(&(opp_query_t){.limit = 10, .venue = SPAN_LIT("gemini")});
    assert_int_equal(page.total, 100);
    list(&(opp_query_t){.limit = 10, .has_min_net = true, .min_net_bps_x100 = 19050});
    assert_int_equal(page.total, 9);
    list(&(opp_query_t){.limit = 10, .since_us = make(190).detect_wall_us, .decision = SPAN_LIT("OBSERVE_ONLY")});
    assert_int_equal(page.total, 10);
    list(&(opp_query_t){.limit = 10, .pair = SPAN_LIT("x' OR 1=1 --")});
    assert_int_equal(page.total, 0);
}

static void test_one(void **state)
{
    unsigned want = answers + 1;
    opp_t o = make(7);
    (void)state;
    opps_one(fx.s, span_of(o.id), on_page, NULL);
    assert_true(fx_turns(&fx, answered, &want, 2000));
    assert_int_equal(last_err, XE_OK);
    assert_string_equal(rows[0].id, o.id);
    want++;
    opps_one(fx.s, SPAN_LIT("00000000-0000-0000-0000-000000000000"), on_page, NULL);
    assert_true(fx_turns(&fx, answered, &want, 2000));
    assert_int_equal(last_err, XE_NOT_FOUND);
    want++;
    opps_one(fx.s, SPAN_LIT("nonsense"), on_page, NULL);
    assert_true(fx_turns(&fx, answered, &want, 2000));
    assert_int_equal(last_err, XE_NOT_FOUND);
}

static void test_life(void **state)
{
    (void)state;
    opp_t o = make(1000);
    opps_put(fx.s, &o, "SOL/USD");
    for (int i = 0; i < 50; i++) {
        o.phase = OPP_UPDATE;
        o.net_bps_x100 = 2000 + i;
        opps_put(fx.s, &o, "SOL/USD");
        if (i % 10 == 0)
            fx_turns(&fx, NULL, NULL, 2);
    }
    o.phase = OPP_CLOSE;
    o.reason = "FEES";
    o.closed_wall_us = o.detect_wall_us + 5000000;
    o.lifetime_ms = 5000;
    opps_put(fx.s, &o, "SOL/USD");
    o.phase = OPP_UPDATE; /* late */
    o.reason = "";
    opps_put(fx.s, &o, "SOL/USD");
    assert_true(fx_turns(&fx, idle, NULL, 3000));
    o.net_bps_x100 = 1;
    opps_put(fx.s, &o, "SOL/USD"); /* later still */
    assert_true(fx_turns(&fx, idle, NULL, 3000));
    list(&(opp_query_t){.limit = 1});
    assert_string_equal(rows[0].id, o.id);
    assert_string_equal(rows[0].status, "closed");
    assert_string_equal(rows[0].reason, "FEES");
    assert_string_equal(rows[0].net_bps, "20.49");
    assert_int_equal(rows[0].lifetime_ms, 5000);
    assert_int_equal(rows[0].ended_us, o.closed_wall_us);
}

/* PostgreSQL away: they wait, bounded; updates go first; what is left is written on its return. */
static void test_away(void **state)
{
    (void)state;
    long long before = fx_num(&fx, "SELECT count(*) FROM opportunities");
    fx_pg_kill(&fx, SIGKILL);
    fx_turns(&fx, NULL, NULL, 100);
    for (unsigned i = 0; i < 5000; i++) {
        opp_t o = make(2000 + i);
        if (i < 2000)
            o.phase = OPP_UPDATE;
        opps_put(fx.s, &o, "SOL/USD");
    }
    fx_pg_start(&fx);
    assert_true(fx_turns(&fx, idle, NULL, 500) || true);
    fx_turns(&fx, NULL, NULL, 2500);
    assert_true(fx_turns(&fx, idle, NULL, 5000));
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM opportunities") - before, 4096);
    ctr_t *dropped = metrics_ctr(fx.m, "xorj_db_opportunities_total", "outcome=\"dropped\"", "");
    assert_int_equal(dropped->v, 5000 - 4096);
    opp_t newest = make(6999);
    list(&(opp_query_t){.limit = 1});
    assert_string_equal(rows[0].id, newest.id);
}

static int open_all(void **state)
{
    (void)state;
    fx_open(&fx, NULL);
    fx_migrate(&fx);
    fx_store(&fx);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    fx_close(&fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_list),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_away),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
