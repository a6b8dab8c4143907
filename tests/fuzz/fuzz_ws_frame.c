/* libFuzzer: a client's websocket bytes. The events must not depend on how the bytes were cut, and every text handed
 * out is UTF-8 within the limit. Build: clang -fsanitize=fuzzer,address,undefined -I. this reactor/ws_frame.c base/codec.c base/err.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "reactor/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const ws_limits_t lim = {300, 8};

/* A hash of everything that came out. */
static uint64_t run(const uint8_t *data, size_t n, size_t step)
{
    ws_rx_t rx = {0};
    ws_ev_t ev = {0};
    uint64_t sum = 1469598103934665603u;
    for (size_t at = 0; at < n && ev.kind < WS_RX_CLOSE; at += step) {
        size_t m = n - at < step ? n - at : step;
        char *copy = malloc(m), *from = copy;
        if (!copy) abort();
        memcpy(copy, data + at, m);
        do {
            ws_rx_next(&rx, &lim, &from, &m, &ev);
            if (ev.kind == WS_RX_TEXT) XASSERT(ev.body.n <= lim.msg_max && utf8_valid(ev.body));
            if (ev.kind == WS_RX_CLOSE) XASSERT(ev.code == 1005 || ws_close_code_ok(ev.code));
            if (ev.kind != WS_RX_MORE) sum = (sum ^ (uint64_t)ev.kind ^ ev.code << 8) * 1099511628211u;
            for (size_t i = 0; i < ev.body.n; i++) sum = (sum ^ (uint8_t)ev.body.p[i]) * 1099511628211u;
        } while (ev.kind != WS_RX_MORE && ev.kind < WS_RX_CLOSE);
        free(copy);
    }
    ws_rx_fini(&rx);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 4096) return 0;
    uint64_t whole = run(data, n, n ? n : 1);
    XASSERT(whole == run(data, n, 1));
    XASSERT(whole == run(data, n, 7));
    return 0;
}
