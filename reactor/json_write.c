/* The writer half of json.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/rfc3339.h"
#include "reactor/json.h"

#define DEPTH_MAX 63

void jw_init(jw_t *w, buf_t *b)
{
    *w = (jw_t){.b = b};
}

static uint64_t bit(const jw_t *w)
{
    return UINT64_C(1) << w->depth;
}

static void comma(jw_t *w)
{
    if (w->comma & bit(w)) buf_add(w->b, ",", 1);
    w->comma |= bit(w);
}

/* Every value begins here. */
static void value(jw_t *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    XASSERT(!(w->isobj & bit(w)));             /* a member needs its name first */
    XASSERT(w->depth || !(w->comma & bit(w))); /* one value at the top */
    comma(w);
}

static void open_box(jw_t *w, bool obj)
{
    value(w);
    XASSERT(w->depth < DEPTH_MAX);
    w->depth++;
    w->comma &= ~bit(w);
    w->isobj = obj ? w->isobj | bit(w) : w->isobj & ~bit(w);
    buf_add(w->b, obj ? "{" : "[", 1);
}

void jw_obj(jw_t *w)
{
    open_box(w, true);
}

void jw_arr(jw_t *w)
{
    open_box(w, false);
}

void jw_end(jw_t *w)
{
    XASSERT(w->depth && !w->after_key);
    buf_add(w->b, w->isobj & bit(w) ? "}" : "]", 1);
    w->depth--;
}

static void put_escape(buf_t *b, unsigned char ch)
{
    static const char hex[] = "0123456789abcdef";
    static const char *const named[] = {['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    if (ch == '"' || ch == '\\') {
        buf_add(b, (char[]){'\\', (char)ch}, 2);
    } else if (ch < sizeof named / sizeof *named && named[ch]) {
        buf_add(b, named[ch], 2);
    } else {
        buf_add(b, (char[]){'\\', 'u', '0', '0', hex[ch >> 4], hex[ch & 15]}, 6);
    }
}

/* Runs of bytes that stand for themselves are copied whole. */
static void put_string(buf_t *b, span_t s)
{
    size_t from = 0;
    buf_add(b, "\"", 1);
    for (size_t i = 0; i < s.n;) {
        unsigned char ch = (unsigned char)s.p[i];
        size_t n = ch < 0x80 ? 1 : utf8_next((span_t){s.p + i, s.n - i});
        if (n && ch >= 0x20 && ch != '"' && ch != '\\') {
            i += n;
            continue;
        }
        buf_add(b, s.p + from, i - from);
        if (n)
            put_escape(b, ch);
        else
            buf_str(b, "\xef\xbf\xbd");
        from = ++i;
    }
    buf_add(b, s.p + from, s.n - from);
    buf_add(b, "\"", 1);
}

void jw_key(jw_t *w, const char *name)
{
    XASSERT(w->depth && (w->isobj & bit(w)) && !w->after_key);
    comma(w);
    put_string(w->b, span_of(name));
    buf_add(w->b, ":", 1);
    w->after_key = true;
}

void jw_str(jw_t *w, span_t s)
{
    value(w);
    put_string(w->b, s);
}

void jw_cstr(jw_t *w, const char *s)
{
    if (s)
        jw_str(w, span_of(s));
    else
        jw_null(w);
}

static void put_u64(buf_t *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do text[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, text + at, sizeof text - at);
}

void jw_i64(jw_t *w, int64_t v)
{
    value(w);
    if (v < 0) buf_add(w->b, "-", 1);
    put_u64(w->b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jw_u64(jw_t *w, uint64_t v)
{
    value(w);
    put_u64(w->b, v);
}

void jw_bool(jw_t *w, bool v)
{
    value(w);
    buf_str(w->b, v ? "true" : "false");
}

void jw_null(jw_t *w)
{
    value(w);
    buf_add(w->b, "null", 4);
}

void jw_f64(jw_t *w, double v)
{
    char text[40];
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    value(w);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    buf_str(w->b, text);
}

void jw_raw(jw_t *w, span_t json)
{
    XASSERT(json.n);
    value(w);
    buf_add(w->b, json.p, json.n);
}

void jw_time_us(jw_t *w, int64_t unix_us)
{
    char text[RFC3339_US_LEN + 1];
    rfc3339_us(unix_us, text);
    value(w);
    buf_add(w->b, "\"", 1);
    buf_add(w->b, text, RFC3339_US_LEN);
    buf_add(w->b, "\"", 1);
}
