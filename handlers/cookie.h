/* Sessions in a cookie, for the console: the token is out of a script's reach (HttpOnly), and a write must prove that the
 * site itself sends it.
 *
 * The proof: an Origin that is this site's or in server.allowed_origins; where no Origin is sent, X-CSRF-Token, a value
 * derived from the session under the token keys, told by sign-in, refresh and GET /api/auth/session. A foreign Origin
 * or a wrong token is refused whatever else is right. */
#ifndef XORJ_HANDLERS_COOKIE_H
#define XORJ_HANDLERS_COOKIE_H

#include "handlers/ctx.h"

#define CSRF_LEN 43

/* The session's token. False: no such cookie, or more than one. */
bool cookie_token(const req_t *r, span_t *token);
void cookie_set(req_t *r, const char *token, int64_t max_age_s); /* "", 0: taken back */
void csrf_token(const jwt_keys_t *k, const char *jti, char out[CSRF_LEN + 1]);
/* NULL: the site's own doing. Else what is wrong, fit for a client. */
const char *csrf_fault(const req_t *r, const char *jti);
/* An Origin that may neither write with a cookie nor be given one. */
bool origin_foreign(const req_t *r);

#endif
