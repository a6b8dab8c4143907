/* Performance of a wallet, from rows (vault_valuations, trades). Asked in this order: memory, Redis, PostgreSQL, with
 * one query per key in flight; what a lower one answers the upper ones keep. While PostgreSQL is away the last known answer is
 * given with stale = true and its age. */
#ifndef XORJ_STORAGE_PERF_H
#define XORJ_STORAGE_PERF_H

#include "base/buf.h"
#include "storage/store.h"

typedef enum { RANGE_1D, RANGE_7D, RANGE_30D, RANGE_90D, RANGE_ALL, RANGE_N } range_t;
const char *range_name(range_t r);
xerr_t range_parse(span_t text, range_t *out); /* exact spelling; XE_BAD_INPUT */

#define PERF_POINTS_MAX 512

/* Figures, over the valuations v[0..n-1] of the range (oldest first; at most the 10,000 newest are read):
 *   net_roi       (v[n-1] - v[0]) / v[0] * 100; unknown below two valuations or when v[0] is 0. Deposits and
 *                 withdrawals are not told apart from profit.
 *   max_drawdown  largest (peak - v[i]) / peak * 100, peak being the highest value before i; unknown below two.
 *   sharpe        d = last value of each UTC day that has one; r = d[i] / d[i-1] - 1; mean(r) / stddev(r) * sqrt(365),
 *                 sample deviation, risk-free rate 0; unknown below two returns or when they do not vary.
 *   var95         value at risk of a day at 95 %, historical: the loss, in percent, that r undercuts on one day in twenty
 *                 (r in ascending order, the floor(n / 20)th from 0; no loss: 0); unknown below 20 returns.
 *   realized_pnl  sum of realized_pnl_usd of CONFIRMED trades; unknown when none has one.
 *   win_rate      CONFIRMED trades with realized_pnl_usd > 0 / CONFIRMED trades with a realized_pnl_usd * 100. */

typedef struct {
    int64_t at_us;
    int64_t value_e6; /* dollars, 1e-6 */
} perf_point_t;

typedef struct {
    char wallet[48];
    range_t range;
    bool has_value;          /* false: no valuation known, the figures that need one are unknown */
    int64_t value_e6;        /* current vault value, 1e-6 dollars */
    double net_roi, max_drawdown, sharpe; /* percent, percent, annualised; NAN: unknown */
    double var95;            /* percent; NAN: unknown */
    double win_rate;         /* percent of closed trades with profit; NAN: no closed trade */
    bool has_pnl;
    int64_t pnl_e6;          /* realized, 1e-6 dollars */
    int64_t trades;
    int64_t updated_us;
    unsigned points_n;
    const perf_point_t *points; /* oldest first, at most PERF_POINTS_MAX (thinned evenly) */
} perf_t;

/* The arithmetic alone: fills net_roi, max_drawdown, sharpe, var95, win_rate. */
void perf_figures(perf_t *p, const perf_point_t *v, unsigned n, int64_t closed, int64_t won);
unsigned perf_thin(perf_point_t *v, unsigned n); /* evenly, first and last kept; the new count */

/* What is cached is the encoded answer: storage keeps bytes, the encoder is the handler's. It is called at most once
 * per load; out is bounded by the cache's entry limit (64 KiB). */
typedef void (*perf_encode_fn)(const perf_t *p, buf_t *out);
typedef struct { span_t json; bool stale; int64_t age_ms; } perf_hit_t;
typedef void (*perf_cb)(void *ctx, xerr_t err, const perf_hit_t *hit);

void perf_get(store_t *s, span_t wallet, range_t r, perf_encode_fn enc, perf_cb cb, void *ctx);
/* Fresh in memory: answered without a callback; json is borrowed until the loop's next turn. */
bool perf_peek(store_t *s, span_t wallet, range_t r, perf_hit_t *out);
void perf_invalidate(store_t *s, span_t wallet);

#endif
