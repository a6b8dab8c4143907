#include "connectors/venue.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { K_OBJ, K_ROWS, K_OBJS, K_SKIP };

#define SKIP_BYTES 16384
#define ROWS_PER_LOOK 32

const venue_ops_t *const venue_protocols[] = {&venue_coinbase,  &venue_coinbase_exchange, &venue_gemini, &venue_gemini_v2,
                                              &venue_bitstamp, &venue_bitstamp_diff,     NULL};

const venue_ops_t *venue_by_protocol(const char *protocol)
{
    for (const venue_ops_t *const *o = venue_protocols; *o; o++)
        if (strcmp((*o)->protocol, protocol) == 0) return *o;
    return NULL;
}

struct vp_kept {
    vp_kept_t *next;
    unsigned market;
    int64_t recv_ns, recv_wall_us;
    size_t n;
    char text[];
};

static void drop_kept(vp_t *p, int market) /* -1: of all */
{
    vp_kept_t **at = &p->kept, *k;
    while ((k = *at) != NULL) {
        if (market >= 0 && k->market != (unsigned)market) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        p->kept_bytes -= k->n;
        if (k->market < p->mkts_n) p->mkts[k->market].kept_n--;
        free(k);
    }
    p->kept_tail = at;
    if (market < 0 || p->replay == market) p->replay = -1;
}

bool vp_keep(vp_t *p, unsigned market)
{
    vmkt_t *m = &p->mkts[market];
    size_t n = p->text.n;
    vp_kept_t *k = NULL;
    if (m->kept_n < VP_KEPT_MAX && p->kept_bytes + n <= VP_KEPT_BYTES) k = malloc(sizeof *k + n);
    if (!k) {
        drop_kept(p, (int)market);
        return false;
    }
    *k = (vp_kept_t){.market = market, .recv_ns = p->recv_ns, .recv_wall_us = p->recv_wall_us, .n = n};
    memcpy(k->text, p->text.p, n);
    *p->kept_tail = k;
    p->kept_tail = &k->next;
    p->kept_bytes += n;
    m->kept_n++;
    return true;
}

void vp_play_kept(vp_t *p, unsigned market) { p->replay = (int)market; }

vp_t *vp_new(const venue_ops_t *ops, door_t door, int64_t (*clock)(void))
{
    vp_t *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->ops = ops;
    p->door = door;
    p->clock = clock;
    p->st = calloc(1, ops->state_size ? ops->state_size : 1);
    if (!p->st) {
        free(p);
        return NULL;
    }
    p->kept_tail = &p->kept;
    p->replay = -1;
    vp_reset(p);
    return p;
}

void vp_free(vp_t *p)
{
    if (!p) return;
    drop_kept(p, -1);
    free(p->replayed);
    free(p->mkts);
    free(p->st);
    free(p);
}

static bool same_name(const vp_t *p, const char *name, span_t text)
{
    size_t n = strlen(name);
    if (n != text.n) return false;
    return p->ops->fold_case ? strncasecmp(name, text.p, n) == 0 : memcmp(name, text.p, n) == 0;
}

static int find_wire(const vp_t *p, span_t wire)
{
    for (unsigned i = 0; i < p->mkts_n; i++)
        if (same_name(p, p->mkts[i].wire, wire)) return (int)i;
    return -1;
}

static bool grow_markets(vp_t *p)
{
    if (p->mkts_n < p->mkts_cap) return true;
    unsigned cap = p->mkts_cap ? p->mkts_cap * 2 : 8;
    if (cap > VP_MARKETS_MAX) return false;
    vmkt_t *more = realloc(p->mkts, cap * sizeof *more);
    if (!more) return false;
    p->mkts = more;
    p->mkts_cap = cap;
    return true;
}

xerr_t vp_market_add(vp_t *p, const char *asked, inst_t inst)
{
    if (strlen(asked) >= VP_NAME_MAX) return XE_RANGE;
    if (p->ops->markets_max && !p->adopt && p->mkts_n >= p->ops->markets_max) return XE_FULL;
    for (unsigned i = 0; i < p->mkts_n; i++)
        if (same_name(p, p->mkts[i].asked, span_of(asked))) return XE_CONFLICT;
    if (!grow_markets(p)) return XE_FULL;
    vmkt_t m = {.inst = inst, .twin = -1};
    memcpy(m.asked, asked, strlen(asked) + 1);
    memcpy(m.wire, m.asked, sizeof m.wire);
    if (!p->adopt && p->ops->wire_name) p->ops->wire_name(asked, m.wire);
    int same = find_wire(p, span_of(m.wire));
    if (same >= 0) {
        m.twin = p->mkts[same].twin;
        p->mkts[same].twin = (int)p->mkts_n;
    }
    p->mkts[p->mkts_n++] = m;
    return XE_OK;
}

int vp_market(vp_t *p, span_t wire)
{
    if (p->hint < p->mkts_n && same_name(p, p->mkts[p->hint].wire, wire)) return (int)p->hint;
    int i = find_wire(p, wire);
    if (i < 0 && p->adopt && wire.n > 0 && wire.n < VP_NAME_MAX) {
        char name[VP_NAME_MAX] = {0};
        memcpy(name, wire.p, wire.n);
        if (strlen(name) == wire.n && vp_market_add(p, name, (inst_t)p->mkts_n) == XE_OK) i = (int)p->mkts_n - 1;
    }
    if (i >= 0) p->hint = (unsigned)i;
    return i;
}

static ev_t stamped(const vp_t *p, ev_kind_t kind, inst_t inst)
{
    return (ev_t){.kind = kind, .venue = p->ops->venue, .inst = inst, .recv_ns = p->recv_ns,
                  .recv_wall_us = p->recv_wall_us, .source_us = p->source_us, .parsed_ns = p->recv_ns};
}

/* An alias shares the data: every row of the chain gets the event. */
static void post(vp_t *p, unsigned market, ev_t *ev)
{
    for (int i = (int)market; i >= 0; i = p->mkts[i].twin) {
        ev->inst = p->mkts[i].inst;
        door_post(&p->door, ev);
    }
}

static void flush(vp_t *p)
{
    uint32_t n = p->chunk_n;
    p->chunk_n = 0;
    if (n == 0 || !p->mkts[p->cur].open) return;
    ev_t ev = stamped(p, EV_BOOK_LEVELS, -1);
    ev.parsed_ns = p->clock();
    ev.u.levels.c = p->chunk;
    ev.u.levels.n = n;
    post(p, p->cur, &ev);
    p->stats.levels += n;
}

static void close_message(vp_t *p, unsigned market)
{
    vmkt_t *m = &p->mkts[market];
    ev_t ev = stamped(p, EV_BOOK_END, -1);
    ev.parsed_ns = p->clock();
    m->open = false;
    if (m->open_snapshot) m->synced = true;
    post(p, market, &ev);
}

void vp_book_begin(vp_t *p, unsigned market, bool snapshot)
{
    vmkt_t *m = &p->mkts[market];
    flush(p);
    p->cur = market;
    if (m->open && !snapshot) return;
    if (m->open) close_message(p, market);
    m->open = true;
    m->open_snapshot = snapshot;
    ev_t ev = stamped(p, EV_BOOK_BEGIN, -1);
    ev.u.begin.snapshot = snapshot;
    post(p, market, &ev);
}

bool vp_level(vp_t *p, side_t side, span_t px, span_t qty)
{
    chg_t *c = &p->chunk[p->chunk_n];
    xerr_t e = dec_parse(px, &c->lv.px.raw);
    if (e == XE_BAD_INPUT) return false;
    xerr_t q = dec_parse(qty, &c->lv.qty.raw);
    if (q == XE_BAD_INPUT) return false;
    if (e || q) p->stats.refused_levels++;
    if (e) return true;
    /* A size that cannot be held takes the level away: too little on offer is safe, a stale size is not. */
    if (q) c->lv.qty.raw = 0;
    c->side = (uint8_t)side;
    if (++p->chunk_n == EV_LEVELS_MAX) flush(p);
    return true;
}

void vp_market_bad(vp_t *p, unsigned market, xerr_t why)
{
    vmkt_t *m = &p->mkts[market];
    if (p->cur == market) p->chunk_n = 0;
    m->open = false;
    m->synced = false;
    ev_t ev = stamped(p, EV_BOOK_BAD, -1);
    ev.parsed_ns = p->clock();
    ev.u.bad.err = why;
    post(p, market, &ev);
}

void vp_all_bad(vp_t *p, xerr_t why)
{
    p->chunk_n = 0;
    for (unsigned i = 0; i < p->mkts_n; i++)
        if (p->mkts[i].synced || p->mkts[i].open) vp_market_bad(p, i, why);
}

void vp_market_forget(vp_t *p, unsigned market)
{
    vmkt_t *m = &p->mkts[market];
    drop_kept(p, (int)market);
    m->synced = m->open = m->unsubscribed = m->want_seed = m->keeping = false;
    m->why = XE_OK;
    m->last = m->mark = 0;
}

void vp_reset(vp_t *p)
{
    for (unsigned i = 0; i < p->mkts_n; i++) vp_market_forget(p, i);
    free(p->replayed);
    p->replayed = NULL;
    memset(p->st, 0, p->ops->state_size);
    p->reconnect = XE_OK;
    p->note[0] = 0;
    p->busy = false;
    p->chunk_n = 0;
    p->venue_clock_us = 0;
    if (p->ops->reset) p->ops->reset(p);
}

void vp_want_reconnect(vp_t *p, xerr_t why)
{
    if (!p->reconnect) p->reconnect = why;
}

void vp_note(vp_t *p, span_t text)
{
    size_t n = text.n < sizeof p->note - 1 ? text.n : sizeof p->note - 1;
    if (n) memcpy(p->note, text.p, n);
    p->note[n] = 0;
}

void vp_venue_clock(vp_t *p, int64_t unix_us) { p->venue_clock_us = unix_us; }

bool vp_once(vp_t *p, uint32_t *seen, uint32_t bit)
{
    if (*seen & bit) return scan_fail(&p->s, XE_BAD_INPUT);
    *seen |= bit;
    return true;
}

static void take_up(vp_t *p, span_t text, int64_t recv_ns, int64_t recv_wall_us)
{
    scan_init(&p->s, text);
    p->text = text;
    p->recv_ns = recv_ns;
    p->recv_wall_us = recv_wall_us;
    p->source_us = 0;
    p->ticks = 0;
    p->depth = 0;
    p->busy = true;
    if (p->ops->frame) p->ops->frame(p);
}

void vp_frame(vp_t *p, span_t text, int64_t recv_ns, int64_t recv_wall_us)
{
    take_up(p, text, recv_ns, recv_wall_us);
    p->stats.messages++;
}

/* The next kept frame of the market whose seed was just read. */
static bool next_kept(vp_t *p)
{
    vp_kept_t **at = &p->kept, *k;
    free(p->replayed);
    p->replayed = NULL;
    if (p->replay < 0) return false;
    while (*at && (*at)->market != (unsigned)p->replay) at = &(*at)->next;
    k = *at;
    if (!k) {
        p->replay = -1;
        return false;
    }
    *at = k->next;
    if (!k->next) p->kept_tail = at;
    p->kept_bytes -= k->n;
    p->mkts[k->market].kept_n--;
    p->replayed = k;
    take_up(p, span_make(k->text, k->n), k->recv_ns, k->recv_wall_us);
    return true;
}

static bool push(vp_t *p, uint8_t kind, const vp_walk_t *walk, const char *back)
{
    if (p->depth == VP_WALK_MAX) return scan_fail(&p->s, XE_TOO_BIG);
    p->walk[p->depth++] = (vp_level_t){.kind = kind, .first = true, .walk = walk, .back = back};
    return true;
}

/* Starts on the value under the cursor what the handler asked for. */
static bool act(vp_t *p, vp_act_t a, const char *back)
{
    switch (a) {
    case VA_TAKEN:
        return !p->s.err;
    case VA_SKIP:
        scan_skip_begin(&p->s);
        return push(p, K_SKIP, NULL, back);
    case VA_ROWS:
        return scan_take(&p->s, '[') && push(p, K_ROWS, NULL, back);
    case VA_OBJS:
        return scan_take(&p->s, '[') && push(p, K_OBJS, p->child, back);
    case VA_OBJ:
        return scan_take(&p->s, '{') && push(p, K_OBJ, p->child, back);
    case VA_BAD:
        break;
    }
    return scan_fail(&p->s, XE_BAD_INPUT);
}

static void pop(vp_t *p)
{
    const char *back = p->walk[--p->depth].back;
    if (back) p->s.p = back;
}

static bool step_obj(vp_t *p, vp_level_t *l)
{
    span_t key;
    if (!l->ended && scan_more(&p->s, '}', &l->first)) {
        if (!scan_key(&p->s, &key)) return false;
        scan_peek(&p->s);
        return act(p, l->walk->member(p, key), NULL);
    }
    if (p->s.err) return false;
    l->ended = true;
    const char *here = p->s.p;
    vp_act_t a = l->walk->end(p);
    if (a == VA_TAKEN) {
        pop(p);
        return !p->s.err;
    }
    p->s.p = p->jump;
    return act(p, a, here);
}

static bool step_rows(vp_t *p, vp_level_t *l)
{
    for (unsigned i = 0; i < ROWS_PER_LOOK; i++) {
        if (!scan_more(&p->s, ']', &l->first)) {
            if (p->s.err) return false;
            pop(p);
            return true;
        }
        if (!p->row(p)) return scan_fail(&p->s, XE_BAD_INPUT);
    }
    return true;
}

static bool step_objs(vp_t *p, vp_level_t *l)
{
    if (scan_more(&p->s, ']', &l->first)) return scan_take(&p->s, '{') && push(p, K_OBJ, l->walk, NULL);
    if (!p->s.err) pop(p);
    return !p->s.err;
}

static bool step(vp_t *p)
{
    vp_level_t *l = &p->walk[p->depth - 1];
    scan_rc_t rc;
    switch (l->kind) {
    case K_OBJ: return step_obj(p, l);
    case K_ROWS: return step_rows(p, l);
    case K_OBJS: return step_objs(p, l);
    default:
        rc = scan_skip_run(&p->s, SKIP_BYTES);
        if (rc == SCAN_DONE) pop(p);
        return rc != SCAN_BAD;
    }
}

static vp_rc_t garbled(vp_t *p)
{
    p->busy = false;
    p->stats.garbled++;
    vp_all_bad(p, XE_BAD_INPUT);
    vp_want_reconnect(p, XE_BAD_INPUT);
    return VP_BAD;
}

static vp_rc_t finish(vp_t *p)
{
    if (!scan_done(&p->s)) return garbled(p);
    flush(p);
    for (unsigned i = 0; i < p->mkts_n; i++)
        if (p->mkts[i].open) close_message(p, i);
    p->busy = false;
    if (p->ops->done) p->ops->done(p);
    return VP_DONE;
}

static vp_rc_t run_frame(vp_t *p, int64_t until)
{
    bool budget_ns = until != INT64_MAX;
    if (p->ticks++ == 0 && !(scan_take(&p->s, '{') && push(p, K_OBJ, p->ops->top, NULL))) return garbled(p);
    unsigned n = 0;
    uint64_t enough = p->stats.levels + VP_RUN_LEVELS;
    while (p->depth) {
        if (!step(p)) return garbled(p);
        uint8_t kind = p->depth ? p->walk[p->depth - 1].kind : K_OBJ;
        bool look = kind == K_ROWS || kind == K_SKIP || ++n % 16 == 0;
        if (look && budget_ns && p->depth && (p->stats.levels >= enough || p->clock() >= until)) return VP_MORE;
    }
    return finish(p);
}

vp_rc_t vp_run(vp_t *p, int64_t budget_ns)
{
    XASSERT(p->busy);
    int64_t until = budget_ns ? p->clock() + budget_ns : INT64_MAX;
    for (;;) {
        vp_rc_t rc = run_frame(p, until);
        if (rc != VP_DONE || !next_kept(p)) return rc;
        if (budget_ns && p->clock() >= until) return VP_MORE;
    }
}
