/* Decimal numbers of the market: 128-bit integers scaled by 1e-12, prices and quantities as distinct types.
 *
 * Why 128 bits: recorded venues quote from 1e-8 up to 9e12 quote units (Gemini's far asks) and sizes past 1e11 units;
 * no 64-bit scale holds both ends exactly. Text goes to integer and back without a double. A number with non-zero
 * digits past the 12th decimal, or beyond +-1.7e26, is XE_RANGE: the level is refused by rule and counted. */
#ifndef XORJ_ENGINE_DEC_H
#define XORJ_ENGINE_DEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

__extension__ typedef __int128 i128_t;
__extension__ typedef unsigned __int128 u128_t;

#define DEC_SCALE 1000000000000LL /* 1e12 */
#define DEC_TEXT_MAX 48
#define USD_OF_DIVISOR 1000000000000000000ULL /* price times quantity is 1e-24; dollars are 1e-6 */

typedef struct { i128_t raw; } px_t;  /* price: 1e-12 quote units per base unit, >= 0 */
typedef struct { i128_t raw; } qty_t; /* quantity: 1e-12 base units, >= 0 */
typedef struct { int64_t raw; } usd_t; /* 1e-6 dollars (or of the named quote asset), +-9.2e12 */

/* Plain decimal text: digits, at most one point with digits on both sides, no sign, no exponent, at most 64 characters.
 * XE_BAD_INPUT: not that form. XE_RANGE: see above. Zero in any spelling gives raw 0. */
xerr_t dec_parse(span_t text, i128_t *out);
/* Shortest plain form without trailing zeros ("83399.5", "0"); returns length; cap >= DEC_TEXT_MAX. NUL-terminated. */
size_t dec_text(i128_t raw, char *out, size_t cap);
size_t usd_text(usd_t v, char *out, size_t cap); /* six decimals at most, trailing zeros cut, sign kept */

typedef enum { ROUND_DOWN, ROUND_UP } round_t; /* toward -inf / toward +inf */
xerr_t usd_of(px_t px, qty_t qty, round_t dir, usd_t *out); /* price times quantity; XE_RANGE if too big */

#endif
