/* The event loop: one libevent base, cached time, timers, descriptor watches, and deferred frees.
 *
 * app/ runs the turn: loop_poll (time, sockets, timers) -> its own steps -> loop_end_turn (deferred frees, lag figures).
 * Single-threaded: every function is called from the loop's thread, except loop_post_from_thread.
 * libevent types never leave reactor/. Callbacks never run before the call that armed them has returned. */
#ifndef XORJ_REACTOR_LOOP_H
#define XORJ_REACTOR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "reactor/metrics.h"

typedef struct loop loop_t;
typedef struct ltimer ltimer_t;
typedef struct watch watch_t;
typedef void (*loop_fn)(void *ctx);

loop_t *loop_new(metrics_t *m); /* NULL when the base cannot be made */
void loop_free(loop_t *l);

int64_t loop_now_ns(const loop_t *l);  /* monotonic, cached at the start of the turn */
int64_t loop_wall_us(const loop_t *l); /* microseconds since 1970 UTC, cached likewise */
int64_t mono_ns(void);                 /* monotonic, read now */
int64_t wall_us(void);                 /* wall clock, read now */

/* Waits for at most max_wait_ms (-1: until something happens) and runs what is due. false once loop_stop was called. */
bool loop_poll(loop_t *l, int max_wait_ms);
void loop_end_turn(loop_t *l);  /* runs deferred frees, records the length of the turn */
void loop_stop(loop_t *l);      /* loop_poll returns false from now on */
void loop_wake(loop_t *l);      /* the next loop_poll does not sleep */

/* fn(obj) at the end of this turn: the only way an object that owns a socket dies. Order of calls is kept. */
void loop_defer(loop_t *l, loop_fn fn, void *obj);

/* fn(ctx) as its own step on a later turn, behind socket events: for work cut into slices. */
void loop_later(loop_t *l, loop_fn fn, void *ctx);

/* From any thread: fn(ctx) runs on the loop's thread soon. */
void loop_post_from_thread(loop_t *l, loop_fn fn, void *ctx);

/* One-shot timer, owned by the caller; re-arming moves it. Milliseconds on the monotonic clock. Freeing stops it. */
ltimer_t *ltimer_new(loop_t *l, loop_fn fn, void *ctx);
void ltimer_arm(ltimer_t *t, int64_t ms);
void ltimer_stop(ltimer_t *t);
bool ltimer_armed(const ltimer_t *t);
void ltimer_free(ltimer_t *t);

enum { WATCH_R = 1, WATCH_W = 2 };
/* Watches a descriptor it does not own. The callback gets the ready subset of WATCH_R|WATCH_W. Level triggered. */
watch_t *watch_new(loop_t *l, int fd, void (*fn)(void *ctx, int ready), void *ctx);
void watch_set(watch_t *w, int want); /* 0: pause */
void watch_free(watch_t *w);          /* safe inside its own callback (freed at the end of the turn) */

/* SIGTERM/SIGINT/SIGHUP as loop events: fn runs on the loop, outside the signal handler. */
void loop_on_signal(loop_t *l, int signo, void (*fn)(void *ctx, int signo), void *ctx);

#endif
