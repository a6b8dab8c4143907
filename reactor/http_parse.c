#include "reactor/http_parse.h"

#include <string.h>

/* Classes of a byte. TOK: RFC 9110 token. VAL: inside a field value. TGT: inside a request target. HST: in a host name. */
enum { TOK = 1, VAL = 2, TGT = 4, HST = 8 };

#define ALNUM (TOK | VAL | TGT | HST)
#define MARK (TOK | VAL | TGT) /* ! $ % & ' * + ^ _ ` | ~ */
#define SIGN (VAL | TGT)       /* other visible ASCII */

static const uint8_t class_of[256] = {
    ['\t'] = VAL,          [' '] = VAL,  ['!'] = MARK,          ['"'] = SIGN,  ['#'] = TOK | VAL,
    ['$'] = MARK,          ['%'] = MARK, ['&'] = MARK,          ['\''] = MARK, ['('] = SIGN,
    [')'] = SIGN,          ['*'] = MARK, ['+'] = MARK,          [','] = SIGN,  ['-'] = ALNUM,
    ['.'] = ALNUM,         ['/'] = SIGN, ['0' ... '9'] = ALNUM, [':'] = SIGN,  [';'] = SIGN,
    ['<'] = SIGN,          ['='] = SIGN, ['>'] = SIGN,          ['?'] = SIGN,  ['@'] = SIGN,
    ['A' ... 'Z'] = ALNUM, ['['] = SIGN, ['\\'] = VAL,          [']'] = SIGN,  ['^'] = MARK,
    ['_'] = MARK | HST,    ['`'] = MARK, ['a' ... 'z'] = ALNUM, ['{'] = SIGN,  ['|'] = MARK,
    ['}'] = SIGN,          ['~'] = MARK, [128 ... 255] = VAL,
};

static inline bool is(char c, unsigned cls)
{
    return (class_of[(unsigned char)c] & cls) != 0;
}
static inline char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool http_ieq(span_t a, const char *b)
{
    for (size_t i = 0; i < a.n; i++) {
        if (!b[i] || lower(a.p[i]) != b[i]) return false;
    }
    return b[a.n] == 0;
}

bool http_list_has(span_t v, const char *token)
{
    size_t i = 0;
    while (i < v.n) {
        while (i < v.n && (v.p[i] == ' ' || v.p[i] == '\t' || v.p[i] == ',')) i++;
        size_t from = i;
        while (i < v.n && v.p[i] != ',') i++;
        size_t to = i;
        while (to > from && (v.p[to - 1] == ' ' || v.p[to - 1] == '\t')) to--;
        if (http_ieq((span_t){v.p + from, to - from}, token)) return true;
    }
    return false;
}

bool http_parse_length(span_t v, uint64_t *out)
{
    if (v.n < 1 || v.n > 19) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') return false;
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    *out = n;
    return true;
}

static bool port_ok(span_t v)
{
    uint64_t port = 0;
    return v.n <= 5 && http_parse_length(v, &port) && port >= 1 && port <= 65535;
}

bool http_host_ok(span_t v)
{
    size_t i = 0;
    if (v.n == 0 || v.n > 261) return false;
    if (v.p[0] == '[') {
        bool colon = false;
        for (i = 1; i < v.n && v.p[i] != ']'; i++) {
            char c = lower(v.p[i]);
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.')) return false;
            colon |= c == ':';
        }
        if (i == v.n || !colon) return false;
        i++;
    } else {
        while (i < v.n && is(v.p[i], HST)) i++;
        if (i == 0) return false;
    }
    return i == v.n || (v.p[i] == ':' && port_ok((span_t){v.p + i + 1, v.n - i - 1}));
}

static xerr_t fault(http_fault_t *why, int status, const char *message)
{
    why->status = status;
    why->message = message;
    return XE_BAD_INPUT;
}

static const struct {
    const char *name;
    method_t method;
} methods[] = {
    {"GET", M_GET},       {"POST", M_POST},       {"HEAD", M_HEAD},   {"PUT", M_PUT},
    {"DELETE", M_DELETE}, {"OPTIONS", M_OPTIONS}, {"PATCH", M_PATCH}, {"TRACE", M_TRACE},
    {"QUERY", M_QUERY},
};

static method_t method_of(span_t v)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (span_is(v, methods[i].name)) return methods[i].method;
    }
    return (method_t)0;
}

/* Splits an origin-form or absolute-form target at base + at; the authority is compared with Host once that is known. */
static xerr_t take_target(const char *p, size_t at, size_t n, http_head_t *out, http_fault_t *why)
{
    size_t path = at;
    out->auth_n = 0;
    if (p[at] != '/') {
        size_t scheme = 0;
        if (n > 7 && http_ieq((span_t){p + at, 7}, "http://"))
            scheme = 7;
        else if (n > 8 && http_ieq((span_t){p + at, 8}, "https://"))
            scheme = 8;
        if (!scheme) return fault(why, 400, "request target must be a path");
        path = at + scheme;
        while (path < at + n && p[path] != '/' && p[path] != '?') path++;
        if (path == at + n || p[path] != '/') return fault(why, 400, "request target must hold a path");
        out->auth = (uint16_t)(at + scheme);
        out->auth_n = (uint16_t)(path - at - scheme);
        if (!http_host_ok((span_t){p + out->auth, out->auth_n}))
            return fault(why, 400, "request target has a bad authority");
    }
    size_t end = at + n;
    const char *q = memchr(p + path, '?', end - path);
    size_t path_end = q ? (size_t)(q - p) : end;
    out->path = (uint16_t)path;
    out->path_n = (uint16_t)(path_end - path);
    out->query = (uint16_t)(q ? path_end + 1 : end);
    out->query_n = (uint16_t)(end - out->query);
    return XE_OK;
}

/* HTTP/d.d: minor versions of 1 that we do not know are served as 1.1. */
static xerr_t take_version(const char *v, size_t n, http_head_t *out, http_fault_t *why)
{
    if (n != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' || v[7] > '9')
        return fault(why, 400, "malformed HTTP version");
    if (v[5] != '1') return fault(why, 505, "HTTP version not supported");
    out->minor = v[7] == '0' ? 0 : 1;
    out->close = out->minor == 0;
    return XE_OK;
}

/* The request line at p[at..n). XE_OK: *next is the start of the following line. */
static xerr_t take_request_line(const char *p, size_t at, size_t n, const http_limits_t *lim, http_head_t *out,
                                size_t *next, http_fault_t *why)
{
    size_t i = at;
    while (i < n && is(p[i], TOK)) i++;
    if (i - at > HTTP_METHOD_MAX) return fault(why, 501, "method not implemented");
    if (i == n) return XE_AGAIN;
    if (i == at || p[i] != ' ') return fault(why, 400, "malformed request line");
    span_t verb = {p + at, i - at};
    size_t target = ++i;
    while (i < n && is(p[i], TGT)) i++;
    if (i - target > lim->target_max) return fault(why, 414, "request target is too long");
    if (i == n) return XE_AGAIN;
    if (i == target || p[i] != ' ') return fault(why, 400, "malformed request target");
    size_t target_n = i - target, version = ++i;
    while (i < n && is(p[i], TOK | TGT) && i - version <= 8) i++;
    if (i - version > 8) return fault(why, 400, "malformed HTTP version");
    if (i == n) return XE_AGAIN;
    if (p[i] != '\r') return fault(why, 400, "malformed request line");
    if (i + 1 == n) return XE_AGAIN;
    if (p[i + 1] != '\n') return fault(why, 400, "bare CR in the request head");
    xerr_t err = take_version(p + version, i - version, out, why);
    if (!err) err = take_target(p, target, target_n, out, why);
    if (err) return err;
    out->method = method_of(verb);
    if (!out->method) return fault(why, 501, "method not implemented");
    *next = i + 2;
    return XE_OK;
}

/* Fields that may come once; the second is refused. */
static xerr_t once(http_head_t *out, http_known_t k, uint16_t index, const char *twice, http_fault_t *why)
{
    if (out->known[k]) return fault(why, 400, twice);
    out->known[k] = (uint16_t)(index + 1);
    return XE_OK;
}

static void first(http_head_t *out, http_known_t k, uint16_t index)
{
    if (!out->known[k]) out->known[k] = (uint16_t)(index + 1);
}

static xerr_t take_connection(http_head_t *out, span_t v)
{
    if (http_list_has(v, "close")) out->close = true;
    if (http_list_has(v, "upgrade")) out->upgrade = true;
    return XE_OK;
}

static xerr_t take_expect(http_head_t *out, uint16_t i, span_t v, http_fault_t *why)
{
    xerr_t err = once(out, HF_EXPECT, i, "Expect may come only once", why);
    if (err) return err;
    if (!http_ieq(v, "100-continue")) return fault(why, 417, "Expect: only 100-continue is known");
    out->expect_continue = out->minor != 0;
    return XE_OK;
}

static xerr_t take_length(http_head_t *out, uint16_t i, span_t v, http_fault_t *why)
{
    xerr_t err = once(out, HF_LENGTH, i, "Content-Length may come only once", why);
    if (err) return err;
    if (!http_parse_length(v, &out->length)) return fault(why, 400, "Content-Length must be 1 to 19 digits");
    out->has_length = true;
    return XE_OK;
}

/* The few fields that decide framing and routing of the connection; all others are only kept. */
static xerr_t judge_field(http_head_t *out, uint16_t i, span_t name, span_t v, http_fault_t *why)
{
    switch (name.n) {
    case 4:
        if (!http_ieq(name, "host")) break;
        if (!http_host_ok(v)) return fault(why, 400, "Host is not a plain name or address with optional port");
        return once(out, HF_HOST, i, "Host may come only once", why);
    case 6:
        if (http_ieq(name, "expect")) return take_expect(out, i, v, why);
        break;
    case 7:
        if (http_ieq(name, "upgrade")) first(out, HF_UPGRADE, i);
        break;
    case 10:
        if (http_ieq(name, "connection")) return take_connection(out, v);
        break;
    case 12:
        if (http_ieq(name, "content-type")) return once(out, HF_TYPE, i, "Content-Type may come only once", why);
        if (http_ieq(name, "x-request-id")) first(out, HF_REQUEST_ID, i);
        break;
    case 13:
        if (http_ieq(name, "authorization")) return once(out, HF_AUTH, i, "Authorization may come only once", why);
        break;
    case 14:
        if (http_ieq(name, "content-length")) return take_length(out, i, v, why);
        break;
    case 15:
        if (http_ieq(name, "x-forwarded-for")) first(out, HF_FORWARDED, i);
        break;
    case 17:
        if (http_ieq(name, "transfer-encoding"))
            return fault(why, 501, "Transfer-Encoding is not offered; send Content-Length");
        break;
    }
    return XE_OK;
}

/* Says which rule the byte at i breaks inside a name. */
static xerr_t name_fault(char c, http_fault_t *why)
{
    if (c == ' ' || c == '\t') return fault(why, 400, "blank before the colon of a header, or a folded line");
    if (c == '\n' || c == '\r') return fault(why, 400, "header line without a colon");
    return fault(why, 400, "header name is not a token");
}

static xerr_t value_fault(char c, http_fault_t *why)
{
    return fault(why, 400, c == '\n' ? "bare LF in the request head" : "control byte in a header value");
}

/* Where the value that starts at i stops being one. Eight bytes at a time while none of them is a control byte: tokens
 * are long, and most of a head is values. */
static size_t skip_value(const char *p, size_t i, size_t stop)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (; stop - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        uint64_t del = v ^ ones * 0x7f;
        if (((v - ones * 0x20) & ~v & highs) | ((del - ones) & ~del & highs)) break;
    }
    while (i < stop && is(p[i], VAL)) i++;
    return i;
}

/* One header line at p[at..n), not the empty one. */
static xerr_t take_field_line(const char *p, size_t at, size_t n, const http_limits_t *lim, http_head_t *out,
                              size_t *next, http_fault_t *why)
{
    size_t i = at, stop = n - at > lim->line_max ? at + lim->line_max : n;
    while (i < stop && is(p[i], TOK)) i++;
    if (i == stop) return stop < n ? fault(why, 431, "header line is too long") : XE_AGAIN;
    if (i == at || p[i] != ':') return name_fault(p[i], why);
    size_t colon = i++;
    while (i < stop && (p[i] == ' ' || p[i] == '\t')) i++;
    size_t value = i;
    i = skip_value(p, i, stop);
    if (i == stop) return stop < n ? fault(why, 431, "header line is too long") : XE_AGAIN;
    if (p[i] != '\r') return value_fault(p[i], why);
    if (i + 1 == n) return XE_AGAIN;
    if (p[i + 1] != '\n') return fault(why, 400, "bare CR in the request head");
    *next = i + 2;
    while (i > value && (p[i - 1] == ' ' || p[i - 1] == '\t')) i--;
    uint16_t index = out->n_fields;
    out->fields[index] = (http_field_t){(uint16_t)at, (uint16_t)(colon - at), (uint16_t)value, (uint16_t)(i - value)};
    out->n_fields = (uint16_t)(index + 1);
    return judge_field(out, index, (span_t){p + at, colon - at}, (span_t){p + value, i - value}, why);
}

/* Rules that need the whole head. */
static xerr_t judge_head(const char *p, http_head_t *out, http_fault_t *why)
{
    if (!out->known[HF_HOST]) return out->minor == 0 && out->auth_n == 0 ? XE_OK : fault(why, 400, "Host is missing");
    if (out->auth_n) {
        const http_field_t *h = &out->fields[out->known[HF_HOST] - 1];
        if (!span_eq((span_t){p + h->value, h->value_n}, (span_t){p + out->auth, out->auth_n}))
            return fault(why, 400, "request target and Host name different authorities");
    }
    return XE_OK;
}

static void reset(http_head_t *out)
{
    http_field_t *fields = out->fields;
    memset(out, 0, sizeof *out);
    out->fields = fields;
}

/* Lines from *at on. XE_OK: the head is complete and *at is behind it. */
static xerr_t take_lines(http_scan_t *s, const char *p, size_t n, const http_limits_t *lim, http_head_t *out,
                         http_fault_t *why)
{
    size_t at = s->line;
    xerr_t err = XE_OK;
    while (at < n) {
        size_t next = at;
        if (s->lines == 0) {
            err = take_request_line(p, at, n, lim, out, &next, why);
        } else if (p[at] == '\r') {
            if (at + 1 == n) break;
            if (p[at + 1] != '\n') return fault(why, 400, "bare CR in the request head");
            out->size = (uint32_t)(at + 2);
            return out->size > lim->head_max ? fault(why, 431, "request head is too large") : XE_OK;
        } else if (s->lines > lim->lines_max) {
            return fault(why, 431, "too many header lines");
        } else {
            err = take_field_line(p, at, n, lim, out, &next, why);
        }
        if (err) break;
        s->line = (uint32_t)(at = next);
        s->lines++;
        if (at > lim->head_max) return fault(why, 431, "request head is too large");
    }
    if (err == XE_BAD_INPUT) return err;
    return n > lim->head_max ? fault(why, 431, "request head is too large") : XE_AGAIN;
}

xerr_t http_parse_head(http_scan_t *s, const char *p, size_t n, const http_limits_t *lim, http_head_t *out,
                       http_fault_t *why)
{
    /* Offsets are 16 bits: a head that does not end inside the limit is refused before it could exceed them. */
    size_t seen = n > lim->head_max + 1 ? lim->head_max + 1 : n;
    reset(out);
    /* Lines before s->line were judged already; all that later ones depend on is what may not come twice. */
    for (unsigned k = 0; k < HF_COUNT; k++) out->known[k] = (uint16_t)(s->seen >> k & 1);
    if (s->lines == 0 && s->line == 0 && n > 0 && p[0] == '\r') {
        if (n == 1) return XE_AGAIN;
        if (p[1] != '\n') return fault(why, 400, "bare CR before the request");
        s->line = 2;
    }
    xerr_t err = take_lines(s, p, seen, lim, out, why);
    if (err == XE_OK && s->resumed) {
        uint32_t from = s->lines && p[0] == '\r' ? 2 : 0;
        *s = (http_scan_t){.line = from};
        reset(out);
        err = take_lines(s, p, seen, lim, out, why);
    }
    if (err == XE_AGAIN) {
        s->resumed = true;
        for (unsigned k = 0; k < HF_COUNT; k++) s->seen |= (uint16_t)((out->known[k] != 0) << k);
    }
    return err ? err : judge_head(p, out, why);
}
