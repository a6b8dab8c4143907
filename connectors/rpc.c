#include "connectors/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "connectors/scan.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define ENDPOINTS_MAX 4
#define REST_MIN_MS 500
#define REST_MAX_MS 2000     /* an endpoint that fails is asked again about as often as one that answers */
#define REST_LIMIT_MS 30000  /* one that says we ask too much, or shuts us out */
#define RETRY_AFTER_MAX_S 300
#define BODY_MAX 65536
#define MS 1000000LL

typedef struct {
    char *url;
    int64_t until_ns; /* rests until then */
    unsigned fails;
} endpoint_t;

struct rpc {
    loop_t *loop;
    httpc_t *http;
    unsigned n;
    uint64_t id;
    endpoint_t e[ENDPOINTS_MAX];
};

typedef struct {
    rpc_t *r;
    endpoint_t *e;
    uint64_t id;
    rpc_cb cb;
    void *ctx;
} call_t;

rpc_t *rpc_new(loop_t *l, httpc_t *http, const char *const *urls, unsigned n)
{
    rpc_t *r = calloc(1, sizeof *r);
    XASSERT(r != NULL);
    r->loop = l;
    r->http = http;
    for (unsigned i = 0; i < n && r->n < ENDPOINTS_MAX; i++) {
        if (!urls[i] || !urls[i][0]) continue;
        r->e[r->n].url = strdup(urls[i]);
        XASSERT(r->e[r->n++].url != NULL);
    }
    return r;
}

void rpc_free(rpc_t *r)
{
    if (!r) return;
    for (unsigned i = 0; i < r->n; i++) free(r->e[i].url);
    free(r);
}

unsigned rpc_endpoints(const rpc_t *r) { return r->n; }

int64_t rpc_rest_ms(const rpc_t *r)
{
    int64_t best = INT64_MAX, now = mono_ns();
    for (unsigned i = 0; i < r->n; i++)
        if (r->e[i].until_ns < best) best = r->e[i].until_ns;
    return best <= now ? 0 : (best - now) / MS + 1;
}

static void rest(rpc_t *r, endpoint_t *e, xerr_t why, int status, int retry_after_s)
{
    uint16_t noise;
    int64_t ms = (int64_t)REST_MIN_MS << (e->fails < 7 ? e->fails : 7);
    int64_t max = status == 429 || status == 403 || status == 401 ? REST_LIMIT_MS : REST_MAX_MS;
    if (ms > max) ms = max;
    random_bytes(&noise, sizeof noise);
    ms -= ms * noise / 65535 / 4;
    if (retry_after_s > RETRY_AFTER_MAX_S) retry_after_s = RETRY_AFTER_MAX_S;
    if (retry_after_s > 0 && retry_after_s * 1000LL > ms) ms = retry_after_s * 1000LL;
    e->until_ns = mono_ns() + ms * MS;
    log_at(e->fails == 0 ? LOG_WARN : LOG_DEBUG, "feed", "solana-rpc", "endpoint=%ld rests ms=%lld why=%s status=%d",
           (long)(e - r->e), (long long)ms, xerr_name(why), status);
    e->fails++;
}

/* The member "result" of a checked answer to our call. */
static xerr_t result_of(span_t body, uint64_t id, span_t *result)
{
    scan_t s;
    span_t v;
    uint64_t got = 0;
    scan_init(&s, body);
    if (!scan_skip(&s, body.n) || !scan_done(&s)) return XE_BAD_INPUT;
    if (scan_get(body, "error", &v) && !span_is(v, "null")) return XE_DENIED;
    if (!scan_get(body, "id", &v)) return XE_BAD_INPUT;
    scan_init(&s, v);
    if (!scan_u64(&s, &got) || got != id) return XE_BAD_INPUT;
    return scan_get(body, "result", result) ? XE_OK : XE_BAD_INPUT;
}

static void on_answer(void *ctx, xerr_t err, int status, span_t body, int retry_after_s)
{
    call_t *c = ctx;
    span_t result = {NULL, 0};
    if (!err && status != 200) err = XE_DOWN;
    if (!err) err = result_of(body, c->id, &result);
    if (err && err != XE_CLOSED) rest(c->r, c->e, err, status, retry_after_s);
    else c->e->fails = 0;
    c->cb(c->ctx, err, result);
    free(c);
}

static void on_none(void *ctx)
{
    call_t *c = ctx;
    c->cb(c->ctx, XE_DOWN, (span_t){NULL, 0});
    free(c);
}

static endpoint_t *choose(rpc_t *r)
{
    int64_t now = mono_ns();
    for (unsigned i = 0; i < r->n; i++)
        if (r->e[i].until_ns <= now) return &r->e[i];
    return NULL;
}

void rpc_call(rpc_t *r, const char *method, span_t params, unsigned timeout_ms, rpc_cb cb, void *ctx)
{
    call_t *c = malloc(sizeof *c);
    XASSERT(c != NULL);
    *c = (call_t){.r = r, .e = choose(r), .id = ++r->id, .cb = cb, .ctx = ctx};
    if (!c->e) {
        loop_later(r->loop, on_none, c);
        return;
    }
    buf_t b;
    jw_t w;
    buf_init(&b, BODY_MAX);
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key(&w, "jsonrpc");
    jw_cstr(&w, "2.0");
    jw_key(&w, "id");
    jw_u64(&w, c->id);
    jw_key(&w, "method");
    jw_cstr(&w, method);
    jw_key(&w, "params");
    jw_raw(&w, params);
    jw_end(&w);
    XASSERT(!b.failed);
    httpc_req_t q = {.method = "POST", .url = c->e->url, .content_type = "application/json", .body = buf_span(&b), .timeout_ms = timeout_ms};
    httpc_call(r->http, &q, on_answer, c);
    buf_fini(&b);
}
