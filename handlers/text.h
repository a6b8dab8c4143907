/* Text forms that requests and answers share: hundredths of a basis point, plain decimals, words. Pure. */
#ifndef XORJ_HANDLERS_TEXT_H
#define XORJ_HANDLERS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* A JSON number as an exact count of hundredths: "12.5" gives 1250. At most two decimals that are not zero (an exponent
 * is applied exactly first). XE_BAD_INPUT: not a number; XE_RANGE: more decimals or beyond 32 bits. */
xerr_t text_x100(span_t text, int32_t *out);
/* A JSON number in units of 10^-places, rounded down; *exact tells whether anything was cut. XE_BAD_INPUT: not a number of
 * at most 64 characters with an exponent of at most three digits; XE_RANGE: beyond 64 bits. */
xerr_t text_scaled(span_t text, unsigned places, int64_t *floor, bool *exact);
bool text_is_number(span_t text); /* spelled as JSON does, within those bounds */
/* Digits only, 1 to 18 of them. */
xerr_t text_u63(span_t text, int64_t *out);
/* True when text is a plain decimal that may stand in JSON as a number: optional minus, no leading zeros, no exponent. */
bool text_is_decimal(span_t text);
/* True when 1 <= n <= max and every byte is a letter, a digit or in also. */
bool text_is_word(span_t text, size_t max, const char *also);

#endif
