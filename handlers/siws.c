#include "handlers/siws.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "base/rfc3339.h"
#include "handlers/text.h"

enum { TIME_LEN = 6, RANDOM_LEN = 10, MAC_LEN = 16, NONCE_BYTES = TIME_LEN + RANDOM_LEN + MAC_LEN };

static const char GREETING[] = " wants you to sign in with your Solana account:";
static const char STATEMENT[] = "Sign in to XORJ. This does not send a transaction and costs no fee.";

/* Rows of the second block, in their order on the page. */
static const struct { const char *label; size_t at; } fields[] = {
    {"URI: ", offsetof(siws_t, uri)},
    {"Version: ", offsetof(siws_t, version)},
    {"Chain ID: ", offsetof(siws_t, chain)},
    {"Nonce: ", offsetof(siws_t, nonce)},
    {"Issued At: ", offsetof(siws_t, issued)},
    {"Expiration Time: ", offsetof(siws_t, expires)},
    {"Not Before: ", offsetof(siws_t, not_before)},
    {"Request ID: ", offsetof(siws_t, request_id)},
};
enum { FIELDS_N = sizeof fields / sizeof *fields };

static const span_t *field(const siws_t *m, size_t i) { return (const span_t *)(const void *)((const char *)m + fields[i].at); }
static span_t *field_out(siws_t *m, size_t i) { return (span_t *)(void *)((char *)m + fields[i].at); }

static void add(buf_t *b, span_t s) { buf_add(b, s.p, s.n); }

void siws_build(const siws_t *m, buf_t *b)
{
    bool blank = false;
    add(b, m->domain);
    buf_str(b, GREETING);
    buf_str(b, "\n");
    add(b, m->address);
    if (m->statement.n) {
        buf_str(b, "\n\n");
        add(b, m->statement);
    }
    for (size_t i = 0; i < FIELDS_N; i++) {
        if (!field(m, i)->n) continue;
        buf_str(b, blank ? "\n" : "\n\n");
        buf_str(b, fields[i].label);
        add(b, *field(m, i));
        blank = true;
    }
    if (!m->has_resources) return;
    buf_str(b, blank ? "\nResources:" : "\n\nResources:");
    for (unsigned i = 0; i < m->resources_n; i++) {
        buf_str(b, "\n- ");
        add(b, m->resource[i]);
    }
}

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

typedef struct { const char *p, *end; } cursor_t;

/* The next line without its LF; false past the end. */
static bool next_line(cursor_t *c, span_t *line)
{
    if (!c->p) return false;
    const char *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));
    *line = span_make(c->p, (size_t)((nl ? nl : c->end) - c->p));
    c->p = nl ? nl + 1 : NULL;
    return true;
}

static bool starts(span_t s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static bool visible(span_t s, bool blanks)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < (blanks ? 0x20 : 0x21) || c == 0x7f || (!blanks && c > 0x7e)) return false;
    }
    return true;
}

static bool is_chain(span_t s)
{
    static const char *const names[] = {"mainnet", "testnet", "devnet", "localnet", "solana:mainnet", "solana:testnet", "solana:devnet"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_is(s, names[i])) return true;
    return false;
}

static bool fields_ok(const siws_t *m)
{
    int64_t us;
    if (m->version.p && !span_is(m->version, "1")) return false;
    if (m->chain.p && !is_chain(m->chain)) return false;
    if (m->nonce.p && (m->nonce.n < 8 || !text_is_word(m->nonce, 256, ""))) return false;
    if (m->uri.p && (!m->uri.n || !memchr(m->uri.p, ':', m->uri.n) || !visible(m->uri, false))) return false;
    if (m->request_id.p && !visible(m->request_id, false)) return false;
    if (m->issued.p && rfc3339_parse(m->issued, &us)) return false;
    if (m->expires.p && rfc3339_parse(m->expires, &us)) return false;
    return !m->not_before.p || rfc3339_parse(m->not_before, &us) == XE_OK;
}

static xerr_t parse_resources(cursor_t *c, siws_t *m)
{
    span_t line;
    m->has_resources = true;
    while (next_line(c, &line)) {
        if (!starts(line, "- ") || line.n < 3 || m->resources_n == SIWS_RESOURCES_MAX) return XE_BAD_INPUT;
        m->resource[m->resources_n] = span_make(line.p + 2, line.n - 2);
        if (!visible(m->resource[m->resources_n++], false)) return XE_BAD_INPUT;
    }
    return XE_OK;
}

/* line is the first of the block. */
static xerr_t parse_fields(cursor_t *c, span_t line, siws_t *m)
{
    size_t from = 0;
    do {
        size_t i = from;
        if (span_is(line, "Resources:")) return parse_resources(c, m);
        while (i < FIELDS_N && !starts(line, fields[i].label)) i++;
        if (i == FIELDS_N) return XE_BAD_INPUT;
        size_t skip = strlen(fields[i].label);
        *field_out(m, i) = span_make(line.p + skip, line.n - skip);
        from = i + 1;
    } while (next_line(c, &line));
    return XE_OK;
}

static bool is_field(span_t line)
{
    for (size_t i = 0; i < FIELDS_N; i++)
        if (starts(line, fields[i].label)) return true;
    return span_is(line, "Resources:");
}

/* After the address: blank line, then a statement or the block; after a statement a blank line and the block. */
static xerr_t parse_rest(cursor_t *c, siws_t *m)
{
    span_t line;
    if (!next_line(c, &line)) return XE_OK;
    if (line.n || !next_line(c, &line)) return XE_BAD_INPUT;
    if (is_field(line)) return parse_fields(c, line, m);
    if (!line.n || !visible(line, true)) return XE_BAD_INPUT;
    m->statement = line;
    if (!next_line(c, &line)) return XE_OK;
    if (line.n || !next_line(c, &line)) return XE_BAD_INPUT;
    return parse_fields(c, line, m);
}

xerr_t siws_parse(span_t text, siws_t *m)
{
    cursor_t c = {text.p, text.p + text.n};
    span_t line;
    uint8_t key[32];
    size_t tail = sizeof GREETING - 1;
    memset(m, 0, sizeof *m);
    if (!text.n || text.n > SIWS_TEXT_MAX || !utf8_valid(text)) return XE_BAD_INPUT;
    if (!next_line(&c, &line) || line.n <= tail || memcmp(line.p + line.n - tail, GREETING, tail) != 0) return XE_BAD_INPUT;
    m->domain = span_make(line.p, line.n - tail);
    if (!visible(m->domain, false) || !next_line(&c, &m->address) || b58_key(m->address, key)) return XE_BAD_INPUT;
    if (parse_rest(&c, m)) return XE_BAD_INPUT;
    return fields_ok(m) ? XE_OK : XE_BAD_INPUT;
}

/* ---- challenges --------------------------------------------------------------------------------------------------- */

void siws_issuer_init(siws_issuer_t *s, const cfg_t *cfg)
{
    s->domain = cfg->server_domain;
    s->uri = cfg->server_uri;
    s->chain = cfg->server_chain;
    s->ttl_ms = cfg->auth_nonce_ttl_s * 1000;
    cfg_key_t keys[CFG_KEYS_MAX];
    if (cfg_token_keys(cfg, keys, &s->keys_n)) s->keys_n = 1;
    for (unsigned i = 0; i < s->keys_n; i++)
        hmac_sha256(span_of(i ? keys[i].secret : cfg->auth_jwt_secret), SPAN_LIT("xorj sign-in nonce, version 1"), s->nonce_key[i]);
}

static void nonce_mac(const uint8_t key[32], span_t wallet, const uint8_t head[TIME_LEN + RANDOM_LEN], uint8_t out[MAC_LEN])
{
    uint8_t msg[TIME_LEN + RANDOM_LEN + WALLET_TEXT_MAX], mac[32];
    size_t n = wallet.n < WALLET_TEXT_MAX ? wallet.n : WALLET_TEXT_MAX;
    memcpy(msg, head, TIME_LEN + RANDOM_LEN);
    memcpy(msg + TIME_LEN + RANDOM_LEN, wallet.p, n);
    hmac_sha256(span_make((const char *)key, 32), span_make((const char *)msg, TIME_LEN + RANDOM_LEN + n), mac);
    memcpy(out, mac, MAC_LEN);
}

/* The one text for (wallet, grant). */
static void build_for(const siws_issuer_t *s, span_t wallet, const siws_grant_t *g, buf_t *text)
{
    char issued[RFC3339_MS_LEN + 1], expires[RFC3339_MS_LEN + 1];
    siws_t m = {.domain = span_of(s->domain), .address = wallet, .statement = SPAN_LIT(STATEMENT), .uri = span_of(s->uri),
                .version = SPAN_LIT("1"), .chain = span_of(s->chain), .nonce = span_of(g->nonce)};
    rfc3339_ms(g->issued_ms, issued);
    rfc3339_ms(g->expires_ms, expires);
    m.issued = span_of(issued);
    m.expires = span_of(expires);
    siws_build(&m, text);
}

void siws_issue(const siws_issuer_t *s, span_t wallet, int64_t now_ms, const uint8_t random[10], siws_grant_t *g, buf_t *text)
{
    uint8_t raw[NONCE_BYTES];
    for (int i = 0; i < TIME_LEN; i++) raw[i] = (uint8_t)((uint64_t)now_ms >> (8 * (TIME_LEN - 1 - i)));
    memcpy(raw + TIME_LEN, random, RANDOM_LEN);
    nonce_mac(s->nonce_key[0], wallet, raw, raw + TIME_LEN + RANDOM_LEN);
    hex_encode(raw, sizeof raw, g->nonce);
    g->issued_ms = now_ms;
    g->expires_ms = now_ms + s->ttl_ms;
    build_for(s, wallet, g, text);
}

static xerr_t open_nonce(const siws_issuer_t *s, span_t nonce, span_t wallet, siws_grant_t *g)
{
    uint8_t raw[NONCE_BYTES], mac[MAC_LEN];
    uint64_t ms = 0;
    size_t n = 0;
    if (nonce.n != SIWS_NONCE_LEN || hex_decode(nonce, raw, sizeof raw, &n) || n != sizeof raw) return XE_AUTH;
    bool ours = false;
    for (unsigned i = 0; i < s->keys_n; i++) {
        nonce_mac(s->nonce_key[i], wallet, raw, mac);
        ours |= ct_equal(mac, raw + TIME_LEN + RANDOM_LEN, MAC_LEN);
    }
    if (!ours) return XE_AUTH;
    for (int i = 0; i < TIME_LEN; i++) ms = ms << 8 | raw[i];
    hex_encode(raw, sizeof raw, g->nonce);
    g->issued_ms = (int64_t)ms;
    g->expires_ms = g->issued_ms + s->ttl_ms;
    return XE_OK;
}

xerr_t siws_check(const siws_issuer_t *s, span_t text, span_t wallet, int64_t now_ms, siws_grant_t *g)
{
    siws_t m;
    buf_t want;
    uint8_t key[32];
    if (siws_parse(text, &m) || b58_key(wallet, key) || open_nonce(s, m.nonce, wallet, g)) return XE_AUTH;
    if (now_ms >= g->expires_ms || now_ms < g->issued_ms - 5000) return XE_AUTH;
    buf_init(&want, SIWS_TEXT_MAX);
    build_for(s, wallet, g, &want);
    bool same = !want.failed && want.n == text.n && ct_equal(want.p, text.p, want.n);
    buf_fini(&want);
    return same ? XE_OK : XE_AUTH;
}
