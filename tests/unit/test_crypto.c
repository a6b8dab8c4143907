#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/json.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;
    assert_int_equal(hex_decode(span_of(hex), out, cap, &n), XE_OK);
    return n;
}

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    char text[256];
    hex_encode(got, n, text);
    assert_string_equal(text, want);
}

static void test_sha256(void **state)
{
    uint8_t out[32];
    sha256("", 0, out);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, out);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_ctx_t *c = sha256_new();
    char block[1000];
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 1000; i++) sha256_add(c, block, sizeof block);
    sha256("between", 7, out); /* an open context is not disturbed */
    sha256_end_free(c, out);
    assert_hex(out, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* RFC 4231 */
static void test_hmac(void **state)
{
    static const struct {
        const char *key, *msg, *mac;
    } rows[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    };
    uint8_t key[200], msg[200], out[32];
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t k = from_hex(rows[i].key, key, sizeof key), m = from_hex(rows[i].msg, msg, sizeof msg);
        hmac_sha256((span_t){(char *)key, k}, (span_t){(char *)msg, m}, out);
        assert_hex(out, 32, rows[i].mac);
    }
    memset(key, 0xaa, 131);
    hmac_sha256((span_t){(char *)key, 131}, SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_sha256((span_t){NULL, 0}, (span_t){NULL, 0}, out);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void *hash_in_thread(void *ctx)
{
    uint8_t out[32];
    for (int i = 0; i < 500; i++) {
        hmac_sha256(SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"), out);
        if (out[0] != 0x5b || out[31] != 0x43) return ctx;
    }
    return NULL;
}

static void test_hashing_in_threads(void **state)
{
    pthread_t th[4];
    void *bad;
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&th[i], NULL, hash_in_thread, th), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(th[i], &bad), 0);
        assert_null(bad);
    }
}

static void test_ct_equal(void **state)
{
    assert_true(ct_equal("abc", "abc", 3));
    assert_false(ct_equal("abc", "abd", 3));
    assert_false(ct_equal("abc", "bbc", 3));
    assert_true(ct_equal("a", "b", 0));
}

static void test_ed25519_rfc8032(void **state)
{
    static const struct {
        const char *key, *msg, *sig;
    } rows[] = {
        {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb"
         "e24655141438e7a100b"},
        {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
         "aeeb00d291612bb0c00"},
        {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed"
         "28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t key[32], sig[64], msg[64];
        from_hex(rows[i].key, key, 32);
        from_hex(rows[i].sig, sig, 64);
        size_t n = from_hex(rows[i].msg, msg, sizeof msg);
        assert_false(ed25519_key_refused(key));
        assert_int_equal(ed25519_verify(key, msg, n, sig), XE_OK);
        if (!n) assert_int_equal(ed25519_verify(key, NULL, 0, sig), XE_OK);
        for (size_t bit = 0; bit < 512; bit += 7) {
            sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(ed25519_verify(key, msg, n, sig), XE_AUTH);
            sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 256; bit += 5) {
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(ed25519_verify(key, msg, n, sig), XE_AUTH);
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(ed25519_verify(key, "other", 5, sig), XE_AUTH);
        /* S + L is the same number again. */
        static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                          0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
        unsigned carry = 0;
        for (size_t k = 0; k < 32; k++) {
            carry += sig[32 + k] + order[k];
            sig[32 + k] = (uint8_t)carry;
            carry >>= 8;
        }
        assert_int_equal(ed25519_verify(key, msg, n, sig), XE_AUTH);
    }
}

/* Every encoding of the eight points of small order, and every y at or past p. */
static void test_keys_nobody_owns(void **state)
{
    static const char *const small[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t key[32], sig[64] = {1};
    for (size_t i = 0; i < COUNT(small); i++) {
        for (int sign = 0; sign < 2; sign++) {
            from_hex(small[i], key, 32);
            if (sign) key[31] |= 0x80;
            assert_true(ed25519_key_refused(key));
            assert_int_equal(ed25519_verify(key, "Zcash", 5, sig), XE_AUTH);
        }
    }
    memset(key, 0xff, sizeof key);
    for (unsigned low = 0; low < 256; low++) {
        key[0] = (uint8_t)low;
        key[31] = 0x7f;
        assert_int_equal(ed25519_key_refused(key), low >= 0xec);
        key[31] = 0xff;
        assert_int_equal(ed25519_key_refused(key), low >= 0xec);
    }
    from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", key, 32);
    key[0] ^= 1;
    assert_false(ed25519_key_refused(key)); /* only a few are refused here; the curve equation is the verifier's work */
}

/* The forgery itself: with A of order 2 or 4, R = S*B - h*A has few values, so S = 0 and R = identity pass by chance. */
static void test_forgery_for_small_order_keys(void **state)
{
    uint8_t key[32] = {0}, sig[64] = {1};
    unsigned openssl_took = 0;
    for (int i = 0; i < 64; i++) {
        char msg[16];
        size_t n = (size_t)snprintf(msg, sizeof msg, "m%d", i);
        EVP_PKEY *pk = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        openssl_took += EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pk) == 1 &&
                        EVP_DigestVerify(ctx, sig, 64, (const uint8_t *)msg, n) == 1;
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(pk);
        assert_int_equal(ed25519_verify(key, msg, n, sig), XE_AUTH);
    }
    print_message("OpenSSL alone took %u of 64 forgeries, we took none\n", openssl_took);
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rbe");
    if (!f) return NULL;
    char *text = malloc(4 << 20);
    assert_non_null(text);
    *n = fread(text, 1, 4 << 20, f);
    fclose(f);
    return text;
}

static size_t hex_field(const json_t *v, const char *name, uint8_t *out, size_t cap)
{
    size_t n = 0;
    const json_t *f = json_get(v, name);
    if (!f) return SIZE_MAX;
    assert_int_equal(hex_decode(json_str(f), out, cap, &n), XE_OK);
    return n;
}

/* The published vectors, where that folder lies beside this one. Our verdict is the validator's. */
static void check_vectors(const char *path, const char *fixed_msg)
{
    size_t n = 0;
    unsigned checked = 0;
    char *text = read_file(path, &n);
    if (!text) skip();
    arena_pool_t *pool = arena_pool_new(65536, 4);
    arena_t *a = arena_new(pool, 32 << 20);
    const json_t *doc, *list;
    const char *why;
    if (json_parse((span_t){text, n}, a, &doc, &why)) fail_msg("%s: %s", path, why);
    list = json_get(doc, "vectors");
    for (size_t i = 0; i < json_len(list); i++) {
        const json_t *v = json_at(list, i), *want = json_get(v, "valid_strict");
        uint8_t key[64], sig[128], msg[4096];
        if (!want || hex_field(v, "public_key_hex", key, sizeof key) != 32 ||
            hex_field(v, "signature_hex", sig, sizeof sig) != 64)
            continue;
        size_t m = hex_field(v, "message_hex", msg, sizeof msg);
        xerr_t err =
            m == SIZE_MAX ? ed25519_verify(key, fixed_msg, strlen(fixed_msg), sig) : ed25519_verify(key, msg, m, sig);
        if ((err == XE_OK) != json_bool(want)) fail_msg("%s: vector %zu: %s", path, i, xerr_name(err));
        checked++;
    }
    assert_true(checked > 50);
    print_message("%s: %u verdicts equal\n", path, checked);
    arena_free(a);
    arena_pool_free(pool);
    free(text);
}

static void test_vectors_ed25519(void **state)
{
    check_vectors("../shared/vectors/solana/ed25519.json", "");
}

static void test_vectors_malleability(void **state)
{
    check_vectors("../shared/vectors/solana/ed25519_malleability.json", "Zcash");
}

static void test_uuid(void **state)
{
    char a[37], b[37];
    char seen[64][37];
    for (int i = 0; i < 64; i++) {
        uuid4(seen[i]);
        assert_true(uuid_valid(span_of(seen[i])));
        assert_int_equal(strlen(seen[i]), 36);
        assert_true(seen[i][14] == '4' && strchr("89ab", seen[i][19]) && seen[i][8] == '-' && seen[i][13] == '-' &&
                    seen[i][18] == '-' && seen[i][23] == '-');
        for (int k = 0; k < i; k++) assert_string_not_equal(seen[i], seen[k]);
    }
    uuid7_from(0x0123456789ab, 42, 7, a);
    uuid7_from(0x0123456789ab, 42, 7, b);
    assert_string_equal(a, b);
    assert_memory_equal(a, "01234567-89ab-7007-", 19);
    assert_non_null(strchr("89ab", a[19]));
    uuid7_from(0x0123456789ab, 43, 7, b);
    assert_string_not_equal(a, b);
    for (uint64_t i = 0; i < 4095; i++) { /* in order within a millisecond */
        uuid7_from(1000, 1, i, a);
        uuid7_from(1000, 1, i + 1, b);
        assert_true(strcmp(a, b) < 0);
    }
    uuid7_from(1000, 1, 4096, a);
    uuid7_from(1000, 1, 0, b);
    assert_string_not_equal(a, b);
    static const char *const bad[] = {"", "0192f3b4-0000-7000-8000-00000000000", "0192F3B4-0000-7000-8000-000000000000",
                                      "0192f3b40000-7000-8000-0000000000000", "0192f3b4-0000-7000-8000-00000000000g"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(uuid_valid(span_of(bad[i])));
    assert_false(uuid_valid(SPAN_LIT("0192f3b4-0000-7000-8000-0000000000\0000")));
}

/* The reference vectors of SipHash-2-4: key 00..0f, input 00..n-1. */
static void test_siphash(void **state)
{
    static const struct {
        size_t n;
        uint64_t want;
    } rows[] = {{0, UINT64_C(0x726fdb47dd0e0e31)},
                {1, UINT64_C(0x74f839c593dc67fd)},
                {7, UINT64_C(0xab0200f58b01d137)},
                {8, UINT64_C(0x93f5f5799a932462)},
                {15, UINT64_C(0xa129ca6149be45e5)}};
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t in[16];
    for (unsigned i = 0; i < 16; i++) in[i] = (uint8_t)i;
    for (size_t i = 0; i < COUNT(rows); i++) assert_true(siphash(key, in, rows[i].n) == rows[i].want);
}

static void test_random(void **state)
{
    uint8_t a[300] = {0}, b[300] = {0};
    unsigned bits = 0;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) bits += (unsigned)__builtin_popcount(a[i]);
    assert_true(bits > 1000 && bits < 1400);
    random_bytes(a, 0);
}

static double ns_each(void (*fn)(void), int rounds)
{
    struct timespec t0, t1;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
    for (int i = 0; i < rounds; i++) fn();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
    return ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / rounds;
}

static void one_mac(void)
{
    static uint8_t out[32];
    hmac_sha256(SPAN_LIT("a secret of forty-eight bytes, or thereabouts.."),
                SPAN_LIT("eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJTbzExMTExMTExMTExMTExMTExMTExMTEifQ"), out);
}

static void one_uuid(void)
{
    static char out[37];
    uuid4(out);
}

/* Figures for the reader; the bound only notices a lookup of the algorithm for each message. */
static void test_cost(void **state)
{
    double mac = ns_each(one_mac, 20000), id = ns_each(one_uuid, 20000);
    print_message("hmac_sha256 %.0f ns, uuid4 %.0f ns\n", mac, id);
    assert_true(mac < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hashing_in_threads),
        cmocka_unit_test(test_ct_equal),
        cmocka_unit_test(test_ed25519_rfc8032),
        cmocka_unit_test(test_keys_nobody_owns),
        cmocka_unit_test(test_forgery_for_small_order_keys),
        cmocka_unit_test(test_vectors_ed25519),
        cmocka_unit_test(test_vectors_malleability),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
