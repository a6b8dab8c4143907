/* Times as text (RFC 3339) and as microseconds since 1970 UTC. Years 1970 to 9999, no leap second. Pure. */
#ifndef XORJ_BASE_RFC3339_H
#define XORJ_BASE_RFC3339_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define RFC3339_MS_LEN 24
#define RFC3339_US_LEN 27

/* Upper-case T and Z, or a numeric offset; none or 1 to 9 fraction digits, those past the microsecond are cut.
 * XE_BAD_INPUT otherwise. */
xerr_t rfc3339_parse(span_t text, int64_t *unix_us);
/* "2026-11-20T13:00:00.000Z" and a NUL. A time outside the years is written as the nearest one inside. */
void rfc3339_ms(int64_t unix_ms, char out[RFC3339_MS_LEN + 1]);
void rfc3339_us(int64_t unix_us, char out[RFC3339_US_LEN + 1]); /* the same with six decimals */

#endif
