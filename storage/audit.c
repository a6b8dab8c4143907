#include "storage/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "storage/migrate.h"
#include "storage/store_int.h"

enum {
    SLICE_ROWS = 2000,       /* rows of one step of the walk: some 10 ms of PostgreSQL */
    WALK_SLICE_ROWS = 20000, /* on the command line */
    SHORT_LOG = 20000,       /* a log of no more rows is walked anew each time it is asked about */
    GOOD_MS = 60000,
    WAIT_MS = 2000,
    WAITERS_MAX = 64
};

/* ---- pages ---- */

typedef struct {
    soon_t soon;
    store_t *s;
    void (*cb)(void *ctx, xerr_t err, const audit_page_t *page);
    void *ctx;
    unsigned limit;
    xerr_t err;
    int64_t total;
    char *params[6];
} list_t;

static void list_free(list_t *l)
{
    for (unsigned i = 0; i < sizeof l->params / sizeof *l->params; i++)
        free(l->params[i]);
    free(l);
}

static void list_fail(list_t *l, xerr_t err)
{
    l->cb(l->ctx, err, NULL);
    list_free(l);
}

static void fire_list(soon_t *soon)
{
    list_fail((list_t *)soon, XE_DOWN);
}

static void decode(const pg_rows_t *r, unsigned i, audit_row_t *o)
{
    o->seq = pg_i64(r, i, 0);
    o->at_us = pg_i64(r, i, 1);
    enum { TEXTS = 10 };
    span_t *texts[TEXTS] = {&o->actor, &o->role, &o->action, &o->target, &o->before, &o->after,
                       &o->request_id, &o->source_ip, &o->prev_hash, &o->hash};
    for (unsigned k = 0; k < TEXTS; k++)
        *texts[k] = pg_text(r, i, k + 2);
}

static void on_rows(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    list_t *l = ctx;
    unsigned n = pg_rows_n(rows);
    if (err) {
        list_fail(l, err);
        return;
    }
    audit_page_t page = {.n = n > l->limit ? l->limit : n, .has_more = n > l->limit, .total = l->total};
    audit_row_t *out = calloc(page.n + 1, sizeof *out);
    XASSERT(out);
    for (unsigned i = 0; i < page.n; i++)
        decode(rows, i, &out[i]);
    page.rows = out;
    page.next_seq = page.has_more ? out[page.n - 1].seq : 0;
    l->cb(l->ctx, XE_OK, &page);
    free(out);
    list_free(l);
}

/* The count first, so that the rows can be handed on while they are still in the answer of their own query. */
static void on_count(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    list_t *l = ctx;
    if (err) {
        list_fail(l, err);
        return;
    }
    l->total = pg_i64(rows, 0, 0);
    pool_query(l->s->pool, SQL_AUDIT_LIST, (const char *const *)l->params, (unsigned)l->s->cfg->http_read_deadline_ms, true,
               on_rows, l);
}

static char *text_of(span_t t)
{
    return t.n ? strndup(t.p, t.n) : NULL;
}

static char *num_of(int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)v);
    return strdup(text);
}

void audit_list(store_t *s, const audit_query_t *q, void (*cb)(void *ctx, xerr_t err, const audit_page_t *page), void *ctx)
{
    list_t *l = calloc(1, sizeof *l);
    XASSERT(l);
    l->s = s;
    l->cb = cb;
    l->ctx = ctx;
    l->limit = q->limit < 1 ? 1 : q->limit > 1000 ? 1000 : q->limit;
    if (s->closing) {
        soons_post(s->soons, &l->soon, fire_list);
        return;
    }
    char *params[] = {text_of(q->actor),  text_of(q->action),    num_of(q->from_us),
                      num_of(q->to_us),   num_of(q->before_seq), num_of((int64_t)l->limit + 1)};
    memcpy(l->params, params, sizeof params);
    pool_query(s->pool, SQL_AUDIT_COUNT, (const char *const *)l->params, (unsigned)s->cfg->http_read_deadline_ms, true, on_count, l);
}

/* ---- the chain ---- */

typedef struct {
    soon_t soon;
    void (*cb)(void *ctx, xerr_t err, const audit_chain_t *c);
    void *ctx;
    struct audit_walk *w;
    int64_t due_ns;
} waiter_t;

struct audit_walk {
    store_t *s;
    bool out;             /* a walk is on its way */
    int64_t from;
    char prev[67];        /* "\x" and 64 hex digits */
    audit_chain_t last;   /* the last verdict, or how far the present walk is */
    ltimer_t *due;
    unsigned waiting;
    waiter_t *waiters[WAITERS_MAX];
};

static void slice(struct audit_walk *w);

static void start_of_chain(char prev[67])
{
    static const char text[] = "xorj audit";
    uint8_t h[32];
    sha256(text, sizeof text - 1, h);
    prev[0] = '\\';
    prev[1] = 'x';
    hex_encode(h, sizeof h, prev + 2);
}

static void answer_waiters(struct audit_walk *w, xerr_t err, int64_t now_ns)
{
    unsigned kept = 0, n = w->waiting;
    waiter_t *go[WAITERS_MAX];
    unsigned going = 0;
    for (unsigned i = 0; i < n; i++) {
        if (now_ns && w->waiters[i]->due_ns > now_ns)
            w->waiters[kept++] = w->waiters[i];
        else
            go[going++] = w->waiters[i];
    }
    w->waiting = kept;
    for (unsigned i = 0; i < going; i++) {
        go[i]->cb(go[i]->ctx, err, err ? NULL : &w->last);
        free(go[i]);
    }
}

static void on_due(void *ctx)
{
    struct audit_walk *w = ctx;
    answer_waiters(w, XE_OK, loop_now_ns(w->s->l));
    if (w->waiting)
        ltimer_arm(w->due, 50);
}

static void walk_end(struct audit_walk *w, xerr_t err)
{
    w->out = false;
    ltimer_stop(w->due);
    answer_waiters(w, err, 0);
}

static void on_slice(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    struct audit_walk *w = ctx;
    if (err || w->s->closing || pg_rows_n(rows) != 1) {
        walk_end(w, err ? err : XE_DOWN);
        return;
    }
    bool bad = !pg_null(rows, 0, 0), done = pg_bool(rows, 0, 4);
    if (bad || done) {
        w->last = (audit_chain_t){.complete = true, .bad_seq = bad ? pg_i64(rows, 0, 0) : 0, .at_us = loop_wall_us(w->s->l)};
        w->last.seq = bad && pg_null(rows, 0, 2) ? w->last.bad_seq : pg_i64(rows, 0, 2) - 1;
        if (bad)
            pg_copy(rows, 0, 1, w->last.what, sizeof w->last.what);
        walk_end(w, XE_OK);
        return;
    }
    w->from = pg_i64(rows, 0, 2);
    pg_copy(rows, 0, 3, w->prev, sizeof w->prev);
    w->last = (audit_chain_t){.seq = w->from - 1};
    slice(w);
}

static void slice(struct audit_walk *w)
{
    char from[24], n[16];
    snprintf(from, sizeof from, "%lld", (long long)w->from);
    snprintf(n, sizeof n, "%d", SLICE_ROWS);
    pool_query(w->s->pool, SQL_AUDIT_CHECK, (const char *const[]){from, w->prev, n},
               (unsigned)w->s->cfg->http_read_deadline_ms, true, on_slice, w);
}

static void fire_waiter(soon_t *soon)
{
    waiter_t *x = (waiter_t *)soon;
    audit_chain_t c = x->w->last;
    x->cb(x->ctx, x->w->s->closing ? XE_DOWN : XE_OK, x->w->s->closing ? NULL : &c);
    free(x);
}

void audit_chain(store_t *s, void (*cb)(void *ctx, xerr_t err, const audit_chain_t *c), void *ctx)
{
    struct audit_walk *w = s->audit;
    waiter_t *x = calloc(1, sizeof *x);
    XASSERT(x);
    *x = (waiter_t){.cb = cb, .ctx = ctx, .w = w, .due_ns = loop_now_ns(s->l) + WAIT_MS * INT64_C(1000000)};
    bool fresh = w->last.complete && w->last.seq > SHORT_LOG && loop_wall_us(s->l) - w->last.at_us < GOOD_MS * INT64_C(1000);
    if (s->closing || fresh || w->waiting == WAITERS_MAX) {
        soons_post(s->soons, &x->soon, fire_waiter);
        return;
    }
    w->waiters[w->waiting++] = x;
    if (!ltimer_armed(w->due))
        ltimer_arm(w->due, WAIT_MS);
    if (w->out)
        return;
    w->out = true;
    w->from = 1;
    start_of_chain(w->prev);
    w->last = (audit_chain_t){0};
    slice(w);
}

struct audit_walk *audit_walk_new(store_t *s)
{
    struct audit_walk *w = calloc(1, sizeof *w);
    XASSERT(w);
    w->s = s;
    w->due = ltimer_new(s->l, on_due, w);
    return w;
}

void audit_walk_free(struct audit_walk *w)
{
    answer_waiters(w, XE_CLOSED, 0);
    ltimer_free(w->due);
    free(w);
}

/* ---- the command line ---- */

xerr_t audit_walk(const cfg_t *cfg, void (*progress)(int64_t seq, int64_t head), audit_chain_t *out, char head_hex[65])
{
    char prev[67], from[24] = "1", n[16];
    const pg_rows_t *rows;
    xerr_t err;
    *out = (audit_chain_t){0};
    pgb_t *b = pgb_open_cfg(cfg);
    if (!b)
        return XE_DOWN;
    start_of_chain(prev);
    snprintf(n, sizeof n, "%d", WALK_SLICE_ROWS);
    while (!(err = pgb_query(b, "SELECT bad_seq, what, next_seq, next_hash, done, (SELECT seq FROM audit_head)"
                                " FROM audit_check($1::bigint, $2::bytea, $3::int)",
                             3, (const char *const[]){from, prev, n}, &rows))) {
        bool bad = !pg_null(rows, 0, 0);
        out->seq = pg_null(rows, 0, 2) ? strtoll(from, NULL, 10) - 1 : pg_i64(rows, 0, 2) - 1;
        if (bad) {
            out->bad_seq = pg_i64(rows, 0, 0);
            pg_copy(rows, 0, 1, out->what, sizeof out->what);
        }
        if (bad || pg_bool(rows, 0, 4)) {
            out->complete = true;
            snprintf(head_hex, 65, "%s", bad ? "" : pg_text(rows, 0, 3).p + 2);
            break;
        }
        snprintf(from, sizeof from, "%lld", (long long)pg_i64(rows, 0, 2));
        pg_copy(rows, 0, 3, prev, sizeof prev);
        if (progress)
            progress(out->seq, pg_i64(rows, 0, 5));
    }
    out->at_us = wall_us();
    pgb_close(b);
    return err;
}
