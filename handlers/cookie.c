#include "handlers/cookie.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/cors.h"

/* The prefix makes browsers insist on Secure, Path=/ and no Domain. */
static const char NAME[] = "__Host-xorj";

/* The next pair of a Cookie line; false at its end. */
static bool next_pair(span_t *line, span_t *name, span_t *value)
{
    while (line->n && (*line->p == ' ' || *line->p == ';')) *line = span_make(line->p + 1, line->n - 1);
    if (!line->n) return false;
    const char *end = memchr(line->p, ';', line->n);
    size_t n = end ? (size_t)(end - line->p) : line->n;
    const char *eq = memchr(line->p, '=', n);
    size_t name_n = eq ? (size_t)(eq - line->p) : n;
    *name = span_make(line->p, name_n);
    *value = eq ? span_make(eq + 1, n - name_n - 1) : span_make(line->p + n, 0);
    *line = span_make(line->p + n, line->n - n);
    return true;
}

bool cookie_token(const req_t *r, span_t *token)
{
    span_t line, name, value;
    unsigned found = 0;
    if (req_header_count(r, "cookie") != 1 || !req_header(r, "cookie", &line)) return false;
    while (next_pair(&line, &name, &value)) {
        if (!span_is(name, NAME)) continue;
        *token = value;
        found++;
    }
    return found == 1;
}

void cookie_set(req_t *r, const char *token, int64_t max_age_s)
{
    char text[JWT_TEXT_MAX / 4 + 128];
    snprintf(text, sizeof text, "%s=%s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Strict", NAME, token, (long long)max_age_s);
    req_add_header(r, "Set-Cookie", text);
}

static void derive(const jwt_key_t *key, const char *jti, char out[CSRF_LEN + 1])
{
    char msg[64];
    uint8_t mac[32];
    int n = snprintf(msg, sizeof msg, "xorj csrf 1 %s", jti);
    hmac_sha256(span_make(key->key, key->n), span_make(msg, (size_t)n), mac);
    b64url_encode(mac, sizeof mac, out, CSRF_LEN + 1);
}

void csrf_token(const jwt_keys_t *k, const char *jti, char out[CSRF_LEN + 1]) { derive(&k->k[0], jti, out); }

static bool token_fits(const jwt_keys_t *k, const char *jti, span_t given)
{
    char want[CSRF_LEN + 1];
    bool ok = false;
    if (given.n != CSRF_LEN) return false;
    for (unsigned i = 0; i < k->n; i++) {
        derive(&k->k[i], jti, want);
        ok |= ct_equal(want, given.p, CSRF_LEN);
    }
    return ok;
}

bool origin_foreign(const req_t *r)
{
    span_t origin;
    if (!req_header(r, "origin", &origin)) return false;
    if (req_header_count(r, "origin") != 1) return true;
    return !cors_same_site(r, origin) && !cors_allowed(origin, api_of(r)->cfg->server_allowed_origins);
}

const char *csrf_fault(const req_t *r, const char *jti)
{
    span_t given;
    unsigned tokens = req_header_count(r, "x-csrf-token");
    if (origin_foreign(r)) return "Origin: not allowed to write with a cookie";
    if (tokens > 1) return "X-CSRF-Token: may come only once";
    if (req_header(r, "x-csrf-token", &given)) return token_fits(&api_of(r)->keys, jti, given) ? NULL : "X-CSRF-Token: not this session's";
    return req_header_count(r, "origin") ? NULL : "X-CSRF-Token: required with a cookie where no Origin is sent";
}
