#include <string.h>

#include "engine/bytes.h"
#include "engine/whirl_math.h"

#define FIXED_LEN 9988
#define DYNAMIC_HEAD 60
#define DYNAMIC_MAX 10004
#define TICK_LEN 112 /* without the flag in front */

static const uint8_t pool_tag[8] = {0x3f, 0x95, 0xd1, 0x0c, 0xe1, 0x80, 0x63, 0x09};
static const uint8_t fixed_tag[8] = {0x45, 0x61, 0xbd, 0xbe, 0x6e, 0x07, 0x42, 0xbb};
static const uint8_t dynamic_tag[8] = {0x11, 0xd8, 0xf6, 0x8e, 0xe1, 0xc7, 0xda, 0x38};
static const uint8_t oracle_tag[8] = {0x8b, 0xc2, 0x83, 0xb3, 0x8c, 0xb3, 0xe5, 0xf4};

xerr_t whirl_pool_decode(const uint8_t *p, size_t n, whirl_pool_t *out)
{
    if (n != WHIRL_POOL_LEN || memcmp(p, pool_tag, sizeof pool_tag) != 0) return XE_BAD_INPUT;
    whirl_pool_t w = {
        .tick_spacing = get16(p + 41), .fee_tier_index = get16(p + 43), .fee_rate = get16(p + 45), .protocol_rate = get16(p + 47),
        .liquidity = get128(p + 49), .sqrt_price = get128(p + 65), .tick = (int32_t)get32(p + 81),
    };
    memcpy(w.mint_a, p + 101, 32);
    memcpy(w.vault_a, p + 133, 32);
    memcpy(w.mint_b, p + 181, 32);
    memcpy(w.vault_b, p + 213, 32);
    if (w.tick_spacing == 0 || w.protocol_rate > WHIRL_SHARE_ONE) return XE_BAD_INPUT;
    if (w.sqrt_price < WHIRL_SQRT_MIN || w.sqrt_price > WHIRL_SQRT_MAX) return XE_BAD_INPUT;
    if (w.tick < WHIRL_TICK_MIN - 1 || w.tick > WHIRL_TICK_MAX) return XE_BAD_INPUT; /* one below the range after a fall to its end */
    *out = w;
    return XE_OK;
}

static xerr_t push_tick(whirl_array_t *a, int32_t offset, unsigned spacing, const uint8_t *t)
{
    int32_t index = a->start + offset * (int32_t)spacing;
    if (index < WHIRL_TICK_MIN || index > WHIRL_TICK_MAX) return XE_BAD_INPUT;
    a->ticks[a->n++] = (whirl_tick_t){.index = index, .net = (i128_t)get128(t), .gross = get128(t + 16)};
    return XE_OK;
}

static xerr_t decode_fixed(const uint8_t *p, size_t n, unsigned spacing, whirl_array_t *a)
{
    if (n != FIXED_LEN) return XE_BAD_INPUT;
    memcpy(a->pool, p + 9956, 32);
    for (int32_t i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        const uint8_t *t = p + 12 + (size_t)i * (TICK_LEN + 1);
        if (t[0] > 1) return XE_BAD_INPUT;
        if (t[0] == 1 && push_tick(a, i, spacing, t + 1)) return XE_BAD_INPUT;
    }
    return XE_OK;
}

static xerr_t decode_dynamic(const uint8_t *p, size_t n, unsigned spacing, whirl_array_t *a)
{
    if (n < DYNAMIC_HEAD || n > DYNAMIC_MAX) return XE_BAD_INPUT;
    u128_t bitmap = get128(p + 44);
    size_t at = DYNAMIC_HEAD;
    memcpy(a->pool, p + 12, 32);
    for (int32_t i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        if (at >= n || p[at] > 1) return XE_BAD_INPUT;
        bool used = p[at++] == 1;
        if (used != (bool)(bitmap >> i & 1)) return XE_BAD_INPUT;
        if (!used) continue;
        if (n - at < TICK_LEN || push_tick(a, i, spacing, p + at)) return XE_BAD_INPUT;
        at += TICK_LEN;
    }
    return XE_OK;
}

xerr_t whirl_array_decode(const uint8_t *p, size_t n, unsigned tick_spacing, whirl_array_t *out)
{
    if (n < 12 || tick_spacing == 0 || tick_spacing > UINT16_MAX) return XE_BAD_INPUT;
    whirl_array_t a = {.start = (int32_t)get32(p + 8)};
    int32_t span = (int32_t)(WHIRL_ARRAY_TICKS * tick_spacing);
    if (a.start > WHIRL_TICK_MAX || a.start <= WHIRL_TICK_MIN - span || a.start % span != 0) return XE_BAD_INPUT;
    xerr_t err = XE_BAD_INPUT;
    if (memcmp(p, fixed_tag, sizeof fixed_tag) == 0) err = decode_fixed(p, n, tick_spacing, &a);
    else if (memcmp(p, dynamic_tag, sizeof dynamic_tag) == 0) err = decode_dynamic(p, n, tick_spacing, &a);
    if (!err) *out = a;
    return err;
}

xerr_t whirl_oracle_decode(const uint8_t *p, size_t n, whirl_oracle_t *out)
{
    if (n != WHIRL_ORACLE_LEN || memcmp(p, oracle_tag, sizeof oracle_tag) != 0) return XE_BAD_INPUT;
    whirl_oracle_t o = {
        .enabled_from = get64(p + 40), .filter_period = get16(p + 48), .decay_period = get16(p + 50), .reduction = get16(p + 52),
        .control = get32(p + 54), .volatility_max = get32(p + 58), .group_size = get16(p + 62), .major_ticks = get16(p + 64),
        .last_reference_at = get64(p + 82), .last_major_at = get64(p + 90), .volatility_reference = get32(p + 98),
        .group_reference = (int32_t)get32(p + 102), .volatility = get32(p + 106),
    };
    memcpy(o.pool, p + 8, 32);
    *out = o;
    return XE_OK;
}
