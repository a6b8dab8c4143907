/* What endpoints say about wallets and prices, and what is made of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "connectors/prices.h"
#include "connectors/wallet.h"
#include "engine/token.h"

#define CLASSIC "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
#define T2022 "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"

static uint8_t me[32], other[32];

static int start(void **state)
{
    (void)state;
    memset(me, 5, sizeof me);
    memset(other, 6, sizeof other);
    return 0;
}

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

typedef struct {
    const char *mint, *program, *encoding;
    const uint8_t *owner;
    uint64_t amount;
    size_t n;
    uint8_t state, name;
} acct_t;

static acct_t usdc(uint64_t amount, uint8_t name)
{
    return (acct_t){.mint = asset_mint(ASSET_USDC), .program = CLASSIC, .encoding = "base64", .owner = me, .amount = amount, .n = 165, .state = 1, .name = name};
}

static void put(buf_t *b, const acct_t *a)
{
    uint8_t p[512] = {0}, key[32];
    char b64[1024], text[72];
    assert_int_equal(b58_key(span_of(a->mint), p), XE_OK);
    memcpy(p + 32, a->owner, 32);
    put64(p + 64, a->amount);
    p[108] = a->state;
    p[165] = 2;
    b64_encode(p, a->n, b64, sizeof b64);
    memset(key, a->name, 32);
    b58_encode(key, 32, text, sizeof text);
    buf_fmt(b, "%s{\"account\":{\"data\":[\"%s\",\"%s\"],\"executable\":false,\"lamports\":2039280,\"owner\":\"%s\",\"rentEpoch\":18446744073709551615,"
               "\"space\":%zu},\"pubkey\":\"%s\"}", b->p[b->n - 1] == '[' ? "" : ",", b64, a->encoding, a->program, a->n, text);
}

static xerr_t read_rows(const acct_t *rows, size_t n, bool t2022, wtokens_t *out)
{
    buf_t b;
    uint64_t slot = 0;
    buf_init(&b, 1 << 20);
    buf_str(&b, "{\"context\":{\"slot\":77},\"value\":[");
    for (size_t i = 0; i < n; i++) put(&b, &rows[i]);
    buf_str(&b, "]}");
    xerr_t err = wallet_read_tokens(buf_span(&b), me, t2022, out, &slot);
    if (!err) assert_int_equal(slot, 77);
    buf_fini(&b);
    return err;
}

static void tokens_are_summed(void **state)
{
    (void)state;
    wtokens_t w = {0};
    acct_t rows[] = {usdc(10, 1), usdc(0, 2), usdc(32, 3), usdc(7, 4)};
    rows[3].mint = asset_mint(ASSET_SOL); /* wrapped */
    rows[2].state = 2;
    assert_int_equal(read_rows(rows, 4, false, &w), XE_OK);
    assert_int_equal(w.n, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool coin = w.t[i].asset == ASSET_USDC;
        assert_int_equal(w.t[i].amount, coin ? 42 : 7);
        assert_int_equal(w.t[i].decimals, coin ? 6 : 9);
        assert_int_equal(w.t[i].frozen, coin);
    }
    wtokens_fini(&w);
    assert_int_equal(read_rows(rows, 0, false, &w), XE_OK);
    assert_int_equal(w.n, 0);
}

/* Not one of these is decoded: whatever is wrong, nothing of the answer is used. */
static void lies_are_refused(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 82, 109, 164, 166, 170, 355};
    wtokens_t w = {0};
    acct_t a[2] = {usdc(10, 1), usdc(11, 2)};
    a[1].owner = other;
    assert_int_equal(read_rows(a, 2, false, &w), XE_CONFLICT);
    a[1] = usdc(11, 2);
    a[1].program = "11111111111111111111111111111111";
    assert_int_equal(read_rows(a, 2, false, &w), XE_DENIED);
    a[1].program = T2022; /* of the other token program */
    assert_int_equal(read_rows(a, 2, false, &w), XE_DENIED);
    a[1] = usdc(11, 2);
    a[1].encoding = "base58";
    assert_int_equal(read_rows(a, 2, false, &w), XE_BAD_INPUT);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        a[1] = usdc(11, 2);
        a[1].n = lengths[i];
        assert_int_equal(read_rows(a, 2, false, &w), XE_BAD_INPUT);
    }
    for (uint8_t s = 0; s < 5; s++) {
        a[1] = usdc(11, 2);
        a[1].state = s;
        assert_int_equal(read_rows(a, 2, false, &w), s == 1 || s == 2 ? XE_OK : XE_BAD_INPUT);
    }
    a[1] = usdc(11, 1); /* named twice */
    assert_int_equal(read_rows(a, 2, false, &w), XE_BAD_INPUT);
    a[1] = usdc(UINT64_MAX - 9, 2); /* beyond any supply */
    assert_int_equal(read_rows(a, 2, false, &w), XE_BAD_INPUT);
    wtokens_fini(&w);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null", "[]", "{}", "7", "\"x\"", "{\"value\":[]}", "{\"context\":{},\"value\":[]}", "{\"context\":{\"slot\":-1},\"value\":[]}",
        "{\"context\":{\"slot\":1},\"value\":{}}", "{\"context\":{\"slot\":1},\"value\":null}", "{\"context\":{\"slot\":1},\"value\":[null]}",
        "{\"context\":{\"slot\":1},\"value\":[{}]}", "{\"context\":{\"slot\":1},\"value\":[{\"pubkey\":\"x\",\"account\":{}}]}",
        "{\"context\":{\"slot\":1},\"value\":[{\"pubkey\":\"11111111111111111111111111111111\",\"account\":null}]}",
        "{\"context\":{\"slot\":1},\"value\":[{\"pubkey\":\"11111111111111111111111111111111\",\"account\":{\"owner\":\"" CLASSIC "\",\"data\":{\"parsed\":1}}}]}",
    };
    uint64_t lamports, slot;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        wtokens_t w = {0};
        assert_int_equal(wallet_read_tokens(span_of(texts[i]), me, false, &w, &slot), XE_BAD_INPUT);
        assert_int_equal(wallet_read_lamports(span_of(texts[i]), &lamports, &slot), XE_BAD_INPUT);
        assert_int_equal(wallet_read_mints(span_of(texts[i]), NULL, 0), texts[i][0] == '{' && strstr(texts[i], "[]") && strstr(texts[i], ":1}") ? XE_OK : XE_BAD_INPUT);
        wtokens_fini(&w);
    }
    assert_int_equal(wallet_read_lamports(SPAN_LIT("{\"context\":{\"slot\":5},\"value\":18446744073709551615}"), &lamports, &slot), XE_OK);
    assert_true(lamports == UINT64_MAX && slot == 5);
    assert_int_not_equal(wallet_read_lamports(SPAN_LIT("{\"context\":{\"slot\":5},\"value\":18446744073709551616}"), &lamports, &slot), XE_OK);
    assert_int_not_equal(wallet_read_lamports(SPAN_LIT("{\"context\":{\"slot\":5},\"value\":1.0}"), &lamports, &slot), XE_OK);
}

static void mints_tell_decimals(void **state)
{
    (void)state;
    uint8_t p[82] = {0};
    char b64[256], text[2048];
    p[44] = 5;
    p[45] = 1;
    b64_encode(p, 82, b64, sizeof b64);
    wtoken_t t[4] = {{.decimals = -1}, {.decimals = -1}, {.decimals = -1, .token2022 = true}, {.decimals = -1}};
    wtoken_t *of[4] = {&t[0], &t[1], &t[2], &t[3]};
    snprintf(text, sizeof text, "{\"context\":{\"slot\":1},\"value\":[{\"owner\":\"" CLASSIC "\",\"data\":[\"%s\",\"base64\"]},null,"
             "{\"owner\":\"" CLASSIC "\",\"data\":[\"%s\",\"base64\"]},{\"owner\":\"" CLASSIC "\",\"data\":[\"AAAA\",\"base64\"]}]}", b64, b64);
    assert_int_equal(wallet_read_mints(span_of(text), of, 4), XE_OK);
    assert_int_equal(t[0].decimals, 5);
    assert_int_equal(t[1].decimals, -1);
    assert_int_equal(t[2].decimals, -1); /* of the other program */
    assert_int_equal(t[3].decimals, -1); /* truncated */
    assert_int_equal(wallet_read_mints(span_of(text), of, 3), XE_BAD_INPUT);
    p[45] = 0;
    b64_encode(p, 82, b64, sizeof b64);
    snprintf(text, sizeof text, "{\"context\":{\"slot\":1},\"value\":[{\"owner\":\"" CLASSIC "\",\"data\":[\"%s\",\"base64\"]}]}", b64);
    t[0].decimals = -1;
    assert_int_equal(wallet_read_mints(span_of(text), of, 1), XE_OK);
    assert_int_equal(t[0].decimals, -1); /* never initialised */
}

/* ---- worth ---- */

static price_t at(int64_t e6, price_state_t s) { return (price_t){.state = s, .usd = {(i128_t)e6 * 1000000}}; }

static wallet_t *holding(uint64_t lamports, uint64_t coins)
{
    wallet_t *w = calloc(1, sizeof *w + 2 * sizeof(wtoken_t));
    w->lamports = lamports;
    w->tokens_n = coins ? 1 : 0;
    w->tokens[0] = (wtoken_t){.amount = coins, .decimals = 6, .asset = ASSET_USDC};
    w->tokens[1] = (wtoken_t){.amount = 5, .decimals = 2, .asset = ASSET_N};
    return w;
}

static void investable_is_the_rest(void **state)
{
    (void)state;
    static const struct { uint64_t coins; int64_t investable; bool short_of; } rows[] = {
        {0, 0, true}, {10000000, 0, true}, {10000001, 1, true}, {10999999, 999999, true}, {11000000, 1000000, false},
        {500000000, 490000000, false}, {500000001, 490000000, false}, {500000050, 490000049, false}, {1000000000, 980000000, false}, {1000000049, 980000048, false},
    };
    price_t p[ASSET_N] = {at(150000000, PRICE_GOOD), at(1000000, PRICE_GOOD), at(1000000, PRICE_GOOD)};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wallet_worth_t out;
        wallet_t *w = holding(0, rows[i].coins);
        wallet_worth(w, p, &out);
        assert_true(out.total.known && !out.total.assumed && !out.partial);
        assert_int_equal(out.total.usd.raw, rows[i].coins);
        assert_int_equal(out.investable.raw, rows[i].investable);
        assert_int_equal(out.insufficient, rows[i].short_of);
        free(w);
    }
}

static void unknown_stays_unknown(void **state)
{
    (void)state;
    price_t p[ASSET_N] = {{0}};
    wallet_worth_t out;
    wallet_t *w = holding(1, 7000000);
    wallet_worth(w, p, &out);
    assert_false(out.sol.known || out.total.known);
    worth_t coin = wallet_token_worth(&w->tokens[0], p);
    assert_true(coin.known && coin.assumed && coin.usd.raw == 7000000);
    assert_false(wallet_token_worth(&w->tokens[1], p).known);
    p[ASSET_SOL] = at(150000000, PRICE_STALE);
    w->tokens_n = 2;
    wallet_worth(w, p, &out);
    assert_true(out.total.known && out.total.assumed && out.stale_price && out.partial);
    w->tokens[0].asset = ASSET_SOL; /* wrapped: 1:1 is never assumed */
    w->tokens[0].decimals = 9;
    p[ASSET_SOL].state = PRICE_NONE;
    assert_false(wallet_token_worth(&w->tokens[0], p).known);
    w->lamports = UINT64_MAX;
    p[ASSET_SOL] = at(9000000000000, PRICE_GOOD);
    wallet_worth(w, p, &out);
    assert_false(out.total.known); /* beyond what dollars can hold: unknown, not wrapped around */
    free(w);
}

static void quantities(void **state)
{
    (void)state;
    qty_t q;
    assert_int_equal(wallet_qty(UINT64_MAX, 0, &q), XE_OK);
    assert_true(q.raw == (i128_t)UINT64_MAX * 1000000000000LL);
    assert_int_equal(wallet_qty(123, 12, &q), XE_OK);
    assert_true(q.raw == 123);
    assert_int_equal(wallet_qty(123, 14, &q), XE_OK);
    assert_true(q.raw == 1);
    assert_int_equal(wallet_qty(1, 39, &q), XE_RANGE);
    assert_int_equal(wallet_qty(1, 255, &q), XE_RANGE);
}

/* ---- prices ---- */

static void numbers(void **state)
{
    (void)state;
    static const struct { const char *text; const char *raw; } good[] = {
        {"0", "0"}, {"1", "1"}, {"150.25", "150.25"}, {"1e2", "100"}, {"1.5E+3", "1500"}, {"1e-12", "0.000000000001"}, {"1.9e-13", "0"},
        {"147.47893407383361234567", "147.478934073833"}, {"0.00000000000099999", "0"}, {"12345678901234567890123456789012345678901e-39", "12.345678901234"},
        {"0e99", NULL},
    };
    static const char *const bad[] = {"", "-1", "+1", "1.", ".5", "1.2.3", "1e", "1e+", "1e1234", "e5", "NaN", "1x", "0x10", "1 ", "\"1\""};
    px_t p;
    char text[DEC_TEXT_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        xerr_t err = price_number(span_of(good[i].text), &p);
        if (!good[i].raw) {
            assert_int_not_equal(err, XE_OK);
            continue;
        }
        assert_int_equal(err, XE_OK);
        dec_text(p.raw, text, sizeof text);
        assert_string_equal(text, good[i].raw);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_not_equal(price_number(span_of(bad[i]), &p), XE_OK);
    assert_int_equal(price_number(SPAN_LIT("1e35"), &p), XE_RANGE);
}

static void usd_is(const quote_t *q, const char *want)
{
    char text[DEC_TEXT_MAX];
    assert_true(q->known);
    dec_text(q->usd.raw, text, sizeof text);
    assert_string_equal(text, want);
}

static void sources_are_read(void **state)
{
    (void)state;
    quote_t q[ASSET_N];
    assert_int_equal(price_src_read(SRC_COINGECKO, SPAN_LIT("{\"solana\":{\"usd\":150.5,\"last_updated_at\":1796000000},\"tether\":{\"usd\":0.9998}}"), q), XE_OK);
    usd_is(&q[ASSET_SOL], "150.5");
    assert_true(q[ASSET_SOL].at_us == 1796000000000000LL && !q[ASSET_USDC].known && !q[ASSET_USDT].known); /* no time: no quote */
    assert_int_equal(price_src_read(SRC_JUPITER, SPAN_LIT("{\"So11111111111111111111111111111111111111112\":{\"usdPrice\":147.4789340738336,\"blockId\":1,"
                                    "\"decimals\":9},\"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\":{\"usdPrice\":0}}"), q), XE_OK);
    usd_is(&q[ASSET_SOL], "147.478934073833");
    assert_false(q[ASSET_USDC].known);
    static const char pyth[] = "{\"binary\":{},\"parsed\":[{\"id\":\"ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d\",\"price\":"
                               "{\"price\":\"15012345678\",\"conf\":\"%s\",\"expo\":-8,\"publish_time\":1796000001},\"ema_price\":{}}]}";
    char text[512];
    snprintf(text, sizeof text, pyth, "7500000");
    assert_int_equal(price_src_read(SRC_PYTH, span_of(text), q), XE_OK);
    usd_is(&q[ASSET_SOL], "150.12345678");
    snprintf(text, sizeof text, pyth, "350000000"); /* 2.3 % wide: no quote */
    assert_int_equal(price_src_read(SRC_PYTH, span_of(text), q), XE_OK);
    assert_false(q[ASSET_SOL].known);
    static const char *const junk[] = {"", "null", "[]", "7", "{", "{}", "<html>", "{\"solana\":{}}", "{\"solana\":{\"usd\":\"150\"}}",
                                       "{\"solana\":{\"usd\":-1,\"last_updated_at\":1}}", "{\"status\":{\"error_code\":429}}", "{\"a\":1}x"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
        for (int s = 0; s < SRC_N; s++) assert_int_equal(price_src_read((price_src_t)s, span_of(junk[i]), q), XE_BAD_INPUT);
}

static void birdeye_is_read(void **state)
{
    (void)state;
    quote_t q[ASSET_N];
    buf_t b;
    static const char data[] = "{\"type\":\"PRICE_DATA\",\"data\":{\"o\":1,\"c\":150.25,\"unixTime\":1796000000,\"address\":\"So11111111111111111111111111111111111111112\"}}";
    assert_int_equal(birdeye_read(span_of(data), 1796000030000000, q), XE_OK);
    usd_is(&q[ASSET_SOL], "150.25");
    assert_int_equal(birdeye_read(span_of(data), 1796000181000000, q), XE_STALE);
    assert_int_equal(birdeye_read(span_of(data), 1795999800000000, q), XE_STALE);
    assert_false(q[ASSET_SOL].known);
    assert_int_equal(birdeye_read(SPAN_LIT("{\"type\":\"WELCOME\"}"), 0, q), XE_AGAIN);
    static const char *const junk[] = {"", "x", "[]", "{}", "{\"type\":7}", "{\"type\":\"PRICE_DATA\"}", "{\"type\":\"PRICE_DATA\",\"data\":{\"c\":-1,\"unixTime\":1,\"address\":\"a\"}}",
                                       "{\"type\":\"PRICE_DATA\",\"data\":{\"c\":\"1\",\"unixTime\":1,\"address\":\"a\"}}"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) assert_int_equal(birdeye_read(span_of(junk[i]), 0, q), XE_BAD_INPUT);
    buf_init(&b, 4096);
    birdeye_subscription(&b);
    assert_non_null(strstr(b.p, "\"queryType\":\"complex\""));
    assert_non_null(strstr(b.p, "(address = So11111111111111111111111111111111111111112 AND chartType = 1m AND currency = usd) OR ("));
    buf_fini(&b);
}

static void questions_and_keys(void **state)
{
    (void)state;
    buf_t b;
    buf_init(&b, 4096);
    price_src_header(SRC_COINGECKO, "https://api.coingecko.com/api/v3", "k", &b);
    assert_string_equal(b.p, "x-cg-demo-api-key: k");
    buf_reset(&b);
    price_src_header(SRC_COINGECKO, "https://pro-api.coingecko.com/api/v3", "k", &b);
    assert_string_equal(b.p, "x-cg-pro-api-key: k");
    buf_reset(&b);
    price_src_header(SRC_JUPITER, "https://x", "", &b);
    assert_int_equal(b.n, 0);
    price_src_url(SRC_COINGECKO, "https://api.coingecko.com/api/v3", &b);
    assert_string_equal(b.p, "https://api.coingecko.com/api/v3/simple/price?ids=solana,usd-coin,tether&vs_currencies=usd&include_last_updated_at=true");
    buf_fini(&b);
}

#define NOW 1796000000000000LL
static const price_rule_t rule = {.stale_ms = 60000, .keep_ms = 600000, .max_dev_bps = 100};

static quote_t said(int64_t e6, int64_t age_ms) { return (quote_t){true, {(i128_t)e6 * 1000000}, NOW - age_ms * 1000}; }

static void judged(const quote_t q[SRC_N], agreed_t *last, price_state_t state, int64_t e6, unsigned sources, bool disputed)
{
    price_t p;
    prices_judge(q, &rule, NOW, last, &p);
    assert_int_equal(p.state, state);
    if (state != PRICE_NONE) assert_true(p.usd.raw == (i128_t)e6 * 1000000);
    assert_int_equal(p.sources, sources);
    assert_int_equal(p.disputed, disputed);
    assert_true(p.confidence <= 100);
}

static void prices_are_judged(void **state)
{
    (void)state;
    agreed_t last = {0};
    judged((quote_t[SRC_N]){{0}}, &last, PRICE_NONE, 0, 0, false);
    judged((quote_t[SRC_N]){said(100000000, 60001)}, &last, PRICE_NONE, 0, 0, false);  /* too old */
    judged((quote_t[SRC_N]){said(100000000, -61000)}, &last, PRICE_NONE, 0, 0, false); /* from the future */
    judged((quote_t[SRC_N]){said(100000000, 0), said(101100000, 0)}, &last, PRICE_NONE, 0, 0, true);
    judged((quote_t[SRC_N]){said(100000000, 0), said(101000000, 0)}, &last, PRICE_GOOD, 100000000, 2, false);
    assert_true(last.known);
    judged((quote_t[SRC_N]){said(100000000, 0), said(120000000, 0)}, &last, PRICE_STALE, 100000000, 0, true);
    judged((quote_t[SRC_N]){said(100000000, 0), said(120000000, 0), said(120100000, 0)}, &last, PRICE_GOOD, 120000000, 2, false); /* outvoted */
    judged((quote_t[SRC_N]){said(100000000, 0), said(110000000, 0), said(120000000, 0)}, &last, PRICE_STALE, 120000000, 0, true);
    judged((quote_t[SRC_N]){said(110000000, 0)}, &last, PRICE_GOOD, 110000000, 1, false); /* alone, within ten deviations */
    judged((quote_t[SRC_N]){said(130000000, 0)}, &last, PRICE_STALE, 110000000, 0, true);  /* alone, and jumps */
    last.at_us = NOW - 600000 * 1000LL;
    judged((quote_t[SRC_N]){{0}}, &last, PRICE_STALE, 110000000, 0, false);
    last.at_us--;
    last.at_us -= 1000;
    judged((quote_t[SRC_N]){{0}}, &last, PRICE_NONE, 0, 0, false); /* forgotten */
    judged((quote_t[SRC_N]){said(130000000, 0)}, &last, PRICE_GOOD, 130000000, 1, false); /* so long after, a jump is no surprise */
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(tokens_are_summed), T(lies_are_refused), T(nonsense_is_refused), T(mints_tell_decimals), T(investable_is_the_rest), T(unknown_stays_unknown),
        T(quantities), T(numbers), T(sources_are_read), T(birdeye_is_read), T(questions_and_keys), T(prices_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
