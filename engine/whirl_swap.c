/* A whole swap: from tick to tick through a short sequence of arrays, as the program walks them. */
#include "engine/u256.h"
#include "engine/whirl_fee.h"

#define SEQ_MAX 3
#define STEPS_MAX 1024 /* far beyond the compute a transaction may use; hostile state must not hold us up */

typedef struct {
    const whirl_pool_t *pool;
    const whirl_ask_t *ask;
    const whirl_array_t *seq[SEQ_MAX];
    unsigned seq_n, wanted;  /* arrays at hand, arrays the program would read if it had them */
    unsigned at;             /* index of the array the search stands in */
    unsigned deepest;
    int32_t tick;
    u128_t price, liquidity, limit;
    uint64_t left, got;      /* of the fixed token, of the other one */
    whirl_fee_t fee;
    whirl_run_t *run;
} walk_t;

typedef struct {
    unsigned array;
    int32_t tick;
    const whirl_tick_t *t;   /* NULL: the edge of an array or of the range, not an initialised tick */
    bool gap;                /* the edge of the last array at hand though more were wanted */
} target_t;

unsigned whirl_sequence(int32_t tick, unsigned tick_spacing, bool a_to_b, int32_t starts[3])
{
    int32_t span = (int32_t)(WHIRL_ARRAY_TICKS * tick_spacing);
    int32_t first = whirl_array_start(tick, tick_spacing);
    if (!a_to_b && tick + (int32_t)tick_spacing >= first + span) first += span;
    unsigned n = 0;
    for (int i = 0; i < SEQ_MAX; i++) {
        int32_t start = a_to_b ? first - i * span : first + i * span;
        if (start > WHIRL_TICK_MAX || start + span <= WHIRL_TICK_MIN) continue;
        starts[n++] = start;
    }
    return n;
}

static const whirl_array_t *array_at(const whirl_array_t *arrays, size_t n, int32_t start)
{
    for (size_t i = 0; i < n; i++)
        if (arrays[i].start == start) return &arrays[i];
    return NULL;
}

static void gather(walk_t *w, const whirl_array_t *arrays, size_t n)
{
    int32_t starts[SEQ_MAX];
    w->wanted = whirl_sequence(w->pool->tick, w->pool->tick_spacing, w->ask->a_to_b, starts);
    for (unsigned i = 0; i < w->wanted; i++) {
        const whirl_array_t *a = array_at(arrays, n, starts[i]);
        if (!a) return;
        w->seq[w->seq_n++] = a;
    }
}

/* Nearest initialised tick in one array: at or below the current tick going down, above it going up. */
static const whirl_tick_t *search(const whirl_array_t *a, int32_t tick, bool down)
{
    if (a->missing) return NULL;
    if (down) {
        for (unsigned i = a->n; i-- > 0;)
            if (a->ticks[i].index <= tick) return &a->ticks[i];
    } else {
        for (unsigned i = 0; i < a->n; i++)
            if (a->ticks[i].index > tick) return &a->ticks[i];
    }
    return NULL;
}

/* The price range ends inside this array. */
static bool holds_edge(const whirl_array_t *a, unsigned spacing, bool down)
{
    return a->start == whirl_array_start(down ? WHIRL_TICK_MIN : WHIRL_TICK_MAX, spacing);
}

static whirl_err_t find_target(const walk_t *w, target_t *t)
{
    unsigned spacing = w->pool->tick_spacing;
    bool down = w->ask->a_to_b;
    for (unsigned i = w->at; i < w->seq_n; i++) {
        const whirl_array_t *a = w->seq[i];
        const whirl_tick_t *found = search(a, w->tick, down);
        *t = (target_t){.array = i, .t = found};
        if (found) {
            t->tick = found->index;
            return WHIRL_FINE;
        }
        if (holds_edge(a, spacing, down)) {
            t->tick = down ? WHIRL_TICK_MIN : WHIRL_TICK_MAX;
            return WHIRL_FINE;
        }
        if (i + 1 == w->seq_n) {
            t->tick = down ? a->start : a->start + (int32_t)(WHIRL_ARRAY_TICKS * spacing) - 1;
            t->gap = w->seq_n < w->wanted;
            return WHIRL_FINE;
        }
    }
    if (w->seq_n < w->wanted) w->run->at_gap = true;
    return WHIRL_TickArraySequenceInvalidIndex;
}

static whirl_err_t pay(walk_t *w, const whirl_step_t *s)
{
    uint64_t spent = s->out, got = s->in;
    if (w->ask->exact_in) {
        spent = s->in;
        got = s->out;
        if (s->fee > w->left || spent > w->left - s->fee) return WHIRL_AmountRemainingOverflow;
        w->left -= s->fee;
    } else {
        if (spent > w->left) return WHIRL_AmountRemainingOverflow;
        if (s->fee > UINT64_MAX - got) return WHIRL_AmountCalcOverflow;
        got += s->fee;
    }
    w->left -= spent;
    if (got > UINT64_MAX - w->got) return WHIRL_AmountCalcOverflow;
    w->got += got;
    return WHIRL_FINE;
}

static void share_fee(walk_t *w, uint64_t fee)
{
    uint64_t share = (uint64_t)((u128_t)fee * w->pool->protocol_rate / WHIRL_SHARE_ONE);
    w->run->q.fee += fee;
    w->run->protocol_fee += share;
    if (w->liquidity > 0) w->run->fee_growth += ((u128_t)(fee - share) << 64) / w->liquidity;
}

static whirl_err_t cross(walk_t *w, const whirl_tick_t *t)
{
    bool add = (t->net >= 0) != w->ask->a_to_b;
    u128_t size = t->net < 0 ? -(u128_t)t->net : (u128_t)t->net;
    if (add && size > U128_MAX - w->liquidity) return WHIRL_LiquidityOverflow;
    if (!add && size > w->liquidity) return WHIRL_LiquidityUnderflow;
    w->liquidity = add ? w->liquidity + size : w->liquidity - size;
    w->run->q.crossed++;
    return WHIRL_FINE;
}

/* The price stands exactly on the target tick: cross it, and say where the next search starts. */
static whirl_err_t arrive(walk_t *w, const target_t *t)
{
    int32_t spacing = (int32_t)w->pool->tick_spacing, off = t->tick - w->seq[t->array]->start;
    bool down = w->ask->a_to_b;
    bool last = down ? off < spacing : off >= (WHIRL_ARRAY_TICKS - 1) * spacing;
    whirl_err_t err = t->t ? cross(w, t->t) : WHIRL_FINE;
    w->at = last ? t->array + 1 : t->array;
    w->tick = down ? t->tick - 1 : t->tick;
    if (t->gap) w->run->at_gap = true;
    return err;
}

/* One price step at one fee rate, towards the target or the edge of the fee's group. */
static whirl_err_t step(walk_t *w, u128_t target)
{
    whirl_step_ask_t ask = {.remaining = w->left, .liquidity = w->liquidity, .price = w->price,
                            .exact_in = w->ask->exact_in, .a_to_b = w->ask->a_to_b};
    whirl_step_t s;
    if (++w->run->steps > STEPS_MAX) return WHIRL_OutOfSteps;
    ask.fee_rate = whirl_fee_next(&w->fee, w->liquidity, target, &ask.target);
    if (w->run->steps == 1 || ask.fee_rate < w->run->fee_rate_low) w->run->fee_rate_low = ask.fee_rate;
    if (ask.fee_rate > w->run->fee_rate_high) w->run->fee_rate_high = ask.fee_rate;
    whirl_err_t err = whirl_step(&ask, &s);
    if (!err) err = pay(w, &s);
    if (err) return err;
    share_fee(w, s.fee);
    w->price = s.next;
    return WHIRL_FINE;
}

static whirl_err_t advance(walk_t *w)
{
    target_t t;
    whirl_err_t err = find_target(w, &t);
    if (err) return err;
    u128_t at_tick, was;
    if (whirl_sqrt_of_tick(t.tick, &at_tick)) return WHIRL_SqrtPriceOutOfBounds;
    bool clipped = w->ask->a_to_b ? at_tick < w->limit : at_tick > w->limit;
    u128_t target = clipped ? w->limit : at_tick;
    if (t.array > w->deepest) w->deepest = t.array;
    do {
        was = w->price;
        err = step(w, target);
        if (err) return err;
        if (w->price == at_tick) err = arrive(w, &t);
        else if (w->price != was && whirl_tick_of_sqrt(w->price, &w->tick)) err = WHIRL_SqrtPriceOutOfBounds;
        whirl_fee_advance(&w->fee, w->price, w->price == at_tick, t.tick);
    } while (!err && w->left > 0 && w->price != target);
    return err;
}

static whirl_err_t check_ask(walk_t *w)
{
    bool down = w->ask->a_to_b;
    w->limit = w->ask->sqrt_limit;
    if (w->limit == 0) w->limit = down ? WHIRL_SQRT_MIN : WHIRL_SQRT_MAX;
    if (w->limit < WHIRL_SQRT_MIN || w->limit > WHIRL_SQRT_MAX) return WHIRL_SqrtPriceOutOfBounds;
    if (down ? w->limit >= w->price : w->limit <= w->price) return WHIRL_InvalidSqrtPriceLimitDirection;
    if (w->left == 0) return WHIRL_ZeroTradableAmount;
    return WHIRL_FINE;
}

/* ---- transfer fees ---- */

static const token_fee_t *fee_on(const whirl_ask_t *ask, bool input)
{
    return input == ask->a_to_b ? ask->fee_a : ask->fee_b;
}

static whirl_err_t gross(const token_fee_t *f, uint64_t net, uint64_t *out)
{
    *out = net;
    return f && token_gross_of(f, net, out) ? WHIRL_TransferFeeCalculationError : WHIRL_FINE;
}

/* What reaches the pool of an exact input, what must leave it for an exact output. */
static whirl_err_t pool_amount(const whirl_ask_t *ask, uint64_t *out)
{
    const token_fee_t *f = fee_on(ask, ask->exact_in);
    if (!ask->exact_in) return gross(f, ask->amount, out);
    *out = ask->amount - (f ? token_fee_of(f, ask->amount) : 0);
    return WHIRL_FINE;
}

static whirl_err_t report(const walk_t *w, uint64_t asked)
{
    whirl_run_t *r = w->run;
    const token_fee_t *out_fee = fee_on(w->ask, false);
    uint64_t used = asked - w->left;
    r->swapped_in = w->ask->exact_in ? used : w->got;
    r->swapped_out = w->ask->exact_in ? w->got : used;
    r->q.out = r->swapped_out - (out_fee ? token_fee_of(out_fee, r->swapped_out) : 0);
    r->q.sqrt_after = w->price;
    r->q.liquidity_after = w->liquidity;
    r->q.tick_after = w->tick;
    r->q.unfilled = w->left;
    r->arrays_read = w->deepest + 1;
    r->oracle = w->fee.o;
    r->q.in = w->ask->amount;
    if (w->ask->exact_in && w->left == 0) return WHIRL_FINE;
    return gross(fee_on(w->ask, true), r->swapped_in, &r->q.in);
}

static whirl_err_t walk(walk_t *w)
{
    uint64_t asked = w->left;
    whirl_err_t err = check_ask(w);
    if (!err) err = whirl_fee_begin(&w->fee, w->pool, w->ask);
    while (!err && w->left > 0 && w->price != w->limit) err = advance(w);
    if (!err && w->left > 0 && !w->ask->exact_in && w->ask->sqrt_limit == 0) err = WHIRL_PartialFillError;
    if (err) return err;
    whirl_fee_end(&w->fee, w->pool->sqrt_price, w->price, w->ask->now);
    return report(w, asked);
}

whirl_err_t whirl_run(const whirl_pool_t *pool, const whirl_array_t *arrays, size_t n, const whirl_ask_t *ask, whirl_run_t *out)
{
    *out = (whirl_run_t){0};
    walk_t w = {.pool = pool, .ask = ask, .tick = pool->tick, .price = pool->sqrt_price, .liquidity = pool->liquidity, .run = out};
    gather(&w, arrays, n);
    if (w.seq_n == 0) {
        out->at_gap = true;
        return WHIRL_InvalidTickArraySequence;
    }
    whirl_err_t err = pool_amount(ask, &w.left);
    return err ? err : walk(&w);
}

static xerr_t judge(whirl_err_t e)
{
    switch (e) {
    case WHIRL_FINE: return XE_OK;
    case WHIRL_OutOfSteps:
    case WHIRL_InvalidTickArraySequence:
    case WHIRL_TickArraySequenceInvalidIndex:
    case WHIRL_PartialFillError: return XE_DEPTH;
    case WHIRL_InvalidTimestamp: return XE_STALE;
    case WHIRL_InvalidSqrtPriceLimitDirection:
    case WHIRL_ZeroTradableAmount: return XE_BAD_INPUT;
    case WHIRL_DivideByZero: case WHIRL_SqrtPriceOutOfBounds: case WHIRL_LiquidityOverflow: case WHIRL_LiquidityUnderflow:
    case WHIRL_TokenMaxExceeded: case WHIRL_TokenMinSubceeded: case WHIRL_MultiplicationShiftRightOverflow:
    case WHIRL_MultiplicationOverflow: case WHIRL_AmountCalcOverflow: case WHIRL_AmountRemainingOverflow:
    case WHIRL_TransferFeeCalculationError: break;
    }
    return XE_RANGE;
}

/* What must hold before the arithmetic may start. */
static xerr_t quotable(const whirl_pool_t *pool, const whirl_ask_t *ask)
{
    if (pool->tick_spacing == 0) return XE_BAD_INPUT;
    if (!whirl_adaptive(pool)) return XE_OK;
    if (!ask->oracle) return XE_UNSUPPORTED;
    if (!whirl_oracle_sane(ask->oracle, pool)) return XE_BAD_INPUT;
    return ask->now < ask->oracle->enabled_from ? XE_DENIED : XE_OK;
}

xerr_t whirl_quote(const whirl_pool_t *pool, const whirl_array_t *arrays, size_t n, const whirl_ask_t *ask, whirl_quote_t *out)
{
    whirl_run_t run;
    xerr_t err = quotable(pool, ask);
    if (err) return err;
    whirl_err_t e = whirl_run(pool, arrays, n, ask, &run);
    run.q.program_error = run.at_gap || e == WHIRL_OutOfSteps ? 0 : (uint16_t)e;
    *out = run.q;
    if (run.at_gap && e != WHIRL_InvalidSqrtPriceLimitDirection && e != WHIRL_ZeroTradableAmount) return XE_DEPTH;
    return judge(e);
}
