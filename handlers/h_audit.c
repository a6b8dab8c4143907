/* The audit log, newest first, with the word on its hash chain. Admins only: it names everybody. */
#include "handlers/ctx.h"

#include "base/rfc3339.h"
#include "handlers/cursor.h"
#include "handlers/routes.h"
#include "storage/audit.h"

enum { LIMIT_MAX = 1000, LIMIT_DEFAULT = 50 };

/* First the page, then the chain: the rows shown are never newer than the verdict. */
typedef struct {
    req_t *r;
    unsigned limit;
    out_t o;
} list_t;

/* GET /api/v1/audit */
static void on_page(void *ctx, xerr_t err, const audit_page_t *page);
static void on_chain(void *ctx, xerr_t err, const audit_chain_t *c);

static void h_audit(req_t *r)
{
    span_t v;
    audit_query_t q = {.limit = (unsigned)arg_i64(r, "limit", LIMIT_DEFAULT)};
    list_t *l = req_alloc(r, sizeof *l);
    if (arg_of(r, "cursor", &v)) cursor_parse(v, &q.before_seq);
    if (arg_of(r, "from", &v)) rfc3339_parse(v, &q.from_us);
    if (arg_of(r, "to", &v) && !rfc3339_parse(v, &q.to_us) && !q.to_us) q.to_us = 1; /* 0 says no bound */
    arg_of(r, "actor", &q.actor);
    arg_of(r, "action", &q.action);
    l->limit = q.limit;
    l->r = req_hold(r);
    audit_list(api_of(r)->store, &q, on_page, l);
}

static void put_span(jw_t *w, const char *key, span_t v)
{
    jw_key(w, key);
    jw_str(w, v);
}

static void put_json(jw_t *w, const char *key, span_t json)
{
    jw_key(w, key);
    if (json.n) jw_raw(w, json);
    else jw_null(w);
}

static void put_entry(jw_t *w, const audit_row_t *e)
{
    jw_obj(w);
    put_i64(w, "seq", e->seq);
    put_time(w, "at", e->at_us);
    put_span(w, "actor", e->actor);
    put_span(w, "role", e->role);
    put_span(w, "action", e->action);
    put_span(w, "target", e->target);
    put_json(w, "before", e->before);
    put_json(w, "after", e->after);
    put_span(w, "request_id", e->request_id);
    put_span(w, "source_ip", e->source_ip);
    put_span(w, "prev_hash", e->prev_hash);
    put_span(w, "hash", e->hash);
    jw_end(w);
}

static void on_page(void *ctx, xerr_t err, const audit_page_t *page)
{
    list_t *l = ctx;
    char cursor[CURSOR_TEXT] = "";
    if (err) {
        h_fail(l->r, err);
        req_drop(l->r);
        return;
    }
    out_init(&l->o);
    jw_key(&l->o.w, "data");
    jw_arr(&l->o.w);
    for (unsigned i = 0; i < page->n; i++) put_entry(&l->o.w, &page->rows[i]);
    jw_end(&l->o.w);
    jw_key(&l->o.w, "pagination");
    jw_obj(&l->o.w);
    put_i64(&l->o.w, "limit", l->limit);
    put_bool(&l->o.w, "has_more", page->has_more);
    if (page->has_more) cursor_text(page->next_seq, cursor);
    put_str(&l->o.w, "next_cursor", page->has_more ? cursor : NULL);
    put_i64(&l->o.w, "total_count", page->total);
    jw_end(&l->o.w);
    audit_chain(api_of(l->r)->store, on_chain, l);
}

/* chain_ok null: a long log is still being walked, or could not be; checked_seq says how far the walk is. */
static void on_chain(void *ctx, xerr_t err, const audit_chain_t *c)
{
    list_t *l = ctx;
    jw_t *w = &l->o.w;
    bool known = !err && c->complete, bad = known && c->what[0];
    if (known) put_bool(w, "chain_ok", !bad);
    else put_null(w, "chain_ok");
    jw_key(w, "chain");
    jw_obj(w);
    if (err) put_null(w, "checked_seq");
    else put_i64(w, "checked_seq", c->seq);
    if (bad) put_i64(w, "bad_seq", c->bad_seq);
    else put_null(w, "bad_seq");
    put_str(w, "what", bad ? c->what : NULL);
    jw_end(w);
    out_send(&l->o, l->r, 200);
    req_drop(l->r);
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static const schema_t audit_query[] = {
    S_OPT("limit", SC_INT, .min = 1, .max = LIMIT_MAX, .doc = "50 when absent."),
    CURSOR_ROW,
    S_OPT("actor", SC_STR, .min = 1, .max = 64, .doc = "Who did it: a wallet or a user name."),
    S_OPT("action", SC_STR, .min = 1, .max = 64, .doc = "What was done, such as bot.set_enabled."),
    S_OPT("from", SC_TIME, .doc = "Done at this time or later."),
    S_OPT("to", SC_TIME, .doc = "Done before this time."),
    S_END,
};

static const schema_t entry[] = {
    S_REQ("seq", SC_INT, .doc = "Without gaps, from 1."), S_REQ("at", SC_TIME), S_REQ("actor", SC_STR), S_REQ("role", SC_STR),
    S_REQ("action", SC_STR), S_REQ("target", SC_STR), S_NUL("before", SC_ANY), S_NUL("after", SC_ANY), S_REQ("request_id", SC_STR),
    S_REQ("source_ip", SC_STR), S_REQ("prev_hash", SC_STR, .doc = "Hash the chain had before this row's batch, hex."),
    S_REQ("hash", SC_STR, .doc = "SHA-256 over prev_hash and this row, hex."), S_END,
};

static const schema_t pagination[] = {
    S_REQ("limit", SC_INT), S_REQ("has_more", SC_BOOL), S_NUL("next_cursor", SC_STR), S_REQ("total_count", SC_INT), S_END,
};

static const schema_t chain[] = {
    S_NUL("checked_seq", SC_INT, .doc = "How far the chain was walked."), S_NUL("bad_seq", SC_INT, .doc = "The first row that does not fit."),
    S_NUL("what", SC_STR), S_END,
};

static const schema_t audit_answer[] = {
    S_REQ("data", SC_ARR, .of = S_LIST(S_REQ("entry", SC_OBJ, .of = entry))),
    S_REQ("pagination", SC_OBJ, .of = pagination),
    S_NUL("chain_ok", SC_BOOL, .doc = "Whether the whole log still gives its hashes; null while that is being found out."),
    S_REQ("chain", SC_OBJ, .of = chain),
    S_END,
};

const route_t routes_audit[] = {
    {M_GET, "/api/v1/audit", ACCESS_ADMIN, LIM_TRADES, 0, 0, h_audit, audit_query, NULL, 200, audit_answer, "Who changed what, newest first, and whether the log is whole."},
    ROUTE_END,
};
