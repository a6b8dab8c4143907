/* Swap instructions of the venues on chain: Orca Whirlpool and the three Raydium programs. The caller has quoted and
 * says with `other` what it accepts at worst (least out for an exact input, most in for an exact output). Pure. */
#ifndef XORJ_ENGINE_SWAP_IX_H
#define XORJ_ENGINE_SWAP_IX_H

#include "engine/dec.h"
#include "engine/instr.h"

typedef struct { uint64_t amount, other; u128_t sqrt_limit; bool exact_in, a_to_b; } swap_args_t;

#define WHIRL_EXTRA_MAX 3

typedef struct {
    uint8_t pool[32], authority[32], user_a[32], user_b[32], vault_a[32], vault_b[32];
    uint8_t arrays[3][32];            /* fewer: repeat the last */
    uint8_t oracle[32];
    uint8_t mint_a[32], mint_b[32], program_a[32], program_b[32]; /* swap_v2 only */
    uint8_t extra[WHIRL_EXTRA_MAX][32]; /* further arrays a swap_v2 may read */
    unsigned extra_n;
} whirl_swap_keys_t;
void ix_whirl_swap(ix_t *ix, const swap_args_t *a, const whirl_swap_keys_t *k);    /* classic tokens on both sides */
void ix_whirl_swap_v2(ix_t *ix, const swap_args_t *a, const whirl_swap_keys_t *k); /* may need 1.4 M units with an adaptive fee */

typedef struct { uint8_t pool[32], authority[32], coin_vault[32], pc_vault[32], source[32], destination[32], owner[32]; } ray_amm_swap_keys_t;
void ix_ray_amm_swap(ix_t *ix, const swap_args_t *a, const ray_amm_swap_keys_t *k); /* a_to_b, sqrt_limit unused: source and destination say it */

typedef struct {
    uint8_t payer[32], authority[32], config[32], pool[32], user_in[32], user_out[32], vault_in[32], vault_out[32];
    uint8_t program_in[32], program_out[32], mint_in[32], mint_out[32], observation[32];
} ray_cpmm_swap_keys_t;
void ix_ray_cpmm_swap(ix_t *ix, const swap_args_t *a, const ray_cpmm_swap_keys_t *k);

#define RAY_SWAP_ARRAYS_MAX 16
typedef struct {
    uint8_t payer[32], config[32], pool[32], user_in[32], user_out[32], vault_in[32], vault_out[32], observation[32], mint_in[32], mint_out[32];
    bool has_extension;
    uint8_t extension[32];
    unsigned arrays_n;
    uint8_t arrays[RAY_SWAP_ARRAYS_MAX][32]; /* in the order of the swap */
} ray_clmm_swap_keys_t;
void ix_ray_clmm_swap(ix_t *ix, const swap_args_t *a, const ray_clmm_swap_keys_t *k);

#endif
