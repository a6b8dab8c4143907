/* How handlers answer: one table from error codes to status, code and text; JSON objects built with the one writer. */
#ifndef XORJ_HANDLERS_ANSWER_H
#define XORJ_HANDLERS_ANSWER_H

#include "base/buf.h"
#include "reactor/http.h"
#include "reactor/json.h"

typedef struct {
    int status;
    const char *code, *message;
    int retry_s; /* > 0: Retry-After */
} answer_t;
/* method tells reads from writes: a read that took too long is 504, a write 503. */
answer_t answer_of(xerr_t err, method_t method);

void h_fail(req_t *r, xerr_t err);                                     /* the table's text */
void h_fail_why(req_t *r, xerr_t err, const char *message);            /* own text; copied */
/* Any other refusal; message is copied. Handlers refuse through these, never through req_error: see idem.h. */
void h_refuse(req_t *r, int status, const char *code, const char *message, int retry_s);
void h_bad(req_t *r, const char *name, const char *what);              /* 400 "name: what" */
void h_unknown_key(req_t *r, const char *where, span_t key);           /* 400 Unrecognized key(s) in where: 'key' */

/* Gives the coming answer this ETag (quotes included). True: If-None-Match has it, 304 was answered. GET and HEAD only. */
bool h_unchanged(req_t *r, const char *etag);

/* The 32 bytes of a wallet address given as `name`. False: answered (400). */
bool h_wallet(req_t *r, const char *name, span_t text, uint8_t key[32]);

/* A JSON object on its way out: out_init opens it, out_send closes, sends and frees it. */
typedef struct {
    buf_t b;
    jw_t w;
} out_t;
void out_init(out_t *o);
void out_send(out_t *o, req_t *r, int status);
void out_drop(out_t *o); /* instead of out_send */
/* A weak ETag over what was written so far: for answers whose last members are times that change with every look. True:
 * the client has it, 304 was answered and o is dropped. */
bool out_unchanged(out_t *o, req_t *r);

/* key and value in one line each. text_or_null: NULL or "" writes null. */
void put_str(jw_t *w, const char *key, const char *v);
void put_text_or_null(jw_t *w, const char *key, const char *v);
void put_i64(jw_t *w, const char *key, int64_t v);
void put_bool(jw_t *w, const char *key, bool v);
void put_null(jw_t *w, const char *key);
void put_time(jw_t *w, const char *key, int64_t unix_us); /* 0 writes null */
/* key as a JSON number and key_str as its exact text; both null when v is not a decimal. */
void put_decimal(jw_t *w, const char *key, const char *v);

#endif
