/* Coinbase Exchange: level2_batch, matches and heartbeat in one subscribe; book messages without a number, trades with ids
 * that grow by one, a heartbeat each second that names the last of them. level2 wants a login that does not exist here. */
#include <stdio.h>

#include "sim/sim.h"

#define SUBSCRIBE_MS 5000
#define PRODUCTS 2

static const mbook_id_t product_book[PRODUCTS] = {BOOK_CB_SOL, BOOK_CB_BTC};

enum { CH_BOOK, CH_MATCHES, CH_HEARTBEAT, CH_N };
/* The reply calls the batched book by its inner name. */
static const char *const inner_name[CH_N] = {"level2_50", "matches", "heartbeat"};

typedef struct {
    client_t cl;
    bool asked;
    bool sub[CH_N][PRODUCTS];
    uint64_t sequence;
} exchange_t;

/* ---- messages ---- */

static void begin(sim_t *s, const char *type, jw_t *w)
{
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
    key_text(w, "type", type);
}

static void finish(sim_t *s, conn_t *c, jw_t *w, out_kind_t kind)
{
    char when[40];
    iso_us6(s->wall_ns, when);
    key_text(w, "time", when);
    jw_end(w);
    out_text(s, c, buf_span(&s->msg), kind);
}

static void decimal(jw_t *w, int64_t v, unsigned dec)
{
    char text[DEC_SIM_MAX];
    sim_dec(text, v, dec, (int)dec);
    jw_cstr(w, text);
}

static void snapshot(sim_t *s, conn_t *c, const mbook_t *b)
{
    jw_t w;
    begin(s, "snapshot", &w);
    key_text(&w, "product_id", b->spec->name);
    for (unsigned side = 2; side-- > 0;) {
        jw_key(&w, side == MSIDE_BID ? "bids" : "asks");
        jw_arr(&w);
        for (unsigned i = 0; i < b->n[side]; i++) {
            jw_arr(&w);
            decimal(&w, b->side[side][i].px, b->spec->px_dec);
            decimal(&w, b->side[side][i].qty, QTY_DEC);
            jw_end(&w);
        }
        jw_end(&w);
    }
    finish(s, c, &w, OUT_SNAPSHOT);
}

static void update(sim_t *s, conn_t *c, const mbook_t *b)
{
    jw_t w;
    begin(s, "l2update", &w);
    key_text(&w, "product_id", b->spec->name);
    jw_key(&w, "changes");
    jw_arr(&w);
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < b->chg_n; i++) {
            if (b->chg[i].side != (mside_t)side) continue;
            jw_arr(&w);
            jw_cstr(&w, side == MSIDE_BID ? "buy" : "sell");
            decimal(&w, b->chg[i].lv.px, b->spec->px_dec);
            decimal(&w, b->chg[i].lv.qty, QTY_DEC);
            jw_end(&w);
        }
    }
    jw_end(&w);
    /* A gap takes trades: their loss is what a client can see here. */
    finish(s, c, &w, OUT_SNAPSHOT);
}

static void match(sim_t *s, conn_t *c, const mbook_t *b, bool last)
{
    exchange_t *x = conn_user(c);
    char text[DEC_SIM_MAX];
    jw_t w;
    begin(s, last ? "last_match" : "match", &w);
    key_i64(&w, "trade_id", (int64_t)b->trade.id);
    key_text(&w, "side", b->trade.buy ? "sell" : "buy"); /* the maker's */
    sim_dec(text, b->trade.qty, QTY_DEC, QTY_DEC);
    key_text(&w, "size", text);
    sim_dec(text, b->trade.px, b->spec->px_dec, (int)b->spec->px_dec);
    key_text(&w, "price", text);
    key_text(&w, "product_id", b->spec->name);
    key_i64(&w, "sequence", (int64_t)(x->sequence += 7));
    finish(s, c, &w, last ? OUT_REPLY : OUT_UPDATE);
}

static void heartbeat(sim_t *s, conn_t *c, const char *product, uint64_t trade_id)
{
    exchange_t *x = conn_user(c);
    jw_t w;
    begin(s, "heartbeat", &w);
    key_i64(&w, "last_trade_id", (int64_t)trade_id);
    key_text(&w, "product_id", product);
    key_i64(&w, "sequence", (int64_t)(x->sequence += 7));
    finish(s, c, &w, OUT_REPLY);
}

static void complain(sim_t *s, conn_t *c, const char *message, const char *reason)
{
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_text(&w, "type", "error");
    key_text(&w, "message", message);
    if (reason) key_text(&w, "reason", reason);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void subscriptions(sim_t *s, conn_t *c)
{
    exchange_t *x = conn_user(c);
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_text(&w, "type", "subscriptions");
    jw_key(&w, "channels");
    jw_arr(&w);
    for (unsigned ch = 0; ch < CH_N; ch++) {
        bool any = false;
        for (unsigned p = 0; p < PRODUCTS; p++) any |= x->sub[ch][p];
        if (!any) continue;
        jw_obj(&w);
        key_text(&w, "name", inner_name[ch]);
        jw_key(&w, "product_ids");
        jw_arr(&w);
        for (unsigned p = 0; p < PRODUCTS; p++) {
            if (x->sub[ch][p]) jw_cstr(&w, s->market.book[product_book[p]].spec->name);
        }
        jw_end(&w);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

/* ---- requests ---- */

static int product_of(const sim_t *s, span_t name)
{
    for (int p = 0; p < PRODUCTS; p++) {
        const char *own = s->market.book[product_book[p]].spec->name;
        bool alias = name.n && name.p[name.n - 1] == 'C' && span_is(span_make(name.p, name.n - 1), own);
        if (alias || span_is(name, own)) return p;
    }
    return -1;
}

static int channel_of(span_t name)
{
    if (span_is(name, "level2_batch")) return CH_BOOK;
    for (int ch = 0; ch < CH_N; ch++) {
        if (span_is(name, inner_name[ch])) return ch;
    }
    return -1;
}

static bool wants_login(span_t name) { return span_is(name, "level2") || span_is(name, "level3") || span_is(name, "full"); }

/* False: refused, and said so. Nothing was changed then. */
static bool acceptable(const call_t *k, const json_t *products, const json_t *channels)
{
    for (size_t i = 0; i < json_len(channels); i++) {
        span_t name = json_str(json_at(channels, i));
        if (wants_login(name)) {
            complain(k->s, k->c, "Failed to subscribe", "level2, level3, and full channels now require authentication.");
            return false;
        }
        if (channel_of(name) < 0) {
            complain(k->s, k->c, "Failed to subscribe", "unknown channel");
            return false;
        }
    }
    for (size_t i = 0; i < json_len(products); i++) {
        if (product_of(k->s, json_str(json_at(products, i))) >= 0) continue;
        complain(k->s, k->c, "Failed to subscribe", "unknown product");
        return false;
    }
    return true;
}

static void apply(sim_t *s, conn_t *c, int ch, int p, bool on)
{
    exchange_t *x = conn_user(c);
    const mbook_t *b = &s->market.book[product_book[p]];
    x->sub[ch][p] = on;
    if (!on) return;
    if (ch == CH_BOOK) snapshot(s, c, b);
    if (ch == CH_MATCHES) match(s, c, b, true);
}

static void request(void *ctx, const json_t *v)
{
    const call_t *k = ctx;
    exchange_t *x = conn_user(k->c);
    span_t type = json_str(json_get(v, "type"));
    const json_t *products = json_get(v, "product_ids"), *channels = json_get(v, "channels");
    bool on = span_is(type, "subscribe");
    if (!on && !span_is(type, "unsubscribe")) {
        complain(k->s, k->c, "Unknown request", NULL);
        return;
    }
    x->asked = true;
    if (!acceptable(k, products, channels)) return;
    for (size_t i = 0; i < json_len(channels); i++) {
        for (size_t j = 0; j < json_len(products); j++)
            apply(k->s, k->c, channel_of(json_str(json_at(channels, i))), product_of(k->s, json_str(json_at(products, j))), on);
    }
    subscriptions(k->s, k->c);
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    call_t k = {s, c};
    exchange_t *x = conn_user(c);
    if (s->play[EP_EXCHANGE] && play_text(s, c, t)) x->asked = true;
    else if (!with_json(s, t, request, &k)) complain(s, c, "Malformed JSON", NULL);
}

/* ---- by the clock ---- */

static void turn(sim_t *s, conn_t *c)
{
    exchange_t *x = conn_user(c);
    if (!x->asked && s->now_ms - x->cl.opened_ms > SUBSCRIBE_MS) {
        conn_close(c, 1008);
        return;
    }
    if (s->now_ms - x->cl.beat_ms < 1000) return;
    x->cl.beat_ms = s->now_ms;
    for (unsigned p = 0; p < PRODUCTS; p++) {
        const mbook_t *b = &s->market.book[product_book[p]];
        if (x->sub[CH_HEARTBEAT][p]) heartbeat(s, c, b->spec->name, b->trade.id);
    }
}

/* After a played file: a product that is not in it, so that its trades are left alone. */
static void idle(sim_t *s, conn_t *c)
{
    client_t *cl = conn_user(c);
    if (s->now_ms - cl->beat_ms < 1000) return;
    cl->beat_ms = s->now_ms;
    heartbeat(s, c, "PLAYED-OUT", 0);
}

static void book(sim_t *s, conn_t *c, mbook_id_t id)
{
    exchange_t *x = conn_user(c);
    const mbook_t *b = &s->market.book[id];
    for (unsigned p = 0; p < PRODUCTS; p++) {
        if (product_book[p] != id) continue;
        if (b->traded && x->sub[CH_MATCHES][p]) match(s, c, b, false);
        if (x->sub[CH_BOOK][p]) update(s, c, b);
    }
}

const endpoint_t endpoint_exchange = {
    .path = "/coinbase-exchange",
    .venue = SV_COINBASE,
    .client_size = sizeof(exchange_t),
    .text = text,
    .turn = turn,
    .book = book,
    .idle = idle,
};
