#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "reactor/json.h"

#define T(s)             \
    {                    \
        s, sizeof(s) - 1 \
    }

static const span_t good[] = {
    T("{}"),
    T("[]"),
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("-0"),
    T("-0.0"),
    T("1"),
    T("-1"),
    T("\"\""),
    T("\"a\""),
    T(" {} "),
    T("\t\r\n []\n\r\t "),
    T("[1,2,3]"),
    T("[1 ,2 , 3 ]"),
    T("[[]]"),
    T("[{},{}]"),
    T("{\"a\":1}"),
    T("{\"a\" : 1 , \"b\" : 2}"),
    T("{\"\":0}"),
    T("{\"a\":{\"a\":{\"a\":[]}}}"),
    T("1.5"),
    T("-1.5"),
    T("1e5"),
    T("1E5"),
    T("1e+5"),
    T("1e-5"),
    T("1.25E-10"),
    T("0e0"),
    T("0.1"),
    T("0E+1"),
    T("123456789012345678901234567890"),
    T("1e400"),
    T("-1e-400"),
    T("1e999999999999999999999"),
    T("0.00000000000000000000000000000000000000001"),
    T("[0,-0,0.0]"),
    T("20e1"),
    T("\"\\\"\""),
    T("\"\\\\\""),
    T("\"\\/\""),
    T("\"\\b\\f\\n\\r\\t\""),
    T("\"\\u0041\""),
    T("\"\\u00e9\\u00E9\""),
    T("\"\\u0000\""),
    T("\"\\ud83d\\ude00\""),
    T("\"\\uD834\\uDD1E x\""),
    T("\"\\uFFFF\""),
    T("\"\\udbff\\udfff\""),
    T("\"\\\\u000g\""),
    T("\"\\u0061\\u0022\""),
    T("\"\xc3\xa9\""),
    T("\"\xe2\x82\xac\""),
    T("\"\xf0\x9f\x98\x80\""),
    T("\"\xf4\x8f\xbf\xbf\""),
    T("\"\xed\x9f\xbf\""),
    T("\"\xee\x80\x80\""),
    T("\"\x7f\""),
    T("\"\xe2\x80\xa8\""),
    T("\"/*not a comment*/\""),
    T("\"[,}{\""),
    T("[true,false,null]"),
    T("{\"true\":true}"),
    T("[\"a\",1,null,{}]"),
    T("{\"a\":1,\"A\":2}"),
    T("{\"a\\u0000\":1,\"a\":2}"),
    T("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    T("{\"\xe2\x82\xac\":\"\\u20ac\"}"),
    T("[\"\\uD800\\uDC00\"]"),
};

static const span_t bad[] = {
    /* nothing, blanks, other blanks, byte-order marks */
    T(""),
    T(" "),
    T("\n\t\r "),
    T("\f1"),
    T("\v[]"),
    T("\xc2\xa0[]"),
    T("\xe2\x81\xa0[]"),
    T("\xef\xbb\xbf{}"),
    T("\xef\xbb\xbf"),
    T("\xef\xbb{}"),
    T("\xff\xfe{\0}\0"),
    T("\0"),
    T("\0{}"),
    T("{}\0"),
    T("[]\f"),
    T("[1]\v"),
    T("\x1a"),
    /* more than one value */
    T("{}{}"),
    T("[][]"),
    T("1 2"),
    T("1,2"),
    T("[]]"),
    T("{}}"),
    T("[],"),
    T("{},"),
    T("\"a\"\"b\""),
    T("null null"),
    T("[1]x"),
    T("{\"a\":1}#"),
    T("{}//"),
    T("{}/**/"),
    T("1/**/"),
    T("/**/1"),
    T("// x\n1"),
    T("#\n1"),
    T("{\"a\":/*x*/1}"),
    T("[1,#\n2]"),
    T("]"),
    T("}"),
    T(","),
    T(":"),
    T("\"a\":1"),
    T("[]e"),
    T("truetrue"),
    T("''"),
    T("{};"),
    /* commas and colons */
    T("[1 2]"),
    T("[1,,2]"),
    T("[1,2,]"),
    T("[,1]"),
    T("[,]"),
    T("[,"),
    T("[1,"),
    T("[1,,]"),
    T("[1:2]"),
    T("[\"a\":1]"),
    T("[1;2]"),
    T("{,}"),
    T("{\"a\":1,}"),
    T("{\"a\":1,,\"b\":2}"),
    T("{,\"a\":1}"),
    T("{\"a\"}"),
    T("{\"a\",1}"),
    T("{\"a\":}"),
    T("{\"a\"::1}"),
    T("{\"a\":1 \"b\":2}"),
    T("{\"a\" 1}"),
    T("{:1}"),
    T("{\"a\":1:2}"),
    T("{\"a\":1,2}"),
    T("{\"a\":\"b\":\"c\"}"),
    T("[[] []]"),
    T("[{}{}]"),
    T("[\"a\" \"b\"]"),
    T("{\"a\":[]\"b\":1}"),
    T("[1\n2]"),
    T("{\"a\":1;}"),
    T("{\"a\"=1}"),
    T("{\"a\":1,\"b\"}"),
    T("[\"a\",\n,1]"),
    /* names */
    T("{a:1}"),
    T("{'a':1}"),
    T("{1:1}"),
    T("{null:1}"),
    T("{true:1}"),
    T("{[]:1}"),
    T("{{}:1}"),
    T("{\"a:1}"),
    T("{a\":1}"),
    T("{\"\\x\":1}"),
    T("{\"a\x01\":1}"),
    T("{-1:1}"),
    T("{\"a\":1,b:2}"),
    T("{1.5:\"x\"}"),
    T("{\"\xff\":1}"),
    T("{\"\\ud800\":1}"),
    /* not closed, closed wrongly */
    T("["),
    T("{"),
    T("[1"),
    T("[1,2"),
    T("{\"a\""),
    T("{\"a\":"),
    T("{\"a\":1"),
    T("{\"a\":1,"),
    T("[}"),
    T("{]"),
    T("[1}"),
    T("{\"a\":1]"),
    T("[[1]"),
    T("[{]}"),
    T("{\"a\":[}"),
    T("[\"a"),
    T("\""),
    T("\"a"),
    T("\"\\"),
    T("\"\\\""),
    T("[\"\\\"]"),
    T("\"\\u"),
    T("\"\\u12"),
    T("\"\\u123"),
    T("[\""),
    T("[[["),
    T("{\"a\":{\"b\":1}"),
    T("[\"a\",4"),
    T("{\"a\":\"b"),
    T("[{\"\":[{\"\":"),
    T("[\\n\\t"),
    /* literals */
    T("tru"),
    T("truE"),
    T("True"),
    T("TRUE"),
    T("fals"),
    T("FALSE"),
    T("nul"),
    T("Null"),
    T("nil"),
    T("none"),
    T("undefined"),
    T("t"),
    T("f"),
    T("n"),
    T("[tru]"),
    T("[nulL]"),
    T("truex"),
    T("[true1]"),
    T("NaN"),
    T("nan"),
    T("[NaN]"),
    T("Infinity"),
    T("-Infinity"),
    T("-NaN"),
    T("inf"),
    T("[Inf]"),
    T("a"),
    T("[a]"),
    T("[a,"),
    T("*"),
    T("[*]"),
    T("@"),
    T("{\"a\":b}"),
    T("\\u0031"),
    T("[\\u0020\"asd\"]"),
    T("<.>"),
    T("[<null>]"),
    T("[\xc3\xa5]"),
    /* numbers */
    T("+1"),
    T("+0"),
    T("[+1]"),
    T("++1"),
    T("--1"),
    T("-"),
    T("[-]"),
    T("- 1"),
    T("[- 1]"),
    T("01"),
    T("-01"),
    T("00"),
    T("[012]"),
    T("-00"),
    T("1."),
    T("[1.]"),
    T("-1."),
    T(".5"),
    T("[.5]"),
    T("-.5"),
    T("0."),
    T("1.e5"),
    T(".e1"),
    T("1e"),
    T("1e+"),
    T("1e-"),
    T("1E"),
    T("0e"),
    T("0E+"),
    T("1e1.5"),
    T("1.2.3"),
    T("1e5e5"),
    T("0x1"),
    T("0xFF"),
    T("1_000"),
    T("1,000"),
    T("1 000"),
    T("1a"),
    T("[1a]"),
    T("-a"),
    T("[1+2]"),
    T("1-2"),
    T("1e++5"),
    T("0e+-1"),
    T("2.e3"),
    T("[-1.0.]"),
    T("9.e+"),
    T("1f"),
    T("1L"),
    T("\xef\xbc\x91"),
    T("[0.3e]"),
    T("[-2.]"),
    T("1.0e-"),
    T("[1.8011670033376514H-308]"),
    T("1\xff"),
    T("[-123.123foo]"),
    T("0b1"),
    T("1/2"),
    /* strings */
    T("'a'"),
    T("['a']"),
    T("`a`"),
    T("\"a'"),
    T("\"\\'\""),
    T("\"\\a\""),
    T("\"\\x00\""),
    T("\"\\0\""),
    T("\"\\v\""),
    T("\"\\ \""),
    T("\"\\U0041\""),
    T("\"\\u004\""),
    T("\"\\u00G0\""),
    T("\"\\u 041\""),
    T("\"\\u+041\""),
    T("\"\\u-041\""),
    T("\"\\u00\\u00\""),
    T("\"\\\n\""),
    T("\"\\\xc3\xa9\""),
    T("\"\\u\xc3\xa9zz\""),
    T("\"\\\0\""),
    T("\"\\\x1f\""),
    T("[\"\\{\"]"),
    T("\"\\\xf0\x9f\x8c\x80\""),
    T("\"\\1\""),
    T("\"\\N\""),
    T("\"\\T\""),
    /* control bytes */
    T("\"\0\""),
    T("\"\x01\""),
    T("\"\x08\""),
    T("\"\t\""),
    T("\"\n\""),
    T("\"\r\""),
    T("\"\x1f\""),
    T("\"a\nb\""),
    T("[\x01]"),
    T("[1\0]"),
    T("[1,\x00"
      "2]"),
    T("{\"a\":\x7f}"),
    T("\x7f"),
    T("[\x1b]"),
    T("\"\x0c\""),
    T("\"\x1b[31m\""),
    /* surrogates */
    T("\"\\ud800\""),
    T("\"\\udbff\""),
    T("\"\\udc00\""),
    T("\"\\udfff\""),
    T("\"\\ud800a\""),
    T("\"\\ud800\\n\""),
    T("\"\\ud800\\u0041\""),
    T("\"\\ud800\\ud800\""),
    T("\"\\ude00\\ud83d\""),
    T("\"\\ud83d\\ude0\""),
    T("\"\\uD83D\\u\""),
    T("\"\\ud83d\\\""),
    T("\"\\ud83d"),
    T("\"\\ud83d\\u\xc3\xa9\""),
    T("\"x\\uD800y\""),
    T("\"\\uD800\\uD800\\u0078\""),
    T("\"\\ud800\\\\udc00\""),
    T("\"\xed\xa0\x80\""),
    T("\"\xed\xbf\xbf\""),
    T("\"\xed\xa0\xbd\xed\xb8\x80\""),
    /* UTF-8 */
    T("\"\x80\""),
    T("\"\xbf\""),
    T("\"\xc0\xaf\""),
    T("\"\xc1\xbf\""),
    T("\"\xe0\x80\xaf\""),
    T("\"\xe0\x9f\xbf\""),
    T("\"\xf0\x80\x80\xaf\""),
    T("\"\xf0\x8f\xbf\xbf\""),
    T("\"\xc3\""),
    T("\"\xc3(\""),
    T("\"\xe2\x82\""),
    T("\"\xe2(\xa1\""),
    T("\"\xe2\x82(\""),
    T("\"\xf0\x9f\x98\""),
    T("\"\xf0(\x8c\xbc\""),
    T("\"\xf0\x90(\xbc\""),
    T("\"\xf0\x28\x8c\x28\""),
    T("\"\xf4\x90\x80\x80\""),
    T("\"\xf5\x80\x80\x80\""),
    T("\"\xf8\x88\x80\x80\x80\""),
    T("\"\xfc\x84\x80\x80\x80\x80\""),
    T("\"\xfe\""),
    T("\"\xff\""),
    T("[\xff]"),
    T("\"\xc3\xa9\xa9\""),
    T("\"\xe2\x82\xac\x80\""),
    T("\"a\xe9\""),
    T("\"\xf0\x9f\x98"),
    T("\"\xc2"),
    T("\xe9"),
    T("{\"\xb9\":\"0\",}"),
    T("[1]\xe5"),
    T("\"\xc0\x80\""),
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static arena_pool_t *pool;

static arena_t *new_arena(void)
{
    arena_t *a = arena_new(pool, 8 << 20);
    assert_non_null(a);
    return a;
}

static xerr_t parse_one(span_t text, const char **msg)
{
    arena_t *a = new_arena();
    const json_t *v = NULL;
    static char kept[512];
    const char *m = NULL;
    xerr_t err = json_parse(text, a, &v, &m);
    assert_true(err ? m != NULL : v != NULL);
    if (err) snprintf(kept, sizeof kept, "%s", m);
    if (msg) *msg = kept;
    arena_free(a);
    return err;
}

static void test_good_texts(void **state)
{
    assert_true(COUNT(good) >= 60);
    for (size_t i = 0; i < COUNT(good); i++) {
        size_t where = 12345;
        xerr_t err = json_check(good[i], &where);
        if (err) fail_msg("good text %zu refused at %zu: %s", i, where, good[i].p);
        assert_int_equal(where, 12345);
        if (parse_one(good[i], NULL)) fail_msg("good text %zu not parsed: %s", i, good[i].p);
    }
}

static void test_bad_texts(void **state)
{
    assert_true(COUNT(bad) >= 150);
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t where = 12345;
        xerr_t err = json_check(bad[i], &where);
        if (err != XE_BAD_INPUT) fail_msg("bad text %zu accepted: %s", i, bad[i].p);
        assert_true(where <= bad[i].n);
        const char *msg;
        assert_int_equal(parse_one(bad[i], &msg), XE_BAD_INPUT);
        char want[64];
        snprintf(want, sizeof want, "Malformed JSON at byte %zu", where);
        assert_string_equal(msg, want);
    }
}

/* A text that ends too early is refused wherever it ends, unless the part is a value by itself. */
static void test_every_prefix(void **state)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        if (good[i].p[0] != '{' && good[i].p[0] != '[' && good[i].p[0] != '"') continue;
        for (size_t n = 0; n < good[i].n; n++) {
            char *copy = malloc(n + 1); /* exactly as long, so that a read past the end is seen */
            char *tight = realloc(copy, n ? n : 1);
            assert_non_null(tight);
            memcpy(tight, good[i].p, n);
            span_t part = {tight, n};
            size_t last = good[i].n;
            while (last && (unsigned char)good[i].p[last - 1] <= ' ') last--;
            if (n < last) assert_int_equal(json_check(part, NULL), XE_BAD_INPUT);
            free(tight);
        }
    }
}

static void test_fault_positions(void **state)
{
    static const struct {
        span_t text;
        size_t where;
    } rows[] = {
        {T("[1 2]"), 3}, {T("[1,,2]"), 3}, {T("[1,2,]"), 5},       {T("{\"a\":1,}"), 7}, {T("[1"), 2},
        {T("\"ab"), 3},  {T("{} x"), 3},   {T("01"), 1},           {T("\"a\\qb\""), 2},  {T("\"a\x01\""), 2},
        {T("tru"), 3},   {T("[trux]"), 4}, {T("\"\\ud800x\""), 1}, {T("1.x"), 2},        {T("\xef\xbb\xbf{}"), 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t where = 0;
        assert_int_equal(json_check(rows[i].text, &where), XE_BAD_INPUT);
        if (where != rows[i].where) fail_msg("%s: fault at %zu, not %zu", rows[i].text.p, where, rows[i].where);
    }
}

static span_t repeat(const char *open, const char *mid, const char *close, unsigned n)
{
    static char text[1 << 17];
    size_t at = 0;
    for (unsigned i = 0; i < n; i++) at += (size_t)sprintf(text + at, "%s", open);
    at += (size_t)sprintf(text + at, "%s", mid);
    for (unsigned i = 0; i < n; i++) at += (size_t)sprintf(text + at, "%s", close);
    return (span_t){text, at};
}

static void test_depth(void **state)
{
    assert_int_equal(json_check(repeat("[", "", "]", 32), NULL), XE_OK);
    assert_int_equal(json_check(repeat("[", "1", "]", 32), NULL), XE_OK);
    assert_int_equal(json_check(repeat("{\"a\":", "1", "}", 32), NULL), XE_OK);
    size_t where = 0;
    assert_int_equal(json_check(repeat("[", "", "]", 33), &where), XE_TOO_BIG);
    assert_int_equal(where, 32);
    assert_int_equal(json_check(repeat("{\"a\":", "1", "}", 33), NULL), XE_TOO_BIG);
    assert_int_equal(json_check(repeat("[", "", "", 60000), NULL), XE_TOO_BIG);
    assert_int_equal(json_check_lim(repeat("[", "", "]", 100), 128, 0, NULL), XE_OK);
    assert_int_equal(json_check_lim(repeat("[", "", "]", 300), 1000, 0, NULL), XE_TOO_BIG);
    const char *msg;
    assert_int_equal(parse_one(repeat("[", "", "]", 33), &msg), XE_TOO_BIG);
    assert_non_null(strstr(msg, "at byte 32"));
}

static char *members(const char *fmt, unsigned n, char open, char close)
{
    char *text = malloc((size_t)n * 32 + 16), *p = text;
    *p++ = open;
    for (unsigned i = 0; i < n; i++) {
        if (i) *p++ = ',';
        p += sprintf(p, "%.*s%u%s", (int)(strchr(fmt, '#') - fmt), fmt, i, strchr(fmt, '#') + 1);
    }
    *p++ = close;
    *p = '\0';
    return text;
}

static void test_member_count(void **state)
{
    static const struct {
        const char *fmt;
        char open, close;
    } kinds[] = {{"#", '[', ']'}, {"\"k#\":1", '{', '}'}};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        char *ok = members(kinds[k].fmt, 1024, kinds[k].open, kinds[k].close),
             *over = members(kinds[k].fmt, 1025, kinds[k].open, kinds[k].close);
        assert_int_equal(json_check(span_of(ok), NULL), XE_OK);
        assert_int_equal(parse_one(span_of(ok), NULL), XE_OK);
        assert_int_equal(json_check(span_of(over), NULL), XE_TOO_BIG);
        assert_int_equal(json_check_lim(span_of(over), 32, 0, NULL), XE_OK);
        const char *msg;
        assert_int_equal(parse_one(span_of(over), &msg), XE_TOO_BIG);
        assert_non_null(strstr(msg, "1024 members"));
        free(ok);
        free(over);
    }
}

static void test_duplicate_names(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {
        {"{\"x\":1,\"x\":2}", "x"},
        {"{\"a\":1,\"\\u0061\":2}", "a"},
        {"{\"\":1,\"\":2}", ""},
        {"[{\"b\":[],\"c\":0,\"b\":{}}]", "b"},
        {"{\"o\":{\"i\":{\"q\":1,\"q\":1}}}", "q"},
        {"{\"\\/\":1,\"/\":2}", "/"},
        {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "\\xf0\\x9f\\x98\\x80"},
        {"{\"\\n\":1,\"\\u000a\":1}", "\\x0a"},
        {"{\"a\\u0000b\":1,\"a\\u0000b\":1}", "a\\x00b"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char want[128];
        const char *msg;
        snprintf(want, sizeof want, "Duplicate key in object: '%s'", rows[i].key);
        assert_int_equal(parse_one(span_of(rows[i].text), &msg), XE_BAD_INPUT);
        assert_string_equal(msg, want);
    }
    char *big = members("\"k#\":1", 1000, '{', '}');
    const char *msg;
    big[strlen(big) - 1] = '\0';
    buf_t dup;
    buf_init(&dup, 65536);
    buf_str(&dup, big);
    buf_str(&dup, ",\"\\u006b77\":0}");
    assert_int_equal(parse_one(buf_span(&dup), &msg), XE_BAD_INPUT);
    assert_string_equal(msg, "Duplicate key in object: 'k77'");
    buf_fini(&dup);
    free(big);
    char longest[600], *p = longest;
    p += sprintf(p, "{\"%0200d\":1,\"%0200d\":2}", 0, 0);
    assert_int_equal(parse_one(span_of(longest), &msg), XE_BAD_INPUT);
    assert_int_equal(strlen(msg), strlen("Duplicate key in object: ''") + 64);
}

static void test_tree(void **state)
{
    arena_t *a = new_arena();
    const json_t *v, *s;
    span_t text = SPAN_LIT(" {\"name\":\"a\\u0000\\n\\ud83d\\ude00\",\"list\":[1,[2,3],{\"x\":true}],\"n\":null,\"f\":"
                           "false,\"num\":-1.50e2,\"e\":{},\"\\u006Bey\":\"plain\"} ");
    assert_int_equal(json_parse(text, a, &v, NULL), XE_OK);
    assert_int_equal(json_type(v), JSON_OBJ);
    assert_int_equal(json_len(v), 7);
    assert_true(span_is(json_key(v, 1), "list") && span_is(json_key(v, 6), "key"));
    assert_true(span_eq(json_str(json_get(v, "name")), (span_t){"a\0\n\xf0\x9f\x98\x80", 7}));
    const json_t *list = json_get(v, "list");
    assert_int_equal(json_len(list), 3);
    assert_int_equal(json_type(json_at(list, 1)), JSON_ARR);
    assert_true(span_is(json_raw(json_at(json_at(list, 1), 1)), "3"));
    assert_true(json_bool(json_get(json_at(list, 2), "x")));
    assert_true(span_is(json_raw(json_at(list, 2)), "{\"x\":true}"));
    assert_int_equal(json_type(json_get(v, "n")), JSON_NULL);
    assert_int_equal(json_type(json_get(v, "f")), JSON_BOOL);
    assert_false(json_bool(json_get(v, "f")));
    assert_true(span_is(json_raw(json_get(v, "num")), "-1.50e2"));
    assert_int_equal(json_len(json_get(v, "e")), 0);
    s = json_get(v, "key");
    assert_true(span_is(json_str(s), "plain") && span_is(json_raw(s), "\"plain\""));
    assert_null(json_get(v, "nope"));
    assert_null(json_at(list, 3));
    assert_null(json_get(list, "x"));
    assert_null(json_get(NULL, "x"));
    assert_int_equal(json_str(list).n, 0);
    assert_int_equal(json_parse(SPAN_LIT("  \"x\\ty\"\n"), a, &v, NULL), XE_OK);
    assert_true(span_is(json_str(v), "x\ty"));
    assert_int_equal(json_parse(SPAN_LIT(" -0 "), a, &v, NULL), XE_OK);
    assert_true(span_is(json_raw(v), "-0"));
    arena_free(a);
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        xerr_t err;
        int64_t v;
    } rows[] = {
        {"0", XE_OK, 0},
        {"-0", XE_OK, 0},
        {"-0.0e7", XE_OK, 0},
        {"15", XE_OK, 15},
        {"1.5e3", XE_OK, 1500},
        {"1500e-2", XE_OK, 15},
        {"1.50", XE_RANGE, 0},
        {"0.001e3", XE_OK, 1},
        {"9223372036854775807", XE_OK, INT64_MAX},
        {"9223372036854775808", XE_RANGE, 0},
        {"-9223372036854775808", XE_OK, INT64_MIN},
        {"-9223372036854775809", XE_RANGE, 0},
        {"1e18", XE_OK, 1000000000000000000},
        {"1e19", XE_RANGE, 0},
        {"1e400", XE_RANGE, 0},
        {"1e-400", XE_RANGE, 0},
        {"0e999999999999", XE_OK, 0},
        {"1e99999999999999999999", XE_RANGE, 0},
        {"50.0001", XE_RANGE, 0},
        {"10000000000000000000e-1", XE_OK, 1000000000000000000},
        {"\"15\"", XE_BAD_INPUT, 0},
        {"null", XE_BAD_INPUT, 0},
        {"true", XE_BAD_INPUT, 0},
        {"[1]", XE_BAD_INPUT, 0},
        {"1.0000000000000000000000000000000000000000000000000000000000000", XE_OK, 1},
        {"1.000000000000000000000000000000000000000000000000000000000000000", XE_RANGE, 0},
    };
    arena_t *a = new_arena();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const json_t *v;
        int64_t got = 0;
        assert_int_equal(json_parse(span_of(rows[i].text), a, &v, NULL), XE_OK);
        xerr_t err = json_i64(v, &got);
        if (err != rows[i].err || got != rows[i].v)
            fail_msg("%s: %s %lld", rows[i].text, xerr_name(err), (long long)got);
    }
    int64_t got;
    assert_int_equal(json_i64(NULL, &got), XE_BAD_INPUT);
    arena_free(a);
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* 64 KiB of one pattern: judged in a millisecond (ten under the sanitizers). */
static void test_time_is_linear(void **state)
{
    static const char *const patterns[] = {
        "[",       "{",  "[[],", "{},",      "\"\\u0041\",",           "1,",
        "{\"a\":", "\"", "\\",   "[1,[2,",   "\xf0\x9f\x98\x80",       "[{\"a\":1},{\"b\":2},",
        " ",       "0",  "-",    "\"a\":1,", "[[[[[[[[[[[]]]]]]]]]]],"};
#if defined(XORJ_ASAN)
    int64_t most = 20000000;
#else
    int64_t most = 1000000;
#endif
    size_t n = 65536;
    char *text = malloc(n + 16);
    for (size_t k = 0; k < 2 * COUNT(patterns); k++) {
        size_t at = 0;
        const char *p = patterns[k / 2];
        if (k % 2) text[at++] = '[';
        while (at < n) {
            size_t m = strlen(p);
            memcpy(text + at, p, m < n - at ? m : n - at);
            at += m < n - at ? m : n - at;
        }
        int64_t best = INT64_MAX;
        for (int round = 0; round < 5; round++) {
            int64_t t0 = now_ns();
            parse_one((span_t){text, n}, NULL);
            int64_t took = now_ns() - t0;
            if (took < best) best = took;
        }
        if (best > most) fail_msg("pattern %s took %lld us", p, (long long)best / 1000);
    }
    free(text);
}

/* The worst valid bodies: as many values and as many names as 64 KiB hold. */
static void test_time_of_full_bodies(void **state)
{
#if defined(XORJ_ASAN)
    int64_t most = 100000000;
#else
    int64_t most = 1000000;
#endif
    buf_t b;
    buf_init(&b, 65536);
    for (int kind = 0; kind < 3; kind++) {
        buf_reset(&b);
        buf_str(&b, "[");
        for (unsigned i = 0; b.n < 64000 && i < 1020; i++) {
            if (i) buf_str(&b, ",");
            if (kind == 0) {
                buf_str(&b, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]");
            } else {
                buf_str(&b, "{");
                for (unsigned j = 0; j < (kind == 1 ? 1024 : 16) && b.n < 64000; j++)
                    buf_fmt(&b, "%s\"%x\":1", j ? "," : "", j);
                buf_str(&b, "}");
            }
        }
        buf_str(&b, "]");
        assert_false(b.failed);
        int64_t best = INT64_MAX;
        for (int round = 0; round < 7; round++) {
            int64_t t0 = now_ns();
            assert_int_equal(parse_one(buf_span(&b), NULL), XE_OK);
            int64_t took = now_ns() - t0;
            if (took < best) best = took;
        }
        if (best > most) fail_msg("kind %d took %lld us", kind, (long long)best / 1000);
    }
    buf_fini(&b);
}

static void test_small_arena_is_an_error(void **state)
{
    char *text = members("\"k\\u0031#\":[1]", 500, '{', '}');
    for (size_t max = 0; max < 70000; max += 997) {
        arena_t *a = arena_new(pool, max);
        const json_t *v = NULL;
        const char *msg = NULL;
        xerr_t err = json_parse(span_of(text), a, &v, &msg);
        assert_true(err == XE_OK || (err == XE_TOO_BIG && msg));
        arena_free(a);
    }
    free(text);
}

static uint64_t rng_state = 20261120;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static void put_random(jw_t *w, unsigned depth)
{
    unsigned kind = (unsigned)(rng() % (depth > 6 ? 6 : 8)), n = (unsigned)(rng() % 6);
    char raw[24];
    switch (kind) {
    case 0: jw_null(w); break;
    case 1: jw_bool(w, rng() & 1); break;
    case 2: jw_i64(w, (int64_t)rng()); break;
    case 3: jw_f64(w, (double)(int64_t)rng() / 1e7); break;
    case 4:
    case 5:
        for (size_t i = 0; i < sizeof raw; i++) raw[i] = (char)rng();
        jw_str(w, (span_t){raw, rng() % sizeof raw});
        break;
    case 6:
        jw_arr(w);
        while (n--) put_random(w, depth + 1);
        jw_end(w);
        break;
    default:
        jw_obj(w);
        while (n--) {
            snprintf(raw, sizeof raw, "k\"%u\xff", n);
            jw_key(w, raw);
            put_random(w, depth + 1);
        }
        jw_end(w);
    }
}

/* Whatever is written is valid, and changed at one byte it never breaks the reader. */
static void test_writer_and_mutations(void **state)
{
    buf_t b;
    buf_init(&b, 1 << 20);
    for (int round = 0; round < 3000; round++) {
        jw_t w;
        buf_reset(&b);
        jw_init(&w, &b);
        put_random(&w, 0);
        size_t where = 0;
        if (json_check(buf_span(&b), &where)) fail_msg("written text is not valid at %zu: %s", where, b.p);
        assert_int_equal(parse_one(buf_span(&b), NULL), XE_OK);
        for (int m = 0; m < 10; m++) {
            size_t at = rng() % b.n;
            char old = b.p[at];
            b.p[at] = (char)rng();
            xerr_t err = json_check(buf_span(&b), NULL), err2 = parse_one(buf_span(&b), NULL);
            assert_true(err == err2 || (!err && err2 == XE_BAD_INPUT)); /* a name may have become another's twin */
            b.p[at] = old;
        }
    }
    buf_fini(&b);
}

static void test_writer_text(void **state)
{
    buf_t b;
    jw_t w;
    buf_init(&b, 4096);
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key(&w, "s"), jw_cstr(&w, "a\"b\\c\n\t\x01/\x7f\xc3\xa9");
    jw_key(&w, "bad"), jw_str(&w, (span_t){"\xff"
                                           "a\xed\xa0\x80\0z\xe2\x82",
                                           9});
    jw_key(&w, "null"), jw_cstr(&w, NULL);
    jw_key(&w, "list"), jw_arr(&w), jw_i64(&w, INT64_MIN), jw_u64(&w, UINT64_MAX), jw_bool(&w, true),
        jw_raw(&w, SPAN_LIT("{}")), jw_obj(&w), jw_end(&w), jw_end(&w);
    jw_key(&w, "f"), jw_arr(&w), jw_f64(&w, 0.1), jw_f64(&w, 1e300), jw_f64(&w, NAN), jw_f64(&w, INFINITY),
        jw_f64(&w, -2.5), jw_end(&w);
    jw_key(&w, "t"), jw_time_us(&w, 1795352400000000);
    jw_key(&w, "t2"), jw_time_us(&w, 951782399999999);
    jw_key(&w, "t3"), jw_time_us(&w, INT64_MAX);
    jw_end(&w);
    assert_string_equal(
        b.p, "{\"s\":\"a\\\"b\\\\c\\n\\t\\u0001/\x7f\xc3\xa9\",\"bad\":\"\xef\xbf\xbd"
             "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\u0000z\xef\xbf\xbd\xef\xbf\xbd\",\"null\":null,"
             "\"list\":[-9223372036854775808,18446744073709551615,true,{},{}],\"f\":[0.1,1e+300,null,null,-2.5],"
             "\"t\":\"2026-11-22T13:00:00.000000Z\",\"t2\":\"2000-02-28T23:59:59.999999Z\",\"t3\":\"9999-12-31T23:59:"
             "59.999999Z\"}");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_texts),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_fault_positions),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_member_count),
        cmocka_unit_test(test_duplicate_names),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_time_is_linear),
        cmocka_unit_test(test_time_of_full_bodies),
        cmocka_unit_test(test_small_arena_is_an_error),
        cmocka_unit_test(test_writer_and_mutations),
        cmocka_unit_test(test_writer_text),
    };
    pool = arena_pool_new(16384, 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_pool_free(pool);
    return failed;
}
