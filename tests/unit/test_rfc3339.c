/* Times: strict reading, round trips, what lies outside the years. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rfc3339.h"

static void times(void **state)
{
    static const struct { const char *text; int64_t us; } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-16T00:10:59.793Z", 1768522259793000LL},
        {"2024-02-29T23:59:59.999999Z", 1709251199999999LL},
        {"2024-02-29T23:59:59.9999999Z", 1709251199999999LL},
        {"2026-11-20T14:00:00+01:00", 1795179600000000LL},
        {"2026-11-20T12:30:00-00:30", 1795179600000000LL},
        {"9999-12-31T23:59:59Z", 253402300799000000LL},
        {"2024-02-29T12:30:15.123456789Z", 1709209815123456LL},
    };
    static const char *const bad[] = {
        "", "2026", "2026-11-20", "2026-11-20T13:00Z", "2026-11-20 13:00:00Z", "2026-11-20t13:00:00Z", "2026-11-20T13:00:00z",
        "2026-11-20T13:00:00", "2026-13-20T13:00:00Z", "2026-02-29T13:00:00Z", "2026-11-31T13:00:00Z", "2026-11-20T24:00:00Z",
        "2026-11-20T13:60:00Z", "2026-11-20T13:00:60Z", "2026-11-20T13:00:00.Z", "2026-11-20T13:00:00.1234567890Z", "1969-12-31T23:59:59Z",
        "2026-11-20T13:00:00+1:00", "2026-11-20T13:00:00+24:00", "2026-11-20T13:00:00ZZ", "+026-11-20T13:00:00Z", "2026-11-20T13:00:00,5Z",
        "2024-02-29 12:30:15.1Z", "2024-02-29T12:30:15.Z",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t us = -1;
        assert_int_equal(rfc3339_parse(span_of(good[i].text), &us), XE_OK);
        assert_true(us == good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        if (rfc3339_parse(span_of(bad[i]), &us) != XE_BAD_INPUT) fail_msg("time was taken: %s", bad[i]);
    }
}

static void times_round_trip(void **state)
{
    char text[RFC3339_MS_LEN + 1];
    for (int64_t ms = 0; ms < 253402300800000LL; ms += 86399123457LL) {
        int64_t us = -1;
        rfc3339_ms(ms, text);
        assert_int_equal(rfc3339_parse(span_of(text), &us), XE_OK);
        assert_true(us == ms * 1000);
    }
}

static void outside(void **state)
{
    char us[RFC3339_US_LEN + 1], ms[RFC3339_MS_LEN + 1];
    rfc3339_us(-1, us);
    assert_string_equal(us, "1970-01-01T00:00:00.000000Z");
    rfc3339_us(INT64_MAX, us);
    assert_string_equal(us, "9999-12-31T23:59:59.999999Z");
    rfc3339_ms(INT64_MAX, ms);
    assert_string_equal(ms, "9999-12-31T23:59:59.999Z");
    rfc3339_ms(INT64_MIN, ms);
    assert_string_equal(ms, "1970-01-01T00:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(times), cmocka_unit_test(times_round_trip), cmocka_unit_test(outside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
