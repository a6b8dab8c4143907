/* One non-blocking link to PostgreSQL, kept up by itself: connect, check the server, prepare, serve, back off, again.
 *
 * Statements are prepared once per connection and pipelined, each its own transaction (a Sync behind each). Commands are
 * taken only while pg_up; each command's callback fires exactly once from the loop. A peer that owes an answer and stays
 * silent past silent_ms is given up. libpq's types stay in pg.c. Internal to storage/. */
#ifndef XORJ_STORAGE_PG_H
#define XORJ_STORAGE_PG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "reactor/config.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"
#include "storage/sql.h"

typedef struct pg pg_t;
typedef struct pg_rows pg_rows_t;

typedef struct {
    hist_t *query[SQL_N]; /* seconds, by statement */
    ctr_t *errors, *reconnects, *slow;
} pg_metrics_t;

typedef struct {
    const char *name;     /* "writer": static; for the log and application_name */
    const char *conninfo; /* keyword form, copied */
    unsigned lane;        /* which statements are prepared, SQL_LANE_* */
    unsigned lock_ms;     /* lock_timeout, 0: none */
    unsigned connect_ms, statement_ms, silent_ms, backoff_min_ms, backoff_max_ms;
    int schema_wanted;
    bool require_durable; /* a server that may lose commits is not used */
} pg_conf_t;

/* What the server said of itself when it was last asked. */
typedef struct {
    bool reached, durable;
    int schema_version;
    const char *why; /* static text, "" while up */
} pg_info_t;

typedef struct {
    void (*up)(void *ctx);
    void (*down)(void *ctx, bool silent); /* after every pending callback ended with XE_CLOSED */
    void *ctx;
} pg_hooks_t;

pg_t *pg_open(loop_t *l, const pg_conf_t *c, pg_metrics_t *m, pg_hooks_t h);
/* Notifications of channels this link listens to: payload borrowed until it returns, pid of the backend that sent it. Those
 * of commits before a statement of this link ran are told before that statement's callback. */
void pg_on_note(pg_t *p, void (*note)(void *ctx, span_t payload, int pid));
void pg_close(pg_t *p); /* pending callbacks end with XE_CLOSED now; the object goes at the end of the turn */
bool pg_up(const pg_t *p);
unsigned pg_inflight(const pg_t *p);
const pg_info_t *pg_info(const pg_t *p);
void pg_retry_now(pg_t *p); /* cuts a back-off short: somebody else got through */
void pg_break(pg_t *p);     /* gives the connection up from the loop: another link found the server silent */

/* XE_OK; XE_CLOSED: the link went, the outcome is unknown; XE_TIMEOUT: lock_timeout or statement_timeout; XE_CONFLICT:
 * unique key, deadlock or serialisation; XE_DOWN: the server is short of something; XE_INTERNAL: any other error.
 * rows is borrowed until the callback returns, NULL unless XE_OK. */
typedef void (*pg_cb)(void *ctx, xerr_t err, const pg_rows_t *rows);
/* Text parameters, NULL for SQL null; copied before it returns. Only while pg_up. */
void pg_send(pg_t *p, sql_t stmt, const char *const *params, pg_cb cb, void *ctx);
#define PG_ARRAYS_MAX 12
/* The same with binary arrays (storage/pgarr.h), one per parameter of the statement. */
void pg_send_arrays(pg_t *p, sql_t stmt, const buf_t *arrays, pg_cb cb, void *ctx);

unsigned pg_rows_n(const pg_rows_t *r);
bool pg_null(const pg_rows_t *r, unsigned row, unsigned col);
span_t pg_text(const pg_rows_t *r, unsigned row, unsigned col); /* also NUL-terminated */
int64_t pg_i64(const pg_rows_t *r, unsigned row, unsigned col); /* 0 for null */
bool pg_bool(const pg_rows_t *r, unsigned row, unsigned col);
void pg_copy(const pg_rows_t *r, unsigned row, unsigned col, char *out, size_t cap); /* cut to cap, "" for null */

/* Blocking sessions, for the command line and start-up only. Errors go to stderr with the server's own text. */
typedef struct pgb pgb_t;
pgb_t *pgb_open(const char *conninfo);
pgb_t *pgb_open_cfg(const cfg_t *cfg); /* to the configured database (migrate.c); NULL: said on stderr */
void pgb_close(pgb_t *b);
xerr_t pgb_exec(pgb_t *b, const char *sql); /* any number of statements */
/* One statement with text parameters; the rows are good until the next call. */
xerr_t pgb_query(pgb_t *b, const char *sql, unsigned n, const char *const *params, const pg_rows_t **rows);

#endif
