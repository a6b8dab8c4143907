#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reactor/hub.h"
#include "reactor/log.h"
#include "reactor/ws_frame.h"

#define PEERS 64

typedef struct {
    ws_t *ws;
    int opened, closed;
    unsigned code;
    char last[64];
} seat_t;

typedef struct {
    metrics_t *m;
    loop_t *l;
    http_t *http;
    hub_t *hub;
    int events, states;
    seat_t seats[PEERS];
    int n;
} env_t;

typedef struct {
    int fd;
    char buf[1 << 16];
    size_t n;
} peer_t;

static const hub_filter_t all = {.key = 0, .pair = -1, .venue = -1, .min_value = INT64_MIN};
static const hub_attr_t everybody = {.key = 0, .pair = -1, .venue_a = -1, .venue_b = -1};

static void on_request(void *ctx, req_t *r)
{
    env_t *e = ctx;
    assert_true(e->n < PEERS);
    if (hub_upgrade(e->hub, r, &e->seats[e->n]) == XE_OK) e->n++;
}

static void on_open(void *ctx, ws_t *ws)
{
    seat_t *s = ws_user(ws);
    assert_int_equal(s->opened++, 0);
    s->ws = ws;
}

static void on_text(void *ctx, ws_t *ws, span_t text)
{
    seat_t *s = ws_user(ws);
    assert_int_equal(s->opened, 1);
    snprintf(s->last, sizeof s->last, "%.*s", (int)text.n, text.p);
    if (span_is(text, "echo")) ws_send(ws, text);
}

static void on_close(void *ctx, ws_t *ws, unsigned code)
{
    seat_t *s = ws_user(ws);
    assert_int_equal(s->opened, 1);
    assert_int_equal(s->closed++, 0);
    s->code = code;
    s->ws = NULL;
}

static void turn(env_t *e, int ms)
{
    loop_poll(e->l, ms);
    hub_flush(e->hub);
    http_flush(e->http);
    loop_end_turn(e->l);
}

static void turns(env_t *e, int n)
{
    while (n--) turn(e, 1);
}

static int setup_with(void **state, unsigned ping_ms, unsigned dead_ms, unsigned slice)
{
    env_t *e = calloc(1, sizeof *e);
    const char *why = "";
    http_conf_t c = {.listen_addr = "127.0.0.1",
                     .head_ms = 1000,
                     .body_ms = 1000,
                     .idle_ms = 5000,
                     .write_ms = 2000,
                     .drain_ms = 500,
                     .line_max = 8192,
                     .head_max = 16384,
                     .lines_max = 100,
                     .target_max = 8192,
                     .body_max = 65536,
                     .conns_max = 1000,
                     .conns_per_addr = 1000,
                     .pipeline_max = 16,
                     .fd_reserve = 16,
                     .trusted_proxies = ""};
    hub_conf_t hc = {.ring_bytes = 1 << 20,
                     .sub_bytes_max = 256 << 10,
                     .sub_events_max = 1024,
                     .msg_max = 16384,
                     .frags_max = 64,
                     .ping_ms = ping_ms,
                     .dead_ms = dead_ms,
                     .slice = slice,
                     .subs_max = PEERS - 1};
    log_init(2, LOG_ERROR);
    e->m = metrics_new();
    e->l = loop_new(e->m);
    e->hub = hub_open(e->l, e->m, &hc, (hub_hooks_t){on_open, on_text, on_close, e});
    e->events = hub_topic(e->hub, "events", false);
    e->states = hub_topic(e->hub, "states", true);
    *state = e;
    return http_open(e->l, e->m, &c, (http_hooks_t){NULL, on_request, NULL, e}, &e->http, &why) == XE_OK ? 0 : -1;
}

static int setup(void **state)
{
    return setup_with(state, 60000, 60000, 128);
}
static int setup_pings(void **state)
{
    return setup_with(state, 100, 200, 128);
}
static int setup_slices(void **state)
{
    return setup_with(state, 60000, 60000, 4);
}

static int teardown(void **state)
{
    env_t *e = *state;
    http_close(e->http);
    loop_end_turn(e->l);
    hub_free(e->hub);
    loop_end_turn(e->l);
    for (int i = 0; i < e->n; i++) assert_int_equal(e->seats[i].closed, 1);
    loop_free(e->l);
    metrics_free(e->m);
    free(e);
    return 0;
}

/* ---- the other side ----------------------------------------------------------------------------------------------- */

static void pull(peer_t *p)
{
    ssize_t n;
    while (p->n < sizeof p->buf && (n = recv(p->fd, p->buf + p->n, sizeof p->buf - p->n, MSG_DONTWAIT)) > 0)
        p->n += (size_t)n;
}

static void peer_open(env_t *e, peer_t *p, int rcvbuf)
{
    static const char hello[] =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(http_port(e->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *p = (peer_t){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (rcvbuf) setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(send(p->fd, hello, sizeof hello - 1, 0), sizeof hello - 1);
    for (int i = 0; i < 50 && !memmem(p->buf, p->n, "\r\n\r\n", 4); i++) {
        turn(e, 1);
        pull(p);
    }
    assert_memory_equal(p->buf, "HTTP/1.1 101 ", 13);
    p->n = 0;
    turns(e, 2);
}

static void peer_say(peer_t *p, uint8_t op, const char *body, size_t n)
{
    static const uint8_t mask[4] = {9, 8, 7, 6};
    char out[512];
    uint8_t head[10];
    size_t h = ws_head_write(head, op, n);
    head[1] |= 0x80;
    memcpy(out, head, h);
    memcpy(out + h, mask, 4);
    if (n) memcpy(out + h + 4, body, n);
    ws_unmask(out + h + 4, n, mask, 0);
    assert_int_equal(send(p->fd, out, h + 4 + n, MSG_NOSIGNAL), h + 4 + n);
}

/* The next frame the peer got; false when there is none. Closing frames give their code in *code. */
static bool peer_next(peer_t *p, char *text, size_t cap, unsigned *code)
{
    pull(p);
    if (p->n < 2) return false;
    size_t n = (uint8_t)p->buf[1] & 127, h = 2;
    if (n == 126) {
        n = (size_t)((uint8_t)p->buf[2] << 8 | (uint8_t)p->buf[3]);
        h = 4;
    }
    if (p->n < h + n) return false;
    uint8_t op = (uint8_t)p->buf[0] & 15;
    *code = op == WS_CLOSE && n >= 2 ? (unsigned)((uint8_t)p->buf[h] << 8 | (uint8_t)p->buf[h + 1]) : 0;
    snprintf(text, cap, "%s%.*s",
             op == WS_PING    ? "PING"
             : op == WS_PONG  ? "PONG"
             : op == WS_CLOSE ? "CLOSE"
                              : "",
             op == WS_CLOSE ? 0 : (int)n, p->buf + h);
    memmove(p->buf, p->buf + h + n, p->n - h - n);
    p->n -= h + n;
    return true;
}

static void expect(env_t *e, peer_t *p, const char *part)
{
    char text[2048] = "";
    unsigned code;
    for (int i = 0; i < 200; i++) {
        if (peer_next(p, text, sizeof text, &code)) {
            if (!strstr(text, part)) fail_msg("got %s, expected %s", text, part);
            return;
        }
        turn(e, 1);
    }
    fail_msg("nothing came, expected %s", part);
}

static void expect_nothing(env_t *e, peer_t *p)
{
    char text[256];
    unsigned code;
    turns(e, 5);
    if (peer_next(p, text, sizeof text, &code)) fail_msg("unexpected %s", text);
}

static void expect_close(env_t *e, peer_t *p, unsigned want)
{
    char text[256];
    unsigned code = 0;
    for (int i = 0; i < 300 && !code; i++) {
        while (!code && peer_next(p, text, sizeof text, &code)) continue;
        turn(e, 1);
    }
    assert_int_equal(code, want);
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void talks(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p, 0);
    peer_say(&p, WS_TEXT, "echo", 4);
    expect(e, &p, "echo");
    peer_say(&p, WS_PING, "hi", 2);
    expect(e, &p, "PONGhi");
    peer_say(&p, WS_CLOSE, "\x0f\xa1", 2);
    expect_close(e, &p, 4001);
    turns(e, 3);
    assert_int_equal(e->seats[0].closed, 1);
    assert_int_equal(e->seats[0].code, 4001);
    assert_int_equal(hub_subscribers(e->hub), 0);
    close(p.fd);
}

static void publishes_to_who_joined(void **state)
{
    env_t *e = *state;
    peer_t a, b;
    peer_open(e, &a, 0);
    peer_open(e, &b, 0);
    assert_int_equal(hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("1")), 1);
    hub_join(e->hub, e->seats[0].ws, e->events, &all);
    assert_int_equal(hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("{\"n\":2}")), 2);
    ws_send(e->seats[0].ws, SPAN_LIT("direct"));
    assert_int_equal(hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("3")), 3);
    expect(e, &a, "{\"channel\":\"events\",\"seq\":2,\"ts\":\"20");
    expect(e, &a, "direct");
    expect(e, &a, "\"seq\":3,");
    expect_nothing(e, &b);
    hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("4"));
    hub_leave(e->hub, e->seats[0].ws, e->events);
    expect_nothing(e, &a);
    assert_int_equal(hub_seq(e->hub, e->events), 4);
    close(a.fd);
    close(b.fd);
}

static void filters(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p, 0);
    hub_filter_t f = {.key = 0, .pair = 3, .venue = 1, .min_value = 100};
    hub_join(e->hub, e->seats[0].ws, e->events, &f);
    static const hub_attr_t rows[] = {
        {.pair = 2, .venue_a = 1, .venue_b = 2, .value = 200},
        {.pair = 3, .venue_a = 0, .venue_b = 2, .value = 200},
        {.pair = 3, .venue_a = 1, .venue_b = 2, .value = 99},
        {.pair = 3, .venue_a = 0, .venue_b = 1, .value = 100},
        {.key = 5, .pair = 3, .venue_a = 1, .venue_b = 2, .value = 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        hub_publish(e->hub, e->events, &rows[i], "t", SPAN_LIT("0"));
    expect(e, &p, "\"seq\":4,");
    expect_nothing(e, &p);
    close(p.fd);
}

static void keys_reach_their_owner_only(void **state)
{
    env_t *e = *state;
    peer_t p[6];
    for (int i = 0; i < 6; i++) {
        peer_open(e, &p[i], 0);
        hub_filter_t f = all;
        f.key = i < 5 ? (uint64_t)(100 + i / 2) : 0; /* two sockets of 100, two of 101, one of 102, one without */
        hub_join(e->hub, e->seats[i].ws, e->states, &f);
    }
    hub_attr_t a = everybody;
    a.key = 101;
    hub_publish(e->hub, e->states, &a, "t", SPAN_LIT("0"));
    expect(e, &p[2], "\"seq\":1,");
    expect(e, &p[3], "\"seq\":1,");
    for (int i = 0; i < 6; i++) expect_nothing(e, &p[i]);
    hub_publish(e->hub, e->states, &everybody, "t", SPAN_LIT("0"));
    for (int i = 0; i < 6; i++) expect(e, &p[i], "\"seq\":2,");
    close(p[2].fd);
    turns(e, 3);
    hub_publish(e->hub, e->states, &a, "t", SPAN_LIT("0"));
    expect(e, &p[3], "\"seq\":3,");
    for (int i = 0; i < 6; i++)
        if (i != 2) close(p[i].fd);
}

/* A socket that takes nothing: events end it with 4008, states keep the newest value; nobody else notices. */
static void slow_subscribers(void **state)
{
    env_t *e = *state;
    peer_t slow, state_only, quick;
    static char filler[20000];
    memset(filler, '1', sizeof filler);
    peer_open(e, &slow, 2048);
    peer_open(e, &state_only, 2048);
    peer_open(e, &quick, 0);
    hub_join(e->hub, e->seats[0].ws, e->events, &all);
    hub_join(e->hub, e->seats[1].ws, e->states, &all);
    hub_join(e->hub, e->seats[2].ws, e->events, &all);
    uint64_t last = 0;
    for (int i = 0; i < 400; i++) {
        hub_publish(e->hub, e->events, &everybody, "t", (span_t){filler, sizeof filler});
        last = hub_publish(e->hub, e->states, &everybody, "t", (span_t){filler, sizeof filler});
        turn(e, 0);
        char text[64];
        unsigned code;
        while (peer_next(&quick, text, sizeof text, &code)) assert_int_equal(code, 0);
    }
    turns(e, 3);
    assert_int_equal(e->seats[0].closed, 1);
    assert_int_equal(e->seats[0].code, 4008);
    assert_int_equal(e->seats[1].closed, 0);
    assert_int_equal(e->seats[2].closed, 0);
    char want[32], text[30000] = "";
    unsigned code, got = 0;
    snprintf(want, sizeof want, "\"seq\":%llu,", (unsigned long long)last);
    for (int i = 0; i < 3000 && !strstr(text, want); i++) {
        got += peer_next(&state_only, text, sizeof text, &code);
        turn(e, 1);
    }
    assert_non_null(strstr(text, want));
    assert_true(got < 390);
    expect_close(e, &slow, 4008);
    close(slow.fd);
    close(state_only.fd);
    close(quick.fd);
}

static void pings_and_the_dead(void **state)
{
    env_t *e = *state;
    peer_t p, dead;
    peer_open(e, &p, 0);
    peer_open(e, &dead, 0);
    for (int i = 0; i < 600 && !e->seats[1].closed; i++) {
        char text[64];
        unsigned code;
        turn(e, 2);
        if (peer_next(&p, text, sizeof text, &code) && strcmp(text, "PING") == 0) peer_say(&p, WS_PONG, "", 0);
    }
    assert_int_equal(e->seats[1].closed, 1);
    assert_int_equal(e->seats[1].code, 1008);
    assert_int_equal(e->seats[0].closed, 0);
    close(p.fd);
    close(dead.fd);
}

static void fan_out_in_slices(void **state)
{
    env_t *e = *state;
    static peer_t p[40];
    for (int i = 0; i < 40; i++) {
        peer_open(e, &p[i], 0);
        hub_join(e->hub, e->seats[i].ws, e->events, &all);
    }
    for (int k = 0; k < 3; k++) hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("0"));
    turn(e, 1);
    size_t reached = 0;
    for (int i = 0; i < 40; i++) {
        pull(&p[i]);
        reached += p[i].n > 0;
    }
    assert_int_equal(reached, 4);
    for (int i = 0; i < 40; i++) {
        expect(e, &p[i], "\"seq\":1,");
        expect(e, &p[i], "\"seq\":2,");
        expect(e, &p[i], "\"seq\":3,");
        close(p[i].fd);
    }
}

static void what_was_sent_leaves_before_the_close(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p, 0);
    ws_t *ws = e->seats[0].ws;
    ws_send(ws, SPAN_LIT("{\"error\":1}"));
    ws_close(ws, 4029, "too many");
    ws_close(ws, 4001, "again");
    ws_send(ws, SPAN_LIT("late"));
    assert_int_equal(e->seats[0].closed, 0); /* never from inside the call */
    expect(e, &p, "{\"error\":1}");
    expect_close(e, &p, 4029);
    assert_int_equal(e->seats[0].code, 4029);
    close(p.fd);
}

static void vanishing_peers(void **state)
{
    env_t *e = *state;
    peer_t p;
    for (int i = 0; i < 10; i++) {
        peer_open(e, &p, 0);
        hub_join(e->hub, e->seats[i].ws, e->events, &all);
        if (i % 2) peer_say(&p, WS_TEXT, "abc", 3);
        hub_publish(e->hub, e->events, &everybody, "t", SPAN_LIT("0"));
        struct linger rst = {1, 0};
        if (i % 3 == 0) setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
        close(p.fd);
        turns(e, 4);
        assert_int_equal(e->seats[i].closed, 1);
        assert_int_equal(e->seats[i].code, 1006);
    }
}

static void going_away(void **state)
{
    env_t *e = *state;
    peer_t p[3];
    for (int i = 0; i < 3; i++) peer_open(e, &p[i], 0);
    assert_false(hub_idle(e->hub));
    hub_close(e->hub, 1001);
    for (int i = 0; i < 3; i++) {
        expect_close(e, &p[i], 1001);
        close(p[i].fd);
    }
    turns(e, 5);
    assert_true(hub_idle(e->hub));
    assert_true(http_idle(e->http));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(talks, setup, teardown),
        cmocka_unit_test_setup_teardown(publishes_to_who_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(filters, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_reach_their_owner_only, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_subscribers, setup, teardown),
        cmocka_unit_test_setup_teardown(pings_and_the_dead, setup_pings, teardown),
        cmocka_unit_test_setup_teardown(fan_out_in_slices, setup_slices, teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_leaves_before_the_close, setup, teardown),
        cmocka_unit_test_setup_teardown(vanishing_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(going_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
