/* `xorj serve`: boot order, wiring, the turn of the loop, and the way down. Read app_serve first, then turn(). */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/app.h"
#include "app/insts.h"
#include "app/market.h"
#include "app/views.h"
#include "base/crypto.h"
#include "reactor/log.h"

enum { DOOR_BYTES = 16 << 20, TICK_MS = 100, PROBE_MS = 20, HASH_NICE = 5 };

/* ---- effects of the engine ---------------------------------------------------------------------------------------- */

static const char *pair_of(const app_t *a, int pair) { return pair >= 0 ? a->eng_conf.pairs[pair].name : ""; }

static void say_opp(const app_t *a, const opp_t *o)
{
    static const char *const phase[] = {"open", "update", "close"};
    char buy[DEC_TEXT_MAX], sell[DEC_TEXT_MAX], size[DEC_TEXT_MAX], pnl[DEC_TEXT_MAX];
    dec_text(o->buy_px.raw / 100000000 * 100000000, buy, sizeof buy);
    dec_text(o->sell_px.raw / 100000000 * 100000000, sell, sizeof sell);
    dec_text(o->size.raw / 100000000 * 100000000, size, sizeof size);
    usd_text(o->predicted_pnl, pnl, sizeof pnl);
    log_info("opportunity", pair_of(a, o->pair), "%s buy=%s@%s sell=%s@%s size=%s net_bps=%.2f pnl_usd=%s detect_us=%" PRId64 "%s%s%s id=%s",
             phase[o->phase], venue_name(o->buy), buy, venue_name(o->sell), sell, size, (double)o->net_bps_x100 / 100.0, pnl,
             (o->detect_ns - o->recv_ns) / 1000, o->phase == OPP_CLOSE ? " reason=" : "", o->phase == OPP_CLOSE ? o->reason : "",
             a->cfg.feeds_simulated ? " simulated=true" : "", o->id);
}

static void sink_opp(void *ctx, const opp_t *o)
{
    app_t *a = ctx;
    api_publish_opp(a->api, o, pair_of(a, o->pair));
    opps_put(a->store, o, pair_of(a, o->pair));
    if (a->cfg.log_opportunities && o->phase != OPP_UPDATE) say_opp(a, o);
}

static void sink_resync(void *ctx, inst_t inst, xerr_t why)
{
    app_t *a = ctx;
    if (a->feeds && !a->draining) feeds_resync(a->feeds, inst, why);
}

static void sink_lost(void *ctx, venue_t venue)
{
    app_t *a = ctx;
    for (unsigned i = 0; i < a->eng_conf.insts_n; i++)
        if (a->eng_conf.insts[i].venue == venue) sink_resync(a, (inst_t)i, XE_FULL);
}

static void sink_inst(void *ctx, inst_t inst, bool usable, xerr_t why)
{
    app_t *a = ctx;
    const inst_conf_t *in = &a->eng_conf.insts[inst];
    log_info("book", venue_name(in->venue), "%s %s why=%s", in->market, usable ? "usable" : "not usable", xerr_name(why));
    api_publish_inst(a->api, venue_name(in->venue), in->market, usable, why);
}

static void sink_bot(void *ctx, const char *wallet, bool enabled, int64_t version, int64_t updated_us)
{
    app_t *a = ctx;
    api_publish_bot(a->api, wallet, enabled, version, updated_us);
}

/* ---- the way down ------------------------------------------------------------------------------------------------- */

static bool idle(const app_t *a)
{
    return http_idle(a->http) && hub_idle(a->hub) && store_idle(a->store) && (!a->feeds || feeds_idle(a->feeds)) && (!a->wsc || wsc_idle(a->wsc)) && journal_idle(a->journal);
}

static void on_probe(void *ctx)
{
    app_t *a = ctx;
    hub_close(a->hub, 1001); /* the ends of opportunities, told when the feeds stopped, have left by now */
    journal_flush(a->journal);
    if (idle(a)) loop_stop(a->loop);
    else ltimer_arm(a->probe, PROBE_MS);
}

static void on_grace(void *ctx)
{
    app_t *a = ctx;
    log_warn("app", "-", "drain deadline passed, stopping with work in flight");
    loop_stop(a->loop);
}

static void drain(app_t *a)
{
    a->draining = true;
    log_info("app", "-", "stopping: no new connections, requests already read are finished");
    ltimer_arm(a->grace, a->cfg.server_drain_ms);
    http_drain(a->http);
    if (a->feeds) feeds_drain(a->feeds);
    prices_drain(a->prices);
    ltimer_arm(a->probe, PROBE_MS);
}

static void reload(app_t *a)
{
    static cfg_t fresh; /* large: not on the stack */
    buf_t errors;
    log_level_t lv;
    buf_init(&errors, 65536);
    if (cfg_load(&fresh, a->cfg_path, environ, &errors) || cfg_check_secrets(&fresh, &errors)) {
        log_error("app", "-", "configuration not reloaded, old values kept: %.*s", (int)errors.n, errors.p);
    } else {
        cfg_take_live(&a->cfg, &fresh);
        api_reload(a->api);
        if (!log_level_parse(span_of(a->cfg.log_level), &lv)) log_set_level(lv);
        log_info("app", "-", "configuration reloaded");
    }
    buf_fini(&errors);
}

static void on_signal(void *ctx, int signo)
{
    app_t *a = ctx;
    if (signo == SIGHUP) {
        reload(a);
    } else if (a->draining) {
        log_warn("app", "-", "second signal: stopping now");
        a->exit_code = 1;
        loop_stop(a->loop);
    } else {
        drain(a);
    }
}

static bool is_draining(void *ctx) { return ((app_t *)ctx)->draining; }

/* ---- boot --------------------------------------------------------------------------------------------------------- */

static void on_tick(void *ctx)
{
    app_t *a = ctx;
    ev_t ev = {.kind = EV_TIMER, .inst = -1, .recv_ns = loop_now_ns(a->loop), .recv_wall_us = loop_wall_us(a->loop)};
    door_t door = door_of(a->door);
    door_post(&door, &ev);
    ltimer_arm(a->tick, TICK_MS);
}

static bool fail(const char *what, const char *why)
{
    log_error("app", "-", "cannot start: %s: %s", what, why);
    return false;
}

static bool boot_core(app_t *a)
{
    buf_t errors;
    log_level_t lv = LOG_INFO;
    log_level_parse(span_of(a->cfg.log_level), &lv);
    log_init(STDERR_FILENO, lv);
    signal(SIGPIPE, SIG_IGN);
    a->metrics = metrics_new();
    a->loop = a->metrics ? loop_new(a->metrics) : NULL;
    if (!a->loop) return fail("event loop", "out of memory or descriptors");
    buf_init(&errors, 65536);
    xerr_t err = insts_from_cfg(&a->cfg, &a->eng_conf, &errors);
    if (err) fail("markets", errors.n ? errors.p : xerr_text(err));
    buf_fini(&errors);
    if (err) return false;
    a->engine = eng_new(&a->eng_conf);
    if (!a->engine) return fail("engine", "configuration refused or out of memory");
    door_sinks_t sinks = {sink_opp, sink_resync, sink_lost, sink_inst, sink_bot, a};
    a->door = door_new(a->loop, a->metrics, a->engine, DOOR_BYTES, sinks);
    return a->door ? true : fail("door", "out of memory");
}

static http_conf_t http_conf(const cfg_t *c)
{
    return (http_conf_t){
        .listen_addr = c->server_listen,
        .port = (uint16_t)c->server_port,
        .head_ms = (unsigned)c->http_head_ms,
        .body_ms = (unsigned)c->http_body_ms,
        .idle_ms = (unsigned)c->http_idle_ms,
        .write_ms = (unsigned)c->http_write_ms,
        .drain_ms = (unsigned)c->http_linger_ms,
        .line_max = (size_t)c->http_line_max,
        .head_max = (size_t)c->http_head_max,
        .lines_max = (size_t)c->http_lines_max,
        .target_max = (size_t)c->http_target_max,
        .body_max = (size_t)c->http_body_max,
        .conns_max = (unsigned)c->http_conns_max,
        .conns_per_addr = (unsigned)c->http_conns_per_addr,
        .pipeline_max = (unsigned)c->http_pipeline_max,
        .fd_reserve = (unsigned)c->http_fd_reserve,
        .trusted_proxies = c->server_trusted_proxies,
    };
}

static hub_conf_t hub_conf(const cfg_t *c)
{
    return (hub_conf_t){
        .ring_bytes = (size_t)c->ws_ring_bytes,
        .sub_bytes_max = (size_t)c->ws_sub_bytes_max,
        .sub_events_max = (unsigned)c->ws_sub_events_max,
        .msg_max = (size_t)c->ws_msg_max,
        .frags_max = (unsigned)c->ws_frags_max,
        .ping_ms = (unsigned)c->ws_ping_ms,
        .dead_ms = (unsigned)c->ws_dead_ms,
        .slice = (unsigned)c->ws_slice,
        .subs_max = (unsigned)c->ws_subs_max,
    };
}

static bool boot_api(app_t *a)
{
    api_views_t views = {views_connectors, views_connector, is_draining, a, {0}};
    if (a->cfg.wallet_enabled) views.wallet = (wallet_port_t){views_wallet_peek, views_wallet_get, a};
    a->store = store_open(a->loop, a->metrics, &a->cfg);
    if (!a->store) return fail("storage", "out of memory");
    a->api = api_new(a->loop, a->metrics, &a->cfg, a->store, a->engine, door_of(a->door), views);
    if (!a->api) return fail("api", "out of memory");
    worker_conf_t wc = {.threads = (unsigned)a->cfg.auth_hash_threads, .waiting_max = (unsigned)a->cfg.auth_hash_waiting, .nice = HASH_NICE};
    a->worker = worker_open(a->loop, a->metrics, &wc);
    if (!a->worker) return fail("worker threads", "out of memory, threads or descriptors");
    api_set_worker(a->api, a->worker);
    a->first = first_new(a->loop, &a->cfg, a->store, a->worker);
    if (!a->first) return fail("first account", "out of memory");
    hub_conf_t hc = hub_conf(&a->cfg);
    a->hub = hub_open(a->loop, a->metrics, &hc, api_hub_hooks(a->api));
    if (!a->hub) return fail("websocket hub", "out of memory");
    api_set_hub(a->api, a->hub);
    return true;
}

static bool boot_market(app_t *a)
{
    market_io_t io;
    const char *why = "";
    if (!a->cfg.feeds_enabled && !a->cfg.wallet_enabled) return true;
    if (!market_open(a->loop, a->metrics, &a->cfg, a->cfg.record_enabled ? a->cfg.record_dir : NULL, &io, &why)) return fail("journal", why);
    a->journal = io.journal;
    a->httpc = io.httpc;
    a->rpc = io.rpc;
    a->wsc = io.wsc;
    if (!a->cfg.wallet_enabled) return true;
    a->prices = prices_open(a->loop, a->metrics, a->httpc, a->wsc, &a->cfg, a->journal);
    a->wallets = wallets_open(a->loop, a->metrics, a->rpc, a->prices, &a->cfg);
    return true;
}

static bool boot_feeds(app_t *a)
{
    ev_t boot = {.kind = EV_BOOT, .inst = -1, .recv_ns = mono_ns(), .recv_wall_us = wall_us()};
    door_t door = door_of(a->door);
    random_bytes(&boot.u.seed, sizeof boot.u.seed);
    door_post(&door, &boot);
    if (!a->cfg.feeds_enabled) return true;
    feeds_conf_t fc = {.loop = a->loop, .metrics = a->metrics, .cfg = &a->cfg, .insts = &a->eng_conf, .rpc = a->rpc, .wsc = a->wsc, .http = a->httpc, .journal = a->journal, .door = door};
    a->feeds = feeds_open(&fc);
    return a->feeds ? true : fail("feeds", "a venue's address is not valid or memory is out");
}

static bool boot_http(app_t *a)
{
    const char *why = "";
    http_conf_t hc = http_conf(&a->cfg);
    if (http_open(a->loop, a->metrics, &hc, api_http_hooks(a->api), &a->http, &why)) return fail("listener", why);
    fprintf(stdout, "XORJ_PORT=%u\n", http_port(a->http));
    fflush(stdout);
    log_info("app", "-", "listening on http://%s:%u environment=%s feeds=%s", a->cfg.server_listen, http_port(a->http),
             a->cfg.server_environment, !a->cfg.feeds_enabled ? "off" : a->cfg.feeds_simulated ? "SIMULATED" : "live");
    return true;
}

static void raise_fd_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r)) return;
    r.rlim_cur = r.rlim_max; /* the soft limit of a shell is 1,024; whoever sets the hard limit decides */
    setrlimit(RLIMIT_NOFILE, &r);
}

static bool boot(app_t *a)
{
    raise_fd_limit();
    if (!boot_core(a) || !boot_api(a) || !boot_market(a) || !boot_feeds(a) || !boot_http(a)) return false;
    a->tick = ltimer_new(a->loop, on_tick, a);
    a->grace = ltimer_new(a->loop, on_grace, a);
    a->probe = ltimer_new(a->loop, on_probe, a);
    ltimer_arm(a->tick, TICK_MS);
    loop_on_signal(a->loop, SIGTERM, on_signal, a);
    loop_on_signal(a->loop, SIGINT, on_signal, a);
    loop_on_signal(a->loop, SIGHUP, on_signal, a);
    return true;
}

/* Reverse order of boot. Pending callbacks fire (XE_CLOSED) before what they point to is freed. */
static void down(app_t *a)
{
    ltimer_free(a->tick);
    ltimer_free(a->grace);
    ltimer_free(a->probe);
    if (a->feeds) feeds_close(a->feeds);
    wallets_free(a->wallets);
    prices_free(a->prices);
    market_close(&(market_io_t){a->journal, a->httpc, a->rpc, a->wsc});
    if (a->api) api_set_worker(a->api, NULL);
    worker_close(a->worker);
    if (a->store) store_close(a->store);
    first_free(a->first);
    if (a->http) http_close(a->http);
    if (a->loop) loop_end_turn(a->loop);
    if (a->hub) hub_free(a->hub);
    if (a->api) api_free(a->api);
    door_free(a->door);
    if (a->engine) eng_free(a->engine);
    if (a->loop) loop_free(a->loop);
    if (a->metrics) metrics_free(a->metrics);
}

/* ---- the turn ----------------------------------------------------------------------------------------------------- */

/* One turn: sockets and timers have posted events; drain the door (engine, effects), flush subscribers and answers
 * (replies leave after the engine heard of the commit), then free what died. */
static void turn(app_t *a)
{
    door_drain(a->door);
    hub_flush(a->hub);
    http_flush(a->http);
    loop_end_turn(a->loop);
}

int app_serve(const cfg_t *cfg, const char *cfg_path)
{
    app_t *a = calloc(1, sizeof *a);
    if (!a) return 1;
    a->cfg = *cfg;
    a->cfg_path = cfg_path;
    bool up = boot(a);
    if (up) {
        while (loop_poll(a->loop, -1)) turn(a);
        log_info("app", "-", "stopped");
    }
    int code = up ? a->exit_code : 1;
    down(a);
    free(a);
    return code;
}
