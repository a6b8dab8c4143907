/* Sign-in messages: the text of given fields, and the verdict under the policy that the vectors name. */
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/rfc3339.h"
#include "handlers/siws.h"
#include "tests/vec_cmp.h"

#define TEXT_MAX 4096
#define SECOND 1000000

typedef struct { char room[4 * TEXT_MAX]; size_t used; } texts_t;

static span_t field(texts_t *t, vv_t o, const char *key)
{
    vv_t v = vv_find(o, key);
    if (!vv_has(v) || vv_is_null(v)) return span_make(NULL, 0);
    char *at = t->room + t->used;
    size_t n = vv_str(v, at, sizeof t->room - t->used);
    t->used += n;
    return span_make(at, n);
}

static bool check_render(vec_ctx_t *c, vv_t v)
{
    static texts_t t;
    t.used = 0;
    vv_t f = vv_get(v, "fields"), list = vv_find(f, "resources");
    siws_t m = {.domain = field(&t, f, "domain"), .address = field(&t, f, "address"), .statement = field(&t, f, "statement"),
                .uri = field(&t, f, "uri"), .version = field(&t, f, "version"), .chain = field(&t, f, "chainId"), .nonce = field(&t, f, "nonce"),
                .issued = field(&t, f, "issuedAt"), .expires = field(&t, f, "expirationTime"), .not_before = field(&t, f, "notBefore"),
                .request_id = field(&t, f, "requestId"), .has_resources = vv_has(list)};
    for (vv_t r = vv_has(list) ? vv_first(list) : list; vv_has(r) && m.resources_n < SIWS_RESOURCES_MAX; r = vv_next(r)) {
        char *at = t.room + t.used;
        size_t len = vv_str(r, at, sizeof t.room - t.used);
        t.used += len;
        m.resource[m.resources_n++] = span_make(at, len);
    }
    buf_t text;
    size_t n;
    buf_init(&text, TEXT_MAX);
    siws_build(&m, &text);
    uint8_t *want = vv_b64(vv_get(v, "text_b64"), &n);
    bool ok = span_eq(buf_span(&text), span_make((const char *)want, n));
    free(want);
    buf_fini(&text);
    return ok || vec_fail(c, "text differs");
}

/* "solana:mainnet" and "mainnet" name the same chain. */
static span_t bare_chain(span_t s)
{
    const size_t n = sizeof "solana:" - 1;
    return s.n > n && memcmp(s.p, "solana:", n) == 0 ? span_make(s.p + n, s.n - n) : s;
}

static bool times_fit(const siws_t *m, vv_t server)
{
    int64_t now, issued, edge, age = (int64_t)vv_u64(vv_get(server, "max_age_s")) * SECOND, skew = (int64_t)vv_u64(vv_get(server, "clock_skew_s")) * SECOND;
    if (rfc3339_parse(vv_text(vv_get(server, "now")), &now)) return false;
    if (rfc3339_parse(m->issued, &issued) || issued > now + skew || issued < now - age) return false;
    if (m->expires.n && (rfc3339_parse(m->expires, &edge) || edge <= now)) return false;
    return !m->not_before.n || (rfc3339_parse(m->not_before, &edge) == XE_OK && edge <= now + skew);
}

static bool accept(vv_t v, span_t text)
{
    vv_t server = vv_get(v, "server");
    uint8_t key[32], sig[128];
    size_t n;
    siws_t m;
    if (siws_parse(text, &m) || !m.uri.n || !m.version.n || !m.nonce.n || !m.issued.n || !m.chain.n) return false;
    if (!span_eq(m.domain, vv_text(vv_get(server, "domain"))) || !span_eq(m.nonce, vv_text(vv_get(server, "nonce")))) return false;
    if (!span_eq(m.address, vv_text(vv_get(server, "address"))) || !span_eq(m.address, vv_text(vv_get(v, "account")))) return false;
    if (!span_eq(bare_chain(m.chain), bare_chain(vv_text(vv_get(server, "chain_id")))) || !times_fit(&m, server)) return false;
    if (b58_key(m.address, key) || b64_decode(vv_text(vv_get(v, "signature_b64")), sig, sizeof sig, &n) || n != 64) return false;
    return ed25519_verify(key, text.p, text.n, sig) == XE_OK;
}

static bool check_siws(vec_ctx_t *c, vv_t v)
{
    size_t n;
    if (span_is(vv_text(vv_get(v, "kind")), "render")) return check_render(c, v);
    uint8_t *text = vv_b64(vv_get(v, "message_b64"), &n);
    bool got = accept(v, span_make((const char *)text, n)), want = vv_bool(vv_get(vv_get(v, "expect"), "ok"));
    free(text);
    return got == want || vec_fail(c, "got %s", got ? "accepted" : "refused");
}

const vec_row_t vec_siws_rows[] = {
    {"siws", check_siws},
    {NULL, NULL},
};
