/* Wallet sessions. Signing in: challenge, then authenticate. Nothing is remembered between the two but what the nonce
 * itself carries; that it is used once is a row in PostgreSQL. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/cookie.h"
#include "handlers/routes.h"
#include "storage/users.h"

/* POST /api/auth/authenticate, in the order it runs */
typedef struct {
    req_t *r;
    char wallet[48];
    uint8_t key[32], sig[64];
    span_t message;
    bool cookie; /* the token goes into a cookie */
    session_t session;
    siws_grant_t grant;
} sign_in_t;

static void on_nonce(void *ctx, xerr_t err);
static void on_session(void *ctx, xerr_t err, const session_t *s);

/* POST /api/auth/refresh and logout */
static void on_refreshed(void *ctx, xerr_t err, const session_t *s);
static void on_ended(void *ctx, xerr_t err);

static const char REFUSED[] = "The sign-in was refused";

/* ---- challenge ---------------------------------------------------------------------------------------------------- */

static void h_challenge(req_t *r)
{
    api_t *a = api_of(r);
    uint8_t random[10];
    siws_grant_t g;
    span_t wallet = {NULL, 0};
    buf_t text;
    out_t o;
    arg_of(r, "wallet_address", &wallet);
    buf_init(&text, SIWS_TEXT_MAX);
    random_bytes(random, sizeof random);
    siws_issue(&a->issuer, wallet, loop_wall_us(a->loop) / 1000, random, &g, &text);
    out_init(&o);
    jw_key(&o.w, "message");
    jw_str(&o.w, buf_span(&text));
    put_str(&o.w, "nonce", g.nonce);
    put_time(&o.w, "expires_at", g.expires_ms * 1000);
    out_send(&o, r, 200);
    buf_fini(&text);
}

/* ---- authenticate ------------------------------------------------------------------------------------------------- */

static void refuse(req_t *r)
{
    ctr_inc(api_of(r)->n.token);
    h_fail_why(r, XE_AUTH, REFUSED);
}

/* False: answered (400, 403). */
static bool parse(req_t *r, sign_in_t *s)
{
    span_t wallet = {NULL, 0}, sig = wallet;
    size_t n;
    body_str(r, "wallet_address", &wallet);
    body_str(r, "signature", &sig);
    body_str(r, "message", &s->message);
    if (b58_key(wallet, s->key) || b64_decode(sig, s->sig, sizeof s->sig, &n)) {
        h_fail(r, XE_INTERNAL); /* judged: cannot be */
        return false;
    }
    memcpy(s->wallet, wallet.p, wallet.n);
    s->wallet[wallet.n] = '\0';
    if (!body_bool(r, "cookie", &s->cookie) || !s->cookie || !origin_foreign(r)) return true;
    h_fail_why(r, XE_DENIED, "Origin: not given a cookie here");
    return false;
}

static void h_authenticate(req_t *r)
{
    api_t *a = api_of(r);
    sign_in_t *s = req_alloc(r, sizeof *s);
    memset(s, 0, sizeof *s);
    s->r = r;
    if (!parse(r, s)) return;
    if (siws_check(&a->issuer, s->message, span_of(s->wallet), loop_wall_us(a->loop) / 1000, &s->grant)) {
        refuse(r);
        return;
    }
    req_hold(r);
    nonce_consume(a->store, span_of(s->grant.nonce), span_of(s->wallet), s->grant.expires_ms / 1000 + 1, on_nonce, s);
}

static void on_nonce(void *ctx, xerr_t err)
{
    sign_in_t *s = ctx;
    req_t *r = s->r;
    api_t *a = api_of(r);
    who_t who = {.actor = s->wallet, .role = role_name(ROLE_WALLET), .request_id = req_id(r), .source_ip = req_client_addr(r)};
    if (err == XE_CONFLICT) err = XE_AUTH;
    if (!err) err = ed25519_verify(s->key, s->message.p, s->message.n, s->sig);
    if (err || req_answered(r)) {
        if (err == XE_AUTH) refuse(r);
        else if (err) h_fail(r, err);
        req_drop(r);
        return;
    }
    uuid4(s->session.jti);
    memcpy(s->session.wallet, s->wallet, sizeof s->session.wallet);
    s->session.issued_s = now_s(a);
    s->session.expires_s = s->session.issued_s + a->cfg->auth_wallet_ttl_s;
    session_create(a->store, &s->session, &who, on_session, s);
}

static xerr_t sign(const api_t *a, const session_t *s, char *out, size_t cap)
{
    claims_t c = {.role = ROLE_WALLET, .issued_s = s->issued_s, .expires_s = s->expires_s};
    memcpy(c.jti, s->jti, sizeof c.jti);
    memcpy(c.user_id, s->user_id, sizeof c.user_id);
    memcpy(c.wallet, s->wallet, sizeof c.wallet);
    return jwt_sign(&a->keys, &c, out, cap);
}

static void put_csrf(const api_t *a, jw_t *w, const char *jti)
{
    char csrf[CSRF_LEN + 1];
    csrf_token(&a->keys, jti, csrf);
    put_str(w, "csrf_token", csrf);
}

/* The token in the answer, or in a cookie with what its writes need. */
static void send_token(req_t *r, const session_t *s, bool cookie)
{
    api_t *a = api_of(r);
    char token[1024];
    out_t o;
    if (sign(a, s, token, sizeof token)) {
        h_fail(r, XE_INTERNAL);
        return;
    }
    out_init(&o);
    put_bool(&o.w, "success", true);
    if (cookie) {
        cookie_set(r, token, s->expires_s - now_s(a));
        put_csrf(a, &o.w, s->jti);
    } else {
        put_str(&o.w, "session_token", token);
    }
    put_time(&o.w, "expires_at", s->expires_s * 1000000);
    put_str(&o.w, "user_id", s->user_id);
    out_send(&o, r, 200);
}

static void on_session(void *ctx, xerr_t err, const session_t *created)
{
    sign_in_t *s = ctx;
    req_t *r = s->r;
    if (!err) {
        memcpy(s->session.user_id, created->user_id, sizeof s->session.user_id);
        send_token(r, &s->session, s->cookie);
    } else {
        h_fail(r, err);
    }
    req_drop(r);
}

/* ---- the session -------------------------------------------------------------------------------------------------- */

static void h_refresh(req_t *r)
{
    api_t *a = api_of(r);
    const claims_t *c = &call_of(r)->who.c;
    who_t who = who_of(r);
    session_t next;
    memset(&next, 0, sizeof next);
    uuid4(next.jti);
    memcpy(next.wallet, c->wallet, sizeof next.wallet);
    next.issued_s = now_s(a);
    session_refresh(a->store, span_of(c->jti), &next, &who, on_refreshed, req_hold(r));
}

static void on_refreshed(void *ctx, xerr_t err, const session_t *s)
{
    req_t *r = ctx;
    if (err) h_fail(r, err);
    else send_token(r, s, call_of(r)->cookie);
    req_drop(r);
}

static void h_logout(req_t *r)
{
    who_t who = who_of(r);
    session_revoke(api_of(r)->store, span_of(call_of(r)->who.c.jti), &who, on_ended, req_hold(r));
}

static void on_ended(void *ctx, xerr_t err)
{
    req_t *r = ctx;
    out_t o;
    if (err && err != XE_NOT_FOUND) {
        h_fail(r, err);
    } else {
        if (call_of(r)->cookie) cookie_set(r, "", 0);
        out_init(&o);
        put_bool(&o.w, "success", true);
        out_send(&o, r, 200);
    }
    req_drop(r);
}

static void h_session(req_t *r)
{
    const api_t *a = api_of(r);
    const claims_t *c = &call_of(r)->who.c;
    int64_t idle_s = now_s(a) + a->cfg->auth_wallet_idle_s;
    out_t o;
    out_init(&o);
    put_str(&o.w, "user_id", c->user_id);
    put_str(&o.w, "wallet_address", c->wallet);
    role_put_permissions(&o.w, c->role);
    put_time(&o.w, "issued_at", c->issued_s * 1000000);
    put_time(&o.w, "expires_at", c->expires_s * 1000000);
    put_time(&o.w, "idle_expires_at", (idle_s < c->expires_s ? idle_s : c->expires_s) * 1000000);
    if (call_of(r)->cookie) put_csrf(a, &o.w, c->jti);
    out_send(&o, r, 200);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t challenge_query[] = {S_REQ("wallet_address", SC_WALLET, .doc = "Who wants to sign in."), S_END};
static const schema_t challenge_answer[] = {
    S_REQ("message", SC_STR, .doc = "The text to sign, byte for byte."), S_REQ("nonce", SC_STR), S_REQ("expires_at", SC_TIME), S_END,
};

static int fits_signature(const char *text, unsigned long n)
{
    uint8_t raw[68];
    size_t len;
    return b64_decode(span_make(text, n), raw, sizeof raw, &len) == XE_OK && len == 64;
}

static const schema_t sign_in_body[] = {
    S_REQ("wallet_address", SC_WALLET),
    S_ROW("signature", SC_STR, SC_REQ | SC_SECRET, .min = 1, .max = 128, .pattern = "^[A-Za-z0-9+/]{85}[AQgw]==$", .fits = fits_signature,
          .doc = "base64 of 64 bytes is expected: the ed25519 signature over the message"),
    S_REQ("message", SC_STR, .min = 1, .max = SIWS_TEXT_MAX, .doc = "The challenge's message as it was given."),
    S_OPT("cookie", SC_BOOL, .doc = "The session goes into a cookie of this site (HttpOnly, Secure, SameSite=Strict) instead of the answer."),
    S_END,
};
#define CSRF_ROW S_OPT("csrf_token", SC_STR, .doc = "Cookie sessions only: for X-CSRF-Token, where no Origin is sent.")
static const schema_t token_answer[] = {
    S_REQ("success", SC_BOOL), S_OPT("session_token", SC_STR, .doc = "Not there when it went into a cookie."), CSRF_ROW,
    S_REQ("expires_at", SC_TIME, .doc = "A day after the sign-in; sooner when the session is not used."), S_REQ("user_id", SC_UUID), S_END,
};
static const schema_t done_answer[] = {S_REQ("success", SC_BOOL), S_END};
static const schema_t session_answer[] = {
    S_REQ("user_id", SC_UUID), S_REQ("wallet_address", SC_WALLET), S_REQ("permissions", SC_ARR, .of = S_LIST(S_REQ("permission", SC_STR))),
    S_REQ("issued_at", SC_TIME), S_REQ("expires_at", SC_TIME),
    S_REQ("idle_expires_at", SC_TIME, .doc = "When it ends if it is not used again."), CSRF_ROW, S_END,
};

const route_t routes_auth[] = {
    {M_GET, "/api/auth/challenge", ACCESS_PUBLIC, LIM_AUTH, 0, 0, h_challenge, challenge_query, NULL, 200, challenge_answer,
     "A message to sign, good once and for a short time."},
    {M_POST, "/api/auth/authenticate", ACCESS_PUBLIC, LIM_AUTH, ROUTE_REFUSES | ROUTE_FORBIDS, ROUTE_BODY, h_authenticate, NULL, sign_in_body, 200, token_answer,
     "Signs a wallet in with its signature over the challenge."},
    {M_POST, "/api/auth/refresh", ACCESS_WALLET, LIM_AUTH, 0, ROUTE_BODY, h_refresh, NULL, NULL, 200, token_answer,
     "Another token for the rest of the session; the one it was asked with ends at once."},
    {M_POST, "/api/auth/logout", ACCESS_WALLET, LIM_USER, 0, ROUTE_BODY, h_logout, NULL, NULL, 200, done_answer, "Ends the session at once."},
    {M_GET, "/api/auth/session", ACCESS_WALLET, LIM_USER, 0, 0, h_session, NULL, NULL, 200, session_answer, "The session the call was made with."},
    ROUTE_END,
};
