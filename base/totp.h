/* One-time codes of an authenticator app: RFC 6238 with the common figures, HMAC-SHA-1, 30 s, six digits. Pure. */
#ifndef XORJ_BASE_TOTP_H
#define XORJ_BASE_TOTP_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define TOTP_SECRET_LEN 20
#define TOTP_TEXT_LEN 32 /* the secret in base32 (RFC 4648), without padding */
#define TOTP_DIGITS 6

uint32_t totp_code(const uint8_t secret[TOTP_SECRET_LEN], int64_t step); /* the six digits as a number */
/* Codes of the step before, of this and of the next are taken, but none of a step up to `used`: a code works once.
 * XE_AUTH: none of them. *step gets the one that fitted. Time does not tell how many digits were right. */
xerr_t totp_check(const uint8_t secret[TOTP_SECRET_LEN], span_t code, int64_t now_s, int64_t used, int64_t *step);
void totp_text(const uint8_t secret[TOTP_SECRET_LEN], char out[TOTP_TEXT_LEN + 1]);

#endif
