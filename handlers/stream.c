#include "handlers/stream_internal.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "handlers/cors.h"
#include "handlers/bot_view.h"
#include "handlers/market.h"
#include "handlers/oppjson.h"
#include "handlers/routes.h"
#include "storage/users.h"

enum { SWEEP_MS = 5000, RECHECK_S = 30, RECHECKS_PER_SWEEP = 64, SCRATCH_MAX = 1 << 18 };

const channel_row_t stream_channels[CH_N] = {
#define X(id, name, conflate, viewer) [CH_##id] = {name, conflate, viewer},
    CHANNEL_LIST(X)
#undef X
};

static void on_sweep(void *ctx);
static void on_session_over(void *ctx, span_t jti);
static void on_bot_word(void *ctx, span_t wallet);
static void on_open(void *ctx, ws_t *ws);
static void on_close(void *ctx, ws_t *ws, unsigned code);
static void on_recheck(void *ctx, xerr_t err, const session_t *session);

/* ---- life --------------------------------------------------------------------------------------------------------- */

stream_t *stream_new(api_t *a)
{
    stream_t *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->a = a;
    buf_init(&s->scratch, SCRATCH_MAX);
    s->commands = metrics_ctr(a->metrics, "ws_commands_total", NULL, "Messages of websocket clients");
    s->refused = metrics_ctr(a->metrics, "ws_commands_refused_total", NULL, "Messages of websocket clients answered with an error");
    s->limited = metrics_ctr(a->metrics, "ws_limited_total", NULL, "Sockets closed with 4029");
    s->open = metrics_gauge(a->metrics, "ws_sockets", NULL, "Open websockets with a principal");
    s->arenas = arena_pool_new(16384, 4);
    s->sweep = ltimer_new(a->loop, on_sweep, s);
    if (s->arenas && s->sweep) return s;
    stream_free(s);
    return NULL;
}

static void unlink_sub(sub_t *u)
{
    stream_t *s = u->s;
    if (u->prev) u->prev->next = u->next;
    else s->subs = u->next;
    if (u->next) u->next->prev = u->prev;
    s->subs_n--;
    gauge_set(s->open, s->subs_n);
}

void stream_free(stream_t *s)
{
    if (!s) return;
    for (sub_t *u = s->subs, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    if (s->sweep) ltimer_free(s->sweep);
    if (s->arenas) arena_pool_free(s->arenas);
    buf_fini(&s->scratch);
    free(s);
}

hub_hooks_t api_hub_hooks(api_t *a) { return (hub_hooks_t){on_open, stream_on_text, on_close, a->stream}; }

void api_set_hub(api_t *a, hub_t *hub)
{
    stream_t *s = a->stream;
    s->hub = hub;
    for (int i = 0; i < CH_N; i++) s->topic[i] = hub_topic(hub, stream_channels[i].name, stream_channels[i].conflate);
    ltimer_arm(s->sweep, SWEEP_MS);
    bus_on(store_bus(a->store), BUS_SESSION, on_session_over, s);
    bus_on(store_bus(a->store), BUS_BOT, on_bot_word, s);
}

/* ---- opening a socket --------------------------------------------------------------------------------------------- */

static unsigned count_of(const stream_t *s, uint64_t key)
{
    unsigned n = 0;
    for (const sub_t *u = s->subs; u; u = u->next) n += u->who.key == key && !u->closing;
    return n;
}

static sub_t *make_sub(stream_t *s, const principal_t *who)
{
    sub_t *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    u->s = s;
    u->id = ++s->next_id;
    u->who = *who;
    u->recheck_ns = loop_now_ns(s->a->loop) + RECHECK_S * 1000000000LL;
    u->next = s->subs;
    if (s->subs) s->subs->prev = u;
    s->subs = u;
    s->subs_n++;
    gauge_set(s->open, s->subs_n);
    return u;
}

/* GET /api/v1/ws. A browser says where it comes from: that must be this site or an allowed origin. */
static void h_ws(req_t *r)
{
    api_t *a = api_of(r);
    stream_t *s = a->stream;
    span_t origin;
    xerr_t err;
    if (req_header(r, "origin", &origin) && !cors_same_site(r, origin) && !cors_allowed(origin, a->cfg->server_allowed_origins)) {
        h_fail_why(r, XE_DENIED, "Origin: not allowed to open a socket here");
        return;
    }
    sub_t *u = s->hub ? make_sub(s, &call_of(r)->who) : NULL;
    if (!u) {
        h_fail(r, XE_FULL);
        return;
    }
    err = hub_upgrade(s->hub, r, u);
    if (!err) return;
    unlink_sub(u);
    free(u);
    if (!req_answered(r)) h_fail(r, err);
}

static void h_ws_ticket(req_t *r)
{
    api_t *a = api_of(r);
    char ticket[TICKET_LEN + 1];
    out_t o;
    xerr_t err = tickets_issue(a->tickets, &call_of(r)->who, loop_now_ns(a->loop), ticket);
    if (err == XE_UNSUPPORTED) {
        ctr_inc(a->n.limited[LIM_WS]);
        req_error(r, 429, "RATE_LIMIT_ERROR", "Too many tickets within half a minute", NULL, TICKET_TTL_S);
        return;
    }
    if (err) {
        h_fail(r, err);
        return;
    }
    out_init(&o);
    put_str(&o.w, "ticket", ticket);
    put_i64(&o.w, "expires_in", TICKET_TTL_S);
    out_send(&o, r, 200);
}

void stream_close(sub_t *u, unsigned code, const char *reason)
{
    if (u->closing || !u->ws) return;
    u->closing = true;
    if (code == CLOSE_LIMITED) ctr_inc(u->s->limited);
    ws_close(u->ws, code, reason);
}

static void watch(sub_t *u)
{
    later_t *l = stream_later(u);
    if (l) session_watch(u->s->a->store, span_of(u->who.c.jti), on_recheck, l);
}

/* Asked about once more: word that the session ended found no socket to close while the request waited for its limit's count. */
static void on_open(void *ctx, ws_t *ws)
{
    stream_t *s = ctx;
    sub_t *u = ws_user(ws);
    u->ws = ws;
    if (count_of(s, u->who.key) > (unsigned)s->a->cfg->ws_per_principal) stream_close(u, CLOSE_LIMITED, "too many sockets");
    else watch(u);
}

static void on_close(void *ctx, ws_t *ws, unsigned code)
{
    sub_t *u = ws_user(ws);
    unlink_sub(u);
    free(u);
}

/* ---- sockets end with their session ------------------------------------------------------------------------------- */

sub_t *stream_find(const stream_t *s, uint64_t id)
{
    for (sub_t *u = s->subs; u; u = u->next)
        if (u->id == id) return u;
    return NULL;
}

later_t *stream_later(sub_t *u)
{
    later_t *l = malloc(sizeof *l);
    if (l) *l = (later_t){u->s, u->id};
    return l;
}

static void on_recheck(void *ctx, xerr_t err, const session_t *session)
{
    later_t *l = ctx;
    sub_t *u = stream_find(l->s, l->id);
    free(l);
    if (u && err == XE_AUTH) stream_close(u, CLOSE_UNAUTHENTICATED, "session ended");
}

static void recheck(sub_t *u, int64_t now_ns, unsigned *left)
{
    if (u->recheck_ns > now_ns || !*left) return;
    --*left;
    u->recheck_ns = now_ns + RECHECK_S * 1000000000LL;
    watch(u);
}

/* Revoked, here or through another process. No name: word may have been missed, so all are asked about with the next sweeps. */
static void on_session_over(void *ctx, span_t jti)
{
    stream_t *s = ctx;
    for (sub_t *u = s->subs, *next; u; u = next) {
        next = u->next;
        if (!jti.n) u->recheck_ns = loop_now_ns(s->a->loop);
        else if (span_is(jti, u->who.c.jti)) stream_close(u, CLOSE_UNAUTHENTICATED, "session ended");
    }
}

/* ---- bots that other processes changed ---------------------------------------------------------------------------- */

static void on_bot_read(void *ctx, xerr_t err, const bot_t *b)
{
    stream_t *s = ctx;
    if (err) return;
    holds_note(s->a, b->wallet, b->holds);
    api_publish_bot(s->a, b->wallet, b->enabled, b->version, b->updated_us);
}

/* The word names the wallet; what it is now is read, once, and only where somebody listens. */
static void on_bot_word(void *ctx, span_t wallet)
{
    stream_t *s = ctx;
    bool heard = false;
    for (sub_t *u = s->subs; u; u = u->next) {
        if (!(u->joined & 1u << CH_BOT)) continue;
        if (!wallet.n) u->bot_missed = true;
        heard |= wallet.n && span_is(wallet, u->bot_wallet);
    }
    if (heard) bots_get(s->a->store, wallet, on_bot_read, s);
}

static void reread(sub_t *u, unsigned *left)
{
    if (!u->bot_missed || !*left) return;
    --*left;
    u->bot_missed = false;
    if (u->joined & 1u << CH_BOT) bots_get(u->s->a->store, span_of(u->bot_wallet), on_bot_read, u->s);
}

static void on_sweep(void *ctx)
{
    stream_t *s = ctx;
    unsigned left = RECHECKS_PER_SWEEP;
    for (sub_t *u = s->subs, *next; u; u = next) {
        next = u->next;
        if (u->who.c.expires_s <= now_s(s->a)) stream_close(u, CLOSE_UNAUTHENTICATED, "session expired");
        else if (!u->closing) {
            recheck(u, loop_now_ns(s->a->loop), &left);
            reread(u, &left);
        }
    }
    ltimer_arm(s->sweep, SWEEP_MS);
}

/* ---- state as data ------------------------------------------------------------------------------------------------ */

uint64_t stream_wallet_key(const api_t *a, const char *wallet) { return siphash(a->sip, wallet, strlen(wallet)) | 1; }

void stream_put_bot(const api_t *a, jw_t *w, const char *wallet, bool enabled, int64_t version, int64_t updated_us)
{
    jw_obj(w);
    put_str(w, "wallet_address", wallet);
    put_bool(w, "enabled", enabled);
    put_str(w, "status", bot_word(a, wallet, enabled));
    put_i64(w, "version", version);
    put_time(w, "updated_at", updated_us);
    jw_end(w);
}

void stream_put_connectors(const api_t *a, jw_t *w)
{
    jw_obj(w);
    jw_key(w, "markets");
    market_put_all(a, w);
    put_bool(w, "simulated", a->cfg->feeds_simulated);
    jw_end(w);
}

void stream_put_status(const api_t *a, jw_t *w)
{
    market_count_t n = market_count(a);
    bool stale = n.all && !n.usable;
    jw_obj(w);
    put_str(w, "mode", "OBSERVE_ONLY");
    put_bool(w, "paused", stale);
    jw_key(w, "pause_reasons");
    jw_arr(w);
    if (stale) jw_cstr(w, "STALE_DATA");
    jw_end(w);
    put_i64(w, "markets_usable", n.usable);
    put_i64(w, "markets", n.all);
    put_bool(w, "simulated", a->cfg->feeds_simulated);
    jw_end(w);
}

/* ---- publications ------------------------------------------------------------------------------------------------- */

static bool ready(const stream_t *s) { return s->hub != NULL; }

static jw_t begin(stream_t *s)
{
    jw_t w;
    buf_reset(&s->scratch);
    jw_init(&w, &s->scratch);
    return w;
}

static void publish(stream_t *s, int ch, const hub_attr_t *attr, const char *type)
{
    if (!s->scratch.failed) hub_publish(s->hub, s->topic[ch], attr, type, buf_span(&s->scratch));
}

void api_publish_opp(api_t *a, const opp_t *o, const char *pair_name)
{
    static const char *const types[] = {"opened", "updated", "closed"};
    stream_t *s = a->stream;
    hub_attr_t attr = {.key = 0, .pair = o->pair, .venue_a = (int32_t)o->buy, .venue_b = (int32_t)o->sell, .value = o->net_bps_x100};
    opp_row_t row;
    if (!ready(s)) return;
    opp_row_of(o, pair_name, &row);
    jw_t w = begin(s);
    opp_json(&w, &row, a->cfg->feeds_simulated);
    publish(s, CH_OPPORTUNITIES, &attr, types[o->phase]);
}

void api_publish_bot(api_t *a, const char *wallet, bool enabled, int64_t version, int64_t updated_us)
{
    stream_t *s = a->stream;
    hub_attr_t attr = {.key = stream_wallet_key(a, wallet), .pair = -1, .venue_a = -1, .venue_b = -1, .value = 0};
    if (!ready(s) || !bot_is_news(a, wallet, version)) return;
    jw_t w = begin(s);
    stream_put_bot(a, &w, wallet, enabled, version, updated_us);
    publish(s, CH_BOT, &attr, "changed");
}

/* Conflated per channel, so each message holds the whole state. */
void api_publish_inst(api_t *a, const char *venue, const char *market, bool usable, xerr_t why)
{
    static const hub_attr_t all = {.key = 0, .pair = -1, .venue_a = -1, .venue_b = -1, .value = 0};
    stream_t *s = a->stream;
    if (!ready(s)) return;
    jw_t w = begin(s);
    stream_put_connectors(a, &w);
    publish(s, CH_CONNECTORS, &all, "changed");
    w = begin(s);
    stream_put_status(a, &w);
    publish(s, CH_STATUS, &all, "changed");
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t ws_query[] = {S_ROW("ticket", SC_STR, SC_SECRET, .doc = "A one-time ticket, for callers that cannot send a header."), S_END};
static const schema_t ticket_answer[] = {S_ROW("ticket", SC_STR, SC_REQ | SC_SECRET), S_REQ("expires_in", SC_INT, .doc = "Seconds."), S_END};

const route_t routes_stream[] = {
    {M_GET, "/api/v1/ws", ACCESS_ANY, LIM_WS, ROUTE_TICKET | ROUTE_UPGRADE, 0, h_ws, ws_query, NULL, 101, NULL, "Opens the live stream (RFC 6455)."},
    {M_POST, "/api/v1/ws-ticket", ACCESS_ANY, LIM_USER, ROUTE_EMPTY, ROUTE_BODY, h_ws_ticket, NULL, schema_nothing, 200, ticket_answer,
     "A ticket that opens one socket within 30 seconds, at this server process; 16 of one caller within that time."},
    ROUTE_END,
};
