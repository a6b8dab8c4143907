#include "reactor/httpc_answer.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define LINE_MAX_BYTES 8192
#define HEAD_MAX_BYTES 32768
#define INTERIM_MAX 8

void answer_init(answer_t *a, size_t body_max, bool no_body)
{
    *a = (answer_t){.state = ANS_STATUS, .no_body = no_body};
    buf_init(&a->line, LINE_MAX_BYTES);
    buf_init(&a->body, body_max);
}

void answer_fini(answer_t *a)
{
    buf_fini(&a->line);
    buf_fini(&a->body);
}

/* Collects a line without its end. XE_AGAIN: not whole yet. */
static xerr_t take_line(answer_t *a, span_t in, size_t *used)
{
    const char *nl = in.n ? memchr(in.p, '\n', in.n) : NULL;
    size_t n = nl ? (size_t)(nl - in.p) + 1 : in.n;
    *used += n;
    a->head_bytes += n;
    buf_add(&a->line, in.p, n);
    if (a->line.failed || a->head_bytes > HEAD_MAX_BYTES) return XE_BAD_INPUT;
    if (!nl) return XE_AGAIN;
    a->line.n--;
    if (a->line.n && a->line.p[a->line.n - 1] == '\r') a->line.n--;
    a->line.p[a->line.n] = '\0';
    return memchr(a->line.p, '\0', a->line.n) || memchr(a->line.p, '\r', a->line.n) ? XE_BAD_INPUT : XE_OK;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static xerr_t on_status(answer_t *a)
{
    const char *p = a->line.p;
    if (a->line.n < 12 || strncmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ') return XE_BAD_INPUT;
    if (!is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) || (p[12] && p[12] != ' ')) return XE_BAD_INPUT;
    a->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0';
    if (a->status < 100 || a->status == 101) return XE_BAD_INPUT;
    a->keep_alive = p[7] != '0';
    a->chunked = a->has_length = false;
    a->retry_after_s = 0;
    a->state = ANS_HEADER;
    return XE_OK;
}

static xerr_t parse_length(const char *v, uint64_t *out)
{
    size_t n = strspn(v, "0123456789");
    uint64_t sum = 0;
    if (!n || v[n] || n > 18) return XE_BAD_INPUT;
    for (size_t i = 0; i < n; i++) sum = sum * 10 + (uint64_t)(v[i] - '0');
    *out = sum;
    return XE_OK;
}

/* Seconds, or a date. */
static int parse_retry_after(const char *v)
{
    struct tm tm = {0};
    uint64_t s;
    if (!parse_length(v, &s)) return s > 86400 ? 86400 : (int)s;
    if (!strptime(v, "%a, %d %b %Y %H:%M:%S GMT", &tm)) return 0;
    int64_t left = (int64_t)timegm(&tm) - (int64_t)time(NULL);
    return left < 0 ? 0 : left > 86400 ? 86400 : (int)left;
}

/* Is word one of the comma-separated tokens? */
static bool has_token(const char *v, const char *word)
{
    size_t want = strlen(word);
    while (*v) {
        v += strspn(v, " \t,");
        size_t n = strcspn(v, " \t,");
        if (n == want && strncasecmp(v, word, n) == 0) return true;
        v += n;
    }
    return false;
}

static xerr_t on_field(answer_t *a, const char *name, const char *v)
{
    uint64_t n;
    if (strcasecmp(name, "content-length") == 0) {
        if (parse_length(v, &n) || (a->has_length && n != a->left)) return XE_BAD_INPUT;
        a->has_length = true;
        a->left = n;
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        if (a->chunked || strcasecmp(v, "chunked") != 0) return XE_BAD_INPUT;
        a->chunked = true;
    } else if (strcasecmp(name, "connection") == 0) {
        if (has_token(v, "close"))
            a->keep_alive = false;
        else if (has_token(v, "keep-alive"))
            a->keep_alive = true;
    } else if (strcasecmp(name, "content-encoding") == 0) {
        if (strcasecmp(v, "identity") != 0) return XE_BAD_INPUT; /* never asked for */
    } else if (strcasecmp(name, "retry-after") == 0) {
        a->retry_after_s = parse_retry_after(v);
    }
    return XE_OK;
}

/* The head is whole: how does the body end? */
static xerr_t after_head(answer_t *a)
{
    if (a->status < 200) {
        a->state = ANS_STATUS;
        return ++a->interim > INTERIM_MAX ? XE_BAD_INPUT : XE_AGAIN;
    }
    if (a->chunked && a->has_length) return XE_BAD_INPUT;
    if (a->no_body || a->status == 204 || a->status == 304) {
        a->state = ANS_DONE;
        return XE_OK;
    }
    if (a->chunked) {
        a->state = ANS_CHUNK_SIZE;
        return XE_AGAIN;
    }
    if (!a->has_length) {
        a->keep_alive = false;
        a->state = ANS_BODY_TO_END;
        return XE_AGAIN;
    }
    if (a->left > a->body.max) return XE_TOO_BIG;
    a->state = a->left ? ANS_BODY : ANS_DONE;
    return a->left ? XE_AGAIN : XE_OK;
}

static xerr_t on_header(answer_t *a)
{
    char *line = a->line.p, *colon = strchr(line, ':');
    if (!a->line.n) return after_head(a);
    if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line)) return XE_BAD_INPUT;
    *colon = '\0';
    char *v = colon + 1 + strspn(colon + 1, " \t"), *end = line + a->line.n;
    while (end > v && (end[-1] == ' ' || end[-1] == '\t')) *--end = '\0';
    xerr_t err = on_field(a, line, v);
    return err ? err : XE_AGAIN;
}

static xerr_t on_chunk_size(answer_t *a)
{
    const char *p = a->line.p;
    uint64_t n = 0;
    size_t digits = strspn(p, "0123456789abcdefABCDEF"), after = digits + strspn(p + digits, " \t");
    if (!digits || digits > 15 || (p[after] && p[after] != ';')) return XE_BAD_INPUT;
    for (size_t i = 0; i < digits; i++) n = n << 4 | (uint64_t)(is_digit(p[i]) ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
    if (n > a->body.max - a->body.n) return XE_TOO_BIG;
    a->left = n;
    a->state = n ? ANS_CHUNK : ANS_TRAILER;
    a->head_bytes = 0; /* the ceiling of the head holds for each of these lines and for the trailer */
    return XE_AGAIN;
}

static xerr_t on_line(answer_t *a)
{
    switch (a->state) {
    case ANS_STATUS: return on_status(a) ? XE_BAD_INPUT : XE_AGAIN;
    case ANS_HEADER: return on_header(a);
    case ANS_CHUNK_SIZE: return on_chunk_size(a);
    case ANS_CHUNK_END: a->state = ANS_CHUNK_SIZE; return a->line.n ? XE_BAD_INPUT : XE_AGAIN;
    case ANS_TRAILER:
        if (a->line.n) return XE_AGAIN;
        a->state = ANS_DONE;
        return XE_OK;
    case ANS_BODY:
    case ANS_BODY_TO_END:
    case ANS_CHUNK:
    case ANS_DONE: break;
    }
    return XE_INTERNAL;
}

static xerr_t take_body(answer_t *a, span_t in, size_t *used)
{
    size_t n = a->state != ANS_BODY_TO_END && a->left < in.n ? (size_t)a->left : in.n;
    buf_add(&a->body, in.p, n);
    *used += n;
    if (a->body.failed) return XE_TOO_BIG;
    if (a->state == ANS_BODY_TO_END) return XE_AGAIN;
    a->left -= n;
    if (a->left) return XE_AGAIN;
    if (a->state == ANS_CHUNK) {
        a->state = ANS_CHUNK_END;
        return XE_AGAIN;
    }
    a->state = ANS_DONE;
    return XE_OK;
}

xerr_t answer_feed(answer_t *a, span_t in, size_t *used)
{
    *used = 0;
    a->started = a->started || in.n;
    while (*used < in.n) {
        span_t rest = {in.p + *used, in.n - *used};
        bool body = a->state == ANS_BODY || a->state == ANS_BODY_TO_END || a->state == ANS_CHUNK;
        xerr_t err = body ? take_body(a, rest, used) : take_line(a, rest, used);
        if (!body && !err) {
            err = on_line(a);
            buf_reset(&a->line);
        }
        if (err != XE_AGAIN) return err;
    }
    return XE_AGAIN;
}

xerr_t answer_end(answer_t *a)
{
    if (a->state != ANS_BODY_TO_END) return XE_CLOSED;
    a->state = ANS_DONE;
    return XE_OK;
}

static xerr_t parse_port(span_t t, uint16_t *out)
{
    unsigned v = 0;
    if (!t.n || t.n > 5) return XE_BAD_INPUT;
    for (size_t i = 0; i < t.n; i++) {
        if (!is_digit(t.p[i])) return XE_BAD_INPUT;
        v = v * 10 + (unsigned)(t.p[i] - '0');
    }
    if (!v || v > 65535) return XE_BAD_INPUT;
    *out = (uint16_t)v;
    return XE_OK;
}

static xerr_t parse_authority(span_t t, url_t *out)
{
    span_t host = t;
    const char *colon = t.n ? memrchr(t.p, ':', t.n) : NULL;
    if (t.n && t.p[0] == '[') {
        const char *end = memchr(t.p, ']', t.n);
        if (!end) return XE_BAD_INPUT;
        host = (span_t){t.p + 1, (size_t)(end - t.p - 1)};
        colon = end + 1 < t.p + t.n ? end + 1 : NULL;
        if (colon && *colon != ':') return XE_BAD_INPUT;
    } else if (colon) {
        host.n = (size_t)(colon - t.p);
    }
    if (!host.n || host.n >= sizeof out->host) return XE_BAD_INPUT;
    for (size_t i = 0; i < host.n; i++) {
        char ch = host.p[i];
        bool ok = is_digit(ch) || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || ch == '.' || ch == '-' || ch == '_' ||
                  (ch == ':' && t.p[0] == '[');
        if (!ok) return XE_BAD_INPUT;
    }
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    if (!colon) return XE_OK;
    return parse_port((span_t){colon + 1, (size_t)(t.p + t.n - colon - 1)}, &out->port);
}

xerr_t url_parse(span_t text, url_t *out)
{
    *out = (url_t){0};
    if (text.n > 8 && strncasecmp(text.p, "https://", 8) == 0)
        out->tls = true;
    else if (text.n <= 7 || strncasecmp(text.p, "http://", 7) != 0)
        return XE_BAD_INPUT;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= 0x20 || (unsigned char)text.p[i] >= 0x7f) return XE_BAD_INPUT;
    size_t skip = out->tls ? 8 : 7, n = 0;
    span_t rest = {text.p + skip, text.n - skip};
    while (n < rest.n && !strchr("/?#", rest.p[n])) n++;
    out->port = out->tls ? 443 : 80;
    if (parse_authority((span_t){rest.p, n}, out)) return XE_BAD_INPUT;
    unsigned char raw[16];
    out->numeric = inet_pton(AF_INET, out->host, raw) == 1 || inet_pton(AF_INET6, out->host, raw) == 1;
    out->target = (span_t){rest.p + n, rest.n - n};
    const char *hash = out->target.n ? memchr(out->target.p, '#', out->target.n) : NULL;
    if (hash) out->target.n = (size_t)(hash - out->target.p);
    return XE_OK;
}
