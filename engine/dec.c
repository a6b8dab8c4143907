#include "engine/dec.h"

#include "engine/u256.h"

#define DEC_PLACES 12
#define DEC_TEXT_IN_MAX 64
#define DEC_RAW_MAX ((u128_t)-1 >> 1)

static const uint64_t pow10_of[DEC_PLACES + 1] = {
    1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL, 100000000ULL, 1000000000ULL,
    10000000000ULL, 100000000000ULL, 1000000000000ULL,
};

/* Appends one digit to a magnitude that may reach 1.7e38; false past that. */
static bool push_digit(u128_t *v, unsigned d)
{
    if (*v > (DEC_RAW_MAX - d) / 10) return false;
    *v = *v * 10 + d;
    return true;
}

/* Any length up to 64: the way for numbers the fast one cannot hold. The form has been checked already. */
static xerr_t parse_long(span_t text, size_t point, i128_t *out)
{
    u128_t v = 0;
    size_t places = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (i == point) continue;
        unsigned d = (unsigned)(text.p[i] - '0');
        if (i > point && places == DEC_PLACES) {
            if (d != 0) return XE_RANGE;
            continue;
        }
        if (i > point) places++;
        if (!push_digit(&v, d)) return XE_RANGE;
    }
    for (; places < DEC_PLACES; places++)
        if (!push_digit(&v, 0)) return XE_RANGE;
    *out = (i128_t)v;
    return XE_OK;
}

xerr_t dec_parse(span_t text, i128_t *out)
{
    if (text.n == 0 || text.n > DEC_TEXT_IN_MAX) return XE_BAD_INPUT;
    size_t point = text.n;
    uint64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned d = (unsigned)((unsigned char)text.p[i] - '0');
        if (d <= 9) {
            v = v * 10 + d;
        } else {
            if (text.p[i] != '.' || point != text.n || i == 0 || i + 1 == text.n) return XE_BAD_INPUT;
            point = i;
        }
    }
    size_t places = point == text.n ? 0 : text.n - point - 1;
    if (text.n > 19 || places > DEC_PLACES) return parse_long(text, point, out);
    *out = (i128_t)((u128_t)v * pow10_of[DEC_PLACES - places]);
    return XE_OK;
}

static size_t put_digits(uint64_t v, unsigned width, char *out)
{
    char tmp[20];
    size_t n = 0;
    do {
        tmp[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n < width) tmp[n++] = '0';
    for (size_t i = 0; i < n; i++) out[i] = tmp[n - 1 - i];
    return n;
}

static size_t put_whole(u128_t v, char *out)
{
    const uint64_t e18 = 1000000000000000000ULL;
    if (v < e18) return put_digits((uint64_t)v, 1, out);
    size_t n = put_whole(v / e18, out);
    return n + put_digits((uint64_t)(v % e18), 18, out + n);
}

/* Sign, whole part, and `places` decimals of frac without trailing zeros. */
static size_t put_number(bool neg, u128_t whole, uint64_t frac, unsigned places, char *out)
{
    size_t n = 0;
    if (neg) out[n++] = '-';
    n += put_whole(whole, out + n);
    if (frac != 0) {
        out[n++] = '.';
        n += put_digits(frac, places, out + n);
        while (out[n - 1] == '0') n--;
    }
    out[n] = 0;
    return n;
}

size_t dec_text(i128_t raw, char *out, size_t cap)
{
    XASSERT(cap >= DEC_TEXT_MAX);
    u128_t v = raw < 0 ? -(u128_t)raw : (u128_t)raw;
    return put_number(raw < 0, v / DEC_SCALE, (uint64_t)(v % DEC_SCALE), DEC_PLACES, out);
}

size_t usd_text(usd_t v, char *out, size_t cap)
{
    XASSERT(cap >= DEC_TEXT_MAX);
    uint64_t m = v.raw < 0 ? -(uint64_t)v.raw : (uint64_t)v.raw;
    return put_number(v.raw < 0, m / 1000000, m % 1000000, 6, out);
}

xerr_t usd_of(px_t px, qty_t qty, round_t dir, usd_t *out)
{
    if (px.raw < 0 || qty.raw < 0) return XE_RANGE;
    u128_t v;
    u256_t product = u256_mul((u128_t)px.raw, (u128_t)qty.raw);
    if (!u256_div_to_128(product, u256_of(USD_OF_DIVISOR), dir == ROUND_UP, &v)) return XE_RANGE;
    if (v > INT64_MAX) return XE_RANGE;
    out->raw = (int64_t)v;
    return XE_OK;
}
