#include "engine/whirl_fee.h"

#include "engine/u256.h"

#define GROUP_ONE 10000u      /* volatility of one group */
#define REDUCTION_ONE 10000u
#define CONTROL_ONE 100000u
#define RATE_MAX 100000u      /* 10 % */
#define REFERENCE_MAX_S 3600u
#define CORE_FAR (1 << 22)    /* beyond every group there is */

static int32_t floor_div(int32_t a, int32_t b)
{
    return a / b - (a % b < 0);
}

static int32_t group_of(const whirl_fee_t *f, int32_t tick)
{
    return floor_div(tick, (int32_t)f->o.group_size);
}

bool whirl_oracle_sane(const whirl_oracle_t *o, const whirl_pool_t *pool)
{
    if (o->group_size == 0 || o->group_size > pool->tick_spacing || pool->tick_spacing % o->group_size != 0) return false;
    if (o->control >= CONTROL_ONE || o->reduction >= REDUCTION_ONE || o->filter_period >= o->decay_period) return false;
    if ((uint64_t)o->volatility_max * o->group_size > UINT32_MAX) return false;
    return o->group_reference >= 2 * WHIRL_TICK_MIN && o->group_reference <= 2 * WHIRL_TICK_MAX;
}

/* ---- the references ----------------------------------------------------------------------------------------------- */

static void restart(whirl_fee_t *f, uint32_t reference, uint64_t now)
{
    f->o.group_reference = f->group;
    f->o.volatility_reference = reference;
    f->o.last_reference_at = now;
}

static whirl_err_t refresh(whirl_fee_t *f, uint64_t now)
{
    whirl_oracle_t *o = &f->o;
    uint64_t last = o->last_reference_at > o->last_major_at ? o->last_reference_at : o->last_major_at;
    if (now < last) return WHIRL_InvalidTimestamp;
    if (now - o->last_reference_at > REFERENCE_MAX_S || now - last >= o->decay_period) restart(f, 0, now);
    else if (now - last >= o->filter_period) restart(f, (uint32_t)((uint64_t)o->volatility * o->reduction / REDUCTION_ONE), now);
    return WHIRL_FINE;
}

/* Groups within which the accumulator can still change. */
static void set_core(whirl_fee_t *f)
{
    uint32_t room = f->o.volatility_max > f->o.volatility_reference ? f->o.volatility_max - f->o.volatility_reference : 0;
    int32_t n = (int32_t)(room / GROUP_ONE + (room % GROUP_ONE != 0));
    f->core_low = f->o.group_reference - n;
    f->core_high = f->o.group_reference + n;
    if (f->core_low < -CORE_FAR) f->core_low = -CORE_FAR;
    if (f->core_high > CORE_FAR) f->core_high = CORE_FAR;
}

whirl_err_t whirl_fee_begin(whirl_fee_t *f, const whirl_pool_t *pool, const whirl_ask_t *ask)
{
    *f = (whirl_fee_t){.fixed = pool->fee_rate, .a_to_b = ask->a_to_b};
    if (!ask->oracle || !whirl_adaptive(pool)) return WHIRL_FINE;
    if (!whirl_oracle_sane(ask->oracle, pool)) return WHIRL_DivideByZero;
    f->adaptive = true;
    f->o = *ask->oracle;
    f->group = group_of(f, pool->tick);
    whirl_err_t err = refresh(f, ask->now);
    if (!err) set_core(f);
    return err;
}

/* ---- step by step ------------------------------------------------------------------------------------------------- */

static void accumulate(whirl_fee_t *f)
{
    int64_t away = (int64_t)f->o.group_reference - f->group;
    uint64_t v = f->o.volatility_reference + (uint64_t)(away < 0 ? -away : away) * GROUP_ONE;
    f->o.volatility = v > f->o.volatility_max ? f->o.volatility_max : (uint32_t)v;
}

static uint32_t rate(const whirl_fee_t *f)
{
    const u128_t one = (u128_t)CONTROL_ONE * GROUP_ONE * GROUP_ONE;
    u128_t moved = (u128_t)f->o.volatility * f->o.group_size;
    u128_t v = ((u128_t)f->o.control * moved * moved + one - 1) / one;
    if (v > RATE_MAX) v = RATE_MAX;
    v += f->fixed;
    return v > RATE_MAX ? RATE_MAX : (uint32_t)v;
}

static u128_t edge_price(int64_t tick)
{
    u128_t p = 0;
    if (tick < WHIRL_TICK_MIN) tick = WHIRL_TICK_MIN;
    if (tick > WHIRL_TICK_MAX) tick = WHIRL_TICK_MAX;
    (void)whirl_sqrt_of_tick((int32_t)tick, &p);
    return p;
}

static u128_t nearer(const whirl_fee_t *f, u128_t a, u128_t b)
{
    return f->a_to_b == (a > b) ? a : b;
}

/* Coming back from where the fee is saturated: the last price of that range. One beyond the ticks does not exist. */
static u128_t core_bound(const whirl_fee_t *f, u128_t target)
{
    int64_t size = f->o.group_size;
    int64_t tick = f->a_to_b ? (f->core_high + (int64_t)1) * size : f->core_low * size;
    bool outside = f->a_to_b ? f->group > f->core_high : f->group < f->core_low;
    if (!outside || tick <= WHIRL_TICK_MIN || tick >= WHIRL_TICK_MAX) return target;
    return nearer(f, target, edge_price(tick));
}

uint32_t whirl_fee_next(whirl_fee_t *f, u128_t liquidity, u128_t target, u128_t *bounded)
{
    *bounded = target;
    if (!f->adaptive) return f->fixed;
    accumulate(f);
    f->skipped = f->o.control == 0 || liquidity == 0 || f->group < f->core_low || f->group > f->core_high;
    if (f->o.control == 0 || liquidity == 0) return rate(f);
    int64_t size = f->o.group_size, edge = f->a_to_b ? f->group * size : (f->group + (int64_t)1) * size;
    *bounded = f->skipped ? core_bound(f, target) : nearer(f, target, edge_price(edge));
    return rate(f);
}

/* Where a step that was not cut has come to. Going up, a price on the edge belongs to the group on its left. */
static int32_t group_touched(const whirl_fee_t *f, u128_t price, bool on_tick, int32_t tick)
{
    u128_t at;
    if (!on_tick) {
        if (whirl_tick_of_sqrt(price, &tick)) return f->group;
        on_tick = whirl_sqrt_of_tick(tick, &at) == XE_OK && at == price;
    }
    int32_t g = group_of(f, tick);
    return on_tick && !f->a_to_b && tick % (int32_t)f->o.group_size == 0 ? g - 1 : g;
}

void whirl_fee_advance(whirl_fee_t *f, u128_t price, bool on_tick, int32_t tick)
{
    if (!f->adaptive) return;
    if (f->skipped) {
        int32_t g = group_touched(f, price, on_tick, tick);
        if (f->a_to_b ? g < f->group : g > f->group) {
            f->group = g;
            accumulate(f);
        }
    }
    f->group += f->a_to_b ? -1 : 1;
}

void whirl_fee_end(whirl_fee_t *f, u128_t from, u128_t to, uint64_t now)
{
    u128_t factor, low = from < to ? from : to, high = from < to ? to : from;
    if (!f->adaptive || whirl_sqrt_of_tick(f->o.major_ticks, &factor)) return;
    u256_t edge = u256_shr(u256_mul(low, factor), 64);
    if (edge.hi == 0 && high >= edge.lo) f->o.last_major_at = now;
}
