/* What every venue protocol must do, in its own words (venue_rows), and what becomes of streams that were tampered with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/books.h"
#include "reactor/json.h"
#include "tests/unit/venue_rows.h"

typedef struct {
    const vrow_t *row;
    voice_t voice;
    vp_t *vp;
    books_t *books;
} desk_t;

static int64_t ticking;
static int64_t fast_clock(void) { return ticking += 1000000000; } /* every look at it costs a second */
static int64_t still_clock(void) { return 1; }

static desk_t desk(const vrow_t *row, int64_t (*clock)(void))
{
    desk_t d = {.row = row, .books = books_new()};
    d.vp = vp_new(venue_by_protocol(row->protocol), books_door(d.books), clock);
    assert_non_null(d.vp);
    for (inst_t i = 0; i < 2; i++) assert_int_equal(vp_market_add(d.vp, row->markets[i], i), XE_OK);
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

static bool good(const desk_t *d, inst_t i)
{
    const book_t *b = books_get(d->books, i);
    return b && book_good(b);
}

static vp_rc_t say(desk_t *d, say_t what, int market, const say_level_t *l, size_t n)
{
    char text[SAY_MAX];
    return feed(d, span_make(text, d->row->say(&d->voice, what, market, l, n, text)));
}

#define SAY(d, what, market, ...) \
    assert_int_equal(say(d, what, market, (const say_level_t[]){__VA_ARGS__}, sizeof((const say_level_t[]){__VA_ARGS__}) / sizeof(say_level_t)), VP_DONE)

#define TWO_SIDES {'b', "20", "3"}, {'b', "19.5", "1"}, {'a', "21", "2"}, {'a', "22", "7"}

static void open_book(desk_t *d, int market)
{
    if (d->row->first) SAY(d, SAY_FIRST, market, {'b', "1", "1"});
    SAY(d, SAY_SNAPSHOT, market, TWO_SIDES);
    if (!good(d, (inst_t)market)) fail_msg("%s: no book after the snapshot", d->row->protocol);
}

static void holds(const desk_t *d, inst_t i, side_t side, const char *const *px)
{
    const book_t *b = books_get(d->books, i);
    char text[DEC_TEXT_MAX];
    size_t n = 0;
    for (; px[n]; n++) {
        const level_t *lv = book_level(b, side, n);
        if (!lv) fail_msg("%s: no level %zu, %s was expected", d->row->protocol, n, px[n]);
        dec_text(lv->px.raw, text, sizeof text);
        assert_string_equal(text, px[n]);
    }
    assert_int_equal(book_depth(b, side), n);
}
#define HOLDS(d, i, side, ...) holds(d, i, side, (const char *const[]){__VA_ARGS__, NULL})

typedef void (*rule_t)(const vrow_t *row);

static void all_rows(rule_t rule)
{
    for (const vrow_t *r = venue_rows; r->protocol; r++) rule(r);
}

/* ---- rules ---- */

static void every_protocol_has_a_row(void **state)
{
    for (const venue_ops_t *const *o = venue_protocols; *o; o++) {
        bool found = false;
        for (const vrow_t *r = venue_rows; r->protocol; r++) found |= strcmp(r->protocol, (*o)->protocol) == 0;
        if (!found) fail_msg("%s has no row in venue_rows.c", (*o)->protocol);
        assert_true((*o)->silence_ms > 0 && (*o)->top && (*o)->subscribe && (*o)->wire_name);
        assert_true((*o)->resync == VR_RECONNECT || (*o)->resync == VR_WAIT || (*o)->seed_path || ((*o)->unsubscribe && (*o)->resubscribe));
        assert_true(!(*o)->refresh || (*o)->seed_frame || ((*o)->unsubscribe && (*o)->resubscribe));
    }
}

static void before(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    if (!row->whole) SAY(&d, SAY_UPDATE, 0, {'b', "20.25", "1"});
    assert_false(good(&d, 0));
    if (d.vp->mkts[0].why) vp_market_forget(d.vp, 0);
    open_book(&d, 0);
    assert_false(good(&d, 1)); /* the other market has none yet */
    open_book(&d, 1);
    HOLDS(&d, 0, SIDE_BID, "20", "19.5");
    HOLDS(&d, 1, SIDE_ASK, "21", "22");
    assert_int_equal(d.vp->reconnect, XE_OK);
    desk_end(&d);
}
static void nothing_before_a_snapshot(void **state) { all_rows(before); }

static void zeros(const vrow_t *row)
{
    static const char *const spellings[] = {"0", "0.0", "0.00", "0.00000000", "0.0000000000"};
    if (row->whole) return;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        desk_t d = desk(row, still_clock);
        open_book(&d, 0);
        SAY(&d, SAY_UPDATE, 0, {'b', "20.000", spellings[i]}, {'a', "21", "2.50"}, {'a', "21", "2.5"}); /* same size twice: normal */
        HOLDS(&d, 0, SIDE_BID, "19.5");
        SAY(&d, SAY_UPDATE, 0, {'b', "20", spellings[i]}, {'b', "3.75", spellings[i]}); /* not there: normal */
        assert_true(good(&d, 0) && !d.vp->reconnect && !d.vp->mkts[0].why);
        desk_end(&d);
    }
}
static void zero_in_every_spelling(void **state) { all_rows(zeros); }

static void ranges(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    open_book(&d, 0);
    SAY(&d, SAY_UPDATE, 0, {'b', "20", "1"}, {'b', "0.00000001", "5"}, {'a', "12345678912.34", "1"},
        {'a', "999999999999999999999999999999", "1"}, {'a', "23", "0.0000000000001"});
    assert_int_equal(d.vp->stats.refused_levels, 2);
    assert_true(good(&d, 0) && !d.vp->reconnect);
    const book_t *b = books_get(d.books, 0);
    char text[DEC_TEXT_MAX];
    dec_text(book_level(b, SIDE_ASK, book_depth(b, SIDE_ASK) - 1)->px.raw, text, sizeof text);
    assert_string_equal(text, "12345678912.34");
    desk_end(&d);
}
static void numbers_out_of_range_are_left_out(void **state) { all_rows(ranges); }

static void crossing(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    open_book(&d, 0);
    /* within one message: only the end counts */
    SAY(&d, SAY_UPDATE, 0, {'b', "21", "3"}, {'a', "21", "0.00"}, {'a', "22", "1"});
    assert_true(good(&d, 0));
    assert_int_equal(books_faults(d.books), 0);
    SAY(&d, SAY_UPDATE, 0, {'b', "25", "3"}, {'a', "22", "1"});
    assert_false(good(&d, 0));
    assert_int_equal(books_faults(d.books), 1);
    desk_end(&d);
}
static void crossed_means_unusable(void **state) { all_rows(crossing); }

static void others(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    open_book(&d, 0);
    uint64_t unknown = d.vp->stats.unknown;
    SAY(&d, SAY_OTHER, 0, {'b', "1", "1"});
    assert_int_equal(d.vp->stats.unknown, unknown + 1);
    SAY(&d, SAY_UPDATE, 0, {'b', "20.25", "1"}, {'a', "21", "1"});
    assert_true(good(&d, 0) && !d.vp->reconnect);
    desk_end(&d);
}
static void unknown_messages_are_skipped(void **state) { all_rows(others); }

static void cut(const vrow_t *row)
{
    char text[SAY_MAX];
    voice_t voice = {0};
    desk_t probe = desk(row, still_clock);
    open_book(&probe, 0);
    voice = probe.voice;
    size_t n = row->say(&voice, SAY_UPDATE, 0, (const say_level_t[]){{'b', "20.25", "1"}, {'a', "21", "0"}}, 2, text);
    desk_end(&probe);
    for (size_t k = 0; k < n; k++) {
        desk_t d = desk(row, k % 2 ? fast_clock : still_clock);
        open_book(&d, 0);
        open_book(&d, 1);
        if (feed(&d, span_make(text, k)) != VP_BAD) fail_msg("%s: accepted up to byte %zu of %s", row->protocol, k, text);
        assert_true(!good(&d, 0) && !good(&d, 1) && d.vp->reconnect);
        desk_end(&d);
    }
}
static void cut_at_every_byte(void **state) { all_rows(cut); }

static void disconnect(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    open_book(&d, 0);
    vp_all_bad(d.vp, XE_CLOSED);
    vp_reset(d.vp);
    memset(&d.voice, 0, sizeof d.voice);
    d.voice.seq = row->numbered ? 0 : 500;
    assert_false(good(&d, 0));
    if (!row->whole) {
        SAY(&d, SAY_UPDATE, 0, {'b', "20.25", "1"});
        assert_false(good(&d, 0));
        if (d.vp->mkts[0].why) vp_market_forget(d.vp, 0);
    }
    if (row->first) SAY(&d, SAY_FIRST, 0, {'b', "1", "1"});
    SAY(&d, SAY_SNAPSHOT, 0, {'b', "30", "1"}, {'a', "31", "1"});
    HOLDS(&d, 0, SIDE_BID, "30"); /* nothing of the old connection */
    HOLDS(&d, 0, SIDE_ASK, "31");
    desk_end(&d);
}
static void a_new_connection_knows_nothing(void **state) { all_rows(disconnect); }

static void requests(const vrow_t *row)
{
    desk_t d = desk(row, still_clock);
    const venue_ops_t *o = d.vp->ops;
    bool bitstamp = o->venue == VENUE_BITSTAMP;
    buf_t b;
    unsigned n = 0;
    buf_init(&b, 8192);
    for (; o->subscribe(d.vp, n, &b); n++) {
        assert_int_equal(json_check(buf_span(&b), NULL), XE_OK);
        assert_true(!bitstamp || b.n < 512);
        buf_reset(&b);
    }
    assert_in_range(n, 1, 2);
    for (unsigned m = 0; m < 2 && o->unsubscribe; m++) {
        assert_true(o->unsubscribe(d.vp, m, &b));
        assert_int_equal(json_check(buf_span(&b), NULL), XE_OK);
        buf_reset(&b);
        assert_true(o->resubscribe(d.vp, m, &b));
        assert_int_equal(json_check(buf_span(&b), NULL), XE_OK);
        buf_reset(&b);
    }
    if (o->ping) {
        assert_true(o->ping(d.vp, &b));
        assert_int_equal(json_check(buf_span(&b), NULL), XE_OK);
    }
    buf_fini(&b);
    desk_end(&d);
}
static void requests_are_json(void **state) { all_rows(requests); }

/* ---- what single venues offer ---- */

static const vrow_t *row_of(const char *protocol)
{
    const vrow_t *r = venue_rows;
    while (strcmp(r->protocol, protocol) != 0) r++;
    return r;
}

static vp_rc_t text(desk_t *d, const char *t) { return feed(d, span_of(t)); }

#define MATCH(id) "{\"type\":\"match\",\"trade_id\":" #id ",\"product_id\":\"AAA-USD\",\"size\":\"1\",\"price\":\"20\",\"time\":\"2026-11-20T10:00:00Z\"}"
#define BEAT(id) "{\"type\":\"heartbeat\",\"last_trade_id\":" #id ",\"product_id\":\"AAA-USD\",\"sequence\":7,\"time\":\"2026-11-20T10:00:00Z\"}"

static void exchange_misses_trades(void **state)
{
    desk_t d = desk(row_of("coinbase-exchange"), still_clock);
    open_book(&d, 0);
    open_book(&d, 1);
    text(&d, BEAT(99));  /* nothing was delivered yet: no reason to worry */
    text(&d, "{\"type\":\"last_match\",\"trade_id\":100,\"product_id\":\"AAA-USD\"}");
    text(&d, MATCH(101));
    text(&d, BEAT(101));
    text(&d, BEAT(100)); /* late */
    assert_true(good(&d, 0));
    assert_int_equal(d.vp->stats.gaps, 0);
    text(&d, BEAT(102));
    assert_int_equal(d.vp->stats.gaps, 1);
    assert_int_equal(d.vp->mkts[0].why, XE_GAP);
    assert_true(!good(&d, 0) && good(&d, 1));
    SAY(&d, SAY_UPDATE, 0, {'b', "20.25", "1"});
    assert_false(good(&d, 0));
    vp_market_forget(d.vp, 0);
    SAY(&d, SAY_UPDATE, 0, {'b', "20.25", "1"});
    assert_false(good(&d, 0));
    open_book(&d, 0);
    text(&d, MATCH(103));
    text(&d, MATCH(105));
    assert_int_equal(d.vp->mkts[0].why, XE_GAP);
    assert_false(good(&d, 0));
    assert_int_equal(d.vp->reconnect, XE_OK);
    text(&d, "{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"level2, level3, and full channels now require authentication.\"}");
    assert_int_equal(d.vp->reconnect, XE_DENIED);
    buf_t b;
    buf_init(&b, 4096);
    vp_reset(d.vp);
    d.vp->ops->subscribe(d.vp, 0, &b);
    assert_non_null(strstr(b.p, "\"level2_50\"")); /* the other name, when one was refused */
    buf_fini(&b);
    desk_end(&d);
}

#define DIFF(micro, px) "{\"data\":{\"timestamp\":\"1\",\"microtimestamp\":\"" #micro "\",\"bids\":[[\"" px "\",\"1\"]],\"asks\":[]},\"channel\":\"diff_order_book_aaausd\",\"event\":\"data\"}"
#define SEED(micro, px) "{\"event\":\"xorj:seed\",\"channel\":\"diff_order_book_aaausd\",\"data\":{\"timestamp\": \"1\", \"microtimestamp\": \"" #micro "\", \"bids\": [[\"" px "\", \"1\"]], \"asks\": [[\"90\", \"1\"]]}}"

static void bitstamp_seeds(void **state)
{
    desk_t d = desk(row_of("bitstamp-diff"), fast_clock);
    assert_false(d.vp->mkts[0].want_seed);
    text(&d, DIFF(1000, "10"));
    assert_true(d.vp->mkts[0].want_seed);
    d.vp->mkts[0].want_seed = false;
    text(&d, DIFF(1010, "11"));
    text(&d, SEED(999, "9")); /* from a cache, older than what was kept: something may be missing in between */
    assert_true(d.vp->mkts[0].want_seed && !good(&d, 0));
    text(&d, SEED(1005, "9"));
    assert_true(good(&d, 0));
    HOLDS(&d, 0, SIDE_BID, "11", "9"); /* 1000 is part of the seed, 1010 came after it */
    assert_int_equal(d.vp->mkts[0].kept_n, 0);
    text(&d, DIFF(1010, "12"));
    text(&d, DIFF(1020, "13"));
    HOLDS(&d, 0, SIDE_BID, "13", "11", "9");
    /* A fresh one while the book is in use: what came since it was asked for is applied on top. */
    text(&d, "{\"event\":\"xorj:keep\",\"channel\":\"diff_order_book_aaausd\",\"data\":{}}");
    text(&d, DIFF(1030, "14"));
    assert_true(d.vp->mkts[0].want_seed && good(&d, 0));
    text(&d, DIFF(1040, "15"));
    HOLDS(&d, 0, SIDE_BID, "15", "14", "13", "11", "9");
    text(&d, SEED(1035, "8"));
    HOLDS(&d, 0, SIDE_BID, "15", "8");
    assert_false(d.vp->mkts[0].keeping);
    text(&d, "{\"event\":\"bts:request_reconnect\",\"channel\":\"\",\"data\":\"\"}");
    assert_int_equal(d.vp->reconnect, XE_AGAIN);
    d.vp->reconnect = XE_OK;
    text(&d, "{\"event\":\"bts:error\",\"channel\":\"\",\"data\":{\"code\":null,\"message\":\"Invalid channel provided.\"}}");
    assert_string_equal(d.vp->note, "Invalid channel provided.");
    assert_int_equal(d.vp->reconnect, XE_OK); /* the connection stays of use */
    desk_end(&d);
}

static void kept_has_a_ceiling(void **state)
{
    desk_t d = desk(row_of("bitstamp-diff"), still_clock);
    char t[256];
    for (unsigned i = 0; i < VP_KEPT_MAX + 10; i++) {
        snprintf(t, sizeof t, "{\"data\":{\"microtimestamp\":\"%u\",\"bids\":[[\"10\",\"1\"]],\"asks\":[]},\"channel\":\"diff_order_book_aaausd\",\"event\":\"data\"}", 1000 + i);
        text(&d, t);
    }
    assert_in_range(d.vp->mkts[0].kept_n, 1, 10);
    text(&d, SEED(2000, "9")); /* before what is kept now */
    assert_false(good(&d, 0));
    text(&d, SEED(9000, "9"));
    assert_true(good(&d, 0));
    desk_end(&d);
}

/* ---- seeded streams and what mutation does to them ---- */

#define FRAMES 48

typedef struct {
    char text[FRAMES][SAY_MAX];
    size_t len[FRAMES];
    inst_t market[FRAMES];
    uint8_t digest[FRAMES][32]; /* of the frame's market after it */
    int lead;                   /* frames before the first book */
} stream_t;

static uint64_t rng = 0x9E3779B97F4A7C15ull;
static uint64_t rnd(uint64_t n)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? rng % n : 0;
}

static void make(const vrow_t *row, stream_t *s)
{
    voice_t voice = {0};
    int n = 0;
    s->lead = row->first ? 2 : 0;
    for (; n < FRAMES; n++) {
        char px[12][16], qty[12][16];
        say_level_t l[12];
        bool opening = n < s->lead + 2;
        size_t count = opening || row->whole ? 12 : 4;
        inst_t m = s->market[n] = (inst_t)(opening ? n % 2 : (int)rnd(2));
        for (size_t i = 0; i < count; i++) {
            snprintf(px[i], sizeof px[i], "%u.%02u", (unsigned)((i % 2 ? 200 : 100) + rnd(40)), (unsigned)rnd(100));
            snprintf(qty[i], sizeof qty[i], "%u", rnd(4) ? (unsigned)(1 + rnd(900)) : 0u);
            l[i] = (say_level_t){i % 2 ? 'a' : 'b', px[i], qty[i]};
        }
        say_t what = n < s->lead ? SAY_FIRST : opening ? SAY_SNAPSHOT : SAY_UPDATE;
        s->len[n] = row->say(&voice, what, m, l, count, s->text[n]);
    }
}

static void measure(const vrow_t *row, stream_t *s, int64_t (*clock)(void), bool compare)
{
    desk_t d = desk(row, clock);
    for (int i = 0; i < FRAMES; i++) {
        uint8_t now[32];
        assert_int_equal(feed(&d, span_make(s->text[i], s->len[i])), VP_DONE);
        if (i < s->lead) continue;
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
    char text[SAY_MAX];
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

/* Plays the mutated stream the way a link does: it ends where the protocol asks for a new connection or market, which the
 * sound stream then serves. A book that is good after a message must be the true one where the venue chains its messages;
 * values that were garbled inside a sound message cannot be known. */
static bool play(const vrow_t *row, const stream_t *s, const plan_t *p)
{
    desk_t d = desk(row, still_clock);
    bool caught = false;
    for (int i = 0; i < p->n && !caught; i++) {
        int k = p->order[i];
        bool touched = k == p->at && p->kind >= CUT;
        vp_rc_t rc = feed(&d, touched ? span_make(p->text, p->len) : span_make(s->text[k], s->len[k]));
        inst_t m = s->market[k];
        if (rc == VP_BAD) assert_true(!good(&d, 0) && !good(&d, 1) && d.vp->reconnect);
        caught = in_doubt(&d, 0) || in_doubt(&d, 1);
        if (d.vp->reconnect) assert_true(!good(&d, 0) && !good(&d, 1));
        if (!row->chained || p->kind > CUT || !good(&d, m)) continue;
        uint8_t now[32];
        book_digest(books_get(d.books, m), now);
        if (memcmp(now, s->digest[k], 32) != 0) fail_msg("%s: mutation %d of frame %d: wrong book shown after frame %d", row->protocol, p->kind, p->at, k);
    }
    if (caught) { /* a new connection makes it whole again */
        vp_all_bad(d.vp, XE_CLOSED);
        vp_reset(d.vp);
        for (int i = 0; i < FRAMES; i++) assert_int_equal(feed(&d, span_make(s->text[i], s->len[i])), VP_DONE);
        for (inst_t m = 0; m < 2; m++) {
            uint8_t now[32];
            int last = FRAMES - 1;
            while (s->market[last] != m) last--;
            assert_true(good(&d, m));
            book_digest(books_get(d.books, m), now);
            assert_memory_equal(now, s->digest[last], 32);
        }
    }
    desk_end(&d);
    return caught;
}

static void tampered(const vrow_t *row)
{
    stream_t *s = malloc(sizeof *s);
    plan_t *p = malloc(sizeof *p);
    unsigned caught[KINDS] = {0}, all[KINDS] = {0};
    for (int round = 0; round < 1000; round++) {
        if (round % 100 == 0) {
            make(row, s);
            measure(row, s, still_clock, false);
            measure(row, s, fast_clock, true); /* cut into the smallest slices: the same books */
        }
        mutate(s, p);
        all[p->kind]++;
        /* Without its very first message a connection has lost a snapshot, so that book never shows. */
        caught[p->kind] += play(row, s, p) || (p->kind == DROP && p->at == 0);
    }
    printf("%s: noticed drop %u/%u twice %u/%u swap %u/%u cut %u/%u digit %u/%u byte %u/%u\n", row->protocol, caught[DROP], all[DROP],
           caught[TWICE], all[TWICE], caught[SWAP], all[SWAP], caught[CUT], all[CUT], caught[DIGIT], all[DIGIT], caught[BYTE], all[BYTE]);
    assert_int_equal(caught[CUT], all[CUT]);
    if (row->numbered) assert_true(caught[DROP] == all[DROP] && caught[TWICE] == all[TWICE] && caught[SWAP] == all[SWAP]);
    free(p);
    free(s);
}
static void mutations(void **state) { all_rows(tampered); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_protocol_has_a_row),
        cmocka_unit_test(nothing_before_a_snapshot),
        cmocka_unit_test(zero_in_every_spelling),
        cmocka_unit_test(numbers_out_of_range_are_left_out),
        cmocka_unit_test(crossed_means_unusable),
        cmocka_unit_test(unknown_messages_are_skipped),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(a_new_connection_knows_nothing),
        cmocka_unit_test(requests_are_json),
        cmocka_unit_test(exchange_misses_trades),
        cmocka_unit_test(bitstamp_seeds),
        cmocka_unit_test(kept_has_a_ceiling),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
