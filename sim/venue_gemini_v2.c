/* Gemini market data v2: the first l2_updates of a symbol carries trades and is the snapshot, every later change is a
 * message of its own, heartbeats every five seconds, no numbering at all. */
#include "sim/sim.h"

#define SYMBOLS 3
#define BEAT_MS 5000

static const mbook_id_t symbol_book[SYMBOLS] = {BOOK_GM_SOL, BOOK_GM_USDC, BOOK_GM_BTC};
static const char *const symbol_name[SYMBOLS] = {"SOLUSD", "USDCUSD", "BTCUSD"};

typedef struct {
    client_t cl;
    bool sub[SYMBOLS];
} v2_t;

/* Whole numbers end in ".0". */
static void put_dec(jw_t *w, int64_t v, unsigned dec)
{
    char text[DEC_SIM_MAX + 4];
    size_t n = sim_dec(text, v, dec, -1);
    if (!memchr(text, '.', n)) memcpy(text + n, ".0", 3);
    jw_cstr(w, text);
}

static void change(jw_t *w, const mspec_t *spec, mside_t side, const mlevel_t *l)
{
    jw_arr(w);
    jw_cstr(w, side == MSIDE_BID ? "buy" : "sell");
    put_dec(w, l->px, spec->px_dec);
    put_dec(w, l->qty, QTY_DEC);
    jw_end(w);
}

static void trade(sim_t *s, jw_t *w, const mbook_t *b, const char *symbol)
{
    jw_obj(w);
    key_i64(w, "event_id", (int64_t)s->update_id);
    jw_key(w, "price");
    put_dec(w, b->trade.px, b->spec->px_dec);
    jw_key(w, "quantity");
    put_dec(w, b->trade.qty, QTY_DEC);
    key_text(w, "side", b->trade.buy ? "buy" : "sell");
    key_text(w, "symbol", symbol);
    key_i64(w, "tid", (int64_t)b->trade.id);
    key_i64(w, "timestamp", s->wall_ns / 1000000);
    key_text(w, "type", "trade");
    jw_end(w);
}

static void snapshot(sim_t *s, conn_t *c, unsigned sym)
{
    const mbook_t *b = &s->market.book[symbol_book[sym]];
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    jw_key(&w, "auction_events");
    jw_arr(&w);
    jw_end(&w);
    jw_key(&w, "changes");
    jw_arr(&w);
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < b->n[side]; i++) change(&w, b->spec, (mside_t)side, &b->side[side][i]);
    }
    jw_end(&w);
    key_text(&w, "symbol", symbol_name[sym]);
    jw_key(&w, "trades");
    jw_arr(&w);
    trade(s, &w, b, symbol_name[sym]);
    jw_end(&w);
    key_text(&w, "type", "l2_updates");
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_SNAPSHOT);
}

static void update(sim_t *s, conn_t *c, unsigned sym, const mchange_t *one)
{
    const mbook_t *b = &s->market.book[symbol_book[sym]];
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    jw_key(&w, "changes");
    jw_arr(&w);
    change(&w, b->spec, one->side, &one->lv);
    jw_end(&w);
    key_text(&w, "symbol", symbol_name[sym]);
    key_text(&w, "type", "l2_updates");
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_UPDATE);
}

static void heartbeat(sim_t *s, conn_t *c)
{
    client_t *cl = conn_user(c);
    jw_t w;
    cl->beat_ms = s->now_ms;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_i64(&w, "timestamp", s->wall_ns / 1000000);
    key_text(&w, "type", "heartbeat");
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void complain(sim_t *s, conn_t *c, const char *reason)
{
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_text(&w, "reason", reason);
    key_text(&w, "result", "error");
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static int symbol_of(span_t name)
{
    for (int y = 0; y < SYMBOLS; y++) {
        if (span_is(name, symbol_name[y])) return y; /* upper case only */
    }
    return -1;
}

static void request(void *ctx, const json_t *v)
{
    call_t *k = ctx;
    v2_t *g = conn_user(k->c);
    span_t type = json_str(json_get(v, "type"));
    const json_t *subs = json_get(v, "subscriptions");
    bool on = span_is(type, "subscribe"), any = false;
    if ((!on && !span_is(type, "unsubscribe")) || json_len(subs) == 0) {
        complain(k->s, k->c, "MalformedMessage");
        return;
    }
    for (size_t i = 0; i < json_len(subs); i++) {
        const json_t *one = json_at(subs, i), *symbols = json_get(one, "symbols");
        if (!span_is(json_str(json_get(one, "name")), "l2")) continue;
        for (size_t j = 0; j < json_len(symbols); j++) {
            int y = symbol_of(json_str(json_at(symbols, j)));
            if (y < 0) continue;
            any = true;
            g->sub[y] = on;
            if (on) snapshot(k->s, k->c, (unsigned)y);
        }
    }
    if (!any) complain(k->s, k->c, "NoValidTradingPairs");
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    call_t k = {s, c};
    if (s->play[EP_GEMINI_V2] && play_text(s, c, t)) return;
    if (!with_json(s, t, request, &k)) complain(s, c, "MalformedMessage");
}

static void turn(sim_t *s, conn_t *c)
{
    client_t *cl = conn_user(c);
    if (s->now_ms - cl->beat_ms >= BEAT_MS) heartbeat(s, c);
}

static void book(sim_t *s, conn_t *c, mbook_id_t id)
{
    v2_t *g = conn_user(c);
    const mbook_t *b = &s->market.book[id];
    for (unsigned y = 0; y < SYMBOLS; y++) {
        if (symbol_book[y] != id || !g->sub[y]) continue;
        for (unsigned i = 0; i < b->chg_n; i++) update(s, c, y, &b->chg[i]);
        if (!b->traded) continue;
        jw_t w;
        buf_reset(&s->msg);
        jw_init(&w, &s->msg);
        trade(s, &w, b, symbol_name[y]);
        out_text(s, c, buf_span(&s->msg), OUT_REPLY);
    }
}

const endpoint_t endpoint_gemini_v2 = {
    .path = "/gemini-v2",
    .venue = SV_GEMINI,
    .client_size = sizeof(v2_t),
    .text = text,
    .turn = turn,
    .book = book,
    .idle = turn,
};
