/* Decimals: what parses is written as the shortest text of the same number. */
#include <stdint.h>

#include "engine/dec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    span_t text = {(const char *)data, n};
    char again[DEC_TEXT_MAX];
    i128_t v = 0, w = 0;
    if (dec_parse(text, &v)) return 0;
    XASSERT(v >= 0);
    size_t len = dec_text(v, again, sizeof again);
    XASSERT(len > 0 && len < sizeof again && (len <= n || n == 0));
    XASSERT(dec_parse(span_make(again, len), &w) == XE_OK && v == w);
    return 0;
}
