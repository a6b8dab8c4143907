/* Whirlpool vectors: tick mathematics, amounts, steps, whole swaps against the program's outcomes, account bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "engine/whirl_math.h"
#include "tests/vec_cmp.h"

#define SEQ_MAX 16

static bool same_error(vec_ctx_t *c, whirl_err_t got, vv_t want)
{
    span_t t = vv_text(want);
    return span_is(t, whirl_err_name(got)) || vec_fail(c, "got error '%s', want '%.*s'", whirl_err_name(got), (int)t.n, t.p);
}

/* A value that may be {"error": NAME} instead of a number. */
static bool same_or_error(vec_ctx_t *c, const char *what, whirl_err_t err, u128_t got, vv_t want)
{
    if (vv_is_object(want)) return same_error(c, err, vv_get(want, "error"));
    if (err) return vec_fail(c, "%s: error %s, want %.*s", what, whirl_err_name(err), (int)vv_text(want).n, vv_text(want).p);
    return same_num(c, what, got, want);
}

/* ---- building blocks ---------------------------------------------------------------------------------------------- */

static bool check_sequence(vec_ctx_t *c, vv_t v)
{
    int32_t starts[3];
    unsigned n = whirl_sequence(vv_i32(vv_get(v, "tick")), (unsigned)vv_u64(vv_get(v, "tick_spacing")), vv_bool(vv_get(v, "a_to_b")), starts);
    vv_t want = vv_get(v, "starts");
    if (n != vv_len(want)) return vec_fail(c, "got %u arrays, want %zu", n, vv_len(want));
    for (unsigned i = 0; i < n; i++)
        if (!same_i32(c, "start", starts[i], vv_at(want, i))) return false;
    return true;
}

static bool check_array_start(vec_ctx_t *c, vv_t v)
{
    int32_t tick = vv_i32(vv_get(v, "tick")), spacing = vv_i32(vv_get(v, "tick_spacing"));
    int32_t start = whirl_array_start(tick, (unsigned)spacing);
    return same_i32(c, "start", start, vv_get(v, "start")) && same_i32(c, "offset", (tick - start) / spacing, vv_get(v, "offset"));
}

static bool check_tick_math(vec_ctx_t *c, vv_t v)
{
    span_t kind = vv_text(vv_get(v, "kind"));
    if (span_is(kind, "arrays_for_swap")) return check_sequence(c, v);
    if (span_is(kind, "array_start")) return check_array_start(c, v);
    u128_t price = 0;
    int32_t tick = 0;
    if (span_is(kind, "tick_to_sqrt_price")) {
        xerr_t err = whirl_sqrt_of_tick(vv_i32(vv_get(v, "tick")), &price);
        return err ? vec_fail(c, "%s", xerr_name(err)) : same_num(c, "sqrt_price", price, vv_get(v, "sqrt_price"));
    }
    if (!span_is(kind, "sqrt_price_to_tick")) return vec_fail(c, "unknown kind");
    xerr_t err = whirl_tick_of_sqrt(vv_u128(vv_get(v, "sqrt_price")), &tick);
    return err ? vec_fail(c, "%s", xerr_name(err)) : same_i32(c, "tick", tick, vv_get(v, "tick"));
}

static bool check_delta_math(vec_ctx_t *c, vv_t v)
{
    u128_t l = vv_u128(vv_get(v, "liquidity"));
    if (span_is(vv_text(vv_get(v, "kind")), "amount_delta")) {
        u128_t p = vv_u128(vv_get(v, "sqrt_price_0")), q = vv_u128(vv_get(v, "sqrt_price_1"));
        bool round_up = vv_bool(vv_get(v, "round_up"));
        uint64_t a = 0, b = 0;
        whirl_err_t ea = whirl_delta_a(p, q, l, round_up, &a), eb = whirl_delta_b(p, q, l, round_up, &b);
        return same_or_error(c, "amount_a", ea, a, vv_get(v, "amount_a")) && same_or_error(c, "amount_b", eb, b, vv_get(v, "amount_b"));
    }
    u128_t p = vv_u128(vv_get(v, "sqrt_price")), a = 0, b = 0;
    uint64_t amount = vv_u64(vv_get(v, "amount"));
    bool in = vv_bool(vv_get(v, "is_input"));
    whirl_err_t ea = whirl_next_from_a(p, l, amount, in, &a), eb = whirl_next_from_b(p, l, amount, in, &b);
    return same_or_error(c, "from_a", ea, a, vv_get(v, "from_a")) && same_or_error(c, "from_b", eb, b, vv_get(v, "from_b"));
}

static bool check_swap_step(vec_ctx_t *c, vv_t v)
{
    whirl_step_ask_t ask = {
        .remaining = vv_u64(vv_get(v, "amount_remaining")), .fee_rate = (uint32_t)vv_u64(vv_get(v, "fee_rate")),
        .liquidity = vv_u128(vv_get(v, "liquidity")), .price = vv_u128(vv_get(v, "sqrt_price")),
        .target = vv_u128(vv_get(v, "sqrt_price_target")), .exact_in = vv_bool(vv_get(v, "is_input")),
        .a_to_b = vv_bool(vv_get(v, "a_to_b")),
    };
    whirl_step_t s = {0};
    whirl_err_t err = whirl_step(&ask, &s);
    vv_t e = vv_get(v, "expect"), name = vv_find(e, "error");
    if (vv_has(name)) return same_error(c, err, name);
    if (err) return vec_fail(c, "error %s", whirl_err_name(err));
    return same_num(c, "amount_in", s.in, vv_get(e, "amount_in")) && same_num(c, "amount_out", s.out, vv_get(e, "amount_out")) &&
           same_num(c, "next_sqrt_price", s.next, vv_get(e, "next_sqrt_price")) && same_num(c, "fee_amount", s.fee, vv_get(e, "fee_amount")) &&
           (s.reached == vv_bool(vv_get(e, "reached_target")) || vec_fail(c, "reached_target"));
}

/* ---- whole swaps -------------------------------------------------------------------------------------------------- */

typedef struct {
    whirl_pool_t pool;
    whirl_array_t arrays[SEQ_MAX];
    size_t n;
    whirl_ask_t ask;
    whirl_oracle_t oracle;
    token_fee_t fee[2];
    whirl_err_t err;
    whirl_run_t run;
} swap_t;

static void read_pool(vv_t p, whirl_pool_t *out)
{
    *out = (whirl_pool_t){
        .tick_spacing = (uint16_t)vv_u64(vv_get(p, "tick_spacing")), .fee_rate = (uint16_t)vv_u64(vv_get(p, "fee_rate")),
        .liquidity = vv_u128(vv_get(p, "liquidity")), .sqrt_price = vv_u128(vv_get(p, "sqrt_price")), .tick = vv_i32(vv_get(p, "tick")),
    };
    vv_t rate = vv_find(p, "protocol_fee_rate"), tier = vv_find(p, "fee_tier_index");
    if (vv_has(rate)) out->protocol_rate = (uint16_t)vv_u64(rate);
    out->fee_tier_index = vv_has(tier) ? (uint16_t)vv_u64(tier) : out->tick_spacing;
}

static void read_ask(vv_t v, whirl_ask_t *out)
{
    vv_t limit = vv_find(v, "sqrt_price_limit");
    *out = (whirl_ask_t){.amount = vv_u64(vv_get(v, "amount")), .exact_in = vv_bool(vv_get(v, "amount_is_input")),
                         .a_to_b = vv_bool(vv_get(v, "a_to_b")), .sqrt_limit = vv_has(limit) ? vv_u128(limit) : 0};
}

static void read_oracle(vv_t v, swap_t *s)
{
    vv_t c = vv_get(v, "adaptive_fee_constants"), var = vv_get(v, "adaptive_fee_variables");
    s->oracle = (whirl_oracle_t){
        .filter_period = (uint16_t)vv_u64(vv_get(c, "filter_period")), .decay_period = (uint16_t)vv_u64(vv_get(c, "decay_period")),
        .reduction = (uint16_t)vv_u64(vv_get(c, "reduction_factor")), .control = (uint32_t)vv_u64(vv_get(c, "control_factor")),
        .volatility_max = (uint32_t)vv_u64(vv_get(c, "max_volatility_accumulator")),
        .group_size = (uint16_t)vv_u64(vv_get(c, "tick_group_size")), .major_ticks = (uint16_t)vv_u64(vv_get(c, "major_swap_threshold_ticks")),
        .last_reference_at = vv_u64(vv_get(var, "last_reference_update_timestamp")),
        .last_major_at = vv_u64(vv_get(var, "last_major_swap_timestamp")),
        .volatility_reference = (uint32_t)vv_u64(vv_get(var, "volatility_reference")),
        .group_reference = vv_i32(vv_get(var, "tick_group_index_reference")),
        .volatility = (uint32_t)vv_u64(vv_get(var, "volatility_accumulator")),
    };
    s->ask.oracle = &s->oracle;
    s->ask.now = vv_u64(vv_get(v, "now"));
}

static const token_fee_t *read_fee(vv_t v, token_fee_t *out)
{
    if (vv_is_null(v)) return NULL;
    *out = (token_fee_t){.bps = (uint16_t)vv_u64(vv_get(v, "bps")), .max = vv_u64(vv_get(v, "max"))};
    return out;
}

/* Fills one array from the list of all initialised ticks. */
static void fill_array(whirl_array_t *a, vv_t ticks, unsigned spacing)
{
    for (vv_t t = vv_first(ticks); vv_has(t); t = vv_next(t)) {
        int32_t index = vv_i32(vv_at(t, 0));
        if (index < a->start || index >= a->start + (int32_t)(WHIRL_ARRAY_TICKS * spacing) || a->n == WHIRL_ARRAY_TICKS) continue;
        a->ticks[a->n++] = (whirl_tick_t){.index = index, .net = vv_i128(vv_at(t, 1))};
    }
}

static void read_arrays(vv_t v, swap_t *s)
{
    for (vv_t a = vv_first(vv_get(v, "arrays")); vv_has(a) && s->n < SEQ_MAX; a = vv_next(a)) {
        whirl_array_t *out = &s->arrays[s->n++];
        out->start = vv_i32(vv_is_object(a) ? vv_get(a, "start") : a);
        out->missing = vv_is_object(a) && span_is(vv_text(vv_get(a, "kind")), "missing");
        if (!out->missing) fill_array(out, vv_get(v, "ticks"), s->pool.tick_spacing);
    }
}

/* The engine's own quote must say the same as the program, or refuse where arrays end; never another number. */
static bool quote_agrees(vec_ctx_t *c, const swap_t *s)
{
    whirl_quote_t q;
    xerr_t err = whirl_quote(&s->pool, s->arrays, s->n, &s->ask, &q);
    if (s->err) return err != XE_OK || vec_fail(c, "whirl_quote answers though the program fails with %s", whirl_err_name(s->err));
    if (s->run.at_gap) return err == XE_DEPTH || vec_fail(c, "whirl_quote is %s at the end of the arrays", xerr_name(err));
    if (err) return vec_fail(c, "whirl_quote: %s", xerr_name(err));
    return (q.in == s->run.q.in && q.out == s->run.q.out && q.fee == s->run.q.fee) || vec_fail(c, "whirl_quote differs");
}

static void run_swap(swap_t *s)
{
    s->err = whirl_run(&s->pool, s->arrays, s->n, &s->ask, &s->run);
}

static bool same_state(vec_ctx_t *c, const swap_t *s, vv_t e)
{
    return same_num(c, "sqrt_price", s->run.q.sqrt_after, vv_get(e, "sqrt_price")) && same_i32(c, "tick", s->run.q.tick_after, vv_get(e, "tick")) &&
           same_num(c, "liquidity", s->run.q.liquidity_after, vv_get(e, "liquidity")) &&
           same_num(c, "ticks_crossed", s->run.q.crossed, vv_get(e, "ticks_crossed"));
}

/* Errors first; true when the vector expects one and got it. done says whether anything is left to compare. */
static bool settle(vec_ctx_t *c, const swap_t *s, vv_t e, bool *done)
{
    vv_t name = vv_find(e, "error");
    *done = true;
    if (!quote_agrees(c, s)) return false;
    if (vv_has(name)) return same_error(c, s->err, name);
    if (s->err) return vec_fail(c, "error %s", whirl_err_name(s->err));
    *done = false;
    return true;
}

static bool check_quotes(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    bool done;
    s = (swap_t){0};
    read_pool(vv_get(v, "pool"), &s.pool);
    read_ask(v, &s.ask);
    read_arrays(v, &s);
    run_swap(&s);
    vv_t e = vv_get(v, "expect");
    bool ok = settle(c, &s, e, &done);
    if (done) return ok;
    const whirl_quote_t *q = &s.run.q;
    u128_t growth = vv_u128(vv_get(vv_get(v, "pool"), s.ask.a_to_b ? "fee_growth_global_a" : "fee_growth_global_b"));
    return same_num(c, "amount_a", s.ask.a_to_b ? q->in : q->out, vv_get(e, "amount_a")) &&
           same_num(c, "amount_b", s.ask.a_to_b ? q->out : q->in, vv_get(e, "amount_b")) && same_num(c, "unfilled", q->unfilled, vv_get(e, "unfilled")) &&
           same_num(c, "trade_fee", q->fee, vv_get(e, "trade_fee")) && same_num(c, "protocol_fee", s.run.protocol_fee, vv_get(e, "protocol_fee")) &&
           same_num(c, "fee_growth", growth + s.run.fee_growth, vv_get(e, "fee_growth_global_input")) && same_num(c, "steps", s.run.steps, vv_get(e, "steps")) &&
           same_num(c, "arrays_read", s.run.arrays_read, vv_get(e, "arrays_read")) && same_state(c, &s, e);
}

static bool same_outcome(vec_ctx_t *c, const swap_t *s, vv_t e)
{
    return same_num(c, "user_paid", s->run.q.in, vv_get(e, "user_paid")) && same_num(c, "user_received", s->run.q.out, vv_get(e, "user_received")) &&
           same_num(c, "arrays_read", s->run.arrays_read, vv_get(e, "arrays_read")) && same_state(c, s, e);
}

static bool same_oracle_state(vec_ctx_t *c, const whirl_oracle_t *o, vv_t f)
{
    return same_num(c, "last_reference_update_timestamp", o->last_reference_at, vv_get(f, "last_reference_update_timestamp")) &&
           same_num(c, "last_major_swap_timestamp", o->last_major_at, vv_get(f, "last_major_swap_timestamp")) &&
           same_num(c, "volatility_reference", o->volatility_reference, vv_get(f, "volatility_reference")) &&
           same_i32(c, "tick_group_index_reference", o->group_reference, vv_get(f, "tick_group_index_reference")) &&
           same_num(c, "volatility_accumulator", o->volatility, vv_get(f, "volatility_accumulator"));
}

/* What only some of these files carry. */
static bool same_extras(vec_ctx_t *c, const swap_t *s, vv_t e)
{
    vv_t oracle = vv_find(e, "adaptive_fee_variables"), low = vv_find(e, "lowest_fee_rate"), in = vv_find(e, "swapped_in");
    if (vv_has(oracle) && !same_oracle_state(c, &s->run.oracle, oracle)) return false;
    if (vv_has(low) && (!same_num(c, "lowest_fee_rate", s->run.fee_rate_low, low) ||
                        !same_num(c, "highest_fee_rate", s->run.fee_rate_high, vv_get(e, "highest_fee_rate")))) return false;
    return !vv_has(in) || (same_num(c, "swapped_in", s->run.swapped_in, in) && same_num(c, "swapped_out", s->run.swapped_out, vv_get(e, "swapped_out")));
}

static bool check_onchain(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    bool done;
    s = (swap_t){0};
    vv_t p = vv_get(v, "pool"), e = vv_get(v, "expect"), fees = vv_find(v, "transfer_fee");
    read_pool(p, &s.pool);
    read_ask(v, &s.ask);
    read_arrays(v, &s);
    if (vv_has(vv_find(v, "adaptive_fee_constants"))) read_oracle(v, &s);
    if (vv_has(fees)) {
        s.ask.fee_a = read_fee(vv_get(fees, "a"), &s.fee[0]);
        s.ask.fee_b = read_fee(vv_get(fees, "b"), &s.fee[1]);
    }
    run_swap(&s);
    bool ok = settle(c, &s, e, &done);
    if (done) return ok;
    u128_t a = vv_u128(vv_get(p, "fee_growth_global_a")), b = vv_u128(vv_get(p, "fee_growth_global_b"));
    if (s.ask.a_to_b) a += s.run.fee_growth;
    else b += s.run.fee_growth;
    return same_outcome(c, &s, e) && same_num(c, "fee_growth_global_a", a, vv_get(e, "fee_growth_global_a")) &&
           same_num(c, "fee_growth_global_b", b, vv_get(e, "fee_growth_global_b")) &&
           same_num(c, "protocol_fee_added", s.run.protocol_fee, vv_get(e, "protocol_fee_added")) && same_extras(c, &s, e);
}

static bool check_replay(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    bool done;
    s = (swap_t){0};
    vv_t e = vv_get(v, "expect");
    read_pool(v, &s.pool);
    read_ask(v, &s.ask);
    read_arrays(v, &s);
    run_swap(&s);
    bool ok = settle(c, &s, e, &done);
    if (done) return ok;
    return same_num(c, "recorded_in", s.run.q.in, vv_get(v, "recorded_in")) && same_num(c, "recorded_out", s.run.q.out, vv_get(v, "recorded_out")) &&
           same_state(c, &s, e);
}

/* Columns: id, tick_spacing, fee_rate, protocol_fee_rate, liquidity, tick, amount, amount_is_input, a_to_b, error,
 * amount_a, amount_b, next_liquidity, next_tick, next_sqrt_price, next_fee_growth_global_input, next_protocol_fee. */
static bool check_published(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    vv_t col[17];
    size_t n = 0;
    for (vv_t x = vv_first(v); vv_has(x) && n < 17; x = vv_next(x)) col[n++] = x;
    if (n != 17) return vec_fail(c, "%zu columns", n);
    s = (swap_t){0};
    s.pool = (whirl_pool_t){.tick_spacing = (uint16_t)vv_u64(col[1]), .fee_rate = (uint16_t)vv_u64(col[2]),
                            .protocol_rate = (uint16_t)vv_u64(col[3]), .liquidity = vv_u128(col[4]), .tick = vv_i32(col[5])};
    s.pool.fee_tier_index = s.pool.tick_spacing;
    s.ask = (whirl_ask_t){.amount = vv_u64(col[6]), .exact_in = vv_bool(col[7]), .a_to_b = vv_bool(col[8])};
    int32_t span = WHIRL_ARRAY_TICKS * s.pool.tick_spacing, first = whirl_array_start(s.pool.tick, s.pool.tick_spacing);
    for (int i = 0; i < 3; i++) s.arrays[s.n++].start = s.ask.a_to_b ? first - i * span : first + i * span;
    int32_t edge = s.ask.a_to_b ? first - 2 * span : first + 3 * span - 1;
    if (edge < WHIRL_TICK_MIN) edge = WHIRL_TICK_MIN;
    if (edge > WHIRL_TICK_MAX) edge = WHIRL_TICK_MAX;
    if (whirl_sqrt_of_tick(s.pool.tick, &s.pool.sqrt_price) || whirl_sqrt_of_tick(edge, &s.ask.sqrt_limit)) return vec_fail(c, "tick");
    run_swap(&s);
    if (!quote_agrees(c, &s)) return false;
    if (!vv_is_null(col[9]) && vv_text(col[9]).n) return same_error(c, s.err, col[9]);
    if (s.err) return vec_fail(c, "error %s", whirl_err_name(s.err));
    const whirl_quote_t *q = &s.run.q;
    return same_num(c, "amount_a", s.ask.a_to_b ? q->in : q->out, col[10]) && same_num(c, "amount_b", s.ask.a_to_b ? q->out : q->in, col[11]) &&
           same_num(c, "next_liquidity", q->liquidity_after, col[12]) && same_i32(c, "next_tick", q->tick_after, col[13]) &&
           same_num(c, "next_sqrt_price", q->sqrt_after, col[14]) && same_num(c, "fee_growth", s.run.fee_growth, col[15]) &&
           same_num(c, "protocol_fee", s.run.protocol_fee, col[16]);
}

/* ---- real account bytes ------------------------------------------------------------------------------------------- */

static vv_t dump_of(vec_ctx_t *c, span_t name)
{
    char path[1024];
    if (!c->side || !span_is(name, c->side_name)) {
        const char *slash = strrchr(c->path, '/');
        int dir = slash ? (int)(slash - c->path) + 1 : 0;
        vj_free(c->side);
        snprintf(path, sizeof path, "%.*saccounts/%.*s.json", dir, c->path, (int)name.n, name.p);
        snprintf(c->side_name, sizeof c->side_name, "%.*s", (int)name.n, name.p);
        c->side = vj_load(path);
    }
    return vv_get(vj_root(c->side), "accounts");
}

static bool load_pool(vv_t accounts, span_t address, whirl_pool_t *out)
{
    for (vv_t a = vv_first(accounts); vv_has(a); a = vv_next(a)) {
        if (!span_eq(vv_text(vv_get(a, "address")), address)) continue;
        size_t n;
        uint8_t *p = vv_b64(vv_get(a, "data_b64"), &n);
        xerr_t err = whirl_pool_decode(p, n, out);
        free(p);
        return err == XE_OK;
    }
    return false;
}

static bool load_array(vv_t accounts, const uint8_t pool[32], unsigned spacing, int32_t start, whirl_array_t *out)
{
    for (vv_t a = vv_first(accounts); vv_has(a); a = vv_next(a)) {
        size_t n;
        uint8_t *p = vv_b64(vv_get(a, "data_b64"), &n);
        xerr_t err = whirl_array_decode(p, n, spacing, out);
        free(p);
        if (!err && out->start == start && memcmp(out->pool, pool, 32) == 0) return true;
    }
    return false;
}

static bool check_real(vec_ctx_t *c, vv_t v)
{
    static swap_t s;
    uint8_t key[32];
    bool done;
    s = (swap_t){0};
    vv_t accounts = dump_of(c, vv_text(vv_get(v, "dump"))), e = vv_get(v, "expect");
    span_t address = vv_text(vv_get(v, "whirlpool"));
    if (b58_key(address, key) || !load_pool(accounts, address, &s.pool)) return vec_fail(c, "pool is not in the dump");
    read_ask(v, &s.ask);
    for (vv_t a = vv_first(vv_get(v, "arrays")); vv_has(a) && s.n < SEQ_MAX; a = vv_next(a)) {
        whirl_array_t *out = &s.arrays[s.n++];
        int32_t start = vv_i32(vv_get(a, "start"));
        if (!vv_bool(vv_get(a, "present"))) *out = (whirl_array_t){.start = start, .missing = true};
        else if (!load_array(accounts, key, s.pool.tick_spacing, start, out)) return vec_fail(c, "array %d is not in the dump", start);
    }
    run_swap(&s);
    bool ok = settle(c, &s, e, &done);
    return done ? ok : same_outcome(c, &s, e);
}

static bool same_pool(vec_ctx_t *c, const whirl_pool_t *p, vv_t v)
{
    vv_t f = vv_get(v, "fields");
    return same_num(c, "tick_spacing", p->tick_spacing, vv_get(f, "tick_spacing")) && same_num(c, "fee_rate", p->fee_rate, vv_get(f, "fee_rate")) &&
           same_num(c, "fee_tier_index", p->fee_tier_index, vv_get(f, "fee_tier_index")) &&
           same_num(c, "protocol_fee_rate", p->protocol_rate, vv_get(f, "protocol_fee_rate")) &&
           same_num(c, "liquidity", p->liquidity, vv_get(f, "liquidity")) && same_num(c, "sqrt_price", p->sqrt_price, vv_get(f, "sqrt_price")) &&
           same_i32(c, "tick", p->tick, vv_get(f, "tick_current_index")) && same_key(c, "mint_a", p->mint_a, vv_get(f, "token_mint_a")) &&
           same_key(c, "mint_b", p->mint_b, vv_get(f, "token_mint_b")) && same_key(c, "vault_a", p->vault_a, vv_get(f, "token_vault_a")) &&
           same_key(c, "vault_b", p->vault_b, vv_get(f, "token_vault_b")) &&
           ((p->fee_tier_index != p->tick_spacing) == vv_bool(vv_get(v, "adaptive_fee")) || vec_fail(c, "adaptive_fee"));
}

static bool same_array(vec_ctx_t *c, const whirl_array_t *a, vv_t f)
{
    vv_t ticks = vv_get(f, "ticks");
    unsigned i = 0;
    if (!same_i32(c, "start", a->start, vv_get(f, "start_tick_index")) || !same_key(c, "whirlpool", a->pool, vv_get(f, "whirlpool"))) return false;
    if (a->n != vv_len(ticks)) return vec_fail(c, "got %u ticks, want %zu", a->n, vv_len(ticks));
    for (vv_t t = vv_first(ticks); vv_has(t); t = vv_next(t), i++) {
        if (!same_i32(c, "offset", a->ticks[i].index - a->start, vv_get(t, "offset"))) return false;
        if (a->ticks[i].net != vv_i128(vv_get(t, "liquidity_net"))) return vec_fail(c, "liquidity_net");
        if (!same_num(c, "liquidity_gross", a->ticks[i].gross, vv_get(t, "liquidity_gross"))) return false;
    }
    return true;
}

static bool same_oracle(vec_ctx_t *c, const whirl_oracle_t *o, vv_t f)
{
    return same_key(c, "whirlpool", o->pool, vv_get(f, "whirlpool")) &&
           same_num(c, "trade_enable_timestamp", o->enabled_from, vv_get(f, "trade_enable_timestamp")) &&
           same_num(c, "filter_period", o->filter_period, vv_get(f, "filter_period")) &&
           same_num(c, "decay_period", o->decay_period, vv_get(f, "decay_period")) &&
           same_num(c, "reduction_factor", o->reduction, vv_get(f, "reduction_factor")) &&
           same_num(c, "adaptive_fee_control_factor", o->control, vv_get(f, "adaptive_fee_control_factor")) &&
           same_num(c, "max_volatility_accumulator", o->volatility_max, vv_get(f, "max_volatility_accumulator")) &&
           same_num(c, "tick_group_size", o->group_size, vv_get(f, "tick_group_size")) &&
           same_num(c, "major_swap_threshold_ticks", o->major_ticks, vv_get(f, "major_swap_threshold_ticks")) &&
           same_num(c, "last_reference_update_timestamp", o->last_reference_at, vv_get(f, "last_reference_update_timestamp")) &&
           same_num(c, "last_major_swap_timestamp", o->last_major_at, vv_get(f, "last_major_swap_timestamp")) &&
           same_num(c, "volatility_reference", o->volatility_reference, vv_get(f, "volatility_reference")) &&
           same_i32(c, "tick_group_index_reference", o->group_reference, vv_get(f, "tick_group_index_reference")) &&
           same_num(c, "volatility_accumulator", o->volatility, vv_get(f, "volatility_accumulator"));
}

static bool check_accounts(vec_ctx_t *c, vv_t v)
{
    static whirl_array_t array;
    whirl_pool_t pool;
    whirl_oracle_t oracle;
    span_t kind = vv_text(vv_get(v, "kind"));
    bool reject = span_is(kind, "reject");
    if (reject) kind = vv_text(vv_get(v, "as"));
    size_t n;
    uint8_t *p = vv_b64(vv_get(v, "data_b64"), &n);
    bool is_pool = span_is(kind, "whirlpool"), is_oracle = span_is(kind, "oracle");
    xerr_t err;
    if (is_pool) err = whirl_pool_decode(p, n, &pool);
    else if (is_oracle) err = whirl_oracle_decode(p, n, &oracle);
    else err = whirl_array_decode(p, n, 1, &array); /* the files count ticks by offset: a spacing of one */
    free(p);
    if (reject) return err != XE_OK || vec_fail(c, "accepted");
    if (err) return vec_fail(c, "refused as %.*s", (int)kind.n, kind.p);
    if (is_oracle) return same_oracle(c, &oracle, vv_get(v, "fields"));
    return is_pool ? same_pool(c, &pool, v) : same_array(c, &array, vv_get(v, "fields"));
}

const vec_row_t vec_whirl_rows[] = {
    {"whirlpool_tick_math", check_tick_math},
    {"whirlpool_delta_math", check_delta_math},
    {"whirlpool_swap_step", check_swap_step},
    {"whirlpool_quotes", check_quotes},
    {"whirlpool_onchain_swap", check_onchain},
    {"whirlpool_onchain_adaptive", check_onchain},
    {"whirlpool_onchain_transfer_fee", check_onchain},
    {"whirlpool_real_quotes", check_real},
    {"whirlpool_mainnet_replay", check_replay},
    {"whirlpool_published_swaps", check_published},
    {"whirlpool_published_swaps_splash", check_published},
    {"whirlpool_accounts", check_accounts},
    {NULL, NULL},
};
