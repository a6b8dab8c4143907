#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "engine/dec.h"
#include "engine/u256.h"

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static i128_t parsed(const char *s)
{
    i128_t v = -1;
    assert_int_equal(dec_parse(span_of(s), &v), XE_OK);
    return v;
}

static void text_is(i128_t raw, const char *want)
{
    char out[DEC_TEXT_MAX];
    assert_int_equal(dec_text(raw, out, sizeof out), strlen(want));
    assert_string_equal(out, want);
}

static void test_plain_numbers(void **state)
{
    (void)state;
    assert_true(parsed("1") == DEC_SCALE);
    assert_true(parsed("83399.5") == (i128_t)833995 * (DEC_SCALE / 10));
    assert_true(parsed("0.000000000001") == 1);
    assert_true(parsed("00012.50") == (i128_t)125 * (DEC_SCALE / 10));
    assert_true(parsed("9000000000000") == (i128_t)9000000000000 * DEC_SCALE);
    assert_true(parsed("123456789012.00000001") == ((i128_t)12345678901200000001u * 10000));
}

static void test_zero_in_any_spelling(void **state)
{
    (void)state;
    const char *zeros[] = {"0", "0.0", "0.00", "0.000", "00", "0.00000000", "0.0000000000", "0.00000000000000000000", "000.0"};
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) assert_true(parsed(zeros[i]) == 0);
}

static void test_other_forms_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 ", "1.2.3", "0x1", "NaN", "1..2", "١",
                         "00000000000000000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        i128_t v;
        if (dec_parse(span_of(bad[i]), &v) != XE_BAD_INPUT) fail_msg("accepted: '%s'", bad[i]);
    }
    i128_t v;
    assert_int_equal(dec_parse(span_make("1\0", 2), &v), XE_BAD_INPUT);
}

static void test_range_ends(void **state)
{
    (void)state;
    i128_t v;
    assert_int_equal(dec_parse(SPAN_LIT("0.0000000000001"), &v), XE_RANGE);
    assert_int_equal(dec_parse(SPAN_LIT("1.0000000000005"), &v), XE_RANGE);
    assert_int_equal(dec_parse(SPAN_LIT("1.0000000000000000"), &v), XE_OK);
    assert_int_equal(dec_parse(SPAN_LIT("170141183460469231731687303.715884105727"), &v), XE_OK);
    assert_true(v == (i128_t)(U128_MAX >> 1));
    assert_int_equal(dec_parse(SPAN_LIT("170141183460469231731687303.715884105728"), &v), XE_RANGE);
    assert_int_equal(dec_parse(SPAN_LIT("999999999999999999999999999999999999999"), &v), XE_RANGE);
}

static void test_text_forms(void **state)
{
    (void)state;
    text_is(0, "0");
    text_is(1, "0.000000000001");
    text_is((i128_t)DEC_SCALE * 1500 / 1000, "1.5");
    text_is(-(i128_t)DEC_SCALE / 4, "-0.25");
    text_is((i128_t)9000000000000 * DEC_SCALE, "9000000000000");
    text_is((i128_t)(U128_MAX >> 1), "170141183460469231731687303.715884105727");
    char out[DEC_TEXT_MAX];
    usd_text((usd_t){-1500000}, out, sizeof out);
    assert_string_equal(out, "-1.5");
    usd_text((usd_t){INT64_MIN}, out, sizeof out);
    assert_string_equal(out, "-9223372036854.775808");
    usd_text((usd_t){1}, out, sizeof out);
    assert_string_equal(out, "0.000001");
}

static void test_round_trip_of_random_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char out[DEC_TEXT_MAX];
        u128_t r = ((u128_t)next() << 64 | next()) >> (1 + next() % 127);
        size_t n = dec_text((i128_t)r, out, sizeof out);
        i128_t back = -1;
        assert_int_equal(dec_parse(span_make(out, n), &back), XE_OK);
        if (back != (i128_t)r) fail_msg("%s does not come back", out);
    }
}

static void test_usd_rounding(void **state)
{
    (void)state;
    usd_t v;
    px_t px = {parsed("0.3")};
    qty_t q = {parsed("0.000005")};
    assert_int_equal(usd_of(px, q, ROUND_DOWN, &v), XE_OK);
    assert_int_equal(v.raw, 1);
    assert_int_equal(usd_of(px, q, ROUND_UP, &v), XE_OK);
    assert_int_equal(v.raw, 2);
    q.raw = parsed("0.00001");
    assert_int_equal(usd_of(px, q, ROUND_UP, &v), XE_OK);
    assert_int_equal(v.raw, 3);
    assert_int_equal(usd_of((px_t){parsed("9000000000000")}, (qty_t){parsed("100000000000")}, ROUND_UP, &v), XE_RANGE);
    assert_int_equal(usd_of((px_t){-1}, q, ROUND_UP, &v), XE_RANGE);
}

/* q*d + r == n and r < d, for random widths: division against multiplication. */
static void test_wide_division(void **state)
{
    (void)state;
    for (int i = 0; i < 300000; i++) {
        u256_t n = {(u128_t)next() << 64 | next(), (u128_t)next() << 64 | next()};
        u256_t d = {(u128_t)next() << 64 | next(), (u128_t)next() << 64 | next()};
        if (next() % 4 == 0) n.lo = U128_MAX, n.hi = U128_MAX;
        if (next() % 4 == 0) d.hi |= (u128_t)UINT64_MAX << 64, d.lo = 0;
        n = u256_shr(n, (unsigned)(next() % 256));
        d = u256_shr(d, (unsigned)(next() % 256));
        if (u256_is_zero(d)) continue;
        u256_t rem, q = u256_div(n, d, &rem), sum;
        assert_true(u256_lt(rem, d));
        if (q.hi != 0 && d.hi != 0) fail_msg("quotient too large");
        u256_t low = u256_mul(q.lo, d.lo), cross = u256_of(0);
        if (q.hi) cross = u256_mul(q.hi, d.lo);
        if (d.hi) cross = u256_mul(q.lo, d.hi);
        assert_true(cross.hi == 0);
        assert_true(u256_add(low, (u256_t){0, cross.lo}, &sum));
        assert_true(u256_add(sum, rem, &sum));
        assert_true(sum.lo == n.lo && sum.hi == n.hi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_numbers), cmocka_unit_test(test_zero_in_any_spelling),
        cmocka_unit_test(test_other_forms_are_refused), cmocka_unit_test(test_range_ends),
        cmocka_unit_test(test_text_forms), cmocka_unit_test(test_round_trip_of_random_numbers),
        cmocka_unit_test(test_usd_rounding), cmocka_unit_test(test_wide_division),
    };
    return cmocka_run_group_tests_name("dec", tests, NULL, NULL);
}
