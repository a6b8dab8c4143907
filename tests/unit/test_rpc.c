/* The pool of RPC endpoints, against an HTTP client of this file: calls are kept and answered by the tests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/rpc.h"
#include "connectors/scan.h"
#include "reactor/log.h"

#define HELD_MAX 64

typedef struct {
    char url[64], body[512];
    unsigned timeout_ms;
    httpc_cb cb;
    void *ctx;
} held_t;

static struct {
    loop_t *l;
    metrics_t *m;
    rpc_t *r;
    held_t held[HELD_MAX];
    unsigned n;
    unsigned fired;
    xerr_t err;
    char result[128];
    xerr_t judged;
} t;

void httpc_call(httpc_t *c, const httpc_req_t *q, httpc_cb cb, void *ctx)
{
    held_t *h = &t.held[t.n++];
    (void)c;
    assert_true(t.n < HELD_MAX);
    snprintf(h->url, sizeof h->url, "%s", q->url);
    snprintf(h->body, sizeof h->body, "%.*s", (int)q->body.n, q->body.p);
    h->timeout_ms = q->timeout_ms;
    h->cb = cb;
    h->ctx = ctx;
}

static int setup_with(const char *list, unsigned per_s)
{
    memset(&t, 0, sizeof t);
    log_init(open("/dev/null", O_WRONLY), LOG_ERROR);
    t.m = metrics_new();
    t.l = loop_new(t.m);
    const char *urls[] = {list, ""};
    t.r = rpc_new(t.l, t.m, NULL, &(rpc_conf_t){.urls = urls, .urls_n = 2, .per_s = per_s});
    return 0;
}

static int setup(void **state) { (void)state; return setup_with("http://a/, http://b/ ,http://a/", 0); }
static int setup_budget(void **state) { (void)state; return setup_with("http://a/", 5); }
static int setup_none(void **state) { (void)state; return setup_with(" , ", 0); }

static int teardown(void **state)
{
    (void)state;
    rpc_free(t.r);
    loop_free(t.l);
    metrics_free(t.m);
    return 0;
}

static void on_done(void *ctx, xerr_t err, span_t result)
{
    assert_ptr_equal(ctx, &t);
    t.fired++;
    t.err = err;
    snprintf(t.result, sizeof t.result, "%.*s", (int)result.n, result.p);
}

static xerr_t on_check(void *ctx, span_t result)
{
    assert_ptr_equal(ctx, &t);
    assert_true(result.n > 0);
    return t.judged;
}

static void call_with(bool spare, bool check, unsigned timeout_ms)
{
    rpc_req_t q = {.method = "getSlot", .params = SPAN_LIT("[]"), .timeout_ms = timeout_ms, .spare = spare, .check = check ? on_check : NULL};
    rpc_call(t.r, &q, on_done, &t);
}

static void call(void) { call_with(false, false, 2000); }

static void reply(int status, const char *fmt_result, bool error)
{
    held_t h = t.held[--t.n];
    char body[512];
    span_t id;
    assert_true(scan_get(span_of(h.body), "id", &id));
    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"%s\":%s}", (int)id.n, id.p, error ? "error" : "result", fmt_result);
    h.cb(h.ctx, XE_OK, status, span_of(body), 0);
}

static void broken(xerr_t err, int status, const char *body, int retry_s)
{
    held_t h = t.held[--t.n];
    h.cb(h.ctx, err, status, span_of(body), retry_s);
}

#define URL (t.n ? t.held[t.n - 1].url : "")

static void a_list_is_read(void **state)
{
    (void)state;
    assert_int_equal(rpc_endpoints(t.r), 2);
    call();
    assert_string_equal(URL, "http://a/");
    assert_int_equal(t.fired, 0);
    reply(200, "7", false);
    assert_int_equal(t.fired, 1);
    assert_int_equal(t.err, XE_OK);
    assert_string_equal(t.result, "7");
}

static void none_is_down(void **state)
{
    (void)state;
    call();
    assert_int_equal(t.fired, 0);
    loop_poll(t.l, 100);
    loop_end_turn(t.l);
    assert_int_equal(t.fired, 1);
    assert_int_equal(t.err, XE_DOWN);
}

/* Whatever goes wrong at the first endpoint, the second one answers the same call. */
static void fails_over_within_a_call(void **state)
{
    (void)state;
    static const struct { xerr_t err; int status; const char *body; } rows[] = {
        {XE_TIMEOUT, 0, ""}, {XE_DOWN, 0, ""}, {XE_OK, 429, "slow down"}, {XE_OK, 403, ""}, {XE_OK, 502, "<html>"}, {XE_OK, 200, "<html>"},
        {XE_OK, 200, ""}, {XE_OK, 200, "{}"}, {XE_OK, 200, "[]"}, {XE_OK, 200, "{\"id\":1,\"result\":1"}, {XE_OK, 200, "{\"id\":999,\"result\":1}"},
        {XE_OK, 200, "{\"id\":\"1\",\"result\":1}"}, {XE_OK, 200, "{\"result\":1}"},
        {XE_OK, 200, "{\"id\":1,\"error\":{\"code\":-32005,\"message\":\"behind\"}}"}, {XE_OK, 200, "{\"id\":null,\"error\":{}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i) {
            teardown(NULL);
            setup(NULL);
        }
        call();
        assert_string_equal(URL, "http://a/");
        assert_true(t.held[0].timeout_ms < 1300 && t.held[0].timeout_ms > 1000); /* the second one has its share */
        broken(rows[i].err, rows[i].status, rows[i].body, 0);
        assert_int_equal(t.fired, 0);
        assert_string_equal(URL, "http://b/");
        reply(200, "8", false);
        assert_int_equal(t.fired, 1);
        assert_int_equal(t.err, XE_OK);
        assert_string_equal(t.result, "8");
    }
}

static void our_own_mistake_is_final(void **state)
{
    (void)state;
    call();
    reply(200, "{\"code\":-32602,\"message\":\"Invalid params\"}", true);
    assert_int_equal(t.fired, 1);
    assert_int_equal(t.err, XE_DENIED);
    call(); /* and the endpoint does not suffer for it */
    assert_string_equal(URL, "http://a/");
    reply(200, "1", false);
}

static void too_large_and_closed_are_final(void **state)
{
    (void)state;
    static const xerr_t errs[] = {XE_TOO_BIG, XE_CLOSED, XE_FULL};
    for (unsigned i = 0; i < 3; i++) {
        call();
        broken(errs[i], 0, "", 0);
        assert_int_equal(t.fired, i + 1);
        assert_int_equal(t.err, errs[i]);
        assert_int_equal(t.n, 0);
    }
}

static void both_fail(void **state)
{
    (void)state;
    call();
    broken(XE_OK, 500, "", 0);
    broken(XE_TIMEOUT, 0, "", 0);
    assert_int_equal(t.fired, 1);
    assert_int_equal(t.err, XE_TIMEOUT);
    assert_true(rpc_rest_ms(t.r) > 0);
    call();
    assert_int_equal(t.n, 0);
    loop_poll(t.l, 100);
    loop_end_turn(t.l);
    assert_int_equal(t.fired, 2);
    assert_int_equal(t.err, XE_DOWN);
}

static void a_refused_result_is_nonsense(void **state)
{
    (void)state;
    t.judged = XE_BAD_INPUT;
    call_with(false, true, 2000);
    reply(200, "1", false);
    assert_string_equal(URL, "http://b/");
    t.judged = XE_OK;
    reply(200, "2", false);
    assert_int_equal(t.err, XE_OK);
    assert_string_equal(t.result, "2");
    rpc_health_t h[RPC_ENDPOINTS_MAX];
    assert_int_equal(rpc_health(t.r, h), 2);
    assert_true(h[0].score < 80 && h[0].failed == 1 && h[0].rest_ms > 0);
    assert_true(h[1].score == 100 && h[1].ok == 1 && h[1].rest_ms == 0);
}

static void retry_after_is_kept(void **state)
{
    (void)state;
    rpc_health_t h[RPC_ENDPOINTS_MAX];
    call();
    broken(XE_OK, 429, "", 7);
    reply(200, "1", false);
    rpc_health(t.r, h);
    assert_in_range(h[0].rest_ms, 6500, 7100);
    call();
    broken(XE_OK, 429, "", 1 << 30);
    rpc_health(t.r, h);
    assert_in_range(h[1].rest_ms, 290000, 300100);
}

/* An endpoint whose slot stands still is passed over for one that follows. */
static void a_lagging_endpoint_loses(void **state)
{
    (void)state;
    call();
    broken(XE_DOWN, 0, "", 0); /* a rests: b shows the newest slot */
    reply(200, "{\"context\":{\"slot\":1000000},\"value\":1}", false);
    int64_t end = mono_ns() + 1500000000LL;
    bool left = false;
    while (mono_ns() < end && !left) { /* a is back, and lags each time it is asked */
        call();
        left = t.n == 1 && strcmp(URL, "http://b/") == 0 && rpc_rest_ms(t.r) == 0;
        rpc_health_t h[RPC_ENDPOINTS_MAX];
        rpc_health(t.r, h);
        left = left && h[0].rest_ms == 0;
        reply(200, strcmp(URL, "http://a/") == 0 ? "{\"context\":{\"slot\":900000},\"value\":1}" : "{\"context\":{\"slot\":1000001},\"value\":1}", false);
        assert_int_equal(t.err, XE_OK); /* what it says is still given: it is late, not wrong */
    }
    assert_true(left);
}

static void the_budget_is_kept(void **state)
{
    (void)state;
    unsigned sent = 0;
    for (int i = 0; i < 40; i++) {
        call_with(true, false, 2000);
        if (t.n) sent++, reply(200, "1", false);
    }
    assert_in_range(sent, 5, 6); /* those that must leave room: a second's worth */
    for (int i = 0; i < 40; i++) {
        call();
        if (t.n) sent++, reply(200, "1", false);
    }
    assert_in_range(sent, 10, 11);
    assert_true(rpc_rest_ms(t.r) > 0 && rpc_rest_ms(t.r) <= 201);
    for (int i = 0; i < 1000 && t.fired < 80; i++) {
        loop_poll(t.l, 10);
        loop_end_turn(t.l);
    }
    assert_int_equal(t.err, XE_FULL);
    assert_int_equal(t.fired, 80);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_list_is_read), cmocka_unit_test_setup_teardown(none_is_down, setup_none, teardown), T(fails_over_within_a_call),
        T(our_own_mistake_is_final), T(too_large_and_closed_are_final), T(both_fail), T(a_refused_result_is_nonsense),
        T(retry_after_is_kept), T(a_lagging_endpoint_loses), cmocka_unit_test_setup_teardown(the_budget_is_kept, setup_budget, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
