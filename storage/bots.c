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
    pg_copy(r, 0, 9, b->investment_amount, sizeof b->investment_amount);
    b->settings_version = pg_i64(r, 0, 10);
    b->settings_updated_us = b->settings_version > 0 ? pg_i64(r, 0, 11) : 0;
    pg_copy(r, 0, 12, b->vault, sizeof b->vault);
    b->created_us = pg_i64(r, 0, 13);
    pg_copy(r, 0, 14, b->last_outcome, sizeof b->last_outcome);
    for (unsigned i = 0; i < HOLD_N; i++) {
        static const hold_by_t order[HOLD_N] = {HOLD_ALL, HOLD_OPERATOR, HOLD_OWNER}; /* of the statement */
        unsigned col = 15 + 3 * i;
        b->holds[order[i]] = (hold_t){pg_bool(r, 0, col), pg_bool(r, 0, col + 1), pg_bool(r, 0, col + 2)};
    }
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

/* ---- emergency ---- */

typedef struct {
    soon_t soon;
    hold_cb cb;
    void *ctx;
} hold_op_t;

static void fire_hold_down(soon_t *soon)
{
    hold_op_t o = *(hold_op_t *)soon;
    free(soon);
    o.cb(o.ctx, XE_DOWN, NULL);
}

static void on_hold(void *ctx, xerr_t err, const pg_rows_t *r)
{
    hold_op_t o = *(hold_op_t *)ctx;
    hold_state_t st = {0};
    free(ctx);
    if (err == XE_CONFLICT || (!err && pg_rows_n(r) != 1))
        err = XE_INTERNAL;
    if (!err && pg_i64(r, 0, 0) != 0)
        err = XE_CONFLICT;
    if (!err) {
        st.updated_us = pg_i64(r, 0, 1);
        pg_copy(r, 0, 2, st.scope, sizeof st.scope);
        st.hold = (hold_t){pg_bool(r, 0, 3), pg_bool(r, 0, 4), pg_bool(r, 0, 5)};
        pg_copy(r, 0, 6, st.reason, sizeof st.reason);
        st.version = pg_i64(r, 0, 7);
    }
    o.cb(o.ctx, err, err ? NULL : &st);
}

void bots_emergency(store_t *s, hold_by_t by, span_t wallet, emergency_t what, const char *reason, bool master, const who_t *who,
                    hold_cb cb, void *ctx)
{
    static const char *const prefix[HOLD_N] = {"wallet:", "operator:", "global"};
    static const char *const action[] = {"pause", "resume", "kill_switch", "close_positions"};
    char scope[64], name[37];
    hold_op_t *o = calloc(1, sizeof *o);
    XASSERT(o && wallet.n < 48);
    o->cb = cb;
    o->ctx = ctx;
    if (s->closing) {
        soons_post(s->soons, &o->soon, fire_hold_down);
        return;
    }
    snprintf(scope, sizeof scope, "%s%.*s", prefix[by], by == HOLD_ALL ? 0 : (int)wallet.n, wallet.n ? wallet.p : "");
    store_name(who, name);
    const char *params[] = {name, scope, action[what], reason, master ? "t" : "f", who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_BOT_EMERGENCY, params, (unsigned)s->cfg->http_write_deadline_ms, true, on_hold, o);
}
