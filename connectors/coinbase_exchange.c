/* Coinbase Exchange, channels level2_batch, matches and heartbeat. Book messages carry no number, but trades do: their ids
 * grow by one per product and the heartbeat of each second names the last, so an id that never came means that messages
 * were lost, and the book is in doubt from then on. */
#include "base/rfc3339.h"
#include "connectors/coinbase.h"
#include "reactor/json.h"

enum { F_TYPE = 1, F_PRODUCT = 2, F_BIDS = 4, F_ASKS = 8, F_CHANGES = 16, F_TIME = 32, F_TRADE = 64, F_LAST = 128, F_MESSAGE = 256, F_REASON = 512 };
enum { A_BIDS, A_ASKS, A_CHANGES, A_N };
enum { PLAN_NONE, PLAN_SKIP, PLAN_APPLY };

typedef struct {
    uint32_t seen;
    span_t type, product, message, reason;
    uint64_t trade_id, last_trade_id;
    const char *array[A_N]; /* skipped for now */
    bool walked[A_N];
    uint8_t plan;
    side_t at;
} cx_t;

static void cx_frame(vp_t *p) { memset(p->st, 0, sizeof(cx_t)); }

static bool side_row(vp_t *p)
{
    const cx_t *c = p->st;
    scan_t *s = &p->s;
    span_t px, qty;
    return scan_take(s, '[') && scan_str(s, &px) && scan_take(s, ',') && scan_str(s, &qty) && scan_take(s, ']') &&
           vp_level(p, c->at, px, qty);
}

static bool change_row(vp_t *p)
{
    scan_t *s = &p->s;
    span_t side, px, qty;
    bool ok = scan_take(s, '[') && scan_str(s, &side) && scan_take(s, ',') && scan_str(s, &px) && scan_take(s, ',') &&
              scan_str(s, &qty) && scan_take(s, ']');
    if (!ok) return false;
    bool buy = span_eq(side, SPAN_LIT("buy"));
    if (!buy && !span_eq(side, SPAN_LIT("sell"))) return false;
    return vp_level(p, buy ? SIDE_BID : SIDE_ASK, px, qty);
}

/* Kind and product are known: opens the book when the rows are to be applied. */
static void decide(vp_t *p)
{
    cx_t *c = p->st;
    bool snapshot = span_is(c->type, "snapshot");
    c->plan = PLAN_SKIP;
    int m = vp_market(p, c->product);
    if (m < 0) {
        p->stats.unknown++;
    } else if (!snapshot && !p->mkts[m].synced) {
        p->stats.early++;
    } else if (p->mkts[m].why) {
        p->stats.early++; /* asked for anew: this is of the old stream */
    } else {
        c->plan = PLAN_APPLY;
        vp_book_begin(p, (unsigned)m, snapshot);
    }
}

static vp_act_t rows(vp_t *p, unsigned array)
{
    cx_t *c = p->st;
    if (c->plan == PLAN_NONE) decide(p);
    c->walked[array] = true;
    c->at = array == A_ASKS ? SIDE_ASK : SIDE_BID;
    p->row = array == A_CHANGES ? change_row : side_row;
    return c->plan == PLAN_APPLY ? VA_ROWS : VA_SKIP;
}

static bool of_kind(const cx_t *c, unsigned array) { return span_is(c->type, array == A_CHANGES ? "l2update" : "snapshot"); }

static vp_act_t array_member(vp_t *p, unsigned array, uint32_t bit)
{
    cx_t *c = p->st;
    if (!vp_once(p, &c->seen, bit)) return VA_BAD;
    if ((c->seen & (F_TYPE | F_PRODUCT)) == (F_TYPE | F_PRODUCT)) return of_kind(c, array) ? rows(p, array) : VA_SKIP;
    c->array[array] = p->s.p;
    return VA_SKIP;
}

/* Other message kinds may use these names for values of other types: those are skipped. */
static vp_act_t text_member(vp_t *p, uint32_t bit, span_t *out)
{
    cx_t *c = p->st;
    if (scan_peek(&p->s) != '"') return VA_SKIP;
    return vp_once(p, &c->seen, bit) && scan_str(&p->s, out) ? VA_TAKEN : VA_BAD;
}

static vp_act_t id_member(vp_t *p, uint32_t bit, uint64_t *out)
{
    cx_t *c = p->st;
    char first = scan_peek(&p->s);
    if (first < '0' || first > '9') return VA_SKIP;
    return vp_once(p, &c->seen, bit) && scan_u64(&p->s, out) ? VA_TAKEN : VA_BAD;
}

static vp_act_t time_member(vp_t *p)
{
    span_t text;
    int64_t us;
    vp_act_t a = text_member(p, F_TIME, &text);
    if (a == VA_TAKEN && !rfc3339_parse(text, &us)) p->source_us = us;
    return a;
}

static vp_act_t cx_member(vp_t *p, span_t key)
{
    cx_t *c = p->st;
    if (span_is(key, "type")) return text_member(p, F_TYPE, &c->type);
    if (span_is(key, "product_id")) return text_member(p, F_PRODUCT, &c->product);
    if (span_is(key, "changes")) return array_member(p, A_CHANGES, F_CHANGES);
    if (span_is(key, "bids")) return array_member(p, A_BIDS, F_BIDS);
    if (span_is(key, "asks")) return array_member(p, A_ASKS, F_ASKS);
    if (span_is(key, "time")) return time_member(p);
    if (span_is(key, "trade_id")) return id_member(p, F_TRADE, &c->trade_id);
    if (span_is(key, "last_trade_id")) return id_member(p, F_LAST, &c->last_trade_id);
    if (span_is(key, "message")) return text_member(p, F_MESSAGE, &c->message);
    if (span_is(key, "reason")) return text_member(p, F_REASON, &c->reason);
    return VA_SKIP;
}

static vp_act_t cx_end(vp_t *p)
{
    cx_t *c = p->st;
    bool snapshot = span_is(c->type, "snapshot"), update = span_is(c->type, "l2update");
    uint32_t need = F_PRODUCT | (snapshot ? F_BIDS | F_ASKS : F_CHANGES);
    if (!snapshot && !update) return VA_TAKEN;
    if ((c->seen & need) != need) return VA_BAD;
    for (unsigned i = 0; i < A_N; i++) {
        if (c->walked[i] || !c->array[i] || !of_kind(c, i)) continue;
        p->jump = c->array[i];
        vp_act_t a = rows(p, i);
        if (a != VA_SKIP) return a;
    }
    return VA_TAKEN;
}

static const vp_walk_t cx_walk = {cx_member, cx_end};

/* Nobody resubscribes in a replay: there the book stays away until the next snapshot. */
static void lost(vp_t *p, unsigned i, uint64_t id)
{
    vmkt_t *m = &p->mkts[i];
    p->stats.gaps++;
    if (m->synced) {
        vp_market_bad(p, i, XE_GAP);
        m->why = XE_GAP;
    }
    if (p->adopt) vp_market_forget(p, i);
    m->last = id;
}

/* vmkt_t.last is the last trade that was delivered; 0 until the first, which only tells where counting starts. A
 * heartbeat (delivered: false) names a trade that must have been here. */
static void trade(vp_t *p, uint64_t id, bool delivered)
{
    const cx_t *c = p->st;
    int i = vp_market(p, c->product);
    if (i < 0) return;
    vmkt_t *m = &p->mkts[i];
    if (m->last && id > m->last + (delivered ? 1 : 0)) lost(p, (unsigned)i, id);
    else if (delivered && id > m->last) m->last = id;
}

static void refused(vp_t *p)
{
    const cx_t *c = p->st;
    p->stats.errors++;
    vp_note(p, c->reason.n ? c->reason : c->message);
    if (span_is(c->message, "Failed to subscribe")) p->variant++;
    vp_want_reconnect(p, XE_DENIED);
}

static void cx_done(vp_t *p)
{
    const cx_t *c = p->st;
    bool trade_id = (c->seen & (F_PRODUCT | F_TRADE)) == (F_PRODUCT | F_TRADE);
    if (p->source_us) vp_venue_clock(p, p->source_us);
    if (span_is(c->type, "match") && trade_id) {
        trade(p, c->trade_id, true);
    } else if (span_is(c->type, "last_match") && trade_id) {
        int i = vp_market(p, c->product);
        if (i >= 0 && c->trade_id > p->mkts[i].last) p->mkts[i].last = c->trade_id;
    } else if (span_is(c->type, "heartbeat")) {
        p->stats.beats++;
        if ((c->seen & (F_PRODUCT | F_LAST)) == (F_PRODUCT | F_LAST)) trade(p, c->last_trade_id, false);
    } else if (span_is(c->type, "error")) {
        refused(p);
    } else if (c->plan == PLAN_NONE && !span_is(c->type, "subscriptions") && !span_is(c->type, "ticker") && !span_is(c->type, "l2update")) {
        p->stats.unknown++;
    }
}

static const char *book_channel(const vp_t *p) { return p->variant % 2 ? "level2_50" : "level2_batch"; }

static void request(buf_t *out, const char *type, const char *const *products, size_t n, const char *book, bool all)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "type");
    jw_cstr(&w, type);
    jw_key(&w, "product_ids");
    jw_arr(&w);
    for (size_t i = 0; i < n; i++) jw_cstr(&w, products[i]);
    jw_end(&w);
    jw_key(&w, "channels");
    jw_arr(&w);
    jw_cstr(&w, book);
    if (all) jw_cstr(&w, "matches");
    if (all) jw_cstr(&w, "heartbeat");
    jw_end(&w);
    jw_end(&w);
}

static bool subscribe(const vp_t *p, unsigned i, buf_t *out)
{
    const char *names[64];
    size_t from = (size_t)i * 64, n = 0;
    while (n < 64 && from + n < p->mkts_n) names[n] = p->mkts[from + n].asked, n++;
    if (n == 0) return false;
    request(out, "subscribe", names, n, book_channel(p), true);
    return true;
}

static bool unsubscribe(vp_t *p, unsigned market, buf_t *out)
{
    const char *name = p->mkts[market].asked;
    request(out, "unsubscribe", &name, 1, book_channel(p), false);
    return true;
}

static bool resubscribe(vp_t *p, unsigned market, buf_t *out)
{
    const char *name = p->mkts[market].asked;
    request(out, "subscribe", &name, 1, book_channel(p), false);
    return true;
}

const venue_ops_t venue_coinbase_exchange = {
    .protocol = "coinbase-exchange",
    .venue = VENUE_COINBASE,
    .silence_ms = 5000,
    .beat_ms = 5000,
    .resync = VR_SUBSCRIBE,
    .refresh = true,
    .state_size = sizeof(cx_t),
    .top = &cx_walk,
    .frame = cx_frame,
    .done = cx_done,
    .wire_name = coinbase_wire_name,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .resubscribe = resubscribe,
};
