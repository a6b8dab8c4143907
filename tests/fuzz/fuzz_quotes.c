/* Quotes over arbitrary pool states, as far as a decoder lets them through: no overflow, no endless walk, and never more
 * spent than was offered. The input is read as a stream of small numbers that become state. */
#include <stdint.h>
#include <string.h>

#include "engine/pump.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_clmm_math.h"
#include "engine/u256.h"
#include "engine/whirl_fee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct { const uint8_t *p; size_t n; } in_t;

static uint64_t bytes(in_t *in, size_t n)
{
    uint64_t v = 0;
    for (; n > 0; n--) {
        v = v << 8 | (in->n ? *in->p : 0);
        if (in->n) in->p++, in->n--;
    }
    return v;
}

/* A width first, so that small and large values are equally near. */
static uint64_t num(in_t *in) { return bytes(in, 8) >> (bytes(in, 1) % 64); }
static u128_t wide(in_t *in) { return ((u128_t)num(in) << 64 | bytes(in, 8)) >> (bytes(in, 1) % 128); }
static bool flag(in_t *in) { return bytes(in, 1) & 1; }
static int32_t tick(in_t *in, int32_t max) { return (int32_t)(bytes(in, 4) % (2 * (uint64_t)max)) - max; }

static const token_fee_t *fee(in_t *in, token_fee_t *f)
{
    if (!flag(in)) return NULL;
    *f = (token_fee_t){.bps = (uint16_t)(bytes(in, 2) % (TOKEN_BPS_ONE + 1)), .max = num(in)};
    return f;
}

static i128_t net_of(in_t *in)
{
    i128_t v = (i128_t)(wide(in) >> 1);
    return flag(in) ? -v : v;
}

static whirl_oracle_t oracle(in_t *in, unsigned spacing)
{
    return (whirl_oracle_t){
        .filter_period = (uint16_t)bytes(in, 1), .decay_period = (uint16_t)bytes(in, 2), .reduction = (uint16_t)(bytes(in, 2) % 10001),
        .control = (uint32_t)(bytes(in, 4) % 100001), .volatility_max = (uint32_t)num(in), .volatility_reference = (uint32_t)num(in),
        .volatility = (uint32_t)num(in), .group_size = (uint16_t)(flag(in) ? 1 : spacing), .major_ticks = (uint16_t)bytes(in, 2),
        .group_reference = tick(in, 1 << 20), .last_reference_at = bytes(in, 2), .last_major_at = bytes(in, 2),
    };
}

static void whirl(in_t *in)
{
    static whirl_array_t a[3];
    token_fee_t fees[2];
    whirl_quote_t q;
    unsigned spacing = 1 + (unsigned)(bytes(in, 1) % 200);
    whirl_pool_t p = {.tick_spacing = (uint16_t)spacing, .fee_rate = (uint16_t)(bytes(in, 2) % 60001), .liquidity = wide(in),
                      .protocol_rate = (uint16_t)(bytes(in, 2) % 2501), .tick = tick(in, WHIRL_TICK_MAX)};
    if (whirl_sqrt_of_tick(p.tick, &p.sqrt_price)) return;
    p.fee_tier_index = flag(in) ? 1024 : p.tick_spacing;
    whirl_oracle_t o = oracle(in, spacing);
    whirl_ask_t ask = {.amount = num(in), .exact_in = flag(in), .a_to_b = flag(in), .oracle = &o, .now = bytes(in, 2), .fee_a = fee(in, &fees[0]),
                       .fee_b = fee(in, &fees[1])};
    int32_t starts[3];
    unsigned n = whirl_sequence(p.tick, spacing, ask.a_to_b, starts);
    for (unsigned i = 0; i < n; i++) {
        a[i].start = starts[i];
        a[i].missing = flag(in);
        a[i].n = 0;
        for (int32_t k = 0; k < WHIRL_ARRAY_TICKS && in->n; k += 1 + (int32_t)(bytes(in, 1) % 30)) {
            int32_t index = starts[i] + k * (int32_t)spacing;
            if (index < WHIRL_TICK_MIN || index > WHIRL_TICK_MAX) continue;
            a[i].ticks[a[i].n++] = (whirl_tick_t){.index = index, .net = net_of(in)};
        }
    }
    if (whirl_quote(&p, a, n, &ask, &q)) return;
    XASSERT(q.tick_after >= WHIRL_TICK_MIN - 1 && q.tick_after <= WHIRL_TICK_MAX && q.sqrt_after >= WHIRL_SQRT_MIN && q.sqrt_after <= WHIRL_SQRT_MAX);
    XASSERT(!ask.exact_in || q.in <= ask.amount || ask.fee_a || ask.fee_b);
    XASSERT(ask.exact_in || q.out <= ask.amount || ask.fee_a || ask.fee_b);
}

static void clmm(in_t *in)
{
    static ray_array_t a[4];
    token_fee_t fees[2];
    ray_clmm_quote_t q;
    unsigned spacing = 1 + (unsigned)(bytes(in, 1) % 120), n = 0;
    ray_clmm_t p = {.tick_spacing = (uint16_t)spacing, .liquidity = wide(in), .tick = tick(in, RAY_TICK_MAX), .fee_on = (ray_fee_side_t)(bytes(in, 1) % 3),
                    .dynamic = flag(in)};
    p.dynfee = (ray_dynfee_t){.filter_period = (uint16_t)bytes(in, 1), .decay_period = (uint16_t)bytes(in, 2), .reduction = (uint16_t)bytes(in, 2),
                              .control = (uint32_t)(bytes(in, 4) % 100002), .volatility_max = (uint32_t)num(in), .volatility_reference = (uint32_t)num(in),
                              .volatility = (uint32_t)num(in), .group_reference = tick(in, 1 << 20), .updated_at = bytes(in, 2)};
    ray_clmm_config_t c = {.trade_rate = (uint32_t)(bytes(in, 3) % 1000001), .protocol_rate = (uint32_t)(bytes(in, 3) % 500001), .fund_rate = (uint32_t)(bytes(in, 3) % 500001)};
    if (ray_sqrt_of_tick(p.tick, &p.sqrt_price)) return;
    ray_clmm_ask_t ask = {.amount = num(in), .exact_in = flag(in), .zero_for_one = flag(in), .now = bytes(in, 2), .fee = {fee(in, &fees[0]), fee(in, &fees[1])}};
    int32_t span = RAY_ARRAY_TICKS * (int32_t)spacing, here = ray_array_start(p.tick, spacing);
    for (int32_t i = 0; i < 4 && in->n; i++) {
        int32_t start = ask.zero_for_one ? here - i * span : here + i * span, bit = start / span + 512;
        if (bit < 0 || bit > 1023 || start > RAY_TICK_MAX || start + span <= RAY_TICK_MIN) continue;
        p.bits[bit / 64] |= 1ull << (bit % 64);
        a[n].start = start;
        a[n].n = 0;
        for (int32_t k = 0; k < RAY_ARRAY_TICKS && in->n; k += 1 + (int32_t)(bytes(in, 1) % 20)) {
            int32_t index = start + k * (int32_t)spacing;
            if (index < RAY_TICK_MIN || index > RAY_TICK_MAX) continue;
            a[n].ticks[a[n].n++] = (ray_tick_t){.index = index, .net = net_of(in), .gross = flag(in), .orders = flag(in) ? num(in) : 0, .part = flag(in) ? num(in) : 0};
        }
        n++;
    }
    if (ray_clmm_quote(&p, &c, a, n, &ask, &q)) return;
    XASSERT(q.in > 0 && q.sqrt_after >= RAY_SQRT_MIN && q.sqrt_after <= RAY_SQRT_MAX);
    XASSERT(!ask.exact_in || q.in <= ask.amount || ask.fee[0] || ask.fee[1]);
}

/* A swap there and back never gains. */
static void curves(in_t *in)
{
    ray_amm_t a = {.fee_den = num(in), .fee_num = num(in), .owed_coin = num(in), .owed_pc = num(in)};
    ray_amm_ask_t ask = {.vault_coin = num(in), .vault_pc = num(in), .amount = num(in), .exact_in = flag(in), .coin_to_pc = flag(in)};
    ray_amm_quote_t q;
    token_fee_t fees[2];
    if (ray_amm_quote(&a, &ask, &q) == XE_OK) {
        uint64_t rin = ask.coin_to_pc ? ask.vault_coin - a.owed_coin : ask.vault_pc - a.owed_pc, rout = ask.coin_to_pc ? ask.vault_pc - a.owed_pc : ask.vault_coin - a.owed_coin;
        XASSERT(q.out <= rout && q.fee <= q.in);
        XASSERT(u256_le(u256_mul(rin, rout), u256_mul((u128_t)rin + q.in, rout - q.out)));
    }
    ray_cpmm_t p = {.protocol_fees = {num(in), num(in)}, .fund_fees = {num(in), num(in)}, .creator_fees = {num(in), num(in)},
                    .creator_fee = flag(in), .creator_side = (ray_fee_side_t)(bytes(in, 1) % 3)};
    ray_cpmm_config_t c = {.trade_rate = num(in), .protocol_rate = num(in), .fund_rate = num(in), .creator_rate = num(in)};
    ray_cpmm_ask_t k = {.vault = {num(in), num(in)}, .amount = num(in), .exact_in = flag(in), .zero_for_one = flag(in), .fee = {fee(in, &fees[0]), fee(in, &fees[1])}};
    ray_cpmm_quote_t r;
    if (ray_cpmm_quote(&p, &c, &k, &r) == XE_OK) XASSERT(r.out <= k.vault[k.zero_for_one ? 1 : 0] && (!k.exact_in || r.in == k.amount));
    pump_curve_t b = {.virtual_token = num(in), .virtual_quote = num(in), .real_token = num(in), .supply = num(in), .creator = {flag(in)}};
    pump_fees_t f = {bytes(in, 2), bytes(in, 2)};
    uint64_t amount = num(in), got, cost;
    int64_t net;
    if (pump_buy_with(&b, &f, amount, &got) == XE_OK && got > 0 && pump_buy_cost(&b, &f, got, &cost) == XE_OK && got < b.real_token) XASSERT(cost <= amount + 2);
    (void)pump_sell(&b, &f, amount, &net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    in_t in = {data, n};
    switch (bytes(&in, 1) % 3) {
    case 0: whirl(&in); break;
    case 1: clmm(&in); break;
    default: curves(&in);
    }
    return 0;
}
