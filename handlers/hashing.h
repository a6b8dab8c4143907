/* Passwords measured and made on the worker threads, for handlers. The bound is taken before anything else is done for a
 * request, so a storm of sign-ins is refused at the door and costs neither a query nor a hash. */
#ifndef XORJ_HANDLERS_HASHING_H
#define XORJ_HANDLERS_HASHING_H

#include "base/password.h"
#include "handlers/ctx.h"

/* One of the places for requests that hash; false: answered (429). Given back by hashing_leave, once. */
bool hashing_enter(req_t *r);
void hashing_leave(api_t *a);

/* What is to be done: `password` is measured against `hash` unless that is empty, and then, if it fits and `fresh` is not
 * empty, fresh is hashed. Borrowed until the call returns. */
typedef struct {
    span_t password, fresh;
    const char *hash;
} hashing_t;
/* err XE_OK: it fits, and made holds the new hash ("" without one). XE_AUTH: it does not. XE_FULL, XE_CLOSED, XE_TIMEOUT (it waited
 * longer than a request may): not done. */
typedef void (*hashed_cb)(void *ctx, xerr_t err, const char *made);
void hashing_ask(api_t *a, const hashing_t *in, hashed_cb cb, void *ctx);

/* 400 with the reason when it may not be a password of that account. */
bool password_good(req_t *r, const char *field, span_t password, span_t username);

#endif
