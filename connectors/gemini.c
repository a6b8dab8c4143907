/* Gemini's current socket, stream SYMBOL@depth@100ms. Each symbol has its own chain of ids: with `last` the last id
 * applied, u <= last is old, U <= last < u follows, U > last is a gap. The first depthUpdate after a subscribe is the
 * snapshot; it carries no mark but U equals u. Resyncing one symbol: unsubscribe, wait for the answer so that nothing
 * of the old stream is taken for the snapshot, subscribe. */
#include <stdio.h>

#include "connectors/venue.h"
#include "reactor/json.h"

enum { F_E = 1, F_TIME = 2, F_S = 4, F_FIRST = 8, F_LAST = 16, F_B = 32, F_A = 64, F_ID = 128, F_STATUS = 256 };
#define F_HEAD (F_E | F_S | F_FIRST | F_LAST)

enum { PLAN_NONE, PLAN_SKIP, PLAN_APPLY };

typedef struct {
    uint32_t seen;
    span_t e, symbol, id;
    uint64_t time_ns, first, last, status;
    const char *side[2]; /* skipped for now: bids, asks */
    bool walked[2];
    uint8_t plan;
    unsigned market;
    side_t at;
} gm_t;

static void gm_frame(vp_t *p) { memset(p->st, 0, sizeof(gm_t)); }

static bool level_row(vp_t *p)
{
    scan_t *s = &p->s;
    gm_t *g = p->st;
    span_t px, qty;
    return scan_take(s, '[') && scan_str(s, &px) && scan_take(s, ',') && scan_str(s, &qty) && scan_take(s, ']') &&
           vp_level(p, g->at, px, qty);
}

/* Nobody resubscribes in a replay: there the next message that looks like a snapshot is taken for one. */
static void gap(vp_t *p, vmkt_t *m, bool alone)
{
    gm_t *g = p->st;
    p->stats.gaps++;
    vp_market_bad(p, g->market, XE_GAP);
    m->why = XE_GAP;
    if (!p->adopt) return;
    vp_market_forget(p, g->market);
    if (!alone) return;
    g->plan = PLAN_APPLY;
    vp_book_begin(p, g->market, true);
}

/* Applies the rules of the chain; opens the book when the levels are to be applied. */
static void decide(vp_t *p)
{
    gm_t *g = p->st;
    g->plan = PLAN_SKIP;
    if (g->first > g->last) {
        scan_fail(&p->s, XE_BAD_INPUT);
        return;
    }
    int i = vp_market(p, g->symbol);
    if (i < 0) {
        p->stats.unknown++;
        return;
    }
    g->market = (unsigned)i;
    vmkt_t *m = &p->mkts[i];
    bool alone = g->first == g->last, snapshot = !m->synced && !m->why && alone;
    if (m->synced && g->last <= m->last) {
        p->stats.old++;
    } else if (snapshot || (m->synced && g->first <= m->last)) {
        g->plan = PLAN_APPLY;
        vp_book_begin(p, g->market, snapshot);
    } else if (m->why || (!m->synced && p->adopt)) {
        p->stats.early++;
    } else {
        gap(p, m, alone);
    }
}

static vp_act_t rows(vp_t *p, side_t side)
{
    gm_t *g = p->st;
    if (g->plan == PLAN_NONE) decide(p);
    g->walked[side] = true;
    g->at = side;
    p->row = level_row;
    return p->s.err ? VA_BAD : g->plan == PLAN_APPLY ? VA_ROWS : VA_SKIP;
}

static vp_act_t side_member(vp_t *p, side_t side)
{
    gm_t *g = p->st;
    if (!vp_once(p, &g->seen, side == SIDE_BID ? F_B : F_A)) return VA_BAD;
    if ((g->seen & F_HEAD) == F_HEAD && span_is(g->e, "depthUpdate")) return rows(p, side);
    g->side[side] = p->s.p;
    return VA_SKIP;
}

/* `id` of a reply is a string or a number, as it was sent. */
static bool take_id(vp_t *p)
{
    gm_t *g = p->st;
    if (scan_peek(&p->s) == '"') return scan_str(&p->s, &g->id);
    const char *from = p->s.p;
    bool ok = scan_skip(&p->s, SCAN_NUM_MAX);
    g->id = span_make(from, (size_t)(p->s.p - from));
    return ok;
}

static bool take_time(vp_t *p)
{
    gm_t *g = p->st;
    if (!vp_once(p, &g->seen, F_TIME) || !scan_u64(&p->s, &g->time_ns)) return false;
    p->source_us = (int64_t)(g->time_ns / 1000);
    return true;
}

static vp_act_t gm_member(vp_t *p, span_t key)
{
    gm_t *g = p->st;
    scan_t *s = &p->s;
    if (key.n == 1) {
        switch (key.p[0]) {
        case 'e': return vp_once(p, &g->seen, F_E) && scan_str(s, &g->e) ? VA_TAKEN : VA_BAD;
        case 'E': return take_time(p) ? VA_TAKEN : VA_BAD;
        case 's': return vp_once(p, &g->seen, F_S) && scan_str(s, &g->symbol) ? VA_TAKEN : VA_BAD;
        case 'U': return vp_once(p, &g->seen, F_FIRST) && scan_u64(s, &g->first) ? VA_TAKEN : VA_BAD;
        case 'u': return vp_once(p, &g->seen, F_LAST) && scan_u64(s, &g->last) ? VA_TAKEN : VA_BAD;
        case 'b': return side_member(p, SIDE_BID);
        case 'a': return side_member(p, SIDE_ASK);
        default: return VA_SKIP;
        }
    }
    if (span_is(key, "id")) return vp_once(p, &g->seen, F_ID) && take_id(p) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "status")) return vp_once(p, &g->seen, F_STATUS) && scan_u64(s, &g->status) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "error")) vp_note(p, span_make(s->p, (size_t)(s->end - s->p)));
    return VA_SKIP;
}

static vp_act_t gm_end(vp_t *p)
{
    gm_t *g = p->st;
    if (!span_is(g->e, "depthUpdate")) return VA_TAKEN;
    if ((g->seen & (F_HEAD | F_B | F_A)) != (F_HEAD | F_B | F_A)) return VA_BAD;
    for (int side = 0; side < 2; side++) {
        if (g->walked[side]) continue;
        p->jump = g->side[side];
        vp_act_t a = rows(p, (side_t)side);
        if (a != VA_SKIP) return a;
    }
    return VA_TAKEN;
}

static const vp_walk_t gm_walk = {gm_member, gm_end};

/* Ids of our own requests: "s3" subscribes market 3, "u3" unsubscribes it, "p" is the ping. */
static void reply(vp_t *p)
{
    gm_t *g = p->st;
    if (g->status != 200) {
        p->stats.errors++;
        return;
    }
    unsigned m = 0;
    if (g->id.n < 2 || g->id.n > 6 || g->id.p[0] != 'u') return;
    for (size_t i = 1; i < g->id.n; i++) {
        if (g->id.p[i] < '0' || g->id.p[i] > '9') return;
        m = m * 10 + (unsigned)(g->id.p[i] - '0');
    }
    if (m < p->mkts_n && p->mkts[m].why) p->mkts[m].unsubscribed = true;
}

static void gm_done(vp_t *p)
{
    gm_t *g = p->st;
    if (g->seen & F_TIME) vp_venue_clock(p, p->source_us);
    if (g->plan == PLAN_APPLY) p->mkts[g->market].last = g->last;
    if (g->plan != PLAN_NONE) return;
    p->stats.beats++;
    if (g->seen & F_ID) reply(p);
    else p->stats.unknown++;
}

static void request(buf_t *out, const char *method, const char *id, const char *symbol)
{
    char stream[VP_NAME_MAX + 16];
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "id");
    jw_cstr(&w, id);
    jw_key(&w, "method");
    jw_cstr(&w, method);
    if (symbol) {
        snprintf(stream, sizeof stream, "%s@depth@100ms", symbol);
        jw_key(&w, "params");
        jw_arr(&w);
        jw_cstr(&w, stream);
        jw_end(&w);
    }
    jw_end(&w);
}

static void market_id(char kind, unsigned market, char out[8])
{
    size_t n = 1, digits = market >= 1000 ? 4 : market >= 100 ? 3 : market >= 10 ? 2 : 1;
    out[0] = kind;
    for (size_t i = digits; i > 0; i--, market /= 10) out[n + i - 1] = (char)('0' + market % 10);
    out[n + digits] = 0;
}

/* One request per symbol: a wrong name refuses its whole request. */
static bool subscribe(const vp_t *p, unsigned i, buf_t *out)
{
    char id[8];
    if (i >= p->mkts_n) return false;
    market_id('s', i, id);
    request(out, "subscribe", id, p->mkts[i].wire);
    return true;
}

static bool unsubscribe(vp_t *p, unsigned market, buf_t *out)
{
    char id[8];
    market_id('u', market, id);
    request(out, "unsubscribe", id, p->mkts[market].wire);
    return true;
}

static bool resubscribe(vp_t *p, unsigned market, buf_t *out) { return subscribe(p, market, out); }

static bool ping(vp_t *p, buf_t *out)
{
    (void)p;
    request(out, "ping", "p", NULL);
    return true;
}

static void wire_name(const char *asked, char out[VP_NAME_MAX])
{
    size_t i = 0;
    for (; asked[i]; i++) out[i] = asked[i] >= 'A' && asked[i] <= 'Z' ? (char)(asked[i] + 32) : asked[i];
    out[i] = 0;
}

const venue_ops_t venue_gemini = {
    .protocol = "gemini-depth",
    .venue = VENUE_GEMINI,
    .silence_ms = 15000,
    .ping_ms = 3000,
    .resync = VR_CONFIRM,
    .fold_case = true,
    .state_size = sizeof(gm_t),
    .top = &gm_walk,
    .frame = gm_frame,
    .done = gm_done,
    .wire_name = wire_name,
    .subscribe = subscribe,
    .ping = ping,
    .unsubscribe = unsubscribe,
    .resubscribe = resubscribe,
};
