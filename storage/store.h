/* Storage as the rest of the program sees it: one handle over PostgreSQL (pg.c) and Redis (rds.c), and domain functions
 * in a file per subject. No SQL, no row index, no libpq or hiredis type in any header; no HTTP in any function.
 *
 * PostgreSQL is the truth. Redis may vanish at any moment without a wrong answer. Every callback fires exactly once,
 * from the loop, never before the call that started it returned; a write's XE_OK means its COMMIT was acknowledged.
 * XE_DOWN: dependency away (answer 503). XE_FULL: queue bound reached (503). XE_TIMEOUT: deadline (503/504). */
#ifndef XORJ_STORAGE_STORE_H
#define XORJ_STORAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/config.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"
#include "storage/bus.h"

typedef struct store store_t;

store_t *store_open(loop_t *l, metrics_t *m, const cfg_t *cfg); /* starts connecting; never blocks */
bool store_idle(const store_t *s); /* nothing queued and nothing in flight */
void store_close(store_t *s);      /* pending callbacks end with XE_CLOSED first */

typedef struct {
    bool pg_up, pg_writable; /* writable: writer connected, schema in step, durability settings on */
    bool redis_up;
    int64_t pg_since_us, redis_since_us; /* wall time of the last change */
    unsigned pg_in_use, pg_idle, pg_waiting;
    int schema_version, schema_wanted;
    const char *pg_why, *redis_why; /* short reason while down, fit for an operator */
} store_health_t;
void store_health(const store_t *s, store_health_t *out);
bus_t *store_bus(const store_t *s); /* changes made by other processes */
/* SELECT 1 through a reader: its round trip in microseconds. */
void store_ping(store_t *s, void (*cb)(void *ctx, xerr_t err, int64_t us), void *ctx);

/* Who caused a write, for the audit row. Borrowed until the call returns. */
typedef struct {
    const char *actor, *role; /* wallet or user name; "wallet", "operator", ... */
    const char *request_id, *source_ip;
    const char *name; /* a UUID that is good for one change: asked again with it, the first answer is given and nothing is
                         done. NULL: a new one is made. From idem.h */
} who_t;

#endif
