#include "engine/swap_ix.h"

#include <string.h>

#include "engine/bytes.h"
#include "engine/keys.h"

#define ACCOUNTS_EXTRA_ARRAYS 6 /* kind of the accounts behind the fixed ones of swap_v2 */

enum { AMM_SWAP_IN = 16, AMM_SWAP_OUT = 17 };

static const uint8_t tag_swap[8] = {0xf8, 0xc6, 0x9e, 0x91, 0xe1, 0x75, 0x87, 0xc8};
static const uint8_t tag_swap_v2[8] = {0x2b, 0x04, 0xed, 0x0b, 0x1a, 0xc9, 0x1e, 0x62};
static const uint8_t tag_cpmm_in[8] = {0x8f, 0xbe, 0x5a, 0xda, 0xc4, 0x1e, 0x33, 0xde};
static const uint8_t tag_cpmm_out[8] = {0x37, 0xd9, 0x62, 0x56, 0xa3, 0x4a, 0xb4, 0xad};

/* Tag, amounts, limit, direction of the amount: what the concentrated pools share. */
static void clmm_args(ix_t *ix, const uint8_t tag[8], const swap_args_t *a)
{
    uint8_t limit[16];
    put128(limit, a->sqrt_limit);
    ix_bytes(ix, tag, 8);
    ix_u64(ix, a->amount);
    ix_u64(ix, a->other);
    ix_bytes(ix, limit, sizeof limit);
    ix_u8(ix, a->exact_in);
}

static void whirl_user_and_vaults(ix_t *ix, const whirl_swap_keys_t *k)
{
    ix_key(ix, k->user_a, IX_WRITE);
    ix_key(ix, k->vault_a, IX_WRITE);
    ix_key(ix, k->user_b, IX_WRITE);
    ix_key(ix, k->vault_b, IX_WRITE);
    for (int i = 0; i < 3; i++) ix_key(ix, k->arrays[i], IX_WRITE);
}

void ix_whirl_swap(ix_t *ix, const swap_args_t *a, const whirl_swap_keys_t *k)
{
    ix_begin(ix, key_whirlpool);
    ix_key(ix, key_token, IX_READ);
    ix_key(ix, k->authority, IX_SIGN);
    ix_key(ix, k->pool, IX_WRITE);
    whirl_user_and_vaults(ix, k);
    ix_key(ix, k->oracle, IX_READ);
    clmm_args(ix, tag_swap, a);
    ix_u8(ix, a->a_to_b);
}

void ix_whirl_swap_v2(ix_t *ix, const swap_args_t *a, const whirl_swap_keys_t *k)
{
    unsigned extra = k->extra_n < WHIRL_EXTRA_MAX ? k->extra_n : WHIRL_EXTRA_MAX;
    ix_begin(ix, key_whirlpool);
    ix_key(ix, k->program_a, IX_READ);
    ix_key(ix, k->program_b, IX_READ);
    ix_key(ix, key_memo, IX_READ);
    ix_key(ix, k->authority, IX_SIGN);
    ix_key(ix, k->pool, IX_WRITE);
    ix_key(ix, k->mint_a, IX_READ);
    ix_key(ix, k->mint_b, IX_READ);
    whirl_user_and_vaults(ix, k);
    ix_key(ix, k->oracle, IX_WRITE); /* read-only fails even where the fee is static */
    for (unsigned i = 0; i < extra; i++) ix_key(ix, k->extra[i], IX_WRITE);
    clmm_args(ix, tag_swap_v2, a);
    ix_u8(ix, a->a_to_b);
    ix_u8(ix, extra > 0);
    if (extra == 0) return;
    ix_u32(ix, 1);
    ix_u8(ix, ACCOUNTS_EXTRA_ARRAYS);
    ix_u8(ix, (uint8_t)extra);
}

/* An exact output names the most to pay first, the amount second. */
static void two_amounts(ix_t *ix, const swap_args_t *a)
{
    ix_u64(ix, a->exact_in ? a->amount : a->other);
    ix_u64(ix, a->exact_in ? a->other : a->amount);
}

void ix_ray_amm_swap(ix_t *ix, const swap_args_t *a, const ray_amm_swap_keys_t *k)
{
    ix_begin(ix, key_ray_amm);
    ix_key(ix, key_token, IX_READ);
    ix_key(ix, k->pool, IX_WRITE);
    ix_key(ix, k->authority, IX_READ);
    ix_key(ix, k->coin_vault, IX_WRITE);
    ix_key(ix, k->pc_vault, IX_WRITE);
    ix_key(ix, k->source, IX_WRITE);
    ix_key(ix, k->destination, IX_WRITE);
    ix_key(ix, k->owner, IX_SIGN);
    ix_u8(ix, a->exact_in ? AMM_SWAP_IN : AMM_SWAP_OUT);
    two_amounts(ix, a);
}

void ix_ray_cpmm_swap(ix_t *ix, const swap_args_t *a, const ray_cpmm_swap_keys_t *k)
{
    ix_begin(ix, key_ray_cpmm);
    ix_key(ix, k->payer, IX_SIGN);
    ix_key(ix, k->authority, IX_READ);
    ix_key(ix, k->config, IX_READ);
    ix_key(ix, k->pool, IX_WRITE);
    ix_key(ix, k->user_in, IX_WRITE);
    ix_key(ix, k->user_out, IX_WRITE);
    ix_key(ix, k->vault_in, IX_WRITE);
    ix_key(ix, k->vault_out, IX_WRITE);
    ix_key(ix, k->program_in, IX_READ);
    ix_key(ix, k->program_out, IX_READ);
    ix_key(ix, k->mint_in, IX_READ);
    ix_key(ix, k->mint_out, IX_READ);
    ix_key(ix, k->observation, IX_WRITE);
    ix_bytes(ix, a->exact_in ? tag_cpmm_in : tag_cpmm_out, 8);
    two_amounts(ix, a);
}

void ix_ray_clmm_swap(ix_t *ix, const swap_args_t *a, const ray_clmm_swap_keys_t *k)
{
    ix_begin(ix, key_ray_clmm);
    ix_key(ix, k->payer, IX_SIGN);
    ix_key(ix, k->config, IX_READ);
    ix_key(ix, k->pool, IX_WRITE);
    ix_key(ix, k->user_in, IX_WRITE);
    ix_key(ix, k->user_out, IX_WRITE);
    ix_key(ix, k->vault_in, IX_WRITE);
    ix_key(ix, k->vault_out, IX_WRITE);
    ix_key(ix, k->observation, IX_WRITE);
    ix_key(ix, key_token, IX_READ);
    ix_key(ix, key_token_2022, IX_READ);
    ix_key(ix, key_memo, IX_READ);
    ix_key(ix, k->mint_in, IX_READ);
    ix_key(ix, k->mint_out, IX_READ);
    if (k->has_extension) ix_key(ix, k->extension, IX_WRITE);
    for (unsigned i = 0; i < k->arrays_n && i < RAY_SWAP_ARRAYS_MAX; i++) ix_key(ix, k->arrays[i], IX_WRITE);
    if (k->arrays_n > RAY_SWAP_ARRAYS_MAX) ix->full = true;
    clmm_args(ix, tag_swap_v2, a);
}
