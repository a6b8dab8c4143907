#include "storage/rds.h"

#include <arpa/inet.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/log.h"

#define ARGS_MAX 12

typedef enum { ST_WAIT, ST_CONNECT, ST_GREET, ST_UP, ST_OFF } state_t;
static const char *const state_names[] = {"WAIT", "CONNECT", "GREET", "UP", "OFF"};

typedef struct sent {
    struct sent *next;
    rds_t *r;
    rds_cb cb;
    void *ctx;
    int64_t at_ns;
} sent_t;

struct rds {
    loop_t *l;
    rds_conf_t c;
    rds_hooks_t h;
    state_t state;
    redisAsyncContext *ac;
    redisReplyObjectFunctions plain, strict; /* hiredis' own makers of replies, and ours around them */
    watch_t *w;
    int want;
    ltimer_t *retry, *deadline;
    sent_t *head, *tail, *spare;
    unsigned inflight, fails;
    const char *why;
    bool in_call, dead, dying, unix_socket, bad_url;
    char host[128], user[64], pass[256], path[128];
    int port, db;
    uint64_t rnd;
    struct { hist_t *latency; ctr_t *reconnects, *timeouts, *errors; } m;
};

static void on_retry(void *ctx);
static void on_deadline(void *ctx);
static void link_fail(rds_t *r, const char *why);
static void refuse_unasked(rds_t *r);

/* ---- address ---- */

static bool take(char *out, size_t cap, span_t s)
{
    if (s.n >= cap)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool take_int(span_t s, int max, int *out)
{
    int v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > max)
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return s.n > 0 && v <= max;
}

static bool unescape(char *s)
{
    size_t n, len = strlen(s);
    if (pct_decode(span_make(s, len), s, len, &n) || memchr(s, '\0', n))
        return false;
    s[n] = '\0';
    return true;
}

static bool parse_tcp(rds_t *r, const char *u)
{
    const char *slash = strchr(u, '/'), *at = strrchr(u, '@');
    const char *end = slash ? slash : u + strlen(u);
    if (at && at < end) {
        const char *colon = memchr(u, ':', (size_t)(at - u));
        span_t user = span_make(u, (size_t)((colon ? colon : at) - u));
        span_t pass = colon ? span_make(colon + 1, (size_t)(at - colon - 1)) : span_make(at, 0);
        if (!take(r->user, sizeof r->user, user) || !take(r->pass, sizeof r->pass, pass) || !unescape(r->user) || !unescape(r->pass))
            return false;
        u = at + 1;
    }
    const char *close = *u == '[' ? memchr(u, ']', (size_t)(end - u)) : NULL;
    const char *colon = memchr(close ? close : u, ':', (size_t)(end - (close ? close : u)));
    span_t host = close ? span_make(u + 1, (size_t)(close - u - 1)) : span_make(u, (size_t)((colon ? colon : end) - u));
    r->port = 6379;
    if (!take(r->host, sizeof r->host, host) || (colon && !take_int(span_make(colon + 1, (size_t)(end - colon - 1)), 65535, &r->port)))
        return false;
    if (slash && slash[1] && !take_int(span_of(slash + 1), 4096, &r->db))
        return false;
    struct in6_addr a;
    if (!strcmp(r->host, "localhost") || !r->host[0])
        snprintf(r->host, sizeof r->host, "127.0.0.1");
    return inet_pton(AF_INET, r->host, &a) == 1 || inet_pton(AF_INET6, r->host, &a) == 1;
}

static bool parse_url(rds_t *r, const char *u)
{
    if (!strncmp(u, "redis://", 8))
        return parse_tcp(r, u + 8);
    if (strncmp(u, "unix://", 7) != 0)
        return false;
    r->unix_socket = true;
    const char *at = strrchr(u, '@'), *p = u + 7, *q = strchr(p, '?');
    if (at && *p != '/') {
        const char *colon = memchr(p, ':', (size_t)(at - p));
        if (!colon || !take(r->user, sizeof r->user, span_make(p, (size_t)(colon - p))) ||
            !take(r->pass, sizeof r->pass, span_make(colon + 1, (size_t)(at - colon - 1))) || !unescape(r->pass))
            return false;
        p = at + 1;
    }
    if (q && (strncmp(q, "?db=", 4) != 0 || !take_int(span_of(q + 4), 4096, &r->db)))
        return false;
    return *p == '/' && take(r->path, sizeof r->path, span_make(p, q ? (size_t)(q - p) : strlen(p)));
}

/* ---- hiredis on our loop ---- */

static void on_io(void *ctx, int ready)
{
    rds_t *r = ctx;
    r->in_call = true;
    if ((ready & WATCH_R) && r->ac)
        redisAsyncHandleRead(r->ac);
    if ((ready & WATCH_W) && r->ac && r->w)
        redisAsyncHandleWrite(r->ac);
    r->in_call = false;
    if (r->dying)
        link_fail(r, "connection lost");
}

static void want(rds_t *r, int add, int del)
{
    r->want = (r->want | add) & ~del;
    if (r->w)
        watch_set(r->w, r->want);
}

static void add_read(void *ctx) { want(ctx, WATCH_R, 0); }
static void del_read(void *ctx) { want(ctx, 0, WATCH_R); }
static void add_write(void *ctx) { want(ctx, WATCH_W, 0); }
static void del_write(void *ctx) { want(ctx, 0, WATCH_W); }

static void cleanup(void *ctx)
{
    rds_t *r = ctx;
    if (r->w)
        watch_free(r->w);
    r->w = NULL;
    r->want = 0;
}

/* hiredis frees its context after a disconnect of its own making. */
static void on_gone(const redisAsyncContext *ac, int status)
{
    rds_t *r = ac->data;
    (void)status;
    if (r->ac == ac) {
        r->ac = NULL;
        r->dying = true;
    }
}

static void link_to(rds_t *r, state_t st)
{
    log_debug("redis", "-", "%s -> %s", state_names[r->state], state_names[st]);
    r->state = st;
    ltimer_stop(r->deadline);
    switch (st) {
    case ST_WAIT: {
        int64_t ms = r->c.backoff_min_ms;
        for (unsigned i = 1; i < r->fails && ms < r->c.backoff_max_ms; i++)
            ms *= 2;
        r->rnd = r->rnd * 6364136223846793005u + 1442695040888963407u;
        ms = ms < r->c.backoff_max_ms ? ms : r->c.backoff_max_ms;
        ltimer_arm(r->retry, ms * (int64_t)(40 + (r->rnd >> 33) % 41) / 100);
        break;
    }
    case ST_CONNECT:
    case ST_GREET:
        ltimer_arm(r->deadline, r->c.connect_ms);
        break;
    case ST_UP:
        break;
    case ST_OFF:
        ltimer_stop(r->retry);
        break;
    }
}

static void sent_end(rds_t *r, xerr_t err, span_t value)
{
    sent_t *s = r->head, k = *s;
    r->head = s->next;
    if (!r->head)
        r->tail = NULL;
    s->next = r->spare;
    r->spare = s;
    r->inflight--;
    if (err != XE_CLOSED)
        hist_add(r->m.latency, (double)(mono_ns() - k.at_ns) * 1e-9);
    if (r->state == ST_UP) {
        if (r->head) {
            int64_t left = r->c.command_ms - (loop_now_ns(r->l) - r->head->at_ns) / 1000000;
            ltimer_arm(r->deadline, left > 0 ? left : 0);
        } else
            ltimer_stop(r->deadline);
    }
    if (k.cb)
        k.cb(k.ctx, err, value);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *priv)
{
    rds_t *r = ac->data;
    const redisReply *rep = reply;
    (void)priv;
    if (!r->head)
        return;
    if (!rep)
        sent_end(r, XE_CLOSED, span_make(NULL, 0));
    else if (rep->type == REDIS_REPLY_STRING || rep->type == REDIS_REPLY_STATUS)
        sent_end(r, XE_OK, span_make(rep->str, (size_t)rep->len));
    else if (rep->type == REDIS_REPLY_INTEGER)
        sent_end(r, XE_OK, span_make(NULL, 0));
    else if (rep->type == REDIS_REPLY_NIL)
        sent_end(r, XE_NOT_FOUND, span_make(NULL, 0));
    else {
        ctr_inc(r->m.errors);
        sent_end(r, XE_INTERNAL, span_make(NULL, 0));
    }
}

static bool raw_send(rds_t *r, unsigned argc, const span_t *argv, rds_cb cb, void *ctx)
{
    const char *p[ARGS_MAX];
    size_t n[ARGS_MAX];
    XASSERT(argc <= ARGS_MAX);
    for (unsigned i = 0; i < argc; i++) {
        p[i] = argv[i].n ? argv[i].p : "";
        n[i] = argv[i].n;
    }
    if (redisAsyncCommandArgv(r->ac, on_reply, NULL, (int)argc, p, n) != REDIS_OK)
        return false;
    sent_t *s = r->spare;
    if (s)
        r->spare = s->next;
    else
        s = malloc(sizeof *s);
    XASSERT(s);
    *s = (sent_t){.r = r, .cb = cb, .ctx = ctx, .at_ns = loop_now_ns(r->l)};
    *(r->tail ? &r->tail->next : &r->head) = s;
    r->tail = s;
    r->inflight++;
    return true;
}

/* ---- coming up ---- */

static void on_pong(void *ctx, xerr_t err, span_t value)
{
    rds_t *r = ctx;
    if (r->state != ST_GREET || err == XE_CLOSED)
        return;
    if (err || !span_is(value, "PONG")) {
        r->dying = true;
        r->why = "refused: password, database or not Redis";
        return;
    }
    if (r->why[0])
        log_info("redis", "-", "connected");
    r->why = "";
    r->fails = 0;
    link_to(r, ST_UP);
    ctr_inc(r->m.reconnects);
    r->h.up(r->h.ctx);
}

static void on_auth(void *ctx, xerr_t err, span_t value)
{
    rds_t *r = ctx;
    (void)value;
    if (err && err != XE_CLOSED) {
        r->dying = true;
        r->why = "refused: password or database";
    }
}

static void on_connected(const redisAsyncContext *ac, int status)
{
    rds_t *r = ac->data;
    if (status != REDIS_OK) {
        /* The context is freed by hiredis when this returns. */
        r->ac = NULL;
        r->dying = true;
        return;
    }
    link_to(r, ST_GREET);
    bool ok = true;
    char db[16];
    snprintf(db, sizeof db, "%d", r->db);
    if (r->pass[0] && r->user[0])
        ok = raw_send(r, 3, (span_t[]){SPAN_LIT("AUTH"), span_of(r->user), span_of(r->pass)}, on_auth, r);
    else if (r->pass[0])
        ok = raw_send(r, 2, (span_t[]){SPAN_LIT("AUTH"), span_of(r->pass)}, on_auth, r);
    if (ok && r->db)
        ok = raw_send(r, 2, (span_t[]){SPAN_LIT("SELECT"), span_of(db)}, on_auth, r);
    if (!ok || !raw_send(r, 1, (span_t[]){SPAN_LIT("PING")}, on_pong, r))
        r->dying = true;
}

static void on_retry(void *ctx)
{
    rds_t *r = ctx;
    link_to(r, ST_CONNECT);
    r->ac = r->unix_socket ? redisAsyncConnectUnix(r->path) : redisAsyncConnect(r->host, r->port);
    if (!r->ac || r->ac->err) {
        link_fail(r, "cannot connect");
        return;
    }
    refuse_unasked(r);
    r->ac->data = r;
    r->ac->ev.data = r;
    r->ac->ev.addRead = add_read;
    r->ac->ev.delRead = del_read;
    r->ac->ev.addWrite = add_write;
    r->ac->ev.delWrite = del_write;
    r->ac->ev.cleanup = cleanup;
    r->w = watch_new(r->l, r->ac->c.fd, on_io, r);
    redisAsyncSetConnectCallback(r->ac, on_connected); /* asks for writability, by which a connect is noticed */
    redisAsyncSetDisconnectCallback(r->ac, on_gone);
}

/* ---- replies nobody asked for ---- */

/* hiredis asserts, and so aborts the process, when a reply arrives while no command waits for one. A broken or foreign
 * server must not have that power: the object of such a reply is refused as it begins, which hiredis takes for a read
 * error and answers by ending the link. */
#if HIREDIS_MAJOR >= 1
typedef size_t reply_len_t;
#else
typedef int reply_len_t;
#endif

static bool unasked(const redisReadTask *t)
{
    const rds_t *r = t->privdata;
    return !t->parent && !r->ac->replies.head;
}

static const redisReplyObjectFunctions *plain(const redisReadTask *t) { return &((const rds_t *)t->privdata)->plain; }

static void *make_string(const redisReadTask *t, char *s, size_t n) { return unasked(t) ? NULL : plain(t)->createString(t, s, n); }
static void *make_array(const redisReadTask *t, reply_len_t n) { return unasked(t) ? NULL : plain(t)->createArray(t, n); }
static void *make_integer(const redisReadTask *t, long long v) { return unasked(t) ? NULL : plain(t)->createInteger(t, v); }
static void *make_nil(const redisReadTask *t) { return unasked(t) ? NULL : plain(t)->createNil(t); }
#if HIREDIS_MAJOR >= 1
static void *make_double(const redisReadTask *t, double v, char *s, size_t n)
{
    return unasked(t) ? NULL : plain(t)->createDouble(t, v, s, n);
}
static void *make_bool(const redisReadTask *t, int v) { return unasked(t) ? NULL : plain(t)->createBool(t, v); }
#endif

static void refuse_unasked(rds_t *r)
{
    r->plain = *r->ac->c.reader->fn;
    r->strict = r->plain;
    r->strict.createString = make_string;
    r->strict.createArray = make_array;
    r->strict.createInteger = make_integer;
    r->strict.createNil = make_nil;
#if HIREDIS_MAJOR >= 1
    r->strict.createDouble = make_double;
    r->strict.createBool = make_bool;
#endif
    r->ac->c.reader->fn = &r->strict;
    r->ac->c.reader->privdata = r;
}

/* ---- going down ---- */

static void on_deadline(void *ctx)
{
    rds_t *r = ctx;
    ctr_inc(r->m.timeouts);
    link_fail(r, r->state == ST_UP ? "a command missed its deadline" : "connect deadline passed");
}

static void link_drop(rds_t *r)
{
    redisAsyncContext *ac = r->ac;
    r->ac = NULL;
    if (ac)
        redisAsyncFree(ac); /* answers what is pending with no reply, then calls cleanup */
    cleanup(r);
    while (r->head)
        sent_end(r, XE_CLOSED, span_make(NULL, 0));
}

/* From the loop only, and never inside a callback of hiredis: those set dying. */
static void link_fail(rds_t *r, const char *why)
{
    bool up = r->state == ST_UP;
    r->dying = false;
    if (r->state == ST_OFF)
        return;
    if (up || r->fails == 0)
        log_warn("redis", "-", "%s", why);
    if (up || !r->why[0] || r->fails == 0)
        r->why = why;
    r->fails++;
    link_to(r, ST_WAIT);
    link_drop(r);
    r->dying = false;
    if (up && r->state == ST_WAIT)
        r->h.down(r->h.ctx);
}

static void metrics_init(rds_t *r, metrics_t *m)
{
    r->m.latency = metrics_hist(m, "xorj_redis_command_seconds", NULL, "Time from sending a Redis command to its reply", NULL, 0);
    r->m.reconnects = metrics_ctr(m, "xorj_redis_connects_total", NULL, "Connections to Redis that came up");
    r->m.timeouts = metrics_ctr(m, "xorj_redis_timeouts_total", NULL, "Redis links given up because of a missed deadline");
    r->m.errors = metrics_ctr(m, "xorj_redis_errors_total", NULL, "Error replies of Redis");
}

rds_t *rds_open(loop_t *l, metrics_t *m, const rds_conf_t *c, rds_hooks_t h)
{
    rds_t *r = calloc(1, sizeof *r);
    XASSERT(r);
    r->l = l;
    r->c = *c;
    r->h = h;
    metrics_init(r, m);
    random_bytes(&r->rnd, sizeof r->rnd);
    r->deadline = ltimer_new(l, on_deadline, r);
    r->retry = ltimer_new(l, on_retry, r);
    r->why = "not connected yet";
    if (!parse_url(r, c->url)) {
        r->why = "redis.url is not understood: redis://[:password@]numeric-host:port/db or unix:///path";
        log_error("redis", "-", "%s", r->why);
        r->state = ST_OFF;
        return r;
    }
    r->state = ST_WAIT;
    ltimer_arm(r->retry, 0);
    return r;
}

static void rds_free(void *obj)
{
    rds_t *r = obj;
    ltimer_free(r->deadline);
    ltimer_free(r->retry);
    while (r->spare) {
        sent_t *s = r->spare;
        r->spare = s->next;
        free(s);
    }
    free(r);
}

void rds_close(rds_t *r)
{
    link_to(r, ST_OFF);
    link_drop(r);
    loop_defer(r->l, rds_free, r);
}

bool rds_up(const rds_t *r)
{
    return r->state == ST_UP && !r->dying;
}

const char *rds_why(const rds_t *r)
{
    return r->why;
}

bool rds_send(rds_t *r, unsigned argc, const span_t *argv, rds_cb cb, void *ctx)
{
    if (!rds_up(r) || r->inflight >= r->c.inflight_max || !raw_send(r, argc, argv, cb, ctx))
        return false;
    if (!ltimer_armed(r->deadline))
        ltimer_arm(r->deadline, r->c.command_ms);
    return true;
}
