/* The control port: GET /status, GET /books/VENUE/MARKET, POST /fault, POST /market, POST /wallet. Plain HTTP on loopback, JSON both
 * ways. */
#include "base/codec.h"
#include "sim/sim.h"

#define MS_DEFAULT 5000
#define MS_MAX 3600000

static void key_dec(jw_t *w, const char *key, int64_t v, unsigned dec)
{
    char text[DEC_SIM_MAX];
    sim_dec(text, v, dec, -1);
    key_text(w, key, text);
}

static void start(sim_t *s, jw_t *w)
{
    buf_reset(&s->msg);
    jw_init(w, &s->msg);
    jw_obj(w);
}

static void done(sim_t *s, conn_t *c, jw_t *w, int status)
{
    jw_end(w);
    conn_reply(c, status, "application/json", buf_span(&s->msg));
}

static void complain(sim_t *s, conn_t *c, int status, const char *message)
{
    jw_t w;
    start(s, &w);
    key_text(&w, "error", message);
    done(s, c, &w, status);
}

/* ---- GET /status ---- */

static void put_venues(sim_t *s, jw_t *w)
{
    jw_key(w, "venues");
    jw_obj(w);
    for (unsigned v = 0; v < SV_N; v++) {
        const sv_stats_t *st = &s->stats[v];
        jw_key(w, sv_name((sv_t)v));
        jw_obj(w);
        key_i64(w, "clients", st->clients);
        key_i64(w, "connects", (int64_t)st->connects);
        key_i64(w, "messages", (int64_t)st->messages);
        key_i64(w, "bytes", (int64_t)st->bytes);
        key_i64(w, "requests", (int64_t)st->requests);
        jw_end(w);
    }
    jw_end(w);
}

static void put_prices(sim_t *s, jw_t *w)
{
    int64_t pool = pool_price_micro(&s->pool), usd = pool * s->market.basis / MICRO,
            cb = mbook_mid(&s->market.book[BOOK_CB_SOL]);
    jw_key(w, "prices");
    jw_obj(w);
    key_dec(w, "fair", s->market.fair, 6);
    key_dec(w, "coinbase", cb, 6);
    key_dec(w, "gemini", mbook_mid(&s->market.book[BOOK_GM_SOL]), 6);
    key_dec(w, "usdc", mbook_mid(&s->market.book[BOOK_GM_USDC]), 6);
    key_dec(w, "pool_usdc", pool, 6);
    key_dec(w, "pool_usd", usd, 6);
    key_i64(w, "pool_over_coinbase_bps", cb ? (usd - cb) * 10000 / cb : 0);
    jw_end(w);
}

static void put_pool(sim_t *s, jw_t *w)
{
    char liquidity[48];
    u128_t l = s->pool.w.liquidity;
    size_t at = sizeof(liquidity) - 1;
    liquidity[at] = 0;
    do liquidity[--at] = (char)('0' + (int)(l % 10));
    while ((l /= 10) != 0);
    jw_key(w, "pool");
    jw_obj(w);
    key_i64(w, "slot", (int64_t)s->slot);
    key_i64(w, "tick", s->pool.w.tick);
    key_text(w, "liquidity", liquidity + at);
    key_i64(w, "swaps", (int64_t)s->pool.swaps);
    key_i64(w, "positions", s->pool.pos_n);
    jw_end(w);
}

static void put_faults(sim_t *s, jw_t *w)
{
    jw_key(w, "faults");
    jw_arr(w);
    for (unsigned v = 0; v < SV_N; v++) {
        for (unsigned f = 0; f < FAULT_N; f++) {
            if (!fault_on(s, (sv_t)v, (fault_t)f)) continue;
            jw_obj(w);
            key_text(w, "venue", sv_name((sv_t)v));
            key_text(w, "kind", fault_name((fault_t)f));
            key_i64(w, "remaining_ms", s->faults.until_ms[v][f] - s->now_ms);
            jw_end(w);
        }
    }
    jw_end(w);
}

static void status(sim_t *s, conn_t *c)
{
    jw_t w;
    start(s, &w);
    jw_key(&w, "simulated");
    jw_bool(&w, true);
    jw_key(&w, "seed");
    jw_u64(&w, s->seed);
    key_i64(&w, "uptime_ms", s->now_ms - s->start_ms);
    key_i64(&w, "rate", s->market.rate);
    jw_key(&w, "held");
    jw_bool(&w, s->market.held);
    key_i64(&w, "tls_port", s->tls_port);
    put_venues(s, &w);
    put_prices(s, &w);
    put_pool(s, &w);
    put_faults(s, &w);
    jw_key(&w, "played");
    jw_arr(&w);
    for (unsigned e = 0; e < EP_N; e++) {
        if (s->play[e]) jw_cstr(&w, endpoint_of((ep_t)e)->path);
    }
    jw_end(&w);
    key_i64(&w, "refused", (int64_t)srv_refused(s->srv));
    key_i64(&w, "overrun", (int64_t)srv_overrun(s->srv));
    done(s, c, &w, 200);
}

/* ---- GET /books/VENUE/MARKET ---- */

static int book_of(const sim_t *s, span_t path)
{
    for (int id = 0; id < BOOK_N; id++) {
        span_t venue = span_of(id <= BOOK_CB_BTC ? "coinbase/" : id <= BOOK_GM_BTC ? "gemini/" : "bitstamp/"),
               name = span_of(s->market.book[id].spec->name);
        if (path.n == venue.n + name.n && memcmp(path.p, venue.p, venue.n) == 0 &&
            memcmp(path.p + venue.n, name.p, name.n) == 0)
            return id;
    }
    return -1;
}

static void book(sim_t *s, conn_t *c, span_t path)
{
    jw_t w;
    int id = book_of(s, path);
    if (id < 0) {
        complain(s, c, 404, "no such book");
        return;
    }
    const mbook_t *b = &s->market.book[id];
    start(s, &w);
    key_text(&w, "market", b->spec->name);
    for (unsigned side = 0; side < 2; side++) {
        jw_key(&w, side == MSIDE_BID ? "bids" : "asks");
        jw_arr(&w);
        for (unsigned i = 0; i < b->n[side]; i++) {
            char text[DEC_SIM_MAX];
            jw_arr(&w);
            sim_dec(text, b->side[side][i].px, b->spec->px_dec, -1);
            jw_cstr(&w, text);
            sim_dec(text, b->side[side][i].qty, QTY_DEC, -1);
            jw_cstr(&w, text);
            jw_end(&w);
        }
        jw_end(&w);
    }
    done(s, c, &w, 200);
}

/* ---- POST ---- */

static int venue_of(span_t name)
{
    for (int v = 0; v < SV_N; v++) {
        if (span_is(name, sv_name((sv_t)v))) return v;
    }
    return -1;
}

static bool only_known(const json_t *v, const char *const *names, size_t n)
{
    for (size_t i = 0; i < json_len(v); i++) {
        bool known = false;
        for (size_t k = 0; k < n; k++) known |= span_is(json_key(v, i), names[k]);
        if (!known) return false;
    }
    return json_type(v) == JSON_OBJ;
}

static void fault_post(void *ctx, const json_t *v)
{
    static const char *const names[] = {"venue", "kind", "ms"};
    call_t *k = ctx;
    fault_t f = FAULT_N;
    int64_t ms = MS_DEFAULT;
    if (!only_known(v, names, 3)) {
        complain(k->s, k->c, 400, "expected an object with venue, kind and ms");
        return;
    }
    int venue = venue_of(json_str(json_get(v, "venue")));
    span_t kind = json_str(json_get(v, "kind"));
    if (venue < 0) {
        complain(k->s, k->c, 400, "venue must be coinbase, gemini, bitstamp, solana, coingecko, jupiter, pyth or birdeye");
        return;
    }
    if (!span_is(kind, "clear") && !fault_parse(kind, &f)) {
        complain(k->s, k->c, 400, "kind must be disconnect, silence, gap, garbage, slow, limit, lie or clear");
        return;
    }
    if (json_get(v, "ms") && (json_i64(json_get(v, "ms"), &ms) || ms < 0 || ms > MS_MAX)) {
        complain(k->s, k->c, 400, "ms must be an integer from 0 to 3600000");
        return;
    }
    if (f == FAULT_N)
        fault_clear(k->s, (sv_t)venue);
    else
        fault_set(k->s, (sv_t)venue, f, ms);
    jw_t w;
    start(k->s, &w);
    key_text(&w, "venue", sv_name((sv_t)venue));
    jw_key(&w, "kind");
    jw_str(&w, kind);
    key_i64(&w, "ms", ms);
    done(k->s, k->c, &w, 200);
}

static void market_post(void *ctx, const json_t *v)
{
    static const char *const names[] = {"hold"};
    call_t *k = ctx;
    const json_t *hold = json_get(v, "hold");
    if (!only_known(v, names, 1) || !hold || json_type(hold) != JSON_BOOL) {
        complain(k->s, k->c, 400, "expected an object with hold: true or false");
        return;
    }
    k->s->market.held = json_bool(hold);
    jw_t w;
    start(k->s, &w);
    jw_key(&w, "held");
    jw_bool(&w, k->s->market.held);
    done(k->s, k->c, &w, 200);
}

static bool u63(const json_t *v, const char *name, uint64_t *out)
{
    int64_t n = 0;
    const json_t *m = json_get(v, name);
    if (m && (json_i64(m, &n) || n < 0)) return false;
    *out = (uint64_t)n;
    return true;
}

static void wallet_post(void *ctx, const json_t *v)
{
    static const char *const names[] = {"address", "lamports", "usdc", "usdt", "tokens"};
    call_t *k = ctx;
    holding_t h = {.tokens = 0};
    uint64_t tokens;
    const json_t *address = json_get(v, "address");
    if (!only_known(v, names, 5) || !address || b58_key(json_str(address), h.key) || !u63(v, "lamports", &h.lamports) || !u63(v, "usdc", &h.usdc) ||
        !u63(v, "usdt", &h.usdt) || !u63(v, "tokens", &tokens) || tokens > SIM_MINTS) {
        complain(k->s, k->c, 400, "expected an object with address and perhaps lamports, usdc, usdt (base units) and tokens");
        return;
    }
    h.tokens = (unsigned)tokens;
    if (sim_wallet_say(&k->s->wallets, &h)) {
        complain(k->s, k->c, 400, "too many wallets");
        return;
    }
    jw_t w;
    start(k->s, &w);
    jw_key(&w, "address");
    jw_str(&w, json_str(address));
    done(k->s, k->c, &w, 200);
}

static void post(sim_t *s, conn_t *c, span_t body, void (*fn)(void *ctx, const json_t *v))
{
    call_t k = {s, c};
    if (!with_json(s, body, fn, &k)) complain(s, c, 400, "body is not valid JSON");
}

void control_request(sim_t *s, conn_t *c, const sreq_t *r)
{
    bool get = span_is(r->method, "GET"), is_post = span_is(r->method, "POST");
    static const span_t books = SPAN_LIT("/books/");
    if (r->upgrade)
        complain(s, c, 400, "the control port has no websocket");
    else if (span_is(r->path, "/status"))
        get ? status(s, c) : complain(s, c, 405, "use GET");
    else if (span_is(r->path, "/fault"))
        is_post ? post(s, c, r->body, fault_post) : complain(s, c, 405, "use POST");
    else if (span_is(r->path, "/market"))
        is_post ? post(s, c, r->body, market_post) : complain(s, c, 405, "use POST");
    else if (span_is(r->path, "/wallet"))
        is_post ? post(s, c, r->body, wallet_post) : complain(s, c, 405, "use POST");
    else if (r->path.n > books.n && memcmp(r->path.p, books.p, books.n) == 0)
        get ? book(s, c, span_make(r->path.p + books.n, r->path.n - books.n)) : complain(s, c, 405, "use GET");
    else
        complain(s, c, 404, "try GET /status, GET /books/VENUE/MARKET, POST /fault, POST /market or POST /wallet");
}
