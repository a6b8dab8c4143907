/* What a wallet has chosen: read through memory, written with a version and an audit row. Whoever has read the answer of a
 * change meets it everywhere. */
#include "handlers/ctx.h"

#include "handlers/etag.h"
#include "handlers/fast.h"
#include "handlers/routes.h"
#include "handlers/settings_json.h"

static void on_settings(void *ctx, xerr_t err, const settings_hit_t *hit);
static void on_fast(void *ctx, xerr_t err, const settings_hit_t *hit);
static void on_saved(void *ctx, xerr_t err, const settings_hit_t *hit);

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static void put_stale(jw_t *w, const settings_hit_t *hit)
{
    put_bool(w, "stale", hit->stale);
    if (hit->stale) put_i64(w, "age_ms", hit->age_ms);
}

static void send(req_t *r, const settings_hit_t *hit)
{
    out_t o;
    if (hit->stale) etag_put(r, &hit->s->version, 1);
    else if (etag_same(r, &hit->s->version, 1)) return;
    out_init(&o);
    put_bool(&o.w, "success", true);
    settings_put_members(&o.w, hit->s);
    put_i64(&o.w, "version", hit->s->version);
    put_time(&o.w, "updated_at", hit->s->updated_us);
    settings_put_reasons(&o.w, hit->s);
    put_stale(&o.w, hit);
    out_send(&o, r, 200);
}

static void read_through(req_t *r, void (*give)(req_t *r, const settings_hit_t *hit), settings_cb later)
{
    store_t *s = api_of(r)->store;
    span_t wallet;
    settings_hit_t hit;
    if (!wallet_param(r, &wallet)) return;
    if (settings_peek(s, wallet, &hit)) give(r, &hit);
    else settings_get(s, wallet, later, req_hold(r));
}

static void h_settings(req_t *r) { read_through(r, send, on_settings); }

static void on_settings(void *ctx, xerr_t err, const settings_hit_t *hit)
{
    req_t *r = ctx;
    if (err) h_fail(r, err);
    else send(r, hit);
    req_drop(r);
}

static void send_fast(req_t *r, const settings_hit_t *hit)
{
    out_t o;
    out_init(&o);
    settings_put_members(&o.w, hit->s);
    settings_put_reasons(&o.w, hit->s);
    put_stale(&o.w, hit);
    fast_put(r, &o.w);
    out_send(&o, r, 200);
}

static void h_fast_settings(req_t *r)
{
    fast_start(r);
    read_through(r, send_fast, on_fast);
}

static void on_fast(void *ctx, xerr_t err, const settings_hit_t *hit)
{
    req_t *r = ctx;
    if (err) h_fail(r, err);
    else send_fast(r, hit);
    req_drop(r);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void h_settings_put(req_t *r)
{
    const char *own = call_of(r)->who.c.wallet;
    settings_patch_t patch;
    int64_t version;
    span_t wallet;
    who_t who = who_of(r);
    if (body_str(r, "walletAddress", &wallet) && !span_is(wallet, own)) {
        h_fail(r, XE_DENIED);
        return;
    }
    if (!etag_match(r, &version, 1)) return;
    settings_patch(r, &patch);
    settings_put(api_of(r)->store, span_of(own), &patch, version, &who, on_saved, req_hold(r));
}

static void on_saved(void *ctx, xerr_t err, const settings_hit_t *hit)
{
    req_t *r = ctx;
    if (err == XE_CONFLICT) etag_failed(r);
    else if (err) h_fail(r, err);
    else send(r, hit);
    req_drop(r);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t wallet_query[] = {
    S_WALLET,
    S_END,
};

static const schema_t own_query[] = {
    S_OPT("walletAddress", SC_WALLET, .doc = "The caller's own, or absent."),
    S_END,
};

static const schema_t change[] = {
    S_OPT("walletAddress", SC_WALLET, .doc = "The caller's own, or absent."),
    RISK_ROW,
    S_OPT("maxTradeAmount", SC_NUM, .max = AMOUNT_MAX_E6, .places = 6, .doc = "USD."),
    S_OPT("slippageTolerance", SC_NUM, .max = 10000, .places = 2, .doc = "Percent."),
    S_OPT("maxDrawdownLimit", SC_NUM, .min = USD_E6, .max = 50 * USD_E6, .places = 6, .doc = "Percent."),
    S_OPT("positionSizePercent", SC_NUM, .min = USD_E6, .max = 25 * USD_E6, .places = 6, .doc = "Percent."),
    S_OPT("stopLossEnabled", SC_BOOL),
    S_OPT("takeProfitEnabled", SC_BOOL),
    S_OPT("investmentAmount", SC_NUM, .max = AMOUNT_MAX_E6, .places = 6, .doc = "USD."),
    S_END,
};

static const schema_t settings_answer[] = {
    S_REQ("success", SC_BOOL),
    SETTINGS_ROWS,
    S_REQ("version", SC_INT, .doc = "Grows by one with each change; also the ETag."),
    S_NUL("updated_at", SC_TIME),
    S_REQ("stale", SC_BOOL, .doc = "True: storage is away, this is the last known answer."),
    S_OPT("age_ms", SC_INT, .doc = "Of a stale answer."),
    S_END,
};

static const schema_t fast_answer[] = {
    SETTINGS_ROWS,
    S_REQ("stale", SC_BOOL, .doc = "True: storage is away, this is the last known answer."),
    S_OPT("age_ms", SC_INT, .doc = "Of a stale answer."),
    FAST_ROW,
    S_END,
};

#define WRITE_FLAGS (ROUTE_OWN | ROUTE_ETAG | ROUTE_MATCH | ROUTE_KEY | ROUTE_FINDS)
const route_t routes_settings[] = {
    {M_GET, "/api/user/settings", ACCESS_ANY, LIM_USER, ROUTE_OWN | ROUTE_ETAG, 0, h_settings, wallet_query, NULL, 200, settings_answer,
     "What a wallet has chosen."},
    {M_PUT, "/api/user/settings", ACCESS_WALLET, LIM_USER, WRITE_FLAGS, ROUTE_BODY, h_settings_put, own_query, change, 200, settings_answer,
     "Changes the members given, all or none; the others stay."},
    {M_POST, "/api/user/settings", ACCESS_WALLET, LIM_USER, WRITE_FLAGS, ROUTE_BODY, h_settings_put, own_query, change, 200, settings_answer,
     "The same as PUT."},
    {M_GET, "/api/fast/settings", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_fast_settings, wallet_query, NULL, 200, fast_answer,
     "What a wallet has chosen, with the server's own time."},
    ROUTE_END,
};
