#include "storage/trades.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/store_int.h"

/* Cached bytes: this, then n + 1 rows at most (one more than asked for tells whether there are more). */
typedef struct {
    int64_t total;
    unsigned n;
} head_t;

static void decode(const pg_rows_t *r, unsigned i, trade_t *t)
{
    const struct {
        char *to;
        size_t cap;
    } text[] = {
        {t->id, sizeof t->id}, {t->vault, sizeof t->vault}, {t->order_id, sizeof t->order_id}, {t->status, sizeof t->status},
        {t->from_token, sizeof t->from_token}, {t->to_token, sizeof t->to_token}, {t->amount_in, sizeof t->amount_in},
        {t->expected_out, sizeof t->expected_out}, {t->actual_out, sizeof t->actual_out}, {t->gas_fee, sizeof t->gas_fee},
        {t->slippage, sizeof t->slippage}, {t->pnl_usd, sizeof t->pnl_usd}, {t->signature, sizeof t->signature},
        {t->error, sizeof t->error},
    };
    t->created_us = pg_i64(r, i, 1);
    t->updated_us = pg_i64(r, i, 2);
    for (unsigned k = 0; k < sizeof text / sizeof *text; k++)
        pg_copy(r, i, 3 + k, text[k].to, text[k].cap);
}

/* No trade: one row with the total and nulls. */
static xerr_t load_rows(span_t wallet, const pg_rows_t *rows, buf_t *out)
{
    unsigned n = pg_rows_n(rows);
    (void)wallet;
    if (n == 0)
        return XE_INTERNAL;
    head_t h = {pg_i64(rows, 0, 0), pg_null(rows, 0, 3) ? 0 : n};
    buf_add(out, &h, sizeof h);
    for (unsigned i = 0; i < h.n; i++) {
        trade_t t = {0};
        decode(rows, i, &t);
        buf_add(out, &t, sizeof t);
    }
    return XE_OK;
}

typedef struct {
    trades_cb cb;
    void *ctx;
    unsigned limit;
} op_t;

static void on_hit(void *ctx, xerr_t err, const whit_t *hit)
{
    op_t o = *(op_t *)ctx;
    head_t h;
    free(ctx);
    if (err) {
        o.cb(o.ctx, err, NULL);
        return;
    }
    memcpy(&h, hit->val, sizeof h);
    trade_t *rows = malloc((h.n + 1) * sizeof *rows); /* kept bytes may lie anywhere */
    XASSERT(rows);
    memcpy(rows, (const char *)hit->val + sizeof h, h.n * sizeof *rows);
    trade_page_t page = {
        .n = h.n < o.limit ? h.n : o.limit, .rows = rows, .has_more = h.n > o.limit, .total = h.total, .stale = hit->stale, .age_ms = hit->age_ms,
    };
    o.cb(o.ctx, XE_OK, &page);
    free(rows);
}

void trades_list(store_t *s, span_t wallet, const trade_query_t *q, trades_cb cb, void *ctx)
{
    char w[48] = "", us[24], limit[12], offset[12], which[12];
    op_t *o = calloc(1, sizeof *o);
    XASSERT(o);
    *o = (op_t){cb, ctx, q->limit};
    if (wallet.n < sizeof w)
        memcpy(w, wallet.p, wallet.n);
    snprintf(us, sizeof us, "%lld", (long long)q->before_us);
    snprintf(limit, sizeof limit, "%u", q->limit + 1);
    snprintf(offset, sizeof offset, "%u", q->offset);
    snprintf(which, sizeof which, "%u", q->limit);
    const char *params[] = {w, q->status, us, q->before_us ? q->before_id : NULL, limit, offset};
    wask_t ask = {
        .what = "trades", .wallet = wallet, .which = which, .uncached = q->before_us || q->offset || q->status, .stmt = SQL_TRADES,
        .params = params, .load = load_rows,
    };
    /* What is not cached is not shared either: two different pages must not meet in one load. */
    char own[40];
    if (ask.uncached) {
        snprintf(own, sizeof own, "%llu", (unsigned long long)++s->asked);
        ask.which = own;
    }
    wcache_get(s, &ask, on_hit, o);
}
