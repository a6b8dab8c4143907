#include "storage/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/log.h"
#include "storage/migrate.h"

#define BEAT_MS 1000
#define SESSIONS_MAX 65536
#define SESSIONS_BYTES (32u << 20)
#define PERF_BYTES (128u << 20)
#define KEY_USES_MAX 4096
#define REDIS_INFLIGHT 4096
#define REDIS_CONNECT_MS 1000
#define SWEEP_BEATS 5
#define SWEEP_MAX 10000 /* the statement's LIMIT */
#define PURGE_BEATS 600
#define SWEEP_OVERLAP_US 60000000 /* transactions that were still open at the last sweep */

static void on_beat(void *ctx);
static void sweep(store_t *s);

/* ---- what links tell ---- */

static void note_edges(store_t *s)
{
    bool up = pool_up(s->pool), redis = s->rds && rds_up(s->rds);
    if (up != s->was_up)
        s->pg_since_us = loop_wall_us(s->l);
    if (redis != s->was_redis)
        s->redis_since_us = loop_wall_us(s->l);
    s->was_up = up;
    s->was_redis = redis;
    gauge_set(s->m.up, up);
    gauge_set(s->m.writable, writer_up(s->writer));
    gauge_set(s->m.redis_up, redis);
}

static void on_pg_up(void *ctx)
{
    store_t *s = ctx;
    if (!s->bus)
        return;
    writer_retry_now(s->writer);
    pool_retry_now(s->pool);
    pg_retry_now(s->house);
    bus_retry_now(s->bus);
    note_edges(s);
}

static void on_pg_down(void *ctx, bool silent)
{
    store_t *s = ctx;
    if (s->closing || !s->bus)
        return;
    if (silent) {
        writer_break(s->writer);
        pool_break(s->pool);
        pg_break(s->house);
        bus_break(s->bus);
    }
    note_edges(s);
}

static void on_orphans(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    store_t *s = ctx;
    (void)rows;
    s->orphans_ended = !err; /* else with the next connection */
}

/* Opportunities that a desk before this one left open when it was killed. */
static void end_orphans(store_t *s)
{
    char before[32];
    if (s->orphans_ended || !s->desk)
        return;
    snprintf(before, sizeof before, "%lld", (long long)s->started_us);
    pg_send(s->house, SQL_OPP_ORPHANS, (const char *const[]){before}, on_orphans, s);
}

static void on_house_up(void *ctx)
{
    store_t *s = ctx;
    s->beat_out = s->sweep_out = false;
    on_pg_up(s);
    sweep(s);
    end_orphans(s);
    oppq_kick(s);
}

/* A revocation committed anywhere. An empty key: some may have been missed, but what memory holds is then not believed. */
static void on_session_word(void *ctx, span_t jti)
{
    store_t *s = ctx;
    if (jti.n) users_forget(s, jti);
}

/* Settings or user row, changed anywhere. */
static void on_wallet_word(void *ctx, span_t wallet)
{
    store_t *s = ctx;
    if (wallet.n) wcache_moved(s, wallet);
    else wcache_moved_all(s);
}

/* An operator changed his password: this session of his may do more now than memory says. */
static void on_operator_word(void *ctx, span_t jti)
{
    store_t *s = ctx;
    if (jti.n) users_reload(s, jti);
}

static void on_redis_up(void *ctx)
{
    store_t *s = ctx;
    s->mirror_ok = s->mirror_all = false;
    s->mirror_dels = 0;
    rates_forget(s);
    s->swept_us = 0; /* what was revoked while it was away is still in there */
    note_edges(s);
    sweep(s);
}

static void on_redis_down(void *ctx)
{
    store_t *s = ctx;
    s->mirror_ok = false;
    if (!s->closing)
        note_edges(s);
}

/* ---- housekeeping ---- */

static void mirror_settle(store_t *s)
{
    if (s->mirror_all && s->mirror_dels == 0 && s->rds && rds_up(s->rds))
        s->mirror_ok = true;
}

static void on_mirror_del(void *ctx, xerr_t err, span_t value)
{
    store_t *s = ctx;
    (void)value;
    if (err == XE_OK && s->mirror_dels > 0) {
        s->mirror_dels--;
        mirror_settle(s);
    }
}

static void on_swept(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    store_t *s = ctx;
    s->sweep_out = false;
    if (err || s->closing)
        return;
    unsigned n = pg_rows_n(rows);
    bool redis = s->rds && rds_up(s->rds), all = redis;
    for (unsigned i = 0; i < n; i++) {
        char key[64];
        span_t jti = pg_text(rows, i, 0);
        ctr_inc(s->m.revoked_seen);
        users_forget(s, jti);
        snprintf(key, sizeof key, "xorj:s:%.*s", (int)jti.n, jti.p);
        if (redis && rds_send(s->rds, 2, (span_t[]){SPAN_LIT("DEL"), span_of(key)}, on_mirror_del, s))
            s->mirror_dels++;
        else
            all = false;
    }
    if (!s->sweep_full && s->swept_us == 0)
        return; /* Redis came back while this sweep was out: a full one follows */
    if (n > 0)
        s->swept_us = pg_i64(rows, n - 1, 1) - (n < SWEEP_MAX ? SWEEP_OVERLAP_US : 0);
    if (s->mirror_ok || !redis)
        return;
    if (!all)
        s->swept_us = 0;
    s->mirror_all = all && n < SWEEP_MAX;
    mirror_settle(s);
}

/* Revocations that another process committed: out of memory and out of the mirror. */
static void sweep(store_t *s)
{
    char since[32];
    if (s->sweep_out || s->closing || !pg_up(s->house))
        return;
    snprintf(since, sizeof since, "%lld", (long long)(s->swept_us > 0 ? s->swept_us : 0));
    s->sweep_out = true;
    s->sweep_full = s->swept_us == 0;
    pg_send(s->house, SQL_SESSIONS_REVOKED, (const char *const[]){since}, on_swept, s);
}

static void on_pulse(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    store_t *s = ctx;
    (void)err;
    (void)rows;
    s->beat_out = false;
}

static void on_purged(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    (void)ctx;
    if (!err)
        log_debug("pg", "house", "purged nonces=%lld sessions=%lld", (long long)pg_i64(rows, 0, 0), (long long)pg_i64(rows, 0, 1));
}

/* A ping a second keeps an idle server watched: a frozen one is noticed within silent_ms without any traffic. */
static void on_beat(void *ctx)
{
    store_t *s = ctx;
    unsigned in_use = 0, idle = 0, waiting = 0;
    s->beats++;
    if (pg_up(s->house)) {
        if (!s->beat_out) {
            s->beat_out = true;
            pg_send(s->house, SQL_PING, NULL, on_pulse, s);
        }
        if (s->beats % SWEEP_BEATS == 0 || (s->rds && rds_up(s->rds) && !s->mirror_ok))
            sweep(s);
        if (s->beats % PURGE_BEATS == 0)
            pg_send(s->house, SQL_PURGE, NULL, on_purged, s);
        oppq_kick(s);
    }
    writer_counts(s->writer, &in_use, &idle, &waiting);
    bus_counts(s->bus, &in_use, &idle);
    pool_counts(s->pool, &in_use, &idle, &waiting);
    gauge_set(s->m.in_use, in_use);
    gauge_set(s->m.idle, idle);
    gauge_set(s->m.waiting, waiting);
    note_edges(s);
    ltimer_arm(s->beat, BEAT_MS);
}

/* ---- opening ---- */

static void store_metrics(store_t *s, metrics_t *m)
{
    for (unsigned i = 0; i < SQL_N; i++) {
        char label[64];
        snprintf(label, sizeof label, "statement=\"%s\"", sql_name((sql_t)i));
        s->pgm.query[i] = metrics_hist(m, "xorj_db_query_seconds", label, "Time from sending a statement to its answer", NULL, 0);
    }
    s->pgm.errors = metrics_ctr(m, "xorj_db_errors_total", NULL, "Statements that PostgreSQL answered with an error");
    s->pgm.reconnects = metrics_ctr(m, "xorj_db_reconnects_total", NULL, "Connections to PostgreSQL made again after a loss");
    s->pgm.slow = metrics_ctr(m, "xorj_db_slow_queries_total", NULL, "Statements that took more than a second");
    s->m.in_use = metrics_gauge(m, "xorj_db_pool_in_use", NULL, "Connections with a statement in flight");
    s->m.idle = metrics_gauge(m, "xorj_db_pool_idle", NULL, "Connections that are up and idle");
    s->m.waiting = metrics_gauge(m, "xorj_db_pool_waiting", NULL, "Requests waiting for a connection");
    s->m.up = metrics_gauge(m, "xorj_db_up", NULL, "1 while a reader is connected");
    s->m.writable = metrics_gauge(m, "xorj_db_writable", NULL, "1 while the writer is connected to a durable server in step");
    s->m.redis_up = metrics_gauge(m, "xorj_redis_up", NULL, "1 while Redis is connected");
    s->m.perf_mem = metrics_ctr(m, "xorj_cache_hits_total", "cache=\"performance\",level=\"memory\"", "Answers found in a cache");
    s->m.perf_redis = metrics_ctr(m, "xorj_cache_hits_total", "cache=\"performance\",level=\"redis\"", "Answers found in a cache");
    s->m.session_mem = metrics_ctr(m, "xorj_cache_hits_total", "cache=\"session\",level=\"memory\"", "Answers found in a cache");
    s->m.session_mirror = metrics_ctr(m, "xorj_cache_hits_total", "cache=\"session\",level=\"redis\"", "Answers found in a cache");
    s->m.perf_load = metrics_ctr(m, "xorj_cache_misses_total", "cache=\"performance\"", "Answers loaded from PostgreSQL");
    s->m.session_load = metrics_ctr(m, "xorj_cache_misses_total", "cache=\"session\"", "Answers loaded from PostgreSQL");
    s->m.perf_stale = metrics_ctr(m, "xorj_cache_stale_total", "cache=\"performance\"", "Old answers given while PostgreSQL was away");
    s->m.session_old = metrics_ctr(m, "xorj_cache_stale_total", "cache=\"session\"", "Old answers given while PostgreSQL was away");
    s->m.garbled = metrics_ctr(m, "xorj_redis_garbled_total", NULL, "Values of Redis that were not ours and counted as misses");
    s->m.revoked_seen = metrics_ctr(m, "xorj_sessions_revoked_seen_total", NULL, "Revoked sessions met while sweeping");
}

static pg_conf_t link_conf(const cfg_t *cfg, const char *conninfo, const char *name, unsigned lane, int64_t lock_ms)
{
    return (pg_conf_t){
        .name = name,
        .conninfo = conninfo,
        .lane = lane,
        .lock_ms = (unsigned)lock_ms,
        .connect_ms = (unsigned)cfg->database_connect_ms,
        .statement_ms = (unsigned)cfg->database_statement_ms,
        .silent_ms = (unsigned)cfg->database_silent_ms,
        .backoff_min_ms = (unsigned)cfg->database_backoff_min_ms,
        .backoff_max_ms = (unsigned)cfg->database_backoff_max_ms,
        .schema_wanted = migrate_wanted(),
        .require_durable = cfg->database_require_durable,
    };
}

static void open_links(store_t *s, metrics_t *m)
{
    const cfg_t *cfg = s->cfg;
    buf_t info;
    buf_init(&info, 8192);
    cfg_conninfo(cfg, &info);
    buf_add(&info, "", 1);
    XASSERT(!info.failed);
    writer_conf_t wc = {
        .fast = link_conf(cfg, info.p, "writer", SQL_LANE_WRITER, cfg->database_lock_ms),
        .slow = link_conf(cfg, info.p, "slow", SQL_LANE_SLOW, cfg->database_slow_lock_ms),
        .batch_max = (unsigned)cfg->database_batch_max,
        .queue_max = (unsigned)cfg->database_queue_max,
        .deadline_ms = (unsigned)cfg->http_write_deadline_ms,
    };
    int64_t readers = cfg->database_max_connections - 4;
    pool_conf_t pc = {
        .link = link_conf(cfg, info.p, "reader", SQL_LANE_READER, cfg->database_slow_lock_ms),
        .links = (unsigned)(readers > 1 ? readers : 1),
        .queue_max = (unsigned)cfg->database_queue_max,
        .timeouts = metrics_ctr(m, "xorj_db_read_timeouts_total", NULL, "Queries answered at their deadline"),
        .full = metrics_ctr(m, "xorj_db_read_full_total", NULL, "Queries refused because the queue was full"),
    };
    pg_conf_t hc = link_conf(cfg, info.p, "house", SQL_LANE_HOUSE, cfg->database_slow_lock_ms);
    s->writer = writer_open(s->l, &wc, m, &s->pgm, s->soons, (writer_hooks_t){on_pg_up, on_pg_down, s});
    s->pool = pool_open(s->l, &pc, &s->pgm, s->soons, (pool_hooks_t){on_pg_up, on_pg_down, s});
    s->house = pg_open(s->l, &hc, &s->pgm, (pg_hooks_t){on_house_up, on_pg_down, s});
    pg_conf_t bc = link_conf(cfg, info.p, "bus", SQL_LANE_BUS, cfg->database_slow_lock_ms);
    s->bus = bus_open(s->l, &bc, m, &s->pgm, (bus_hooks_t){on_pg_up, on_pg_down, s});
    bus_on(s->bus, BUS_SESSION, on_session_word, s);
    bus_on(s->bus, BUS_WALLET, on_wallet_word, s);
    bus_on(s->bus, BUS_OPERATOR, on_operator_word, s);
    buf_fini(&info);
}

store_t *store_open(loop_t *l, metrics_t *m, const cfg_t *cfg)
{
    store_t *s = calloc(1, sizeof *s);
    XASSERT(s);
    s->l = l;
    s->cfg = cfg;
    store_metrics(s, m);
    s->soons = soons_new(l);
    s->sessions = cache_new(l, SESSIONS_MAX, SESSIONS_BYTES,
                            metrics_ctr(m, "xorj_cache_evictions_total", "cache=\"session\"", "Entries that made room for newer ones"));
    s->perf = cache_new(l, (unsigned)cfg->cache_entries_max, PERF_BYTES,
                        metrics_ctr(m, "xorj_cache_evictions_total", "cache=\"performance\"", "Entries that made room for newer ones"));
    s->key_uses = cache_new(l, KEY_USES_MAX, KEY_USES_MAX * 256,
                            metrics_ctr(m, "xorj_cache_evictions_total", "cache=\"key_use\"", "Entries that made room for newer ones"));
    s->session_loads = flights_new();
    s->perf_loads = flights_new();
    s->opps = oppq_new(s, m);
    s->touches = touches_new(s);
    s->rates = rates_new();
    s->audit = audit_walk_new(s);
    s->mine = wcache_new(s, m);
    s->pg_since_us = s->redis_since_us = s->started_us = loop_wall_us(l);
    s->desk = cfg->feeds_enabled;
    if (cfg->auth_jwt_secret[0])
        hmac_sha256(span_of(cfg->auth_jwt_secret), SPAN_LIT("xorj redis values 1"), s->mac_key);
    else
        random_bytes(s->mac_key, sizeof s->mac_key);
    if (cfg->redis_enabled) {
        rds_conf_t rc = {
            .url = cfg->redis_url,
            .command_ms = (unsigned)cfg->redis_command_ms,
            .connect_ms = REDIS_CONNECT_MS,
            .backoff_min_ms = 50,
            .backoff_max_ms = 2000,
            .inflight_max = REDIS_INFLIGHT,
        };
        s->rds = rds_open(l, m, &rc, (rds_hooks_t){on_redis_up, on_redis_down, s});
    }
    open_links(s, m);
    s->beat = ltimer_new(l, on_beat, s);
    ltimer_arm(s->beat, BEAT_MS);
    return s;
}

bool store_idle(const store_t *s)
{
    return writer_idle(s->writer) && pool_idle(s->pool) && flights_empty(s->session_loads) && flights_empty(s->perf_loads) &&
           wcache_idle(s->mine) && bus_idle(s->bus) && soons_empty(s->soons) && (oppq_idle(s) || !pg_up(s->house));
}

void store_close(store_t *s)
{
    s->closing = true;
    ltimer_free(s->beat);
    touches_free(s->touches);
    if (s->rds)
        rds_close(s->rds);
    pg_close(s->house);
    /* Loads that Redis has just dropped went on to the pool, so the pool is closed behind it. */
    writer_close(s->writer);
    pool_close(s->pool);
    bus_close(s->bus);
    soons_run(s->soons);
    audit_walk_free(s->audit);
    flights_free(s->session_loads);
    flights_free(s->perf_loads);
    oppq_free(s->opps);
    wcache_free(s->mine);
    rates_free(s->rates);
    cache_free(s->sessions);
    cache_free(s->perf);
    cache_free(s->key_uses);
    soons_free(s->soons);
    free(s);
}

bus_t *store_bus(const store_t *s)
{
    return s->bus;
}

/* ---- health ---- */

void store_health(const store_t *s, store_health_t *out)
{
    const pg_info_t *r = pool_info(s->pool), *w = writer_info(s->writer);
    *out = (store_health_t){
        .pg_up = pool_up(s->pool),
        .pg_writable = writer_up(s->writer),
        .redis_up = s->rds && rds_up(s->rds),
        .pg_since_us = s->pg_since_us,
        .redis_since_us = s->redis_since_us,
        .schema_version = w->schema_version,
        .schema_wanted = migrate_wanted(),
        .pg_why = pool_up(s->pool) ? w->why : r->why,
        .redis_why = s->rds ? rds_why(s->rds) : "switched off",
    };
    writer_counts(s->writer, &out->pg_in_use, &out->pg_idle, &out->pg_waiting);
    bus_counts(s->bus, &out->pg_in_use, &out->pg_idle);
    pool_counts(s->pool, &out->pg_in_use, &out->pg_idle, &out->pg_waiting);
}

typedef struct {
    store_t *s;
    void (*cb)(void *ctx, xerr_t err, int64_t us);
    void *ctx;
    int64_t at_ns;
} ping_t;

static void on_ping(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ping_t p = *(ping_t *)ctx;
    (void)rows;
    free(ctx);
    p.cb(p.ctx, err, (mono_ns() - p.at_ns) / 1000);
}

void store_ping(store_t *s, void (*cb)(void *ctx, xerr_t err, int64_t us), void *ctx)
{
    ping_t *p = malloc(sizeof *p);
    XASSERT(p);
    *p = (ping_t){s, cb, ctx, mono_ns()};
    pool_query(s->pool, SQL_PING, NULL, (unsigned)s->cfg->http_write_deadline_ms, true, on_ping, p);
}

/* ---- shared by the subjects ---- */

static void seal_mac(store_t *s, span_t key, span_t body, char hex[65])
{
    uint8_t mac[32];
    buf_t b;
    buf_init(&b, key.n + body.n + 1);
    buf_add(&b, key.p, key.n);
    buf_add(&b, "", 1);
    buf_add(&b, body.p, body.n);
    XASSERT(!b.failed);
    hmac_sha256(span_make((const char *)s->mac_key, sizeof s->mac_key), buf_span(&b), mac);
    buf_fini(&b);
    hex_encode(mac, sizeof mac, hex);
}

void store_seal(store_t *s, span_t key, buf_t *value)
{
    char hex[65];
    seal_mac(s, key, buf_span(value), hex);
    buf_add(value, hex, 64);
}

bool store_unseal(store_t *s, span_t key, span_t value, span_t *body)
{
    char hex[65];
    if (value.n < 64) {
        ctr_inc(s->m.garbled);
        return false;
    }
    *body = span_make(value.p, value.n - 64);
    seal_mac(s, key, *body, hex);
    if (ct_equal(hex, value.p + body->n, 64))
        return true;
    ctr_inc(s->m.garbled);
    return false;
}

void store_name(const who_t *who, char out[37])
{
    if (who->name)
        snprintf(out, 37, "%s", who->name);
    else
        uuid4(out);
}

bool store_pg_away(xerr_t err)
{
    return err == XE_DOWN || err == XE_TIMEOUT || err == XE_FULL;
}
