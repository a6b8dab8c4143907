/* What schemas say yes and no to, and in which words; and what a check of a typical body costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/schema.h"
#include "reactor/arena.h"
#include "reactor/loop.h"

#define WALLET "7ntTRDx2CwHgjdk2Xmg2iqYYxeNRnbfbrYFQfBNmBXnc"

static int only_small(const char *p, unsigned long n)
{
    for (unsigned long i = 0; i < n; i++)
        if (p[i] < 'a' || p[i] > 'z') return 0;
    return 1;
}

static const schema_t shape[] = {
    S_OPT("text", SC_STR, .min = 1, .max = 5),
    S_OPT("any_text", SC_STR),
    S_OPT("exactly", SC_STR, .min = 3, .max = 3),
    S_OPT("word", SC_STR, .choices = S_WORDS("Low", "High")),
    S_ROW("fold", SC_STR, SC_FOLD | SC_NULL, .choices = S_WORDS("Low", "High")),
    S_OPT("small", SC_STR, .pattern = "^[a-z]*$", .fits = only_small, .doc = "small letters are expected"),
    S_OPT("whole", SC_INT, .min = -2, .max = 100),
    S_OPT("any_whole", SC_INT),
    S_OPT("amount", SC_NUM, .min = 1, .max = 1000000, .places = 3),
    S_OPT("ratio", SC_NUM, .max = 1),
    S_OPT("any_number", SC_NUM),
    S_OPT("flag", SC_BOOL),
    S_OPT("list", SC_ARR, .min = 1, .max = 3, .of = S_LIST(S_REQ("", SC_INT, .max = 9))),
    S_OPT("inner", SC_OBJ, .of = S_LIST(S_REQ("a", SC_INT), S_OPT("deep", SC_OBJ, .of = S_LIST(S_OPT("b", SC_ARR, .of = S_LIST(S_REQ("", SC_BOOL))))))),
    S_OPT("map", SC_MAP, .max = 2, .of = S_LIST(S_REQ("", SC_STR))),
    S_OPT("any", SC_ANY),
    S_OPT("wallet", SC_WALLET),
    S_OPT("uuid", SC_UUID),
    S_OPT("at", SC_TIME),
    S_OPT("exact", SC_DECIMAL, .min = -5, .max = 150, .places = 1),
    S_END,
};

static const schema_t needs[] = {S_REQ("one", SC_INT), S_NUL("two", SC_INT), S_END};

static arena_pool_t *arenas;

static const char *verdict(const schema_t *members, const char *text)
{
    static sc_why_t why;
    arena_t *a = arena_new(arenas, 1 << 20);
    const json_t *doc = NULL;
    const char *bad = NULL;
    assert_int_equal(json_parse(span_of(text), a, &doc, &bad), XE_OK);
    xerr_t err = schema_judge(members, doc, &why);
    arena_free(a);
    return err ? why.text : "ok";
}

static void documents(void **state)
{
    static const struct { const char *text, *said; } rows[] = {
        {"{}", "ok"},
        {"[]", "body: a JSON object is expected"},
        {"null", "body: a JSON object is expected"},
        {"{\"x\":1}", "Unrecognized key(s) in object: 'x'"},
        {"{\"whole\":\"no\",\"x\":1}", "Unrecognized key(s) in object: 'x'"},
        {"{\"Text\":\"a\"}", "Unrecognized key(s) in object: 'Text'"},
        {"{\"text\":\"\"}", "text: must not be empty"},
        {"{\"text\":\"abcdef\"}", "text: 1 to 5 characters are expected"},
        {"{\"text\":\"\\u00e4\\u00f6\\u00fc\\u00e4\\u00f6\"}", "ok"},
        {"{\"text\":\"a\\u0000b\"}", "text: must not hold a zero character"},
        {"{\"text\":5}", "text: a string is expected"},
        {"{\"text\":null}", "text: a string is expected"},
        {"{\"any_text\":\"\"}", "ok"},
        {"{\"exactly\":\"ab\"}", "exactly: 3 characters are expected"},
        {"{\"word\":\"Low\"}", "ok"},
        {"{\"word\":\"low\"}", "word: one of Low, High is expected"},
        {"{\"fold\":\"lOW\"}", "ok"},
        {"{\"fold\":null}", "ok"},
        {"{\"fold\":\"lows\"}", "fold: one of Low, High is expected"},
        {"{\"small\":\"abc\"}", "ok"},
        {"{\"small\":\"aBc\"}", "small: small letters are expected"},
        {"{\"whole\":-2}", "ok"}, {"{\"whole\":100}", "ok"}, {"{\"whole\":1e2}", "ok"}, {"{\"whole\":3.0}", "ok"},
        {"{\"whole\":-3}", "whole: an integer from -2 to 100 is expected"},
        {"{\"whole\":101}", "whole: an integer from -2 to 100 is expected"},
        {"{\"whole\":1.5}", "whole: an integer from -2 to 100 is expected"},
        {"{\"whole\":\"1\"}", "whole: an integer is expected"},
        {"{\"whole\":99999999999999999999999}", "whole: an integer from -2 to 100 is expected"},
        {"{\"any_whole\":-999999999999999999}", "ok"},
        {"{\"any_whole\":1000000000000000000}", "any_whole: an integer is expected"},
        {"{\"amount\":0.001}", "ok"}, {"{\"amount\":1000}", "ok"}, {"{\"amount\":1e-3}", "ok"},
        {"{\"amount\":0}", "amount: a number from 0.001 to 1000 with at most 3 decimals is expected"},
        {"{\"amount\":0.0015}", "amount: a number from 0.001 to 1000 with at most 3 decimals is expected"},
        {"{\"amount\":1000.001}", "amount: a number from 0.001 to 1000 with at most 3 decimals is expected"},
        {"{\"amount\":true}", "amount: a number is expected"},
        {"{\"ratio\":0.123456789}", "ok"}, {"{\"ratio\":1}", "ok"}, {"{\"ratio\":0}", "ok"},
        {"{\"ratio\":1.0000000001}", "ratio: a number from 0 to 1 is expected"},
        {"{\"ratio\":-0.0000000001}", "ratio: a number from 0 to 1 is expected"},
        {"{\"any_number\":1e300}", "ok"},
        {"{\"flag\":true}", "ok"}, {"{\"flag\":\"true\"}", "flag: true or false is expected"}, {"{\"flag\":1}", "flag: true or false is expected"},
        {"{\"list\":[1,2,3]}", "ok"},
        {"{\"list\":[]}", "list: 1 to 3 elements are expected"},
        {"{\"list\":[1,2,3,4]}", "list: 1 to 3 elements are expected"},
        {"{\"list\":[1,10]}", "list[1]: an integer from 0 to 9 is expected"},
        {"{\"list\":{}}", "list: an array is expected"},
        {"{\"inner\":{\"a\":1}}", "ok"},
        {"{\"inner\":{}}", "inner.a: required"},
        {"{\"inner\":{\"a\":1,\"z\":1}}", "inner: Unrecognized key(s) in object: 'z'"},
        {"{\"inner\":{\"a\":1,\"deep\":{\"b\":[true,0]}}}", "inner.deep.b[1]: true or false is expected"},
        {"{\"inner\":[]}", "inner: a JSON object is expected"},
        {"{\"map\":{\"k\":\"v\"}}", "ok"}, {"{\"map\":{\"k\":1}}", "map[0]: a string is expected"},
        {"{\"map\":{\"k\":\"v\",\"l\":\"v\",\"m\":\"v\"}}", "map: 0 to 2 elements are expected"},
        {"{\"any\":[{\"x\":null}]}", "ok"},
        {"{\"wallet\":\"" WALLET "\"}", "ok"},
        {"{\"wallet\":\"0\"}", "wallet: 32 to 44 base58 characters that decode to 32 bytes are expected"},
        {"{\"uuid\":\"0b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01\"}", "ok"},
        {"{\"uuid\":\"0B8E4F0A-6a58-4c3e-9d1f-2f6b1c7a9e01\"}", "uuid: a UUID in lower case is expected"},
        {"{\"at\":\"2026-11-20T13:00:00Z\"}", "ok"},
        {"{\"at\":\"yesterday\"}", "at: an RFC 3339 time is expected, for example 2026-11-20T13:00:00Z"},
        {"{\"exact\":\"-0.5\"}", "ok"}, {"{\"exact\":\"15.0\"}", "ok"},
        {"{\"exact\":\"15.1\"}", "exact: a number from -0.5 to 15 with at most 1 decimals is expected"},
        {"{\"exact\":\"x\"}", "exact: the text of a decimal number is expected"},
        {"{\"exact\":1}", "exact: a string is expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *said = verdict(shape, rows[i].text);
        if (strcmp(said, rows[i].said) != 0) fail_msg("%s: '%s', not '%s'", rows[i].text, said, rows[i].said);
    }
    assert_string_equal(verdict(needs, "{}"), "one: required");
    assert_string_equal(verdict(needs, "{\"one\":1}"), "two: required");
    assert_string_equal(verdict(needs, "{\"two\":null,\"one\":1}"), "ok");
    assert_string_equal(verdict(needs, "{\"one\":null,\"two\":1}"), "one: an integer is expected");
    assert_string_equal(verdict(schema_nothing, "{}"), "ok");
    assert_string_equal(verdict(schema_nothing, "{\"a\":{}}"), "Unrecognized key(s) in object: 'a'");
}

static const schema_t root[] = {S_REQ("", SC_ARR, .of = S_LIST(S_REQ("", SC_INT))), S_END};

static void a_value_alone(void **state)
{
    assert_string_equal(verdict(root, "[1,2]"), "ok");
    assert_string_equal(verdict(root, "[1,\"2\"]"), "[1]: an integer is expected");
    assert_string_equal(verdict(root, "{}"), "body: an array is expected");
}

static void long_names_are_cut(void **state)
{
    char text[4096] = "{\"", *at = text + 2;
    memset(at, '\x01' + 'a', 2000);
    strcpy(at + 2000, "\":1}");
    const char *said = verdict(shape, text);
    assert_true(strncmp(said, "Unrecognized key(s) in object: 'bbb", 34) == 0);
    assert_true(strlen(said) < SCHEMA_WHY_MAX);
}

static const char *text_verdict(const char *name, span_t v)
{
    static sc_why_t why;
    return schema_judge_text(schema_find(shape, span_of(name)), v, &why) ? why.text : "ok";
}

static void parameters(void **state)
{
    static const struct { const char *name, *text, *said; } rows[] = {
        {"whole", "100", "ok"}, {"whole", "-2", "ok"},
        {"whole", "1.0", "whole: an integer from -2 to 100 is expected"}, {"whole", "", "whole: an integer from -2 to 100 is expected"},
        {"whole", "007", "whole: an integer from -2 to 100 is expected"}, {"whole", "+1", "whole: an integer from -2 to 100 is expected"},
        {"whole", "1e1", "whole: an integer from -2 to 100 is expected"}, {"whole", "-", "whole: an integer from -2 to 100 is expected"},
        {"amount", "12.5", "ok"}, {"amount", "x", "amount: a number from 0.001 to 1000 with at most 3 decimals is expected"},
        {"any_number", "-1.25", "ok"}, {"any_number", "NaN", "any_number: a number is expected"},
        {"flag", "true", "ok"}, {"flag", "1", "flag: true or false is expected"},
        {"word", "High", "ok"}, {"word", "", "word: one of Low, High is expected"}, {"fold", "HIGH", "ok"},
        {"text", "\xc3\xa4", "ok"}, {"text", "\xc3", "text: not UTF-8"},
        {"wallet", WALLET, "ok"}, {"at", "2026-11-20T13:00:00.5+01:00", "ok"}, {"exact", "1.5", "ok"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_string_equal(text_verdict(rows[i].name, span_of(rows[i].text)), rows[i].said);
    assert_string_equal(text_verdict("text", SPAN_LIT("a\0b")), "text: must not hold a zero character");
}

static void required_parameters(void **state)
{
    sc_why_t why;
    query_t q;
    assert_int_equal(query_parse(SPAN_LIT("two=1"), needs, NULL, NULL, &q), XE_OK);
    assert_int_equal(query_judge(&q, span_of(""), &why), XE_BAD_INPUT);
    assert_string_equal(why.text, "one: required");
    assert_int_equal(query_parse(SPAN_LIT("two=1&one=2"), needs, NULL, NULL, &q), XE_OK);
    assert_int_equal(query_judge(&q, span_of(""), &why), XE_OK);
}

/* ---- every row of the table is one that the judge can judge -------------------------------------------------------- */

static void check_list(const char *path, const schema_t *m, bool request, unsigned depth)
{
    size_t n = 0;
    assert_true(depth < 12);
    for (const schema_t *s = m; s && s->name; s++, n++) {
        bool needs_of = s->type == SC_OBJ || s->type == SC_ARR || s->type == SC_ONE;
        if (needs_of && !s->of) fail_msg("%s: %s says nothing of what it holds", path, s->name);
        if (s->min > s->max) fail_msg("%s: %s has no value", path, s->name);
        if (s->fits && !s->pattern && !s->doc) fail_msg("%s: %s has a shape that is not told", path, s->name);
        if (request && s->type == SC_ONE) fail_msg("%s: %s cannot be judged", path, s->name);
        for (const schema_t *t = m; t < s && s->name[0]; t++)
            if (strcmp(t->name, s->name) == 0) fail_msg("%s: %s is there twice", path, s->name);
        if (s->of) check_list(path, s->of, request, depth + 1);
    }
    if (n > SCHEMA_ROWS_MAX) fail_msg("%s: too many members", path);
}

static void the_table(void **state)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const route_t *t = route_at(i);
        size_t n = 0;
        check_list(t->path, t->query, true, 0);
        check_list(t->path, t->body, true, 0);
        check_list(t->path, t->answer, false, 0);
        for (const schema_t *q = t->query; q && q->name; q++, n++)
            if (q->type == SC_OBJ || q->type == SC_ARR || q->type == SC_MAP || q->type == SC_ANY) fail_msg("%s: %s is no text", t->path, q->name);
        assert_true(n <= QUERY_MAX);
        if (t->flags & ROUTE_OWN) assert_non_null(schema_find(t->query, SPAN_LIT("walletAddress")));
        for (const char *at = strchr(t->path, '{'); at; at = strchr(at + 1, '{'))
            if (!route_segment(span_make(at + 1, strcspn(at + 1, "}")))) fail_msg("%s: a segment without a shape", t->path);
    }
}

/* ---- cost ---------------------------------------------------------------------------------------------------------- */

static const schema_t settings[] = {
    S_ROW("riskProfile", SC_STR, SC_FOLD, .choices = S_WORDS("Conservative", "Balanced", "Aggressive")),
    S_OPT("maxTradeAmount", SC_NUM, .min = 1, .max = 1000000000000, .places = 6), S_OPT("slippageTolerance", SC_NUM, .max = 10000, .places = 2),
    S_OPT("maxDrawdownLimit", SC_NUM, .max = 10000, .places = 2), S_OPT("positionSizePercent", SC_NUM, .max = 10000, .places = 2),
    S_OPT("stopLossEnabled", SC_BOOL), S_OPT("takeProfitEnabled", SC_BOOL), S_OPT("investmentAmount", SC_NUM, .max = 1000000000000, .places = 6),
    S_REQ("walletAddress", SC_WALLET), S_END,
};

/* A body of a kind that users send often: parsed and judged, as a request is. The bound is far above what is seen. */
static void the_cost_of_a_check(void **state)
{
    static const char body[] = "{\"walletAddress\":\"" WALLET "\",\"riskProfile\":\"balanced\",\"maxTradeAmount\":1250.5,\"slippageTolerance\":0.75,"
                               "\"maxDrawdownLimit\":20,\"positionSizePercent\":12.5,\"stopLossEnabled\":true,\"takeProfitEnabled\":false,"
                               "\"investmentAmount\":100000}";
    enum { ROUNDS = 2000 };
    int64_t from = mono_ns();
    for (int i = 0; i < ROUNDS; i++) assert_string_equal(verdict(settings, body), "ok");
    int64_t each = (mono_ns() - from) / ROUNDS;
    print_message("a body of %zu bytes: %lld ns\n", sizeof body - 1, (long long)each);
#ifndef XORJ_ASAN
    assert_true(each < 50000);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents), cmocka_unit_test(a_value_alone), cmocka_unit_test(long_names_are_cut), cmocka_unit_test(parameters),
        cmocka_unit_test(required_parameters), cmocka_unit_test(the_table), cmocka_unit_test(the_cost_of_a_check),
    };
    arenas = arena_pool_new(16384, 4);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_pool_free(arenas);
    return failed;
}
