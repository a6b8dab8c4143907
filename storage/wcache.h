/* What wallets ask about themselves, read through memory: plain bytes by (what, wallet, which), one load per key, each entry
 * good for cache.user_ttl_ms. Every wallet has an epoch that a change moves on: what was loaded in an earlier one is no hit
 * any more, nor is a load kept that a change overtook. It stays as a last resort, called stale, while PostgreSQL is away.
 * Internal to storage/. */
#ifndef XORJ_STORAGE_WCACHE_H
#define XORJ_STORAGE_WCACHE_H

#include "storage/pg.h"
#include "storage/store.h"

typedef struct wcache wcache_t;

wcache_t *wcache_new(store_t *s, metrics_t *m);
void wcache_free(wcache_t *w); /* no load may be on its way */
bool wcache_idle(const wcache_t *w);

typedef struct {
    const void *val; /* borrowed until the callback returns, or the end of the turn after a peek */
    size_t n;
    bool stale;
    int64_t age_ms;
} whit_t;
typedef void (*whit_cb)(void *ctx, xerr_t err, const whit_t *hit); /* hit NULL on error */

/* Rows to bytes. */
typedef xerr_t (*wload_fn)(span_t wallet, const pg_rows_t *rows, buf_t *out);

typedef struct {
    const char *what;  /* static: "settings" */
    span_t wallet;
    const char *which; /* "" or what tells apart the entries of one wallet */
    bool uncached;     /* straight from PostgreSQL, and not kept */
    sql_t stmt;
    const char *const *params;
    wload_fn load;
} wask_t;

bool wcache_peek(store_t *s, const wask_t *q, whit_t *out); /* a fresh hit, without a callback */
void wcache_get(store_t *s, const wask_t *q, whit_cb cb, void *ctx);
void wcache_moved(store_t *s, span_t wallet); /* something of this wallet changed */
void wcache_moved_all(store_t *s);

#endif
