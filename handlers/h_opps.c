/* Opportunities as rows: the list, newest first, paged by an opaque cursor, and one by its id. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/rfc3339.h"
#include "handlers/cursor.h"
#include "handlers/market.h"
#include "handlers/oppjson.h"
#include "handlers/text.h"

enum { LIMIT_MAX = 1000, LIMIT_DEFAULT = 50 };

typedef struct {
    req_t *r;
    opp_query_t q;
} list_t;

/* GET /api/v1/opportunities */
static void on_list(void *ctx, xerr_t err, const opp_page_t *page);
/* GET /api/v1/opportunities/{id} */
static void on_one(void *ctx, xerr_t err, const opp_page_t *page);

/* ---- query -------------------------------------------------------------------------------------------------------- */

static const char *parse_page(req_t *r, opp_query_t *q, const char **what)
{
    span_t v;
    int64_t n;
    q->limit = LIMIT_DEFAULT;
    if (arg_of(r, "limit", &v)) {
        *what = "an integer from 1 to 1000 is expected";
        if (text_u63(v, &n) || n < 1 || n > LIMIT_MAX) return "limit";
        q->limit = (unsigned)n;
    }
    if (arg_of(r, "cursor", &v)) {
        *what = "not a cursor this server gave";
        if (cursor_parse(v, &q->before_seq)) return "cursor";
    }
    if (arg_of(r, "since", &v)) {
        *what = "an RFC 3339 time is expected, for example 2026-11-20T13:00:00Z";
        if (rfc3339_parse(v, &q->since_us)) return "since";
    }
    return NULL;
}

static const char *parse_filters(req_t *r, opp_query_t *q, const char **what)
{
    span_t v;
    if (arg_of(r, "pair", &q->pair)) {
        *what = "a pair such as SOL/USD is expected";
        if (!text_is_word(q->pair, 15, "/-")) return "pair";
    }
    if (arg_of(r, "venue", &q->venue)) {
        *what = "no such venue";
        if (market_venue(q->venue) < 0) return "venue";
    }
    if (arg_of(r, "decision", &q->decision)) {
        *what = "a decision such as OBSERVE_ONLY is expected";
        if (!text_is_word(q->decision, 15, "_")) return "decision";
    }
    if (arg_of(r, "min_net_bps", &v)) {
        *what = "a number with at most two decimals is expected";
        if (text_x100(v, &q->min_net_bps_x100)) return "min_net_bps";
        q->has_min_net = true;
    }
    return NULL;
}

void h_opps_list(req_t *r)
{
    list_t *l = req_alloc(r, sizeof *l);
    const char *what = NULL, *name;
    memset(l, 0, sizeof *l);
    name = parse_page(r, &l->q, &what);
    if (!name) name = parse_filters(r, &l->q, &what);
    if (name) {
        h_bad(r, name, what);
        return;
    }
    l->r = req_hold(r);
    opps_list(api_of(r)->store, &l->q, on_list, l);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void put_pagination(jw_t *w, unsigned limit, const opp_page_t *p)
{
    char cursor[CURSOR_TEXT];
    jw_key(w, "pagination");
    jw_obj(w);
    put_i64(w, "limit", limit);
    put_bool(w, "has_more", p->has_more);
    if (p->has_more) cursor_text(p->next_seq, cursor);
    put_str(w, "next_cursor", p->has_more ? cursor : NULL);
    put_i64(w, "total_count", p->total);
    jw_end(w);
}

static void on_list(void *ctx, xerr_t err, const opp_page_t *page)
{
    list_t *l = ctx;
    req_t *r = l->r;
    bool simulated = api_of(r)->cfg->feeds_simulated;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    out_init(&o);
    jw_key(&o.w, "data");
    jw_arr(&o.w);
    for (unsigned i = 0; i < page->n; i++) opp_json(&o.w, &page->rows[i], simulated);
    jw_end(&o.w);
    put_pagination(&o.w, l->q.limit, page);
    put_i64(&o.w, "total_count", page->total);
    put_bool(&o.w, "simulated", simulated);
    out_send(&o, r, 200);
    req_drop(r);
}

void h_opps_one(req_t *r)
{
    span_t id = call_of(r)->arg[0];
    if (!uuid_valid(id)) h_bad(r, "id", "a UUID in lower case is expected");
    else opps_one(api_of(r)->store, id, on_one, req_hold(r));
}

static void on_one(void *ctx, xerr_t err, const opp_page_t *page)
{
    req_t *r = ctx;
    out_t o;
    if (!err && !page->n) err = XE_NOT_FOUND;
    if (err == XE_NOT_FOUND) {
        h_fail_why(r, err, "No opportunity has this id");
    } else if (err) {
        h_fail(r, err);
    } else {
        out_init(&o);
        jw_key(&o.w, "data");
        opp_json(&o.w, &page->rows[0], api_of(r)->cfg->feeds_simulated);
        put_bool(&o.w, "simulated", api_of(r)->cfg->feeds_simulated);
        out_send(&o, r, 200);
    }
    req_drop(r);
}
