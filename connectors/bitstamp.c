/* Bitstamp's public socket, in two ways. bitstamp-diff: channel diff_order_book_M, changes of the whole depth upon a book
 * that was asked for by REST. bitstamp-book: channel order_book_M, the best 100 levels a side, whole in every message.
 *
 * Nothing numbers the messages, but each names its microsecond, and so does the REST book. A seed is taken only when a
 * message kept before it is not younger than it: then nothing can be missing in between. The first message that comes for
 * a market therefore asks for the seed, and a seed from the venue's cache that is too old is asked for again. */
#include <stdio.h>

#include "connectors/venue.h"
#include "reactor/json.h"

#define DIFF_PREFIX "diff_order_book_"
#define BOOK_PREFIX "order_book_"
/* Events of our own making: they stand in the stream where the REST answer came in. */
#define EVENT_KEEP "xorj:keep"
#define EVENT_SEED "xorj:seed"

enum { F_EVENT = 1, F_CHANNEL = 2, F_DATA = 4 };
enum { D_MICRO = 1, D_BIDS = 2, D_ASKS = 4, D_MESSAGE = 8, D_ALL = 7 };
enum { PLAN_NONE, PLAN_SKIP, PLAN_UPDATE, PLAN_SNAPSHOT };

typedef struct {
    uint32_t seen, dseen;
    span_t event, channel, message;
    const char *data;    /* skipped for now; NULL: no object */
    const char *side[2]; /* likewise, inside data */
    bool entered, walked[2], seed;
    uint8_t plan;
    uint64_t micro;
    int market;          /* of the channel; -1: none of ours */
    side_t at;
} bs_t;

static bool is_diff(const vp_t *p) { return p->ops == &venue_bitstamp_diff; }
static span_t prefix_of(const vp_t *p) { return is_diff(p) ? SPAN_LIT(DIFF_PREFIX) : SPAN_LIT(BOOK_PREFIX); }

static void bs_frame(vp_t *p)
{
    bs_t *b = p->st;
    memset(b, 0, sizeof *b);
    b->market = -1;
}

static bool level_row(vp_t *p)
{
    const bs_t *b = p->st;
    scan_t *s = &p->s;
    span_t px, qty;
    return scan_take(s, '[') && scan_str(s, &px) && scan_take(s, ',') && scan_str(s, &qty) && scan_take(s, ']') &&
           vp_level(p, b->at, px, qty);
}

/* ---- the object of a book: bids, asks, and the microsecond that says what to do with them ---- */

static bool take_micro(vp_t *p)
{
    bs_t *b = p->st;
    span_t text;
    if (!scan_str(&p->s, &text) || text.n == 0 || text.n > 18) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        b->micro = b->micro * 10 + (uint64_t)(text.p[i] - '0');
    }
    p->source_us = (int64_t)b->micro;
    return true;
}

static vp_act_t data_member(vp_t *p, span_t key)
{
    bs_t *b = p->st;
    if (span_is(key, "microtimestamp")) return vp_once(p, &b->dseen, D_MICRO) && take_micro(p) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "message") && scan_peek(&p->s) == '"')
        return vp_once(p, &b->dseen, D_MESSAGE) && scan_str(&p->s, &b->message) ? VA_TAKEN : VA_BAD;
    bool bids = span_is(key, "bids");
    if (!bids && !span_is(key, "asks")) return VA_SKIP;
    if (!vp_once(p, &b->dseen, bids ? D_BIDS : D_ASKS)) return VA_BAD;
    b->side[bids ? SIDE_BID : SIDE_ASK] = p->s.p;
    return VA_SKIP;
}

static void keep(vp_t *p, vmkt_t *m)
{
    const bs_t *b = p->st;
    if (p->replayed) return;
    if (m->kept_n == 0) {
        m->mark = b->micro;
        m->want_seed = true;
    }
    /* Too much came before the seed did: from here on there is a hole, so counting starts again with the next. */
    if (!vp_keep(p, (unsigned)b->market)) p->stats.early++;
}

static uint8_t plan_diff(vp_t *p, vmkt_t *m)
{
    const bs_t *b = p->st;
    if (!m->synced) {
        keep(p, m);
        return PLAN_SKIP;
    }
    if (b->micro <= m->last) {
        p->stats.old++;
        return PLAN_SKIP;
    }
    if (m->keeping) keep(p, m);
    return PLAN_UPDATE;
}

/* A replay is given its seeds before the first message: there they need no proof. */
static uint8_t plan_seed(vp_t *p, vmkt_t *m)
{
    const bs_t *b = p->st;
    bool proven = m->kept_n ? m->mark <= b->micro : p->adopt && !m->synced;
    bool ahead = m->synced && b->micro >= m->last; /* whole in itself, and nothing after it has been here yet */
    if (!proven && !ahead) {
        p->stats.old++;
        m->want_seed = !m->synced || m->keeping;
        return PLAN_SKIP;
    }
    m->keeping = m->want_seed = false;
    vp_play_kept(p, (unsigned)b->market);
    return PLAN_SNAPSHOT;
}

static uint8_t plan_book(vp_t *p, const vmkt_t *m)
{
    const bs_t *b = p->st;
    if (b->micro > m->last) return PLAN_SNAPSHOT;
    p->stats.old++;
    return PLAN_SKIP;
}

static void decide(vp_t *p)
{
    bs_t *b = p->st;
    vmkt_t *m = &p->mkts[b->market];
    b->plan = !is_diff(p) ? plan_book(p, m) : b->seed ? plan_seed(p, m) : plan_diff(p, m);
    if (b->plan != PLAN_SKIP) vp_book_begin(p, (unsigned)b->market, b->plan == PLAN_SNAPSHOT);
}

static vp_act_t data_end(vp_t *p)
{
    bs_t *b = p->st;
    if (b->market < 0) return VA_TAKEN;
    if ((b->dseen & D_ALL) != D_ALL) return VA_BAD;
    if (b->plan == PLAN_NONE) decide(p);
    if (b->plan == PLAN_SKIP) return VA_TAKEN;
    for (int side = 0; side < 2; side++) {
        if (b->walked[side]) continue;
        b->walked[side] = true;
        b->at = (side_t)side;
        p->jump = b->side[side];
        p->row = level_row;
        return VA_ROWS;
    }
    return VA_TAKEN;
}

static const vp_walk_t data_walk = {data_member, data_end};

/* ---- the envelope ---- */

static vp_act_t bs_member(vp_t *p, span_t key)
{
    bs_t *b = p->st;
    if (span_is(key, "event")) return vp_once(p, &b->seen, F_EVENT) && scan_str(&p->s, &b->event) ? VA_TAKEN : VA_BAD;
    if (span_is(key, "channel")) return vp_once(p, &b->seen, F_CHANNEL) && scan_str(&p->s, &b->channel) ? VA_TAKEN : VA_BAD;
    if (!span_is(key, "data")) return VA_SKIP;
    if (!vp_once(p, &b->seen, F_DATA)) return VA_BAD;
    if (scan_peek(&p->s) == '{') b->data = p->s.p;
    return VA_SKIP;
}

static int channel_market(vp_t *p, span_t channel)
{
    span_t prefix = prefix_of(p);
    if (channel.n <= prefix.n || memcmp(channel.p, prefix.p, prefix.n) != 0) return -1;
    return vp_market(p, span_make(channel.p + prefix.n, channel.n - prefix.n));
}

static vp_act_t bs_end(vp_t *p)
{
    bs_t *b = p->st;
    if (!(b->seen & F_EVENT)) return VA_BAD;
    if (b->entered) return VA_TAKEN;
    b->entered = true;
    b->seed = span_is(b->event, EVENT_SEED);
    if (span_is(b->event, "data") || b->seed) {
        if (!(b->seen & F_CHANNEL) || !b->data) return VA_BAD;
        b->market = channel_market(p, b->channel);
        if (b->market < 0) {
            p->stats.unknown++;
            return VA_TAKEN;
        }
    } else if (!span_is(b->event, "bts:error") || !b->data) {
        return VA_TAKEN;
    }
    p->jump = b->data;
    p->child = &data_walk;
    return VA_OBJ;
}

static const vp_walk_t bs_walk = {bs_member, bs_end};

static void control(vp_t *p)
{
    const bs_t *b = p->st;
    int m = channel_market(p, b->channel);
    if (span_is(b->event, EVENT_KEEP)) {
        if (m >= 0) p->mkts[m].keeping = true;
    } else if (span_is(b->event, "bts:error")) {
        p->stats.errors++;
        vp_note(p, b->message);
    } else if (span_is(b->event, "bts:request_reconnect")) {
        vp_note(p, SPAN_LIT("asked to connect again"));
        vp_want_reconnect(p, XE_AGAIN);
    } else if (span_is(b->event, "bts:subscription_succeeded")) {
        p->stats.beats++;
        /* A quiet market says nothing until it changes: the touch comes by REST. */
        if (m >= 0 && !is_diff(p) && !p->mkts[m].synced) p->mkts[m].want_seed = true;
    } else if (span_is(b->event, "bts:heartbeat") || span_is(b->event, "bts:unsubscription_succeeded")) {
        p->stats.beats++;
    } else if (!span_is(b->event, "trade")) {
        p->stats.unknown++;
    }
}

static void bs_done(vp_t *p)
{
    const bs_t *b = p->st;
    if (b->market < 0) {
        if (!span_is(b->event, "data") && !b->seed) control(p);
        return;
    }
    if (!b->seed && !p->replayed) vp_venue_clock(p, p->source_us);
    if (b->plan == PLAN_UPDATE || b->plan == PLAN_SNAPSHOT) p->mkts[b->market].last = b->micro;
}

/* ---- what we say ---- */

static void request(buf_t *out, const char *event, const char *channel)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "event");
    jw_cstr(&w, event);
    if (channel) {
        jw_key(&w, "data");
        jw_obj(&w);
        jw_key(&w, "channel");
        jw_cstr(&w, channel);
        jw_end(&w);
    }
    jw_end(&w);
}

static const char *channel_of(const vp_t *p, unsigned market, char out[VP_NAME_MAX + 24])
{
    snprintf(out, VP_NAME_MAX + 24, "%s%s", prefix_of(p).p, p->mkts[market].wire);
    return out;
}

/* One channel per message. */
static bool subscribe(const vp_t *p, unsigned i, buf_t *out)
{
    char channel[VP_NAME_MAX + 24];
    if (i >= p->mkts_n) return false;
    request(out, "bts:subscribe", channel_of(p, i, channel));
    return true;
}

static bool ping(vp_t *p, buf_t *out)
{
    (void)p;
    request(out, "bts:heartbeat", NULL);
    return true;
}

/* The changing query passes by the caches in between. */
static void seed_path(const vp_t *p, unsigned market, int64_t now_ms, buf_t *out)
{
    buf_fmt(out, "/api/v2/order_book/%s/?group=1&_=%lld", p->mkts[market].wire, (long long)now_ms);
}

static void seed_frame(const vp_t *p, unsigned market, const span_t *body, buf_t *out)
{
    char channel[VP_NAME_MAX + 24];
    buf_fmt(out, "{\"event\":\"%s\",\"channel\":\"%s\",\"data\":", body ? EVENT_SEED : EVENT_KEEP, channel_of(p, market, channel));
    if (body) buf_add(out, body->p, body->n);
    else buf_str(out, "{}");
    buf_str(out, "}");
}

/* Channels are lower case without a slash. */
static void wire_name(const char *asked, char out[VP_NAME_MAX])
{
    size_t n = 0;
    for (size_t i = 0; asked[i]; i++)
        if (asked[i] != '/') out[n++] = asked[i] >= 'A' && asked[i] <= 'Z' ? (char)(asked[i] + 32) : asked[i];
    out[n] = 0;
}

const venue_ops_t venue_bitstamp_diff = {
    .protocol = "bitstamp-diff",
    .venue = VENUE_BITSTAMP,
    .silence_ms = 30000,
    .ping_ms = 5000,
    .markets_max = 1000,
    .resync = VR_SEED,
    .refresh = true,
    .state_size = sizeof(bs_t),
    .top = &bs_walk,
    .frame = bs_frame,
    .done = bs_done,
    .wire_name = wire_name,
    .subscribe = subscribe,
    .ping = ping,
    .seed_path = seed_path,
    .seed_frame = seed_frame,
};

const venue_ops_t venue_bitstamp = {
    .protocol = "bitstamp-book",
    .venue = VENUE_BITSTAMP,
    .silence_ms = 30000,
    .ping_ms = 5000,
    .markets_max = 1000,
    .resync = VR_WAIT,
    .state_size = sizeof(bs_t),
    .top = &bs_walk,
    .frame = bs_frame,
    .done = bs_done,
    .wire_name = wire_name,
    .subscribe = subscribe,
    .ping = ping,
    .seed_path = seed_path,
    .seed_frame = seed_frame,
};
