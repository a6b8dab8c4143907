/* Feeds against a websocket server of this file on loopback, without TLS: what is said, in which order events come, and
 * what happens when the venue misbehaves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/feeds.h"
#include "reactor/log.h"
#include "reactor/ws_frame.h"
#include "reactor/ws_handshake.h"

#define PEERS 8

typedef struct {
    int fd;
    bool talking;    /* handshake done */
    char in[16384];
    size_t n;
    char *out;       /* not yet taken by the kernel */
    size_t out_n;
    char said[8192]; /* text messages, one per line */
} peer_t;

typedef struct {
    loop_t *l;
    metrics_t *m;
    cfg_t cfg;
    eng_conf_t insts;
    feeds_t *f;
    int listener;
    char url[64];
    peer_t peers[PEERS]; /* in order of arrival; never reused */
    unsigned peers_n;
    char story[65536];   /* events as letters with the instrument: U D a B S E X; levels are counted */
    uint64_t levels, turns;
} desk_t;

static desk_t *d;

static void tell(char kind, inst_t i)
{
    size_t n = strlen(d->story);
    if (n + 4 < sizeof d->story) snprintf(d->story + n, 4, i >= 0 ? "%c%d" : "%c", kind, i);
}

static void on_event(void *ctx, const ev_t *ev)
{
    switch (ev->kind) {
    case EV_CONN: tell(ev->u.conn.up ? 'U' : 'D', -1); break;
    case EV_BOOK_BEGIN: tell(ev->u.begin.snapshot ? 'S' : 'B', ev->inst); break;
    case EV_BOOK_LEVELS: d->levels += ev->u.levels.n; break;
    case EV_BOOK_END: tell('E', ev->inst); break;
    case EV_BOOK_BAD: tell('X', ev->inst); break;
    default: break;
    }
}

static void accept_peer(void)
{
    int fd = accept(d->listener, NULL, NULL);
    if (fd < 0) return;
    assert_true(d->peers_n < PEERS);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    d->peers[d->peers_n++] = (peer_t){.fd = fd};
}

static void push(peer_t *p, const void *bytes, size_t n)
{
    p->out = realloc(p->out, p->out_n + n);
    memcpy(p->out + p->out_n, bytes, n);
    p->out_n += n;
}

static void handshake(peer_t *p)
{
    char accept_text[WS_ACCEPT_TEXT + 1], answer[256];
    if (!memmem(p->in, p->n, "\r\n\r\n", 4)) return;
    const char *key = strcasestr(p->in, "sec-websocket-key: ");
    assert_non_null(key);
    key += 19;
    ws_accept_text(span_make(key, strcspn(key, "\r")), accept_text);
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept_text);
    push(p, answer, (size_t)n);
    p->talking = true;
    p->n = 0;
}

static void hear(peer_t *p)
{
    ws_head_t h;
    while (ws_head_parse((const uint8_t *)p->in, p->n, &h) == XE_OK && p->n >= h.head_n + h.len) {
        char *text = p->in + h.head_n;
        ws_unmask(text, h.len, h.mask, 0);
        if (h.op == WS_TEXT) {
            size_t at = strlen(p->said);
            assert_true(at + h.len + 2 < sizeof p->said);
            memcpy(p->said + at, text, h.len);
            p->said[at + h.len] = '\n';
            p->said[at + h.len + 1] = 0;
        }
        p->n -= h.head_n + h.len;
        memmove(p->in, text + h.len, p->n);
    }
}

static void serve_peer(peer_t *p)
{
    if (p->fd < 0) return;
    ssize_t n = recv(p->fd, p->in + p->n, sizeof p->in - p->n - 1, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close(p->fd);
        p->fd = -1;
        return;
    }
    if (n > 0) p->n += (size_t)n;
    p->in[p->n] = 0;
    if (!p->talking) handshake(p);
    if (p->talking) hear(p);
    n = p->out_n ? send(p->fd, p->out, p->out_n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n <= 0) return;
    p->out_n -= (size_t)n;
    memmove(p->out, p->out + n, p->out_n);
}

static void turn(void)
{
    loop_poll(d->l, 2);
    loop_end_turn(d->l);
    d->turns++;
    accept_peer();
    for (unsigned i = 0; i < d->peers_n; i++) serve_peer(&d->peers[i]);
}

static void frame(unsigned peer, uint8_t op, const char *text, size_t n)
{
    uint8_t head[10];
    push(&d->peers[peer], head, ws_head_write(head, op, n));
    push(&d->peers[peer], text, n);
}

static void say(unsigned peer, const char *text) { frame(peer, WS_TEXT, text, strlen(text)); }

static const feed_health_t *health(void)
{
    static feed_health_t h;
    assert_int_equal(feeds_health(d->f, &h, 1), 1);
    return &h;
}

static bool state_is(const char *s) { return strcmp(health()->state, s) == 0; }
static bool heard(unsigned peer, const char *text) { return peer < d->peers_n && strstr(d->peers[peer].said, text); }
static bool told(const char *text) { return strstr(d->story, text) != NULL; }

#define UNTIL(cond, ms)                                                                    \
    do {                                                                                   \
        int64_t end_ns = mono_ns() + (ms) * 1000000LL;                                     \
        while (!(cond) && mono_ns() < end_ns) turn();                                      \
        if (!(cond)) fail_msg("never came: %s; state %s, story %s", #cond, health()->state, d->story); \
    } while (0)

static void add_inst(venue_t v, const char *market)
{
    inst_conf_t *c = &d->insts.insts[d->insts.insts_n++];
    c->venue = v;
    snprintf(c->market, sizeof c->market, "%s", market);
}

static void open_server(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    d->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(bind(d->listener, (struct sockaddr *)&a, n) == 0 && listen(d->listener, 8) == 0);
    assert_int_equal(getsockname(d->listener, (struct sockaddr *)&a, &n), 0);
    snprintf(d->url, sizeof d->url, "ws://127.0.0.1:%u/feed?x=1", ntohs(a.sin_port));
}

static int setup(void **state)
{
    d = calloc(1, sizeof *d);
    d->m = metrics_new();
    d->l = loop_new(d->m);
    d->cfg.feeds_frame_max = 8 << 20;
    d->cfg.feeds_slice_us = 2000;
    open_server();
    log_set_level(LOG_ERROR);
    return 0;
}

static int teardown(void **state)
{
    if (d->f) feeds_drain(d->f);
    for (int i = 0; i < 200 && d->f && !feeds_idle(d->f); i++) turn();
    feeds_close(d->f);
    for (unsigned i = 0; i < d->peers_n; i++) {
        free(d->peers[i].out);
        if (d->peers[i].fd >= 0) close(d->peers[i].fd);
    }
    close(d->listener);
    loop_free(d->l);
    metrics_free(d->m);
    free(d);
    return 0;
}

static void start(venue_t v, const char *protocol)
{
    char *url = v == VENUE_COINBASE ? d->cfg.feeds_coinbase_url : v == VENUE_GEMINI ? d->cfg.feeds_gemini_url : d->cfg.feeds_bitstamp_url;
    char *name = v == VENUE_COINBASE ? d->cfg.feeds_coinbase_protocol : v == VENUE_GEMINI ? d->cfg.feeds_gemini_protocol : d->cfg.feeds_bitstamp_protocol;
    snprintf(url, CFG_STR_MAX, "%s", d->url);
    snprintf(name, CFG_STR_MAX, "%s", protocol);
    feeds_conf_t c = {.loop = d->l, .metrics = d->m, .cfg = &d->cfg, .insts = &d->insts, .door = {on_event, NULL}};
    d->f = feeds_open(&c);
}

#define CB(seq, type, rows) "{\"channel\":\"l2_data\",\"timestamp\":\"2026-11-20T10:00:00Z\",\"sequence_num\":" #seq ",\"events\":[{\"type\":\"" type \
    "\",\"product_id\":\"SOL-USD\",\"updates\":[" rows "]}]}"
#define ROW(side, px, qty) "{\"side\":\"" side "\",\"event_time\":\"x\",\"price_level\":\"" px "\",\"new_quantity\":\"" qty "\"}"
#define SNAPSHOT CB(0, "snapshot", ROW("bid", "20", "1") "," ROW("offer", "21", "1"))

static void coinbase_live(void)
{
    add_inst(VENUE_COINBASE, "SOL-USD");
    start(VENUE_COINBASE, "coinbase-advanced");
    UNTIL(heard(0, "\"level2\""), 3000);
    say(0, SNAPSHOT);
    UNTIL(state_is("LIVE"), 2000);
}

static void coinbase_gap_reconnects(void **state)
{
    coinbase_live();
    assert_string_equal(d->peers[0].said, "{\"type\":\"subscribe\",\"product_ids\":[\"SOL-USD\"],\"channel\":\"heartbeats\"}\n"
                                          "{\"type\":\"subscribe\",\"product_ids\":[\"SOL-USD\"],\"channel\":\"level2\"}\n");
    assert_string_equal(d->story, "US0E0");
    say(0, CB(1, "update", ROW("bid", "20", "0")));
    say(0, CB(3, "update", ROW("bid", "19", "1")));
    UNTIL(told("X0D"), 2000);
    assert_string_equal(d->story, "US0E0B0E0X0D");
    UNTIL(heard(1, "\"level2\""), 2000);
    say(1, CB(0, "update", ROW("bid", "18", "1"))); /* not a snapshot: nothing may be applied */
    say(1, CB(1, "snapshot", ROW("bid", "20", "1")));
    UNTIL(state_is("LIVE"), 2000);
    assert_string_equal(d->story, "US0E0B0E0X0DUS0E0");
    assert_int_equal(health()->gaps, 1);
    assert_int_equal(health()->reconnects, 1);
    feeds_resync(d->f, 0, XE_CROSSED);
    UNTIL(told("X0DU"), 2000);
}

static void broken_messages_reconnect(void **state)
{
    coinbase_live();
    say(0, "{\"channel\":\"l2_data\",");
    UNTIL(told("X0D"), 2000);
    UNTIL(heard(1, "\"level2\""), 2000);
    frame(1, WS_BINARY, "{}", 2);
    UNTIL(heard(2, "\"level2\""), 3000);
    say(2, SNAPSHOT "\xff");
    UNTIL(heard(3, "\"level2\""), 4000);
    assert_int_equal(health()->garbled, 2);
    assert_int_equal(health()->reconnects, 3);
    assert_false(state_is("LIVE"));
}

static void a_message_past_its_ceiling(void **state)
{
    size_t n = 200000;
    char *text = malloc(n);
    memset(text, ' ', n);
    d->cfg.feeds_frame_max = 65536;
    coinbase_live();
    frame(0, WS_TEXT, text, n);
    UNTIL(told("D"), 2000);
    assert_int_equal(health()->reconnects, 1);
    free(text);
}

/* Three megabytes, then updates right behind: read over many turns, in order. */
static void large_snapshot_in_slices(void **state)
{
    size_t cap = 4 << 20, n;
    char *text = malloc(cap);
    unsigned rows = 0;
    d->cfg.feeds_slice_us = 100;
    n = (size_t)snprintf(text, cap, "{\"channel\":\"l2_data\",\"timestamp\":\"x\",\"sequence_num\":1,\"events\":[{\"type\":\"snapshot\",\"product_id\":\"SOL-USD\",\"updates\":[");
    for (; n < 3000000; rows++)
        n += (size_t)snprintf(text + n, cap - n, "%s" ROW("bid", "1%06u", "2"), rows ? "," : "", rows);
    n += (size_t)snprintf(text + n, cap - n, "]}]}");
    coinbase_live();
    uint64_t before = d->turns, levels = d->levels;
    frame(0, WS_TEXT, text, n);
    say(0, CB(2, "update", ROW("bid", "7", "1")));
    say(0, CB(3, "update", ROW("bid", "8", "1")));
    UNTIL(told("S0E0S0E0B0E0B0E0"), 8000);
    assert_int_equal(d->levels - levels, rows + 2);
    assert_true(d->turns - before > 20);
    assert_int_equal(health()->gaps, 0);
    free(text);
}

#define GM(s, first, last, b) "{\"e\":\"depthUpdate\",\"E\":1795168800123456789,\"s\":\"" s "\",\"U\":" #first ",\"u\":" #last ",\"b\":[" b "],\"a\":[]}"

static void gemini_resyncs_one_symbol(void **state)
{
    add_inst(VENUE_GEMINI, "solusd");
    add_inst(VENUE_GEMINI, "usdcusd");
    start(VENUE_GEMINI, "gemini-depth");
    UNTIL(heard(0, "usdcusd@depth@100ms"), 3000);
    say(0, GM("solusd", 10, 10, "[\"20\",\"1\"]"));
    say(0, "{\"id\":\"s0\",\"status\":200}");
    say(0, GM("usdcusd", 11, 11, "[\"1\",\"1\"]"));
    UNTIL(told("S1E1"), 2000);
    say(0, GM("solusd", 20, 30, "[\"19\",\"1\"]"));
    UNTIL(heard(0, "{\"id\":\"u0\",\"method\":\"unsubscribe\",\"params\":[\"solusd@depth@100ms\"]}"), 2000);
    assert_true(told("X0") && !told("X1") && !told("D"));
    say(0, GM("solusd", 30, 30, "[\"18\",\"1\"]")); /* still of the old stream */
    say(0, "{\"id\":\"u0\",\"status\":200}");
    UNTIL(strstr(strstr(d->peers[0].said, "\"u0\"") ? strstr(d->peers[0].said, "\"u0\"") : "", "\"s0\""), 2000);
    say(0, GM("usdcusd", 11, 35, "[\"2\",\"1\"]"));
    say(0, GM("solusd", 40, 40, "[\"20\",\"1\"]"));
    UNTIL(told("X0B1E1S0E0"), 2000);
    assert_int_equal(health()->resyncs, 1);
    assert_int_equal(health()->reconnects, 0);
    UNTIL(heard(0, "{\"id\":\"p\",\"method\":\"ping\"}"), 4000);
    feeds_resync(d->f, 1, XE_CROSSED);
    UNTIL(heard(0, "\"u1\""), 1000);
    assert_true(told("X1"));
}

static void silence_reconnects(void **state)
{
    coinbase_live();
    int64_t from = mono_ns();
    UNTIL(told("D"), 7000);
    assert_true(mono_ns() - from > 4500000000LL);
    assert_int_equal(health()->reconnects, 1);
}

#define WHOLE(micro) "{\"data\":{\"microtimestamp\":\"" #micro "\",\"bids\":[[\"20\",\"1\"]],\"asks\":[[\"21\",\"1\"]]},\"channel\":\"order_book_solusd\",\"event\":\"data\"}"

/* A venue that asks to be left is left and called again at once, without back-off. */
static void asked_to_connect_again(void **state)
{
    add_inst(VENUE_BITSTAMP, "SOL/USD");
    start(VENUE_BITSTAMP, "bitstamp-book");
    UNTIL(heard(0, "{\"event\":\"bts:subscribe\",\"data\":{\"channel\":\"order_book_solusd\"}}"), 3000);
    say(0, "{\"event\":\"bts:subscription_succeeded\",\"channel\":\"order_book_solusd\",\"data\":{}}");
    say(0, WHOLE(1000));
    UNTIL(state_is("LIVE"), 2000);
    say(0, WHOLE(1001));
    UNTIL(told("US0E0S0E0"), 2000);
    say(0, "{\"event\":\"bts:request_reconnect\",\"channel\":\"\",\"data\":null}");
    UNTIL(heard(1, "order_book_solusd"), 2000);
    say(1, WHOLE(1002));
    UNTIL(state_is("LIVE"), 2000);
    assert_string_equal(d->story, "US0E0S0E0DUS0E0");
    say(1, "{\"event\":\"bts:request_reconnect\",\"channel\":\"\",\"data\":\"\"}");
    UNTIL(state_is("BACKOFF"), 2000); /* but not for ever */
}

static void nobody_listens(void **state)
{
    close(d->listener);
    add_inst(VENUE_COINBASE, "SOL-USD");
    start(VENUE_COINBASE, "coinbase-advanced");
    UNTIL(health()->reconnects >= 3, 4000);
    assert_string_equal(d->story, ""); /* never up: nothing to take back */
    d->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void wrong_settings(void **state)
{
    feed_health_t h[4];
    snprintf(d->url, sizeof d->url, "http://127.0.0.1:1/");
    add_inst(VENUE_COINBASE, "SOL-USD");
    add_inst(VENUE_GEMINI, "solusd");
    log_init(open("/dev/null", O_WRONLY), LOG_ERROR);
    snprintf(d->cfg.feeds_gemini_url, CFG_STR_MAX, "%s", d->url);
    snprintf(d->cfg.feeds_gemini_protocol, CFG_STR_MAX, "no-such-protocol");
    start(VENUE_COINBASE, "coinbase-advanced");
    assert_int_equal(feeds_health(d->f, h, 4), 1);
    assert_string_equal(h[0].state, "DOWN");
    feeds_resync(d->f, 0, XE_GAP);
    feeds_resync(d->f, 77, XE_GAP);
    for (int i = 0; i < 5; i++) turn();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(coinbase_gap_reconnects), T(broken_messages_reconnect), T(a_message_past_its_ceiling), T(large_snapshot_in_slices),
        T(gemini_resyncs_one_symbol), T(silence_reconnects), T(asked_to_connect_again), T(nobody_listens), T(wrong_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
