#include "storage/pool.h"

#include <stdlib.h>
#include <string.h>

#define LINK_DEPTH 32 /* statements in flight on one reader */
#define SCAN_MS 25    /* how often deadlines are looked at */

typedef struct ask {
    soon_t soon;
    struct ask *next, *prev; /* every live query, oldest first */
    struct ask *qnext;       /* the queue */
    pool_t *pool;
    pg_cb cb;                /* NULL once answered: the link still owes the result */
    void *ctx;
    sql_t stmt;
    xerr_t early;
    int64_t due_ns;
    bool repeat, sent;
    unsigned tries, params_n;
    const char *params[]; /* texts follow */
} ask_t;

typedef struct {
    pool_t *pool;
    pg_t *pg;
} reader_t;

struct pool {
    loop_t *l;
    pool_conf_t c;
    soons_t *soons;
    pool_hooks_t h;
    ltimer_t *scan, *grace;
    ask_t *all_head, *all_tail;
    ask_t *q_head, *q_tail;
    unsigned queued, live;
    bool refuse, closing; /* refuse: down for longer than the grace */
    unsigned n;
    reader_t *readers;
};

static void on_answer(void *ctx, xerr_t err, const pg_rows_t *rows);

static void ask_unlink(pool_t *p, ask_t *a)
{
    *(a->prev ? &a->prev->next : &p->all_head) = a->next;
    *(a->next ? &a->next->prev : &p->all_tail) = a->prev;
    p->live--;
}

static void queue_push(pool_t *p, ask_t *a, bool front)
{
    a->sent = false;
    if (front) {
        a->qnext = p->q_head;
        p->q_head = a;
        if (!p->q_tail)
            p->q_tail = a;
    } else {
        a->qnext = NULL;
        *(p->q_tail ? &p->q_tail->qnext : &p->q_head) = a;
        p->q_tail = a;
    }
    p->queued++;
}

static ask_t *queue_pop(pool_t *p)
{
    ask_t *a = p->q_head;
    p->q_head = a->qnext;
    if (!p->q_head)
        p->q_tail = NULL;
    p->queued--;
    return a;
}

static void queue_remove(pool_t *p, ask_t *a)
{
    ask_t *before = NULL;
    for (ask_t *x = p->q_head; x != a; x = x->qnext)
        before = x;
    *(before ? &before->qnext : &p->q_head) = a->qnext;
    if (p->q_tail == a)
        p->q_tail = before;
    p->queued--;
}

static reader_t *least_busy(pool_t *p)
{
    reader_t *best = NULL;
    for (unsigned i = 0; i < p->n; i++) {
        reader_t *r = &p->readers[i];
        if (pg_up(r->pg) && pg_inflight(r->pg) < LINK_DEPTH && (!best || pg_inflight(r->pg) < pg_inflight(best->pg)))
            best = r;
    }
    return best;
}

static void pump(pool_t *p)
{
    reader_t *r;
    while (p->q_head && (r = least_busy(p))) {
        ask_t *a = queue_pop(p);
        a->sent = true;
        a->tries++;
        pg_send(r->pg, a->stmt, a->params, on_answer, a);
    }
}

/* Answers and, unless a link still owes its result, frees. */
static void ask_end(ask_t *a, xerr_t err, const pg_rows_t *rows, bool owed)
{
    pool_t *p = a->pool;
    pg_cb cb = a->cb;
    void *ctx = a->ctx;
    a->cb = NULL;
    if (!owed)
        ask_unlink(p, a);
    if (cb)
        cb(ctx, err, rows);
    if (!owed)
        free(a);
}

static void on_answer(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *a = ctx;
    pool_t *p = a->pool;
    if (err == XE_CLOSED && a->cb && !p->closing) {
        if (a->repeat && a->tries < 2) {
            queue_push(p, a, true);
            return;
        }
        err = XE_DOWN;
    }
    ask_end(a, err, rows, false);
    if (!p->closing)
        pump(p);
}

static void fail_queued(pool_t *p, xerr_t err)
{
    while (p->q_head)
        ask_end(queue_pop(p), err, NULL, false);
}

static void on_grace(void *ctx)
{
    pool_t *p = ctx;
    p->refuse = true;
    fail_queued(p, XE_DOWN);
}

static void on_scan(void *ctx)
{
    pool_t *p = ctx;
    int64_t now = loop_now_ns(p->l);
    ask_t *next;
    for (ask_t *a = p->all_head; a; a = next) {
        next = a->next;
        if (!a->cb || a->early || a->due_ns > now)
            continue;
        ctr_inc(p->c.timeouts);
        bool sent = a->sent;
        if (!sent)
            queue_remove(p, a);
        ask_end(a, XE_TIMEOUT, NULL, sent);
    }
    if (p->live > 0)
        ltimer_arm(p->scan, SCAN_MS);
}

static void on_link_up(void *ctx)
{
    reader_t *r = ctx;
    pool_t *p = r->pool;
    p->refuse = false;
    ltimer_stop(p->grace);
    p->h.up(p->h.ctx);
    pump(p);
}

static void on_link_down(void *ctx, bool silent)
{
    reader_t *r = ctx;
    pool_t *p = r->pool;
    if (p->closing)
        return;
    if (!pool_up(p) && !p->refuse && !ltimer_armed(p->grace))
        ltimer_arm(p->grace, DOWN_GRACE_MS);
    p->h.down(p->h.ctx, silent);
    pump(p);
}

pool_t *pool_open(loop_t *l, const pool_conf_t *c, pg_metrics_t *m, soons_t *soons, pool_hooks_t h)
{
    pool_t *p = calloc(1, sizeof *p);
    XASSERT(p);
    p->l = l;
    p->c = *c;
    p->soons = soons;
    p->h = h;
    p->scan = ltimer_new(l, on_scan, p);
    p->grace = ltimer_new(l, on_grace, p);
    ltimer_arm(p->grace, DOWN_GRACE_MS);
    p->n = c->links;
    p->readers = calloc(p->n, sizeof *p->readers);
    XASSERT(p->readers);
    for (unsigned i = 0; i < p->n; i++) {
        reader_t *r = &p->readers[i];
        r->pool = p;
        r->pg = pg_open(l, &c->link, m, (pg_hooks_t){on_link_up, on_link_down, r});
    }
    return p;
}

static void fire_early(soon_t *s)
{
    ask_t *a = (ask_t *)s;
    ask_end(a, a->pool->closing ? XE_CLOSED : a->early, NULL, false);
}

static ask_t *ask_new(pool_t *p, sql_t stmt, const char *const *params)
{
    unsigned n = (unsigned)sql_params(stmt);
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += params[i] ? strlen(params[i]) + 1 : 0;
    ask_t *a = malloc(sizeof *a + n * sizeof a->params[0] + bytes);
    XASSERT(a);
    *a = (ask_t){.pool = p, .stmt = stmt, .params_n = n};
    char *text = (char *)&a->params[n];
    for (unsigned i = 0; i < n; i++) {
        a->params[i] = NULL;
        if (!params[i])
            continue;
        size_t len = strlen(params[i]) + 1;
        memcpy(text, params[i], len);
        a->params[i] = text;
        text += len;
    }
    return a;
}

void pool_query(pool_t *p, sql_t stmt, const char *const *params, unsigned deadline_ms, bool repeat, pg_cb cb, void *ctx)
{
    ask_t *a = ask_new(p, stmt, params);
    a->cb = cb;
    a->ctx = ctx;
    a->repeat = repeat;
    a->due_ns = loop_now_ns(p->l) + (int64_t)deadline_ms * 1000000;
    a->prev = p->all_tail;
    *(p->all_tail ? &p->all_tail->next : &p->all_head) = a;
    p->all_tail = a;
    p->live++;
    if (p->refuse || p->queued >= p->c.queue_max) {
        a->early = p->refuse ? XE_DOWN : XE_FULL;
        if (!p->refuse)
            ctr_inc(p->c.full);
        soons_post(p->soons, &a->soon, fire_early);
        return;
    }
    queue_push(p, a, false);
    pump(p);
    if (!ltimer_armed(p->scan))
        ltimer_arm(p->scan, SCAN_MS);
}

void pool_close(pool_t *p)
{
    p->closing = true;
    for (unsigned i = 0; i < p->n; i++)
        pg_close(p->readers[i].pg);
    fail_queued(p, XE_CLOSED);
    soons_run(p->soons);
    XASSERT(p->live == 0);
    ltimer_free(p->scan);
    ltimer_free(p->grace);
    free(p->readers);
    free(p);
}

bool pool_up(const pool_t *p)
{
    for (unsigned i = 0; i < p->n; i++)
        if (pg_up(p->readers[i].pg))
            return true;
    return false;
}

bool pool_idle(const pool_t *p)
{
    return p->live == 0;
}

void pool_counts(const pool_t *p, unsigned *in_use, unsigned *idle, unsigned *waiting)
{
    for (unsigned i = 0; i < p->n; i++) {
        if (pg_inflight(p->readers[i].pg) > 0)
            ++*in_use;
        else if (pg_up(p->readers[i].pg))
            ++*idle;
    }
    *waiting += p->queued;
}

const pg_info_t *pool_info(const pool_t *p)
{
    for (unsigned i = 0; i < p->n; i++)
        if (pg_up(p->readers[i].pg))
            return pg_info(p->readers[i].pg);
    return pg_info(p->readers[0].pg);
}

void pool_retry_now(pool_t *p)
{
    for (unsigned i = 0; i < p->n; i++)
        pg_retry_now(p->readers[i].pg);
}

void pool_break(pool_t *p)
{
    for (unsigned i = 0; i < p->n; i++)
        pg_break(p->readers[i].pg);
}
