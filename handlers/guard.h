/* Who is calling: the Authorization header, an API key or a ticket to a principal, and whether its session lives. */
#ifndef XORJ_HANDLERS_GUARD_H
#define XORJ_HANDLERS_GUARD_H

#include "handlers/ctx.h"

/* Sets call->who and call->known, and calls next(r, err) once: at once when memory can tell, else from the loop.
 * XE_AUTH: not signed in. XE_DOWN and the like: nobody could be asked. Routes that need no token get XE_OK unasked.
 * The request must be held by the caller while this runs. */
void guard_identify(req_t *r, void (*next)(req_t *r, xerr_t err));
/* Role and ownership: XE_DENIED. Call after guard_identify. */
xerr_t guard_admit(const req_t *r);

/* True when the numeric address is one of a comma-separated list. */
bool addr_in_list(const char *addr, const char *list);
bool addr_is_loopback(const char *addr);

#endif
