/* A fence is one NOTIFY that every listener acknowledges once it has applied what came before it: notifications arrive in
 * the order of their commits. All who settle while one is out share the next. Messages on the channel: "f ID" fence,
 * "a ID PID" acknowledgement, else a letter of BUS_LIST and its key. */
#include "storage/bus_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "reactor/log.h"
#include "storage/pgarr.h"

enum {
    BEAT_MS = BUS_LEASE_MS / 10,
    SETTLE_MS = BUS_LEASE_MS + 50, /* clocks of two machines drift less than that in a lease */
    FNS_MAX = 4,
    MEMBERS_MAX = 64,              /* more: whoever settles waits for the lease to pass */
    POSTS_MAX = 4096
};

typedef struct waiter {
    struct waiter *next;
    void (*cb)(void *ctx);
    void *ctx;
    int64_t at_ns;
} waiter_t;

typedef struct { waiter_t *head, *tail; } queue_t;

/* since: when its connection last did something, as PostgreSQL says. */
typedef struct { int pid; int64_t since; } member_t;

typedef struct {
    bool out, known; /* known: members is set */
    char id[17];
    int64_t sent_ns, known_ns;
    unsigned members_n, acks_n;
    member_t members[MEMBERS_MAX];
    int acks[MEMBERS_MAX];
} fence_t;

struct bus {
    loop_t *l;
    bus_hooks_t h;
    pg_t *pg;
    ltimer_t *beat, *due, *posting;
    bool listening, closing, beat_out;
    int pid;
    int64_t floor_ns;  /* what was read before is not believed */
    int64_t proved_ns; /* a statement sent then was answered: what was committed before it has been told */
    int64_t beat_ns;
    unsigned others, fns_n[BUS_KINDS], posts_n;
    struct { bus_fn fn; void *ctx; } fns[BUS_KINDS][FNS_MAX];
    fence_t fence;
    unsigned silent_n;
    member_t silent[MEMBERS_MAX]; /* a lease has passed since they last did anything: not waited for until they do */
    unsigned fences_out; /* sent and not answered, overtaken ones included */
    queue_t flying, waiting;
    buf_t posts;       /* of this turn, as a binary array */
    struct { gauge_t *up, *others; ctr_t *heard, *dropped, *overdue; hist_t *settle; } m;
};

static const char letters[BUS_KINDS] = {
#define X(id, letter, doc) letter,
    BUS_LIST(X)
#undef X
};

static void start_fence(bus_t *b);

/* ---- belief ------------------------------------------------------------------------------------------------------- */

bool bus_believes(const bus_t *b, int64_t at_ns)
{
    /* The clock is read here: a process that was stopped in the middle of a turn must not go by that turn's time. */
    return b->listening && at_ns >= b->floor_ns && mono_ns() - b->proved_ns < BUS_LEASE_MS * 1000000LL;
}

unsigned bus_others(const bus_t *b) { return b->listening ? b->others : 0; }

static void proved(bus_t *b, int64_t sent_ns, int64_t members)
{
    if (sent_ns > b->proved_ns) b->proved_ns = sent_ns;
    b->others = members > 1 ? (unsigned)members - 1 : 0;
    gauge_set(b->m.others, b->others);
}

/* ---- hearing ------------------------------------------------------------------------------------------------------ */

void bus_on(bus_t *b, bus_kind_t kind, bus_fn fn, void *ctx)
{
    XASSERT(kind < BUS_KINDS && b->fns_n[kind] < FNS_MAX);
    unsigned i = b->fns_n[kind]++;
    b->fns[kind][i].fn = fn;
    b->fns[kind][i].ctx = ctx;
}

static void tell(bus_t *b, bus_kind_t kind, span_t key)
{
    for (unsigned i = 0; i < b->fns_n[kind]; i++) b->fns[kind][i].fn(b->fns[kind][i].ctx, key);
}

static void tell_all(bus_t *b)
{
    for (bus_kind_t k = 0; k < BUS_KINDS; k++) tell(b, k, span_make("", 0));
}

/* ---- settling ----------------------------------------------------------------------------------------------------- */

static void push(queue_t *q, waiter_t *w)
{
    w->next = NULL;
    *(q->tail ? &q->tail->next : &q->head) = w;
    q->tail = w;
}

static waiter_t *pop(queue_t *q)
{
    waiter_t *w = q->head;
    q->head = w->next;
    if (!q->head) q->tail = NULL;
    return w;
}

static void land(bus_t *b, waiter_t *w)
{
    waiter_t got = *w;
    free(w);
    hist_add(b->m.settle, (double)(mono_ns() - got.at_ns) * 1e-9);
    got.cb(got.ctx);
}

static int64_t due_ms(const bus_t *b)
{
    const waiter_t *w = b->flying.head ? b->flying.head : b->waiting.head;
    if (!w) return -1;
    int64_t left = SETTLE_MS - (loop_now_ns(b->l) - w->at_ns) / 1000000;
    return left > 0 ? left : 0;
}

static void arm_due(bus_t *b)
{
    int64_t ms = due_ms(b);
    if (ms < 0) ltimer_stop(b->due);
    else ltimer_arm(b->due, ms);
}

static bool has(const int *list, unsigned n, int pid)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == pid) return true;
    return false;
}

/* A process that died without a word leaves its connection behind for a while: it is waited out once, not each time. */
static void note_silent(bus_t *b)
{
    const fence_t *f = &b->fence;
    if (!f->out || !f->known || mono_ns() - f->known_ns < BUS_LEASE_MS * 1000000LL) return;
    b->silent_n = 0;
    for (unsigned i = 0; i < f->members_n; i++)
        if (f->members[i].since && f->members[i].pid != b->pid && !has(f->acks, f->acks_n, f->members[i].pid)) b->silent[b->silent_n++] = f->members[i];
}

static bool is_silent(const bus_t *b, const member_t *m)
{
    for (unsigned i = 0; i < b->silent_n; i++)
        if (b->silent[i].pid == m->pid && b->silent[i].since == m->since) return true;
    return false;
}

/* Whoever has not answered by now believes nothing it keeps. */
static void on_due(void *ctx)
{
    bus_t *b = ctx;
    if (b->flying.head && due_ms(b) == 0) note_silent(b);
    while (due_ms(b) == 0) {
        ctr_inc(b->m.overdue);
        land(b, pop(b->flying.head ? &b->flying : &b->waiting));
    }
    if (!b->flying.head) b->fence.out = false;
    start_fence(b);
    arm_due(b);
}

static void end_fence(bus_t *b)
{
    queue_t done = b->flying;
    b->flying = (queue_t){NULL, NULL};
    b->fence.out = false;
    while (done.head) land(b, pop(&done));
    start_fence(b);
    arm_due(b);
}

static void judge_fence(bus_t *b)
{
    const fence_t *f = &b->fence;
    if (!f->out || !f->known) return;
    for (unsigned i = 0; i < f->members_n; i++)
        if (f->members[i].pid != b->pid && !has(f->acks, f->acks_n, f->members[i].pid) && !is_silent(b, &f->members[i])) return;
    end_fence(b);
}

/* "pid since pid since" */
static void take_members(fence_t *f, const char *text)
{
    char *end;
    for (f->members_n = 0; *text; text = end) {
        if (f->members_n == MEMBERS_MAX) return; /* known stays false */
        member_t *m = &f->members[f->members_n++];
        m->pid = (int)strtol(text, &end, 10);
        m->since = strtoll(end, &end, 10);
    }
    f->known = true;
}

static void on_fence(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    bus_t *b = ctx;
    /* Answers come in the order of the fences: one that was overdue and given up says nothing about the one sent since. */
    if (--b->fences_out > 0 || err || !b->fence.out) return; /* a lost link is on_down's; else the waiters' time passes */
    take_members(&b->fence, pg_text(rows, 0, 0).p);
    b->fence.known_ns = mono_ns();
    proved(b, b->fence.sent_ns, b->fence.members_n);
    judge_fence(b);
}

static void start_fence(bus_t *b)
{
    fence_t *f = &b->fence;
    uint64_t id;
    char text[24];
    if (f->out || !b->listening || !pg_up(b->pg) || !b->waiting.head) return;
    random_bytes(&id, sizeof id);
    *f = (fence_t){.out = true, .sent_ns = mono_ns()};
    snprintf(f->id, sizeof f->id, "%016" PRIx64, id);
    snprintf(text, sizeof text, "f %s", f->id);
    b->flying = b->waiting;
    b->waiting = (queue_t){NULL, NULL};
    b->fences_out++;
    pg_send(b->pg, SQL_BUS_FENCE, (const char *const[]){text}, on_fence, b);
}

void bus_settle(bus_t *b, void (*cb)(void *ctx), void *ctx)
{
    waiter_t *w = malloc(sizeof *w);
    XASSERT(w);
    *w = (waiter_t){.cb = cb, .ctx = ctx, .at_ns = mono_ns()};
    push(&b->waiting, w);
    if (!b->closing) start_fence(b);
    if (!ltimer_armed(b->due)) arm_due(b);
}

/* ---- posting ------------------------------------------------------------------------------------------------------ */

static void flush_posts(void *ctx)
{
    bus_t *b = ctx;
    if (b->listening && pg_up(b->pg) && !b->posts.failed) pg_send_arrays(b->pg, SQL_BUS_POST, &b->posts, NULL, NULL);
    else for (unsigned i = 0; i < b->posts_n; i++) ctr_inc(b->m.dropped);
    b->posts_n = 0;
}

static void post(bus_t *b, const char *text)
{
    if (!b->listening || b->posts_n == POSTS_MAX) {
        ctr_inc(b->m.dropped);
        return;
    }
    if (b->posts_n++ == 0) {
        pgarr_open(&b->posts, PGARR_TEXT);
        ltimer_arm(b->posting, 0);
    }
    pgarr_text(&b->posts, text);
}

void bus_post(bus_t *b, bus_kind_t kind, span_t key)
{
    char text[BUS_KEY_MAX + 4];
    XASSERT(kind < BUS_KINDS && key.n <= BUS_KEY_MAX);
    if (b->closing) return;
    snprintf(text, sizeof text, "%c %.*s", letters[kind], (int)key.n, key.p);
    post(b, text);
}

/* ---- what the link says ------------------------------------------------------------------------------------------- */

static void on_ack(bus_t *b, span_t text)
{
    fence_t *f = &b->fence;
    if (!f->out || text.n < 18 || memcmp(text.p, f->id, 16) != 0 || f->acks_n == MEMBERS_MAX) return;
    f->acks[f->acks_n++] = (int)strtol(text.p + 17, NULL, 10);
    judge_fence(b);
}

static void send_ack(bus_t *b, span_t id)
{
    char text[40];
    snprintf(text, sizeof text, "a %.*s %d", (int)(id.n < 16 ? id.n : 16), id.p, b->pid);
    post(b, text);
}

/* payload is NUL-terminated. What our own link sent needs no hearing: fences, acknowledgements and posts. */
static void on_note(void *ctx, span_t payload, int pid)
{
    bus_t *b = ctx;
    if (b->closing || !b->listening || pid == b->pid || payload.n < 3 || payload.p[1] != ' ') return;
    span_t rest = span_make(payload.p + 2, payload.n - 2);
    ctr_inc(b->m.heard);
    if (payload.p[0] == 'f') send_ack(b, rest);
    else if (payload.p[0] == 'a') on_ack(b, rest);
    else
        for (bus_kind_t k = 0; k < BUS_KINDS; k++)
            if (letters[k] == payload.p[0]) tell(b, k, rest);
}

static void on_beat_answer(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    bus_t *b = ctx;
    b->beat_out = false;
    if (!err) proved(b, b->beat_ns, pg_i64(rows, 0, 0));
}

static void on_beat(void *ctx)
{
    bus_t *b = ctx;
    if (b->listening && pg_up(b->pg) && !b->beat_out) {
        b->beat_out = true;
        b->beat_ns = mono_ns();
        pg_send(b->pg, SQL_BUS_BEAT, NULL, on_beat_answer, b);
    }
    ltimer_arm(b->beat, BEAT_MS);
}

/* From here on others count us and we hear them: what was read before may have changed unheard. */
static void on_named(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    bus_t *b = ctx;
    if (err || b->closing) return;
    b->pid = (int)pg_i64(rows, 0, 1);
    b->listening = true;
    b->floor_ns = b->proved_ns = mono_ns();
    gauge_set(b->m.up, 1);
    tell_all(b);
    start_fence(b);
    on_beat(b);
}

static void on_listen(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    bus_t *b = ctx;
    (void)rows;
    if (!err && !b->closing) pg_send(b->pg, SQL_BUS_NAME, NULL, on_named, b);
}

static void on_up(void *ctx)
{
    bus_t *b = ctx;
    b->beat_out = false;
    pg_send(b->pg, SQL_BUS_LISTEN, NULL, on_listen, b);
    b->h.up(b->h.ctx);
}

static void on_down(void *ctx, bool silent)
{
    bus_t *b = ctx;
    b->listening = b->beat_out = false;
    b->others = 0;
    gauge_set(b->m.up, 0);
    if (b->closing) return;
    b->fence.out = false;
    if (b->flying.head) {
        b->flying.tail->next = b->waiting.head;
        if (!b->waiting.head) b->waiting.tail = b->flying.tail;
        b->waiting.head = b->flying.head;
        b->flying = (queue_t){NULL, NULL};
    }
    b->h.down(b->h.ctx, silent);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void make_metrics(bus_t *b, metrics_t *m)
{
    b->m.up = metrics_gauge(m, "xorj_bus_up", NULL, "1 while this process hears of changes made by others");
    b->m.others = metrics_gauge(m, "xorj_bus_others", NULL, "Other processes listening on this database");
    b->m.heard = metrics_ctr(m, "xorj_bus_heard_total", NULL, "Words of other connections heard");
    b->m.dropped = metrics_ctr(m, "xorj_bus_dropped_total", NULL, "Words not sent because the link was away or the queue full");
    b->m.overdue = metrics_ctr(m, "xorj_bus_overdue_total", NULL, "Changes answered after the lease because a process did not acknowledge");
    b->m.settle = metrics_hist(m, "xorj_bus_settle_seconds", NULL, "Time until every process had applied a change", NULL, 0);
}

bus_t *bus_open(loop_t *l, const pg_conf_t *link, metrics_t *m, pg_metrics_t *pm, bus_hooks_t h)
{
    bus_t *b = calloc(1, sizeof *b);
    XASSERT(b);
    b->l = l;
    b->h = h;
    make_metrics(b, m);
    buf_init(&b->posts, POSTS_MAX * (BUS_KEY_MAX + 16));
    b->beat = ltimer_new(l, on_beat, b);
    b->due = ltimer_new(l, on_due, b);
    b->posting = ltimer_new(l, flush_posts, b);
    b->pg = pg_open(l, link, pm, (pg_hooks_t){on_up, on_down, b});
    pg_on_note(b->pg, on_note);
    return b;
}

static void bus_free(void *obj)
{
    bus_t *b = obj;
    buf_fini(&b->posts);
    free(b);
}

void bus_close(bus_t *b)
{
    b->closing = true;
    b->listening = false;
    pg_close(b->pg);
    ltimer_free(b->beat);
    ltimer_free(b->posting);
    while (b->flying.head) land(b, pop(&b->flying));
    while (b->waiting.head) land(b, pop(&b->waiting));
    ltimer_free(b->due);
    loop_defer(b->l, bus_free, b);
}

bool bus_idle(const bus_t *b) { return !b->flying.head && !b->waiting.head; }
void bus_retry_now(bus_t *b) { pg_retry_now(b->pg); }
void bus_break(bus_t *b) { pg_break(b->pg); }

void bus_counts(const bus_t *b, unsigned *in_use, unsigned *idle)
{
    if (pg_inflight(b->pg) > 0) ++*in_use;
    else if (pg_up(b->pg)) ++*idle;
}
