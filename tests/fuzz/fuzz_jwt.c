/* Session tokens: nothing but what was signed here is taken. The input replaces, then follows, a good token. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "handlers/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NOW 1795179600

static xerr_t verify(const jwt_keys_t *keys, span_t token)
{
    claims_t out;
    arena_pool_t *pool = arena_pool_new(4096, 4);
    arena_t *a = arena_new(pool, 1 << 20);
    xerr_t err = jwt_verify(keys, token, NOW, a, &out);
    arena_free(a);
    arena_pool_free(pool);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static jwt_keys_t keys;
    static char good[JWT_TEXT_MAX], mixed[2 * JWT_TEXT_MAX];
    static size_t good_n;
    if (good_n == 0) {
        claims_t c = {.role = ROLE_VIEWER, .jti = "0192f3a4-5b6c-7d8e-9f01-23456789abcd", .user_id = "desk", .issued_s = NOW - 10, .expires_s = NOW + 60};
        keys = (jwt_keys_t){.n = 1, .k = {{.kid = "k1", .key = "fuzzing-key-of-more-than-thirty-two-bytes-01234", .n = 47}},
                            .wallet_ttl_s = 3600, .operator_ttl_s = 3600};
        XASSERT(jwt_sign(&keys, &c, good, sizeof good) == XE_OK);
        good_n = strlen(good);
        XASSERT(verify(&keys, span_make(good, good_n)) == XE_OK);
    }
    span_t text = {(const char *)data, n};
    XASSERT(verify(&keys, text) != XE_OK || span_eq(text, span_make(good, good_n)));
    if (n < 2 || n > JWT_TEXT_MAX) return 0;
    size_t at = data[0] * good_n / 256;
    memcpy(mixed, good, at);
    memcpy(mixed + at, data + 1, n - 1);
    span_t forged = span_make(mixed, at + n - 1);
    XASSERT(verify(&keys, forged) != XE_OK || span_eq(forged, span_make(good, good_n)));
    return 0;
}
