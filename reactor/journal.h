/* A record of what the outside world said, kept beside the work and never in its way: the loop copies a message into a
 * block of memory (a large one changes hands without a copy), a thread compresses the block and writes it.
 *
 * Bounded in memory (queue_bytes: beyond, frames are dropped, counted, and their absence is itself recorded) and on disk
 * (bytes_max: the oldest files go). A disk that refuses costs frames and raises a counter; work goes on and recording
 * resumes by itself. After a crash everything up to the last whole block can be read; a block leaves memory when it is
 * full or flush_ms old. The format is that of reactor/jblock.h, read by reactor/jread.h.
 *
 * A channel is one link of a connector through all its connections. NULL channels are fine everywhere: nothing is kept. */
#ifndef XORJ_REACTOR_JOURNAL_H
#define XORJ_REACTOR_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct journal journal_t;
typedef struct jchan jchan_t;

#define JOURNAL_CHANNELS_MAX 64
#define JOURNAL_GIVE_MIN 65536 /* shorter texts are copied by journal_give too */

typedef struct {
    const char *dir;
    int64_t bytes_max;
    size_t queue_bytes;
    unsigned flush_ms;
} journal_conf_t;

/* NULL: *why says so (the directory is not writable, another process records there). */
journal_t *journal_open(loop_t *l, metrics_t *m, const journal_conf_t *c, const char **why);
void journal_flush(journal_t *j);            /* what waits in memory goes to the thread now */
bool journal_idle(const journal_t *j);       /* the thread has nothing left to write */
/* Flushes and waits at most wait_ms for the thread; XE_TIMEOUT: the rest is lost, said in the log. Channels are gone. */
xerr_t journal_close(journal_t *j, unsigned wait_ms);

/* venue and protocol are literals or outlive the journal. NULL when j is NULL or the channels are used up. */
jchan_t *journal_chan(journal_t *j, const char *venue, const char *protocol);
void jchan_open(jchan_t *c);                                                         /* a new connection */
void jchan_frame(jchan_t *c, span_t text, int64_t recv_ns, int64_t recv_wall_us);    /* copies */
void jchan_give(jchan_t *c, char *text, size_t n, int64_t recv_ns, int64_t recv_wall_us); /* takes a malloc'd text over, also when c is NULL */
void jchan_sent(jchan_t *c, span_t text);
void jchan_close(jchan_t *c, const char *why);

#endif
