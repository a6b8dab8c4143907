#include "base/codec.h"

#define B58_TEXT_MAX 128
#define B58_BYTES_MAX 128

static const char b58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The alphabet leaves out 0, I, O and l. */
static int b58_value(char ch)
{
    if (ch >= '1' && ch <= '9') return ch - '1';
    if (ch >= 'A' && ch <= 'H') return ch - 'A' + 9;
    if (ch >= 'J' && ch <= 'N') return ch - 'J' + 17;
    if (ch >= 'P' && ch <= 'Z') return ch - 'P' + 22;
    if (ch >= 'a' && ch <= 'k') return ch - 'a' + 33;
    if (ch >= 'm' && ch <= 'z') return ch - 'm' + 44;
    return -1;
}

/* Five digits at a time: 58^5 fits 32 bits, so a key takes 9 passes over at most 8 words instead of 44 over 32 bytes. */
xerr_t b58_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len)
{
    uint32_t num[B58_BYTES_MAX / 4]; /* big number, least significant word first */
    size_t len = 0, zeros = 0;
    if (text.n > B58_TEXT_MAX) return XE_RANGE;
    while (zeros < text.n && text.p[zeros] == '1') zeros++;
    for (size_t i = zeros; i < text.n;) {
        uint32_t digits = 0, scale = 1;
        for (unsigned k = 0; k < 5 && i < text.n; k++, i++) {
            int digit = b58_value(text.p[i]);
            if (digit < 0) return XE_BAD_INPUT;
            digits = digits * 58 + (uint32_t)digit;
            scale *= 58;
        }
        uint64_t carry = digits;
        for (size_t j = 0; j < len; j++) {
            carry += (uint64_t)scale * num[j];
            num[j] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) num[len++] = (uint32_t)carry;
    }
    size_t bytes = len ? 4 * len - (size_t)__builtin_clz(num[len - 1]) / 8 : 0;
    if (zeros + bytes > cap) return XE_RANGE;
    if (zeros) memset(out, 0, zeros);
    for (size_t i = 0; i < bytes; i++) out[zeros + bytes - 1 - i] = (uint8_t)(num[i / 4] >> (8 * (i % 4)));
    *out_len = zeros + bytes;
    return XE_OK;
}

size_t b58_encode(const uint8_t *in, size_t n, char *out, size_t cap)
{
    uint8_t digits[2 * B58_BYTES_MAX]; /* base 58, least significant first */
    size_t len = 0, zeros = 0;
    if (n > B58_BYTES_MAX || cap == 0) return 0;
    while (zeros < n && in[zeros] == 0) zeros++;
    for (size_t i = zeros; i < n; i++) {
        unsigned carry = in[i];
        for (size_t j = 0; j < len; j++) {
            carry += 256u * digits[j];
            digits[j] = (uint8_t)(carry % 58);
            carry /= 58;
        }
        for (; carry; carry /= 58) digits[len++] = (uint8_t)(carry % 58);
    }
    if (zeros + len + 1 > cap) return 0;
    memset(out, '1', zeros);
    for (size_t i = 0; i < len; i++) out[zeros + i] = b58_digits[digits[len - 1 - i]];
    out[zeros + len] = '\0';
    return zeros + len;
}

xerr_t b58_key(span_t text, uint8_t key[32])
{
    uint8_t raw[32];
    size_t n = 0;
    if (text.n < 32 || text.n > WALLET_TEXT_MAX) return XE_BAD_INPUT;
    xerr_t err = b58_decode(text, raw, sizeof raw, &n);
    if (err || n != sizeof raw) return XE_BAD_INPUT;
    memcpy(key, raw, sizeof raw);
    return XE_OK;
}

static int b64_value(char ch, bool url)
{
    if (ch >= 'A' && ch <= 'Z') return ch - 'A';
    if (ch >= 'a' && ch <= 'z') return ch - 'a' + 26;
    if (ch >= '0' && ch <= '9') return ch - '0' + 52;
    if (ch == (url ? '-' : '+')) return 62;
    if (ch == (url ? '_' : '/')) return 63;
    return -1;
}

/* Unpadded digits to bytes. One left-over digit, or bits that belong to no byte, is another spelling: refused. */
static xerr_t b64_digits_decode(span_t text, bool url, uint8_t *out, size_t cap, size_t *out_len)
{
    size_t n = text.n / 4 * 3 + (text.n % 4 ? text.n % 4 - 1 : 0);
    if (text.n % 4 == 1) return XE_BAD_INPUT;
    unsigned bits = 0, acc = 0;
    size_t at = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = b64_value(text.p[i], url);
        if (v < 0) return XE_BAD_INPUT;
        acc = (acc << 6 | (unsigned)v) & 0xffffu;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        if (at < cap) out[at] = (uint8_t)(acc >> bits);
        at++;
    }
    if (acc & ((1u << bits) - 1)) return XE_BAD_INPUT;
    if (n > cap) return XE_RANGE;
    *out_len = n;
    return XE_OK;
}

xerr_t b64_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len)
{
    if (text.n % 4) return XE_BAD_INPUT;
    if (text.n && text.p[text.n - 1] == '=') text.n--;
    if (text.n % 4 == 3 && text.p[text.n - 1] == '=') text.n--;
    return b64_digits_decode(text, false, out, cap, out_len);
}

xerr_t b64url_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len)
{
    return b64_digits_decode(text, true, out, cap, out_len);
}

static size_t b64_any_encode(const uint8_t *in, size_t n, const char *digits, bool pad, char *out, size_t cap)
{
    size_t tail = n % 3, len = n / 3 * 4 + (tail ? (pad ? 4 : tail + 1) : 0), at = 0;
    if (len + 1 > cap) return 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0u);
        out[at++] = digits[v >> 18];
        out[at++] = digits[v >> 12 & 63];
        if (left > 1) out[at++] = digits[v >> 6 & 63];
        if (left > 2) out[at++] = digits[v & 63];
    }
    while (at < len) out[at++] = '=';
    out[at] = '\0';
    return at;
}

size_t b64_encode(const uint8_t *in, size_t n, char *out, size_t cap)
{
    return b64_any_encode(in, n, b64_digits, true, out, cap);
}

size_t b64url_encode(const uint8_t *in, size_t n, char *out, size_t cap)
{
    return b64_any_encode(in, n, b64url_digits, false, out, cap);
}

static int hex_value(char ch)
{
    if (ch >= '0' && ch <= '9') return ch - '0';
    if (ch >= 'a' && ch <= 'f') return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F') return ch - 'A' + 10;
    return -1;
}

xerr_t hex_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len)
{
    if (text.n % 2) return XE_BAD_INPUT;
    if (text.n / 2 > cap) return XE_RANGE;
    for (size_t i = 0; i < text.n; i += 2) {
        int hi = hex_value(text.p[i]), lo = hex_value(text.p[i + 1]);
        if (hi < 0 || lo < 0) return XE_BAD_INPUT;
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    *out_len = text.n / 2;
    return XE_OK;
}

void hex_encode(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = '\0';
}

xerr_t pct_decode(span_t text, char *out, size_t cap, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int hi = text.n - i > 2 ? hex_value(text.p[i + 1]) : -1, lo = text.n - i > 2 ? hex_value(text.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) return XE_BAD_INPUT;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if (n == cap) return XE_RANGE;
        out[n++] = c;
    }
    *out_len = n;
    return XE_OK;
}

/* Length of the sequence that starts at p, 0 when it is not valid. The second byte's range is what excludes overlong
 * forms, surrogates and everything above U+10FFFF. */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0], lo = 0x80, hi = 0xbf;
    size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (n < 2 || n > left) return n > left ? 0 : n;
    if (lead == 0xe0) lo = 0xa0;
    if (lead == 0xed) hi = 0x9f;
    if (lead == 0xf0) lo = 0x90;
    if (lead == 0xf4) hi = 0x8f;
    if (p[1] < lo || p[1] > hi) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

bool utf8_valid(span_t text)
{
    const uint8_t *p = (const uint8_t *)text.p;
    for (size_t i = 0; i < text.n;) {
        size_t n = utf8_step(p + i, text.n - i);
        if (!n) return false;
        i += n;
    }
    return true;
}

size_t utf8_next(span_t text)
{
    return text.n ? utf8_step((const uint8_t *)text.p, text.n) : 0;
}
