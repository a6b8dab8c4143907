/* The bounded cache, single flight, and the arithmetic of performance. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "storage/cache.h"
#include "storage/flight.h"
#include "storage/perf.h"

static void test_cache(void **state)
{
    metrics_t *m = metrics_new();
    loop_t *l = loop_new(m);
    ctr_t *evicted = metrics_ctr(m, "evicted", NULL, "");
    cache_t *c = cache_new(l, 100, 100000, evicted);
    size_t n;
    int64_t at;
    char key[32], val[64];
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%u", i);
        snprintf(val, sizeof val, "value %u", i);
        cache_put(c, span_of(key), val, strlen(val), i + 1);
        assert_non_null(cache_get(c, SPAN_LIT("k0"), &n, &at)); /* in use: never the oldest */
    }
    assert_int_equal(cache_entries(c), 100);
    assert_int_equal(evicted->v, 900);
    assert_null(cache_get(c, SPAN_LIT("k500"), &n, &at));
    const char *v = cache_get(c, SPAN_LIT("k999"), &n, &at);
    assert_int_equal(at, 1000);
    assert_int_equal(n, 9);
    cache_put(c, SPAN_LIT("k999"), "new", 3, 7);
    assert_memory_equal(v, "value 999", 9); /* borrowed until the end of the turn */
    loop_end_turn(l);
    cache_restamp(c, SPAN_LIT("k999"), 8);
    v = cache_get(c, SPAN_LIT("k999"), &n, &at);
    assert_int_equal(n, 3);
    assert_int_equal(at, 8);
    cache_del(c, SPAN_LIT("k999"));
    assert_null(cache_get(c, SPAN_LIT("k999"), &n, &at));
    static char big[60000];
    cache_put(c, SPAN_LIT("big1"), big, sizeof big, 1);
    cache_put(c, SPAN_LIT("big2"), big, sizeof big, 1); /* the byte bound */
    assert_null(cache_get(c, SPAN_LIT("big1"), &n, &at));
    assert_non_null(cache_get(c, SPAN_LIT("big2"), &n, &at));
    cache_free(c);
    loop_end_turn(l);
    loop_free(l);
    metrics_free(m);
}

static unsigned given;
static void give(void *arg, void (*cb)(void), void *ctx)
{
    (void)arg;
    (void)ctx;
    given++;
    cb();
}
static void nothing(void)
{
}

static void test_flight(void **state)
{
    flights_t *f = flights_new();
    bool first;
    (void)state;
    flight_t *g = flight_join(f, SPAN_LIT("a"), nothing, NULL, &first);
    assert_true(first);
    assert_ptr_equal(flight_join(f, SPAN_LIT("a"), nothing, NULL, &first), g);
    assert_false(first);
    assert_ptr_equal(flight_join(f, SPAN_LIT("a"), NULL, NULL, &first), g);
    flight_taint(f, SPAN_LIT("a"));
    flight_t *h = flight_join(f, SPAN_LIT("a"), nothing, NULL, &first);
    assert_true(first);
    assert_true(flight_tainted(g));
    assert_false(flight_tainted(h));
    flight_land(g, give, NULL);
    assert_int_equal(given, 2);
    flight_land(h, give, NULL);
    assert_int_equal(given, 3);
    assert_true(flights_empty(f));
    flights_free(f);
}

#define DAY 86400000000LL

static void test_figures(void **state)
{
    perf_t p = {0};
    (void)state;
    perf_figures(&p, NULL, 0, 0, 0);
    assert_true(isnan(p.net_roi) && isnan(p.max_drawdown) && isnan(p.sharpe) && isnan(p.win_rate));
    perf_point_t one[] = {{DAY, 5000000}};
    perf_figures(&p, one, 1, 4, 1);
    assert_true(isnan(p.net_roi) && isnan(p.max_drawdown) && isnan(p.sharpe));
    assert_true(fabs(p.win_rate - 25) < 1e-9);
    perf_point_t v[] = {{DAY, 100}, {2 * DAY, 80}, {2 * DAY + 1, 120}, {3 * DAY, 90}, {4 * DAY, 150}};
    perf_figures(&p, v, 5, 2, 2);
    assert_true(fabs(p.net_roi - 50) < 1e-9);
    assert_true(fabs(p.max_drawdown - 25) < 1e-9);
    /* daily returns 0.2, -0.25, 2/3 */
    double mean = (0.2 - 0.25 + 2.0 / 3) / 3;
    double var = ((0.2 - mean) * (0.2 - mean) + (-0.25 - mean) * (-0.25 - mean) + (2.0 / 3 - mean) * (2.0 / 3 - mean)) / 2;
    assert_true(fabs(p.sharpe - mean / sqrt(var) * sqrt(365)) < 1e-9);
    perf_point_t flat[] = {{DAY, 100}, {2 * DAY, 100}, {3 * DAY, 100}};
    perf_figures(&p, flat, 3, 0, 0);
    assert_true(isnan(p.sharpe));
    assert_true(fabs(p.net_roi) < 1e-9 && fabs(p.max_drawdown) < 1e-9);
    perf_point_t zero[] = {{DAY, 0}, {2 * DAY, 100}, {3 * DAY, 50}};
    perf_figures(&p, zero, 3, 0, 0);
    assert_true(isnan(p.net_roi));
    assert_true(fabs(p.max_drawdown - 50) < 1e-9);
    /* twenty returns: one of -10 %, one of -5 %, the others +1 %: the second worst is the one day in twenty */
    perf_point_t days[21] = {{DAY, 1000000000}};
    for (unsigned i = 1; i < 21; i++) {
        double r = i == 7 ? 0.9 : i == 13 ? 0.95 : 1.01;
        days[i] = (perf_point_t){(1 + i) * DAY, (int64_t)((double)days[i - 1].value_e6 * r)};
    }
    perf_figures(&p, days, 21, 0, 0);
    assert_true(fabs(p.var95 - 5) < 1e-6);
    perf_figures(&p, days, 20, 0, 0);
    assert_true(isnan(p.var95));
}

static void test_thin(void **state)
{
    static perf_point_t v[10000];
    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        v[i] = (perf_point_t){i, i};
    assert_int_equal(perf_thin(v, 100), 100);
    assert_int_equal(perf_thin(v, 10000), PERF_POINTS_MAX);
    assert_int_equal(v[0].at_us, 0);
    assert_int_equal(v[PERF_POINTS_MAX - 1].at_us, 9999);
    for (unsigned i = 1; i < PERF_POINTS_MAX; i++)
        assert_true(v[i].at_us > v[i - 1].at_us);
}

static void test_ranges(void **state)
{
    range_t r;
    (void)state;
    for (unsigned i = 0; i < RANGE_N; i++) {
        assert_int_equal(range_parse(span_of(range_name((range_t)i)), &r), XE_OK);
        assert_int_equal(r, i);
    }
    assert_int_equal(range_parse(SPAN_LIT("30d"), &r), XE_BAD_INPUT);
    assert_int_equal(range_parse(SPAN_LIT(""), &r), XE_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache), cmocka_unit_test(test_flight), cmocka_unit_test(test_figures),
        cmocka_unit_test(test_thin),  cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
