#include "handlers/text.h"

#include <stdio.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* n digits at p, or -1. */
static int digits(const char *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(p[i])) return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool is_leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

/* Days since 1970-01-01 of a Gregorian date, by whole years and a table of months. */
static int64_t day_of(int y, int m, int d)
{
    int64_t p = y - 1;
    int64_t days = p * 365 + p / 4 - p / 100 + p / 400 - 719162;
    for (int i = 1; i < m; i++) days += month_days(y, i);
    return days + d - 1;
}

/* "YYYY-MM-DDTHH:MM:SS" at p. */
static xerr_t parse_seconds(const char *p, int64_t *out)
{
    int y = digits(p, 4), mo = digits(p + 5, 2), d = digits(p + 8, 2);
    int h = digits(p + 11, 2), mi = digits(p + 14, 2), s = digits(p + 17, 2);
    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':') return XE_BAD_INPUT;
    if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo)) return XE_BAD_INPUT;
    if (h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59) return XE_BAD_INPUT;
    *out = ((day_of(y, mo, d) * 24 + h) * 60 + mi) * 60 + s;
    return XE_OK;
}

static xerr_t parse_fraction(span_t t, size_t *at, int64_t *us)
{
    size_t i = *at + 1, n = 0;
    *us = 0;
    for (; i < t.n && is_digit(t.p[i]); i++, n++)
        if (n < 6) *us = *us * 10 + (t.p[i] - '0');
    if (n < 1 || n > 9) return XE_BAD_INPUT;
    for (; n < 6; n++) *us *= 10;
    *at = i;
    return XE_OK;
}

static xerr_t parse_zone(span_t t, size_t at, int64_t *offset_s)
{
    *offset_s = 0;
    if (t.n - at == 1 && t.p[at] == 'Z') return XE_OK;
    if (t.n - at != 6 || (t.p[at] != '+' && t.p[at] != '-') || t.p[at + 3] != ':') return XE_BAD_INPUT;
    int h = digits(t.p + at + 1, 2), m = digits(t.p + at + 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59) return XE_BAD_INPUT;
    *offset_s = (int64_t)(h * 60 + m) * (t.p[at] == '-' ? -60 : 60);
    return XE_OK;
}

xerr_t text_time(span_t t, int64_t *unix_us)
{
    int64_t s = 0, us = 0, offset = 0;
    size_t at = 19;
    if (t.n < 20 || t.n > 35) return XE_BAD_INPUT;
    if (parse_seconds(t.p, &s)) return XE_BAD_INPUT;
    if (t.p[at] == '.' && parse_fraction(t, &at, &us)) return XE_BAD_INPUT;
    if (at >= t.n || parse_zone(t, at, &offset)) return XE_BAD_INPUT;
    *unix_us = (s - offset) * 1000000 + us;
    return XE_OK;
}

void text_time_ms(int64_t unix_ms, char out[TEXT_TIME_MS_LEN + 1])
{
    int64_t day = unix_ms / 86400000, ms = unix_ms % 86400000;
    int y = 1970, m = 1;
    char text[80];
    if (unix_ms < 0 || unix_ms >= 253402300800000LL) day = ms = 0;
    while (day >= (is_leap(y) ? 366 : 365)) day -= is_leap(y++) ? 366 : 365;
    while (day >= month_days(y, m)) day -= month_days(y, m++);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", y, m, (int)day + 1, (int)(ms / 3600000), (int)(ms / 60000 % 60),
             (int)(ms / 1000 % 60), (int)(ms % 1000));
    memcpy(out, text, TEXT_TIME_MS_LEN);
    out[TEXT_TIME_MS_LEN] = '\0';
}

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

xerr_t text_x100(span_t t, int32_t *out)
{
    number_t x;
    int64_t v = 0;
    if (scan_number(t, &x)) return XE_BAD_INPUT;
    while (x.n && *x.digit[x.n - 1] == '0') x.n--, x.exp10++;
    if (x.n && x.exp10 < -2) return XE_RANGE;
    for (size_t i = 0; i < x.n; i++) {
        v = v * 10 + (*x.digit[i] - '0');
        if (v > INT32_MAX) return XE_RANGE;
    }
    for (int e = x.exp10 + 2; v && e > 0; e--) {
        v *= 10;
        if (v > INT32_MAX) return XE_RANGE;
    }
    *out = (int32_t)(x.neg ? -v : v);
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
