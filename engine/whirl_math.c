#include "engine/whirl_math.h"

#include "engine/u256.h"

#define TICK_BITS 19
#define Q64 ((u128_t)1 << 64)

const char *whirl_err_name(whirl_err_t e)
{
    switch (e) {
    case WHIRL_FINE: break;
    case WHIRL_OutOfSteps: return "OutOfSteps";
#define X(name, n) case WHIRL_##name: return #name;
        WHIRL_ERR_LIST(X)
#undef X
    }
    return "";
}

/* ---- ticks and prices --------------------------------------------------------------------------------------------- */

/* sqrt(1.0001) to the power 2^i, Q96. */
static const struct { uint64_t hi, lo; } up[TICK_BITS] = {
    {0x1000346d6u, 0xff11672ae55ad00fu}, /* 79232123823359799118286999567 */
    {0x100068db8u, 0xbac710cb295e9e1bu}, /* 79236085330515764027303304731 */
    {0x1000d1b9cu, 0x68abe5f76b30fb75u}, /* 79244008939048815603706035061 */
    {0x1001a37e4u, 0xa234cb0830516e51u}, /* 79259858533276714757314932305 */
    {0x100347278u, 0xab0e92ada25ab460u}, /* 79291567232598584799939703904 */
    {0x10068efb0u, 0x0a525480a5d7fdc2u}, /* 79355022692464371645785046466 */
    {0x100d20a63u, 0xb4173839df9daaa5u}, /* 79482085999252804386437311141 */
    {0x101a4c11cu, 0x742dd7729738df5eu}, /* 79736823300114093921829183326 */
    {0x1034c35c3u, 0x1f64cfa6dc0d6de4u}, /* 80248749790819932309965073892 */
    {0x106a34b78u, 0xc8aaffbf81bed5a3u}, /* 81282483887344747381513967011 */
    {0x10d72a6a4u, 0x6ccd8bce9ae771b1u}, /* 83390072131320151908154831281 */
    {0x11b9a258eu, 0x63928596dc757faau}, /* 87770609709833776024991924138 */
    {0x13a2e2bdau, 0x04f8379f3cd17be5u}, /* 97234110755111693312479820773 */
    {0x181954be6u, 0x9e0da8fe77f2ab42u}, /* 119332217159966728226237229890 */
    {0x244c2655du, 0x185a029080252877u}, /* 179736315981702064433883588727 */
    {0x525816eebu, 0x9f935b1c616779e8u}, /* 407748233172238350107850275304 */
    {0x1a7c8d00b5u, 0x51684ff4d31ae065u}, /* 2098478828474011932436660412517 */
    {0x2bd893d0b2du, 0xf7c97884590c66cdu}, /* 55581415166113811149459800483533 */
    {0x78278e1e19e44u, 0x8cf8b95d2152dccfu}, /* 38992368544603139932233054999993551 */
};

/* 1 / sqrt(1.0001) to the power 2^i, Q64: the price of tick -2^i. */
static const uint64_t down[TICK_BITS] = {
    18445821805675392311u,
    18444899583751176498u,
    18443055278223354162u,
    18439367220385604838u,
    18431993317065449817u,
    18417254355718160513u,
    18387811781193591352u,
    18329067761203520168u,
    18212142134806087854u,
    17980523815641551639u,
    17526086738831147013u,
    16651378430235024244u,
    15030750278693429944u,
    12247334978882834399u,
    8131365268884726200u,
    3584323654723342297u,
    696457651847595233u,
    26294789957452057u,
    37481735321082u,
};

static u128_t price_above(uint32_t tick)
{
    u128_t r = (u128_t)1 << 96;
    for (unsigned i = 0; i < TICK_BITS; i++) {
        if (!(tick >> i & 1)) continue;
        u128_t factor = ((u128_t)up[i].hi << 64) | up[i].lo;
        r = u256_shr(u256_mul(r, factor), 96).lo;
    }
    return r >> 32;
}

static u128_t price_below(uint32_t tick)
{
    u128_t r = Q64;
    for (unsigned i = 0; i < TICK_BITS; i++)
        if (tick >> i & 1) r = (r * down[i]) >> 64;
    return r;
}

xerr_t whirl_sqrt_of_tick(int32_t tick, u128_t *out)
{
    if (tick < WHIRL_TICK_MIN || tick > WHIRL_TICK_MAX) return XE_RANGE;
    *out = tick >= 0 ? price_above((uint32_t)tick) : price_below((uint32_t)-tick);
    return XE_OK;
}

#define LOG2_LAST_BIT 18 /* the program on chain computes 14 bits of the fraction */

xerr_t whirl_tick_of_sqrt(u128_t sqrt_price, int32_t *out)
{
    if (sqrt_price < WHIRL_SQRT_MIN || sqrt_price > WHIRL_SQRT_MAX) return XE_RANGE;
    i128_t x = (i128_t)log2_x32(sqrt_price, LOG2_LAST_BIT) * 59543866431248;
    int32_t low = (int32_t)((x - 184467440737095516) >> 64);
    int32_t high = (int32_t)((x + 15793534762490258745ull) >> 64);
    u128_t at;
    if (low != high && whirl_sqrt_of_tick(high, &at) == XE_OK && at <= sqrt_price) low = high;
    *out = low;
    return XE_OK;
}

int32_t whirl_array_start(int32_t tick, unsigned tick_spacing)
{
    int32_t span = (int32_t)(WHIRL_ARRAY_TICKS * tick_spacing);
    int32_t n = tick / span;
    if (tick % span < 0) n--;
    return n * span;
}

/* ---- amounts between two prices ----------------------------------------------------------------------------------- */

whirl_err_t whirl_delta_a(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out)
{
    u128_t d = p < q ? q - p : p - q;
    u256_t num, den = u256_mul(p, q);
    u128_t v;
    if (!u256_shl64(u256_mul(liquidity, d), &num)) return WHIRL_MultiplicationOverflow;
    if (u256_is_zero(den)) return WHIRL_DivideByZero;
    if (!u256_div_to_128(num, den, round_up, &v) || v > UINT64_MAX) return WHIRL_TokenMaxExceeded;
    *out = (uint64_t)v;
    return WHIRL_FINE;
}

whirl_err_t whirl_delta_b(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out)
{
    u128_t d = p < q ? q - p : p - q;
    u256_t product = u256_mul(liquidity, d);
    if (product.hi != 0) return WHIRL_MultiplicationShiftRightOverflow;
    uint64_t v = (uint64_t)(product.lo >> 64);
    if (round_up && (uint64_t)product.lo != 0) {
        if (v == UINT64_MAX) return WHIRL_MultiplicationOverflow;
        v++;
    }
    *out = v;
    return WHIRL_FINE;
}

/* ---- the price after an amount ------------------------------------------------------------------------------------ */

whirl_err_t whirl_next_from_a(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out)
{
    u256_t num, den, shifted = {liquidity << 64, liquidity >> 64}, moved = u256_mul(p, amount);
    u128_t v;
    if (amount == 0) {
        *out = p;
        return WHIRL_FINE;
    }
    if (!u256_shl64(u256_mul(liquidity, p), &num)) return WHIRL_MultiplicationOverflow;
    if (!in && u256_le(shifted, moved)) return WHIRL_DivideByZero;
    if (in) (void)u256_add(shifted, moved, &den); /* both stay under 2^193 */
    else den = u256_sub(shifted, moved);
    if (!u256_div_to_128(num, den, true, &v)) return WHIRL_TokenMaxExceeded;
    if (v < WHIRL_SQRT_MIN) return WHIRL_TokenMinSubceeded;
    if (v > WHIRL_SQRT_MAX) return WHIRL_TokenMaxExceeded;
    *out = v;
    return WHIRL_FINE;
}

whirl_err_t whirl_next_from_b(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out)
{
    if (liquidity == 0) return WHIRL_DivideByZero;
    u128_t num = (u128_t)amount << 64;
    u128_t delta = num / liquidity;
    if (!in && num % liquidity != 0) delta++;
    if (in ? delta > U128_MAX - p : delta > p) return WHIRL_SqrtPriceOutOfBounds;
    *out = in ? p + delta : p - delta;
    return WHIRL_FINE;
}

/* ---- one step ----------------------------------------------------------------------------------------------------- */

/* The fixed token is the one the amount is given in: the input of an exact-in swap, the output of an exact-out one. */
static whirl_err_t delta_fixed(const whirl_step_ask_t *a, u128_t to, uint64_t *out)
{
    bool is_a = a->a_to_b == a->exact_in;
    return is_a ? whirl_delta_a(a->price, to, a->liquidity, a->exact_in, out) : whirl_delta_b(a->price, to, a->liquidity, a->exact_in, out);
}

static whirl_err_t delta_other(const whirl_step_ask_t *a, u128_t to, uint64_t *out)
{
    bool is_a = a->a_to_b != a->exact_in;
    return is_a ? whirl_delta_a(a->price, to, a->liquidity, !a->exact_in, out) : whirl_delta_b(a->price, to, a->liquidity, !a->exact_in, out);
}

static whirl_err_t next_price(const whirl_step_ask_t *a, uint64_t amount, u128_t *out)
{
    bool is_a = a->a_to_b == a->exact_in;
    return is_a ? whirl_next_from_a(a->price, a->liquidity, amount, a->exact_in, out)
                : whirl_next_from_b(a->price, a->liquidity, amount, a->exact_in, out);
}

static uint64_t fee_of(const whirl_step_ask_t *a, const whirl_step_t *s)
{
    if (a->exact_in && !s->reached) return a->remaining - s->in;
    u128_t num = (u128_t)s->in * a->fee_rate;
    u128_t den = WHIRL_FEE_ONE - a->fee_rate;
    return (uint64_t)((num + den - 1) / den);
}

whirl_err_t whirl_step(const whirl_step_ask_t *a, whirl_step_t *out)
{
    uint64_t fixed = 0, other = 0, amount = a->remaining;
    if (a->exact_in) amount = (uint64_t)((u128_t)amount * (WHIRL_FEE_ONE - a->fee_rate) / WHIRL_FEE_ONE);
    whirl_err_t far = delta_fixed(a, a->target, &fixed);
    bool fits = far == WHIRL_FINE;
    if (!fits && far != WHIRL_TokenMaxExceeded && far != WHIRL_MultiplicationShiftRightOverflow) return far;
    whirl_err_t err = WHIRL_FINE;
    whirl_step_t s = {.next = a->target};
    if (!fits || fixed > amount) err = next_price(a, amount, &s.next);
    if (err) return err;
    s.reached = s.next == a->target;
    err = delta_other(a, s.next, &other);
    if (err) return err;
    if (!s.reached || !fits) err = delta_fixed(a, s.next, &fixed);
    if (err) return err;
    s.in = a->exact_in ? fixed : other;
    s.out = a->exact_in ? other : fixed;
    if (!a->exact_in && s.out > a->remaining) s.out = a->remaining;
    s.fee = fee_of(a, &s);
    *out = s;
    return WHIRL_FINE;
}
