/* Signing in with a wallet: challenge, then authenticate. Nothing is remembered between the two but what the nonce
 * itself carries; that it is used once is a row in PostgreSQL. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "storage/users.h"

/* POST /api/auth/authenticate, in the order it runs */
typedef struct {
    req_t *r;
    char wallet[48];
    uint8_t key[32], sig[64];
    span_t message;
    session_t session;
    siws_grant_t grant;
} sign_in_t;

static void on_nonce(void *ctx, xerr_t err);
static void on_session(void *ctx, xerr_t err, const session_t *s);

static const char REFUSED[] = "The sign-in was refused";

/* ---- challenge ---------------------------------------------------------------------------------------------------- */

void h_challenge(req_t *r)
{
    api_t *a = api_of(r);
    uint8_t key[32], random[10];
    siws_grant_t g;
    span_t wallet;
    buf_t text;
    out_t o;
    if (!arg_of(r, "wallet_address", &wallet)) {
        h_bad(r, "wallet_address", "required");
        return;
    }
    if (!h_wallet(r, "wallet_address", wallet, key)) return;
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

static bool text_field(req_t *r, const json_t *body, const char *name, size_t max, span_t *out)
{
    const json_t *v = json_get(body, name);
    const char *what = !v ? "required" : "a string is expected";
    if (v && json_type(v) == JSON_STR) {
        *out = json_str(v);
        if (out->n && out->n <= max && !memchr(out->p, '\0', out->n)) return true;
        what = out->n ? "too long, or holds a zero byte" : "must not be empty";
    }
    ctr_inc(api_of(r)->n.invalid_schema);
    h_bad(r, name, what);
    return false;
}

/* False: answered (400). */
static bool parse(req_t *r, sign_in_t *s)
{
    static const char *const keys[] = {"wallet_address", "signature", "message", NULL};
    const json_t *body = body_object(r, keys);
    span_t wallet, sig;
    size_t n = 0;
    uint8_t raw[68];
    if (!body || !text_field(r, body, "wallet_address", 64, &wallet) || !text_field(r, body, "signature", 128, &sig) ||
        !text_field(r, body, "message", SIWS_TEXT_MAX, &s->message))
        return false;
    if (!h_wallet(r, "wallet_address", wallet, s->key)) return false;
    if (b64_decode(sig, raw, sizeof raw, &n) || n != sizeof s->sig) {
        h_bad(r, "signature", "base64 of 64 bytes is expected");
        return false;
    }
    memcpy(s->wallet, wallet.p, wallet.n);
    s->wallet[wallet.n] = '\0';
    memcpy(s->sig, raw, sizeof s->sig);
    return true;
}

void h_authenticate(req_t *r)
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

static void send_token(req_t *r, const session_t *s)
{
    api_t *a = api_of(r);
    char token[1024];
    claims_t c = {.role = ROLE_WALLET, .issued_s = s->issued_s, .expires_s = s->expires_s};
    out_t o;
    memcpy(c.jti, s->jti, sizeof c.jti);
    memcpy(c.user_id, s->user_id, sizeof c.user_id);
    memcpy(c.wallet, s->wallet, sizeof c.wallet);
    if (jwt_sign(&a->keys, &c, token, sizeof token)) {
        h_fail(r, XE_INTERNAL);
        return;
    }
    out_init(&o);
    put_bool(&o.w, "success", true);
    put_str(&o.w, "session_token", token);
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
        send_token(r, &s->session);
    } else {
        h_fail(r, err);
    }
    req_drop(r);
}
