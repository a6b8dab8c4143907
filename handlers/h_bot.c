/* The bot of the calling wallet: its state, and the switch. State is PostgreSQL's word; while it is away the answer is
 * 503, never a guess. A change is told to the engine after its commit and before the reply. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "handlers/market.h"
#include "handlers/routes.h"
#include "handlers/text.h"
#include "storage/bots.h"

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
    put_text_or_null(w, "strategy", b->strategy);
    jw_end(w);
}

static void put_state(jw_t *w, market_count_t n, const bot_t *b)
{
    const char *word = bot_status_word(n, b->enabled);
    put_str(w, "status", word);
    put_bool(w, "enabled", b->enabled);
    jw_key(w, "pause_reasons");
    jw_arr(w);
    if (strcmp(word, "paused") == 0) jw_cstr(w, "STALE_DATA");
    jw_end(w);
    /* health_score: share of configured markets that may be traded on now, 0 to 100. */
    if (n.all) put_i64(w, "health_score", (100 * n.usable + n.all / 2) / n.all);
    else put_null(w, "health_score");
}

/* Figures that need trades are not known before there is an execution engine: null, each with its reason. */
static void put_unknown(jw_t *w, market_count_t n, const bot_t *b)
{
    put_null(w, "performance_metrics");
    put_null(w, "performance");
    put_null(w, "circuit_breakers");
    jw_key(w, "reasons");
    jw_obj(w);
    put_str(w, "performance_metrics", "NO_EXECUTION");
    put_str(w, "performance", "NO_EXECUTION");
    put_str(w, "circuit_breakers", "NO_EXECUTION");
    if (!n.all) put_str(w, "health_score", "NO_FEEDS");
    if (!b->last_execution_us) put_str(w, "last_execution", "NEVER_EXECUTED");
    if (!b->updated_us) put_str(w, "updated_at", "NEVER_CHANGED");
    if (!b->max_trade_amount[0]) put_str(w, "configuration.max_trade_amount", "NOT_SET");
    if (!b->slippage_tolerance[0]) put_str(w, "configuration.slippage_tolerance", "NOT_SET");
    if (!b->strategy[0]) put_str(w, "configuration.strategy", "NOT_SET");
    jw_end(w);
}

static void add_etag(req_t *r, int64_t version)
{
    char tag[32];
    snprintf(tag, sizeof tag, "\"%lld\"", (long long)version);
    req_add_header(r, "ETag", tag);
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
    market_count_t n = market_count(a);
    add_etag(r, b->version);
    out_init(&o);
    put_str(&o.w, "user_id", b->user_id[0] ? b->user_id : call_of(r)->who.c.user_id);
    put_state(&o.w, n, b);
    put_i64(&o.w, "version", b->version);
    put_configuration(&o.w, b);
    put_time(&o.w, "last_execution", b->last_execution_us);
    put_time(&o.w, "updated_at", b->updated_us);
    put_unknown(&o.w, n, b);
    put_bool(&o.w, "simulated", a->cfg->feeds_simulated);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- the switch --------------------------------------------------------------------------------------------------- */

/* If-Match: * or one strong tag. -1: no condition; -2: a tag that no version of ours has. False: answered (400). */
static bool if_match(req_t *r, int64_t *version)
{
    span_t v;
    *version = -1;
    unsigned lines = req_header_count(r, "if-match");
    if (lines > 1) {
        h_bad(r, "If-Match", "may come only once");
        return false;
    }
    if (!lines || !req_header(r, "if-match", &v) || span_is(v, "*")) return true;
    bool weak = v.n > 2 && v.p[0] == 'W' && v.p[1] == '/';
    if (weak) v = span_make(v.p + 2, v.n - 2);
    if (v.n < 2 || v.n > 64 || v.p[0] != '"' || memchr(v.p + 1, '"', v.n - 1) != v.p + v.n - 1) {
        h_bad(r, "If-Match", "one entity tag is expected, as ETag gave it");
        return false;
    }
    v = span_make(v.p + 1, v.n - 2);
    if (weak || text_u63(v, version) || (v.n > 1 && v.p[0] == '0')) *version = -2;
    return true;
}

static void precondition_failed(req_t *r)
{
    req_error(r, 412, "PRECONDITION_FAILED", "If-Match: the state has another version", NULL, 0);
}

static void set_enabled(req_t *r, bool enabled)
{
    int64_t version;
    who_t who = who_of(r);
    if (!if_match(r, &version)) return;
    if (version == -2) {
        precondition_failed(r);
        return;
    }
    bots_set_enabled(api_of(r)->store, span_of(call_of(r)->who.c.wallet), enabled, version, &who, on_saved, req_hold(r));
}

static void h_bot_enable(req_t *r) { set_enabled(r, true); }
static void h_bot_disable(req_t *r) { set_enabled(r, false); }

/* The engine hears of every committed change, also when the client has gone. */
static void tell_engine(const api_t *a, const bot_t *b)
{
    ev_t ev = {.kind = EV_BOT, .inst = -1, .recv_ns = loop_now_ns(a->loop), .recv_wall_us = loop_wall_us(a->loop)};
    ev.parsed_ns = ev.recv_ns;
    ev.u.bot.wallet = b->wallet;
    ev.u.bot.enabled = b->enabled;
    ev.u.bot.version = b->version;
    ev.u.bot.updated_us = b->updated_us;
    door_post(&a->door, &ev);
}

static void send_saved(req_t *r, const bot_t *b)
{
    out_t o;
    add_etag(r, b->version);
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
        tell_engine(api_of(r), bot);
        send_saved(r, bot);
    } else if (err == XE_CONFLICT) {
        precondition_failed(r);
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
    S_NUL("strategy", SC_STR),
    S_END,
};

static const schema_t status_answer[] = {
    S_REQ("user_id", SC_UUID),
    S_REQ("status", SC_STR, .choices = S_WORDS("active", "stopped", "paused")),
    S_REQ("enabled", SC_BOOL),
    S_REQ("pause_reasons", SC_ARR, .of = S_LIST(S_REQ("reason", SC_STR))),
    S_NUL("health_score", SC_INT, .max = 100, .doc = "Share of configured markets that may be traded on now."),
    S_REQ("version", SC_INT, .doc = "Grows by one with each change; also the ETag."),
    S_REQ("configuration", SC_OBJ, .of = configuration),
    S_NUL("last_execution", SC_TIME),
    S_NUL("updated_at", SC_TIME),
    S_NUL("performance_metrics", SC_OBJ, .of = schema_nothing),
    S_NUL("performance", SC_OBJ, .of = schema_nothing),
    S_NUL("circuit_breakers", SC_OBJ, .of = schema_nothing),
    S_REQ("reasons", SC_MAP, .of = S_LIST(S_REQ("reason", SC_STR)), .doc = "Why a member is null, by its name."),
    S_REQ("simulated", SC_BOOL),
    S_END,
};

static const schema_t switch_answer[] = {
    S_REQ("success", SC_BOOL), S_REQ("message", SC_STR), S_REQ("enabled", SC_BOOL), S_REQ("version", SC_INT), S_NUL("updated_at", SC_TIME), S_END,
};

const route_t routes_bot[] = {
    {M_GET, "/api/bot/status", ACCESS_WALLET, LIM_USER, ROUTE_ETAG, 0, h_bot_status, NULL, NULL, 200, status_answer, "The state of the caller's bot."},
    {M_POST, "/api/bot/enable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY | ROUTE_ETAG | ROUTE_MATCH, ROUTE_BODY, h_bot_enable, NULL, schema_nothing, 200,
     switch_answer, "Switches the caller's bot on; answered after the commit."},
    {M_POST, "/api/bot/disable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY | ROUTE_ETAG | ROUTE_MATCH, ROUTE_BODY, h_bot_disable, NULL, schema_nothing, 200,
     switch_answer, "Switches the caller's bot off; answered after the commit."},
    ROUTE_END,
};
