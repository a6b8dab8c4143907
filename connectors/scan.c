#include "connectors/scan.h"

#include "base/codec.h"

enum { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END, WANT_NOTHING };

void scan_init(scan_t *s, span_t text)
{
    *s = (scan_t){.p = text.p, .end = text.p + text.n, .err = XE_OK, .want = WANT_VALUE};
}

bool scan_fail(scan_t *s, xerr_t err)
{
    if (!s->err) s->err = err;
    return false;
}

static inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

char scan_peek(scan_t *s)
{
    if (s->err) return 0;
    if (s->p < s->end && !is_blank(*s->p)) return *s->p;
    const char *from = s->p;
    while (s->p < s->end && is_blank(*s->p)) {
        if ((size_t)(++s->p - from) > SCAN_WS_MAX) {
            scan_fail(s, XE_TOO_BIG);
            return 0;
        }
    }
    return s->p < s->end ? *s->p : 0;
}

bool scan_take(scan_t *s, char c)
{
    if (scan_peek(s) != c || c == 0) return scan_fail(s, XE_BAD_INPUT);
    s->p++;
    return true;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* p stands on a backslash; returns the byte after the escape, NULL when it is none. */
static const char *escape_end(const char *p, const char *end)
{
    if (end - p < 2) return NULL;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    int v = end - p < 6 ? -1 : hex4(p + 2);
    if (v < 0 || (v >= 0xDC00 && v <= 0xDFFF)) return NULL;
    if (v < 0xD800 || v > 0xDBFF) return p + 6;
    int low = end - p < 12 || p[6] != '\\' || p[7] != 'u' ? -1 : hex4(p + 8);
    return low >= 0xDC00 && low <= 0xDFFF ? p + 12 : NULL;
}

/* 0 plain, 1 quote, 2 backslash, 3 control, 4 above ASCII */
static const uint8_t str_class[256] = {
    [0 ... 31] = 3, ['"'] = 1, ['\\'] = 2, [128 ... 255] = 4,
};

/* Rest of a string whose first plain run ended at p with something else than a quote. */
static bool str_slow(scan_t *s, const char *from, const char *p, span_t *out)
{
    bool high = false;
    const char *stop = (size_t)(s->end - from) > SCAN_STR_MAX ? from + SCAN_STR_MAX : s->end;
    while (p < stop) {
        uint8_t k = str_class[(uint8_t)*p];
        if (k == 0) {
            p++;
        } else if (k == 4) {
            high = true;
            p++;
        } else if (k == 2) {
            p = escape_end(p, stop);
            if (!p) return scan_fail(s, XE_BAD_INPUT);
        } else if (k == 1) {
            *out = span_make(from, (size_t)(p - from));
            s->p = p + 1;
            return !high || utf8_valid(*out) || scan_fail(s, XE_BAD_INPUT);
        } else {
            return scan_fail(s, XE_BAD_INPUT);
        }
    }
    return scan_fail(s, stop < s->end ? XE_TOO_BIG : XE_BAD_INPUT);
}

bool scan_body(scan_t *s, span_t *out)
{
    const char *p = s->p, *stop = s->end - p > 64 ? p + 64 : s->end;
    while (p < stop && str_class[(uint8_t)*p] == 0) p++;
    if (p < stop && *p == '"') {
        *out = span_make(s->p, (size_t)(p - s->p));
        s->p = p + 1;
        return true;
    }
    return str_slow(s, s->p, p, out);
}

bool scan_str(scan_t *s, span_t *out) { return scan_take(s, '"') && scan_body(s, out); }

bool scan_key(scan_t *s, span_t *out) { return scan_str(s, out) && scan_take(s, ':'); }

static inline bool is_digit(const char *p, const char *end) { return p < end && *p >= '0' && *p <= '9'; }

bool scan_u64(scan_t *s, uint64_t *out)
{
    scan_peek(s);
    if (s->err || !is_digit(s->p, s->end)) return scan_fail(s, XE_BAD_INPUT);
    const char *p = s->p;
    uint64_t v = 0;
    while (is_digit(p, s->end)) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - d) / 10) return scan_fail(s, XE_RANGE);
        v = v * 10 + d;
        p++;
    }
    bool fraction = p < s->end && (*p == '.' || *p == 'e' || *p == 'E');
    if (fraction || (*s->p == '0' && p - s->p > 1)) return scan_fail(s, XE_BAD_INPUT);
    s->p = p;
    *out = v;
    return true;
}

static bool skip_number(scan_t *s)
{
    const char *p = s->p;
    const char *end = s->end - p > SCAN_NUM_MAX ? p + SCAN_NUM_MAX : s->end;
    if (p < end && *p == '-') p++;
    if (!is_digit(p, end)) return scan_fail(s, XE_BAD_INPUT);
    if (*p == '0') p++;
    else while (is_digit(p, end)) p++;
    if (p < end && *p == '.') {
        if (!is_digit(++p, end)) return scan_fail(s, XE_BAD_INPUT);
        while (is_digit(p, end)) p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!is_digit(p, end)) return scan_fail(s, XE_BAD_INPUT);
        while (is_digit(p, end)) p++;
    }
    if (p == end && end < s->end) return scan_fail(s, XE_TOO_BIG);
    s->p = p;
    return true;
}

static bool skip_word(scan_t *s, const char *word, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) return scan_fail(s, XE_BAD_INPUT);
    s->p += n;
    return true;
}

static bool skip_scalar(scan_t *s, char c)
{
    span_t str;
    switch (c) {
    case '"': return scan_str(s, &str);
    case 't': return skip_word(s, "true", 4);
    case 'f': return skip_word(s, "false", 5);
    case 'n': return skip_word(s, "null", 4);
    default: return skip_number(s);
    }
}

bool scan_done(scan_t *s)
{
    scan_peek(s);
    return !s->err && (s->p == s->end || scan_fail(s, XE_BAD_INPUT));
}

bool scan_more(scan_t *s, char close, bool *first)
{
    char c = scan_peek(s);
    bool was_first = *first;
    *first = false;
    if (c == close) {
        s->p++;
        return false;
    }
    if (was_first) return !s->err && (c != 0 || scan_fail(s, XE_BAD_INPUT));
    return scan_take(s, ',');
}

void scan_skip_begin(scan_t *s)
{
    s->depth = 0;
    s->objects = 0;
    s->want = WANT_VALUE;
}

static bool skip_open(scan_t *s, char c)
{
    if (s->depth == SCAN_DEPTH_MAX) return scan_fail(s, XE_TOO_BIG);
    uint64_t bit = 1ull << s->depth++;
    s->objects = c == '{' ? s->objects | bit : s->objects & ~bit;
    s->want = c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    s->p++;
    return true;
}

static void skip_close(scan_t *s)
{
    s->p++;
    s->want = --s->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
}

/* One token of the value being skipped. */
static bool skip_step(scan_t *s)
{
    span_t key;
    char c = scan_peek(s);
    bool object = s->depth && (s->objects >> (s->depth - 1) & 1);
    char close = object ? '}' : ']';
    bool may_end = s->want != WANT_VALUE && s->want != WANT_KEY;
    if (may_end && c == close) {
        skip_close(s);
        return true;
    }
    switch (s->want) {
    case WANT_COMMA_OR_END:
        s->want = object ? WANT_KEY : WANT_VALUE;
        return scan_take(s, ',');
    case WANT_KEY:
    case WANT_KEY_OR_END:
        s->want = WANT_VALUE;
        return scan_key(s, &key);
    default:
        if (c == '{' || c == '[') return skip_open(s, c);
        s->want = s->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
        return skip_scalar(s, c);
    }
}

scan_rc_t scan_skip_run(scan_t *s, size_t max)
{
    const char *stop = (size_t)(s->end - s->p) > max ? s->p + max : s->end;
    while (s->want != WANT_NOTHING) {
        if (!skip_step(s)) return SCAN_BAD;
        if (s->p >= stop && s->want != WANT_NOTHING && stop < s->end) return SCAN_MORE;
    }
    return SCAN_DONE;
}

bool scan_skip(scan_t *s, size_t max)
{
    scan_skip_begin(s);
    scan_rc_t rc = scan_skip_run(s, max);
    return rc == SCAN_DONE || (rc == SCAN_MORE && scan_fail(s, XE_TOO_BIG));
}

bool scan_get(span_t object, const char *name, span_t *value)
{
    scan_t s;
    span_t key = {NULL, 0};
    bool first = true, found = false;
    scan_init(&s, object);
    if (scan_peek(&s) != '{' || !scan_take(&s, '{')) return false;
    while (!found && scan_more(&s, '}', &first)) {
        if (!scan_key(&s, &key)) return false;
        scan_peek(&s);
        const char *from = s.p;
        if (!scan_skip(&s, object.n)) return false;
        found = span_is(key, name);
        *value = span_make(from, (size_t)(s.p - from));
    }
    return found;
}

bool scan_get_str(span_t object, const char *name, span_t *text)
{
    scan_t s;
    span_t value;
    if (!scan_get(object, name, &value)) return false;
    scan_init(&s, value);
    return scan_str(&s, text) && scan_done(&s);
}
