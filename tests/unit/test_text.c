/* Text forms of requests and answers: hundredths, decimals, query strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/query.h"
#include "handlers/text.h"

static void hundredths(void **state)
{
    static const struct { const char *text; int32_t v; } good[] = {
        {"0", 0}, {"-0", 0}, {"12.5", 1250}, {"-3.25", -325}, {"10.00", 1000}, {"1.5e3", 150000}, {"250e-2", 250}, {"1E1", 1000},
        {"21474836.47", INT32_MAX}, {"0.010000", 1},
    };
    static const char *const bad[] = {"", "-", "+1", "01", "1.", ".5", "1.005", "1e", "1e-3", "1e400", "21474836.48", "x", "1 ", "0x10", "1_0", "NaN", "1e9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int32_t v = -1;
        assert_int_equal(text_x100(span_of(good[i].text), &v), XE_OK);
        assert_int_equal(v, good[i].v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int32_t v;
        if (text_x100(span_of(bad[i]), &v) == XE_OK) fail_msg("number was taken: %s", bad[i]);
    }
}

static void decimals(void **state)
{
    static const char *const good[] = {"0", "1", "-1.5", "83399.500000", "0.000001", "9000000000000"};
    static const char *const bad[] = {"", "1e5", "01", "1.", ".1", "NaN", "Infinity", "--1", "1,5"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(text_is_decimal(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_is_decimal(span_of(bad[i])));
}

static void *take(void *ctx, size_t n)
{
    char **at = ctx;
    char *p = *at;
    *at += n;
    return p;
}

static const schema_t rows[] = {S_OPT("limit", SC_INT), S_OPT("pair", SC_STR), S_END};

static xerr_t parse(const char *text, query_t *q)
{
    static char room[4096];
    char *at = room;
    return query_parse(span_of(text), rows, take, &at, q);
}

static void queries(void **state)
{
    query_t q;
    span_t v;
    assert_int_equal(parse("", &q), XE_OK);
    assert_false(query_get(&q, "limit", &v));
    assert_int_equal(parse("limit=5&pair=SOL%2FUSD", &q), XE_OK);
    assert_true(query_get(&q, "limit", &v) && span_is(v, "5"));
    assert_true(query_get(&q, "pair", &v) && span_is(v, "SOL/USD"));
    assert_int_equal(parse("pair=a+b", &q), XE_OK);
    assert_true(query_get(&q, "pair", &v) && span_is(v, "a+b"));
    assert_int_equal(parse("limit", &q), XE_OK);
    assert_true(query_get(&q, "limit", &v) && v.n == 0);
    assert_int_equal(parse("limit=1&limit=1", &q), XE_BAD_INPUT);
    assert_non_null(q.why);
    assert_int_equal(parse("Limit=1", &q), XE_BAD_INPUT);
    assert_null(q.why);
    assert_true(span_is(q.fault, "Limit"));
    assert_int_equal(parse("Limit=1&pair=A&x=%", &q), XE_BAD_INPUT);
    assert_true(span_is(q.fault, "Limit") && !q.why);
    assert_true(query_get(&q, "pair", &v) && span_is(v, "A"));
    assert_int_equal(parse("l%69mit=1", &q), XE_BAD_INPUT);
    assert_int_equal(parse("pair=%", &q), XE_BAD_INPUT);
    assert_int_equal(parse("pair=%2", &q), XE_BAD_INPUT);
    assert_int_equal(parse("pair=%zz", &q), XE_BAD_INPUT);
    assert_int_equal(parse("pair=%2F", &q), XE_OK);
    assert_int_equal(parse("=1", &q), XE_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hundredths), cmocka_unit_test(decimals),
        cmocka_unit_test(queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
