#include "storage/operators.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "storage/ask.h"
#include "storage/store_int.h"

/* ---- what rows say ---- */

static void copy_secret(const pg_rows_t *r, unsigned row, unsigned col, uint8_t out[TOTP_SECRET_LEN])
{
    size_t n = 0;
    if (hex_decode(pg_text(r, row, col), out, TOTP_SECRET_LEN, &n) || n != TOTP_SECRET_LEN)
        memset(out, 0, TOTP_SECRET_LEN);
}

static void operator_of(const pg_rows_t *r, unsigned row, operator_t *o)
{
    memset(o, 0, sizeof *o);
    pg_copy(r, row, 0, o->username, sizeof o->username);
    pg_copy(r, row, 1, o->role, sizeof o->role);
    o->must_change = pg_bool(r, row, 2);
    o->totp = pg_bool(r, row, 3);
    o->created_us = pg_i64(r, row, 4);
    o->last_login_us = pg_i64(r, row, 5);
}

/* "{uuid,uuid}": the sessions that a change ended, out of every memory. */
static void forget_ended(store_t *s, span_t list)
{
    for (size_t at = 1; at + 36 < list.n; at += 37) {
        span_t jti = span_make(list.p + at, 36);
        if (uuid_valid(jti))
            users_ended(s, jti);
    }
}

/* ---- signing in ---- */

static void on_begin(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    login_try_t t = {0};
    if (!err && pg_rows_n(rows) != 1)
        err = XE_INTERNAL;
    if (!err) {
        t.retry_s = (int)pg_i64(rows, 0, 0);
        t.found = !pg_null(rows, 0, 1);
        pg_copy(rows, 0, 1, t.hash, sizeof t.hash);
        t.totp = !pg_null(rows, 0, 2);
        if (t.totp)
            copy_secret(rows, 0, 2, t.totp_secret);
        t.totp_used = pg_i64(rows, 0, 3);
    }
    ((void (*)(void *, xerr_t, const login_try_t *))q->cb)(q->ctx, err, err ? NULL : &t);
    secret_wipe(&t, sizeof t);
    free(q);
}

void login_begin(store_t *s, const char *user, const char *addr, void (*cb)(void *ctx, xerr_t err, const login_try_t *t), void *ctx)
{
    char window[24], per_user[24], per_addr[24];
    const cfg_t *c = s->cfg;
    snprintf(window, sizeof window, "%lld", (long long)c->auth_login_window_s);
    snprintf(per_user, sizeof per_user, "%lld", (long long)(c->limits_enabled ? c->auth_login_fails_user : 0));
    snprintf(per_addr, sizeof per_addr, "%lld", (long long)(c->limits_enabled ? c->auth_login_fails_addr : 0));
    ask(s, SQL_LOGIN_BEGIN, (const char *const[]){user, addr, window, per_user, per_addr}, false, on_begin, (void (*)(void))cb, ctx);
}

static void on_forgiven(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    (void)err, (void)rows;
    free(ctx);
}

void login_forgive(store_t *s, const char *user, const char *addr)
{
    ask(s, SQL_LOGIN_FORGIVE, (const char *const[]){user, addr}, false, on_forgiven, NULL, NULL);
}

static void on_reuse_settled(void *ctx)
{
    ask_t *q = ctx;
    ((signed_in_cb)q->cb)(q->ctx, XE_CONFLICT, NULL);
    free(q);
}

static void on_signed(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    signed_in_t v;
    memset(&v, 0, sizeof v);
    if (!err && pg_rows_n(rows) != 1)
        err = XE_INTERNAL;
    if (!err)
        pg_copy(rows, 0, 1, v.jti, sizeof v.jti);
    if (!err && pg_i64(rows, 0, 0) == 2) {
        users_ended(q->s, span_of(v.jti));
        bus_settle(q->s->bus, on_reuse_settled, q);
        return;
    }
    if (!err)
        err = pg_i64(rows, 0, 0) == 0 ? XE_OK : XE_AUTH;
    if (!err) {
        pg_copy(rows, 0, 2, v.username, sizeof v.username);
        pg_copy(rows, 0, 3, v.role, sizeof v.role);
        v.must_change = pg_bool(rows, 0, 4);
    }
    ((signed_in_cb)q->cb)(q->ctx, err, err ? NULL : &v);
    free(q);
}

void operator_login(store_t *s, const login_in_t *in, const who_t *who, signed_in_cb cb, void *ctx)
{
    char req[37], step[24], refresh[BYTEA_TEXT], issued[24], expires[24];
    uuid4(req);
    snprintf(step, sizeof step, "%lld", (long long)in->step);
    snprintf(issued, sizeof issued, "%lld", (long long)in->issued_s);
    snprintf(expires, sizeof expires, "%lld", (long long)in->expires_s);
    const char *params[] = {req,    in->user, in->hash, in->step < 0 ? NULL : step,     in->jti, bytea_text(in->refresh, sizeof in->refresh, refresh),
                            issued, expires,  who->request_id, who->source_ip};
    ask(s, SQL_OP_LOGIN, params, false, on_signed, (void (*)(void))cb, ctx);
}

void operator_refresh(store_t *s, const uint8_t old[32], const uint8_t fresh[32], int64_t expires_s, const who_t *who, signed_in_cb cb, void *ctx)
{
    char req[37], was[BYTEA_TEXT], is[BYTEA_TEXT], expires[24];
    uuid4(req);
    snprintf(expires, sizeof expires, "%lld", (long long)expires_s);
    const char *params[] = {req, bytea_text(old, 32, was), bytea_text(fresh, 32, is), expires, who->request_id, who->source_ip};
    ask(s, SQL_OP_REFRESH, params, false, on_signed, (void (*)(void))cb, ctx);
}

/* ---- accounts ---- */

static void on_operator(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    operator_t o;
    if (!err && pg_rows_n(rows) != 1)
        err = XE_NOT_FOUND;
    if (!err) {
        operator_of(rows, 0, &o);
        o.has_secret = !pg_null(rows, 0, 6);
        if (o.has_secret)
            copy_secret(rows, 0, 6, o.totp_secret);
        o.totp_used = pg_i64(rows, 0, 7);
    }
    ((void (*)(void *, xerr_t, const operator_t *))q->cb)(q->ctx, err, err ? NULL : &o);
    if (!err)
        secret_wipe(&o, sizeof o);
    free(q);
}

void operator_get(store_t *s, const char *name, void (*cb)(void *ctx, xerr_t err, const operator_t *o), void *ctx)
{
    ask(s, SQL_OP_GET, (const char *const[]){name}, true, on_operator, (void (*)(void))cb, ctx);
}

/* One row more than asked for tells whether there are more; without any the row of the count alone has no name. */
static void on_list(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    operator_page_t p = {0};
    operator_t *row = NULL;
    if (!err) {
        unsigned n = pg_null(rows, 0, 0) ? 0 : pg_rows_n(rows);
        p.total = pg_i64(rows, 0, 6);
        p.more = n > q->n;
        p.n = p.more ? q->n : n;
        row = calloc(p.n + 1, sizeof *row);
        XASSERT(row);
        for (unsigned i = 0; i < p.n; i++)
            operator_of(rows, i, &row[i]);
        p.row = row;
    }
    ((void (*)(void *, xerr_t, const operator_page_t *))q->cb)(q->ctx, err, err ? NULL : &p);
    free(row);
    free(q);
}

void operators_list(store_t *s, const char *after, unsigned limit, void (*cb)(void *ctx, xerr_t err, const operator_page_t *p), void *ctx)
{
    char n[24];
    snprintf(n, sizeof n, "%u", limit + 1);
    ask(s, SQL_OP_LIST, (const char *const[]){after, n}, true, on_list, (void (*)(void))cb, ctx)->n = limit;
}

static void on_outcome(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    err = ask_outcome(q, err, rows);
    if (!err && q->reload[0])
        users_reload(q->s, span_of(q->reload));
    if (!err && q->ends) {
        forget_ended(q->s, pg_text(rows, 0, 1));
        ask_settle(q);
        return;
    }
    ((op_done_cb)q->cb)(q->ctx, err);
    free(q);
}

void operator_add(store_t *s, const char *name, const char *role, const char *hash, bool must_change, const who_t *who, op_done_cb cb, void *ctx)
{
    static const xerr_t codes[] = {XE_CONFLICT};
    char req[37];
    store_name(who, req);
    const char *params[] = {req, name, role, hash, must_change ? "t" : "f", who->actor, who->role, who->request_id, who->source_ip};
    ask(s, SQL_OP_ADD, params, false, on_outcome, (void (*)(void))cb, ctx)->codes = codes;
}

void operator_delete(store_t *s, const char *name, const who_t *who, op_done_cb cb, void *ctx)
{
    static const xerr_t codes[] = {XE_NOT_FOUND, XE_DENIED, XE_CONFLICT};
    char req[37];
    uuid4(req);
    const char *params[] = {req, name, who->actor, who->role, who->request_id, who->source_ip};
    ask_t *q = ask(s, SQL_OP_DELETE, params, false, on_outcome, (void (*)(void))cb, ctx);
    q->codes = codes;
    q->ends = true;
}

void operator_password(store_t *s, const char *name, const char *old_hash, const char *new_hash, const char *keep_jti, const who_t *who,
                       op_done_cb cb, void *ctx)
{
    static const xerr_t codes[] = {XE_AUTH};
    char req[37];
    uuid4(req);
    const char *params[] = {req, name, old_hash, new_hash, "f", keep_jti, who->actor, who->role, who->request_id, who->source_ip};
    ask_t *q = ask(s, SQL_OP_PASSWORD, params, false, on_outcome, (void (*)(void))cb, ctx);
    q->codes = codes;
    q->ends = true;
    snprintf(q->reload, sizeof q->reload, "%s", keep_jti);
}

void operator_totp(store_t *s, const char *name, const uint8_t secret[TOTP_SECRET_LEN], int64_t step, const who_t *who, op_done_cb cb, void *ctx)
{
    static const xerr_t codes[] = {XE_AUTH};
    char req[37], hex[BYTEA_TEXT], at[24];
    uuid4(req);
    snprintf(at, sizeof at, "%lld", (long long)step);
    const char *params[] = {req, name, secret ? bytea_text(secret, TOTP_SECRET_LEN, hex) : NULL, step < 0 ? NULL : at, who->role, who->request_id,
                            who->source_ip};
    ask(s, SQL_OP_TOTP, params, false, on_outcome, (void (*)(void))cb, ctx)->codes = codes;
    secret_wipe(hex, sizeof hex);
}

/* ---- the first account ---- */

static void on_bool(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    ((void (*)(void *, xerr_t, bool))q->cb)(q->ctx, err, !err && pg_bool(rows, 0, 0));
    free(q);
}

void operators_any(store_t *s, void (*cb)(void *ctx, xerr_t err, bool any), void *ctx)
{
    ask(s, SQL_OP_ANY, NULL, true, on_bool, (void (*)(void))cb, ctx);
}

void operator_first(store_t *s, const char *name, const char *hash, void (*cb)(void *ctx, xerr_t err, bool made), void *ctx)
{
    char req[37];
    uuid4(req);
    ask(s, SQL_OP_FIRST, (const char *const[]){req, name, hash}, false, on_bool, (void (*)(void))cb, ctx);
}
