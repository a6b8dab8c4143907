/* The description of the API: valid JSON, every route in it with its answers, every reference leading somewhere, and shapes
 * said as they are judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/openapi.h"
#include "handlers/routes.h"

static cfg_t cfg;
static buf_t text;

static span_t shape_of(const schema_t *members, bool request, buf_t *out)
{
    jw_t w;
    buf_reset(out);
    jw_init(&w, out);
    openapi_schema(&w, members, request);
    return buf_span(out);
}

static const schema_t body[] = {
    S_REQ("n", SC_INT, .min = 1, .max = 9, .doc = "Some."),
    S_OPT("amount", SC_NUM, .min = 1, .max = 1500, .places = 3),
    S_ROW("level", SC_STR, SC_FOLD, .choices = S_WORDS("Low", "a.b")),
    S_NUL("list", SC_ARR, .max = 2, .of = S_LIST(S_REQ("", SC_BOOL))),
    S_OPT("map", SC_MAP),
    S_END,
};

static void shapes(void **state)
{
    buf_t b;
    buf_init(&b, 65536);
    span_t s = shape_of(body, true, &b);
    static const char want[] =
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"format\":\"int64\",\"description\":\"Some.\"},"
        "\"amount\":{\"type\":\"number\",\"minimum\":0.001,\"maximum\":1.5,\"multipleOf\":0.001},"
        "\"level\":{\"anyOf\":[{\"enum\":[\"Low\",\"a.b\"]},{\"type\":\"string\",\"pattern\":\"^([Ll][Oo][Ww]|[Aa]\\\\.[Bb])$\"}]},"
        "\"list\":{\"type\":[\"array\",\"null\"],\"maxItems\":2,\"items\":{\"type\":\"boolean\"}},"
        "\"map\":{\"type\":\"object\",\"additionalProperties\":true}},\"required\":[\"n\",\"list\"],\"additionalProperties\":false}";
    assert_int_equal(s.n, sizeof want - 1);
    assert_memory_equal(s.p, want, s.n);
    s = shape_of(schema_nothing, true, &b);
    assert_true(span_is(s, "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"));
    buf_fini(&b);
}

static void the_text_is_json(void **state)
{
    size_t where = 0;
    assert_true(openapi_write(&cfg, &text));
    if (json_check_lim(buf_span(&text), 64, 0, &where)) fail_msg("not JSON at byte %zu", where);
    print_message("%zu bytes\n", text.n);
}

/* A route is found by the operationId it must have. */
static void every_route_is_told(void **state)
{
    assert_true(text.n || openapi_write(&cfg, &text));
    for (size_t i = 0; i < routes_count(); i++) {
        const route_t *t = route_at(i);
        char path[200];
        snprintf(path, sizeof path, "\"%s\":{", t->path);
        if (!strstr(text.p, path)) fail_msg("%s is missing", t->path);
        snprintf(path, sizeof path, "\"summary\":\"%s\"", t->doc);
        if (!strstr(text.p, path)) fail_msg("%s %s is missing", method_name(t->method), t->path);
    }
}

static void ids_are_unique(void **state)
{
    static char seen[512][160];
    size_t n = 0;
    assert_true(text.n || openapi_write(&cfg, &text));
    for (const char *at = strstr(text.p, "\"operationId\":\""); at; at = strstr(at + 1, "\"operationId\":\"")) {
        size_t len = strcspn(at + 15, "\"");
        assert_true(n < 512 && len < sizeof seen[0]);
        memcpy(seen[n], at + 15, len);
        seen[n][len] = '\0';
        for (size_t i = 0; i < n; i++) assert_string_not_equal(seen[i], seen[n]);
        n++;
    }
    assert_int_equal(n, routes_count());
}

/* "#/components/<kind>/<name>": the name is a key behind its kind. */
static void references_lead_somewhere(void **state)
{
    assert_true(text.n || openapi_write(&cfg, &text));
    const char *parts = strstr(text.p, "\"components\":{");
    assert_non_null(parts);
    for (const char *at = strstr(text.p, "\"#/components/"); at; at = strstr(at + 1, "\"#/components/")) {
        char kind[64], name[64], key[80];
        assert_int_equal(sscanf(at, "\"#/components/%63[^/]/%63[^\"]\"", kind, name), 2);
        snprintf(key, sizeof key, "\"%s\":{", kind);
        const char *from = strstr(parts, key);
        snprintf(key, sizeof key, "\"%s\":{", name);
        if (!from || !strstr(from, key)) fail_msg("%s/%s leads nowhere", kind, name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes), cmocka_unit_test(the_text_is_json), cmocka_unit_test(every_route_is_told), cmocka_unit_test(ids_are_unique),
        cmocka_unit_test(references_lead_somewhere),
    };
    buf_init(&text, 4 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&text);
    return failed;
}
