#include "storage/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "storage/store_int.h"

typedef struct {
    session_t s;
    bool revoked; /* known to be revoked: stays so until evicted */
} kept_t;

typedef struct {
    soon_t soon;
    session_cb cb;
    void *ctx;
    xerr_t err;
    session_t s;
} answer_t;

static void fire_answer(soon_t *soon)
{
    answer_t a = *(answer_t *)soon;
    free(soon);
    a.cb(a.ctx, a.err, a.err ? NULL : &a.s);
}

static void answer_soon(store_t *s, session_cb cb, void *ctx, xerr_t err, const session_t *value)
{
    answer_t *a = calloc(1, sizeof *a);
    XASSERT(a);
    a->cb = cb;
    a->ctx = ctx;
    a->err = err;
    if (value)
        a->s = *value;
    soons_post(s->soons, &a->soon, fire_answer);
}

/* ---- memory ---- */

static const kept_t *recall_at(store_t *s, span_t jti, int64_t *at_ns)
{
    size_t n;
    *at_ns = 0;
    return cache_get(s->sessions, jti, &n, at_ns);
}

static const kept_t *recall(store_t *s, span_t jti)
{
    int64_t at;
    return recall_at(s, jti, &at);
}

static bool expired(store_t *s, const session_t *v)
{
    return v->expires_s * 1000000 <= loop_wall_us(s->l);
}

/* at_ns: when the statement was sent that read it. */
static void keep(store_t *s, const session_t *v, int64_t at_ns)
{
    kept_t k;
    memset(&k, 0, sizeof k);
    k.s = *v;
    cache_put(s->sessions, span_of(v->jti), &k, sizeof k, at_ns);
}

static bool idle(store_t *s, const session_t *v)
{
    int64_t us = s->cfg->auth_wallet_idle_s * 1000000;
    return v->seen_us && loop_wall_us(s->l) > v->seen_us + us + us / 20 + 2000 * TOUCH_LAG_MS;
}

/* A use counts when the last one known is a while ago: an UPDATE per session now and then, not one per request. */
static void used(store_t *s, span_t jti)
{
    size_t n;
    kept_t *k = (kept_t *)(uintptr_t)cache_get(s->sessions, jti, &n, NULL); /* our own bytes, changed in place */
    int64_t now = loop_wall_us(s->l);
    if (k && !k->revoked && k->s.seen_us && now - k->s.seen_us >= s->cfg->auth_wallet_idle_s * 50000 && touch_put(s->touches, k->s.jti))
        k->s.seen_us = now;
}

void users_forget(store_t *s, span_t jti)
{
    kept_t k;
    memset(&k, 0, sizeof k);
    k.revoked = true;
    if (jti.n <= CACHE_KEY_MAX)
        cache_put(s->sessions, jti, &k, sizeof k, loop_now_ns(s->l));
}

/* ---- the mirror in Redis ---- */

static span_t mirror_key(span_t jti, char out[64])
{
    int n = snprintf(out, 64, "xorj:s:%.*s", (int)jti.n, jti.p);
    return span_make(out, (size_t)n);
}

static void mirror_put(store_t *s, const session_t *v)
{
    char key[64], ms[32];
    int64_t left = v->expires_s * 1000 - loop_wall_us(s->l) / 1000;
    if (!s->rds || !rds_up(s->rds) || left <= 0)
        return;
    buf_t b;
    buf_init(&b, 1024);
    span_t k = mirror_key(span_of(v->jti), key);
    buf_fmt(&b, "%s %s %lld %lld %s ", v->user_id[0] ? v->user_id : "-", v->wallet[0] ? v->wallet : "-", (long long)v->issued_s,
            (long long)v->expires_s, v->limited ? "L" : "-");
    store_seal(s, k, &b);
    snprintf(ms, sizeof ms, "%lld", (long long)left);
    if (!b.failed)
        rds_send(s->rds, 5, (span_t[]){SPAN_LIT("SET"), k, buf_span(&b), SPAN_LIT("PX"), span_of(ms)}, NULL, NULL);
    buf_fini(&b);
}

static void mirror_del(store_t *s, span_t jti)
{
    char key[64];
    if (!s->rds)
        return;
    if (!rds_send(s->rds, 2, (span_t[]){SPAN_LIT("DEL"), mirror_key(jti, key)}, NULL, NULL))
        s->mirror_ok = false; /* until a full sweep has gone through */
}

void users_ended(store_t *s, span_t jti)
{
    users_forget(s, jti);
    mirror_del(s, jti);
}

void users_reload(store_t *s, span_t jti)
{
    cache_del(s->sessions, jti);
    flight_taint(s->session_loads, jti); /* a row read before the change is not believed for later askers */
}

/* Next word of the sealed text, "-" read as empty. */
static bool word(span_t *t, char *out, size_t cap)
{
    const char *sp = memchr(t->p, ' ', t->n);
    size_t n = sp ? (size_t)(sp - t->p) : 0;
    if (!sp || n == 0 || n >= cap)
        return false;
    memcpy(out, t->p, n);
    out[n == 1 && out[0] == '-' ? 0 : n] = '\0';
    *t = span_make(sp + 1, t->n - n - 1);
    return true;
}

static bool mirror_read(store_t *s, span_t jti, span_t value, session_t *out)
{
    char key[64], issued[24], expires[24], limited[4];
    span_t t;
    memset(out, 0, sizeof *out);
    if (!store_unseal(s, mirror_key(jti, key), value, &t) || !word(&t, out->user_id, sizeof out->user_id) ||
        !word(&t, out->wallet, sizeof out->wallet) || !word(&t, issued, sizeof issued) || !word(&t, expires, sizeof expires) || !word(&t, limited, sizeof limited))
        return false;
    memcpy(out->jti, jti.p, jti.n);
    out->issued_s = strtoll(issued, NULL, 10);
    out->expires_s = strtoll(expires, NULL, 10);
    out->limited = limited[0] != '\0';
    return true;
}

/* ---- check: memory, PostgreSQL, and only while that is away the mirror and old memory ---- */

typedef struct {
    store_t *s;
    flight_t *g;
    int64_t sent_ns;
    bool use; /* asked for somebody who is using the session */
} load_t;

typedef struct {
    xerr_t err;
    const session_t *v;
} given_t;

static void give(void *arg, void (*cb)(void), void *ctx)
{
    const given_t *g = arg;
    if (cb)
        ((session_cb)cb)(ctx, g->err, g->v);
}

static void land(load_t *ld, xerr_t err, const session_t *v)
{
    store_t *s = ld->s;
    given_t g = {err, err ? NULL : v};
    if (!err && expired(s, v))
        g = (given_t){XE_AUTH, NULL};
    if (s->closing)
        g = (given_t){XE_CLOSED, NULL};
    flight_land(ld->g, give, &g);
    free(ld);
}

static void from_old_memory(load_t *ld)
{
    const kept_t *k = recall(ld->s, flight_key(ld->g));
    if (!k) {
        land(ld, XE_DOWN, NULL);
        return;
    }
    kept_t copy = *k;
    ctr_inc(ld->s->m.session_old);
    land(ld, copy.revoked ? XE_AUTH : XE_OK, &copy.s);
}

static void on_mirror(void *ctx, xerr_t err, span_t value)
{
    load_t *ld = ctx;
    store_t *s = ld->s;
    session_t v;
    const kept_t *k = recall(s, flight_key(ld->g));
    if (err || s->closing || (k && k->revoked) || !mirror_read(s, flight_key(ld->g), value, &v)) {
        from_old_memory(ld);
        return;
    }
    ctr_inc(s->m.session_mirror);
    keep(s, &v, ld->sent_ns);
    land(ld, XE_OK, &v);
}

static void from_mirror(load_t *ld)
{
    store_t *s = ld->s;
    char key[64];
    span_t k = mirror_key(flight_key(ld->g), key);
    bool asked = !s->closing && s->mirror_ok && s->rds &&
                 rds_send(s->rds, 2, (span_t[]){SPAN_LIT("GET"), k}, on_mirror, ld);
    if (!asked)
        from_old_memory(ld);
}

static xerr_t judge(load_t *ld, const pg_rows_t *rows, session_t *v)
{
    store_t *s = ld->s;
    span_t jti = flight_key(ld->g);
    memset(v, 0, sizeof *v);
    if (pg_rows_n(rows) == 0) {
        cache_del(s->sessions, jti);
        mirror_del(s, jti);
        return XE_AUTH;
    }
    /* A revocation that was committed while this row was being read counts. */
    const kept_t *k = recall(s, jti);
    if (pg_bool(rows, 0, 4) || (k && k->revoked)) {
        users_ended(s, jti);
        return XE_AUTH;
    }
    memcpy(v->jti, jti.p, jti.n);
    pg_copy(rows, 0, 0, v->user_id, sizeof v->user_id);
    pg_copy(rows, 0, 1, v->wallet, sizeof v->wallet);
    v->issued_s = pg_i64(rows, 0, 2);
    v->expires_s = pg_i64(rows, 0, 3);
    v->seen_us = pg_i64(rows, 0, 5);
    v->limited = pg_bool(rows, 0, 6);
    if (k && k->s.seen_us > v->seen_us)
        v->seen_us = k->s.seen_us; /* not written yet */
    if (!idle(s, v))
        return XE_OK;
    cache_del(s->sessions, jti);
    mirror_del(s, jti);
    return XE_AUTH;
}

static void on_session_row(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    load_t *ld = ctx;
    session_t v;
    if (store_pg_away(err)) {
        from_mirror(ld);
        return;
    }
    if (!err)
        err = judge(ld, rows, &v);
    /* Tainted though word comes through: it was read before a change (users_reload). */
    if (!err && !expired(ld->s, &v) && !(flight_tainted(ld->g) && bus_believes(ld->s->bus, ld->sent_ns))) {
        keep(ld->s, &v, ld->sent_ns);
        mirror_put(ld->s, &v);
        if (ld->use)
            used(ld->s, span_of(v.jti));
    }
    land(ld, err, &v);
}

static void load(store_t *s, span_t jti, bool use, session_cb cb, void *ctx)
{
    char text[37];
    bool first;
    flight_t *g = flight_join(s->session_loads, jti, (void (*)(void))cb, ctx, &first);
    if (!first)
        return;
    load_t *ld = malloc(sizeof *ld);
    XASSERT(ld);
    *ld = (load_t){s, g, loop_now_ns(s->l), use};
    /* While word of revocations may be missed, whoever asks later must see a later state. */
    if (!bus_believes(s->bus, ld->sent_ns))
        flight_taint(s->session_loads, jti);
    ctr_inc(s->m.session_load);
    memcpy(text, jti.p, 36);
    text[36] = '\0';
    pool_query(s->pool, SQL_SESSION_GET, (const char *const[]){text}, (unsigned)s->cfg->http_write_deadline_ms, true, on_session_row, ld);
}

static const session_t *peek(store_t *s, span_t jti)
{
    int64_t at;
    if (!uuid_valid(jti))
        return NULL;
    const kept_t *k = recall_at(s, jti, &at);
    int64_t age = (loop_now_ns(s->l) - at) / 1000000;
    if (!k || k->revoked || age >= s->cfg->cache_session_ttl_ms || expired(s, &k->s) || idle(s, &k->s) || !bus_believes(s->bus, at))
        return NULL;
    /* Asked again ahead of time, so that a session in use never waits for PostgreSQL. */
    if (age * 2 >= s->cfg->cache_session_ttl_ms && !s->closing)
        load(s, jti, false, NULL, NULL);
    ctr_inc(s->m.session_mem);
    return &k->s;
}

const session_t *session_peek(store_t *s, span_t jti)
{
    const session_t *v = peek(s, jti);
    if (v)
        used(s, jti);
    return v;
}

static void ask(store_t *s, span_t jti, bool use, session_cb cb, void *ctx)
{
    const session_t *v = use ? session_peek(s, jti) : peek(s, jti);
    const kept_t *k = uuid_valid(jti) ? recall(s, jti) : NULL;
    if (v)
        answer_soon(s, cb, ctx, XE_OK, v);
    else if (!uuid_valid(jti) || (k && (k->revoked || expired(s, &k->s))))
        answer_soon(s, cb, ctx, XE_AUTH, NULL);
    else
        load(s, jti, use, cb, ctx);
}

void session_check(store_t *s, span_t jti, session_cb cb, void *ctx)
{
    ask(s, jti, true, cb, ctx);
}

void session_watch(store_t *s, span_t jti, session_cb cb, void *ctx)
{
    ask(s, jti, false, cb, ctx);
}

/* ---- nonces ---- */

typedef struct {
    soon_t soon;
    store_t *s;
    void (*cb)(void *ctx, xerr_t err);
    void *ctx;
    xerr_t err;
    char jti[37];
} done_t;

static done_t *done_new(store_t *s, void (*cb)(void *ctx, xerr_t err), void *ctx)
{
    done_t *d = calloc(1, sizeof *d);
    XASSERT(d);
    d->s = s;
    d->cb = cb;
    d->ctx = ctx;
    return d;
}

static void fire_done(soon_t *soon)
{
    done_t d = *(done_t *)soon;
    free(soon);
    d.cb(d.ctx, d.err);
}

static void done_soon(done_t *d, xerr_t err)
{
    d->err = err;
    soons_post(d->s->soons, &d->soon, fire_done);
}

static bool text_of(span_t t, char *out, size_t cap)
{
    if (t.n == 0 || t.n >= cap || memchr(t.p, 0, t.n))
        return false;
    memcpy(out, t.p, t.n);
    out[t.n] = '\0';
    return true;
}

static void on_nonce(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    done_t d = *(done_t *)ctx;
    free(ctx);
    if (!err)
        err = pg_bool(rows, 0, 0) ? XE_OK : XE_CONFLICT;
    d.cb(d.ctx, err);
}

void nonce_consume(store_t *s, span_t nonce, span_t wallet, int64_t expires_s, void (*cb)(void *ctx, xerr_t err), void *ctx)
{
    done_t *d = done_new(s, cb, ctx);
    char n[128], w[64], e[24], req[37];
    if (s->closing || !text_of(nonce, n, sizeof n) || !text_of(wallet, w, sizeof w)) {
        done_soon(d, s->closing ? XE_DOWN : XE_BAD_INPUT);
        return;
    }
    snprintf(e, sizeof e, "%lld", (long long)expires_s);
    uuid4(req);
    pool_query(s->pool, SQL_NONCE_CONSUME, (const char *const[]){req, n, w, e}, (unsigned)s->cfg->http_write_deadline_ms, false,
               on_nonce, d);
}

/* ---- sign-in and sign-out ---- */

typedef struct {
    store_t *s;
    session_cb cb;
    void *ctx;
    session_t v;
    int64_t sent_ns;
} create_t;

static void on_created(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    create_t c = *(create_t *)ctx;
    free(ctx);
    if (!err && (pg_rows_n(rows) != 1 || pg_null(rows, 0, 0)))
        err = XE_INTERNAL;
    if (!err) {
        pg_copy(rows, 0, 0, c.v.user_id, sizeof c.v.user_id);
        c.v.seen_us = loop_wall_us(c.s->l);
        keep(c.s, &c.v, c.sent_ns);
        mirror_put(c.s, &c.v);
    }
    c.cb(c.ctx, err, err ? NULL : &c.v);
}

void session_create(store_t *s, const session_t *in, const who_t *who, session_cb cb, void *ctx)
{
    char issued[24], expires[24], req[37];
    if (s->closing || !uuid_valid(span_of(in->jti)) || !in->wallet[0]) {
        answer_soon(s, cb, ctx, s->closing ? XE_DOWN : XE_BAD_INPUT, NULL);
        return;
    }
    create_t *c = calloc(1, sizeof *c);
    XASSERT(c);
    c->s = s;
    c->cb = cb;
    c->ctx = ctx;
    c->v = *in;
    c->sent_ns = loop_now_ns(s->l);
    snprintf(issued, sizeof issued, "%lld", (long long)in->issued_s);
    snprintf(expires, sizeof expires, "%lld", (long long)in->expires_s);
    uuid4(req);
    const char *params[] = {req,        in->jti,   in->wallet,      issued,        expires, s->cfg->bot_default_enabled ? "t" : "f",
                            who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_SESSION_CREATE, params, (unsigned)s->cfg->http_write_deadline_ms, false, on_created, c);
}

/* ---- one session after another ---- */

typedef struct {
    store_t *s;
    session_cb cb;
    void *ctx;
    session_t v;
    char old[37];
    int64_t sent_ns;
} refresh_t;

static void on_followed(void *ctx)
{
    refresh_t f = *(refresh_t *)ctx;
    free(ctx);
    f.cb(f.ctx, XE_OK, &f.v);
}

static void on_refreshed(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    refresh_t *f = ctx, copy = *f;
    store_t *s = f->s;
    if (!err && (pg_rows_n(rows) != 1 || pg_null(rows, 0, 0)))
        err = XE_AUTH;
    if (err) {
        free(f);
        if (store_pg_away(err))
            cache_del(s->sessions, span_of(copy.old)); /* it may have been committed: memory asks again */
        copy.cb(copy.ctx, err, NULL);
        return;
    }
    pg_copy(rows, 0, 0, f->v.user_id, sizeof f->v.user_id);
    f->v.expires_s = pg_i64(rows, 0, 1);
    f->v.seen_us = loop_wall_us(s->l);
    users_forget(s, span_of(f->old));
    mirror_del(s, span_of(f->old));
    keep(s, &f->v, f->sent_ns);
    mirror_put(s, &f->v);
    bus_settle(s->bus, on_followed, f);
}

void session_refresh(store_t *s, span_t jti, const session_t *next, const who_t *who, session_cb cb, void *ctx)
{
    char issued[24], req[37];
    if (s->closing || !uuid_valid(jti) || !uuid_valid(span_of(next->jti))) {
        answer_soon(s, cb, ctx, s->closing ? XE_DOWN : XE_AUTH, NULL);
        return;
    }
    refresh_t *f = calloc(1, sizeof *f);
    XASSERT(f);
    *f = (refresh_t){.s = s, .cb = cb, .ctx = ctx, .v = *next, .sent_ns = loop_now_ns(s->l)};
    memcpy(f->old, jti.p, 36);
    snprintf(issued, sizeof issued, "%lld", (long long)next->issued_s);
    uuid4(req);
    const char *params[] = {req, f->old, f->v.jti, issued, who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_SESSION_REFRESH, params, (unsigned)s->cfg->http_write_deadline_ms, true, on_refreshed, f);
}

static void on_settled(void *ctx)
{
    done_t d = *(done_t *)ctx;
    free(ctx);
    d.cb(d.ctx, XE_OK);
}

static void on_revoked(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    done_t d = *(done_t *)ctx;
    if (!err && !pg_bool(rows, 0, 0))
        err = XE_NOT_FOUND;
    if (!err) {
        users_ended(d.s, span_of(d.jti));
        bus_settle(d.s->bus, on_settled, ctx);
        return;
    }
    free(ctx);
    if (store_pg_away(err)) {
        /* It may have been committed: memory asks again. */
        cache_del(d.s->sessions, span_of(d.jti));
    }
    d.cb(d.ctx, err);
}

void session_revoke(store_t *s, span_t jti, const who_t *who, void (*cb)(void *ctx, xerr_t err), void *ctx)
{
    char req[37];
    done_t *d = done_new(s, cb, ctx);
    if (s->closing || !uuid_valid(jti)) {
        done_soon(d, s->closing ? XE_DOWN : XE_NOT_FOUND);
        return;
    }
    memcpy(d->jti, jti.p, 36);
    uuid4(req);
    const char *params[] = {req, d->jti, who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_SESSION_REVOKE, params, (unsigned)s->cfg->http_write_deadline_ms, false, on_revoked, d);
}
