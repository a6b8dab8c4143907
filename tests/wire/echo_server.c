/* A server with the HTTP and websocket layers and nothing above them, for trying those layers alone.
 *
 *   echo_server [key=value ...]     keys: port, head_ms, body_ms, idle_ms, write_ms, linger_ms, conns, per_addr, slice, ping_ms, dead_ms
 *
 * It prints "PORT=n" once it listens. GET /fast answers at once; /slow?ms=N later; /big?n=N with N bytes; /who the
 * client's address; /stats the metrics; POST /echo returns its body; /small takes 1 KiB; /gone is refused at its head;
 * /ws opens a websocket: "join NAME", "pub NAME TEXT", "many NAME COUNT", anything else comes back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/http.h"
#include "reactor/hub.h"
#include "reactor/log.h"

typedef struct {
    loop_t *loop;
    metrics_t *metrics;
    http_t *http;
    hub_t *hub;
    int events, states, slow;
    bool draining;
} srv_t;

typedef struct {
    srv_t *s;
    req_t *r;
    ltimer_t *t;
} later_t;

static long arg(int argc, char **argv, const char *key, long def)
{
    size_t n = strlen(key);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], key, n) == 0 && argv[i][n] == '=') return strtol(argv[i] + n + 1, NULL, 10);
    }
    return def;
}

static long param(req_t *r, const char *name, long def)
{
    span_t v;
    return req_param(r, name, &v) == XE_OK && v.n ? strtol(v.p, NULL, 10) : def;
}

static void on_head(void *ctx, req_t *r)
{
    if (span_is(req_path(r), "/gone")) req_error(r, 404, "NOT_FOUND", "no such path", NULL, 0);
    if (span_is(req_path(r), "/small")) req_limit_body(r, 1024);
}

static void timer_free(void *p)
{
    ltimer_free(p);
}

static void on_late(void *ctx)
{
    later_t *w = ctx;
    req_reply(w->r, 200, "application/json", SPAN_LIT("{\"slow\":true}"));
    w->s->slow--;
    loop_defer(w->s->loop, timer_free, w->t);
    req_drop(w->r);
}

static void slow(srv_t *s, req_t *r)
{
    later_t *w = req_alloc(r, sizeof *w);
    *w = (later_t){s, req_hold(r), ltimer_new(s->loop, on_late, w)};
    s->slow++;
    req_set_deadline(r, 700);
    ltimer_arm(w->t, param(r, "ms", 10));
}

static void big(req_t *r)
{
    size_t n = (size_t)param(r, "n", 100000);
    char *p = malloc(n);
    if (!p) return;
    memset(p, 'x', n);
    req_reply(r, 200, "text/plain", (span_t){p, n});
    free(p);
}

static void stats(srv_t *s, req_t *r)
{
    buf_t b;
    buf_init(&b, 1 << 20);
    metrics_write(s->metrics, &b);
    req_reply(r, 200, "text/plain; version=0.0.4", buf_span(&b));
    buf_fini(&b);
}

static void on_request(void *ctx, req_t *r)
{
    static const char body[] =
        "{\"success\":true,\"data\":{\"total_trades\":128,\"winning\":71,\"losing\":57,\"pnl_usd\":1234.56,"
        "\"pnl_str\":\"1234.560000\",\"best\":\"89.10\",\"worst\":\"-40.02\",\"sharpe\":1.21,\"stale\":false,"
        "\"updated_at\":\"2026-11-20T13:00:00.000000Z\",\"period\":\"30d\"}}";
    srv_t *s = ctx;
    span_t path = req_path(r);
    if (span_is(path, "/fast"))
        req_reply(r, 200, "application/json", SPAN_LIT(body));
    else if (span_is(path, "/echo") || span_is(path, "/small"))
        req_reply(r, 200, "application/octet-stream", req_body(r));
    else if (span_is(path, "/slow"))
        slow(s, r);
    else if (span_is(path, "/big"))
        big(r);
    else if (span_is(path, "/who"))
        req_reply(r, 200, "text/plain", span_of(req_client_addr(r)));
    else if (span_is(path, "/stats"))
        stats(s, r);
    else if (span_is(path, "/ws"))
        hub_upgrade(s->hub, r, s);
    else
        req_error(r, 404, "NOT_FOUND", "no such path", NULL, 0);
}

static int topic_of(srv_t *s, span_t text)
{
    return text.n >= 6 && memcmp(text.p, "states", 6) == 0 ? s->states : s->events;
}

static void publish(srv_t *s, int topic, long count)
{
    static const hub_attr_t everybody = {.key = 0, .pair = -1, .venue_a = -1, .venue_b = -1};
    for (long i = 0; i < count; i++) hub_publish(s->hub, topic, &everybody, "tick", SPAN_LIT("{\"n\":1}"));
}

static void on_text(void *ctx, ws_t *ws, span_t text)
{
    static const hub_filter_t all = {.key = 0, .pair = -1, .venue = -1, .min_value = INT64_MIN};
    srv_t *s = ctx;
    char copy[64] = "";
    memcpy(copy, text.p, text.n < sizeof copy - 1 ? text.n : sizeof copy - 1);
    if (strncmp(copy, "join ", 5) == 0) {
        hub_join(s->hub, ws, topic_of(s, (span_t){text.p + 5, text.n - 5}), &all);
        ws_send(ws, SPAN_LIT("{\"joined\":true}"));
    } else if (strncmp(copy, "pub ", 4) == 0) {
        publish(s, topic_of(s, (span_t){text.p + 4, text.n - 4}), 1);
    } else if (strncmp(copy, "many ", 5) == 0) {
        publish(s, topic_of(s, (span_t){text.p + 5, text.n - 5}), strtol(copy + 12, NULL, 10));
    } else if (strcmp(copy, "bye") == 0) {
        ws_close(ws, 4003, "as asked");
    } else {
        ws_send(ws, text);
    }
}

static void on_signal(void *ctx, int signo)
{
    srv_t *s = ctx;
    if (s->draining) {
        loop_stop(s->loop);
        return;
    }
    s->draining = true;
    http_drain(s->http);
    hub_close(s->hub, 1001);
}

static bool open_all(srv_t *s, int argc, char **argv)
{
    const char *why = "";
    http_conf_t c = {
        .listen_addr = "127.0.0.1",
        .port = (uint16_t)arg(argc, argv, "port", 0),
        .head_ms = (unsigned)arg(argc, argv, "head_ms", 10000),
        .body_ms = (unsigned)arg(argc, argv, "body_ms", 15000),
        .idle_ms = (unsigned)arg(argc, argv, "idle_ms", 75000),
        .write_ms = (unsigned)arg(argc, argv, "write_ms", 30000),
        .drain_ms = (unsigned)arg(argc, argv, "linger_ms", 2000),
        .line_max = 8192,
        .head_max = 16384,
        .lines_max = 100,
        .target_max = 8192,
        .body_max = 65536,
        .conns_max = (unsigned)arg(argc, argv, "conns", 10000),
        .conns_per_addr = (unsigned)arg(argc, argv, "per_addr", 100000),
        .pipeline_max = 16,
        .fd_reserve = 16,
        .trusted_proxies = arg(argc, argv, "trust", 1) ? "127.0.0.1,10.0.0.0/8" : "",
    };
    hub_conf_t hc = {
        .ring_bytes = 4 << 20,
        .sub_bytes_max = 256 << 10,
        .sub_events_max = 1024,
        .msg_max = 16384,
        .frags_max = 64,
        .ping_ms = (unsigned)arg(argc, argv, "ping_ms", 30000),
        .dead_ms = (unsigned)arg(argc, argv, "dead_ms", 60000),
        .slice = (unsigned)arg(argc, argv, "slice", 128),
        .subs_max = 20000,
    };
    s->hub = hub_open(s->loop, s->metrics, &hc, (hub_hooks_t){NULL, on_text, NULL, s});
    if (!s->hub || http_open(s->loop, s->metrics, &c, (http_hooks_t){on_head, on_request, NULL, s}, &s->http, &why)) {
        fprintf(stderr, "echo_server: %s\n", why);
        return false;
    }
    s->events = hub_topic(s->hub, "events", false);
    s->states = hub_topic(s->hub, "states", true);
    loop_on_signal(s->loop, SIGTERM, on_signal, s);
    return true;
}

int main(int argc, char **argv)
{
    srv_t s = {0};
    log_init(2, LOG_INFO);
    s.metrics = metrics_new();
    s.loop = loop_new(s.metrics);
    if (!s.loop || !open_all(&s, argc, argv)) return 1;
    printf("PORT=%u\n", http_port(s.http));
    fflush(stdout);
    while (loop_poll(s.loop, s.draining ? 50 : -1)) {
        hub_flush(s.hub);
        http_flush(s.http);
        loop_end_turn(s.loop);
        if (s.draining && !s.slow && http_idle(s.http) && hub_idle(s.hub)) loop_stop(s.loop);
    }
    http_close(s.http);
    loop_end_turn(s.loop);
    hub_free(s.hub);
    loop_end_turn(s.loop);
    loop_free(s.loop);
    metrics_free(s.metrics);
    return 0;
}
