#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/scan.h"
#include "reactor/json.h"

static bool whole(const char *text, size_t n, size_t slice)
{
    scan_t s;
    scan_init(&s, span_make(text, n));
    scan_skip_begin(&s);
    scan_rc_t rc;
    while ((rc = scan_skip_run(&s, slice)) == SCAN_MORE) {
    }
    return rc == SCAN_DONE && scan_done(&s);
}

static void accepts_and_refuses(void **state)
{
    static const char *const good[] = {
        "{}", "[]", " [ 1 , 2 ] ", "{\"a\":{\"b\":[null,true,false]}}", "\"\"", "0", "-0", "1.5e-3", "-12.5E+7", "[\"\\u00e9\\n\\/\"]",
        "\"\\ud834\\udd1e\"", "\"\xc3\xa9\"", "[[],{}]", "18446744073709551616",
    };
    static const char *const bad[] = {
        "", " ", "{", "}", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}", "[1}", "{]",
        "01", "+1", ".5", "5.", "1e", "1e+", "-", "tru", "nul", "truex", "'a'", "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\\ud834\"", "\"\\udd1e\"",
        "\"\\ud834\\u0041\"", "\"\t\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "1 2", "{}x", "[] []", "NaN", "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t slice = 1; slice < 64; slice += 7) assert_true(whole(good[i], strlen(good[i]), slice));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t slice = 1; slice < 64; slice += 7)
            if (whole(bad[i], strlen(bad[i]), slice)) fail_msg("accepted: %s", bad[i]);
}

static void depth_is_bounded(void **state)
{
    char text[200];
    for (size_t n = SCAN_DEPTH_MAX; n <= SCAN_DEPTH_MAX + 1; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        assert_int_equal(whole(text, 2 * n, 1000), n == SCAN_DEPTH_MAX);
    }
}

/* Same verdict as the recogniser of request bodies on texts broken at random. */
static void agrees_with_the_recogniser(void **state)
{
    static const char seed_text[] = "{\"a\":[1,-2.5e3,\"x\\u0041\\\"\",{\"b\":null,\"c\":[true,false,[]]}],\"d\":\"\xe2\x82\xac\"}";
    static const char spice[] = "{}[]\",:\\0123456789.eE+-tfnul \x80\xc3\xff\x01";
    uint64_t rng = 88172645463325252ull;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof seed_text];
        size_t n = sizeof seed_text - 1;
        memcpy(text, seed_text, sizeof text);
        for (int k = 0; k < 1 + round % 3; k++) {
            rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
            text[rng % n] = spice[(rng >> 32) % (sizeof spice - 1)];
        }
        bool ours = whole(text, n, 1 + (size_t)(rng >> 50)), theirs = json_check_lim(span_make(text, n), SCAN_DEPTH_MAX, 0, NULL) == XE_OK;
        if (ours != theirs) fail_msg("scan %d, json_check %d: %.*s", ours, theirs, (int)n, text);
    }
}

static void numbers(void **state)
{
    static const struct { const char *text; bool ok; uint64_t v; } rows[] = {
        {"0", true, 0}, {"18446744073709551615", true, UINT64_MAX}, {"18446744073709551616", false, 0}, {"01", false, 0},
        {"-1", false, 0}, {"1.0", false, 0}, {"1e3", false, 0}, {"\"1\"", false, 0}, {" 7", true, 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scan_t s;
        uint64_t v = 0;
        scan_init(&s, span_of(rows[i].text));
        assert_int_equal(scan_u64(&s, &v) && scan_done(&s), rows[i].ok);
        if (rows[i].ok) assert_true(v == rows[i].v);
    }
}

static void finds_members(void **state)
{
    span_t v, object = SPAN_LIT("{\"a\":{\"b\":[1,{\"a\":2}]}, \"rentEpoch\" : 18446744073709551615,\"b\":\"x\"}");
    assert_true(scan_get(object, "rentEpoch", &v) && span_is(v, "18446744073709551615"));
    assert_true(scan_get(object, "b", &v) && span_is(v, "\"x\""));
    assert_true(scan_get(object, "a", &v) && scan_get(v, "b", &v) && span_is(v, "[1,{\"a\":2}]"));
    assert_false(scan_get(object, "c", &v));
    assert_false(scan_get(SPAN_LIT("[1]"), "a", &v));
}

static void bounds_hold(void **state)
{
    size_t n = SCAN_STR_MAX + 16;
    char *text = malloc(n);
    memset(text, 'a', n);
    text[0] = text[n - 1] = '"';
    assert_false(whole(text, n, SIZE_MAX));
    memset(text, ' ', n);
    text[n - 1] = '1';
    assert_false(whole(text, n, SIZE_MAX));
    memset(text, '1', n);
    assert_false(whole(text, n, SIZE_MAX));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_refuses), cmocka_unit_test(depth_is_bounded), cmocka_unit_test(agrees_with_the_recogniser),
        cmocka_unit_test(numbers),             cmocka_unit_test(finds_members),    cmocka_unit_test(bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
