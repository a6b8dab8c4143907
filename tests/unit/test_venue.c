#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/books.h"

typedef struct {
    vp_t *vp;
    books_t *books;
} desk_t;

static int64_t ticking;
static int64_t fast_clock(void) { return ticking += 1000000000; } /* every look at it costs a second */
static int64_t still_clock(void) { return 1; }

static desk_t desk(const char *protocol, const char *const *markets, int64_t (*clock)(void))
{
    desk_t d = {.books = books_new()};
    d.vp = vp_new(venue_by_protocol(protocol), books_door(d.books), clock);
    for (inst_t i = 0; markets && markets[i]; i++) assert_int_equal(vp_market_add(d.vp, markets[i], i), XE_OK);
    return d;
}

static void desk_end(desk_t *d)
{
    vp_free(d->vp);
    books_free(d->books);
}

static vp_rc_t feed(desk_t *d, span_t text)
{
    vp_rc_t rc;
    vp_frame(d->vp, text, 5, 7);
    while ((rc = vp_run(d->vp, d->vp->clock == fast_clock ? 1 : 0)) == VP_MORE) {
    }
    return rc;
}

static vp_rc_t say(desk_t *d, const char *text) { return feed(d, span_of(text)); }

static bool good(const desk_t *d, inst_t i)
{
    const book_t *b = books_get(d->books, i);
    return b && book_good(b);
}

static void best_is(const desk_t *d, inst_t i, side_t side, const char *px, const char *qty)
{
    char text[DEC_TEXT_MAX];
    const level_t *lv = book_level(books_get(d->books, i), side, 0);
    assert_non_null(lv);
    dec_text(lv->px.raw, text, sizeof text);
    assert_string_equal(text, px);
    dec_text(lv->qty.raw, text, sizeof text);
    assert_string_equal(text, qty);
}

#define CB(seq, type, product, rows)                                                                                                     \
    "{\"channel\":\"l2_data\",\"timestamp\":\"2026-11-20T10:00:00.5Z\",\"sequence_num\":" #seq ",\"events\":[{\"type\":\"" type           \
    "\",\"product_id\":\"" product "\",\"updates\":[" rows "]}]}"
#define ROW(side, px, qty) "{\"side\":\"" side "\",\"event_time\":\"2026-11-20T10:00:00Z\",\"price_level\":\"" px "\",\"new_quantity\":\"" qty "\"}"

static const char *const sol[] = {"SOL-USD", NULL};

static void coinbase_rules(void **state)
{
    desk_t d = desk("coinbase-advanced", sol, still_clock);
    assert_int_equal(say(&d, "{\"channel\":\"subscriptions\",\"timestamp\":\"x\",\"sequence_num\":0,\"events\":[{\"subscriptions\":{\"level2\":[\"SOL-USD\"]}}]}"), VP_DONE);
    assert_int_equal(say(&d, CB(1, "update", "SOL-USD", ROW("bid", "9", "1"))), VP_DONE);
    assert_int_equal(d.vp->stats.early, 1);
    assert_int_equal(say(&d, CB(2, "snapshot", "SOL-USD", ROW("bid", "20.5", "3") "," ROW("offer", "20.75", "0.5"))), VP_DONE);
    assert_true(good(&d, 0));
    assert_int_equal(d.vp->venue_clock_us, 1795168800500000);
    /* a bid at the price of an ask that the same message removes */
    say(&d, CB(3, "update", "SOL-USD", ROW("bid", "20.75", "2") "," ROW("offer", "20.75", "0.000") "," ROW("offer", "21", "4")));
    assert_true(good(&d, 0));
    best_is(&d, 0, SIDE_BID, "20.75", "2");
    say(&d, "{\"channel\":\"weather\",\"sequence_num\":4,\"events\":[1,{}],\"new_key\":{\"a\":[1,2]}}");
    assert_int_equal(d.vp->stats.unknown, 1);
    say(&d, "{\"sequence_num\":5,\"events\":[{\"updates\":[{\"new_quantity\":\"7\",\"price_level\":\"20.8\",\"later\":{\"x\":1},\"side\":\"bid\"}],"
            "\"product_id\":\"SOL-USD\",\"type\":\"update\"}],\"client_id\":\"\",\"channel\":\"l2_data\"}");
    best_is(&d, 0, SIDE_BID, "20.8", "7");
    assert_int_equal(d.vp->reconnect, XE_OK);
    say(&d, CB(7, "update", "SOL-USD", ROW("bid", "20.9", "1")));
    assert_int_equal(d.vp->reconnect, XE_GAP);
    assert_int_equal(d.vp->stats.gaps, 1);
    assert_false(good(&d, 0));
    vp_reset(d.vp);
    say(&d, CB(0, "update", "SOL-USD", ROW("bid", "20.9", "1")));
    assert_false(good(&d, 0)); /* nothing before the new snapshot */
    desk_end(&d);
}

static void coinbase_refusals(void **state)
{
    static const char *const markets[] = {"SOL-USDC", "BTC-USD", "SOL-USD", NULL};
    desk_t d = desk("coinbase-advanced", markets, still_clock);
    say(&d, CB(0, "snapshot", "SOL-USD", ROW("bid", "20", "3") "," ROW("offer", "21", "1")));
    assert_true(good(&d, 0) && good(&d, 2) && !good(&d, 1)); /* the alias and the product share one stream */
    say(&d, CB(1, "update", "SOL-USD", ROW("bid", "999999999999999999999999999999", "1") "," ROW("offer", "21", "0.0000000000001")));
    assert_int_equal(d.vp->stats.refused_levels, 2);
    assert_true(good(&d, 0));
    assert_int_equal(book_depth(books_get(d.books, 0), SIDE_ASK), 0); /* a size out of range takes its level away */
    say(&d, "{\"type\":\"error\",\"message\":\"too many L2 streams requested in a single session\"}");
    assert_int_equal(d.vp->reconnect, XE_OK);
    assert_string_equal(d.vp->note, "too many L2 streams requested in a single session");
    say(&d, "{\"type\":\"error\",\"message\":\"authentication failure\"}");
    assert_int_equal(d.vp->reconnect, XE_DENIED);
    assert_int_equal(d.vp->stats.errors, 2);
    desk_end(&d);
}

static void broken_frames_show_nothing(void **state)
{
    static const char *const broken[] = {
        "", "[]", "null", "{\"channel\":\"l2_data\"", CB(1, "update", "SOL-USD", ROW("bid", "20.5", "1")) "x",
        CB(1, "update", "SOL-USD", ROW("bid", "-1", "1")), CB(1, "update", "SOL-USD", ROW("bid", "1e3", "1")), CB(1, "update", "SOL-USD", ROW("buy", "20", "1")),
        CB(1, "update", "SOL-USD", ROW("bid", "20", "")), CB(1, "update", "SOL-USD", "{}"), CB(1, "change", "SOL-USD", ""), CB("1", "update", "SOL-USD", ""),
        CB(1, "update", "SOL-USD", ROW("bid", "20", "1") ROW("bid", "20", "1")), "{\"channel\":\"l2_data\",\"sequence_num\":1}",
        "{\"channel\":\"l2_data\",\"channel\":\"x\",\"sequence_num\":1,\"events\":[]}", CB(1, "update", "SOL-USD", ROW("bid", "20", "1") ",") ,
        "{\"channel\":\"l2_data\",\"sequence_num\":1,\"events\":{}}", "{\"channel\":\"l2_data\",\"sequence_num\":1,\"events\":[7]}",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        desk_t d = desk("coinbase-advanced", sol, still_clock);
        say(&d, CB(0, "snapshot", "SOL-USD", ROW("bid", "20", "3") "," ROW("offer", "21", "1")));
        if (say(&d, broken[i]) != VP_BAD) fail_msg("accepted: %s", broken[i]);
        assert_false(good(&d, 0));
        assert_int_equal(d.vp->reconnect, XE_BAD_INPUT);
        assert_int_equal(d.vp->stats.garbled, 1);
        desk_end(&d);
    }
}

#define GM(s, first, last, b, a) "{\"e\":\"depthUpdate\",\"E\":1795168800123456789,\"s\":\"" s "\",\"U\":" #first ",\"u\":" #last ",\"b\":[" b "],\"a\":[" a "]}"

static void gemini_rules(void **state)
{
    static const char *const markets[] = {"solusd", "usdcusd", NULL};
    desk_t d = desk("gemini-depth", markets, still_clock);
    say(&d, GM("solusd", 90, 95, "[\"9\",\"1\"]", ""));
    assert_int_equal(d.vp->mkts[0].why, XE_GAP); /* an update where the snapshot should be */
    vp_market_forget(d.vp, 0);
    say(&d, GM("SOLUSD", 100, 100, "[\"20.1000\",\"2.50\"]", "[\"20.2\",\"1\"]"));
    say(&d, "{\"id\":\"s0\",\"status\":200}");
    say(&d, GM("usdcusd", 101, 101, "[\"0.9999\",\"5\"]", "[\"1.0001\",\"5\"]"));
    assert_true(good(&d, 0) && good(&d, 1));
    say(&d, GM("solusd", 100, 104, "[\"20.15\",\"1\"]", ""));
    say(&d, GM("solusd", 100, 103, "[\"20.15\",\"9\"]", ""));
    assert_int_equal(d.vp->stats.old, 1);
    best_is(&d, 0, SIDE_BID, "20.15", "1");
    say(&d, "{\"a\":[[\"20.18\",\"3\"]],\"b\":[],\"u\":108,\"U\":104,\"s\":\"solusd\",\"E\":1795168800223456789,\"e\":\"depthUpdate\"}");
    best_is(&d, 0, SIDE_ASK, "20.18", "3");
    say(&d, "{\"u\":109,\"E\":1795168800223456789,\"s\":\"solusd\",\"b\":\"20.15\",\"B\":\"1\",\"a\":\"20.18\",\"A\":\"3\"}");
    say(&d, GM("dogeusd", 300, 300, "", ""));
    assert_int_equal(d.vp->stats.unknown, 2);
    say(&d, GM("solusd", 110, 112, "", "[\"20.18\",\"0\"]"));
    assert_int_equal(d.vp->mkts[0].why, XE_GAP);
    assert_false(good(&d, 0));
    assert_true(good(&d, 1)); /* the chain belongs to the symbol */
    say(&d, GM("solusd", 112, 112, "[\"20\",\"1\"]", "")); /* of the old stream: no snapshot before the unsubscribe is confirmed */
    assert_false(good(&d, 0));
    say(&d, "{\"id\":\"u0\",\"status\":200}");
    assert_true(d.vp->mkts[0].unsubscribed);
    vp_market_forget(d.vp, 0);
    say(&d, GM("solusd", 120, 120, "[\"20\",\"1\"]", "[\"20.5\",\"1\"]"));
    assert_true(good(&d, 0));
    assert_int_equal(d.vp->reconnect, XE_OK);
    assert_int_equal(say(&d, GM("solusd", 121, 119, "", "")), VP_BAD);
    assert_false(good(&d, 0) || good(&d, 1));
    desk_end(&d);
}

static void gemini_texts(void **state)
{
    static const char *const markets[] = {"solUSD", NULL};
    desk_t d = desk("gemini-depth", markets, still_clock);
    buf_t b;
    buf_init(&b, 4096);
    assert_true(d.vp->ops->subscribe(d.vp, 0, &b));
    assert_true(span_is(buf_span(&b), "{\"id\":\"s0\",\"method\":\"subscribe\",\"params\":[\"solusd@depth@100ms\"]}"));
    assert_false(d.vp->ops->subscribe(d.vp, 1, &b));
    buf_reset(&b);
    d.vp->ops->ping(d.vp, &b);
    assert_true(span_is(buf_span(&b), "{\"id\":\"p\",\"method\":\"ping\"}"));
    desk_end(&d);
    d = desk("coinbase-advanced", (const char *const[]){"SOL-USDC", NULL}, still_clock);
    buf_reset(&b);
    d.vp->ops->subscribe(d.vp, 1, &b);
    assert_true(span_is(buf_span(&b), "{\"type\":\"subscribe\",\"product_ids\":[\"SOL-USDC\"],\"channel\":\"level2\"}"));
    assert_string_equal(d.vp->mkts[0].wire, "SOL-USD");
    for (int i = 1; i < 30; i++) {
        char name[24];
        snprintf(name, sizeof name, "C%d-USD", i);
        assert_int_equal(vp_market_add(d.vp, name, (inst_t)i), XE_OK);
    }
    assert_int_equal(vp_market_add(d.vp, "ONE-MORE", 99), XE_FULL);
    buf_fini(&b);
    desk_end(&d);
}

static void gemini_v2_rules(void **state)
{
    static const char *const markets[] = {"solusd", NULL};
    desk_t d = desk("gemini-v2", markets, still_clock);
    say(&d, "{\"changes\":[[\"buy\",\"19\",\"1.0\"]],\"symbol\":\"SOLUSD\",\"type\":\"l2_updates\"}");
    assert_false(good(&d, 0));
    say(&d, "{\"auction_events\":[],\"changes\":[[\"buy\",\"20.0\",\"1.0\"],[\"sell\",\"21.5\",\"2\"]],\"symbol\":\"SOLUSD\",\"trades\":[],\"type\":\"l2_updates\"}");
    assert_true(good(&d, 0));
    say(&d, "{\"type\":\"l2_updates\",\"symbol\":\"SOLUSD\",\"changes\":[[\"sell\",\"21.5\",\"0.0\"],[\"sell\",\"21.25\",\"4\"]]}");
    best_is(&d, 0, SIDE_ASK, "21.25", "4");
    say(&d, "{\"type\":\"heartbeat\",\"timestamp\":1795168800123}");
    assert_int_equal(d.vp->stats.beats, 1);
    assert_int_equal(d.vp->venue_clock_us, 1795168800123000);
    say(&d, "{\"changes\":[{\"mark_price\":\"1\"}],\"symbol\":\"SOLUSD\",\"type\":\"mark_price_updates\"}");
    assert_int_equal(d.vp->stats.unknown, 1);
    say(&d, "{\"reason\":\"NoValidTradingPairs\",\"result\":\"error\"}");
    assert_int_equal(d.vp->reconnect, XE_DENIED);
    desk_end(&d);
}

/* ---- seeded streams and what mutation does to them ---- */

#define FRAMES 48
#define TEXT 1600

typedef struct {
    char text[FRAMES][TEXT];
    size_t len[FRAMES];
    inst_t market[FRAMES];
    uint8_t digest[FRAMES][32]; /* of the frame's market after it */
} stream_t;

static uint64_t rng = 0x9E3779B97F4A7C15ull;
static uint64_t rnd(uint64_t n)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? rng % n : 0;
}

static const char *const two[] = {"AAAUSD", "BBBUSD", NULL};

typedef enum { ROW_COINBASE, ROW_GEMINI, ROW_V2 } row_t;

static size_t row_text(char *out, row_t kind, const char *side, int px, unsigned cents, unsigned qty)
{
    switch (kind) {
    case ROW_COINBASE:
        return (size_t)sprintf(out, "{\"side\":\"%s\",\"event_time\":\"2026-11-20T10:00:00Z\",\"price_level\":\"%d.%02u\",\"new_quantity\":\"%u\"}", side, px, cents, qty);
    case ROW_GEMINI: return (size_t)sprintf(out, "[\"%d.%02u\",\"%u\"]", px, cents, qty);
    case ROW_V2: return (size_t)sprintf(out, "[\"%s\",\"%d.%02u\",\"%u\"]", side, px, cents, qty);
    }
    return 0;
}

static void rows_text(char *out, row_t kind, const char *side, int n, int base)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i) out[at++] = ',';
        at += row_text(out + at, kind, side, base + (int)rnd(40), (unsigned)rnd(100), rnd(4) ? (unsigned)(1 + rnd(900)) : 0u);
    }
    out[at] = 0;
}

static void make_coinbase(stream_t *s)
{
    for (int i = 0; i < FRAMES; i++) {
        char rows[TEXT], more[TEXT];
        s->market[i] = i < 2 ? (inst_t)i : (inst_t)rnd(2);
        rows_text(rows, ROW_COINBASE, "bid", i < 2 ? 6 : 2, 100);
        rows_text(more, ROW_COINBASE, "offer", i < 2 ? 6 : 2, 200);
        s->len[i] = (size_t)snprintf(s->text[i], TEXT, "{\"channel\":\"l2_data\",\"timestamp\":\"2026-11-20T10:00:00Z\",\"sequence_num\":%d,"
                                     "\"events\":[{\"type\":\"%s\",\"product_id\":\"%s\",\"updates\":[%s,%s]}]}",
                                     i, i < 2 ? "snapshot" : "update", two[s->market[i]], rows, more);
    }
}

static void make_gemini(stream_t *s)
{
    unsigned id = 1000, last[2] = {0};
    for (int i = 0; i < FRAMES; i++) {
        char rows[TEXT], more[TEXT];
        inst_t m = s->market[i] = i < 2 ? (inst_t)i : (inst_t)rnd(2);
        rows_text(rows, ROW_GEMINI, "", i < 2 ? 6 : 2, 100);
        rows_text(more, ROW_GEMINI, "", i < 2 ? 6 : 2, 200);
        id += 2 + (unsigned)rnd(50);
        s->len[i] = (size_t)snprintf(s->text[i], TEXT, "{\"e\":\"depthUpdate\",\"E\":%llu,\"s\":\"%s\",\"U\":%u,\"u\":%u,\"b\":[%s],\"a\":[%s]}",
                                     1795168800000000000ull + (unsigned)i, two[m], i < 2 ? id : last[m], id, rows, more);
        last[m] = id;
    }
}

static void make_v2(stream_t *s)
{
    for (int i = 0; i < FRAMES; i++) {
        char rows[TEXT], more[TEXT];
        s->market[i] = i < 2 ? (inst_t)i : (inst_t)rnd(2);
        rows_text(rows, ROW_V2, "buy", 3, 100);
        rows_text(more, ROW_V2, "sell", 3, 200);
        s->len[i] = (size_t)snprintf(s->text[i], TEXT, "{\"changes\":[%s,%s],\"symbol\":\"%s\"%s,\"type\":\"l2_updates\"}", rows, more,
                                     two[s->market[i]], i < 2 ? ",\"trades\":[]" : "");
    }
}

static void measure(const char *protocol, stream_t *s, int64_t (*clock)(void), bool compare)
{
    desk_t d = desk(protocol, two, clock);
    for (int i = 0; i < FRAMES; i++) {
        uint8_t now[32];
        assert_int_equal(feed(&d, span_make(s->text[i], s->len[i])), VP_DONE);
        assert_true(good(&d, s->market[i]));
        book_digest(books_get(d.books, s->market[i]), now);
        if (compare) assert_memory_equal(now, s->digest[i], 32);
        memcpy(s->digest[i], now, 32);
    }
    desk_end(&d);
}

typedef enum { DROP, TWICE, SWAP, CUT, DIGIT, BYTE, KINDS } mutation_t;

/* The order in which frames are sent, and the text of the one that was touched. */
typedef struct {
    int order[FRAMES + 1], n, at;
    mutation_t kind;
    char text[TEXT];
    size_t len;
} plan_t;

static void mutate(const stream_t *s, plan_t *p)
{
    p->kind = (mutation_t)rnd(KINDS);
    p->at = (int)rnd(FRAMES - 2);
    p->n = 0;
    for (int i = 0; i < FRAMES; i++) {
        if (p->kind == DROP && i == p->at) continue;
        int k = p->kind == SWAP && i == p->at ? i + 1 : p->kind == SWAP && i == p->at + 1 ? i - 1 : i;
        p->order[p->n++] = k;
        if (p->kind == TWICE && i == p->at) p->order[p->n++] = k;
    }
    p->len = s->len[p->at];
    memcpy(p->text, s->text[p->at], p->len);
    if (p->kind == CUT) p->len = (size_t)rnd(p->len);
    for (size_t k = 0; p->kind == BYTE && k < 1 + rnd(3); k++) p->text[rnd(p->len)] = (char)rnd(256);
    for (size_t k = 0, i = (size_t)rnd(p->len); p->kind == DIGIT && k < p->len; k++, i = (i + 1) % p->len) {
        if (p->text[i] < '0' || p->text[i] > '9') continue;
        p->text[i] = (char)('0' + rnd(10));
        break;
    }
}

static bool in_doubt(const desk_t *d, inst_t m) { return d->vp->reconnect || d->vp->mkts[m].why; }

/* Plays the mutated stream the way a link does: it ends where the protocol asks for a new connection or market. A book
 * that is good after a message must be the true one; values that were garbled inside a sound message cannot be known. */
static bool play(const char *protocol, const stream_t *s, const plan_t *p, bool strict)
{
    desk_t d = desk(protocol, two, still_clock);
    bool caught = false;
    for (int i = 0; i < p->n && !caught; i++) {
        int k = p->order[i];
        bool touched = k == p->at && p->kind >= CUT;
        vp_rc_t rc = feed(&d, touched ? span_make(p->text, p->len) : span_make(s->text[k], s->len[k]));
        inst_t m = s->market[k];
        if (rc == VP_BAD) assert_true(!good(&d, 0) && !good(&d, 1) && d.vp->reconnect);
        caught = in_doubt(&d, 0) || in_doubt(&d, 1);
        if (d.vp->reconnect) assert_true(!good(&d, 0) && !good(&d, 1));
        if (!strict || p->kind > CUT || !good(&d, m)) continue;
        uint8_t now[32];
        int same = p->kind == TWICE && i > p->at ? p->order[i] : k;
        book_digest(books_get(d.books, m), now);
        if (memcmp(now, s->digest[same], 32) != 0) fail_msg("%s: mutation %d of frame %d: wrong book shown after frame %d", protocol, p->kind, p->at, k);
    }
    desk_end(&d);
    return caught;
}

static void mutations(void **state)
{
    static const struct { const char *protocol; void (*make)(stream_t *s); bool strict; } rows[] = {
        {"coinbase-advanced", make_coinbase, true}, {"gemini-depth", make_gemini, true}, {"gemini-v2", make_v2, false},
    };
    stream_t *s = malloc(sizeof *s);
    plan_t *p = malloc(sizeof *p);
    for (size_t r = 0; r < 3; r++) {
        unsigned caught[KINDS] = {0}, all[KINDS] = {0};
        for (int round = 0; round < 1700; round++) {
            if (round % 100 == 0) {
                rows[r].make(s);
                measure(rows[r].protocol, s, still_clock, false);
                measure(rows[r].protocol, s, fast_clock, true); /* cut into the smallest slices: the same books */
            }
            mutate(s, p);
            all[p->kind]++;
            /* Without its very first message a connection has lost a snapshot, so that book never shows. */
            caught[p->kind] += play(rows[r].protocol, s, p, rows[r].strict) || (p->kind == DROP && p->at == 0);
        }
        printf("%s: noticed drop %u/%u twice %u/%u swap %u/%u cut %u/%u digit %u/%u byte %u/%u\n", rows[r].protocol, caught[DROP], all[DROP],
               caught[TWICE], all[TWICE], caught[SWAP], all[SWAP], caught[CUT], all[CUT], caught[DIGIT], all[DIGIT], caught[BYTE], all[BYTE]);
        assert_int_equal(caught[CUT], all[CUT]);
        if (r == 0) assert_true(caught[DROP] == all[DROP] && caught[TWICE] == all[TWICE] && caught[SWAP] == all[SWAP]);
    }
    free(p);
    free(s);
}

static void null_post(void *ctx, const ev_t *ev)
{
    (void)ev;
    (*(uint64_t *)ctx)++;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* CPU time, so that neighbours do not count. No limit is checked: the figure is for the eye. */
static void speed(void **state)
{
    size_t cap = 6 << 20, n = 0;
    char *text = malloc(cap);
    uint64_t events = 0;
    n += (size_t)sprintf(text, "{\"channel\":\"l2_data\",\"timestamp\":\"2026-11-20T10:00:00Z\",\"sequence_num\":0,\"events\":[{\"type\":\"snapshot\",\"product_id\":\"SOL-USD\",\"updates\":[");
    for (int i = 0; n < 5000000; i++) {
        if (i) text[n++] = ',';
        n += row_text(text + n, ROW_COINBASE, i % 2 ? "bid" : "offer", 60000 + i, (unsigned)rnd(100), (unsigned)rnd(90000000));
    }
    n += (size_t)sprintf(text + n, "]}]}");
    vp_t *p = vp_new(&venue_coinbase, (door_t){null_post, &events}, cpu_ns);
    assert_int_equal(vp_market_add(p, "SOL-USD", 0), XE_OK);
    int64_t best = INT64_MAX, longest = 0;
    for (int round = 0; round < 5; round++) {
        int64_t spent = 0;
        vp_rc_t rc = VP_MORE;
        vp_reset(p);
        vp_frame(p, span_make(text, n), 0, 0);
        while (rc == VP_MORE) {
            int64_t from = cpu_ns();
            rc = vp_run(p, 1000000);
            int64_t took = cpu_ns() - from;
            spent += took;
            if (took > longest) longest = took;
        }
        assert_int_equal(rc, VP_DONE);
        if (spent < best) best = spent;
    }
    printf("snapshot of %zu bytes: %.0f MB/s, %.1f M levels/s, longest slice of 1 ms asked: %.2f ms\n", n, (double)n * 1e3 / (double)best,
           (double)p->stats.levels / 5 * 1e3 / (double)best, (double)longest / 1e6);
    vp_free(p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coinbase_rules), cmocka_unit_test(coinbase_refusals), cmocka_unit_test(broken_frames_show_nothing),
        cmocka_unit_test(gemini_rules),   cmocka_unit_test(gemini_texts),      cmocka_unit_test(gemini_v2_rules),
        cmocka_unit_test(mutations),      cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
