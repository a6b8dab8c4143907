/* Text encodings: what decodes encodes to the same text, and any bytes come back as they went in. */
#include <stdint.h>
#include <string.h>

#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ROOM 4096

static void base58(span_t text)
{
    uint8_t bytes[256], key[32];
    char again[520];
    size_t n = 0;
    xerr_t err = b58_decode(text, bytes, sizeof bytes, &n), as_key = b58_key(text, key);
    XASSERT((as_key == XE_OK) == (err == XE_OK && n == 32));
    if (err || n > 128) return;
    XASSERT(span_eq(span_make(again, b58_encode(bytes, n, again, sizeof again)), text));
}

static void base64(span_t text)
{
    static uint8_t bytes[ROOM];
    static char again[2 * ROOM];
    size_t n = 0;
    if (b64_decode(text, bytes, sizeof bytes, &n) == XE_OK)
        XASSERT(span_eq(span_make(again, b64_encode(bytes, n, again, sizeof again)), text));
    if (b64url_decode(text, bytes, sizeof bytes, &n) == XE_OK)
        XASSERT(span_eq(span_make(again, b64url_encode(bytes, n, again, sizeof again)), text));
}

static void back(const uint8_t *in, size_t n)
{
    static uint8_t bytes[ROOM];
    static char text[2 * ROOM + 1];
    size_t got = 0;
    XASSERT(n == 0 || b64_encode(in, n, text, sizeof text) > 0);
    XASSERT(b64_decode(span_of(n ? text : ""), bytes, sizeof bytes, &got) == XE_OK && got == n && (n == 0 || memcmp(bytes, in, n) == 0));
    hex_encode(in, n, text);
    XASSERT(hex_decode(span_make(text, 2 * n), bytes, sizeof bytes, &got) == XE_OK && got == n && (n == 0 || memcmp(bytes, in, n) == 0));
    if (n > 64) return;
    size_t len = b58_encode(in, n, text, sizeof text);
    XASSERT(b58_decode(span_make(text, len), bytes, sizeof bytes, &got) == XE_OK && got == n && (n == 0 || memcmp(bytes, in, n) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char plain[ROOM];
    size_t len = 0;
    span_t text = {(const char *)data, n};
    if (n > ROOM / 2) return 0;
    base58(text);
    base64(text);
    back(data, n);
    XASSERT(pct_decode(text, plain, sizeof plain, &len) != XE_OK || len <= n);
    (void)utf8_valid(text);
    return 0;
}
