/* Gemini's current socket: requests by method and id, the snapshot as first depthUpdate and before its acknowledgement,
 * a U/u chain per symbol over ids that all symbols share. */
#include <stdlib.h>
#include <strings.h>

#include "sim/sim.h"

#define SYMBOLS 3
#define STREAMS_MAX 64
#define NS_PER_MS 1000000LL

static const mbook_id_t symbol_book[SYMBOLS] = {BOOK_GM_SOL, BOOK_GM_USDC, BOOK_GM_BTC};
static const unsigned px_show[SYMBOLS] = {5, 7, 5}, qty_show = 10;

enum { ST_DEPTH, ST_DEPTH_1S, ST_TRADE, ST_TOUCH, ST_N };
static const char *const stream_name[ST_N] = {"@depth@100ms", "@depth", "@trade", "@bookTicker"};

typedef struct {
    client_t cl;
    bool sub[ST_N][SYMBOLS];
    int64_t snapshot;           /* from the URL: -1 all levels, 0 none, n best n */
    mlevel_t touch[SYMBOLS][2]; /* last bookTicker sent */
} gemini_t;

/* ---- messages ---- */

static void put_dec(jw_t *w, int64_t v, unsigned dec, int show)
{
    char text[DEC_SIM_MAX];
    sim_dec(text, v, dec, show);
    jw_cstr(w, text);
}

static void pair(jw_t *w, const mspec_t *spec, unsigned sym, int64_t px, int64_t qty)
{
    jw_arr(w);
    put_dec(w, px, spec->px_dec, (int)px_show[sym]);
    put_dec(w, qty, QTY_DEC, (int)qty_show);
    jw_end(w);
}

static void key_u64(jw_t *w, const char *key, uint64_t v)
{
    jw_key(w, key);
    jw_u64(w, v);
}

static void depth_head(sim_t *s, jw_t *w, const mbook_t *b, uint64_t first, uint64_t last)
{
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
    key_text(w, "e", "depthUpdate");
    key_u64(w, "E", (uint64_t)s->wall_ns);
    key_text(w, "s", b->spec->name);
    key_u64(w, "U", first);
    key_u64(w, "u", last);
}

static void snapshot(sim_t *s, conn_t *c, unsigned sym)
{
    gemini_t *g = conn_user(c);
    mbook_id_t id = symbol_book[sym];
    const mbook_t *b = &s->market.book[id];
    jw_t w;
    if (g->snapshot == 0) return;
    depth_head(s, &w, b, s->chain[id].last, s->chain[id].last);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(&w, side == MSIDE_BID ? "b" : "a");
        jw_arr(&w);
        for (unsigned i = 0; i < b->n[side] && (g->snapshot < 0 || i < g->snapshot); i++)
            pair(&w, b->spec, sym, b->side[side][i].px, b->side[side][i].qty);
        jw_end(&w);
    }
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_SNAPSHOT);
}

static void depth(sim_t *s, conn_t *c, unsigned sym, uint64_t first, const mchange_t *chg, unsigned n)
{
    mbook_id_t id = symbol_book[sym];
    const mbook_t *b = &s->market.book[id];
    jw_t w;
    depth_head(s, &w, b, first, s->chain[id].last);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(&w, side == MSIDE_BID ? "b" : "a");
        jw_arr(&w);
        for (unsigned i = 0; i < n; i++) {
            if (chg[i].side == (mside_t)side) pair(&w, b->spec, sym, chg[i].lv.px, chg[i].lv.qty);
        }
        jw_end(&w);
    }
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_UPDATE);
}

static void trade(sim_t *s, conn_t *c, unsigned sym)
{
    const mbook_t *b = &s->market.book[symbol_book[sym]];
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_u64(&w, "E", (uint64_t)s->wall_ns);
    key_text(&w, "s", b->spec->name);
    key_u64(&w, "t", b->trade.id);
    jw_key(&w, "p");
    put_dec(&w, b->trade.px, b->spec->px_dec, (int)px_show[sym]);
    jw_key(&w, "q");
    put_dec(&w, b->trade.qty, QTY_DEC, (int)qty_show);
    jw_key(&w, "m");
    jw_bool(&w, !b->trade.buy);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void touch(sim_t *s, conn_t *c, unsigned sym)
{
    gemini_t *g = conn_user(c);
    mbook_id_t id = symbol_book[sym];
    const mbook_t *b = &s->market.book[id];
    const mlevel_t now[2] = {b->side[0][0], b->side[1][0]};
    static const char *const px_key[2] = {"b", "a"}, *const qty_key[2] = {"B", "A"};
    jw_t w;
    if (memcmp(now, g->touch[sym], sizeof(now)) == 0) return;
    memcpy(g->touch[sym], now, sizeof(now));
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_u64(&w, "u", s->chain[id].last);
    key_u64(&w, "E", (uint64_t)s->wall_ns);
    key_text(&w, "s", b->spec->name);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(&w, px_key[side]);
        put_dec(&w, now[side].px, b->spec->px_dec, (int)px_show[sym]);
        jw_key(&w, qty_key[side]);
        put_dec(&w, now[side].qty, QTY_DEC, (int)qty_show);
    }
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

/* ---- requests ---- */

static void reply_head(sim_t *s, jw_t *w, const json_t *id, int status)
{
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
    jw_key(w, "id");
    if (id && (json_type(id) == JSON_STR || json_type(id) == JSON_NUM))
        jw_raw(w, json_raw(id));
    else
        jw_null(w);
    key_i64(w, "status", status);
}

static void reply_end(sim_t *s, conn_t *c, jw_t *w)
{
    jw_end(w);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void acknowledge(sim_t *s, conn_t *c, const json_t *id)
{
    jw_t w;
    reply_head(s, &w, id, 200);
    reply_end(s, c, &w);
}

static void refuse(sim_t *s, conn_t *c, const json_t *id, int code, const char *msg, span_t detail)
{
    jw_t w;
    buf_reset(&s->body);
    buf_str(&s->body, msg);
    if (detail.n) buf_add(&s->body, detail.p, detail.n < 200 ? detail.n : 200);
    reply_head(s, &w, id, 400);
    jw_key(&w, "error");
    jw_obj(&w);
    key_i64(&w, "code", code);
    jw_key(&w, "msg");
    jw_str(&w, buf_span(&s->body));
    jw_end(&w);
    reply_end(s, c, &w);
}

static bool stream_parse(const sim_t *s, span_t text, unsigned *stream, unsigned *sym)
{
    for (unsigned y = 0; y < SYMBOLS; y++) {
        span_t name = span_of(s->market.book[symbol_book[y]].spec->name);
        if (text.n <= name.n || strncasecmp(text.p, name.p, name.n) != 0) continue;
        span_t rest = span_make(text.p + name.n, text.n - name.n);
        for (unsigned t = 0; t < ST_N; t++) {
            if (span_is(rest, stream_name[t])) return *stream = t, *sym = y, true;
        }
    }
    return false;
}

/* All names or none: a bad one leaves the subscriptions as they were. */
static void change(sim_t *s, conn_t *c, const json_t *id, const json_t *params, bool on)
{
    gemini_t *g = conn_user(c);
    unsigned stream, sym;
    if (!params || json_type(params) != JSON_ARR || json_len(params) == 0 || json_len(params) > STREAMS_MAX) {
        refuse(s, c, id, -1013, "Invalid params", span_make(NULL, 0));
        return;
    }
    for (size_t i = 0; i < json_len(params); i++) {
        span_t name = json_str(json_at(params, i));
        if (!stream_parse(s, name, &stream, &sym)) {
            refuse(s, c, id, -1013, "Invalid stream name: ", name);
            return;
        }
    }
    for (size_t i = 0; i < json_len(params); i++) {
        XASSERT(stream_parse(s, json_str(json_at(params, i)), &stream, &sym));
        g->sub[stream][sym] = on;
        memset(g->touch[sym], 0, sizeof(g->touch[sym]));
        if (on && (stream == ST_DEPTH || stream == ST_DEPTH_1S)) snapshot(s, c, sym);
        if (on && stream == ST_TOUCH) touch(s, c, sym);
    }
    acknowledge(s, c, id);
}

static void server_time(sim_t *s, conn_t *c, const json_t *id)
{
    jw_t w;
    reply_head(s, &w, id, 200);
    jw_key(&w, "result");
    jw_obj(&w);
    key_i64(&w, "serverTime", s->wall_ns / NS_PER_MS);
    jw_end(&w);
    reply_end(s, c, &w);
}

static void list(sim_t *s, conn_t *c, const json_t *id)
{
    gemini_t *g = conn_user(c);
    jw_t w;
    reply_head(s, &w, id, 200);
    jw_key(&w, "result");
    jw_arr(&w);
    for (unsigned t = 0; t < ST_N; t++) {
        for (unsigned y = 0; y < SYMBOLS; y++) {
            if (!g->sub[t][y]) continue;
            buf_reset(&s->body);
            buf_str(&s->body, s->market.book[symbol_book[y]].spec->name);
            buf_str(&s->body, stream_name[t]);
            jw_str(&w, buf_span(&s->body));
        }
    }
    jw_end(&w);
    reply_end(s, c, &w);
}

static void request(void *ctx, const json_t *v)
{
    call_t *k = ctx;
    const json_t *id = json_get(v, "id"), *params = json_get(v, "params");
    span_t method = json_str(json_get(v, "method"));
    if (span_is(method, "subscribe"))
        change(k->s, k->c, id, params, true);
    else if (span_is(method, "unsubscribe"))
        change(k->s, k->c, id, params, false);
    else if (span_is(method, "ping"))
        acknowledge(k->s, k->c, id);
    else if (span_is(method, "time"))
        server_time(k->s, k->c, id);
    else if (span_is(method, "list_subscriptions"))
        list(k->s, k->c, id);
    else
        refuse(k->s, k->c, id, -1020, "Unsupported operation", span_make(NULL, 0));
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    call_t k = {s, c};
    if (s->play[EP_GEMINI] && play_text(s, c, t)) return;
    if (!with_json(s, t, request, &k)) refuse(s, c, NULL, -1013, "Invalid request", span_make(NULL, 0));
}

static void open(sim_t *s, conn_t *c, span_t query)
{
    gemini_t *g = conn_user(c);
    static const char key[] = "snapshot=";
    const char *at = query.n ? memmem(query.p, query.n, key, sizeof(key) - 1) : NULL;
    char num[16] = "";
    for (size_t i = 0; at && i < sizeof(num) - 1 && at + sizeof(key) - 1 + i < query.p + query.n; i++)
        num[i] = at[sizeof(key) - 1 + i];
    g->snapshot = strtoll(num, NULL, 10);
}

static void book(sim_t *s, conn_t *c, mbook_id_t id)
{
    gemini_t *g = conn_user(c);
    const mbook_t *b = &s->market.book[id];
    for (unsigned y = 0; y < SYMBOLS; y++) {
        if (symbol_book[y] != id) continue;
        if (g->sub[ST_DEPTH][y]) depth(s, c, y, s->chain[id].before, b->chg, b->chg_n);
        if (g->sub[ST_TOUCH][y]) touch(s, c, y);
        if (b->traded && g->sub[ST_TRADE][y]) trade(s, c, y);
    }
}

/* The one-second stream: what changed since the last one, with the sizes of now. */
static void second(sim_t *s, conn_t *c, mbook_id_t id)
{
    gemini_t *g = conn_user(c);
    for (unsigned y = 0; y < SYMBOLS; y++) {
        if (symbol_book[y] == id && g->sub[ST_DEPTH_1S][y])
            depth(s, c, y, s->chain[id].sent_1s, s->chain[id].dirty, s->chain[id].dirty_n);
    }
}

const endpoint_t endpoint_gemini = {
    .path = "/gemini",
    .venue = SV_GEMINI,
    .client_size = sizeof(gemini_t),
    .open = open,
    .text = text,
    .book = book,
    .second = second,
};
