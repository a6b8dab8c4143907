#include "engine/bytes.h"
#include "engine/raydium_clmm_math.h"

#define DECIMALS_MAX 30
#define TICK_LEN 168
#define TICKS_AT 44
#define COUNT_AT 10124
#define DYNFEE_AT 1096
#define DYNFEE_LEN 80

static const uint8_t pool_tag[8] = {0xf7, 0xed, 0xe3, 0xf5, 0xd7, 0xc3, 0xde, 0x46};
static const uint8_t config_tag[8] = {0xda, 0xf4, 0x21, 0x68, 0xcb, 0xcb, 0x2b, 0x6f};
static const uint8_t array_tag[8] = {0xc0, 0x9b, 0x55, 0xcd, 0x31, 0xf9, 0x81, 0x2a};
static const uint8_t bits_tag[8] = {0x3c, 0x96, 0x24, 0xdb, 0x61, 0x80, 0x8b, 0x99};

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static void take_dynfee(const uint8_t *p, ray_clmm_t *c)
{
    c->dynamic = !all_zero(p, DYNFEE_LEN);
    if (!c->dynamic) return;
    c->dynfee = (ray_dynfee_t){
        .filter_period = get16(p), .decay_period = get16(p + 2), .reduction = get16(p + 4), .control = get32(p + 6),
        .volatility_max = get32(p + 10), .group_reference = (int32_t)get32(p + 14), .volatility_reference = get32(p + 18),
        .volatility = get32(p + 22), .updated_at = get64(p + 26),
    };
}

static bool pool_fits(const ray_clmm_t *c)
{
    if (c->tick_spacing == 0 || c->decimals[0] > DECIMALS_MAX || c->decimals[1] > DECIMALS_MAX) return false;
    if (c->sqrt_price < RAY_SQRT_MIN || c->sqrt_price > RAY_SQRT_MAX) return false;
    return c->tick >= RAY_TICK_MIN - 1 && c->tick <= RAY_TICK_MAX;
}

xerr_t ray_clmm_decode(const uint8_t *p, size_t n, ray_clmm_t *out)
{
    if (n != RAY_CLMM_LEN || memcmp(p, pool_tag, sizeof pool_tag) != 0 || p[390] > RAY_FEE_TOKEN_1) return XE_BAD_INPUT;
    ray_clmm_t c = {
        .decimals = {p[233], p[234]}, .tick_spacing = get16(p + 235), .liquidity = get128(p + 237), .sqrt_price = get128(p + 253),
        .tick = (int32_t)get32(p + 269), .fee_growth = {get128(p + 277), get128(p + 293)}, .status = p[389],
        .fee_on = (ray_fee_side_t)p[390], .open_time = get64(p + 1080),
    };
    uint8_t *const keys[] = {c.mint[0], c.mint[1], c.vault[0], c.vault[1], c.observation};
    memcpy(c.config, p + 9, 32);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) memcpy(keys[i], p + 73 + 32 * i, 32);
    for (size_t i = 0; i < 16; i++) c.bits[i] = get64(p + 904 + 8 * i);
    take_dynfee(p + DYNFEE_AT, &c);
    if (!pool_fits(&c)) return XE_BAD_INPUT;
    *out = c;
    return XE_OK;
}

xerr_t ray_clmm_config_decode(const uint8_t *p, size_t n, ray_clmm_config_t *out)
{
    if (n != RAY_CLMM_CONFIG_LEN || memcmp(p, config_tag, sizeof config_tag) != 0) return XE_BAD_INPUT;
    ray_clmm_config_t c = {.protocol_rate = get32(p + 43), .trade_rate = get32(p + 47), .tick_spacing = get16(p + 51), .fund_rate = get32(p + 53)};
    if (c.trade_rate >= RAY_FEE_ONE || c.tick_spacing == 0 || (uint64_t)c.protocol_rate + c.fund_rate > RAY_FEE_ONE) return XE_BAD_INPUT;
    *out = c;
    return XE_OK;
}

bool ray_clmm_trades(const ray_clmm_t *p, uint64_t now)
{
    return !(p->status & RAY_CLMM_SWAP_OFF) && now >= p->open_time;
}

/* ---- arrays ------------------------------------------------------------------------------------------------------- */

int32_t ray_array_start(int32_t tick, unsigned tick_spacing)
{
    int32_t span = (int32_t)(RAY_ARRAY_TICKS * tick_spacing);
    int32_t n = tick / span;
    if (tick % span < 0) n--;
    return n * span;
}

xerr_t ray_array_decode(const uint8_t *p, size_t n, unsigned tick_spacing, ray_array_t *out)
{
    if (n != RAY_CLMM_ARRAY_LEN || memcmp(p, array_tag, sizeof array_tag) != 0) return XE_BAD_INPUT;
    if (tick_spacing == 0 || tick_spacing > UINT16_MAX) return XE_BAD_INPUT;
    int32_t span = (int32_t)(RAY_ARRAY_TICKS * tick_spacing);
    ray_array_t a = {.start = (int32_t)get32(p + 40), .counted = p[COUNT_AT]};
    if (a.start > RAY_TICK_MAX || a.start <= RAY_TICK_MIN - span || a.start % span != 0) return XE_BAD_INPUT;
    memcpy(a.pool, p + 8, 32);
    for (int32_t i = 0; i < RAY_ARRAY_TICKS; i++) {
        const uint8_t *t = p + TICKS_AT + (size_t)i * TICK_LEN;
        ray_tick_t k = {.index = (int32_t)get32(t), .net = (i128_t)get128(t + 4), .gross = get128(t + 20), .phase = get64(t + 116),
                        .orders = get64(t + 124), .part = get64(t + 132), .unfilled_ratio = get128(t + 140)};
        if (k.gross == 0 && k.orders == 0 && k.part == 0) continue;
        if (k.index != a.start + i * (int32_t)tick_spacing || k.index < RAY_TICK_MIN || k.index > RAY_TICK_MAX) return XE_BAD_INPUT;
        a.ticks[a.n++] = k;
    }
    *out = a;
    return XE_OK;
}

xerr_t ray_bits_decode(const uint8_t *p, size_t n, ray_bits_t *out)
{
    if (n != RAY_CLMM_BITS_LEN || memcmp(p, bits_tag, sizeof bits_tag) != 0) return XE_BAD_INPUT;
    memcpy(out->pool, p + 8, 32);
    for (size_t page = 0; page < RAY_BITS_PAGES; page++) {
        for (size_t w = 0; w < 8; w++) {
            out->above[page][w] = get64(p + 40 + (page * 8 + w) * 8);
            out->below[page][w] = get64(p + 40 + ((RAY_BITS_PAGES + page) * 8 + w) * 8);
        }
    }
    return XE_OK;
}

/* 64 arrays of the whole range, from the one with number 64*w - 512; *known is false where only the extension knows. */
static uint64_t word_at(const ray_clmm_t *p, const ray_bits_t *ext, int32_t w, bool *known)
{
    *known = true;
    if (w >= 0 && w < 16) return p->bits[w];
    int32_t page = w < 0 ? (-1 - w) / 8 : (w - 16) / 8, in_page = w < 0 ? 7 - (-1 - w) % 8 : (w - 16) % 8;
    if (page >= RAY_BITS_PAGES) return 0;
    *known = ext != NULL;
    if (!ext) return 0;
    return w < 0 ? ext->below[page][in_page] : ext->above[page][in_page];
}

xerr_t ray_next_array(const ray_clmm_t *p, const ray_bits_t *ext, int32_t start, bool down, bool inclusive, int32_t *out)
{
    int32_t span = RAY_ARRAY_TICKS * p->tick_spacing;
    int32_t first = ray_array_start(RAY_TICK_MIN, p->tick_spacing) / span, last = ray_array_start(RAY_TICK_MAX, p->tick_spacing) / span;
    for (int32_t i = start / span + (inclusive ? 0 : down ? -1 : 1); i >= first && i <= last;) {
        bool known;
        int32_t bit = i + 512, w = bit >> 6;
        uint64_t word = word_at(p, ext, w, &known);
        if (!known) return XE_DEPTH;
        word = down ? word << (63 - (bit & 63)) : word >> (bit & 63);
        if (word) {
            i += down ? -__builtin_clzll(word) : __builtin_ctzll(word);
            if (i < first || i > last) break;
            *out = i * span;
            return XE_OK;
        }
        i = down ? w * 64 - 512 - 1 : (w + 1) * 64 - 512;
    }
    return XE_NOT_FOUND;
}
