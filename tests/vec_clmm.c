/* Raydium CLMM: ticks, steps, whole swaps, and what the program did. */
#include "engine/raydium_clmm_math.h"
#include "tests/vec_cmp.h"

#define ARRAYS_MAX 128

static bool check_tick_math(vec_ctx_t *c, vv_t v)
{
    span_t kind = vv_text(vv_get(v, "kind"));
    vv_t price = vv_find(v, "sqrt_price_x64"), tick = vv_get(v, "tick");
    u128_t p = 0;
    int32_t t = 0;
    if (span_is(kind, "array_start"))
        return same_i32(c, "start", ray_array_start(vv_i32(tick), (unsigned)vv_u64(vv_get(v, "tick_spacing"))), vv_get(v, "start"));
    if (span_is(kind, "tick_to_sqrt_price"))
        return ray_sqrt_of_tick(vv_i32(tick), &p) ? vec_fail(c, "refused") : same_num(c, "sqrt_price", p, price);
    return ray_tick_of_sqrt(vv_u128(price), &t) ? vec_fail(c, "refused") : same_i32(c, "tick", t, tick);
}

static bool same_error(vec_ctx_t *c, ray_err_t got, vv_t want)
{
    span_t t = vv_text(want);
    return span_is(t, ray_err_name(got)) || vec_fail(c, "got error '%s', want '%.*s'", ray_err_name(got), (int)t.n, t.p);
}

static bool check_step(vec_ctx_t *c, vv_t v)
{
    ray_step_ask_t ask = {
        .remaining = vv_u64(vv_get(v, "amount_remaining")), .fee_rate = (uint32_t)vv_u64(vv_get(v, "fee_rate")),
        .liquidity = vv_u128(vv_get(v, "liquidity")), .price = vv_u128(vv_get(v, "sqrt_price_x64")),
        .target = vv_u128(vv_get(v, "sqrt_price_target_x64")), .exact_in = vv_bool(vv_get(v, "amount_is_input")),
        .zero_for_one = vv_bool(vv_get(v, "zero_for_one")), .fee_on_input = vv_bool(vv_get(v, "fee_on_input")),
    };
    ray_step_t s = {0};
    ray_err_t err = ray_step(&ask, &s);
    vv_t e = vv_get(v, "expect"), name = vv_find(e, "error");
    if (vv_has(name)) return same_error(c, err, name);
    if (err) return vec_fail(c, "error %s", ray_err_name(err));
    return same_num(c, "sqrt_price_next", s.next, vv_get(e, "sqrt_price_next_x64")) && same_num(c, "amount_in", s.in, vv_get(e, "amount_in")) &&
           same_num(c, "amount_out", s.out, vv_get(e, "amount_out")) && same_num(c, "fee_amount", s.fee, vv_get(e, "fee_amount"));
}

/* ---- whole swaps -------------------------------------------------------------------------------------------------- */

typedef struct {
    ray_clmm_t pool;
    ray_clmm_config_t conf;
    ray_bits_t ext;
    ray_array_t arrays[ARRAYS_MAX];
    size_t n;
    ray_clmm_ask_t ask;
    ray_err_t err;
    ray_run_t run;
} swap_t;

static void mark(swap_t *s, int32_t start)
{
    int32_t bit = start / (RAY_ARRAY_TICKS * s->pool.tick_spacing) + 512;
    if (bit >= 0 && bit < 1024) {
        s->pool.bits[bit / 64] |= 1ull << (bit % 64);
    } else if (bit >= 1024) {
        bit -= 1024;
        s->ext.above[bit / 512][bit % 512 / 64] |= 1ull << (bit % 64);
    } else {
        int32_t page = (-1 - bit) / 512, off = bit + 512 * (page + 1);
        s->ext.below[page][off / 64] |= 1ull << (off % 64);
    }
}

static ray_array_t *array_of(swap_t *s, int32_t tick)
{
    int32_t start = ray_array_start(tick, s->pool.tick_spacing);
    for (size_t i = 0; i < s->n; i++)
        if (s->arrays[i].start == start) return &s->arrays[i];
    if (s->n == ARRAYS_MAX) return NULL;
    s->arrays[s->n] = (ray_array_t){.start = start};
    mark(s, start);
    return &s->arrays[s->n++];
}

static uint64_t order(vv_t o, const char *key)
{
    vv_t x = vv_find(o, key);
    return vv_has(x) ? vv_u64(x) : 0;
}

static bool read_ticks(vec_ctx_t *c, vv_t v, swap_t *s)
{
    for (vv_t t = vv_first(vv_get(v, "ticks")); vv_has(t); t = vv_next(t)) {
        ray_tick_t k = {.index = vv_i32(vv_at(t, 0)), .net = vv_i128(vv_at(t, 1)), .gross = vv_u128(vv_at(t, 2))};
        if (vv_len(t) > 3) {
            k.orders = order(vv_at(t, 3), "orders_amount");
            k.part = order(vv_at(t, 3), "part_filled_remaining");
        }
        ray_array_t *a = array_of(s, k.index);
        if (!a || a->n == RAY_ARRAY_TICKS) return vec_fail(c, "too many arrays");
        a->ticks[a->n++] = k;
    }
    return true;
}

static ray_dynfee_t read_dynfee(vv_t f)
{
    return (ray_dynfee_t){
        .filter_period = (uint16_t)vv_u64(vv_get(f, "filter_period")), .decay_period = (uint16_t)vv_u64(vv_get(f, "decay_period")),
        .reduction = (uint16_t)vv_u64(vv_get(f, "reduction_factor")), .control = (uint32_t)vv_u64(vv_get(f, "dynamic_fee_control")),
        .volatility_max = (uint32_t)vv_u64(vv_get(f, "max_volatility_accumulator")),
        .group_reference = vv_i32(vv_get(f, "tick_spacing_index_reference")),
        .volatility_reference = (uint32_t)vv_u64(vv_get(f, "volatility_reference")),
        .volatility = (uint32_t)vv_u64(vv_get(f, "volatility_accumulator")), .updated_at = vv_u64(vv_get(f, "last_update_timestamp")),
    };
}

static bool read_swap(vec_ctx_t *c, vv_t v, swap_t *s)
{
    vv_t dyn = vv_find(v, "dynamic_fee"), now = vv_find(v, "now");
    *s = (swap_t){
        .pool = {.tick_spacing = (uint16_t)vv_u64(vv_get(v, "tick_spacing")), .liquidity = vv_u128(vv_get(v, "liquidity")),
                 .sqrt_price = vv_u128(vv_get(v, "sqrt_price_x64")), .tick = vv_i32(vv_get(v, "tick")),
                 .fee_growth = {vv_u128(vv_get(v, "fee_growth_global_0")), vv_u128(vv_get(v, "fee_growth_global_1"))},
                 .fee_on = (ray_fee_side_t)vv_u64(vv_get(v, "fee_on"))},
        .conf = {.trade_rate = (uint32_t)vv_u64(vv_get(v, "trade_fee_rate")), .protocol_rate = (uint32_t)vv_u64(vv_get(v, "protocol_fee_rate")),
                 .fund_rate = (uint32_t)vv_u64(vv_get(v, "fund_fee_rate"))},
        .ask = {.amount = vv_u64(vv_get(v, "amount")), .exact_in = vv_bool(vv_get(v, "amount_is_input")),
                .zero_for_one = vv_bool(vv_get(v, "zero_for_one")), .sqrt_limit = vv_u128(vv_get(v, "sqrt_price_limit_x64")),
                .now = vv_has(now) ? vv_u64(now) : 0},
    };
    s->ask.ext = &s->ext;
    if (vv_has(dyn) && !vv_is_null(dyn)) {
        s->pool.dynamic = true;
        s->pool.dynfee = read_dynfee(dyn);
    }
    if (!read_ticks(c, v, s)) return false;
    s->err = ray_clmm_run(&s->pool, &s->conf, s->arrays, s->n, &s->ask, &s->run);
    return true;
}

/* The engine's own quote says the same as the run, or refuses. */
static bool quote_agrees(vec_ctx_t *c, const swap_t *s)
{
    ray_clmm_quote_t q;
    xerr_t err = ray_clmm_quote(&s->pool, &s->conf, s->arrays, s->n, &s->ask, &q);
    if ((err == XE_OK) != (s->err == RAY_FINE)) return vec_fail(c, "ray_clmm_quote: %s beside %s", xerr_name(err), ray_err_name(s->err));
    return err || (q.in == s->run.q.in && q.out == s->run.q.out) || vec_fail(c, "ray_clmm_quote differs");
}

static bool same_state(vec_ctx_t *c, const ray_clmm_quote_t *q, vv_t e)
{
    return same_num(c, "sqrt_price", q->sqrt_after, vv_get(e, "sqrt_price_x64")) && same_i32(c, "tick", q->tick_after, vv_get(e, "tick")) &&
           same_num(c, "liquidity", q->liquidity_after, vv_get(e, "liquidity")) && same_num(c, "ticks_crossed", q->crossed, vv_get(e, "ticks_crossed")) &&
           same_num(c, "arrays_read", q->arrays_read, vv_get(e, "arrays_read"));
}

static bool same_dynfee(vec_ctx_t *c, const ray_dynfee_t *d, vv_t f)
{
    return !vv_has(f) ||
           (same_i32(c, "tick_spacing_index_reference", d->group_reference, vv_get(f, "tick_spacing_index_reference")) &&
            same_num(c, "volatility_reference", d->volatility_reference, vv_get(f, "volatility_reference")) &&
            same_num(c, "volatility_accumulator", d->volatility, vv_get(f, "volatility_accumulator")) &&
            same_num(c, "last_update_timestamp", d->updated_at, vv_get(f, "last_update_timestamp")));
}

static bool check_quote(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    vv_t e = vv_get(v, "expect"), name = vv_find(e, "error");
    if (!read_swap(c, v, &s) || !quote_agrees(c, &s)) return false;
    if (vv_has(name)) return same_error(c, s.err, name);
    bool refused = vv_has(vv_find(e, "program_rejects"));
    bool filled = s.err == RAY_TooSmallInputOrOutputAmount || s.err == RAY_PartialFill;
    if (s.err && !(refused && filled)) return vec_fail(c, "error %s", ray_err_name(s.err));
    if (refused && !s.err) return vec_fail(c, "accepted");
    const ray_clmm_quote_t *q = &s.run.q;
    bool down = s.ask.zero_for_one;
    return same_num(c, "amount_0", down ? q->in : q->out, vv_get(e, "amount_0")) && same_num(c, "amount_1", down ? q->out : q->in, vv_get(e, "amount_1")) &&
           same_num(c, "unfilled", q->unfilled, vv_get(e, "unfilled")) && same_state(c, q, e) &&
           same_num(c, "fee_token", q->fee_in_output == down, vv_get(e, "fee_token")) && same_num(c, "lp_fee", q->lp_fee, vv_get(e, "lp_fee")) &&
           same_num(c, "protocol_fee", q->protocol_fee, vv_get(e, "protocol_fee")) && same_num(c, "fund_fee", q->fund_fee, vv_get(e, "fund_fee")) &&
           same_num(c, "fee_growth_global", s.run.fee_growth, vv_get(e, "fee_growth_global")) && same_dynfee(c, &s.run.dynfee, vv_find(e, "dynamic_fee"));
}

static bool check_onchain(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    vv_t e = vv_get(v, "expect"), name = vv_find(e, "error");
    if (!read_swap(c, v, &s) || !quote_agrees(c, &s)) return false;
    if (vv_has(name)) return same_error(c, s.err, name);
    if (s.err) return vec_fail(c, "error %s", ray_err_name(s.err));
    const ray_clmm_quote_t *q = &s.run.q;
    size_t side = q->fee_in_output == s.ask.zero_for_one;
    u128_t growth[2] = {s.pool.fee_growth[0], s.pool.fee_growth[1]};
    growth[side] = s.run.fee_growth;
    return same_num(c, "user_paid", q->in, vv_get(e, "user_paid")) && same_num(c, "user_received", q->out, vv_get(e, "user_received")) &&
           same_state(c, q, e) && same_num(c, "fee_growth_0", growth[0], vv_get(e, "fee_growth_global_0")) &&
           same_num(c, "fee_growth_1", growth[1], vv_get(e, "fee_growth_global_1")) &&
           same_num(c, "protocol_fee", q->protocol_fee, vv_at(vv_get(e, "protocol_fees"), side)) &&
           same_num(c, "fund_fee", q->fund_fee, vv_at(vv_get(e, "fund_fees"), side));
}

const vec_row_t vec_clmm_rows[] = {
    {"raydium_clmm_tick_math", check_tick_math},
    {"raydium_clmm_swap_step", check_step},
    {"raydium_clmm_quotes", check_quote},
    {"raydium_clmm_onchain", check_onchain},
    {NULL, NULL},
};
