/* The dynamic fee: groups of one tick spacing, a volatility that grows with every group left behind. */
#include "engine/raydium_clmm_math.h"

#define GROUP_ONE 10000u
#define REDUCTION_ONE 10000u
#define CONTROL_ONE 100000u

static int32_t floor_div(int32_t a, int32_t b)
{
    return a / b - (a % b < 0);
}

bool ray_dynfee_sane(const ray_dynfee_t *d)
{
    return d->reduction <= REDUCTION_ONE && d->control <= CONTROL_ONE && d->volatility_max <= UINT32_MAX / GROUP_ONE * GROUP_ONE &&
           d->group_reference >= 2 * RAY_TICK_MIN && d->group_reference <= 2 * RAY_TICK_MAX;
}

void ray_fee_begin(ray_fee_t *f, const ray_clmm_t *p, uint32_t fixed, bool down, uint64_t now)
{
    *f = (ray_fee_t){.fixed = fixed, .down = down, .size = p->tick_spacing, .dynamic = p->dynamic, .o = p->dynfee};
    if (!f->dynamic) return;
    f->group = floor_div(p->tick, f->size);
    uint64_t elapsed = now > f->o.updated_at ? now - f->o.updated_at : 0;
    if (elapsed < f->o.filter_period) return;
    bool decays = elapsed < f->o.decay_period;
    f->o.group_reference = f->group;
    f->o.volatility_reference = decays ? (uint32_t)((uint64_t)f->o.volatility * f->o.reduction / REDUCTION_ONE) : 0;
    f->o.updated_at = now;
}

static void accumulate(ray_fee_t *f)
{
    int64_t away = (int64_t)f->o.group_reference - f->group;
    uint64_t v = f->o.volatility_reference + (uint64_t)(away < 0 ? -away : away) * GROUP_ONE;
    f->o.volatility = v > f->o.volatility_max ? f->o.volatility_max : (uint32_t)v;
}

static uint32_t rate(const ray_fee_t *f)
{
    const u128_t one = (u128_t)CONTROL_ONE * GROUP_ONE * GROUP_ONE;
    u128_t moved = (u128_t)f->o.volatility * (uint32_t)f->size;
    u128_t v = ((u128_t)f->o.control * moved * moved + one - 1) / one + f->fixed;
    return v > RAY_FEE_MAX ? RAY_FEE_MAX : (uint32_t)v;
}

uint32_t ray_fee_next(ray_fee_t *f, u128_t liquidity, u128_t target, u128_t *bounded)
{
    u128_t edge;
    *bounded = target;
    if (!f->dynamic) return f->fixed;
    accumulate(f);
    f->skipped = liquidity == 0 || f->o.volatility >= f->o.volatility_max;
    if (f->skipped) return rate(f);
    int64_t tick = (f->group + (int64_t)!f->down) * f->size;
    if (tick < RAY_TICK_MIN) tick = RAY_TICK_MIN;
    if (tick > RAY_TICK_MAX) tick = RAY_TICK_MAX;
    if (ray_sqrt_of_tick((int32_t)tick, &edge) == XE_OK && f->down == (edge > target)) *bounded = edge;
    return rate(f);
}

/* Where a step that was not cut has come to. Going up, a price on the edge belongs to the group on its left. */
static int32_t group_touched(const ray_fee_t *f, u128_t price, bool on_tick, int32_t tick)
{
    u128_t at;
    if (!on_tick) {
        if (ray_tick_of_sqrt(price, &tick)) return f->group;
        on_tick = ray_sqrt_of_tick(tick, &at) == XE_OK && at == price;
    }
    int32_t g = floor_div(tick, f->size);
    return on_tick && !f->down && tick % f->size == 0 ? g - 1 : g;
}

void ray_fee_advance(ray_fee_t *f, u128_t price, bool on_tick, int32_t tick)
{
    if (!f->dynamic) return;
    if (f->skipped) {
        int32_t g = group_touched(f, price, on_tick, tick);
        if (f->down ? g < f->group : g > f->group) {
            f->group = g;
            accumulate(f);
        }
    }
    f->group += f->down ? -1 : 1;
}
