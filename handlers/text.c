#include "handlers/text.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

typedef struct {
    const char *digit[64]; /* significant digits as written, without the point */
    size_t n;
    int exp10; /* value = digits * 10^exp10 */
    bool neg;
} number_t;

static xerr_t scan_exponent(span_t t, size_t i, int *out)
{
    int v = 0;
    bool neg = false;
    if (i < t.n && (t.p[i] == '+' || t.p[i] == '-')) neg = t.p[i++] == '-';
    if (i >= t.n || t.n - i > 3) return XE_BAD_INPUT;
    for (; i < t.n; i++) {
        if (!is_digit(t.p[i])) return XE_BAD_INPUT;
        v = v * 10 + (t.p[i] - '0');
    }
    *out = neg ? -v : v;
    return XE_OK;
}

static xerr_t scan_number(span_t t, number_t *x)
{
    size_t i = 0, frac = 0;
    int e = 0;
    memset(x, 0, sizeof *x);
    if (!t.n || t.n > 64) return XE_BAD_INPUT;
    if (t.p[0] == '-') x->neg = ++i > 0;
    if (i >= t.n || !is_digit(t.p[i])) return XE_BAD_INPUT;
    if (t.p[i] == '0' && i + 1 < t.n && is_digit(t.p[i + 1])) return XE_BAD_INPUT;
    while (i < t.n && is_digit(t.p[i])) x->digit[x->n++] = &t.p[i++];
    if (i < t.n && t.p[i] == '.') {
        for (i++; i < t.n && is_digit(t.p[i]); frac++) x->digit[x->n++] = &t.p[i++];
        if (!frac) return XE_BAD_INPUT;
    }
    if (i < t.n && (t.p[i] == 'e' || t.p[i] == 'E')) {
        if (scan_exponent(t, i + 1, &e)) return XE_BAD_INPUT;
        i = t.n;
    }
    x->exp10 = e - (int)frac;
    return i == t.n ? XE_OK : XE_BAD_INPUT;
}

xerr_t text_scaled(span_t t, unsigned places, int64_t *floor, bool *exact)
{
    number_t x;
    int64_t v = 0;
    if (scan_number(t, &x)) return XE_BAD_INPUT;
    while (x.n && *x.digit[x.n - 1] == '0') x.n--, x.exp10++;
    int e = x.n ? x.exp10 + (int)places : 0, kept = (int)x.n + (e < 0 ? e : 0);
    for (int i = 0; i < kept; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *x.digit[i] - '0', &v)) return XE_RANGE;
    for (; v && e > 0; e--)
        if (__builtin_mul_overflow(v, 10, &v)) return XE_RANGE;
    *exact = e >= 0; /* the last digit cut is not zero */
    *floor = x.neg ? -v - !*exact : v;
    return XE_OK;
}

xerr_t text_x100(span_t t, int32_t *out)
{
    int64_t v;
    bool exact;
    xerr_t err = text_scaled(t, 2, &v, &exact);
    if (err) return err;
    if (!exact || v > INT32_MAX || v < -INT32_MAX) return XE_RANGE;
    *out = (int32_t)v;
    return XE_OK;
}

xerr_t text_u63(span_t t, int64_t *out)
{
    int64_t v = 0;
    if (!t.n || t.n > 18) return XE_BAD_INPUT;
    for (size_t i = 0; i < t.n; i++) {
        if (!is_digit(t.p[i])) return XE_BAD_INPUT;
        v = v * 10 + (t.p[i] - '0');
    }
    *out = v;
    return XE_OK;
}

bool text_is_number(span_t t)
{
    number_t x;
    return scan_number(t, &x) == XE_OK;
}

bool text_is_decimal(span_t t)
{
    number_t x;
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] == 'e' || t.p[i] == 'E') return false;
    return scan_number(t, &x) == XE_OK;
}

bool text_is_word(span_t t, size_t max, const char *also)
{
    if (!t.n || t.n > max) return false;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) continue;
        if (!c || !strchr(also, c)) return false;
    }
    return true;
}
