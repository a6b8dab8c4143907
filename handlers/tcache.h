/* Tokens that were verified a moment ago, so that a busy caller's HMAC and JSON are not repeated. Four-way sets, fixed
 * memory. A hit compares every byte of the token, its MAC in constant time, and the expiry again; a session's life is
 * asked elsewhere, each time. */
#ifndef XORJ_HANDLERS_TCACHE_H
#define XORJ_HANDLERS_TCACHE_H

#include "handlers/jwt.h"

typedef struct {
    claims_t c;
    uint64_t key; /* who it is, for limits and bounds: a keyed hash of kind and wallet or operator name, or of an API key's id */
    bool by_key;  /* an API key, not a sign-in */
} principal_t;

typedef struct tcache tcache_t;
tcache_t *tcache_new(unsigned entries, const uint64_t sip_key[2]); /* rounded up to a power of two; NULL: no memory */
void tcache_free(tcache_t *t);
/* Borrowed until the next tcache_put; NULL when not there or past its expiry. */
const principal_t *tcache_get(tcache_t *t, span_t token, int64_t now_s);
void tcache_clear(tcache_t *t); /* the keys changed */
void tcache_put(tcache_t *t, span_t token, const principal_t *p); /* only tokens of 64 to 1,024 bytes are kept */

#endif
