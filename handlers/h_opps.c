/* Opportunities as rows: the list, newest first, paged by an opaque cursor, and one by its id. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "base/rfc3339.h"
#include "handlers/cursor.h"
#include "handlers/oppjson.h"
#include "handlers/routes.h"
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

/* Values were judged by list_query; what is absent stays as memset left it. */
static void parse_query(const req_t *r, opp_query_t *q)
{
    span_t v;
    q->limit = (unsigned)arg_i64(r, "limit", LIMIT_DEFAULT);
    if (arg_of(r, "cursor", &v)) cursor_parse(v, &q->before_seq);
    if (arg_of(r, "since", &v)) rfc3339_parse(v, &q->since_us);
    if (arg_of(r, "min_net_bps", &v)) q->has_min_net = !text_x100(v, &q->min_net_bps_x100);
    arg_of(r, "pair", &q->pair);
    arg_of(r, "venue", &q->venue);
    arg_of(r, "decision", &q->decision);
}

static void h_opps_list(req_t *r)
{
    list_t *l = req_alloc(r, sizeof *l);
    memset(l, 0, sizeof *l);
    parse_query(r, &l->q);
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

static void h_opps_one(req_t *r) { opps_one(api_of(r)->store, call_of(r)->arg[0], on_one, req_hold(r)); }

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

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static int fits_pair(const char *p, size_t n) { return text_is_word(span_make(p, n), 15, "/-"); }
static int fits_decision(const char *p, size_t n) { return text_is_word(span_make(p, n), 15, "_"); }

static const schema_t list_query[] = {
    S_OPT("limit", SC_INT, .min = 1, .max = LIMIT_MAX, .doc = "50 when absent."),
    CURSOR_ROW,
    S_OPT("pair", SC_STR, .min = 1, .max = 15, .pattern = "^[A-Za-z0-9/-]{1,15}$", .fits = fits_pair, .doc = "a pair such as SOL/USD is expected"),
    S_OPT("venue", SC_STR, .choices = venue_names, .doc = "One of the venues this program knows."),
    S_OPT("min_net_bps", SC_NUM, .min = -INT32_MAX, .max = INT32_MAX, .places = 2, .doc = "Least net spread in basis points."),
    S_OPT("since", SC_TIME, .doc = "Detected at this time or later."),
    S_OPT("decision", SC_STR, .min = 1, .max = 15, .pattern = "^[A-Za-z0-9_]{1,15}$", .fits = fits_decision,
          .doc = "a decision such as OBSERVE_ONLY is expected"),
    S_END,
};

static const schema_t pagination[] = {
    S_REQ("limit", SC_INT), S_REQ("has_more", SC_BOOL), S_NUL("next_cursor", SC_STR), S_REQ("total_count", SC_INT), S_END,
};

static const schema_t list_answer[] = {
    S_REQ("data", SC_ARR, .of = S_LIST(S_REQ("opportunity", SC_OBJ, .of = opp_members))),
    S_REQ("pagination", SC_OBJ, .of = pagination),
    S_REQ("total_count", SC_INT, .doc = "Rows that match, counted up to 100,000."),
    S_REQ("simulated", SC_BOOL),
    S_END,
};

static const schema_t one_answer[] = {S_REQ("data", SC_OBJ, .of = opp_members), S_REQ("simulated", SC_BOOL), S_END};

const route_t routes_opps[] = {
    {M_GET, "/api/v1/opportunities", ACCESS_VIEWER, LIM_OPP, 0, 0, h_opps_list, list_query, NULL, 200, list_answer, "Opportunities, newest first."},
    {M_GET, "/api/v1/opportunities/{id}", ACCESS_VIEWER, LIM_OPP, ROUTE_FINDS, 0, h_opps_one, NULL, NULL, 200, one_answer, "One opportunity by its id."},
    ROUTE_END,
};
