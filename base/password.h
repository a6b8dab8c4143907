/* Passwords: Argon2id hashes as PHC text ("$argon2id$v=19$m=..,t=..,p=..$salt$hash"), and which passwords are refused.
 *
 * A hash costs about 20 ms and 19 MiB on purpose: call these from a worker (reactor/worker.h), never from the loop. The
 * memory is mapped for the one hash and given back behind it. libargon2's types stay in password.c. RFC 9106. */
#ifndef XORJ_BASE_PASSWORD_H
#define XORJ_BASE_PASSWORD_H

#include "base/err.h"
#include "base/span.h"

#define PASSWORD_MIN 10 /* bytes of a new password */
#define PASSWORD_MAX 128
#define PASSWORD_HASH_MAX 160 /* the text and a NUL */

/* XE_RANGE: longer than PASSWORD_MAX or empty. XE_FULL: no memory for it. */
xerr_t password_hash(span_t password, char out[PASSWORD_HASH_MAX]);
/* XE_AUTH: another password. XE_INTERNAL: hash is no text of ours. XE_FULL: no memory for it. */
xerr_t password_verify(span_t password, const char *hash);
/* A hash that no password has, at once: what a name that nobody bears is measured against, at the same cost. */
void password_dummy(char out[PASSWORD_HASH_MAX]);

/* Why this may not become the password of that account, as words for its owner; NULL: it may. */
const char *password_weakness(span_t password, span_t username);

/* One that nobody guesses: 24 characters, 120 bits, no look-alikes. */
void password_random(char out[25]);

void secret_wipe(void *p, size_t n); /* not optimised away */

#endif
