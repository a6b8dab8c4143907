/* Raydium CLMM: concentrated liquidity with Q64.64 square-root prices, cousin of the Whirlpool with tables, fee sides, a
 * dynamic fee and resting orders of its own. Account decoding and exact quotes with the program's rounding. Pure. */
#ifndef XORJ_ENGINE_RAYDIUM_CLMM_H
#define XORJ_ENGINE_RAYDIUM_CLMM_H

#include "engine/dec.h"
#include "engine/raydium_cpmm.h"

#define RAY_TICK_MIN (-443636)
#define RAY_TICK_MAX 443636
#define RAY_ARRAY_TICKS 60
#define RAY_CLMM_LEN 1544
#define RAY_CLMM_CONFIG_LEN 117
#define RAY_CLMM_ARRAY_LEN 10240
#define RAY_CLMM_BITS_LEN 1832
#define RAY_CLMM_SWAP_OFF 16u /* bit of status: swaps are switched off */

/* ---- accounts ---- */

/* The dynamic fee: constants, then the running state of its volatility. */
typedef struct {
    uint16_t filter_period, decay_period, reduction;
    uint32_t control, volatility_max, volatility_reference, volatility;
    int32_t group_reference; /* groups are one tick spacing wide */
    uint64_t updated_at;
} ray_dynfee_t;

typedef struct {
    uint8_t config[32], mint[2][32], vault[2][32], observation[32];
    uint8_t decimals[2], status;
    uint16_t tick_spacing;
    u128_t liquidity, sqrt_price, fee_growth[2];
    int32_t tick;
    ray_fee_side_t fee_on;
    uint64_t open_time;
    uint64_t bits[16];       /* which of the 1024 arrays around tick 0 hold something */
    bool dynamic;
    ray_dynfee_t dynfee;
} ray_clmm_t;

typedef struct {
    uint16_t tick_spacing;
    uint32_t trade_rate, protocol_rate, fund_rate; /* millionths; protocol and fund: of the fee */
} ray_clmm_config_t;

typedef struct {
    int32_t index;
    i128_t net;
    u128_t gross;
    uint64_t phase, orders, part; /* resting orders: the new cohort, and what is left of the one being filled */
    u128_t unfilled_ratio;
} ray_tick_t;

typedef struct {
    int32_t start;
    unsigned n, counted; /* ticks below; as many as the account says have liquidity */
    uint8_t pool[32];
    ray_tick_t ticks[RAY_ARRAY_TICKS]; /* ascending; those with liquidity or orders */
} ray_array_t;

/* The bits beyond the pool's own 1024 arrays: pages of 512 from array 512 upwards, and from -513 downwards. */
#define RAY_BITS_PAGES 14
typedef struct { uint8_t pool[32]; uint64_t above[RAY_BITS_PAGES][8], below[RAY_BITS_PAGES][8]; } ray_bits_t;

/* XE_BAD_INPUT: tag, length or values. A CPMM pool carries the same tag as a CLMM pool, their configs do too. */
xerr_t ray_clmm_decode(const uint8_t *p, size_t n, ray_clmm_t *out);
xerr_t ray_clmm_config_decode(const uint8_t *p, size_t n, ray_clmm_config_t *out);
xerr_t ray_array_decode(const uint8_t *p, size_t n, unsigned tick_spacing, ray_array_t *out);
xerr_t ray_bits_decode(const uint8_t *p, size_t n, ray_bits_t *out);
bool ray_clmm_trades(const ray_clmm_t *p, uint64_t now);

int32_t ray_array_start(int32_t tick, unsigned tick_spacing);
/* The nearest array that holds something, beyond `start` in that direction (inclusive says whether start itself counts).
 * XE_NOT_FOUND: there is none. XE_DEPTH: it would lie where only the extension knows, and `ext` is NULL. */
xerr_t ray_next_array(const ray_clmm_t *p, const ray_bits_t *ext, int32_t start, bool down, bool inclusive, int32_t *out);

/* ---- quotes ---- */

typedef struct {
    uint64_t amount;
    bool exact_in, zero_for_one;
    u128_t sqrt_limit;          /* 0: none */
    uint64_t now;               /* chain time in seconds, for a dynamic fee */
    const ray_bits_t *ext;      /* NULL: not loaded */
    const token_fee_t *fee[2];  /* Token-2022 transfer fee of each token; NULL: none */
} ray_clmm_ask_t;

typedef struct {
    uint64_t in, out;           /* what the user pays and receives, after transfer fees */
    uint64_t lp_fee, protocol_fee, fund_fee;
    bool fee_in_output;         /* which token the three are in */
    u128_t sqrt_after, liquidity_after;
    int32_t tick_after;
    uint64_t unfilled;
    unsigned crossed, arrays_read;
} ray_clmm_quote_t;

/* Arrays: any order, those the caller has. XE_DEPTH: it would leave them, or what the pool has, or an amount is zero (out
 * is filled then). XE_BAD_INPUT: amount 0, limit on the wrong side, or values that cannot be. XE_RANGE: the program's
 * own overflow. */
xerr_t ray_clmm_quote(const ray_clmm_t *p, const ray_clmm_config_t *c, const ray_array_t *arrays, size_t n,
                      const ray_clmm_ask_t *ask, ray_clmm_quote_t *out);

#endif
