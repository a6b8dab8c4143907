#include "engine/raydium_clmm_math.h"

#include "engine/u256.h"

#define TICK_BITS 19
#define Q64 ((u128_t)1 << 64)

const char *ray_err_name(ray_err_t e)
{
    switch (e) {
    case RAY_FINE: break;
#define X(name) case RAY_##name: return #name;
        RAY_ERR_LIST(X)
#undef X
    }
    return "";
}

/* ---- ticks and prices --------------------------------------------------------------------------------------------- */

/* 1 / sqrt(1.0001) to the power 2^i, Q64, in the precision the program keeps of it. */
static const uint64_t powers[TICK_BITS] = {
    0xfffcb933bd6fb800u, 0xfff97272373d4000u, 0xfff2e50f5f657000u, 0xffe5caca7e10f000u, 0xffcb9843d60f7000u,
    0xff973b41fa98e800u, 0xff2ea16466c9b000u, 0xfe5dee046a9a3800u, 0xfcbe86c7900bb000u, 0xf987a7253ac65800u,
    0xf3392b0822bb6000u, 0xe7159475a2caf000u, 0xd097f3bdfd2f2000u, 0xa9f746462d9f8000u, 0x70d869a156f31c00u,
    0x31be135f97ed3200u, 0x09aa508b5b85a500u, 0x005d6af8dedc582cu, 0x00002216e584f5fau,
};

xerr_t ray_sqrt_of_tick(int32_t tick, u128_t *out)
{
    if (tick < RAY_TICK_MIN || tick > RAY_TICK_MAX) return XE_RANGE;
    uint32_t n = tick < 0 ? (uint32_t)-tick : (uint32_t)tick;
    u128_t r = Q64;
    for (unsigned i = 0; i < TICK_BITS; i++)
        if (n >> i & 1) r = (r * powers[i]) >> 64;
    *out = tick > 0 ? U128_MAX / r : r;
    return XE_OK;
}

#define LOG2_LAST_BIT 16 /* the program on chain computes 16 bits of the fraction */

xerr_t ray_tick_of_sqrt(u128_t sqrt_price, int32_t *out)
{
    if (sqrt_price < RAY_SQRT_MIN || sqrt_price >= RAY_SQRT_MAX) return XE_RANGE;
    i128_t x = (i128_t)log2_x32(sqrt_price, LOG2_LAST_BIT) * 59543866431248;
    int32_t low = (int32_t)((x - 184467440737095516) >> 64);
    int32_t high = (int32_t)((x + 15793534762490258745ull) >> 64);
    u128_t at;
    if (low != high && ray_sqrt_of_tick(high, &at) == XE_OK && at <= sqrt_price) low = high;
    *out = low;
    return XE_OK;
}

/* ---- amounts between two prices ----------------------------------------------------------------------------------- */

bool ray_delta_0(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out)
{
    u256_t num;
    u128_t v, d = p < q ? q - p : p - q;
    if (p == 0 || q == 0) return false;
    /* Prices stay under 2^96, so a product past 256 bits is an amount past 64. */
    if (!u256_shl64(u256_mul(liquidity, d), &num)) return false;
    if (!u256_div_to_128(num, u256_mul(p, q), round_up, &v) || v > UINT64_MAX) return false;
    *out = (uint64_t)v;
    return true;
}

bool ray_delta_1(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out)
{
    u256_t product = u256_mul(liquidity, p < q ? q - p : p - q), v = u256_shr(product, 64);
    if (v.hi != 0 || v.lo > UINT64_MAX) return false;
    if (round_up && (uint64_t)product.lo != 0) v.lo++;
    if (v.lo > UINT64_MAX) return false;
    *out = (uint64_t)v.lo;
    return true;
}

/* ---- the price after an amount ------------------------------------------------------------------------------------ */

static bool next_from_0(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out)
{
    u256_t num, den, shifted = {liquidity << 64, liquidity >> 64}, moved = u256_mul(p, amount);
    if (amount == 0) {
        *out = p;
        return true;
    }
    if (!u256_shl64(u256_mul(liquidity, p), &num)) return false;
    if (!in && u256_le(shifted, moved)) return false;
    if (in) (void)u256_add(shifted, moved, &den); /* both stay under 2^193 */
    else den = u256_sub(shifted, moved);
    return !u256_is_zero(den) && u256_div_to_128(num, den, true, out);
}

static bool next_from_1(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out)
{
    if (liquidity == 0) return false;
    u128_t num = (u128_t)amount << 64, delta = num / liquidity;
    if (!in && num % liquidity != 0) delta++;
    if (in ? delta > U128_MAX - p : delta >= p) return false;
    *out = in ? p + delta : p - delta;
    return true;
}

static bool next_price(const ray_step_ask_t *a, uint64_t amount, u128_t *out)
{
    bool token_0 = a->zero_for_one == a->exact_in;
    return token_0 ? next_from_0(a->price, a->liquidity, amount, a->exact_in, out)
                   : next_from_1(a->price, a->liquidity, amount, a->exact_in, out);
}

/* ---- one step ----------------------------------------------------------------------------------------------------- */

static u128_t ceil_div(u128_t a, u128_t b) { return a / b + (a % b != 0); }

static bool amounts(const ray_step_ask_t *a, u128_t to, uint64_t *in, uint64_t *out)
{
    if (a->zero_for_one) return ray_delta_0(a->price, to, a->liquidity, true, in) && ray_delta_1(a->price, to, a->liquidity, false, out);
    return ray_delta_1(a->price, to, a->liquidity, true, in) && ray_delta_0(a->price, to, a->liquidity, false, out);
}

/* What the curve itself may take or must give for what remains. */
static bool net_amount(const ray_step_ask_t *a, uint64_t *out)
{
    u128_t v = a->remaining;
    if (a->exact_in && a->fee_on_input) v = v * (RAY_FEE_ONE - a->fee_rate) / RAY_FEE_ONE;
    if (!a->exact_in && !a->fee_on_input) v = ceil_div(v * RAY_FEE_ONE, RAY_FEE_ONE - a->fee_rate);
    *out = (uint64_t)v;
    return v <= UINT64_MAX;
}

/* Turns what the curve moved into what the trader moves. `all`: what remains of an exact input is used up. */
static ray_err_t charge(const ray_step_ask_t *a, bool all, ray_step_t *s)
{
    u128_t fee;
    if (a->fee_on_input) {
        if (!a->exact_in && s->out > a->remaining) s->out = a->remaining;
        fee = a->exact_in && all ? a->remaining - s->in : ceil_div((u128_t)s->in * a->fee_rate, RAY_FEE_ONE - a->fee_rate);
        if (fee > UINT64_MAX) return RAY_CalculateOverflow;
        s->fee = (uint64_t)fee;
        return RAY_FINE;
    }
    if (a->exact_in && all) s->in = a->remaining;
    s->fee = (uint64_t)ceil_div((u128_t)s->out * a->fee_rate, RAY_FEE_ONE);
    s->out -= s->fee;
    if (!a->exact_in && s->out > a->remaining) {
        s->fee += s->out - a->remaining;
        s->out = a->remaining;
    }
    return RAY_FINE;
}

ray_err_t ray_step(const ray_step_ask_t *a, ray_step_t *out)
{
    uint64_t net, in, got;
    if (a->fee_rate >= RAY_FEE_ONE || !net_amount(a, &net)) return RAY_CalculateOverflow;
    bool near = amounts(a, a->target, &in, &got) && (a->exact_in ? in : got) <= net;
    ray_step_t s = {.next = a->target};
    if (!near && !next_price(a, net, &s.next)) return RAY_CalculateOverflow;
    if (!amounts(a, s.next, &s.in, &s.out)) return RAY_MaxTokenOverflow;
    ray_err_t err = charge(a, s.next != a->target, &s);
    if (!err) *out = s;
    return err;
}

/* ---- resting orders ----------------------------------------------------------------------------------------------- */

/* amount * rate / 2^64, or amount * 2^64 / rate. */
static bool at_rate(uint64_t amount, u128_t rate, bool times, bool round_up, uint64_t *out)
{
    u128_t v;
    u256_t num = times ? u256_mul(amount, rate) : u256_of((u128_t)amount << 64), den = u256_of(times ? Q64 : rate);
    if (u256_is_zero(den) || !u256_div_to_128(num, den, round_up, &v) || v > UINT64_MAX) return false;
    *out = (uint64_t)v;
    return true;
}

static bool price_of(const ray_step_ask_t *a, u128_t *out)
{
    u256_t sq = u256_mul(a->price, a->price);
    return u256_div_to_128(sq, u256_of(Q64), !a->zero_for_one, out);
}

ray_err_t ray_fill(const ray_step_ask_t *a, uint64_t avail, ray_step_t *out)
{
    uint64_t net, got = 0;
    u128_t rate;
    if (a->fee_rate >= RAY_FEE_ONE || !net_amount(a, &net) || !price_of(a, &rate)) return RAY_CalculateOverflow;
    bool fits = !a->exact_in || at_rate(net, rate, a->zero_for_one, false, &got);
    ray_step_t s = {.next = a->price, .out = a->exact_in ? got : net};
    bool all = a->exact_in && fits && got <= avail;
    if (!fits || s.out > avail) s.out = avail;
    if (all) s.in = net;
    else if (!at_rate(s.out, rate, !a->zero_for_one, true, &s.in)) return RAY_CalculateOverflow;
    ray_err_t err = charge(a, all, &s);
    if (!err) *out = s;
    return err;
}
