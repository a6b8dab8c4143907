#include "storage/wcache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "storage/store_int.h"

enum { EPOCHS = 4096, ENTRY_MAX = 1 << 18, KEY_MAX = 96, BYTES_MAX = 64 << 20 };

struct wcache {
    cache_t *kept;
    flights_t *loads;
    uint64_t sip[2], alone;
    uint32_t epoch[EPOCHS]; /* by a hash of the wallet: two that share one only miss more often */
    ctr_t *hits, *misses, *stale;
};

typedef struct {
    uint32_t epoch;
    int64_t at_us, at_ns; /* wall and loop time when the statement was sent; the bytes follow */
} head_t;

wcache_t *wcache_new(store_t *s, metrics_t *m)
{
    wcache_t *w = calloc(1, sizeof *w);
    XASSERT(w);
    w->kept = cache_new(s->l, (unsigned)s->cfg->cache_entries_max, BYTES_MAX,
                        metrics_ctr(m, "xorj_cache_evictions_total", "cache=\"user\"", "Entries that made room for newer ones"));
    w->loads = flights_new();
    random_bytes(w->sip, sizeof w->sip);
    w->hits = metrics_ctr(m, "xorj_cache_hits_total", "cache=\"user\",level=\"memory\"", "Answers found in a cache");
    w->misses = metrics_ctr(m, "xorj_cache_misses_total", "cache=\"user\"", "Answers loaded from PostgreSQL");
    w->stale = metrics_ctr(m, "xorj_cache_stale_total", "cache=\"user\"", "Old answers given while PostgreSQL was away");
    return w;
}

void wcache_free(wcache_t *w)
{
    cache_free(w->kept);
    flights_free(w->loads);
    free(w);
}

bool wcache_idle(const wcache_t *w)
{
    return flights_empty(w->loads);
}

static uint32_t *epoch_of(wcache_t *w, span_t wallet)
{
    return &w->epoch[siphash(w->sip, wallet.p, wallet.n) % EPOCHS];
}

void wcache_moved(store_t *s, span_t wallet)
{
    ++*epoch_of(s->mine, wallet);
}

void wcache_moved_all(store_t *s)
{
    for (unsigned i = 0; i < EPOCHS; i++)
        s->mine->epoch[i]++;
}

static bool key_of(const wask_t *q, char out[KEY_MAX], span_t *key)
{
    int n = snprintf(out, KEY_MAX, "%s:%.*s:%s", q->what, (int)(q->wallet.n < 48 ? q->wallet.n : 48), q->wallet.p, q->which);
    *key = span_make(out, (size_t)n);
    return n < KEY_MAX;
}

static bool recall(store_t *s, const wask_t *q, span_t key, whit_t *hit, bool *fresh)
{
    size_t n;
    head_t h;
    const char *v = cache_get(s->mine->kept, key, &n, NULL);
    if (!v)
        return false;
    memcpy(&h, v, sizeof h);
    int64_t age = (loop_wall_us(s->l) - h.at_us) / 1000;
    *hit = (whit_t){.val = v + sizeof h, .n = n - sizeof h, .age_ms = age > 0 ? age : 0};
    *fresh = h.epoch == *epoch_of(s->mine, q->wallet) && age >= 0 && age < s->cfg->cache_user_ttl_ms &&
             bus_believes(s->bus, h.at_ns);
    return true;
}

bool wcache_peek(store_t *s, const wask_t *q, whit_t *out)
{
    char text[KEY_MAX];
    span_t key;
    bool fresh;
    if (q->uncached || !key_of(q, text, &key) || !recall(s, q, key, out, &fresh) || !fresh || !pool_up(s->pool))
        return false;
    ctr_inc(s->mine->hits);
    return true;
}

/* ---- loading ---- */

typedef struct {
    store_t *s;
    flight_t *g;
    wask_t q; /* params are not kept */
    uint32_t epoch;
    int64_t at_us, at_ns;
    char wallet[48], key[KEY_MAX];
} load_t;

typedef struct {
    xerr_t err;
    const whit_t *hit;
} given_t;

static void give(void *arg, void (*cb)(void), void *ctx)
{
    const given_t *g = arg;
    ((whit_cb)cb)(ctx, g->err, g->hit);
}

static void land(load_t *ld, xerr_t err, const whit_t *hit)
{
    given_t g = {ld->s->closing ? XE_CLOSED : err, ld->s->closing || err ? NULL : hit};
    flight_land(ld->g, give, &g);
    free(ld);
}

static void land_stale(load_t *ld, xerr_t err)
{
    whit_t hit;
    bool fresh;
    if (ld->q.uncached || !recall(ld->s, &ld->q, span_of(ld->key), &hit, &fresh)) {
        land(ld, err, NULL);
        return;
    }
    hit.stale = true;
    ctr_inc(ld->s->mine->stale);
    land(ld, XE_OK, &hit);
}

static void keep(load_t *ld, const buf_t *b)
{
    wcache_t *w = ld->s->mine;
    if (!ld->q.uncached && ld->epoch == *epoch_of(w, ld->q.wallet))
        cache_put(w->kept, span_of(ld->key), b->p, b->n, loop_now_ns(ld->s->l));
}

static void on_rows(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    load_t *ld = ctx;
    head_t h = {.epoch = ld->epoch, .at_us = ld->at_us, .at_ns = ld->at_ns};
    buf_t b;
    if (store_pg_away(err)) {
        land_stale(ld, err);
        return;
    }
    buf_init(&b, ENTRY_MAX);
    buf_add(&b, &h, sizeof h);
    if (!err)
        err = ld->q.load(ld->q.wallet, rows, &b);
    if (!err && b.failed)
        err = XE_INTERNAL;
    if (!err)
        keep(ld, &b);
    whit_t hit = {.val = b.p + sizeof h, .n = b.n - sizeof h};
    land(ld, err, err ? NULL : &hit);
    buf_fini(&b);
}

/* Askers of different epochs do not share a load: the later one may be owed a newer answer. Nor do any while word of changes
 * may be missed. */
static void load(store_t *s, const wask_t *q, span_t key, whit_cb cb, void *ctx)
{
    char flight[KEY_MAX + 32];
    bool first;
    uint32_t epoch = *epoch_of(s->mine, q->wallet);
    uint64_t alone = bus_believes(s->bus, loop_now_ns(s->l)) ? 0 : ++s->mine->alone;
    snprintf(flight, sizeof flight, "%x:%llx:%.*s", epoch, (unsigned long long)alone, (int)key.n, key.p);
    flight_t *g = flight_join(s->mine->loads, span_of(flight), (void (*)(void))cb, ctx, &first);
    if (!first)
        return;
    load_t *ld = calloc(1, sizeof *ld);
    XASSERT(ld);
    *ld = (load_t){.s = s, .g = g, .q = *q, .epoch = epoch, .at_us = loop_wall_us(s->l), .at_ns = loop_now_ns(s->l)};
    memcpy(ld->wallet, q->wallet.p, q->wallet.n);
    memcpy(ld->key, key.p, key.n);
    ld->q.wallet = span_of(ld->wallet);
    ld->q.which = "";
    ctr_inc(s->mine->misses);
    pool_query(s->pool, q->stmt, q->params, (unsigned)s->cfg->http_write_deadline_ms, true, on_rows, ld);
}

typedef struct {
    soon_t soon;
    whit_cb cb;
    void *ctx;
    xerr_t err;
    whit_t hit;
    char val[];
} answer_t;

static void fire_answer(soon_t *soon)
{
    answer_t *a = (answer_t *)soon;
    a->hit.val = a->val;
    a->cb(a->ctx, a->err, a->err ? NULL : &a->hit);
    free(a);
}

static void answer_soon(store_t *s, whit_cb cb, void *ctx, xerr_t err, const whit_t *hit)
{
    size_t n = hit ? hit->n : 0;
    answer_t *a = calloc(1, sizeof *a + n);
    XASSERT(a);
    a->cb = cb;
    a->ctx = ctx;
    a->err = err;
    if (hit) {
        a->hit = *hit;
        memcpy(a->val, hit->val, n);
    }
    soons_post(s->soons, &a->soon, fire_answer);
}

void wcache_get(store_t *s, const wask_t *q, whit_cb cb, void *ctx)
{
    char text[KEY_MAX];
    span_t key;
    whit_t hit;
    if (s->closing || q->wallet.n == 0 || q->wallet.n >= 48 || !key_of(q, text, &key))
        answer_soon(s, cb, ctx, s->closing ? XE_DOWN : XE_BAD_INPUT, NULL);
    else if (wcache_peek(s, q, &hit))
        answer_soon(s, cb, ctx, XE_OK, &hit);
    else
        load(s, q, key, cb, ctx);
}
