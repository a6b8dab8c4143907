/* The worker threads: every job is told once, from the loop, after its submission returned; the bound holds; closing ends
 * what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "reactor/worker.h"

enum { N = 64 };

typedef struct {
    metrics_t *m;
    loop_t *l;
    worker_t *w;
    sem_t gate;
    pthread_t loop_thread;
} env_t;

typedef struct {
    job_t job;
    env_t *e;
    bool inside, wait;
    int ran, told;
    xerr_t err;
} task_t;

static void run(job_t *j)
{
    task_t *k = (task_t *)j;
    assert_false(pthread_equal(pthread_self(), k->e->loop_thread));
    if (k->wait) sem_wait(&k->e->gate);
    k->ran++;
}

static void done(job_t *j, xerr_t err)
{
    task_t *k = (task_t *)j;
    assert_true(pthread_equal(pthread_self(), k->e->loop_thread));
    assert_false(k->inside);
    k->told++;
    k->err = err;
}

static xerr_t submit(env_t *e, task_t *k, bool wait)
{
    *k = (task_t){.job = {.run = run, .done = done}, .e = e, .inside = true, .wait = wait};
    xerr_t err = worker_submit(e->w, &k->job);
    k->inside = false;
    return err;
}

static int setup(void **state)
{
    env_t *e = calloc(1, sizeof *e);
    e->m = metrics_new();
    e->l = loop_new(e->m);
    e->loop_thread = pthread_self();
    sem_init(&e->gate, 0, 0);
    e->w = worker_open(e->l, e->m, &(worker_conf_t){.threads = 2, .waiting_max = 6, .nice = 1});
    *state = e;
    return e->w ? 0 : -1;
}

static int teardown(void **state)
{
    env_t *e = *state;
    worker_close(e->w);
    loop_end_turn(e->l);
    loop_free(e->l);
    metrics_free(e->m);
    sem_destroy(&e->gate);
    free(e);
    return 0;
}

static void turns(env_t *e, int ms)
{
    for (int64_t end = mono_ns() + ms * 1000000LL; mono_ns() < end && !worker_idle(e->w);) {
        loop_poll(e->l, 5);
        loop_end_turn(e->l);
    }
}

static void all_are_told_once(void **state)
{
    env_t *e = *state;
    static task_t k[N];
    for (int i = 0; i < N; i++) {
        while (submit(e, &k[i], false) == XE_FULL) turns(e, 1);
    }
    turns(e, 5000);
    assert_true(worker_idle(e->w));
    for (int i = 0; i < N; i++) {
        assert_int_equal(k[i].ran, 1);
        assert_int_equal(k[i].told, 1);
        assert_int_equal(k[i].err, XE_OK);
    }
}

static void the_bound_holds(void **state)
{
    env_t *e = *state;
    static task_t k[9];
    for (int i = 0; i < 8; i++) assert_int_equal(submit(e, &k[i], true), XE_OK); /* two run, six wait */
    assert_int_equal(submit(e, &k[8], true), XE_FULL);
    turns(e, 30);
    for (int i = 0; i < 9; i++) assert_int_equal(k[i].told, 0);
    for (int i = 0; i < 8; i++) sem_post(&e->gate);
    turns(e, 5000);
    for (int i = 0; i < 8; i++) assert_int_equal(k[i].told, 1);
    assert_int_equal(k[8].told, 0);
    assert_int_equal(submit(e, &k[8], false), XE_OK);
    turns(e, 5000);
    assert_int_equal(k[8].told, 1);
}

static void closing_ends_what_waits(void **state)
{
    env_t *e = *state;
    static task_t k[8];
    int ran = 0, closed = 0;
    for (int i = 0; i < 8; i++) assert_int_equal(submit(e, &k[i], true), XE_OK);
    for (int i = 0; i < 8; i++) sem_post(&e->gate);
    worker_close(e->w);
    e->w = NULL;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(k[i].told, 1);
        ran += k[i].err == XE_OK && k[i].ran == 1;
        closed += k[i].err == XE_CLOSED && k[i].ran == 0;
    }
    assert_int_equal(ran + closed, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_bound_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_ends_what_waits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
