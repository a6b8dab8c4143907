#include "sim/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reactor/log.h"
#include "sim/tls.h"

#define STEPS_PER_TURN_MAX 50
#define TRICKLE_BYTES 32
#define SLOT_MS 400
#define SLOT_BASE 447500000ULL
#define SLOT_EPOCH_MS 1780000000000LL

static const endpoint_t *const endpoints[EP_N] = {&endpoint_coinbase, &endpoint_gemini, &endpoint_gemini_v2,
                                                  &endpoint_solana,   &endpoint_coingecko, &endpoint_jupiter,
                                                  &endpoint_pyth,     &endpoint_exchange,  &endpoint_bitstamp,
                                                  &endpoint_birdeye};
static const char *const venues[SV_N] = {"coinbase", "gemini", "solana", "coingecko", "jupiter", "pyth", "bitstamp", "birdeye"};

const endpoint_t *endpoint_of(ep_t ep)
{
    return endpoints[ep];
}
const char *sv_name(sv_t v)
{
    return venues[v];
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static sv_t venue_of(const conn_t *c)
{
    return endpoints[conn_tag(c)]->venue;
}

static bool muted(void *ctx, conn_t *c)
{
    return conn_tag(c) >= 0 && fault_on(ctx, venue_of(c), FAULT_SILENCE);
}

static size_t trickle(void *ctx, conn_t *c)
{
    return conn_tag(c) >= 0 && fault_on(ctx, venue_of(c), FAULT_SLOW) ? TRICKLE_BYTES : 0;
}

/* ---- connections ---- */

static void welcome(sim_t *s, conn_t *c, ep_t ep, span_t query)
{
    sv_stats_t *st = &s->stats[endpoints[ep]->venue];
    client_t *cl = st->clients < SIM_CLIENTS_MAX ? calloc(1, endpoints[ep]->client_size) : NULL;
    if (!cl) {
        conn_reply(c, 503, "text/plain", SPAN_LIT("too many connections\n"));
        return;
    }
    cl->ep = ep;
    cl->opened_ms = cl->beat_ms = s->now_ms;
    cl->gap_seen = s->faults.gap[endpoints[ep]->venue];
    cl->garbage_seen = s->faults.garbage[endpoints[ep]->venue];
    st->clients++;
    st->connects++;
    conn_set(c, (int)ep, cl);
    conn_upgrade(c);
    if (endpoints[ep]->open) endpoints[ep]->open(s, c, query);
    log_info("sim", venues[endpoints[ep]->venue], "client connected path=%s clients=%u", endpoints[ep]->path,
             st->clients);
}

static void venue_request(sim_t *s, conn_t *c, const sreq_t *r)
{
    int ep = -1;
    span_t rest = {NULL, 0};
    for (int i = 0; i < EP_N; i++) {
        if (span_is(r->path, endpoints[i]->path)) ep = i;
        size_t n = endpoints[i]->rest ? strlen(endpoints[i]->rest) : 0;
        if (!n || r->path.n <= n || memcmp(r->path.p, endpoints[i]->rest, n) != 0) continue;
        ep = i;
        rest = span_make(r->path.p + n, r->path.n - n);
    }
    if (ep < 0) {
        conn_reply(c, 404, "text/plain", SPAN_LIT("no such venue\n"));
        return;
    }
    conn_set(c, ep, NULL);
    sv_t v = endpoints[ep]->venue;
    s->stats[v].requests++;
    if (fault_on(s, v, FAULT_DISCONNECT))
        conn_reset(c);
    else if (fault_on(s, v, FAULT_SILENCE))
        return; /* owed for ever; the end of the silence resets it */
    else if (fault_on(s, v, FAULT_LIMIT))
        conn_reply(c, 429, "text/plain", SPAN_LIT("Too Many Requests\n"));
    else if (rest.n)
        endpoints[ep]->get(s, c, rest);
    else if (r->upgrade && !endpoints[ep]->http_only)
        welcome(s, c, (ep_t)ep, r->query);
    else if (endpoints[ep]->post)
        endpoints[ep]->post(s, c, r);
    else
        conn_reply(c, 426, "text/plain", SPAN_LIT("websocket only\n"));
}

static void on_request(void *ctx, conn_t *c, const sreq_t *r)
{
    if (conn_plain(c))
        control_request(ctx, c, r);
    else
        venue_request(ctx, c, r);
}

static void on_text(void *ctx, conn_t *c, span_t text)
{
    sim_t *s = ctx;
    s->stats[venue_of(c)].requests++;
    if (!muted(s, c)) endpoints[conn_tag(c)]->text(s, c, text);
}

static void on_drain(void *ctx, conn_t *c)
{
    sim_t *s = ctx;
    if (s->play[conn_tag(c)]) play_pump(s, c, 0);
}

static void on_close(void *ctx, conn_t *c)
{
    sim_t *s = ctx;
    sv_t v = venue_of(c);
    s->stats[v].clients--;
    log_info("sim", venues[v], "client gone path=%s clients=%u", endpoints[conn_tag(c)]->path, s->stats[v].clients);
    free(conn_user(c));
}

/* ---- the clock ---- */

static bool shows_market(const sim_t *s, ep_t ep)
{
    return s->play[ep] == NULL;
}

typedef struct {
    sim_t *s;
    mbook_id_t id;
    bool second;
} book_walk_t;

static void tell_book(void *ctx, conn_t *c)
{
    book_walk_t *w = ctx;
    int tag = conn_tag(c);
    if (!conn_is_ws(c) || tag < 0 || !shows_market(w->s, (ep_t)tag)) return;
    const endpoint_t *e = endpoints[tag];
    if (w->second ? e->second != NULL : e->book != NULL) (w->second ? e->second : e->book)(w->s, c, w->id);
}

/* Keeps Gemini's numbering and what its one-second stream has to tell. */
static void chain_on(sim_t *s, mbook_id_t id)
{
    chain_t *k = &s->chain[id];
    const mbook_t *b = &s->market.book[id];
    s->update_id += (uint64_t)rng_range(&s->market.rng, 1, 400);
    k->before = k->last;
    k->last = s->update_id;
    uint64_t now = (uint64_t)(s->wall_ns / 1000);
    k->micro = now > k->micro ? now : k->micro + 1;
    for (unsigned i = 0; i < b->chg_n; i++) {
        unsigned d = 0;
        while (d < k->dirty_n && (k->dirty[d].side != b->chg[i].side || k->dirty[d].lv.px != b->chg[i].lv.px)) d++;
        if (d == CHAIN_DIRTY) continue;
        k->dirty[d] = b->chg[i];
        if (d == k->dirty_n) k->dirty_n++;
    }
}

static void flush_second(sim_t *s, mbook_id_t id)
{
    book_walk_t w = {s, id, true};
    chain_t *k = &s->chain[id];
    if (!k->dirty_n) return;
    srv_each(s->srv, tell_book, &w);
    k->dirty_n = 0;
    k->sent_1s = k->last;
}

static void move_books(sim_t *s)
{
    for (unsigned i = 0; i < BOOK_N; i++) {
        book_walk_t w = {s, (mbook_id_t)i, false};
        while (market_book_due(&s->market, w.id)) {
            chain_on(s, w.id);
            srv_each(s->srv, tell_book, &w);
            if (i > BOOK_GM_BTC) s->chain[i].dirty_n = 0; /* no such stream there */
            if (s->chain[i].dirty_n > CHAIN_DIRTY - MBOOK_CHANGES) flush_second(s, w.id);
        }
    }
}

static void tell_slot(sim_t *s, conn_t *c)
{
    if (endpoints[conn_tag(c)]->slot) endpoints[conn_tag(c)]->slot(s, c);
}

/* The first slot comes from the wall clock and the market's time never runs ahead of it, so a simulator that is started
 * again does not go back behind what a client has seen. */
static uint64_t first_slot(const sim_t *s)
{
    return SLOT_BASE + (uint64_t)((s->wall_ns / 1000000 - SLOT_EPOCH_MS) / SLOT_MS);
}

static void move_slot(sim_t *s)
{
    s->slot++;
    if (!s->market.held) pool_slot(&s->pool, s->slot, market_pool_target(&s->market));
    each_client(s, EP_SOLANA, tell_slot);
    pool_settled(&s->pool);
}

static void tend(sim_t *s, conn_t *c)
{
    int tag = conn_tag(c);
    client_t *cl = conn_user(c);
    const endpoint_t *e = endpoints[tag];
    if (s->play[tag]) play_pump(s, c, SRV_TURN_MS);
    if (!cl->player.started && e->turn) e->turn(s, c);
    if (cl->player.done && e->idle) e->idle(s, c);
}

static void on_turn(void *ctx, int64_t now_ms)
{
    sim_t *s = ctx;
    s->now_ms = now_ms;
    s->wall_ns = clock_ns(CLOCK_REALTIME);
    fault_turn(s);
    /* After a stall (a stopped process) the market goes on from where it was instead of rushing after the clock. */
    if (now_ms - s->stepped_ms > STEPS_PER_TURN_MAX * MARKET_STEP_MS) s->stepped_ms = now_ms - MARKET_STEP_MS;
    for (; s->stepped_ms + MARKET_STEP_MS <= now_ms; s->stepped_ms += MARKET_STEP_MS) {
        market_step(&s->market);
        move_books(s);
        if (s->market.steps % (SLOT_MS / MARKET_STEP_MS) == 0) move_slot(s);
    }
    if (now_ms - s->second_ms >= 1000) {
        s->second_ms = now_ms;
        for (unsigned i = BOOK_GM_SOL; i <= BOOK_GM_BTC; i++) flush_second(s, (mbook_id_t)i);
    }
    each_client(s, EP_N, tend);
}

/* ---- start and end ---- */

static bool write_env(const sim_t *s, const char *dir)
{
    char path[512], tmp[520];
    if (snprintf(path, sizeof(path), "%s/sim.env", dir) >= (int)sizeof(path)) return false;
    snprintf(tmp, sizeof(tmp), "%s.new", path);
    FILE *f = fopen(tmp, "w");
    if (!f) return false;
    bool ok = fprintf(f, "SIM_URL=http://127.0.0.1:%u\nSIM_TLS_PORT=%u\nSIM_PID=%ld\n", s->ctl_port, s->tls_port,
                      (long)getpid()) > 0;
    ok = fclose(f) == 0 && ok;
    return ok && rename(tmp, path) == 0;
}

static int fail(const char *what, const char *detail)
{
    fprintf(stderr, "xorj-sim: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    return 1;
}

static int open_plays(sim_t *s, const run_conf_t *conf)
{
    for (unsigned i = 0; i < conf->plays_n; i++) {
        ep_t ep = conf->play[i].ep;
        if (s->play[ep]) return fail("two files for one protocol", conf->play[i].file);
        xerr_t err = play_open(conf->play[i].file, conf->play[i].rate, &s->play[ep]);
        for (unsigned k = 0; !err && k < conf->play[i].rests_n; k++) {
            if (play_add_rest(s->play[ep], conf->play[i].rest[k])) return fail("cannot read the book", conf->play[i].rest[k]);
        }
        if (err)
            return fail(err == XE_TOO_BIG     ? "file is too large"
                        : err == XE_BAD_INPUT ? "file has no lines"
                                              : "cannot read file",
                        conf->play[i].file);
        log_info("sim", "play", "file loaded lines=%zu path=%s", play_lines(s->play[ep]), endpoints[ep]->path);
    }
    return 0;
}

static int prepare(sim_t *s, const run_conf_t *conf)
{
    const srv_hooks_t hooks = {on_request, on_text, on_drain, on_close, muted, trickle, on_turn, s};
    s->seed = conf->seed;
    s->start_ms = s->now_ms = s->stepped_ms = s->second_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
    s->wall_ns = clock_ns(CLOCK_REALTIME);
    s->update_id = (uint64_t)(s->wall_ns / 1000);
    s->slot = first_slot(s);
    for (unsigned i = 0; i < BOOK_N; i++) s->chain[i].last = s->chain[i].before = s->chain[i].sent_1s = ++s->update_id;
    for (unsigned i = 0; i < BOOK_N; i++) s->chain[i].micro = (uint64_t)(s->wall_ns / 1000);
    for (unsigned i = 0; i < REST_BOOKS; i++) buf_init(&s->rest_cache[i].body, SIM_SCRATCH);
    buf_init(&s->body, SIM_SCRATCH);
    buf_init(&s->msg, SIM_SCRATCH);
    s->arenas = arena_pool_new(65536, 4);
    sim_wallets_init(&s->wallets);
    market_init(&s->market, conf->seed, conf->rate);
    if (pool_init(&s->pool, conf->seed, market_pool_target(&s->market))) return fail("cannot set up the pool", NULL);
    s->srv = srv_new(hooks);
    if (!s->srv || !s->arenas) return fail("out of memory", NULL);
    return open_plays(s, conf);
}

static int serve(sim_t *s, const run_conf_t *conf, SSL_CTX *tls)
{
    s->tls_port = conf->tls_port;
    s->ctl_port = conf->ctl_port;
    if (srv_listen(s->srv, tls, &s->tls_port)) return fail("cannot listen on the TLS port", strerror(errno));
    if (srv_listen(s->srv, NULL, &s->ctl_port)) return fail("cannot listen on the control port", strerror(errno));
    if (!write_env(s, conf->state)) return fail("cannot write sim.env", strerror(errno));
    log_info("sim", "-", "venues are simulated seed=%llu rate=%u tls=127.0.0.1:%u control=http://127.0.0.1:%u",
             (unsigned long long)s->seed, conf->rate, s->tls_port, s->ctl_port);
    int signo = srv_run(s->srv);
    log_info("sim", "-", "stopped signal=%d", signo);
    return 0;
}

int sim_run(const run_conf_t *conf)
{
    SSL_CTX *tls = NULL;
    const char *why = NULL;
    if (mkdir(conf->state, 0700) && errno != EEXIST) return fail("cannot make the state directory", strerror(errno));
    if (tls_open(conf->state, &tls, &why)) return fail(why, conf->state);
    sim_t *s = calloc(1, sizeof(*s));
    int rc = s ? prepare(s, conf) : fail("out of memory", NULL);
    if (!rc) rc = serve(s, conf, tls);
    if (s) {
        srv_free(s->srv);
        for (unsigned i = 0; i < EP_N; i++) play_free(s->play[i]);
        for (unsigned i = 0; i < REST_BOOKS; i++) buf_fini(&s->rest_cache[i].body);
        buf_fini(&s->body);
        buf_fini(&s->msg);
        if (s->arenas) arena_pool_free(s->arenas);
        free(s);
    }
    SSL_CTX_free(tls);
    return rc;
}
