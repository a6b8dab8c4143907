/* Coinbase Advanced Trade: one channel per subscribe, sequence_num over everything a connection gets, snapshot and
 * updates of level2, heartbeats each second, and no patience with a client that does not subscribe. */
#include <stdio.h>

#include "sim/sim.h"

#define SUBSCRIBE_MS 5000
#define L2_PRODUCTS_MAX 30
#define PRODUCTS 2

static const mbook_id_t product_book[PRODUCTS] = {BOOK_CB_SOL, BOOK_CB_BTC};

enum { CH_LEVEL2, CH_TICKER, CH_TRADES, CH_HEARTBEATS, CH_N };
static const char *const channel_name[CH_N] = {"level2", "ticker", "market_trades", "heartbeats"};

typedef struct {
    client_t cl;
    bool asked;
    uint64_t seq;
    bool sub[CH_N][PRODUCTS];
    bool beats;
} coinbase_t;

/* ---- messages ---- */

static void begin(sim_t *s, conn_t *c, const char *channel, jw_t *w)
{
    coinbase_t *cb = conn_user(c);
    char ts[40];
    iso_ns(s->wall_ns, ts);
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
    key_text(w, "channel", channel);
    key_text(w, "timestamp", ts);
    jw_key(w, "sequence_num");
    jw_u64(w, cb->seq++);
    jw_key(w, "events");
    jw_arr(w);
    jw_obj(w);
}

static void finish(sim_t *s, conn_t *c, jw_t *w, out_kind_t kind)
{
    jw_end(w);
    jw_end(w);
    jw_end(w);
    out_text(s, c, buf_span(&s->msg), kind);
}

static void member(jw_t *w, const char *key, int64_t v, unsigned dec)
{
    char text[DEC_SIM_MAX];
    sim_dec(text, v, dec, -1);
    jw_key(w, key);
    jw_cstr(w, text);
}

static void member_text(jw_t *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_cstr(w, text);
}

static void level(jw_t *w, const mspec_t *spec, mside_t side, const mlevel_t *l, const char *when)
{
    jw_obj(w);
    member_text(w, "side", side == MSIDE_BID ? "bid" : "offer");
    member_text(w, "event_time", when);
    member(w, "price_level", l->px, spec->px_dec);
    member(w, "new_quantity", l->qty, QTY_DEC);
    jw_end(w);
}

static void l2(sim_t *s, conn_t *c, const mbook_t *b, bool snapshot)
{
    jw_t w;
    char when[40];
    /* The book's own time lies some milliseconds before the envelope's. */
    iso_us(s->wall_ns - 31415000, when);
    begin(s, c, "l2_data", &w);
    member_text(&w, "type", snapshot ? "snapshot" : "update");
    member_text(&w, "product_id", b->spec->name);
    jw_key(&w, "updates");
    jw_arr(&w);
    for (unsigned side = 0; snapshot && side < 2; side++) {
        for (unsigned i = 0; i < b->n[side]; i++) level(&w, b->spec, (mside_t)side, &b->side[side][i], when);
    }
    for (unsigned i = 0; !snapshot && i < b->chg_n; i++) level(&w, b->spec, b->chg[i].side, &b->chg[i].lv, when);
    jw_end(&w);
    finish(s, c, &w, snapshot ? OUT_SNAPSHOT : OUT_UPDATE);
}

static void ticker(sim_t *s, conn_t *c, const mbook_t *b, bool snapshot)
{
    jw_t w;
    begin(s, c, "ticker", &w);
    member_text(&w, "type", snapshot ? "snapshot" : "update");
    jw_key(&w, "tickers");
    jw_arr(&w);
    jw_obj(&w);
    member_text(&w, "type", "ticker");
    member_text(&w, "product_id", b->spec->name);
    member(&w, "price", b->trade.px, b->spec->px_dec);
    member(&w, "best_bid", b->side[MSIDE_BID][0].px, b->spec->px_dec);
    member(&w, "best_ask", b->side[MSIDE_ASK][0].px, b->spec->px_dec);
    member(&w, "best_bid_quantity", b->side[MSIDE_BID][0].qty, QTY_DEC);
    member(&w, "best_ask_quantity", b->side[MSIDE_ASK][0].qty, QTY_DEC);
    jw_end(&w);
    jw_end(&w);
    finish(s, c, &w, OUT_REPLY);
}

static void trades(sim_t *s, conn_t *c, const mbook_t *b, bool snapshot)
{
    jw_t w;
    char when[40], id[24];
    iso_us(s->wall_ns - 31415000, when);
    snprintf(id, sizeof(id), "%llu", (unsigned long long)b->trade.id);
    begin(s, c, "market_trades", &w);
    member_text(&w, "type", snapshot ? "snapshot" : "update");
    jw_key(&w, "trades");
    jw_arr(&w);
    jw_obj(&w);
    member_text(&w, "product_id", b->spec->name);
    member_text(&w, "trade_id", id);
    member(&w, "price", b->trade.px, b->spec->px_dec);
    member(&w, "size", b->trade.qty, QTY_DEC);
    member_text(&w, "time", when);
    member_text(&w, "side", b->trade.buy ? "SELL" : "BUY"); /* the maker's */
    jw_end(&w);
    jw_end(&w);
    finish(s, c, &w, OUT_REPLY);
}

static void heartbeat(sim_t *s, conn_t *c)
{
    client_t *cl = conn_user(c);
    jw_t w;
    char text[96], iso[40];
    int64_t up = s->now_ms - s->start_ms;
    iso_ns(s->wall_ns, iso);
    iso[10] = ' ';
    iso[strlen(iso) - 1] = 0;
    snprintf(text, sizeof(text), "%s +0000 UTC m=+%lld.%09lld", iso, (long long)(up / 1000),
             (long long)(up % 1000 * 1000000));
    cl->beat_ms = s->now_ms;
    begin(s, c, "heartbeats", &w);
    member_text(&w, "current_time", text);
    key_i64(&w, "heartbeat_counter", up / 1000);
    finish(s, c, &w, OUT_REPLY);
}

static void subscriptions(sim_t *s, conn_t *c)
{
    coinbase_t *cb = conn_user(c);
    jw_t w;
    begin(s, c, "subscriptions", &w);
    jw_key(&w, "subscriptions");
    jw_obj(&w);
    for (unsigned ch = 0; ch < CH_N; ch++) {
        bool any = ch == CH_HEARTBEATS && cb->beats;
        for (unsigned p = 0; p < PRODUCTS; p++) any |= cb->sub[ch][p];
        if (!any) continue;
        jw_key(&w, channel_name[ch]);
        jw_arr(&w);
        if (ch == CH_HEARTBEATS) jw_cstr(&w, "heartbeats");
        for (unsigned p = 0; p < PRODUCTS; p++) {
            if (cb->sub[ch][p]) jw_cstr(&w, s->market.book[product_book[p]].spec->name);
        }
        jw_end(&w);
    }
    jw_end(&w);
    finish(s, c, &w, OUT_REPLY);
}

static void complain(sim_t *s, conn_t *c, const char *text)
{
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    member_text(&w, "type", "error");
    member_text(&w, "message", text);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

/* ---- requests ---- */

static int product_of(const sim_t *s, span_t name)
{
    for (int p = 0; p < PRODUCTS; p++) {
        const char *own = s->market.book[product_book[p]].spec->name;
        /* The -USDC spelling is an alias: same book, answered under the -USD name. */
        bool alias = name.n && name.p[name.n - 1] == 'C' && span_is(span_make(name.p, name.n - 1), own);
        if (alias || span_is(name, own)) return p;
    }
    return -1;
}

static int channel_of(span_t name)
{
    for (int ch = 0; ch < CH_N; ch++) {
        if (span_is(name, channel_name[ch])) return ch;
    }
    return -1;
}

static void first_data(sim_t *s, conn_t *c, int ch, unsigned p)
{
    const mbook_t *b = &s->market.book[product_book[p]];
    if (ch == CH_LEVEL2) l2(s, c, b, true);
    if (ch == CH_TICKER) ticker(s, c, b, true);
    if (ch == CH_TRADES) trades(s, c, b, true);
}

/* -1: a product is unknown. Bit p is set for each product named. */
static int products(const sim_t *s, const json_t *list)
{
    int set = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        int p = product_of(s, json_str(json_at(list, i)));
        if (p < 0) return -1;
        set |= 1 << p;
    }
    return set;
}

static void apply(sim_t *s, conn_t *c, int ch, int set, bool on)
{
    coinbase_t *cb = conn_user(c);
    for (unsigned p = 0; p < PRODUCTS; p++) {
        if (!(set & 1 << p)) continue;
        cb->sub[ch][p] = on && ch != CH_HEARTBEATS;
        if (on) first_data(s, c, ch, p);
    }
    if (ch == CH_HEARTBEATS) {
        cb->beats = on;
        if (on) heartbeat(s, c);
    }
    subscriptions(s, c);
}

static void request(void *ctx, const json_t *v)
{
    call_t *k = ctx;
    coinbase_t *cb = conn_user(k->c);
    span_t type = json_str(json_get(v, "type"));
    const json_t *list = json_get(v, "product_ids");
    bool on = span_is(type, "subscribe");
    int ch = channel_of(json_str(json_get(v, "channel")));
    if (!on && !span_is(type, "unsubscribe")) {
        complain(k->s, k->c, "failure to subscribe");
        return;
    }
    cb->asked = true;
    if (ch < 0) {
        complain(k->s, k->c, "authentication failure");
        return;
    }
    if (on && ch == CH_LEVEL2 && json_len(list) > L2_PRODUCTS_MAX) {
        complain(k->s, k->c, "too many L2 streams requested in a single session");
        return;
    }
    int set = json_len(list) ? products(k->s, list) : on ? 0 : (1 << PRODUCTS) - 1;
    if (set < 0 || (on && set == 0 && ch != CH_HEARTBEATS))
        complain(k->s, k->c, "failure to subscribe");
    else
        apply(k->s, k->c, ch, set, on);
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    call_t k = {s, c};
    coinbase_t *cb = conn_user(c);
    if (s->play[EP_COINBASE] && play_text(s, c, t))
        cb->asked = true;
    else if (!with_json(s, t, request, &k))
        complain(s, c, "failure to subscribe");
}

/* ---- by the clock ---- */

static void turn(sim_t *s, conn_t *c)
{
    coinbase_t *cb = conn_user(c);
    if (!cb->asked && s->now_ms - cb->cl.opened_ms > SUBSCRIBE_MS) {
        conn_close(c, 1008);
        return;
    }
    if (cb->beats && s->now_ms - cb->cl.beat_ms >= 1000) heartbeat(s, c);
}

static void idle(sim_t *s, conn_t *c)
{
    coinbase_t *cb = conn_user(c);
    if (s->now_ms - cb->cl.beat_ms < 1000) return;
    cb->seq = cb->cl.player.seq++;
    heartbeat(s, c);
}

static void book(sim_t *s, conn_t *c, mbook_id_t id)
{
    coinbase_t *cb = conn_user(c);
    const mbook_t *b = &s->market.book[id];
    for (unsigned p = 0; p < PRODUCTS; p++) {
        if (product_book[p] != id) continue;
        if (cb->sub[CH_LEVEL2][p]) l2(s, c, b, false);
        if (b->traded && cb->sub[CH_TRADES][p]) trades(s, c, b, false);
        if (b->traded && cb->sub[CH_TICKER][p]) ticker(s, c, b, false);
    }
}

const endpoint_t endpoint_coinbase = {
    .path = "/coinbase",
    .venue = SV_COINBASE,
    .client_size = sizeof(coinbase_t),
    .text = text,
    .turn = turn,
    .book = book,
    .idle = idle,
};
