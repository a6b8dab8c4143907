/* Settings, configuration, emergency holds and idempotency keys against a real PostgreSQL: versions, names that are good
 * for one change, answers lost with their connection, reads that outlive the database. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "storage/bots.h"
#include "storage/idem.h"
#include "storage/settings.h"
#include "storage/trades.h"
#include "tests/unit/pgfixture.h"

static fx_t fx;
static char wallet[48];

/* ---- answers ---- */

typedef struct {
    xerr_t err;
    unsigned n;
    settings_t settings;
    bot_config_t config;
    hold_state_t hold;
    bot_t bot;
    idem_row_t row;
    char body[128], etag[32];
    bool stale;
    int64_t total;
} got_t;

static void on_settings(void *ctx, xerr_t err, const settings_hit_t *hit)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (err)
        return;
    g->settings = *hit->s;
    g->stale = hit->stale;
}

static void on_config(void *ctx, xerr_t err, const bot_config_t *c)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (!err)
        g->config = *c;
}

static void on_hold(void *ctx, xerr_t err, const hold_state_t *st)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (!err)
        g->hold = *st;
}

static void on_bot(void *ctx, xerr_t err, const bot_t *b)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (!err)
        g->bot = *b;
}

static void on_idem(void *ctx, xerr_t err, const idem_row_t *row)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (err || !row)
        return;
    g->row = *row;
    snprintf(g->body, sizeof g->body, "%.*s", (int)row->body.n, row->body.n ? row->body.p : "");
    snprintf(g->etag, sizeof g->etag, "%.*s", (int)row->etag.n, row->etag.n ? row->etag.p : "");
}

static void on_trades(void *ctx, xerr_t err, const trade_page_t *p)
{
    got_t *g = ctx;
    g->err = err;
    g->n++;
    if (!err)
        g->total = p->total;
}

static bool came(void *ctx) { return ((const got_t *)ctx)->n > 0; }

static got_t *wait_for(got_t *g)
{
    assert_true(fx_turns(&fx, came, g, 8000));
    assert_int_equal(g->n, 1);
    return g;
}

static who_t by(const char *name)
{
    return (who_t){.actor = wallet, .role = "wallet", .request_id = "r", .source_ip = "127.0.0.1", .name = name};
}

static settings_patch_t patch_of(const char *invest)
{
    return (settings_patch_t){.investment_amount = invest, .stop_loss = TRI_UNSET, .take_profit = TRI_UNSET};
}

static got_t put(const char *invest, int64_t if_version, const char *name)
{
    got_t g = {0};
    who_t who = by(name);
    settings_patch_t p = patch_of(invest);
    settings_put(fx.s, span_of(wallet), &p, if_version, &who, on_settings, &g);
    assert_int_equal(g.n, 0); /* never before the call returned */
    return *wait_for(&g);
}

static got_t look(void)
{
    got_t g = {0};
    settings_get(fx.s, span_of(wallet), on_settings, &g);
    return *wait_for(&g);
}

static long long effects(void)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM audit_log WHERE target IN ('%s', 'wallet:%s')", wallet, wallet);
    return fx_num(&fx, sql);
}

static unsigned wallets_made;
static int fresh_wallet(void **state)
{
    char sql[200];
    (void)state;
    fx_wallet(2000 + wallets_made++, wallet);
    snprintf(sql, sizeof sql, "INSERT INTO users (wallet_address) VALUES ('%s')", wallet);
    fx_sql(&fx, sql);
    return 0;
}

/* ---- settings ---- */

static void test_settings(void **state)
{
    (void)state;
    got_t g = look();
    assert_int_equal(g.err, XE_OK);
    assert_false(g.settings.exists);
    assert_string_equal(g.settings.risk_profile, "Balanced");
    assert_string_equal(g.settings.slippage_tolerance, "1");
    assert_int_equal(g.settings.stop_loss, TRI_UNSET);
    g = put("12.5", -1, NULL);
    assert_int_equal(g.err, XE_OK);
    assert_int_equal(g.settings.version, 1);
    assert_string_equal(g.settings.investment_amount, "12.5");
    settings_hit_t hit;
    assert_false(settings_peek(fx.s, span_of(wallet), &hit)); /* a change ends what memory held */
    assert_string_equal(look().settings.investment_amount, "12.5");
    assert_true(settings_peek(fx.s, span_of(wallet), &hit));
    assert_int_equal(hit.s->version, 1);
    assert_int_equal(put("1", 0, NULL).err, XE_CONFLICT);
    assert_int_equal(put("13", 1, NULL).settings.version, 2);
    assert_int_equal(effects(), 2);
}

static void test_unknown_user(void **state)
{
    (void)state;
    fx_wallet(1999, wallet);
    assert_int_equal(put("1", -1, NULL).err, XE_NOT_FOUND);
    assert_int_equal(effects(), 0);
    got_t g = {0};
    settings_get(fx.s, span_make("", 0), on_settings, &g);
    assert_int_equal(wait_for(&g)->err, XE_BAD_INPUT);
}

/* A change by another process: no word reached this one through its own call. */
static void test_word_from_elsewhere(void **state)
{
    char sql[200];
    (void)state;
    put("1", -1, NULL);
    look();
    snprintf(sql, sizeof sql, "UPDATE user_settings SET risk_profile = 'Aggressive', version = version + 1 WHERE wallet_address = '%s'", wallet);
    fx_sql(&fx, sql);
    fx_turns(&fx, NULL, NULL, 100);
    assert_string_equal(look().settings.risk_profile, "Aggressive");
}

static void test_stale(void **state)
{
    (void)state;
    put("7", -1, NULL);
    look();
    fx_pg_kill(&fx, SIGINT);
    fx_turns(&fx, NULL, NULL, 1200);
    got_t g = look();
    assert_int_equal(g.err, XE_OK);
    assert_true(g.stale);
    assert_string_equal(g.settings.investment_amount, "7");
    assert_int_equal(put("8", -1, NULL).err, XE_DOWN);
    fx_pg_start(&fx);
    fx_store_close(&fx);
    fx_store(&fx);
    g = look();
    assert_false(g.stale);
    assert_string_equal(g.settings.investment_amount, "7");
}

/* ---- names ---- */

static void test_named(void **state)
{
    char a[37], b[37];
    (void)state;
    uuid4(a);
    uuid4(b);
    got_t first = put("1", -1, a);
    put("2", -1, b);
    got_t again = put("99", -1, a); /* whatever it asks: the name is used */
    assert_memory_equal(&first.settings, &again.settings, sizeof first.settings);
    assert_string_equal(look().settings.investment_amount, "2");
    assert_int_equal(effects(), 2);
    /* many at once under one name */
    static got_t many[50];
    char c[37];
    uuid4(c);
    who_t who = by(c);
    settings_patch_t p = patch_of("3");
    memset(many, 0, sizeof many);
    for (unsigned i = 0; i < 50; i++)
        settings_put(fx.s, span_of(wallet), &p, -1, &who, on_settings, &many[i]);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(wait_for(&many[i])->err, XE_OK);
        assert_int_equal(many[i].settings.version, 3);
    }
    assert_int_equal(effects(), 3);
}

static void test_named_toggle(void **state)
{
    char a[37];
    static got_t many[60];
    (void)state;
    uuid4(a);
    who_t named = by(a), plain = by(NULL);
    memset(many, 0, sizeof many);
    for (unsigned i = 0; i < 60; i++)
        bots_set_enabled(fx.s, span_of(wallet), i % 2 == 0, -1, i % 2 ? &plain : &named, on_bot, &many[i]);
    int64_t version = 0;
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(wait_for(&many[i])->err, XE_OK);
        if (i % 2)
            continue;
        assert_true(many[i].bot.enabled);
        if (version)
            assert_int_equal(many[i].bot.version, version);
        version = many[i].bot.version;
    }
    assert_int_equal(effects(), 31);
}

/* Answers cut off on their way: the statement was done, and its repeat finds that. */
static void test_lost_answer(void **state)
{
    (void)state;
    fx_store_close(&fx);
    fx_proxy(&fx);
    fx_store(&fx);
    unsigned done = 0;
    for (unsigned i = 0; i < 40; i++) {
        char invest[16], name[37];
        uuid4(name);
        snprintf(invest, sizeof invest, "%u", i + 1);
        fx_proxy_cut(i % 2);
        got_t g = put(invest, -1, i % 4 < 2 ? name : NULL);
        fx_proxy_cut(false);
        if (g.err == XE_OK) {
            assert_string_equal(g.settings.investment_amount, invest);
            done++;
        }
        fx_turns(&fx, NULL, NULL, 60);
    }
    print_message("  cuts %d, acknowledged %u of 40\n", fx_proxy_cuts(), done);
    assert_true(done >= 20);
    assert_true(effects() >= done && effects() <= 40);
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT version FROM user_settings WHERE wallet_address = '%s'", wallet);
    assert_int_equal(fx_num(&fx, sql), effects());
    fx_store_close(&fx);
    fx_proxy_stop();
    snprintf(fx.cfg.database_host, sizeof fx.cfg.database_host, "%s", fx.dir);
    fx_store(&fx);
}

/* ---- configuration and holds ---- */

static got_t configure(tri_t enabled, const char *invest, int64_t if_bot, int64_t if_settings, const char *name)
{
    got_t g = {0};
    who_t who = by(name);
    settings_patch_t p = patch_of(invest);
    bot_configure(fx.s, span_of(wallet), enabled, &p, if_bot, if_settings, &who, on_config, &g);
    return *wait_for(&g);
}

static void test_configure(void **state)
{
    char a[37];
    (void)state;
    uuid4(a);
    got_t g = configure(TRI_YES, "5", 0, 0, a), again = configure(TRI_NO, "6", -1, -1, a);
    assert_int_equal(g.err, XE_OK);
    assert_true(g.config.enabled && g.config.switched);
    assert_int_equal(g.config.bot_version, 1);
    assert_int_equal(g.config.settings.version, 1);
    assert_true(again.config.enabled);
    assert_int_equal(again.config.bot_version, 1);
    assert_int_equal(configure(TRI_NO, NULL, 0, -1, NULL).err, XE_CONFLICT);
    assert_int_equal(configure(TRI_NO, NULL, -1, 0, NULL).err, XE_CONFLICT);
    g = configure(TRI_UNSET, "7", 1, 1, NULL);
    assert_int_equal(g.config.bot_version, 1);
    assert_int_equal(g.config.settings.version, 2);
    assert_true(g.config.enabled);
    assert_int_equal(effects(), 2);
}

static got_t brake(hold_by_t who_holds, emergency_t what, bool master, const char *name)
{
    got_t g = {0};
    who_t who = by(name);
    bots_emergency(fx.s, who_holds, span_of(wallet), what, "why \"not\"\n", master, &who, on_hold, &g);
    return *wait_for(&g);
}

static bot_t bot_now(void)
{
    got_t g = {0};
    bots_get(fx.s, span_of(wallet), on_bot, &g);
    assert_int_equal(wait_for(&g)->err, XE_OK);
    return g.bot;
}

static void test_holds(void **state)
{
    char a[37];
    (void)state;
    uuid4(a);
    got_t g = brake(HOLD_OWNER, EMERGENCY_PAUSE, false, a);
    assert_true(g.hold.hold.paused && !g.hold.hold.killed);
    assert_string_equal(g.hold.reason, "why \"not\"\n");
    assert_int_equal(brake(HOLD_OWNER, EMERGENCY_KILL, true, NULL).hold.version, 2);
    assert_int_equal(brake(HOLD_OWNER, EMERGENCY_PAUSE, false, a).hold.version, 1); /* the first answer */
    assert_int_equal(brake(HOLD_OWNER, EMERGENCY_RESUME, false, NULL).err, XE_CONFLICT);
    brake(HOLD_OPERATOR, EMERGENCY_CLOSE, false, NULL);
    brake(HOLD_ALL, EMERGENCY_PAUSE, false, NULL);
    bot_t b = bot_now();
    assert_true(b.holds[HOLD_OWNER].paused && b.holds[HOLD_OWNER].killed);
    assert_true(b.holds[HOLD_OPERATOR].closing && b.holds[HOLD_OPERATOR].paused);
    assert_true(b.holds[HOLD_ALL].paused && !b.holds[HOLD_ALL].killed);
    brake(HOLD_OWNER, EMERGENCY_RESUME, true, NULL);
    brake(HOLD_ALL, EMERGENCY_RESUME, false, NULL);
    b = bot_now();
    assert_false(b.holds[HOLD_OWNER].paused || b.holds[HOLD_OWNER].killed || b.holds[HOLD_ALL].paused);
    assert_true(b.holds[HOLD_OPERATOR].closing);
}

/* ---- keys ---- */

static idem_key_t key_of(const char *key, const char *request)
{
    idem_key_t k = {{0}, {0}, {0}};
    snprintf(k.principal, sizeof k.principal, "wallet:%s", wallet);
    snprintf(k.key, sizeof k.key, "%s", key);
    sha256(request, strlen(request), k.hash);
    return k;
}

static got_t claim(const char *key, const char *request)
{
    got_t g = {0};
    idem_key_t k = key_of(key, request);
    idem_claim(fx.s, &k, on_idem, &g);
    assert_int_equal(g.n, 0);
    return *wait_for(&g);
}

static got_t keep(const char *key, const char *request, const char *name, const char *body)
{
    got_t g = {0};
    idem_key_t k = key_of(key, request);
    idem_keep(fx.s, &k, name, 200, span_of("\"1\""), span_of(body), on_idem, &g);
    return *wait_for(&g);
}

static void test_keys(void **state)
{
    (void)state;
    got_t a = claim("k", "x"), b = claim("k", "x");
    assert_int_equal(a.err, XE_OK);
    assert_false(a.row.other);
    assert_int_equal(a.row.status, 0);
    assert_string_equal(a.row.name, b.row.name);
    assert_true(claim("k", "y").row.other);
    assert_false(claim("other", "y").row.other);
    got_t kept = keep("k", "x", a.row.name, "{\"first\":1}");
    assert_string_equal(kept.body, "{\"first\":1}");
    assert_string_equal(keep("k", "x", a.row.name, "{\"second\":2}").body, "{\"first\":1}");
    b = claim("k", "x");
    assert_int_equal(b.row.status, 200);
    assert_string_equal(b.body, "{\"first\":1}");
    assert_string_equal(b.etag, "\"1\"");
    assert_int_equal(keep("k", "x", "00000000-0000-4000-8000-000000000000", "{}").err, XE_NOT_FOUND);
    fx_sql(&fx, "UPDATE idempotency_keys SET expires_at = now()");
    b = claim("k", "z");
    assert_false(b.row.other);
    assert_int_equal(b.row.status, 0);
    assert_string_not_equal(b.row.name, a.row.name);
}

static void test_refused_key(void **state)
{
    (void)state;
    got_t a = claim("k", "x"), g = {0};
    idem_key_t k = key_of("k", "x");
    idem_open(fx.s, &k, a.row.name, on_idem, &g);
    assert_int_equal(wait_for(&g)->err, XE_OK);
    got_t b = claim("k", "y");
    assert_false(b.row.other);
    assert_string_equal(b.row.name, a.row.name); /* what may be under way with it is not done twice */
    assert_true(claim("k", "x").row.other);
    keep("k", "y", b.row.name, "{}");
    memset(&g, 0, sizeof g);
    k = key_of("k", "y");
    idem_open(fx.s, &k, b.row.name, on_idem, &g); /* an answer that was given stays */
    wait_for(&g);
    assert_int_equal(claim("k", "y").row.status, 200);
    assert_true(claim("k", "x").row.other);
}

/* ---- trades ---- */

static got_t list(void)
{
    got_t g = {0};
    trade_query_t q = {.limit = 10};
    trades_list(fx.s, span_of(wallet), &q, on_trades, &g);
    return *wait_for(&g);
}

static void test_trades_read_through(void **state)
{
    char sql[300];
    (void)state;
    assert_int_equal(list().total, 0);
    snprintf(sql, sizeof sql, "INSERT INTO trades (user_vault_address, client_order_id, from_token_address, to_token_address, amount_in)"
                              " VALUES ('%s', 'o', 'A', 'B', 1)", wallet);
    fx_sql(&fx, sql);
    assert_int_equal(list().total, 0); /* from memory, until something is said of the wallet */
    put("1", -1, NULL);
    assert_int_equal(list().total, 1);
}

static void test_closing(void **state)
{
    got_t g[4] = {0};
    (void)state;
    who_t who = by(NULL);
    settings_patch_t p = patch_of("1");
    idem_key_t k = key_of("c", "x");
    settings_put(fx.s, span_of(wallet), &p, -1, &who, on_settings, &g[0]);
    settings_get(fx.s, span_of(wallet), on_settings, &g[1]);
    idem_claim(fx.s, &k, on_idem, &g[2]);
    bots_emergency(fx.s, HOLD_OWNER, span_of(wallet), EMERGENCY_PAUSE, "x", false, &who, on_hold, &g[3]);
    fx_store_close(&fx);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(g[i].n, 1);
    fx_store(&fx);
}

static void test_chain(void **state)
{
    (void)state;
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM audit_verify()"), 0);
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

#define T(f) cmocka_unit_test_setup(f, fresh_wallet)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_settings), T(test_unknown_user), T(test_word_from_elsewhere), T(test_named), T(test_named_toggle), T(test_lost_answer),
        T(test_configure), T(test_holds), T(test_keys), T(test_refused_key), T(test_trades_read_through), T(test_closing), T(test_stale), T(test_chain),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
