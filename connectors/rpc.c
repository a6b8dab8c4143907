#include "connectors/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "connectors/scan.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define REST_MIN_MS 500
#define REST_MAX_MS 2000     /* an endpoint that fails is asked again about as often as one that answers */
#define REST_LIMIT_MS 30000  /* one that says we ask too much, or shuts us out */
#define RETRY_AFTER_MAX_S 300
#define BODY_MAX 65536
#define TRY_MIN_MS 100       /* with less left no further endpoint is tried */
#define GOOD_SCORE 50.0      /* in good health */
#define HEAL_PER_S 5.0       /* an endpoint left alone is given another chance in time */
#define LAG_SLOTS 150        /* about 50 s behind the newest slot seen */
#define LAG_FRESH_NS 30000000000LL
#define MS 1000000LL

typedef struct {
    char *url;
    int64_t until_ns;  /* rests until then */
    unsigned fails;    /* in a row */
    double score, latency_ms;
    int64_t judged_ns; /* of the score */
    int64_t budget_ns; /* when the budget is whole again */
    uint64_t slot, ok, failed;
    jchan_t *rec;
    ctr_t *c_ok, *c_failed, *c_limited;
    gauge_t *g_score, *g_latency, *g_slot;
} endpoint_t;

struct rpc {
    loop_t *loop;
    httpc_t *http;
    unsigned n, per_s;
    uint64_t id;
    uint64_t best_slot;
    int64_t best_ns;
    ctr_t *none, *failovers, *nonsense, *rpc_errors;
    endpoint_t e[RPC_ENDPOINTS_MAX];
};

typedef struct {
    rpc_t *r;
    endpoint_t *e;
    unsigned tried;    /* bit per endpoint */
    uint64_t id;
    int64_t until_ns, sent_ns;
    size_t body_max;
    bool spare;
    xerr_t (*check)(void *ctx, span_t result);
    buf_t body;
    xerr_t err;        /* how the last try ended */
    rpc_cb cb;
    void *ctx;
} call_t;

/* ---- endpoints ---- */

static void add_endpoint(rpc_t *r, span_t url)
{
    for (unsigned i = 0; i < r->n; i++)
        if (span_is(url, r->e[i].url)) return;
    if (url.n == 0) return;
    if (r->n == RPC_ENDPOINTS_MAX) {
        log_warn("feed", "solana-rpc", "more than %d endpoints are configured: the rest is left out", RPC_ENDPOINTS_MAX);
        return;
    }
    r->e[r->n].url = strndup(url.p, url.n);
    XASSERT(r->e[r->n].url != NULL);
    r->e[r->n++].score = 100;
}

static void add_list(rpc_t *r, const char *list)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        span_t url = span_make(list, n);
        while (url.n && url.p[0] == ' ') url = span_make(url.p + 1, url.n - 1);
        while (url.n && url.p[url.n - 1] == ' ') url.n--;
        add_endpoint(r, url);
        list += n + (list[n] == ',');
    }
}

static void make_metrics(endpoint_t *e, unsigned i, metrics_t *m)
{
    static const char *const ok[] = {"endpoint=\"0\",result=\"ok\"", "endpoint=\"1\",result=\"ok\"", "endpoint=\"2\",result=\"ok\"", "endpoint=\"3\",result=\"ok\""};
    static const char *const bad[] = {"endpoint=\"0\",result=\"failed\"", "endpoint=\"1\",result=\"failed\"", "endpoint=\"2\",result=\"failed\"", "endpoint=\"3\",result=\"failed\""};
    static const char *const one[] = {"endpoint=\"0\"", "endpoint=\"1\"", "endpoint=\"2\"", "endpoint=\"3\""};
    e->c_ok = metrics_ctr(m, "xorj_rpc_calls_total", ok[i], "Calls of RPC endpoints, in order of preference.");
    e->c_failed = metrics_ctr(m, "xorj_rpc_calls_total", bad[i], "Calls of RPC endpoints, in order of preference.");
    e->c_limited = metrics_ctr(m, "xorj_rpc_limited_total", one[i], "Times an endpoint said that we ask too much.");
    e->g_score = metrics_gauge(m, "xorj_rpc_score", one[i], "Health of an endpoint, 0 to 100.");
    e->g_latency = metrics_gauge(m, "xorj_rpc_latency_seconds", one[i], "Time of its answers, smoothed.");
    e->g_slot = metrics_gauge(m, "xorj_rpc_slot", one[i], "Newest slot it has told.");
    gauge_set(e->g_score, 100);
}

rpc_t *rpc_new(loop_t *l, metrics_t *m, httpc_t *http, const rpc_conf_t *c)
{
    rpc_t *r = calloc(1, sizeof *r);
    XASSERT(r != NULL);
    r->loop = l;
    r->http = http;
    r->per_s = c->per_s;
    for (unsigned i = 0; i < c->urls_n; i++) add_list(r, c->urls[i]);
    for (unsigned i = 0; i < r->n; i++) {
        make_metrics(&r->e[i], i, m);
        r->e[i].rec = journal_chan(c->journal, "solana", "solana-rpc");
        jchan_open(r->e[i].rec);
    }
    r->none = metrics_ctr(m, "xorj_rpc_unasked_total", NULL, "Calls for which every endpoint rested or had its budget used up.");
    r->failovers = metrics_ctr(m, "xorj_rpc_failovers_total", NULL, "Calls tried at a further endpoint.");
    r->nonsense = metrics_ctr(m, "xorj_rpc_nonsense_total", NULL, "Answers that were no answer to the call.");
    r->rpc_errors = metrics_ctr(m, "xorj_rpc_errors_total", NULL, "Answers that were an RPC error.");
    return r;
}

void rpc_free(rpc_t *r)
{
    if (!r) return;
    for (unsigned i = 0; i < r->n; i++) free(r->e[i].url);
    free(r);
}

unsigned rpc_endpoints(const rpc_t *r) { return r->n; }

/* When the budget has room for a call: it may run ahead of the rate by two seconds' worth. */
static int64_t budget_at(const rpc_t *r, const endpoint_t *e, bool spare)
{
    return r->per_s ? e->budget_ns - (spare ? 1000 : 2000) * MS + 1000 * MS / r->per_s : 0;
}

static int64_t ready_at(const rpc_t *r, const endpoint_t *e, bool spare)
{
    int64_t b = budget_at(r, e, spare);
    return b > e->until_ns ? b : e->until_ns;
}

int64_t rpc_rest_ms(const rpc_t *r)
{
    int64_t best = INT64_MAX, now = mono_ns();
    for (unsigned i = 0; i < r->n; i++)
        if (ready_at(r, &r->e[i], false) < best) best = ready_at(r, &r->e[i], false);
    return best <= now ? 0 : (best - now) / MS + 1;
}

static double score_now(const endpoint_t *e, int64_t now)
{
    double s = e->score + (double)(now - e->judged_ns) / 1e9 * HEAL_PER_S;
    return s > 100 ? 100 : s;
}

static void judge(endpoint_t *e, double outcome)
{
    int64_t now = mono_ns();
    double s = score_now(e, now);
    e->score = s + (outcome - s) / 4;
    e->judged_ns = now;
    gauge_set(e->g_score, e->score);
}

/* The first one in good health, else the one in the best. */
static endpoint_t *choose(rpc_t *r, unsigned tried, bool spare)
{
    int64_t now = mono_ns();
    endpoint_t *best = NULL;
    for (unsigned i = 0; i < r->n; i++) {
        endpoint_t *e = &r->e[i];
        if (tried & 1u << i || ready_at(r, e, spare) > now) continue;
        if (score_now(e, now) >= GOOD_SCORE) return e;
        if (!best || score_now(e, now) > score_now(best, now)) best = e;
    }
    return best;
}

static void rest(rpc_t *r, endpoint_t *e, xerr_t why, int status, int retry_after_s)
{
    uint16_t noise;
    bool limited = status == 429 || status == 403 || status == 401;
    int64_t ms = (int64_t)REST_MIN_MS << (e->fails < 7 ? e->fails : 7), max = limited ? REST_LIMIT_MS : REST_MAX_MS;
    if (ms > max) ms = max;
    random_bytes(&noise, sizeof noise);
    ms -= ms * noise / 65535 / 4;
    if (retry_after_s > RETRY_AFTER_MAX_S) retry_after_s = RETRY_AFTER_MAX_S;
    if (retry_after_s > 0 && retry_after_s * 1000LL > ms) ms = retry_after_s * 1000LL;
    e->until_ns = mono_ns() + ms * MS;
    log_at(e->fails == 0 ? LOG_WARN : LOG_DEBUG, "feed", "solana-rpc", "endpoint=%ld rests ms=%lld why=%s status=%d",
           (long)(e - r->e), (long long)ms, xerr_name(why), status);
    e->fails++;
    e->failed++;
    ctr_inc(e->c_failed);
    if (limited) ctr_inc(e->c_limited);
    judge(e, 0);
}

static void answered(rpc_t *r, endpoint_t *e, int64_t sent_ns, span_t result)
{
    int64_t now = mono_ns();
    double ms = (double)(now - sent_ns) / 1e6;
    uint64_t slot = 0;
    span_t value;
    e->latency_ms = e->ok ? e->latency_ms + (ms - e->latency_ms) / 8 : ms;
    e->fails = 0;
    e->ok++;
    ctr_inc(e->c_ok);
    gauge_set(e->g_latency, e->latency_ms / 1000);
    bool lags = false;
    if (rpc_context(result, &slot, &value) == XE_OK) {
        e->slot = slot;
        gauge_set(e->g_slot, (double)slot);
        lags = slot + LAG_SLOTS < r->best_slot && now - r->best_ns < LAG_FRESH_NS;
        if (!lags) r->best_slot = slot, r->best_ns = now;
    }
    judge(e, lags ? 0 : 100);
}

unsigned rpc_health(const rpc_t *r, rpc_health_t out[RPC_ENDPOINTS_MAX])
{
    int64_t now = mono_ns();
    for (unsigned i = 0; i < r->n; i++) {
        const endpoint_t *e = &r->e[i];
        out[i] = (rpc_health_t){.score = (unsigned)score_now(e, now), .rest_ms = e->until_ns > now ? (e->until_ns - now) / MS + 1 : 0,
                                .latency_ms = (int64_t)e->latency_ms, .ok = e->ok, .failed = e->failed, .slot = e->slot};
    }
    return r->n;
}

/* ---- answers ---- */

xerr_t rpc_context(span_t result, uint64_t *slot, span_t *value)
{
    scan_t s;
    span_t v;
    if (!scan_get(result, "context", &v) || !scan_get(v, "slot", &v)) return XE_BAD_INPUT;
    scan_init(&s, v);
    return scan_u64(&s, slot) && scan_get(result, "value", value) ? XE_OK : XE_BAD_INPUT;
}

/* Our own mistake: no other endpoint would answer it better. */
static bool our_fault(span_t error)
{
    span_t code;
    return scan_get(error, "code", &code) && (span_is(code, "-32602") || span_is(code, "-32600"));
}

/* The member "result" of a checked answer to our call. *final: asking elsewhere is of no use. */
static xerr_t result_of(span_t body, uint64_t id, span_t *result, bool *final)
{
    scan_t s;
    span_t v;
    uint64_t got = 0;
    scan_init(&s, body);
    if (!scan_skip(&s, body.n) || !scan_done(&s)) return XE_BAD_INPUT;
    bool error = scan_get(body, "error", &v) && !span_is(v, "null");
    if (error) *final = our_fault(v);
    if (error) return XE_DENIED;
    if (!scan_get(body, "id", &v)) return XE_BAD_INPUT;
    scan_init(&s, v);
    if (!scan_u64(&s, &got) || got != id) return XE_BAD_INPUT;
    return scan_get(body, "result", result) ? XE_OK : XE_BAD_INPUT;
}

static void finish(call_t *c, xerr_t err, span_t result)
{
    c->cb(c->ctx, err, result);
    buf_fini(&c->body);
    free(c);
}

static bool try_next(call_t *c);

static void on_answer(void *ctx, xerr_t err, int status, span_t body, int retry_after_s)
{
    call_t *c = ctx;
    span_t result = {NULL, 0};
    bool final = err == XE_CLOSED || err == XE_TOO_BIG || err == XE_FULL;
    if (body.n) jchan_frame(c->e->rec, body, mono_ns(), wall_us());
    if (!err && status != 200) err = status == 429 || status == 403 || status == 401 ? XE_DENIED : XE_DOWN;
    else if (!err) {
        err = result_of(body, c->id, &result, &final);
        if (!err && c->check) err = c->check(c->ctx, result);
        if (err) ctr_inc(err == XE_DENIED ? c->r->rpc_errors : c->r->nonsense);
    }
    if (!err) answered(c->r, c->e, c->sent_ns, result);
    else if (!final) rest(c->r, c->e, err, status, retry_after_s);
    c->err = err;
    if (err && !final && try_next(c)) return;
    finish(c, err, result);
}

static void on_none(void *ctx)
{
    call_t *c = ctx;
    finish(c, c->err, (span_t){NULL, 0});
}

/* Sends the call to the next endpoint that may be asked; false: there is none, or no time. */
static bool try_next(call_t *c)
{
    rpc_t *r = c->r;
    int64_t now = mono_ns(), left = (c->until_ns - now) / MS;
    endpoint_t *e = left >= TRY_MIN_MS || !c->tried ? choose(r, c->tried, c->spare) : NULL;
    if (!e) return false;
    if (c->tried) ctr_inc(r->failovers);
    c->tried |= 1u << (e - r->e);
    c->e = e;
    c->sent_ns = now;
    if (r->per_s) e->budget_ns = (e->budget_ns > now ? e->budget_ns : now) + 1000 * MS / r->per_s;
    /* Another one in reserve gets its share of the time. */
    if (choose(r, c->tried, c->spare)) left = left * 6 / 10;
    jchan_sent(e->rec, buf_span(&c->body));
    httpc_req_t q = {.method = "POST", .url = e->url, .content_type = "application/json", .body = buf_span(&c->body),
                     .timeout_ms = (unsigned)(left > 1 ? left : 1), .body_max = c->body_max};
    httpc_call(r->http, &q, on_answer, c);
    return true;
}

static void put_body(call_t *c, const rpc_req_t *q)
{
    jw_t w;
    buf_init(&c->body, BODY_MAX);
    jw_init(&w, &c->body);
    jw_obj(&w);
    jw_key(&w, "jsonrpc");
    jw_cstr(&w, "2.0");
    jw_key(&w, "id");
    jw_u64(&w, c->id);
    jw_key(&w, "method");
    jw_cstr(&w, q->method);
    jw_key(&w, "params");
    jw_raw(&w, q->params);
    jw_end(&w);
    XASSERT(!c->body.failed);
}

void rpc_call(rpc_t *r, const rpc_req_t *q, rpc_cb cb, void *ctx)
{
    call_t *c = malloc(sizeof *c);
    XASSERT(c != NULL);
    *c = (call_t){.r = r, .id = ++r->id, .until_ns = mono_ns() + q->timeout_ms * MS, .body_max = q->body_max, .spare = q->spare,
                   .check = q->check, .cb = cb, .ctx = ctx};
    put_body(c, q);
    if (try_next(c)) return;
    int64_t now = mono_ns();
    c->err = XE_DOWN;
    for (unsigned i = 0; i < r->n; i++)
        if (r->e[i].until_ns <= now) c->err = XE_FULL; /* healthy, but asked enough */
    ctr_inc(r->none);
    loop_later(r->loop, on_none, c);
}
