/* A request against the limit of its route's class: admitted with RateLimit headers, or refused with 429. */
#ifndef XORJ_HANDLERS_RATE_H
#define XORJ_HANDLERS_RATE_H

#include "handlers/ctx.h"

/* next(r) when it may go on: at once, or from the loop once Redis has counted it for all processes. Classes by address are
 * judged before the token, the others after, by principal where there is one. Held by the caller while this runs. */
void rate_admit(req_t *r, bool before_token, void (*next)(req_t *r));
/* Somebody's token was refused: that counts against the address, in class open, so that guessing has an end. */
bool rate_stranger(req_t *r);

#endif
