/* Answers of RPC endpoints and price sources: the first byte chooses the reader. What is accepted is in order: one row per
 * mint, amounts above zero, prices above zero. */
#include <stdint.h>
#include <string.h>

#include "connectors/price_src.h"
#include "connectors/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void tokens(span_t text, bool token2022)
{
    static const uint8_t owner[32] = {0};
    wtokens_t w = {0};
    uint64_t slot;
    if (wallet_read_tokens(text, owner, token2022, &w, &slot) == XE_OK)
        for (unsigned i = 0; i < w.n; i++) {
            XASSERT(w.t[i].amount > 0 && w.t[i].token2022 == token2022);
            for (unsigned k = 0; k < i; k++) XASSERT(memcmp(w.t[i].mint, w.t[k].mint, 32) != 0);
        }
    wtokens_fini(&w);
}

static void mints(span_t text)
{
    wtoken_t t[2] = {{.decimals = -1}, {.decimals = -1, .token2022 = true}};
    wtoken_t *of[2] = {&t[0], &t[1]};
    (void)wallet_read_mints(text, of, 2);
    XASSERT(t[0].decimals >= -1 && t[0].decimals <= 255 && t[1].decimals <= 255);
}

static void prices(price_src_t s, span_t text)
{
    quote_t q[ASSET_N];
    px_t p;
    if (price_src_read(s, text, q) == XE_OK)
        for (int a = 0; a < ASSET_N; a++) XASSERT(!q[a].known || (q[a].usd.raw > 0 && q[a].at_us >= 0));
    if (price_number(text, &p) == XE_OK) XASSERT(p.raw >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t lamports, slot;
    if (n < 1) return 0;
    span_t text = {(const char *)data + 1, n - 1};
    switch (data[0] % 8) {
    case 0: tokens(text, false); break;
    case 1: tokens(text, true); break;
    case 2: mints(text); break;
    case 3: (void)wallet_read_lamports(text, &lamports, &slot); break;
    case 7: {
        quote_t q[ASSET_N];
        if (birdeye_read(text, 1796000000000000, q) == XE_OK) XASSERT(q[ASSET_SOL].usd.raw >= 0);
        break;
    }
    default: prices((price_src_t)(data[0] % 8 - 4), text); break;
    }
    return 0;
}
