#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "reactor/loop.h"

typedef struct {
    metrics_t *m;
    loop_t *l;
    int calls;
    int order[16];
    ltimer_t *t;
    watch_t *w;
} env_t;

static int setup(void **state)
{
    env_t *e = calloc(1, sizeof *e);
    e->m = metrics_new();
    e->l = loop_new(e->m);
    *state = e;
    return e->l ? 0 : -1;
}

static int teardown(void **state)
{
    env_t *e = *state;
    loop_free(e->l);
    metrics_free(e->m);
    free(e);
    return 0;
}

static void turn(env_t *e, int ms)
{
    loop_poll(e->l, ms);
    loop_end_turn(e->l);
}

static void count(void *ctx)
{
    ((env_t *)ctx)->calls++;
}

static void test_wait_is_bounded(void **state)
{
    env_t *e = *state;
    for (int i = 0; i < 3; i++) {
        int64_t t0 = mono_ns();
        turn(e, 30);
        assert_true(mono_ns() - t0 < 90000000);
    }
    int64_t t0 = mono_ns();
    turn(e, 0);
    loop_wake(e->l);
    turn(e, 1000);
    assert_true(mono_ns() - t0 < 50000000);
}

static void test_now_is_cached_in_a_turn(void **state)
{
    env_t *e = *state;
    int64_t before = mono_ns();
    turn(e, 20);
    int64_t a = loop_now_ns(e->l), w = loop_wall_us(e->l);
    assert_true(a > before);
    usleep(2000);
    assert_int_equal(a, loop_now_ns(e->l));
    assert_int_equal(w, loop_wall_us(e->l));
    turn(e, 0);
    assert_true(loop_now_ns(e->l) > a);
}

static void test_timer_never_early_and_moves(void **state)
{
    env_t *e = *state;
    e->t = ltimer_new(e->l, count, e);
    for (int ms = 1; ms < 12; ms += 3) {
        int64_t t0 = mono_ns();
        e->calls = 0;
        ltimer_arm(e->t, ms);
        assert_true(ltimer_armed(e->t));
        while (!e->calls) turn(e, 100);
        int64_t took = mono_ns() - t0;
        assert_true(took >= (int64_t)ms * 1000000 - 200000);
        assert_true(took < (int64_t)(ms + 60) * 1000000);
        assert_false(ltimer_armed(e->t));
    }
    e->calls = 0;
    ltimer_arm(e->t, 5);
    ltimer_arm(e->t, 60);
    int64_t t0 = mono_ns();
    while (mono_ns() - t0 < 30000000) turn(e, 5);
    assert_int_equal(e->calls, 0);
    ltimer_stop(e->t);
    t0 = mono_ns();
    while (mono_ns() - t0 < 50000000) turn(e, 5);
    assert_int_equal(e->calls, 0);
    ltimer_free(e->t);
}

static void free_self(void *ctx)
{
    env_t *e = ctx;
    e->calls++;
    ltimer_free(e->t);
    e->t = NULL;
}

static void test_timer_may_free_itself(void **state)
{
    env_t *e = *state;
    e->t = ltimer_new(e->l, free_self, e);
    ltimer_arm(e->t, 0);
    assert_int_equal(e->calls, 0);
    while (!e->calls) turn(e, 100);
}

static void drop_watch(void *ctx, int ready)
{
    env_t *e = ctx;
    e->calls++;
    assert_true(ready & WATCH_R);
    watch_free(e->w);
    e->w = NULL;
}

static void test_watch_directions_and_free_inside(void **state)
{
    env_t *e = *state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    e->w = watch_new(e->l, p[0], drop_watch, e);
    assert_int_equal(write(p[1], "x", 1), 1);
    turn(e, 0);
    assert_int_equal(e->calls, 0);
    watch_set(e->w, WATCH_R);
    assert_int_equal(e->calls, 0);
    turn(e, 100);
    assert_int_equal(e->calls, 1);
    turn(e, 0);
    assert_int_equal(e->calls, 1);
    close(p[0]);
    close(p[1]);
}

static void note(env_t *e, int n)
{
    e->order[e->calls++] = n;
}
static void defer_two(void *ctx)
{
    note(ctx, 2);
}
static void defer_one(void *ctx)
{
    note(ctx, 1);
    loop_defer(((env_t *)ctx)->l, defer_two, ctx);
}
static void defer_three(void *ctx)
{
    note(ctx, 3);
}

static void test_defers_run_in_order_at_the_end(void **state)
{
    env_t *e = *state;
    loop_defer(e->l, defer_one, e);
    loop_defer(e->l, defer_three, e);
    loop_poll(e->l, 0);
    assert_int_equal(e->calls, 0);
    loop_end_turn(e->l);
    assert_int_equal(e->calls, 3);
    assert_int_equal(e->order[0], 1);
    assert_int_equal(e->order[1], 3);
    assert_int_equal(e->order[2], 2);
}

static void test_later_one_per_turn_without_sleep(void **state)
{
    env_t *e = *state;
    for (int i = 0; i < 100; i++) loop_later(e->l, count, e);
    int64_t t0 = mono_ns();
    for (int i = 1; i <= 100; i++) {
        turn(e, 1000);
        assert_int_equal(e->calls, i);
    }
    assert_true(mono_ns() - t0 < 500000000);
}

static void *poster(void *ctx)
{
    env_t *e = ctx;
    for (int i = 0; i < 1000; i++) loop_post_from_thread(e->l, count, e);
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    env_t *e = *state;
    pthread_t th[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&th[i], NULL, poster, e), 0);
    int64_t t0 = mono_ns();
    while (e->calls < 3000 && mono_ns() - t0 < 5000000000) turn(e, 50);
    for (int i = 0; i < 3; i++) pthread_join(th[i], NULL);
    assert_int_equal(e->calls, 3000);
}

static void got_signal(void *ctx, int signo)
{
    env_t *e = ctx;
    e->calls = signo;
    loop_stop(e->l);
}

static void test_signal_and_stop(void **state)
{
    env_t *e = *state;
    loop_on_signal(e->l, SIGUSR1, got_signal, e);
    raise(SIGUSR1);
    assert_false(loop_poll(e->l, 1000));
    assert_int_equal(e->calls, SIGUSR1);
    assert_false(loop_poll(e->l, 1000));
}

static void slow(void *ctx)
{
    int64_t t0 = mono_ns();
    while (mono_ns() - t0 < 12000000) continue;
    count(ctx);
}

static void test_slow_work_is_counted(void **state)
{
    env_t *e = *state;
    ctr_t *cb = metrics_ctr(e->m, "xorj_loop_over_budget_total", "what=\"callback\"", "");
    ctr_t *tn = metrics_ctr(e->m, "xorj_loop_over_budget_total", "what=\"turn\"", "");
    hist_t *h = metrics_hist(e->m, "xorj_loop_turn_seconds", NULL, "", NULL, 0);
    loop_later(e->l, slow, e);
    turn(e, 0);
    assert_int_equal(e->calls, 1);
    assert_int_equal(cb->v, 1);
    assert_int_equal(tn->v, 1);
    assert_int_equal(hist_count(h), 1);
    assert_true(hist_quantile(h, 0.5) >= 0.02);
}

static void test_gauges(void **state)
{
    env_t *e = *state;
    gauge_t *fds = metrics_gauge(e->m, "process_open_fds", NULL, ""),
            *timers = metrics_gauge(e->m, "xorj_loop_timers", NULL, "");
    int64_t t0 = mono_ns();
    while (fds->v <= 0 && mono_ns() - t0 < 2000000000) turn(e, 50);
    assert_true(fds->v >= 5 && fds->v < 200);
    assert_true(timers->v >= 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_wait_is_bounded),
        T(test_now_is_cached_in_a_turn),
        T(test_timer_never_early_and_moves),
        T(test_timer_may_free_itself),
        T(test_watch_directions_and_free_inside),
        T(test_defers_run_in_order_at_the_end),
        T(test_later_one_per_turn_without_sleep),
        T(test_posts_from_threads),
        T(test_signal_and_stop),
        T(test_slow_work_is_counted),
        T(test_gauges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
