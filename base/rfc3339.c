#include "base/rfc3339.h"

#include <stdbool.h>

#define US_MAX INT64_C(253402300799999999) /* the end of year 9999 */

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

xerr_t rfc3339_parse(span_t t, int64_t *unix_us)
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

static void put_padded(char *to, size_t width, int64_t v)
{
    for (; width; v /= 10) to[--width] = (char)('0' + v % 10);
}

/* Days since 1970 to a date: years begin in March, so that the leap day comes last. */
static void date_of(int64_t days, int64_t *y, int64_t *m, int64_t *d)
{
    days += 719468;
    int64_t era = days / 146097, doe = days % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = yoe + era * 400 + (*m <= 2);
}

void rfc3339_us(int64_t unix_us, char out[RFC3339_US_LEN + 1])
{
    int64_t us = unix_us < 0 ? 0 : unix_us > US_MAX ? US_MAX : unix_us, y, m, d, s = us / 1000000;
    memcpy(out, "0000-00-00T00:00:00.000000Z", RFC3339_US_LEN + 1);
    date_of(s / 86400, &y, &m, &d);
    s %= 86400;
    put_padded(out, 4, y);
    put_padded(out + 5, 2, m);
    put_padded(out + 8, 2, d);
    put_padded(out + 11, 2, s / 3600);
    put_padded(out + 14, 2, s / 60 % 60);
    put_padded(out + 17, 2, s % 60);
    put_padded(out + 20, 6, us % 1000000);
}

void rfc3339_ms(int64_t unix_ms, char out[RFC3339_MS_LEN + 1])
{
    char text[RFC3339_US_LEN + 1];
    rfc3339_us(unix_ms < 0 ? 0 : unix_ms > US_MAX / 1000 ? US_MAX : unix_ms * 1000, text);
    memcpy(out, text, RFC3339_MS_LEN - 1);
    out[RFC3339_MS_LEN - 1] = 'Z';
    out[RFC3339_MS_LEN] = '\0';
}
