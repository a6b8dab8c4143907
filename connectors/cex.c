#include "connectors/cex.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define MS 1000000LL
#define ALIVE_EVERY_MS 100
#define RESYNC_MS 5000        /* one step of a market's resync */
#define RESYNC_WINDOW_MS 60000
#define RESYNC_MAX 5          /* of one market within the window; beyond: reconnect */
#define SNAPSHOT_MS 15000     /* first snapshot of a market after the subscribe */
#define TEXT_MAX 8192
#define FRAME_LEVELS 32       /* what the end of a message costs those who hear of it, in levels */
#define SEED_CALL_MS 5000
#define SEED_WAIT_MS 250      /* before a seed is asked for again, doubling */
#define SEED_WAIT_MAX_MS 8000
#define SEED_BYTES ((size_t)4 << 20)

typedef struct {
    int64_t since_ns;         /* start of the step under way; 0: none */
    bool resubscribed;
    int64_t window_ns;
    unsigned in_window;
    bool missing_told;
    int64_t seed_ns;          /* not before: the next seed */
    unsigned seed_tries;
    int64_t refresh_ns;       /* when a fresh snapshot is due; 0: not yet known */
} resync_t;

/* A REST call in flight. It outlives the cex when that goes first. */
typedef struct {
    cex_t *x;                 /* NULL: nobody waits any more */
    unsigned market;
    uint64_t epoch;
} seed_call_t;

struct cex {
    const char *name;
    const venue_ops_t *ops;
    link_t *link;
    vp_t *vp;
    door_t door;
    feed_stats_t stats;
    vp_stats_t shown;         /* counters already handed to stats */
    resync_t *resync;         /* one per market */
    int64_t alive_ns, ping_ns, beat_ns, open_ns;
    uint64_t beats;           /* heard on this connection */
    int64_t frame_ns, frame_wall_us;
    loop_t *loop;
    int64_t turn_ns;          /* the turn in which turn_levels were handed over */
    uint64_t turn_levels;
    httpc_t *http;
    char rest_url[256];
    int64_t refresh_ms;       /* 0: never */
    uint64_t epoch;           /* of the connection */
    seed_call_t *call;        /* one at a time */
};

static void post_conn(cex_t *x, bool up)
{
    ev_t ev = {.kind = EV_CONN, .venue = x->ops->venue, .inst = -1, .recv_ns = mono_ns(), .recv_wall_us = wall_us()};
    ev.u.conn.up = up;
    door_post(&x->door, &ev);
}

static void post_alive(cex_t *x)
{
    if (!link_idle(x->link) || x->frame_ns - x->alive_ns < ALIVE_EVERY_MS * MS) return;
    x->alive_ns = x->frame_ns;
    ev_t ev = {.kind = EV_ALIVE, .venue = x->ops->venue, .inst = -1, .recv_ns = x->frame_ns, .recv_wall_us = x->frame_wall_us};
    door_post(&x->door, &ev);
}

static bool send_text(cex_t *x, const buf_t *b)
{
    xerr_t err = b->failed ? XE_TOO_BIG : link_send(x->link, buf_span(b));
    if (err) link_restart(x->link, err);
    return err == XE_OK;
}

static void on_open(void *ctx)
{
    cex_t *x = ctx;
    buf_t b;
    post_conn(x, true);
    vp_reset(x->vp);
    x->epoch++;
    for (unsigned i = 0; i < x->vp->mkts_n; i++) {
        resync_t *r = &x->resync[i];
        r->since_ns = r->seed_ns = r->refresh_ns = 0;
        r->seed_tries = 0;
        r->missing_told = false;
    }
    x->beats = 0;
    x->open_ns = x->ping_ns = x->beat_ns = mono_ns();
    buf_init(&b, TEXT_MAX);
    for (unsigned i = 0; x->ops->subscribe(x->vp, i, &b); i++) {
        if (!send_text(x, &b)) break;
        buf_reset(&b);
    }
    buf_fini(&b);
}

static void on_frame(void *ctx, span_t text, int64_t recv_ns, int64_t recv_wall_us)
{
    cex_t *x = ctx;
    x->frame_ns = recv_ns;
    x->frame_wall_us = recv_wall_us;
    vp_frame(x->vp, text, recv_ns, recv_wall_us);
}

typedef bool (*text_fn)(vp_t *p, unsigned market, buf_t *out);

static bool send_market(cex_t *x, unsigned i, text_fn make)
{
    buf_t b;
    buf_init(&b, TEXT_MAX);
    bool ok = make(x->vp, i, &b) && send_text(x, &b);
    buf_fini(&b);
    return ok;
}

/* First step for a market whose book is in doubt. */
static void resync_start(cex_t *x, unsigned i)
{
    resync_t *r = &x->resync[i];
    int64_t now = mono_ns();
    ctr_inc(x->stats.resyncs);
    x->stats.h.resyncs++;
    if (now - r->window_ns > RESYNC_WINDOW_MS * MS) {
        r->window_ns = now;
        r->in_window = 0;
    }
    if (x->ops->resync == VR_RECONNECT || ++r->in_window > RESYNC_MAX) {
        link_restart(x->link, x->vp->mkts[i].why);
        return;
    }
    log_info("feed", x->name, "resync market=%s why=%s", x->vp->mkts[i].asked, xerr_name(x->vp->mkts[i].why));
    r->refresh_ns = 0;
    if (x->ops->resync == VR_SEED || x->ops->resync == VR_WAIT) {
        vp_market_forget(x->vp, i); /* the next message asks for the seed, or is whole in itself */
        return;
    }
    r->since_ns = now;
    r->resubscribed = false;
    if (!send_market(x, i, x->ops->unsubscribe) || x->ops->resync == VR_CONFIRM) return;
    vp_market_forget(x->vp, i);
    r->resubscribed = true;
    send_market(x, i, x->ops->resubscribe);
}

/* ---- seeds by REST ---- */

static void seed_later(cex_t *x, unsigned i, int64_t now)
{
    resync_t *r = &x->resync[i];
    int64_t ms = (int64_t)SEED_WAIT_MS << (r->seed_tries < 6 ? r->seed_tries : 6);
    if (r->seed_tries < 32) r->seed_tries++;
    r->seed_ns = now + (ms < SEED_WAIT_MAX_MS ? ms : SEED_WAIT_MAX_MS) * MS;
}

/* Into the stream as a frame, so that it is read in slices, in order, and is part of the journal. */
static void inject_seed(cex_t *x, unsigned i, const span_t *body)
{
    buf_t b;
    buf_init(&b, SEED_BYTES + TEXT_MAX);
    x->ops->seed_frame(x->vp, i, body, &b);
    if (b.failed || !link_inject(x->link, buf_span(&b))) log_warn("feed", x->name, "seed of market=%s left out", x->vp->mkts[i].asked);
    buf_fini(&b);
}

static void on_seed(void *ctx, xerr_t err, int status, span_t body, int retry_after_s)
{
    seed_call_t *call = ctx;
    cex_t *x = call->x;
    unsigned i = call->market;
    bool mine = x && call->epoch == x->epoch;
    free(call);
    if (!x) return;
    x->call = NULL;
    link_state_t s = link_state(x->link);
    if (!mine || (s != LINK_LIVE && s != LINK_SUBSCRIBING)) return;
    /* Behind a bot filter an answer may be a page: what is no JSON object is not let into the stream. */
    if (!err && (status != 200 || body.n == 0 || body.p[0] != '{' || json_check_lim(body, 8, 0, NULL))) err = status == 200 ? XE_BAD_INPUT : XE_DOWN;
    if (!err) {
        inject_seed(x, i, &body);
        return;
    }
    log_at(x->resync[i].seed_tries < 2 ? LOG_WARN : LOG_DEBUG, "feed", x->name, "no seed for market=%s why=%s status=%d",
           x->vp->mkts[i].asked, xerr_name(err), status);
    x->vp->mkts[i].want_seed = true;
    if (retry_after_s > 0) x->resync[i].seed_ns = mono_ns() + (int64_t)(retry_after_s < 60 ? retry_after_s : 60) * 1000 * MS;
}

static void ask_seed(cex_t *x, unsigned i, int64_t now)
{
    buf_t url;
    seed_call_t *call = malloc(sizeof *call);
    XASSERT(call != NULL);
    *call = (seed_call_t){x, i, x->epoch};
    x->call = call;
    x->vp->mkts[i].want_seed = false;
    seed_later(x, i, now);
    buf_init(&url, 1024);
    buf_str(&url, x->rest_url);
    x->ops->seed_path(x->vp, i, wall_us() / 1000, &url);
    httpc_req_t q = {.method = "GET", .url = url.p, .timeout_ms = SEED_CALL_MS, .body_max = SEED_BYTES};
    httpc_call(x->http, &q, on_seed, call);
    buf_fini(&url);
}

static void seeds(cex_t *x, int64_t now)
{
    if (!x->http || !x->rest_url[0] || !x->ops->seed_path) return;
    for (unsigned i = 0; i < x->vp->mkts_n && !x->call; i++) {
        resync_t *r = &x->resync[i];
        if (x->vp->mkts[i].synced && !x->vp->mkts[i].keeping) r->seed_tries = 0;
        if (x->vp->mkts[i].want_seed && now >= r->seed_ns) ask_seed(x, i, now);
    }
}

/* Where a lost message leaves no trace, the book is replaced by a fresh snapshot now and then. */
static void refresh(cex_t *x, unsigned i, int64_t now)
{
    resync_t *r = &x->resync[i];
    vmkt_t *m = &x->vp->mkts[i];
    if (!x->refresh_ms || !x->ops->refresh || !m->synced || m->why || r->since_ns) return;
    if (!r->refresh_ns) {
        uint16_t spread;
        random_bytes(&spread, sizeof spread);
        r->refresh_ns = now + x->refresh_ms * MS / 2 + x->refresh_ms * MS / 2 * spread / 65535;
    }
    if (now < r->refresh_ns) return;
    r->refresh_ns = now + x->refresh_ms * MS;
    if (x->ops->seed_frame) {
        inject_seed(x, i, NULL);
        r->seed_ns = 0;
        r->seed_tries = 0;
    } else if (send_market(x, i, x->ops->unsubscribe)) {
        send_market(x, i, x->ops->resubscribe);
    }
}

static void resync_step(cex_t *x, unsigned i)
{
    resync_t *r = &x->resync[i];
    const vmkt_t *m = &x->vp->mkts[i];
    if (m->why && (!r->since_ns || r->resubscribed)) {
        resync_start(x, i);
    } else if (m->why && m->unsubscribed) {
        vp_market_forget(x->vp, i);
        r->since_ns = mono_ns();
        r->resubscribed = true;
        send_market(x, i, x->ops->resubscribe);
    } else if (r->since_ns && m->synced) {
        r->since_ns = 0;
    }
}

static void tell(cex_t *x)
{
    char safe[260];
    if (!x->vp->note[0]) return;
    log_warn("feed", x->name, "venue says: %s", log_esc(span_of(x->vp->note), safe, sizeof safe));
    x->vp->note[0] = 0;
}

static void after_frame(cex_t *x, uint64_t beats)
{
    vp_t *p = x->vp;
    if (p->stats.beats != beats) x->beat_ns = x->frame_ns, x->beats++;
    feed_stats_parsed(&x->stats, &p->stats, &x->shown);
    if (p->venue_clock_us) feed_stats_clock(&x->stats, p->venue_clock_us, x->frame_wall_us);
    p->venue_clock_us = 0;
    tell(x);
    if (p->reconnect) {
        link_restart(x->link, p->reconnect);
        return;
    }
    bool any = false;
    for (unsigned i = 0; i < p->mkts_n; i++) {
        any |= p->mkts[i].synced;
        if (p->mkts[i].why || x->resync[i].since_ns) resync_step(x, i);
    }
    if (any) link_live(x->link);
    seeds(x, mono_ns());
}

static link_frame_t on_slice(void *ctx, int64_t budget_ns)
{
    cex_t *x = ctx;
    uint64_t beats = x->vp->stats.beats;
    uint64_t before = x->vp->stats.levels;
    int64_t turn = loop_now_ns(x->loop);
    if (x->turn_ns != turn) x->turn_levels = 0;
    x->turn_ns = turn;
    vp_rc_t rc = vp_run(x->vp, budget_ns);
    x->turn_levels += x->vp->stats.levels - before + FRAME_LEVELS;
    if (rc == VP_MORE) return LINK_FRAME_MORE;
    after_frame(x, beats);
    return x->turn_levels < VP_RUN_LEVELS ? LINK_FRAME_DONE : LINK_FRAME_ENOUGH;
}

/* The row that receives the data: an alias is fed through the first row of its wire name. */
static unsigned source_of(const cex_t *x, unsigned i)
{
    span_t wire = span_of(x->vp->mkts[i].wire);
    for (unsigned k = 0; k < i; k++)
        if (span_is(wire, x->vp->mkts[k].wire)) return k;
    return i;
}

static void check_markets(cex_t *x, int64_t now)
{
    for (unsigned i = 0; i < x->vp->mkts_n; i++) {
        resync_t *r = &x->resync[i];
        const vmkt_t *m = &x->vp->mkts[i];
        if (r->since_ns && now - r->since_ns > RESYNC_MS * MS) {
            link_restart(x->link, XE_TIMEOUT);
            return;
        }
        if (source_of(x, i) == i) refresh(x, i, now);
        if (m->synced || r->missing_told || source_of(x, i) != i || now - x->open_ns < SNAPSHOT_MS * MS) continue;
        r->missing_told = true;
        log_warn("feed", x->name, "no snapshot for market=%s", m->asked);
    }
}

static void on_tick(void *ctx, int64_t now)
{
    cex_t *x = ctx;
    buf_t b;
    post_alive(x);
    /* The first heartbeat may stand behind a large snapshot. */
    int64_t beat_ms = x->beats ? x->ops->beat_ms : 6 * (int64_t)x->ops->beat_ms;
    if (beat_ms && now - x->beat_ns > beat_ms * MS) {
        link_restart(x->link, XE_STALE);
        return;
    }
    if (x->ops->ping_ms && now - x->ping_ns >= x->ops->ping_ms * MS) {
        x->ping_ns = now;
        buf_init(&b, TEXT_MAX);
        bool ok = x->ops->ping(x->vp, &b) && send_text(x, &b);
        buf_fini(&b);
        if (!ok) return;
    }
    check_markets(x, now);
    seeds(x, now);
}

static void on_down(void *ctx, xerr_t why)
{
    cex_t *x = ctx;
    (void)why;
    post_conn(x, false);
    vp_reset(x->vp);
}

static void add_market(cex_t *x, const inst_conf_t *c, inst_t inst)
{
    xerr_t err = vp_market_add(x->vp, c->market, inst);
    if (err) log_error("feed", x->name, "market %s left out: %s", c->market, xerr_text(err));
}

static link_t *make_link(cex_t *x, const cex_conf_t *c)
{
    link_conf_t k = {.name = x->name, .url = c->url, .frame_max = (size_t)c->cfg->feeds_frame_max, .slice_ns = c->cfg->feeds_slice_us * 1000,
                     .silence_ms = x->ops->silence_ms, .journal = c->journal, .venue = x->name, .protocol = x->ops->protocol};
    link_hooks_t h = {.on_open = on_open, .on_frame = on_frame, .on_slice = on_slice, .on_tick = on_tick, .on_down = on_down, .ctx = x};
    return link_new(c->loop, c->wsc, &x->stats, &k, h);
}

static void take_conf(cex_t *x, const cex_conf_t *c)
{
    x->ops = c->ops;
    x->loop = c->loop;
    x->name = venue_name(c->ops->venue);
    x->door = c->door;
    x->http = c->http;
    x->refresh_ms = c->cfg->feeds_check_s * 1000;
    size_t n = c->rest_url ? strlen(c->rest_url) : 0;
    while (n && c->rest_url[n - 1] == '/') n--;
    if (n < sizeof x->rest_url) memcpy(x->rest_url, c->rest_url ? c->rest_url : "", n);
}

cex_t *cex_open(const cex_conf_t *c)
{
    cex_t *x = calloc(1, sizeof *x);
    XASSERT(x != NULL);
    take_conf(x, c);
    x->vp = vp_new(c->ops, c->door, mono_ns);
    XASSERT(x->vp != NULL);
    for (unsigned i = 0; i < c->insts->insts_n; i++)
        if (c->insts->insts[i].venue == c->ops->venue) add_market(x, &c->insts->insts[i], (inst_t)i);
    if (x->vp->mkts_n == 0) {
        vp_free(x->vp);
        free(x);
        return NULL;
    }
    x->resync = calloc(x->vp->mkts_n, sizeof *x->resync);
    XASSERT(x->resync != NULL);
    feed_stats_init(&x->stats, c->metrics, c->ops->venue);
    x->link = make_link(x, c);
    link_start(x->link);
    return x;
}

static int market_of(const cex_t *x, inst_t inst)
{
    for (unsigned i = 0; i < x->vp->mkts_n; i++)
        if (x->vp->mkts[i].inst == inst) return (int)i;
    return -1;
}

bool cex_has(const cex_t *x, inst_t inst) { return market_of(x, inst) >= 0; }

void cex_resync(cex_t *x, inst_t inst, xerr_t why)
{
    int found = market_of(x, inst);
    if (found < 0) return;
    unsigned i = source_of(x, (unsigned)found);
    vmkt_t *m = &x->vp->mkts[i];
    link_state_t s = link_state(x->link);
    /* Not synced: a fresh snapshot is on its way already. */
    if ((s != LINK_LIVE && s != LINK_SUBSCRIBING) || !m->synced) return;
    if (!x->vp->busy) x->vp->recv_ns = mono_ns(), x->vp->recv_wall_us = wall_us();
    vp_market_bad(x->vp, i, why);
    m->why = why;
    resync_start(x, i);
}

void cex_stop(cex_t *x) { link_stop(x->link); }
bool cex_idle(const cex_t *x) { return link_state(x->link) == LINK_DOWN; }
const feed_health_t *cex_health(const cex_t *x) { return &x->stats.h; }

void cex_free(cex_t *x)
{
    if (!x) return;
    if (x->call) x->call->x = NULL;
    link_free(x->link);
    vp_free(x->vp);
    free(x->resync);
    free(x);
}
