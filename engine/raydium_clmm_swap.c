/* A whole CLMM swap: from tick to tick through the arrays that the bitmap names, filling resting orders on the way. */
#include "engine/raydium_clmm_math.h"
#include "engine/u256.h"

#define STEPS_MAX 4096 /* far beyond the compute a transaction may use; hostile state must not hold us up */

typedef struct {
    const ray_clmm_t *pool;
    const ray_clmm_config_t *conf;
    const ray_clmm_ask_t *ask;
    const ray_array_t *arrays;
    size_t arrays_n;
    const ray_array_t *at, *used; /* the array the search stands in, the last one a tick came from */
    bool fee_on_input;
    int32_t tick;
    u128_t price, liquidity, limit;
    uint64_t left, got;      /* of the fixed token, of the other one */
    unsigned steps;
    ray_fee_t fee;
    ray_run_t *run;
} walk_t;

/* ---- which tick comes next ---- */

static ray_err_t load(walk_t *w, xerr_t found, int32_t start)
{
    if (found == XE_DEPTH) return RAY_MissingTickArrayBitmapExtensionAccount;
    if (found) return RAY_LiquidityInsufficient;
    for (size_t i = 0; i < w->arrays_n; i++) {
        if (w->arrays[i].start != start) continue;
        w->at = &w->arrays[i];
        return RAY_FINE;
    }
    return RAY_NotEnoughTickArrayAccount;
}

static ray_err_t first_array(walk_t *w)
{
    int32_t start = 0;
    xerr_t err = ray_next_array(w->pool, w->ask->ext, ray_array_start(w->tick, w->pool->tick_spacing), w->ask->zero_for_one, true, &start);
    return load(w, err, start);
}

/* Down: the nearest at or below the current tick; up: the nearest above it. */
static const ray_tick_t *search(const walk_t *w)
{
    const ray_array_t *a = w->at;
    if (w->ask->zero_for_one) {
        for (unsigned i = a->n; i-- > 0;)
            if (a->ticks[i].index <= w->tick) return &a->ticks[i];
    } else {
        for (unsigned i = 0; i < a->n; i++)
            if (a->ticks[i].index > w->tick) return &a->ticks[i];
    }
    return NULL;
}

static ray_err_t next_tick(walk_t *w, const ray_tick_t **out)
{
    ray_err_t err = RAY_FINE;
    while (!err && !(*out = search(w))) {
        int32_t start = 0;
        xerr_t found = ray_next_array(w->pool, w->ask->ext, w->at->start, w->ask->zero_for_one, false, &start);
        err = load(w, found, start);
    }
    if (!err && w->used != w->at) {
        w->used = w->at;
        w->run->q.arrays_read++;
    }
    return err;
}

/* ---- accounts of one step ---- */

static ray_err_t pay(walk_t *w, const ray_step_t *s)
{
    if (w->fee_on_input && s->fee > UINT64_MAX - s->in) return RAY_CalculateOverflow;
    uint64_t paid = w->fee_on_input ? s->in + s->fee : s->in;
    uint64_t spent = w->ask->exact_in ? paid : s->out, got = w->ask->exact_in ? s->out : paid;
    if (spent > w->left || got > UINT64_MAX - w->got) return RAY_CalculateOverflow;
    w->left -= spent;
    w->got += got;
    return RAY_FINE;
}

static ray_err_t share_fee(walk_t *w, uint64_t fee)
{
    ray_clmm_quote_t *q = &w->run->q;
    uint64_t protocol = (uint64_t)((u128_t)fee * w->conf->protocol_rate / RAY_FEE_ONE);
    uint64_t fund = (uint64_t)((u128_t)fee * w->conf->fund_rate / RAY_FEE_ONE);
    uint64_t lp = fee - protocol - fund;
    if (w->liquidity > 0) w->run->fee_growth += ((u128_t)lp << 64) / w->liquidity;
    else protocol += lp, lp = 0;
    if (lp > UINT64_MAX - q->lp_fee || protocol > UINT64_MAX - q->protocol_fee || fund > UINT64_MAX - q->fund_fee) return RAY_CalculateOverflow;
    q->lp_fee += lp;
    q->protocol_fee += protocol;
    q->fund_fee += fund;
    return RAY_FINE;
}

static ray_step_ask_t step_ask(const walk_t *w)
{
    return (ray_step_ask_t){.remaining = w->left, .liquidity = w->liquidity, .price = w->price, .exact_in = w->ask->exact_in,
                            .zero_for_one = w->ask->zero_for_one, .fee_on_input = w->fee_on_input};
}

/* ---- arriving at a tick ---- */

static ray_err_t cross(walk_t *w, const ray_tick_t *t)
{
    bool add = (t->net >= 0) != w->ask->zero_for_one;
    u128_t size = t->net < 0 ? -(u128_t)t->net : (u128_t)t->net;
    if (add && size > U128_MAX - w->liquidity) return RAY_LiquidityAddValueErr;
    if (!add && size > w->liquidity) return RAY_LiquiditySubValueErr;
    w->liquidity = add ? w->liquidity + size : w->liquidity - size;
    w->run->q.crossed++;
    return RAY_FINE;
}

static ray_err_t fill(walk_t *w, uint64_t avail, uint32_t rate, bool *remain)
{
    ray_step_ask_t ask = step_ask(w);
    ray_step_t s = {0};
    ask.fee_rate = rate;
    ray_err_t err = ray_fill(&ask, avail, &s);
    if (!err) err = pay(w, &s);
    if (!err) err = share_fee(w, s.fee);
    *remain = s.out + (w->fee_on_input ? 0 : s.fee) < avail;
    return err;
}

/* The price stands on the tick: its resting orders first, both cohorts in one fill; only when none is left is the tick
 * crossed. */
static ray_err_t arrive(walk_t *w, const ray_tick_t *t, uint32_t rate)
{
    bool remain = false, down = w->ask->zero_for_one;
    ray_err_t err = RAY_FINE;
    uint64_t avail = t->part + t->orders;
    if (avail < t->part) return RAY_CalculateOverflow;
    if (avail > 0) {
        if (w->left == 0) remain = true;
        else err = fill(w, avail, rate, &remain);
    }
    if (!err && !remain && t->gross > 0) err = cross(w, t);
    w->tick = down != remain ? t->index - 1 : t->index;
    return err;
}

/* ---- the run ---- */

static ray_err_t step(walk_t *w, u128_t target, uint32_t *rate)
{
    ray_step_ask_t ask = step_ask(w);
    ray_step_t s;
    if (++w->steps > STEPS_MAX) return RAY_OutOfSteps;
    *rate = ask.fee_rate = ray_fee_next(&w->fee, w->liquidity, target, &ask.target);
    ray_err_t err = ray_step(&ask, &s);
    if (!err) err = pay(w, &s);
    if (!err) err = share_fee(w, s.fee);
    w->price = s.next;
    return err;
}

static ray_err_t advance(walk_t *w)
{
    const ray_tick_t *t = NULL;
    u128_t at_tick, was;
    uint32_t rate;
    ray_err_t err = next_tick(w, &t);
    if (err) return err;
    if (ray_sqrt_of_tick(t->index, &at_tick)) return RAY_SqrtPriceX64;
    bool clipped = w->ask->zero_for_one ? at_tick < w->limit : at_tick > w->limit;
    u128_t target = clipped ? w->limit : at_tick;
    do {
        was = w->price;
        err = step(w, target, &rate);
        if (err) return err;
        if (w->price == at_tick) err = arrive(w, t, rate);
        else if (w->price != was && ray_tick_of_sqrt(w->price, &w->tick)) err = RAY_SqrtPriceX64;
        ray_fee_advance(&w->fee, w->price, w->price == at_tick, t->index);
    } while (!err && w->left > 0 && w->price != target);
    return err;
}

static ray_err_t check_ask(walk_t *w)
{
    bool down = w->ask->zero_for_one;
    w->limit = w->ask->sqrt_limit;
    if (w->limit == 0) w->limit = down ? RAY_SQRT_MIN + 1 : RAY_SQRT_MAX - 1;
    if (w->left == 0) return RAY_ZeroAmountSpecified;
    if (down ? w->limit >= w->price || w->limit <= RAY_SQRT_MIN : w->limit <= w->price || w->limit >= RAY_SQRT_MAX) return RAY_SqrtPriceLimitOverflow;
    return RAY_FINE;
}

static const token_fee_t *fee_on(const ray_clmm_ask_t *ask, bool input) { return ask->fee[input == ask->zero_for_one ? 0 : 1]; }

static ray_err_t gross(const token_fee_t *f, uint64_t net, uint64_t *out)
{
    *out = net;
    return f && token_gross_of(f, net, out) ? RAY_TransferFeeCalculateNotMatch : RAY_FINE;
}

static ray_err_t report(const walk_t *w, uint64_t asked)
{
    ray_run_t *r = w->run;
    const token_fee_t *out_fee = fee_on(w->ask, false);
    uint64_t used = asked - w->left;
    r->swapped_in = w->ask->exact_in ? used : w->got;
    r->swapped_out = w->ask->exact_in ? w->got : used;
    r->q.out = r->swapped_out - (out_fee ? token_fee_of(out_fee, r->swapped_out) : 0);
    r->q.fee_in_output = !w->fee_on_input;
    r->q.sqrt_after = w->price;
    r->q.liquidity_after = w->liquidity;
    r->q.tick_after = w->tick;
    r->q.unfilled = w->left;
    r->dynfee = w->fee.o;
    r->q.in = w->ask->amount;
    if (w->ask->exact_in && w->left == 0) return RAY_FINE;
    return gross(fee_on(w->ask, true), r->swapped_in, &r->q.in);
}

static ray_err_t walk(walk_t *w)
{
    uint64_t asked = w->left;
    ray_err_t err = check_ask(w);
    if (!err) err = first_array(w);
    while (!err && w->left > 0 && w->price != w->limit) err = advance(w);
    if (!err) err = report(w, asked);
    if (err) return err;
    if (w->left > 0 && w->ask->sqrt_limit == 0) return RAY_PartialFill;
    return w->run->swapped_in > 0 && w->run->swapped_out > 0 ? RAY_FINE : RAY_TooSmallInputOrOutputAmount;
}

ray_err_t ray_clmm_run(const ray_clmm_t *p, const ray_clmm_config_t *c, const ray_array_t *arrays, size_t n,
                       const ray_clmm_ask_t *ask, ray_run_t *out)
{
    *out = (ray_run_t){0};
    walk_t w = {.pool = p, .conf = c, .ask = ask, .arrays = arrays, .arrays_n = n, .tick = p->tick, .price = p->sqrt_price,
                .liquidity = p->liquidity, .left = ask->amount, .run = out};
    w.fee_on_input = p->fee_on == RAY_FEE_INPUT || (p->fee_on == RAY_FEE_TOKEN_0) == ask->zero_for_one;
    bool fee_in_0 = w.fee_on_input == ask->zero_for_one;
    out->fee_growth = p->fee_growth[fee_in_0 ? 0 : 1];
    ray_fee_begin(&w.fee, p, c->trade_rate, ask->zero_for_one, ask->now);
    const token_fee_t *f = fee_on(ask, ask->exact_in);
    ray_err_t err = RAY_FINE;
    if (!ask->exact_in) err = gross(f, ask->amount, &w.left);
    else if (f) w.left -= token_fee_of(f, w.left);
    return err ? err : walk(&w);
}

static xerr_t judge(ray_err_t e)
{
    switch (e) {
    case RAY_FINE: return XE_OK;
    case RAY_NotApproved: return XE_DENIED;
    case RAY_SqrtPriceLimitOverflow:
    case RAY_ZeroAmountSpecified: return XE_BAD_INPUT;
    case RAY_LiquidityInsufficient: case RAY_TooSmallInputOrOutputAmount: case RAY_PartialFill:
    case RAY_NotEnoughTickArrayAccount: case RAY_MissingTickArrayBitmapExtensionAccount: case RAY_OutOfSteps: return XE_DEPTH;
    case RAY_LiquidityAddValueErr: case RAY_LiquiditySubValueErr: case RAY_MaxTokenOverflow: case RAY_SqrtPriceX64:
    case RAY_CalculateOverflow: case RAY_TransferFeeCalculateNotMatch: break;
    }
    return XE_RANGE;
}

xerr_t ray_clmm_quote(const ray_clmm_t *p, const ray_clmm_config_t *c, const ray_array_t *arrays, size_t n,
                      const ray_clmm_ask_t *ask, ray_clmm_quote_t *out)
{
    ray_run_t run;
    if (p->tick_spacing == 0 || c->trade_rate >= RAY_FEE_ONE || (uint64_t)c->protocol_rate + c->fund_rate > RAY_FEE_ONE) return XE_BAD_INPUT;
    if (p->dynamic && !ray_dynfee_sane(&p->dynfee)) return XE_BAD_INPUT;
    ray_err_t e = ray_clmm_run(p, c, arrays, n, ask, &run);
    *out = run.q;
    return judge(e);
}
