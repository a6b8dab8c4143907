#include <stdlib.h>
#include <string.h>

#include "reactor/http_internal.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define EXTRA_MAX 8192
#define HEAD_ROOM 512 /* everything of a head but the content type and the extra lines */

#define STATUS_LIST(X)                        \
    X(101, "Switching Protocols")             \
    X(200, "OK")                              \
    X(201, "Created")                         \
    X(202, "Accepted")                        \
    X(204, "No Content")                      \
    X(301, "Moved Permanently")               \
    X(302, "Found")                           \
    X(303, "See Other")                       \
    X(304, "Not Modified")                    \
    X(307, "Temporary Redirect")              \
    X(308, "Permanent Redirect")              \
    X(400, "Bad Request")                     \
    X(401, "Unauthorized")                    \
    X(403, "Forbidden")                       \
    X(404, "Not Found")                       \
    X(405, "Method Not Allowed")              \
    X(406, "Not Acceptable")                  \
    X(408, "Request Timeout")                 \
    X(409, "Conflict")                        \
    X(410, "Gone")                            \
    X(411, "Length Required")                 \
    X(412, "Precondition Failed")             \
    X(413, "Content Too Large")               \
    X(414, "URI Too Long")                    \
    X(415, "Unsupported Media Type")          \
    X(417, "Expectation Failed")              \
    X(422, "Unprocessable Content")           \
    X(426, "Upgrade Required")                \
    X(428, "Precondition Required")           \
    X(429, "Too Many Requests")               \
    X(431, "Request Header Fields Too Large") \
    X(500, "Internal Server Error")           \
    X(501, "Not Implemented")                 \
    X(502, "Bad Gateway")                     \
    X(503, "Service Unavailable")             \
    X(504, "Gateway Timeout")                 \
    X(505, "HTTP Version Not Supported")

/* The first line and the start of the second; the date follows. A status outside the list is a defect of ours. */
static span_t status_line(int *status)
{
    switch (*status) {
#define X(n, text) \
    case n: return SPAN_LIT("HTTP/1.1 " #n " " text "\r\nDate: ");
        STATUS_LIST(X)
#undef X
    }
    *status = 500;
    return SPAN_LIT("HTTP/1.1 500 Internal Server Error\r\nDate: ");
}

static char *put(char *w, const void *p, size_t n)
{
    memcpy(w, p, n);
    return w + n;
}
#define PUT(w, s) put((w), (s), sizeof(s) - 1)

static char *put_u64(char *w, uint64_t v)
{
    char text[20];
    size_t n = 0;
    do {
        text[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n) *w++ = text[--n];
    return w;
}

static void two(char *w, int v)
{
    w[0] = (char)('0' + v / 10 % 10);
    w[1] = (char)('0' + v % 10);
}

/* The Date field is made once in a second. */
static void refresh_date(http_t *h)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t s = loop_wall_us(h->l) / 1000000;
    if (s == h->date_s) return;
    struct tm tm;
    time_t t = (time_t)s;
    if (!gmtime_r(&t, &tm)) return;
    h->date_s = s;
    memcpy(h->date, "Fri, 20 Nov 2026 13:00:00 GMT", 30);
    memcpy(h->date, days + 3 * tm.tm_wday, 3);
    two(h->date + 5, tm.tm_mday);
    memcpy(h->date + 8, months + 3 * tm.tm_mon, 3);
    two(h->date + 12, (tm.tm_year + 1900) / 100);
    two(h->date + 14, (tm.tm_year + 1900) % 100);
    two(h->date + 17, tm.tm_hour);
    two(h->date + 20, tm.tm_min);
    two(h->date + 23, tm.tm_sec);
}

static char *put_head(req_t *r, char *w, int status, const char *type, size_t body_n)
{
    http_t *h = r->h;
    refresh_date(h);
    req_fill_id(r);
    span_t line = status_line(&status);
    w = put(w, line.p, line.n);
    w = put(w, h->date, 29);
    w = PUT(w, "\r\nX-Request-ID: ");
    w = put(w, r->id, r->id_n);
    w = PUT(w, "\r\nX-Content-Type-Options: nosniff\r\n");
    /* Nothing served here is a page: whatever a browser is made to show of it may load and frame nothing. */
    w = PUT(w, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n");
    if (status == 101) return put(w, r->extra, r->extra_n);
    if (type && status != 204 && status != 304) {
        w = PUT(w, "Content-Type: ");
        w = put(w, type, strlen(type));
        w = PUT(w, "\r\n");
    }
    if (status != 204 && status != 304) {
        w = PUT(w, "Content-Length: ");
        w = put_u64(w, body_n);
        w = PUT(w, "\r\n");
    }
    if (!r->no_store_off) w = PUT(w, "Cache-Control: no-store\r\n");
    if (r->extra_n) w = put(w, r->extra, r->extra_n);
    if (r->closes) w = PUT(w, "Connection: close\r\n");
    return PUT(w, "\r\n");
}

/* Does the connection end after this answer? Decided before the head is written, because the head says so. */
static bool must_close(const req_t *r, const conn_t *c, int status)
{
    if (r->closes || r->head.close || r->h->draining || r->internal) return true;
    if (status == 408 || status == 413) return true;
    if (c->cur != r) return false;
    /* Answered before its body: what is left is thrown away, unless the client waits for our word or it is long. */
    return r->head.expect_continue || c->body_left > SKIP_MAX;
}

static void note_done(req_t *r)
{
    http_t *h = r->h;
    if (r->dispatched) h->in_flight--;
    dl_clear(&r->deadline);
    if (!r->internal && h->hooks.on_done) h->hooks.on_done(h->hooks.ctx, r, r->status, mono_ns() - r->start_ns);
}

/* The client has gone: nobody reads the answer, but it is still counted. */
static void answer_nobody(req_t *r)
{
    ctr_inc(r->h->c_lost);
    note_done(r);
    req_finish(r);
}

static void write_answer(req_t *r, conn_t *c, const char *type, const span_t *parts, size_t n, size_t body_n)
{
    outq_t *q = c->first == r ? &c->out : &r->out;
    bool bodiless = r->head.method == M_HEAD || r->status == 204 || r->status == 304;
    size_t need = HEAD_ROOM + (type ? strlen(type) : 0) + r->extra_n + (bodiless ? 0 : body_n);
    char *w = outq_room(q, &r->h->chunks, need);
    if (!w) {
        /* Not even the refusal fits: the connection is all that can be given up. */
        ctr_inc(r->h->c_unsent);
        conn_finish(c);
        return;
    }
    char *from = w;
    w = put_head(r, w, r->status, type, body_n);
    for (size_t i = 0; i < n && !bodiless; i++) {
        if (parts[i].n) w = put(w, parts[i].p, parts[i].n);
    }
    outq_commit(q, (size_t)(w - from));
}

static void answer(req_t *r, int status, const char *type, const span_t *parts, size_t n)
{
    size_t body_n = 0;
    for (size_t i = 0; i < n; i++) body_n += parts[i].n;
    conn_t *c = r->conn;
    r->answered = true;
    r->status = status;
    if (!c) {
        answer_nobody(r);
        return;
    }
    r->closes = must_close(r, c, status);
    write_answer(r, c, type, parts, n, body_n);
    note_done(r);
    conn_answered(c, r);
}

void req_reply_parts(req_t *r, int status, const char *type, const span_t *parts, size_t n)
{
    if (r->answered) return;
    if (r->oom) {
        req_error(r, 503, "STORAGE_UNAVAILABLE", "the request needs more memory than it may use", NULL, 1);
        return;
    }
    answer(r, status, type, parts, n);
}

void req_reply(req_t *r, int status, const char *type, span_t body)
{
    req_reply_parts(r, status, type, &body, 1);
}

/* +-20 %, in whole seconds, so that clients sent away together do not come back together. */
static int jitter(http_t *h, int s)
{
    int spread = s / 5;
    if (spread < 1) return s;
    return s - spread + (int)((h->id_count * 0x9e3779b97f4a7c15u >> 33) % (2 * (uint64_t)spread + 1));
}

static void error_json(buf_t *b, const char *code, const char *message, const char *details, const char *id)
{
    jw_t w;
    buf_reset(b);
    jw_init(&w, b);
    jw_obj(&w);
    jw_key(&w, "success");
    jw_bool(&w, false);
    jw_key(&w, "error");
    jw_obj(&w);
    jw_key(&w, "code");
    jw_cstr(&w, code);
    jw_key(&w, "message");
    jw_cstr(&w, message);
    if (details) {
        jw_key(&w, "details");
        jw_raw(&w, span_of(details));
    }
    jw_end(&w);
    jw_key(&w, "request_id");
    jw_cstr(&w, id);
    jw_end(&w);
}

void req_error(req_t *r, int status, const char *code, const char *message, const char *details, int retry_after_s)
{
    if (r->answered) return;
    if (retry_after_s > 0) {
        char text[16];
        *put_u64(text, (uint64_t)(status == 503 ? jitter(r->h, retry_after_s) : retry_after_s)) = 0;
        req_add_header(r, "Retry-After", text);
    }
    req_fill_id(r);
    error_json(&r->h->text, code, message, details, r->id);
    span_t body = buf_span(&r->h->text);
    answer(r, status, "application/json", &body, 1);
}

static bool extra_room(req_t *r, size_t more)
{
    size_t want = r->extra_n + more;
    if (want <= r->extra_cap) return true;
    if (want > EXTRA_MAX) return false;
    size_t cap = r->extra_cap ? r->extra_cap : 256;
    while (cap < want) cap *= 2;
    char *p = realloc(r->extra, cap);
    if (!p) return false;
    r->extra = p;
    r->extra_cap = cap;
    return true;
}

static bool line_ok(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 && *s != '\t') return false;
        if (*s == 0x7f) return false;
    }
    return true;
}

void req_add_header(req_t *r, const char *name, const char *value)
{
    size_t nn = strlen(name), vn = strlen(value);
    if (r->answered) return;
    /* A header that would split the answer is dropped, not sent. */
    if (!line_ok(name) || !line_ok(value) || !extra_room(r, nn + vn + 4)) {
        log_error("http", req_id(r), "answer header dropped name=%.32s", name);
        return;
    }
    char *w = r->extra + r->extra_n;
    w = put(w, name, nn);
    w = PUT(w, ": ");
    w = put(w, value, vn);
    PUT(w, "\r\n");
    r->extra_n += nn + vn + 4;
    if (http_ieq((span_t){name, nn}, "cache-control")) r->no_store_off = true;
}

void req_close_after(req_t *r)
{
    if (!r->answered) r->closes = true;
}

bool req_upgrade(req_t *r, span_t lines, const conn_ops_t *ops, void *up)
{
    conn_t *c = r->conn;
    if (r->answered || !c || c->first != r || c->last != r || c->cur || r->h->draining) return false;
    if (!extra_room(r, lines.n + 2)) return false;
    memcpy(r->extra, lines.p, lines.n);
    memcpy(r->extra + lines.n, "\r\n", 2);
    r->extra_n = lines.n + 2;
    r->answered = true;
    r->status = 101;
    write_answer(r, c, NULL, NULL, 0, 0);
    if (c->no_more) r->closes = true; /* no memory for the answer */
    note_done(r);
    conn_answered(c, r);
    if (r->closes) return false;
    conn_upgraded(c, ops, up);
    return true;
}
