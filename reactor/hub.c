#include "reactor/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "reactor/hub_internal.h"
#include "reactor/json.h"
#include "reactor/log.h"
#include "reactor/ws_handshake.h"

#define TEXT_MAX (1024 * 1024)
#define SCAN_PER_WRITE 16 /* subscribers looked at for each one that may be written to in a turn */

static const unsigned close_codes[CLOSE_CODES] = {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008,
                                                  1009, 1011, 4001, 4003, 4008, 4029, 0};

#define OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* ---- frames ------------------------------------------------------------------------------------------------------- */

frame_t *frame_new(uint8_t op, span_t body)
{
    frame_t *f = malloc(sizeof *f + 10 + body.n);
    if (!f) return NULL;
    *f = (frame_t){.refs = 1, .topic = -1};
    size_t head = ws_head_write((uint8_t *)f->data, op, body.n);
    if (body.n) memcpy(f->data + head, body.p, body.n);
    f->n = (uint32_t)(head + body.n);
    return f;
}

void frame_drop(frame_t *f)
{
    if (--f->refs == 0) free(f);
}

/* ---- the list by cursor ------------------------------------------------------------------------------------------- */

static void list_out(hub_t *h, ws_t *ws)
{
    if (ws->prev)
        ws->prev->next = ws->next;
    else
        h->first = ws->next;
    if (ws->next)
        ws->next->prev = ws->prev;
    else
        h->last = ws->prev;
    ws->prev = ws->next = NULL;
}

static void list_to_end(hub_t *h, ws_t *ws)
{
    ws->prev = h->last;
    ws->next = NULL;
    if (h->last)
        h->last->next = ws;
    else
        h->first = ws;
    h->last = ws;
}

/* ---- topics ------------------------------------------------------------------------------------------------------- */

int hub_topic(hub_t *h, const char *name, bool conflate)
{
    XASSERT(h->n_topics < HUB_TOPICS_MAX && strlen(name) < sizeof h->topics->name);
    topic_t *t = &h->topics[h->n_topics];
    memcpy(t->name, name, strlen(name) + 1);
    t->conflate = conflate;
    return h->n_topics++;
}

uint64_t hub_seq(const hub_t *h, int topic)
{
    return h->topics[topic].seq;
}

static member_t **bucket(hub_t *h, int topic, uint64_t key)
{
    uint64_t x = (key ^ (uint64_t)topic * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return &h->keys[(x >> 40) % KEY_BUCKETS];
}

void hub_leave(hub_t *h, ws_t *ws, int topic)
{
    member_t *m = ws->members[topic];
    if (!m) return;
    ws->members[topic] = NULL;
    ws->joined--;
    h->topics[topic].members--;
    if (m->f.key) {
        member_t **at = bucket(h, topic, m->f.key);
        while (*at != m) at = &(*at)->next;
        *at = m->next;
    }
    loop_defer(h->l, free, m); /* a publication may be walking over it */
}

void hub_join(hub_t *h, ws_t *ws, int topic, const hub_filter_t *f)
{
    if (ws->closing) return;
    hub_collect(h, ws);
    if (ws->closing) return;
    hub_leave(h, ws, topic);
    member_t *m = calloc(1, sizeof *m);
    if (!m) {
        ws_close(ws, 1011, "out of memory");
        return;
    }
    *m = (member_t){.ws = ws, .topic = topic, .f = *f, .from = h->head};
    ws->members[topic] = m;
    ws->joined++;
    h->topics[topic].members++;
    if (!f->key) return;
    member_t **at = bucket(h, topic, f->key);
    m->next = *at;
    *at = m;
}

static bool matches(const hub_filter_t *f, const hub_attr_t *a)
{
    if (a->key && a->key != f->key) return false;
    if (f->pair != -1 && f->pair != a->pair) return false;
    if (f->venue != -1 && f->venue != a->venue_a && f->venue != a->venue_b) return false;
    return a->value >= f->min_value;
}

/* ---- publishing --------------------------------------------------------------------------------------------------- */

static frame_t *frame_of(hub_t *h, int topic, const hub_attr_t *a, const char *type, span_t data)
{
    topic_t *t = &h->topics[topic];
    jw_t w;
    buf_reset(&h->text);
    jw_init(&w, &h->text);
    jw_obj(&w);
    jw_key(&w, "channel");
    jw_cstr(&w, t->name);
    jw_key(&w, "seq");
    jw_u64(&w, t->seq);
    jw_key(&w, "ts");
    jw_time_us(&w, loop_wall_us(h->l));
    jw_key(&w, "type");
    jw_cstr(&w, type);
    jw_key(&w, "data");
    jw_raw(&w, data);
    jw_end(&w);
    frame_t *f = h->text.failed ? NULL : frame_new(WS_TEXT, buf_span(&h->text));
    if (!f) {
        ctr_inc(h->c_dropped);
        log_error("hub", t->name, "publication dropped bytes=%zu", data.n);
        return NULL;
    }
    f->topic = topic;
    f->a = *a;
    return f;
}

static void ring_shift(hub_t *h)
{
    frame_t **at = &h->ring[h->tail++ & (RING_FRAMES - 1)];
    h->ring_bytes -= (*at)->n;
    frame_drop(*at);
    *at = NULL;
}

static void ring_put(hub_t *h, frame_t *f)
{
    f->number = h->head;
    h->ring[h->head++ & (RING_FRAMES - 1)] = f;
    h->ring_bytes += f->n;
    while (h->head - h->tail > RING_FRAMES - 1 || (h->ring_bytes > h->conf.ring_bytes && h->head - h->tail > 1))
        ring_shift(h);
    if (!h->behind_ns) h->behind_ns = mono_ns();
    wake_after(h->l, h->flush_turn);
}

/* For one principal: straight to its own sockets, found by key, without a look at anybody else's. */
static void publish_keyed(hub_t *h, int topic, const hub_attr_t *a, const char *type, span_t data)
{
    frame_t *f = NULL;
    member_t *next;
    for (member_t *m = *bucket(h, topic, a->key); m; m = next) {
        next = m->next; /* a push may close its subscriber, which unlinks m */
        if (m->ws->closing || m->topic != topic || !matches(&m->f, a)) continue;
        if (!f && !(f = frame_of(h, topic, a, type, data))) return;
        ws_t *ws = m->ws;
        hub_collect(h, ws);
        ws_push(ws, f);
        ws_activate(ws);
    }
    if (f) frame_drop(f);
}

uint64_t hub_publish(hub_t *h, int topic, const hub_attr_t *a, const char *type, span_t data)
{
    topic_t *t = &h->topics[topic];
    t->seq++;
    ctr_inc(h->c_published);
    if (!t->members) return t->seq;
    if (a->key) {
        publish_keyed(h, topic, a, type, data);
        return t->seq;
    }
    frame_t *f = frame_of(h, topic, a, type, data);
    if (f) ring_put(h, f);
    return t->seq;
}

static bool only_states(const hub_t *h, const ws_t *ws)
{
    for (int i = 0; i < h->n_topics; i++) {
        if (ws->members[i] && !h->topics[i].conflate) return false;
    }
    return true;
}

void hub_collect(hub_t *h, ws_t *ws)
{
    uint64_t from = ws->cursor;
    if (from == h->head) return;
    ws->cursor = h->head;
    list_out(h, ws);
    list_to_end(h, ws);
    if (!ws->joined) return;
    if (from < h->tail && !only_states(h, ws)) {
        ws_close(ws, 4008, "too slow");
        return;
    }
    for (uint64_t i = from < h->tail ? h->tail : from; i < h->head && !ws->closing; i++) {
        frame_t *f = h->ring[i & (RING_FRAMES - 1)];
        const member_t *m = ws->members[f->topic];
        if (m && i >= m->from && matches(&m->f, &f->a)) ws_push(ws, f);
    }
}

/* ---- the end of the turn ------------------------------------------------------------------------------------------ */

void hub_unlink(hub_t *h, ws_t *ws)
{
    list_out(h, ws);
    for (int i = 0; i < h->n_topics; i++) hub_leave(h, ws, i);
    h->n_subs--;
    gauge_set(h->g_subs, h->n_subs);
    unsigned i = 0;
    while (i < CLOSE_CODES - 1 && close_codes[i] != ws->code) i++;
    ctr_inc(h->c_closed[i]);
}

static void write_active(hub_t *h)
{
    ws_t *list = h->active;
    h->active = NULL;
    while (list) {
        ws_t *ws = list;
        list = ws->active_next;
        ws->active = false;
        ws_open_now(ws);
        ws_write(ws);
    }
}

/* on_close comes from here, never from inside the call that closed. Whoever is still named by the list of the active
 * waits for the next turn. */
static void report_closed(hub_t *h)
{
    ws_t *list = h->closed_first;
    h->closed_first = h->closed_last = NULL;
    while (list) {
        ws_t *ws = list;
        list = ws->closed_next;
        if (ws->active) {
            ws->closed_next = h->closed_first;
            h->closed_first = ws;
            if (!h->closed_last) h->closed_last = ws;
            loop_wake(h->l);
            continue;
        }
        ws_open_now(ws);
        if (h->hooks.on_close) h->hooks.on_close(h->hooks.ctx, ws, ws->code);
        loop_defer(h->l, ws_free, ws);
    }
}

static void write_slice(hub_t *h)
{
    unsigned writes = 0, looks = 0;
    while (h->first && h->first->cursor < h->head && writes < h->conf.slice && looks < h->conf.slice * SCAN_PER_WRITE) {
        ws_t *ws = h->first;
        looks++;
        hub_collect(h, ws);
        if (ws->closing || !ws->q_n) continue;
        writes++;
        ws_write(ws);
    }
    if (h->first && h->first->cursor < h->head) {
        loop_wake(h->l);
        return;
    }
    while (h->tail < h->head) ring_shift(h);
    if (h->behind_ns) hist_add(h->h_fanout, (double)(mono_ns() - h->behind_ns) / 1e9);
    h->behind_ns = 0;
}

void hub_flush(hub_t *h)
{
    h->flush_turn = loop_now_ns(h->l);
    write_active(h);
    write_slice(h);
    report_closed(h);
}

static void on_tick(void *ctx)
{
    hub_t *h = ctx;
    int64_t now = loop_now_ns(h->l);
    dl_node_t *n;
    unsigned quarter = h->conf.ping_ms / 4;
    ltimer_arm(h->tick, quarter < 20 ? 20 : quarter > 1000 ? 1000 : quarter);
    while ((n = dl_due(&h->pings, now))) ws_ping(OF(n, ws_t, ping), now);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void make_metrics(hub_t *h, metrics_t *m)
{
    h->g_subs = metrics_gauge(m, "xorj_ws_subscribers", NULL, "open websocket subscribers");
    h->c_published = metrics_ctr(m, "xorj_ws_published_total", NULL, "publications");
    h->c_dropped = metrics_ctr(m, "xorj_ws_dropped_total", NULL, "publications that could not be framed");
    h->c_sent = metrics_ctr(m, "xorj_ws_sent_total", NULL, "frames written to subscribers");
    h->c_conflated = metrics_ctr(m, "xorj_ws_conflated_total", NULL, "unsent states replaced by newer ones");
    h->h_fanout =
        metrics_hist(m, "xorj_ws_fanout_seconds", NULL, "publication to the last subscriber's socket", NULL, 0);
    for (unsigned i = 0; i < CLOSE_CODES; i++) {
        char label[32];
        if (close_codes[i])
            snprintf(label, sizeof label, "code=\"%u\"", close_codes[i]);
        else
            snprintf(label, sizeof label, "code=\"other\"");
        h->c_closed[i] = metrics_ctr(m, "xorj_ws_closed_total", label, "subscribers closed, by close code");
    }
}

hub_t *hub_open(loop_t *l, metrics_t *m, const hub_conf_t *c, hub_hooks_t hooks)
{
    hub_t *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->l = l;
    h->conf = *c;
    h->lim = (ws_limits_t){c->msg_max, c->frags_max};
    h->hooks = hooks;
    h->head = h->tail = 1;
    dl_init(&h->pings, c->ping_ms);
    buf_init(&h->text, TEXT_MAX);
    make_metrics(h, m);
    h->tick = ltimer_new(l, on_tick, h);
    if (!h->tick) {
        free(h);
        return NULL;
    }
    ltimer_arm(h->tick, 20);
    return h;
}

static xerr_t refuse(req_t *r, ws_verdict_t v)
{
    if (v.status == 426) {
        req_add_header(r, "Upgrade", "websocket");
        req_add_header(r, "Sec-WebSocket-Version", "13");
    }
    req_close_after(r);
    req_error(r, v.status, "VALIDATION_ERROR", v.message, NULL, 0);
    return XE_BAD_INPUT;
}

static xerr_t refuse_full(req_t *r, const char *message)
{
    req_error(r, 503, "STORAGE_UNAVAILABLE", message, NULL, 5);
    return XE_FULL;
}

static bool take_over(ws_t *ws, req_t *r)
{
    span_t key = {"", 0};
    char accept[WS_ACCEPT_TEXT + 1], lines[128];
    req_header(r, "sec-websocket-key", &key);
    ws_accept_text(key, accept);
    int n = snprintf(lines, sizeof lines, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                     accept);
    ws->conn = r->conn;
    /* Left alone the kernel would queue megabytes of old news for a slow reader before we noticed. */
    int room = (int)ws->hub->conf.sub_bytes_max;
    setsockopt(r->conn ? r->conn->fd : -1, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return req_upgrade(r, (span_t){lines, (size_t)n}, &ws_conn_ops, ws);
}

xerr_t hub_upgrade(hub_t *h, req_t *r, void *user)
{
    if (req_answered(r)) return XE_CLOSED;
    ws_verdict_t v = ws_handshake_judge(r);
    if (v.status) return refuse(r, v);
    if (h->shut) return refuse_full(r, "the server is shutting down");
    if (h->n_subs >= h->conf.subs_max) return refuse_full(r, "too many subscribers");
    ws_t *ws = calloc(1, sizeof *ws);
    if (!ws) return refuse_full(r, "out of memory");
    ws->hub = h;
    ws->user = user;
    ws->q = ws->q_in;
    ws->q_cap = QUEUE_INLINE;
    if (!take_over(ws, r)) {
        free(ws);
        if (!r->conn) return XE_CLOSED;
        return refuse(r, (ws_verdict_t){400, "an upgrade must be the only request in flight"});
    }
    ws->cursor = h->head;
    list_to_end(h, ws);
    h->n_subs++;
    gauge_set(h->g_subs, h->n_subs);
    dl_set(&h->pings, &ws->ping, loop_now_ns(h->l));
    ws_activate(ws);
    return XE_OK;
}

void hub_close(hub_t *h, unsigned code)
{
    h->shut = true;
    while (h->first) ws_close(h->first, code, "going away");
}

bool hub_idle(const hub_t *h)
{
    return !h->n_subs && !h->closed_first;
}

unsigned hub_subscribers(const hub_t *h)
{
    return h->n_subs;
}

void hub_free(hub_t *h)
{
    hub_close(h, 1001);
    while (h->active || h->closed_first) {
        write_active(h);
        report_closed(h);
    }
    loop_end_turn(h->l);
    while (h->tail < h->head) ring_shift(h);
    ltimer_free(h->tick);
    buf_fini(&h->text);
    free(h);
}
