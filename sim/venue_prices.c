/* Price sources: CoinGecko's simple price, Jupiter's price v3, Pyth's latest update, Birdeye's stream. They tell the market's fair price and
 * basis, each in its own spelling. */
#include "base/codec.h"
#include "sim/sim.h"

#define SOL_MINT "So11111111111111111111111111111111111111112"
#define USDC_MINT "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
#define USDT_MINT "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"
#define SOL_ID "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"
#define USDC_ID "eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a"
#define USDT_ID "2b89b9dc8fdf9f34709a5b106b472f0f39bb6ca9ce04b0fd7f2e971688e2e53b"
#define USDT_MICRO 999800

static const struct { const char *gecko, *mint, *id; } coins[] = {
    {"solana", SOL_MINT, SOL_ID}, {"usd-coin", USDC_MINT, USDC_ID}, {"tether", USDT_MINT, USDT_ID}};
enum { COINS = sizeof(coins) / sizeof(coins[0]) };

/* Micro-dollars; a source that lies is a tenth too high. */
static int64_t price_of(const sim_t *s, sv_t v, unsigned coin)
{
    int64_t p = coin == 0 ? s->market.fair : coin == 1 ? s->market.basis : USDT_MICRO;
    return fault_on(s, v, FAULT_LIE) ? p + p / 10 : p;
}

static void key_number(jw_t *w, const char *key, int64_t micro)
{
    char text[DEC_SIM_MAX];
    size_t n = sim_dec(text, micro, 6, -1);
    jw_key(w, key);
    jw_raw(w, span_make(text, n));
}

static bool asked(span_t query, const char *name)
{
    return memmem(query.p, query.n, name, strlen(name)) != NULL;
}

static jw_t start(sim_t *s)
{
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    return w;
}

static void gecko(sim_t *s, conn_t *c, const sreq_t *r)
{
    jw_t w = start(s);
    for (unsigned i = 0; i < COINS; i++) {
        if (!asked(r->query, coins[i].gecko)) continue;
        jw_key(&w, coins[i].gecko);
        jw_obj(&w);
        key_number(&w, "usd", price_of(s, SV_COINGECKO, i));
        if (asked(r->query, "include_last_updated_at=true")) key_i64(&w, "last_updated_at", s->wall_ns / 1000000000);
        jw_end(&w);
    }
    jw_end(&w);
    out_http(s, c, SV_COINGECKO, buf_span(&s->msg));
}

static void jupiter(sim_t *s, conn_t *c, const sreq_t *r)
{
    jw_t w = start(s);
    for (unsigned i = 0; i < COINS; i++) {
        if (!asked(r->query, coins[i].mint)) continue;
        jw_key(&w, coins[i].mint);
        jw_obj(&w);
        key_number(&w, "usdPrice", price_of(s, SV_JUPITER, i));
        key_i64(&w, "blockId", (int64_t)s->slot);
        key_i64(&w, "decimals", i == 0 ? 9 : 6);
        key_number(&w, "priceChange24h", 1250000);
        jw_end(&w);
    }
    jw_end(&w);
    out_http(s, c, SV_JUPITER, buf_span(&s->msg));
}

static void key_int_text(jw_t *w, const char *key, int64_t v)
{
    char text[DEC_SIM_MAX];
    sim_dec(text, v, 0, -1);
    key_text(w, key, text);
}

static void pyth_price(jw_t *w, const char *key, int64_t micro, int64_t at_s)
{
    jw_key(w, key);
    jw_obj(w);
    key_int_text(w, "price", micro * 100);
    key_int_text(w, "conf", micro / 20);
    key_i64(w, "expo", -8);
    key_i64(w, "publish_time", at_s);
    jw_end(w);
}

static void pyth(sim_t *s, conn_t *c, const sreq_t *r)
{
    jw_t w = start(s);
    jw_key(&w, "binary");
    jw_obj(&w);
    key_text(&w, "encoding", "base64");
    jw_key(&w, "data");
    jw_arr(&w);
    jw_end(&w);
    jw_end(&w);
    jw_key(&w, "parsed");
    jw_arr(&w);
    for (unsigned i = 0; i < COINS; i++) {
        if (!asked(r->query, coins[i].id)) continue;
        jw_obj(&w);
        key_text(&w, "id", coins[i].id);
        pyth_price(&w, "price", price_of(s, SV_PYTH, i), s->wall_ns / 1000000000);
        pyth_price(&w, "ema_price", price_of(s, SV_PYTH, i), s->wall_ns / 1000000000);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    out_http(s, c, SV_PYTH, buf_span(&s->msg));
}

static void no_text(sim_t *s, conn_t *c, span_t text)
{
    (void)s, (void)text;
    conn_close(c, 1003);
}

const endpoint_t endpoint_coingecko = {
    .path = "/api/v3/simple/price", .venue = SV_COINGECKO, .client_size = sizeof(client_t), .text = no_text, .post = gecko, .http_only = true};
const endpoint_t endpoint_jupiter = {
    .path = "/price/v3", .venue = SV_JUPITER, .client_size = sizeof(client_t), .text = no_text, .post = jupiter, .http_only = true};
const endpoint_t endpoint_pyth = {
    .path = "/v2/updates/price/latest", .venue = SV_PYTH, .client_size = sizeof(client_t), .text = no_text, .post = pyth, .http_only = true};

/* ---- Birdeye: candles by websocket, once a second ---- */

typedef struct {
    client_t cl;
    unsigned coins; /* bit per coin it subscribed */
} birdeye_t;

static void candle(sim_t *s, conn_t *c, unsigned coin)
{
    static const char *const symbols[COINS] = {"SOL", "USDC", "USDT"};
    int64_t price = price_of(s, SV_BIRDEYE, coin);
    jw_t w = start(s);
    key_text(&w, "type", "PRICE_DATA");
    jw_key(&w, "data");
    jw_obj(&w);
    for (const char *k = "ohlc"; *k; k++) key_number(&w, (const char[]){*k, 0}, price);
    key_number(&w, "v", 1234567890);
    key_text(&w, "eventType", "ohlcv");
    key_text(&w, "type", "1m");
    key_i64(&w, "unixTime", s->wall_ns / 60000000000 * 60);
    key_text(&w, "symbol", symbols[coin]);
    key_text(&w, "address", coins[coin].mint);
    jw_end(&w);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_UPDATE);
}

static void birdeye_open(sim_t *s, conn_t *c, span_t query)
{
    (void)query;
    out_text(s, c, SPAN_LIT("{\"type\":\"WELCOME\"}"), OUT_REPLY);
}

static void birdeye_text(sim_t *s, conn_t *c, span_t text)
{
    birdeye_t *b = conn_user(c);
    if (!asked(text, "SUBSCRIBE_PRICE")) {
        out_text(s, c, SPAN_LIT("{\"type\":\"ERROR\",\"data\":\"unknown type\"}"), OUT_REPLY);
        return;
    }
    b->coins = 0;
    for (unsigned i = 0; i < COINS; i++)
        if (asked(text, coins[i].mint)) b->coins |= 1u << i;
    b->cl.beat_ms = 0;
}

static void birdeye_turn(sim_t *s, conn_t *c)
{
    birdeye_t *b = conn_user(c);
    if (s->now_ms - b->cl.beat_ms < 1000) return;
    b->cl.beat_ms = s->now_ms;
    for (unsigned i = 0; i < COINS; i++)
        if (b->coins & 1u << i) candle(s, c, i);
}

const endpoint_t endpoint_birdeye = {
    .path = "/socket/solana", .venue = SV_BIRDEYE, .client_size = sizeof(birdeye_t), .open = birdeye_open, .text = birdeye_text, .turn = birdeye_turn};
