#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reactor/http_internal.h"
#include "reactor/log.h"

static void on_readable(evutil_socket_t fd, short what, void *ctx);
static void on_writable(evutil_socket_t fd, short what, void *ctx);
static void pump(conn_t *c, char *p, size_t n);

/* ---- deadlines ---------------------------------------------------------------------------------------------------- */

#define OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static void rd_set(conn_t *c, dl_kind_t kind)
{
    c->rd_kind = (uint8_t)kind;
    if (kind == DL_NONE)
        dl_clear(&c->rd);
    else
        dl_set(&c->h->rd[kind], &c->rd, loop_now_ns(c->h->l));
}

/* Head and body are counted from their first byte and never start anew; idle starts with every end of work. */
void conn_settle(conn_t *c)
{
    if (c->dead || c->lingering) return;
    dl_kind_t want = DL_NONE;
    if (c->ops || c->no_more || c->stalled)
        want = DL_NONE;
    else if (c->cur || c->body_left)
        want = DL_BODY;
    else if (c->in_n)
        want = DL_HEAD;
    else if (!c->n_reqs && !c->out.bytes)
        want = DL_IDLE;
    if (want != c->rd_kind || want == DL_IDLE) rd_set(c, want);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

conn_t *conn_new(http_t *h, int fd, const uint8_t addr[16], const char *peer, bool trusted)
{
    conn_t *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->h = h;
    c->fd = fd;
    c->trusted = trusted;
    memcpy(c->addr, addr, 16);
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    event_assign(&c->ev_r, loop_base(h->l), fd, EV_READ | EV_CLOSED | EV_PERSIST | EV_ET, on_readable, c);
    event_assign(&c->ev_w, loop_base(h->l), fd, EV_WRITE | EV_PERSIST | EV_ET, on_writable, c);
    if (event_add(&c->ev_r, NULL) != 0) {
        free(c);
        return NULL;
    }
    c->reading = true;
    c->next = h->conns;
    if (c->next) c->next->prev = c;
    h->conns = c;
    h->n_conns++;
    gauge_set(h->g_conns, h->n_conns);
    conn_settle(c);
    return c;
}

static void set_reading(conn_t *c, bool on)
{
    if (c->reading == on || c->dead) return;
    c->reading = on;
    if (on)
        event_add(&c->ev_r, NULL);
    else
        event_del(&c->ev_r);
}

static void stop_writing(conn_t *c)
{
    dl_clear(&c->wr);
    if (!c->writing) return;
    c->writing = false;
    event_del(&c->ev_w);
}

static void stash_drop(conn_t *c)
{
    free(c->in);
    c->in = NULL;
    c->in_n = c->in_cap = 0;
}

/* Requests still unanswered live on without a client; those whose answer was waiting for its turn are done. */
static void orphan(conn_t *c, req_t *from)
{
    while (from) {
        req_t *r = from;
        from = r->next;
        r->next = NULL;
        r->conn = NULL;
        if (r->answered)
            req_finish(r);
        else if (!r->dispatched)
            req_error(r, 400, "VALIDATION_ERROR", "the body did not arrive", NULL, 0);
    }
}

static void forget_reqs(conn_t *c)
{
    req_t *from = c->first;
    c->first = c->last = c->cur = NULL;
    c->n_reqs = 0;
    c->body_left = 0;
    orphan(c, from);
}

static void conn_free(void *obj)
{
    conn_t *c = obj;
    http_t *h = c->h;
    free(c);
    http_maybe_free(h);
}

/* Lists of this turn may still name it: they skip the dead, and only the last of them lets it go. */
static void free_unlisted(conn_t *c)
{
    if (!c->dirty && !c->resume && !c->ready) loop_defer(c->h->l, conn_free, c);
}

void conn_die(conn_t *c)
{
    http_t *h = c->h;
    if (c->dead) return;
    set_reading(c, false);
    stop_writing(c);
    c->dead = true;
    dl_clear(&c->rd);
    close(c->fd);
    c->fd = -1;
    if (c->ops) {
        const conn_ops_t *ops = c->ops;
        c->ops = NULL;
        ops->on_gone(c->up);
    }
    outq_clear(&c->out, &h->chunks);
    stash_drop(c);
    forget_reqs(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    c->prev = c->next = NULL;
    h->n_conns--;
    gauge_set(h->g_conns, h->n_conns);
    listen_conn_gone(h, c->addr, c->trusted);
    free_unlisted(c);
}

static void linger(conn_t *c)
{
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_die(c);
        return;
    }
    c->lingering = true;
    c->closing = false;
    stash_drop(c);
    rd_set(c, DL_LINGER);
    set_reading(c, true);
}

void conn_finish(conn_t *c)
{
    if (c->dead) return;
    c->no_more = true;
    c->closing = true;
    c->ops = NULL;
    c->stalled = false;
    stash_drop(c);
    set_reading(c, false);
    rd_set(c, DL_NONE);
    conn_dirty(c);
}

void conn_upgraded(conn_t *c, const conn_ops_t *ops, void *up)
{
    c->ops = ops;
    c->up = up;
    c->hold = false;
    rd_set(c, DL_NONE);
    conn_dirty(c);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

void conn_dirty(conn_t *c)
{
    http_t *h = c->h;
    if (c->dirty || c->dead) return;
    c->dirty = true;
    c->dirty_next = NULL;
    if (h->dirty_last)
        h->dirty_last->dirty_next = c;
    else
        h->dirty = c;
    h->dirty_last = c;
    wake_after(h->l, h->flush_turn);
}

static void add_resume(conn_t *c)
{
    if (c->resume || c->dead) return;
    c->resume = true;
    c->resume_next = c->h->resume;
    c->h->resume = c;
    wake_after(c->h->l, c->h->flush_turn);
}

static void say_continue(conn_t *c, req_t *r)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!r->want_continue) return;
    r->want_continue = false;
    if (c->cur != r) return;
    outq_add(&c->out, &c->h->chunks, text, sizeof text - 1);
    conn_dirty(c);
}

void conn_answered(conn_t *c, req_t *r)
{
    if (c->cur == r) c->cur = NULL; /* what is left of its body is thrown away */
    if (r->head.upgrade) c->hold = false;
    while (c->first && c->first->answered) {
        req_t *f = c->first;
        outq_splice(&c->out, &f->out);
        c->first = f->next;
        if (!c->first) c->last = NULL;
        c->n_reqs--;
        f->next = NULL;
        bool closes = f->closes;
        req_finish(f);
        if (closes) {
            forget_reqs(c);
            conn_finish(c);
            return;
        }
    }
    if (c->first) say_continue(c, c->first);
    conn_dirty(c);
}

const int http_refusals[REFUSALS] = {400, 408, 411, 413, 414, 417, 431, 501, 505};

void conn_note_error(http_t *h, int status)
{
    for (size_t i = 0; i < REFUSALS; i++) {
        if (http_refusals[i] == status) ctr_inc(h->c_errors[i]);
    }
}

/* A request behind those that wait. NULL: no memory, and the connection ends. */
static req_t *next_req(conn_t *c, const http_head_t *head, const char *text)
{
    req_t *r = req_new(c->h, c, head, text);
    if (!r) {
        conn_finish(c);
        return NULL;
    }
    if (c->last)
        c->last->next = r;
    else
        c->first = r;
    c->last = r;
    c->n_reqs++;
    return r;
}

/* A refusal by the server itself, in its place behind what was asked before. No byte after it is interpreted. */
static void refuse(conn_t *c, int status, const char *message)
{
    http_t *h = c->h;
    conn_note_error(h, status);
    log_debug("http", c->peer, "request refused status=%d why=%s", status, message);
    c->no_more = true;
    req_t *r = next_req(c, NULL, NULL);
    if (!r) return;
    req_error(r, status, status == 408 ? "TIMEOUT" : "VALIDATION_ERROR", message, NULL, 0);
}

/* ---- requests out of bytes ---------------------------------------------------------------------------------------- */

static void dispatch(conn_t *c, req_t *r)
{
    http_t *h = c->h;
    r->dispatched = true;
    h->in_flight++;
    c->hold = r->head.upgrade && r->head.known[HF_UPGRADE]; /* what follows may be no HTTP: it waits for the answer */
    req_hold(r);
    h->hooks.on_request(h->hooks.ctx, r);
    req_drop(r);
}

static void refuse_body(conn_t *c, req_t *r)
{
    conn_note_error(c->h, 413);
    c->no_more = true;
    req_error(r, 413, "VALIDATION_ERROR", "the body is larger than its limit", NULL, 0);
}

/* Room for a body that is kept. What stands behind a GET is read and ignored. False: answered. */
static bool take_room(http_t *h, req_t *r, size_t length)
{
    if (r->head.method == M_GET || r->head.method == M_HEAD) return true;
    if (length <= BODY_SMALL || h->body_bytes + length <= BODY_BUDGET) r->body = malloc(length);
    if (!r->body) {
        req_error(r, 503, "STORAGE_UNAVAILABLE", "no memory for the body", NULL, 1);
        return false;
    }
    r->body_share = length > BODY_SMALL ? length : 0;
    h->body_bytes += r->body_share;
    return true;
}

/* A body that nothing announced: what stands there begins no request. Left to itself it would be one, and refused after
 * the request it belongs to was carried out without it. */
static bool is_unannounced(const req_t *r, const char *p, size_t n)
{
    bool may_have_body = (r->head.method & (M_POST | M_PUT | M_PATCH | M_QUERY)) != 0;
    return n && may_have_body && !r->head.has_length && *p != '\r' && !(*p >= 'A' && *p <= 'Z');
}

static void refuse_unannounced(conn_t *c, req_t *r)
{
    conn_note_error(c->h, 411);
    c->no_more = true;
    req_close_after(r);
    req_error(r, 411, "VALIDATION_ERROR", "Content-Length is missing", NULL, 0);
}

/* The head is accepted: what comes next, refusals first. */
static void admit(conn_t *c, req_t *r)
{
    http_t *h = c->h;
    uint64_t length = r->head.length;
    if (h->draining) {
        c->no_more = true;
        req_error(r, 503, "STORAGE_UNAVAILABLE", "the server is shutting down", NULL, 1);
        return;
    }
    if (length > h->conf.body_max) {
        refuse_body(c, r);
        return;
    }
    if (length) {
        c->cur = r;
        c->body_left = length;
    }
    if (h->hooks.on_head) h->hooks.on_head(h->hooks.ctx, r);
    if (r->answered) return;
    if (length > r->body_max) {
        refuse_body(c, r);
        return;
    }
    if (r->head.close) c->no_more = length == 0;
    if (!length) {
        dispatch(c, r);
        return;
    }
    if (!take_room(h, r, (size_t)length)) return;
    r->want_continue = r->head.expect_continue;
    rd_set(c, DL_BODY);
}

/* Bytes used: 0 when the head is not complete. */
static size_t take_head(conn_t *c, const char *p, size_t n)
{
    http_t *h = c->h;
    http_fault_t why;
    xerr_t err = http_parse_head(&c->scan, p, n, &h->lim, &h->head, &why);
    if (err == XE_AGAIN) return 0;
    c->scan = (http_scan_t){0};
    rd_set(c, DL_NONE);
    if (err) {
        refuse(c, why.status, why.message);
        return n;
    }
    req_t *r = next_req(c, &h->head, p);
    if (!r) return n;
    size_t used = r->head.size;
    req_hold(r);
    if (is_unannounced(r, p + used, n - used))
        refuse_unannounced(c, r);
    else
        admit(c, r);
    if (n == used && c->first == r) say_continue(c, r);
    req_drop(r);
    return used;
}

static size_t take_body(conn_t *c, const char *p, size_t n)
{
    size_t take = n < c->body_left ? n : (size_t)c->body_left;
    req_t *r = c->cur;
    if (r && r->body) {
        memcpy(r->body + r->body_n, p, take);
        r->body_n += take;
    }
    c->body_left -= take;
    if (c->body_left) {
        if (r && c->first == r) say_continue(c, r);
        return take;
    }
    rd_set(c, DL_NONE);
    if (!r) return take;
    c->cur = NULL;
    r->want_continue = false;
    if (r->head.close) c->no_more = true;
    dispatch(c, r);
    return take;
}

static bool may_go_on(const conn_t *c)
{
    if (c->no_more || c->hold) return false;
    if (c->body_left) return true;
    return c->n_reqs < c->h->conf.pipeline_max && c->out.bytes <= OUT_HIGH;
}

static void stash(conn_t *c, const char *p, size_t n)
{
    if (!n) {
        stash_drop(c);
        return;
    }
    if (n > c->in_cap) {
        uint32_t cap = c->in_cap ? c->in_cap : 256;
        while (cap < n) cap *= 2;
        char *in = malloc(cap);
        if (!in) {
            conn_finish(c);
            return;
        }
        free(c->in);
        c->in = in;
        c->in_cap = cap;
    }
    memcpy(c->in, p, n);
    c->in_n = (uint32_t)n;
}

/* Cuts requests out of p[0..n), which is never c->in itself, and keeps what is left over. */
static void pump(conn_t *c, char *p, size_t n)
{
    unsigned budget = TURN_REQS;
    bool incomplete = false;
    while (n && !c->ops && may_go_on(c) && budget) {
        size_t used;
        if (c->body_left) {
            used = take_body(c, p, n);
        } else {
            used = take_head(c, p, n);
            budget--;
        }
        incomplete = used == 0;
        if (incomplete) break;
        p += used;
        n -= used;
    }
    if (c->dead) return;
    if (c->ops) {
        stash_drop(c);
        if (n) c->ops->on_bytes(c->up, p, n);
        return;
    }
    if (c->no_more) n = 0;
    stash(c, p, n);
    c->stalled = n && !incomplete;
    set_reading(c, !c->no_more && !c->stalled && !c->hold && may_go_on(c));
    if (c->stalled && may_go_on(c)) add_resume(c);
    conn_settle(c);
}

/* ---- socket events ------------------------------------------------------------------------------------------------ */

/* The kernel tells of new bytes once, so what one read leaves behind must be remembered: a full buffer means there may
 * be more, and the peer's end comes behind the last byte. */
static ssize_t receive(conn_t *c, char *to)
{
    ssize_t n = recv(c->fd, to, READ_MAX, 0);
    c->may_read = n < 0 ? errno == EINTR : n == READ_MAX || (n > 0 && c->hup);
    return n;
}

static void read_and_drop(conn_t *c)
{
    ssize_t n = receive(c, c->h->scratch);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) c->drained += (uint64_t)n;
    if (n <= 0 || c->drained > LINGER_MAX) conn_die(c);
}

/* The peer sends no more. What it asked is still answered; a request cut short is not. */
static void on_eof(conn_t *c)
{
    c->eof = true;
    c->no_more = true;
    set_reading(c, false);
    stash_drop(c);
    if (c->ops) {
        conn_die(c);
        return;
    }
    if (c->cur) {
        c->cur->closes = true;
        req_error(c->cur, 400, "VALIDATION_ERROR", "the body ended early", NULL, 0);
    }
    rd_set(c, DL_NONE);
    if (!c->n_reqs && !c->out.bytes)
        conn_die(c);
    else
        conn_dirty(c);
}

static void take_input(conn_t *c)
{
    http_t *h = c->h;
    if (c->lingering) {
        read_and_drop(c);
        return;
    }
    size_t have = c->in_n;
    if (have) memcpy(h->scratch, c->in, have);
    ssize_t n = receive(c, h->scratch + have);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0)
        conn_die(c);
    else if (n == 0)
        on_eof(c);
    else
        pump(c, h->scratch, have + (size_t)n);
}

void conn_want_write(conn_t *c)
{
    if (c->writing || c->dead) return;
    c->writing = true;
    event_add(&c->ev_w, NULL);
    dl_set(&c->h->wr, &c->wr, loop_now_ns(c->h->l));
}

void conn_wrote(conn_t *c)
{
    if (c->wr.due) dl_set(&c->h->wr, &c->wr, loop_now_ns(c->h->l));
}

static void conn_flush(conn_t *c)
{
    size_t wrote = 0;
    if (c->dead || c->lingering) return;
    xerr_t err = outq_write(&c->out, &c->h->chunks, c->fd, &wrote);
    if (err == XE_CLOSED) {
        conn_die(c);
        return;
    }
    if (wrote) conn_wrote(c);
    if (err == XE_AGAIN) {
        conn_want_write(c);
        return;
    }
    if (c->ops && c->ops->on_writable(c->up)) {
        conn_want_write(c);
        return;
    }
    if (c->dead) return;
    stop_writing(c);
    if (c->ops) {
        if (c->in_n)
            add_resume(c); /* came behind the upgrade request */
        else
            set_reading(c, true);
        return;
    }
    if (c->closing || (c->eof && !c->n_reqs)) {
        linger(c);
        return;
    }
    if (may_go_on(c) && !c->eof) {
        if (c->stalled)
            add_resume(c);
        else
            set_reading(c, true);
    }
    conn_settle(c);
}

/* ---- whose turn it is --------------------------------------------------------------------------------------------- */

static void make_ready(conn_t *c)
{
    http_t *h = c->h;
    if (c->ready || c->dead) return;
    c->ready = true;
    c->ready_next = NULL;
    if (h->ready)
        h->ready_last->ready_next = c;
    else
        h->ready = c;
    h->ready_last = c;
}

/* With thousands of sockets ready at once, answers would wait for the last of them to be read: the rest goes on in the
 * next turn, behind this one's flush. */
static bool turn_is_over(http_t *h)
{
    if (h->turn_events >= TURN_EVENTS) return true;
    if (++h->turn_events % 32 || mono_ns() - loop_now_ns(h->l) <= TURN_NS) return false;
    h->turn_events = TURN_EVENTS;
    return true;
}

static void serve(conn_t *c)
{
    bool write = c->may_write;
    c->may_write = false;
    if (write && c->writing) conn_flush(c);
    if (c->may_read && c->reading && !c->dead) take_input(c);
    if (c->may_read && c->reading) make_ready(c);
}

static void on_event(conn_t *c)
{
    http_t *h = c->h;
    loop_now_ns(h->l);
    if (h->ready || turn_is_over(h))
        make_ready(c);
    else
        serve(c);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    conn_t *c = ctx;
    c->may_read = true;
    if (what & EV_CLOSED) c->hup = true;
    on_event(c);
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
    conn_t *c = ctx;
    c->may_write = true;
    on_event(c);
}

static conn_t *pop_ready(http_t *h)
{
    conn_t *c = h->ready;
    h->ready = c->ready_next;
    c->ready = false;
    return c;
}

void conn_serve_more(http_t *h)
{
    conn_t *last = h->ready_last;
    while (h->ready && !turn_is_over(h)) {
        conn_t *c = pop_ready(h);
        bool round = c == last;
        if (c->dead)
            free_unlisted(c);
        else
            serve(c);
        if (round) break; /* who asked for more meanwhile waits for the flush */
    }
}

void conn_forget_ready(http_t *h)
{
    while (h->ready) free_unlisted(pop_ready(h));
}

static void resume(conn_t *c)
{
    http_t *h = c->h;
    if (!c->in_n || c->no_more) return;
    size_t n = c->in_n;
    memcpy(h->scratch, c->in, n);
    if (c->ops) {
        stash_drop(c);
        set_reading(c, true);
        c->ops->on_bytes(c->up, h->scratch, n);
        return;
    }
    pump(c, h->scratch, n);
}

static void resume_all(http_t *h)
{
    conn_t *list = h->resume;
    h->resume = NULL;
    while (list) {
        conn_t *c = list;
        list = c->resume_next;
        c->resume = false;
        if (c->dead)
            free_unlisted(c);
        else
            resume(c);
    }
}

void http_flush(http_t *h)
{
    h->flush_turn = loop_now_ns(h->l);
    h->turn_events = 0;
    resume_all(h);
    while (h->dirty) {
        conn_t *c = h->dirty;
        h->dirty = c->dirty_next;
        if (!h->dirty) h->dirty_last = NULL;
        c->dirty = false;
        if (c->dead)
            free_unlisted(c);
        else if (!c->writing)
            conn_flush(c);
    }
    req_release_done(h);
    if (h->ready) event_active(&h->ev_more, EV_READ, 0);
    gauge_set(h->g_flight, h->in_flight);
}

/* ---- time --------------------------------------------------------------------------------------------------------- */

static void too_slow(conn_t *c, const char *message)
{
    if (c->cur) {
        c->no_more = true;
        conn_note_error(c->h, 408);
        req_error(c->cur, 408, "TIMEOUT", message, NULL, 0);
    } else if (c->body_left) {
        conn_finish(c); /* its answer went out before its body came */
    } else {
        refuse(c, 408, message);
    }
    stash_drop(c);
    set_reading(c, false);
    conn_settle(c);
}

static void rd_fire(conn_t *c)
{
    dl_kind_t kind = (dl_kind_t)c->rd_kind;
    rd_set(c, DL_NONE);
    if (kind == DL_HEAD)
        too_slow(c, "the request head did not arrive in time");
    else if (kind == DL_BODY)
        too_slow(c, "the request body did not arrive in time");
    else
        conn_die(c);
}

void conn_ticks(http_t *h, int64_t now)
{
    dl_node_t *n;
    for (int k = DL_HEAD; k < DL_KINDS; k++)
        while ((n = dl_due(&h->rd[k], now))) rd_fire(OF(n, conn_t, rd));
    while ((n = dl_due(&h->wr, now))) conn_die(OF(n, conn_t, wr));
    for (unsigned i = 0; i < h->n_req_lists; i++)
        while ((n = dl_due(&h->reqs[i], now))) req_expired(OF(n, req_t, deadline));
}
