/* Health, versions and figures. /health touches nothing; /health/ready says whether a write would succeed now. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/version.h"
#include "handlers/market.h"
#include "handlers/routes.h"
#include "handlers/stats.h"

enum { METRICS_MAX = 4 << 20, VIEW_MAX = 1 << 18 };

static bool draining(const api_t *a) { return a->views.draining && a->views.draining(a->views.ctx); }

static void h_health(req_t *r) { req_reply(r, 200, "application/json", SPAN_LIT("{\"status\":\"ok\"}")); }
static void h_ping(req_t *r) { req_reply(r, 200, "application/json", SPAN_LIT("{\"status\":\"pong\"}")); }

/* ---- ready -------------------------------------------------------------------------------------------------------- */

static void put_check(jw_t *w, const char *key, bool ok, const char *why)
{
    jw_key(w, key);
    jw_obj(w);
    put_bool(w, "ok", ok);
    put_text_or_null(w, "reason", ok ? NULL : why);
    jw_end(w);
}

static void h_ready(req_t *r)
{
    api_t *a = api_of(r);
    store_health_t h;
    out_t o;
    store_health(a->store, &h);
    bool ready = h.pg_writable && !draining(a);
    out_init(&o);
    put_bool(&o.w, "ready", ready);
    jw_key(&o.w, "checks");
    jw_obj(&o.w);
    put_check(&o.w, "database", h.pg_writable, h.pg_up ? "not writable" : "not connected");
    /* Redis may be away without a wrong answer, so it is shown and does not decide. */
    put_check(&o.w, "redis", h.redis_up || !a->cfg->redis_enabled, "not connected");
    put_check(&o.w, "loop", !draining(a), "shutting down");
    jw_end(&o.w);
    if (!ready) req_add_header(r, "Retry-After", "1");
    out_send(&o, r, ready ? 200 : 503);
}

/* ---- /api/system/status ------------------------------------------------------------------------------------------- */

static void put_service(jw_t *w, const char *key, const char *state, int64_t since_us, const char *why, bool details)
{
    jw_key(w, key);
    jw_obj(w);
    put_str(w, "status", state);
    put_time(w, "since", since_us);
    if (details) put_text_or_null(w, "reason", why);
    jw_end(w);
}

static const char *market_state(market_count_t n)
{
    if (!n.all) return "off";
    return n.usable == n.all ? "up" : n.usable ? "degraded" : "down";
}

static void put_services(const api_t *a, jw_t *w, const store_health_t *h, market_count_t n, bool details)
{
    jw_key(w, "services");
    jw_obj(w);
    put_service(w, "database", h->pg_writable ? "up" : h->pg_up ? "degraded" : "down", h->pg_since_us, h->pg_writable ? NULL : h->pg_why, details);
    put_service(w, "redis", !a->cfg->redis_enabled ? "off" : h->redis_up ? "up" : "down", h->redis_since_us, h->redis_up ? NULL : h->redis_why, details);
    put_service(w, "market_data", market_state(n), 0, NULL, details);
    jw_end(w);
    if (!details) return;
    jw_key(w, "markets");
    market_put_all(a, w);
}

typedef struct { const char *status, *reason, *message; } verdict_t;

static verdict_t judge(const api_t *a, const store_health_t *h, market_count_t n)
{
    if (draining(a)) return (verdict_t){"degraded", NULL, "The server is shutting down"};
    if (!h->pg_writable && !n.usable && n.all) return (verdict_t){"critical", "STORAGE_UNAVAILABLE", "Neither storage nor market data is usable"};
    if (!h->pg_writable) return (verdict_t){"fail_safe", "STORAGE_UNAVAILABLE", "Writes are refused until storage is back; reads may be stale"};
    if (n.usable < n.all) return (verdict_t){"degraded", NULL, "Some market data is not usable"};
    if (a->cfg->redis_enabled && !h->redis_up) return (verdict_t){"degraded", NULL, "The shared cache is away; reads are slower"};
    return (verdict_t){"healthy", NULL, "All parts work"};
}

static void h_system_status(req_t *r)
{
    api_t *a = api_of(r);
    store_health_t h;
    out_t o;
    store_health(a->store, &h);
    market_count_t n = market_count(a);
    verdict_t v = judge(a, &h, n);
    out_init(&o);
    put_str(&o.w, "status", v.status);
    put_services(a, &o.w, &h, n, is_desk(r));
    jw_key(&o.w, "failSafeMode");
    jw_obj(&o.w);
    put_bool(&o.w, "active", v.reason != NULL);
    put_str(&o.w, "reason", v.reason);
    jw_end(&o.w);
    put_str(&o.w, "message", v.message);
    put_str(&o.w, "environment", a->cfg->server_environment);
    put_bool(&o.w, "simulated", a->cfg->feeds_simulated);
    if (!is_desk(r) && out_unchanged(&o, r)) return;
    put_time(&o.w, "timestamp", loop_wall_us(a->loop));
    out_send(&o, r, 200);
}

/* ---- database ----------------------------------------------------------------------------------------------------- */

static void on_ping(void *ctx, xerr_t err, int64_t us)
{
    req_t *r = ctx;
    store_health_t h;
    out_t o;
    store_health(api_of(r)->store, &h);
    out_init(&o);
    put_bool(&o.w, "connected", !err);
    jw_key(&o.w, "latency_ms");
    if (err) jw_null(&o.w);
    else jw_f64(&o.w, (double)us / 1000.0);
    jw_key(&o.w, "pool");
    jw_obj(&o.w);
    put_i64(&o.w, "in_use", h.pg_in_use);
    put_i64(&o.w, "idle", h.pg_idle);
    put_i64(&o.w, "waiting", h.pg_waiting);
    jw_end(&o.w);
    put_i64(&o.w, "schema_version", h.schema_version);
    put_i64(&o.w, "schema_wanted", h.schema_wanted);
    put_bool(&o.w, "writable", h.pg_writable);
    put_time(&o.w, "since", h.pg_since_us);
    put_text_or_null(&o.w, "reason", err || !h.pg_writable ? h.pg_why : NULL);
    if (err) req_add_header(r, "Retry-After", "2");
    out_send(&o, r, err ? 503 : 200);
    req_drop(r);
}

static void h_database_health(req_t *r) { store_ping(api_of(r)->store, on_ping, req_hold(r)); }

/* ---- version, metrics, desk status -------------------------------------------------------------------------------- */

static void h_version(req_t *r)
{
    out_t o;
    out_init(&o);
    put_str(&o.w, "version", XORJ_VERSION);
    put_str(&o.w, "commit", XORJ_COMMIT);
#ifdef XORJ_ASAN
    put_str(&o.w, "build", "asan");
#else
    put_str(&o.w, "build", "release");
#endif
    put_str(&o.w, "api_version", "v1");
    out_send(&o, r, 200);
}

static void h_metrics(req_t *r)
{
    api_t *a = api_of(r);
    buf_t text;
    gauge_set(a->limit_entries, limits_used(a->limits));
    gauge_set(a->limit_evicted, (double)limits_evicted(a->limits));
    buf_init(&text, METRICS_MAX);
    metrics_write(a->metrics, &text);
    if (text.failed) h_fail(r, XE_INTERNAL);
    else req_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
    buf_fini(&text);
}

static void put_counters(const api_t *a, jw_t *w)
{
    jw_key(w, "counters");
    jw_obj(w);
    put_i64(w, "evaluations", (int64_t)eng_evaluations(a->eng));
    jw_key(w, "rejected");
    jw_obj(w);
    for (reject_t i = 0; i < REJ_N; i++) put_i64(w, reject_name(i), (int64_t)eng_rejected(a->eng, i));
    jw_end(w);
    jw_end(w);
}

static void h_desk_status(req_t *r)
{
    api_t *a = api_of(r);
    market_count_t n = market_count(a);
    buf_t list;
    out_t o;
    bool stale = n.all && !n.usable;
    buf_init(&list, VIEW_MAX);
    a->views.connectors(a->views.ctx, &list);
    out_init(&o);
    put_str(&o.w, "mode", "OBSERVE_ONLY");
    put_bool(&o.w, "paused", stale);
    jw_key(&o.w, "pause_reasons");
    jw_arr(&o.w);
    if (stale) jw_cstr(&o.w, "STALE_DATA");
    jw_end(&o.w);
    jw_key(&o.w, "connectors");
    if (list.failed) jw_null(&o.w);
    else jw_raw(&o.w, buf_span(&list));
    jw_key(&o.w, "markets");
    market_put_all(a, &o.w);
    put_null(&o.w, "risk");
    jw_key(&o.w, "reasons");
    jw_obj(&o.w);
    put_str(&o.w, "risk", "NO_EXECUTION");
    jw_end(&o.w);
    put_counters(a, &o.w);
    put_i64(&o.w, "uptime_s", (loop_now_ns(a->loop) - a->started_ns) / 1000000000);
    put_str(&o.w, "version", XORJ_VERSION);
    put_bool(&o.w, "simulated", a->cfg->feeds_simulated);
    put_time(&o.w, "ts", loop_wall_us(a->loop));
    out_send(&o, r, 200);
    buf_fini(&list);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

#define FLAG_AND_REASON(flag) S_LIST(S_REQ(flag, SC_BOOL), S_NUL("reason", SC_STR))
#define MARKETS .of = S_LIST(S_REQ("market", SC_OBJ, .of = market_members))

static const schema_t health_answer[] = {S_REQ("status", SC_STR, .choices = S_WORDS("ok")), S_END};
static const schema_t ping_answer[] = {S_REQ("status", SC_STR, .choices = S_WORDS("pong")), S_END};

static const schema_t check[] = {S_REQ("ok", SC_BOOL), S_NUL("reason", SC_STR), S_END};

static const schema_t ready_answer[] = {
    S_REQ("ready", SC_BOOL, .doc = "Whether a write would succeed now."),
    S_REQ("checks", SC_OBJ, .of = S_LIST(S_REQ("database", SC_OBJ, .of = check), S_REQ("redis", SC_OBJ, .of = check), S_REQ("loop", SC_OBJ, .of = check))),
    S_END,
};

static const schema_t service[] = {
    S_REQ("status", SC_STR, .choices = S_WORDS("up", "degraded", "down", "off")),
    S_NUL("since", SC_TIME),
    S_ROW("reason", SC_STR, SC_NULL, .doc = "For viewers and up."),
    S_END,
};

static const schema_t system_answer[] = {
    S_REQ("status", SC_STR, .choices = S_WORDS("healthy", "degraded", "fail_safe", "critical")),
    S_REQ("services", SC_OBJ, .of = S_LIST(S_REQ("database", SC_OBJ, .of = service), S_REQ("redis", SC_OBJ, .of = service),
                                           S_REQ("market_data", SC_OBJ, .of = service))),
    S_OPT("markets", SC_ARR, MARKETS, .doc = "For viewers and up."),
    S_REQ("failSafeMode", SC_OBJ, .of = FLAG_AND_REASON("active")),
    S_REQ("message", SC_STR),
    S_REQ("environment", SC_STR, .choices = S_WORDS("development", "staging", "production")),
    S_REQ("simulated", SC_BOOL),
    S_REQ("timestamp", SC_TIME),
    S_END,
};

static const schema_t database_answer[] = {
    S_REQ("connected", SC_BOOL),
    S_NUL("latency_ms", SC_NUM, .doc = "Of one round trip made for this answer."),
    S_REQ("pool", SC_OBJ, .of = S_LIST(S_REQ("in_use", SC_INT), S_REQ("idle", SC_INT), S_REQ("waiting", SC_INT))),
    S_REQ("schema_version", SC_INT),
    S_REQ("schema_wanted", SC_INT),
    S_REQ("writable", SC_BOOL),
    S_NUL("since", SC_TIME),
    S_NUL("reason", SC_STR),
    S_END,
};

static const schema_t version_answer[] = {
    S_REQ("version", SC_STR), S_REQ("commit", SC_STR), S_REQ("build", SC_STR, .choices = S_WORDS("release", "asan")),
    S_REQ("api_version", SC_STR), S_END,
};

static const schema_t desk_answer[] = {
    S_REQ("mode", SC_STR, .choices = S_WORDS("OBSERVE_ONLY")),
    S_REQ("paused", SC_BOOL),
    S_REQ("pause_reasons", SC_ARR, .of = S_LIST(S_REQ("reason", SC_STR))),
    S_NUL("connectors", SC_ARR, .of = S_LIST(S_REQ("connector", SC_OBJ, .of = connector_members))),
    S_REQ("markets", SC_ARR, MARKETS),
    S_NUL("risk", SC_OBJ, .of = schema_nothing, .doc = "Null: nothing is executed."),
    S_REASONS,
    S_REQ("counters", SC_OBJ, .of = S_LIST(S_REQ("evaluations", SC_INT), S_REQ("rejected", SC_MAP, .of = S_LIST(S_REQ("count", SC_INT))))),
    S_REQ("uptime_s", SC_INT),
    S_REQ("version", SC_STR),
    S_REQ("simulated", SC_BOOL),
    S_REQ("ts", SC_TIME),
    S_END,
};

const route_t routes_system[] = {
    {M_GET, "/health", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_health, NULL, NULL, 200, health_answer, "Is the process alive? Touches nothing else."},
    {M_GET, "/health/ready", ACCESS_PUBLIC, LIM_OPEN, ROUTE_OPEN_STATE, 0, h_ready, NULL, NULL, 200, ready_answer, "Would a write succeed now?"},
    {M_GET, "/api/system/status", ACCESS_OPTIONAL, LIM_STATUS, ROUTE_ETAG, 0, h_system_status, NULL, NULL, 200, system_answer,
     "State of the parts; viewers and up see reasons and markets."},
    {M_GET, "/api/database/health", ACCESS_LOCAL, LIM_STATUS, ROUTE_OPEN_STATE, 0, h_database_health, NULL, NULL, 200, database_answer,
     "One round trip to the database, and its pool."},
    {M_GET, "/api/v1/ping", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_ping, NULL, NULL, 200, ping_answer, "Answers pong."},
    {M_GET, "/api/v1/version", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_version, NULL, NULL, 200, version_answer, "What runs here."},
    {M_GET, "/api/metrics", ACCESS_METRICS, LIM_NONE, ROUTE_TEXT, 0, h_metrics, NULL, NULL, 200, NULL, "Figures in the Prometheus text format."},
    {M_GET, "/metrics", ACCESS_METRICS, LIM_NONE, ROUTE_TEXT, 0, h_metrics, NULL, NULL, 200, NULL, "The same as /api/metrics."},
    {M_GET, "/api/v1/status", ACCESS_VIEWER, LIM_STATUS, 0, 0, h_desk_status, NULL, NULL, 200, desk_answer, "The desk: mode, connectors, markets, counters."},
    ROUTE_END,
};
