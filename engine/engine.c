#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core.h"
#include "engine/whirl_math.h"

#define SLOT_LAG_MAX 4096 /* about half an hour */

const char *reject_name(reject_t r)
{
    switch (r) {
#define X(id) case REJ_##id: return #id;
        REJECT_LIST(X)
#undef X
    case REJ_N: break;
    }
    return "?";
}

const char *dir_name(dir_t d) { return d == DIR_CEX_TO_DEX ? "CEX_TO_DEX" : "DEX_TO_CEX"; }

eff_t *eff_push(eff_list_t *out, eff_kind_t kind)
{
    if (out->n == EFF_MAX) out->overflow = true;
    else out->n++;
    eff_t *f = &out->e[out->n - 1];
    memset(f, 0, sizeof *f);
    f->kind = kind;
    return f;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static bool inst_sane(const eng_conf_t *c, const inst_conf_t *i)
{
    if ((unsigned)i->venue >= VENUE_N || i->pair >= (int)c->pairs_n || i->taker_bps_x100 > 1000000) return false;
    switch (i->kind) {
    case INST_SPOT: return true;
    case INST_BASIS: return i->pair < 0;
    case INST_POOL: return i->pair >= 0;
    }
    return false;
}

static bool conf_sane(const eng_conf_t *c)
{
    if (c->insts_n > ENG_INSTS_MAX || c->pairs_n > ENG_PAIRS_MAX || c->book_levels == 0) return false;
    if (c->stale_ms <= 0 || c->basis_stale_ms <= 0 || c->pool_stale_ms <= 0) return false;
    if (c->size_steps == 0 || c->size_min.raw <= 0 || c->size_max.raw < c->size_min.raw || c->network_fee.raw < 0) return false;
    for (unsigned i = 0; i < c->pairs_n; i++)
        if (c->pairs[i].base_decimals > 12 || c->pairs[i].quote_decimals > 12) return false;
    for (unsigned i = 0; i < c->insts_n; i++)
        if (!inst_sane(c, &c->insts[i])) return false;
    return true;
}

engine_t *eng_new(const eng_conf_t *c)
{
    if (!conf_sane(c)) return NULL;
    engine_t *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->conf = *c;
    bool ok = signal_init(e);
    for (unsigned i = 0; ok && i < c->insts_n; i++) {
        instr_t *in = &e->inst[i];
        in->conf = c->insts[i];
        in->why = XE_AGAIN;
        if (in->conf.kind == INST_POOL) in->pool = calloc(1, sizeof *in->pool);
        else in->book = book_new(c->book_levels);
        ok = in->pool || in->book;
    }
    if (ok) return e;
    eng_free(e);
    return NULL;
}

void eng_free(engine_t *e)
{
    if (!e) return;
    for (unsigned i = 0; i < ENG_INSTS_MAX; i++) {
        book_free(e->inst[i].book);
        free(e->inst[i].pool);
    }
    free(e->routes);
    free(e);
}

/* ---- may an instrument be used ------------------------------------------------------------------------------------ */

static int64_t stale_after_ns(const engine_t *e, inst_kind_t kind)
{
    int64_t ms = kind == INST_SPOT ? e->conf.stale_ms : kind == INST_BASIS ? e->conf.basis_stale_ms : e->conf.pool_stale_ms;
    return ms * 1000000;
}

static const whirl_array_t *array_find(const pool_t *p, int32_t start)
{
    for (unsigned i = 0; i < p->arrays_n; i++)
        if (p->arrays[i].start == start) return &p->arrays[i];
    return NULL;
}

static xerr_t pool_state(const pool_t *p)
{
    if (!p->have) return XE_AGAIN;
    if (whirl_adaptive(&p->state) && !p->have_oracle) return XE_UNSUPPORTED;
    return array_find(p, whirl_array_start(p->state.tick, p->state.tick_spacing)) ? XE_OK : XE_DEPTH;
}

/* Fit for use, apart from its age. */
static xerr_t data_state(const engine_t *e, const instr_t *in)
{
    if (e->down[in->conf.venue]) return XE_DOWN;
    if (in->pool) return pool_state(in->pool);
    if (book_good(in->book)) return XE_OK;
    return in->in_message ? XE_AGAIN : in->why;
}

static xerr_t age_state(const engine_t *e, const instr_t *in, int64_t now_ns)
{
    return in->alive_ns == 0 || now_ns - in->alive_ns > stale_after_ns(e, in->conf.kind) ? XE_STALE : XE_OK;
}

static bool known(const engine_t *e, inst_t i) { return i >= 0 && (unsigned)i < e->conf.insts_n; }

bool eng_usable(const engine_t *e, inst_t i, int64_t now_ns, xerr_t *why)
{
    xerr_t err = known(e, i) ? data_state(e, &e->inst[i]) : XE_NOT_FOUND;
    if (!err) err = age_state(e, &e->inst[i], now_ns);
    if (why) *why = err;
    return err == XE_OK;
}

int64_t eng_age_ms(const engine_t *e, inst_t i, int64_t now_ns)
{
    if (!known(e, i) || e->inst[i].alive_ns == 0) return -1;
    int64_t age = now_ns - e->inst[i].alive_ns;
    return age > 0 ? age / 1000000 : 0;
}

const eng_conf_t *eng_conf(const engine_t *e) { return &e->conf; }
const book_t *eng_book(const engine_t *e, inst_t i) { return known(e, i) ? e->inst[i].book : NULL; }

const whirl_pool_t *eng_pool(const engine_t *e, inst_t i, uint64_t *slot)
{
    if (!known(e, i) || !e->inst[i].pool || !e->inst[i].pool->have) return NULL;
    if (slot) *slot = e->inst[i].pool->slot;
    return &e->inst[i].pool->state;
}

uint64_t eng_evaluations(const engine_t *e) { return e->evaluations; }
uint64_t eng_rejected(const engine_t *e, reject_t r) { return (unsigned)r < REJ_N ? e->rejected[r] : 0; }

/* Tells once when an instrument changes between usable and not; what lives on it ends at the same moment. Inside a
 * message nothing is told, unless the venue is gone or silent for too long. */
static void review(engine_t *e, inst_t i, const ev_t *ev, eff_list_t *out)
{
    instr_t *in = &e->inst[i];
    xerr_t why;
    bool usable = eng_usable(e, i, e->now_ns, &why);
    if (!usable && in->in_message && !e->down[in->conf.venue] && !age_state(e, in, e->now_ns)) return;
    if (usable == in->told_usable) return;
    in->told_usable = usable;
    eff_t *f = eff_push(out, EFF_INST);
    f->u.inst.inst = i;
    f->u.inst.usable = usable;
    f->u.inst.why = why;
    if (!usable) signal_drop(e, i, why, ev, out);
}

static void review_all(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    for (unsigned i = 0; i < e->conf.insts_n; i++) review(e, (inst_t)i, ev, out);
}

/* A message of a venue proves that its connection lives; for pools only what names the pool itself, or the whole venue. */
static void prove_life(engine_t *e, const ev_t *ev)
{
    if (ev->recv_ns <= 0) return;
    for (unsigned i = 0; i < e->conf.insts_n; i++) {
        instr_t *in = &e->inst[i];
        if (in->conf.venue != ev->venue) continue;
        if (in->pool && ev->inst >= 0 && ev->inst != (inst_t)i) continue;
        if (ev->recv_ns > in->alive_ns) in->alive_ns = ev->recv_ns;
    }
}

/* ---- what events do ----------------------------------------------------------------------------------------------- */

static void forget(instr_t *in, xerr_t why)
{
    in->in_message = false;
    in->why = why;
    if (in->book) book_clear(in->book);
    if (in->pool) {
        in->pool->have = in->pool->have_oracle = false;
        in->pool->arrays_n = 0;
    }
}

static void on_conn(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    if ((unsigned)ev->venue >= VENUE_N) return;
    e->down[ev->venue] = !ev->u.conn.up;
    for (unsigned i = 0; i < e->conf.insts_n; i++) {
        if (e->inst[i].conf.venue != ev->venue) continue;
        if (!ev->u.conn.up) forget(&e->inst[i], XE_DOWN);
        else if (e->inst[i].why == XE_DOWN) e->inst[i].why = XE_AGAIN;
        review(e, (inst_t)i, ev, out);
    }
}

static void ask_resync(inst_t i, xerr_t why, eff_list_t *out)
{
    eff_t *f = eff_push(out, EFF_RESYNC);
    f->u.resync.inst = i;
    f->u.resync.why = why;
}

static void on_levels(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    instr_t *in = &e->inst[ev->inst];
    if (book_apply(in->book, ev->u.levels.c, ev->u.levels.n) != XE_FULL) return;
    in->why = XE_FULL;
    in->in_message = false;
    ask_resync(ev->inst, XE_FULL, out);
    review(e, ev->inst, ev, out);
}

static void on_end(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    instr_t *in = &e->inst[ev->inst];
    xerr_t err = book_end(in->book);
    in->in_message = false;
    if (err == XE_CROSSED) {
        in->why = XE_CROSSED;
        ask_resync(ev->inst, XE_CROSSED, out);
    }
    review(e, ev->inst, ev, out);
    if (!err) signal_evaluate(e, ev->inst, ev, out);
}

static void on_book(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    if (!known(e, ev->inst) || !e->inst[ev->inst].book) return;
    prove_life(e, ev);
    switch (ev->kind) {
    case EV_BOOK_BEGIN:
        e->inst[ev->inst].in_message = true;
        book_begin(e->inst[ev->inst].book, ev->u.begin.snapshot);
        break;
    case EV_BOOK_LEVELS: on_levels(e, ev, out); break;
    default: on_end(e, ev, out); break;
    }
}

static void on_bad(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    for (unsigned i = 0; i < e->conf.insts_n; i++) {
        if (ev->inst >= 0 ? ev->inst != (inst_t)i : e->inst[i].conf.venue != ev->venue) continue;
        forget(&e->inst[i], ev->u.bad.err ? ev->u.bad.err : XE_GAP);
        review(e, (inst_t)i, ev, out);
    }
}

static bool pool_sane(const whirl_pool_t *p)
{
    return p->tick_spacing > 0 && p->sqrt_price >= WHIRL_SQRT_MIN && p->sqrt_price <= WHIRL_SQRT_MAX &&
           p->tick >= WHIRL_TICK_MIN - 1 && p->tick <= WHIRL_TICK_MAX;
}

/* Time runs forwards, also over a disconnect: a node that lags behind the one before is not believed. Only after a loss
 * of state, a slot from far back means another chain (a simulator begun anew) and is taken. */
static bool slot_refused(const pool_t *p, uint64_t slot)
{
    return slot < p->slot && (p->have || p->slot - slot <= SLOT_LAG_MAX);
}

static void on_pool(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    if (!known(e, ev->inst) || !e->inst[ev->inst].pool) return;
    pool_t *p = e->inst[ev->inst].pool;
    if (!pool_sane(ev->u.pool.p) || slot_refused(p, ev->u.pool.slot)) return;
    p->state = *ev->u.pool.p;
    p->slot = ev->u.pool.slot;
    p->have = true;
    prove_life(e, ev);
    review(e, ev->inst, ev, out);
    signal_evaluate(e, ev->inst, ev, out);
}

static int64_t distance(int32_t a, int32_t b) { return a > b ? (int64_t)a - b : (int64_t)b - a; }

/* Where the array goes: its own place, a free one, or that of the array farthest from the price. */
static int place_for(const pool_t *p, const whirl_array_t *a)
{
    for (unsigned i = 0; i < p->arrays_n; i++)
        if (p->arrays[i].start == a->start) return (int)i;
    if (p->arrays_n < WHIRL_ARRAYS_MAX) return (int)p->arrays_n;
    if (!p->have) return -1;
    int32_t here = whirl_array_start(p->state.tick, p->state.tick_spacing);
    int64_t far = distance(a->start, here);
    int at = -1;
    for (unsigned i = 0; i < p->arrays_n; i++) {
        if (distance(p->arrays[i].start, here) <= far) continue;
        far = distance(p->arrays[i].start, here);
        at = (int)i;
    }
    return at;
}

static void on_array(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    if (!known(e, ev->inst) || !e->inst[ev->inst].pool) return;
    pool_t *p = e->inst[ev->inst].pool;
    const whirl_array_t *a = ev->u.array.a;
    int at = place_for(p, a);
    if (at < 0 || a->n > WHIRL_ARRAY_TICKS) return;
    bool fresh = (unsigned)at == p->arrays_n;
    if (!fresh && p->arrays[at].start == a->start && ev->u.array.slot < p->array_slot[at]) return;
    if (fresh) p->arrays_n++;
    p->arrays[at] = *a;
    p->array_slot[at] = ev->u.array.slot;
    prove_life(e, ev);
    review(e, ev->inst, ev, out);
}

static void on_oracle(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    if (!known(e, ev->inst) || !e->inst[ev->inst].pool) return;
    pool_t *p = e->inst[ev->inst].pool;
    if (p->have_oracle && ev->u.oracle.slot < p->oracle_slot) return;
    p->oracle = *ev->u.oracle.o;
    p->oracle_slot = ev->u.oracle.slot;
    p->have_oracle = true;
    prove_life(e, ev);
    review(e, ev->inst, ev, out);
}

static void on_bot(const ev_t *ev, eff_list_t *out)
{
    eff_t *f = eff_push(out, EFF_BOT);
    size_t n = strnlen(ev->u.bot.wallet, sizeof f->u.bot.wallet - 1);
    memcpy(f->u.bot.wallet, ev->u.bot.wallet, n);
    f->u.bot.enabled = ev->u.bot.enabled;
    f->u.bot.version = ev->u.bot.version;
    f->u.bot.updated_us = ev->u.bot.updated_us;
}

void eng_step(engine_t *e, const ev_t *ev, eff_list_t *out)
{
    out->n = 0;
    out->overflow = false;
    if (ev->recv_ns > e->now_ns) e->now_ns = ev->recv_ns;
    if (ev->recv_wall_us > e->wall_us) e->wall_us = ev->recv_wall_us;
    switch (ev->kind) {
    case EV_BOOT:
        e->seed = ev->u.seed;
        e->made = 0;
        break;
    case EV_CONN: on_conn(e, ev, out); break;
    case EV_ALIVE:
        prove_life(e, ev);
        review_all(e, ev, out);
        break;
    case EV_BOOK_BEGIN: case EV_BOOK_LEVELS: case EV_BOOK_END: on_book(e, ev, out); break;
    case EV_BOOK_BAD: on_bad(e, ev, out); break;
    case EV_POOL: on_pool(e, ev, out); break;
    case EV_POOL_ARRAY: on_array(e, ev, out); break;
    case EV_POOL_ORACLE: on_oracle(e, ev, out); break;
    case EV_TIMER: review_all(e, ev, out); break;
    case EV_BOT: on_bot(ev, out); break;
    case EV_KIND_N: break;
    }
}
