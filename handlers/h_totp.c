/* The second factor of one's own account: a secret to be scanned, in force once a code of it was shown, and off again
 * with password and code. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/crypto.h"
#include "handlers/hashing.h"
#include "handlers/operators.h"
#include "handlers/routes.h"
#include "storage/operators.h"

typedef enum { BEGIN, CONFIRM, DISABLE } what_t;

/* POST /api/v1/auth/totp, /confirm and /disable, in the order they run */
typedef struct {
    req_t *r;
    what_t what;
    span_t password, code;
    uint8_t secret[TOTP_SECRET_LEN];
    login_try_t t;
} factor_t;

static void on_try(void *ctx, xerr_t err, const login_try_t *t);
static void on_measured(void *ctx, xerr_t err, const char *made);
static void on_pending(void *ctx, xerr_t err);

static const char *name_of(const req_t *r) { return call_of(r)->who.c.user_id; }

static void finish(factor_t *f)
{
    req_t *r = f->r;
    if (f->what != CONFIRM) hashing_leave(api_of(r));
    secret_wipe(&f->t, sizeof f->t);
    secret_wipe(f->secret, sizeof f->secret);
    req_drop(r);
}

static void fail(factor_t *f, xerr_t err)
{
    if (err == XE_AUTH) h_fail_why(f->r, XE_DENIED, f->what == CONFIRM ? "code: not right, or used before" : "The password or the code is not right");
    else if (err == XE_CONFLICT) h_fail_why(f->r, err, f->what == DISABLE ? "No second factor is in force" : "A second factor is in force");
    else if (err == XE_FULL) h_busy(f->r);
    else h_fail(f->r, err);
    finish(f);
}

static factor_t *factor_new(req_t *r, what_t what)
{
    factor_t *f = req_alloc(r, sizeof *f);
    memset(f, 0, sizeof *f);
    f->r = r;
    f->what = what;
    body_str(r, "password", &f->password);
    body_str(r, "code", &f->code);
    return f;
}

/* ---- with the password: begin, disable ---------------------------------------------------------------------------- */

static void measure(req_t *r, what_t what)
{
    if (!h_account(r) || !hashing_enter(r)) return;
    factor_t *f = factor_new(r, what);
    req_hold(r);
    login_begin(api_of(r)->store, name_of(r), req_client_addr(r), on_try, f);
}

static void h_totp_begin(req_t *r) { measure(r, BEGIN); }
static void h_totp_disable(req_t *r) { measure(r, DISABLE); }

static void on_try(void *ctx, xerr_t err, const login_try_t *t)
{
    factor_t *f = ctx;
    if (!err && t->retry_s > 0) {
        req_error(f->r, 429, "RATE_LIMIT_ERROR", "Too many failed tries, try again later", NULL, t->retry_s);
        finish(f);
        return;
    }
    if (!err && !t->found) err = XE_AUTH;
    if (!err && t->totp == (f->what == BEGIN)) err = XE_CONFLICT;
    if (err) {
        fail(f, err);
        return;
    }
    f->t = *t;
    hashing_ask(api_of(f->r), &(hashing_t){.password = f->password, .hash = f->t.hash}, on_measured, f);
}

static void on_off(void *ctx, xerr_t err)
{
    factor_t *f = ctx;
    if (err) {
        fail(f, err);
        return;
    }
    login_forgive(api_of(f->r)->store, name_of(f->r), req_client_addr(f->r));
    h_done(req_hold(f->r), XE_OK);
    finish(f);
}

static void on_measured(void *ctx, xerr_t err, const char *made)
{
    factor_t *f = ctx;
    api_t *a = api_of(f->r);
    who_t who = who_of(f->r);
    int64_t step = -1;
    if (!err && req_answered(f->r)) err = XE_TIMEOUT;
    if (!err && f->what == DISABLE) err = totp_check(f->t.totp_secret, f->code, now_s(a), f->t.totp_used, &step);
    if (err) {
        fail(f, err);
        return;
    }
    if (f->what == DISABLE) {
        operator_totp(a->store, name_of(f->r), NULL, step, &who, on_off, f);
        return;
    }
    random_bytes(f->secret, sizeof f->secret);
    operator_totp(a->store, name_of(f->r), f->secret, -1, &who, on_pending, f);
}

static void on_pending(void *ctx, xerr_t err)
{
    factor_t *f = ctx;
    char text[TOTP_TEXT_LEN + 1], uri[160];
    out_t o;
    if (err) {
        fail(f, err == XE_AUTH ? XE_CONFLICT : err);
        return;
    }
    login_forgive(api_of(f->r)->store, name_of(f->r), req_client_addr(f->r));
    totp_text(f->secret, text);
    snprintf(uri, sizeof uri, "otpauth://totp/XORJ:%s?secret=%s&issuer=XORJ", name_of(f->r), text);
    out_init(&o);
    put_str(&o.w, "secret", text);
    put_str(&o.w, "otpauth_uri", uri);
    out_send(&o, f->r, 201);
    secret_wipe(text, sizeof text);
    secret_wipe(uri, sizeof uri);
    finish(f);
}

/* ---- with a code: confirm ----------------------------------------------------------------------------------------- */

static void on_confirmed(void *ctx, xerr_t err)
{
    factor_t *f = ctx;
    if (err) {
        fail(f, err);
        return;
    }
    h_done(req_hold(f->r), XE_OK);
    finish(f);
}

static void on_account(void *ctx, xerr_t err, const operator_t *o)
{
    factor_t *f = ctx;
    api_t *a = api_of(f->r);
    who_t who = who_of(f->r);
    int64_t step = -1;
    if (!err && (o->totp || !o->has_secret)) err = XE_CONFLICT;
    if (!err) err = totp_check(o->totp_secret, f->code, now_s(a), o->totp_used, &step);
    if (err) fail(f, err);
    else operator_totp(a->store, name_of(f->r), o->totp_secret, step, &who, on_confirmed, f);
}

static void h_totp_confirm(req_t *r)
{
    if (!h_account(r)) return;
    factor_t *f = factor_new(r, CONFIRM);
    req_hold(r);
    operator_get(api_of(r)->store, name_of(r), on_account, f);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

#define CODE_ROW \
    S_ROW("code", SC_STR, SC_REQ | SC_SECRET, .min = 6, .max = 6, .pattern = "^[0-9]{6}$", .fits = code_fits, .doc = "the six digits of the second factor are expected")
#define PASSWORD_ROW S_ROW("password", SC_STR, SC_REQ | SC_SECRET, .min = 1, .max = PASSWORD_MAX, .doc = "The account's password.")

static const schema_t begin_body[] = {PASSWORD_ROW, S_END};
static const schema_t confirm_body[] = {CODE_ROW, S_END};
static const schema_t disable_body[] = {PASSWORD_ROW, CODE_ROW, S_END};
static const schema_t begin_answer[] = {
    S_REQ("secret", SC_STR, .doc = "In base32, shown this once."), S_REQ("otpauth_uri", SC_STR, .doc = "The same for an authenticator app."), S_END,
};

const route_t routes_totp[] = {
    {M_POST, "/api/v1/auth/totp", ACCESS_VIEWER, LIM_AUTH, ROUTE_LOGIN | ROUTE_CLASH, ROUTE_BODY, h_totp_begin, NULL, begin_body, 201, begin_answer,
     "A secret for a second factor, in force once it is confirmed."},
    {M_POST, "/api/v1/auth/totp/confirm", ACCESS_VIEWER, LIM_AUTH, ROUTE_LOGIN | ROUTE_CLASH | ROUTE_FINDS, ROUTE_BODY, h_totp_confirm, NULL, confirm_body, 200,
     success_answer, "The second factor in force: signing in asks for its code from now on."},
    {M_POST, "/api/v1/auth/totp/disable", ACCESS_VIEWER, LIM_AUTH, ROUTE_LOGIN | ROUTE_CLASH, ROUTE_BODY, h_totp_disable, NULL, disable_body, 200,
     success_answer, "No second factor any more."},
    ROUTE_END,
};
