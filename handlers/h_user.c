/* GET /api/user/performance, the main read of the load gate, and /api/bot/performance. What is cached is the encoded data object; a hit is
 * spliced into the answer without building anything. */
#include "handlers/ctx.h"

#include <math.h>

#include "handlers/routes.h"
#include "storage/perf.h"

static void encode(const perf_t *p, buf_t *out);
static void on_perf(void *ctx, xerr_t err, const perf_hit_t *hit);
static void send(req_t *r, const perf_hit_t *hit);

static void h_user_performance(req_t *r)
{
    api_t *a = api_of(r);
    span_t wallet, text;
    range_t range = RANGE_30D;
    perf_hit_t hit;
    if (!wallet_param(r, &wallet)) return;
    if (arg_of(r, "timeRange", &text) && range_parse(text, &range)) range = RANGE_30D; /* judged: cannot be */
    if (perf_peek(a->store, wallet, range, &hit)) send(r, &hit);
    else perf_get(a->store, wallet, range, encode, on_perf, req_hold(r));
}

static void on_perf(void *ctx, xerr_t err, const perf_hit_t *hit)
{
    req_t *r = ctx;
    if (err) h_fail(r, err);
    else send(r, hit);
    req_drop(r);
}

/* The id is 1 to 64 characters that need no escape, so it may be laid between two literals. */
static void send_fresh(req_t *r, span_t json)
{
    static const char middle[] = ",\"requestId\":\"", end[] = "\"}";
    span_t id = span_of(req_id(r));
    char tail[sizeof middle + 64 + sizeof end];
    size_t n = sizeof middle - 1;
    memcpy(tail, middle, n);
    memcpy(tail + n, id.p, id.n);
    n += id.n;
    memcpy(tail + n, end, sizeof end - 1);
    const span_t parts[] = {SPAN_LIT("{\"success\":true,\"stale\":false,\"data\":"), json, span_make(tail, n + sizeof end - 1)};
    req_reply_parts(r, 200, "application/json", parts, 3);
}

static void send(req_t *r, const perf_hit_t *hit)
{
    out_t o;
    if (!hit->stale) {
        send_fresh(r, hit->json);
        return;
    }
    out_init(&o);
    put_bool(&o.w, "success", true);
    put_bool(&o.w, "stale", true);
    put_i64(&o.w, "age_ms", hit->age_ms);
    jw_key(&o.w, "data");
    jw_raw(&o.w, hit->json);
    put_str(&o.w, "requestId", req_id(r));
    out_send(&o, r, 200);
}

/* ---- the cached object -------------------------------------------------------------------------------------------- */

static void put_usd(jw_t *w, const char *key, int64_t e6)
{
    char text[DEC_TEXT_MAX];
    usd_text((usd_t){e6}, text, sizeof text);
    put_decimal(w, key, text);
}

static void put_figure(jw_t *w, const char *key, double v)
{
    jw_key(w, key);
    if (isfinite(v)) jw_f64(w, v);
    else jw_null(w);
}

static void put_chart(jw_t *w, const perf_t *p)
{
    char text[DEC_TEXT_MAX];
    jw_key(w, "chartData");
    jw_arr(w);
    for (unsigned i = 0; i < p->points_n; i++) {
        jw_obj(w);
        put_time(w, "timestamp", p->points[i].at_us);
        usd_text((usd_t){p->points[i].value_e6}, text, sizeof text);
        jw_key(w, "value");
        jw_raw(w, span_of(text));
        jw_end(w);
    }
    jw_end(w);
}

static void put_reasons(jw_t *w, const perf_t *p)
{
    const struct { const char *key; bool known; const char *why; } rows[] = {
        {"currentVaultValueUSD", p->has_value, "NO_VALUATION"},
        {"netROI", isfinite(p->net_roi), "NOT_ENOUGH_VALUATIONS"},
        {"maxDrawdownPercent", isfinite(p->max_drawdown), "NOT_ENOUGH_VALUATIONS"},
        {"sharpeRatio", isfinite(p->sharpe), "NOT_ENOUGH_VALUATIONS"},
        {"winRate", isfinite(p->win_rate), "NO_CLOSED_TRADE"},
        {"valueAtRisk95Percent", isfinite(p->var95), "NOT_ENOUGH_VALUATIONS"},
        {"realizedPnlUSD", p->has_pnl, "NO_CLOSED_TRADE"},
        {"lastUpdated", p->updated_us > 0, "NO_VALUATION"},
    };
    jw_key(w, "reasons");
    jw_obj(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].known) put_str(w, rows[i].key, rows[i].why);
    jw_end(w);
}

static void encode(const perf_t *p, buf_t *out)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    put_str(&w, "walletAddress", p->wallet);
    if (p->has_value) put_usd(&w, "currentVaultValueUSD", p->value_e6);
    else put_decimal(&w, "currentVaultValueUSD", "");
    put_figure(&w, "netROI", p->net_roi);
    put_figure(&w, "maxDrawdownPercent", p->max_drawdown);
    put_i64(&w, "totalTrades", p->trades);
    put_figure(&w, "winRate", p->win_rate);
    put_figure(&w, "sharpeRatio", p->sharpe);
    put_figure(&w, "valueAtRisk95Percent", p->var95);
    if (p->has_pnl) put_usd(&w, "realizedPnlUSD", p->pnl_e6);
    else put_decimal(&w, "realizedPnlUSD", "");
    put_chart(&w, p);
    put_str(&w, "timeRange", range_name(p->range));
    put_time(&w, "lastUpdated", p->updated_us);
    put_str(&w, "reason", p->has_value ? NULL : "NO_VALUATION");
    put_reasons(&w, p);
    jw_end(&w);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t performance_query[] = {
    S_WALLET,
    S_OPT("timeRange", SC_STR, .choices = S_WORDS("1D", "7D", "30D", "90D", "ALL"), .doc = "30D when absent."),
    S_END,
};

static const schema_t performance[] = {
    S_REQ("walletAddress", SC_WALLET),
    S_DEC("currentVaultValueUSD"),
    S_NUL("netROI", SC_NUM, .doc = "Percent."),
    S_NUL("maxDrawdownPercent", SC_NUM),
    S_REQ("totalTrades", SC_INT),
    S_NUL("winRate", SC_NUM, .doc = "Percent."),
    S_NUL("sharpeRatio", SC_NUM, .doc = "Annualised."),
    S_NUL("valueAtRisk95Percent", SC_NUM, .doc = "Of a day, from the days of the range; null below 20 of them."),
    S_DEC("realizedPnlUSD", .doc = "Of confirmed trades."),
    S_REQ("chartData", SC_ARR, .of = S_LIST(S_REQ("point", SC_OBJ, .of = S_LIST(S_REQ("timestamp", SC_TIME), S_REQ("value", SC_NUM))))),
    S_REQ("timeRange", SC_STR, .choices = S_WORDS("1D", "7D", "30D", "90D", "ALL")),
    S_NUL("lastUpdated", SC_TIME),
    S_NUL("reason", SC_STR),
    S_REASONS,
    S_END,
};

static const schema_t performance_answer[] = {
    S_REQ("success", SC_BOOL),
    S_REQ("stale", SC_BOOL, .doc = "True: storage is away, this is the last known answer."),
    S_OPT("age_ms", SC_INT, .doc = "Of a stale answer."),
    S_REQ("data", SC_OBJ, .of = performance),
    S_REQ("requestId", SC_STR),
    S_END,
};

static const schema_t own_query[] = {
    S_OPT("timeRange", SC_STR, .choices = S_WORDS("1D", "7D", "30D", "90D", "ALL"), .doc = "30D when absent."),
    S_END,
};

const route_t routes_user[] = {
    {M_GET, "/api/user/performance", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_user_performance, performance_query, NULL, 200, performance_answer,
     "Value and returns of a wallet's vault over a range."},
    {M_GET, "/api/bot/performance", ACCESS_WALLET, LIM_USER, 0, 0, h_user_performance, own_query, NULL, 200, performance_answer,
     "The same for the caller's bot."},
    ROUTE_END,
};
