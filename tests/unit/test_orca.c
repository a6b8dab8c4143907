/* Pools by polling, against an RPC of this file: the HTTP client is replaced at link time, its calls are kept and
 * answered by the tests. Account bytes are made here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "connectors/orca.h"
#include "connectors/rpc.h"
#include "connectors/scan.h"
#include "reactor/log.h"

#define POOL "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE"
#define PROGRAM "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc"
#define FIXED_LEN 9988

static struct {
    char url[64], body[16384];
    httpc_cb cb;
    void *ctx;
    unsigned calls;
} http;

void httpc_call(httpc_t *c, const httpc_req_t *q, httpc_cb cb, void *ctx)
{
    assert_null(http.cb);
    snprintf(http.url, sizeof http.url, "%s", q->url);
    snprintf(http.body, sizeof http.body, "%.*s", (int)q->body.n, q->body.p);
    http.cb = cb;
    http.ctx = ctx;
    http.calls++;
}

typedef struct {
    loop_t *l;
    metrics_t *m;
    cfg_t cfg;
    eng_conf_t insts;
    rpc_t *rpc;
    orca_t *o;
    char story[4096];
    whirl_pool_t pool;
    whirl_oracle_t oracle;
    uint64_t slot;
    int32_t starts[16];
    bool missing[16];
    unsigned arrays;
} desk_t;

static desk_t *d;

static void on_event(void *ctx, const ev_t *ev)
{
    char kind = '?';
    switch (ev->kind) {
    case EV_CONN: kind = ev->u.conn.up ? 'U' : 'D'; break;
    case EV_POOL: kind = 'P', d->pool = *ev->u.pool.p, d->slot = ev->u.pool.slot; break;
    case EV_POOL_ARRAY:
        kind = 'A';
        d->missing[d->arrays % 16] = ev->u.array.a->missing;
        d->starts[d->arrays++ % 16] = ev->u.array.a->start;
        break;
    case EV_POOL_ORACLE: kind = 'O', d->oracle = *ev->u.oracle.o; break;
    case EV_BOOK_BAD: kind = 'X'; break;
    default: break;
    }
    size_t n = strlen(d->story);
    if (n + 1 < sizeof d->story) d->story[n] = kind;
}

static int setup(void **state)
{
    d = calloc(1, sizeof *d);
    memset(&http, 0, sizeof http);
    d->m = metrics_new();
    d->l = loop_new(d->m);
    d->cfg.feeds_poll_ms = 100;
    d->insts.insts_n = d->insts.pairs_n = 1;
    d->insts.pairs[0].base_decimals = 9;
    d->insts.pairs[0].quote_decimals = 6;
    d->insts.insts[0].venue = VENUE_ORCA;
    strcpy(d->insts.insts[0].market, POOL);
    log_init(open("/dev/null", O_WRONLY), LOG_ERROR);
    const char *urls[] = {"http://first/", "http://second/"};
    d->rpc = rpc_new(d->l, d->m, NULL, &(rpc_conf_t){.urls = urls, .urls_n = 2});
    d->o = orca_open(d->l, NULL, d->m, &d->cfg, &d->insts, d->rpc, (door_t){on_event, NULL}, NULL);
    return 0;
}

static int teardown(void **state)
{
    orca_stop(d->o);
    orca_free(d->o);
    if (http.cb) http.cb(http.ctx, XE_CLOSED, 0, (span_t){NULL, 0}, 0); /* a read in flight ends after its owner */
    rpc_free(d->rpc);
    loop_free(d->l);
    metrics_free(d->m);
    free(d);
    return 0;
}

static void until_asked(void)
{
    int64_t end = mono_ns() + 5000000000LL;
    while (!http.cb && mono_ns() < end) {
        loop_poll(d->l, 5);
        loop_end_turn(d->l);
    }
    assert_non_null(http.cb);
}

static void answer(int status, const char *body, int retry_after_s)
{
    httpc_cb cb = http.cb;
    http.cb = NULL;
    cb(http.ctx, XE_OK, status, span_of(body), retry_after_s);
}

static void put(uint8_t *p, u128_t v, int n)
{
    for (int i = 0; i < n; i++, v >>= 8) p[i] = (uint8_t)v;
}

static void pool_bytes(uint8_t p[WHIRL_POOL_LEN], int32_t tick)
{
    static const uint8_t tag[8] = {0x3f, 0x95, 0xd1, 0x0c, 0xe1, 0x80, 0x63, 0x09};
    u128_t sqrt_price;
    memset(p, 0, WHIRL_POOL_LEN);
    memcpy(p, tag, 8);
    put(p + 41, 4, 2);
    put(p + 43, 4, 2);
    put(p + 45, 400, 2);
    put(p + 49, 123456789012345, 16);
    assert_int_equal(whirl_sqrt_of_tick(tick, &sqrt_price), XE_OK);
    put(p + 65, sqrt_price, 16);
    put(p + 81, (u128_t)(uint32_t)tick, 4);
    assert_int_equal(b58_key(SPAN_LIT("So11111111111111111111111111111111111111112"), p + 101), XE_OK);
    assert_int_equal(b58_key(SPAN_LIT("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"), p + 181), XE_OK);
}

static void array_bytes(uint8_t p[FIXED_LEN], int32_t start)
{
    static const uint8_t tag[8] = {0x45, 0x61, 0xbd, 0xbe, 0x6e, 0x07, 0x42, 0xbb};
    memset(p, 0, FIXED_LEN);
    memcpy(p, tag, 8);
    put(p + 8, (u128_t)(uint32_t)start, 4);
    p[12] = 1; /* the first tick is initialised */
    put(p + 13, 777, 16);
    put(p + 29, 777, 16);
    assert_int_equal(b58_key(SPAN_LIT(POOL), p + 9956), XE_OK);
}

static char reply[200000];

static size_t begin(uint64_t slot)
{
    span_t id;
    assert_true(scan_get(span_of(http.body), "id", &id));
    return (size_t)snprintf(reply, sizeof reply, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"value\":[", (int)id.n, id.p) + 0 * slot;
}

static size_t account(size_t at, const uint8_t *bytes, size_t n, const char *owner)
{
    static char b64[16000];
    assert_true(n == 0 || b64_encode(bytes, n, b64, sizeof b64) > 0);
    if (reply[at - 1] == '}' || reply[at - 1] == 'l') reply[at++] = ',';
    return at + (size_t)snprintf(reply + at, sizeof reply - at, "{\"rentEpoch\":18446744073709551615,\"data\":[\"%s\",\"base64\"],\"owner\":\"%s\","
                                 "\"lamports\":1,\"executable\":false,\"space\":%zu}", n ? b64 : "", owner, n);
}

static void end(size_t at, uint64_t slot)
{
    snprintf(reply + at, sizeof reply - at, "],\"context\":{\"apiVersion\":\"2.3\",\"slot\":%llu}}}", (unsigned long long)slot);
    answer(200, reply, 0);
}

static void pool_only(uint64_t slot, int32_t tick)
{
    uint8_t p[WHIRL_POOL_LEN];
    pool_bytes(p, tick);
    until_asked();
    end(account(begin(slot), p, sizeof p, PROGRAM), slot);
}

static unsigned accounts_asked(void)
{
    unsigned n = 0;
    for (const char *p = strstr(http.body, "[["); p && *p != ']'; p++) n += *p == '"';
    return n / 2;
}

/* Pool and five arrays; the last array does not exist on the chain. */
static void whole(uint64_t slot, int32_t tick, int32_t first)
{
    uint8_t p[WHIRL_POOL_LEN], a[FIXED_LEN];
    until_asked();
    assert_int_equal(accounts_asked(), 6);
    pool_bytes(p, tick);
    size_t at = account(begin(slot), p, sizeof p, PROGRAM);
    for (int i = 0; i < 4; i++) {
        array_bytes(a, first + i * 352);
        at = account(at, a, sizeof a, PROGRAM);
    }
    at += (size_t)snprintf(reply + at, sizeof reply - at, ",null");
    end(at, slot);
}

static void reads_pool_then_arrays(void **state)
{
    until_asked();
    assert_int_equal(accounts_asked(), 1);
    assert_non_null(strstr(http.body, "\"getMultipleAccounts\",\"params\":[[\"" POOL "\"],{\"encoding\":\"base64\",\"commitment\":\"confirmed\"}]"));
    pool_only(100, -20000);
    assert_string_equal(d->story, "UP");
    assert_int_equal(d->pool.tick, -20000);
    whole(101, -19999, -20768); /* -20064 holds -20000; two rows below it */
    assert_string_equal(d->story, "UPAAAAAP");
    assert_int_equal(d->slot, 101);
    assert_int_equal(d->starts[0], -20768);
    assert_int_equal(d->starts[4], -19360);
    assert_true(d->missing[4] && !d->missing[3]);
    assert_string_equal(orca_health(d->o)->state, "LIVE");
}

static void an_older_slot_changes_nothing(void **state)
{
    pool_only(100, -20000);
    whole(101, -19999, -20768);
    whole(99, -20001, -20768);
    assert_string_equal(d->story, "UPAAAAAP");
    assert_int_equal(d->pool.tick, -19999);
    whole(101, -19999, -20768); /* the same again is fine */
    assert_string_equal(d->story, "UPAAAAAPAAAAAP");
}

static void follows_the_price(void **state)
{
    pool_only(100, -20000);
    whole(101, -19000, -20768); /* the price stands in -19008..-18656 now: rows from -19712 */
    until_asked();
    assert_int_equal(accounts_asked(), 6);
    assert_int_equal(d->pool.tick, -19000);
}

static void refuses_what_is_not_the_account(void **state)
{
    uint8_t p[WHIRL_POOL_LEN];
    pool_only(100, -20000);
    whole(101, -20000, -20768);
    d->story[0] = 0;
    memset(d->story, 0, sizeof d->story);
    pool_bytes(p, -20000);
    for (int i = 0; i < 4; i++) {
        until_asked();
        size_t at = begin(102);
        if (i == 0) at = account(at, p, sizeof p, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
        if (i == 1) at = account(at, p, sizeof p - 1, PROGRAM);
        if (i == 2) at = account(at, (const uint8_t *)"x", 1, PROGRAM);
        if (i == 3) at += (size_t)snprintf(reply + at, sizeof reply - at, "null");
        for (int k = 0; k < 5; k++) at += (size_t)snprintf(reply + at, sizeof reply - at, ",null");
        end(at, 102);
        assert_string_equal(strchr(d->story, 'X'), "X"); /* the last event: nothing may use the pool now */
        assert_null(strchr(d->story, 'P'));
        memset(d->story, 0, sizeof d->story);
    }
    whole(103, -20000, -20768);
    assert_string_equal(d->story, "AAAAAP");
}

static void other_mints_are_left_out(void **state)
{
    uint8_t p[WHIRL_POOL_LEN];
    pool_bytes(p, -20000);
    p[181] ^= 1;
    until_asked();
    end(account(begin(5), p, sizeof p, PROGRAM), 5);
    assert_string_equal(d->story, "");
    until_asked();
    assert_int_equal(accounts_asked(), 1);
}

/* The address of the oracle is derived; what answers under it is judged like every account. */
static void an_adaptive_pool_brings_its_oracle(void **state)
{
    static const uint8_t tag[8] = {0x8b, 0xc2, 0x83, 0xb3, 0x8c, 0xb3, 0xe5, 0xf4};
    uint8_t p[WHIRL_POOL_LEN], o[WHIRL_ORACLE_LEN] = {0};
    pool_bytes(p, -20000);
    put(p + 43, 1025, 2);
    memcpy(o, tag, 8);
    assert_int_equal(b58_key(SPAN_LIT(POOL), o + 8), XE_OK);
    put(o + 48, 10, 2), put(o + 50, 100, 2), put(o + 54, 1000, 4), put(o + 58, 350000, 4), put(o + 62, 4, 2), put(o + 106, 77, 4);
    until_asked();
    end(account(begin(100), p, sizeof p, PROGRAM), 100);
    for (int i = 0; i < 3; i++) {
        memset(d->story, 0, sizeof d->story);
        put(o + 62, i == 1 ? 3 : 4, 2); /* a group size that does not divide the spacing */
        until_asked();
        assert_int_equal(accounts_asked(), 7);
        size_t at = account(begin(101 + (uint64_t)i), p, sizeof p, PROGRAM);
        at = account(at, o, sizeof o, PROGRAM);
        for (int k = 0; k < 5; k++) at += (size_t)snprintf(reply + at, sizeof reply - at, ",null");
        end(at, 101 + (uint64_t)i);
        assert_string_equal(d->story, i == 1 ? "XAAAAAP" : "OAAAAAP");
    }
    assert_true(d->oracle.volatility == 77 && d->oracle.group_size == 4 && d->pool.fee_tier_index == 1025);
}

static void falls_back_and_returns(void **state)
{
    until_asked();
    assert_string_equal(http.url, "http://first/");
    answer(429, "slow down", 1);
    until_asked();
    assert_string_equal(http.url, "http://second/");
    pool_only(100, -20000);
    until_asked();
    assert_string_equal(http.url, "http://second/"); /* Retry-After is kept */
    answer(200, "{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":7}", 0); /* not our id */
    int64_t from = mono_ns();
    until_asked(); /* both rest: nothing is asked before one is through */
    assert_true(mono_ns() - from > 200000000);
    answer(200, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32005,\"message\":\"behind\"},\"id\":4}", 0);
    assert_string_equal(d->story, "UP");
}

static void nonsense_is_refused(void **state)
{
    static const char *const bodies[] = {"", "<html>", "{", "[]", "{\"jsonrpc\":\"2.0\"}", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
                                         "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"context\":{\"slot\":\"x\"},\"value\":[]}}"};
    until_asked();
    answer(200, bodies[0], 0);
    for (size_t i = 1; i < sizeof bodies / sizeof *bodies; i++) {
        until_asked();
        answer(200, bodies[i], 0);
    }
    assert_string_equal(d->story, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reads_pool_then_arrays),  T(an_older_slot_changes_nothing), T(follows_the_price), T(refuses_what_is_not_the_account),
        T(other_mints_are_left_out), T(an_adaptive_pool_brings_its_oracle), T(falls_back_and_returns),       T(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
