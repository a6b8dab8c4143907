/* Sign-in messages: text in and out, challenges that only fit the wallet and the hour they were made for (R20), and the
 * shared vectors where that folder is present. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/rfc3339.h"
#include "handlers/siws.h"
#include "reactor/json.h"

#define WALLET "7ntTRDx2CwHgjdk2Xmg2iqYYxeNRnbfbrYFQfBNmBXnc"
#define OTHER "3BCfyepBWv8KT7LDNWn9tMrxQbJigst1j9TDSi7ygZiv"

static const int64_t now = 1795179600000LL;
static cfg_t *cfg;
static siws_issuer_t issuer;

static int setup(void **state)
{
    cfg = calloc(1, sizeof *cfg);
    if (!cfg) return -1;
    strcpy(cfg->server_domain, "xorj.example");
    strcpy(cfg->server_uri, "https://xorj.example/login");
    strcpy(cfg->server_chain, "mainnet");
    strcpy(cfg->auth_jwt_secret, "unit-test-key-of-more-than-32-bytes-0123456789");
    cfg->auth_nonce_ttl_s = 300;
    siws_issuer_init(&issuer, cfg);
    return 0;
}

static int teardown(void **state)
{
    free(cfg);
    return 0;
}

static void issue(buf_t *text, siws_grant_t *g, const char *wallet, uint8_t salt)
{
    uint8_t random[10];
    memset(random, salt, sizeof random);
    buf_init(text, SIWS_TEXT_MAX);
    siws_issue(&issuer, span_of(wallet), now, random, g, text);
}

static void what_was_issued_passes(void **state)
{
    siws_grant_t g, back;
    siws_t m;
    buf_t text;
    issue(&text, &g, WALLET, 1);
    assert_int_equal(siws_parse(buf_span(&text), &m), XE_OK);
    assert_true(span_is(m.domain, "xorj.example"));
    assert_true(span_is(m.address, WALLET));
    assert_true(span_is(m.nonce, g.nonce));
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now, &back), XE_OK);
    assert_string_equal(back.nonce, g.nonce);
    assert_true(back.expires_ms == now + 300000);
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now + 299999, &back), XE_OK);
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now + 300000, &back), XE_AUTH);
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now - 5001, &back), XE_AUTH);
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(OTHER), now, &back), XE_AUTH);
    buf_fini(&text);
}

static void every_byte_of_the_message_counts(void **state)
{
    siws_grant_t g, back;
    buf_t text;
    issue(&text, &g, WALLET, 2);
    for (size_t i = 0; i < text.n; i++) {
        char was = text.p[i];
        for (int bit = 0; bit < 8; bit++) {
            text.p[i] = (char)(was ^ (1 << bit));
            if (!siws_check(&issuer, buf_span(&text), span_of(WALLET), now, &back)) fail_msg("byte %zu bit %d was let through", i, bit);
        }
        text.p[i] = was;
        assert_int_equal(siws_check(&issuer, span_make(text.p, i), span_of(WALLET), now, &back), XE_AUTH);
    }
    buf_add(&text, "\n", 1);
    assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now, &back), XE_AUTH);
    buf_fini(&text);
}

/* A message another deployment issued: other secret, domain, URI, chain. */
static void other_servers_do_not_count(void **state)
{
    siws_grant_t g, back;
    for (int i = 0; i < 4; i++) {
        cfg_t *c = calloc(1, sizeof *c);
        uint8_t random[10] = {0};
        siws_issuer_t other;
        buf_t text;
        *c = *cfg;
        if (i == 0) strcpy(c->auth_jwt_secret, "another-test-key-of-more-than-32-bytes-0123456");
        if (i == 1) strcpy(c->server_domain, "evil.example");
        if (i == 2) strcpy(c->server_uri, "https://xorj.example/other");
        if (i == 3) strcpy(c->server_chain, "devnet");
        siws_issuer_init(&other, c);
        buf_init(&text, SIWS_TEXT_MAX);
        siws_issue(&other, span_of(WALLET), now, random, &g, &text);
        assert_int_equal(siws_check(&other, buf_span(&text), span_of(WALLET), now, &back), XE_OK);
        assert_int_equal(siws_check(&issuer, buf_span(&text), span_of(WALLET), now, &back), XE_AUTH);
        buf_fini(&text);
        free(c);
    }
}

static void nonces_differ(void **state)
{
    siws_grant_t a, b;
    buf_t text;
    issue(&text, &a, WALLET, 3);
    buf_fini(&text);
    issue(&text, &b, WALLET, 4);
    buf_fini(&text);
    assert_string_not_equal(a.nonce, b.nonce);
    issue(&text, &b, OTHER, 3);
    buf_fini(&text);
    assert_string_not_equal(a.nonce, b.nonce);
    assert_int_equal(strlen(a.nonce), SIWS_NONCE_LEN);
}

#define FIRST "xorj.example wants you to sign in with your Solana account:\n" WALLET

static void grammar(void **state)
{
    static const char *const good[] = {
        FIRST,
        FIRST "\n\nHello",
        FIRST "\n\nURI: https://x.example",
        FIRST "\n\nHello\n\nURI: https://x.example\nVersion: 1\nChain ID: solana:devnet\nNonce: abcdefgh",
        FIRST "\n\nNonce: abcdefgh\nResources:",
        FIRST "\n\nNonce: abcdefgh\nResources:\n- https://x.example",
    };
    static const char *const bad[] = {
        "", "\n", "xorj.example", " wants you to sign in with your Solana account:\n" WALLET,
        "xorj.example wants you to sign in with your Ethereum account:\n" WALLET,
        "xorj.example wants you to sign in with your Solana account:\n0OIl",
        "xorj.example wants you to sign in with your Solana account:\r\n" WALLET,
        FIRST "\n", FIRST "\n\n", FIRST "\nHello", FIRST "\n\nHello\n", FIRST "\n\nHello\nURI: https://x.example",
        FIRST "\n\nHello\n\nWorld", FIRST "\n\nURI: ", FIRST "\n\nVersion: 2", FIRST "\n\nVersion: 1\nURI: https://x.example",
        FIRST "\n\nNonce: short", FIRST "\n\nNonce: with-dash-1", FIRST "\n\nNonce: abcdefgh\nNonce: abcdefgh", FIRST "\n\nChain ID: moonnet",
        FIRST "\n\nIssued At: yesterday", FIRST "\n\nNonce: abcdefgh\n", FIRST "\n\nNonce: abcdefgh\nEvil: 1", FIRST "\n\nURI: https://x.example\nNonce : abcdefgh",
        FIRST "\n\nURI: https://x.example\nnonce: abcdefgh", FIRST "\n\nNonce: abcdefgh\nResources:\nhttps://x.example", FIRST "\n\nNonce: abcdefgh\nResources:\n- ",
        FIRST "\n\nHel\tlo", "x " FIRST,
    };
    siws_t m;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (siws_parse(span_of(good[i]), &m)) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!siws_parse(span_of(bad[i]), &m)) fail_msg("taken: %s", bad[i]);
}

/* ---- shared vectors ------------------------------------------------------------------------------------------------ */

static span_t str(const json_t *obj, const char *key)
{
    const json_t *v = json_get(obj, key);
    return v && json_type(v) == JSON_STR ? json_str(v) : span_make(NULL, 0);
}

static void check_render(const json_t *v)
{
    const json_t *f = json_get(v, "fields"), *res = json_get(f, "resources");
    siws_t m = {.domain = str(f, "domain"), .address = str(f, "address"), .statement = str(f, "statement"), .uri = str(f, "uri"),
                .version = str(f, "version"), .chain = str(f, "chainId"), .nonce = str(f, "nonce"), .issued = str(f, "issuedAt"),
                .expires = str(f, "expirationTime"), .not_before = str(f, "notBefore"), .request_id = str(f, "requestId")};
    buf_t text;
    m.has_resources = res != NULL;
    for (size_t i = 0; res && i < json_len(res); i++) m.resource[m.resources_n++] = json_str(json_at(res, i));
    buf_init(&text, SIWS_TEXT_MAX);
    siws_build(&m, &text);
    if (!span_eq(buf_span(&text), str(v, "text"))) fail_msg("want:\n%.*s\ngot:\n%.*s", (int)str(v, "text").n, str(v, "text").p, (int)text.n, text.p);
    buf_fini(&text);
}

/* "solana:mainnet" and "mainnet" name the same chain. */
static span_t bare_chain(span_t s)
{
    const size_t n = strlen("solana:");
    return s.n > n && memcmp(s.p, "solana:", n) == 0 ? span_make(s.p + n, s.n - n) : s;
}

/* The policy the vectors assume, over our parser and our signature check. */
static bool accept(const json_t *v, span_t text)
{
    const json_t *srv = json_get(v, "server");
    int64_t at = 0, issued = 0, edge = 0, max_age = 0, skew = 0;
    uint8_t key[32], sig[80];
    size_t n = 0;
    siws_t m;
    if (siws_parse(text, &m) || !m.uri.n || !m.version.n || !m.nonce.n || !m.issued.n) return false;
    if (!span_eq(m.domain, str(srv, "domain")) || !span_eq(m.address, str(srv, "address")) || !span_eq(m.nonce, str(srv, "nonce"))) return false;
    if (!span_eq(bare_chain(m.chain), bare_chain(str(srv, "chain_id")))) return false;
    assert_int_equal(rfc3339_parse(str(srv, "now"), &at), XE_OK);
    assert_int_equal(json_i64(json_get(srv, "max_age_s"), &max_age), XE_OK);
    assert_int_equal(json_i64(json_get(srv, "clock_skew_s"), &skew), XE_OK);
    if (rfc3339_parse(m.issued, &issued) || issued > at + skew * 1000000 || issued < at - max_age * 1000000) return false;
    if (m.expires.n && (rfc3339_parse(m.expires, &edge) || edge <= at)) return false;
    if (m.not_before.n && (rfc3339_parse(m.not_before, &edge) || edge > at + skew * 1000000)) return false;
    if (b58_key(m.address, key) || !span_eq(m.address, str(v, "account"))) return false;
    if (b64_decode(str(v, "signature_b64"), sig, sizeof sig, &n) || n != 64) return false;
    return ed25519_verify(key, text.p, text.n, sig) == XE_OK;
}

static void check_verify(const json_t *v)
{
    char raw[4096];
    size_t n = 0;
    bool want = json_bool(json_get(json_get(v, "expect"), "ok"));
    span_t b64 = str(v, "message_b64");
    if (b64.n) assert_int_equal(b64_decode(b64, (uint8_t *)raw, sizeof raw, &n), XE_OK);
    if (accept(v, span_make(raw, n)) != want) fail_msg("case '%.*s' judged wrongly", (int)str(v, "case").n, str(v, "case").p);
}

static void shared_vectors(void **state)
{
    static char text[1 << 20];
    FILE *f = fopen("../shared/vectors/solana/siws.json", "rb");
    const json_t *doc = NULL, *list;
    if (!f) skip();
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    arena_pool_t *pool = arena_pool_new(65536, 4);
    arena_t *a = arena_new(pool, 64 << 20);
    assert_int_equal(json_parse(span_make(text, n), a, &doc, NULL), XE_OK);
    list = json_get(doc, "vectors");
    assert_true(json_len(list) > 100);
    for (size_t i = 0; i < json_len(list); i++) {
        const json_t *v = json_at(list, i);
        if (span_is(str(v, "kind"), "render")) check_render(v);
        else check_verify(v);
    }
    arena_free(a);
    arena_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_issued_passes), cmocka_unit_test(every_byte_of_the_message_counts), cmocka_unit_test(other_servers_do_not_count),
        cmocka_unit_test(nonces_differ), cmocka_unit_test(grammar), cmocka_unit_test(shared_vectors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
