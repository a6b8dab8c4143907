/* What the files about operators share. */
#ifndef XORJ_HANDLERS_OPERATORS_H
#define XORJ_HANDLERS_OPERATORS_H

#include "handlers/ctx.h"

extern const schema_t success_answer[]; /* {success} */
void h_done(void *ctx, xerr_t err);     /* {success:true} or the error's answer; ctx is the held request, dropped */
void h_busy(req_t *r);                  /* 429: as many sign-ins wait as may */
bool h_account(req_t *r);               /* false: answered (403), the token belongs to no account */

#define USERNAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$"
int username_fits(const char *p, size_t n);
int code_fits(const char *p, size_t n); /* of a second factor */

#endif
