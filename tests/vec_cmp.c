#include "tests/vec_cmp.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

#define DIGITS_MAX 40

static const char *text_of(u128_t v, char out[DIGITS_MAX])
{
    char *p = out + DIGITS_MAX - 1;
    *p = 0;
    do {
        *--p = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    return p;
}

bool same_num(vec_ctx_t *c, const char *what, u128_t got, vv_t want)
{
    char a[DIGITS_MAX];
    span_t t = vv_text(want);
    return (t.n > 0 && t.p[0] != '-' && got == vv_u128(want)) || vec_fail(c, "%s: got %s, want %.*s", what, text_of(got, a), (int)t.n, t.p);
}

bool same_i32(vec_ctx_t *c, const char *what, int32_t got, vv_t want)
{
    return got == vv_i32(want) || vec_fail(c, "%s: got %d, want %d", what, got, vv_i32(want));
}

bool same_flag(vec_ctx_t *c, const char *what, bool got, vv_t want)
{
    return got == vv_bool(want) || vec_fail(c, "%s: got %d", what, got);
}

bool same_key(vec_ctx_t *c, const char *what, const uint8_t got[32], vv_t want)
{
    uint8_t key[32];
    return (b58_key(vv_text(want), key) == XE_OK && memcmp(key, got, 32) == 0) || vec_fail(c, "%s differs", what);
}

bool same_hex(vec_ctx_t *c, const char *what, const uint8_t *got, size_t n, vv_t want)
{
    size_t len;
    uint8_t *bytes = vv_hex(want, &len);
    bool ok = len == n && (n == 0 || memcmp(bytes, got, n) == 0);
    free(bytes);
    return ok || vec_fail(c, "%s: got %zu bytes that differ from %zu", what, n, len);
}
