/* The route table: every row is reachable by its own spelling and by no other, and access never shrinks by spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/cors.h"
#include "handlers/guard.h"
#include "handlers/routes.h"

static span_t arg[ROUTE_ARGS_MAX];
static unsigned allow;

static const route_t *find(method_t m, const char *path) { return route_find(m, span_of(path), arg, &allow); }

/* The pattern with its segments filled. */
static void fill(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    for (; *pattern && n + 2 < cap; pattern++) {
        if (*pattern != '{') {
            out[n++] = *pattern;
            continue;
        }
        out[n++] = 'x';
        while (*pattern != '}') pattern++;
    }
    out[n] = '\0';
}

static void each_row_is_found(void **state)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const route_t *t = route_at(i);
        char path[128];
        fill(t->path, path, sizeof path);
        assert_ptr_equal(find(t->method, path), t);
        if (t->method == M_GET) assert_ptr_equal(find(M_HEAD, path), t);
        assert_int_equal(route_index(t), i);
        assert_non_null(t->run);
        assert_true(t->method == M_GET ? !t->body_max && !t->body : t->body_max > 0);
        assert_true(t->doc && t->doc[0] && t->status >= 101);
        assert_true(t->answer || (t->flags & (ROUTE_TEXT | ROUTE_UPGRADE)));
    }
}

static void other_spellings_name_nothing(void **state)
{
    for (size_t i = 0; i < routes_count(); i++) {
        const route_t *t = route_at(i);
        char path[128], bad[160];
        fill(t->path, path, sizeof path);
        size_t len = strlen(path);
        snprintf(bad, sizeof bad, "%s/", path);
        assert_null(find(t->method, bad));
        snprintf(bad, sizeof bad, "/%s", path);
        assert_null(find(t->method, bad));
        snprintf(bad, sizeof bad, "%s;a", path);
        if (!strchr(t->path, '{')) assert_null(find(t->method, bad));
        for (size_t k = 0; k < len; k++) { /* every letter in the other case */
            memcpy(bad, path, len + 1);
            if (bad[k] < 'a' || bad[k] > 'z' || strchr(t->path, '{')) continue;
            bad[k] = (char)(bad[k] - 'a' + 'A');
            assert_null(find(t->method, bad));
            assert_int_equal(allow, 0);
        }
        for (size_t k = 0; k < len; k++) assert_ptr_not_equal(route_find(t->method, span_make(path, k), arg, &allow), t);
    }
    assert_null(find(M_GET, ""));
    assert_null(find(M_GET, "/"));
    assert_null(find(M_GET, "/api/bot/../bot/status"));
    assert_null(find(M_GET, "/api/bot/%73tatus"));
}

static void other_methods_tell_what_is_allowed(void **state)
{
    char text[64];
    assert_null(find(M_DELETE, "/api/bot/enable"));
    route_allow_text(allow, text);
    assert_string_equal(text, "POST, OPTIONS");
    assert_null(find(M_POST, "/health"));
    route_allow_text(allow, text);
    assert_string_equal(text, "GET, HEAD, OPTIONS");
    assert_null(find(M_OPTIONS, "/nowhere"));
    assert_int_equal(allow, 0);
}

static void segments(void **state)
{
    assert_non_null(find(M_GET, "/api/v1/books/coinbase/SOL-USD"));
    assert_true(span_is(arg[0], "coinbase") && span_is(arg[1], "SOL-USD"));
    assert_null(find(M_GET, "/api/v1/books/coinbase"));
    assert_null(find(M_GET, "/api/v1/books//SOL-USD"));
    assert_null(find(M_GET, "/api/v1/books/coinbase/SOL/USD"));
    assert_non_null(find(M_GET, "/api/v1/connectors/gemini/health"));
    assert_true(span_is(arg[0], "gemini"));
    assert_null(find(M_GET, "/api/v1/connectors/gemini/healthy"));
}

static void what_is_private_stays_so(void **state)
{
    static const char *const open[] = {"/health", "/health/ready", "/api/system/status", "/api/database/health", "/api/v1/ping", "/api/v1/version",
                                       "/api/metrics", "/metrics", "/api/auth/challenge", "/api/auth/authenticate", "/api/openapi.json",
                                       "/api/v1/auth/login", "/api/v1/auth/refresh"};
    for (size_t i = 0; i < routes_count(); i++) {
        const route_t *t = route_at(i);
        bool listed = false;
        for (size_t k = 0; k < sizeof open / sizeof *open; k++) listed = listed || strcmp(t->path, open[k]) == 0;
        assert_int_equal(listed, t->access < ACCESS_WALLET);
        assert_true(t->limit != LIM_NONE || t->access == ACCESS_METRICS);
    }
}

static void origins(void **state)
{
    static const char list[] = "https://xorj.ai, https://app.xorj.ai";
    assert_true(cors_allowed(SPAN_LIT("https://xorj.ai"), list));
    assert_true(cors_allowed(SPAN_LIT("https://app.xorj.ai"), list));
    static const char *const bad[] = {"", "null", "http://xorj.ai", "https://xorj.ai.evil.example", "https://xorj.a", "https://xorj.ai:443",
                                      "https://XORJ.ai", "https://app.xorj.ai,", "*", "https://xorj.ai, https://app.xorj.ai"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(cors_allowed(span_of(bad[i]), list));
    assert_false(cors_allowed(SPAN_LIT("https://xorj.ai"), ""));
}

static void addresses(void **state)
{
    assert_true(addr_in_list("127.0.0.1", "127.0.0.1,::1"));
    assert_true(addr_in_list("::1", "127.0.0.1, 0:0:0:0:0:0:0:1"));
    assert_false(addr_in_list("127.0.0.2", "127.0.0.1,::1"));
    assert_false(addr_in_list("", "127.0.0.1"));
    assert_false(addr_in_list("127.0.0.1", ""));
    assert_true(addr_is_loopback("127.9.9.9") && addr_is_loopback("::1"));
    assert_false(addr_is_loopback("128.0.0.1") || addr_is_loopback("::2") || addr_is_loopback("x"));
}

static void errors_have_one_answer_each(void **state)
{
    static const struct { xerr_t err; int get, post; } rows[] = {
        {XE_BAD_INPUT, 400, 400}, {XE_AUTH, 401, 401}, {XE_DENIED, 403, 403}, {XE_NOT_FOUND, 404, 404}, {XE_CONFLICT, 409, 409},
        {XE_DOWN, 503, 503}, {XE_FULL, 503, 503}, {XE_TIMEOUT, 504, 503}, {XE_INTERNAL, 500, 500},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(answer_of(rows[i].err, M_GET).status, rows[i].get);
        assert_int_equal(answer_of(rows[i].err, M_POST).status, rows[i].post);
        if (rows[i].post == 503) assert_true(answer_of(rows[i].err, M_POST).retry_s > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_found), cmocka_unit_test(other_spellings_name_nothing), cmocka_unit_test(other_methods_tell_what_is_allowed),
        cmocka_unit_test(segments), cmocka_unit_test(what_is_private_stays_so), cmocka_unit_test(origins), cmocka_unit_test(addresses),
        cmocka_unit_test(errors_have_one_answer_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
