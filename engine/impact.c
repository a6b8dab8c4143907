#include "engine/impact.h"

#include "engine/u256.h"

#define SHIFT 32 /* bits of the squared price that are not needed: 160 remain */

/* 1 - num/den in millionths; num/den is what came out over what the price before would have given. */
static uint32_t shortfall(u256_t num, u256_t den)
{
    u256_t rem;
    if (u256_is_zero(den)) return IMPACT_ONE;
    u256_t share = u256_div(num, den, &rem);
    return share.hi || share.lo >= IMPACT_ONE ? 0 : IMPACT_ONE - (uint32_t)share.lo;
}

/* a times a value of at most 160 bits; a has at most 84, so nothing is lost. */
static u256_t times(u128_t a, u256_t b)
{
    u256_t low = u256_mul(a, b.lo), high = u256_mul(a, b.hi), sum;
    (void)u256_add(low, (u256_t){0, high.lo}, &sum);
    return sum;
}

uint32_t impact_at_price(u128_t sqrt_price, bool a_to_b, uint64_t in, uint64_t out)
{
    u256_t squared = u256_shr(u256_mul(sqrt_price, sqrt_price), SHIFT), one = u256_shr((u256_t){0, 1}, SHIFT);
    u128_t scaled = (u128_t)out * IMPACT_ONE;
    return a_to_b ? shortfall(times(scaled, one), times(in, squared)) : shortfall(times(scaled, squared), times(in, one));
}

uint32_t impact_at_reserves(uint64_t rin, uint64_t rout, uint64_t in, uint64_t out)
{
    return shortfall(u256_mul((u128_t)out * IMPACT_ONE, rin), u256_mul(in, rout));
}
