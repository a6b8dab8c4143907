#include "app/door.h"

#include <stdlib.h>
#include <string.h>

#include "reactor/log.h"

typedef struct {
    size_t payload; /* bytes that follow, 16-aligned */
    ev_t ev;
} rec_t;

#define LIVE_MAX (2 * ENG_PAIRS_MAX * VENUE_N * VENUE_N) /* one opportunity for each place where one can live */

/* How a living opportunity was found. */
typedef struct {
    char id[37]; /* "": free */
    int64_t source_us, recv_wall_us, detect_wall_us, recv_ns, parsed_ns, detect_ns;
} found_t;

struct door_queue {
    loop_t *loop;
    engine_t *engine;
    door_sinks_t sinks;
    char *mem;
    size_t cap, head, tail; /* linear: reset to 0 whenever the drain empties it */
    bool lost[VENUE_N];
    eff_list_t out;
    found_t live[LIVE_MAX];
    ctr_t *events[EV_KIND_N], *dropped, *overflow;
    ctr_t *opps[3];
    hist_t *step_s, *detect_s, *source_s, *net_bps;
};

static const char *const kind_labels[EV_KIND_N] = {
    [EV_BOOT] = "kind=\"boot\"",
    [EV_CONN] = "kind=\"conn\"",
    [EV_ALIVE] = "kind=\"alive\"",
    [EV_BOOK_BEGIN] = "kind=\"book_begin\"",
    [EV_BOOK_LEVELS] = "kind=\"book_levels\"",
    [EV_BOOK_END] = "kind=\"book_end\"",
    [EV_BOOK_BAD] = "kind=\"book_bad\"",
    [EV_POOL] = "kind=\"pool\"",
    [EV_POOL_ARRAY] = "kind=\"pool_array\"",
    [EV_POOL_ORACLE] = "kind=\"pool_oracle\"",
    [EV_TIMER] = "kind=\"timer\"",
    [EV_BOT] = "kind=\"bot\"",
};

static void door_metrics(door_queue_t *d, metrics_t *m)
{
    static const double bps[] = {-500, -200, -100, -50, -20, -10, 0, 5, 10, 20, 50, 100, 200, 500};
    for (int k = 0; k < EV_KIND_N; k++)
        d->events[k] = metrics_ctr(m, "xorj_engine_events_total", kind_labels[k], "events handed to the engine");
    d->dropped = metrics_ctr(m, "xorj_door_dropped_total", NULL, "events dropped because the door's queue was full");
    d->overflow = metrics_ctr(m, "xorj_engine_effects_overflow_total", NULL, "steps with more effects than the list holds");
    d->opps[OPP_OPEN] = metrics_ctr(m, "xorj_opportunities_total", "phase=\"open\"", "opportunity messages by phase");
    d->opps[OPP_UPDATE] = metrics_ctr(m, "xorj_opportunities_total", "phase=\"update\"", "opportunity messages by phase");
    d->opps[OPP_CLOSE] = metrics_ctr(m, "xorj_opportunities_total", "phase=\"close\"", "opportunity messages by phase");
    d->step_s = metrics_hist(m, "xorj_engine_drain_seconds", NULL, "one drain of the door", NULL, 0);
    d->detect_s = metrics_hist(m, "xorj_detect_receive_seconds", NULL, "last byte of the frame received to opportunity detected", NULL, 0);
    d->source_s = metrics_hist(m, "xorj_detect_source_seconds", NULL, "venue's own time to opportunity detected", NULL, 0);
    d->net_bps = metrics_hist(m, "xorj_opportunity_net_bps", NULL, "net basis points when detected", bps, sizeof bps / sizeof *bps);
}

door_queue_t *door_new(loop_t *l, metrics_t *m, engine_t *e, size_t bytes, door_sinks_t sinks)
{
    door_queue_t *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->mem = malloc(bytes);
    if (!d->mem) {
        free(d);
        return NULL;
    }
    d->loop = l;
    d->engine = e;
    d->cap = bytes;
    d->sinks = sinks;
    door_metrics(d, m);
    return d;
}

void door_free(door_queue_t *d)
{
    if (!d) return;
    free(d->mem);
    free(d);
}

/* Bytes the event points to, and where. */
static size_t payload(const ev_t *ev, const void **p)
{
    switch (ev->kind) {
    case EV_BOOK_LEVELS: *p = ev->u.levels.c; return ev->u.levels.n * sizeof(chg_t);
    case EV_POOL: *p = ev->u.pool.p; return sizeof(whirl_pool_t);
    case EV_POOL_ARRAY: *p = ev->u.array.a; return sizeof(whirl_array_t);
    case EV_POOL_ORACLE: *p = ev->u.oracle.o; return sizeof(whirl_oracle_t);
    case EV_BOT: *p = ev->u.bot.wallet; return strlen(ev->u.bot.wallet) + 1;
    case EV_BOOT: case EV_CONN: case EV_ALIVE: case EV_BOOK_BEGIN: case EV_BOOK_END: case EV_BOOK_BAD: case EV_TIMER:
    case EV_KIND_N: break;
    }
    *p = NULL;
    return 0;
}

static void repoint(ev_t *ev, const void *p)
{
    switch (ev->kind) {
    case EV_BOOK_LEVELS: ev->u.levels.c = p; break;
    case EV_POOL: ev->u.pool.p = p; break;
    case EV_POOL_ARRAY: ev->u.array.a = p; break;
    case EV_POOL_ORACLE: ev->u.oracle.o = p; break;
    case EV_BOT: ev->u.bot.wallet = p; break;
    case EV_BOOT: case EV_CONN: case EV_ALIVE: case EV_BOOK_BEGIN: case EV_BOOK_END: case EV_BOOK_BAD: case EV_TIMER:
    case EV_KIND_N: break;
    }
}

#define ALIGN16(n) (((n) + 15u) & ~(size_t)15u)

static void door_put(void *ctx, const ev_t *ev)
{
    door_queue_t *d = ctx;
    rec_t rec = {.ev = *ev};
    const void *p;
    rec.payload = payload(ev, &p);
    size_t need = ALIGN16(sizeof rec) + ALIGN16(rec.payload);
    if (d->cap - d->tail < need) {
        ctr_inc(d->dropped);
        d->lost[ev->venue] = true;
        return;
    }
    memcpy(d->mem + d->tail, &rec, sizeof rec);
    if (rec.payload) memcpy(d->mem + d->tail + ALIGN16(sizeof rec), p, rec.payload);
    d->tail += need;
    loop_wake(d->loop);
}

door_t door_of(door_queue_t *d) { return (door_t){door_put, d}; }

static found_t *find_live(door_queue_t *d, const char *id)
{
    for (unsigned i = 0; i < LIVE_MAX; i++)
        if (strcmp(d->live[i].id, id) == 0) return &d->live[i];
    return NULL;
}

static void remember(door_queue_t *d, const opp_t *o)
{
    found_t *f = find_live(d, "");
    if (!f) return;
    memcpy(f->id, o->id, sizeof f->id);
    f->source_us = o->source_us;
    f->recv_wall_us = o->recv_wall_us;
    f->detect_wall_us = o->detect_wall_us;
    f->recv_ns = o->recv_ns;
    f->parsed_ns = o->parsed_ns;
    f->detect_ns = o->detect_ns;
}

/* Later messages of an opportunity keep the stages of its detection, as its row does. */
static void recall(door_queue_t *d, opp_t *o)
{
    found_t *f = find_live(d, o->id);
    if (!f) return;
    o->source_us = f->source_us;
    o->recv_wall_us = f->recv_wall_us;
    o->detect_wall_us = f->detect_wall_us;
    o->recv_ns = f->recv_ns;
    o->parsed_ns = f->parsed_ns;
    o->detect_ns = f->detect_ns;
    if (o->phase == OPP_CLOSE) f->id[0] = '\0';
}

/* The engine has no clock: the moment of detection is stamped here, right after the step that found it. */
static void stamp(door_queue_t *d, opp_t *o)
{
    o->detect_ns = mono_ns();
    o->detect_wall_us = wall_us();
    ctr_inc(d->opps[o->phase]);
    if (o->phase != OPP_OPEN) {
        recall(d, o);
        return;
    }
    remember(d, o);
    if (o->recv_ns > 0) hist_add(d->detect_s, (double)(o->detect_ns - o->recv_ns) / 1e9);
    if (o->source_us > 0 && o->detect_wall_us > o->source_us)
        hist_add(d->source_s, (double)(o->detect_wall_us - o->source_us) / 1e6);
    hist_add(d->net_bps, (double)o->net_bps_x100 / 100.0);
}

static void apply(door_queue_t *d, eff_t *e)
{
    void *ctx = d->sinks.ctx;
    switch (e->kind) {
    case EFF_OPP:
        stamp(d, &e->u.opp);
        d->sinks.opp(ctx, &e->u.opp);
        break;
    case EFF_RESYNC: d->sinks.resync(ctx, e->u.resync.inst, e->u.resync.why); break;
    case EFF_INST: d->sinks.inst(ctx, e->u.inst.inst, e->u.inst.usable, e->u.inst.why); break;
    case EFF_BOT:
        d->sinks.bot(ctx, e->u.bot.wallet, e->u.bot.enabled, e->u.bot.version, e->u.bot.updated_us);
        break;
    }
}

static void step(door_queue_t *d, const ev_t *ev)
{
    ctr_inc(d->events[ev->kind]);
    eng_step(d->engine, ev, &d->out);
    if (d->out.overflow) {
        ctr_inc(d->overflow);
        log_error("engine", "-", "effects overflow at event kind=%d", (int)ev->kind);
    }
    for (unsigned i = 0; i < d->out.n; i++) apply(d, &d->out.e[i]);
}

static void tell_lost(door_queue_t *d)
{
    for (int v = 0; v < VENUE_N; v++) {
        if (!d->lost[v]) continue;
        d->lost[v] = false;
        log_warn("door", venue_name((venue_t)v), "queue full, books of this venue are forgotten");
        ev_t bad = {.kind = EV_BOOK_BAD, .venue = (venue_t)v, .inst = -1, .recv_ns = loop_now_ns(d->loop), .recv_wall_us = loop_wall_us(d->loop)};
        bad.u.bad.err = XE_FULL;
        step(d, &bad);
        d->sinks.lost(d->sinks.ctx, (venue_t)v);
    }
}

void door_drain(door_queue_t *d)
{
    if (d->head == d->tail) return;
    int64_t t0 = mono_ns();
    while (d->head < d->tail) {
        rec_t rec;
        memcpy(&rec, d->mem + d->head, sizeof rec);
        size_t body = d->head + ALIGN16(sizeof rec);
        repoint(&rec.ev, d->mem + body);
        d->head = body + ALIGN16(rec.payload);
        step(d, &rec.ev);
    }
    d->head = d->tail = 0;
    tell_lost(d);
    hist_add(d->step_s, (double)(mono_ns() - t0) / 1e9);
}
