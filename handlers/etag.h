/* Versions as entity tags: "7", or "7-3" where two rows make a state. Strong, opaque to clients. */
#ifndef XORJ_HANDLERS_ETAG_H
#define XORJ_HANDLERS_ETAG_H

#include "handlers/ctx.h"

#define ETAG_PARTS 2
void etag_put(req_t *r, const int64_t *version, unsigned n); /* ETag of the coming answer */
/* The same for an answer that depends on nothing else. True: If-None-Match has it, and 304 was sent. */
bool etag_same(req_t *r, const int64_t *version, unsigned n);
/* If-Match: * or one strong tag. version[0..n-1] gets the versions, all -1: no condition. False: answered, 400 or, for a
 * tag that no version of ours has, 412. */
bool etag_match(req_t *r, int64_t *version, unsigned n);
void etag_failed(req_t *r); /* 412 */

#endif
