/* The bot of the calling wallet: its state, and the switch. State is PostgreSQL's word; while it is away the answer is
 * 503, never a guess. A change is told to the engine after its commit and before the reply. */
#include "handlers/ctx.h"

#include "handlers/bot_view.h"
#include "handlers/etag.h"
#include "handlers/routes.h"

/* GET /api/bot/status */
static void on_status(void *ctx, xerr_t err, const bot_t *bot);
/* POST /api/bot/enable and disable */
static void on_saved(void *ctx, xerr_t err, const bot_t *bot);

/* ---- status ------------------------------------------------------------------------------------------------------- */

static void h_bot_status(req_t *r)
{
    bots_get(api_of(r)->store, span_of(call_of(r)->who.c.wallet), on_status, req_hold(r));
}

static void put_configuration(jw_t *w, const bot_t *b)
{
    jw_key(w, "configuration");
    jw_obj(w);
    put_bool(w, "enabled", b->enabled);
    put_text_or_null(w, "risk_profile", b->risk_profile);
    put_decimal(w, "max_trade_amount", b->max_trade_amount);
    put_decimal(w, "slippage_tolerance", b->slippage_tolerance);
    put_decimal(w, "investment_amount", b->investment_amount);
    put_text_or_null(w, "strategy", b->strategy);
    jw_end(w);
}

/* Figures that need trades are not known before there is an execution engine: null, each with its reason. */
static void put_unknown(const api_t *a, jw_t *w, const bot_t *b)
{
    put_null(w, "performance_metrics");
    put_null(w, "performance");
    put_null(w, "circuit_breakers");
    jw_key(w, "reasons");
    jw_obj(w);
    put_str(w, "performance_metrics", "NO_EXECUTION");
    put_str(w, "performance", "NO_EXECUTION");
    put_str(w, "circuit_breakers", "NO_EXECUTION");
    bot_put_reasons(a, w, b);
    if (!b->last_execution_us) put_str(w, "last_execution", "NEVER_EXECUTED");
    if (!b->max_trade_amount[0]) put_str(w, "configuration.max_trade_amount", "NOT_SET");
    if (!b->slippage_tolerance[0]) put_str(w, "configuration.slippage_tolerance", "NOT_SET");
    if (!b->investment_amount[0]) put_str(w, "configuration.investment_amount", "NOT_SET");
    if (!b->strategy[0]) put_str(w, "configuration.strategy", "NOT_SET");
    jw_end(w);
}

static void on_status(void *ctx, xerr_t err, const bot_t *b)
{
    req_t *r = ctx;
    api_t *a = api_of(r);
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    holds_note(a, b->wallet, b->holds);
    etag_put(r, &b->version, 1);
    out_init(&o);
    put_str(&o.w, "user_id", b->user_id[0] ? b->user_id : call_of(r)->who.c.user_id);
    bot_put_state(a, &o.w, b);
    put_i64(&o.w, "version", b->version);
    put_configuration(&o.w, b);
    put_time(&o.w, "last_execution", b->last_execution_us);
    put_time(&o.w, "updated_at", b->updated_us);
    put_unknown(a, &o.w, b);
    put_bool(&o.w, "simulated", a->cfg->feeds_simulated);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- the switch --------------------------------------------------------------------------------------------------- */

static void set_enabled(req_t *r, bool enabled)
{
    int64_t version;
    who_t who = who_of(r);
    if (!etag_match(r, &version, 1)) return;
    bots_set_enabled(api_of(r)->store, span_of(call_of(r)->who.c.wallet), enabled, version, &who, on_saved, req_hold(r));
}

static void h_bot_enable(req_t *r) { set_enabled(r, true); }
static void h_bot_disable(req_t *r) { set_enabled(r, false); }

static void send_saved(req_t *r, const bot_t *b)
{
    out_t o;
    etag_put(r, &b->version, 1);
    out_init(&o);
    put_bool(&o.w, "success", true);
    put_str(&o.w, "message", b->enabled ? "Bot enabled" : "Bot disabled");
    put_bool(&o.w, "enabled", b->enabled);
    put_i64(&o.w, "version", b->version);
    put_time(&o.w, "updated_at", b->updated_us);
    out_send(&o, r, 200);
}

static void on_saved(void *ctx, xerr_t err, const bot_t *bot)
{
    req_t *r = ctx;
    if (!err) {
        bot_tell_engine(api_of(r), bot->wallet, bot->enabled, bot->version, bot->updated_us);
        send_saved(r, bot);
    } else if (err == XE_CONFLICT) {
        etag_failed(r);
    } else {
        h_fail(r, err);
    }
    req_drop(r);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t configuration[] = {
    S_REQ("enabled", SC_BOOL),
    S_NUL("risk_profile", SC_STR, .choices = S_WORDS("Conservative", "Balanced", "Aggressive")),
    S_DEC("max_trade_amount"),
    S_DEC("slippage_tolerance"),
    S_DEC("investment_amount"),
    S_NUL("strategy", SC_STR),
    S_END,
};

static const schema_t status_answer[] = {
    S_REQ("user_id", SC_UUID),
    BOT_STATE_ROWS,
    S_REQ("version", SC_INT, .doc = "Grows by one with each change; also the ETag."),
    S_REQ("configuration", SC_OBJ, .of = configuration),
    S_NUL("last_execution", SC_TIME),
    S_NUL("updated_at", SC_TIME),
    S_NUL("performance_metrics", SC_OBJ, .of = schema_nothing),
    S_NUL("performance", SC_OBJ, .of = schema_nothing),
    S_NUL("circuit_breakers", SC_OBJ, .of = schema_nothing),
    S_REASONS,
    S_REQ("simulated", SC_BOOL),
    S_END,
};

static const schema_t switch_answer[] = {
    S_REQ("success", SC_BOOL), S_REQ("message", SC_STR), S_REQ("enabled", SC_BOOL), S_REQ("version", SC_INT), S_NUL("updated_at", SC_TIME), S_END,
};

const route_t routes_bot[] = {
    {M_GET, "/api/bot/status", ACCESS_WALLET, LIM_USER, ROUTE_ETAG, 0, h_bot_status, NULL, NULL, 200, status_answer, "The state of the caller's bot."},
    {M_POST, "/api/bot/enable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY | ROUTE_ETAG | ROUTE_MATCH | ROUTE_KEY, ROUTE_BODY, h_bot_enable, NULL, schema_nothing, 200,
     switch_answer, "Switches the caller's bot on; answered after the commit."},
    {M_POST, "/api/bot/disable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY | ROUTE_ETAG | ROUTE_MATCH | ROUTE_KEY, ROUTE_BODY, h_bot_disable, NULL, schema_nothing, 200,
     switch_answer, "Switches the caller's bot off; answered after the commit."},
    ROUTE_END,
};
