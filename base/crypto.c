#include "base/crypto.h"

#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SHA256_BLOCK 64

struct sha256_ctx {
    EVP_MD_CTX *md;
};

/* OpenSSL 3 looks an algorithm up by name on each use of EVP_sha256(), which costs more than hashing a block. One
 * fetch for the process, one reusable context for each thread that hashes. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t ctx_key;
static EVP_MD *md_sha256;

static void ctx_drop(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void fetch_all(void)
{
    md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    XASSERT(md_sha256);
    XASSERT(pthread_key_create(&ctx_key, ctx_drop) == 0);
}

static EVP_MD_CTX *thread_ctx(void)
{
    static _Thread_local EVP_MD_CTX *ctx;
    if (ctx) return ctx;
    pthread_once(&once, fetch_all);
    ctx = EVP_MD_CTX_new();
    XASSERT(ctx && pthread_setspecific(ctx_key, ctx) == 0);
    return ctx;
}

static void md_start(EVP_MD_CTX *ctx)
{
    XASSERT(EVP_DigestInit_ex2(ctx, md_sha256, NULL) == 1);
}

static void md_end(EVP_MD_CTX *ctx, uint8_t out[32])
{
    unsigned n = 0;
    XASSERT(EVP_DigestFinal_ex(ctx, out, &n) == 1 && n == 32);
}

void sha256(const void *in, size_t n, uint8_t out[32])
{
    EVP_MD_CTX *ctx = thread_ctx();
    md_start(ctx);
    XASSERT(EVP_DigestUpdate(ctx, in, n) == 1);
    md_end(ctx, out);
}

void sha1(const void *in, size_t n, uint8_t out[20])
{
    XASSERT(EVP_Digest(in, n, out, NULL, EVP_sha1(), NULL) == 1);
}

sha256_ctx_t *sha256_new(void)
{
    sha256_ctx_t *c = malloc(sizeof *c);
    XASSERT(c);
    pthread_once(&once, fetch_all);
    c->md = EVP_MD_CTX_new();
    XASSERT(c->md);
    md_start(c->md);
    return c;
}

void sha256_add(sha256_ctx_t *c, const void *in, size_t n)
{
    XASSERT(EVP_DigestUpdate(c->md, in, n) == 1);
}

void sha256_end_free(sha256_ctx_t *c, uint8_t out[32])
{
    md_end(c->md, out);
    EVP_MD_CTX_free(c->md);
    free(c);
}

/* RFC 2104 over the cached digest: EVP_MAC would set its context up again for each message. */
void hmac_sha256(span_t key, span_t msg, uint8_t out[32])
{
    uint8_t pad[SHA256_BLOCK] = {0}, inner[32];
    EVP_MD_CTX *ctx = thread_ctx();
    if (key.n > sizeof pad)
        sha256(key.p, key.n, pad);
    else if (key.n)
        memcpy(pad, key.p, key.n);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36;
    md_start(ctx);
    XASSERT(EVP_DigestUpdate(ctx, pad, sizeof pad) == 1 && EVP_DigestUpdate(ctx, msg.p, msg.n) == 1);
    md_end(ctx, inner);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    md_start(ctx);
    XASSERT(EVP_DigestUpdate(ctx, pad, sizeof pad) == 1 && EVP_DigestUpdate(ctx, inner, sizeof inner) == 1);
    md_end(ctx, out);
    OPENSSL_cleanse(pad, sizeof pad);
}

void hmac_sha1(span_t key, span_t msg, uint8_t out[20])
{
    unsigned n = 0;
    XASSERT(HMAC(EVP_sha1(), key.p, (int)key.n, (const unsigned char *)msg.p, msg.n, out, &n) && n == 20);
}

bool ct_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

/* The y coordinates, little-endian, of the eight points whose order divides 8; the sign bit makes no difference.
 * The two long ones are the roots of the order-8 points and sum to p. */
static const uint8_t small_order_y[5][32] = {
    {0},
    {1},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

/* p = 2^255 - 19, so y >= p means: top 247 bits all ones and the lowest byte at least 0xed. */
static bool not_canonical(const uint8_t y[32])
{
    if (y[31] != 0x7f || y[0] < 0xed) return false;
    for (size_t i = 1; i < 31; i++)
        if (y[i] != 0xff) return false;
    return true;
}

bool ed25519_key_refused(const uint8_t key[32])
{
    uint8_t y[32];
    memcpy(y, key, sizeof y);
    y[31] &= 0x7f;
    if (not_canonical(y)) return true;
    for (size_t i = 0; i < sizeof small_order_y / sizeof *small_order_y; i++)
        if (memcmp(y, small_order_y[i], sizeof y) == 0) return true;
    return false;
}

xerr_t ed25519_verify(const uint8_t key[32], const void *msg, size_t n, const uint8_t sig[64])
{
    static const char none;
    /* R is judged like A: a validator refuses both. OpenSSL checks S < L and the canonical form of R itself. */
    if (ed25519_key_refused(key) || ed25519_key_refused(sig)) return XE_AUTH;
    EVP_PKEY *pk = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    xerr_t err = XE_AUTH;
    if (pk && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pk) == 1 &&
        EVP_DigestVerify(ctx, sig, 64, n ? msg : (const void *)&none, n) == 1)
        err = XE_OK;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pk);
    return err;
}

xerr_t ed25519_public(const uint8_t seed[32], uint8_t key[32])
{
    size_t n = 32;
    EVP_PKEY *pk = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    bool ok = pk && EVP_PKEY_get_raw_public_key(pk, key, &n) == 1 && n == 32;
    EVP_PKEY_free(pk);
    return ok ? XE_OK : XE_INTERNAL;
}

xerr_t ed25519_sign(const uint8_t seed[32], const void *msg, size_t n, uint8_t sig[64])
{
    static const char none;
    size_t len = 64;
    EVP_PKEY *pk = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = pk && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pk) == 1 &&
              EVP_DigestSign(ctx, sig, &len, n ? msg : (const void *)&none, n) == 1 && len == 64;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pk);
    return ok ? XE_OK : XE_INTERNAL;
}

void random_bytes(void *out, size_t n)
{
    uint8_t *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        XASSERT(got >= 0 || errno == EINTR);
        if (got < 0) continue;
        p += got;
        n -= (size_t)got;
    }
}

static void uuid_text(const uint8_t b[16], char out[37])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0, at = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
        out[at++] = digits[b[i] >> 4];
        out[at++] = digits[b[i] & 15];
    }
    out[36] = '\0';
}

/* Every request without an id of its own takes one: sixteen for each call into the kernel. */
void uuid4(char out[37])
{
    static _Thread_local uint8_t pool[16][16];
    static _Thread_local unsigned left;
    if (!left) {
        random_bytes(pool, sizeof pool);
        left = 16;
    }
    uint8_t *b = pool[--left];
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    uuid_text(b, out);
}

bool uuid_valid(span_t text)
{
    if (text.n != 36) return false;
    for (size_t i = 0; i < text.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text.p[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

#define MASK62 ((UINT64_C(1) << 62) - 1)

/* A bijection on 62 bits, so that two counters under one seed never meet. */
static uint64_t scramble62(uint64_t x, uint64_t seed)
{
    x = (x ^ seed) & MASK62;
    for (int round = 0; round < 2; round++) {
        x = (x * UINT64_C(0x9e3779b97f4a7c15)) & MASK62;
        x ^= x >> 29;
    }
    return (x * UINT64_C(0xbf58476d1ce4e5b9)) & MASK62;
}

void uuid7_from(int64_t unix_ms, uint64_t seed, uint64_t counter, char out[37])
{
    /* The low 12 bits of the counter stand right behind the time: ids of one millisecond sort in order of making. */
    uint64_t hi = (uint64_t)unix_ms << 16 | UINT64_C(0x7000) | (counter & 0xfff);
    uint64_t lo = UINT64_C(1) << 63 | scramble62(counter >> 12 ^ (counter & 0xfff) << 50, seed);
    uint8_t b[16];
    for (unsigned i = 0; i < 8; i++) {
        b[i] = (uint8_t)(hi >> (56 - 8 * i));
        b[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
    }
    uuid_text(b, out);
}

static inline uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static uint64_t load_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint64_t load_word(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

uint64_t siphash(const uint64_t key[2], const void *in, size_t n)
{
    const uint8_t *p = in;
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    size_t left = n;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = load_word(p);
        v[3] ^= m, sip_round(v), sip_round(v), v[0] ^= m;
    }
    uint64_t last = (uint64_t)n << 56 | load_le(p, left);
    v[3] ^= last, sip_round(v), sip_round(v), v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
