#include "connectors/wallet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define ANSWER_MAX (1u << 20) /* some 1,800 accounts: more than that is asked for by mint */
#define PARAMS_MAX 8192
#define FLIGHTS_MAX 64
#define RETRY_MS 2000         /* after a failure the last known values are good enough for so long */
#define TAIL_MIN_MS 200       /* with less left, decimals of unknown mints are not asked for */
#define MINTS_MAX 100         /* of one getMultipleAccounts */
#define MINTS_KNOWN 1024
#define MS 1000000LL

typedef struct waiter waiter_t;
struct waiter {
    waiter_t *next;
    wallet_cb cb;
    void *ctx;
    uint8_t key[32]; /* for those who are answered without a read */
    xerr_t err;
};

/* What is asked in parallel, and what follows when an answer is too large or names unknown mints. */
typedef enum { P_LAMPORTS, P_CLASSIC, P_2022, P_USDC, P_USDT, P_MINTS, P_N } part_id_t;

typedef struct flight flight_t;
typedef struct {
    flight_t *f;
    part_id_t id;
    wtokens_t tok;
    uint64_t slot;
} part_t;

typedef struct entry entry_t;
struct flight {
    wallets_t *o;
    entry_t *e;          /* NULL once the owner is gone */
    uint8_t key[32];
    char text[WALLET_TEXT_MAX + 1];
    int64_t until_ns;
    unsigned open;       /* questions without an answer, prices included */
    bool price_open;
    xerr_t err;
    uint64_t lamports, slot;
    bool truncated;
    wtokens_t tok;
    wtoken_t *unknown[MINTS_MAX];
    unsigned unknown_n;
    part_t part[P_N];
    waiter_t *waiters;
};

struct entry {
    TAILQ_ENTRY(entry) lru; /* the least recently used first */
    entry_t *chain;
    uint8_t key[32];
    wallet_t *last;      /* NULL: never read */
    int64_t got_ns, failed_ns;
    flight_t *flight;
};

typedef struct { uint8_t mint[32]; bool token2022, known; uint8_t decimals; } mint_t;

struct wallets {
    loop_t *loop;
    rpc_t *rpc;
    prices_t *prices;
    int64_t cache_ns;
    unsigned deadline_ms, tokens_max, entries_max, entries_n, buckets, flights_n;
    uint64_t sip[2];
    entry_t **heads;
    TAILQ_HEAD(lru_list, entry) lru;
    waiter_t *soon;      /* answered from memory on the next turn */
    ltimer_t *tell;
    bool dying;
    mint_t mints[MINTS_KNOWN];
    ctr_t *hits, *reads, *failures, *joined, *stale, *evicted;
    ctr_t *r_nonsense, *r_program, *r_wallet;
    hist_t *seconds;
};

static void on_part(void *ctx, xerr_t err, span_t result);
static void parts_done(flight_t *f);

/* ---- memory ---- */

static entry_t **bucket_of(wallets_t *o, const uint8_t key[32]) { return &o->heads[siphash(o->sip, key, 32) % o->buckets]; }

static entry_t *find(wallets_t *o, const uint8_t key[32])
{
    entry_t *e = *bucket_of(o, key);
    while (e && memcmp(e->key, key, 32) != 0) e = e->chain;
    if (!e) return NULL;
    TAILQ_REMOVE(&o->lru, e, lru);
    TAILQ_INSERT_TAIL(&o->lru, e, lru);
    return e;
}

static void drop_entry(wallets_t *o, entry_t *e)
{
    entry_t **at = bucket_of(o, e->key);
    while (*at != e) at = &(*at)->chain;
    *at = e->chain;
    TAILQ_REMOVE(&o->lru, e, lru);
    o->entries_n--;
    free(e->last);
    free(e);
}

/* NULL: every entry is being read. */
static entry_t *make(wallets_t *o, const uint8_t key[32])
{
    entry_t *e;
    if (o->entries_n >= o->entries_max) {
        e = TAILQ_FIRST(&o->lru);
        while (e && e->flight) e = TAILQ_NEXT(e, lru);
        if (!e) return NULL;
        drop_entry(o, e);
        ctr_inc(o->evicted);
    }
    e = calloc(1, sizeof *e);
    XASSERT(e != NULL);
    memcpy(e->key, key, 32);
    e->chain = *bucket_of(o, key);
    *bucket_of(o, key) = e;
    TAILQ_INSERT_TAIL(&o->lru, e, lru);
    o->entries_n++;
    return e;
}

static bool fresh(const wallets_t *o, const entry_t *e) { return e && e->last && mono_ns() - e->got_ns < o->cache_ns; }

static void view_of(wallets_t *o, const entry_t *e, bool stale, wallet_view_t *v)
{
    int64_t age = (mono_ns() - e->got_ns) / MS;
    *v = (wallet_view_t){.w = e->last, .stale = stale, .age_ms = age};
    prices_now(o->prices, v->prices);
    if (v->stale) ctr_inc(o->stale);
}

static mint_t *mint_row(wallets_t *o, const wtoken_t *t) { return &o->mints[siphash(o->sip, t->mint, 32) % MINTS_KNOWN]; }

static bool mint_known(wallets_t *o, wtoken_t *t)
{
    const mint_t *m = mint_row(o, t);
    if (!m->known || m->token2022 != t->token2022 || memcmp(m->mint, t->mint, 32) != 0) return false;
    t->decimals = m->decimals;
    return true;
}

static void mint_learned(wallets_t *o, const wtoken_t *t)
{
    char text[2 * 32 + 2];
    mint_t *m = mint_row(o, t);
    *m = (mint_t){.token2022 = t->token2022, .known = true, .decimals = (uint8_t)t->decimals};
    memcpy(m->mint, t->mint, 32);
    b58_encode(t->mint, 32, text, sizeof text);
    log_info("wallet", "-", "a token without a price is held mint=%s decimals=%d", text, (int)t->decimals);
}

/* ---- questions ---- */

static void put_options(jw_t *w)
{
    jw_obj(w);
    jw_key(w, "encoding");
    jw_cstr(w, "base64");
    jw_key(w, "commitment");
    jw_cstr(w, "confirmed");
    jw_end(w);
}

static void put_filter(jw_t *w, part_id_t id)
{
    bool by_mint = id == P_USDC || id == P_USDT;
    jw_obj(w);
    jw_key(w, by_mint ? "mint" : "programId");
    jw_cstr(w, id == P_USDC ? asset_mint(ASSET_USDC) : id == P_USDT ? asset_mint(ASSET_USDT) : id == P_2022 ? PROGRAM_2022 : PROGRAM_CLASSIC);
    jw_end(w);
}

static void put_mints(jw_t *w, const flight_t *f)
{
    char text[2 * 32 + 2];
    jw_arr(w);
    for (unsigned i = 0; i < f->unknown_n; i++) {
        b58_encode(f->unknown[i]->mint, 32, text, sizeof text);
        jw_cstr(w, text);
    }
    jw_end(w);
}

static void put_params(jw_t *w, const flight_t *f, part_id_t id)
{
    jw_arr(w);
    if (id == P_MINTS) {
        put_mints(w, f);
        put_options(w);
    } else if (id == P_LAMPORTS) {
        jw_cstr(w, f->text);
        jw_obj(w);
        jw_key(w, "commitment");
        jw_cstr(w, "confirmed");
        jw_end(w);
    } else {
        jw_cstr(w, f->text);
        put_filter(w, id);
        put_options(w);
    }
    jw_end(w);
}

static xerr_t read_part(part_t *p, span_t result)
{
    flight_t *f = p->f;
    wtokens_fini(&p->tok); /* an endpoint before may have left its beginning */
    switch (p->id) {
    case P_LAMPORTS: return wallet_read_lamports(result, &f->lamports, &p->slot);
    case P_MINTS: return wallet_read_mints(result, f->unknown, f->unknown_n);
    case P_CLASSIC: case P_2022: case P_USDC: case P_USDT: return wallet_read_tokens(result, f->key, p->id == P_2022, &p->tok, &p->slot);
    case P_N: break;
    }
    return XE_INTERNAL;
}

/* Runs before the endpoint is believed: what is refused here is asked at the next one. */
static xerr_t on_check(void *ctx, span_t result)
{
    part_t *p = ctx;
    wallets_t *o = p->f->o;
    if (o->dying) return XE_OK;
    xerr_t err = read_part(p, result);
    if (err) ctr_inc(err == XE_DENIED ? o->r_program : err == XE_CONFLICT ? o->r_wallet : o->r_nonsense);
    return err ? XE_BAD_INPUT : XE_OK;
}

static void ask(flight_t *f, part_id_t id)
{
    static const char *const methods[P_N] = {"getBalance", "getTokenAccountsByOwner", "getTokenAccountsByOwner", "getTokenAccountsByOwner",
                                             "getTokenAccountsByOwner", "getMultipleAccounts"};
    int64_t left = (f->until_ns - mono_ns()) / MS;
    buf_t b;
    jw_t w;
    f->part[id] = (part_t){.f = f, .id = id};
    f->open++;
    buf_init(&b, PARAMS_MAX);
    jw_init(&w, &b);
    put_params(&w, f, id);
    XASSERT(!b.failed);
    rpc_req_t q = {.method = methods[id], .params = buf_span(&b), .timeout_ms = (unsigned)(left > 1 ? left : 1), .body_max = ANSWER_MAX,
                   .spare = true, .check = on_check};
    rpc_call(f->o->rpc, &q, on_part, &f->part[id]);
    buf_fini(&b);
}

/* ---- a read, in the order it runs ---- */

static void on_prices(void *ctx)
{
    flight_t *f = ctx;
    f->price_open = false;
    f->open--;
    parts_done(f);
}

static void start(wallets_t *o, entry_t *e)
{
    flight_t *f = calloc(1, sizeof *f);
    char text[2 * 32 + 2];
    XASSERT(f != NULL);
    f->o = o;
    f->e = e;
    e->flight = f;
    o->flights_n++;
    ctr_inc(o->reads);
    memcpy(f->key, e->key, 32);
    b58_encode(e->key, 32, text, sizeof text);
    memcpy(f->text, text, strlen(text) + 1);
    f->until_ns = mono_ns() + o->deadline_ms * MS;
    f->slot = UINT64_MAX;
    f->open = 1;
    f->price_open = true;
    ask(f, P_LAMPORTS);
    ask(f, P_CLASSIC);
    ask(f, P_2022);
    prices_when(o->prices, on_prices, f);
}

static void take_tokens(flight_t *f, part_t *p)
{
    wtokens_t *to = &f->tok;
    wtoken_t *more = realloc(to->t, (to->n + p->tok.n + 1) * sizeof *more);
    XASSERT(more != NULL);
    to->t = more;
    if (p->tok.n) memcpy(to->t + to->n, p->tok.t, p->tok.n * sizeof *more);
    to->n += p->tok.n;
    to->cap = to->n + 1;
}

/* Too many accounts for one answer: the coins we know are asked for one by one. */
static void too_many(flight_t *f, part_id_t id)
{
    f->truncated = true;
    if (id != P_CLASSIC) return;
    ask(f, P_USDC);
    ask(f, P_USDT);
}

static void flight_free(flight_t *f)
{
    for (int i = 0; i < P_N; i++) wtokens_fini(&f->part[i].tok);
    wtokens_fini(&f->tok);
    free(f);
}

static void on_part(void *ctx, xerr_t err, span_t result)
{
    part_t *p = ctx;
    flight_t *f = p->f;
    wallets_t *o = f->o;
    (void)result; /* read by on_check */
    f->open--;
    if (o->dying) {
        if (f->open) return;
        flight_free(f);
        if (--o->flights_n == 0) free(o);
        return;
    }
    if (err == XE_TOO_BIG && (p->id == P_CLASSIC || p->id == P_2022)) {
        too_many(f, p->id);
    } else if (err && p->id != P_MINTS) {
        if (!f->err) f->err = err == XE_DENIED ? XE_DOWN : err;
    } else if (!err && p->id != P_MINTS) {
        if (p->id != P_LAMPORTS) take_tokens(f, p);
        if (p->slot < f->slot) f->slot = p->slot;
    }
    wtokens_fini(&p->tok);
    parts_done(f);
}

static int known_first(const void *a, const void *b)
{
    const wtoken_t *x = a, *y = b;
    int by_asset = (int)x->asset - (int)y->asset;
    return by_asset ? by_asset : memcmp(x->mint, y->mint, 32);
}

/* The list as it will be shown; false: decimals of some mints must be asked for first. */
static bool complete(flight_t *f)
{
    wallets_t *o = f->o;
    if (f->part[P_MINTS].f) {
        for (unsigned i = 0; i < f->unknown_n; i++)
            if (f->unknown[i]->decimals >= 0) mint_learned(o, f->unknown[i]);
        return true;
    }
    if (f->tok.n) qsort(f->tok.t, f->tok.n, sizeof *f->tok.t, known_first);
    if (f->tok.n > o->tokens_max) {
        f->tok.n = o->tokens_max;
        f->truncated = true;
    }
    for (unsigned i = 0; i < f->tok.n && f->unknown_n < MINTS_MAX; i++) {
        wtoken_t *t = &f->tok.t[i];
        if (t->decimals < 0 && !mint_known(o, t)) f->unknown[f->unknown_n++] = t;
    }
    return f->unknown_n == 0 || (f->until_ns - mono_ns()) / MS < TAIL_MIN_MS;
}

static void keep(flight_t *f)
{
    entry_t *e = f->e;
    wallet_t *w = malloc(sizeof *w + f->tok.n * sizeof *w->tokens);
    XASSERT(w != NULL);
    *w = (wallet_t){.lamports = f->lamports, .slot = f->slot, .read_us = wall_us(), .truncated = f->truncated, .tokens_n = f->tok.n};
    memcpy(w->key, f->key, 32);
    if (f->tok.n) memcpy(w->tokens, f->tok.t, f->tok.n * sizeof *w->tokens);
    free(e->last);
    e->last = w;
    e->got_ns = mono_ns();
}

static void answer(wallets_t *o, waiter_t *list, const entry_t *e, xerr_t err)
{
    wallet_view_t v;
    bool known = e && e->last;
    if (known) view_of(o, e, err && !fresh(o, e), &v);
    for (waiter_t *w = list, *next; w; w = next) {
        next = w->next;
        w->cb(w->ctx, known ? XE_OK : err, known ? &v : NULL);
        free(w);
    }
}

static void land(flight_t *f)
{
    wallets_t *o = f->o;
    entry_t *e = f->e;
    xerr_t err = f->err;
    waiter_t *waiters = f->waiters;
    hist_add(o->seconds, (double)(mono_ns() - f->until_ns + o->deadline_ms * MS) / 1e9);
    if (err) {
        ctr_inc(o->failures);
        e->failed_ns = mono_ns();
    } else {
        keep(f);
    }
    e->flight = NULL;
    o->flights_n--;
    flight_free(f);
    answer(o, waiters, e, err);
}

static void parts_done(flight_t *f)
{
    if (f->open) return;
    if (!f->err && !complete(f)) ask(f, P_MINTS);
    else land(f);
}

/* ---- the port ---- */

static bool peek(void *ctx, const uint8_t key[32], wallet_view_t *out)
{
    wallets_t *o = ctx;
    const entry_t *e = find(o, key);
    if (!fresh(o, e)) return false;
    ctr_inc(o->hits);
    view_of(o, e, false, out);
    return true;
}

static void on_tell(void *ctx)
{
    wallets_t *o = ctx;
    waiter_t *list = o->soon;
    o->soon = NULL;
    for (waiter_t *w = list, *next; w; w = next) {
        next = w->next;
        w->next = NULL;
        answer(o, w, find(o, w->key), w->err);
    }
}

static void answer_soon(wallets_t *o, waiter_t *w, xerr_t err)
{
    w->err = err;
    w->next = o->soon;
    o->soon = w;
    ltimer_arm(o->tell, 0);
}

static bool failed_lately(const entry_t *e) { return e->failed_ns && e->failed_ns > e->got_ns && mono_ns() - e->failed_ns < RETRY_MS * MS; }

static void get(void *ctx, const uint8_t key[32], wallet_cb cb, void *cb_ctx)
{
    wallets_t *o = ctx;
    waiter_t *w = calloc(1, sizeof *w);
    XASSERT(w != NULL);
    *w = (waiter_t){.cb = cb, .ctx = cb_ctx};
    memcpy(w->key, key, 32);
    if (!rpc_endpoints(o->rpc)) {
        answer_soon(o, w, XE_UNSUPPORTED);
        return;
    }
    entry_t *e = find(o, key);
    if (!e) e = make(o, key);
    if (!e || fresh(o, e) || (!e->flight && (o->flights_n >= FLIGHTS_MAX || failed_lately(e)))) {
        answer_soon(o, w, e && failed_lately(e) ? XE_DOWN : XE_FULL);
        return;
    }
    if (e->flight) ctr_inc(o->joined);
    else start(o, e);
    w->next = e->flight->waiters;
    e->flight->waiters = w;
}

wallet_port_t wallets_port(wallets_t *w) { return (wallet_port_t){peek, get, w}; }

/* ---- life ---- */

static void make_metrics(wallets_t *o, metrics_t *m)
{
    static const char name[] = "xorj_wallet_refused_total", help[] = "Answers of endpoints that were not about this wallet.";
    o->hits = metrics_ctr(m, "xorj_wallet_hits_total", NULL, "Balances answered from memory.");
    o->reads = metrics_ctr(m, "xorj_wallet_reads_total", NULL, "Wallets read from the chain.");
    o->failures = metrics_ctr(m, "xorj_wallet_read_failures_total", NULL, "Reads that failed at every endpoint.");
    o->joined = metrics_ctr(m, "xorj_wallet_joined_total", NULL, "Callers who shared a read under way.");
    o->stale = metrics_ctr(m, "xorj_wallet_stale_total", NULL, "Balances shown although older than the cache's time.");
    o->evicted = metrics_ctr(m, "xorj_wallet_evicted_total", NULL, "Wallets forgotten for lack of room.");
    o->r_nonsense = metrics_ctr(m, name, "reason=\"nonsense\"", help);
    o->r_program = metrics_ctr(m, name, "reason=\"program\"", help);
    o->r_wallet = metrics_ctr(m, name, "reason=\"wallet\"", help);
    o->seconds = metrics_hist(m, "xorj_wallet_read_seconds", NULL, "One read of a wallet.", NULL, 0);
}

wallets_t *wallets_open(loop_t *l, metrics_t *m, rpc_t *rpc, prices_t *prices, const cfg_t *cfg)
{
    wallets_t *o = calloc(1, sizeof *o);
    XASSERT(o != NULL);
    o->loop = l;
    o->rpc = rpc;
    o->prices = prices;
    o->cache_ns = cfg->wallet_cache_ms * MS;
    o->deadline_ms = (unsigned)cfg->wallet_deadline_ms;
    o->tokens_max = (unsigned)cfg->wallet_tokens_max;
    o->entries_max = (unsigned)cfg->wallet_cache_max;
    o->buckets = o->entries_max * 2;
    o->heads = calloc(o->buckets, sizeof(entry_t *));
    XASSERT(o->heads != NULL);
    random_bytes(o->sip, sizeof o->sip);
    TAILQ_INIT(&o->lru);
    o->tell = ltimer_new(l, on_tell, o);
    make_metrics(o, m);
    return o;
}

static void give_up(waiter_t *list)
{
    for (waiter_t *w = list, *next; w; w = next) {
        next = w->next;
        w->cb(w->ctx, XE_CLOSED, NULL);
        free(w);
    }
}

void wallets_free(wallets_t *o)
{
    if (!o) return;
    o->dying = true;
    ltimer_free(o->tell);
    give_up(o->soon);
    for (entry_t *e = TAILQ_FIRST(&o->lru), *next; e; e = next) {
        flight_t *f = e->flight;
        next = TAILQ_NEXT(e, lru);
        if (f) {
            give_up(f->waiters);
            f->waiters = NULL;
            f->e = NULL;
            f->open -= f->price_open; /* the prices are closed next and will not call */
            if (!f->open) flight_free(f), o->flights_n--;
        }
        drop_entry(o, e);
    }
    free(o->heads);
    if (!o->flights_n) free(o);
}
