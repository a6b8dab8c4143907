#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t rng_state = 7;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static void test_base58_known(void **state)
{
    static const struct {
        const char *hex, *text;
    } rows[] = {
        {"", ""},
        {"00", "1"},
        {"0000", "11"},
        {"61", "2g"},
        {"626262", "a3gV"},
        {"636363", "aPEr"},
        {"572e4794", "3EFU7m"},
        {"10c8511e", "Rt5zm"},
        {"516b6fcd0f", "ABnLTmg"},
        {"73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"},
        {"00000000000000000000", "1111111111"},
        {"0000000000000000000000000000000000000000000000000000000000000000", "11111111111111111111111111111111"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t raw[64], back[64];
        size_t n, m;
        char text[130];
        assert_int_equal(hex_decode(span_of(rows[i].hex), raw, sizeof raw, &n), XE_OK);
        assert_int_equal(b58_encode(raw, n, text, sizeof text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        assert_int_equal(b58_decode(span_of(text), back, sizeof back, &m), XE_OK);
        assert_int_equal(n, m);
        assert_memory_equal(raw, back, n);
    }
}

static void test_base58_round_trips_and_refusals(void **state)
{
    uint8_t raw[64], back[64];
    char text[130], longest[129];
    size_t n = 99;
    for (int i = 0; i < 4000; i++) {
        size_t len = rng() % 65;
        for (size_t k = 0; k < len; k++) raw[k] = (uint8_t)(rng() % 3 ? rng() : 0);
        size_t chars = b58_encode(raw, len, text, sizeof text);
        assert_true(len == 0 || chars > 0);
        assert_int_equal(b58_decode((span_t){text, chars}, back, sizeof back, &n), XE_OK);
        assert_int_equal(n, len);
        assert_memory_equal(raw, back, len);
    }
    n = 99;
    for (const char *p = "0OIl+/ -_\n\x7f\xc3"; *p; p++) {
        char bad[4] = {'2', *p, 'z', 0};
        assert_int_equal(b58_decode(span_of(bad), back, sizeof back, &n), XE_BAD_INPUT);
    }
    assert_int_equal(b58_decode((span_t){"2\0z", 3}, back, sizeof back, &n), XE_BAD_INPUT);
    assert_int_equal(b58_decode(SPAN_LIT("111"), back, 2, &n), XE_RANGE);
    assert_int_equal(b58_decode(SPAN_LIT("zz"), back, 1, &n), XE_RANGE);
    memset(longest, '1', sizeof longest);
    assert_int_equal(b58_decode((span_t){longest, 129}, back, sizeof back, &n), XE_RANGE);
    assert_int_equal(n, 99);
    memset(raw, 255, sizeof raw);
    assert_int_equal(b58_encode(raw, 32, text, 44), 0); /* no room for the terminator */
    assert_int_equal(b58_encode(raw, 32, text, 45), 44);
    static const uint8_t many[129];
    assert_int_equal(b58_encode(many, sizeof many, text, sizeof text), 0);
}

static void test_wallet_key(void **state)
{
    uint8_t key[32];
    memset(key, 7, sizeof key);
    assert_int_equal(b58_key(SPAN_LIT("So11111111111111111111111111111111111111112"), key), XE_OK);
    assert_int_equal(key[31], 1);
    assert_int_equal(b58_key(SPAN_LIT("11111111111111111111111111111111"), key), XE_OK);
    static const char *const bad[] = {
        "",
        "1",
        "1111111111111111111111111111111",
        "111111111111111111111111111111111",
        "So1111111111111111111111111111111111111111",
        "So1111111111111111111111111111111111111111122",
        "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "So1111111111111111111111111111111111111111O",
        " So11111111111111111111111111111111111111112",
        "So11111111111111111111111111111111111111112 ",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (b58_key(span_of(bad[i]), key) != XE_BAD_INPUT) fail_msg("accepted: %s", bad[i]);
}

static void test_base64(void **state)
{
    static const struct {
        const char *raw, *std, *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    uint8_t back[64];
    char text[64];
    size_t n;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const uint8_t *raw = (const uint8_t *)rows[i].raw;
        size_t len = strlen(rows[i].raw);
        assert_int_equal(b64_encode(raw, len, text, sizeof text), strlen(rows[i].std));
        assert_string_equal(text, rows[i].std);
        assert_int_equal(b64_decode(span_of(text), back, sizeof back, &n), XE_OK);
        assert_true(n == len && memcmp(back, raw, n) == 0);
        assert_int_equal(b64url_encode(raw, len, text, sizeof text), strlen(rows[i].url));
        assert_string_equal(text, rows[i].url);
        assert_int_equal(b64url_decode(span_of(text), back, sizeof back, &n), XE_OK);
        assert_true(n == len && memcmp(back, raw, n) == 0);
    }
    static const char *const bad[] = {"Z",     "Zg",     "Zg=",  "Zg===", "Zh==", "Zm9=", "====", "=",    "Zg==Zg==",
                                      "Zm 9v", "Zm9v\n", "Zm-_", "Zm9v=", "Z=g=", "Zm9*", "Zg=a", "A===", "Zm9v===="};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (b64_decode(span_of(bad[i]), back, sizeof back, &n) != XE_BAD_INPUT) fail_msg("base64 accepted: %s", bad[i]);
    static const char *const bad_url[] = {"Z",   "Zg==",  "Zh",   "Zm9", "Zm9v=",   "Zm+/",
                                          "Z g", "Zm9vY", "Zg\n", "=",   "Zm9vYmE="};
    for (size_t i = 0; i < COUNT(bad_url); i++)
        if (b64url_decode(span_of(bad_url[i]), back, sizeof back, &n) != XE_BAD_INPUT)
            fail_msg("base64url accepted: %s", bad_url[i]);
    assert_int_equal(b64_decode(SPAN_LIT("Zm9v"), back, 2, &n), XE_RANGE);
    assert_int_equal(b64_encode((const uint8_t *)"foo", 3, text, 4), 0);
    assert_int_equal(b64_encode((const uint8_t *)"foo", 3, text, 5), 4);
}

/* Every byte string has one spelling: of all texts that decode, exactly those come back from encoding. */
static void test_base64_is_canonical(void **state)
{
    static const char alphabet[] = "ABg9+/-_=";
    char text[5] = {0}, again[8];
    uint8_t raw[8];
    size_t n;
    for (int len = 1; len <= 4; len++) {
        int total = 1;
        for (int i = 0; i < len; i++) total *= (int)sizeof alphabet - 1;
        for (int v = 0; v < total; v++) {
            for (int i = 0, rest = v; i < len; i++, rest /= (int)sizeof alphabet - 1)
                text[i] = alphabet[rest % ((int)sizeof alphabet - 1)];
            text[len] = '\0';
            if (!b64_decode(span_of(text), raw, sizeof raw, &n)) {
                b64_encode(raw, n, again, sizeof again);
                assert_string_equal(text, again);
            }
            if (!b64url_decode(span_of(text), raw, sizeof raw, &n)) {
                b64url_encode(raw, n, again, sizeof again);
                assert_string_equal(text, again);
            }
        }
    }
}

static void test_hex(void **state)
{
    uint8_t raw[4];
    char text[9];
    size_t n;
    assert_int_equal(hex_decode(SPAN_LIT("00aBff7F"), raw, 4, &n), XE_OK);
    assert_int_equal(n, 4);
    hex_encode(raw, 4, text);
    assert_string_equal(text, "00abff7f");
    assert_int_equal(hex_decode(SPAN_LIT("0"), raw, 4, &n), XE_BAD_INPUT);
    assert_int_equal(hex_decode(SPAN_LIT("0g"), raw, 4, &n), XE_BAD_INPUT);
    assert_int_equal(hex_decode(SPAN_LIT("0x"), raw, 4, &n), XE_BAD_INPUT);
    assert_int_equal(hex_decode(SPAN_LIT("0011223344"), raw, 4, &n), XE_RANGE);
}

/* Against a decoder that knows only the definition: code points and their shortest forms. */
static bool defined_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned cp;
        size_t len;
        if (p[i] < 0x80)
            cp = p[i], len = 1;
        else if ((p[i] & 0xe0) == 0xc0)
            cp = p[i] & 0x1fu, len = 2;
        else if ((p[i] & 0xf0) == 0xe0)
            cp = p[i] & 0x0fu, len = 3;
        else if ((p[i] & 0xf8) == 0xf0)
            cp = p[i] & 0x07u, len = 4;
        else
            return false;
        if (len > n - i) return false;
        for (size_t k = 1; k < len; k++) {
            if ((p[i + k] & 0xc0) != 0x80) return false;
            cp = cp << 6 | (p[i + k] & 0x3fu);
        }
        size_t shortest = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        if (len != shortest || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) return false;
        i += len;
    }
    return true;
}

static void test_utf8(void **state)
{
    static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                    0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    uint8_t t[4];
    size_t m = COUNT(edges);
    for (size_t v = 0; v < m * m * m * m; v++) {
        size_t rest = v;
        for (size_t i = 0; i < 4; i++, rest /= m) t[i] = edges[rest % m];
        for (size_t n = 0; n <= 4; n++)
            if (utf8_valid((span_t){(const char *)t, n}) != defined_utf8(t, n))
                fail_msg("%02x %02x %02x %02x, %zu bytes", t[0], t[1], t[2], t[3], n);
    }
    assert_int_equal(utf8_next(SPAN_LIT("")), 0);
    assert_int_equal(utf8_next(SPAN_LIT("\xe2\x82\xac!")), 3);
}

static void test_percent(void **state)
{
    static const struct { const char *in, *out; } good[] = {
        {"", ""}, {"plain+text", "plain+text"}, {"%41%6a%6A", "Ajj"}, {"a%20b%2Fc", "a b/c"}, {"%25%32%35", "%25"},
    };
    static const char *const bad[] = {"%", "%4", "a%4", "%4g", "%g4", "%%41", "% 41"};
    char out[32];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(pct_decode(span_of(good[i].in), out, sizeof out, &n), XE_OK);
        assert_true(span_is(span_make(out, n), good[i].out));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pct_decode(span_of(bad[i]), out, sizeof out, &n), XE_BAD_INPUT);
    assert_int_equal(pct_decode(SPAN_LIT("%00"), out, 1, &n), XE_OK);
    assert_true(n == 1 && out[0] == '\0');
    assert_int_equal(pct_decode(SPAN_LIT("%41%42"), out, 1, &n), XE_RANGE);
    memcpy(out, "x%41y", 5);
    assert_int_equal(pct_decode(span_make(out, 5), out, 5, &n), XE_OK);
    assert_true(span_is(span_make(out, n), "xAy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base58_known),
        cmocka_unit_test(test_base58_round_trips_and_refusals),
        cmocka_unit_test(test_wallet_key),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_is_canonical),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
