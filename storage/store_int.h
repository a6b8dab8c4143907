/* The inside of store_t, shared by the files of storage/ only. */
#ifndef XORJ_STORAGE_STORE_INT_H
#define XORJ_STORAGE_STORE_INT_H

#include "storage/bus_int.h"
#include "storage/cache.h"
#include "storage/flight.h"
#include "storage/opps.h"
#include "storage/perf.h"
#include "storage/pool.h"
#include "storage/rds.h"
#include "storage/settings.h"
#include "storage/soon.h"
#include "storage/store.h"
#include "storage/touch.h"
#include "storage/wcache.h"
#include "storage/writer.h"

typedef struct oppq oppq_t;
typedef struct rates rates_t;

struct store {
    loop_t *l;
    const cfg_t *cfg;
    bool closing;
    pg_metrics_t pgm;
    soons_t *soons;
    pool_t *pool;
    writer_t *writer;
    pg_t *house;
    bus_t *bus;
    rds_t *rds; /* NULL when switched off */
    cache_t *sessions, *perf, *key_uses;
    flights_t *session_loads, *perf_loads;
    oppq_t *opps;
    touches_t *touches;
    rates_t *rates;
    struct audit_walk *audit;
    wcache_t *mine;    /* settings and trades of wallets */
    settings_t peeked; /* what settings_peek lent last */
    uint64_t asked;
    uint8_t mac_key[32]; /* of what Redis keeps for us */
    bool mirror_ok;      /* revocations known to PostgreSQL have been taken out of Redis since its link came up */
    int64_t swept_us;    /* revocations up to here are known */
    unsigned mirror_dels; /* deletions of a full sweep still unanswered */
    bool mirror_all;      /* the full sweep has been read to its end */
    int64_t perf_floor_us; /* older values of Redis are not believed: an invalidation did not reach it */
    perf_encode_fn perf_enc; /* the encoder last used, for refreshing ahead */
    ltimer_t *beat;
    unsigned beats;
    bool beat_out, sweep_out, sweep_full;
    bool desk, orphans_ended; /* desk: this process finds opportunities */
    int64_t started_us;
    bool was_up, was_redis;
    int64_t pg_since_us, redis_since_us;
    struct {
        gauge_t *in_use, *idle, *waiting, *up, *writable, *redis_up;
        ctr_t *perf_mem, *perf_redis, *perf_load, *perf_stale, *garbled;
        ctr_t *session_mem, *session_load, *session_mirror, *session_old;
        ctr_t *revoked_seen;
    } m;
};

/* What Redis keeps: body, then the hex of an HMAC over key and body. A value that fails is worth a miss. */
void store_seal(store_t *s, span_t key, buf_t *value);
bool store_unseal(store_t *s, span_t key, span_t value, span_t *body);

void store_name(const who_t *who, char out[37]); /* of a change: the one it was given, else a new one */
bool store_pg_away(xerr_t err);                /* of these the caller may fall back to what it remembers */

void users_forget(store_t *s, span_t jti);   /* a revocation became known */
struct audit_walk *audit_walk_new(store_t *s);
void audit_walk_free(struct audit_walk *w); /* nothing of it is in flight any more */
void users_ended(store_t *s, span_t jti);    /* this process committed one: out of the mirror as well */
void users_reload(store_t *s, span_t jti);   /* what is remembered of it is out of date */
rates_t *rates_new(void);
void rates_free(rates_t *r);
void rates_forget(store_t *s);                /* Redis is another one, or empty */
oppq_t *oppq_new(store_t *s, metrics_t *m);
void oppq_kick(store_t *s);                  /* the housekeeping link is up, or a beat */
bool oppq_idle(const store_t *s);
void oppq_free(oppq_t *q);

#endif
