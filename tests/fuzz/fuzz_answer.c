/* libFuzzer: what another server answers. The result must not depend on how the bytes were cut.
 * Build: clang -fsanitize=fuzzer,address,undefined -I. this reactor/httpc_answer.c base/buf.c base/err.c */
#include <stdint.h>

#include "base/err.h"
#include "reactor/httpc_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static xerr_t feed(answer_t *a, span_t in, size_t step, size_t *done)
{
    xerr_t err = XE_AGAIN;
    *done = 0;
    while (*done < in.n && err == XE_AGAIN) {
        size_t m = in.n - *done < step ? in.n - *done : step, used = 0;
        err = answer_feed(a, (span_t){in.p + *done, m}, &used);
        XASSERT(used <= m && (err != XE_AGAIN || used == m));
        *done += used;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    answer_t whole, cut;
    size_t used_whole, used_cut;
    url_t url;
    if (!n) return 0;
    span_t in = {(const char *)data + 1, n - 1};
    answer_init(&whole, 4096, false);
    answer_init(&cut, 4096, false);
    xerr_t a = feed(&whole, in, n, &used_whole), b = feed(&cut, in, data[0] % 17u + 1, &used_cut);
    XASSERT(a == b);
    if (!a) XASSERT(used_whole == used_cut && span_eq(buf_span(&whole.body), buf_span(&cut.body)));
    answer_end(&whole);
    answer_fini(&whole);
    answer_fini(&cut);
    if (!url_parse(in, &url)) XASSERT(url.port && url.host[0]);
    return 0;
}
