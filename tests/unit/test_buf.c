#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static void test_grows_and_terminates(void **state)
{
    buf_t b;
    buf_init(&b, 1 << 20);
    assert_null(b.p);
    for (int i = 0; i < 10000; i++) buf_add(&b, "abcdefg", 7);
    assert_int_equal(b.n, 70000);
    assert_int_equal(strlen(b.p), 70000);
    assert_false(b.failed);
    buf_reset(&b);
    assert_int_equal(b.n, 0);
    buf_str(&b, "x");
    assert_string_equal(b.p, "x");
    assert_true(span_is(buf_span(&b), "x"));
    buf_fini(&b);
    assert_null(b.p);
}

static void test_ceiling_keeps_what_it_has(void **state)
{
    buf_t b;
    buf_init(&b, 10);
    buf_str(&b, "12345");
    buf_str(&b, "67890");
    assert_false(b.failed);
    buf_str(&b, "");
    assert_false(b.failed);
    buf_str(&b, "x");
    assert_true(b.failed);
    assert_string_equal(b.p, "1234567890");
    buf_reset(&b);
    buf_str(&b, "12345678901");
    assert_true(b.failed);
    assert_int_equal(b.n, 0);
    buf_str(&b, "1"); /* still failed */
    assert_int_equal(b.n, 0);
    buf_fini(&b);
    buf_init(&b, 0);
    buf_str(&b, "a");
    assert_true(b.failed);
    buf_fini(&b);
}

static void test_format(void **state)
{
    buf_t b;
    buf_init(&b, 600);
    buf_fmt(&b, "%d-%s", 7, "x");
    buf_fmt(&b, "%0300d", 1); /* past the first allocation */
    assert_int_equal(b.n, 303);
    assert_int_equal(strlen(b.p), 303);
    buf_fmt(&b, "%0500d", 1); /* past the ceiling: nothing of it stays */
    assert_true(b.failed);
    assert_int_equal(b.n, 303);
    assert_int_equal(strlen(b.p), 303);
    buf_fini(&b);
}

static void test_span(void **state)
{
    assert_true(span_eq(SPAN_LIT(""), (span_t){NULL, 0}));
    assert_true(span_is(SPAN_LIT("ab"), "ab"));
    assert_false(span_is(SPAN_LIT("ab"), "abc"));
    assert_false(span_eq(SPAN_LIT("ab"), SPAN_LIT("ac")));
    assert_int_equal(span_of(NULL).n, 0);
}

static void test_error_names(void **state)
{
#define X(id, n, text) \
    assert_string_equal(xerr_name(id), #id), assert_string_equal(xerr_text(id), text), assert_int_equal(id, n);
    XERR_LIST(X)
#undef X
    assert_string_equal(xerr_name((xerr_t)-99), "XE_?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_terminates),
        cmocka_unit_test(test_ceiling_keeps_what_it_has),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
