/* Tokens: what we sign is what we accept, and nothing else is (R19). */
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
#include "handlers/jwt.h"
#include "handlers/tcache.h"
#include "reactor/arena.h"

enum { NOW = 1763640000 };
#define JTI "0b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01"
#define USER "5d2c1b0a-1111-4222-8333-444455556666"
#define WALLET "7ntTRDx2CwHgjdk2Xmg2iqYYxeNRnbfbrYFQfBNmBXnc"
#define SECRET "unit-test-key-of-more-than-32-bytes-0123456789"
#define HEAD "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"
#define BODY_OF(aud, mid, iat, exp, jti) "{\"aud\":" aud "," mid ",\"iat\":" iat ",\"exp\":" exp ",\"jti\":" jti "}"
#define MID "\"user_id\":\"" USER "\",\"wallet_address\":\"" WALLET "\""
#define GOOD BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "\"" JTI "\"")

static jwt_keys_t keys;
static arena_pool_t *pool;

static void keys_of(jwt_keys_t *k, const char *secret, const char *kid)
{
    cfg_t *c = calloc(1, sizeof *c);
    strcpy(c->auth_jwt_secret, secret);
    strcpy(c->auth_jwt_kid, kid);
    c->auth_wallet_ttl_s = 86400;
    c->auth_operator_ttl_s = 1800;
    jwt_keys_init(k, c);
    free(c);
}

static int setup(void **state)
{
    pool = arena_pool_new(4096, 4);
    keys_of(&keys, SECRET, "k1");
    return pool ? 0 : -1;
}

/* A key that signs no more opens what it signed, until it is taken away. */
static void rotation(void **state)
{
    jwt_keys_t next, after;
    char old[1024], new[1024];
    claims_t in = {.role = ROLE_VIEWER, .jti = JTI, .user_id = "viewer", .issued_s = NOW - 10, .expires_s = NOW + 600}, out;
    cfg_t *c = calloc(1, sizeof *c);
    arena_t *a = arena_new(pool, 65536);
    strcpy(c->auth_jwt_secret, "unit-test-key-that-comes-next-9876543210-abcdef");
    strcpy(c->auth_jwt_kid, "k2");
    c->auth_operator_ttl_s = 1800;
    jwt_keys_init(&after, c);
    strcpy(c->auth_jwt_previous, "k1:" SECRET);
    jwt_keys_init(&next, c);
    free(c);
    assert_int_equal(jwt_sign(&keys, &in, old, sizeof old), XE_OK);
    assert_int_equal(jwt_sign(&next, &in, new, sizeof new), XE_OK);
    assert_int_equal(jwt_verify(&next, span_of(old), NOW, a, &out), XE_OK);
    assert_int_equal(jwt_verify(&next, span_of(new), NOW, a, &out), XE_OK);
    assert_int_equal(jwt_verify(&keys, span_of(new), NOW, a, &out), XE_AUTH);
    assert_int_equal(jwt_verify(&after, span_of(old), NOW, a, &out), XE_AUTH);
    assert_int_equal(jwt_verify(&after, span_of(new), NOW, a, &out), XE_OK);
    arena_free(a);
}

static int teardown(void **state)
{
    arena_pool_free(pool);
    return 0;
}

static xerr_t verify_n(const char *token, size_t n, claims_t *c)
{
    arena_t *a = arena_new(pool, 65536);
    xerr_t err = jwt_verify(&keys, span_make(token, n), NOW, a, c);
    arena_free(a);
    return err;
}

static xerr_t verify(const char *token)
{
    claims_t c;
    return verify_n(token, strlen(token), &c);
}

/* Signs any head and body, also nonsense, with any key. */
static void forge(const char *head, const char *body, const char *key, char *out, size_t cap)
{
    uint8_t mac[32];
    size_t n = b64url_encode((const uint8_t *)head, strlen(head), out, cap);
    out[n++] = '.';
    n += b64url_encode((const uint8_t *)body, strlen(body), out + n, cap - n);
    hmac_sha256(span_of(key), span_make(out, n), mac);
    out[n++] = '.';
    b64url_encode(mac, sizeof mac, out + n, cap - n);
}

static claims_t wallet_claims(void)
{
    claims_t c = {.role = ROLE_WALLET, .issued_s = NOW - 10, .expires_s = NOW - 10 + 86400};
    strcpy(c.jti, JTI);
    strcpy(c.user_id, USER);
    strcpy(c.wallet, WALLET);
    return c;
}

static void wallet_round_trip(void **state)
{
    char token[1024];
    claims_t in = wallet_claims(), out;
    assert_int_equal(jwt_sign(&keys, &in, token, sizeof token), XE_OK);
    assert_int_equal(verify_n(token, strlen(token), &out), XE_OK);
    assert_string_equal(out.wallet, WALLET);
    assert_string_equal(out.user_id, USER);
    assert_string_equal(out.jti, JTI);
    assert_int_equal(out.role, ROLE_WALLET);
    assert_int_equal(out.expires_s, in.expires_s);
}

static void operator_round_trip(void **state)
{
    for (role_t r = ROLE_VIEWER; r <= ROLE_ADMIN; r++) {
        char token[1024];
        claims_t in = {.role = r, .issued_s = NOW, .expires_s = NOW + 1800}, out;
        strcpy(in.jti, JTI);
        strcpy(in.user_id, role_name(r));
        assert_int_equal(jwt_sign(&keys, &in, token, sizeof token), XE_OK);
        assert_int_equal(verify_n(token, strlen(token), &out), XE_OK);
        assert_int_equal(out.role, r);
        assert_string_equal(out.wallet, "");
    }
}

static void signing_refuses(void **state)
{
    char token[1024];
    claims_t c = wallet_claims();
    c.expires_s = c.issued_s + 86401;
    assert_int_equal(jwt_sign(&keys, &c, token, sizeof token), XE_RANGE);
    c = wallet_claims();
    assert_int_equal(jwt_sign(&keys, &c, token, 100), XE_RANGE);
    strcpy(c.jti, "not-a-uuid");
    assert_int_equal(jwt_sign(&keys, &c, token, sizeof token), XE_BAD_INPUT);
    c = wallet_claims();
    c.wallet[0] = '\0';
    assert_int_equal(jwt_sign(&keys, &c, token, sizeof token), XE_BAD_INPUT);
    c = (claims_t){.role = ROLE_ADMIN, .issued_s = NOW, .expires_s = NOW + 1801};
    assert_int_equal(jwt_sign(&keys, &c, token, sizeof token), XE_RANGE);
}

static void the_forger_works(void **state)
{
    char token[2048];
    forge(HEAD, GOOD, SECRET, token, sizeof token);
    assert_int_equal(verify(token), XE_OK);
    forge("{\"typ\":\"JWT\",\"kid\":\"k1\",\"alg\":\"HS256\"}", GOOD, SECRET, token, sizeof token);
    assert_int_equal(verify(token), XE_OK);
}

/* Each is signed with the right key: only the text is wrong. */
static const char *const heads[] = {
    "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"None\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"hs256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS384\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":null,\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":[\"HS256\"],\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
    "{\"alg\":\"HS256\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"jwt\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWE\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k2\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../dev/null\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1' OR '1'='1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\\u0000\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":1}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"jku\":\"https://evil.example/k\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"x5u\":\"https://evil.example/k\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"crit\":[\"exp\"]}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"zip\":\"DEF\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"b64\":false}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",\"kid\":\"k1\"}",
    "{\"alg\":\"none\",\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"} x",
    "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\",}",
    "[\"HS256\",\"JWT\",\"k1\"]",
    "\"HS256\"",
    "{}",
    "x",
};

static const char *const bodies[] = {
    BODY_OF("\"xorj:operator\"", MID, "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:refresh\"", MID, "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"XORJ:wallet\"", MID, "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("[\"xorj:wallet\"]", MID, "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("null", MID, "1763639990", "1763643600", "\"" JTI "\""),
    "{" MID ",\"iat\":1763639990,\"exp\":1763643600,\"jti\":\"" JTI "\"}",
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763640000", "\"" JTI "\""), /* ends now */
    BODY_OF("\"xorj:wallet\"", MID, "1763600000", "1763639999", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763640006", "1763643600", "\"" JTI "\""), /* 6 s ahead */
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763726391", "\"" JTI "\""), /* a second too long */
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "99999999999", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600000", "\"" JTI "\""), /* milliseconds */
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "\"1763643600\"", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600.5", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1.7636436e9", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "null", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "true", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "-1", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1e400", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "\"1763639990\"", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "0", "1763643600", "\"" JTI "\""),
    "{\"aud\":\"xorj:wallet\"," MID ",\"iat\":1763639990,\"jti\":\"" JTI "\"}",
    "{\"aud\":\"xorj:wallet\"," MID ",\"exp\":1763643600,\"jti\":\"" JTI "\"}",
    "{\"aud\":\"xorj:wallet\"," MID ",\"iat\":1763639990,\"exp\":1763643600}",
    BODY_OF("\"xorj:wallet\"", MID ",\"nbf\":1763640001", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"nbf\":\"0\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"permissions\":\"all\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"permissions\":[1]", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"issued_at\":\"x\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"expires_at\":null", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"role\":\"admin\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "5"),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "\"\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "\"0B8E4F0A-6A58-4C3E-9D1F-2F6B1C7A9E01\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "\"" JTI "\\u0000\""),
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "[\"" JTI "\"]"),
    BODY_OF("\"xorj:wallet\"", "\"user_id\":\"" USER "\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", "\"wallet_address\":\"" WALLET "\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", "\"user_id\":\"" USER "\",\"wallet_address\":\"0OIl\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", "\"user_id\":7,\"wallet_address\":\"" WALLET "\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", "\"user_id\":\"a b\",\"wallet_address\":\"" WALLET "\"", "1763639990", "1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\"", "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\",\"role\":\"root\"", "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\",\"role\":\"wallet\"", "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\",\"role\":\"Admin\"", "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\",\"role\":[\"admin\"]", "1763639990", "1763641000", "\"" JTI "\""),
    BODY_OF("\"xorj:operator\"", "\"user_id\":\"bob\",\"role\":\"admin\"", "1763639990", "1763641791", "\"" JTI "\""), /* over 30 min */
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763643600", "\"" JTI "\"") " ",
    BODY_OF("\"xorj:wallet\"", MID, "1763639990", "1763639991,\"exp\":1763643600", "\"" JTI "\""),
    BODY_OF("\"xorj:wallet\"", MID ",\"x\":\"\xff\"", "1763639990", "1763643600", "\"" JTI "\""),
    "[]", "{}", "null", "5", "x",
};

static void forged_heads(void **state)
{
    char token[2048];
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        forge(heads[i], GOOD, SECRET, token, sizeof token);
        if (verify(token) != XE_AUTH) fail_msg("head %zu was let in: %s", i, heads[i]);
    }
}

static void forged_bodies(void **state)
{
    char token[2048];
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        bool blank_behind = bodies[i][strlen(bodies[i]) - 1] == ' ';
        forge(HEAD, bodies[i], SECRET, token, sizeof token);
        if (verify(token) != (blank_behind ? XE_OK : XE_AUTH)) fail_msg("body %zu judged wrongly: %s", i, bodies[i]);
    }
}

static void forged_keys(void **state)
{
    static const char *const wrong[] = {"", "secret", "k1", "changeme", SECRET "x", "unit-test-key-of-more-than-32-bytes-012345678"};
    char token[2048];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        forge(HEAD, GOOD, wrong[i], token, sizeof token);
        assert_int_equal(verify(token), XE_AUTH);
    }
}

/* Every byte of a good token changed, every prefix, every doubled dot. */
static void every_byte_counts(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/ ";
    char token[2048], bad[2048];
    claims_t c;
    forge(HEAD, GOOD, SECRET, token, sizeof token);
    size_t n = strlen(token);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(verify_n(token, i, &c), XE_AUTH);
        for (size_t k = 0; k < sizeof alphabet - 1; k += 7) {
            memcpy(bad, token, n + 1);
            if (bad[i] == alphabet[k]) continue;
            bad[i] = alphabet[k];
            if (verify(bad) != XE_AUTH) fail_msg("byte %zu as '%c' was let in", i, alphabet[k]);
        }
    }
}

static void shapes(void **state)
{
    char token[2048], bad[5000];
    claims_t c;
    forge(HEAD, GOOD, SECRET, token, sizeof token);
    size_t n = strlen(token);
    static const char *const behind[] = {"=", "==", ".", ".x", " ", "\t", "A", "AA", "AAA", "AAAA"};
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        snprintf(bad, sizeof bad, "%s%s", token, behind[i]);
        assert_int_equal(verify(bad), XE_AUTH);
        snprintf(bad, sizeof bad, "%s%s", behind[i], token);
        assert_int_equal(verify(bad), XE_AUTH);
    }
    assert_int_equal(verify(""), XE_AUTH);
    assert_int_equal(verify(".."), XE_AUTH);
    assert_int_equal(verify("..."), XE_AUTH);
    assert_int_equal(verify("a.b.c"), XE_AUTH);
    memset(bad, 'A', sizeof bad);
    assert_int_equal(verify_n(bad, sizeof bad, &c), XE_AUTH);
    char *last = strrchr(token, '.');
    snprintf(bad, sizeof bad, "%.*s.", (int)(last - token), token); /* no MAC */
    assert_int_equal(verify(bad), XE_AUTH);
    /* The last character of 32 bytes in base64url has two stray bits: the three other spellings are not ours. */
    static const char order[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t at = (size_t)(strchr(order, token[n - 1]) - order);
    for (size_t k = 1; k < 4; k++) {
        memcpy(bad, token, n + 1);
        bad[n - 1] = order[(at & ~(size_t)3) + ((at + k) & 3)];
        assert_int_equal(verify(bad), XE_AUTH);
    }
}

static span_t nth_token(int i, char text[128])
{
    snprintf(text, 128, "header.payload-%08d.%043d", i, i * 7919);
    return span_of(text);
}

static void cache_keeps_and_forgets(void **state)
{
    const uint64_t sip[2] = {1, 2};
    tcache_t *t = tcache_new(16, sip);
    principal_t p = {.key = 7};
    char text[128];
    unsigned kept = 0;
    p.c = wallet_claims();
    p.c.expires_s = NOW + 5;
    span_t token = nth_token(1, text);
    assert_null(tcache_get(t, token, NOW));
    tcache_put(t, token, &p);
    assert_non_null(tcache_get(t, token, NOW));
    assert_null(tcache_get(t, token, NOW + 5)); /* expiry is asked again */
    for (size_t i = 0; i < token.n; i++) {
        text[i] ^= 1;
        assert_null(tcache_get(t, token, NOW));
        text[i] ^= 1;
    }
    for (int i = 0; i < 1000; i++) {
        tcache_put(t, nth_token(i, text), &p);
        assert_non_null(tcache_get(t, nth_token(i, text), NOW));
    }
    for (int i = 0; i < 1000; i++) kept += tcache_get(t, nth_token(i, text), NOW) != NULL;
    assert_in_range(kept, 1, 16);
    tcache_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wallet_round_trip), cmocka_unit_test(operator_round_trip), cmocka_unit_test(signing_refuses),
        cmocka_unit_test(the_forger_works), cmocka_unit_test(forged_heads), cmocka_unit_test(forged_bodies),
        cmocka_unit_test(forged_keys), cmocka_unit_test(rotation), cmocka_unit_test(every_byte_counts), cmocka_unit_test(shapes),
        cmocka_unit_test(cache_keeps_and_forgets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
