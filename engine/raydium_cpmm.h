/* Raydium CPMM: constant product with a trade fee, of which protocol and fund get a share, and on some pools a fee for
 * the pool's creator, taken on either side. Vaults also hold the fees not yet fetched. Pure. */
#ifndef XORJ_ENGINE_RAYDIUM_CPMM_H
#define XORJ_ENGINE_RAYDIUM_CPMM_H

#include "engine/token.h"

#define RAY_CPMM_LEN 637
#define RAY_CPMM_CONFIG_LEN 236
#define RAY_CPMM_SWAP_OFF 4u /* bit of status: swaps are switched off */

typedef enum { RAY_FEE_INPUT = 0, RAY_FEE_TOKEN_0 = 1, RAY_FEE_TOKEN_1 = 2 } ray_fee_side_t;

typedef struct {
    uint8_t config[32], creator[32], vault[2][32], lp_mint[32], mint[2][32], program[2][32], observation[32];
    uint8_t bump, status, lp_decimals, decimals[2];
    uint64_t lp_supply, protocol_fees[2], fund_fees[2], creator_fees[2];
    uint64_t open_time, epoch;
    ray_fee_side_t creator_side;
    bool creator_fee;
} ray_cpmm_t;

typedef struct {
    uint16_t index;
    uint64_t trade_rate, protocol_rate, fund_rate, creator_rate; /* millionths; protocol and fund: of the trade fee */
    uint64_t create_fee;                                         /* lamports */
    uint8_t owner[32], fund_owner[32];
} ray_cpmm_config_t;

/* XE_BAD_INPUT: tag, length or values. A CLMM pool carries the same tag: the caller checks the owning program. */
xerr_t ray_cpmm_decode(const uint8_t *p, size_t n, ray_cpmm_t *out);
xerr_t ray_cpmm_config_decode(const uint8_t *p, size_t n, ray_cpmm_config_t *out);
bool ray_cpmm_trades(const ray_cpmm_t *p, uint64_t now);

typedef struct {
    uint64_t vault[2];  /* balances */
    uint64_t amount;    /* as the user names it, transfer fees included */
    bool exact_in, zero_for_one;
    const token_fee_t *fee[2]; /* Token-2022 transfer fee of each token; NULL: none */
} ray_cpmm_ask_t;

typedef struct {
    uint64_t in, out;   /* what the user pays and receives */
    uint64_t trade_fee, creator_fee, protocol_fee, fund_fee;
    bool dust;          /* an exact output worth less than half a unit of input: builds of 2025 refuse it (2505) */
} ray_cpmm_quote_t;

/* XE_BAD_INPUT: amount 0 or rates that cannot be. XE_DEPTH: the reserves do not give that much, or nothing comes out
 * (out is filled then). XE_RANGE: beyond 64 bits. */
xerr_t ray_cpmm_quote(const ray_cpmm_t *p, const ray_cpmm_config_t *c, const ray_cpmm_ask_t *ask, ray_cpmm_quote_t *out);

#endif
