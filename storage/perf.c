#include "storage/perf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "storage/store_int.h"

#define DAY_US 86400000000LL
#define ENTRY_MAX 65536
#define VAR_RETURNS_MIN 20
#define REDIS_KEEP_MS 3600000 /* kept past its freshness, for the time PostgreSQL is away */

static const struct {
    const char *name;
    int days;
} ranges[RANGE_N] = {{"1D", 1}, {"7D", 7}, {"30D", 30}, {"90D", 90}, {"ALL", 0}};

const char *range_name(range_t r)
{
    return ranges[r].name;
}

xerr_t range_parse(span_t text, range_t *out)
{
    for (unsigned i = 0; i < RANGE_N; i++) {
        if (span_is(text, ranges[i].name)) {
            *out = (range_t)i;
            return XE_OK;
        }
    }
    return XE_BAD_INPUT;
}

/* ---- figures ---- */

static double drawdown(const perf_point_t *v, unsigned n)
{
    double worst = 0, peak = (double)v[0].value_e6;
    for (unsigned i = 1; i < n; i++) {
        double x = (double)v[i].value_e6;
        if (x > peak)
            peak = x;
        else if (peak > 0 && (peak - x) / peak > worst)
            worst = (peak - x) / peak;
    }
    return worst * 100;
}

/* The returns from day to day, by the last value of each day that has one; out has room for n. */
static unsigned returns_of(const perf_point_t *v, unsigned n, double *out)
{
    double before = NAN;
    unsigned returns = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i + 1 < n && v[i].at_us / DAY_US == v[i + 1].at_us / DAY_US)
            continue; /* not the last of its day */
        double x = (double)v[i].value_e6;
        if (before > 0)
            out[returns++] = x / before - 1;
        before = x;
    }
    return returns;
}

static double sharpe(const double *r, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += r[i];
        squares += r[i] * r[i];
    }
    if (n < 2)
        return NAN;
    double mean = sum / n, var = (squares - n * mean * mean) / (n - 1);
    return var > 1e-18 ? mean / sqrt(var) * sqrt(365.0) : NAN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double value_at_risk(double *r, unsigned n)
{
    if (n < VAR_RETURNS_MIN)
        return NAN;
    qsort(r, n, sizeof *r, ascending);
    return r[n / 20] < 0 ? -r[n / 20] * 100 : 0;
}

void perf_figures(perf_t *p, const perf_point_t *v, unsigned n, int64_t closed, int64_t won)
{
    p->net_roi = n >= 2 && v[0].value_e6 > 0
                     ? ((double)v[n - 1].value_e6 - (double)v[0].value_e6) / (double)v[0].value_e6 * 100
                     : NAN;
    p->max_drawdown = n >= 2 ? drawdown(v, n) : NAN;
    double *r = malloc((n + 1) * sizeof *r);
    XASSERT(r);
    unsigned returns = returns_of(v, n, r);
    p->sharpe = sharpe(r, returns);
    p->var95 = value_at_risk(r, returns);
    free(r);
    p->win_rate = closed > 0 ? (double)won / (double)closed * 100 : NAN;
}

unsigned perf_thin(perf_point_t *v, unsigned n)
{
    if (n <= PERF_POINTS_MAX)
        return n;
    for (unsigned i = 0; i < PERF_POINTS_MAX; i++)
        v[i] = v[(uint64_t)i * (n - 1) / (PERF_POINTS_MAX - 1)];
    return PERF_POINTS_MAX;
}

/* ---- keys and entries ---- */

typedef struct {
    int64_t loaded_us; /* wall time of the load; the text follows */
} head_t;

static span_t key_of(span_t wallet, range_t r, char out[CACHE_KEY_MAX])
{
    int n = snprintf(out, CACHE_KEY_MAX, "xorj:p:%.*s:%s", (int)(wallet.n < 48 ? wallet.n : 48), wallet.p, ranges[r].name);
    return span_make(out, (size_t)n);
}

/* While no reader is up nobody can say that the rows are still the same: whatever is answered then is called stale. */
static perf_hit_t hit_of(store_t *s, span_t json, int64_t age_ms)
{
    bool away = !pool_up(s->pool);
    if (away)
        ctr_inc(s->m.perf_stale);
    return (perf_hit_t){json, away, age_ms > 0 ? age_ms : 0};
}

static bool recall(store_t *s, span_t key, perf_hit_t *hit, int64_t *fresh_ms)
{
    size_t n;
    int64_t at;
    const char *v = cache_get(s->perf, key, &n, &at);
    if (!v)
        return false;
    head_t h;
    memcpy(&h, v, sizeof h);
    int64_t age = (loop_wall_us(s->l) - h.loaded_us) / 1000;
    *fresh_ms = at ? s->cfg->cache_perf_ttl_ms - (loop_now_ns(s->l) - at) / 1000000 : 0;
    *hit = (perf_hit_t){span_make(v + sizeof h, n - sizeof h), false, age > 0 ? age : 0};
    return true;
}

static void keep(store_t *s, span_t key, span_t json, int64_t loaded_us, int64_t at_ns)
{
    buf_t b;
    head_t h = {loaded_us};
    buf_init(&b, ENTRY_MAX + sizeof h);
    buf_add(&b, &h, sizeof h);
    buf_add(&b, json.p, json.n);
    if (!b.failed)
        cache_put(s->perf, key, b.p, b.n, at_ns);
    buf_fini(&b);
}

/* ---- loading: Redis, PostgreSQL, and while that is away the last known ---- */

typedef struct {
    store_t *s;
    flight_t *g;
    perf_encode_fn enc;
    range_t range;
    char wallet[48];
    int64_t started_us;
} load_t;

typedef struct {
    xerr_t err;
    const perf_hit_t *hit;
} given_t;

static void give(void *arg, void (*cb)(void), void *ctx)
{
    const given_t *g = arg;
    if (cb)
        ((perf_cb)cb)(ctx, g->err, g->hit);
}

static void land(load_t *ld, xerr_t err, const perf_hit_t *hit)
{
    given_t g = {ld->s->closing ? XE_CLOSED : err, ld->s->closing || err ? NULL : hit};
    flight_land(ld->g, give, &g);
    free(ld);
}

static void land_stale(load_t *ld)
{
    perf_hit_t hit;
    int64_t fresh;
    char key[CACHE_KEY_MAX];
    if (!recall(ld->s, key_of(span_of(ld->wallet), ld->range, key), &hit, &fresh)) {
        land(ld, XE_DOWN, NULL);
        return;
    }
    hit.stale = true;
    ctr_inc(ld->s->m.perf_stale);
    land(ld, XE_OK, &hit);
}

static void redis_put(store_t *s, span_t key, span_t json, int64_t loaded_us)
{
    char ms[24];
    if (!s->rds || !rds_up(s->rds))
        return;
    buf_t b;
    buf_init(&b, ENTRY_MAX + 128);
    buf_fmt(&b, "%lld ", (long long)loaded_us);
    buf_add(&b, json.p, json.n);
    store_seal(s, key, &b);
    snprintf(ms, sizeof ms, "%d", REDIS_KEEP_MS);
    if (!b.failed)
        rds_send(s->rds, 5, (span_t[]){SPAN_LIT("SET"), key, buf_span(&b), SPAN_LIT("PX"), span_of(ms)}, NULL, NULL);
    buf_fini(&b);
}

static void deliver(load_t *ld, const perf_t *p)
{
    store_t *s = ld->s;
    char key[CACHE_KEY_MAX];
    span_t k = key_of(span_of(ld->wallet), ld->range, key);
    buf_t out;
    buf_init(&out, ENTRY_MAX);
    ld->enc(p, &out);
    if (out.failed) {
        buf_fini(&out);
        land(ld, XE_INTERNAL, NULL);
        return;
    }
    /* A load that an invalidation overtook answers those who asked before it, and is not kept. */
    if (!flight_tainted(ld->g)) {
        keep(s, k, buf_span(&out), ld->started_us, loop_now_ns(s->l));
        redis_put(s, k, buf_span(&out), ld->started_us);
    }
    perf_hit_t hit = {buf_span(&out), false, 0};
    land(ld, XE_OK, &hit);
    buf_fini(&out);
}

static void on_rows(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    load_t *ld = ctx;
    unsigned n = pg_rows_n(rows);
    if (store_pg_away(err)) {
        land_stale(ld);
        return;
    }
    if (err || n == 0) {
        land(ld, err ? err : XE_INTERNAL, NULL);
        return;
    }
    perf_t p = {.range = ld->range, .has_value = !pg_null(rows, 0, 0), .value_e6 = pg_i64(rows, 0, 1), .trades = pg_i64(rows, 0, 2)};
    p.has_pnl = !pg_null(rows, 0, 7);
    p.pnl_e6 = pg_i64(rows, 0, 7);
    perf_point_t *v = malloc(n * sizeof *v);
    XASSERT(v);
    if (pg_null(rows, 0, 5))
        n = 0;
    for (unsigned i = 0; i < n; i++)
        v[i] = (perf_point_t){pg_i64(rows, i, 5), pg_i64(rows, i, 6)};
    memcpy(p.wallet, ld->wallet, sizeof p.wallet);
    perf_figures(&p, v, n, pg_i64(rows, 0, 3), pg_i64(rows, 0, 4));
    p.updated_us = pg_i64(rows, 0, 0);
    p.points_n = perf_thin(v, n);
    p.points = v;
    deliver(ld, &p);
    free(v);
}

static void from_pg(load_t *ld)
{
    store_t *s = ld->s;
    char since[32];
    int days = ranges[ld->range].days;
    snprintf(since, sizeof since, "%lld", days ? (long long)(loop_wall_us(s->l) - days * DAY_US) : 0LL);
    ctr_inc(s->m.perf_load);
    ld->started_us = loop_wall_us(s->l);
    pool_query(s->pool, SQL_PERF, (const char *const[]){ld->wallet, since}, (unsigned)s->cfg->http_write_deadline_ms, true, on_rows, ld);
}

/* Fresh enough: the answer. Older: remembered as stale, in case PostgreSQL is away. */
static bool take_redis(load_t *ld, span_t value)
{
    store_t *s = ld->s;
    char key[CACHE_KEY_MAX], *end;
    span_t body, k = key_of(span_of(ld->wallet), ld->range, key);
    if (!store_unseal(s, k, value, &body))
        return false;
    int64_t at = strtoll(body.p, &end, 10), age = (loop_wall_us(s->l) - at) / 1000;
    size_t skip = (size_t)(end - body.p) + 1;
    if (at <= 0 || skip > body.n || at < s->perf_floor_us || age < 0)
        return false;
    span_t json = span_make(body.p + skip, body.n - skip);
    bool fresh = age < s->cfg->cache_perf_ttl_ms;
    perf_hit_t hit;
    int64_t left;
    if (flight_tainted(ld->g))
        return false;
    if (fresh)
        keep(s, k, json, at, loop_now_ns(s->l) - age * 1000000);
    else if (!recall(s, k, &hit, &left))
        keep(s, k, json, at, 0);
    if (!fresh)
        return false;
    ctr_inc(s->m.perf_redis);
    hit = hit_of(s, json, age);
    land(ld, XE_OK, &hit);
    return true;
}

static void on_redis(void *ctx, xerr_t err, span_t value)
{
    load_t *ld = ctx;
    if (ld->s->closing)
        land(ld, XE_CLOSED, NULL);
    else if (err || !take_redis(ld, value))
        from_pg(ld);
}

static void load(store_t *s, span_t wallet, range_t r, perf_encode_fn enc, perf_cb cb, void *ctx)
{
    char key[CACHE_KEY_MAX];
    bool first;
    span_t k = key_of(wallet, r, key);
    flight_t *g = flight_join(s->perf_loads, k, (void (*)(void))cb, ctx, &first);
    if (!first)
        return;
    load_t *ld = calloc(1, sizeof *ld);
    XASSERT(ld);
    *ld = (load_t){.s = s, .g = g, .enc = enc, .range = r};
    XASSERT(wallet.n < sizeof ld->wallet);
    memcpy(ld->wallet, wallet.p, wallet.n);
    /* cb NULL: refreshing ahead, for which Redis has nothing newer than memory */
    if (!cb || !s->rds || !rds_send(s->rds, 2, (span_t[]){SPAN_LIT("GET"), k}, on_redis, ld))
        from_pg(ld);
}

/* ---- the three doors ---- */

typedef struct {
    soon_t soon;
    perf_cb cb;
    void *ctx;
    xerr_t err;
    perf_hit_t hit;
    char json[];
} answer_t;

static void fire_answer(soon_t *soon)
{
    answer_t *a = (answer_t *)soon;
    a->hit.json.p = a->json;
    a->cb(a->ctx, a->err, a->err ? NULL : &a->hit);
    free(a);
}

static void answer_soon(store_t *s, perf_cb cb, void *ctx, xerr_t err, const perf_hit_t *hit)
{
    size_t n = hit ? hit->json.n : 0;
    answer_t *a = calloc(1, sizeof *a + n);
    XASSERT(a);
    a->cb = cb;
    a->ctx = ctx;
    a->err = err;
    if (hit) {
        a->hit = *hit;
        memcpy(a->json, hit->json.p, n);
    }
    soons_post(s->soons, &a->soon, fire_answer);
}

bool perf_peek(store_t *s, span_t wallet, range_t r, perf_hit_t *out)
{
    char key[CACHE_KEY_MAX];
    int64_t fresh;
    if (!recall(s, key_of(wallet, r, key), out, &fresh) || fresh <= 0)
        return false;
    *out = hit_of(s, out->json, out->age_ms);
    /* In its last third an answer in use is loaded again ahead of time: nobody waits for it. */
    if (fresh * 3 < s->cfg->cache_perf_ttl_ms && s->perf_enc && !s->closing)
        load(s, wallet, r, s->perf_enc, NULL, NULL);
    if (!out->stale)
        ctr_inc(s->m.perf_mem);
    return true;
}

void perf_get(store_t *s, span_t wallet, range_t r, perf_encode_fn enc, perf_cb cb, void *ctx)
{
    perf_hit_t hit;
    s->perf_enc = enc;
    if (wallet.n == 0 || wallet.n >= 48 || r >= RANGE_N)
        answer_soon(s, cb, ctx, XE_BAD_INPUT, NULL);
    else if (perf_peek(s, wallet, r, &hit))
        answer_soon(s, cb, ctx, XE_OK, &hit);
    else
        load(s, wallet, r, enc, cb, ctx);
}

static void on_dropped(void *ctx, xerr_t err, span_t value)
{
    store_t *s = ctx;
    (void)value;
    if (err && err != XE_NOT_FOUND)
        s->perf_floor_us = loop_wall_us(s->l);
}

/* What is remembered stays as a last resort, only no longer as fresh. */
void perf_invalidate(store_t *s, span_t wallet)
{
    char keys[RANGE_N][CACHE_KEY_MAX];
    span_t argv[RANGE_N + 1] = {SPAN_LIT("DEL")};
    for (unsigned i = 0; i < RANGE_N; i++) {
        argv[i + 1] = key_of(wallet, (range_t)i, keys[i]);
        flight_taint(s->perf_loads, argv[i + 1]);
        cache_restamp(s->perf, argv[i + 1], 0);
    }
    if (s->rds && !rds_send(s->rds, RANGE_N + 1, argv, on_dropped, s))
        s->perf_floor_us = loop_wall_us(s->l);
}
