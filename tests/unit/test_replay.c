#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/replay.h"
#include "reactor/json.h"

static char out_path[64];

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *p = malloc(1 << 20);
    *n = fread(p, 1, (1 << 20) - 1, f);
    p[*n] = 0;
    fclose(f);
    return p;
}

static int run(const char *protocol, const char *in)
{
    int saved = dup(2), code;
    FILE *quiet = freopen("/dev/null", "w", stderr);
    assert_non_null(quiet);
    code = replay_books(protocol, in, out_path, NULL, 0);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    return code;
}

static int run_text(const char *protocol, const char *text)
{
    char path[64] = "/tmp/xorj-replay-in-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int code = run(protocol, path);
    unlink(path);
    return code;
}

static void out_is(const char *text)
{
    size_t n;
    char *got = slurp(out_path, &n);
    assert_non_null(got);
    assert_string_equal(got, text);
    free(got);
}

static void fixtures(void **state)
{
    static const struct { const char *protocol, *name; } rows[] = {
        {"coinbase-advanced", "coinbase_advanced"}, {"gemini-depth", "gemini_depth"}, {"gemini-v2", "gemini_v2"},
    };
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        size_t n;
        snprintf(path, sizeof path, "tests/replay/%s.jsonl", rows[i].name);
        assert_int_equal(run(rows[i].protocol, path), 0);
        snprintf(path, sizeof path, "tests/replay/%s.expected.json", rows[i].name);
        char *want = slurp(path, &n);
        assert_non_null(want);
        out_is(want);
        free(want);
    }
}

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SNAP(seq, px) "{\"channel\":\"l2_data\",\"sequence_num\":" #seq ",\"events\":[{\"type\":\"snapshot\",\"product_id\":\"A\",\"updates\":[" \
    "{\"side\":\"bid\",\"price_level\":\"" px "\",\"new_quantity\":\"1\"}]}]}\n"

static void faults(void **state)
{
    assert_int_equal(run_text("coinbase-advanced", SNAP(0, "5") SNAP(2, "6")), 0);
    out_is("{\"books\":{\"A\":{\"bid_levels\":1,\"ask_levels\":0,\"top_bids\":[[\"6\",\"1\"]],\"top_asks\":[],\"book_sha256\":"
           "\"cd53b2b43c625e2c05cacad5577892a0ac08fab28c22b8000407a63e3dc29a39\"}}}\n");
    assert_int_equal(run_text("coinbase-advanced", SNAP(0, "5") "{\"channel\":\"ticker\",\"sequence_num\":2,\"events\":[]}\n"), 0);
    out_is("{\"books\":{\"A\":{\"bid_levels\":0,\"ask_levels\":0,\"top_bids\":[],\"top_asks\":[],\"book_sha256\":\"" EMPTY "\"}}}\n");
    assert_int_equal(run_text("coinbase-advanced", SNAP(0, "5") "{\"channel\":\n"), 0);
    out_is("{\"books\":{\"A\":{\"bid_levels\":0,\"ask_levels\":0,\"top_bids\":[],\"top_asks\":[],\"book_sha256\":\"" EMPTY "\"}}}\n");
    assert_int_equal(run_text("gemini-v2", "\r\n\n"), 0);
    out_is("{\"books\":{}}\n");
    assert_int_equal(run_text("kraken", ""), 2);
    assert_int_equal(run("gemini-v2", "/nonexistent"), 1);
}

static const json_t *books_of(const char *path, arena_t *a, char **text)
{
    size_t n;
    const json_t *doc;
    *text = slurp(path, &n);
    if (!*text || json_parse(span_make(*text, n), a, &doc, NULL)) return NULL;
    return json_get(doc, "books");
}

static void same_book(const json_t *got, const json_t *want, const char *what)
{
    static const char *const fields[] = {"bid_levels", "ask_levels", "book_sha256", "top_bids", "top_asks"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *g = json_get(got, fields[i]), *w = json_get(want, fields[i]);
        if (!g || !w || json_len(g) != json_len(w)) fail_msg("%s: %s is missing or of another length", what, fields[i]);
        if (json_type(w) != JSON_ARR && !span_eq(json_raw(g), json_raw(w))) fail_msg("%s: %s differs", what, fields[i]);
    }
}

static void compare(const char *want_path, const char *name)
{
    arena_pool_t *pool = arena_pool_new(65536, 8);
    arena_t *a = arena_new(pool, 64 << 20);
    char *want_text, *got_text;
    const json_t *want = books_of(want_path, a, &want_text), *got = books_of(out_path, a, &got_text);
    assert_non_null(want);
    assert_non_null(got);
    assert_int_equal(json_len(got), json_len(want));
    for (size_t i = 0; i < json_len(want); i++) {
        char market[64] = {0};
        memcpy(market, json_key(want, i).p, json_key(want, i).n);
        const json_t *mine = json_get(got, market);
        if (!mine) fail_msg("%s: no book %s", name, market);
        same_book(mine, json_at(want, i), name);
    }
    free(want_text);
    free(got_text);
    arena_free(a);
    arena_pool_free(pool);
}

/* Every recording of a protocol that lies beside the repository. */
static void recordings_in(const char *dir, const char *prefix, const char *protocol, unsigned *n)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char in[512], want[512];
        const char *end = strstr(e->d_name, ".expected.json");
        if (!end || strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        snprintf(in, sizeof in, "%s/%.*s.jsonl", dir, (int)(end - e->d_name), e->d_name);
        snprintf(want, sizeof want, "%s/%.200s", dir, e->d_name);
        assert_int_equal(run(protocol, in), 0);
        compare(want, e->d_name);
        ++*n;
    }
    if (d) closedir(d);
}

static void recordings(void **state)
{
    unsigned n = 0;
    recordings_in("../shared/venues/recordings/coinbase", "advanced_", "coinbase-advanced", &n);
    recordings_in("../shared/venues/recordings/gemini", "depth_", "gemini-depth", &n);
    recordings_in("../shared/venues/recordings/gemini", "v2_", "gemini-v2", &n);
    printf("%u recordings compared\n", n);
    if (n == 0) skip();
}

int main(void)
{
    memcpy(out_path, "/tmp/xorj-replay-out-XXXXXX", 28);
    int fd = mkstemp(out_path);
    if (fd < 0) return 1;
    close(fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(fixtures), cmocka_unit_test(faults), cmocka_unit_test(recordings)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(out_path);
    return failed;
}
