/* Operators signing in: login, refresh, logout, who am I, a new password. An access token is a JWT whose jti is a live
 * session row; a refresh token is 32 random bytes, kept as a hash and good once. A name that nobody bears, a wrong password
 * and a wrong code get the same answer after the same work. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/hashing.h"
#include "handlers/operators.h"
#include "handlers/routes.h"
#include "reactor/log.h"
#include "storage/operators.h"
#include "storage/users.h"

#define REFRESH_PREFIX "xorj_rt_"
enum { REFRESH_LEN = sizeof REFRESH_PREFIX - 1 + 43, USERNAME_SENT_MAX = 64 * 4 };

static const char REFUSED[] = "The user name, the password or the code is not right";

/* POST /api/v1/auth/login and /password, in the order they run */
static void on_try(void *ctx, xerr_t err, const login_try_t *t);
static void on_measured(void *ctx, xerr_t err, const char *made);
static void on_signed_in(void *ctx, xerr_t err, const signed_in_t *v);
static void on_password(void *ctx, xerr_t err);

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

static void refresh_new(char text[REFRESH_LEN + 1], uint8_t hash[32])
{
    uint8_t raw[32];
    random_bytes(raw, sizeof raw);
    memcpy(text, REFRESH_PREFIX, sizeof REFRESH_PREFIX - 1);
    b64url_encode(raw, sizeof raw, text + sizeof REFRESH_PREFIX - 1, REFRESH_LEN + 2 - sizeof REFRESH_PREFIX);
    sha256(text, REFRESH_LEN, hash);
    secret_wipe(raw, sizeof raw);
}

static void send_tokens(req_t *r, const signed_in_t *v, const char *refresh)
{
    api_t *a = api_of(r);
    char token[1024];
    claims_t c = {.issued_s = now_s(a), .expires_s = now_s(a) + a->cfg->auth_operator_ttl_s};
    out_t o;
    memcpy(c.jti, v->jti, sizeof c.jti);
    snprintf(c.user_id, sizeof c.user_id, "%s", v->username);
    if (role_parse(span_of(v->role), &c.role) || jwt_sign(&a->keys, &c, token, sizeof token)) {
        h_fail(r, XE_INTERNAL);
        return;
    }
    out_init(&o);
    put_str(&o.w, "access_token", token);
    put_str(&o.w, "refresh_token", refresh);
    put_str(&o.w, "token_type", "Bearer");
    put_i64(&o.w, "expires_in", a->cfg->auth_operator_ttl_s);
    put_bool(&o.w, "must_change", v->must_change);
    out_send(&o, r, 200);
}

/* ---- login -------------------------------------------------------------------------------------------------------- */

typedef struct {
    req_t *r;
    bool change; /* a new password, not a sign-in */
    char user[USERNAME_SENT_MAX + 1], jti[37], refresh[REFRESH_LEN + 1];
    uint8_t refresh_hash[32];
    span_t password, fresh, code;
    login_try_t t;
} attempt_t;

/* Every way out of an attempt. */
static void finish(attempt_t *l)
{
    req_t *r = l->r;
    hashing_leave(api_of(r));
    secret_wipe(&l->t, sizeof l->t);
    req_drop(r);
}

static void refuse(attempt_t *l)
{
    ctr_inc(api_of(l->r)->n.login_failed);
    log_info("auth", req_id(l->r), "an operator's password was refused addr=%s", req_client_addr(l->r));
    h_fail_why(l->r, XE_AUTH, REFUSED);
}

static void fail(attempt_t *l, xerr_t err)
{
    if (err == XE_AUTH) refuse(l);
    else if (err == XE_FULL) h_busy(l->r);
    else h_fail(l->r, err);
    finish(l);
}

void h_busy(req_t *r) { h_refuse(r, 429, "RATE_LIMIT_ERROR", "Too many sign-ins are waiting, try again", 1); }

static void begin(attempt_t *l)
{
    req_hold(l->r);
    login_begin(api_of(l->r)->store, l->user, req_client_addr(l->r), on_try, l);
}

static attempt_t *attempt_new(req_t *r, span_t user)
{
    attempt_t *l = req_alloc(r, sizeof *l);
    memset(l, 0, sizeof *l);
    l->r = r;
    if (user.n < sizeof l->user) memcpy(l->user, user.p, user.n);
    return l;
}

static void h_login(req_t *r)
{
    span_t user = {"", 0};
    body_str(r, "username", &user);
    if (!hashing_enter(r)) return;
    attempt_t *l = attempt_new(r, user);
    body_str(r, "password", &l->password);
    body_str(r, "totp", &l->code);
    begin(l);
}

static void on_try(void *ctx, xerr_t err, const login_try_t *t)
{
    attempt_t *l = ctx;
    api_t *a = api_of(l->r);
    if (!err && t->retry_s > 0) {
        ctr_inc(a->n.login_throttled);
        req_error(l->r, 429, "RATE_LIMIT_ERROR", "Too many failed sign-ins, try again later", NULL, t->retry_s);
        finish(l);
        return;
    }
    if (err || req_answered(l->r)) {
        fail(l, err ? err : XE_TIMEOUT);
        return;
    }
    l->t = *t;
    /* Nobody of that name: as much work, against a hash that nothing fits. */
    hashing_ask(a, &(hashing_t){.password = l->password, .fresh = l->fresh, .hash = t->found ? l->t.hash : a->dummy_hash}, on_measured, l);
}

/* The one-time code, where the account asks for one. *step -1: it does not. */
static xerr_t check_code(const attempt_t *l, int64_t *step)
{
    *step = -1;
    if (!l->t.totp || l->change) return XE_OK;
    return totp_check(l->t.totp_secret, l->code, now_s(api_of(l->r)), l->t.totp_used, step);
}

static void sign_in(attempt_t *l, int64_t step)
{
    api_t *a = api_of(l->r);
    who_t who = {.actor = l->user, .role = "", .request_id = req_id(l->r), .source_ip = req_client_addr(l->r)};
    login_in_t in = {.user = l->user, .hash = l->t.hash, .step = step, .jti = l->jti, .issued_s = now_s(a)};
    uuid4(l->jti);
    refresh_new(l->refresh, in.refresh);
    in.expires_s = in.issued_s + a->cfg->auth_refresh_ttl_s;
    operator_login(a->store, &in, &who, on_signed_in, l);
}

static void on_measured(void *ctx, xerr_t err, const char *made)
{
    attempt_t *l = ctx;
    int64_t step;
    if (!err && !l->t.found) err = XE_AUTH;
    if (!err && req_answered(l->r)) err = XE_TIMEOUT;
    if (!err && l->t.totp && !l->change && !l->code.n) {
        /* Said only to who knows the password; the try stays counted. */
        ctr_inc(api_of(l->r)->n.login_failed);
        req_add_header(l->r, "WWW-Authenticate", "Bearer");
        req_error(l->r, 401, "AUTHENTICATION_ERROR", "totp: the code of the second factor is required", "{\"totp_required\":true}", 0);
        finish(l);
        return;
    }
    if (!err) err = check_code(l, &step);
    if (err) {
        fail(l, err);
    } else if (l->change) {
        who_t who = who_of(l->r);
        operator_password(api_of(l->r)->store, l->user, l->t.hash, made, call_of(l->r)->who.c.jti, &who, on_password, l);
    } else {
        sign_in(l, step);
    }
}

static void on_signed_in(void *ctx, xerr_t err, const signed_in_t *v)
{
    attempt_t *l = ctx;
    if (err) {
        fail(l, err);
        return;
    }
    ctr_inc(api_of(l->r)->n.login_ok);
    send_tokens(l->r, v, l->refresh);
    finish(l);
}

/* ---- refresh ------------------------------------------------------------------------------------------------------ */

typedef struct {
    req_t *r;
    char text[REFRESH_LEN + 1];
} rotation_t;

static void on_rotated(void *ctx, xerr_t err, const signed_in_t *v)
{
    rotation_t *n = ctx;
    req_t *r = n->r;
    if (!err) {
        send_tokens(r, v, n->text);
    } else if (err == XE_AUTH || err == XE_CONFLICT) {
        ctr_inc(err == XE_CONFLICT ? api_of(r)->n.refresh_reused : api_of(r)->n.token);
        if (err == XE_CONFLICT) log_warn("auth", req_id(r), "a refresh token was used twice: its family is revoked addr=%s", req_client_addr(r));
        h_fail_why(r, XE_AUTH, "The refresh token is not valid");
    } else {
        h_fail(r, err);
    }
    req_drop(r);
}

static void h_refresh(req_t *r)
{
    api_t *a = api_of(r);
    who_t who = {.actor = "", .role = "", .request_id = req_id(r), .source_ip = req_client_addr(r)};
    uint8_t old[32], fresh[32];
    span_t text = {"", 0};
    rotation_t *n = req_alloc(r, sizeof *n);
    body_str(r, "refresh_token", &text);
    sha256(text.p, text.n, old);
    n->r = req_hold(r);
    refresh_new(n->text, fresh);
    operator_refresh(a->store, old, fresh, now_s(a) + a->cfg->auth_refresh_ttl_s, &who, on_rotated, n);
}

/* ---- logout, me --------------------------------------------------------------------------------------------------- */

void h_done(void *ctx, xerr_t err)
{
    req_t *r = ctx;
    out_t o;
    if (err) {
        h_fail(r, err);
    } else {
        out_init(&o);
        put_bool(&o.w, "success", true);
        out_send(&o, r, 200);
    }
    req_drop(r);
}

static void h_logout(req_t *r)
{
    who_t who = who_of(r);
    session_revoke(api_of(r)->store, span_of(call_of(r)->who.c.jti), &who, h_done, req_hold(r));
}

/* A token of the command line belongs to no account: what an account would tell is null. */
static void send_me(req_t *r, const operator_t *acc)
{
    const principal_t *p = &call_of(r)->who;
    out_t o;
    out_init(&o);
    put_str(&o.w, "username", p->c.user_id);
    put_str(&o.w, "role", role_name(p->c.role));
    put_time(&o.w, "created_at", acc ? acc->created_us : 0);
    put_time(&o.w, "last_login", acc ? acc->last_login_us : 0);
    put_bool(&o.w, "must_change", acc && acc->must_change);
    put_bool(&o.w, "totp", acc && acc->totp);
    put_str(&o.w, "credential", p->by_key ? "api_key" : "token");
    out_send(&o, r, 200);
}

static void on_me(void *ctx, xerr_t err, const operator_t *acc)
{
    req_t *r = ctx;
    if (err && err != XE_NOT_FOUND) h_fail(r, err);
    else send_me(r, err ? NULL : acc);
    req_drop(r);
}

static void h_me(req_t *r) { operator_get(api_of(r)->store, call_of(r)->who.c.user_id, on_me, req_hold(r)); }

/* ---- password ----------------------------------------------------------------------------------------------------- */

bool h_account(req_t *r)
{
    if (strncmp(call_of(r)->who.c.user_id, "cli.", 4) != 0) return true;
    h_fail_why(r, XE_DENIED, "This token belongs to no account");
    return false;
}

static void h_password(req_t *r)
{
    span_t current = {"", 0}, fresh = {"", 0}, user = span_of(call_of(r)->who.c.user_id);
    body_str(r, "current", &current);
    body_str(r, "new", &fresh);
    if (!h_account(r) || !password_good(r, "new", fresh, user)) return;
    if (span_eq(current, fresh)) {
        h_bad(r, "new", "it is the current password");
        return;
    }
    if (!hashing_enter(r)) return;
    attempt_t *l = attempt_new(r, user);
    l->change = true;
    l->password = current;
    l->fresh = fresh;
    begin(l);
}

static void on_password(void *ctx, xerr_t err)
{
    attempt_t *l = ctx;
    if (err) {
        fail(l, err);
        return;
    }
    req_hold(l->r);
    h_done(l->r, XE_OK);
    finish(l);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

int code_fits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9') return 0;
    return n == TOTP_DIGITS;
}

static const schema_t login_body[] = {
    S_REQ("username", SC_STR, .min = 1, .max = 64, .doc = "Name of the account, as it was registered."),
    S_ROW("password", SC_STR, SC_REQ | SC_SECRET, .min = 1, .max = PASSWORD_MAX, .doc = "Its password."),
    S_ROW("totp", SC_STR, SC_SECRET, .min = 6, .max = 6, .pattern = "^[0-9]{6}$", .fits = code_fits, .doc = "the six digits of the second factor are expected"),
    S_END,
};
static const schema_t tokens_answer[] = {
    S_REQ("access_token", SC_STR, .doc = "For the Authorization header, until expires_in."),
    S_REQ("refresh_token", SC_STR, .doc = "Good once, for the next pair. Using one twice ends the whole session."),
    S_REQ("token_type", SC_STR, .choices = S_WORDS("Bearer")),
    S_REQ("expires_in", SC_INT, .doc = "Seconds."),
    S_REQ("must_change", SC_BOOL, .doc = "Nothing but a new password is allowed before that."),
    S_END,
};
static const schema_t refresh_body[] = {S_ROW("refresh_token", SC_STR, SC_REQ | SC_SECRET, .min = 1, .max = 256, .doc = "The last one received."), S_END};
static const schema_t password_body[] = {
    S_ROW("current", SC_STR, SC_REQ | SC_SECRET, .min = 1, .max = PASSWORD_MAX, .doc = "The password in force."),
    S_ROW("new", SC_STR, SC_REQ | SC_SECRET, .min = PASSWORD_MIN, .max = PASSWORD_MAX, .doc = "Well-known and regular ones are refused."),
    S_END,
};
const schema_t success_answer[] = {S_REQ("success", SC_BOOL), S_END};
static const schema_t me_answer[] = {
    S_REQ("username", SC_STR),
    S_REQ("role", SC_STR, .choices = S_WORDS("viewer", "operator", "admin")),
    S_NUL("created_at", SC_TIME, .doc = "null for a token of the command line."),
    S_NUL("last_login", SC_TIME),
    S_REQ("must_change", SC_BOOL),
    S_REQ("totp", SC_BOOL, .doc = "A second factor is in force."),
    S_REQ("credential", SC_STR, .choices = S_WORDS("token", "api_key")),
    S_END,
};

const route_t routes_operators[] = {
    {M_POST, "/api/v1/auth/login", ACCESS_PUBLIC, LIM_AUTH, ROUTE_REFUSES, ROUTE_BODY, h_login, NULL, login_body, 200, tokens_answer,
     "An operator signs in."},
    {M_POST, "/api/v1/auth/refresh", ACCESS_PUBLIC, LIM_AUTH, ROUTE_REFUSES, ROUTE_BODY, h_refresh, NULL, refresh_body, 200, tokens_answer,
     "A refresh token for the next pair of tokens."},
    {M_POST, "/api/v1/auth/logout", ACCESS_VIEWER, LIM_USER, ROUTE_EMPTY | ROUTE_LOGIN | ROUTE_LIMITED | ROUTE_FINDS, ROUTE_BODY, h_logout, NULL, schema_nothing,
     200, success_answer, "Ends this session at once, refresh tokens included."},
    {M_GET, "/api/v1/auth/me", ACCESS_VIEWER, LIM_USER, ROUTE_LIMITED, 0, h_me, NULL, NULL, 200, me_answer, "The operator who asks."},
    {M_POST, "/api/v1/auth/password", ACCESS_VIEWER, LIM_AUTH, ROUTE_LOGIN | ROUTE_LIMITED, ROUTE_BODY, h_password, NULL, password_body, 200,
     success_answer, "A new password for oneself; ends the account's other sessions."},
    ROUTE_END,
};
