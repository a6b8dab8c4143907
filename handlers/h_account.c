/* A wallet's account at a glance: who, which bot, which vault. State is PostgreSQL's word, never a guess. */
#include "handlers/ctx.h"

#include "handlers/bot_view.h"
#include "handlers/fast.h"
#include "handlers/routes.h"

static void on_status(void *ctx, xerr_t err, const bot_t *b);
static void on_fast(void *ctx, xerr_t err, const bot_t *b);

static void put_bot(const api_t *a, jw_t *w, const bot_t *b)
{
    jw_key(w, "bot");
    jw_obj(w);
    bot_put_state(a, w, b);
    put_i64(w, "version", b->version);
    put_time(w, "updated_at", b->updated_us);
    jw_key(w, "reasons");
    jw_obj(w);
    bot_put_reasons(a, w, b);
    jw_end(w);
    jw_end(w);
}

static void read_bot(req_t *r, bot_cb cb)
{
    span_t wallet;
    if (wallet_param(r, &wallet)) bots_get(api_of(r)->store, wallet, cb, req_hold(r));
}

/* ---- GET /api/user/status ----------------------------------------------------------------------------------------- */

static void h_user_status(req_t *r) { read_bot(r, on_status); }

static void put_account(jw_t *w, const bot_t *b)
{
    jw_key(w, "account");
    if (!b->created_us) {
        jw_null(w);
        return;
    }
    jw_obj(w);
    put_str(w, "user_id", b->user_id);
    put_str(w, "wallet_address", b->wallet);
    put_time(w, "created_at", b->created_us);
    jw_end(w);
}

/* What a vault holds is read from the chain, which this version does not do. */
static void put_vault(jw_t *w, const bot_t *b)
{
    jw_key(w, "vault");
    if (!b->vault[0]) {
        jw_null(w);
        return;
    }
    jw_obj(w);
    put_str(w, "address", b->vault);
    put_null(w, "is_active");
    put_null(w, "total_deposited");
    jw_end(w);
}

static void on_status(void *ctx, xerr_t err, const bot_t *b)
{
    req_t *r = ctx;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    holds_note(api_of(r), b->wallet, b->holds);
    out_init(&o);
    put_bool(&o.w, "success", true);
    jw_key(&o.w, "data");
    jw_obj(&o.w);
    put_account(&o.w, b);
    put_bot(api_of(r), &o.w, b);
    put_vault(&o.w, b);
    jw_key(&o.w, "reasons");
    jw_obj(&o.w);
    if (!b->created_us) put_str(&o.w, "account", "NEVER_SIGNED_IN");
    if (!b->vault[0]) put_str(&o.w, "vault", "NO_VAULT");
    if (b->vault[0]) {
        put_str(&o.w, "vault.is_active", "NOT_READ_FROM_CHAIN");
        put_str(&o.w, "vault.total_deposited", "NOT_READ_FROM_CHAIN");
    }
    jw_end(&o.w);
    jw_end(&o.w);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- GET /api/fast/status ----------------------------------------------------------------------------------------- */

static void h_fast_status(req_t *r)
{
    fast_start(r);
    read_bot(r, on_fast);
}

static void put_system(const api_t *a, jw_t *w)
{
    store_health_t h;
    market_count_t n = market_count(a);
    store_health(a->store, &h);
    jw_key(w, "system");
    jw_obj(w);
    put_bool(w, "database", h.pg_writable);
    put_bool(w, "redis", h.redis_up);
    put_i64(w, "markets_usable", n.usable);
    put_i64(w, "markets", n.all);
    put_bool(w, "simulated", a->cfg->feeds_simulated);
    put_time(w, "timestamp", loop_wall_us(a->loop));
    jw_end(w);
}

static void on_fast(void *ctx, xerr_t err, const bot_t *b)
{
    req_t *r = ctx;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    holds_note(api_of(r), b->wallet, b->holds);
    out_init(&o);
    put_bot(api_of(r), &o.w, b);
    put_system(api_of(r), &o.w);
    fast_put(r, &o.w);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t wallet_query[] = {
    S_WALLET,
    S_END,
};

static const schema_t bot_members[] = {
    BOT_STATE_ROWS, S_REQ("version", SC_INT), S_NUL("updated_at", SC_TIME), S_REASONS, S_END,
};

static const schema_t data_members[] = {
    S_NUL("account", SC_OBJ, .of = S_LIST(S_REQ("user_id", SC_UUID), S_REQ("wallet_address", SC_WALLET), S_REQ("created_at", SC_TIME))),
    S_REQ("bot", SC_OBJ, .of = bot_members),
    S_NUL("vault", SC_OBJ, .of = S_LIST(S_REQ("address", SC_WALLET), S_NUL("is_active", SC_BOOL), S_NUL("total_deposited", SC_INT))),
    S_REASONS,
    S_END,
};

static const schema_t status_answer[] = {S_REQ("success", SC_BOOL), S_REQ("data", SC_OBJ, .of = data_members), S_END};

static const schema_t system_members[] = {
    S_REQ("database", SC_BOOL, .doc = "A write would succeed now."), S_REQ("redis", SC_BOOL), S_REQ("markets_usable", SC_INT), S_REQ("markets", SC_INT),
    S_REQ("simulated", SC_BOOL), S_REQ("timestamp", SC_TIME), S_END,
};

static const schema_t fast_answer[] = {
    S_REQ("bot", SC_OBJ, .of = bot_members), S_REQ("system", SC_OBJ, .of = system_members), FAST_ROW, S_END,
};

const route_t routes_account[] = {
    {M_GET, "/api/user/status", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_user_status, wallet_query, NULL, 200, status_answer, "Account, bot and vault of a wallet."},
    {M_GET, "/api/fast/status", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_fast_status, wallet_query, NULL, 200, fast_answer,
     "A wallet's bot and the server, with the server's own time."},
    ROUTE_END,
};
