#include "handlers/answer.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/idem.h"
#include "handlers/text.h"
#include "reactor/log.h"

enum { OUT_MAX = 8 << 20, MESSAGE_MAX = 384 };

static const char VALIDATION[] = "VALIDATION_ERROR", STORAGE[] = "STORAGE_UNAVAILABLE", UPSTREAM[] = "UPSTREAM_ERROR";

answer_t answer_of(xerr_t err, method_t method)
{
    bool read = method == M_GET || method == M_HEAD;
    switch (err) {
    case XE_OK: break;
    case XE_BAD_INPUT: return (answer_t){400, VALIDATION, "The request is not valid", 0};
    case XE_RANGE: return (answer_t){400, VALIDATION, "A number is out of its range", 0};
    case XE_TOO_BIG: return (answer_t){413, VALIDATION, "The request is too large", 0};
    case XE_AUTH: return (answer_t){401, "AUTHENTICATION_ERROR", "A valid token is required", 0};
    case XE_DENIED: return (answer_t){403, "AUTHORIZATION_ERROR", "This is not allowed with this token", 0};
    case XE_NOT_FOUND: return (answer_t){404, "NOT_FOUND", "There is no such thing", 0};
    case XE_CONFLICT: return (answer_t){409, "CONFLICT", "The resource changed meanwhile", 0};
    case XE_UNSUPPORTED: return (answer_t){422, VALIDATION, "This is refused by a rule", 0};
    case XE_STALE: case XE_GAP: case XE_CROSSED: case XE_DEPTH:
        return (answer_t){503, UPSTREAM, "Market data is not usable now", 2};
    case XE_DOWN: case XE_CLOSED: return (answer_t){503, STORAGE, "Storage is not available now", 2};
    case XE_FULL: case XE_AGAIN: return (answer_t){503, STORAGE, "Too much work is waiting, try again", 1};
    case XE_TIMEOUT: return (answer_t){read ? 504 : 503, read ? "TIMEOUT" : STORAGE, "The deadline of the request passed", read ? 0 : 2};
    case XE_INTERNAL: break;
    }
    return (answer_t){500, "INTERNAL_ERROR", "The server failed to answer", 0};
}

void h_fail(req_t *r, xerr_t err) { h_fail_why(r, err, NULL); }

void h_fail_why(req_t *r, xerr_t err, const char *message)
{
    answer_t a = answer_of(err, req_method(r));
    if (a.status == 401) req_add_header(r, "WWW-Authenticate", "Bearer");
    if (a.status == 500) log_error("http", req_id(r), "no answer could be made err=%s", xerr_name(err));
    h_refuse(r, a.status, a.code, message ? message : a.message, a.retry_s);
}

void h_refuse(req_t *r, int status, const char *code, const char *message, int retry_s)
{
    if (!idem_refused(r, status, code, message, retry_s)) req_error(r, status, code, message, NULL, retry_s);
}

void h_bad(req_t *r, const char *name, const char *what)
{
    char text[MESSAGE_MAX];
    snprintf(text, sizeof text, "%s: %s", name, what);
    h_fail_why(r, XE_BAD_INPUT, text);
}

void h_unknown_key(req_t *r, const char *where, span_t key)
{
    char text[MESSAGE_MAX], shown[264];
    snprintf(text, sizeof text, "Unrecognized key(s) in %s: '%s'", where, log_esc(key, shown, sizeof shown));
    h_fail_why(r, XE_BAD_INPUT, text);
}

/* One entity tag of a list, W/ cut off: weak comparison, as RFC 9110 wants it for this field. */
static bool next_tag(span_t *list, span_t *tag)
{
    while (list->n && strchr(" \t,", *list->p)) *list = span_make(list->p + 1, list->n - 1);
    if (list->n > 2 && list->p[0] == 'W' && list->p[1] == '/') *list = span_make(list->p + 2, list->n - 2);
    if (list->n < 2 || *list->p != '"') return false;
    const char *end = memchr(list->p + 1, '"', list->n - 1);
    if (!end) return false;
    *tag = span_make(list->p, (size_t)(end + 1 - list->p));
    *list = span_make(end + 1, list->n - tag->n);
    return true;
}

static bool has_tag(const req_t *r, const char *etag)
{
    span_t list, tag, mine = span_of(etag);
    if (!req_header(r, "if-none-match", &list)) return false;
    if (span_is(list, "*")) return true;
    if (mine.p[0] == 'W') mine = span_make(mine.p + 2, mine.n - 2);
    while (next_tag(&list, &tag))
        if (span_eq(tag, mine)) return true;
    return false;
}

bool h_unchanged(req_t *r, const char *etag)
{
    bool read = req_method(r) == M_GET || req_method(r) == M_HEAD;
    req_add_header(r, "ETag", etag);
    if (!read || !has_tag(r, etag)) return false;
    req_reply(r, 304, NULL, span_make(NULL, 0));
    return true;
}

bool h_wallet(req_t *r, const char *name, span_t text, uint8_t key[32])
{
    if (!b58_key(text, key)) return true;
    h_bad(r, name, "32 to 44 base58 characters that decode to 32 bytes are expected");
    return false;
}

void out_init(out_t *o)
{
    buf_init(&o->b, OUT_MAX);
    jw_init(&o->w, &o->b);
    jw_obj(&o->w);
}

void out_send(out_t *o, req_t *r, int status)
{
    jw_end(&o->w);
    if (o->b.failed) h_fail(r, XE_INTERNAL);
    else if (!idem_answer(r, status, buf_span(&o->b))) req_reply(r, status, "application/json", buf_span(&o->b));
    buf_fini(&o->b);
}

void out_drop(out_t *o) { buf_fini(&o->b); }

bool out_unchanged(out_t *o, req_t *r)
{
    uint8_t sum[32];
    char tag[40] = "W/\"";
    sha256(o->b.p, o->b.n, sum);
    hex_encode(sum, 12, tag + 3);
    memcpy(tag + 27, "\"", 2);
    if (o->b.failed || !h_unchanged(r, tag)) return false;
    out_drop(o);
    return true;
}

void put_str(jw_t *w, const char *key, const char *v)
{
    jw_key(w, key);
    jw_cstr(w, v);
}

void put_text_or_null(jw_t *w, const char *key, const char *v) { put_str(w, key, v && *v ? v : NULL); }

void put_i64(jw_t *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

void put_bool(jw_t *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void put_null(jw_t *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

void put_time(jw_t *w, const char *key, int64_t unix_us)
{
    jw_key(w, key);
    if (unix_us > 0) jw_time_us(w, unix_us);
    else jw_null(w);
}

void put_decimal(jw_t *w, const char *key, const char *v)
{
    char twin[64];
    bool ok = text_is_decimal(span_of(v));
    jw_key(w, key);
    if (ok) jw_raw(w, span_of(v));
    else jw_null(w);
    snprintf(twin, sizeof twin, "%s_str", key);
    put_str(w, twin, ok ? v : NULL);
}
