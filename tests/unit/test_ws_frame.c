#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"
#include "reactor/ws_frame.h"
#include "reactor/ws_handshake.h"

static const ws_limits_t lim = {64, 4};

/* One masked frame at out; returns its size. */
static size_t put_frame(char *out, uint8_t first, const char *body, size_t n)
{
    static const uint8_t mask[4] = {0x11, 0x82, 0x3f, 0xc4};
    uint8_t head[10];
    size_t h = ws_head_write(head, 0, n);
    head[0] = first;
    head[1] |= 0x80;
    memcpy(out, head, h);
    memcpy(out + h, mask, 4);
    if (n) memcpy(out + h + 4, body, n);
    ws_unmask(out + h + 4, n, mask, 0);
    return h + 4 + n;
}

typedef struct {
    char text[1024];
    size_t n;
} log_t;

static void note(log_t *l, const ws_ev_t *ev)
{
    static const char *names[] = {"more", "text", "ping", "pong", "close", "fail"};
    if (ev->kind == WS_RX_MORE) return;
    l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s %u %.*s;", names[ev->kind], ev->code,
                             (int)ev->body.n, ev->body.p ? ev->body.p : "");
}

/* Feeds in pieces of `step`, each in memory of its own, and writes down what came out. */
static void feed(log_t *l, const char *p, size_t n, size_t step)
{
    ws_rx_t rx = {0};
    ws_ev_t ev = {0};
    *l = (log_t){.n = 0};
    for (size_t at = 0; at < n && ev.kind < WS_RX_CLOSE; at += step) {
        size_t m = n - at < step ? n - at : step;
        char *copy = malloc(m), *from = copy;
        assert_non_null(copy);
        memcpy(copy, p + at, m);
        do {
            ws_rx_next(&rx, &lim, &from, &m, &ev);
            note(l, &ev);
        } while (ev.kind != WS_RX_MORE && ev.kind < WS_RX_CLOSE);
        free(copy);
    }
    ws_rx_fini(&rx);
}

static void expect(const char *p, size_t n, const char *want)
{
    for (size_t step = 1; step <= n; step = step < 8 ? step + 1 : step * 2) {
        log_t l;
        feed(&l, p, n, step);
        assert_string_equal(l.text, want);
    }
    log_t l;
    feed(&l, p, n, n);
    assert_string_equal(l.text, want);
}

static void whole_messages(void **state)
{
    char b[256];
    size_t n = put_frame(b, 0x81, "hello", 5);
    n += put_frame(b + n, 0x89, "p", 1);
    n += put_frame(b + n, 0x81, "", 0);
    n += put_frame(b + n, 0x8a, "", 0);
    n += put_frame(b + n, 0x88,
                   "\x03\xe8"
                   "bye",
                   5);
    expect(b, n, "text 0 hello;ping 0 p;text 0 ;pong 0 ;close 1000 bye;");
}

static void fragments_with_a_ping_between(void **state)
{
    char b[256];
    size_t n = put_frame(b, 0x01, "a\xe2\x82", 3);
    n += put_frame(b + n, 0x89, "x", 1);
    n += put_frame(b + n, 0x00, "\xac", 1);
    n += put_frame(b + n, 0x80, "", 0);
    n += put_frame(b + n, 0x81, "z", 1);
    expect(b, n, "ping 0 x;text 0 a\xe2\x82\xac;text 0 z;");
}

static void limits(void **state)
{
    char b[512], body[65];
    memset(body, 'a', sizeof body);
    size_t n = put_frame(b, 0x81, body, 64);
    n += put_frame(b + n, 0x81, body, 65);
    char want[128];
    snprintf(want, sizeof want, "text 0 %.64s;fail 1009 ;", body);
    expect(b, n, want);
    n = put_frame(b, 0x01, body, 40);
    n += put_frame(b + n, 0x80, body, 25);
    expect(b, n, "fail 1009 ;");
    n = 0;
    for (int i = 0; i < 5; i++) n += put_frame(b + n, i ? 0x00 : 0x01, "", 0);
    expect(b, n, "fail 1009 ;");
}

static void violations(void **state)
{
    static const struct {
        uint8_t first;
        const char *body;
        size_t n;
        const char *want;
    } rows[] = {
        {0xc1, "a", 1, "fail 1002 ;"},
        {0x83, "", 0, "fail 1002 ;"},
        {0x8b, "", 0, "fail 1002 ;"},
        {0x09, "", 0, "fail 1002 ;"},
        {0x80, "a", 1, "fail 1002 ;"},
        {0x82, "a", 1, "fail 1003 ;"},
        {0x88, "a", 1, "fail 1002 ;"},
        {0x88, "\x03\xed", 2, "fail 1002 ;"},
        {0x88, "\x03\xe8\xff", 3, "fail 1007 ;"},
        {0x81, "\xff", 1, "fail 1007 ;"},
        {0x81, "\xe2\x82", 2, "fail 1007 ;"},
        {0x88, "", 0, "close 1005 ;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char b[64];
        expect(b, put_frame(b, rows[i].first, rows[i].body, rows[i].n), rows[i].want);
    }
    expect("\x81\x01"
           "a",
           3, "fail 1002 ;");                                                  /* no mask */
    expect("\x81\xfe\x00\x05....", 8, "fail 1002 ;");                          /* longer form than needed */
    expect("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01....", 14, "fail 1002 ;"); /* top bit */
    expect("\x89\xfe\x00\x7e....", 8, "fail 1002 ;");                          /* control over 125 */
}

static void close_codes(void **state)
{
    static const unsigned good[] = {1000, 1003, 1007, 1011, 1014, 3000, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(ws_close_code_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(ws_close_code_ok(bad[i]));
}

/* The piecewise check agrees with the one of base/ on every short string of interesting bytes. */
static void utf8_agrees(void **state)
{
    static const uint8_t pick[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                   0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5};
    enum { N = sizeof pick };
    for (unsigned i = 0; i < N * N * N * N; i++) {
        char s[4] = {(char)pick[i % N], (char)pick[i / N % N], (char)pick[i / N / N % N], (char)pick[i / N / N / N]};
        utf8_t u = {0};
        bool ok = utf8_feed(&u, s, 1) && utf8_feed(&u, s + 1, 3) && utf8_whole(&u);
        assert_int_equal(ok, utf8_valid((span_t){s, 4}));
    }
}

static void unmask_at_any_offset(void **state)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    char a[64], b[64];
    for (size_t i = 0; i < sizeof a; i++) a[i] = b[i] = (char)(i * 7);
    ws_unmask(a, sizeof a, mask, 0);
    for (size_t cut = 0; cut < sizeof b; cut++) {
        char c[64];
        memcpy(c, b, sizeof c);
        ws_unmask(c, cut, mask, 0);
        ws_unmask(c + cut, sizeof c - cut, mask, cut);
        assert_memory_equal(a, c, sizeof a);
    }
}

static void accept_of_the_standard(void **state)
{
    char out[WS_ACCEPT_TEXT + 1];
    ws_accept_text(SPAN_LIT("dGhlIHNhbXBsZSBub25jZQ=="), out);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void head_sizes(void **state)
{
    static const struct {
        uint64_t len;
        size_t size;
    } rows[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {5000000, 10}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t out[14];
        ws_head_t h;
        assert_int_equal(ws_head_write(out, WS_TEXT, rows[i].len), rows[i].size);
        out[1] |= 0x80;
        memset(out + rows[i].size, 0, 4);
        assert_int_equal(ws_head_parse(out, rows[i].size + 4, &h), XE_OK);
        assert_int_equal(h.len, rows[i].len);
        for (size_t n = 0; n < rows[i].size + 4; n++) assert_int_equal(ws_head_parse(out, n, &h), XE_AGAIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(fragments_with_a_ping_between),
        cmocka_unit_test(limits),
        cmocka_unit_test(violations),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(utf8_agrees),
        cmocka_unit_test(unmask_at_any_offset),
        cmocka_unit_test(accept_of_the_standard),
        cmocka_unit_test(head_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
