#include "storage/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/store_int.h"

/* Columns of SQL_SETTINGS_COLUMNS, behind two of the statement's own: outcome and time. */
enum { COL_OUTCOME, COL_TIME, COL_RISK, COL_MAX, COL_SLIP, COL_DRAWDOWN, COL_POSITION, COL_STOP, COL_TAKE, COL_INVEST, COL_VERSION,
       COL_ENABLED, COL_BOT_VERSION, COL_BOT_UPDATED };
enum { DONE, OTHER_VERSION, NO_USER };

static tri_t tri(const pg_rows_t *r, unsigned col)
{
    if (pg_null(r, 0, col))
        return TRI_UNSET;
    return pg_bool(r, 0, col) ? TRI_YES : TRI_NO;
}

static void decode(const pg_rows_t *r, settings_t *v)
{
    v->exists = true;
    v->version = pg_i64(r, 0, COL_VERSION);
    v->updated_us = v->version > 0 ? pg_i64(r, 0, COL_TIME) : 0;
    pg_copy(r, 0, COL_RISK, v->risk_profile, sizeof v->risk_profile);
    pg_copy(r, 0, COL_MAX, v->max_trade_amount, sizeof v->max_trade_amount);
    pg_copy(r, 0, COL_SLIP, v->slippage_tolerance, sizeof v->slippage_tolerance);
    pg_copy(r, 0, COL_DRAWDOWN, v->max_drawdown_limit, sizeof v->max_drawdown_limit);
    pg_copy(r, 0, COL_POSITION, v->position_size_percent, sizeof v->position_size_percent);
    pg_copy(r, 0, COL_INVEST, v->investment_amount, sizeof v->investment_amount);
    v->stop_loss = tri(r, COL_STOP);
    v->take_profit = tri(r, COL_TAKE);
}

/* ---- reading ---- */

static xerr_t load_row(span_t wallet, const pg_rows_t *rows, buf_t *out)
{
    /* The defaults of the table, for a wallet without a row. */
    settings_t v = {.risk_profile = "Balanced", .slippage_tolerance = "1", .stop_loss = TRI_UNSET, .take_profit = TRI_UNSET};
    memcpy(v.wallet, wallet.p, wallet.n < sizeof v.wallet - 1 ? wallet.n : sizeof v.wallet - 1);
    if (pg_rows_n(rows) > 1)
        return XE_INTERNAL;
    if (pg_rows_n(rows) == 1)
        decode(rows, &v);
    buf_add(out, &v, sizeof v);
    return XE_OK;
}

typedef struct {
    soon_t soon;
    store_t *s;
    settings_cb cb;
    void (*config_cb)(void *ctx, xerr_t err, const bot_config_t *c);
    void *ctx;
    xerr_t err;
    bot_config_t done;
    char wallet[48];
} op_t;

static bool op_wallet(op_t *o, span_t wallet)
{
    if (wallet.n == 0 || wallet.n >= sizeof o->wallet)
        return false;
    memcpy(o->wallet, wallet.p, wallet.n);
    return true;
}

static wask_t ask_of(span_t wallet, const char *const *params)
{
    return (wask_t){.what = "settings", .wallet = wallet, .which = "", .stmt = SQL_SETTINGS_GET, .params = params, .load = load_row};
}

static settings_hit_t hit_of(const whit_t *h, settings_t *copy)
{
    memcpy(copy, h->val, sizeof *copy); /* kept bytes may lie anywhere */
    return (settings_hit_t){copy, h->stale, h->age_ms};
}

static void on_hit(void *ctx, xerr_t err, const whit_t *h)
{
    op_t o = *(op_t *)ctx;
    settings_t v;
    free(ctx);
    if (err) {
        o.cb(o.ctx, err, NULL);
        return;
    }
    settings_hit_t hit = hit_of(h, &v);
    o.cb(o.ctx, XE_OK, &hit);
}

void settings_get(store_t *s, span_t wallet, settings_cb cb, void *ctx)
{
    op_t *o = calloc(1, sizeof *o);
    XASSERT(o);
    *o = (op_t){.s = s, .cb = cb, .ctx = ctx};
    const char *params[] = {op_wallet(o, wallet) ? o->wallet : ""};
    wask_t q = ask_of(wallet, params);
    wcache_get(s, &q, on_hit, o);
}

bool settings_peek(store_t *s, span_t wallet, settings_hit_t *out)
{
    whit_t h;
    wask_t q = ask_of(wallet, NULL);
    if (!wcache_peek(s, &q, &h))
        return false;
    *out = hit_of(&h, &s->peeked);
    return true;
}

/* ---- writing ---- */

static void op_end(op_t *o, xerr_t err, const settings_hit_t *hit, const bot_config_t *c)
{
    if (o->cb)
        o->cb(o->ctx, err, hit);
    else
        o->config_cb(o->ctx, err, c);
    free(o);
}

static void fire_refusal(soon_t *soon)
{
    op_t *o = (op_t *)soon;
    op_end(o, o->err, NULL, NULL);
}

static op_t *op_new(store_t *s, span_t wallet, void *ctx)
{
    op_t *o = calloc(1, sizeof *o);
    XASSERT(o);
    *o = (op_t){.s = s, .ctx = ctx};
    o->err = !op_wallet(o, wallet) ? XE_BAD_INPUT : s->closing ? XE_DOWN : XE_OK;
    if (o->err)
        soons_post(s->soons, &o->soon, fire_refusal);
    return o;
}

static xerr_t judge(xerr_t err, const pg_rows_t *rows)
{
    if (err)
        return err == XE_CONFLICT ? XE_INTERNAL : err; /* a conflict that is not the caller's own is ours */
    if (pg_rows_n(rows) != 1)
        return XE_INTERNAL;
    switch (pg_i64(rows, 0, COL_OUTCOME)) {
    case DONE: return XE_OK;
    case OTHER_VERSION: return XE_CONFLICT;
    case NO_USER: return XE_NOT_FOUND;
    default: return XE_INTERNAL;
    }
}

/* Every process has heard of it: the answer may leave. */
static void on_settled(void *ctx)
{
    op_t *o = ctx;
    settings_hit_t hit = {&o->done.settings, false, 0};
    op_end(o, XE_OK, &hit, &o->done);
}

/* Whatever came of it, what memory holds may be old now: an error may hide a commit. */
static void on_changed(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    op_t *o = ctx;
    bot_config_t *c = &o->done;
    err = judge(err, rows);
    wcache_moved(o->s, span_of(o->wallet));
    if (err) {
        op_end(o, err, NULL, NULL);
        return;
    }
    memcpy(c->settings.wallet, o->wallet, sizeof c->settings.wallet);
    decode(rows, &c->settings);
    if (o->config_cb) {
        c->enabled = pg_bool(rows, 0, COL_ENABLED);
        c->bot_version = pg_i64(rows, 0, COL_BOT_VERSION);
        c->bot_updated_us = pg_i64(rows, 0, COL_BOT_UPDATED);
    }
    bus_settle(o->s->bus, on_settled, o);
}

static const char *bool_of(tri_t t)
{
    return t == TRI_UNSET ? NULL : t == TRI_YES ? "t" : "f";
}

void settings_put(store_t *s, span_t wallet, const settings_patch_t *p, int64_t if_version, const who_t *who, settings_cb cb, void *ctx)
{
    char name[37], version[24];
    op_t *o = op_new(s, wallet, ctx);
    o->cb = cb;
    if (o->err)
        return;
    store_name(who, name);
    snprintf(version, sizeof version, "%lld", (long long)if_version);
    const char *params[] = {name, o->wallet, version, p->risk_profile, p->max_trade_amount, p->slippage_tolerance, p->max_drawdown_limit,
                            p->position_size_percent, bool_of(p->stop_loss), bool_of(p->take_profit), p->investment_amount,
                            who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_SETTINGS_PUT, params, (unsigned)s->cfg->http_write_deadline_ms, true, on_changed, o);
} /* NOLINT(clang-analyzer-unix.Malloc): the refusal frees what op_new posted */

void bot_configure(store_t *s, span_t wallet, tri_t enabled, const settings_patch_t *p, int64_t if_bot, int64_t if_settings,
                   const who_t *who, void (*cb)(void *ctx, xerr_t err, const bot_config_t *c), void *ctx)
{
    char name[37], bot[24], settings[24];
    op_t *o = op_new(s, wallet, ctx);
    o->config_cb = cb;
    o->done.switched = enabled != TRI_UNSET;
    if (o->err)
        return;
    store_name(who, name);
    snprintf(bot, sizeof bot, "%lld", (long long)if_bot);
    snprintf(settings, sizeof settings, "%lld", (long long)if_settings);
    const char *params[] = {name, o->wallet, bot, settings, bool_of(enabled), s->cfg->bot_default_enabled ? "t" : "f", p->risk_profile,
                            p->max_trade_amount, p->slippage_tolerance, p->investment_amount,
                            who->actor, who->role, who->request_id, who->source_ip};
    pool_query(s->pool, SQL_BOT_CONFIGURE, params, (unsigned)s->cfg->http_write_deadline_ms, true, on_changed, o);
} /* NOLINT(clang-analyzer-unix.Malloc) */
