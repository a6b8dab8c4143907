/* The face end to end on loopback: real listener, real hub, real engine, and a storage made of variables. Shows the order
 * in which a request is judged, the answers of each route, and what subscribers are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/api.h"
#include "storage/bots.h"
#include "storage/opps.h"
#include "storage/idem.h"
#include "storage/perf.h"
#include "storage/settings.h"
#include "storage/trades.h"
#include "storage/rates.h"
#include "storage/users.h"

#define DESK "00000000-0000-4000-8000-00000000de5c"
#define JTI "0b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01"
#define USER "5d2c1b0a-1111-4222-8333-444455556666"
#define WALLET "7ntTRDx2CwHgjdk2Xmg2iqYYxeNRnbfbrYFQfBNmBXnc"
#define OTHER "3BCfyepBWv8KT7LDNWn9tMrxQbJigst1j9TDSi7ygZiv"

static struct {
    cfg_t cfg;
    loop_t *loop;
    metrics_t *metrics;
    engine_t *eng;
    api_t *api;
    hub_t *hub;
    http_t *http;
    bool draining;
    unsigned events; /* posted to the door */
    char wallet_token[1024], viewer_token[1024];
} t;

/* ---- a storage of variables ---------------------------------------------------------------------------------------- */

static struct {
    xerr_t pg, session;
    bool peek, revoked;
    session_t live, desk;
    bot_t bot;
    unsigned writes, session_checks, loads;
    char nonce[128];
    bool perf_cached;
    buf_t json;
    opp_query_t last;
    char last_pair[16];
} db;

/* One answer on its way: the callback fires from the loop, once. */
typedef struct {
    void (*fn)(void *cb, void *ctx);
    union { session_cb session; bot_cb bot; perf_cb perf; void (*done)(void *, xerr_t); void (*ping)(void *, xerr_t, int64_t);
            void (*opps)(void *, xerr_t, const opp_page_t *); } cb;
    void *ctx;
    int kind, rows;
    xerr_t err;
} answer_t_;

enum { K_SESSION, K_BOT, K_PERF, K_DONE, K_PING, K_OPPS };

static void deliver(void *p)
{
    answer_t_ *a = p;
    static opp_row_t row;
    perf_hit_t hit = {buf_span(&db.json), db.pg != XE_OK, 1234};
    opp_page_t page = {(unsigned)a->rows, &row, a->rows > 0, 7, 42};
    snprintf(row.id, sizeof row.id, "%s", JTI);
    snprintf(row.buy_price, sizeof row.buy_price, "151.250000");
    snprintf(row.net_bps, sizeof row.net_bps, "-12.50");
    snprintf(row.status, sizeof row.status, "open");
    row.detected_us = row.recv_us = 1795179600000000LL;
    row.detect_ns = 150000;
    switch (a->kind) {
    case K_SESSION: a->cb.session(a->ctx, a->err, a->err ? NULL : a->rows ? &db.desk : &db.live); break;
    case K_BOT: a->cb.bot(a->ctx, a->err, a->err ? NULL : &db.bot); break;
    case K_PERF: a->cb.perf(a->ctx, a->err, a->err ? NULL : &hit); break;
    case K_DONE: a->cb.done(a->ctx, a->err); break;
    case K_PING: a->cb.ping(a->ctx, a->err, 321); break;
    case K_OPPS: a->cb.opps(a->ctx, a->err, a->err ? NULL : &page); break;
    }
    free(a);
}

static answer_t_ *later(int kind, xerr_t err, void *ctx)
{
    answer_t_ *a = calloc(1, sizeof *a);
    a->kind = kind;
    a->err = err;
    a->ctx = ctx;
    loop_later(t.loop, deliver, a);
    return a;
}

void session_check(store_t *s, span_t jti, session_cb cb, void *ctx)
{
    bool desk = span_is(jti, db.desk.jti);
    xerr_t err = db.session ? db.session : desk ? XE_OK : db.revoked || !span_is(jti, db.live.jti) ? XE_AUTH : XE_OK;
    db.session_checks += !desk;
    answer_t_ *a = later(K_SESSION, err, ctx);
    a->cb.session = cb;
    a->rows = desk;
}

void session_watch(store_t *s, span_t jti, session_cb cb, void *ctx) { session_check(s, jti, cb, ctx); }

void session_refresh(store_t *s, span_t jti, const session_t *next, const who_t *who, session_cb cb, void *ctx)
{
    int64_t expires_s = db.live.expires_s;
    db.live = *next;
    db.live.expires_s = expires_s;
    strcpy(db.live.user_id, USER);
    later(K_SESSION, db.pg, ctx)->cb.session = cb;
}

void session_revoke(store_t *s, span_t jti, const who_t *who, void (*cb)(void *ctx, xerr_t err), void *ctx)
{
    db.revoked = true;
    later(K_DONE, db.pg, ctx)->cb.done = cb;
}

#include "handlers/apikey.h"
#include "handlers/ctx.h"
#include "tests/unit/operators_fake.h"

bool rates_take(store_t *s, uint64_t key, const rate_t bucket[2], rates_cb cb, void *ctx) { return false; }
unsigned bus_others(const bus_t *b) { return 0; }
void bus_post(bus_t *b, bus_kind_t kind, span_t key) {}
bus_t *store_bus(const store_t *s) { return NULL; }
void bus_on(bus_t *b, bus_kind_t kind, bus_fn fn, void *ctx) {}

const session_t *session_peek(store_t *s, span_t jti)
{
    if (span_is(jti, db.desk.jti)) return &db.desk;
    return db.peek && span_is(jti, db.live.jti) ? &db.live : NULL;
}

void session_create(store_t *s, const session_t *in, const who_t *who, session_cb cb, void *ctx)
{
    db.live = *in;
    strcpy(db.live.user_id, USER);
    db.writes++;
    later(K_SESSION, db.pg, ctx)->cb.session = cb;
}

void nonce_consume(store_t *s, span_t nonce, span_t wallet, int64_t expires_s, void (*cb)(void *ctx, xerr_t err), void *ctx)
{
    xerr_t err = db.pg ? db.pg : span_is(nonce, db.nonce) ? XE_CONFLICT : XE_OK;
    if (!err) snprintf(db.nonce, sizeof db.nonce, "%.*s", (int)nonce.n, nonce.p);
    later(K_DONE, err, ctx)->cb.done = cb;
}

void bots_get(store_t *s, span_t wallet, bot_cb cb, void *ctx)
{
    db.loads++;
    snprintf(db.bot.wallet, sizeof db.bot.wallet, "%.*s", (int)wallet.n, wallet.p);
    later(K_BOT, db.pg, ctx)->cb.bot = cb;
}

void bots_set_enabled(store_t *s, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx)
{
    xerr_t err = db.pg ? db.pg : if_version >= 0 && if_version != db.bot.version ? XE_CONFLICT : XE_OK;
    assert_string_equal(who->actor, WALLET);
    assert_string_equal(who->role, "wallet");
    if (!err) {
        snprintf(db.bot.wallet, sizeof db.bot.wallet, "%.*s", (int)wallet.n, wallet.p);
        db.bot.enabled = enabled;
        db.bot.version++;
        db.bot.updated_us = 1795179600000000LL;
        db.writes++;
    }
    later(K_BOT, err, ctx)->cb.bot = cb;
}

/* Their own tests are elsewhere (test_choices, tests/wire): here nobody asks for them. */
void bots_emergency(store_t *s, hold_by_t by, span_t wallet, emergency_t what, const char *reason, bool master, const who_t *who,
                    hold_cb cb, void *ctx) { fail(); }
void bot_configure(store_t *s, span_t wallet, tri_t enabled, const settings_patch_t *p, int64_t if_bot, int64_t if_settings,
                   const who_t *who, void (*cb)(void *ctx, xerr_t err, const bot_config_t *c), void *ctx) { fail(); }
void settings_get(store_t *s, span_t wallet, settings_cb cb, void *ctx) { fail(); }
bool settings_peek(store_t *s, span_t wallet, settings_hit_t *out) { return false; }
void settings_put(store_t *s, span_t wallet, const settings_patch_t *p, int64_t if_version, const who_t *who, settings_cb cb, void *ctx) { fail(); }
void trades_list(store_t *s, span_t wallet, const trade_query_t *q, trades_cb cb, void *ctx) { fail(); }
void idem_claim(store_t *s, const idem_key_t *k, idem_cb cb, void *ctx) { fail(); }
void idem_keep(store_t *s, const idem_key_t *k, const char *name, int status, span_t etag, span_t body, idem_cb cb, void *ctx) { fail(); }
void idem_open(store_t *s, const idem_key_t *k, const char *name, idem_cb cb, void *ctx) { fail(); }

const char *range_name(range_t r)
{
    static const char *const names[] = {"1D", "7D", "30D", "90D", "ALL"};
    return names[r];
}

xerr_t range_parse(span_t text, range_t *out)
{
    for (range_t r = RANGE_1D; r < RANGE_N; r++) {
        if (!span_is(text, range_name(r))) continue;
        *out = r;
        return XE_OK;
    }
    return XE_BAD_INPUT;
}

bool perf_peek(store_t *s, span_t wallet, range_t r, perf_hit_t *out)
{
    if (!db.perf_cached) return false;
    *out = (perf_hit_t){buf_span(&db.json), false, 0};
    return true;
}

void perf_get(store_t *s, span_t wallet, range_t r, perf_encode_fn enc, perf_cb cb, void *ctx)
{
    static const perf_point_t points[] = {{1795179600000000LL, 1000500000}, {1795183200000000LL, 1234560001}};
    perf_t p = {.range = r, .has_value = true, .value_e6 = 1234560001, .net_roi = 23.5, .max_drawdown = 4, .sharpe = 1.5, .win_rate = NAN,
                .trades = 0, .updated_us = 1795183200000000LL, .points_n = 2, .points = points};
    snprintf(p.wallet, sizeof p.wallet, "%.*s", (int)wallet.n, wallet.p);
    buf_reset(&db.json);
    enc(&p, &db.json);
    later(K_PERF, XE_OK, ctx)->cb.perf = cb;
}

void opps_list(store_t *s, const opp_query_t *q, void (*cb)(void *ctx, xerr_t err, const opp_page_t *page), void *ctx)
{
    db.last = *q;
    snprintf(db.last_pair, sizeof db.last_pair, "%.*s", (int)q->pair.n, q->pair.n ? q->pair.p : "");
    answer_t_ *a = later(K_OPPS, db.pg, ctx);
    a->cb.opps = cb;
    a->rows = 1;
}

void opps_one(store_t *s, span_t id, void (*cb)(void *ctx, xerr_t err, const opp_page_t *page), void *ctx)
{
    answer_t_ *a = later(K_OPPS, db.pg, ctx);
    a->cb.opps = cb;
    a->rows = span_is(id, JTI) ? 1 : 0;
}

void store_health(const store_t *s, store_health_t *out)
{
    *out = (store_health_t){.pg_up = !db.pg, .pg_writable = !db.pg, .redis_up = true, .pg_why = db.pg ? "connection refused" : NULL,
                            .schema_version = 1, .schema_wanted = 1, .pg_since_us = 1795179600000000LL};
}

void store_ping(store_t *s, void (*cb)(void *ctx, xerr_t err, int64_t us), void *ctx) { later(K_PING, db.pg, ctx)->cb.ping = cb; }

/* ---- the server ---------------------------------------------------------------------------------------------------- */

static void on_event(void *ctx, const ev_t *ev)
{
    if (ev->kind != EV_BOT) return;
    t.events++;
    api_publish_bot(t.api, ev->u.bot.wallet, ev->u.bot.enabled, ev->u.bot.version, ev->u.bot.updated_us);
}

static void view_all(void *ctx, buf_t *out) { buf_str(out, "[]"); }

static bool view_one(void *ctx, span_t venue, buf_t *out)
{
    if (!span_is(venue, "coinbase")) return false;
    buf_str(out, "{\"venue\":\"coinbase\"}");
    return true;
}

static bool view_draining(void *ctx) { return t.draining; }

static engine_t *make_engine(void)
{
    static eng_conf_t c = {.insts_n = 2, .pairs_n = 1, .book_levels = 8192, .stale_ms = 10000, .basis_stale_ms = 60000, .pool_stale_ms = 10000,
                           .min_net_bps_x100 = 1000, .size_min = {50000000}, .size_max = {1000000000}, .size_steps = 4};
    strcpy(c.pairs[0].name, "SOL/USD");
    c.pairs[0].base_decimals = 9;
    c.pairs[0].quote_decimals = 6;
    c.insts[0] = (inst_conf_t){.venue = VENUE_COINBASE, .kind = INST_SPOT, .market = "SOL-USD", .pair = 0, .taker_bps_x100 = 9000};
    c.insts[1] = (inst_conf_t){.venue = VENUE_GEMINI, .kind = INST_BASIS, .market = "usdcusd", .pair = -1};
    return eng_new(&c);
}

static void mint(const char *role, int64_t ttl, char *out)
{
    int64_t now = wall_us() / 1000000;
    bool desk = strcmp(role, "wallet") != 0;
    struct token_in in = {.jti = desk ? DESK : JTI, .user_id = desk ? "desk" : USER, .wallet = WALLET, .role = role, .issued_s = now,
                          .expires_s = now + ttl};
    assert_int_equal(token_mint(&t.cfg, &in, out, 1024), XE_OK);
}

static int setup(void **state)
{
    char *none[] = {NULL};
    const char *why = NULL;
    buf_t errors;
    buf_init(&errors, 65536);
    assert_int_equal(cfg_load(&t.cfg, NULL, none, &errors), XE_OK);
    buf_fini(&errors);
    buf_init(&db.json, 65536);
    strcpy(t.cfg.auth_jwt_secret, "unit-test-key-of-more-than-32-bytes-0123456789");
    t.metrics = metrics_new();
    t.loop = loop_new(t.metrics);
    t.eng = make_engine();
    assert_non_null(t.eng);
    t.api = api_new(t.loop, t.metrics, &t.cfg, NULL, t.eng, (door_t){on_event, NULL}, (api_views_t){view_all, view_one, view_draining, NULL, {0}});
    assert_non_null(t.api);
    hub_conf_t hc = {.ring_bytes = 1 << 20, .sub_bytes_max = 262144, .sub_events_max = 1024, .msg_max = 16384, .frags_max = 64, .ping_ms = 30000,
                     .dead_ms = 60000, .slice = 128, .subs_max = 100};
    t.hub = hub_open(t.loop, t.metrics, &hc, api_hub_hooks(t.api));
    api_set_hub(t.api, t.hub);
    http_conf_t c = {.listen_addr = "127.0.0.1", .port = 0, .head_ms = 10000, .body_ms = 10000, .idle_ms = 10000, .write_ms = 10000, .drain_ms = 100,
                     .line_max = 8192, .head_max = 16384, .lines_max = 100, .target_max = 8192, .body_max = 65536, .conns_max = 64,
                     .conns_per_addr = 64, .pipeline_max = 16, .fd_reserve = 4, .trusted_proxies = "127.0.0.1"};
    assert_int_equal(http_open(t.loop, t.metrics, &c, api_http_hooks(t.api), &t.http, &why), XE_OK);
    return 0;
}

static void turn(void)
{
    loop_poll(t.loop, 1);
    hub_flush(t.hub);
    http_flush(t.http);
    loop_end_turn(t.loop);
}

static int teardown(void **state)
{
    hub_close(t.hub, 1001);
    for (int i = 0; i < 20; i++) turn();
    hub_free(t.hub);
    http_close(t.http);
    for (int i = 0; i < 3; i++) loop_end_turn(t.loop);
    api_free(t.api);
    eng_free(t.eng);
    loop_free(t.loop);
    metrics_free(t.metrics);
    buf_fini(&db.json);
    return 0;
}

/* Before each test: everything works, nobody's limit is used up. */
static int fresh(void **state)
{
    buf_t keep = db.json;
    memset(&db, 0, sizeof db);
    db.json = keep;
    t.draining = false;
    t.events = 0;
    t.cfg.limits_enabled = false;
    t.cfg.feeds_enabled = false;
    mint("wallet", 3600, t.wallet_token);
    mint("viewer", 1800, t.viewer_token);
    strcpy(db.live.jti, JTI);
    strcpy(db.desk.jti, DESK);
    strcpy(db.desk.user_id, "desk");
    db.desk.expires_s = wall_us() / 1000000 + 3600;
    strcpy(db.live.user_id, USER);
    strcpy(db.live.wallet, WALLET);
    db.live.expires_s = wall_us() / 1000000 + 3600;
    strcpy(db.bot.risk_profile, "Balanced");
    strcpy(db.bot.slippage_tolerance, "1.00");
    return 0;
}

/* ---- a client ------------------------------------------------------------------------------------------------------ */

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(http_port(t.http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static char in[1 << 20];
static size_t in_n;

static bool whole(void)
{
    in[in_n] = '\0';
    char *end = strstr(in, "\r\n\r\n"), *len = strstr(in, "Content-Length: ");
    if (!end) return false;
    return !len || len > end ? true : in_n >= (size_t)(end + 4 - in) + (size_t)atol(len + 16);
}

/* One request on its own connection; the status. The whole answer is in `in`. */
static int ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int ask(const char *fmt, ...)
{
    static char out[1 << 17];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, sizeof out, fmt, ap);
    va_end(ap);
    int fd = dial();
    assert_int_equal(write(fd, out, (size_t)n), n);
    in_n = 0;
    for (int i = 0; i < 2000 && !whole(); i++) {
        turn();
        ssize_t got = read(fd, in + in_n, sizeof in - 1 - in_n);
        if (got > 0) in_n += (size_t)got;
        if (got == 0) break;
    }
    close(fd);
    turn();
    if (in_n < 12) fail_msg("no answer to: %.60s", out);
    return atoi(in + 9);
}

#define GET(path, auth) "GET " path " HTTP/1.1\r\nHost: x\r\n" auth "\r\n"
#define AUTH "Authorization: Bearer %s\r\n"
#define JSON_TYPE "Content-Type: application/json\r\n"

static int get(const char *path) { return ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); }
static int get_as(const char *token, const char *path) { return ask("GET %s HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n", path, token); }

static int post_as(const char *token, const char *path, const char *headers, const char *body)
{
    return ask("POST %s HTTP/1.1\r\nHost: x\r\n" AUTH "%sContent-Length: %zu\r\n\r\n%s", path, token, headers, strlen(body), body);
}

static bool has(const char *text) { return strstr(in, text) != NULL; }

static void expect(int got, int want)
{
    if (got != want) fail_msg("status %d, not %d: %.600s", got, want, in);
}

static void expect_text(const char *text)
{
    if (!has(text)) fail_msg("'%s' is missing in: %.900s", text, in);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void public_routes(void **state)
{
    expect(get("/health"), 200);
    expect_text("{\"status\":\"ok\"}");
    expect(get("/api/v1/ping"), 200);
    expect(get("/api/v1/version"), 200);
    expect_text("\"api_version\":\"v1\"");
    expect(get("/health/ready"), 200);
    expect_text("\"ready\":true");
    expect(get("/api/system/status"), 200);
    expect_text("\"status\":\"healthy\"");
    assert_false(has("markets"));
    expect(get_as(t.viewer_token, "/api/system/status"), 200);
    expect_text("markets");
    expect(get_as("x.y.z", "/api/system/status"), 401);
    expect(get("/api/database/health"), 200);
    expect_text("\"latency_ms\":0.321");
    expect(get("/metrics"), 200);
    expect_text("rate_limit_entries");
    expect_text("http_requests_total{route=\"/health\",method=\"GET\",status=\"200\"}");
    expect(ask("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"), 403);
    expect(ask("GET /api/database/health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"), 401);
    expect(ask("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
}

static void not_ready_when_writes_would_fail(void **state)
{
    db.pg = XE_DOWN;
    expect(get("/health/ready"), 503);
    expect_text("\"ready\":false");
    expect(get("/health"), 200);
    expect(get("/api/system/status"), 200);
    expect_text("\"fail_safe\"");
    expect(get("/api/database/health"), 503);
    db.pg = XE_OK;
    t.draining = true;
    expect(get("/health/ready"), 503);
}

static void paths_and_methods(void **state)
{
    expect(get("/nowhere"), 404);
    expect_text("\"code\":\"NOT_FOUND\"");
    expect(get("/api/bot/enable"), 405);
    expect_text("Allow: POST, OPTIONS");
    expect(ask("OPTIONS /api/bot/enable HTTP/1.1\r\nHost: x\r\nOrigin: https://xorj.ai\r\n\r\n"), 204);
    expect_text("Access-Control-Allow-Origin: https://xorj.ai");
    expect_text("Access-Control-Max-Age: 86400");
    expect(ask("OPTIONS /api/bot/enable HTTP/1.1\r\nHost: x\r\nOrigin: https://xorj.ai.evil.example\r\n\r\n"), 204);
    assert_false(has("Access-Control"));
    expect(ask("OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"), 404);
    expect(ask("GET /health HTTP/1.1\r\nHost: x\r\nOrigin: https://xorj.ai\r\n\r\n"), 200);
    expect_text("Access-Control-Allow-Credentials: true");
    expect(ask("GET /health HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n\r\n"), 200);
    assert_false(has("Access-Control"));
}

/* Each request is wrong in all later ways too: the first failing step answers, and nothing behind it has any effect. */
static void order_of_judgement(void **state)
{
    expect(ask("POST /api/bot/enabl?x=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n{"), 404);
    expect(ask("PUT /api/bot/enable?x=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n{"), 405);
    expect(ask("POST /api/bot/enable?x=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n{"), 401);
    expect(post_as(t.viewer_token, "/api/bot/enable?x=1", "Content-Type: text/plain\r\n", "{"), 403);
    expect(post_as(t.wallet_token, "/api/bot/enable?x=1", "Content-Type: text/plain\r\n", "{"), 415);
    expect(post_as(t.wallet_token, "/api/bot/enable?x=1", JSON_TYPE, "{"), 400);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "If-Match: \"99\"\r\n", "{"), 400);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "If-Match: \"99\"\r\n", "{\"x\":1}"), 400);
    expect_text("Unrecognized key(s) in object: 'x'");
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "If-Match: \"99\"\r\n", "{}"), 412);
    assert_int_equal(db.writes, 0);
    db.pg = XE_DOWN;
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE, "{}"), 503);
    expect_text("Retry-After: ");
    expect_text("STORAGE_UNAVAILABLE");
    assert_int_equal(db.writes, 0);
    assert_int_equal(t.events, 0);
    db.pg = XE_OK;
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE, "{}"), 200);
    assert_int_equal(db.writes, 1);
    assert_int_equal(t.events, 1);
}

static void tokens(void **state)
{
    char old[1024];
    static const char *const bad[] = {"Bearer", "Bearer ", "bearer x", "Basic dXNlcjpwYXNz", "Bearer a.b.c", "Bearer  a.b.c", "Token x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(ask("GET /api/bot/status HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", bad[i]), 401);
        expect_text("AUTHENTICATION_ERROR");
        expect_text("A valid token is required");
    }
    expect(get("/api/bot/status"), 401);
    expect_text("WWW-Authenticate: Bearer");
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    expect(ask("GET /api/bot/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s \r\n\r\n", t.wallet_token), 200); /* blanks around a value are HTTP's */
    expect(ask("GET /api/bot/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s x\r\n\r\n", t.wallet_token), 401);
    expect(ask("GET /api/bot/status HTTP/1.1\r\nHost: x\r\nAuthorization: bearer %s\r\n\r\n", t.wallet_token), 401);
    expect(get("/api/bot/status?token=x"), 401);
    memcpy(old, t.wallet_token, sizeof old);
    old[strlen(old) - 5] ^= 1;
    expect(get_as(old, "/api/bot/status"), 401);
}

static void sessions(void **state)
{
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    assert_int_equal(db.session_checks, 1);
    db.peek = true;
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    assert_int_equal(db.session_checks, 1);
    db.peek = false;
    db.revoked = true; /* the token itself is cached and good: the session decides */
    expect(get_as(t.wallet_token, "/api/bot/status"), 401);
    db.revoked = false;
    db.session = XE_DOWN;
    expect(get_as(t.wallet_token, "/api/bot/status"), 503);
    expect(get_as(t.wallet_token, "/api/system/status"), 200); /* whoever asks */
    db.session = XE_OK;
    strcpy(db.live.wallet, OTHER); /* a session of somebody else */
    expect(get_as(t.wallet_token, "/api/bot/status"), 401);
    expect(get_as(t.viewer_token, "/api/v1/connectors"), 200);
}

static void roles(void **state)
{
    static const char *const desk[] = {"/api/v1/status", "/api/v1/opportunities", ("/api/v1/opportunities/" JTI), "/api/v1/connectors",
                                       "/api/v1/connectors/coinbase/health", "/api/v1/books/coinbase/SOL-USD"};
    for (size_t i = 0; i < sizeof desk / sizeof *desk; i++) {
        expect(get(desk[i]), 401);
        expect(get_as(t.wallet_token, desk[i]), 403);
        expect_text("AUTHORIZATION_ERROR");
        expect(get_as(t.viewer_token, desk[i]), 200);
    }
    expect(get_as(t.viewer_token, "/api/bot/status"), 403);
    expect(post_as(t.viewer_token, "/api/bot/disable", "", ""), 403);
    expect(get_as(t.wallet_token, "/api/database/health"), 403);
}

static void the_switch(void **state)
{
    expect(post_as(t.wallet_token, "/api/bot/enable", "", ""), 200);
    expect_text("{\"success\":true,\"message\":\"Bot enabled\",\"enabled\":true,\"version\":1");
    expect_text("ETag: \"1\"");
    expect(post_as(t.wallet_token, "/api/bot/disable", JSON_TYPE, " \r\n"), 200);
    expect_text("\"enabled\":false,\"version\":2");
    expect(post_as(t.wallet_token, "/api/bot/enable", "Content-Type: application/json; charset=utf-8\r\n", "{}"), 200);
    expect(post_as(t.wallet_token, "/api/bot/enable", "Content-Type: application/json; charset=latin1\r\n", "{}"), 415);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "Content-Encoding: gzip\r\n", "{}"), 415);
    expect(post_as(t.wallet_token, "/api/bot/enable", "", "{}"), 415);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE, "[]"), 400);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE, "{}{}"), 400);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "If-Match: \"3\"\r\n", ""), 200);
    expect(post_as(t.wallet_token, "/api/bot/enable", JSON_TYPE "If-Match: \"3\"\r\n", ""), 412);
    expect_text("PRECONDITION_FAILED");
    expect(post_as(t.wallet_token, "/api/bot/enable", "If-Match: *\r\n", ""), 200);
    expect(post_as(t.wallet_token, "/api/bot/enable", "If-Match: W/\"5\"\r\n", ""), 412);
    expect(post_as(t.wallet_token, "/api/bot/enable", "If-Match: \"abc\"\r\n", ""), 412);
    expect(post_as(t.wallet_token, "/api/bot/enable", "If-Match: 5\r\n", ""), 400);
    assert_int_equal(t.events, 5);
}

static void status_of_the_bot(void **state)
{
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    expect_text("\"status\":\"stopped\",\"enabled\":false");
    expect_text("\"health_score\":null");
    expect_text("\"max_trade_amount\":null,\"max_trade_amount_str\":null");
    expect_text("\"slippage_tolerance\":1.00,\"slippage_tolerance_str\":\"1.00\"");
    expect_text("\"last_execution\":\"NEVER_EXECUTED\"");
    db.bot.enabled = true;
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    expect_text("\"status\":\"active\"");
    t.cfg.feeds_enabled = true; /* and no market is usable */
    expect(get_as(t.wallet_token, "/api/bot/status"), 200);
    expect_text("\"status\":\"paused\",\"enabled\":true,\"pause_reasons\":[\"STALE_DATA\"],\"health_score\":38,\"health\":{\"data_freshness\":0,\"holds\":100");
    db.pg = XE_DOWN;
    expect(get_as(t.wallet_token, "/api/bot/status"), 503);
    assert_false(has("\"enabled\""));
}

static void performance(void **state)
{
    expect(get_as(t.wallet_token, "/api/user/performance?timeRange=30D&walletAddress=" WALLET), 200);
    expect_text("{\"success\":true,\"stale\":false,\"data\":{\"walletAddress\":\"" WALLET "\",\"currentVaultValueUSD\":1234.560001,"
                "\"currentVaultValueUSD_str\":\"1234.560001\",\"netROI\":23.5");
    expect_text("\"winRate\":null");
    expect_text("\"winRate\":\"NO_CLOSED_TRADE\"");
    expect_text("\"value\":1000.5}");
    expect_text("\"requestId\":\"");
    db.perf_cached = db.peek = true;
    expect(ask("GET /api/user/performance HTTP/1.1\r\nHost: x\r\nX-Request-ID: abc-1\r\n" AUTH "\r\n", t.wallet_token), 200);
    expect_text(",\"requestId\":\"abc-1\"}");
    db.perf_cached = false;
    db.pg = XE_DOWN;
    expect(get_as(t.wallet_token, "/api/user/performance"), 200);
    expect_text("\"stale\":true,\"age_ms\":1234,");
    expect(get_as(t.wallet_token, "/api/user/performance?walletAddress=" OTHER), 403);
    expect(get_as(t.viewer_token, "/api/user/performance?walletAddress=" OTHER), 200);
    expect(get_as(t.viewer_token, "/api/user/performance"), 400);
    expect(get_as(t.wallet_token, "/api/user/performance?walletAddress=0OIl"), 400);
    expect_text("walletAddress: ");
    expect(get_as(t.wallet_token, "/api/user/performance?timeRange=30d"), 400);
    expect(get_as(t.wallet_token, "/api/user/performance?timeRange=30D&timeRange=30D"), 400);
    expect(get_as(t.wallet_token, "/api/user/performance?wallet=" WALLET), 400);
    expect_text("Unrecognized key(s) in query: 'wallet'");
}

static void opportunities(void **state)
{
    expect(get_as(t.viewer_token, "/api/v1/opportunities?limit=2&pair=SOL%2FUSD&venue=coinbase&min_net_bps=-5.5&since=2026-11-20T13:00:00Z"), 200);
    assert_int_equal(db.last.limit, 2);
    assert_int_equal(db.last.min_net_bps_x100, -550);
    assert_true(db.last.has_min_net && db.last.since_us == 1795179600000000LL);
    assert_string_equal(db.last_pair, "SOL/USD");
    expect_text("\"buy_price\":151.250000,\"buy_price_str\":\"151.250000\"");
    expect_text("\"receive_to_detect_us\":150");
    expect_text("\"detected\":\"2026-11-20T13:00:00.000000Z\"");
    expect_text("\"total_count\":42");
    char *at = strstr(in, "\"next_cursor\":\"");
    assert_non_null(at);
    char cursor[64];
    snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(at + 15, "\""), at + 15);
    char path[256];
    snprintf(path, sizeof path, "/api/v1/opportunities?cursor=%s", cursor);
    expect(get_as(t.viewer_token, path), 200);
    assert_int_equal(db.last.before_seq, 7);
    static const char *const bad[] = {"limit=0", "limit=1001", "limit=x", "cursor=7", "cursor=", "pair=%00", "pair=", "venue=kraken", "min_net_bps=x",
                                      "min_net_bps=1.005", "since=yesterday", "decision=a%20b", "nope=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/api/v1/opportunities?%s", bad[i]);
        expect(get_as(t.viewer_token, path), 400);
    }
    expect(get_as(t.viewer_token, "/api/v1/opportunities/" USER), 404);
    expect(get_as(t.viewer_token, "/api/v1/opportunities/x"), 400);
}

static void tell_book(ev_kind_t kind, const chg_t *c, uint32_t n)
{
    static eff_list_t out;
    ev_t ev = {.kind = kind, .venue = VENUE_COINBASE, .inst = 0, .recv_ns = mono_ns(), .recv_wall_us = wall_us()};
    ev.parsed_ns = ev.recv_ns;
    if (kind == EV_BOOK_BEGIN) ev.u.begin.snapshot = true;
    if (kind == EV_BOOK_LEVELS) {
        ev.u.levels.c = c;
        ev.u.levels.n = n;
    }
    if (kind == EV_CONN) ev.u.conn.up = true;
    eng_step(t.eng, &ev, &out);
}

static void books(void **state)
{
    chg_t levels[400];
    sha256_ctx_t *sha = sha256_new();
    uint8_t sum[32];
    char want[65], line[64];
    t.cfg.feeds_enabled = true;
    for (int i = 0; i < 200; i++) {
        levels[i] = (chg_t){SIDE_BID, {{(i128_t)(15000 - i) * DEC_SCALE / 100}, {(i128_t)(i + 1) * DEC_SCALE / 10}}};
        levels[200 + i] = (chg_t){SIDE_ASK, {{(i128_t)(15001 + i) * DEC_SCALE / 100}, {(i128_t)(i + 1) * DEC_SCALE}}};
    }
    tell_book(EV_CONN, NULL, 0);
    tell_book(EV_BOOK_BEGIN, NULL, 0);
    tell_book(EV_BOOK_LEVELS, levels, 400);
    tell_book(EV_BOOK_END, NULL, 0);
    for (int i = 0; i < 400; i++) {
        char px[DEC_TEXT_MAX], qty[DEC_TEXT_MAX];
        dec_text(levels[i].lv.px.raw, px, sizeof px);
        dec_text(levels[i].lv.qty.raw, qty, sizeof qty);
        int n = snprintf(line, sizeof line, "%c %s %s\n", i < 200 ? 'b' : 'a', px, qty);
        sha256_add(sha, line, (size_t)n);
    }
    sha256_end_free(sha, sum);
    hex_encode(sum, sizeof sum, want);
    expect(get_as(t.viewer_token, "/api/v1/books/coinbase/SOL-USD?depth=2&digest=1"), 200);
    expect_text("\"usable\":true");
    expect_text("\"bid_levels\":200,\"ask_levels\":200,\"bids\":[[\"150\",\"0.1\"],[\"149.99\",\"0.2\"]],\"asks\":[[\"150.01\",\"1\"],[\"150.02\",\"2\"]]");
    expect_text(want);
    expect(get_as(t.viewer_token, "/api/v1/books/coinbase/SOL-USD"), 200);
    assert_false(has("book_sha256"));
    expect(get_as(t.viewer_token, "/api/v1/books/coinbase/sol-usd"), 404);
    expect(get_as(t.viewer_token, "/api/v1/books/coinbase/SOL-USD?depth=0"), 400);
    expect(get_as(t.viewer_token, "/api/v1/books/coinbase/SOL-USD?digest=2"), 400);
    expect(get_as(t.viewer_token, "/api/v1/books/gemini/usdcusd"), 200);
    expect_text("\"usable\":false");
    expect(get_as(t.viewer_token, "/api/v1/connectors/kraken/health"), 404);
    expect(get_as(t.viewer_token, "/api/v1/status"), 200);
    expect_text("\"mode\":\"OBSERVE_ONLY\"");
}

static void limits(void **state)
{
    int last = 0;
    t.cfg.limits_enabled = true;
    t.cfg.limits_user_burst = 3;
    db.peek = true;
    for (int i = 0; i < 5; i++) last = get_as(t.wallet_token, "/api/bot/status");
    expect(last, 429);
    expect_text("RATE_LIMIT_ERROR");
    expect_text("RateLimit-Policy: \"user\";q=600;w=60");
    expect_text("RateLimit: \"user\";r=0;t=1");
    expect_text("Retry-After: 1");
    expect(get("/health"), 200); /* other class, other key */
    t.cfg.limits_user_burst = 60;
    t.cfg.limits_auth_per_15min = 2;
    for (int i = 0; i < 3; i++) last = ask("GET /api/auth/challenge HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n");
    expect(last, 429);
    expect(ask("GET /api/auth/challenge HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.6\r\n\r\n"), 400);
    t.cfg.limits_auth_per_15min = 100;
}

/* ---- signing in ---------------------------------------------------------------------------------------------------- */

static EVP_PKEY *wallet_key(uint8_t seed_byte, char address[48])
{
    uint8_t seed[32], pub[32];
    size_t n = sizeof pub;
    memset(seed, seed_byte, sizeof seed);
    EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    EVP_PKEY_get_raw_public_key(k, pub, &n);
    b58_encode(pub, sizeof pub, address, 70);
    return k;
}

static void sign64(EVP_PKEY *k, const char *text, char out[96])
{
    uint8_t sig[64];
    size_t n = sizeof sig;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestSignInit(c, NULL, NULL, NULL, k);
    EVP_DigestSign(c, sig, &n, (const uint8_t *)text, strlen(text));
    EVP_MD_CTX_free(c);
    b64_encode(sig, sizeof sig, out, 96);
}

/* The challenge's message, JSON-escaped as received and plain. */
static void challenge(const char *address, char *escaped, char *plain)
{
    char path[128];
    snprintf(path, sizeof path, "/api/auth/challenge?wallet_address=%s", address);
    expect(get(path), 200);
    char *from = strstr(in, "\"message\":\"") + 11, *to = strstr(from, "\",\"nonce\"");
    snprintf(escaped, 1024, "%.*s", (int)(to - from), from);
    for (; from < to; from++) {
        if (from[0] == '\\' && from[1] == 'n') {
            *plain++ = '\n';
            from++;
        } else {
            *plain++ = *from;
        }
    }
    *plain = '\0';
}

static int authenticate(const char *address, const char *sig, const char *message)
{
    char body[2048];
    int n = snprintf(body, sizeof body, "{\"wallet_address\":\"%s\",\"signature\":\"%s\",\"message\":\"%s\"}", address, sig, message);
    return ask("POST /api/auth/authenticate HTTP/1.1\r\nHost: x\r\n" JSON_TYPE "Content-Length: %d\r\n\r\n%s", n, body);
}

static void signing_in(void **state)
{
    char address[80], other[80], escaped[1024], plain[1024], sig[96], token[1024];
    EVP_PKEY *k = wallet_key(7, address), *k2 = wallet_key(8, other);
    challenge(address, escaped, plain);
    sign64(k, plain, sig);
    expect(authenticate(address, sig, escaped), 200);
    expect_text("\"user_id\":\"" USER "\"");
    char *at = strstr(in, "\"session_token\":\"") + 17;
    snprintf(token, sizeof token, "%.*s", (int)strcspn(at, "\""), at);
    expect(get_as(token, "/api/bot/status"), 200);
    expect(authenticate(address, sig, escaped), 401); /* used */
    expect_text("The sign-in was refused");

    challenge(address, escaped, plain);
    sign64(k2, plain, sig);
    expect(authenticate(address, sig, escaped), 401); /* another key */
    sign64(k, plain, sig);
    expect(authenticate(address, sig, escaped), 401); /* the attempt before used the nonce up */

    challenge(address, escaped, plain);
    sign64(k2, plain, sig);
    expect(authenticate(other, sig, escaped), 401); /* issued to another wallet */
    sign64(k, plain, sig);
    escaped[0] = 'X';
    expect(authenticate(address, sig, escaped), 401);

    unsigned before = db.writes;
    expect(authenticate(address, "AAAA", escaped), 400);
    expect_text("signature: ");
    expect(authenticate("0OIl", sig, escaped), 400);
    expect(authenticate(address, sig, ""), 400);
    expect(ask("POST /api/auth/authenticate HTTP/1.1\r\nHost: x\r\n" JSON_TYPE "Content-Length: 11\r\n\r\n{\"admin\":1}"), 400);
    expect_text("Unrecognized key(s) in object: 'admin'");
    expect(get("/api/auth/challenge"), 400);
    expect(get("/api/auth/challenge?wallet_address=x"), 400);
    db.pg = XE_DOWN;
    challenge(address, escaped, plain); /* needs no storage */
    sign64(k, plain, sig);
    expect(authenticate(address, sig, escaped), 503);
    assert_int_equal(db.writes, before);
    EVP_PKEY_free(k);
    EVP_PKEY_free(k2);
}

/* ---- sockets ------------------------------------------------------------------------------------------------------- */

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

typedef struct {
    int fd;
    char buf[65536];
    size_t n;
} sock_t;

static void fill_sock(sock_t *s)
{
    turn();
    ssize_t got = read(s->fd, s->buf + s->n, sizeof s->buf - s->n);
    if (got > 0) s->n += (size_t)got;
}

static int open_sock(sock_t *s, const char *path, const char *headers)
{
    char out[4096];
    int n = snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: x\r\n%s" UPGRADE "\r\n", path, headers);
    s->fd = dial();
    s->n = 0;
    assert_int_equal(write(s->fd, out, (size_t)n), n);
    for (int i = 0; i < 200; i++) {
        fill_sock(s);
        char *end = s->n ? memmem(s->buf, s->n, "\r\n\r\n", 4) : NULL;
        if (!end) continue;
        int status = atoi(s->buf + 9);
        size_t head = (size_t)(end + 4 - s->buf);
        memmove(s->buf, s->buf + head, s->n - head);
        s->n -= head;
        return status;
    }
    fail_msg("no handshake answer");
    return 0;
}

static void say(sock_t *s, const char *text)
{
    uint8_t f[4096];
    size_t n = strlen(text), at = 2;
    f[0] = 0x81;
    f[1] = (uint8_t)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        f[2] = (uint8_t)(n >> 8);
        f[3] = (uint8_t)n;
        at = 4;
    }
    memset(f + at, 0, 4); /* masked with zero */
    memcpy(f + at + 4, text, n);
    assert_int_equal(write(s->fd, f, at + 4 + n), at + 4 + n);
}

/* Next frame's payload into in; its opcode, 0 when none comes. */
static int hear(sock_t *s)
{
    for (int i = 0; i < 100; i++) {
        const uint8_t *p = (const uint8_t *)s->buf;
        size_t head = s->n >= 2 && (p[1] & 0x7f) == 126 ? 4 : 2;
        if (s->n >= head) {
            size_t len = head == 4 ? (size_t)p[2] << 8 | p[3] : p[1] & 0x7fu;
            if (s->n >= head + len) {
                int op = p[0] & 15;
                memcpy(in, s->buf + head, len);
                in[len] = '\0';
                memmove(s->buf, s->buf + head + len, s->n - head - len);
                s->n -= head + len;
                return op;
            }
        }
        fill_sock(s);
    }
    in[0] = '\0';
    return 0;
}

static void expect_close(sock_t *s, unsigned code)
{
    int op;
    while ((op = hear(s)) == 1) continue;
    assert_int_equal(op, 8);
    assert_int_equal((unsigned)(uint8_t)in[0] << 8 | (uint8_t)in[1], code);
    close(s->fd);
    turn();
}

static void open_with(sock_t *s, const char *token)
{
    char head[1200];
    snprintf(head, sizeof head, AUTH, token);
    assert_int_equal(open_sock(s, "/api/v1/ws", head), 101);
}

static void handshake(void **state)
{
    static sock_t s;
    char head[1400], path[128], ticket[64];
    assert_int_equal(open_sock(&s, "/api/v1/ws", ""), 401);
    close(s.fd);
    assert_int_equal(open_sock(&s, "/api/v1/ws?ticket=AAAA", ""), 401);
    close(s.fd);
    snprintf(head, sizeof head, AUTH "Origin: https://evil.example\r\n", t.viewer_token);
    assert_int_equal(open_sock(&s, "/api/v1/ws", head), 403);
    close(s.fd);
    snprintf(head, sizeof head, AUTH "Origin: http://x\r\n", t.viewer_token);
    assert_int_equal(open_sock(&s, "/api/v1/ws", head), 101);
    close(s.fd);
    expect(get_as(t.viewer_token, "/api/v1/ws"), 426);
    expect(post_as(t.wallet_token, "/api/v1/ws-ticket", "", ""), 200);
    expect_text("\"expires_in\":30");
    char *at = strstr(in, "\"ticket\":\"") + 10;
    snprintf(ticket, sizeof ticket, "%.*s", (int)strcspn(at, "\""), at);
    snprintf(path, sizeof path, "/api/v1/ws?ticket=%s", ticket);
    assert_int_equal(open_sock(&s, path, ""), 101);
    close(s.fd);
    assert_int_equal(open_sock(&s, path, ""), 401); /* once */
    close(s.fd);
    for (int i = 0; i < 20; i++) turn();
}

static void commands(void **state)
{
    static sock_t s;
    static const char *const bad[] = {
        "", "x", "[]", "{}", "{\"action\":1}", "{\"action\":\"dance\"}", "{\"action\":\"ping\",\"x\":1}", "{\"action\":\"subscribe\"}",
        "{\"action\":\"subscribe\",\"channels\":[]}", "{\"action\":\"subscribe\",\"channels\":\"bot\"}", "{\"action\":\"subscribe\",\"channels\":[1]}",
        "{\"action\":\"subscribe\",\"channels\":[\"nope\"]}", "{\"action\":\"subscribe\",\"channels\":[\"status\"],\"y\":1}",
        "{\"action\":\"subscribe\",\"channels\":[\"status\"],\"since\":\"1\"}", "{\"action\":\"subscribe\",\"channels\":[\"status\"],\"filter\":[]}",
        "{\"action\":\"subscribe\",\"channels\":[\"opportunities\"],\"filter\":{\"pair\":\"X/Y\"}}",
        "{\"action\":\"subscribe\",\"channels\":[\"opportunities\"],\"filter\":{\"venue\":\"kraken\"}}",
        "{\"action\":\"subscribe\",\"channels\":[\"opportunities\"],\"filter\":{\"min_net_bps\":\"1\"}}",
        "{\"action\":\"subscribe\",\"channels\":[\"bot\"]}", "{\"action\":\"ping\",\"action\":\"ping\"}",
    };
    open_with(&s, t.viewer_token);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        say(&s, bad[i]);
        assert_int_equal(hear(&s), 1);
        if (!has("\"type\":\"error\"")) fail_msg("%s was answered with %s", bad[i], in);
    }
    say(&s, "{\"action\":\"ping\"}");
    hear(&s);
    expect_text("\"type\":\"pong\"");
    say(&s, "{\"action\":\"subscribe\",\"channels\":[\"opportunities\",\"status\"],\"since\":0}");
    hear(&s);
    expect_text("{\"type\":\"subscribed\",\"channels\":[\"opportunities\",\"status\"],\"seq\":{\"opportunities\":0");
    hear(&s);
    expect_text("\"channel\":\"status\"");
    expect_text("\"type\":\"snapshot\"");
    say(&s, "{\"action\":\"unsubscribe\",\"channels\":[\"status\"]}");
    hear(&s);
    expect_text("\"type\":\"unsubscribed\"");
    close(s.fd);
    for (int i = 0; i < 10; i++) turn();
}

static void publications(void **state)
{
    static sock_t all, picky;
    opp_t o = {.pair = 0, .dir = DIR_CEX_TO_DEX, .buy = VENUE_COINBASE, .sell = VENUE_ORCA, .buy_px = {(i128_t)150 * DEC_SCALE}, .size = {DEC_SCALE / 2},
               .buy_cost = {75000000}, .fee_cex = {-0}, .net_bps_x100 = 1234, .recv_wall_us = 1795179600000000LL, .detect_wall_us = 1795179600000150LL,
               .recv_ns = 1000, .parsed_ns = 51000, .detect_ns = 151000, .decision = "OBSERVE_ONLY", .reason = ""};
    strcpy(o.id, JTI);
    open_with(&all, t.viewer_token);
    open_with(&picky, t.viewer_token);
    say(&all, "{\"action\":\"subscribe\",\"channels\":[\"opportunities\",\"trades\"]}");
    say(&picky, "{\"action\":\"subscribe\",\"channels\":[\"opportunities\"],\"filter\":{\"min_net_bps\":12.35}}");
    assert_int_equal(hear(&all), 1);
    assert_int_equal(hear(&picky), 1);
    api_publish_opp(t.api, &o, "SOL/USD");
    assert_int_equal(hear(&all), 1);
    expect_text("\"channel\":\"opportunities\",\"seq\":1,");
    expect_text("\"type\":\"opened\"");
    expect_text("\"net_bps\":12.34,\"net_bps_str\":\"12.34\"");
    expect_text("\"receive_to_detect_us\":150");
    assert_int_equal(hear(&picky), 0);
    o.net_bps_x100 = 1235;
    api_publish_opp(t.api, &o, "SOL/USD");
    assert_int_equal(hear(&picky), 1);
    say(&picky, "{\"action\":\"subscribe\",\"channels\":[\"opportunities\"],\"since\":1}");
    hear(&picky);
    hear(&picky);
    expect_text("\"type\":\"gap\",\"data\":{\"since\":1,\"seq\":2,\"reason\":\"NOT_KEPT\"}");
    close(all.fd);
    close(picky.fd);
    for (int i = 0; i < 10; i++) turn();
}

static void a_wallet_hears_its_own_bot(void **state)
{
    static sock_t s, v;
    db.bot.version = 100; /* beyond what other tests told a moment ago */
    open_with(&s, t.wallet_token);
    say(&s, "{\"action\":\"subscribe\",\"channels\":[\"bot\",\"opportunities\"]}");
    hear(&s);
    expect_text("AUTHORIZATION_ERROR");
    say(&s, "{\"action\":\"subscribe\",\"channels\":[\"bot\"],\"filter\":{\"wallet\":\"" OTHER "\"}}");
    hear(&s);
    expect_text("AUTHORIZATION_ERROR");
    say(&s, "{\"action\":\"subscribe\",\"channels\":[\"bot\"]}");
    hear(&s);
    expect_text("subscribed");
    hear(&s);
    expect_text("\"type\":\"snapshot\"");
    open_with(&v, t.viewer_token);
    say(&v, "{\"action\":\"subscribe\",\"channels\":[\"bot\"],\"filter\":{\"wallet\":\"" OTHER "\"}}");
    hear(&v);
    hear(&v);
    expect(post_as(t.wallet_token, "/api/bot/enable", "", ""), 200);
    assert_int_equal(hear(&s), 1);
    expect_text("\"type\":\"changed\",\"data\":{\"wallet_address\":\"" WALLET "\",\"enabled\":true");
    assert_int_equal(hear(&v), 0);
    api_publish_bot(t.api, OTHER, true, 9, 1795179600000000LL);
    assert_int_equal(hear(&v), 1);
    assert_int_equal(hear(&s), 0);
    api_publish_bot(t.api, OTHER, false, 8, 1795179600000000LL); /* late: overtaken by 9 */
    assert_int_equal(hear(&v), 0);
    close(s.fd);
    close(v.fd);
    for (int i = 0; i < 10; i++) turn();
}

static void sockets_are_bounded(void **state)
{
    static sock_t s[6];
    for (int i = 0; i < 6; i++) open_with(&s[i], t.viewer_token);
    expect_close(&s[5], 4029);
    for (int i = 0; i < 40; i++) say(&s[0], "{\"action\":\"ping\"}");
    expect_close(&s[0], 4029);
    for (int i = 1; i < 5; i++) close(s[i].fd);
    for (int i = 0; i < 10; i++) turn();
}

#define T(f) cmocka_unit_test_setup(f, fresh)

/* ---- operators ---------------------------------------------------------------------------------------------------- */

#define JSON "Content-Type: application/json\r\n"

static int login(const char *user, const char *password)
{
    char body[256];
    int n = snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"%s\"}", user, password);
    return ask("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: %d\r\n\r\n%s", n, body);
}

static void with_worker(void)
{
    memset(&ops, 0, sizeof ops);
    assert_int_equal(password_hash(span_of(PASSWORD), ops.hash), XE_OK);
    api_set_worker(t.api, worker_open(t.loop, t.metrics, &(worker_conf_t){.threads = 1, .waiting_max = 4}));
}

static void without_worker(void)
{
    worker_t *w = t.api->worker;
    api_set_worker(t.api, NULL);
    worker_close(w);
    assert_int_equal(t.api->hashing, 0); /* every place was given back */
}

static void operators_sign_in(void **state)
{
    with_worker();
    expect(login("desk", PASSWORD), 200);
    expect_text("\"token_type\":\"Bearer\",\"expires_in\":1800,\"must_change\":false");
    expect_text("\"refresh_token\":\"xorj_rt_");
    expect_text("Cache-Control: no-store");
    expect(login("desk", "not the password"), 401);
    expect(login("nobody", PASSWORD), 401);
    assert_int_equal(ops.tries, 3);
    ops.outcome = XE_AUTH; /* the password changed while it was measured */
    expect(login("desk", PASSWORD), 401);
    ops.outcome = XE_OK;
    ops.retry_s = 17;
    expect(login("desk", PASSWORD), 429);
    expect_text("Retry-After: 17");
    ops.retry_s = 0;
    db.pg = XE_DOWN;
    expect(login("desk", PASSWORD), 503);
    db.pg = XE_OK;
    mint("admin", 1800, t.viewer_token);
    expect(post_as(t.viewer_token, "/api/v1/auth/register", JSON, "{\"username\":\"clara\",\"password\":\"" PASSWORD "\",\"role\":\"viewer\"}"), 201);
    expect_text("{\"username\":\"clara\",\"role\":\"viewer\"}");
    ops.outcome = XE_CONFLICT;
    expect(post_as(t.viewer_token, "/api/v1/auth/register", JSON, "{\"username\":\"clara\",\"password\":\"" PASSWORD "\",\"role\":\"viewer\"}"), 409);
    ops.outcome = XE_OK;
    expect(post_as(t.viewer_token, "/api/v1/auth/password", JSON, "{\"current\":\"" PASSWORD "\",\"new\":\"another good one 5\"}"), 200);
    expect(post_as(t.viewer_token, "/api/v1/auth/password", JSON, "{\"current\":\"" PASSWORD "\",\"new\":\"" PASSWORD "\"}"), 400);
    expect(post_as(t.viewer_token, "/api/v1/auth/password", JSON, "{\"current\":\"not the password\",\"new\":\"another good one 5\"}"), 401);
    without_worker();
    expect(login("desk", PASSWORD), 503); /* on the way down */
    assert_int_equal(t.api->hashing, 0);
}

static void credentials_of_operators(void **state)
{
    char text[APIKEY_LEN + 1], bad[APIKEY_LEN + 1];
    memset(&ops, 0, sizeof ops);
    apikey_new(NULL, ops.key.id, text, ops.key.hash);
    strcpy(ops.key.owner, "desk");
    strcpy(ops.key.role, "viewer");
    ops.key.issued_s = wall_us() / 1000000;
    ops.key.expires_s = ops.key.issued_s + 600;
    memcpy(db.live.jti, ops.key.id, 37); /* the key's own session */
    strcpy(db.live.wallet, "");
    strcpy(db.live.user_id, "desk");
    memcpy(bad, text, sizeof text);
    bad[60] = bad[60] == 'A' ? 'B' : 'A';
#define WITH_KEY(path, field, key) ask("GET " path " HTTP/1.1\r\nHost: x\r\n" field "%s\r\n\r\n", key)
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", bad), 401);
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", text), 200);
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", text), 200); /* remembered */
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", bad), 401);
    expect(WITH_KEY("/api/v1/status", "Authorization: ApiKey ", text), 200);
    assert_int_equal(ops.used, 3);
    expect(WITH_KEY("/api/v1/status", "Authorization: Bearer ", text), 401);
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", t.viewer_token), 401);
    expect(ask("GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n" AUTH "\r\n", text, t.viewer_token), 401);
    expect(ask("GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nX-API-Key: %s\r\n\r\n", text, text), 401);
    expect(WITH_KEY("/api/v1/auth/me", "X-API-Key: ", text), 200);
    expect_text("\"credential\":\"api_key\"");
    expect(ask("POST /api/v1/auth/logout HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 0\r\n\r\n", text), 403);
    expect(WITH_KEY("/api/v1/auth/users", "X-API-Key: ", text), 403);
    db.revoked = true;
    expect(WITH_KEY("/api/v1/status", "X-API-Key: ", text), 401);
    /* Who must change his password may do nothing else. */
    db.desk.limited = true;
    expect(get_as(t.viewer_token, "/api/v1/status"), 403);
    expect_text("must be changed first");
    expect(get_as(t.viewer_token, "/api/v1/auth/me"), 200);
    expect(get_as(t.viewer_token, "/api/system/status"), 200); /* as to anybody */
    db.desk.limited = false;
    expect(get_as(t.viewer_token, "/api/v1/status"), 200);
    strcpy(db.desk.user_id, "other"); /* a session of somebody else */
    expect(get_as(t.viewer_token, "/api/v1/status"), 401);
}

static void what_hashes_is_bounded(void **state)
{
    memset(&ops, 0, sizeof ops);
    t.api->hashing = (unsigned)(t.cfg.auth_hash_threads + t.cfg.auth_hash_waiting);
    expect(login("desk", PASSWORD), 429);
    expect_text("Retry-After: 1");
    assert_int_equal(ops.tries, 0); /* refused at the door */
    t.api->hashing = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(public_routes), T(not_ready_when_writes_would_fail), T(paths_and_methods), T(order_of_judgement), T(tokens), T(sessions), T(roles),
        T(the_switch), T(status_of_the_bot), T(performance), T(opportunities), T(books), T(limits), T(signing_in), T(handshake), T(commands),
        T(publications), T(a_wallet_hears_its_own_bot), T(sockets_are_bounded),
        T(operators_sign_in), T(credentials_of_operators), T(what_hashes_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
