#include "storage/bots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/store_int.h"

typedef struct {
    soon_t soon;
    store_t *s;
    bot_cb cb;
    void *ctx;
    char wallet[48];
    xerr_t err;
} op_t;

static void fire_refusal(soon_t *soon)
{
    op_t o = *(op_t *)soon;
    free(soon);
    o.cb(o.ctx, o.err, NULL);
}

static op_t *op_new(store_t *s, span_t wallet, bot_cb cb, void *ctx)
{
    op_t *o = calloc(1, sizeof *o);
    XASSERT(o);
    *o = (op_t){.s = s, .cb = cb, .ctx = ctx};
    if (wallet.n > 0 && wallet.n < sizeof o->wallet)
        memcpy(o->wallet, wallet.p, wallet.n);
    else
        o->err = XE_BAD_INPUT;
    if (s->closing && !o->err)
        o->err = XE_DOWN;
    if (o->err)
        soons_post(s->soons, &o->soon, fire_refusal);
    return o;
}

static void decode(const op_t *o, const pg_rows_t *r, bot_t *b)
{
    memcpy(b->wallet, o->wallet, sizeof b->wallet);
    pg_copy(r, 0, 0, b->user_id, sizeof b->user_id);
    b->version = pg_i64(r, 0, 2);
    b->exists = b->version > 0;
    b->enabled = b->exists ? pg_bool(r, 0, 1) : o->s->cfg->bot_default_enabled;
    b->updated_us = b->exists ? pg_i64(r, 0, 3) : 0;
    b->last_execution_us = pg_i64(r, 0, 4);
    pg_copy(r, 0, 5, b->strategy, sizeof b->strategy);
    pg_copy(r, 0, 6, b->risk_profile, sizeof b->risk_profile);
    if (!b->risk_profile[0])
        snprintf(b->risk_profile, sizeof b->risk_profile, "Balanced");
    pg_copy(r, 0, 7, b->max_trade_amount, sizeof b->max_trade_amount);
    pg_copy(r, 0, 8, b->slippage_tolerance, sizeof b->slippage_tolerance);
}

static void on_row(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    op_t *o = ctx;
    bot_t b = {0};
    if (!err && pg_rows_n(rows) != 1)
        err = XE_INTERNAL;
    if (!err)
        decode(o, rows, &b);
    o->cb(o->ctx, err, err ? NULL : &b);
    free(o);
}

void bots_get(store_t *s, span_t wallet, bot_cb cb, void *ctx)
{
    op_t *o = op_new(s, wallet, cb, ctx);
    if (!o->err)
        pool_query(s->pool, SQL_BOT_GET, (const char *const[]){o->wallet}, (unsigned)s->cfg->http_read_deadline_ms, true, on_row, o);
}

void bots_set_enabled(store_t *s, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx)
{
    if (s->closing || wallet.n == 0 || wallet.n >= 48)
        (void)op_new(s, wallet, cb, ctx);
    else
        writer_set(s->writer, wallet, enabled, if_version, who, cb, ctx);
} /* NOLINT(clang-analyzer-unix.Malloc): the refusal frees what op_new posted */
