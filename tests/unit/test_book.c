#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/book.h"

#define U ((i128_t)DEC_SCALE)

static uint64_t rng;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static chg_t chg(side_t s, int64_t px, int64_t qty)
{
    return (chg_t){.side = (uint8_t)s, .lv = {{px * U}, {qty * U}}};
}

static void put(book_t *b, side_t s, int64_t px, int64_t qty)
{
    chg_t c = chg(s, px, qty);
    assert_int_equal(book_apply(b, &c, 1), XE_OK);
}

static void level_is(const book_t *b, side_t s, size_t i, int64_t px, int64_t qty)
{
    const level_t *lv = book_level(b, s, i);
    assert_non_null(lv);
    assert_true(lv->px.raw == px * U);
    assert_true(lv->qty.raw == qty * U);
}

static book_t *simple(void)
{
    book_t *b = book_new(64);
    assert_non_null(b);
    book_begin(b, true);
    put(b, SIDE_BID, 99, 1);
    put(b, SIDE_BID, 100, 2);
    put(b, SIDE_BID, 98, 3);
    put(b, SIDE_ASK, 103, 3);
    put(b, SIDE_ASK, 101, 1);
    put(b, SIDE_ASK, 102, 2);
    assert_int_equal(book_end(b), XE_OK);
    return b;
}

static void test_order_and_absolute_sizes(void **state)
{
    (void)state;
    book_t *b = simple();
    level_is(b, SIDE_BID, 0, 100, 2);
    level_is(b, SIDE_BID, 2, 98, 3);
    level_is(b, SIDE_ASK, 0, 101, 1);
    level_is(b, SIDE_ASK, 2, 103, 3);
    assert_null(book_level(b, SIDE_ASK, 3));
    book_begin(b, false);
    put(b, SIDE_BID, 100, 7);
    put(b, SIDE_ASK, 101, 0);
    assert_int_equal(book_end(b), XE_OK);
    level_is(b, SIDE_BID, 0, 100, 7);
    level_is(b, SIDE_ASK, 0, 102, 2);
    book_free(b);
}

static void test_removing_an_absent_level_is_counted(void **state)
{
    (void)state;
    book_t *b = simple();
    book_begin(b, false);
    put(b, SIDE_BID, 55, 0);
    put(b, SIDE_ASK, 155, 0);
    assert_int_equal(book_end(b), XE_OK);
    assert_int_equal(book_stats(b)->removed_absent, 2);
    assert_int_equal(book_depth(b, SIDE_BID), 3);
    book_free(b);
}

static void test_never_good_inside_a_message(void **state)
{
    (void)state;
    book_t *b = book_new(8);
    fill_t f;
    assert_false(book_good(b));
    chg_t c = chg(SIDE_BID, 1, 1);
    assert_int_equal(book_apply(b, &c, 1), XE_STALE); /* no message open */
    book_begin(b, false);
    assert_int_equal(book_apply(b, &c, 1), XE_STALE); /* no snapshot yet */
    assert_int_equal(book_end(b), XE_STALE);
    assert_false(book_good(b));
    book_begin(b, true);
    assert_int_equal(book_apply(b, &c, 1), XE_OK);
    assert_false(book_good(b));
    assert_int_equal(book_walk(b, SIDE_BID, (qty_t){U}, &f), XE_STALE);
    assert_int_equal(book_end(b), XE_OK);
    assert_true(book_good(b));
    book_begin(b, false);
    assert_false(book_good(b));
    assert_int_equal(book_end(b), XE_OK);
    book_clear(b);
    assert_false(book_good(b));
    assert_int_equal(book_depth(b, SIDE_BID), 0);
    book_free(b);
}

static void test_crossing_is_judged_at_the_end_only(void **state)
{
    (void)state;
    book_t *b = simple();
    book_begin(b, false);
    put(b, SIDE_BID, 101, 1);   /* crossed for a moment */
    put(b, SIDE_ASK, 101, 0);
    assert_int_equal(book_end(b), XE_OK);
    book_begin(b, false);
    put(b, SIDE_BID, 102, 1);   /* locked counts as crossed */
    assert_int_equal(book_end(b), XE_CROSSED);
    assert_false(book_good(b));
    assert_int_equal(book_depth(b, SIDE_BID), 0);
    assert_int_equal(book_stats(b)->crossed, 1);
    book_begin(b, false);
    chg_t c = chg(SIDE_BID, 100, 1);
    assert_int_equal(book_apply(b, &c, 1), XE_STALE);
    assert_int_equal(book_end(b), XE_STALE);
    book_begin(b, true);
    put(b, SIDE_BID, 100, 1);
    assert_int_equal(book_end(b), XE_OK);
    book_free(b);
}

static void test_past_the_capacity_the_book_is_unusable(void **state)
{
    (void)state;
    book_t *b = book_new(4);
    book_begin(b, true);
    for (int i = 0; i < 4; i++) put(b, SIDE_BID, 10 + i, 1);
    put(b, SIDE_BID, 12, 5);    /* known level: no room needed */
    chg_t c = chg(SIDE_BID, 50, 1);
    assert_int_equal(book_apply(b, &c, 1), XE_FULL);
    assert_int_equal(book_depth(b, SIDE_BID), 0);
    assert_int_equal(book_apply(b, &c, 1), XE_STALE);
    assert_int_equal(book_end(b), XE_STALE);
    assert_false(book_good(b));
    book_free(b);
}

static void test_strange_levels_are_refused(void **state)
{
    (void)state;
    book_t *b = simple();
    book_begin(b, false);
    put(b, SIDE_BID, 0, 1);
    put(b, SIDE_BID, -5, 1);
    put(b, SIDE_ASK, 200, -1);
    chg_t c = chg(SIDE_ASK, 200, 1);
    c.side = 7;
    assert_int_equal(book_apply(b, &c, 1), XE_OK);
    assert_int_equal(book_end(b), XE_OK);
    assert_int_equal(book_stats(b)->refused_levels, 4);
    assert_int_equal(book_depth(b, SIDE_BID) + book_depth(b, SIDE_ASK), 6);
    book_free(b);
}

static void test_walk_rounds_against_the_taker(void **state)
{
    (void)state;
    book_t *b = simple();
    fill_t f;
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){2 * U + U / 2}, &f), XE_OK);
    assert_int_equal(f.value.raw, (101 + 102 + 51) * 1000000);
    assert_true(f.touch.raw == 101 * U && f.worst.raw == 102 * U);
    assert_int_equal(f.levels, 2);
    assert_int_equal(book_walk(b, SIDE_BID, (qty_t){3 * U}, &f), XE_OK);
    assert_int_equal(f.value.raw, 299 * 1000000);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){1}, &f), XE_OK);
    assert_int_equal(f.value.raw, 1);   /* a hundred millionths of a millionth, rounded up */
    assert_int_equal(book_walk(b, SIDE_BID, (qty_t){1}, &f), XE_OK);
    assert_int_equal(f.value.raw, 0);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){6 * U}, &f), XE_OK);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){6 * U + 1}, &f), XE_DEPTH);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){0}, &f), XE_BAD_INPUT);
    book_free(b);
}

static void test_far_prices_and_sizes(void **state)
{
    (void)state;
    book_t *b = book_new(4);
    fill_t f;
    book_begin(b, true);
    put(b, SIDE_ASK, 9000000000000, 100000000000);
    assert_int_equal(book_end(b), XE_OK);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){(i128_t)100000000000 * U}, &f), XE_RANGE);
    assert_int_equal(book_walk(b, SIDE_ASK, (qty_t){U}, &f), XE_OK);
    assert_int_equal(f.value.raw, INT64_C(9000000000000000000));
    book_free(b);
}

/* A slow and obvious book beside the real one. */
typedef struct { i128_t qty[512]; } slow_t;

static void same_side(const book_t *b, side_t s, const slow_t *m)
{
    size_t at = 0;
    for (int k = 0; k < 512; k++) {
        int px = s == SIDE_BID ? 511 - k : k;
        if (m->qty[px] == 0) continue;
        const level_t *lv = book_level(b, s, at++);
        assert_non_null(lv);
        if (lv->px.raw != px + 1 || lv->qty.raw != m->qty[px]) fail_msg("side %d level %zu differs", (int)s, at - 1);
    }
    assert_int_equal(book_depth(b, s), at);
}

static void test_against_a_slow_book(void **state)
{
    (void)state;
    rng = 88172645463325252u;
    book_t *b = book_new(512);
    static slow_t model[2];
    for (int round = 0; round < 300; round++) {
        bool snapshot = round % 50 == 0;
        if (snapshot) memset(model, 0, sizeof model);
        book_begin(b, snapshot);
        unsigned n = (unsigned)(next() % 200);
        for (unsigned i = 0; i < n; i++) {
            unsigned s = (unsigned)(next() % 2), px = (unsigned)(next() % 256);
            if (s == SIDE_ASK) px += 256;
            i128_t qty = next() % 3 == 0 ? 0 : (i128_t)(next() % 1000 + 1);
            chg_t c = {.side = (uint8_t)s, .lv = {{(i128_t)px + 1}, {qty}}};
            assert_int_equal(book_apply(b, &c, 1), XE_OK);
            model[s].qty[px] = qty;
        }
        assert_int_equal(book_end(b), XE_OK);
        same_side(b, SIDE_BID, &model[SIDE_BID]);
        same_side(b, SIDE_ASK, &model[SIDE_ASK]);
    }
    book_free(b);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_snapshot(book_t *b, bool best_first, int n)
{
    double t0 = seconds();
    book_begin(b, true);
    for (int i = 0; i < n; i++) {
        int step = best_first ? i : n - 1 - i;
        put(b, SIDE_BID, 1000000 - step, 1);
        put(b, SIDE_ASK, 1000001 + step, 1);
    }
    assert_int_equal(book_end(b), XE_OK);
    double t = seconds() - t0;
    level_is(b, SIDE_BID, 0, 1000000, 1);
    level_is(b, SIDE_BID, (size_t)n - 1, 1000001 - n, 1);
    level_is(b, SIDE_ASK, 0, 1000001, 1);
    assert_int_equal(book_depth(b, SIDE_ASK), n);
    return t;
}

/* Big snapshots sorted either way stay linear: four times the levels may not cost more than about eight times. */
static void test_big_snapshots_in_either_order(void **state)
{
    (void)state;
    book_t *b = book_new(1 << 16);
    for (int best_first = 0; best_first < 2; best_first++) {
        double small = time_snapshot(b, best_first, 12000), big = time_snapshot(b, best_first, 48000);
        print_message("snapshot of 96,000 levels, %s first: %.1f ms, %.1f M levels/s\n", best_first ? "best" : "worst", big * 1e3, 0.096 / big);
        assert_true(big < 16 * small + 0.02);
    }
    book_free(b);
}

static void test_updates_near_the_touch_are_fast(void **state)
{
    (void)state;
    enum { N = 2000000 };
    book_t *b = book_new(1 << 16);
    (void)time_snapshot(b, true, 23000);
    rng = 1234567;
    double t0 = seconds();
    for (int i = 0; i < N; i++) {
        if (i % 50 == 0) book_begin(b, false);
        bool bid = next() & 1;
        int64_t depth = (int64_t)(next() % 64 * (next() % 64) / 8);
        chg_t c = chg(bid ? SIDE_BID : SIDE_ASK, bid ? 1000000 - depth : 1000001 + depth, (int64_t)(next() % 3));
        assert_int_equal(book_apply(b, &c, 1), XE_OK);
        if (i % 50 == 49) assert_int_equal(book_end(b), XE_OK);
    }
    double t = seconds() - t0;
    print_message("updates near the touch: %.1f M levels/s\n", N / t * 1e-6);
    assert_true(N / t > 50000); /* a floor for sanitizer builds on a busy machine; the real figure is printed */
    book_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_absolute_sizes), cmocka_unit_test(test_removing_an_absent_level_is_counted),
        cmocka_unit_test(test_never_good_inside_a_message), cmocka_unit_test(test_crossing_is_judged_at_the_end_only),
        cmocka_unit_test(test_past_the_capacity_the_book_is_unusable), cmocka_unit_test(test_strange_levels_are_refused),
        cmocka_unit_test(test_walk_rounds_against_the_taker), cmocka_unit_test(test_far_prices_and_sizes),
        cmocka_unit_test(test_against_a_slow_book), cmocka_unit_test(test_big_snapshots_in_either_order),
        cmocka_unit_test(test_updates_near_the_touch_are_fast),
    };
    return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
