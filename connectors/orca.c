#include "connectors/orca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "engine/pda.h"
#include "reactor/json.h"
#include "reactor/log.h"

#define PROGRAM "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc"
#define SYSTEM_PROGRAM "11111111111111111111111111111111"
#define MINT_SOL "So11111111111111111111111111111111111111112"
#define MINT_USDC "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
#define DECIMALS_SOL 9
#define DECIMALS_USDC 6

#define ROW_FIRST (-2) /* arrays loaded around the one that holds the price */
#define ROW_LAST 2
#define ACCOUNTS_MAX 100 /* of one getMultipleAccounts */
#define DATA_MAX 10240
#define TEXT_MAX 65536
#define CALL_MS 2500 /* with the rest after it under 5 s: a node that hung and returns is read again in time */
#define POLL_GAP_MS 150 /* least time between two reads */
#define SILENT_MS 10000 /* without anything new: down */
#define WS_SILENCE_MS 15000
#define WS_PING_MS 5000
#define SUBSCRIBE_ID 1000 /* request ids of subscriptions: this and the account's serial */
#define MS 1000000LL

typedef struct {
    inst_t inst;
    uint8_t key[32];
    char address[WALLET_TEXT_MAX + 1];
    uint8_t base_decimals, quote_decimals;
    bool known, refused;
    whirl_pool_t state;
} pool_t;

typedef enum { ACCT_POOL, ACCT_ARRAY, ACCT_ORACLE } acct_kind_t;

typedef struct {
    bool used;
    acct_kind_t kind;
    unsigned pool;
    int32_t start;         /* of an array */
    char address[WALLET_TEXT_MAX + 1];
    uint64_t serial;       /* tells a reused row from its predecessor */
    uint64_t slot;         /* of what was taken last */
    uint64_t sub;          /* subscription number; 0 none */
} acct_t;

struct orca {
    loop_t *loop;
    door_t door;
    rpc_t *rpc;
    link_t *link;          /* NULL: polling only */
    ltimer_t *poll;
    int64_t poll_ms;
    feed_stats_t stats;
    ctr_t *polls, *poll_failures, *refused_accounts, *old_slots;
    bool up, in_flight, again, stopped;
    bool dying;            /* orca_free was called; the read in flight ends it */
    int64_t asked_ns, news_ns;
    pool_t pools[ORCA_POOLS_MAX];
    unsigned pools_n;
    acct_t accts[ACCOUNTS_MAX];
    uint64_t serial;
    struct { unsigned row; uint64_t serial; } asked[ACCOUNTS_MAX];
    unsigned asked_n;
    uint8_t program[32];
    uint8_t data[DATA_MAX];
    span_t text;           /* the websocket message at hand */
    int64_t recv_ns, recv_wall_us;
};

/* ---- events ---- */

static ev_t stamped(const orca_t *o, ev_kind_t kind, inst_t inst)
{
    return (ev_t){.kind = kind, .venue = VENUE_ORCA, .inst = inst, .recv_ns = o->recv_ns, .recv_wall_us = o->recv_wall_us,
                  .parsed_ns = mono_ns()};
}

static void set_up(orca_t *o, bool up)
{
    if (o->up == up) return;
    o->up = up;
    ev_t ev = stamped(o, EV_CONN, -1);
    ev.u.conn.up = up;
    door_post(&o->door, &ev);
    gauge_set(o->stats.up, up);
    o->stats.h.since_us = wall_us();
    log_info("feed", "orca", "%s", up ? "pools are read" : "pools are not read any more");
    if (up) return;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) o->accts[i].slot = 0;
    for (unsigned i = 0; i < o->pools_n; i++) o->pools[i].known = false;
}

static void pool_bad(orca_t *o, unsigned pool, xerr_t why)
{
    ev_t ev = stamped(o, EV_BOOK_BAD, o->pools[pool].inst);
    ev.u.bad.err = why;
    door_post(&o->door, &ev);
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++)
        if (o->accts[i].used && o->accts[i].pool == pool) o->accts[i].slot = 0;
}

static void poll_soon(orca_t *o)
{
    if (o->stopped) return;
    if (o->in_flight) {
        o->again = true;
        return;
    }
    int64_t wait = o->asked_ns / MS + POLL_GAP_MS - mono_ns() / MS, rest = rpc_rest_ms(o->rpc);
    if (rest > wait) wait = rest;
    ltimer_arm(o->poll, wait > 0 ? wait : 0);
}

/* ---- subscriptions ---- */

/* What every request for an account asks for. */
static void put_options(jw_t *w)
{
    jw_obj(w);
    jw_key(w, "encoding");
    jw_cstr(w, "base64");
    jw_key(w, "commitment");
    jw_cstr(w, "confirmed");
    jw_end(w);
}

static void send_json(orca_t *o, const char *method, uint64_t id, const char *address, uint64_t sub)
{
    buf_t b;
    jw_t w;
    buf_init(&b, 1024);
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key(&w, "jsonrpc");
    jw_cstr(&w, "2.0");
    jw_key(&w, "id");
    jw_u64(&w, id);
    jw_key(&w, "method");
    jw_cstr(&w, method);
    jw_key(&w, "params");
    jw_arr(&w);
    if (!address) {
        jw_u64(&w, sub);
    } else {
        jw_cstr(&w, address);
        put_options(&w);
    }
    jw_end(&w);
    jw_end(&w);
    (void)link_send(o->link, buf_span(&b));
    buf_fini(&b);
}

static bool ws_open(const orca_t *o)
{
    return o->link && (link_state(o->link) == LINK_SUBSCRIBING || link_state(o->link) == LINK_LIVE);
}

static void subscribe(orca_t *o, acct_t *a)
{
    if (ws_open(o)) send_json(o, "accountSubscribe", SUBSCRIBE_ID + a->serial, a->address, 0);
}

/* ---- which accounts ---- */

static acct_t *add_account(orca_t *o, unsigned pool, const char *address)
{
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        acct_t *a = &o->accts[i];
        if (a->used) continue;
        *a = (acct_t){.used = true, .pool = pool, .serial = ++o->serial};
        memcpy(a->address, address, strlen(address) + 1);
        return a;
    }
    return NULL;
}

static void drop_account(orca_t *o, acct_t *a)
{
    if (a->sub && ws_open(o)) send_json(o, "accountUnsubscribe", SUBSCRIBE_ID - 1, NULL, a->sub);
    a->used = false;
}

static void derive(const orca_t *o, const span_t *seeds, size_t n, char out[WALLET_TEXT_MAX + 1])
{
    char b58[2 * 32 + 2];
    uint8_t key[32], bump;
    XASSERT(pda_find(seeds, n, o->program, key, &bump) == XE_OK);
    size_t len = b58_encode(key, 32, b58, sizeof b58);
    XASSERT(len > 0 && len <= WALLET_TEXT_MAX);
    memcpy(out, b58, len + 1);
}

static void array_address(const orca_t *o, const pool_t *p, int32_t start, char out[WALLET_TEXT_MAX + 1])
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", start);
    span_t seeds[] = {SPAN_LIT("tick_array"), span_make((const char *)p->key, 32), span_make(text, (size_t)n)};
    derive(o, seeds, 3, out);
}

static acct_t *find_array(orca_t *o, unsigned pool, int32_t start)
{
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        acct_t *a = &o->accts[i];
        if (a->used && a->kind == ACCT_ARRAY && a->pool == pool && a->start == start) return a;
    }
    return NULL;
}

static bool want_array(orca_t *o, unsigned pool, int32_t start)
{
    char address[WALLET_TEXT_MAX + 1];
    if (find_array(o, pool, start)) return false;
    array_address(o, &o->pools[pool], start, address);
    acct_t *a = add_account(o, pool, address);
    if (!a) return false;
    a->kind = ACCT_ARRAY;
    a->start = start;
    subscribe(o, a);
    return true;
}

static acct_t *find_oracle(orca_t *o, unsigned pool)
{
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++)
        if (o->accts[i].used && o->accts[i].kind == ACCT_ORACLE && o->accts[i].pool == pool) return &o->accts[i];
    return NULL;
}

/* Only a pool with an adaptive fee has one that matters. */
static bool follow_oracle(orca_t *o, unsigned pool)
{
    const pool_t *p = &o->pools[pool];
    char address[WALLET_TEXT_MAX + 1];
    span_t seeds[] = {SPAN_LIT("oracle"), span_make((const char *)p->key, 32)};
    acct_t *a = find_oracle(o, pool);
    if (a && !whirl_adaptive(&p->state)) drop_account(o, a);
    if (a || !whirl_adaptive(&p->state)) return false;
    derive(o, seeds, 2, address);
    a = add_account(o, pool, address);
    if (!a) return false;
    a->kind = ACCT_ORACLE;
    subscribe(o, a);
    return true;
}

/* The arrays around the price as it is now; others are given up. Something new is read at once. */
static void follow_price(orca_t *o, unsigned pool)
{
    const pool_t *p = &o->pools[pool];
    int32_t width = WHIRL_ARRAY_TICKS * p->state.tick_spacing, here = whirl_array_start(p->state.tick, p->state.tick_spacing);
    int64_t low = (int64_t)here + ROW_FIRST * (int64_t)width, high = (int64_t)here + ROW_LAST * (int64_t)width;
    bool fresh = follow_oracle(o, pool);
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        acct_t *a = &o->accts[i];
        if (a->used && a->kind == ACCT_ARRAY && a->pool == pool && (a->start < low || a->start > high)) drop_account(o, a);
    }
    for (int64_t start = low; start <= high; start += width) {
        if (start + width <= WHIRL_TICK_MIN || start > WHIRL_TICK_MAX) continue;
        fresh |= want_array(o, pool, (int32_t)start);
    }
    if (fresh) poll_soon(o);
}

/* ---- accounts in ---- */

static bool text_of(span_t json, span_t *out)
{
    scan_t s;
    scan_init(&s, json);
    return scan_str(&s, out) && scan_done(&s);
}

/* ["...","base64"] into o->data. */
static xerr_t data_of(orca_t *o, span_t json, size_t *n)
{
    scan_t s;
    span_t text, kind;
    scan_init(&s, json);
    if (!scan_take(&s, '[') || !scan_str(&s, &text) || !scan_take(&s, ',') || !scan_str(&s, &kind) || !scan_take(&s, ']')) return XE_BAD_INPUT;
    if (!span_is(kind, "base64")) return XE_BAD_INPUT;
    return b64_decode(text, o->data, sizeof o->data, n);
}

static xerr_t mints_ok(const pool_t *p, const whirl_pool_t *w)
{
    uint8_t sol[32], usdc[32];
    XASSERT(b58_key(SPAN_LIT(MINT_SOL), sol) == XE_OK && b58_key(SPAN_LIT(MINT_USDC), usdc) == XE_OK);
    bool mints = memcmp(w->mint_a, sol, 32) == 0 && memcmp(w->mint_b, usdc, 32) == 0;
    return mints && p->base_decimals == DECIMALS_SOL && p->quote_decimals == DECIMALS_USDC ? XE_OK : XE_UNSUPPORTED;
}

static xerr_t take_pool(orca_t *o, unsigned i, const uint8_t *data, size_t n, uint64_t slot)
{
    pool_t *p = &o->pools[i];
    whirl_pool_t w;
    xerr_t err = whirl_pool_decode(data, n, &w);
    if (err) return err;
    if (mints_ok(p, &w)) {
        if (!p->refused) log_error("feed", "orca", "pool %s is not SOL/USDC with the configured decimals: left out", p->address);
        p->refused = true;
        return XE_UNSUPPORTED;
    }
    p->refused = false;
    p->state = w;
    p->known = true;
    set_up(o, true);
    ev_t ev = stamped(o, EV_POOL, p->inst);
    ev.u.pool.p = &p->state;
    ev.u.pool.slot = slot;
    door_post(&o->door, &ev);
    follow_price(o, i);
    return XE_OK;
}

static xerr_t take_array(orca_t *o, const acct_t *a, const uint8_t *data, size_t n, uint64_t slot)
{
    const pool_t *p = &o->pools[a->pool];
    whirl_array_t w = {.start = a->start, .missing = true};
    if (n > 0) {
        xerr_t err = whirl_array_decode(data, n, p->state.tick_spacing, &w);
        if (err) return err;
        if (w.start != a->start || memcmp(w.pool, p->key, 32) != 0) return XE_BAD_INPUT;
    }
    set_up(o, true);
    ev_t ev = stamped(o, EV_POOL_ARRAY, p->inst);
    ev.u.array.a = &w;
    ev.u.array.slot = slot;
    door_post(&o->door, &ev);
    return XE_OK;
}

static xerr_t take_oracle(orca_t *o, const acct_t *a, const uint8_t *data, size_t n, uint64_t slot)
{
    const pool_t *p = &o->pools[a->pool];
    whirl_oracle_t w;
    xerr_t err = whirl_oracle_decode(data, n, &w);
    if (err) return err;
    if (memcmp(w.pool, p->key, 32) != 0 || !whirl_oracle_sane(&w, &p->state)) return XE_BAD_INPUT;
    ev_t ev = stamped(o, EV_POOL_ORACLE, p->inst);
    ev.u.oracle.o = &w;
    ev.u.oracle.slot = slot;
    door_post(&o->door, &ev);
    return XE_OK;
}

/* An account as JSON (null: there is none) into bytes; *n is 0 for one that does not exist. */
static xerr_t bytes_of(orca_t *o, const acct_t *a, span_t json, size_t *n)
{
    span_t v, owner;
    *n = 0;
    if (span_is(json, "null")) return a->kind == ACCT_ARRAY ? XE_OK : XE_NOT_FOUND;
    if (!scan_get(json, "owner", &v) || !text_of(v, &owner)) return XE_BAD_INPUT;
    if (!scan_get(json, "data", &v)) return XE_BAD_INPUT;
    xerr_t err = data_of(o, v, n);
    if (err) return err;
    if (a->kind == ACCT_ARRAY && *n == 0 && span_is(owner, SYSTEM_PROGRAM)) return XE_OK;
    return span_is(owner, PROGRAM) && *n > 0 ? XE_OK : XE_DENIED;
}

static xerr_t take_bytes(orca_t *o, const acct_t *a, size_t n, uint64_t slot)
{
    switch (a->kind) {
    case ACCT_POOL: return take_pool(o, a->pool, o->data, n, slot);
    case ACCT_ARRAY: return take_array(o, a, o->data, n, slot);
    case ACCT_ORACLE: break;
    }
    return take_oracle(o, a, o->data, n, slot);
}

static void take_account(orca_t *o, acct_t *a, span_t json, uint64_t slot)
{
    size_t n;
    if (slot < a->slot) {
        ctr_inc(o->old_slots);
        return;
    }
    if (a->kind != ACCT_POOL && !o->pools[a->pool].known) return;
    unsigned pool = a->pool;
    xerr_t err = bytes_of(o, a, json, &n);
    if (!err) err = take_bytes(o, a, n, slot);
    if (!err) {
        a->slot = slot;
        o->news_ns = o->recv_ns;
        return;
    }
    ctr_inc(o->refused_accounts);
    log_debug("feed", "orca", "account %s refused: %s", a->address, xerr_name(err));
    if (o->pools[pool].known) pool_bad(o, pool, err);
}

static void stamp_now(orca_t *o)
{
    o->recv_ns = mono_ns();
    o->recv_wall_us = wall_us();
    o->stats.h.last_message_ns = o->recv_ns;
    o->stats.h.messages++;
    ctr_inc(o->stats.messages);
}

/* ---- polling ---- */

/* Values in the order asked. Arrays and oracles before pools, so that a pool is judged with those of the same slot. */
static bool take_values(orca_t *o, span_t list, uint64_t slot, bool pools)
{
    scan_t s;
    bool first = true;
    unsigned i = 0;
    scan_init(&s, list);
    if (!scan_take(&s, '[')) return false;
    for (; scan_more(&s, ']', &first); i++) {
        scan_peek(&s);
        const char *from = s.p;
        if (i >= o->asked_n || !scan_skip(&s, list.n)) return false;
        acct_t *a = &o->accts[o->asked[i].row];
        if (!a->used || a->serial != o->asked[i].serial || (a->kind == ACCT_POOL) != pools) continue;
        take_account(o, a, span_make(from, (size_t)(s.p - from)), slot);
    }
    return !s.err && i == o->asked_n;
}

static xerr_t take_poll(orca_t *o, span_t result)
{
    uint64_t slot;
    span_t list;
    xerr_t err = rpc_context(result, &slot, &list);
    if (err) return err;
    return take_values(o, list, slot, false) && take_values(o, list, slot, true) ? XE_OK : XE_BAD_INPUT;
}

static void check_silence(orca_t *o)
{
    int64_t limit = 3 * o->poll_ms > SILENT_MS ? 3 * o->poll_ms : SILENT_MS;
    if (o->up && mono_ns() - o->news_ns > limit * MS) set_up(o, false);
}

static void on_polled(void *ctx, xerr_t err, span_t result)
{
    orca_t *o = ctx;
    o->in_flight = false;
    if (o->dying) {
        free(o);
        return;
    }
    if (o->stopped) return;
    if (!err) {
        stamp_now(o);
        err = take_poll(o, result);
        if (err) o->stats.h.garbled++, ctr_inc(o->stats.garbled);
    }
    ctr_inc(err ? o->poll_failures : o->polls);
    check_silence(o);
    gauge_set(o->stats.up, o->up);
    bool soon = o->again || (err && rpc_endpoints(o->rpc) > 1);
    o->again = false;
    if (soon) {
        poll_soon(o);
        return;
    }
    int64_t rest = rpc_rest_ms(o->rpc);
    if (!ltimer_armed(o->poll)) ltimer_arm(o->poll, rest > o->poll_ms ? rest : o->poll_ms);
}

static void on_poll(void *ctx)
{
    orca_t *o = ctx;
    buf_t b;
    jw_t w;
    check_silence(o);
    feed_stats_age(&o->stats, mono_ns());
    if (o->stopped || o->in_flight) return;
    buf_init(&b, TEXT_MAX);
    jw_init(&w, &b);
    jw_arr(&w);
    jw_arr(&w);
    o->asked_n = 0;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        if (!o->accts[i].used) continue;
        jw_cstr(&w, o->accts[i].address);
        o->asked[o->asked_n].row = i;
        o->asked[o->asked_n++].serial = o->accts[i].serial;
    }
    jw_end(&w);
    put_options(&w);
    jw_end(&w);
    o->in_flight = true;
    o->asked_ns = mono_ns();
    rpc_req_t q = {.method = "getMultipleAccounts", .params = buf_span(&b), .timeout_ms = CALL_MS};
    rpc_call(o->rpc, &q, on_polled, o);
    buf_fini(&b);
}

/* ---- pushes ---- */

static void on_open(void *ctx)
{
    orca_t *o = ctx;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        o->accts[i].sub = 0;
        if (o->accts[i].used) subscribe(o, &o->accts[i]);
    }
    poll_soon(o);
}

static void on_frame(void *ctx, span_t text, int64_t recv_ns, int64_t recv_wall_us)
{
    orca_t *o = ctx;
    stamp_now(o);
    o->text = text;
    o->recv_ns = recv_ns;
    o->recv_wall_us = recv_wall_us;
}

static xerr_t take_reply(orca_t *o, span_t id_json)
{
    scan_t s;
    span_t v;
    uint64_t id, sub;
    scan_init(&s, id_json);
    if (!scan_u64(&s, &id)) return XE_OK; /* not one of our ids: an error that names none */
    if (!scan_get(o->text, "result", &v)) return scan_get(o->text, "error", &v) ? XE_DENIED : XE_BAD_INPUT;
    scan_init(&s, v);
    if (id < SUBSCRIBE_ID || !scan_u64(&s, &sub)) return XE_OK;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++)
        if (o->accts[i].used && o->accts[i].serial == id - SUBSCRIBE_ID) o->accts[i].sub = sub;
    link_live(o->link);
    return XE_OK;
}

static xerr_t take_notification(orca_t *o)
{
    scan_t s;
    span_t params, result, value, v;
    uint64_t slot, sub;
    if (!scan_get(o->text, "params", &params) || !scan_get(params, "result", &result) || !scan_get(params, "subscription", &v)) return XE_BAD_INPUT;
    scan_init(&s, v);
    if (!scan_u64(&s, &sub)) return XE_BAD_INPUT;
    xerr_t err = rpc_context(result, &slot, &value);
    if (err) return err;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) {
        acct_t *a = &o->accts[i];
        if (!a->used || a->sub != sub || !sub) continue;
        take_account(o, a, value, slot);
        return XE_OK;
    }
    o->stats.h.unknown++;
    ctr_inc(o->stats.unknown);
    return XE_OK;
}

static xerr_t take_message(orca_t *o)
{
    scan_t s;
    span_t v, method;
    scan_init(&s, o->text);
    if (!scan_skip(&s, o->text.n) || !scan_done(&s)) return XE_BAD_INPUT;
    if (scan_get(o->text, "method", &v) && text_of(v, &method)) {
        if (span_is(method, "accountNotification")) return take_notification(o);
    } else if (scan_get(o->text, "id", &v)) {
        return take_reply(o, v);
    }
    o->stats.h.unknown++;
    ctr_inc(o->stats.unknown);
    return XE_OK;
}

static link_frame_t on_slice(void *ctx, int64_t budget_ns)
{
    orca_t *o = ctx;
    (void)budget_ns; /* accounts are small: one message is one slice */
    xerr_t err = take_message(o);
    if (!err) return LINK_FRAME_DONE;
    ctr_inc(err == XE_DENIED ? o->stats.errors : o->stats.garbled);
    if (err != XE_DENIED) {
        o->stats.h.garbled++;
        for (unsigned i = 0; i < o->pools_n; i++)
            if (o->pools[i].known) pool_bad(o, i, err);
        poll_soon(o);
    }
    link_restart(o->link, err);
    return LINK_FRAME_DONE;
}

static void on_tick(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    orca_t *o = ctx;
    gauge_set(o->stats.up, o->up);
}

/* Numbers of subscriptions end with their connection; the state read by polling stays true. */
static void on_down(void *ctx, xerr_t why)
{
    orca_t *o = ctx;
    (void)why;
    for (unsigned i = 0; i < ACCOUNTS_MAX; i++) o->accts[i].sub = 0;
    poll_soon(o);
}

/* ---- life ---- */

static void add_pool(orca_t *o, const eng_conf_t *insts, unsigned i)
{
    const inst_conf_t *c = &insts->insts[i];
    uint8_t key[32];
    if (o->pools_n == ORCA_POOLS_MAX || b58_key(span_of(c->market), key) != XE_OK || c->pair < 0) {
        log_error("feed", "orca", "pool %s left out: %s", c->market, o->pools_n == ORCA_POOLS_MAX ? "too many pools" : "not an address");
        return;
    }
    pool_t *p = &o->pools[o->pools_n];
    p->inst = (inst_t)i;
    memcpy(p->key, key, 32);
    memcpy(p->address, c->market, strlen(c->market) + 1);
    p->base_decimals = insts->pairs[c->pair].base_decimals;
    p->quote_decimals = insts->pairs[c->pair].quote_decimals;
    XASSERT(add_account(o, o->pools_n++, p->address) != NULL);
}

static void open_link(orca_t *o, wsc_t *w, const cfg_t *cfg, journal_t *journal)
{
    if (!w || !cfg->feeds_solana_ws_url[0]) return;
    link_conf_t c = {.name = "orca", .url = cfg->feeds_solana_ws_url, .frame_max = (size_t)cfg->feeds_frame_max,
                     .slice_ns = cfg->feeds_slice_us * 1000, .silence_ms = WS_SILENCE_MS, .ping_ms = WS_PING_MS,
                     .journal = journal, .venue = "orca", .protocol = "solana-ws", .record_sent = true};
    link_hooks_t h = {.on_open = on_open, .on_frame = on_frame, .on_slice = on_slice, .on_tick = on_tick, .on_down = on_down, .ctx = o};
    o->link = link_new(o->loop, w, &o->stats, &c, h);
    link_start(o->link);
}

static void make_metrics(orca_t *o, metrics_t *m)
{
    feed_stats_init(&o->stats, m, VENUE_ORCA);
    o->polls = metrics_ctr(m, "xorj_pool_reads_total", "result=\"ok\"", "Reads of pool accounts through RPC.");
    o->poll_failures = metrics_ctr(m, "xorj_pool_reads_total", "result=\"failed\"", "Reads of pool accounts through RPC.");
    o->refused_accounts = metrics_ctr(m, "xorj_pool_refused_accounts_total", NULL, "Accounts that were not what they should be.");
    o->old_slots = metrics_ctr(m, "xorj_pool_old_slots_total", NULL, "Account states older than the one known.");
}

orca_t *orca_open(loop_t *l, wsc_t *w, metrics_t *m, const cfg_t *cfg, const eng_conf_t *insts, rpc_t *rpc, door_t door,
                 journal_t *journal)
{
    orca_t *o = calloc(1, sizeof *o);
    XASSERT(o != NULL);
    o->loop = l;
    o->door = door;
    for (unsigned i = 0; i < insts->insts_n; i++)
        if (insts->insts[i].venue == VENUE_ORCA) add_pool(o, insts, i);
    if (o->pools_n == 0) {
        free(o);
        return NULL;
    }
    XASSERT(b58_key(SPAN_LIT(PROGRAM), o->program) == XE_OK);
    make_metrics(o, m);
    o->rpc = rpc;
    o->poll_ms = cfg->feeds_poll_ms;
    o->poll = ltimer_new(l, on_poll, o);
    o->stats.h.since_us = wall_us();
    ltimer_arm(o->poll, 0);
    open_link(o, w, cfg, journal);
    return o;
}

bool orca_has(const orca_t *o, inst_t inst)
{
    for (unsigned i = 0; i < o->pools_n; i++)
        if (o->pools[i].inst == inst) return true;
    return false;
}

void orca_resync(orca_t *o, inst_t inst)
{
    for (unsigned i = 0; i < o->pools_n; i++) {
        if (o->pools[i].inst != inst) continue;
        ctr_inc(o->stats.resyncs);
        o->stats.h.resyncs++;
        for (unsigned k = 0; k < ACCOUNTS_MAX; k++)
            if (o->accts[k].used && o->accts[k].pool == i) o->accts[k].slot = 0;
        poll_soon(o);
    }
}

void orca_stop(orca_t *o)
{
    o->stopped = true;
    ltimer_stop(o->poll);
    if (o->link) link_stop(o->link);
    o->recv_ns = mono_ns();
    o->recv_wall_us = wall_us();
    set_up(o, false);
}

bool orca_idle(const orca_t *o) { return o->stopped; }

const feed_health_t *orca_health(orca_t *o)
{
    bool waiting = o->link && !o->up;
    o->stats.h.state = o->up ? "LIVE" : o->stopped ? "DOWN" : waiting ? link_state_name(link_state(o->link)) : "CONNECTING";
    return &o->stats.h;
}

void orca_free(orca_t *o)
{
    if (!o) return;
    link_free(o->link);
    ltimer_free(o->poll);
    o->dying = true;
    if (!o->in_flight) free(o);
}
