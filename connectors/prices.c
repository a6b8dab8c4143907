#include "connectors/prices.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/birdeye.h"
#include "reactor/log.h"

#define CALL_MS 3000
#define BODY_MAX 65536
#define TEXT_MAX 4096
#define REST_MIN_MS 2000
#define REST_MAX_MS 300000
#define FUTURE_US 60000000LL /* clocks differ */
#define JUMP_FACTOR 10       /* a source alone may move so many deviations at once */
#define CONF_AGREED 100u
#define CONF_ALONE 60u
#define CONF_STALE 20u
#define WAITERS_MAX 4096
#define MS 1000000LL

typedef struct {
    prices_t *p;
    price_src_t id;
    char *url, *header;    /* url NULL: off; header NULL: none; both may be secret */
    int64_t next_ns;
    unsigned fails;
    bool in_flight;
    quote_t quotes[ASSET_N];
    jchan_t *rec;
    ctr_t *ok, *failed;
} source_t;

typedef struct { loop_fn fn; void *ctx; } waiter_t;

struct prices {
    loop_t *loop;
    httpc_t *http;
    int64_t poll_ms;
    price_rule_t rule;
    source_t src[SRC_N];
    birdeye_t *birdeye;    /* NULL: off */
    unsigned in_flight;
    bool dying;
    agreed_t last[ASSET_N];
    bool disputed[ASSET_N];
    waiter_t *waiters;
    unsigned waiters_n, waiters_cap;
    ltimer_t *tell;
    ctr_t *disputes;
    gauge_t *usd[ASSET_N], *sources[ASSET_N];
};

/* ---- judgement ---- */

static bool fresh(const quote_t *q, const price_rule_t *rule, int64_t now_us)
{
    return q->known && q->at_us <= now_us + FUTURE_US && now_us - q->at_us <= rule->stale_ms * 1000;
}

static bool agree(px_t a, px_t b, unsigned bps)
{
    i128_t d = a.raw > b.raw ? a.raw - b.raw : b.raw - a.raw, low = a.raw < b.raw ? a.raw : b.raw;
    return d <= low / 10000 * bps;
}

/* The source whose figure most others share, the earlier one when equal; -1: there is none. */
static int spokesman(const quote_t q[SRC_N], const price_rule_t *rule, int64_t now_us, unsigned *with, unsigned *of)
{
    int best = -1;
    *with = *of = 0;
    for (int i = 0; i < SRC_N; i++) {
        unsigned n = 0;
        if (!fresh(&q[i], rule, now_us)) continue;
        (*of)++;
        for (int k = 0; k < SRC_N; k++) n += fresh(&q[k], rule, now_us) && agree(q[i].usd, q[k].usd, rule->max_dev_bps);
        if (n <= *with) continue;
        *with = n;
        best = i;
    }
    return best;
}

static unsigned aged(unsigned confidence, int64_t age_ms, int64_t stale_ms)
{
    int64_t cut = age_ms > 0 ? (int64_t)confidence * age_ms / (2 * stale_ms) : 0;
    return (unsigned)((int64_t)confidence - cut);
}

void prices_judge(const quote_t q[SRC_N], const price_rule_t *rule, int64_t now_us, agreed_t *last, price_t *out)
{
    unsigned with, of;
    int s = spokesman(q, rule, now_us, &with, &of);
    bool recent = last->known && now_us - last->at_us <= rule->stale_ms * 1000;
    bool jumps = of == 1 && recent && !agree(q[s].usd, last->usd, rule->max_dev_bps * JUMP_FACTOR);
    bool good = s >= 0 && (of == 1 ? !jumps : with >= 2 && 2 * with > of);
    *out = (price_t){.disputed = s >= 0 && !good};
    if (good) *last = (agreed_t){.usd = q[s].usd, .at_us = q[s].at_us, .known = true, .src = (unsigned)s};
    if (!last->known) return;
    int64_t age = (now_us - last->at_us) / 1000;
    if (!good && age > rule->keep_ms) return;
    out->state = good ? PRICE_GOOD : PRICE_STALE;
    out->usd = last->usd;
    out->age_ms = age > 0 ? age : 0;
    out->source = price_src_name((price_src_t)last->src);
    out->sources = good ? with : 0;
    out->confidence = good ? aged(with >= 2 ? CONF_AGREED : CONF_ALONE, age, rule->stale_ms) : CONF_STALE;
}

/* ---- asking ---- */

static void on_tell(void *ctx)
{
    prices_t *p = ctx;
    waiter_t *w = p->waiters;
    unsigned n = p->waiters_n;
    if (p->in_flight) return; /* asked again meanwhile: the last answer comes back here */
    p->waiters = NULL;
    p->waiters_n = p->waiters_cap = 0;
    for (unsigned i = 0; i < n; i++) w[i].fn(w[i].ctx);
    free(w);
}

static void rest(source_t *s, xerr_t why, int status, int retry_after_s)
{
    int64_t ms = (int64_t)REST_MIN_MS << (s->fails < 8 ? s->fails : 8);
    if (ms > REST_MAX_MS) ms = REST_MAX_MS;
    if (retry_after_s * 1000LL > ms) ms = retry_after_s * 1000LL < REST_MAX_MS ? retry_after_s * 1000LL : REST_MAX_MS;
    s->next_ns = mono_ns() + ms * MS;
    ctr_inc(s->failed);
    log_at(s->fails == 0 ? LOG_WARN : LOG_DEBUG, "price", price_src_name(s->id), "no prices why=%s status=%d rests ms=%lld", xerr_name(why), status,
           (long long)ms);
    s->fails++;
}

static void on_push(void *ctx, const quote_t q[ASSET_N])
{
    prices_t *p = ctx;
    for (int a = 0; a < ASSET_N; a++)
        if (q[a].known) p->src[SRC_BIRDEYE].quotes[a] = q[a];
}

static xerr_t take(source_t *s, span_t body)
{
    quote_t q[ASSET_N];
    int64_t now = wall_us();
    xerr_t err = price_src_read(s->id, body, q);
    if (err) return err;
    for (int a = 0; a < ASSET_N; a++) {
        if (!q[a].known) continue;
        if (q[a].at_us == 0) q[a].at_us = now;
        s->quotes[a] = q[a];
    }
    return XE_OK;
}

static void on_answer(void *ctx, xerr_t err, int status, span_t body, int retry_after_s)
{
    source_t *s = ctx;
    prices_t *p = s->p;
    s->in_flight = false;
    p->in_flight--;
    if (p->dying) {
        if (!p->in_flight) free(p);
        return;
    }
    if (body.n) jchan_frame(s->rec, body, mono_ns(), wall_us());
    if (!err && status != 200) err = XE_DOWN;
    if (!err) err = take(s, body);
    if (err) {
        rest(s, err, status, retry_after_s);
    } else {
        s->fails = 0;
        ctr_inc(s->ok);
    }
    if (!p->in_flight) ltimer_arm(p->tell, 0);
}

static void ask_due(prices_t *p)
{
    int64_t now = mono_ns();
    for (int i = 0; i < SRC_N; i++) {
        source_t *s = &p->src[i];
        if (!s->url || s->in_flight || s->next_ns > now) continue;
        s->in_flight = true;
        s->next_ns = now + p->poll_ms * MS;
        p->in_flight++;
        httpc_req_t q = {.method = "GET", .url = s->url, .header = s->header, .timeout_ms = CALL_MS, .body_max = BODY_MAX};
        httpc_call(p->http, &q, on_answer, s);
    }
}

void prices_now(prices_t *p, price_t out[ASSET_N])
{
    int64_t now = wall_us();
    ask_due(p);
    for (int a = 0; a < ASSET_N; a++) {
        quote_t q[SRC_N];
        for (int i = 0; i < SRC_N; i++) q[i] = p->src[i].quotes[a];
        prices_judge(q, &p->rule, now, &p->last[a], &out[a]);
        if (out[a].disputed && !p->disputed[a]) {
            ctr_inc(p->disputes);
            log_warn("price", asset_symbol((asset_t)a), "sources contradict each other: no price");
        }
        p->disputed[a] = out[a].disputed;
        gauge_set(p->usd[a], out[a].state == PRICE_GOOD ? (double)out[a].usd.raw / (double)DEC_SCALE : 0);
        gauge_set(p->sources[a], out[a].sources);
    }
}

void prices_when(prices_t *p, loop_fn fn, void *ctx)
{
    XASSERT(p->waiters_n < WAITERS_MAX);
    if (p->waiters_n == p->waiters_cap) {
        p->waiters_cap = p->waiters_cap ? p->waiters_cap * 2 : 16;
        p->waiters = realloc(p->waiters, p->waiters_cap * sizeof *p->waiters);
        XASSERT(p->waiters != NULL);
    }
    p->waiters[p->waiters_n++] = (waiter_t){fn, ctx};
    ask_due(p);
    if (!p->in_flight) ltimer_arm(p->tell, 0);
}

/* ---- life ---- */

static char *text_of(buf_t *b)
{
    char *s = b->n && !b->failed ? strndup(b->p, b->n) : NULL;
    buf_reset(b);
    return s;
}

static void open_source(prices_t *p, price_src_t id, const char *base, const char *key, metrics_t *m, journal_t *journal)
{
    static const char *const ok[SRC_N] = {
#define X(i, name) "source=\"" name "\",result=\"ok\"",
        PRICE_SRC_LIST(X)
#undef X
    };
    static const char *const failed[SRC_N] = {
#define X(i, name) "source=\"" name "\",result=\"failed\"",
        PRICE_SRC_LIST(X)
#undef X
    };
    source_t *s = &p->src[id];
    buf_t b;
    *s = (source_t){.p = p, .id = id};
    s->ok = metrics_ctr(m, "xorj_price_reads_total", ok[id], "Questions to price sources.");
    s->failed = metrics_ctr(m, "xorj_price_reads_total", failed[id], "Questions to price sources.");
    if (!base[0]) return;
    buf_init(&b, TEXT_MAX);
    price_src_url(id, base, &b);
    s->url = text_of(&b);
    price_src_header(id, base, key, &b);
    s->header = text_of(&b);
    buf_fini(&b);
    s->rec = journal_chan(journal, price_src_name(id), "price");
    jchan_open(s->rec);
}

prices_t *prices_open(loop_t *l, metrics_t *m, httpc_t *http, wsc_t *w, const cfg_t *cfg, journal_t *journal)
{
    static const char *const labels[ASSET_N] = {
#define X(id, symbol, mint, decimals) "asset=\"" symbol "\"",
        ASSET_LIST(X)
#undef X
    };
    prices_t *p = calloc(1, sizeof *p);
    XASSERT(p != NULL);
    p->loop = l;
    p->http = http;
    p->poll_ms = cfg->prices_poll_ms;
    p->rule = (price_rule_t){cfg->prices_stale_ms, cfg->prices_keep_ms, (unsigned)cfg->prices_max_dev_bps};
    p->tell = ltimer_new(l, on_tell, p);
    p->disputes = metrics_ctr(m, "xorj_price_disputes_total", NULL, "Times the sources of a price began to contradict each other.");
    for (int a = 0; a < ASSET_N; a++) {
        p->usd[a] = metrics_gauge(m, "xorj_price_usd", labels[a], "Price agreed upon; 0: none.");
        p->sources[a] = metrics_gauge(m, "xorj_price_sources", labels[a], "Sources that agree.");
    }
    open_source(p, SRC_COINGECKO, cfg->prices_coingecko_url, cfg->prices_coingecko_key, m, journal);
    open_source(p, SRC_JUPITER, cfg->prices_jupiter_url, cfg->prices_jupiter_key, m, journal);
    open_source(p, SRC_PYTH, cfg->prices_pyth_url, cfg->prices_pyth_key, m, journal);
    if (w && cfg->prices_birdeye_url[0]) p->birdeye = birdeye_open(l, m, w, cfg->prices_birdeye_url, journal, on_push, p);
    return p;
}

void prices_drain(prices_t *p)
{
    if (p) birdeye_drain(p->birdeye);
}

void prices_free(prices_t *p)
{
    if (!p) return;
    birdeye_free(p->birdeye);
    ltimer_free(p->tell);
    free(p->waiters);
    p->waiters = NULL;
    for (int i = 0; i < SRC_N; i++) {
        free(p->src[i].url);
        free(p->src[i].header);
    }
    p->dying = true;
    if (!p->in_flight) free(p);
}
