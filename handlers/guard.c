#include "handlers/guard.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/apikey.h"
#include "handlers/cookie.h"
#include "storage/keys.h"
#include "storage/users.h"

typedef struct {
    req_t *r;
    void (*next)(req_t *r, xerr_t err);
    span_t text;      /* of an API key */
    uint8_t hash[32]; /* its SHA-256 */
} wait_t;

static void on_session(void *ctx, xerr_t err, const session_t *s);
static void on_key(void *ctx, xerr_t err, const api_key_t *k);

static uint64_t principal_key(const api_t *a, const principal_t *p)
{
    char text[64];
    const char *who = p->c.role == ROLE_WALLET ? p->c.wallet : p->by_key ? p->c.jti : p->c.user_id;
    int n = snprintf(text, sizeof text, "%d%s", (int)p->c.role, who);
    return siphash(a->sip, text, (size_t)n) | 1;
}

/* "Bearer" and one token, one blank between. */
static bool bearer(span_t header, span_t *token)
{
    if (header.n < 8 || header.n > JWT_TEXT_MAX + 7 || memcmp(header.p, "Bearer ", 7) != 0) return false;
    *token = span_make(header.p + 7, header.n - 7);
    return true;
}

static bool verify(req_t *r, span_t token)
{
    api_t *a = api_of(r);
    call_t *c = call_of(r);
    const principal_t *hit = tcache_get(a->tokens, token, now_s(a));
    if (hit && !hit->by_key) {
        c->who = *hit;
        return true;
    }
    if (jwt_verify(&a->keys, token, now_s(a), req_arena(r), &c->who.c)) return false;
    c->who.key = principal_key(a, &c->who);
    tcache_put(a->tokens, token, &c->who);
    return true;
}

static bool session_fits(const api_t *a, const claims_t *c, const session_t *s)
{
    return span_is(span_of(s->wallet), c->wallet) && (c->wallet[0] || span_is(span_of(s->user_id), c->user_id)) &&
           span_is(span_of(s->jti), c->jti) && s->expires_s > now_s(a);
}

static void check_session(req_t *r, void (*next)(req_t *r, xerr_t err))
{
    api_t *a = api_of(r);
    call_t *c = call_of(r);
    const session_t *s;
    wait_t *w;
    s = session_peek(a->store, span_of(c->who.c.jti));
    if (s && session_fits(a, &c->who.c, s)) {
        c->known = true;
        c->limited = s->limited;
        next(r, XE_OK);
        return;
    }
    w = req_alloc(r, sizeof *w);
    *w = (wait_t){.r = req_hold(r), .next = next};
    session_check(a->store, span_of(c->who.c.jti), on_session, w);
}

static void on_session(void *ctx, xerr_t err, const session_t *s)
{
    wait_t w = *(wait_t *)ctx;
    api_t *a = api_of(w.r);
    call_t *c = call_of(w.r);
    if (!err && !session_fits(a, &c->who.c, s)) err = XE_AUTH;
    if (err == XE_NOT_FOUND) err = XE_AUTH;
    if (err == XE_AUTH) ctr_inc(a->n.session);
    c->known = !err;
    c->limited = !err && s->limited;
    /* A status page that anybody may read answers also while nobody can be asked: as to anybody. */
    if ((err != XE_AUTH || c->cookie) && c->route->access == ACCESS_OPTIONAL) err = XE_OK;
    if (!req_answered(w.r)) w.next(w.r, err);
    req_drop(w.r);
}

/* ---- API keys ----------------------------------------------------------------------------------------------------- */

/* XE_AGAIN: its session is to be asked; XE_OK: storage is asked for the key and goes on by itself. */
static xerr_t check_key(req_t *r, span_t text, void (*next)(req_t *r, xerr_t err))
{
    api_t *a = api_of(r);
    char id[37];
    uint8_t hash[32];
    const principal_t *hit = tcache_get(a->tokens, text, now_s(a));
    if (hit && hit->by_key) {
        call_of(r)->who = *hit;
        key_used(a->store, hit->c.jti);
        return XE_AGAIN;
    }
    if (!apikey_read(text, id, hash)) return XE_AUTH;
    wait_t *w = req_alloc(r, sizeof *w);
    *w = (wait_t){.r = req_hold(r), .next = next, .text = text};
    memcpy(w->hash, hash, sizeof w->hash);
    key_get(a->store, id, on_key, w);
    return XE_OK;
}

static xerr_t admit_key(const wait_t *w, const api_key_t *k)
{
    api_t *a = api_of(w->r);
    principal_t *p = &call_of(w->r)->who;
    if (!ct_equal(k->hash, w->hash, sizeof w->hash) || k->expires_s <= now_s(a)) return XE_AUTH;
    *p = (principal_t){.by_key = true, .c = {.issued_s = k->issued_s, .expires_s = k->expires_s}};
    memcpy(p->c.jti, k->id, sizeof p->c.jti);
    memcpy(p->c.user_id, k->owner, sizeof k->owner);
    if (role_parse(span_of(k->role), &p->c.role) || p->c.role < ROLE_VIEWER) return XE_AUTH;
    p->key = principal_key(a, p);
    tcache_put(a->tokens, w->text, p);
    key_used(a->store, k->id);
    return XE_OK;
}

static void on_key(void *ctx, xerr_t err, const api_key_t *k)
{
    wait_t w = *(wait_t *)ctx;
    if (!err) err = admit_key(&w, k);
    if (err == XE_AUTH) ctr_inc(api_of(w.r)->n.token);
    if (req_answered(w.r)) {
        req_drop(w.r);
        return;
    }
    if (!err) check_session(w.r, w.next);
    else w.next(w.r, err);
    req_drop(w.r);
}

/* X-API-Key, or Authorization: ApiKey. One credential and no more. */
static bool key_header(const req_t *r, span_t *text)
{
    bool own = req_header(r, "x-api-key", text), other;
    span_t header;
    other = req_header(r, "authorization", &header);
    if (own) return !other && req_header_count(r, "x-api-key") == 1;
    if (!other || header.n < 8 || memcmp(header.p, "ApiKey ", 7) != 0) return false;
    *text = span_make(header.p + 7, header.n - 7);
    return true;
}

static bool wants_token(access_t access)
{
    return access != ACCESS_PUBLIC && access != ACCESS_METRICS;
}

/* Without a header: a ticket where the route takes one, the session cookie, nothing where the route asks for nothing. A browser
 * sends its cookie unasked, so one that is no longer good is as none. */
static xerr_t without_header(req_t *r)
{
    api_t *a = api_of(r);
    call_t *c = call_of(r);
    span_t ticket, token;
    if ((c->route->flags & ROUTE_TICKET) && !c->query_err && query_get(&c->query, "ticket", &ticket)) {
        xerr_t err = tickets_take(a->tickets, ticket, loop_now_ns(a->loop), &c->who);
        if (err || c->who.c.expires_s <= now_s(a)) return XE_AUTH;
        return XE_AGAIN;
    }
    if (cookie_token(r, &token) && verify(r, token) && c->who.c.role == ROLE_WALLET) {
        c->cookie = true;
        return XE_AGAIN;
    }
    if (c->route->access == ACCESS_OPTIONAL) return XE_OK;
    if (c->route->access == ACCESS_LOCAL && addr_is_loopback(req_client_addr(r))) return XE_OK;
    return XE_AUTH;
}

void guard_identify(req_t *r, void (*next)(req_t *r, xerr_t err))
{
    api_t *a = api_of(r);
    call_t *c = call_of(r);
    span_t header, token;
    xerr_t err;
    if (!wants_token(c->route->access)) {
        next(r, XE_OK);
    } else if (key_header(r, &token)) {
        err = check_key(r, token, next);
        if (err == XE_AGAIN) check_session(r, next);
        else if (err) ctr_inc(a->n.token), next(r, err);
    } else if (req_header(r, "x-api-key", &header)) {
        ctr_inc(a->n.header);
        next(r, XE_AUTH);
    } else if (req_header(r, "authorization", &header)) {
        bool ok = bearer(header, &token);
        if (ok && verify(r, token)) {
            check_session(r, next);
            return;
        }
        ctr_inc(ok ? a->n.token : a->n.header);
        next(r, XE_AUTH);
    } else if ((err = without_header(r)) == XE_AGAIN) {
        check_session(r, next);
    } else {
        if (err) ctr_inc(a->n.header);
        next(r, err);
    }
}

/* A wallet's token opens its own data only. A text that is no address is no wallet: it is 400 later. */
static bool foreign(const req_t *r)
{
    const call_t *c = call_of(r);
    uint8_t key[32];
    span_t wallet;
    if (!(c->route->flags & ROUTE_OWN) || !is_wallet(r) || !query_get(&c->query, "walletAddress", &wallet)) return false;
    return !span_is(wallet, c->who.c.wallet) && b58_key(wallet, key) == XE_OK;
}

/* A cookie travels with whatever a foreign page makes the browser send: what changes something must prove its origin. */
static bool forged(const req_t *r)
{
    call_t *c = call_of(r);
    if (!c->cookie || req_method(r) == M_GET || req_method(r) == M_HEAD) return false;
    c->deny = csrf_fault(r, c->who.c.jti);
    return c->deny != NULL;
}

/* What neither role nor ownership says. */
static bool refused(const req_t *r)
{
    call_t *c = call_of(r);
    if (c->limited && c->route->access == ACCESS_OPTIONAL) c->known = false; /* as to anybody */
    if (c->known && c->limited && !(c->route->flags & ROUTE_LIMITED)) c->deny = "The password must be changed first: POST /api/v1/auth/password";
    else if (c->known && c->who.by_key && (c->route->flags & ROUTE_LOGIN)) c->deny = "An API key may not do this: sign in";
    return c->deny != NULL;
}

xerr_t guard_admit(const req_t *r)
{
    const call_t *c = call_of(r);
    role_t role = c->known ? c->who.c.role : ROLE_PUBLIC;
    bool ok = true;
    switch (c->route->access) {
    case ACCESS_PUBLIC: case ACCESS_OPTIONAL: break;
    case ACCESS_METRICS: ok = addr_in_list(req_client_addr(r), api_of(r)->cfg->server_metrics_allow); break;
    case ACCESS_LOCAL: ok = !c->known || role >= ROLE_VIEWER; break;
    case ACCESS_WALLET: ok = role == ROLE_WALLET; break;
    case ACCESS_ANY: ok = role >= ROLE_WALLET; break;
    case ACCESS_CONTROL: ok = role == ROLE_WALLET || role >= ROLE_OPERATOR; break;
    case ACCESS_VIEWER: ok = role >= ROLE_VIEWER; break;
    case ACCESS_OPERATOR: ok = role >= ROLE_OPERATOR; break;
    case ACCESS_ADMIN: ok = role >= ROLE_ADMIN; break;
    }
    return ok && !foreign(r) && !forged(r) && !refused(r) ? XE_OK : XE_DENIED;
}

/* ---- addresses ---------------------------------------------------------------------------------------------------- */

static bool addr_raw(const char *text, uint8_t out[17])
{
    memset(out, 0, 17);
    if (inet_pton(AF_INET, text, out) == 1) return true;
    out[16] = 6;
    return inet_pton(AF_INET6, text, out) == 1;
}

bool addr_in_list(const char *addr, const char *list)
{
    uint8_t want[17], have[17];
    char one[64];
    if (!addr_raw(addr, want)) return false;
    while (*list) {
        size_t n = strcspn(list, ", ");
        if (n && n < sizeof one) {
            memcpy(one, list, n);
            one[n] = '\0';
            if (addr_raw(one, have) && memcmp(want, have, sizeof want) == 0) return true;
        }
        list += n;
        list += strspn(list, ", ");
    }
    return false;
}

bool addr_is_loopback(const char *addr)
{
    uint8_t raw[17];
    if (!addr_raw(addr, raw)) return false;
    if (!raw[16]) return raw[0] == 127;
    static const uint8_t one[16] = {[15] = 1};
    return memcmp(raw, one, sizeof one) == 0;
}
