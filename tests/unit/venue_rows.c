#include "tests/unit/venue_rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Every message carries a member that nobody knows: those are to be skipped. */
#define EXTRA "\"zz_new\":{\"a\":[1,{\"b\":null}],\"c\":\"d\"},"

typedef struct {
    char *p;
    size_t n;
} text_t;

__attribute__((format(printf, 2, 3))) static void put(text_t *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->p + t->n, SAY_MAX - t->n, fmt, ap);
    va_end(ap);
}

/* side 0: both. fmt gets side word, price, size; or price and size when words is NULL. */
static void rows(text_t *t, const say_level_t *l, size_t n, char side, const char *const words[2], const char *fmt)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (side && l[i].side != side) continue;
        if (any) put(t, ",");
        any = true;
        if (strcmp(fmt, "object") == 0)
            put(t, "{\"side\":\"%s\",\"event_time\":\"2026-11-20T10:00:00Z\",\"price_level\":\"%s\",\"new_quantity\":\"%s\"}", words[l[i].side == 'a'],
                l[i].px, l[i].qty);
        else if (words) put(t, "[\"%s\",\"%s\",\"%s\"]", words[l[i].side == 'a'], l[i].px, l[i].qty);
        else put(t, "[\"%s\",\"%s\"]", l[i].px, l[i].qty);
    }
}

static const char *const dashed[3] = {"AAA-USD", "BBB-USD", NULL}, *const upper[2] = {"AAAUSD", "BBBUSD"}, *const lower[2] = {"aaausd", "bbbusd"};
static const char *const bid_offer[2] = {"bid", "offer"}, *const buy_sell[2] = {"buy", "sell"};

static size_t say_coinbase(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    text_t t = {out, 0};
    put(&t, "{" EXTRA "\"channel\":\"%s\",\"timestamp\":\"2026-11-20T10:00:00Z\",\"sequence_num\":%u,\"events\":[", what == SAY_OTHER ? "weather" : "l2_data",
        v->seq++);
    if (what != SAY_OTHER) {
        put(&t, "{\"type\":\"%s\",\"product_id\":\"%s\",\"updates\":[", what == SAY_SNAPSHOT ? "snapshot" : "update", dashed[market]);
        rows(&t, l, n, 0, bid_offer, "object");
        put(&t, "]}");
    }
    put(&t, "]}");
    return t.n;
}

static size_t say_exchange(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    text_t t = {out, 0};
    v->seq++;
    if (what == SAY_OTHER) {
        put(&t, "{\"type\":\"weather\"," EXTRA "\"product_id\":\"%s\"}", dashed[market]);
    } else if (what == SAY_SNAPSHOT) {
        put(&t, "{\"type\":\"snapshot\"," EXTRA "\"product_id\":\"%s\",\"asks\":[", dashed[market]);
        rows(&t, l, n, 'a', NULL, "");
        put(&t, "],\"bids\":[");
        rows(&t, l, n, 'b', NULL, "");
        put(&t, "],\"time\":\"2026-11-20T10:00:00.000001Z\"}");
    } else {
        put(&t, "{\"type\":\"l2update\"," EXTRA "\"product_id\":\"%s\",\"changes\":[", dashed[market]);
        rows(&t, l, n, 0, buy_sell, "");
        put(&t, "],\"time\":\"2026-11-20T10:00:00.000001Z\"}");
    }
    return t.n;
}

static size_t say_gemini(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    text_t t = {out, 0};
    unsigned id = 1000 + (v->seq += 7);
    if (what == SAY_OTHER) {
        put(&t, "{" EXTRA "\"e\":\"weather\",\"s\":\"%s\"}", lower[market]);
        return t.n;
    }
    put(&t, "{" EXTRA "\"e\":\"depthUpdate\",\"E\":1795168800000000000,\"s\":\"%s\",\"U\":%u,\"u\":%u,\"b\":[", lower[market],
        what == SAY_SNAPSHOT ? id : v->last[market] ? v->last[market] : id - 5, id);
    rows(&t, l, n, 'b', NULL, "");
    put(&t, "],\"a\":[");
    rows(&t, l, n, 'a', NULL, "");
    put(&t, "]}");
    v->last[market] = id;
    return t.n;
}

static size_t say_v2(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    text_t t = {out, 0};
    v->seq++;
    if (what == SAY_OTHER) {
        put(&t, "{" EXTRA "\"type\":\"weather\",\"symbol\":\"%s\"}", upper[market]);
        return t.n;
    }
    put(&t, "{" EXTRA "\"changes\":[");
    rows(&t, l, n, 0, buy_sell, "");
    put(&t, "],\"symbol\":\"%s\"%s,\"type\":\"l2_updates\"}", upper[market], what == SAY_SNAPSHOT ? ",\"trades\":[]" : "");
    return t.n;
}

static size_t say_bitstamp(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, const char *channel, const char *snapshot, char *out)
{
    text_t t = {out, 0};
    v->seq++;
    if (what == SAY_OTHER) {
        put(&t, "{" EXTRA "\"event\":\"bts:weather\",\"channel\":\"\",\"data\":null}");
        return t.n;
    }
    put(&t, "{\"data\":{\"timestamp\":\"1795168800\"," EXTRA "\"microtimestamp\":\"%llu\",\"bids\":[", 1795168800000000ull + v->seq);
    rows(&t, l, n, 'b', NULL, "");
    put(&t, "],\"asks\":[");
    rows(&t, l, n, 'a', NULL, "");
    put(&t, "]}," EXTRA "\"channel\":\"%s%s\",\"event\":\"%s\"}", channel, lower[market], what == SAY_SNAPSHOT ? snapshot : "data");
    return t.n;
}

static size_t say_bitstamp_book(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    return say_bitstamp(v, what, market, l, n, "order_book_", "data", out);
}

static size_t say_bitstamp_diff(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX])
{
    return say_bitstamp(v, what, market, l, n, "diff_order_book_", "xorj:seed", out);
}

const vrow_t venue_rows[] = {
    {"coinbase-advanced", {"AAA-USD", "BBB-USD"}, .numbered = true, .chained = true, .say = say_coinbase},
    {"coinbase-exchange", {"AAA-USD", "BBB-USD"}, .say = say_exchange},
    {"gemini-depth", {"aaaUSD", "bbbusd"}, .chained = true, .say = say_gemini},
    {"gemini-v2", {"aaausd", "BBBUSD"}, .say = say_v2},
    {"bitstamp-book", {"AAA/USD", "bbbusd"}, .whole = true, .say = say_bitstamp_book},
    {"bitstamp-diff", {"aaausd", "BBB/USD"}, .first = true, .say = say_bitstamp_diff},
    {.protocol = NULL},
};
