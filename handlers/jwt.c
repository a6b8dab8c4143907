#include "handlers/jwt.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/text.h"
#include "reactor/json.h"

enum { MAC_LEN = 32, SKEW_S = 5 };

static const char AUD_WALLET[] = "xorj:wallet", AUD_OPERATOR[] = "xorj:operator";
static const char *const role_names[] = {"public", "wallet", "viewer", "operator", "admin"};

const char *role_name(role_t r) { return role_names[r]; }

xerr_t role_parse(span_t text, role_t *out)
{
    for (role_t r = ROLE_WALLET; r <= ROLE_ADMIN; r++) {
        if (!span_is(text, role_names[r])) continue;
        *out = r;
        return XE_OK;
    }
    return XE_BAD_INPUT;
}

void jwt_keys_init(jwt_keys_t *k, const cfg_t *cfg)
{
    cfg_key_t keys[CFG_KEYS_MAX];
    memset(k, 0, sizeof *k);
    if (!cfg_token_keys(cfg, keys, &k->n)) {
        for (unsigned i = 0; i < k->n; i++) {
            memcpy(k->k[i].kid, keys[i].kid, sizeof keys[i].kid);
            memcpy(k->k[i].key, keys[i].secret, sizeof keys[i].secret);
            k->k[i].n = strlen(k->k[i].key);
        }
    }
    k->wallet_ttl_s = cfg->auth_wallet_ttl_s;
    k->operator_ttl_s = cfg->auth_operator_ttl_s;
}

static int64_t lifetime(const jwt_keys_t *k, role_t role) { return role == ROLE_WALLET ? k->wallet_ttl_s : k->operator_ttl_s; }

static bool claims_ok(const jwt_keys_t *k, const claims_t *c)
{
    uint8_t key[32];
    if (c->role == ROLE_PUBLIC || !uuid_valid(span_of(c->jti)) || !text_is_word(span_of(c->user_id), 36, "-_.")) return false;
    if (c->role == ROLE_WALLET ? b58_key(span_of(c->wallet), key) != XE_OK : c->wallet[0] != '\0') return false;
    return c->issued_s > 0 && c->expires_s > c->issued_s && c->expires_s - c->issued_s <= lifetime(k, c->role);
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

void role_put_permissions(jw_t *w, role_t role)
{
    jw_key(w, "permissions");
    jw_arr(w);
    if (role == ROLE_WALLET) {
        jw_cstr(w, "bot:read");
        jw_cstr(w, "bot:write");
        jw_cstr(w, "user:read");
    }
    if (role >= ROLE_VIEWER) jw_cstr(w, "desk:read");
    if (role >= ROLE_OPERATOR) jw_cstr(w, "desk:control");
    if (role >= ROLE_ADMIN) jw_cstr(w, "desk:admin");
    jw_end(w);
}

static void put_int(jw_t *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

static void put_text(jw_t *w, const char *key, const char *v)
{
    jw_key(w, key);
    jw_cstr(w, v);
}

static void put_claims(buf_t *b, const claims_t *c)
{
    jw_t w;
    jw_init(&w, b);
    jw_obj(&w);
    put_text(&w, "aud", c->role == ROLE_WALLET ? AUD_WALLET : AUD_OPERATOR);
    put_text(&w, "user_id", c->user_id);
    if (c->role == ROLE_WALLET) put_text(&w, "wallet_address", c->wallet);
    else put_text(&w, "role", role_name(c->role));
    role_put_permissions(&w, c->role);
    put_int(&w, "issued_at", c->issued_s);
    put_int(&w, "expires_at", c->expires_s);
    put_int(&w, "iat", c->issued_s);
    put_int(&w, "exp", c->expires_s);
    put_text(&w, "jti", c->jti);
    jw_end(&w);
}

static void put_header(buf_t *b, const jwt_key_t *key)
{
    jw_t w;
    jw_init(&w, b);
    jw_obj(&w);
    put_text(&w, "alg", "HS256");
    put_text(&w, "typ", "JWT");
    put_text(&w, "kid", key->kid);
    jw_end(&w);
}

/* Appends base64url of in at *n of out. */
static bool add_part(char *out, size_t cap, size_t *n, const void *in, size_t len)
{
    size_t got = *n < cap ? b64url_encode(in, len, out + *n, cap - *n) : 0;
    *n += got;
    return got > 0;
}

static bool add_dot(char *out, size_t cap, size_t *n)
{
    if (*n + 1 >= cap) return false;
    out[(*n)++] = '.';
    return true;
}

xerr_t jwt_sign(const jwt_keys_t *k, const claims_t *c, char *out, size_t cap)
{
    uint8_t mac[MAC_LEN];
    buf_t head, body;
    size_t n = 0;
    if (c->expires_s - c->issued_s > lifetime(k, c->role)) return XE_RANGE;
    if (!k->n || !claims_ok(k, c)) return XE_BAD_INPUT;
    buf_init(&head, 256);
    buf_init(&body, 1024);
    put_header(&head, &k->k[0]);
    put_claims(&body, c);
    bool ok = !head.failed && !body.failed && add_part(out, cap, &n, head.p, head.n) && add_dot(out, cap, &n) &&
              add_part(out, cap, &n, body.p, body.n);
    buf_fini(&head);
    buf_fini(&body);
    if (!ok) return XE_RANGE;
    hmac_sha256(span_make(k->k[0].key, k->k[0].n), span_make(out, n), mac);
    return add_dot(out, cap, &n) && add_part(out, cap, &n, mac, sizeof mac) ? XE_OK : XE_RANGE;
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

typedef struct { span_t head, body, mac, signed_text; } parts_t;

static bool split(span_t t, parts_t *out)
{
    size_t dot[2] = {0, 0}, n = 0;
    if (t.n < 5 || t.n > JWT_TEXT_MAX) return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] != '.') continue;
        if (n == 2) return false;
        dot[n++] = i;
    }
    if (n != 2) return false;
    out->head = span_make(t.p, dot[0]);
    out->body = span_make(t.p + dot[0] + 1, dot[1] - dot[0] - 1);
    out->mac = span_make(t.p + dot[1] + 1, t.n - dot[1] - 1);
    out->signed_text = span_make(t.p, dot[1]);
    return out->head.n && out->body.n && out->mac.n;
}

static const json_t *decode(span_t part, arena_t *a)
{
    const json_t *doc = NULL;
    size_t n = 0;
    uint8_t *p = arena_alloc(a, part.n);
    if (!p || b64url_decode(part, p, part.n, &n)) return NULL;
    if (json_parse(span_make((const char *)p, n), a, &doc, NULL)) return NULL;
    return json_type(doc) == JSON_OBJ ? doc : NULL;
}

static bool str_is(const json_t *obj, const char *key, const char *want)
{
    const json_t *v = json_get(obj, key);
    return v && json_type(v) == JSON_STR && span_is(json_str(v), want);
}

/* The key the header names; NULL when the header holds anything but alg, typ and kid as we write them. */
static const jwt_key_t *key_of(const jwt_keys_t *k, const json_t *head)
{
    if (!head || json_len(head) != 3 || !str_is(head, "alg", "HS256") || !str_is(head, "typ", "JWT")) return NULL;
    for (unsigned i = 0; i < k->n; i++)
        if (str_is(head, "kid", k->k[i].kid)) return &k->k[i];
    return NULL;
}

/* The MAC is computed also when no key was named, so that time tells nothing about which check failed. */
static bool mac_ok(const jwt_keys_t *k, const jwt_key_t *key, const parts_t *p)
{
    uint8_t want[MAC_LEN], got[MAC_LEN + 3];
    const jwt_key_t *use = key ? key : &k->k[0];
    size_t n = 0;
    hmac_sha256(span_make(use->key, use->n), p->signed_text, want);
    if (b64url_decode(p->mac, got, sizeof got, &n) || n != MAC_LEN) return false;
    return ct_equal(want, got, MAC_LEN) && key;
}

static bool get_int(const json_t *obj, const char *key, int64_t *out)
{
    const json_t *v = json_get(obj, key);
    return v && json_type(v) == JSON_NUM && text_u63(json_raw(v), out) == XE_OK;
}

static bool get_text(const json_t *obj, const char *key, char *out, size_t cap)
{
    const json_t *v = json_get(obj, key);
    if (!v || json_type(v) != JSON_STR) return false;
    span_t s = json_str(v);
    if (!s.n || s.n >= cap || memchr(s.p, '\0', s.n)) return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool get_role(const json_t *body, claims_t *c)
{
    char text[16];
    if (str_is(body, "aud", AUD_WALLET)) {
        c->role = ROLE_WALLET;
        return !json_get(body, "role") && get_text(body, "wallet_address", c->wallet, sizeof c->wallet);
    }
    if (!str_is(body, "aud", AUD_OPERATOR) || json_get(body, "wallet_address")) return false;
    if (!get_text(body, "role", text, sizeof text) || role_parse(span_of(text), &c->role)) return false;
    return c->role >= ROLE_VIEWER;
}

/* Members that decide nothing must still have their type when they are there. */
static bool optional_ok(const json_t *body, int64_t now_s)
{
    const json_t *perms = json_get(body, "permissions");
    int64_t v = 0;
    if (perms && json_type(perms) != JSON_ARR) return false;
    for (size_t i = 0, n = perms ? json_len(perms) : 0; i < n; i++)
        if (json_type(json_at(perms, i)) != JSON_STR) return false;
    if (json_get(body, "issued_at") && !get_int(body, "issued_at", &v)) return false;
    if (json_get(body, "expires_at") && !get_int(body, "expires_at", &v)) return false;
    if (json_get(body, "nbf") && (!get_int(body, "nbf", &v) || v > now_s)) return false;
    return true;
}

static bool get_claims(const jwt_keys_t *k, const json_t *body, int64_t now_s, claims_t *c)
{
    memset(c, 0, sizeof *c);
    if (!body || !get_role(body, c) || !optional_ok(body, now_s)) return false;
    if (!get_text(body, "jti", c->jti, sizeof c->jti) || !get_text(body, "user_id", c->user_id, sizeof c->user_id)) return false;
    if (!get_int(body, "iat", &c->issued_s) || !get_int(body, "exp", &c->expires_s)) return false;
    return claims_ok(k, c) && c->expires_s > now_s && c->issued_s <= now_s + SKEW_S;
}

xerr_t jwt_verify(const jwt_keys_t *k, span_t token, int64_t now_s, arena_t *a, claims_t *out)
{
    parts_t p;
    if (!split(token, &p)) return XE_AUTH;
    const jwt_key_t *key = key_of(k, decode(p.head, a));
    if (!mac_ok(k, key, &p)) return XE_AUTH;
    return get_claims(k, decode(p.body, a), now_s, out) ? XE_OK : XE_AUTH;
}
