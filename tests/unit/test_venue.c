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

static uint64_t rng = 0x9E3779B97F4A7C15ull;
static uint64_t rnd(uint64_t n)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? rng % n : 0;
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
        n += (size_t)sprintf(text + n, "{\"side\":\"%s\",\"event_time\":\"2026-11-20T10:00:00Z\",\"price_level\":\"%d.%02u\",\"new_quantity\":\"%u\"}",
                             i % 2 ? "bid" : "offer", 60000 + i, (unsigned)rnd(100), (unsigned)rnd(90000000));
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
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
