/* Group commit of bot changes. Internal to storage/; bots.h is the door.
 *
 * Two lanes, one connection each. The fast lane sends everything that waits (at most batch_max requests) as one statement
 * as soon as the previous one has returned, at the end of that turn of the loop: no timer gathers. One more batch is sent
 * ahead when nobody else is likely to join it. Several changes of a wallet in a batch touch its row once; the last wins,
 * each gets its own version, audit row and answer.
 *
 *   lock_timeout   the batch rolled back whole; a probe finds the locked wallets, they and their later requests move to
 *                  the slow lane (one wallet at a time, long lock_timeout), the rest goes out again as a batch. A wallet
 *                  leaves the slow lane when nothing of it waits there, so its requests keep their order.
 *   other error    one by one, so that a bad request answers for itself only.
 *   link lost      outcome unknown: one by one on the next connection, once, with the name of the batch it was in: when
 *                  that was committed the first answer is given again, else that batch can never be committed any more. XE_DOWN when no connection
 *                  comes in time.
 *   conditional    if_version >= 0, or named (who->name): its own statement, at most one per wallet in flight. A change
 *                  whose name was used answers as the first time.
 *
 * Bounded by queue_max (XE_FULL). Past the deadline a request answers XE_TIMEOUT; if it was on its way by then its row may
 * still be committed. While the connection is away for longer than a grace everything answers XE_DOWN at once. */
#ifndef XORJ_STORAGE_WRITER_H
#define XORJ_STORAGE_WRITER_H

#include "storage/bots.h"
#include "storage/pg.h"
#include "storage/soon.h"

typedef struct writer writer_t;

typedef struct {
    pg_conf_t fast, slow;
    unsigned batch_max, queue_max, deadline_ms;
} writer_conf_t;

typedef struct {
    void (*up)(void *ctx);
    void (*down)(void *ctx, bool silent);
    void *ctx;
} writer_hooks_t;

writer_t *writer_open(loop_t *l, const writer_conf_t *c, metrics_t *m, pg_metrics_t *pm, soons_t *soons, writer_hooks_t h);
void writer_close(writer_t *w); /* pending callbacks end with XE_CLOSED first */
bool writer_up(const writer_t *w);
bool writer_idle(const writer_t *w);
void writer_counts(const writer_t *w, unsigned *in_use, unsigned *idle, unsigned *waiting);
const pg_info_t *writer_info(const writer_t *w);
void writer_retry_now(writer_t *w);
void writer_break(writer_t *w);

void writer_set(writer_t *w, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx);

#endif
