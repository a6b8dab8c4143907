/* Sign-in messages: whatever the strict reader accepts, the writer makes again byte for byte. */
#include <stdint.h>

#include "base/buf.h"
#include "handlers/siws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    span_t text = {(const char *)data, n};
    siws_t m;
    buf_t again;
    if (n > SIWS_TEXT_MAX || siws_parse(text, &m)) return 0;
    buf_init(&again, 2 * SIWS_TEXT_MAX);
    siws_build(&m, &again);
    XASSERT(!again.failed && span_eq(buf_span(&again), text));
    buf_fini(&again);
    return 0;
}
