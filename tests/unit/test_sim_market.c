/* The simulated market: one seed one market, books that never cross, openings often enough and not always; and the
 * simulator's websocket frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/dec.h"
#include "sim/frame.c"
#include "sim/market.c"

static void run(market_t *m, unsigned steps, void (*each)(const mbook_t *b))
{
    for (unsigned i = 0; i < steps; i++) {
        market_step(m);
        for (unsigned id = 0; id < BOOK_N; id++) {
            while (market_book_due(m, (mbook_id_t)id)) {
                if (each) each(&m->book[id]);
            }
        }
    }
}

static void sound(const mbook_t *b)
{
    assert_in_range(b->n[MSIDE_BID], b->spec->levels - 60, b->spec->levels);
    assert_in_range(b->n[MSIDE_ASK], b->spec->levels - 60, b->spec->levels);
    assert_true(b->side[MSIDE_BID][0].px < b->side[MSIDE_ASK][0].px);
    assert_true(b->chg_n <= MBOOK_CHANGES);
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned i = 0; i < b->n[s]; i++) {
            assert_true(b->side[s][i].px > 0 && b->side[s][i].qty > 0);
            if (i)
                assert_true(s == MSIDE_BID ? b->side[s][i].px < b->side[s][i - 1].px
                                           : b->side[s][i].px > b->side[s][i - 1].px);
        }
    }
}

static void test_seed(void **state)
{
    static market_t a, b, c;
    market_init(&a, 5, 15);
    market_init(&b, 5, 15);
    market_init(&c, 6, 15);
    run(&a, 5000, NULL);
    run(&b, 5000, NULL);
    run(&c, 5000, NULL);
    assert_memory_equal(a.book[BOOK_GM_SOL].side, b.book[BOOK_GM_SOL].side, sizeof(a.book[0].side));
    assert_int_equal(a.fair, b.fair);
    assert_int_not_equal(a.fair, c.fair);
}

static void test_books(void **state)
{
    static market_t m;
    market_init(&m, 9, 200);
    for (unsigned id = 0; id < BOOK_N; id++) sound(&m.book[id]);
    run(&m, 20000, sound);
    assert_in_range(m.fair, FAIR_LOW, FAIR_HIGH);
}

/* A reader that applies changes one by one, as Gemini v2 sends them, must never see a crossed book. */
static mbook_t shadow;

static void one_by_one(const mbook_t *b)
{
    if (b->spec != &specs[BOOK_GM_SOL]) return;
    for (unsigned i = 0; i < b->chg_n; i++) {
        mside_t side = b->chg[i].side;
        shadow.chg_n = 0;
        if (b->chg[i].lv.qty) {
            level_put(&shadow, side, b->chg[i].lv.px, b->chg[i].lv.qty);
        } else {
            for (unsigned k = 0; k < shadow.n[side]; k++) {
                if (shadow.side[side][k].px == b->chg[i].lv.px) level_drop(&shadow, side, k--);
            }
        }
        assert_true(shadow.side[MSIDE_BID][0].px < shadow.side[MSIDE_ASK][0].px);
    }
    assert_int_equal(shadow.n[0], b->n[0]);
    assert_memory_equal(shadow.side[0], b->side[0], b->n[0] * sizeof(mlevel_t));
    assert_memory_equal(shadow.side[1], b->side[1], b->n[1] * sizeof(mlevel_t));
}

static void test_changes_tell_everything(void **state)
{
    static market_t m;
    market_init(&m, 11, 15);
    shadow = m.book[BOOK_GM_SOL];
    run(&m, 30000, one_by_one);
}

static void test_rate(void **state)
{
    static market_t m;
    unsigned n[BOOK_N] = {0};
    market_init(&m, 2, 15);
    for (unsigned i = 0; i < 3000; i++) { /* one minute */
        market_step(&m);
        for (unsigned id = 0; id < BOOK_N; id++) {
            while (market_book_due(&m, (mbook_id_t)id)) n[id]++;
        }
    }
    assert_in_range(n[BOOK_CB_SOL] + n[BOOK_CB_BTC], 800, 1000);
    assert_in_range(n[BOOK_GM_SOL] + n[BOOK_GM_BTC] + n[BOOK_GM_USDC], 800, 1000);
}

/* Average price of 1,000 dollars' worth, micro-dollars; asks when buying. */
static int64_t executed(const mbook_t *b, mside_t side)
{
    int64_t left = 1000 * MICRO, sum = 0, qty = 0;
    for (unsigned i = 0; left > 0; i++) {
        assert_true(i < b->n[side]);
        int64_t px = b->side[side][i].px * px_unit(b);
        int64_t value = (int64_t)((i128_t)px * b->side[side][i].qty / 100000000);
        int64_t use = value < left ? value : left;
        sum += use;
        qty += (int64_t)((i128_t)use * 100000000 / px);
        left -= use;
    }
    return (int64_t)((i128_t)sum * 100000000 / qty);
}

/* Net millionths of the better direction at Coinbase with its taker fee and the pool's; sign tells the direction. */
static int64_t net(const market_t *m)
{
    const mbook_t *b = &m->book[BOOK_CB_SOL];
    int64_t pool = market_pool_target(m) * m->basis / MICRO;
    int64_t buy = executed(b, MSIDE_ASK) * 10090 / 10000, sell = executed(b, MSIDE_BID) * 9910 / 10000;
    int64_t to_dex = (pool * 9996 / 10000 - buy) * MICRO / buy, from_dex = (sell - pool * 10004 / 10000) * MICRO / sell;
    if (to_dex < 0 && from_dex < 0) return 0;
    return to_dex > from_dex ? to_dex : -from_dex;
}

static void openings(uint64_t seed)
{
    static market_t m;
    unsigned open_steps = 0, count[2] = {0}, quiet = 0, longest = 0;
    int was = 0;
    market_init(&m, seed, 15);
    for (unsigned i = 0; i < 10 * 3000; i++) { /* ten minutes */
        run(&m, 1, NULL);
        int64_t v = net(&m);
        int now = v >= 1000 ? 1 : v <= -1000 ? -1 : 0; /* ten basis points */
        open_steps += now != 0;
        quiet = now ? 0 : quiet + 1;
        if (quiet > longest) longest = quiet;
        if (now && now != was) count[now > 0]++;
        was = now;
    }
    assert_in_range(count[0], 15, 80); /* at least three in two minutes each way */
    assert_in_range(count[1], 15, 80);
    assert_true(longest * MARKET_STEP_MS < 18000);
    assert_in_range(open_steps, 30000 * 20 / 100, 30000 * 70 / 100);
}

static void test_openings(void **state)
{
    for (uint64_t seed = 1; seed <= 8; seed++) openings(seed);
}

static void test_decimals(void **state)
{
    char t[DEC_SIM_MAX];
    const struct {
        int64_t v;
        unsigned dec;
        int show;
        const char *want;
    } c[] = {
        {15012, 2, -1, "150.12"},    {15010, 2, -1, "150.1"},      {15000, 2, -1, "150"}, {0, 8, -1, "0"},
        {150123, 3, 5, "150.12300"}, {100, 8, 10, "0.0000010000"}, {5, 0, -1, "5"},       {5, 0, 2, "5.00"},
        {-150, 2, -1, "-1.5"},       {1234500, 4, 2, "123.45"},
    };
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        size_t n = sim_dec(t, c[i].v, c[i].dec, c[i].show);
        assert_string_equal(t, c[i].want);
        assert_int_equal(n, strlen(c[i].want));
    }
}

static void test_frames(void **state)
{
    const uint64_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1u << 24};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t h[FRAME_HEAD_MAX];
        frame_t f;
        size_t n = frame_head(h, FRAME_TEXT, i % 2, sizes[i]);
        for (size_t k = 0; k < n; k++) assert_int_equal(frame_parse(h, k, &f), 0);
        assert_int_equal(frame_parse(h, n, &f), (int)n);
        assert_true(f.len == sizes[i] && f.op == FRAME_TEXT && f.fin == (i % 2) && !f.masked);
    }
    const uint8_t masked[] = {0x81, 0x85, 1, 2, 3, 4}, reserved[] = {0xc1, 0}, long_ping[] = {0x89, 126, 0, 200},
                  split_ping[] = {0x09, 0};
    const uint8_t huge[] = {0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0};
    frame_t f;
    char body[5] = {1, 2, 3, 4, 1};
    assert_int_equal(frame_parse(masked, sizeof(masked), &f), 6);
    frame_mask(&f, body);
    assert_memory_equal(body, "\0\0\0\0\0", 5);
    assert_int_equal(frame_parse(reserved, 2, &f), -1);
    assert_int_equal(frame_parse(long_ping, 4, &f), -1);
    assert_int_equal(frame_parse(split_ping, 2, &f), -1);
    assert_int_equal(frame_parse(huge, 10, &f), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed),   cmocka_unit_test(test_books),    cmocka_unit_test(test_changes_tell_everything),
        cmocka_unit_test(test_rate),   cmocka_unit_test(test_openings), cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
