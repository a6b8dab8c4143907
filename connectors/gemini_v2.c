/* Gemini market data v2, stream l2. The presence of `trades` is the only mark of a snapshot and may stand behind the
 * changes, so those are always read in a second step. The protocol has no sequence and no checksum: a lost message
 * leaves no trace until the book crosses. */
#include "connectors/venue.h"
#include "reactor/json.h"

enum { F_TYPE = 1, F_SYMBOL = 2, F_CHANGES = 4, F_TRADES = 8, F_TIME = 16, F_RESULT = 32, F_REASON = 64 };

typedef struct {
    uint32_t seen;
    span_t type, symbol, result, reason;
    uint64_t time_ms;
    const char *changes;
    bool walked;
} v2_t;

static void v2_frame(vp_t *p) { memset(p->st, 0, sizeof(v2_t)); }

static bool level_row(vp_t *p)
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

/* Other message kinds use the same names for values of other types: those are left to be skipped. */
static vp_act_t text_member(vp_t *p, uint32_t bit, span_t *out)
{
    v2_t *v = p->st;
    if (scan_peek(&p->s) != '"') return VA_SKIP;
    return vp_once(p, &v->seen, bit) && scan_str(&p->s, out) ? VA_TAKEN : VA_BAD;
}

static vp_act_t v2_member(vp_t *p, span_t key)
{
    v2_t *v = p->st;
    if (span_is(key, "type")) return text_member(p, F_TYPE, &v->type);
    if (span_is(key, "symbol")) return text_member(p, F_SYMBOL, &v->symbol);
    if (span_is(key, "result")) return text_member(p, F_RESULT, &v->result);
    if (span_is(key, "reason")) return text_member(p, F_REASON, &v->reason);
    if (span_is(key, "timestamp")) {
        char c = scan_peek(&p->s);
        if (c < '0' || c > '9') return VA_SKIP;
        return vp_once(p, &v->seen, F_TIME) && scan_u64(&p->s, &v->time_ms) ? VA_TAKEN : VA_BAD;
    }
    if (span_is(key, "trades")) return vp_once(p, &v->seen, F_TRADES) ? VA_SKIP : VA_BAD;
    if (!span_is(key, "changes")) return VA_SKIP;
    if (!vp_once(p, &v->seen, F_CHANGES)) return VA_BAD;
    v->changes = p->s.p;
    return VA_SKIP;
}

static vp_act_t v2_end(vp_t *p)
{
    v2_t *v = p->st;
    if (!span_is(v->type, "l2_updates") || v->walked) return VA_TAKEN;
    if ((v->seen & (F_SYMBOL | F_CHANGES)) != (F_SYMBOL | F_CHANGES)) return VA_BAD;
    v->walked = true;
    bool snapshot = v->seen & F_TRADES;
    int m = vp_market(p, v->symbol);
    if (m < 0) {
        p->stats.unknown++;
        return VA_TAKEN;
    }
    if (!snapshot && !p->mkts[m].synced) {
        p->stats.early++;
        return VA_TAKEN;
    }
    vp_book_begin(p, (unsigned)m, snapshot);
    p->row = level_row;
    p->jump = v->changes;
    return VA_ROWS;
}

static const vp_walk_t v2_walk = {v2_member, v2_end};

static void v2_done(vp_t *p)
{
    v2_t *v = p->st;
    if (span_is(v->type, "heartbeat")) {
        p->stats.beats++;
        if (v->seen & F_TIME) vp_venue_clock(p, (int64_t)(v->time_ms * 1000));
    } else if (span_is(v->result, "error")) {
        p->stats.errors++;
        vp_note(p, v->reason);
        vp_want_reconnect(p, XE_DENIED);
    } else if (!span_is(v->type, "l2_updates") && !span_is(v->type, "trade")) {
        p->stats.unknown++;
    }
}

static void request(const vp_t *p, const char *type, unsigned from, unsigned n, buf_t *out)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "type");
    jw_cstr(&w, type);
    jw_key(&w, "subscriptions");
    jw_arr(&w);
    jw_obj(&w);
    jw_key(&w, "name");
    jw_cstr(&w, "l2");
    jw_key(&w, "symbols");
    jw_arr(&w);
    for (unsigned k = from; k < from + n; k++) jw_cstr(&w, p->mkts[k].wire);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
    jw_end(&w);
}

static bool subscribe(const vp_t *p, unsigned i, buf_t *out)
{
    if (i >= 1 || p->mkts_n == 0) return false;
    request(p, "subscribe", 0, p->mkts_n, out);
    return true;
}

static bool unsubscribe(vp_t *p, unsigned market, buf_t *out)
{
    request(p, "unsubscribe", market, 1, out);
    return true;
}

static bool resubscribe(vp_t *p, unsigned market, buf_t *out)
{
    request(p, "subscribe", market, 1, out);
    return true;
}

static void wire_name(const char *asked, char out[VP_NAME_MAX])
{
    size_t i = 0;
    for (; asked[i]; i++) out[i] = asked[i] >= 'a' && asked[i] <= 'z' ? (char)(asked[i] - 32) : asked[i];
    out[i] = 0;
}

const venue_ops_t venue_gemini_v2 = {
    .protocol = "gemini-v2",
    .venue = VENUE_GEMINI,
    .silence_ms = 15000,
    .beat_ms = 15000,
    .refresh = true,
    .state_size = sizeof(v2_t),
    .top = &v2_walk,
    .frame = v2_frame,
    .done = v2_done,
    .wire_name = wire_name,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .resubscribe = resubscribe,
};
