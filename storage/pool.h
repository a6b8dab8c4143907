/* The pipelined readers, and every statement that is not a bot change: sent to the least busy link, or queued within a
 * bound and a deadline. Internal to storage/.
 *
 * A lost connection repeats a statement once when it may be repeated, else it ends with XE_DOWN. While every link is
 * down, queries wait for a short grace (one backend may just be coming back) and then fail at once. */
#ifndef XORJ_STORAGE_POOL_H
#define XORJ_STORAGE_POOL_H

#include "storage/pg.h"
#include "storage/soon.h"

#define DOWN_GRACE_MS 700 /* how long a request may wait for a link that is away */

typedef struct pool pool_t;

typedef struct {
    pg_conf_t link;
    unsigned links, queue_max;
    ctr_t *timeouts, *full;
} pool_conf_t;

typedef struct {
    void (*up)(void *ctx);
    void (*down)(void *ctx, bool silent);
    void *ctx;
} pool_hooks_t;

pool_t *pool_open(loop_t *l, const pool_conf_t *c, pg_metrics_t *m, soons_t *soons, pool_hooks_t h);
void pool_close(pool_t *p); /* pending callbacks end with XE_CLOSED first */
bool pool_up(const pool_t *p);
bool pool_idle(const pool_t *p);
void pool_counts(const pool_t *p, unsigned *in_use, unsigned *idle, unsigned *waiting);
const pg_info_t *pool_info(const pool_t *p);
void pool_retry_now(pool_t *p);
void pool_break(pool_t *p);

/* repeat: harmless when done twice. */
void pool_query(pool_t *p, sql_t stmt, const char *const *params, unsigned deadline_ms, bool repeat, pg_cb cb, void *ctx);

#endif
