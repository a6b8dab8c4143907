#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reactor/http_parse.h"

#define FIELDS 128
static const http_limits_t lim = {8192, 16384, 100, 8192};

typedef struct {
    http_field_t fields[FIELDS];
    http_head_t head;
    http_fault_t why;
    xerr_t err;
} parsed_t;

static void parse_n(parsed_t *out, const char *p, size_t n)
{
    http_scan_t scan = {0};
    memset(out, 0, sizeof *out);
    out->head.fields = out->fields;
    out->err = http_parse_head(&scan, p, n, &lim, &out->head, &out->why);
}

/* The same bytes in pieces of `step`, each prefix in memory of its own so that reading past it is seen. */
static void parse_steps(parsed_t *out, const char *p, size_t n, size_t step)
{
    http_scan_t scan = {0};
    memset(out, 0, sizeof *out);
    out->head.fields = out->fields;
    out->err = XE_AGAIN;
    for (size_t have = step; out->err == XE_AGAIN; have += step) {
        size_t m = have < n ? have : n;
        char *copy = malloc(m);
        assert_non_null(copy);
        memcpy(copy, p, m);
        out->err = http_parse_head(&scan, copy, m, &lim, &out->head, &out->why);
        free(copy);
        if (m == n) break;
    }
}

static void same(const parsed_t *a, const parsed_t *b)
{
    assert_int_equal(a->err, b->err);
    if (a->err == XE_BAD_INPUT) {
        assert_int_equal(a->why.status, b->why.status);
        return;
    }
    if (a->err) return;
    http_head_t x = a->head, y = b->head;
    x.fields = y.fields = NULL;
    assert_memory_equal(&x, &y, sizeof x);
    assert_memory_equal(a->fields, b->fields, a->head.n_fields * sizeof *a->fields);
}

static void parse(parsed_t *out, const char *text)
{
    parsed_t steps;
    size_t n = strlen(text);
    parse_n(out, text, n);
    for (size_t step = 1; step < 8; step++) {
        parse_steps(&steps, text, n, step);
        same(out, &steps);
    }
}

static void takes_a_plain_head(void **state)
{
    parsed_t p;
    const char *t = "POST /api/x?a=1&b HTTP/1.1\r\nHost: localhost:80\r\nContent-Length: 007\r\nX-Y:\t v "
                    "\t\r\nConnection: foo, Close\r\n\r\nbody";
    parse(&p, t);
    assert_int_equal(p.err, XE_OK);
    assert_int_equal(p.head.method, M_POST);
    assert_true(p.head.close);
    assert_int_equal(p.head.length, 7);
    assert_int_equal(p.head.size, strlen(t) - 4);
    assert_memory_equal(t + p.head.path, "/api/x", 6);
    assert_int_equal(p.head.path_n, 6);
    assert_int_equal(p.head.query_n, 5);
    assert_memory_equal(t + p.head.query, "a=1&b", 5);
    assert_int_equal(p.head.n_fields, 4);
    assert_int_equal(p.fields[2].value_n, 1);
    assert_int_equal(t[p.fields[2].value], 'v');
}

static void every_prefix_asks_for_more(void **state)
{
    static const char t[] = "\r\nGET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nUpgrade: x\r\n\r\n";
    parsed_t p;
    for (size_t n = 0; n < sizeof t - 1; n++) {
        parse_n(&p, t, n);
        assert_int_equal(p.err, XE_AGAIN);
    }
    parse(&p, t);
    assert_int_equal(p.err, XE_OK);
    assert_true(p.head.expect_continue);
    assert_false(p.head.upgrade);
    assert_int_equal(p.head.known[HF_UPGRADE], 3);
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n X: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a/ HTTP/1.0\r\n\r\n", 400},
        {"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\\ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/11\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        parsed_t p;
        parse(&p, rows[i].text);
        if (p.err != XE_BAD_INPUT || p.why.status != rows[i].status)
            fail_msg("row %zu: err=%s status=%d, expected %d: %s", i, xerr_name(p.err), p.why.status, rows[i].status,
                     rows[i].text);
        assert_non_null(p.why.message);
    }
}

/* head, then `n` times c, then tail. */
static char *stretch(const char *head, char c, size_t n, const char *tail)
{
    size_t hn = strlen(head), tn = strlen(tail);
    char *p = malloc(hn + n + tn + 1);
    assert_non_null(p);
    memcpy(p, head, hn);
    memset(p + hn, c, n);
    memcpy(p + hn + n, tail, tn + 1);
    return p;
}

static void judge(const char *head, size_t n, const char *tail, int status)
{
    parsed_t p, steps;
    char *t = stretch(head, 'a', n, tail);
    parse_n(&p, t, strlen(t));
    assert_int_equal(p.err, status ? XE_BAD_INPUT : XE_OK);
    if (status) assert_int_equal(p.why.status, status);
    parse_steps(&steps, t, strlen(t), 997);
    same(&p, &steps);
    free(t);
}

static void limits_are_exact(void **state)
{
    judge("GET /", 8191, " HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    judge("GET /", 8192, " HTTP/1.1\r\nHost: a\r\n\r\n", 414);
    judge("GET / HTTP/1.1\r\nHost: a\r\nX: ", 8192 - 4, "\r\n\r\n", 0);
    judge("GET / HTTP/1.1\r\nHost: a\r\nX: ", 8192 - 2, "\r\n\r\n", 431);
    judge("", 33, " / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    char *big = stretch("GET / HTTP/1.1\r\nHost: a\r\nX: ", 'a', 8000, "\r\nY: ");
    judge(big, 8000, "\r\nZ: 12345\r\n\r\n", 0);
    judge(big, 8000,
          "\r\nZ: 12345\r\nAA: "
          "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
          "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
          "90123456789"
          "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
          "89012345678"
          "\r\n\r\n",
          431);
    free(big);
}

static void lines_are_counted(void **state)
{
    for (size_t extra = 99; extra <= 100; extra++) {
        char t[2048] = "GET / HTTP/1.1\r\nHost: a\r\n";
        for (size_t i = 0; i < extra; i++) strcat(t, "A: b\r\n");
        strcat(t, "\r\n");
        parsed_t p;
        parse(&p, t);
        assert_int_equal(p.err, extra == 99 ? XE_OK : XE_BAD_INPUT);
    }
}

static void lengths(void **state)
{
    uint64_t v = 0;
    assert_true(http_parse_length(SPAN_LIT("0"), &v) && v == 0);
    assert_true(http_parse_length(SPAN_LIT("0000000000000000009"), &v) && v == 9);
    assert_true(http_parse_length(SPAN_LIT("9999999999999999999"), &v) && v == 9999999999999999999u);
    static const char *bad[] = {
        "",        " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3", "1,1", "00000000000000000000", "18446744073709551616",
        "\xd9\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(http_parse_length(span_of(bad[i]), &v));
}

static void hosts(void **state)
{
    static const char *good[] = {"a",   "localhost", "a.b-c_d", "127.0.0.1",
                                 "a:1", "a:65535",   "[::1]",   "[::ffff:1.2.3.4]:80"};
    static const char *bad[] = {"",    ":80", "a:",   "a:0",    "a:65536", "a:x", "a/b", "a@b",
                                "a b", "[]",  "[::1", "[::1]x", "[g]",     "a,b", "a%20"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(http_host_ok(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(http_host_ok(span_of(bad[i])));
}

static void lists(void **state)
{
    assert_true(http_list_has(SPAN_LIT("a, Upgrade ,b"), "upgrade"));
    assert_true(http_list_has(SPAN_LIT(",,close"), "close"));
    assert_false(http_list_has(SPAN_LIT("closed"), "close"));
    assert_false(http_list_has(SPAN_LIT("not close"), "close"));
    assert_false(http_list_has(SPAN_LIT(""), "close"));
}

/* Whatever the bytes: the answer does not depend on how they were cut. */
static void cuts_never_matter(void **state)
{
    static const char base[] =
        "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\nConnection: close\r\n\r\nhello";
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char t[sizeof base];
        memcpy(t, base, sizeof base);
        for (int k = 0; k < 1 + round % 3; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            static const char pick[] = "\r\n :\t\0a,1/\x7f\xff";
            t[(seed >> 33) % (sizeof base - 1)] = pick[(seed >> 20) % (sizeof pick - 1)];
        }
        parsed_t whole, steps;
        parse_n(&whole, t, sizeof base - 1);
        parse_steps(&steps, t, sizeof base - 1, 1 + (size_t)(round % 9));
        same(&whole, &steps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_plain_head),
        cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(lines_are_counted),
        cmocka_unit_test(lengths),
        cmocka_unit_test(hosts),
        cmocka_unit_test(lists),
        cmocka_unit_test(cuts_never_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
