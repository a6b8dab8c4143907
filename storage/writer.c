#include "storage/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/log.h"
#include "storage/pgarr.h"
#include "storage/pool.h"

#define SCAN_MS 25
#define TRIES_MAX 3       /* sendings of one request, whatever became of them */
#define LOCKS_IN_A_ROW 3  /* batches refused by locks that the probe cannot see: then one by one */
#define SLOW_WALLETS_MAX 1024
#define BATCH_TEXT_MAX (8u << 20)
#define ARRAYS 12

typedef struct wreq wreq_t;
typedef struct lane lane_t;

struct wreq {
    soon_t soon;
    wreq_t *next;           /* the list it is in: a queue, a flight */
    wreq_t *older, *newer;  /* every request that still owes an answer */
    writer_t *w;
    lane_t *lane;           /* NULL: refused at the door */
    bot_cb cb;              /* NULL: answered already */
    void *ctx;
    xerr_t early;
    int64_t due_ns, if_version;
    unsigned tries;
    bool alone, enabled, flying;
    bool single;            /* conditional or named: a statement of its own */
    uint16_t at;            /* scratch: its wallet's place in the batch */
    unsigned ord;           /* its place among the entries of the batch it flew in, from 1; 0: in none */
    char batch[37];         /* the name of that batch */
    char req[37], wallet[48], actor[64], role[16], request_id[72], ip[48];
};

typedef struct {
    wreq_t *head, *tail;
    unsigned n;
} list_t;

typedef enum { FLY_NONE, FLY_BATCH, FLY_ONES, FLY_PROBE } fly_t;

struct lane {
    writer_t *w;
    pg_t *pg;
    bool slow, refuse, kicked;
    ltimer_t *grace;
    list_t queue, replay, flight; /* replay: sent before, or to be sent one by one; ahead of the queue */
    list_t behind;  /* a batch sent while the flight is out, so that PostgreSQL need not wait for us between the two */
    list_t suspect; /* a batch refused by locks: probed once nothing is out any more */
    fly_t fly;
    unsigned locks;   /* batches refused in a row */
    unsigned ones_left;
};

typedef struct {
    char wallet[48];
    unsigned n; /* its requests in the slow lane */
} slow_wallet_t;

typedef struct {
    const char *wallet;
    bool last;
    unsigned n, seen;
    wreq_t *prev;
} group_t;

struct writer {
    loop_t *l;
    writer_conf_t c;
    soons_t *soons;
    writer_hooks_t h;
    lane_t fast, slow;
    bool closing;
    ltimer_t *scan;
    wreq_t *oldest, *newest;
    unsigned live, waiting;
    unsigned crowd;    /* as many as lately owed an answer at once; shrinks slowly, so that it follows the load down */
    unsigned landings; /* batches that came back */
    slow_wallet_t *slows;
    unsigned slows_n;
    group_t *groups;
    wreq_t **order;  /* scratch: a flight by wallet */
    uint16_t *table; /* wallet -> group + 1 */
    unsigned table_mask;
    uint64_t key[2], seed, counter;
    buf_t arr[ARRAYS];
    struct { ctr_t *batches, *rows, *moved, *resent, *timeouts, *full, *down; hist_t *size; gauge_t *waiting; } m;
};

static void kick(lane_t *n);
static void send_probe(lane_t *n);
static void on_batch(void *ctx, xerr_t err, const pg_rows_t *rows);
static void on_one(void *ctx, xerr_t err, const pg_rows_t *rows);
static void on_probe(void *ctx, xerr_t err, const pg_rows_t *rows);

/* ---- lists ---- */

static void list_push(list_t *q, wreq_t *r)
{
    r->next = NULL;
    *(q->tail ? &q->tail->next : &q->head) = r;
    q->tail = r;
    q->n++;
}

static wreq_t *list_pop(list_t *q)
{
    wreq_t *r = q->head;
    if (!r)
        return NULL;
    q->head = r->next;
    if (!q->head)
        q->tail = NULL;
    q->n--;
    return r;
}

static void list_front(list_t *q, list_t *put)
{
    if (!put->head)
        return;
    put->tail->next = q->head;
    if (!q->tail)
        q->tail = put->tail;
    q->head = put->head;
    q->n += put->n;
    *put = (list_t){0};
}

static bool list_remove(list_t *q, wreq_t *r)
{
    wreq_t *before = NULL;
    for (wreq_t *x = q->head; x; before = x, x = x->next) {
        if (x != r)
            continue;
        *(before ? &before->next : &q->head) = r->next;
        if (q->tail == r)
            q->tail = before;
        q->n--;
        return true;
    }
    return false;
}

/* ---- requests ---- */

static slow_wallet_t *slow_find(writer_t *w, const char *wallet)
{
    for (unsigned i = 0; i < w->slows_n; i++)
        if (!strcmp(w->slows[i].wallet, wallet))
            return &w->slows[i];
    return NULL;
}

static void slow_leave(writer_t *w, const char *wallet)
{
    slow_wallet_t *s = slow_find(w, wallet);
    if (s && --s->n == 0)
        *s = w->slows[--w->slows_n];
}

static lane_t *lane_of(wreq_t *r)
{
    return slow_find(r->w, r->wallet) ? &r->w->slow : &r->w->fast;
}

/* The one exit of a request: answers if nobody did, forgets it. */
static void req_end(wreq_t *r, xerr_t err, bool enabled, int64_t version, int64_t updated_us)
{
    writer_t *w = r->w;
    if (r->lane && r->lane->slow)
        slow_leave(w, r->wallet);
    *(r->older ? &r->older->newer : &w->oldest) = r->newer;
    *(r->newer ? &r->newer->older : &w->newest) = r->older;
    w->live--;
    if (r->cb) {
        bot_t b = {.exists = true, .enabled = enabled, .version = version, .updated_us = updated_us};
        snprintf(b.wallet, sizeof b.wallet, "%s", r->wallet);
        r->cb(r->ctx, err, err && err != XE_CONFLICT ? NULL : &b);
    }
    free(r);
}

static void req_fail(wreq_t *r, xerr_t err)
{
    if (err == XE_DOWN)
        ctr_inc(r->w->m.down);
    /* A conflict that is not the caller's own is ours. */
    req_end(r, err == XE_CONFLICT ? XE_INTERNAL : err, false, 0, 0);
}

static void fail_list(list_t *q, xerr_t err)
{
    wreq_t *r;
    while ((r = list_pop(q))) {
        r->w->waiting--;
        req_fail(r, err);
    }
}

static void fail_landed(list_t *f, xerr_t err)
{
    wreq_t *r;
    while ((r = list_pop(f)))
        req_fail(r, err);
}

static void to_slow(wreq_t *r)
{
    writer_t *w = r->w;
    slow_wallet_t *s = slow_find(w, r->wallet);
    if (!s) {
        s = &w->slows[w->slows_n++];
        *s = (slow_wallet_t){0};
        memcpy(s->wallet, r->wallet, sizeof s->wallet);
        ctr_inc(w->m.moved);
    }
    s->n++;
    r->lane = &w->slow;
    if (r->alone)
        list_push(&w->slow.replay, r);
    else
        list_push(&w->slow.queue, r);
    kick(&w->slow);
}

/* ---- a batch ---- */

static group_t *group_of(writer_t *w, const char *wallet, unsigned *n)
{
    unsigned i = (unsigned)siphash(w->key, wallet, strlen(wallet)) & w->table_mask;
    while (w->table[i] && strcmp(w->groups[w->table[i] - 1].wallet, wallet) != 0)
        i = (i + 1) & w->table_mask;
    if (!w->table[i]) {
        w->groups[*n] = (group_t){.wallet = wallet};
        w->table[i] = (uint16_t)++*n;
    }
    return &w->groups[w->table[i] - 1];
}

/* The flight's wallets; returns how many. */
static unsigned batch_groups(writer_t *w, const list_t *f)
{
    unsigned groups = 0;
    memset(w->table, 0, (w->table_mask + 1) * sizeof *w->table);
    for (wreq_t *r = f->head; r; r = r->next) {
        group_t *g = group_of(w, r->wallet, &groups);
        g->last = r->enabled;
        g->n++;
        r->at = (uint16_t)(g - w->groups);
    }
    return groups;
}

/* Who and where from: four arrays from the given one on. */
static void arr_who(writer_t *w, unsigned first, const wreq_t *r)
{
    if (strcmp(r->actor, r->wallet) == 0)
        pgarr_null(&w->arr[first]);
    else
        pgarr_text(&w->arr[first], r->actor);
    pgarr_text(&w->arr[first + 1], r->role);
    pgarr_text(&w->arr[first + 2], r->request_id);
    pgarr_text(&w->arr[first + 3], r->ip);
}

static void arr_open(writer_t *w, const pgarr_type_t *types, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pgarr_open(&w->arr[i], types[i]);
}

static int by_wallet(const void *a, const void *b)
{
    return strcmp((*(wreq_t *const *)a)->wallet, (*(wreq_t *const *)b)->wallet);
}

/* Puts the flight in ascending order of wallets: the order in which every batch takes its row locks. */
static void list_sort(writer_t *w, list_t *f)
{
    unsigned n = 0;
    for (wreq_t *r; (r = list_pop(f));)
        w->order[n++] = r;
    qsort(w->order, n, sizeof(wreq_t *), by_wallet);
    for (unsigned i = 0; i < n; i++)
        list_push(f, w->order[i]);
}

static void name_new(writer_t *w, char out[37])
{
    uuid7_from(loop_wall_us(w->l) / 1000, w->seed, ++w->counter, out);
}

/* The last array: the batch's name. Every request remembers where it flew. */
static void arr_name(writer_t *w, list_t *f, buf_t *arr)
{
    char name[37];
    unsigned ord = 0;
    name_new(w, name);
    pgarr_uuid(arr, name);
    for (wreq_t *r = f->head; r; r = r->next) {
        r->ord = ++ord;
        memcpy(r->batch, name, sizeof name);
    }
}

/* A batch of distinct wallets. */
static void send_update(lane_t *n, list_t *f)
{
    static const pgarr_type_t types[7] = {PGARR_TEXT, PGARR_BOOL, PGARR_TEXT, PGARR_TEXT,
                                          PGARR_TEXT, PGARR_TEXT, PGARR_UUID};
    writer_t *w = n->w;
    list_sort(w, f);
    arr_open(w, types, 7);
    for (wreq_t *r = f->head; r; r = r->next) {
        pgarr_text(&w->arr[0], r->wallet);
        pgarr_bool(&w->arr[1], r->enabled);
        arr_who(w, 2, r);
    }
    arr_name(w, f, &w->arr[6]);
    pg_send_arrays(n->pg, SQL_BOT_UPDATE, w->arr, on_batch, n);
}

/* A batch in which some wallet has several requests. */
static void send_groups(lane_t *n, list_t *f, unsigned groups)
{
    static const pgarr_type_t types[ARRAYS] = {PGARR_TEXT, PGARR_BOOL, PGARR_INT4, PGARR_TEXT, PGARR_BOOL, PGARR_BOOL,
                                           PGARR_INT4, PGARR_TEXT, PGARR_TEXT, PGARR_TEXT, PGARR_TEXT, PGARR_UUID};
    writer_t *w = n->w;
    arr_open(w, types, ARRAYS);
    for (unsigned i = 0; i < groups; i++) {
        pgarr_text(&w->arr[0], w->groups[i].wallet);
        pgarr_bool(&w->arr[1], w->groups[i].last);
        pgarr_int4(&w->arr[2], (int32_t)w->groups[i].n);
    }
    for (wreq_t *r = f->head; r; r = r->next) {
        group_t *g = &w->groups[r->at];
        pgarr_text(&w->arr[3], r->wallet);
        pgarr_bool(&w->arr[4], r->enabled);
        if (g->prev)
            pgarr_bool(&w->arr[5], g->prev->enabled);
        else
            pgarr_null(&w->arr[5]);
        pgarr_int4(&w->arr[6], (int32_t)(g->n - ++g->seen));
        arr_who(w, 7, r);
        g->prev = r;
    }
    arr_name(w, f, &w->arr[11]);
    pg_send_arrays(n->pg, SQL_BOT_BATCH, w->arr, on_batch, n);
}

static void send_batch(lane_t *n, list_t *f)
{
    writer_t *w = n->w;
    unsigned groups = batch_groups(w, f);
    ctr_inc(w->m.batches);
    ctr_add(w->m.rows, f->n);
    hist_add(w->m.size, f->n);
    n->fly = FLY_BATCH;
    if (groups == f->n)
        send_update(n, f);
    else
        send_groups(n, f, groups);
}

static void send_one(lane_t *n, wreq_t *r)
{
    char if_version[24], ord[12];
    snprintf(if_version, sizeof if_version, "%lld", (long long)r->if_version);
    snprintf(ord, sizeof ord, "%u", r->ord);
    if (!r->req[0])
        name_new(n->w, r->req);
    const char *params[] = {r->req,     r->ord ? r->batch : NULL, r->ord ? ord : NULL, r->wallet,     r->enabled ? "t" : "f",
                            if_version, r->actor,                 r->role,             r->request_id, r->ip};
    pg_send(n->pg, SQL_BOT_ONE, params, on_one, n);
}

static bool flight_has(const list_t *f, const char *wallet)
{
    for (const wreq_t *r = f->head; r; r = r->next)
        if (!strcmp(r->wallet, wallet))
            return true;
    return false;
}

static void board(lane_t *n, list_t *f, wreq_t *r)
{
    n->w->waiting--;
    r->flying = true;
    r->tries++;
    list_push(f, r);
}

/* One by one: the first waiting request of each wallet, so that a locked wallet costs one lock_timeout. */
static void fly_ones(lane_t *n, list_t *from, bool conditional)
{
    wreq_t *next;
    for (wreq_t *r = from->head; r && n->flight.n < n->w->c.batch_max; r = next) {
        next = r->next;
        if (conditional && (!r->single || flight_has(&n->flight, r->wallet)))
            break;
        if (n->slow && n->flight.n > 0)
            break;
        if (flight_has(&n->flight, r->wallet))
            continue;
        list_remove(from, r);
        board(n, &n->flight, r);
    }
    n->fly = FLY_ONES;
    n->ones_left = n->flight.n;
    for (wreq_t *r = n->flight.head; r; r = r->next)
        send_one(n, r);
}

static void fly_batch(lane_t *n)
{
    wreq_t *next;
    list_t *f = n->flight.head ? &n->behind : &n->flight;
    const char *only = n->slow ? n->queue.head->wallet : NULL;
    for (wreq_t *r = n->queue.head; r && f->n < n->w->c.batch_max; r = next) {
        next = r->next;
        if (only && strcmp(r->wallet, only) != 0)
            continue;
        if (r->single)
            break;
        list_remove(&n->queue, r);
        board(n, f, r);
    }
    send_batch(n, f);
}

/* Sending ahead is for when nobody else is likely to join: as many requests owe an answer as lately at the most. A batch
 * sent sooner would be a smaller one, and each costs a commit. */
static bool may_fly_behind(const lane_t *n)
{
    return n->fly == FLY_BATCH && !n->slow && !n->behind.head && !n->suspect.head && !n->replay.head && n->locks == 0 &&
           n->queue.head && !n->queue.head->single && n->w->live >= n->w->crowd;
}

/* What belongs to a wallet that moved to the slow lane after it was queued here follows it. */
static void shed(lane_t *n)
{
    if (n->slow || n->w->slows_n == 0)
        return;
    list_t *lists[] = {&n->replay, &n->queue};
    for (unsigned i = 0; i < 2; i++) {
        wreq_t *next;
        for (wreq_t *r = lists[i]->head; r; r = next) {
            next = r->next;
            if (slow_find(n->w, r->wallet)) {
                list_remove(lists[i], r);
                to_slow(r);
            }
        }
    }
}

static void send_waiting(void *ctx)
{
    lane_t *n = ctx;
    n->kicked = false;
    if (n->w->closing || !pg_up(n->pg) || (n->fly != FLY_NONE && !may_fly_behind(n)))
        return;
    shed(n);
    if (n->fly != FLY_NONE) {
        if (may_fly_behind(n))
            fly_batch(n);
    } else if (n->suspect.head) {
        send_probe(n);
    } else if (n->replay.head)
        fly_ones(n, &n->replay, false);
    else if (n->queue.head && n->queue.head->single)
        fly_ones(n, &n->queue, true);
    else if (n->queue.head)
        fly_batch(n);
    gauge_set(n->w->m.waiting, n->w->waiting);
}

/* At the end of this turn, so that all that arrived in it travels together; an idle lane still sends without delay. */
static void kick(lane_t *n)
{
    if (n->kicked || n->w->closing || (n->fly != FLY_NONE && !may_fly_behind(n)))
        return;
    n->kicked = true;
    loop_defer(n->w->l, send_waiting, n);
}

/* ---- what came back ---- */

static list_t land(lane_t *n)
{
    list_t f = n->flight;
    n->flight = n->behind;
    n->behind = (list_t){0};
    n->fly = n->flight.head ? FLY_BATCH : FLY_NONE;
    for (wreq_t *r = f.head; r; r = r->next)
        r->flying = false;
    return f;
}

/* To be sent once more, one by one; those whose caller has gone or whose tries are used up end here. */
static void again(lane_t *n, list_t *f, xerr_t err)
{
    list_t keep = {0};
    wreq_t *r;
    while ((r = list_pop(f))) {
        if (!r->cb || r->tries >= TRIES_MAX || (err == XE_CLOSED && r->tries >= 2 && r->alone)) {
            req_fail(r, err == XE_CLOSED ? XE_DOWN : err);
            continue;
        }
        if (err == XE_CLOSED)
            ctr_inc(n->w->m.resent);
        r->alone = true;
        n->w->waiting++;
        list_push(&keep, r);
    }
    list_front(&n->replay, &keep);
}

/* One row: the time, and the versions in the order in which the requests were sent. */
static void batch_done(list_t *f, const pg_rows_t *rows)
{
    const char *p = "";
    int64_t us = 0;
    wreq_t *r;
    if (pg_rows_n(rows) == 1) {
        us = pg_i64(rows, 0, 0);
        p = pg_text(rows, 0, 1).p;
    }
    while ((r = list_pop(f))) {
        char *end;
        long long v = *p ? strtoll(p + 1, &end, 10) : 0;
        if (v < 1) {
            req_fail(r, XE_INTERNAL);
            continue;
        }
        p = end;
        req_end(r, XE_OK, r->enabled, v, us);
    }
}

/* Which of the suspects' rows are locked? */
static void send_probe(lane_t *n)
{
    unsigned groups = 0;
    writer_t *w = n->w;
    n->flight = n->suspect;
    n->suspect = (list_t){0};
    n->fly = FLY_PROBE;
    memset(w->table, 0, (w->table_mask + 1) * sizeof *w->table);
    for (wreq_t *r = n->flight.head; r; r = r->next)
        group_of(w, r->wallet, &groups);
    pgarr_open(&w->arr[0], PGARR_TEXT);
    for (unsigned i = 0; i < groups; i++)
        pgarr_text(&w->arr[0], w->groups[i].wallet);
    pg_send_arrays(n->pg, SQL_BOT_PROBE, w->arr, on_probe, n);
}

/* Refused by a lock: nothing of it was kept. The first such batch waits for the probe, one behind it goes back in line. */
static void locked_out(lane_t *n, list_t *f)
{
    wreq_t *r;
    list_t back = {0};
    if (!n->suspect.head) {
        for (r = f->head; r; r = r->next)
            r->flying = true;
        n->suspect = *f;
        return;
    }
    while ((r = list_pop(f))) {
        if (!r->cb) {
            req_fail(r, XE_TIMEOUT);
            continue;
        }
        r->tries--;
        n->w->waiting++;
        list_push(&back, r);
    }
    list_front(&n->queue, &back);
}

static void on_batch(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    lane_t *n = ctx;
    writer_t *w = n->w;
    list_t f = land(n);
    if (++w->landings % 64 == 0)
        w->crowd -= (w->crowd + 63) / 64;
    if (w->closing) {
        fail_landed(&f, err == XE_OK ? XE_INTERNAL : XE_CLOSED);
        return;
    }
    if (err == XE_OK) {
        n->locks = 0;
        send_waiting(n); /* PostgreSQL works on the next batch while this one is answered */
        batch_done(&f, rows);
    } else if (err == XE_DOWN || (err == XE_TIMEOUT && n->slow)) {
        fail_landed(&f, err);
    } else if (err == XE_TIMEOUT && (n->suspect.head || ++n->locks < LOCKS_IN_A_ROW) && pg_up(n->pg)) {
        locked_out(n, &f);
    } else {
        n->locks = 0;
        again(n, &f, err);
    }
    kick(n);
}

static bool probe_locked(const pg_rows_t *rows, const char *wallet)
{
    for (unsigned i = 0; i < pg_rows_n(rows); i++)
        if (span_is(pg_text(rows, i, 0), wallet))
            return pg_bool(rows, i, 1);
    return false;
}

static void on_probe(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    lane_t *n = ctx;
    list_t f = land(n), rest = {0};
    wreq_t *r;
    while ((r = list_pop(&f))) {
        n->w->waiting++;
        r->tries--; /* that batch is known to have left nothing */
        if (!r->cb) {
            n->w->waiting--;
            req_fail(r, XE_TIMEOUT);
        } else if (n->w->closing) {
            n->w->waiting--;
            req_fail(r, XE_CLOSED);
        } else if (err == XE_OK && n->w->slows_n < SLOW_WALLETS_MAX && probe_locked(rows, r->wallet)) {
            to_slow(r);
        } else {
            list_push(&rest, r);
        }
    }
    list_front(&n->queue, &rest);
    if (!n->w->closing)
        kick(n);
}

static void one_failed(lane_t *n, wreq_t *r, xerr_t err)
{
    writer_t *w = n->w;
    if (w->closing) {
        req_fail(r, XE_CLOSED);
        return;
    }
    if (err == XE_TIMEOUT && !n->slow && r->cb && (slow_find(w, r->wallet) || w->slows_n < SLOW_WALLETS_MAX)) {
        w->waiting++;
        r->tries--;
        r->alone = true;
        to_slow(r);
        return;
    }
    list_t f = {0};
    list_push(&f, r);
    if (err == XE_CLOSED || err == XE_CONFLICT)
        again(n, &f, err);
    else
        req_fail(r, err);
}

/* Answers of one link come in the order of its commands: this one is the head of the flight. */
static void on_one(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    lane_t *n = ctx;
    wreq_t *r = list_pop(&n->flight);
    r->flying = false;
    if (--n->ones_left == 0)
        n->fly = FLY_NONE;
    if (err)
        one_failed(n, r, err);
    else
        req_end(r, pg_i64(rows, 0, 0) == 0 ? XE_OK : XE_CONFLICT, pg_bool(rows, 0, 1), pg_i64(rows, 0, 2), pg_i64(rows, 0, 3));
    if (n->fly == FLY_NONE)
        kick(n);
}

/* ---- time and links ---- */

static void on_grace(void *ctx)
{
    lane_t *n = ctx;
    n->refuse = true;
    fail_landed(&n->suspect, XE_DOWN);
    fail_list(&n->replay, XE_DOWN);
    fail_list(&n->queue, XE_DOWN);
}

static void on_up(void *ctx)
{
    lane_t *n = ctx;
    n->refuse = false;
    ltimer_stop(n->grace);
    n->w->h.up(n->w->h.ctx);
    kick(n);
}

static void on_down(void *ctx, bool silent)
{
    lane_t *n = ctx;
    if (n->w->closing)
        return;
    if (!n->refuse && !ltimer_armed(n->grace))
        ltimer_arm(n->grace, DOWN_GRACE_MS);
    n->w->h.down(n->w->h.ctx, silent);
}

static void on_scan(void *ctx)
{
    writer_t *w = ctx;
    int64_t now = loop_now_ns(w->l);
    wreq_t *r = w->oldest;
    while (r && r->due_ns <= now) {
        wreq_t *next = r->newer;
        if (r->cb && !r->early) {
            ctr_inc(w->m.timeouts);
            if (r->flying) {
                bot_cb cb = r->cb;
                r->cb = NULL;
                cb(r->ctx, XE_TIMEOUT, NULL);
            } else if (list_remove(&r->lane->queue, r) || list_remove(&r->lane->replay, r)) {
                w->waiting--;
                req_fail(r, XE_TIMEOUT);
            }
        }
        r = next;
    }
    if (w->live > 0)
        ltimer_arm(w->scan, SCAN_MS);
}

static void fire_early(soon_t *s)
{
    wreq_t *r = (wreq_t *)s;
    req_fail(r, r->w->closing ? XE_CLOSED : r->early);
}

static void text_copy(char *out, size_t cap, const char *s)
{
    snprintf(out, cap, "%s", s ? s : "");
    bool utf8 = utf8_valid(span_of(out)); /* a cut character at worst */
    for (char *c = out; *c; c++)          /* a line per column: see audit_text() */
        if ((unsigned char)*c < 0x20 || (!utf8 && (unsigned char)*c >= 0x80))
            *c = '?';
}

void writer_set(writer_t *w, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx)
{
    wreq_t *r = calloc(1, sizeof *r);
    XASSERT(r && wallet.n > 0 && wallet.n < sizeof r->wallet);
    r->w = w;
    r->cb = cb;
    r->ctx = ctx;
    r->enabled = enabled;
    r->if_version = if_version < 0 ? -1 : if_version;
    r->single = if_version >= 0 || who->name;
    if (who->name)
        snprintf(r->req, sizeof r->req, "%s", who->name);
    r->due_ns = loop_now_ns(w->l) + (int64_t)w->c.deadline_ms * 1000000;
    memcpy(r->wallet, wallet.p, wallet.n);
    text_copy(r->actor, sizeof r->actor, who->actor);
    text_copy(r->role, sizeof r->role, who->role);
    text_copy(r->request_id, sizeof r->request_id, who->request_id);
    text_copy(r->ip, sizeof r->ip, who->source_ip);
    r->older = w->newest;
    *(w->newest ? &w->newest->newer : &w->oldest) = r;
    w->newest = r;
    if (++w->live > w->crowd)
        w->crowd = w->live;
    lane_t *n = lane_of(r);
    if (n->refuse || w->waiting >= w->c.queue_max) {
        r->early = n->refuse ? XE_DOWN : XE_FULL;
        if (!n->refuse)
            ctr_inc(w->m.full);
        soons_post(w->soons, &r->soon, fire_early);
        return;
    }
    w->waiting++;
    r->lane = n;
    if (n->slow)
        to_slow(r);
    else
        list_push(&n->queue, r);
    if (!ltimer_armed(w->scan))
        ltimer_arm(w->scan, SCAN_MS);
    kick(n);
}

/* ---- life ---- */

static void lane_open(writer_t *w, lane_t *n, const pg_conf_t *c, bool slow, pg_metrics_t *pm)
{
    n->w = w;
    n->slow = slow;
    n->grace = ltimer_new(w->l, on_grace, n);
    ltimer_arm(n->grace, DOWN_GRACE_MS);
    n->pg = pg_open(w->l, c, pm, (pg_hooks_t){on_up, on_down, n});
}

static void writer_metrics(writer_t *w, metrics_t *m)
{
    static const double sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};
    w->m.batches = metrics_ctr(m, "xorj_db_batches_total", NULL, "Group commits of bot changes sent");
    w->m.rows = metrics_ctr(m, "xorj_db_batch_requests_total", NULL, "Bot changes sent in group commits");
    w->m.size = metrics_hist(m, "xorj_db_batch_size", NULL, "Bot changes per group commit", sizes, sizeof sizes / sizeof *sizes);
    w->m.moved = metrics_ctr(m, "xorj_db_slow_lane_total", NULL, "Wallets moved to the slow lane because their row was locked");
    w->m.resent = metrics_ctr(m, "xorj_db_resent_total", NULL, "Bot changes sent again after a lost connection");
    w->m.timeouts = metrics_ctr(m, "xorj_db_write_timeouts_total", NULL, "Bot changes answered at their deadline");
    w->m.full = metrics_ctr(m, "xorj_db_write_full_total", NULL, "Bot changes refused because the queue was full");
    w->m.down = metrics_ctr(m, "xorj_db_write_down_total", NULL, "Bot changes refused because PostgreSQL was away");
    w->m.waiting = metrics_gauge(m, "xorj_db_write_waiting", NULL, "Bot changes waiting for the writer");
}

writer_t *writer_open(loop_t *l, const writer_conf_t *c, metrics_t *m, pg_metrics_t *pm, soons_t *soons, writer_hooks_t h)
{
    writer_t *w = calloc(1, sizeof *w);
    XASSERT(w);
    w->l = l;
    w->c = *c;
    w->soons = soons;
    w->h = h;
    writer_metrics(w, m);
    random_bytes(w->key, sizeof w->key);
    random_bytes(&w->seed, sizeof w->seed);
    w->slows = calloc(SLOW_WALLETS_MAX, sizeof *w->slows);
    w->groups = calloc(c->batch_max, sizeof *w->groups);
    w->order = calloc(c->batch_max, sizeof(wreq_t *));
    unsigned cap = 16;
    while (cap < 2 * c->batch_max)
        cap *= 2;
    w->table_mask = cap - 1;
    w->table = calloc(cap, sizeof *w->table);
    XASSERT(w->slows && w->groups && w->order && w->table);
    for (unsigned i = 0; i < ARRAYS; i++)
        buf_init(&w->arr[i], BATCH_TEXT_MAX);
    w->scan = ltimer_new(l, on_scan, w);
    lane_open(w, &w->fast, &c->fast, false, pm);
    lane_open(w, &w->slow, &c->slow, true, pm);
    return w;
}

static void lane_close(lane_t *n)
{
    pg_close(n->pg);
    fail_landed(&n->suspect, XE_CLOSED);
    fail_list(&n->replay, XE_CLOSED);
    fail_list(&n->queue, XE_CLOSED);
    ltimer_free(n->grace);
}

static void writer_free(void *obj)
{
    writer_t *w = obj;
    for (unsigned i = 0; i < ARRAYS; i++)
        buf_fini(&w->arr[i]);
    free(w->slows);
    free(w->groups);
    free(w->order);
    free(w->table);
    free(w);
}

void writer_close(writer_t *w)
{
    w->closing = true;
    lane_close(&w->fast);
    lane_close(&w->slow);
    soons_run(w->soons);
    XASSERT(w->live == 0);
    ltimer_free(w->scan);
    loop_defer(w->l, writer_free, w); /* behind a kick of this turn */
}

bool writer_up(const writer_t *w)
{
    return pg_up(w->fast.pg);
}

bool writer_idle(const writer_t *w)
{
    return w->live == 0;
}

static void lane_count(const lane_t *n, unsigned *in_use, unsigned *idle)
{
    if (pg_inflight(n->pg) > 0)
        ++*in_use;
    else if (pg_up(n->pg))
        ++*idle;
}

void writer_counts(const writer_t *w, unsigned *in_use, unsigned *idle, unsigned *waiting)
{
    lane_count(&w->fast, in_use, idle);
    lane_count(&w->slow, in_use, idle);
    *waiting += w->waiting;
}

const pg_info_t *writer_info(const writer_t *w)
{
    return pg_info(w->fast.pg);
}

void writer_retry_now(writer_t *w)
{
    pg_retry_now(w->fast.pg);
    pg_retry_now(w->slow.pg);
}

void writer_break(writer_t *w)
{
    pg_break(w->fast.pg);
    pg_break(w->slow.pg);
}
