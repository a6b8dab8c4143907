/* Account layouts: the first byte chooses the decoder, the second the tick spacing. What is accepted must be something
 * the mathematics can work with. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pump.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_clmm_math.h"
#include "engine/token.h"
#include "engine/whirl_fee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void tokens(const uint8_t *p, size_t n)
{
    token_account_t a;
    token_mint_t m;
    lookup_table_t t;
    nonce_account_t k;
    token_ext_t x;
    if (token_account_decode(p, n, &a) == XE_OK || token_mint_decode(p, n, &m) == XE_OK)
        for (size_t at = 0; n > TOKEN_ACCOUNT_LEN && token_ext_next(p, n, &at, &x);) XASSERT(x.value >= p && x.value + x.n <= p + n);
    if (token_mint_decode(p, n, &m) == XE_OK && m.has_fee) {
        uint64_t gross, net = n * 1000003;
        XASSERT(token_fee_of(&m.newer, net) <= net && token_fee_at(&m, 0) != NULL);
        if (token_gross_of(&m.older, net, &gross) == XE_OK) XASSERT(gross - token_fee_of(&m.older, gross) >= net || m.older.bps == TOKEN_BPS_ONE);
    }
    if (lookup_table_decode(p, n, &t) == XE_OK) XASSERT(t.n <= LOOKUP_MAX && t.keys + 32 * (size_t)t.n <= p + n);
    (void)nonce_decode(p, n, &k);
}

static void whirlpool(const uint8_t *p, size_t n, unsigned spacing)
{
    static whirl_array_t a;
    whirl_pool_t w;
    whirl_oracle_t o;
    if (whirl_pool_decode(p, n, &w) == XE_OK) XASSERT(w.tick_spacing > 0 && w.sqrt_price >= WHIRL_SQRT_MIN);
    if (whirl_oracle_decode(p, n, &o) == XE_OK) {
        w = (whirl_pool_t){.tick_spacing = (uint16_t)spacing};
        (void)whirl_oracle_sane(&o, &w);
    }
    if (whirl_array_decode(p, n, spacing, &a)) return;
    for (unsigned i = 0; i < a.n; i++) {
        XASSERT((a.ticks[i].index - a.start) % (int32_t)spacing == 0 && a.ticks[i].index >= a.start);
        XASSERT(i == 0 || a.ticks[i].index > a.ticks[i - 1].index);
    }
}

static void clmm(const uint8_t *p, size_t n, unsigned spacing)
{
    static ray_array_t a;
    static ray_bits_t bits;
    ray_clmm_t c;
    ray_clmm_config_t k;
    int32_t next;
    bool more = ray_bits_decode(p, n, &bits) == XE_OK;
    if (ray_clmm_decode(p, n, &c) == XE_OK) {
        for (int down = 0; down < 2; down++) {
            int32_t at = ray_array_start(c.tick, c.tick_spacing);
            for (int i = 0; i < 2000 && ray_next_array(&c, more ? &bits : NULL, at, down, i == 0, &next) == XE_OK; i++) {
                XASSERT(next % (RAY_ARRAY_TICKS * c.tick_spacing) == 0 && (i == 0 || (down ? next < at : next > at)));
                at = next;
            }
        }
    }
    (void)ray_clmm_config_decode(p, n, &k);
    if (ray_array_decode(p, n, spacing, &a)) return;
    for (unsigned i = 1; i < a.n; i++) XASSERT(a.ticks[i].index > a.ticks[i - 1].index);
}

static void curves(const uint8_t *p, size_t n)
{
    ray_amm_t a;
    ray_cpmm_t c;
    ray_cpmm_config_t k;
    pump_curve_t b;
    u128_t cap;
    if (ray_amm_decode(p, n, &a) == XE_OK) XASSERT(a.fee_num < a.fee_den);
    (void)ray_cpmm_decode(p, n, &c);
    (void)ray_cpmm_config_decode(p, n, &k);
    if (pump_curve_decode(p, n, &b) == XE_OK) (void)pump_market_cap(&b, &cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) return 0;
    uint8_t *copy = malloc(n > 2 ? n - 2 : 1); /* of exact size, so that one byte too far is seen */
    if (!copy) return 0;
    memcpy(copy, data + 2, n - 2);
    unsigned spacing = data[1] ? data[1] : 1;
    switch (data[0] % 4) {
    case 0: tokens(copy, n - 2); break;
    case 1: whirlpool(copy, n - 2, spacing); break;
    case 2: clmm(copy, n - 2, spacing); break;
    default: curves(copy, n - 2);
    }
    free(copy);
    return 0;
}
