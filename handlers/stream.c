#include "handlers/stream.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/cors.h"
#include "handlers/market.h"
#include "handlers/oppjson.h"
#include "handlers/text.h"
#include "storage/bots.h"
#include "storage/users.h"

enum {
    CLOSE_UNAUTHENTICATED = 4001, CLOSE_LIMITED = 4029, CHANNELS_PER_COMMAND = 16, SWEEP_MS = 5000,
    RECHECK_S = 30, RECHECKS_PER_SWEEP = 64, SCRATCH_MAX = 1 << 18, COMMAND_ARENA_MAX = 1 << 18
};

/* X(id, name, conflating, viewers only) */
#define CHANNEL_LIST(X) X(OPPORTUNITIES, "opportunities", false, true) X(TRADES, "trades", false, true) X(BOT, "bot", true, false) \
    X(CONNECTORS, "connectors", true, true) X(RISK, "risk", true, true) X(STATUS, "status", true, false)
typedef enum {
#define X(id, name, conflate, viewer) CH_##id,
    CHANNEL_LIST(X)
#undef X
    CH_N
} channel_t;

static const struct { const char *name; bool conflate, viewer; } channels[CH_N] = {
#define X(id, name, conflate, viewer) [CH_##id] = {name, conflate, viewer},
    CHANNEL_LIST(X)
#undef X
};

typedef struct sub sub_t;
struct sub {
    stream_t *s;
    sub_t *prev, *next;
    ws_t *ws; /* NULL until the hub opened it */
    uint64_t id;
    principal_t who;
    unsigned joined;      /* bit per channel */
    char bot_wallet[48];  /* whose bot it hears */
    int64_t tat_ns;       /* of the messages-per-second bucket */
    int64_t recheck_ns;
    bool closing;
};

struct stream {
    api_t *a;
    hub_t *hub;
    int topic[CH_N];
    sub_t *subs;
    unsigned subs_n;
    uint64_t next_id;
    ltimer_t *sweep;
    buf_t scratch; /* one publication at a time */
    arena_pool_t *arenas;
    ctr_t *commands, *refused, *limited;
    gauge_t *open;
};

typedef struct {
    unsigned set; /* bit per channel */
    hub_filter_t filter;
    char wallet[48];
    bool has_since;
    int64_t since;
} command_t;

/* What went wrong with a command; key is shown escaped by the writer. */
typedef struct {
    const char *code, *message;
    span_t key;
} fault_t;

static void on_sweep(void *ctx);
static void on_open(void *ctx, ws_t *ws);
static void on_text(void *ctx, ws_t *ws, span_t text);
static void on_close(void *ctx, ws_t *ws, unsigned code);

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
    while (s->subs) {
        sub_t *u = s->subs;
        unlink_sub(u);
        free(u);
    }
    if (s->sweep) ltimer_free(s->sweep);
    if (s->arenas) arena_pool_free(s->arenas);
    buf_fini(&s->scratch);
    free(s);
}

hub_hooks_t api_hub_hooks(api_t *a) { return (hub_hooks_t){on_open, on_text, on_close, a->stream}; }

void api_set_hub(api_t *a, hub_t *hub)
{
    stream_t *s = a->stream;
    s->hub = hub;
    for (int i = 0; i < CH_N; i++) s->topic[i] = hub_topic(hub, channels[i].name, channels[i].conflate);
    ltimer_arm(s->sweep, SWEEP_MS);
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
void h_ws(req_t *r)
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

void h_ws_ticket(req_t *r)
{
    static const char *const no_keys[] = {NULL};
    api_t *a = api_of(r);
    char ticket[TICKET_LEN + 1];
    out_t o;
    if (!body_object(r, no_keys)) return;
    if (tickets_issue(a->tickets, &call_of(r)->who, loop_now_ns(a->loop), ticket)) {
        h_fail(r, XE_FULL);
        return;
    }
    out_init(&o);
    put_str(&o.w, "ticket", ticket);
    put_i64(&o.w, "expires_in", TICKET_TTL_S);
    out_send(&o, r, 200);
}

static void close_sub(sub_t *u, unsigned code, const char *reason)
{
    if (u->closing || !u->ws) return;
    u->closing = true;
    if (code == CLOSE_LIMITED) ctr_inc(u->s->limited);
    ws_close(u->ws, code, reason);
}

static void on_open(void *ctx, ws_t *ws)
{
    stream_t *s = ctx;
    sub_t *u = ws_user(ws);
    u->ws = ws;
    if (count_of(s, u->who.key) > (unsigned)s->a->cfg->ws_per_principal) close_sub(u, CLOSE_LIMITED, "too many sockets");
}

static void on_close(void *ctx, ws_t *ws, unsigned code)
{
    sub_t *u = ws_user(ws);
    unlink_sub(u);
    free(u);
}

/* ---- sockets end with their session ------------------------------------------------------------------------------- */

static sub_t *find_sub(const stream_t *s, uint64_t id)
{
    for (sub_t *u = s->subs; u; u = u->next)
        if (u->id == id) return u;
    return NULL;
}

/* Between question and answer the socket may go: the answer finds it again by its number. */
typedef struct { stream_t *s; uint64_t id; } later_t;

static later_t *later_of(sub_t *u)
{
    later_t *l = malloc(sizeof *l);
    if (l) *l = (later_t){u->s, u->id};
    return l;
}

static void on_recheck(void *ctx, xerr_t err, const session_t *session)
{
    later_t *l = ctx;
    sub_t *u = find_sub(l->s, l->id);
    free(l);
    if (u && err == XE_AUTH) close_sub(u, CLOSE_UNAUTHENTICATED, "session ended");
}

static void recheck(sub_t *u, int64_t now_ns, unsigned *left)
{
    later_t *l;
    if (u->who.c.role != ROLE_WALLET || u->recheck_ns > now_ns || !*left || !(l = later_of(u))) return;
    --*left;
    u->recheck_ns = now_ns + RECHECK_S * 1000000000LL;
    session_check(u->s->a->store, span_of(u->who.c.jti), on_recheck, l);
}

static void on_sweep(void *ctx)
{
    stream_t *s = ctx;
    unsigned left = RECHECKS_PER_SWEEP;
    for (sub_t *u = s->subs, *next; u; u = next) {
        next = u->next;
        if (u->who.c.expires_s <= now_s(s->a)) close_sub(u, CLOSE_UNAUTHENTICATED, "session expired");
        else if (!u->closing) recheck(u, loop_now_ns(s->a->loop), &left);
    }
    ltimer_arm(s->sweep, SWEEP_MS);
}

/* ---- commands in -------------------------------------------------------------------------------------------------- */

static bool fail(fault_t *f, const char *code, const char *message, span_t key)
{
    *f = (fault_t){code, message, key};
    return false;
}

static bool invalid(fault_t *f, const char *message, span_t key) { return fail(f, "VALIDATION_ERROR", message, key); }

static uint64_t wallet_key(const api_t *a, const char *wallet) { return siphash(a->sip, wallet, strlen(wallet)) | 1; }

static bool parse_channels(const sub_t *u, const json_t *list, command_t *c, fault_t *f)
{
    if (!list || json_type(list) != JSON_ARR || !json_len(list) || json_len(list) > CHANNELS_PER_COMMAND)
        return invalid(f, "channels: an array of 1 to 16 names is expected", span_make(NULL, 0));
    for (size_t i = 0; i < json_len(list); i++) {
        const json_t *v = json_at(list, i);
        int ch = 0;
        if (json_type(v) != JSON_STR) return invalid(f, "channels: names are strings", span_make(NULL, 0));
        while (ch < CH_N && !span_is(json_str(v), channels[ch].name)) ch++;
        if (ch == CH_N) return invalid(f, "channels: no such channel", json_str(v));
        if (channels[ch].viewer && u->who.c.role < ROLE_VIEWER) return fail(f, "AUTHORIZATION_ERROR", "channels: not open to this token", json_str(v));
        c->set |= 1u << ch;
    }
    return true;
}

static bool parse_wallet(const sub_t *u, const json_t *v, command_t *c, fault_t *f)
{
    uint8_t key[32];
    span_t s = json_type(v) == JSON_STR ? json_str(v) : span_make(NULL, 0);
    if (!s.n || b58_key(s, key)) return invalid(f, "filter.wallet: a wallet address is expected", span_make(NULL, 0));
    if (u->who.c.role == ROLE_WALLET && !span_is(s, u->who.c.wallet)) return fail(f, "AUTHORIZATION_ERROR", "filter.wallet: not this token's wallet", s);
    memcpy(c->wallet, s.p, s.n);
    c->wallet[s.n] = '\0';
    return true;
}

static bool parse_filter_member(const sub_t *u, span_t key, const json_t *v, command_t *c, fault_t *f)
{
    const api_t *a = u->s->a;
    int32_t x100;
    if (span_is(key, "pair")) {
        c->filter.pair = json_type(v) == JSON_STR ? market_pair(a, json_str(v)) : -1;
        return c->filter.pair >= 0 || invalid(f, "filter.pair: no such pair", json_str(v));
    }
    if (span_is(key, "venue")) {
        c->filter.venue = json_type(v) == JSON_STR ? market_venue(json_str(v)) : -1;
        return c->filter.venue >= 0 || invalid(f, "filter.venue: no such venue", json_str(v));
    }
    if (span_is(key, "min_net_bps")) {
        if (json_type(v) != JSON_NUM || text_x100(json_raw(v), &x100))
            return invalid(f, "filter.min_net_bps: a number with at most two decimals is expected", span_make(NULL, 0));
        c->filter.min_value = x100;
        return true;
    }
    if (span_is(key, "wallet")) return parse_wallet(u, v, c, f);
    return invalid(f, "Unrecognized key(s) in filter", key);
}

static bool parse_filter(const sub_t *u, const json_t *v, command_t *c, fault_t *f)
{
    c->filter = (hub_filter_t){.key = 0, .pair = -1, .venue = -1, .min_value = INT64_MIN};
    if (!v) return true;
    if (json_type(v) != JSON_OBJ) return invalid(f, "filter: an object is expected", span_make(NULL, 0));
    for (size_t i = 0; i < json_len(v); i++)
        if (!parse_filter_member(u, json_key(v, i), json_at(v, i), c, f)) return false;
    return true;
}

static bool parse_since(const json_t *v, command_t *c, fault_t *f)
{
    if (!v) return true;
    c->has_since = true;
    if (json_type(v) == JSON_NUM && !text_u63(json_raw(v), &c->since)) return true;
    return invalid(f, "since: a sequence number is expected", span_make(NULL, 0));
}

static bool only_keys(const json_t *doc, const char *const *keys, fault_t *f)
{
    for (size_t i = 0; i < json_len(doc); i++) {
        const char *const *k = keys;
        while (*k && !span_is(json_key(doc, i), *k)) k++;
        if (!*k) return invalid(f, "Unrecognized key(s) in object", json_key(doc, i));
    }
    return true;
}

/* The bot channel is about one wallet: the caller's, or the one a viewer names. */
static bool choose_wallet(const sub_t *u, command_t *c, fault_t *f)
{
    if (!(c->set & 1u << CH_BOT) || c->wallet[0]) return true;
    if (u->who.c.role != ROLE_WALLET) return invalid(f, "filter.wallet: required for the bot channel with this token", span_make(NULL, 0));
    memcpy(c->wallet, u->who.c.wallet, sizeof c->wallet);
    return true;
}

static bool parse_subscribe(const sub_t *u, const json_t *doc, command_t *c, fault_t *f)
{
    static const char *const keys[] = {"action", "channels", "filter", "since", NULL};
    return only_keys(doc, keys, f) && parse_channels(u, json_get(doc, "channels"), c, f) && parse_filter(u, json_get(doc, "filter"), c, f) &&
           parse_since(json_get(doc, "since"), c, f) && choose_wallet(u, c, f);
}

/* ---- messages out ------------------------------------------------------------------------------------------------- */

static void send_out(sub_t *u, out_t *o)
{
    jw_end(&o->w);
    if (!o->b.failed && !u->closing) ws_send(u->ws, buf_span(&o->b));
    buf_fini(&o->b);
}

static void send_error(sub_t *u, const fault_t *f)
{
    out_t o;
    ctr_inc(u->s->refused);
    out_init(&o);
    put_str(&o.w, "type", "error");
    put_str(&o.w, "code", f->code);
    put_str(&o.w, "message", f->message);
    if (f->key.n) {
        jw_key(&o.w, "key");
        jw_str(&o.w, span_make(f->key.p, f->key.n < 64 ? f->key.n : 64));
    }
    send_out(u, &o);
}

static void send_pong(sub_t *u)
{
    out_t o;
    out_init(&o);
    put_str(&o.w, "type", "pong");
    put_time(&o.w, "ts", loop_wall_us(u->s->a->loop));
    send_out(u, &o);
}

/* Names of the set and where each channel's sequence stands. */
static void send_reply(sub_t *u, const char *type, unsigned set)
{
    const stream_t *s = u->s;
    out_t o;
    out_init(&o);
    put_str(&o.w, "type", type);
    jw_key(&o.w, "channels");
    jw_arr(&o.w);
    for (int i = 0; i < CH_N; i++)
        if (set & 1u << i) jw_cstr(&o.w, channels[i].name);
    jw_end(&o.w);
    jw_key(&o.w, "seq");
    jw_obj(&o.w);
    for (int i = 0; i < CH_N; i++)
        if (set & 1u << i) put_i64(&o.w, channels[i].name, (int64_t)hub_seq(s->hub, s->topic[i]));
    jw_end(&o.w);
    put_bool(&o.w, "simulated", s->a->cfg->feeds_simulated);
    send_out(u, &o);
}

static void open_message(const stream_t *s, out_t *o, int ch, const char *type)
{
    out_init(o);
    put_str(&o->w, "channel", channels[ch].name);
    put_i64(&o->w, "seq", (int64_t)hub_seq(s->hub, s->topic[ch]));
    put_time(&o->w, "ts", loop_wall_us(s->a->loop));
    put_str(&o->w, "type", type);
    jw_key(&o->w, "data");
}

/* Messages that went by are not kept, so a client that was away is told so: REST has the rows. A number above ours
 * comes from another run of the server, of which nothing is known here. */
static void send_gap(sub_t *u, int ch, int64_t since)
{
    const stream_t *s = u->s;
    int64_t seq = (int64_t)hub_seq(s->hub, s->topic[ch]);
    out_t o;
    if (since == seq) return;
    open_message(s, &o, ch, "gap");
    jw_obj(&o.w);
    put_i64(&o.w, "since", since);
    put_i64(&o.w, "seq", seq);
    put_str(&o.w, "reason", since > seq ? "OTHER_RUN" : "NOT_KEPT");
    jw_end(&o.w);
    send_out(u, &o);
}

static void put_bot(const api_t *a, jw_t *w, const char *wallet, bool enabled, int64_t version, int64_t updated_us)
{
    jw_obj(w);
    put_str(w, "wallet_address", wallet);
    put_bool(w, "enabled", enabled);
    put_str(w, "status", bot_status_word(market_count(a), enabled));
    put_i64(w, "version", version);
    put_time(w, "updated_at", updated_us);
    jw_end(w);
}

static void put_connectors(const api_t *a, jw_t *w)
{
    jw_obj(w);
    jw_key(w, "markets");
    market_put_all(a, w);
    put_bool(w, "simulated", a->cfg->feeds_simulated);
    jw_end(w);
}

static void put_status(const api_t *a, jw_t *w)
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

static void on_bot(void *ctx, xerr_t err, const bot_t *b)
{
    later_t *l = ctx;
    sub_t *u = find_sub(l->s, l->id);
    out_t o;
    if (u && !err && (u->joined & 1u << CH_BOT) && span_is(span_of(u->bot_wallet), b->wallet)) {
        open_message(l->s, &o, CH_BOT, "snapshot");
        put_bot(l->s->a, &o.w, b->wallet, b->enabled, b->version, b->updated_us);
        send_out(u, &o);
    }
    free(l);
}

static void send_snapshot(sub_t *u, int ch)
{
    const stream_t *s = u->s;
    later_t *l;
    out_t o;
    if (ch == CH_BOT) {
        if ((l = later_of(u))) bots_get(s->a->store, span_of(u->bot_wallet), on_bot, l);
    } else if (ch == CH_CONNECTORS || ch == CH_STATUS) {
        open_message(s, &o, ch, "snapshot");
        if (ch == CH_CONNECTORS) put_connectors(s->a, &o.w);
        else put_status(s->a, &o.w);
        send_out(u, &o);
    }
}

/* ---- acting ------------------------------------------------------------------------------------------------------- */

static void join(sub_t *u, int ch, const command_t *c)
{
    hub_filter_t f = {.key = 0, .pair = -1, .venue = -1, .min_value = INT64_MIN};
    if (ch == CH_BOT) {
        memcpy(u->bot_wallet, c->wallet, sizeof u->bot_wallet);
        f.key = wallet_key(u->s->a, u->bot_wallet);
    } else if (ch == CH_OPPORTUNITIES || ch == CH_TRADES) {
        f = c->filter;
    }
    if (u->joined & 1u << ch) hub_leave(u->s->hub, u->ws, u->s->topic[ch]);
    hub_join(u->s->hub, u->ws, u->s->topic[ch], &f);
    u->joined |= 1u << ch;
}

static void subscribe(sub_t *u, const command_t *c)
{
    send_reply(u, "subscribed", c->set);
    for (int ch = 0; ch < CH_N; ch++) {
        if (!(c->set & 1u << ch)) continue;
        if (c->has_since) send_gap(u, ch, c->since);
        join(u, ch, c);
        send_snapshot(u, ch);
    }
}

static void unsubscribe(sub_t *u, const command_t *c)
{
    for (int ch = 0; ch < CH_N; ch++)
        if (c->set & u->joined & 1u << ch) hub_leave(u->s->hub, u->ws, u->s->topic[ch]);
    u->joined &= ~c->set;
    send_reply(u, "unsubscribed", c->set);
}

static void run(sub_t *u, const json_t *doc, fault_t *f)
{
    static const char *const leave_keys[] = {"action", "channels", NULL}, *const ping_keys[] = {"action", NULL};
    const json_t *action = json_get(doc, "action");
    span_t name = action && json_type(action) == JSON_STR ? json_str(action) : span_make(NULL, 0);
    command_t c;
    memset(&c, 0, sizeof c);
    if (span_is(name, "subscribe")) {
        if (parse_subscribe(u, doc, &c, f)) subscribe(u, &c);
    } else if (span_is(name, "unsubscribe")) {
        if (only_keys(doc, leave_keys, f) && parse_channels(u, json_get(doc, "channels"), &c, f)) unsubscribe(u, &c);
    } else if (span_is(name, "ping")) {
        if (only_keys(doc, ping_keys, f)) send_pong(u);
    } else {
        invalid(f, action ? "action: subscribe, unsubscribe or ping is expected" : "action: required", name);
    }
}

/* 30 messages a second, a burst of as many. */
static bool within_rate(sub_t *u)
{
    int64_t now = loop_now_ns(u->s->a->loop), per_s = u->s->a->cfg->ws_msgs_per_s, step = 1000000000LL / per_s;
    int64_t base = u->tat_ns > now ? u->tat_ns : now;
    if (base - now > (per_s - 1) * step) return false;
    u->tat_ns = base + step;
    return true;
}

static void on_text(void *ctx, ws_t *ws, span_t text)
{
    stream_t *s = ctx;
    sub_t *u = ws_user(ws);
    const json_t *doc = NULL;
    const char *why = NULL;
    fault_t f = {NULL, NULL, {NULL, 0}};
    if (u->closing) return;
    ctr_inc(s->commands);
    if (!within_rate(u)) {
        close_sub(u, CLOSE_LIMITED, "too many messages");
        return;
    }
    arena_t *a = arena_new(s->arenas, COMMAND_ARENA_MAX);
    if (!a || json_parse(text, a, &doc, &why)) invalid(&f, why ? why : "Malformed JSON", span_make(NULL, 0));
    else if (json_type(doc) != JSON_OBJ) invalid(&f, "a JSON object is expected", span_make(NULL, 0));
    else run(u, doc, &f);
    if (f.code) send_error(u, &f);
    if (a) arena_free(a);
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
    hub_attr_t attr = {.key = wallet_key(a, wallet), .pair = -1, .venue_a = -1, .venue_b = -1, .value = 0};
    if (!ready(s)) return;
    jw_t w = begin(s);
    put_bot(a, &w, wallet, enabled, version, updated_us);
    publish(s, CH_BOT, &attr, "changed");
}

/* Conflated per channel, so each message holds the whole state. */
void api_publish_inst(api_t *a, const char *venue, const char *market, bool usable, xerr_t why)
{
    static const hub_attr_t all = {.key = 0, .pair = -1, .venue_a = -1, .venue_b = -1, .value = 0};
    stream_t *s = a->stream;
    if (!ready(s)) return;
    jw_t w = begin(s);
    put_connectors(a, &w);
    publish(s, CH_CONNECTORS, &all, "changed");
    w = begin(s);
    put_status(a, &w);
    publish(s, CH_STATUS, &all, "changed");
}
