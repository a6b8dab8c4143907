/* The adaptive fee of a Whirlpool: ticks come in groups, and the more groups the price has left behind lately the higher
 * the fee. A swap goes group by group, each with its own rate. One of these lives for one swap; a static fee is the same
 * machine with nothing to adapt. Serves whirl_run only. Pure. */
#ifndef XORJ_ENGINE_WHIRL_FEE_H
#define XORJ_ENGINE_WHIRL_FEE_H

#include "engine/whirl_math.h"

typedef struct {
    whirl_oracle_t o;      /* the state that is being changed */
    bool adaptive, a_to_b;
    uint32_t fixed;        /* the pool's static rate */
    int32_t group;         /* tick group the price is in */
    int32_t core_low, core_high; /* groups outside of these are saturated: their rate does not change any more */
    bool skipped;          /* the step now running was not cut at its group */
} whirl_fee_t;

/* InvalidTimestamp: now lies before what the oracle remembers. DivideByZero: the oracle is not sane. */
whirl_err_t whirl_fee_begin(whirl_fee_t *f, const whirl_pool_t *pool, const whirl_ask_t *ask);
/* The rate of the next step, and its target: `target`, or the edge of the group when that is nearer. */
uint32_t whirl_fee_next(whirl_fee_t *f, u128_t liquidity, u128_t target, u128_t *bounded);
/* A step ended at `price`; on_tick says that this is exactly the price of `tick`. */
void whirl_fee_advance(whirl_fee_t *f, u128_t price, bool on_tick, int32_t tick);
/* The swap is over. */
void whirl_fee_end(whirl_fee_t *f, u128_t from, u128_t to, uint64_t now);

#endif
