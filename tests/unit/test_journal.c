#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reactor/jfile.h"
#include "reactor/journal.h"
#include "reactor/jread.h"
#include "reactor/log.h"

#define HOUR_US 3600000000LL
#define T0 (489012LL * HOUR_US) /* a whole hour */

typedef struct {
    metrics_t *m;
    loop_t *l;
    journal_t *j;
    char dir[64];
} env_t;

static void start(env_t *e, int64_t bytes_max, size_t queue)
{
    const char *why = "";
    journal_conf_t c = {.dir = e->dir, .bytes_max = bytes_max, .queue_bytes = queue, .flush_ms = 20};
    e->j = journal_open(e->l, e->m, &c, &why);
    assert_non_null(e->j);
}

static void stop(env_t *e)
{
    assert_int_equal(journal_close(e->j, 20000), XE_OK);
    e->j = NULL;
    loop_poll(e->l, 0);
    loop_end_turn(e->l);
}

static void settle(env_t *e)
{
    journal_flush(e->j);
    for (int i = 0; i < 2000 && !journal_idle(e->j); i++) usleep(5000);
    assert_true(journal_idle(e->j));
}

static int setup(void **state)
{
    env_t *e = calloc(1, sizeof *e);
    snprintf(e->dir, sizeof e->dir, "/tmp/xorj-journal-XXXXXX");
    if (!mkdtemp(e->dir)) return -1;
    e->m = metrics_new();
    e->l = loop_new(e->m);
    *state = e;
    log_init(2, LOG_ERROR);
    return 0;
}

static int teardown(void **state)
{
    env_t *e = *state;
    char cmd[128];
    if (e->j) journal_close(e->j, 20000);
    loop_free(e->l);
    metrics_free(e->m);
    snprintf(cmd, sizeof cmd, "rm -rf %s", e->dir);
    int rc = system(cmd);
    free(e);
    return rc;
}

static uint64_t seed = 1;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Text that deflate cannot shrink much. */
static char *noise(size_t n)
{
    char *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++) p[i] = (char)(33 + rnd() % 90);
    p[n] = 0;
    return p;
}

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    fclose(f);
    return p;
}

static void spill(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static jread_t *reader(const char *path)
{
    jread_t *r = NULL;
    assert_int_equal(jread_open(path, &r), XE_OK);
    return r;
}

static void expect(jread_t *r, jr_kind_t kind, const char *protocol, const char *text, jrec_t *out)
{
    assert_int_equal(jread_next(r, out), XE_OK);
    assert_string_equal(jr_name(out->kind), jr_name(kind));
    assert_string_equal(out->protocol, protocol);
    if (text) assert_true(span_is(out->text, text));
}

static void test_round_trip(void **state)
{
    env_t *e = *state;
    jrec_t k;
    char *big = noise(3000000), *copy = strdup(big);
    start(e, 1 << 30, 64 << 20);
    jchan_t *a = journal_chan(e->j, "coinbase", "coinbase-advanced"), *b = journal_chan(e->j, "orca", "solana-ws");
    jchan_open(a);
    jchan_frame(a, SPAN_LIT("{\"one\":1}"), 11, T0 + 1);
    jchan_open(b);
    jchan_sent(b, SPAN_LIT("ask"));
    jchan_give(a, big, 3000000, 12, T0 + 2);
    jchan_give(b, strdup("short"), 5, 13, T0 + 3);
    jchan_frame(b, span_make("", 0), 14, T0 + 4);
    jchan_close(a, "XE_TIMEOUT");
    jchan_open(a);
    stop(e);

    jread_t *r = reader(e->dir);
    expect(r, JR_OPEN, "coinbase-advanced", "", &k);
    uint64_t conn = k.conn;
    expect(r, JR_FRAME, "coinbase-advanced", "{\"one\":1}", &k);
    assert_string_equal(k.venue, "coinbase");
    assert_true(k.mono_ns == 11 && k.wall_us == T0 + 1 && k.conn == conn);
    expect(r, JR_OPEN, "solana-ws", "", &k);
    expect(r, JR_SENT, "solana-ws", "ask", &k);
    expect(r, JR_FRAME, "coinbase-advanced", NULL, &k);
    assert_int_equal(k.text.n, 3000000);
    assert_memory_equal(k.text.p, copy, 3000000);
    expect(r, JR_FRAME, "solana-ws", "short", &k);
    expect(r, JR_FRAME, "solana-ws", "", &k);
    expect(r, JR_CLOSE, "coinbase-advanced", "XE_TIMEOUT", &k);
    assert_true(k.conn == conn);
    expect(r, JR_OPEN, "coinbase-advanced", "", &k);
    assert_true(k.conn > conn);
    assert_int_equal(jread_next(r, &k), XE_CLOSED);
    assert_int_equal(jread_stats(r)->torn_bytes, 0);
    assert_int_equal(jread_stats(r)->holes, 0);
    jread_close(r);
    free(copy);
}

static void test_no_channel(void **state)
{
    (void)state;
    assert_null(journal_chan(NULL, "a", "b"));
    jchan_open(NULL);
    jchan_frame(NULL, SPAN_LIT("x"), 0, 0);
    jchan_give(NULL, strdup("x"), 1, 0, 0);
    jchan_sent(NULL, SPAN_LIT("x"));
    jchan_close(NULL, "x");
    journal_flush(NULL);
    assert_true(journal_idle(NULL));
    assert_int_equal(journal_close(NULL, 1), XE_OK);
}

static void test_a_file_per_hour(void **state)
{
    env_t *e = *state;
    jf_entry_t *list;
    size_t n;
    jrec_t k;
    start(e, 1 << 30, 64 << 20);
    jchan_t *c = journal_chan(e->j, "v", "p");
    for (int h = 0; h < 3; h++) {
        jchan_frame(c, SPAN_LIT("x"), h, T0 + h * HOUR_US);
        settle(e);
    }
    jchan_frame(c, SPAN_LIT("back"), 9, T0); /* the clock went back: stays in the open file */
    stop(e);
    assert_int_equal(jf_list(e->dir, &list, &n), XE_OK);
    assert_int_equal(n, 3);
    for (size_t i = 1; i < n; i++) assert_true(strcmp(list[i - 1].name, list[i].name) < 0);
    free(list);
    jread_t *r = reader(e->dir);
    for (int h = 0; h < 3; h++) {
        expect(r, JR_FRAME, "p", "x", &k);
        assert_true(k.mono_ns == h);
    }
    expect(r, JR_FRAME, "p", "back", &k);
    assert_int_equal(jread_next(r, &k), XE_CLOSED);
    assert_int_equal(jread_stats(r)->holes, 0);
    assert_int_equal(jread_stats(r)->files, 3);
    jread_close(r);
}

/* Blocks of `per` frames each; the name of the one file. */
static void make_blocks(env_t *e, int blocks, int per, char path[128])
{
    jf_entry_t *list;
    size_t n;
    char text[32];
    start(e, 1 << 30, 64 << 20);
    jchan_t *c = journal_chan(e->j, "v", "p");
    for (int b = 0; b < blocks; b++) {
        for (int i = 0; i < per; i++) {
            snprintf(text, sizeof text, "frame %d %d", b, i);
            jchan_frame(c, span_of(text), b * per + i, T0 + b * per + i);
        }
        settle(e);
    }
    stop(e);
    assert_int_equal(jf_list(e->dir, &list, &n), XE_OK);
    assert_int_equal(n, 1);
    snprintf(path, 128, "%s/%s", e->dir, list[0].name);
    free(list);
}

/* Frames read before the end or the first hole; each one must be the right one. */
static int frames_of(const char *path, int per, int *holes, uint64_t *torn)
{
    jrec_t k;
    char text[32];
    jread_t *r = NULL;
    xerr_t err;
    int n = 0;
    *holes = 0;
    *torn = 0;
    if (jread_open(path, &r)) return 0;
    while ((err = jread_next(r, &k)) != XE_CLOSED) {
        if (err == XE_GAP) {
            (*holes)++;
            continue;
        }
        assert_int_equal(err, XE_OK);
        snprintf(text, sizeof text, "frame %d %d", (int)k.mono_ns / per, (int)k.mono_ns % per);
        assert_true(span_is(k.text, text));
        n++;
    }
    *torn = jread_stats(r)->torn_bytes;
    jread_close(r);
    return n;
}

/* Cut at every byte: whole blocks are read, nothing else ever is. */
static void test_cut_anywhere(void **state)
{
    env_t *e = *state;
    char path[128], part[160];
    size_t n, ends[4] = {0};
    int holes;
    uint64_t torn;
    make_blocks(e, 3, 5, path);
    char *p = slurp(path, &n);
    snprintf(part, sizeof part, "%s/cut", e->dir);
    size_t at = JB_FILE_HEAD;
    ends[0] = at;
    for (int b = 0; b < 3; b++) {
        jb_head_t h;
        assert_int_equal(jb_head_parse((uint8_t *)p + at, &h), XE_OK);
        at += JB_HEAD + h.packed_n;
        ends[b + 1] = at;
    }
    assert_int_equal(at, n);
    for (size_t len = 0; len <= n; len++) {
        int whole = 0;
        int64_t good, all;
        while (whole < 3 && ends[whole + 1] <= len) whole++;
        spill(part, p, len);
        assert_int_equal(frames_of(part, 5, &holes, &torn), 5 * whole);
        assert_int_equal(holes, 0);
        assert_int_equal(jf_scan(part, &good, &all), XE_OK);
        if (len >= JB_FILE_HEAD) assert_int_equal(torn, len - ends[whole]);
        assert_int_equal(good, len >= JB_FILE_HEAD ? ends[whole] : 0);
        assert_int_equal(all, len);
    }
    free(p);
}

/* One bit turned anywhere: the block it hits is missing and known to be missing, the others are read. */
static void test_flip_anywhere(void **state)
{
    env_t *e = *state;
    char path[128], part[160];
    size_t n;
    int holes;
    uint64_t torn;
    make_blocks(e, 4, 3, path);
    char *p = slurp(path, &n);
    snprintf(part, sizeof part, "%s/flip", e->dir);
    for (size_t i = 0; i < n; i++) {
        p[i] ^= (char)(1 << (i % 8));
        spill(part, p, n);
        int got = frames_of(part, 3, &holes, &torn);
        if (i < JB_FILE_HEAD) assert_int_equal(got, 0);
        else assert_int_equal(got, 9);
        if (got) assert_true(holes == 1 || torn > 0 || i < n / 3); /* a lost first block has nothing before it to miss */
        p[i] ^= (char)(1 << (i % 8));
    }
    free(p);
}

static void test_torn_tail_is_cut_at_the_next_start(void **state)
{
    env_t *e = *state;
    char path[128];
    size_t n, after;
    int holes;
    uint64_t torn;
    jrec_t k;
    make_blocks(e, 2, 2, path);
    char *p = slurp(path, &n);
    spill(path, p, n - 3);
    start(e, 1 << 30, 64 << 20);
    jchan_frame(journal_chan(e->j, "v", "p"), SPAN_LIT("frame 1 0"), 2, T0 + 5);
    stop(e);
    free(slurp(path, &after));
    assert_true(after < n - 3);
    assert_int_equal(frames_of(path, 2, &holes, &torn), 2);
    assert_int_equal(torn, 0);
    jread_t *r = reader(e->dir);
    int frames = 0;
    uint64_t run = 0;
    while (jread_next(r, &k) == XE_OK) {
        assert_true(k.run >= run);
        run = k.run;
        frames++;
    }
    assert_int_equal(frames, 3);
    assert_int_equal(jread_stats(r)->holes, 0);
    jread_close(r);
    free(p);
}

static void test_one_writer(void **state)
{
    env_t *e = *state;
    const char *why = "";
    journal_conf_t c = {.dir = e->dir, .bytes_max = 1 << 20, .queue_bytes = 1 << 20, .flush_ms = 20};
    start(e, 1 << 20, 1 << 20);
    assert_null(journal_open(e->l, e->m, &c, &why));
    assert_string_equal(why, "another process records into this directory");
    stop(e);
    c.dir = "/proc/no/such";
    assert_null(journal_open(e->l, e->m, &c, &why));
}

static void test_the_directory_is_bounded(void **state)
{
    env_t *e = *state;
    jf_entry_t *list;
    size_t n;
    jrec_t k;
    const int64_t max = 1 << 20;
    start(e, max, 64 << 20);
    jchan_t *c = journal_chan(e->j, "v", "p");
    for (int i = 0; i < 80; i++) {
        jchan_give(c, noise(100000), 100000, i, T0 + i);
        settle(e);
        int64_t sum = 0;
        assert_int_equal(jf_list(e->dir, &list, &n), XE_OK);
        for (size_t f = 0; f < n; f++) sum += list[f].bytes;
        free(list);
        assert_true(sum <= max + 100000);
    }
    stop(e);
    jread_t *r = reader(e->dir);
    int64_t first = -1, last = -1;
    while (jread_next(r, &k) == XE_OK) {
        if (first < 0) first = k.mono_ns;
        if (last >= 0) assert_true(k.mono_ns == last + 1);
        last = k.mono_ns;
    }
    assert_int_equal(last, 79);
    assert_true(first > 40 && first < 75);
    assert_int_equal(jread_stats(r)->holes, 0);
    jread_close(r);
}

/* A queue that is full drops frames, says how many, and goes on. */
static void test_the_queue_is_bounded(void **state)
{
    env_t *e = *state;
    jrec_t k;
    uint64_t frames = 0, lost = 0;
    start(e, 1 << 30, 1 << 20);
    jchan_t *c = journal_chan(e->j, "v", "p");
    for (int i = 0; i < 200; i++) jchan_give(c, noise(400000), 400000, i, T0 + i);
    settle(e);
    jchan_frame(c, SPAN_LIT("end"), 200, T0 + 200);
    stop(e);
    jread_t *r = reader(e->dir);
    int64_t next = 0;
    while (jread_next(r, &k) == XE_OK) {
        if (k.kind == JR_LOST) {
            uint64_t more = strtoull(k.text.p, NULL, 10);
            lost += more;
            next += (int64_t)more;
        } else {
            assert_true(k.mono_ns == next++);
            frames++;
        }
    }
    assert_int_equal(frames + lost, 201);
    assert_true(lost > 0);
    assert_int_equal(jread_stats(r)->holes, 0);
    jread_close(r);
}

/* A disk that refuses: the loss is a hole for readers, and recording goes on by itself. */
static void test_disk_refuses(void **state)
{
    env_t *e = *state;
    jrec_t k;
    struct rlimit old, tight;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    start(e, 1 << 30, 64 << 20);
    jchan_t *c = journal_chan(e->j, "v", "p");
    jchan_frame(c, SPAN_LIT("before"), 1, T0);
    settle(e);
    tight = old;
    tight.rlim_cur = 40000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    jchan_give(c, noise(200000), 200000, 2, T0 + 1);
    settle(e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_init(2, LOG_ERROR);
    jchan_frame(c, SPAN_LIT("after"), 3, T0 + 2);
    stop(e);
    jread_t *r = reader(e->dir);
    expect(r, JR_FRAME, "p", "before", &k);
    assert_int_equal(jread_next(r, &k), XE_GAP);
    expect(r, JR_FRAME, "p", "after", &k);
    assert_int_equal(jread_next(r, &k), XE_CLOSED);
    jread_close(r);
}

static void test_hostile_blocks(void **state)
{
    (void)state;
    uint8_t head[JB_HEAD];
    jb_head_t h = {.records = 1}, got;
    jr_t rec;
    buf_t block, raw;
    buf_init(&block, 1 << 20);
    buf_init(&raw, JB_RAW_MAX);
    /* a record that claims more text than there is, an unknown kind */
    char bad[JR_HEAD + 4] = {0};
    size_t at = 0;
    jr_put_head((uint8_t *)bad, &(jr_t){.kind = JR_FRAME, .text = span_make(NULL, 5)});
    assert_int_equal(jr_next(span_make(bad, sizeof bad), &at, &rec), XE_BAD_INPUT);
    jr_put_head((uint8_t *)bad, &(jr_t){.kind = (jr_kind_t)99, .text = span_make(NULL, 4)});
    assert_int_equal(jr_next(span_make(bad, sizeof bad), &at, &rec), XE_BAD_INPUT);
    assert_int_equal(jr_next(span_make(bad, JR_HEAD - 1), &at, &rec), XE_BAD_INPUT);
    /* more or fewer bytes than announced, however right the checksum is */
    assert_int_equal(jb_pack(&h, span_make(bad, sizeof bad), span_make("", 0), &block), XE_OK);
    memcpy(head, block.p, JB_HEAD);
    assert_int_equal(jb_head_parse(head, &got), XE_OK);
    span_t packed = span_make(block.p + JB_HEAD, block.n - JB_HEAD);
    assert_int_equal(jb_unpack(&got, packed, &raw), XE_OK);
    got.raw_n++;
    assert_int_equal(jb_unpack(&got, packed, &raw), XE_BAD_INPUT);
    got.raw_n -= 2;
    assert_int_equal(jb_unpack(&got, packed, &raw), XE_BAD_INPUT);
    got.raw_n = JB_RAW_MAX;
    assert_int_equal(jb_unpack(&got, packed, &raw), XE_BAD_INPUT);
    for (int i = 0; i < 2000; i++) {
        char junk[64];
        for (size_t k = 0; k < sizeof junk; k++) junk[k] = (char)rnd();
        jb_head_t j = {.packed_n = sizeof junk, .raw_n = 100};
        (void)jb_unpack(&j, span_make(junk, sizeof junk), &raw);
        assert_int_equal(jb_head_parse((uint8_t *)junk, &j), XE_BAD_INPUT);
    }
    buf_fini(&block);
    buf_fini(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test(test_no_channel),
        cmocka_unit_test_setup_teardown(test_a_file_per_hour, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flip_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail_is_cut_at_the_next_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_directory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_refuses, setup, teardown),
        cmocka_unit_test(test_hostile_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
