/* Price impact: how much worse than the price before it a swap trades, in millionths, rounded up. What the pool keeps as
 * fee is no impact: the caller passes the input that reaches the curve (quote.in less its fees) and what leaves it before
 * a fee on the output. 0 where rounding favours the trader, 1000000 where nothing comes out. Pure. */
#ifndef XORJ_ENGINE_IMPACT_H
#define XORJ_ENGINE_IMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/dec.h"

#define IMPACT_ONE 1000000u

/* Concentrated pools: sqrt_price is Q64.64, b per a, under 2^96. */
uint32_t impact_at_price(u128_t sqrt_price, bool a_to_b, uint64_t in, uint64_t out);
/* Constant product: the reserves of the input and of the output token. */
uint32_t impact_at_reserves(uint64_t rin, uint64_t rout, uint64_t in, uint64_t out);

#endif
