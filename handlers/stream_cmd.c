#include "handlers/stream_internal.h"

#include <stdlib.h>

#include "base/codec.h"
#include "handlers/market.h"
#include "handlers/text.h"
#include "handlers/bot_view.h"
#include "storage/bots.h"

enum { CHANNELS_PER_COMMAND = 16, COMMAND_ARENA_MAX = 1 << 18 };

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

/* ---- commands in -------------------------------------------------------------------------------------------------- */

static bool fail(fault_t *f, const char *code, const char *message, span_t key)
{
    *f = (fault_t){code, message, key};
    return false;
}

static bool invalid(fault_t *f, const char *message, span_t key) { return fail(f, "VALIDATION_ERROR", message, key); }

static bool parse_channels(const sub_t *u, const json_t *list, command_t *c, fault_t *f)
{
    if (!list || json_type(list) != JSON_ARR || !json_len(list) || json_len(list) > CHANNELS_PER_COMMAND)
        return invalid(f, "channels: an array of 1 to 16 names is expected", span_make(NULL, 0));
    for (size_t i = 0; i < json_len(list); i++) {
        const json_t *v = json_at(list, i);
        int ch = 0;
        if (json_type(v) != JSON_STR) return invalid(f, "channels: names are strings", span_make(NULL, 0));
        while (ch < CH_N && !span_is(json_str(v), stream_channels[ch].name)) ch++;
        if (ch == CH_N) return invalid(f, "channels: no such channel", json_str(v));
        if (stream_channels[ch].viewer && u->who.c.role < ROLE_VIEWER) return fail(f, "AUTHORIZATION_ERROR", "channels: not open to this token", json_str(v));
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
        if (set & 1u << i) jw_cstr(&o.w, stream_channels[i].name);
    jw_end(&o.w);
    jw_key(&o.w, "seq");
    jw_obj(&o.w);
    for (int i = 0; i < CH_N; i++)
        if (set & 1u << i) put_i64(&o.w, stream_channels[i].name, (int64_t)hub_seq(s->hub, s->topic[i]));
    jw_end(&o.w);
    put_bool(&o.w, "simulated", s->a->cfg->feeds_simulated);
    send_out(u, &o);
}

static void open_message(const stream_t *s, out_t *o, int ch, const char *type)
{
    out_init(o);
    put_str(&o->w, "channel", stream_channels[ch].name);
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

static void on_bot(void *ctx, xerr_t err, const bot_t *b)
{
    later_t *l = ctx;
    sub_t *u = stream_find(l->s, l->id);
    out_t o;
    if (u && !err && (u->joined & 1u << CH_BOT) && span_is(span_of(u->bot_wallet), b->wallet)) {
        holds_note(l->s->a, b->wallet, b->holds);
        open_message(l->s, &o, CH_BOT, "snapshot");
        stream_put_bot(l->s->a, &o.w, b->wallet, b->enabled, b->version, b->updated_us);
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
        if ((l = stream_later(u))) bots_get(s->a->store, span_of(u->bot_wallet), on_bot, l);
    } else if (ch == CH_CONNECTORS || ch == CH_STATUS) {
        open_message(s, &o, ch, "snapshot");
        if (ch == CH_CONNECTORS) stream_put_connectors(s->a, &o.w);
        else stream_put_status(s->a, &o.w);
        send_out(u, &o);
    }
}

/* ---- acting ------------------------------------------------------------------------------------------------------- */

static void join(sub_t *u, int ch, const command_t *c)
{
    hub_filter_t f = {.key = 0, .pair = -1, .venue = -1, .min_value = INT64_MIN};
    if (ch == CH_BOT) {
        memcpy(u->bot_wallet, c->wallet, sizeof u->bot_wallet);
        f.key = stream_wallet_key(u->s->a, u->bot_wallet);
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

void stream_on_text(void *ctx, ws_t *ws, span_t text)
{
    stream_t *s = ctx;
    sub_t *u = ws_user(ws);
    const json_t *doc = NULL;
    const char *why = NULL;
    fault_t f = {NULL, NULL, {NULL, 0}};
    if (u->closing) return;
    ctr_inc(s->commands);
    if (!within_rate(u)) {
        stream_close(u, CLOSE_LIMITED, "too many messages");
        return;
    }
    arena_t *a = arena_new(s->arenas, COMMAND_ARENA_MAX);
    if (!a || json_parse(text, a, &doc, &why)) invalid(&f, why ? why : "Malformed JSON", span_make(NULL, 0));
    else if (json_type(doc) != JSON_OBJ) invalid(&f, "a JSON object is expected", span_make(NULL, 0));
    else run(u, doc, &f);
    if (f.code) send_error(u, &f);
    if (a) arena_free(a);
}
