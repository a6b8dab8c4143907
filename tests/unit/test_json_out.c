/* What handlers write is JSON, its numbers are exact, and their text twins agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/answer.h"
#include "handlers/oppjson.h"
#include "reactor/arena.h"

static arena_pool_t *pool;
static arena_t *arena;
static buf_t text;

static int fresh(void **state)
{
    pool = arena_pool_new(16384, 2);
    arena = arena_new(pool, 1 << 20);
    buf_init(&text, 1 << 16);
    return 0;
}

static int done(void **state)
{
    buf_fini(&text);
    arena_free(arena);
    arena_pool_free(pool);
    return 0;
}

static const json_t *parse(void)
{
    const json_t *doc = NULL;
    const char *why = NULL;
    if (json_parse(buf_span(&text), arena, &doc, &why)) fail_msg("%s: %.*s", why, (int)text.n, text.p);
    return doc;
}

static void same(const json_t *obj, const char *key, const char *want)
{
    char twin[64];
    const json_t *n = json_get(obj, key), *s;
    snprintf(twin, sizeof twin, "%s_str", key);
    s = json_get(obj, twin);
    if (!n || !s) fail_msg("%s or its twin is missing", key);
    if (!span_is(json_raw(n), want) || !span_is(json_str(s), want))
        fail_msg("%s is %.*s and %.*s, not %s", key, (int)json_raw(n).n, json_raw(n).p, (int)json_str(s).n, json_str(s).p, want);
}

static opp_t sample(void)
{
    opp_t o = {.pair = 0, .phase = OPP_CLOSE, .dir = DIR_DEX_TO_CEX, .buy = VENUE_ORCA, .sell = VENUE_GEMINI,
               .buy_px = {(i128_t)145987269041024LL}, .sell_px = {(i128_t)9000000000000LL * DEC_SCALE}, .size = {1},
               .buy_cost = {972049599}, .sell_proceeds = {INT64_MAX}, .fee_cex = {12000000}, .fee_dex = {388821}, .fee_network = {2000},
               .slippage = {1}, .fee_total = {0}, .basis = {DEC_SCALE}, .gross_bps_x100 = INT32_MAX, .net_bps_x100 = INT32_MIN,
               .peak_net_bps_x100 = -5, .predicted_pnl = {INT64_MIN + 1}, .recv_wall_us = 1795179600000000LL, .detect_wall_us = 1795179600000123LL,
               .recv_ns = 5000, .parsed_ns = 25000, .detect_ns = 128000, .closed_wall_us = 1795179601000000LL, .lifetime_ms = 1000,
               .decision = "OBSERVE_ONLY", .reason = "FEES"};
    strcpy(o.id, "01a1f94c-7194-7002-814e-ec3eb2f3ac89");
    return o;
}

static void an_opportunity_is_exact(void **state)
{
    opp_t o = sample();
    opp_row_t row;
    jw_t w;
    opp_row_of(&o, "SOL/USD", &row);
    jw_init(&w, &text);
    opp_json(&w, &row, true);
    const json_t *d = parse();
    same(d, "buy_price", "145.987269041024");
    same(d, "sell_price", "9000000000000");
    same(d, "size", "0.000000000001");
    same(d, "buy_cost", "972.049599");
    same(d, "sell_proceeds", "9223372036854.775807");
    same(d, "fee_cex", "12");
    same(d, "fee_total", "0");
    same(d, "gross_bps", "21474836.47");
    same(d, "net_bps", "-21474836.48");
    same(d, "peak_net_bps", "-0.05");
    same(d, "predicted_pnl", "-9223372036854.775807");
    assert_true(span_is(json_str(json_get(d, "status")), "closed"));
    assert_true(span_is(json_str(json_get(d, "reason_code")), "FEES"));
    assert_true(json_bool(json_get(d, "simulated")));
    const json_t *at = json_get(d, "timestamps"), *us = json_get(d, "latency");
    assert_int_equal(json_type(json_get(at, "source")), JSON_NULL);
    assert_true(span_is(json_str(json_get(at, "received")), "2026-11-20T13:00:00.000000Z"));
    assert_true(span_is(json_str(json_get(at, "parsed")), "2026-11-20T13:00:00.000020Z"));
    assert_true(span_is(json_str(json_get(at, "detected")), "2026-11-20T13:00:00.000123Z"));
    assert_true(span_is(json_raw(json_get(us, "receive_to_detect_us")), "123"));
}

static void unknown_is_null_never_a_number(void **state)
{
    static const char *const not_numbers[] = {"", "NaN", "Infinity", "1e5", "0x1", "1,5", "abc", "-", "\"1\""};
    jw_t w;
    jw_init(&w, &text);
    jw_arr(&w);
    for (size_t i = 0; i < sizeof not_numbers / sizeof *not_numbers; i++) {
        jw_obj(&w);
        put_decimal(&w, "x", not_numbers[i]);
        jw_end(&w);
    }
    jw_end(&w);
    const json_t *list = parse();
    for (size_t i = 0; i < json_len(list); i++) {
        assert_int_equal(json_type(json_get(json_at(list, i), "x")), JSON_NULL);
        assert_int_equal(json_type(json_get(json_at(list, i), "x_str")), JSON_NULL);
    }
}

static void members(void **state)
{
    jw_t w;
    jw_init(&w, &text);
    jw_obj(&w);
    put_str(&w, "a", "quote\" slash\\ line\n \x01 \xff");
    put_str(&w, "b", NULL);
    put_text_or_null(&w, "c", "");
    put_time(&w, "d", 0);
    put_i64(&w, "e", INT64_MIN);
    put_bool(&w, "f", false);
    jw_end(&w);
    const json_t *d = parse();
    assert_int_equal(json_len(d), 6);
    assert_int_equal(json_type(json_get(d, "b")), JSON_NULL);
    assert_int_equal(json_type(json_get(d, "c")), JSON_NULL);
    assert_int_equal(json_type(json_get(d, "d")), JSON_NULL);
    assert_true(span_is(json_raw(json_get(d, "e")), "-9223372036854775808"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_opportunity_is_exact, fresh, done),
        cmocka_unit_test_setup_teardown(unknown_is_null_never_a_number, fresh, done),
        cmocka_unit_test_setup_teardown(members, fresh, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
