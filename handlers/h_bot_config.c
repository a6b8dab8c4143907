/* How a bot is to act: its configuration, and the emergency brake. Both are durable, audited, and safe to repeat. */
#include "handlers/ctx.h"

#include "base/crypto.h"
#include "handlers/bot_view.h"
#include "handlers/etag.h"
#include "handlers/routes.h"
#include "handlers/settings_json.h"

/* GET and PUT /api/bot/configuration */
static void on_read(void *ctx, xerr_t err, const bot_t *b);
static void on_configured(void *ctx, xerr_t err, const bot_config_t *c);
/* POST /api/bot/emergency, in the order it runs */
static void on_held(void *ctx, xerr_t err, const hold_state_t *st);
static void on_told(void *ctx, xerr_t err, const bot_t *b);

/* ---- configuration ------------------------------------------------------------------------------------------------ */

typedef struct {
    bool enabled;
    const char *risk, *invest, *max_trade, *slippage;
    int64_t version[2], updated_us;
} config_t;

static void send_config(req_t *r, const config_t *c)
{
    const struct { const char *key, *v; } amounts[] = {
        {"investmentAmount", c->invest}, {"maxTradeAmount", c->max_trade}, {"slippageTolerance", c->slippage},
    };
    out_t o;
    etag_put(r, c->version, 2);
    out_init(&o);
    put_bool(&o.w, "success", true);
    jw_key(&o.w, "configuration");
    jw_obj(&o.w);
    put_bool(&o.w, "enabled", c->enabled);
    put_str(&o.w, "riskProfile", c->risk);
    for (unsigned i = 0; i < 3; i++) put_decimal(&o.w, amounts[i].key, amounts[i].v);
    jw_end(&o.w);
    put_i64(&o.w, "version", c->version[0]);
    put_i64(&o.w, "settings_version", c->version[1]);
    put_time(&o.w, "updated_at", c->updated_us);
    jw_key(&o.w, "reasons");
    jw_obj(&o.w);
    for (unsigned i = 0; i < 3; i++)
        if (!amounts[i].v[0]) put_str(&o.w, amounts[i].key, "NOT_SET");
    if (!c->updated_us) put_str(&o.w, "updated_at", "NEVER_CHANGED");
    jw_end(&o.w);
    out_send(&o, r, 200);
}

static void h_config_get(req_t *r)
{
    bots_get(api_of(r)->store, span_of(call_of(r)->who.c.wallet), on_read, req_hold(r));
}

static void on_read(void *ctx, xerr_t err, const bot_t *b)
{
    req_t *r = ctx;
    if (err) {
        h_fail(r, err);
    } else {
        int64_t updated = b->updated_us > b->settings_updated_us ? b->updated_us : b->settings_updated_us;
        config_t c = {b->enabled, b->risk_profile, b->investment_amount, b->max_trade_amount, b->slippage_tolerance,
                      {b->version, b->settings_version}, updated};
        send_config(r, &c);
    }
    req_drop(r);
}

static void h_config_put(req_t *r)
{
    settings_patch_t patch;
    int64_t version[2];
    bool on;
    who_t who = who_of(r);
    tri_t enabled = body_bool(r, "enabled", &on) ? on ? TRI_YES : TRI_NO : TRI_UNSET;
    if (!etag_match(r, version, 2)) return;
    settings_patch(r, &patch);
    bot_configure(api_of(r)->store, span_of(call_of(r)->who.c.wallet), enabled, &patch, version[0], version[1], &who, on_configured, req_hold(r));
}

static void on_configured(void *ctx, xerr_t err, const bot_config_t *v)
{
    req_t *r = ctx;
    if (!err) {
        const settings_t *s = &v->settings;
        config_t c = {v->enabled, s->risk_profile, s->investment_amount, s->max_trade_amount, s->slippage_tolerance,
                      {v->bot_version, s->version}, s->updated_us};
        if (v->switched) bot_tell_engine(api_of(r), s->wallet, v->enabled, v->bot_version, v->bot_updated_us);
        send_config(r, &c);
    } else if (err == XE_CONFLICT) {
        etag_failed(r);
    } else {
        h_fail(r, err);
    }
    req_drop(r);
}

/* ---- emergency ---------------------------------------------------------------------------------------------------- */

static const char *const actions[] = {"pause", "resume", "kill_switch", "close_positions", NULL};

typedef struct {
    req_t *r;
    emergency_t what;
    hold_by_t by;
    hold_state_t state;
    char wallet[48]; /* "" all bots */
} brake_t;

/* The kill switch, on and off, is for admins and for who knows the configured key. */
static bool is_master(req_t *r)
{
    const char *want = api_of(r)->cfg->bot_kill_switch_key;
    span_t key;
    uint8_t a[32], b[32];
    if (call_of(r)->who.c.role >= ROLE_ADMIN) return true;
    if (!want[0] || !body_str(r, "authorization_key", &key)) return false;
    sha256(want, strlen(want), a); /* the time must not tell the length either */
    sha256(key.p, key.n, b);
    return ct_equal(a, b, sizeof a);
}

static emergency_t action_of(req_t *r)
{
    span_t v = {NULL, 0};
    unsigned i = 0;
    body_str(r, "action", &v);
    while (actions[i + 1] && !span_is(v, actions[i])) i++;
    return (emergency_t)i;
}

static void h_emergency(req_t *r)
{
    api_t *a = api_of(r);
    span_t reason = {NULL, 0}, wallet = {NULL, 0}, key;
    bool master = is_master(r);
    who_t who = who_of(r);
    emergency_t what = action_of(r);
    if ((!master && body_str(r, "authorization_key", &key)) || (what == EMERGENCY_KILL && !master)) {
        ctr_inc(a->n.role);
        h_fail_why(r, XE_DENIED, "kill_switch needs the authorization key or the role admin");
        return;
    }
    body_str(r, "reason", &reason);
    brake_t *b = req_alloc(r, sizeof *b);
    *b = (brake_t){.r = req_hold(r), .what = what, .by = is_wallet(r) ? HOLD_OWNER : HOLD_OPERATOR};
    if (is_wallet(r)) wallet = span_of(call_of(r)->who.c.wallet);
    else if (!arg_of(r, "walletAddress", &wallet)) b->by = HOLD_ALL;
    if (wallet.n < sizeof b->wallet) memcpy(b->wallet, wallet.p ? wallet.p : "", wallet.n);
    char *text = req_alloc(r, reason.n + 1);
    memcpy(text, reason.p ? reason.p : "", reason.n);
    text[reason.n] = '\0';
    bots_emergency(a->store, b->by, wallet, what, text, master, &who, on_held, b);
}

static void send_held(const brake_t *b)
{
    const hold_state_t *st = &b->state;
    out_t o;
    out_init(&o);
    put_bool(&o.w, "success", true);
    put_str(&o.w, "action", actions[b->what]);
    jw_key(&o.w, "state");
    jw_obj(&o.w);
    put_str(&o.w, "scope", b->by == HOLD_ALL ? "all" : b->by == HOLD_OPERATOR ? "operator" : "wallet");
    put_text_or_null(&o.w, "wallet_address", b->wallet);
    put_bool(&o.w, "paused", st->hold.paused);
    put_bool(&o.w, "kill_switch", st->hold.killed);
    put_bool(&o.w, "close_positions", st->hold.closing);
    put_null(&o.w, "open_positions");
    put_str(&o.w, "reason", st->reason);
    put_i64(&o.w, "version", st->version);
    put_time(&o.w, "updated_at", st->updated_us);
    jw_key(&o.w, "reasons");
    jw_obj(&o.w);
    put_str(&o.w, "open_positions", "NO_EXECUTION");
    jw_end(&o.w);
    jw_end(&o.w);
    out_send(&o, b->r, 200);
}

/* Subscribers hear of the bot as it is now, so it is read first. */
static void on_held(void *ctx, xerr_t err, const hold_state_t *st)
{
    brake_t *b = ctx;
    req_t *r = b->r;
    if (err == XE_CONFLICT) h_fail_why(r, err, "The kill switch holds: resume needs the authorization key or the role admin");
    else if (err) h_fail(r, err);
    if (err) {
        req_drop(r);
        return;
    }
    b->state = *st;
    if (b->wallet[0]) {
        bots_get(api_of(r)->store, span_of(b->wallet), on_told, b);
        return;
    }
    send_held(b);
    req_drop(r);
}

/* The brake is on whether or not the bot could be read. */
static void on_told(void *ctx, xerr_t err, const bot_t *bot)
{
    brake_t *b = ctx;
    api_t *a = api_of(b->r);
    if (!err) {
        holds_note(a, bot->wallet, bot->holds);
        bot_tell_engine(a, bot->wallet, bot->enabled, bot->version, bot->updated_us);
    }
    send_held(b);
    req_drop(b->r);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t change[] = {
    S_OPT("enabled", SC_BOOL),
    RISK_ROW,
    S_OPT("investmentAmount", SC_NUM, .min = USD_E6, .max = AMOUNT_MAX_E6, .places = 6, .doc = "USD."),
    S_OPT("maxTradeAmount", SC_NUM, .max = AMOUNT_MAX_E6, .places = 6, .doc = "USD."),
    S_OPT("slippageTolerance", SC_NUM, .max = 10000, .places = 2, .doc = "Percent."),
    S_END,
};

static const schema_t config_members[] = {
    S_REQ("enabled", SC_BOOL), S_REQ("riskProfile", SC_STR, .choices = RISK_WORDS), S_DEC("investmentAmount", .doc = "USD."),
    S_DEC("maxTradeAmount", .doc = "USD."), S_DEC("slippageTolerance", .doc = "Percent."), S_END,
};

static const schema_t config_answer[] = {
    S_REQ("success", SC_BOOL),
    S_REQ("configuration", SC_OBJ, .of = config_members),
    S_REQ("version", SC_INT, .doc = "Of the bot's switch; the ETag holds both versions."),
    S_REQ("settings_version", SC_INT, .doc = "Of the wallet's settings."),
    S_NUL("updated_at", SC_TIME),
    S_REASONS,
    S_END,
};

static const schema_t emergency_query[] = {
    S_OPT("walletAddress", SC_WALLET, .doc = "Operators: the bot meant; all bots when absent. Wallets: their own, or absent."),
    S_END,
};

static const schema_t emergency_body[] = {
    S_REQ("action", SC_STR, .choices = actions, .doc = "close_positions pauses as well."),
    S_REQ("reason", SC_STR, .min = 1, .max = 200, .doc = "Why; kept in the audit log."),
    S_ROW("authorization_key", SC_STR, SC_SECRET, .min = 1, .max = 200, .doc = "For kill_switch, and for resume under it, unless the role is admin."),
    S_END,
};

static const schema_t hold_members[] = {
    S_REQ("scope", SC_STR, .choices = S_WORDS("wallet", "operator", "all"), .doc = "Who holds: the owner, an operator, an operator for all bots."),
    S_NUL("wallet_address", SC_WALLET),
    S_REQ("paused", SC_BOOL),
    S_REQ("kill_switch", SC_BOOL),
    S_REQ("close_positions", SC_BOOL, .doc = "Asked for, and not yet reported done."),
    S_NUL("open_positions", SC_INT),
    S_REQ("reason", SC_STR),
    S_REQ("version", SC_INT),
    S_REQ("updated_at", SC_TIME),
    S_REASONS,
    S_END,
};

static const schema_t emergency_answer[] = {
    S_REQ("success", SC_BOOL), S_REQ("action", SC_STR, .choices = actions), S_REQ("state", SC_OBJ, .of = hold_members), S_END,
};

const route_t routes_bot_config[] = {
    {M_GET, "/api/bot/configuration", ACCESS_WALLET, LIM_USER, ROUTE_ETAG, 0, h_config_get, NULL, NULL, 200, config_answer,
     "How the caller's bot is to act."},
    {M_PUT, "/api/bot/configuration", ACCESS_WALLET, LIM_USER, ROUTE_ETAG | ROUTE_MATCH | ROUTE_KEY | ROUTE_FINDS, ROUTE_BODY, h_config_put, NULL,
     change, 200, config_answer, "Changes the members given, all or none; the others stay."},
    {M_POST, "/api/bot/emergency", ACCESS_CONTROL, LIM_CTRL, ROUTE_OWN | ROUTE_KEY | ROUTE_CLASH, ROUTE_BODY, h_emergency, emergency_query,
     emergency_body, 200, emergency_answer, "Holds or frees one's own bot; operators: one bot, or all."},
    ROUTE_END,
};
