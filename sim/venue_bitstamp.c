/* Bitstamp: one channel per message, changes of the whole depth (diff_order_book_M) and the best hundred levels whole each
 * time (order_book_M), trades, heartbeats when asked for; the order book by REST, up to a second old as from a cache. No
 * numbering: only a microsecond that grows with every change of a book. */
#include <stdio.h>

#include "sim/sim.h"

#define MARKETS 2
#define BEST 100
#define FRAME_MAX 512

static const mbook_id_t market_book_id[MARKETS] = {BOOK_BS_SOL, BOOK_BS_BTC};

enum { CH_DIFF, CH_BOOK, CH_TRADES, CH_N };
static const char *const prefix[CH_N] = {"diff_order_book_", "order_book_", "live_trades_"};

typedef struct {
    client_t cl;
    bool sub[CH_N][MARKETS];
} bitstamp_t;

/* ---- messages ---- */

static void begin(sim_t *s, jw_t *w)
{
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
}

static void reply(sim_t *s, conn_t *c, const char *event, span_t channel)
{
    jw_t w;
    begin(s, &w);
    key_text(&w, "event", event);
    jw_key(&w, "channel");
    jw_str(&w, channel);
    jw_key(&w, "data");
    jw_obj(&w);
    if (strcmp(event, "bts:heartbeat") == 0) key_text(&w, "status", "success");
    jw_end(&w);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void complain(sim_t *s, conn_t *c, const char *message)
{
    jw_t w;
    begin(s, &w);
    key_text(&w, "event", "bts:error");
    key_text(&w, "channel", "");
    jw_key(&w, "data");
    jw_obj(&w);
    jw_key(&w, "code");
    jw_null(&w);
    key_text(&w, "message", message);
    jw_end(&w);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void level(jw_t *w, const mspec_t *spec, const mlevel_t *l)
{
    char text[DEC_SIM_MAX];
    jw_arr(w);
    sim_dec(text, l->px, spec->px_dec, (int)spec->px_dec);
    jw_cstr(w, text);
    sim_dec(text, l->qty, QTY_DEC, (int)spec->qty_dec);
    jw_cstr(w, text);
    jw_end(w);
}

static void times(jw_t *w, uint64_t micro)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(micro / 1000000));
    key_text(w, "timestamp", text);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)micro);
    key_text(w, "microtimestamp", text);
}

static void whole(jw_t *w, const mbook_t *b, uint64_t micro, unsigned max)
{
    times(w, micro);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(w, side == MSIDE_BID ? "bids" : "asks");
        jw_arr(w);
        for (unsigned i = 0; i < b->n[side] && i < max; i++) level(w, b->spec, &b->side[side][i]);
        jw_end(w);
    }
}

static void changes(jw_t *w, const mbook_t *b, uint64_t micro)
{
    times(w, micro);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(w, side == MSIDE_BID ? "bids" : "asks");
        jw_arr(w);
        for (unsigned i = 0; i < b->chg_n; i++) {
            if (b->chg[i].side == (mside_t)side) level(w, b->spec, &b->chg[i].lv);
        }
        jw_end(w);
    }
}

static void trade(jw_t *w, const mbook_t *b, uint64_t micro)
{
    char px[DEC_SIM_MAX], qty[DEC_SIM_MAX];
    sim_dec(px, b->trade.px, b->spec->px_dec, (int)b->spec->px_dec);
    sim_dec(qty, b->trade.qty, QTY_DEC, (int)b->spec->qty_dec);
    key_i64(w, "id", (int64_t)b->trade.id);
    key_text(w, "amount_str", qty);
    key_text(w, "price_str", px);
    key_i64(w, "type", b->trade.buy ? 0 : 1);
    times(w, micro);
}

static void data(sim_t *s, conn_t *c, unsigned ch, unsigned m)
{
    mbook_id_t id = market_book_id[m];
    const mbook_t *b = &s->market.book[id];
    char channel[64];
    jw_t w;
    begin(s, &w);
    jw_key(&w, "data");
    jw_obj(&w);
    if (ch == CH_DIFF) changes(&w, b, s->chain[id].micro);
    else if (ch == CH_BOOK) whole(&w, b, s->chain[id].micro, BEST);
    else trade(&w, b, s->chain[id].micro);
    jw_end(&w);
    snprintf(channel, sizeof(channel), "%s%s", prefix[ch], b->spec->name);
    key_text(&w, "channel", channel);
    key_text(&w, "event", ch == CH_TRADES ? "trade" : "data");
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), ch == CH_TRADES ? OUT_REPLY : OUT_UPDATE);
}

/* ---- requests ---- */

static bool cut_prefix(span_t *t, const char *p)
{
    size_t n = strlen(p);
    if (t->n < n || memcmp(t->p, p, n) != 0) return false;
    *t = span_make(t->p + n, t->n - n);
    return true;
}

static void subscribe(sim_t *s, conn_t *c, span_t channel, bool on)
{
    bitstamp_t *b = conn_user(c);
    span_t name = channel;
    unsigned ch = 0;
    while (ch < CH_N && !cut_prefix(&name, prefix[ch])) ch++;
    bool plain = name.n > 0;
    for (size_t i = 0; i < name.n; i++) plain = plain && name.p[i] != '/' && !(name.p[i] >= 'A' && name.p[i] <= 'Z');
    if (ch == CH_N || !plain) {
        complain(s, c, "Invalid channel provided.");
        return;
    }
    /* A market that does not exist is acknowledged and silent for ever. */
    for (unsigned m = 0; m < MARKETS; m++) {
        if (span_is(name, s->market.book[market_book_id[m]].spec->name)) b->sub[ch][m] = on;
    }
    reply(s, c, on ? "bts:subscription_succeeded" : "bts:unsubscription_succeeded", channel);
}

static void request(void *ctx, const json_t *v)
{
    call_t *k = ctx;
    span_t event = json_str(json_get(v, "event"));
    span_t channel = json_str(json_get(json_get(v, "data"), "channel"));
    if (span_is(event, "bts:heartbeat")) reply(k->s, k->c, "bts:heartbeat", SPAN_LIT(""));
    else if (span_is(event, "bts:subscribe")) subscribe(k->s, k->c, channel, true);
    else if (span_is(event, "bts:unsubscribe")) subscribe(k->s, k->c, channel, false);
    else complain(k->s, k->c, "Bad subscription string.");
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    call_t k = {s, c};
    if (t.n >= FRAME_MAX) {
        conn_close(c, 1009);
        return;
    }
    if (s->play[EP_BITSTAMP] && play_text(s, c, t)) return;
    if (!with_json(s, t, request, &k)) complain(s, c, "Incorrect JSON format.");
}

static void book(sim_t *s, conn_t *c, mbook_id_t id)
{
    bitstamp_t *b = conn_user(c);
    for (unsigned m = 0; m < MARKETS; m++) {
        if (market_book_id[m] != id) continue;
        if (b->sub[CH_DIFF][m]) data(s, c, CH_DIFF, m);
        if (b->sub[CH_BOOK][m]) data(s, c, CH_BOOK, m);
        if (s->market.book[id].traded && b->sub[CH_TRADES][m]) data(s, c, CH_TRADES, m);
    }
}

/* ---- REST ---- */

/* The cache in front of the venue: what was asked for within the last second is answered again. */
static void refresh_cache(sim_t *s, unsigned m)
{
    rest_t *r = &s->rest_cache[m];
    jw_t w;
    if (r->body.n && s->now_ms - r->at_ms < REST_CACHE_MS) return;
    buf_reset(&r->body);
    jw_init(&w, &r->body);
    jw_obj(&w);
    whole(&w, &s->market.book[market_book_id[m]], s->chain[market_book_id[m]].micro, MBOOK_LEVELS);
    jw_end(&w);
    r->at_ms = s->now_ms;
}

static void get(sim_t *s, conn_t *c, span_t rest)
{
    if (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    const span_t *played = play_rest(s->play[EP_BITSTAMP], rest);
    if (played) {
        conn_reply(c, 200, "application/json", *played);
        return;
    }
    for (unsigned m = 0; m < MARKETS && !s->play[EP_BITSTAMP]; m++) {
        if (!span_is(rest, s->market.book[market_book_id[m]].spec->name)) continue;
        refresh_cache(s, m);
        out_http(s, c, SV_BITSTAMP, buf_span(&s->rest_cache[m].body));
        return;
    }
    conn_reply(c, 404, "text/html", SPAN_LIT("<html><body><h1>404</h1></body></html>"));
}

const endpoint_t endpoint_bitstamp = {
    .path = "/bitstamp",
    .venue = SV_BITSTAMP,
    .client_size = sizeof(bitstamp_t),
    .text = text,
    .book = book,
    .rest = "/bitstamp/api/v2/order_book/",
    .get = get,
};
