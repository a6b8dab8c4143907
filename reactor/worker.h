/* Work that may not run on the loop because it computes long (password hashes): a few threads, a bounded queue, answers
 * from the loop.
 *
 * A job is run on a thread of its own kind, at a lower priority than the loop; it must touch nothing but what it owns.
 * `done` fires exactly once, from the loop, never before worker_submit returned: XE_OK after `run` ended, XE_CLOSED when
 * the pool is closed before it began. When the queue is full worker_submit refuses: who asks says so to the client. */
#ifndef XORJ_REACTOR_WORKER_H
#define XORJ_REACTOR_WORKER_H

#include "base/err.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct worker worker_t;

typedef struct {
    unsigned threads, waiting_max;
    unsigned nice; /* of each thread; 0: as the loop */
} worker_conf_t;

/* Embedded first in what the job works on; the caller's again when done fires. */
typedef struct job job_t;
struct job {
    job_t *next;
    void (*run)(job_t *j);              /* on a thread */
    void (*done)(job_t *j, xerr_t err); /* on the loop */
    xerr_t err;
};

worker_t *worker_open(loop_t *l, metrics_t *m, const worker_conf_t *c); /* NULL: no threads or descriptors to be had */
xerr_t worker_submit(worker_t *w, job_t *j);                            /* XE_FULL: as many wait as may, or closing; done never fires */
bool worker_idle(const worker_t *w);
/* Waits for what runs (a job is bounded), ends what waits with XE_CLOSED, and frees. From the loop's thread. */
void worker_close(worker_t *w);

#endif
