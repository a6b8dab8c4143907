/* Which data may be used: connections, messages, ages (CI-8), slots, capacity; and the same events give the same bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/crypto.h"
#include "tests/unit/market.h"

static void usable_is(const mkt_t *m, inst_t i, bool want, xerr_t want_why)
{
    xerr_t why;
    bool got = eng_usable(m->e, i, m->now_ns, &why);
    if (got != want || (!want && why != want_why)) fail_msg("inst %d: usable %d (%s), want %d (%s)", i, got, xerr_name(why), want, xerr_name(want_why));
}

static void test_configuration_must_make_sense(void **state)
{
    (void)state;
    eng_conf_t c = mkt_conf();
    c.insts[I_POOL].pair = 1;
    assert_null(eng_new(&c));
    c = mkt_conf();
    c.book_levels = 0;
    assert_null(eng_new(&c));
    c = mkt_conf();
    c.size_min.raw = c.size_max.raw + 1;
    assert_null(eng_new(&c));
    c = mkt_conf();
    c.pairs[0].quote_decimals = 18;
    assert_null(eng_new(&c));
    c = mkt_conf();
    c.insts_n = 0;
    engine_t *e = eng_new(&c); /* feeds switched off */
    assert_non_null(e);
    eng_free(e);
}

static void test_books_are_told_usable_once(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    assert_int_equal(m.on, 3);
    assert_int_equal(m.off, 0);
    mkt_book(&m, I_SPOT, "149.95", "150.06");
    mkt_kind(&m, EV_TIMER, -1);
    assert_int_equal(m.on, 3);
    usable_is(&m, I_SPOT, true, XE_OK);
    usable_is(&m, I_SPOT2, false, XE_AGAIN);
    usable_is(&m, 99, false, XE_NOT_FOUND);
    mkt_close(&m);
}

static void test_inside_a_message_nothing_is_usable(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_begin(&m, I_SPOT, false);
    usable_is(&m, I_SPOT, false, XE_AGAIN);
    mkt_kind(&m, EV_TIMER, -1);
    assert_int_equal(m.off, 0); /* not news: the message ends soon */
    mkt_kind(&m, EV_BOOK_END, I_SPOT);
    usable_is(&m, I_SPOT, true, XE_OK);
    mkt_begin(&m, I_SPOT, false);
    m.now_ns += 11 * SEC;
    mkt_kind(&m, EV_TIMER, -1);
    assert_true(m.off >= 1); /* a message that never ends grows old like anything else */
    mkt_close(&m);
}

static void test_down_means_unusable_at_once(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_conn(&m, VENUE_COINBASE, false);
    assert_int_equal(m.off, 1);
    usable_is(&m, I_SPOT, false, XE_DOWN);
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_conn(&m, VENUE_COINBASE, true);
    usable_is(&m, I_SPOT, false, XE_AGAIN); /* the old book is forgotten */
    assert_int_equal(book_depth(eng_book(m.e, I_SPOT), SIDE_BID), 0);
    mkt_book(&m, I_SPOT, "149.95", "150.05");
    usable_is(&m, I_SPOT, true, XE_OK);
    mkt_conn(&m, VENUE_ORCA, false);
    usable_is(&m, I_POOL, false, XE_DOWN);
    mkt_conn(&m, VENUE_ORCA, true);
    assert_null(eng_pool(m.e, I_POOL, NULL));
    mkt_close(&m);
}

static void test_crossed_after_a_whole_message_asks_for_a_snapshot(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_begin(&m, I_SPOT, false);
    mkt_level(&m, I_SPOT, SIDE_BID, "150.05", "1");
    assert_int_equal(m.resyncs, 0);
    mkt_kind(&m, EV_BOOK_END, I_SPOT);
    assert_int_equal(m.resyncs, 1);
    assert_int_equal(m.off, 1);
    usable_is(&m, I_SPOT, false, XE_CROSSED);
    mkt_begin(&m, I_SPOT, false); /* further deltas change nothing and ask for nothing */
    mkt_level(&m, I_SPOT, SIDE_BID, "149", "1");
    mkt_kind(&m, EV_BOOK_END, I_SPOT);
    assert_int_equal(m.resyncs, 1);
    usable_is(&m, I_SPOT, false, XE_CROSSED);
    mkt_book(&m, I_SPOT, "149.95", "150.05");
    usable_is(&m, I_SPOT, true, XE_OK);
    mkt_close(&m);
}

static void test_a_full_book_asks_for_a_snapshot(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_begin(&m, I_SPOT, false);
    for (int i = 0; i < 300; i++) {
        char px[16];
        snprintf(px, sizeof px, "100.%03d", i);
        mkt_level(&m, I_SPOT, SIDE_BID, px, "1");
    }
    assert_int_equal(m.resyncs, 1);
    assert_int_equal(m.last_why, XE_FULL);
    mkt_kind(&m, EV_BOOK_END, I_SPOT);
    usable_is(&m, I_SPOT, false, XE_FULL);
    assert_int_equal(m.resyncs, 1);
    mkt_close(&m);
}

static void test_bad_news_of_one_book_or_of_the_venue(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_book(&m, I_SPOT2, "149.9", "150.1");
    mkt_send(&m, (ev_t){.kind = EV_BOOK_BAD, .inst = I_SPOT2, .u.bad.err = XE_GAP});
    usable_is(&m, I_SPOT2, false, XE_GAP);
    usable_is(&m, I_BASIS, true, XE_OK);
    mkt_send(&m, (ev_t){.kind = EV_BOOK_BAD, .venue = VENUE_GEMINI, .inst = -1, .u.bad.err = XE_FULL});
    usable_is(&m, I_BASIS, false, XE_FULL);
    usable_is(&m, I_SPOT, true, XE_OK);
    mkt_close(&m);
}

/* ---- CI-8: stale data --------------------------------------------------------------------------------------------- */

static void test_stale_pauses_after_ten_seconds(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    m.now_ns += 15 * SEC;
    mkt_kind(&m, EV_TIMER, -1);
    usable_is(&m, I_SPOT, false, XE_STALE);
    usable_is(&m, I_POOL, false, XE_STALE);
    usable_is(&m, I_BASIS, true, XE_OK); /* its own limit: a minute */
    assert_int_equal(m.off, 2);
    assert_int_equal(m.last_why, XE_STALE);
    mkt_close(&m);
}

static void test_stale_resumes_when_fresh(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    m.now_ns += 15 * SEC;
    mkt_kind(&m, EV_TIMER, -1);
    unsigned on = m.on;
    mkt_alive(&m, VENUE_COINBASE); /* a heartbeat is enough: nothing was missed */
    usable_is(&m, I_SPOT, true, XE_OK);
    usable_is(&m, I_POOL, false, XE_STALE);
    assert_int_equal(m.on, on + 1);
    mkt_close(&m);
}

static void test_stale_exact_boundary(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    assert_true(eng_usable(m.e, I_SPOT, SEC + 10 * SEC, NULL));
    assert_int_equal(eng_age_ms(m.e, I_SPOT, SEC + 10 * SEC), 10000);
    assert_false(eng_usable(m.e, I_SPOT, SEC + 10 * SEC + 1, NULL));
    m.now_ns += 10 * SEC;
    mkt_kind(&m, EV_TIMER, -1);
    assert_int_equal(m.off, 0);
    m.now_ns += 1;
    mkt_kind(&m, EV_TIMER, -1);
    assert_int_equal(m.off, 2);
    mkt_close(&m);
}

static void test_stale_venues_are_judged_apart(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_book(&m, I_SPOT2, "149.9", "150.1");
    m.now_ns += 8 * SEC;
    mkt_alive(&m, VENUE_GEMINI);
    m.now_ns += 8 * SEC;
    mkt_kind(&m, EV_TIMER, -1);
    usable_is(&m, I_SPOT, false, XE_STALE);
    usable_is(&m, I_SPOT2, true, XE_OK);
    usable_is(&m, I_POOL, false, XE_STALE);
    mkt_close(&m);
}

static void test_fresh_data_never_pauses(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    for (int i = 0; i < 600; i++) {
        m.now_ns += SEC / 10;
        mkt_kind(&m, EV_TIMER, -1);
        if (i % 50 == 0) {
            for (int v = 0; v < VENUE_N; v++) mkt_alive(&m, (venue_t)v);
        }
    }
    assert_int_equal(m.off, 0);
    mkt_close(&m);
}

static void test_stale_when_the_timestamp_is_missing(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    mkt_open_with(&m, &c);
    m.now_ns = 0; /* events without a receive time */
    mkt_book(&m, I_SPOT, "149.95", "150.05");
    assert_true(book_good(eng_book(m.e, I_SPOT)));
    m.now_ns = SEC;
    usable_is(&m, I_SPOT, false, XE_STALE);
    assert_int_equal(eng_age_ms(m.e, I_SPOT, SEC), -1);
    mkt_close(&m);
}

static void test_stale_evaluations_are_counted(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    uint64_t before = eng_rejected(m.e, REJ_STALE);
    m.now_ns += 15 * SEC;
    mkt_book(&m, I_SPOT, "140", "140.1"); /* a fine spread, but the pool has been silent for 15 s */
    assert_int_equal(m.opens, 0);
    assert_int_equal(eng_rejected(m.e, REJ_STALE), before + 2);
    mkt_close(&m);
}

static void test_stale_checks_agree_with_each_other(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    for (int64_t t = SEC; t < 14 * SEC; t += 7 * SEC / 100) {
        xerr_t why;
        bool a = eng_usable(m.e, I_SPOT, t, &why), b = eng_usable(m.e, I_SPOT, t, NULL);
        assert_int_equal(a, b);
        assert_int_equal(a, t <= 11 * SEC);
        assert_int_equal(why, a ? XE_OK : XE_STALE);
    }
    mkt_close(&m);
}

static void test_stale_then_again_opportunity_ends_and_returns(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_book(&m, I_SPOT, "147.9", "148");
    assert_int_equal(m.opens, 1);
    m.now_ns += 10 * SEC + 1;
    mkt_kind(&m, EV_TIMER, -1);
    assert_int_equal(m.closes, 1);
    assert_string_equal(m.last.reason, "STALE");
    mkt_pool(&m, POOL_TICK, 101);
    assert_int_equal(m.opens, 1); /* the book is still old */
    mkt_alive(&m, VENUE_COINBASE);
    mkt_pool(&m, POOL_TICK, 102);
    assert_int_equal(m.opens, 2);
    mkt_close(&m);
}

static void test_clock_never_goes_back(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_alive(&m, VENUE_COINBASE);
    m.now_ns -= SEC / 2;
    mkt_alive(&m, VENUE_COINBASE); /* an older proof does not make the venue older */
    m.now_ns += SEC / 2;
    assert_int_equal(eng_age_ms(m.e, I_SPOT, m.now_ns), 0);
    mkt_close(&m);
}

/* ---- pools -------------------------------------------------------------------------------------------------------- */

static void test_an_older_slot_never_replaces_a_newer_one(void **state)
{
    (void)state;
    mkt_t m;
    uint64_t slot;
    mkt_open(&m);
    mkt_pool(&m, POOL_TICK + 10, 90);
    assert_int_equal(eng_pool(m.e, I_POOL, &slot)->tick, POOL_TICK);
    assert_int_equal(slot, 100);
    mkt_pool(&m, POOL_TICK + 10, 100); /* a later write of the same slot */
    assert_int_equal(eng_pool(m.e, I_POOL, &slot)->tick, POOL_TICK + 10);
    mkt_pool(&m, POOL_TICK + 20, 101);
    assert_int_equal(eng_pool(m.e, I_POOL, &slot)->tick, POOL_TICK + 20);
    assert_int_equal(slot, 101);
    mkt_close(&m);
}

static void test_a_lagging_node_is_not_believed_after_a_disconnect(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_pool(&m, POOL_TICK, 100000);
    mkt_conn(&m, VENUE_ORCA, false);
    mkt_conn(&m, VENUE_ORCA, true);
    mkt_arrays(&m, 99990);
    mkt_pool(&m, POOL_TICK + 50, 99990);
    usable_is(&m, I_POOL, false, XE_AGAIN);
    mkt_pool(&m, POOL_TICK + 1, 100001);
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_conn(&m, VENUE_ORCA, false);
    mkt_conn(&m, VENUE_ORCA, true);
    mkt_arrays(&m, 7);
    mkt_pool(&m, POOL_TICK, 7); /* another chain */
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_close(&m);
}

static void test_an_older_slot_is_no_proof_of_life(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    m.now_ns += 9 * SEC;
    mkt_pool(&m, POOL_TICK, 99);
    m.now_ns += 2 * SEC;
    usable_is(&m, I_POOL, false, XE_STALE);
    mkt_close(&m);
}

static void test_a_pool_needs_the_array_around_its_price(void **state)
{
    (void)state;
    mkt_t m;
    eng_conf_t c = mkt_conf();
    mkt_open_with(&m, &c);
    mkt_pool(&m, POOL_TICK, 5);
    usable_is(&m, I_POOL, false, XE_DEPTH);
    mkt_arrays(&m, 5);
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_pool(&m, POOL_TICK + 352 * 5, 6); /* the price left what is loaded */
    usable_is(&m, I_POOL, false, XE_DEPTH);
    mkt_close(&m);
}

static void test_adaptive_pools_wait_for_their_oracle(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    whirl_pool_t p = mkt_pool_state(POOL_TICK, (u128_t)1 << 55, 400);
    p.fee_tier_index = 1025;
    mkt_send(&m, (ev_t){.kind = EV_POOL, .inst = I_POOL, .u.pool = {&p, 200}});
    usable_is(&m, I_POOL, false, XE_UNSUPPORTED);
    mkt_book(&m, I_SPOT, "140", "140.1");
    assert_int_equal(m.opens, 0);
    whirl_oracle_t o = {.filter_period = 10, .decay_period = 100, .control = 1000, .volatility_max = 350000, .group_size = 4, .major_ticks = 64};
    mkt_send(&m, (ev_t){.kind = EV_POOL_ORACLE, .inst = I_POOL, .u.oracle = {&o, 200}});
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_send(&m, (ev_t){.kind = EV_POOL, .inst = I_POOL, .u.pool = {&p, 201}});
    mkt_book(&m, I_SPOT, "140", "140.1");
    assert_true(m.opens > 0);
    mkt_close(&m);
}

static void test_arrays_far_from_the_price_make_room(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    whirl_array_t far = {.start = whirl_array_start(POOL_TICK, 4) + 40 * 352};
    mkt_send(&m, (ev_t){.kind = EV_POOL_ARRAY, .inst = I_POOL, .u.array = {&far, 101}});
    mkt_pool(&m, POOL_TICK, 102);
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_pool(&m, POOL_TICK + 4 * 352, 103);
    usable_is(&m, I_POOL, false, XE_DEPTH);
    whirl_array_t near = {.start = whirl_array_start(POOL_TICK, 4) + 4 * 352};
    mkt_send(&m, (ev_t){.kind = EV_POOL_ARRAY, .inst = I_POOL, .u.array = {&near, 103}});
    usable_is(&m, I_POOL, true, XE_OK);
    mkt_close(&m);
}

static void test_strange_events_are_survived(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    chg_t c = {.side = 0, .lv = {{1}, {1}}};
    const inst_t odd[] = {-1, 31, 1000, I_POOL};
    for (size_t i = 0; i < 4; i++) {
        ev_t ev = {.kind = EV_BOOK_LEVELS, .inst = odd[i], .recv_ns = m.now_ns, .u.levels = {&c, 1}};
        eng_step(m.e, &ev, &m.out);
        ev.kind = EV_BOOK_END;
        eng_step(m.e, &ev, &m.out);
    }
    whirl_pool_t zero = {.tick_spacing = 4, .fee_tier_index = 4};
    mkt_send(&m, (ev_t){.kind = EV_POOL, .inst = I_POOL, .u.pool = {&zero, 500}});
    mkt_send(&m, (ev_t){.kind = EV_POOL, .inst = I_SPOT, .u.pool = {&zero, 500}});
    usable_is(&m, I_POOL, true, XE_OK);
    usable_is(&m, I_SPOT, true, XE_OK);
    mkt_close(&m);
}

static void test_bot_commits_are_passed_on(void **state)
{
    (void)state;
    mkt_t m;
    mkt_open(&m);
    mkt_send(&m, (ev_t){.kind = EV_BOT, .inst = -1, .u.bot = {"5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d", true, 7, 1234}});
    assert_int_equal(m.out.n, 1);
    assert_int_equal(m.out.e[0].kind, EFF_BOT);
    assert_string_equal(m.out.e[0].u.bot.wallet, "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d");
    assert_true(m.out.e[0].u.bot.enabled && m.out.e[0].u.bot.version == 7);
    mkt_close(&m);
}

/* ---- determinism -------------------------------------------------------------------------------------------------- */

static uint64_t rng;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void random_book(mkt_t *m, inst_t i, int64_t mid_cents)
{
    bool snapshot = next() % 20 == 0;
    mkt_begin(m, i, snapshot);
    for (unsigned k = 1 + (unsigned)(next() % 5); k > 0; k--) {
        char px[32], qty[16];
        bool bid = next() & 1;
        int64_t c = mid_cents + (bid ? -1 - (int64_t)(next() % 20) : 1 + (int64_t)(next() % 20));
        snprintf(px, sizeof px, "%lld.%02lld", (long long)(c / 100), (long long)(c % 100));
        snprintf(qty, sizeof qty, "%llu.5", (unsigned long long)(next() % 4));
        mkt_level(m, i, bid ? SIDE_BID : SIDE_ASK, px, qty);
    }
    mkt_kind(m, EV_BOOK_END, i);
}

/* No opportunity may be told open unless everything under it may be used. */
static void honest(const mkt_t *m)
{
    for (unsigned i = 0; i < m->out.n; i++) {
        const eff_t *f = &m->out.e[i];
        if (f->kind != EFF_OPP || f->u.opp.phase == OPP_CLOSE) continue;
        venue_t cex = f->u.opp.dir == DIR_CEX_TO_DEX ? f->u.opp.buy : f->u.opp.sell;
        xerr_t why = XE_OK;
        assert_true(eng_usable(m->e, cex == VENUE_COINBASE ? I_SPOT : I_SPOT2, m->now_ns, &why));
        assert_true(eng_usable(m->e, I_POOL, m->now_ns, &why));
        assert_true(eng_usable(m->e, I_BASIS, m->now_ns, &why));
        assert_true(f->u.opp.net_bps_x100 >= m->conf.min_net_bps_x100);
    }
}

static void random_day(uint64_t seed, uint8_t digest[32], unsigned *opens)
{
    mkt_t m;
    mkt_open(&m);
    rng = seed;
    sha256_ctx_t *h = sha256_new();
    int64_t mid = 15000;
    int32_t tick = POOL_TICK;
    uint64_t slot = 200;
    for (int i = 0; i < 20000; i++) {
        m.now_ns += (int64_t)(next() % (SEC / 5));
        mid += (int64_t)(next() % 21) - 10;
        if (mid < 14000 || mid > 16000) mid = 15000;
        switch (next() % 12) {
        case 0: case 1: case 2: case 3: random_book(&m, I_SPOT, mid); break;
        case 4: case 5: random_book(&m, I_SPOT2, mid); break;
        case 6: mkt_book(&m, I_BASIS, "1", "1.0001"); break;
        case 7: case 8: tick += (int32_t)(next() % 41) - 20; mkt_pool(&m, tick, slot += next() % 3); break;
        case 9: mkt_alive(&m, (venue_t)(next() % VENUE_N)); break;
        case 10: mkt_kind(&m, EV_TIMER, -1); break;
        default:
            if (next() % 40 == 0) {
                venue_t v = (venue_t)(next() % VENUE_N);
                mkt_conn(&m, v, false);
                mkt_conn(&m, v, true);
                if (v == VENUE_ORCA) mkt_arrays(&m, slot);
            } else if (next() % 40 == 0) {
                mkt_send(&m, (ev_t){.kind = EV_BOOK_BAD, .inst = I_SPOT, .u.bad.err = XE_GAP});
            }
            break;
        }
        honest(&m);
        assert_false(m.out.overflow);
        for (unsigned k = 0; k < m.out.n; k++) sha256_add(h, &m.out.e[k], sizeof m.out.e[k]);
    }
    assert_int_equal(m.opens >= m.closes, 1);
    *opens = m.opens;
    sha256_end_free(h, digest);
    mkt_close(&m);
}

static void test_the_same_events_give_the_same_bytes(void **state)
{
    (void)state;
    uint8_t a[32], b[32], other[32];
    unsigned opens, again;
    random_day(20261120, a, &opens);
    random_day(20261120, b, &again);
    random_day(20261121, other, &again);
    assert_memory_equal(a, b, 32);
    assert_memory_not_equal(a, other, 32);
    print_message("random day: %u opportunities\n", opens);
    assert_true(opens > 10);
}

static void test_levels_applied_and_evaluated_per_second(void **state)
{
    (void)state;
    enum { MESSAGES = 20000, PER = 50 };
    mkt_t m;
    eng_conf_t conf = mkt_conf();
    conf.book_levels = 4096;
    mkt_open_with(&m, &conf);
    mkt_calm(&m);
    rng = 5;
    static chg_t c[PER];
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < MESSAGES; i++) {
        for (int k = 0; k < PER; k++) {
            bool bid = next() & 1;
            int64_t off = (int64_t)(next() % 200);
            c[k].side = bid ? SIDE_BID : SIDE_ASK;
            c[k].lv.px.raw = (i128_t)(bid ? 14990 - off : 15000 + off) * (DEC_SCALE / 100);
            c[k].lv.qty.raw = (i128_t)(next() % 4) * DEC_SCALE;
        }
        m.now_ns += 1000;
        mkt_begin(&m, I_SPOT, false);
        mkt_send(&m, (ev_t){.kind = EV_BOOK_LEVELS, .inst = I_SPOT, .u.levels = {c, PER}});
        mkt_kind(&m, EV_BOOK_END, I_SPOT);
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-9;
    print_message("levels applied and evaluated: %.1f M/s, %llu evaluations\n", MESSAGES * PER / s * 1e-6, (unsigned long long)eng_evaluations(m.e));
    assert_true(MESSAGES * PER / s > 20000);
    mkt_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration_must_make_sense), cmocka_unit_test(test_books_are_told_usable_once),
        cmocka_unit_test(test_inside_a_message_nothing_is_usable), cmocka_unit_test(test_down_means_unusable_at_once),
        cmocka_unit_test(test_crossed_after_a_whole_message_asks_for_a_snapshot), cmocka_unit_test(test_a_full_book_asks_for_a_snapshot),
        cmocka_unit_test(test_bad_news_of_one_book_or_of_the_venue), cmocka_unit_test(test_stale_pauses_after_ten_seconds),
        cmocka_unit_test(test_stale_resumes_when_fresh), cmocka_unit_test(test_stale_exact_boundary),
        cmocka_unit_test(test_stale_venues_are_judged_apart), cmocka_unit_test(test_fresh_data_never_pauses),
        cmocka_unit_test(test_stale_when_the_timestamp_is_missing), cmocka_unit_test(test_stale_evaluations_are_counted),
        cmocka_unit_test(test_stale_checks_agree_with_each_other), cmocka_unit_test(test_stale_then_again_opportunity_ends_and_returns),
        cmocka_unit_test(test_clock_never_goes_back), cmocka_unit_test(test_an_older_slot_never_replaces_a_newer_one),
        cmocka_unit_test(test_a_lagging_node_is_not_believed_after_a_disconnect),
        cmocka_unit_test(test_an_older_slot_is_no_proof_of_life), cmocka_unit_test(test_a_pool_needs_the_array_around_its_price),
        cmocka_unit_test(test_adaptive_pools_wait_for_their_oracle), cmocka_unit_test(test_arrays_far_from_the_price_make_room),
        cmocka_unit_test(test_strange_events_are_survived), cmocka_unit_test(test_bot_commits_are_passed_on),
        cmocka_unit_test(test_the_same_events_give_the_same_bytes), cmocka_unit_test(test_levels_applied_and_evaluated_per_second),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
