#include "connectors/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "reactor/log.h"

#define CONNECT_MS 10000
#define SUBSCRIBE_MS 5000      /* without a byte */
#define SUBSCRIBE_ALL_MS 60000 /* in all */
#define GOOD_MS 60000
#define TICK_MS 250
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 4000     /* a venue that returns is followed again within 5 s */
#define BACKOFF_DENIED_MS 30000 /* one that sends us away is left in peace */
#define TRIES_AFTER_LIVE 4     /* 4 s */
#define QUEUE_MAX 8192
#define MS 1000000LL

struct link {
    loop_t *loop;
    wsc_t *wsc;
    feed_stats_t *stats;
    jchan_t *rec;
    link_conf_t c;
    char *url;
    link_hooks_t h;
    link_state_t state;
    wsconn_t *conn;
    ltimer_t *timer;
    bool opened;            /* on_open was called, on_down not yet */
    bool job;               /* a slice waits in loop_later */
    bool in_frame;          /* on_frame was called for the head of the queue */
    unsigned tries;
    int64_t since_ns, bytes_ns, ping_ns;
    int64_t turn_ns, spent_ns; /* work done in this turn already */
    wsc_msg_t *q;
    size_t q_head, q_n, q_bytes;
    uint64_t gone;          /* grows with every connection given up */
};

const char *link_state_name(link_state_t s)
{
    static const char *const names[LINK_N] = {
#define X(id) #id,
        LINK_STATES(X)
#undef X
    };
    return names[s];
}

static void on_timer(void *ctx);

link_t *link_new(loop_t *l, wsc_t *w, feed_stats_t *stats, const link_conf_t *c, link_hooks_t h)
{
    link_t *k = calloc(1, sizeof *k);
    XASSERT(k != NULL);
    k->loop = l;
    k->wsc = w;
    k->stats = stats;
    k->c = *c;
    k->url = strdup(c->url);
    k->q = calloc(QUEUE_MAX, sizeof *k->q);
    XASSERT(k->url != NULL && k->q != NULL);
    k->h = h;
    k->rec = journal_chan(c->journal, c->venue, c->protocol);
    k->timer = ltimer_new(l, on_timer, k);
    return k;
}

link_state_t link_state(const link_t *k) { return k->state; }
bool link_idle(const link_t *k) { return k->q_n == 0; }

/* A message that has been dealt with belongs to the journal, in the order of arrival. */
static void pop(link_t *k)
{
    wsc_msg_t *m = &k->q[k->q_head];
    k->q_bytes -= m->n;
    jchan_give(k->rec, m->text, m->n, m->recv_ns, m->recv_wall_us);
    k->q_head = (k->q_head + 1) % QUEUE_MAX;
    k->q_n--;
    k->in_frame = false;
}

static void drop_queue(link_t *k)
{
    while (k->q_n) pop(k);
    k->in_frame = false;
    gauge_set(k->stats->queue, 0);
}

static int64_t backoff_ms(const link_t *k, xerr_t why)
{
    uint16_t r;
    if (why == XE_AGAIN && k->tries == 0) return 0; /* the venue is about to go away and has asked for it */
    int64_t max = why == XE_DENIED ? BACKOFF_DENIED_MS : BACKOFF_MAX_MS;
    unsigned shift = k->tries < 8 ? k->tries : 8;
    int64_t ms = (int64_t)BACKOFF_MIN_MS << shift;
    if (ms > max) ms = max;
    random_bytes(&r, sizeof r);
    return ms - ms * r / 65535 / 4;
}

/* The one place that changes the state: says so and arms the deadline of the new one. */
static void enter(link_t *k, link_state_t to, xerr_t why)
{
    link_state_t from = k->state;
    int64_t ms = to == LINK_CONNECTING ? CONNECT_MS : to == LINK_BACKOFF ? backoff_ms(k, why) : TICK_MS;
    k->state = to;
    k->since_ns = mono_ns();
    k->stats->h.state = link_state_name(to);
    k->stats->h.since_us = wall_us();
    gauge_set(k->stats->up, to == LINK_LIVE);
    if (to == LINK_DOWN) ltimer_stop(k->timer);
    else ltimer_arm(k->timer, ms);
    bool edge = to == LINK_LIVE || from == LINK_LIVE || to == LINK_DOWN;
    if (to == LINK_BACKOFF) log_at(edge || k->tries == 0 ? LOG_WARN : LOG_DEBUG, "feed", k->c.name, "%s -> BACKOFF why=%s wait_ms=%lld",
                                   link_state_name(from), xerr_name(why), (long long)ms);
    else log_at(edge ? LOG_INFO : LOG_DEBUG, "feed", k->c.name, "%s -> %s", link_state_name(from), link_state_name(to));
}

static void leave_connection(link_t *k, xerr_t why)
{
    if (k->conn) wsc_shut(k->conn);
    k->conn = NULL;
    k->gone++;
    drop_queue(k);
    if (!k->opened) return;
    k->opened = false;
    jchan_close(k->rec, xerr_name(why));
    k->h.on_down(k->h.ctx, why);
}

void link_restart(link_t *k, xerr_t why)
{
    if (k->state == LINK_DOWN || k->state == LINK_BACKOFF) return;
    if (k->state == LINK_LIVE && mono_ns() - k->since_ns >= GOOD_MS * MS) k->tries = 0;
    if (k->state == LINK_LIVE && k->tries > TRIES_AFTER_LIVE) k->tries = TRIES_AFTER_LIVE;
    leave_connection(k, why);
    ctr_inc(k->stats->reconnects);
    k->stats->h.reconnects++;
    enter(k, LINK_BACKOFF, why);
    k->tries++;
}

static void work(link_t *k);

static void on_job(void *ctx)
{
    link_t *k = ctx;
    k->job = false;
    work(k);
}

static void later(link_t *k)
{
    if (k->job) return;
    k->job = true;
    loop_later(k->loop, on_job, k);
}

/* One slice of the message at the head; false when this turn has done enough or the connection was given up. */
static bool slice(link_t *k, int64_t budget_ns)
{
    const wsc_msg_t *m = &k->q[k->q_head];
    uint64_t gone = k->gone;
    if (!k->in_frame) {
        k->in_frame = true;
        k->h.on_frame(k->h.ctx, span_make(m->text, m->n), m->recv_ns, m->recv_wall_us);
    }
    link_frame_t rc = k->h.on_slice(k->h.ctx, budget_ns);
    if (k->gone != gone) return false;
    if (rc != LINK_FRAME_MORE) pop(k);
    return rc == LINK_FRAME_DONE;
}

static void work(link_t *k)
{
    int64_t turn = loop_now_ns(k->loop), from = mono_ns();
    if (k->turn_ns != turn) k->spent_ns = 0;
    k->turn_ns = turn;
    int64_t now = from, until = from + k->c.slice_ns - k->spent_ns;
    for (bool more = true; more && k->q_n && now < until; now = mono_ns()) more = slice(k, until - now);
    k->spent_ns += now - from;
    if (now > from) hist_add(k->stats->parse, (double)(now - from) * 1e-9);
    gauge_set(k->stats->queue, (double)k->q_n);
    if (k->q_n) later(k);
}

static void on_bytes(void *ctx, size_t n)
{
    link_t *k = ctx;
    k->bytes_ns = mono_ns();
    k->stats->h.last_message_ns = k->bytes_ns;
    k->stats->h.bytes += n;
    ctr_add(k->stats->bytes, n);
}

static void on_message(void *ctx, wsc_msg_t msg)
{
    link_t *k = ctx;
    if (k->q_n == QUEUE_MAX || (k->q_n > 1 && k->q_bytes + msg.n > 2 * k->c.frame_max)) {
        ctr_inc(k->stats->overflow);
        link_restart(k, XE_FULL);
        free(msg.text);
        return;
    }
    k->q[(k->q_head + k->q_n++) % QUEUE_MAX] = msg;
    k->q_bytes += msg.n;
    if (!k->job) work(k);
}

bool link_inject(link_t *k, span_t text)
{
    char *copy = k->opened && k->q_n < QUEUE_MAX ? malloc(text.n ? text.n : 1) : NULL;
    if (!copy) return false;
    memcpy(copy, text.p, text.n);
    k->q[(k->q_head + k->q_n++) % QUEUE_MAX] = (wsc_msg_t){.text = copy, .n = text.n, .recv_ns = mono_ns(), .recv_wall_us = wall_us()};
    k->q_bytes += text.n;
    later(k);
    return true;
}

static void on_open(void *ctx)
{
    link_t *k = ctx;
    k->opened = true;
    jchan_open(k->rec);
    k->ping_ns = mono_ns();
    enter(k, LINK_SUBSCRIBING, XE_OK);
    k->h.on_open(k->h.ctx);
}

static void on_close(void *ctx, xerr_t why, const char *text)
{
    link_t *k = ctx;
    char safe[260];
    k->conn = NULL;
    if (text[0]) log_debug("feed", k->c.name, "closed: %s", log_esc(span_of(text), safe, sizeof safe));
    link_restart(k, why);
}

static void connect_now(link_t *k)
{
    wsc_hooks_t h = {.on_open = on_open, .on_bytes = on_bytes, .on_message = on_message, .on_close = on_close, .ctx = k};
    enter(k, LINK_CONNECTING, XE_OK);
    k->conn = wsc_connect(k->wsc, k->url, k->c.frame_max, h);
    if (!k->conn) {
        log_error("feed", k->c.name, "the configured address is not a websocket URL");
        enter(k, LINK_DOWN, XE_BAD_INPUT);
    }
}

void link_start(link_t *k)
{
    if (k->state == LINK_DOWN) connect_now(k);
}

void link_live(link_t *k)
{
    if (k->state == LINK_SUBSCRIBING) enter(k, LINK_LIVE, XE_OK);
}

xerr_t link_send(link_t *k, span_t text)
{
    if (k->conn && k->c.record_sent) jchan_sent(k->rec, text);
    return k->conn ? wsc_send(k->conn, text) : XE_CLOSED;
}

/* What the state's tick does; false when the connection was given up. */
static bool tick_common(link_t *k, int64_t now)
{
    if (k->c.ping_ms && now - k->ping_ns >= k->c.ping_ms * MS) {
        k->ping_ns = now;
        wsc_ping(k->conn);
    }
    uint64_t gone = k->gone;
    feed_stats_age(k->stats, now);
    k->h.on_tick(k->h.ctx, now);
    return k->gone == gone;
}

static void tick_subscribing(link_t *k, int64_t now)
{
    int64_t quiet = now - (k->bytes_ns > k->since_ns ? k->bytes_ns : k->since_ns);
    if (quiet >= SUBSCRIBE_MS * MS || now - k->since_ns >= SUBSCRIBE_ALL_MS * MS) {
        link_restart(k, XE_TIMEOUT);
    } else if (tick_common(k, now)) {
        ltimer_arm(k->timer, TICK_MS);
    }
}

static void tick_live(link_t *k, int64_t now)
{
    if (now - k->bytes_ns >= k->c.silence_ms * MS) {
        link_restart(k, XE_TIMEOUT);
    } else if (tick_common(k, now)) {
        if (k->tries && now - k->since_ns >= GOOD_MS * MS) k->tries = 0;
        ltimer_arm(k->timer, TICK_MS);
    }
}

static void on_timer(void *ctx)
{
    link_t *k = ctx;
    int64_t now = mono_ns();
    switch (k->state) {
    case LINK_CONNECTING: link_restart(k, XE_TIMEOUT); break;
    case LINK_SUBSCRIBING: tick_subscribing(k, now); break;
    case LINK_LIVE: tick_live(k, now); break;
    case LINK_BACKOFF: connect_now(k); break;
    case LINK_DOWN:
    case LINK_N: break;
    }
}

void link_stop(link_t *k)
{
    if (k->state == LINK_DOWN) return;
    leave_connection(k, XE_CLOSED);
    enter(k, LINK_DOWN, XE_OK);
}

void link_free(link_t *k)
{
    if (!k) return;
    if (k->conn) wsc_shut(k->conn);
    drop_queue(k);
    ltimer_free(k->timer);
    free(k->q);
    free(k->url);
    free(k);
}
