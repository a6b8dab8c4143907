/* Coinbase Advanced Trade, public socket: level2 and heartbeats. sequence_num counts all messages of a connection
 * together, so it is checked before a message is routed; a gap means that any book may be wrong. */
#include "base/rfc3339.h"
#include "connectors/coinbase.h"
#include "reactor/json.h"

enum { F_CHANNEL = 1, F_SEQ = 2, F_TIME = 4, F_EVENTS = 8, F_TYPE = 16, F_MESSAGE = 32 };
enum { E_TYPE = 1, E_PRODUCT = 2, E_UPDATES = 4 };
enum { R_SIDE = 1, R_PX = 2, R_QTY = 4, R_ALL = 7 };

#define ROW_EXTRA_MAX 65536

typedef struct {
    bool started;         /* a sequence number was seen on this connection */
    uint64_t next;
    /* frame */
    uint32_t seen;
    uint64_t seq;
    span_t channel, type, message;
    const char *events;   /* skipped for now */
    bool seq_checked, walked;
    /* event */
    uint32_t eseen;
    span_t etype, product;
    const char *updates;  /* skipped for now */
    bool applied;
} cb_t;

static void cb_frame(vp_t *p)
{
    cb_t *c = p->st;
    c->seen = 0;
    c->channel = c->type = c->message = (span_t){NULL, 0};
    c->events = NULL;
    c->seq_checked = c->walked = false;
}

/* False when the message must not be applied. */
static bool sequence_ok(vp_t *p)
{
    cb_t *c = p->st;
    if (c->seq_checked) return true;
    c->seq_checked = true;
    bool gap = c->started && c->seq != c->next;
    c->started = true;
    c->next = c->seq + 1;
    if (!gap) return true;
    p->stats.gaps++;
    vp_all_bad(p, XE_GAP);
    vp_want_reconnect(p, XE_GAP);
    return false;
}

typedef struct { span_t side, px, qty; } row_t;

/* The spelling in use for years; false with nothing taken when it is another. */
static bool usual_row(scan_t *s, row_t *r)
{
    span_t when;
    const char *from = s->p;
    bool ok = SCAN_LIT(s, "{\"side\":\"") && scan_body(s, &r->side) && SCAN_LIT(s, ",\"event_time\":\"") && scan_body(s, &when) &&
              SCAN_LIT(s, ",\"price_level\":\"") && scan_body(s, &r->px) && SCAN_LIT(s, ",\"new_quantity\":\"") &&
              scan_body(s, &r->qty) && SCAN_LIT(s, "}");
    if (!ok) s->p = from;
    return ok;
}

/* Members in any order, others among them. */
static bool any_row(vp_t *p, row_t *r)
{
    scan_t *s = &p->s;
    span_t key, other;
    uint32_t seen = 0;
    bool first = true, ok = scan_take(s, '{');
    while (ok && scan_more(s, '}', &first)) {
        if (!scan_key(s, &key)) return false;
        if (span_eq(key, SPAN_LIT("side"))) ok = vp_once(p, &seen, R_SIDE) && scan_str(s, &r->side);
        else if (span_eq(key, SPAN_LIT("price_level"))) ok = vp_once(p, &seen, R_PX) && scan_str(s, &r->px);
        else if (span_eq(key, SPAN_LIT("new_quantity"))) ok = vp_once(p, &seen, R_QTY) && scan_str(s, &r->qty);
        else if (scan_peek(s) == '"') ok = scan_str(s, &other);
        else ok = scan_skip(s, ROW_EXTRA_MAX);
    }
    return ok && !s->err && seen == R_ALL;
}

static bool level_row(vp_t *p)
{
    row_t r = {0};
    scan_peek(&p->s);
    if (!usual_row(&p->s, &r) && (p->s.err || !any_row(p, &r))) return false;
    bool bid = span_eq(r.side, SPAN_LIT("bid"));
    if (!bid && !span_eq(r.side, SPAN_LIT("offer"))) return false;
    return vp_level(p, bid ? SIDE_BID : SIDE_ASK, r.px, r.qty);
}

/* The event's market and kind are known: open its book, or say that its rows are of no interest. */
static vp_act_t event_rows(vp_t *p)
{
    cb_t *c = p->st;
    bool snapshot = span_is(c->etype, "snapshot");
    if (!snapshot && !span_is(c->etype, "update")) return VA_BAD;
    c->applied = true;
    int m = vp_market(p, c->product);
    if (m < 0) {
        p->stats.unknown++;
        return VA_SKIP;
    }
    vmkt_t *mkt = &p->mkts[m];
    bool base = mkt->synced || (mkt->open && mkt->open_snapshot);
    if (!snapshot && !base) {
        p->stats.early++;
        return VA_SKIP;
    }
    vp_book_begin(p, (unsigned)m, snapshot);
    p->row = level_row;
    return VA_ROWS;
}

static vp_act_t event_member(vp_t *p, span_t key)
{
    cb_t *c = p->st;
    if (c->eseen == 0) c->applied = false, c->updates = NULL;
    if (span_is(key, "type")) return vp_once(p, &c->eseen, E_TYPE) && scan_str(&p->s, &c->etype) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "product_id")) return vp_once(p, &c->eseen, E_PRODUCT) && scan_str(&p->s, &c->product) ? VA_TAKEN : VA_BAD;
    if (!span_is(key, "updates")) return VA_SKIP;
    if (!vp_once(p, &c->eseen, E_UPDATES)) return VA_BAD;
    if ((c->eseen & (E_TYPE | E_PRODUCT)) == (E_TYPE | E_PRODUCT)) return event_rows(p);
    c->updates = p->s.p;
    return VA_SKIP;
}

static vp_act_t event_end(vp_t *p)
{
    cb_t *c = p->st;
    if (c->eseen != (E_TYPE | E_PRODUCT | E_UPDATES)) return VA_BAD;
    if (!c->applied) {
        p->jump = c->updates;
        vp_act_t a = event_rows(p);
        if (a != VA_SKIP) return a;
    }
    c->eseen = 0;
    return VA_TAKEN;
}

static const vp_walk_t event_walk = {event_member, event_end};

/* Channel and number are known: what to do with the events. */
static vp_act_t route(vp_t *p)
{
    cb_t *c = p->st;
    c->walked = true;
    if (!sequence_ok(p)) return VA_SKIP;
    if (span_is(c->channel, "heartbeats")) p->stats.beats++;
    if (!span_is(c->channel, "l2_data")) {
        bool known = span_is(c->channel, "heartbeats") || span_is(c->channel, "subscriptions");
        if (!known) p->stats.unknown++;
        return VA_SKIP;
    }
    c->eseen = 0;
    p->child = &event_walk;
    return VA_OBJS;
}

static bool take_time(vp_t *p)
{
    span_t text;
    int64_t us;
    if (!scan_str(&p->s, &text)) return false;
    if (!rfc3339_parse(text, &us)) {
        p->source_us = us;
        vp_venue_clock(p, us);
    }
    return true;
}

static vp_act_t cb_member(vp_t *p, span_t key)
{
    cb_t *c = p->st;
    scan_t *s = &p->s;
    if (span_is(key, "channel")) return vp_once(p, &c->seen, F_CHANNEL) && scan_str(s, &c->channel) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "sequence_num")) return vp_once(p, &c->seen, F_SEQ) && scan_u64(s, &c->seq) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "timestamp")) return vp_once(p, &c->seen, F_TIME) && take_time(p) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "type")) return vp_once(p, &c->seen, F_TYPE) && scan_str(s, &c->type) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "message")) {
        if (scan_peek(s) != '"') return VA_SKIP;
        return vp_once(p, &c->seen, F_MESSAGE) && scan_str(s, &c->message) ? VA_TAKEN : VA_BAD;
    }
    if (!span_is(key, "events")) return VA_SKIP;
    if (!vp_once(p, &c->seen, F_EVENTS)) return VA_BAD;
    if ((c->seen & (F_CHANNEL | F_SEQ)) == (F_CHANNEL | F_SEQ)) return route(p);
    c->events = p->s.p;
    return VA_SKIP;
}

/* {"type":"error"}: one kind leaves the connection useful for the products that came before, the others do not. */
static void refused(vp_t *p)
{
    cb_t *c = p->st;
    p->stats.errors++;
    vp_note(p, c->message);
    if (!span_is(c->message, "too many L2 streams requested in a single session")) vp_want_reconnect(p, XE_DENIED);
}

static vp_act_t cb_end(vp_t *p)
{
    cb_t *c = p->st;
    if (c->seen & F_CHANNEL) {
        if ((c->seen & (F_SEQ | F_EVENTS)) != (F_SEQ | F_EVENTS)) return VA_BAD;
        if (c->walked) return VA_TAKEN;
        p->jump = c->events;
        vp_act_t a = route(p);
        return a == VA_SKIP ? VA_TAKEN : a;
    }
    if (c->seen & F_SEQ) (void)sequence_ok(p);
    if (span_is(c->type, "error")) refused(p);
    else p->stats.unknown++;
    return VA_TAKEN;
}

static const vp_walk_t cb_walk = {cb_member, cb_end};

void coinbase_wire_name(const char *asked, char out[VP_NAME_MAX])
{
    size_t n = strlen(asked);
    memcpy(out, asked, n + 1);
    if (n > 5 && strcmp(asked + n - 5, "-USDC") == 0) out[n - 1] = 0;
}

static bool subscribe(const vp_t *p, unsigned i, buf_t *out)
{
    static const char *const channels[] = {"heartbeats", "level2"};
    if (i >= 2 || p->mkts_n == 0) return false;
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "type");
    jw_cstr(&w, "subscribe");
    jw_key(&w, "product_ids");
    jw_arr(&w);
    for (unsigned k = 0; k < p->mkts_n; k++) jw_cstr(&w, p->mkts[k].asked);
    jw_end(&w);
    jw_key(&w, "channel");
    jw_cstr(&w, channels[i]);
    jw_end(&w);
    return true;
}

const venue_ops_t venue_coinbase = {
    .protocol = "coinbase-advanced",
    .venue = VENUE_COINBASE,
    .silence_ms = 5000,
    .beat_ms = 30000,
    .markets_max = 30,
    .state_size = sizeof(cb_t),
    .top = &cb_walk,
    .frame = cb_frame,
    .wire_name = coinbase_wire_name,
    .subscribe = subscribe,
};
