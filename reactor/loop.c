#include "reactor/loop.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reactor/log.h"
#include "reactor/loop_internal.h"

#define BUDGET_NS 10000000 /* one callback, one turn */
#define TICK_MS 100
#define EARLY_NS 200000 /* a timer this close to its time may run */
#define SIGNALS_MAX 8
#define FD_SLICE 512

typedef struct {
    loop_fn fn;
    void *ctx;
} call_t;

/* Calls in order; a ring that grows and never shrinks. */
typedef struct {
    call_t *at;
    size_t head, n, cap;
} calls_t;

typedef struct {
    loop_t *l;
    struct event *ev;
    void (*fn)(void *ctx, int signo);
    void *ctx;
} signal_t;

struct loop {
    struct event_base *base;
    struct event max_wait, posted;
    int64_t max_wait_due; /* 0: not armed */
    int64_t now, wall;
    bool fresh; /* now and wall belong to this turn */
    bool stopped, wake;
    calls_t defers, laters;
    pthread_mutex_t lock; /* guards posts */
    calls_t posts;
    int post_fd;
    signal_t sigs[SIGNALS_MAX];
    unsigned nsigs;
    int64_t armed, watches;
    ltimer_t *tick;
    DIR *fds; /* the count of open descriptors under way */
    unsigned fds_seen, fds_wait;
    hist_t *h_turn, *h_lag;
    ctr_t *c_turns, *c_over_cb, *c_over_turn, *c_posts;
    gauge_t *g_timers, *g_watches, *g_events, *g_fds, *g_later;
};

struct ltimer {
    loop_t *l;
    struct event ev;
    int64_t due; /* 0: not armed */
    loop_fn fn;
    void *ctx;
};

struct watch {
    loop_t *l;
    struct event r, w;
    int want;
    void (*fn)(void *ctx, int ready);
    void *ctx;
};

int64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t wall_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* libevent has no hook between waking up and the first callback, so the first one to ask sets the time of the turn. */
static int64_t touch(loop_t *l)
{
    if (!l->fresh) {
        l->now = mono_ns();
        l->wall = wall_us();
        l->fresh = true;
    }
    return l->now;
}

int64_t loop_now_ns(const loop_t *l)
{
    return touch((loop_t *)(uintptr_t)l);
}

int64_t loop_wall_us(const loop_t *l)
{
    touch((loop_t *)(uintptr_t)l);
    return l->wall;
}

struct event_base *loop_base(loop_t *l)
{
    return l->base;
}

static void calls_push(calls_t *q, loop_fn fn, void *ctx)
{
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 64;
        call_t *at = malloc(cap * sizeof *at);
        XASSERT(at);
        for (size_t i = 0; i < q->n; i++) at[i] = q->at[(q->head + i) % q->cap];
        free(q->at);
        q->at = at;
        q->head = 0;
        q->cap = cap;
    }
    q->at[(q->head + q->n++) % q->cap] = (call_t){fn, ctx};
}

static bool calls_pop(calls_t *q, call_t *out)
{
    if (!q->n) return false;
    *out = q->at[q->head];
    q->head = (q->head + 1) % q->cap;
    q->n--;
    return true;
}

static void judge(loop_t *l, int64_t started)
{
    if (mono_ns() - started > BUDGET_NS) ctr_inc(l->c_over_cb);
}

static void run_call(loop_t *l, call_t c)
{
    int64_t started = mono_ns();
    c.fn(c.ctx);
    judge(l, started);
}

static void on_max_wait(evutil_socket_t fd, short what, void *ctx)
{
    loop_t *l = ctx;
    l->max_wait_due = 0;
}

static void on_posted(evutil_socket_t fd, short what, void *ctx)
{
    loop_t *l = ctx;
    calls_t mine;
    call_t c;
    uint64_t n;
    touch(l);
    if (read(fd, &n, sizeof n) != (ssize_t)sizeof n) return;
    pthread_mutex_lock(&l->lock);
    mine = l->posts;
    l->posts = (calls_t){0};
    pthread_mutex_unlock(&l->lock);
    ctr_add(l->c_posts, mine.n);
    while (calls_pop(&mine, &c)) run_call(l, c);
    free(mine.at);
}

/* Kernels since 6.2 know the number; older ones list descriptors one by one, so many are counted over several ticks. */
static void count_fds(loop_t *l)
{
    struct stat st;
    if (!l->fds) {
        if (l->fds_wait && l->fds_wait--) return;
        if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0) {
            l->fds_wait = 10;
            gauge_set(l->g_fds, (double)st.st_size);
            return;
        }
        l->fds = opendir("/proc/self/fd");
        l->fds_seen = 0;
        if (!l->fds) return;
    }
    for (unsigned i = 0; i < FD_SLICE; i++) {
        const struct dirent *e = readdir(l->fds);
        if (e) {
            l->fds_seen += e->d_name[0] != '.';
            continue;
        }
        closedir(l->fds);
        l->fds = NULL;
        l->fds_wait = 20;
        gauge_set(l->g_fds, (double)l->fds_seen - 1); /* not the one that reads the list */
        return;
    }
}

static void on_tick(void *ctx)
{
    loop_t *l = ctx;
    gauge_set(l->g_timers, (double)l->armed);
    gauge_set(l->g_watches, (double)l->watches);
    gauge_set(l->g_events, event_base_get_num_events(l->base, EVENT_BASE_COUNT_ADDED));
    gauge_set(l->g_later, (double)l->laters.n);
    count_fds(l);
    ltimer_arm(l->tick, TICK_MS);
}

static void make_metrics(loop_t *l, metrics_t *m)
{
    l->h_turn =
        metrics_hist(m, "xorj_loop_turn_seconds", NULL, "One turn of the loop, from waking up to its end.", NULL, 0);
    l->h_lag = metrics_hist(m, "xorj_loop_lag_seconds", NULL, "How late timers ran.", NULL, 0);
    l->c_turns = metrics_ctr(m, "xorj_loop_turns_total", NULL, "Turns of the loop.");
    l->c_over_cb =
        metrics_ctr(m, "xorj_loop_over_budget_total", "what=\"callback\"", "Callbacks and turns longer than 10 ms.");
    l->c_over_turn =
        metrics_ctr(m, "xorj_loop_over_budget_total", "what=\"turn\"", "Callbacks and turns longer than 10 ms.");
    l->c_posts = metrics_ctr(m, "xorj_loop_posts_total", NULL, "Calls handed over by other threads.");
    l->g_timers = metrics_gauge(m, "xorj_loop_timers", NULL, "Timers armed.");
    l->g_watches = metrics_gauge(m, "xorj_loop_watches", NULL, "Descriptors watched for a library.");
    l->g_events = metrics_gauge(m, "xorj_loop_events", NULL, "Events the loop waits for, sockets and timers.");
    l->g_fds = metrics_gauge(m, "process_open_fds", NULL, "Open descriptors of the process.");
    l->g_later = metrics_gauge(m, "xorj_loop_later", NULL, "Slices of work waiting for their turn.");
}

loop_t *loop_new(metrics_t *m)
{
    loop_t *l = calloc(1, sizeof *l);
    XASSERT(l);
    signal(SIGPIPE, SIG_IGN);
    l->base = event_base_new();
    l->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!l->base || l->post_fd < 0) {
        if (l->base) event_base_free(l->base);
        if (l->post_fd >= 0) close(l->post_fd);
        free(l);
        return NULL;
    }
    XASSERT(pthread_mutex_init(&l->lock, NULL) == 0);
    make_metrics(l, m);
    event_assign(&l->max_wait, l->base, -1, 0, on_max_wait, l);
    event_assign(&l->posted, l->base, l->post_fd, EV_READ | EV_PERSIST, on_posted, l);
    XASSERT(event_add(&l->posted, NULL) == 0);
    l->tick = ltimer_new(l, on_tick, l);
    ltimer_arm(l->tick, TICK_MS);
    return l;
}

static void run_defers(loop_t *l)
{
    call_t c;
    while (calls_pop(&l->defers, &c)) run_call(l, c);
}

void loop_free(loop_t *l)
{
    if (!l) return;
    run_defers(l);
    ltimer_free(l->tick);
    for (unsigned i = 0; i < l->nsigs; i++) event_free(l->sigs[i].ev);
    event_del(&l->max_wait);
    event_del(&l->posted);
    if (l->fds) closedir(l->fds);
    close(l->post_fd);
    /* Connections freed just now may be held by callbacks that the library has put off: those run, or they would leak. */
    event_base_loop(l->base, EVLOOP_NONBLOCK);
    event_base_free(l->base);
    pthread_mutex_destroy(&l->lock);
    free(l->posts.at);
    free(l->laters.at);
    free(l->defers.at);
    free(l);
}

/* An armed timer that fires sooner than asked is as good: a caller with a fixed wait arms it about once a second. */
static void bound_wait(loop_t *l, int max_wait_ms)
{
    int64_t due = mono_ns() + (int64_t)max_wait_ms * 1000000;
    if (l->max_wait_due && l->max_wait_due <= due) return;
    struct timeval tv = loop_tv(max_wait_ms);
    XASSERT(event_add(&l->max_wait, &tv) == 0);
    l->max_wait_due = due;
}

bool loop_poll(loop_t *l, int max_wait_ms)
{
    if (l->stopped) return false;
    bool sleep = max_wait_ms != 0 && !l->wake && !l->laters.n;
    if (sleep && max_wait_ms > 0) bound_wait(l, max_wait_ms);
    l->wake = false;
    l->fresh = false;
    event_base_loop(l->base, EVLOOP_ONCE | (sleep ? 0 : EVLOOP_NONBLOCK));
    touch(l);
    call_t c;
    if (calls_pop(&l->laters, &c)) run_call(l, c);
    return !l->stopped;
}

void loop_end_turn(loop_t *l)
{
    run_defers(l);
    int64_t took = mono_ns() - touch(l);
    hist_add(l->h_turn, (double)took * 1e-9);
    ctr_inc(l->c_turns);
    if (took > BUDGET_NS) ctr_inc(l->c_over_turn);
}

void loop_stop(loop_t *l)
{
    l->stopped = true;
}

void loop_wake(loop_t *l)
{
    l->wake = true;
}

void loop_defer(loop_t *l, loop_fn fn, void *obj)
{
    calls_push(&l->defers, fn, obj);
}

void loop_later(loop_t *l, loop_fn fn, void *ctx)
{
    calls_push(&l->laters, fn, ctx);
}

void loop_post_from_thread(loop_t *l, loop_fn fn, void *ctx)
{
    uint64_t one = 1;
    pthread_mutex_lock(&l->lock);
    calls_push(&l->posts, fn, ctx);
    pthread_mutex_unlock(&l->lock);
    /* A full counter is still readable, so a failed write loses no wake-up. */
    ssize_t n = write(l->post_fd, &one, sizeof one);
    (void)n;
}

static void timer_add(ltimer_t *t, int64_t ns)
{
    struct timeval tv = loop_tv((ns + 999999) / 1000000);
    XASSERT(event_add(&t->ev, &tv) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    ltimer_t *t = ctx;
    loop_t *l = t->l;
    touch(l);
    /* libevent reads the coarse clock, which may run ahead of us by a tick of the kernel: a timer is never early. */
    int64_t started = mono_ns(), late = started - t->due;
    if (late < -EARLY_NS) {
        timer_add(t, -late);
        return;
    }
    hist_add(l->h_lag, late > 0 ? (double)late * 1e-9 : 0);
    t->due = 0;
    l->armed--;
    t->fn(t->ctx); /* may free t */
    judge(l, started);
}

ltimer_t *ltimer_new(loop_t *l, loop_fn fn, void *ctx)
{
    ltimer_t *t = calloc(1, sizeof *t);
    XASSERT(t);
    *t = (ltimer_t){.l = l, .fn = fn, .ctx = ctx};
    event_assign(&t->ev, l->base, -1, 0, on_timer, t);
    return t;
}

void ltimer_arm(ltimer_t *t, int64_t ms)
{
    if (ms < 0) ms = 0;
    if (!t->due) t->l->armed++;
    t->due = mono_ns() + ms * 1000000;
    timer_add(t, ms * 1000000);
}

void ltimer_stop(ltimer_t *t)
{
    if (!t->due) return;
    t->due = 0;
    t->l->armed--;
    event_del(&t->ev);
}

bool ltimer_armed(const ltimer_t *t)
{
    return t->due != 0;
}

void ltimer_free(ltimer_t *t)
{
    if (!t) return;
    ltimer_stop(t);
    free(t);
}

static void on_ready(evutil_socket_t fd, short what, void *ctx)
{
    watch_t *w = ctx;
    loop_t *l = w->l;
    int ready = ((what & EV_READ) ? WATCH_R : 0) | ((what & EV_WRITE) ? WATCH_W : 0);
    touch(l);
    if (!(ready & w->want)) return;
    int64_t started = mono_ns();
    w->fn(w->ctx, ready & w->want);
    judge(l, started);
}

/* Two events, so that switching one direction is one change of the epoll entry. */
watch_t *watch_new(loop_t *l, int fd, void (*fn)(void *ctx, int ready), void *ctx)
{
    watch_t *w = calloc(1, sizeof *w);
    XASSERT(w);
    *w = (watch_t){.l = l, .fn = fn, .ctx = ctx};
    event_assign(&w->r, l->base, fd, EV_READ | EV_PERSIST, on_ready, w);
    event_assign(&w->w, l->base, fd, EV_WRITE | EV_PERSIST, on_ready, w);
    l->watches++;
    return w;
}

static void want_one(struct event *ev, int bit, int before, int want)
{
    if ((before ^ want) & bit) {
        int rc = want & bit ? event_add(ev, NULL) : event_del(ev);
        if (rc) log_error("loop", "-", "descriptor cannot be watched fd=%d", (int)event_get_fd(ev));
    }
}

void watch_set(watch_t *w, int want)
{
    want_one(&w->r, WATCH_R, w->want, want);
    want_one(&w->w, WATCH_W, w->want, want);
    w->want = want;
}

void watch_free(watch_t *w)
{
    if (!w) return;
    watch_set(w, 0);
    w->l->watches--;
    loop_defer(w->l, free, w);
}

static void on_signal(evutil_socket_t signo, short what, void *ctx)
{
    const signal_t *s = ctx;
    touch(s->l);
    s->fn(s->ctx, (int)signo);
}

void loop_on_signal(loop_t *l, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
    XASSERT(l->nsigs < SIGNALS_MAX);
    signal_t *s = &l->sigs[l->nsigs++];
    *s = (signal_t){.l = l, .fn = fn, .ctx = ctx, .ev = NULL};
    s->ev = evsignal_new(l->base, signo, on_signal, s);
    XASSERT(s->ev && event_add(s->ev, NULL) == 0);
}
