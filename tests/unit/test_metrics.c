#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "reactor/log.h"
#include "reactor/metrics.h"

static void test_text(void **state)
{
    static const double bounds[] = {0.1, 1, 10};
    metrics_t *m = metrics_new();
    buf_t b;
    buf_init(&b, 65536);
    ctr_t *a = metrics_ctr(m, "a_total", "x=\"1\"", "First\nline \\ two.");
    ctr_t *a2 = metrics_ctr(m, "a_total", "x=\"2\"", "ignored");
    hist_t *h = metrics_hist(m, "h_seconds", "r=\"/x\"", "H.", bounds, 3);
    gauge_t *g = metrics_gauge(m, "g", NULL, "G.");
    hist_t *plain = metrics_hist(m, "p", NULL, "P.", bounds, 1);
    assert_ptr_equal(a, metrics_ctr(m, "a_total", "x=\"1\"", "again"));
    assert_ptr_equal(h, metrics_hist(m, "h_seconds", "r=\"/x\"", "", NULL, 0));
    assert_ptr_equal(g, metrics_gauge(m, "g", "", ""));
    ctr_inc(a);
    ctr_add(a2, UINT64_C(12345678901));
    gauge_set(g, 0.1);
    static const double seen[] = {0.05, 0.1, 0.5, 10, 11, 1e9};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) hist_add(h, seen[i]);
    hist_add(plain, 5);
    metrics_write(m, &b);
    assert_string_equal(
        b.p, "# HELP a_total First\\nline \\\\ two.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} "
             "12345678901\n"
             "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
             "h_seconds_bucket{r=\"/x\",le=\"0.1\"} 2\nh_seconds_bucket{r=\"/x\",le=\"1\"} "
             "3\nh_seconds_bucket{r=\"/x\",le=\"10\"} 4\nh_seconds_bucket{r=\"/x\",le=\"+Inf\"} 6\n"
             "h_seconds_sum{r=\"/x\"} 1000000021.65\nh_seconds_count{r=\"/x\"} 6\n"
             "# HELP g G.\n# TYPE g gauge\ng 0.1\n"
             "# HELP p P.\n# TYPE p histogram\np_bucket{le=\"0.1\"} 0\np_bucket{le=\"+Inf\"} 1\np_sum 5\np_count 1\n");
    gauge_set(g, -INFINITY);
    buf_reset(&b);
    metrics_write(m, &b);
    assert_non_null(strstr(b.p, "\ng -Inf\n"));
    buf_fini(&b);
    metrics_free(m);
}

static void test_quantiles(void **state)
{
    metrics_t *m = metrics_new();
    hist_t *h = metrics_hist(m, "q", NULL, "Q.", NULL, 0);
    assert_true(hist_quantile(h, 0.5) <= 0 && hist_count(h) == 0);
    for (int i = 0; i < 99; i++) hist_add(h, 0.00003);
    hist_add(h, 0.004);
    assert_int_equal(hist_count(h), 100);
    assert_true(fabs(hist_quantile(h, 0.5) - 5e-5) < 1e-12);
    assert_true(fabs(hist_quantile(h, 0.99) - 5e-5) < 1e-12);
    assert_true(fabs(hist_quantile(h, 1) - 5e-3) < 1e-12);
    hist_add(h, 100);
    assert_true(isinf(hist_quantile(h, 1)));
    metrics_free(m);
}

/* Readers of whole numbers need no exponent. */
static void test_whole_numbers(void **state)
{
    metrics_t *m = metrics_new();
    buf_t b;
    buf_init(&b, 4096);
    ctr_add(metrics_ctr(m, "many_total", NULL, "h"), 2753800);
    ctr_add(metrics_ctr(m, "most_total", NULL, "h"), 123456789000000);
    gauge_set(metrics_gauge(m, "part", NULL, "h"), 0.1);
    metrics_write(m, &b);
    buf_add(&b, "", 1);
    assert_non_null(strstr(b.p, "\nmany_total 2753800\n"));
    assert_non_null(strstr(b.p, "\nmost_total 123456789000000\n"));
    assert_non_null(strstr(b.p, "\npart 0.1\n"));
    buf_fini(&b);
    metrics_free(m);
}

static size_t drain(int fd, char *to, size_t cap)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t n = 0;
    while (n + 1 < cap && poll(&p, 1, 0) == 1 && (p.revents & POLLIN)) {
        ssize_t got = read(fd, to + n, cap - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    to[n] = '\0';
    return n;
}

static void test_log_lines(void **state)
{
    static char text[1 << 18];
    char esc[260], longest[6000];
    int p[2];
    log_level_t lv;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    log_init(p[1], LOG_INFO);
    log_info("http", "r-1", "answered status=%d", 200);
    log_debug("http", "-", "hidden %d", 1);
    drain(p[0], text, sizeof text);
    assert_int_equal(strlen(strchr(text, 'Z')), strlen("Z info http r-1 answered status=200\n"));
    assert_non_null(strstr(text, "Z info http r-1 answered status=200\n"));
    assert_int_equal(text[4] == '-' && text[10] == 'T' && text[19] == '.', 1);
    log_set_level(LOG_DEBUG);
    log_debug("a", "-", "one\ntwo\x1b[31m\r");
    drain(p[0], text, sizeof text);
    assert_non_null(strstr(text, " debug a - one two [31m \n"));
    assert_string_equal(log_esc((span_t){"a\"\\\n\xff\0z", 7}, esc, sizeof esc), "a\\x22\\x5c\\x0a\\xff\\x00z");
    memset(longest, 1, sizeof longest);
    assert_int_equal(strlen(log_esc((span_t){longest, sizeof longest}, esc, sizeof esc)), 256);
    assert_true(strlen(log_esc((span_t){longest, sizeof longest}, esc, 9)) < 9);
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    log_error("a", longest, "%s", longest);
    size_t n = drain(p[0], text, sizeof text);
    assert_true(n <= 4096 && text[n - 1] == '\n' && strchr(text, '\n') == text + n - 1);
    /* A full pipe loses lines, says so, and never blocks. */
    uint64_t before = log_dropped();
    for (int i = 0; i < 3000; i++)
        log_warn("a", "-", "filling the pipe %s", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    assert_true(log_dropped() > before);
    drain(p[0], text, sizeof text);
    log_info("a", "-", "after");
    drain(p[0], text, sizeof text);
    assert_non_null(strstr(text, " warn log - sink was full, lines lost dropped="));
    assert_non_null(strstr(text, " info a - after\n"));
    assert_int_equal(log_level_parse(SPAN_LIT("trace"), &lv), XE_OK);
    assert_int_equal(lv, LOG_TRACE);
    assert_int_equal(log_level_parse(SPAN_LIT("Trace"), &lv), XE_BAD_INPUT);
    log_init(STDERR_FILENO, LOG_INFO);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_quantiles),
                                       cmocka_unit_test(test_whole_numbers), cmocka_unit_test(test_log_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
