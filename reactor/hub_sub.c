#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "reactor/hub_internal.h"

#define IOV_FRAMES 64

static frame_t **slot(ws_t *ws, unsigned i)
{
    return &ws->q[(ws->q_head + i) & (ws->q_cap - 1)];
}

static void queue_reset(ws_t *ws)
{
    if (ws->q != ws->q_in) free(ws->q);
    ws->q = ws->q_in;
    ws->q_cap = QUEUE_INLINE;
    ws->q_head = ws->q_n = 0;
}

static bool queue_grow(ws_t *ws)
{
    unsigned cap = ws->q_cap < QUEUE_INLINE ? QUEUE_INLINE : 2 * ws->q_cap;
    frame_t **q = malloc(cap * sizeof(frame_t *));
    if (!q) return false;
    for (unsigned i = 0; i < ws->q_n; i++) q[i] = *slot(ws, i);
    if (ws->q != ws->q_in) free(ws->q);
    ws->q = q;
    ws->q_head = 0;
    ws->q_cap = cap;
    return true;
}

static void pop(ws_t *ws)
{
    frame_t *f = *slot(ws, 0);
    ws->q_head = (ws->q_head + 1) & (ws->q_cap - 1);
    ws->q_n--;
    ws->q_bytes -= f->n;
    if (f->pong) ws->pongs--;
    ws->part = 0;
    frame_drop(f);
}

static void queue_clear(ws_t *ws)
{
    while (ws->q_n) pop(ws);
    queue_reset(ws);
}

static void remove_at(ws_t *ws, unsigned i)
{
    frame_t *f = *slot(ws, i);
    ws->q_bytes -= f->n;
    for (; i + 1 < ws->q_n; i++) *slot(ws, i) = *slot(ws, i + 1);
    ws->q_n--;
    if (f->pong) ws->pongs--;
    frame_drop(f);
}

static bool same_subject(const frame_t *a, const frame_t *b)
{
    return a->topic == b->topic && a->a.key == b->a.key && a->a.pair == b->a.pair && a->a.venue_a == b->a.venue_a &&
           a->a.venue_b == b->a.venue_b;
}

/* A state that has not left yet is replaced by its successor; a frame partly sent has to be finished. */
static void conflate(ws_t *ws, const frame_t *f)
{
    if (!ws->conn->writing) return;
    if (f->pong ? ws->pongs < PONGS_MAX : f->topic < 0 || !ws->hub->topics[f->topic].conflate) return;
    for (unsigned i = ws->q_n; i > (ws->part ? 1u : 0u); i--) {
        const frame_t *old = *slot(ws, i - 1);
        if (f->pong ? !old->pong : !same_subject(old, f)) continue;
        remove_at(ws, i - 1);
        ctr_inc(ws->hub->c_conflated);
        return;
    }
}

/* ---- close -------------------------------------------------------------------------------------------------------- */

/* What was promised to the socket goes out before the close frame: the rest of a frame partly sent always, whole
 * frames only when flush says so. */
static void hand_over(ws_t *ws, bool flush)
{
    chunk_pool_t *pool = &ws->conn->h->chunks;
    while (ws->q_n && (ws->part || flush)) {
        frame_t *f = *slot(ws, 0);
        outq_add(&ws->conn->out, pool, f->data + ws->part, f->n - ws->part);
        pop(ws);
    }
    queue_clear(ws);
}

static void detach(ws_t *ws, unsigned report)
{
    hub_t *h = ws->hub;
    ws->closing = true;
    ws->code = report;
    ws->conn = NULL;
    queue_clear(ws);
    dl_clear(&ws->ping);
    hub_unlink(h, ws);
    ws->closed_next = NULL;
    if (h->closed_last)
        h->closed_last->closed_next = ws;
    else
        h->closed_first = ws;
    h->closed_last = ws;
    wake_after(h->l, h->flush_turn);
}

/* send 1005: a close frame without a body. */
static void shut(ws_t *ws, unsigned send, unsigned report, const char *reason)
{
    uint8_t body[WS_CONTROL_MAX], head[10];
    size_t n = 0;
    if (ws->closing) return;
    if (send != 1005) {
        span_t why = span_of(reason);
        if (why.n > sizeof body - 2) why.n = sizeof body - 2;
        body[0] = (uint8_t)(send >> 8);
        body[1] = (uint8_t)send;
        if (why.n) memcpy(body + 2, why.p, why.n);
        n = 2 + why.n;
    }
    conn_t *c = ws->conn;
    hand_over(ws, send != 4008);
    size_t hn = ws_head_write(head, WS_CLOSE, n);
    outq_add(&c->out, &c->h->chunks, head, hn);
    if (n) outq_add(&c->out, &c->h->chunks, body, n);
    detach(ws, report);
    conn_finish(c);
}

void ws_close(ws_t *ws, unsigned code, const char *reason)
{
    shut(ws, code, code, reason);
}

static void on_gone(void *up)
{
    ws_t *ws = up;
    if (!ws->closing) detach(ws, 1006);
}

void ws_free(void *obj)
{
    ws_t *ws = obj;
    queue_clear(ws);
    ws_rx_fini(&ws->rx);
    free(ws);
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

static size_t gather(ws_t *ws, struct iovec *iov, size_t *bytes)
{
    size_t n = 0;
    *bytes = 0;
    for (unsigned i = 0; i < ws->q_n && n < IOV_FRAMES; i++) {
        frame_t *f = *slot(ws, i);
        size_t skip = i ? 0 : ws->part;
        iov[n++] = (struct iovec){f->data + skip, f->n - skip};
        *bytes += f->n - skip;
    }
    return n;
}

static void sent(ws_t *ws, size_t n)
{
    while (n) {
        size_t left = (*slot(ws, 0))->n - ws->part;
        if (n < left) {
            ws->part += n;
            return;
        }
        n -= left;
        pop(ws);
        ctr_inc(ws->hub->c_sent);
    }
}

/* True while frames wait for the socket. The connection may have died in here. */
static bool write_queue(ws_t *ws)
{
    struct iovec iov[IOV_FRAMES];
    while (ws->q_n) {
        size_t bytes;
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = gather(ws, iov, &bytes)};
        ssize_t n = msg.msg_iovlen == 1 ? send(ws->conn->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                                        : sendmsg(ws->conn->fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)) return true;
        if (n < 0) {
            conn_die(ws->conn);
            return false;
        }
        conn_wrote(ws->conn);
        sent(ws, (size_t)n);
        if ((size_t)n < bytes) return true;
    }
    queue_reset(ws);
    return false;
}

void ws_write(ws_t *ws)
{
    if (ws->closing || ws->conn->out.bytes || ws->conn->writing) return;
    if (write_queue(ws)) conn_want_write(ws->conn);
}

static bool on_socket_writable(void *up)
{
    return write_queue(up);
}

static bool over_bound(const ws_t *ws, const frame_t *f)
{
    const hub_conf_t *c = &ws->hub->conf;
    return ws->q_n >= c->sub_events_max || ws->q_bytes - ws->part + f->n > c->sub_bytes_max;
}

void ws_push(ws_t *ws, frame_t *f)
{
    if (ws->closing) return;
    conflate(ws, f);
    if (over_bound(ws, f)) ws_write(ws); /* the socket may take what this turn gathered */
    if (ws->closing) return;
    if (over_bound(ws, f) || (ws->q_n == ws->q_cap && !queue_grow(ws))) {
        shut(ws, 4008, 4008, "too slow");
        return;
    }
    f->refs++;
    *slot(ws, ws->q_n++) = f;
    ws->q_bytes += f->n;
    if (f->pong) ws->pongs++;
}

void ws_activate(ws_t *ws)
{
    hub_t *h = ws->hub;
    if (ws->active || ws->closing) return;
    ws->active = true;
    ws->active_next = h->active;
    h->active = ws;
    wake_after(h->l, h->flush_turn);
}

static void push_new(ws_t *ws, uint8_t op, span_t body)
{
    frame_t *f = frame_new(op, body);
    if (!f) {
        shut(ws, 1011, 1011, "out of memory");
        return;
    }
    f->pong = op == WS_PONG;
    ws_push(ws, f);
    frame_drop(f);
    ws_activate(ws);
}

void ws_send(ws_t *ws, span_t json)
{
    if (ws->closing) return;
    hub_collect(ws->hub, ws); /* what was published before stays before */
    if (!ws->closing) push_new(ws, WS_TEXT, json);
}

void ws_ping(ws_t *ws, int64_t now)
{
    dl_set(&ws->hub->pings, &ws->ping, now);
    if (ws->ping_ns && now - ws->ping_ns >= (int64_t)ws->hub->conf.dead_ms * 1000000) {
        shut(ws, 1008, 1008, "ping not answered");
        return;
    }
    if (!ws->ping_ns) ws->ping_ns = now;
    push_new(ws, WS_PING, SPAN_LIT(""));
}

/* ---- receiving ---------------------------------------------------------------------------------------------------- */

void ws_open_now(ws_t *ws)
{
    if (ws->opened) return;
    ws->opened = true;
    if (ws->hub->hooks.on_open) ws->hub->hooks.on_open(ws->hub->hooks.ctx, ws);
}

/* Control frames are nobody's message and still cost a turn: a peer that does nothing else is shown out. */
static bool control_allowed(ws_t *ws)
{
    int64_t now = loop_now_ns(ws->hub->l), from = ws->control_ns > now ? ws->control_ns : now;
    if (from - now > (CONTROL_BURST - 1) * (int64_t)CONTROL_STEP_NS) return false;
    ws->control_ns = from + CONTROL_STEP_NS;
    return true;
}

static void take(ws_t *ws, const ws_ev_t *ev)
{
    hub_t *h = ws->hub;
    if ((ev->kind == WS_RX_PING || ev->kind == WS_RX_PONG) && !control_allowed(ws)) {
        shut(ws, 4029, 4029, "too many control frames");
        return;
    }
    switch (ev->kind) {
    case WS_RX_TEXT: h->hooks.on_text(h->hooks.ctx, ws, ev->body); break;
    case WS_RX_PING: push_new(ws, WS_PONG, ev->body); break;
    case WS_RX_PONG: ws->ping_ns = 0; break;
    case WS_RX_CLOSE: shut(ws, ev->code, ev->code, NULL); break;
    case WS_RX_FAIL: shut(ws, ev->code, ev->code, ev->why); break;
    case WS_RX_MORE: break;
    }
}

static void on_bytes(void *up, char *p, size_t n)
{
    ws_t *ws = up;
    ws_ev_t ev = {.kind = WS_RX_PING};
    ws_open_now(ws);
    while (!ws->closing && ev.kind != WS_RX_MORE) {
        ws_rx_next(&ws->rx, &ws->hub->lim, &p, &n, &ev);
        take(ws, &ev);
    }
}

const conn_ops_t ws_conn_ops = {on_bytes, on_socket_writable, on_gone};

void *ws_user(const ws_t *ws)
{
    return ws->user;
}
