/* One link to Redis over hiredis, kept up by itself. Redis is an accelerator: whoever asks must be content with no answer.
 *
 * Every command has its own deadline. Replies are positional, so a missed deadline gives the link up: all that was in
 * flight ends with XE_CLOSED and the next connection starts clean. hiredis types stay in rds.c. Internal to storage/. */
#ifndef XORJ_STORAGE_RDS_H
#define XORJ_STORAGE_RDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct rds rds_t;

typedef struct {
    const char *url; /* redis://[[user]:password@]host[:port][/db], unix:///path[?db=N]; numeric host or localhost */
    unsigned command_ms, connect_ms, backoff_min_ms, backoff_max_ms, inflight_max;
} rds_conf_t;

typedef struct {
    void (*up)(void *ctx);
    void (*down)(void *ctx);
    void *ctx;
} rds_hooks_t;

rds_t *rds_open(loop_t *l, metrics_t *m, const rds_conf_t *c, rds_hooks_t h);
void rds_close(rds_t *r); /* pending callbacks end with XE_CLOSED; the object goes at the end of the turn */
bool rds_up(const rds_t *r);
const char *rds_why(const rds_t *r); /* static text, "" while up */

/* XE_OK with the value of a string or status; XE_NOT_FOUND for nil; XE_INTERNAL for an error or another type;
 * XE_CLOSED when the link went. value is borrowed until it returns. */
typedef void (*rds_cb)(void *ctx, xerr_t err, span_t value);
/* false: the link is down or full, and the callback will not come. cb may be NULL. */
bool rds_send(rds_t *r, unsigned argc, const span_t *argv, rds_cb cb, void *ctx);

#endif
