#include "storage/opps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "engine/dec.h"
#include "reactor/json.h"
#include "reactor/log.h"
#include "storage/store_int.h"

#define WAITING_MAX 4096
#define BATCH_MAX 64
#define BUCKETS 1024
#define BATCH_TEXT_MAX (1u << 20)

/* ---- writing: one statement at a time on the housekeeping link; what arrives meanwhile coalesces by id ---- */

typedef struct entry {
    struct entry *next, *prev; /* the queue, oldest first */
    struct entry *chain;       /* by id */
    opp_t o;
    char pair[16], decision[24], reason[24];
} entry_t;

struct oppq {
    entry_t *head, *tail;
    entry_t *at[BUCKETS];
    uint64_t key[2];
    unsigned n;
    entry_t *flight; /* linked by next */
    unsigned solo;   /* so many go one by one: a batch was refused */
    ctr_t *written, *coalesced, *dropped, *refused;
    gauge_t *waiting;
};

static entry_t **slot(oppq_t *q, const char *id)
{
    entry_t **e = &q->at[siphash(q->key, id, strlen(id)) % BUCKETS];
    while (*e && strcmp((*e)->o.id, id) != 0)
        e = &(*e)->chain;
    return e;
}

static void enqueue(oppq_t *q, entry_t *e, bool front)
{
    entry_t **at = slot(q, e->o.id);
    e->chain = *at;
    *at = e;
    e->next = front ? q->head : NULL;
    e->prev = front ? NULL : q->tail;
    *(e->next ? &e->next->prev : &q->tail) = e;
    *(e->prev ? &e->prev->next : &q->head) = e;
    q->n++;
}

static void dequeue(oppq_t *q, entry_t *e)
{
    entry_t **at = slot(q, e->o.id);
    *at = e->chain;
    *(e->prev ? &e->prev->next : &q->head) = e->next;
    *(e->next ? &e->next->prev : &q->tail) = e->prev;
    q->n--;
}

/* Room for one more: the oldest plain update goes, or the oldest of all. */
static void make_room(oppq_t *q)
{
    entry_t *e = q->head;
    while (e && e->o.phase != OPP_UPDATE)
        e = e->next;
    if (!e)
        e = q->head;
    XASSERT(e);
    dequeue(q, e);
    free(e);
    ctr_inc(q->dropped);
}

static void fill(entry_t *e, const opp_t *o, const char *pair_name)
{
    opp_phase_t was = e->o.phase;
    bool known = e->o.id[0] != '\0';
    e->o = *o;
    if (known && was == OPP_OPEN && o->phase == OPP_UPDATE)
        e->o.phase = OPP_OPEN; /* not written yet: still worth more than an update */
    snprintf(e->pair, sizeof e->pair, "%s", pair_name);
    snprintf(e->decision, sizeof e->decision, "%s", o->decision ? o->decision : "");
    snprintf(e->reason, sizeof e->reason, "%s", o->reason ? o->reason : "");
    e->o.decision = e->decision;
    e->o.reason = e->reason;
}

void opps_put(store_t *s, const opp_t *o, const char *pair_name)
{
    oppq_t *q = s->opps;
    entry_t *e = *slot(q, o->id);
    if (s->closing)
        return;
    if (e && (e->o.phase != OPP_CLOSE || o->phase == OPP_CLOSE)) {
        fill(e, o, pair_name);
        ctr_inc(q->coalesced);
        return;
    }
    if (e)
        return; /* an update behind its own close */
    if (q->n >= WAITING_MAX)
        make_room(q);
    e = calloc(1, sizeof *e);
    XASSERT(e);
    fill(e, o, pair_name);
    enqueue(q, e, false);
    gauge_set(q->waiting, q->n);
    oppq_kick(s);
}

static void j_dec(jw_t *w, const char *name, i128_t raw)
{
    char text[DEC_TEXT_MAX];
    size_t n = dec_text(raw, text, sizeof text);
    jw_key(w, name);
    jw_str(w, span_make(text, n));
}

static void j_usd(jw_t *w, const char *name, usd_t v)
{
    char text[DEC_TEXT_MAX];
    size_t n = usd_text(v, text, sizeof text);
    jw_key(w, name);
    jw_str(w, span_make(text, n));
}

static void j_int(jw_t *w, const char *name, int64_t v)
{
    jw_key(w, name);
    jw_i64(w, v);
}

static void j_time(jw_t *w, const char *name, int64_t us)
{
    jw_key(w, name);
    if (us > 0)
        jw_i64(w, us);
    else
        jw_null(w);
}

static void j_text(jw_t *w, const char *name, const char *v)
{
    jw_key(w, name);
    jw_cstr(w, v);
}

static void encode(jw_t *w, const entry_t *e)
{
    const opp_t *o = &e->o;
    char slot_text[24];
    snprintf(slot_text, sizeof slot_text, "%llu", (unsigned long long)o->pool_slot);
    jw_obj(w);
    j_text(w, "id", o->id);
    j_text(w, "pair", e->pair);
    j_text(w, "direction", dir_name(o->dir));
    j_text(w, "buy_venue", venue_name(o->buy));
    j_text(w, "sell_venue", venue_name(o->sell));
    j_dec(w, "buy_price", o->buy_px.raw);
    j_dec(w, "sell_price", o->sell_px.raw);
    j_dec(w, "buy_touch", o->buy_touch.raw);
    j_dec(w, "sell_touch", o->sell_touch.raw);
    j_dec(w, "size", o->size.raw);
    j_usd(w, "buy_cost", o->buy_cost);
    j_usd(w, "sell_proceeds", o->sell_proceeds);
    j_usd(w, "fee_cex", o->fee_cex);
    j_usd(w, "fee_dex", o->fee_dex);
    j_usd(w, "fee_network", o->fee_network);
    j_usd(w, "slippage", o->slippage);
    j_usd(w, "fee_total", o->fee_total);
    j_dec(w, "basis", o->basis.raw);
    j_int(w, "gross", o->gross_bps_x100);
    j_int(w, "net", o->net_bps_x100);
    j_int(w, "peak", o->peak_net_bps_x100);
    j_usd(w, "predicted_pnl", o->predicted_pnl);
    j_time(w, "detected", o->detect_wall_us);
    j_time(w, "source", o->source_us);
    j_time(w, "received", o->recv_wall_us);
    j_time(w, "opened", o->opened_wall_us > 0 ? o->opened_wall_us : o->detect_wall_us);
    j_time(w, "ended", o->phase == OPP_CLOSE ? o->closed_wall_us : 0);
    j_int(w, "lifetime_ms", o->lifetime_ms);
    j_int(w, "parse_ns", o->parsed_ns - o->recv_ns);
    j_int(w, "detect_ns", o->detect_ns - o->recv_ns);
    j_text(w, "pool_slot", slot_text);
    j_text(w, "decision", e->decision);
    j_text(w, "reason", e->reason);
    j_text(w, "status", o->phase == OPP_CLOSE ? "closed" : "open");
    jw_end(w);
}

static void flight_free(oppq_t *q)
{
    entry_t *next;
    for (entry_t *e = q->flight; e; e = next) {
        next = e->next;
        free(e);
    }
    q->flight = NULL;
}

/* Back to the front in their order; whatever has a newer state waiting is not needed any more. */
static void flight_back(oppq_t *q)
{
    entry_t *back = NULL, *next;
    for (entry_t *e = q->flight; e; e = next) {
        next = e->next;
        e->next = back;
        back = e;
    }
    q->flight = NULL;
    for (entry_t *e = back; e; e = next) {
        next = e->next;
        if (*slot(q, e->o.id) || q->n >= WAITING_MAX) {
            ctr_inc(*slot(q, e->o.id) ? q->coalesced : q->dropped);
            free(e);
        } else {
            enqueue(q, e, true);
        }
    }
}

static void on_put(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    store_t *s = ctx;
    oppq_t *q = s->opps;
    unsigned n = 0;
    (void)rows;
    for (const entry_t *e = q->flight; e; e = e->next)
        n++;
    if (s->closing) {
        flight_free(q);
        return;
    }
    if (err == XE_OK) {
        ctr_add(q->written, n);
        flight_free(q);
    } else if (err == XE_CLOSED || store_pg_away(err) || err == XE_CONFLICT) {
        flight_back(q); /* goes again with the next beat or connection */
        return;
    } else if (n > 1) {
        q->solo = n;
        flight_back(q);
    } else {
        ctr_inc(q->refused);
        flight_free(q);
    }
    oppq_kick(s);
}

void oppq_kick(store_t *s)
{
    oppq_t *q = s->opps;
    if (q->flight || !q->head || !s->house || !pg_up(s->house))
        return;
    buf_t b;
    jw_t w;
    entry_t **end = &q->flight;
    unsigned max = q->solo > 0 ? 1 : BATCH_MAX;
    buf_init(&b, BATCH_TEXT_MAX);
    jw_init(&w, &b);
    jw_arr(&w);
    for (unsigned i = 0; i < max && q->head; i++) {
        entry_t *e = q->head;
        dequeue(q, e);
        encode(&w, e);
        e->next = NULL;
        *end = e;
        end = &e->next;
    }
    if (q->solo > 0)
        q->solo--;
    jw_end(&w);
    buf_add(&b, "", 1);
    XASSERT(!b.failed);
    gauge_set(q->waiting, q->n);
    pg_send(s->house, SQL_OPP_PUT, (const char *const[]){b.p}, on_put, s);
    buf_fini(&b);
}

oppq_t *oppq_new(store_t *s, metrics_t *m)
{
    oppq_t *q = calloc(1, sizeof *q);
    (void)s;
    XASSERT(q);
    random_bytes(q->key, sizeof q->key);
    q->written = metrics_ctr(m, "xorj_db_opportunities_total", "outcome=\"written\"", "States of opportunities on their way to rows");
    q->coalesced = metrics_ctr(m, "xorj_db_opportunities_total", "outcome=\"coalesced\"", "States of opportunities on their way to rows");
    q->dropped = metrics_ctr(m, "xorj_db_opportunities_total", "outcome=\"dropped\"", "States of opportunities on their way to rows");
    q->refused = metrics_ctr(m, "xorj_db_opportunities_total", "outcome=\"refused\"", "States of opportunities on their way to rows");
    q->waiting = metrics_gauge(m, "xorj_db_opportunities_waiting", NULL, "States of opportunities waiting to be written");
    return q;
}

bool oppq_idle(const store_t *s)
{
    return !s->opps->head && !s->opps->flight;
}

void oppq_free(oppq_t *q)
{
    while (q->head) {
        entry_t *e = q->head;
        dequeue(q, e); /* NOLINT(clang-analyzer-unix.Malloc): it takes e off the head, which the analyser does not follow */
        free(e);
    }
    flight_free(q);
    free(q);
}

/* ---- reading ---- */

typedef void (*page_cb)(void *ctx, xerr_t err, const opp_page_t *page);

typedef struct {
    soon_t soon;
    store_t *s;
    page_cb cb;
    void *ctx;
    unsigned limit, left;
    xerr_t err;
    bool one;
    opp_page_t page;
    opp_row_t *rows;
} list_t;

static list_t *list_new(store_t *s, page_cb cb, void *ctx, unsigned limit)
{
    list_t *l = calloc(1, sizeof *l);
    XASSERT(l);
    l->s = s;
    l->cb = cb;
    l->ctx = ctx;
    l->limit = limit;
    return l;
}

static void list_end(list_t *l)
{
    l->page.rows = l->rows;
    l->cb(l->ctx, l->err, l->err ? NULL : &l->page);
    free(l->rows);
    free(l);
}

static void fire_list(soon_t *soon)
{
    list_end((list_t *)soon);
}

static void list_step(list_t *l, xerr_t err)
{
    if (err && !l->err)
        l->err = err;
    if (--l->left == 0)
        list_end(l);
}

static void decode(const pg_rows_t *r, unsigned i, opp_row_t *o)
{
    static const struct {
        size_t at, cap;
    } texts[] = {
#define T(f) {offsetof(opp_row_t, f), sizeof(((opp_row_t *)0)->f)}
        T(id), T(pair), T(direction), T(buy_venue), T(sell_venue), T(buy_price), T(sell_price), T(size), T(buy_cost),
        T(sell_proceeds), T(fee_cex), T(fee_dex), T(fee_network), T(slippage), T(fee_total), T(basis), T(gross_bps),
        T(net_bps), T(peak_net_bps), T(predicted_pnl)
#undef T
    };
    unsigned c = 0;
    o->seq = pg_i64(r, i, c++);
    for (unsigned k = 0; k < sizeof texts / sizeof *texts; k++)
        pg_copy(r, i, c++, (char *)o + texts[k].at, texts[k].cap);
    o->detected_us = pg_i64(r, i, c++);
    o->source_us = pg_i64(r, i, c++);
    o->recv_us = pg_i64(r, i, c++);
    o->ended_us = pg_i64(r, i, c++);
    o->lifetime_ms = pg_i64(r, i, c++);
    o->parse_ns = pg_i64(r, i, c++);
    o->detect_ns = pg_i64(r, i, c++);
    pg_copy(r, i, c++, o->decision, sizeof o->decision);
    pg_copy(r, i, c++, o->reason, sizeof o->reason);
    pg_copy(r, i, c++, o->status, sizeof o->status);
}

static void on_rows(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    list_t *l = ctx;
    unsigned n = pg_rows_n(rows);
    if (!err && l->one && n == 0)
        err = XE_NOT_FOUND;
    if (!err && n > 0) {
        l->page.has_more = n > l->limit;
        l->page.n = n > l->limit ? l->limit : n;
        l->rows = calloc(l->page.n, sizeof *l->rows);
        XASSERT(l->rows);
        for (unsigned i = 0; i < l->page.n; i++)
            decode(rows, i, &l->rows[i]);
        l->page.next_seq = l->page.has_more ? l->rows[l->page.n - 1].seq : 0;
        if (l->one)
            l->page.total = 1;
    }
    list_step(l, err);
}

static void on_count(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    list_t *l = ctx;
    if (!err)
        l->page.total = pg_i64(rows, 0, 0);
    list_step(l, err);
}

static const char *text_or_null(span_t t, char *out, size_t cap)
{
    if (t.n == 0)
        return NULL;
    size_t n = t.n < cap ? t.n : cap - 1;
    memcpy(out, t.p, n);
    out[n] = '\0';
    return out;
}

void opps_list(store_t *s, const opp_query_t *q, page_cb cb, void *ctx)
{
    char pair[32], venue[32], decision[32], since[24], net[16], before[24], limit[16];
    unsigned rows = q->limit < 1 ? 1 : q->limit > 1000 ? 1000 : q->limit;
    unsigned ms = (unsigned)s->cfg->http_read_deadline_ms;
    list_t *l = list_new(s, cb, ctx, rows);
    if (s->closing) {
        l->err = XE_DOWN;
        soons_post(s->soons, &l->soon, fire_list);
        return;
    }
    snprintf(since, sizeof since, "%lld", (long long)q->since_us);
    snprintf(net, sizeof net, "%d", q->min_net_bps_x100);
    snprintf(before, sizeof before, "%lld", (long long)q->before_seq);
    snprintf(limit, sizeof limit, "%u", rows + 1);
    const char *params[] = {text_or_null(q->pair, pair, sizeof pair),
                            text_or_null(q->venue, venue, sizeof venue),
                            text_or_null(q->decision, decision, sizeof decision),
                            since,
                            q->has_min_net ? net : NULL,
                            before,
                            limit};
    l->left = 2;
    pool_query(s->pool, SQL_OPP_LIST, params, ms, true, on_rows, l);
    pool_query(s->pool, SQL_OPP_COUNT, params, ms, true, on_count, l);
}

void opps_one(store_t *s, span_t id, page_cb cb, void *ctx)
{
    char text[37];
    list_t *l = list_new(s, cb, ctx, 1);
    l->one = true;
    l->left = 1;
    if (s->closing || !uuid_valid(id)) {
        l->err = s->closing ? XE_DOWN : XE_NOT_FOUND;
        soons_post(s->soons, &l->soon, fire_list);
        return;
    }
    memcpy(text, id.p, 36);
    text[36] = '\0';
    pool_query(s->pool, SQL_OPP_ONE, (const char *const[]){text}, (unsigned)s->cfg->http_read_deadline_ms, true, on_rows, l);
}
