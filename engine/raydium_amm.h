/* Raydium AMM v4: constant product with a fee on the input. The program rounds every division in the pool's favour;
 * an exact output is rounded up twice. Its order-book side is gone, so reserves are vault balances less what the pool's
 * owner has not fetched yet. Pure. */
#ifndef XORJ_ENGINE_RAYDIUM_AMM_H
#define XORJ_ENGINE_RAYDIUM_AMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RAY_AMM_LEN 752

typedef struct {
    uint64_t status, nonce, coin_decimals, pc_decimals;
    uint64_t fee_num, fee_den;
    uint64_t owed_coin, owed_pc; /* in the vaults, but not the pool's */
    uint64_t open_time, lp_amount;
    uint8_t coin_vault[32], pc_vault[32], coin_mint[32], pc_mint[32], lp_mint[32];
    uint8_t open_orders[32], market[32], market_program[32], target_orders[32], owner[32];
} ray_amm_t;

/* No tag to go by: length, and values that can be. The caller checks the owning program. XE_BAD_INPUT otherwise. */
xerr_t ray_amm_decode(const uint8_t *p, size_t n, ray_amm_t *out);
/* Status 1 and 6 always, 7 from the opening time on. */
bool ray_amm_trades(const ray_amm_t *a, uint64_t now);

typedef struct {
    uint64_t vault_coin, vault_pc; /* balances of the two vaults */
    uint64_t amount;
    bool exact_in, coin_to_pc;
} ray_amm_ask_t;
typedef struct { uint64_t in, out, fee; } ray_amm_quote_t;

/* XE_BAD_INPUT: amount 0 or a fee that cannot be. XE_DEPTH: reserves do not give that much, or nothing comes out.
 * XE_RANGE: beyond 64 bits. */
xerr_t ray_amm_quote(const ray_amm_t *a, const ray_amm_ask_t *ask, ray_amm_quote_t *out);

#endif
