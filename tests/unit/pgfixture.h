/* Throw-away PostgreSQL and Redis for the tests of storage: own directory, unix sockets only, stopped by pid. Every wait
 * is bounded; a server that cannot be started fails the test with its log. */
#ifndef XORJ_TESTS_PGFIXTURE_H
#define XORJ_TESTS_PGFIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

#include "reactor/config.h"
#include "reactor/loop.h"
#include "storage/migrate.h"
#include "storage/store.h"

typedef struct fx {
    char dir[64];
    char proxy_dir[80]; /* "" without a proxy */
    pid_t pg, redis;
    cfg_t cfg;
    metrics_t *m;
    loop_t *l;
    store_t *s;
} fx_t;

/* Directory, initdb, PostgreSQL and Redis up, configuration loaded with `env` ("XORJ_..=..", NULL-terminated, may be NULL).
 * Nothing migrated, no store yet. */
void fx_open(fx_t *f, const char *const *env);
void fx_close(fx_t *f); /* store, servers, directory */

void fx_migrate(fx_t *f);
xerr_t fx_migrate_mode(fx_t *f, migrate_mode_t mode); /* its lines go nowhere */
void fx_store(fx_t *f); /* loop, metrics, store; returns when it is writable and Redis is up */
void fx_store_close(fx_t *f);
/* Turns until cond(ctx) or ms passed; what cond said last. cond NULL: the whole time. */
bool fx_turns(fx_t *f, bool (*cond)(void *ctx), void *ctx, int ms);

void fx_pg_start(fx_t *f);
void fx_pg_kill(fx_t *f, int sig); /* SIGKILL, SIGINT: waits for its end; SIGSTOP, SIGCONT: the whole family */
void fx_redis_start(fx_t *f);
void fx_redis_kill(fx_t *f, int sig);

/* Blocking statements on a connection of its own, for looking and for harm. The text of the first field, static. */
const char *fx_sql(fx_t *f, const char *sql);
long long fx_num(fx_t *f, const char *sql);
/* A second session that stays open, for holding locks: slot 0 to 3. */
void fx_hold(fx_t *f, int slot, const char *sql);
void fx_release(fx_t *f, int slot);

/* A proxy in front of PostgreSQL, on a thread. cut: the next answer that holds `after` bytes or more is thrown away and
 * its connection closed: the statement was done, nobody hears of it. Returns the number of cuts so far. */
void fx_proxy(fx_t *f);
void fx_proxy_cut(bool on);
int fx_proxy_cuts(void);
void fx_proxy_stop(void);

/* Deterministic wallet address number i. */
void fx_wallet(unsigned i, char out[48]);

#endif
