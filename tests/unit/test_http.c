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
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "reactor/http.h"
#include "reactor/log.h"

#define HELD 64

typedef struct {
    metrics_t *m;
    loop_t *l;
    http_t *http;
    req_t *held[HELD];
    int n_held, heads, requests, dones, last_status;
} env_t;

typedef struct {
    int fd;
    char buf[1 << 17];
    size_t n;
    bool ended;
} peer_t;

static void on_head(void *ctx, req_t *r)
{
    env_t *e = ctx;
    e->heads++;
    if (span_is(req_path(r), "/gone")) req_error(r, 404, "NOT_FOUND", "no such path", NULL, 0);
    if (span_is(req_path(r), "/small")) req_limit_body(r, 10);
}

static void on_request(void *ctx, req_t *r)
{
    env_t *e = ctx;
    span_t path = req_path(r), v;
    e->requests++;
    if (span_is(path, "/hold")) {
        e->held[e->n_held++] = req_hold(r);
        if (req_param(r, "ms", &v) == XE_OK) req_set_deadline(r, strtol(v.p, NULL, 10));
    } else if (span_is(path, "/greedy")) {
        for (int i = 0; i < 3; i++) memset(req_alloc(r, 900000), i, 900000);
        req_reply(r, 200, "text/plain", SPAN_LIT("never seen"));
    } else if (span_is(path, "/who")) {
        req_reply(r, 200, "text/plain", span_of(req_client_addr(r)));
    } else if (span_is(path, "/split")) {
        req_add_header(r, "X-Evil", "a\r\nSet-Cookie: b");
        req_add_header(r, "Cache-Control", "max-age=5");
        req_reply(r, 200, "text/plain", SPAN_LIT("ok"));
    } else {
        req_reply(r, 200, "text/plain", req_body(r).n ? req_body(r) : SPAN_LIT("ok"));
    }
}

static void on_done(void *ctx, req_t *r, int status, int64_t ns)
{
    env_t *e = ctx;
    e->dones++;
    e->last_status = status;
}

static http_conf_t conf_of_tests(void)
{
    return (http_conf_t){.listen_addr = "127.0.0.1",
                         .head_ms = 300,
                         .body_ms = 300,
                         .idle_ms = 600,
                         .write_ms = 400,
                         .drain_ms = 300,
                         .line_max = 8192,
                         .head_max = 16384,
                         .lines_max = 100,
                         .target_max = 8192,
                         .body_max = 65536,
                         .conns_max = 1000,
                         .conns_per_addr = 1000,
                         .pipeline_max = 16,
                         .fd_reserve = 16,
                         .trusted_proxies = "127.0.0.1, 10.0.0.0/8,::1"};
}

static int start(void **state, http_conf_t c)
{
    env_t *e = calloc(1, sizeof *e);
    const char *why = "";
    log_init(2, LOG_ERROR);
    e->m = metrics_new();
    e->l = loop_new(e->m);
    *state = e;
    return http_open(e->l, e->m, &c, (http_hooks_t){on_head, on_request, on_done, e}, &e->http, &why) == XE_OK ? 0 : -1;
}

static int setup(void **state)
{
    return start(state, conf_of_tests());
}

static int setup_few(void **state)
{
    http_conf_t c = conf_of_tests();
    c.conns_max = 10;
    return start(state, c);
}

static int setup_strangers(void **state)
{
    http_conf_t c = conf_of_tests();
    c.trusted_proxies = "10.0.0.1";
    c.conns_per_addr = 5;
    return start(state, c);
}

static int teardown(void **state)
{
    env_t *e = *state;
    http_close(e->http);
    for (int i = 0; i < e->n_held; i++) {
        if (!e->held[i]) continue;
        req_reply(e->held[i], 200, "text/plain", SPAN_LIT("late"));
        req_drop(e->held[i]);
    }
    loop_end_turn(e->l);
    loop_free(e->l);
    metrics_free(e->m);
    free(e);
    return 0;
}

static void turn(env_t *e, int ms)
{
    loop_poll(e->l, ms);
    http_flush(e->http);
    loop_end_turn(e->l);
}

static void turns(env_t *e, int n)
{
    while (n--) turn(e, 1);
}

static void peer_open(env_t *e, peer_t *p)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(http_port(e->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p->n = 0;
    p->ended = false;
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
}

static void say(peer_t *p, const char *text)
{
    assert_int_equal(send(p->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void pull(peer_t *p)
{
    while (p->n < sizeof p->buf - 1) {
        ssize_t n = recv(p->fd, p->buf + p->n, sizeof p->buf - 1 - p->n, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) p->ended = true;
        if (n <= 0) break;
        p->n += (size_t)n;
    }
    p->buf[p->n] = 0;
}

static void wait_for(env_t *e, peer_t *p, const char *part)
{
    for (int i = 0; i < 1500; i++) {
        pull(p);
        if (strstr(p->buf, part)) return;
        turn(e, 1);
    }
    fail_msg("got %s, expected %s", p->buf, part);
}

static void wait_end(env_t *e, peer_t *p)
{
    for (int i = 0; i < 1500 && !p->ended; i++) {
        pull(p);
        turn(e, 1);
    }
    assert_true(p->ended);
    close(p->fd);
}

static void answer(env_t *e, int i, const char *text)
{
    req_reply(e->held[i], 200, "text/plain", span_of(text));
    req_drop(e->held[i]);
    e->held[i] = NULL;
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void answers_leave_in_the_order_of_the_requests(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /hold HTTP/1.1\r\nHost: "
            "a\r\n\r\n");
    turns(e, 5);
    assert_int_equal(e->n_held, 2);
    answer(e, 1, "third");
    turns(e, 3);
    pull(&p);
    assert_int_equal(p.n, 0);
    answer(e, 0, "first");
    wait_for(e, &p, "third");
    char *first = strstr(p.buf, "first"), *ok = strstr(p.buf, "ok"), *third = strstr(p.buf, "third");
    assert_true(first && ok && first < ok && ok < third);
    assert_int_equal(e->dones, 3);
    close(p.fd);
}

static void sixteen_wait_and_the_rest_is_not_read(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    for (int i = 0; i < 40; i++) say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turns(e, 10);
    assert_int_equal(e->requests, 16);
    assert_false(http_idle(e->http));
    answer(e, 3, "x");
    turns(e, 5);
    assert_int_equal(e->requests, 16);
    for (int i = 0; i < 40; i++) {
        turns(e, 1);
        if (i < e->n_held && e->held[i]) answer(e, i, "x");
    }
    turns(e, 10);
    assert_int_equal(e->requests, 40);
    assert_int_equal(e->dones, 40);
    assert_true(http_idle(e->http));
    close(p.fd);
}

static void a_request_outlives_its_client(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\nX-Request-ID: keep-me\r\n\r\n");
    turns(e, 5);
    struct linger rst = {1, 0};
    setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
    close(p.fd);
    turns(e, 5);
    assert_string_equal(req_id(e->held[0]), "keep-me");
    assert_false(http_idle(e->http));
    answer(e, 0, "nobody hears");
    assert_int_equal(e->dones, 1);
    turns(e, 2);
    assert_true(http_idle(e->http));
}

static void deadlines_answer_once(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "GET /hold?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p, "HTTP/1.1 504 ");
    wait_for(e, &p, "\"code\":\"TIMEOUT\"");
    answer(e, 0, "too late");
    turns(e, 5);
    p.n = 0;
    say(&p, "POST /hold?ms=100 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    wait_for(e, &p, "HTTP/1.1 503 ");
    wait_for(e, &p, "Retry-After: 1\r\n");
    assert_null(strstr(p.buf, "too late"));
    assert_int_equal(e->dones, 2);
    close(p.fd);
}

static void slow_heads_bodies_and_idlers_are_cut(void **state)
{
    env_t *e = *state;
    peer_t head, body, idle, reader;
    peer_open(e, &head);
    peer_open(e, &body);
    peer_open(e, &idle);
    peer_open(e, &reader);
    int64_t t0 = mono_ns();
    say(&head, "GET /x HTTP/1.1\r\nHos");
    say(&body, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
    wait_for(e, &head, "HTTP/1.1 408 ");
    wait_for(e, &body, "HTTP/1.1 408 ");
    assert_in_range((mono_ns() - t0) / 1000000, 290, 520);
    wait_end(e, &head);
    wait_end(e, &body);
    wait_end(e, &idle);
    assert_in_range((mono_ns() - t0) / 1000000, 590, 900);
    assert_int_equal(idle.n, 0);
    wait_end(e, &reader);
    assert_int_equal(e->requests, 0);
    assert_int_equal(e->heads, e->dones);
}

static void a_reader_that_does_not_read_is_cut(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    int small = 1024;
    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    char body[60001];
    memset(body, 'b', sizeof body - 1);
    body[sizeof body - 1] = 0;
    struct timeval tv = {.tv_usec = 1000};
    setsockopt(p.fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    int64_t t0 = mono_ns();
    bool broken = false;
    while (!broken && mono_ns() - t0 < 4000000000) {
        static const char head[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
        if (send(p.fd, head, sizeof head - 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) broken = true;
        if (send(p.fd, body, sizeof body - 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) broken = true;
        turn(e, 1);
    }
    assert_true(broken);
    assert_in_range((mono_ns() - t0) / 1000000, 350, 3000);
    close(p.fd);
}

static void early_answers_keep_or_close(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    turns(e, 3);
    say(&p, "loGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p, "HTTP/1.1 404 ");
    wait_for(e, &p, "HTTP/1.1 200 ");
    assert_null(strstr(p.buf, "Connection: close"));
    say(&p, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    wait_for(e, &p, "HTTP/1.1 413 ");
    wait_for(e, &p, "Connection: close\r\n");
    wait_end(e, &p);
    assert_int_equal(e->dones, 3);
}

static void greedy_requests_get_503(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "GET /greedy HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p, "HTTP/1.1 503 ");
    assert_null(strstr(p.buf, "never seen"));
    close(p.fd);
}

static void headers_cannot_be_split(void **state)
{
    env_t *e = *state;
    peer_t p;
    peer_open(e, &p);
    say(&p, "GET /split HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p, "\r\n\r\nok");
    assert_null(strstr(p.buf, "Set-Cookie"));
    assert_non_null(strstr(p.buf, "Cache-Control: max-age=5"));
    assert_null(strstr(p.buf, "no-store"));
    close(p.fd);
}

static void who(env_t *e, const char *forwarded, const char *want)
{
    peer_t p;
    char text[512];
    peer_open(e, &p);
    snprintf(text, sizeof text, "GET /who HTTP/1.1\r\nHost: a\r\n%s\r\n", forwarded);
    say(&p, text);
    wait_for(e, &p, "\r\n\r\n");
    char end[64];
    snprintf(end, sizeof end, "\r\n\r\n%s", want);
    wait_for(e, &p, end);
    close(p.fd);
}

static void clients_behind_trusted_proxies(void **state)
{
    env_t *e = *state;
    who(e, "", "127.0.0.1");
    who(e, "X-Forwarded-For: 9.9.9.9\r\n", "9.9.9.9");
    who(e, "X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\n", "9.9.9.9");
    who(e, "X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.1.2.3\r\n", "9.9.9.9");
    who(e, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 9.9.9.9,10.1.2.3\r\n", "9.9.9.9");
    who(e, "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 10.1.2.3\r\n", "9.9.9.9");
    who(e, "X-Forwarded-For: 10.5.5.5, 10.1.2.3\r\n", "10.5.5.5");
    who(e, "X-Forwarded-For: 9.9.9.9, unknown\r\n", "127.0.0.1");
    who(e, "X-Forwarded-For: 9.9.9.9,\r\n", "127.0.0.1");
    who(e, "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7");
    who(e, "X-Forwarded-For: ::ffff:9.9.9.9\r\n", "9.9.9.9");
    who(e, "Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n", "127.0.0.1");
}

static void strangers_are_counted_and_not_believed(void **state)
{
    env_t *e = *state;
    static peer_t p[7];
    who(e, "X-Forwarded-For: 9.9.9.9\r\n", "127.0.0.1");
    turns(e, 3);
    for (int i = 0; i < 7; i++) peer_open(e, &p[i]);
    turns(e, 5);
    int refused = 0;
    for (int i = 0; i < 7; i++) {
        pull(&p[i]);
        refused += p[i].ended;
        close(p[i].fd);
    }
    assert_int_equal(refused, 2);
}

/* Beyond conns_max the backlog waits, costs nothing, and is served when a place is free. */
static void accepting_pauses_at_the_ceiling(void **state)
{
    env_t *e = *state;
    static peer_t p[20];
    for (int i = 0; i < 20; i++) {
        peer_open(e, &p[i]);
        say(&p[i], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    turns(e, 20);
    int served = 0;
    for (int i = 0; i < 20; i++) {
        pull(&p[i]);
        served += p[i].n > 0;
    }
    assert_int_equal(served, 10);
    int polls = 0;
    for (int64_t t0 = mono_ns(); mono_ns() - t0 < 300000000; polls++) turn(e, -1);
    assert_true(polls < 40);
    for (int i = 0; i < 10; i++) close(p[i].fd);
    for (int i = 10; i < 20; i++) {
        wait_for(e, &p[i], "HTTP/1.1 200 ");
        close(p[i].fd);
    }
}

/* The same when the process runs out of descriptors: the reserve stays free. */
static void descriptors_short(void **state)
{
    static peer_t p[100];
    struct rlimit old, few = {.rlim_cur = 80};
    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    assert_int_equal(start(state, conf_of_tests()), 0);
    env_t *e = *state;
    int opened = 0;
    for (; opened < 100; opened++) {
        struct sockaddr_in a = {
            .sin_family = AF_INET, .sin_port = htons(http_port(e->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        p[opened].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (p[opened].fd < 0) break;
        assert_int_equal(connect(p[opened].fd, (struct sockaddr *)&a, sizeof a), 0);
        turn(e, 0);
    }
    int polls = 0;
    for (int64_t t0 = mono_ns(); mono_ns() - t0 < 300000000; polls++) turn(e, -1);
    assert_true(polls < 60);
    say(&p[0], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p[0], "HTTP/1.1 200 ");
    for (int i = 0; i < opened; i++) close(p[i].fd);
    turns(e, 20);
    setrlimit(RLIMIT_NOFILE, &old);
    peer_open(e, &p[0]);
    say(&p[0], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &p[0], "HTTP/1.1 200 ");
    close(p[0].fd);
    teardown(state);
}

static void draining(void **state)
{
    env_t *e = *state;
    peer_t busy, idle, late;
    peer_open(e, &busy);
    peer_open(e, &idle);
    peer_open(e, &late);
    say(&busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    turns(e, 5);
    http_drain(e->http);
    assert_false(http_idle(e->http));
    say(&late, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(e, &late, "HTTP/1.1 503 ");
    wait_for(e, &late, "Connection: close\r\n");
    wait_end(e, &late);
    answer(e, 0, "finished");
    wait_for(e, &busy, "finished");
    wait_for(e, &busy, "Connection: close\r\n");
    wait_end(e, &busy);
    turns(e, 3);
    assert_true(http_idle(e->http));
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(http_port(e->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
    close(fd);
    close(idle.fd);
}

static void parameters(void **state)
{
    env_t *e = *state;
    peer_t p;
    span_t v;
    peer_open(e, &p);
    say(&p, "GET /hold?a=1&b=x%20y+z&c=%zz&d=1&d=2&%65=5&f&g=%00&h=%4 HTTP/1.1\r\nHost: a\r\n\r\n");
    turns(e, 5);
    req_t *r = e->held[0];
    assert_int_equal(req_param(r, "a", &v), XE_OK);
    assert_true(span_is(v, "1"));
    assert_int_equal(req_param(r, "b", &v), XE_OK);
    assert_true(span_is(v, "x y z"));
    assert_int_equal(req_param(r, "c", &v), XE_BAD_INPUT);
    assert_int_equal(req_param(r, "d", &v), XE_BAD_INPUT);
    assert_int_equal(req_param(r, "e", &v), XE_OK);
    assert_true(span_is(v, "5"));
    assert_int_equal(req_param(r, "f", &v), XE_OK);
    assert_int_equal(v.n, 0);
    assert_int_equal(req_param(r, "g", &v), XE_BAD_INPUT);
    assert_int_equal(req_param(r, "h", &v), XE_BAD_INPUT);
    assert_int_equal(req_param(r, "i", &v), XE_NOT_FOUND);
    assert_true(req_header(r, "host", &v));
    assert_false(req_header(r, "accept", &v));
    answer(e, 0, "x");
    turns(e, 2);
    close(p.fd);
}

/* More sockets than one turn serves: the kernel tells of each once. */
static void a_turn_serves_some_and_forgets_none(void **state)
{
    enum { MANY = 400 };
    env_t *e = *state;
    static peer_t p;
    int fds[MANY];
    char text[1024];
    for (int i = 0; i < MANY; i++) {
        peer_open(e, &p);
        fds[i] = p.fd;
        if (i % 50 == 0) turns(e, 3);
    }
    turns(e, 20);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < MANY; i++) assert_int_equal(send(fds[i], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL), 28);
        turn(e, 1);
        assert_true(e->requests < round * MANY);
        for (int i = 0; i < 100 && e->requests < round * MANY; i++) turn(e, 1);
        assert_int_equal(e->requests, round * MANY);
        for (int i = 0; i < MANY; i++) assert_true(recv(fds[i], text, sizeof text, MSG_DONTWAIT) > 0);
    }
    /* Half of them go while the others wait for their turn. */
    for (int i = 0; i < MANY; i++) assert_int_equal(send(fds[i], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL), 28);
    for (int i = 0; i < MANY; i += 2) close(fds[i]);
    for (int i = 0; i < 100 && !http_idle(e->http); i++) turn(e, 1);
    turns(e, 50);
    for (int i = 1; i < MANY; i += 2) {
        assert_true(recv(fds[i], text, sizeof text, MSG_DONTWAIT) > 0);
        close(fds[i]);
    }
}

static void what_stands_behind_a_full_read_is_found(void **state)
{
    env_t *e = *state;
    static char body[60000];
    peer_t p;
    peer_open(e, &p);
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 5; i++) {
        say(&p, "POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
        assert_int_equal(send(p.fd, body, sizeof body, MSG_NOSIGNAL), sizeof body);
    }
    shutdown(p.fd, SHUT_WR);
    wait_end(e, &p);
    assert_int_equal(e->heads, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_leave_in_the_order_of_the_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(sixteen_wait_and_the_rest_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_outlives_its_client, setup, teardown),
        cmocka_unit_test_setup_teardown(deadlines_answer_once, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_heads_bodies_and_idlers_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_does_not_read_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(early_answers_keep_or_close, setup, teardown),
        cmocka_unit_test_setup_teardown(greedy_requests_get_503, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_cannot_be_split, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_behind_trusted_proxies, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_are_counted_and_not_believed, setup_strangers, teardown),
        cmocka_unit_test_setup_teardown(accepting_pauses_at_the_ceiling, setup_few, teardown),
        cmocka_unit_test(descriptors_short),
        cmocka_unit_test_setup_teardown(draining, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(a_turn_serves_some_and_forgets_none, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stands_behind_a_full_read_is_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
