#include "reactor/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS_MAX = 16, STACK_BYTES = 1 << 20 };

typedef struct {
    job_t *head, *tail;
} jobs_t;

struct worker {
    loop_t *l;
    worker_conf_t conf;
    pthread_t thread[THREADS_MAX];
    unsigned threads;
    int fd; /* readable when something is done */
    watch_t *watch;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    jobs_t waiting, done;
    bool closing;
    /* the loop's own */
    unsigned out; /* submitted, done not yet told */
    gauge_t *g_out;
    ctr_t *c_jobs, *c_full;
};

static void push(jobs_t *q, job_t *j)
{
    j->next = NULL;
    *(q->tail ? &q->tail->next : &q->head) = j;
    q->tail = j;
}

static job_t *pop(jobs_t *q)
{
    job_t *j = q->head;
    if (!j) return NULL;
    q->head = j->next;
    if (!q->head) q->tail = NULL;
    return j;
}

/* ---- a thread ----------------------------------------------------------------------------------------------------- */

static void tell(worker_t *w, job_t *j)
{
    uint64_t one = 1;
    pthread_mutex_lock(&w->lock);
    push(&w->done, j);
    pthread_mutex_unlock(&w->lock);
    /* A full counter is still readable, so a failed write loses no wake-up. */
    ssize_t n = write(w->fd, &one, sizeof one);
    (void)n;
}

static job_t *take(worker_t *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->waiting.head && !w->closing) pthread_cond_wait(&w->more, &w->lock);
    job_t *j = w->closing ? NULL : pop(&w->waiting);
    pthread_mutex_unlock(&w->lock);
    return j;
}

static void *work(void *ctx)
{
    worker_t *w = ctx;
    job_t *j;
    /* On Linux a thread has a nice value of its own: the loop goes first when both want the same core. */
    if (w->conf.nice) (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)w->conf.nice);
    while ((j = take(w))) {
        j->run(j);
        tell(w, j);
    }
    return NULL;
}

/* ---- the loop's side ---------------------------------------------------------------------------------------------- */

static void give(worker_t *w, job_t *j)
{
    w->out--;
    gauge_set(w->g_out, w->out);
    j->done(j, j->err); /* j is its owner's again */
}

static void on_done(void *ctx, int ready)
{
    worker_t *w = ctx;
    uint64_t n;
    jobs_t mine;
    job_t *j;
    if (read(w->fd, &n, sizeof n) != (ssize_t)sizeof n) return;
    pthread_mutex_lock(&w->lock);
    mine = w->done;
    w->done = (jobs_t){NULL, NULL};
    pthread_mutex_unlock(&w->lock);
    while ((j = pop(&mine))) give(w, j);
}

/* Signals are the loop's: threads take none. */
static bool start_threads(worker_t *w)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attr)) return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (w->threads < w->conf.threads && !pthread_create(&w->thread[w->threads], &attr, work, w)) w->threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return w->threads > 0;
}

worker_t *worker_open(loop_t *l, metrics_t *m, const worker_conf_t *c)
{
    worker_t *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->l = l;
    w->conf = *c;
    if (w->conf.threads > THREADS_MAX) w->conf.threads = THREADS_MAX;
    w->g_out = metrics_gauge(m, "xorj_worker_jobs", NULL, "Jobs of the worker threads, running and waiting");
    w->c_jobs = metrics_ctr(m, "xorj_worker_jobs_total", NULL, "Jobs given to the worker threads");
    w->c_full = metrics_ctr(m, "xorj_worker_refused_total", NULL, "Jobs refused because too many waited");
    XASSERT(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->more, NULL) == 0);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd >= 0) w->watch = watch_new(l, w->fd, on_done, w);
    if (w->watch) watch_set(w->watch, WATCH_R);
    if (w->watch && start_threads(w)) return w;
    worker_close(w);
    return NULL;
}

xerr_t worker_submit(worker_t *w, job_t *j)
{
    pthread_mutex_lock(&w->lock);
    /* Counted from the loop's side: a thread that has not yet fetched its job makes no room. */
    bool full = w->closing || w->out >= w->threads + w->conf.waiting_max;
    if (!full) {
        j->err = XE_OK;
        push(&w->waiting, j);
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    if (full) {
        ctr_inc(w->c_full);
        return XE_FULL;
    }
    ctr_inc(w->c_jobs);
    gauge_set(w->g_out, ++w->out);
    return XE_OK;
}

bool worker_idle(const worker_t *w)
{
    return w->out == 0;
}

void worker_close(worker_t *w)
{
    job_t *j;
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    while (w->threads) pthread_join(w->thread[--w->threads], NULL);
    if (w->watch) watch_free(w->watch);
    if (w->fd >= 0) close(w->fd);
    while ((j = pop(&w->done))) give(w, j);
    while ((j = pop(&w->waiting))) {
        j->err = XE_CLOSED;
        give(w, j);
    }
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
