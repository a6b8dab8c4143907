/* Storage when PostgreSQL or Redis fails: nothing acknowledged is lost, nothing is done twice, everybody is answered. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "reactor/json.h"
#include "storage/bots.h"
#include "storage/perf.h"
#include "storage/users.h"
#include "tests/unit/pgfixture.h"

static fx_t fx;
static const who_t who = {.actor = "tester", .role = "wallet", .request_id = "r", .source_ip = "127.0.0.1"};

/* ---- the judge: every try noted before it is sent, every answer after ---- */

#define WALLETS 40
#define TRIES_MAX 40000

typedef struct {
    unsigned wallet;
    bool enabled, answered;
    xerr_t err;
    int64_t version, sent_ns, ns;
    bool again; /* sends the next one when answered */
} try_t;

static try_t tries[TRIES_MAX];
static unsigned sent, done, base_wallet;
static bool running;

static void send_next(void);

static void on_answer(void *ctx, xerr_t err, const bot_t *b)
{
    try_t *t = ctx;
    assert_false(t->answered);
    t->answered = true;
    t->err = err;
    t->ns = mono_ns() - t->sent_ns;
    t->version = b ? b->version : 0;
    done++;
    if (t->again && running)
        send_next();
}

static void send_one(bool again)
{
    char w[48];
    if (sent == TRIES_MAX)
        return;
    try_t *t = &tries[sent];
    *t = (try_t){.wallet = (unsigned)rand() % WALLETS, .enabled = rand() & 1, .sent_ns = mono_ns(), .again = again};
    sent++;
    fx_wallet(base_wallet + t->wallet, w);
    bots_set_enabled(fx.s, span_of(w), t->enabled, -1, &who, on_answer, t);
}

static void send_next(void)
{
    send_one(true);
}

static void load_start(unsigned outstanding)
{
    static unsigned series;
    base_wallet = 1000 + 100 * series++;
    sent = done = 0;
    running = true;
    for (unsigned i = 0; i < outstanding; i++)
        send_next();
}

static bool quiet(void *ctx)
{
    (void)ctx;
    return done == sent;
}

static void load_stop(void)
{
    running = false;
    assert_true(fx_turns(&fx, quiet, NULL, 8000));
}

typedef struct {
    unsigned ok, down, timeout, other;
    int64_t slowest_ms;
} sum_t;

static sum_t summary(unsigned from)
{
    sum_t s = {0};
    for (unsigned i = from; i < sent; i++) {
        s.ok += tries[i].err == XE_OK;
        s.down += tries[i].err == XE_DOWN;
        s.timeout += tries[i].err == XE_TIMEOUT;
        s.other += tries[i].err != XE_OK && tries[i].err != XE_DOWN && tries[i].err != XE_TIMEOUT;
        if (tries[i].ns / 1000000 > s.slowest_ms)
            s.slowest_ms = tries[i].ns / 1000000;
    }
    return s;
}

/* For each wallet: the stored version reaches the highest acknowledged one; no version was acknowledged twice; each
 * acknowledged version has exactly one audit row with that value, and rows are as many as the version says. */
static void judge(void)
{
    sum_t s = summary(0);
    print_message("  tries %u ok %u down %u timeout %u slowest %lld ms\n", sent, s.ok, s.down, s.timeout, (long long)s.slowest_ms);
    assert_int_equal(s.other, 0);
    for (unsigned w = 0; w < WALLETS; w++) {
        char addr[48], sql[320];
        static char have[TRIES_MAX + 1];
        memset(have, 0, sizeof have);
        fx_wallet(base_wallet + w, addr);
        int64_t top = 0;
        for (unsigned i = 0; i < sent; i++) {
            if (tries[i].wallet != w || tries[i].err)
                continue;
            assert_true(tries[i].version > 0 && tries[i].version <= TRIES_MAX);
            assert_int_equal(have[tries[i].version]++, 0);
            top = tries[i].version > top ? tries[i].version : top;
        }
        snprintf(sql, sizeof sql, "SELECT coalesce(max(version), 0) FROM bot_states WHERE user_vault_address = '%s'", addr);
        int64_t stored = fx_num(&fx, sql);
        assert_true(stored >= top);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM audit_log WHERE target = '%s' AND action = 'bot.set_enabled'", addr);
        assert_int_equal(fx_num(&fx, sql), stored);
        snprintf(sql, sizeof sql, "SELECT count(DISTINCT after ->> 'version') FROM audit_log WHERE target = '%s'", addr);
        assert_int_equal(fx_num(&fx, sql), stored);
    }
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM audit_verify()"), 0);
}

static bool writable(void *ctx)
{
    store_health_t h;
    (void)ctx;
    store_health(fx.s, &h);
    return h.pg_writable && h.pg_up;
}

static bool not_up(void *ctx)
{
    store_health_t h;
    (void)ctx;
    store_health(fx.s, &h);
    return !h.pg_up && !h.pg_writable;
}

/* R3 */
static void test_terminated(void **state)
{
    (void)state;
    srand(3);
    load_start(100);
    for (unsigned i = 0; i < 50; i++) {
        fx_turns(&fx, NULL, NULL, 20);
        fx_sql(&fx, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name LIKE"
                    " 'xorj/%' AND (random() < 0.3 OR application_name = 'xorj/writer')) x");
    }
    fx_turns(&fx, NULL, NULL, 200);
    load_stop();
    judge();
    assert_true(summary(0).ok > 100);
    assert_true(fx_turns(&fx, writable, NULL, 2000));
}

/* R4 */
static void test_answer_lost(void **state)
{
    (void)state;
    srand(4);
    fx_store_close(&fx);
    fx_proxy(&fx);
    fx_store(&fx);
    load_start(30);
    int64_t end = mono_ns() + 30000000000;
    while (fx_proxy_cuts() < 100 && mono_ns() < end) {
        fx_proxy_cut(true);
        fx_turns(&fx, NULL, NULL, 15);
    }
    fx_proxy_cut(false);
    fx_turns(&fx, NULL, NULL, 200);
    load_stop();
    print_message("  answers cut off %d\n", fx_proxy_cuts());
    assert_true(fx_proxy_cuts() >= 100);
    judge();
    fx_store_close(&fx);
    fx_proxy_stop();
    snprintf(fx.cfg.database_host, sizeof fx.cfg.database_host, "%s", fx.dir);
    fx_store(&fx);
}

/* R2 */
static void test_killed(void **state)
{
    (void)state;
    srand(2);
    for (unsigned i = 0; i < 5; i++) {
        load_start(50);
        fx_turns(&fx, NULL, NULL, 60 + rand() % 100);
        fx_pg_kill(&fx, SIGKILL);
        unsigned from = sent;
        running = false;
        assert_true(fx_turns(&fx, quiet, NULL, 2500));
        int64_t away = mono_ns();
        fx_turns(&fx, NULL, NULL, 800);
        for (unsigned k = 0; k < 20; k++) {
            send_one(false);
            fx_turns(&fx, NULL, NULL, 5);
        }
        assert_true(fx_turns(&fx, quiet, NULL, 1000));
        sum_t s = summary(from);
        assert_int_equal(s.down, 20);
        assert_true(s.slowest_ms <= 1000);
        fx_pg_start(&fx);
        int64_t back = mono_ns();
        assert_true(fx_turns(&fx, writable, NULL, 2000));
        print_message("  away %.1f s, writable %lld ms after its return\n", (double)(back - away) / 1e9, (long long)(mono_ns() - back) / 1000000);
        send_one(false);
        assert_true(fx_turns(&fx, quiet, NULL, 2000));
        assert_int_equal(tries[sent - 1].err, XE_OK);
        judge();
    }
}

static void test_frozen(void **state)
{
    (void)state;
    srand(5);
    load_start(20);
    fx_turns(&fx, NULL, NULL, 50);
    running = false;
    fx_turns(&fx, quiet, NULL, 2000);
    fx_pg_kill(&fx, SIGSTOP);
    int64_t frozen = mono_ns();
    unsigned from = sent;
    for (unsigned k = 0; k < 20; k++)
        send_one(false);
    assert_true(fx_turns(&fx, quiet, NULL, 2600));
    assert_int_equal(summary(from).ok, 0);
    assert_true(summary(from).slowest_ms <= 2300);
    assert_true(fx_turns(&fx, not_up, NULL, 5000));
    print_message("  noticed after %lld ms\n", (long long)(mono_ns() - frozen) / 1000000);
    fx_turns(&fx, NULL, NULL, 800);
    from = sent;
    send_one(false);
    assert_true(fx_turns(&fx, quiet, NULL, 1000));
    assert_int_equal(tries[from].err, XE_DOWN);
    fx_pg_kill(&fx, SIGCONT);
    int64_t back = mono_ns();
    assert_true(fx_turns(&fx, writable, NULL, 2500));
    print_message("  writable %lld ms after its return\n", (long long)(mono_ns() - back) / 1000000);
    send_one(false);
    assert_true(fx_turns(&fx, quiet, NULL, 2000));
    assert_int_equal(tries[sent - 1].err, XE_OK);
    fx_turns(&fx, NULL, NULL, 300); /* statements of the frozen backends may still end */
    judge();
}

/* ---- sessions and performance through a failing Redis and PostgreSQL ---- */

static unsigned answers;
static xerr_t last_err;
static bool last_stale;
static char last_json[256];
static int64_t last_age;

static void on_session(void *ctx, xerr_t err, const session_t *s)
{
    (void)ctx;
    (void)s;
    last_err = err;
    answers++;
}

static void on_done(void *ctx, xerr_t err)
{
    (void)ctx;
    last_err = err;
    answers++;
}

static void on_perf(void *ctx, xerr_t err, const perf_hit_t *h)
{
    (void)ctx;
    last_err = err;
    answers++;
    if (!h)
        return;
    last_stale = h->stale;
    last_age = h->age_ms;
    snprintf(last_json, sizeof last_json, "%.*s", (int)h->json.n, h->json.p);
}

static unsigned encodes;
static void encode(const perf_t *p, buf_t *out)
{
    encodes++;
    buf_fmt(out, "%s %s v=%lld roi=%.2f dd=%.2f win=%.2f n=%lld points=%u", p->wallet, range_name(p->range), (long long)p->value_e6,
            p->net_roi, p->max_drawdown, p->win_rate, (long long)p->trades, p->points_n);
}

static bool answered(void *ctx)
{
    return answers >= *(unsigned *)ctx;
}

static int64_t wait_answer(void)
{
    int64_t from = mono_ns();
    unsigned want = answers + 1;
    assert_true(fx_turns(&fx, answered, &want, 4000));
    return (mono_ns() - from) / 1000000;
}

static xerr_t check(const char *jti)
{
    session_check(fx.s, span_of(jti), on_session, NULL);
    wait_answer();
    return last_err;
}

static xerr_t perf(const char *wallet)
{
    perf_get(fx.s, span_of(wallet), RANGE_30D, encode, on_perf, NULL);
    wait_answer();
    return last_err;
}

static void make_session(session_t *s, unsigned wallet)
{
    memset(s, 0, sizeof *s);
    s->issued_s = wall_us() / 1000000;
    s->expires_s = s->issued_s + 3600;
    uuid4(s->jti);
    fx_wallet(wallet, s->wallet);
    session_create(fx.s, s, &who, on_session, NULL);
    wait_answer();
    assert_int_equal(last_err, XE_OK);
}

static void reopen(void)
{
    fx_store_close(&fx);
    fx_store(&fx);
}

static void fill_rows(const char *w)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "INSERT INTO vault_valuations VALUES ('%s', now() - interval '3 days', 100), ('%s', now() - interval '2 days', 150.5),"
             " ('%s', now() - interval '1 day', 120), ('%s', now(), 110.000001) ON CONFLICT DO NOTHING", w, w, w, w);
    assert_string_equal(fx_sql(&fx, sql), "");
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO trades (user_vault_address, client_order_id, status, from_token_address, to_token_address, amount_in,"
                 " realized_pnl_usd) VALUES ('%s', '%d', 'CONFIRMED', 'a', 'b', 5, %d)", w, i, i - 1);
        assert_string_equal(fx_sql(&fx, sql), "");
    }
}

static void test_performance(void **state)
{
    char w[48], want[256];
    (void)state;
    fx_wallet(5000, w);
    fill_rows(w);
    snprintf(want, sizeof want, "%s 30D v=110000001 roi=10.00 dd=26.91 win=33.33 n=3 points=4", w);
    encodes = 0;
    /* a hundred askers, one load */
    unsigned n = answers + 100;
    for (unsigned i = 0; i < 100; i++)
        perf_get(fx.s, span_of(w), RANGE_30D, encode, on_perf, NULL);
    assert_true(fx_turns(&fx, answered, &n, 3000));
    assert_int_equal(encodes, 1);
    assert_string_equal(last_json, want);
    perf_hit_t hit;
    assert_true(perf_peek(fx.s, span_of(w), RANGE_30D, &hit));
    /* a fresh process finds it in Redis */
    fx_turns(&fx, NULL, NULL, 50);
    reopen();
    assert_false(perf_peek(fx.s, span_of(w), RANGE_30D, &hit));
    assert_int_equal(perf(w), XE_OK);
    assert_int_equal(encodes, 1);
    assert_string_equal(last_json, want);
    /* own writes are seen */
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE vault_valuations SET value_usd = 200 WHERE wallet_address = '%s' AND value_usd = 110.000001", w);
    fx_sql(&fx, sql);
    perf_invalidate(fx.s, span_of(w));
    assert_int_equal(perf(w), XE_OK);
    assert_int_equal(encodes, 2);
    assert_non_null(strstr(last_json, "roi=100.00"));
    /* a wallet of which nothing is known */
    fx_wallet(5001, w);
    assert_int_equal(perf(w), XE_OK);
    assert_non_null(strstr(last_json, "roi=nan dd=nan win=nan n=0 points=0"));
}

static void redis_cmd(const char *text)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd, "redis-cli -s %s/redis.sock %s >/dev/null 2>&1", fx.dir, text);
    if (system(cmd)) {
    }
}

/* R9: whatever Redis does, answers stay right; it only gets slower. */
static void test_redis_faults(void **state)
{
    char w[48];
    session_t s;
    (void)state;
    fx_wallet(5100, w);
    make_session(&s, 5100);
    assert_int_equal(perf(w), XE_OK);
    for (unsigned round = 0; round < 2; round++) {
        fx_redis_kill(&fx, SIGKILL);
        perf_invalidate(fx.s, span_of(w));
        assert_int_equal(perf(w), XE_OK);
        assert_false(last_stale);
        assert_int_equal(check(s.jti), XE_OK);
        fx_redis_start(&fx);
        fx_turns(&fx, NULL, NULL, 2200);
        store_health_t h;
        store_health(fx.s, &h);
        assert_true(h.redis_up);

        fx_redis_kill(&fx, SIGSTOP);
        perf_invalidate(fx.s, span_of(w));
        perf_get(fx.s, span_of(w), RANGE_30D, encode, on_perf, NULL);
        assert_true(wait_answer() < 700);
        assert_int_equal(last_err, XE_OK);
        assert_int_equal(check(s.jti), XE_OK);
        fx_redis_kill(&fx, SIGCONT);
        fx_turns(&fx, NULL, NULL, 2200);

        redis_cmd("FLUSHALL");
        perf_invalidate(fx.s, span_of(w));
        assert_int_equal(perf(w), XE_OK);
        assert_int_equal(check(s.jti), XE_OK);
    }
    /* values that are not ours */
    char cmd[400];
    fx_turns(&fx, NULL, NULL, 50);
    fx_store_close(&fx);
    snprintf(cmd, sizeof cmd, "SET xorj:p:%s:30D '%lld {\"lies\":true}%064d'", w, (long long)wall_us(), 7);
    redis_cmd(cmd);
    fx_store(&fx);
    assert_int_equal(perf(w), XE_OK);
    assert_null(strstr(last_json, "lies"));
    redis_cmd("SET a list"); /* a type nobody expects */
    snprintf(cmd, sizeof cmd, "DEL xorj:p:%s:30D", w);
    redis_cmd(cmd);
    snprintf(cmd, sizeof cmd, "LPUSH xorj:p:%s:30D x", w);
    redis_cmd(cmd);
    reopen();
    assert_int_equal(perf(w), XE_OK);
}

/* PostgreSQL away: signed-in users read what was last known; a revoked session stays out whatever Redis says. */
static void test_postgres_away(void **state)
{
    char w[48], other[48], cmd[300];
    session_t in, gone, mirrored;
    (void)state;
    fx_wallet(5200, w);
    fx_wallet(5201, other);
    make_session(&in, 5200);
    make_session(&gone, 5202);
    make_session(&mirrored, 5203);
    assert_int_equal(perf(w), XE_OK);
    fx_turns(&fx, NULL, NULL, 100);
    /* revoked while Redis cannot be told */
    fx_redis_kill(&fx, SIGSTOP);
    session_revoke(fx.s, span_of(gone.jti), &who, on_done, NULL);
    wait_answer();
    assert_int_equal(last_err, XE_OK);
    fx_turns(&fx, NULL, NULL, 400);
    fx_redis_kill(&fx, SIGCONT);
    fx_turns(&fx, NULL, NULL, 2500);
    reopen(); /* a new process: only PostgreSQL and Redis know anything */
    assert_int_equal(check(in.jti), XE_OK);
    assert_int_equal(perf(w), XE_OK);
    fx_turns(&fx, NULL, NULL, 1500);
    fx_pg_kill(&fx, SIGKILL);
    fx_turns(&fx, NULL, NULL, 5200); /* past the time memory is believed */
    assert_null(session_peek(fx.s, span_of(in.jti)));
    assert_int_equal(check(in.jti), XE_OK);
    assert_int_equal(check(mirrored.jti), XE_OK); /* from Redis, sealed */
    assert_true(check(gone.jti) != XE_OK);
    /* a forged mirror entry admits nobody */
    snprintf(cmd, sizeof cmd, "SET xorj:s:%s '- %s 1 99999999999 %064d'", gone.jti, gone.wallet, 1);
    redis_cmd(cmd);
    assert_true(check(gone.jti) != XE_OK);
    /* the value of another session under this name neither */
    snprintf(cmd, sizeof cmd, "COPY xorj:s:%s xorj:s:%s REPLACE", mirrored.jti, gone.jti);
    redis_cmd(cmd);
    assert_true(check(gone.jti) != XE_OK);
    /* within its time to live too: nobody can say that the rows are still the same */
    assert_int_equal(perf(w), XE_OK);
    assert_true(last_stale);
    assert_true(last_age > 4000);
    perf_invalidate(fx.s, span_of(w));
    assert_int_equal(perf(w), XE_OK);
    assert_true(last_stale);
    assert_true(last_age > 4000);
    assert_int_equal(perf(other), XE_DOWN);
    redis_cmd("FLUSHALL");
    assert_int_equal(check(in.jti), XE_OK); /* memory, although old */
    fx_pg_start(&fx);
    assert_true(fx_turns(&fx, writable, NULL, 2000));
    assert_int_equal(check(gone.jti), XE_AUTH);
    assert_int_equal(perf(w), XE_OK);
    assert_false(last_stale);
}

/* A server that may lose commits is refused. */
static void test_not_durable(void **state)
{
    store_health_t h;
    (void)state;
    fx_sql(&fx, "ALTER SYSTEM SET full_page_writes = off");
    fx_sql(&fx, "SELECT pg_reload_conf()");
    fx_store_close(&fx);
    fx.m = metrics_new();
    fx.l = loop_new(fx.m);
    fx.s = store_open(fx.l, fx.m, &fx.cfg);
    fx_turns(&fx, NULL, NULL, 600);
    store_health(fx.s, &h);
    assert_false(h.pg_writable);
    assert_non_null(strstr(h.pg_why, "full_page_writes"));
    fx_sql(&fx, "ALTER SYSTEM RESET full_page_writes");
    fx_sql(&fx, "SELECT pg_reload_conf()");
    assert_true(fx_turns(&fx, writable, NULL, 4000));
}

static bool all_up(void)
{
    store_health_t h;
    store_health(fx.s, &h);
    return h.pg_writable && fx_num(&fx, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'xorj/%'") == 8;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Every link proves its password, which is slow on purpose: never several of them in one turn. */
static void test_passwords(void **state)
{
    enum { TURNS = 2000 };
    static int64_t cost[TURNS];
    char path[120];
    int64_t longest = 0, all = 0;
    unsigned turns = 0, heavy = 0;
    (void)state;
    fx_store_close(&fx);
    fx_sql(&fx, "ALTER ROLE xorj PASSWORD 'a long one'");
    snprintf(path, sizeof path, "%s/data/pg_hba.conf", fx.dir);
    FILE *hba = fopen(path, "w");
    assert_non_null(hba);
    fputs("local all all scram-sha-256\n", hba);
    fclose(hba);
    fx_sql(&fx, "SELECT pg_reload_conf()");
    usleep(200000); /* no loop at the moment */
    snprintf(fx.cfg.database_password, sizeof fx.cfg.database_password, "a long one");
    fx.m = metrics_new();
    fx.l = loop_new(fx.m);
    fx.s = store_open(fx.l, fx.m, &fx.cfg);
    for (int64_t end = mono_ns() + 3000000000; mono_ns() < end && turns < TURNS && !all_up(); turns++) {
        int64_t from = cpu_ns();
        loop_poll(fx.l, 5);
        loop_end_turn(fx.l);
        cost[turns] = cpu_ns() - from;
        all += cost[turns];
        if (cost[turns] > longest) longest = cost[turns];
    }
    assert_true(all_up());
    /* Figures of time are noisy, their spread is not: eight proofs are eight heavy turns, not one. */
    for (unsigned i = 0; i < turns; i++)
        if (cost[i] * 40 > all) heavy++;
    print_message("  %.1f ms of computing, longest turn %.1f ms, %u heavy turns\n", (double)all / 1e6, (double)longest / 1e6, heavy);
    assert_true(heavy >= 5);
}

static int open_all(void **state)
{
    (void)state;
    fx_open(&fx, NULL);
    fx_migrate(&fx);
    fx_store(&fx);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    fx_close(&fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminated),  cmocka_unit_test(test_answer_lost), cmocka_unit_test(test_killed),
        cmocka_unit_test(test_frozen),      cmocka_unit_test(test_performance), cmocka_unit_test(test_redis_faults),
        cmocka_unit_test(test_postgres_away), cmocka_unit_test(test_not_durable),
        cmocka_unit_test(test_passwords),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
