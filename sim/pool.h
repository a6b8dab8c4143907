/* The simulated Orca Whirlpool SOL/USDC (tick spacing 4) and its accounts, at the addresses the real ones have.
 *
 * Liquidity comes from a seeded set of positions, so the net and gross sums of every tick agree with the pool's active
 * liquidity by construction. The price moves only by swaps through engine/whirl, from tick to tick, with fee growth
 * kept on both sides of every tick crossed. Now and then a position is opened or closed, which changes arrays as in
 * life. */
#ifndef XORJ_SIM_POOL_H
#define XORJ_SIM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/whirl.h"
#include "sim/rng.h"

#define POOL_SPACING 4
#define POOL_ARRAYS_SIDE 8 /* arrays made on each side of the one that holds the first price */
#define POOL_ARRAYS (2 * POOL_ARRAYS_SIDE + 1)
#define POOL_POSITIONS 160

typedef struct {
    int32_t lo, hi;
    u128_t l;
} position_t;

typedef struct {
    bool init;
    i128_t net;
    u128_t gross, out_a, out_b;
} ptick_t;

typedef struct {
    int32_t start;
    uint8_t key[32];
    bool dynamic, changed;
    ptick_t tick[WHIRL_ARRAY_TICKS];
} parray_t;

typedef struct pool {
    rng_t rng;
    whirl_pool_t w;
    uint8_t key[32], bump;
    u128_t growth_a, growth_b;
    uint64_t owed_a, owed_b;
    position_t pos[POOL_POSITIONS];
    unsigned pos_n;
    parray_t array[POOL_ARRAYS];
    uint64_t slot, slots, swaps, changes; /* slots: since the start */
    bool changed;                         /* the pool account, since pool_settled */
} pool_t;

/* XE_INTERNAL: the derived pool address is not the one expected. */
xerr_t pool_init(pool_t *p, uint64_t seed, int64_t price_micro);
/* One slot passes: swaps toward price_micro (micro-USDC per SOL) when it is more than two basis points away. */
void pool_slot(pool_t *p, uint64_t slot, int64_t price_micro);
void pool_settled(pool_t *p); /* forgets what changed */
int64_t pool_price_micro(const pool_t *p);

/* Account by address: appends its data to out and sets the owner. XE_NOT_FOUND: no such account. */
xerr_t pool_account(const pool_t *p, const uint8_t key[32], buf_t *out, uint8_t owner[32], uint64_t *lamports);
bool pool_account_changed(const pool_t *p, const uint8_t key[32]);

/* Account encoders, exact to the byte. */
void pool_encode(const pool_t *p, buf_t *out);
void parray_encode(const pool_t *p, const parray_t *a, buf_t *out);
void parray_view(const parray_t *a, whirl_array_t *out); /* as the decoder should see it */

#endif
