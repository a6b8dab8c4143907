/* Users, sessions and used sign-in nonces.
 *
 * A session is known by its jti. Truth is the row in PostgreSQL; Redis holds a mirror that is asked only while
 * PostgreSQL is away, and process memory a short-lived copy (5 s), so a revoked session is never let in again. */
#ifndef XORJ_STORAGE_USERS_H
#define XORJ_STORAGE_USERS_H

#include "storage/store.h"

typedef struct {
    char jti[37];
    char user_id[37]; /* of the wallet's user; the name of an operator */
    char wallet[48];  /* "" for operators and API keys */
    int64_t issued_s, expires_s; /* seconds since 1970 */
    int64_t seen_us;             /* last use known; 0: does not end by being idle */
    bool limited;                /* an operator whose password must be changed first */
} session_t;

typedef void (*session_cb)(void *ctx, xerr_t err, const session_t *s);

/* XE_AUTH: unknown, expired or revoked. XE_DOWN: nobody could be asked. May answer from memory (still asynchronous);
 * session_peek answers at once when memory is fresh, so that hot reads need no round trip. */
void session_check(store_t *s, span_t jti, session_cb cb, void *ctx);
const session_t *session_peek(store_t *s, span_t jti); /* NULL: not in memory or older than 5 s */
/* The two above count as a use of a wallet session, which puts off the end that being idle brings (auth.wallet_idle_s, a
 * twentieth more at most); this one does not. */
void session_watch(store_t *s, span_t jti, session_cb cb, void *ctx);

/* Marks a nonce as used, whatever comes of the attempt: XE_CONFLICT when it was used before. Durable. */
void nonce_consume(store_t *s, span_t nonce, span_t wallet, int64_t expires_s, void (*cb)(void *ctx, xerr_t err), void *ctx);

/* First sign-in creates user, settings and bot row with the session in one transaction. in: jti, wallet, issued_s,
 * expires_s. The answer has user_id. */
void session_create(store_t *s, const session_t *in, const who_t *who, session_cb cb, void *ctx);
/* A new session, next, takes the place of jti until the same end; jti is refused everywhere by then. in: next's jti and
 * issued_s. XE_AUTH: jti does not live. */
void session_refresh(store_t *s, span_t jti, const session_t *next, const who_t *who, session_cb cb, void *ctx);
/* Refused everywhere by the time cb says XE_OK. XE_NOT_FOUND: no such session. */
void session_revoke(store_t *s, span_t jti, const who_t *who, void (*cb)(void *ctx, xerr_t err), void *ctx);

#endif
