/* Trades of a wallet, newest first, in the shapes their routes have: pages by number, by offset, by cursor. */
#include "handlers/ctx.h"

#include "handlers/fast.h"
#include "handlers/routes.h"
#include "handlers/trade_json.h"

static void on_transactions(void *ctx, xerr_t err, const trade_page_t *page);
static void on_fast(void *ctx, xerr_t err, const trade_page_t *page);
static void on_bot_trades(void *ctx, xerr_t err, const trade_page_t *page);

/* The position in words of the request: kept while storage works. */
typedef struct {
    req_t *r;
    trade_query_t q;
    unsigned page;
} list_t;

static list_t *list_new(req_t *r, int64_t limit)
{
    list_t *l = req_alloc(r, sizeof *l);
    span_t cursor;
    *l = (list_t){.r = r, .page = 1};
    l->q.limit = (unsigned)limit;
    if (arg_of(r, "cursor", &cursor) && trade_cursor_parse(cursor, &l->q)) l->q.before_us = 0; /* judged: cannot be */
    return l;
}

static void ask(list_t *l, span_t wallet, trades_cb cb)
{
    req_hold(l->r);
    trades_list(api_of(l->r)->store, wallet, &l->q, cb, l);
}

static void put_stale(jw_t *w, const trade_page_t *p)
{
    put_bool(w, "stale", p->stale);
    if (p->stale) put_i64(w, "age_ms", p->age_ms);
}

static void put_next(jw_t *w, const char *key, const trade_page_t *p)
{
    char text[TRADE_CURSOR_TEXT];
    if (p->has_more && p->n) trade_cursor_text(&p->rows[p->n - 1], text);
    put_str(w, key, p->has_more && p->n ? text : NULL);
}

/* ---- GET /api/user/transactions ----------------------------------------------------------------------------------- */

static void h_transactions(req_t *r)
{
    span_t wallet;
    if (!wallet_param(r, &wallet)) return;
    list_t *l = list_new(r, arg_i64(r, "limit", 10));
    l->page = (unsigned)arg_i64(r, "page", 1);
    if (!l->q.before_us) l->q.offset = (l->page - 1) * l->q.limit;
    if (l->q.offset > TRADES_OFFSET_MAX) {
        h_fail_why(r, XE_UNSUPPORTED, "page: beyond the reach of page numbers, use cursor");
        return;
    }
    ask(l, wallet, on_transactions);
}

static void on_transactions(void *ctx, xerr_t err, const trade_page_t *p)
{
    list_t *l = ctx;
    req_t *r = l->r;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    out_init(&o);
    put_bool(&o.w, "success", true);
    jw_key(&o.w, "transactions");
    trades_put(&o.w, CASE_CAMEL, p);
    jw_key(&o.w, "pagination");
    jw_obj(&o.w);
    put_i64(&o.w, "page", l->page);
    put_i64(&o.w, "limit", l->q.limit);
    put_i64(&o.w, "totalCount", p->total);
    put_i64(&o.w, "totalPages", (p->total + l->q.limit - 1) / l->q.limit);
    put_bool(&o.w, "hasMore", p->has_more);
    put_next(&o.w, "nextCursor", p);
    jw_end(&o.w);
    put_i64(&o.w, "totalCount", p->total);
    put_bool(&o.w, "isEmpty", p->total == 0);
    put_stale(&o.w, p);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- GET /api/fast/transactions ----------------------------------------------------------------------------------- */

static void h_fast_transactions(req_t *r)
{
    span_t wallet;
    fast_start(r);
    if (wallet_param(r, &wallet)) ask(list_new(r, arg_i64(r, "limit", 10)), wallet, on_fast);
}

static void on_fast(void *ctx, xerr_t err, const trade_page_t *p)
{
    req_t *r = ((list_t *)ctx)->r;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    out_init(&o);
    jw_key(&o.w, "transactions");
    trades_put(&o.w, CASE_CAMEL, p);
    put_i64(&o.w, "totalCount", p->total);
    put_stale(&o.w, p);
    fast_put(r, &o.w);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- GET /api/bot/trades ------------------------------------------------------------------------------------------ */

static void h_bot_trades(req_t *r)
{
    static const char *const words[] = {"PENDING", "SUBMITTED", "CONFIRMED", "FAILED"};
    list_t *l = list_new(r, arg_i64(r, "limit", 50));
    span_t status;
    if (!l->q.before_us) l->q.offset = (unsigned)arg_i64(r, "offset", 0);
    if (arg_of(r, "status", &status))
        for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
            if (span_is(status, words[i])) l->q.status = words[i];
    ask(l, span_of(call_of(r)->who.c.wallet), on_bot_trades);
}

static void on_bot_trades(void *ctx, xerr_t err, const trade_page_t *p)
{
    list_t *l = ctx;
    req_t *r = l->r;
    out_t o;
    if (err) {
        h_fail(r, err);
        req_drop(r);
        return;
    }
    out_init(&o);
    put_bool(&o.w, "success", true);
    jw_key(&o.w, "trades");
    trades_put(&o.w, CASE_SNAKE, p);
    jw_key(&o.w, "pagination");
    jw_obj(&o.w);
    put_i64(&o.w, "limit", l->q.limit);
    put_i64(&o.w, "offset", l->q.offset);
    put_bool(&o.w, "has_more", p->has_more);
    put_next(&o.w, "next_cursor", p);
    put_i64(&o.w, "total_count", p->total);
    jw_end(&o.w);
    put_stale(&o.w, p);
    out_send(&o, r, 200);
    req_drop(r);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

#define LIMIT_ROW(n) S_OPT("limit", SC_INT, .min = 1, .max = TRADES_LIMIT_MAX, .doc = n " when absent.")
#define STALE_ROWS \
    S_REQ("stale", SC_BOOL, .doc = "True: storage is away, this is the last known answer."), S_OPT("age_ms", SC_INT, .doc = "Of a stale answer.")
#define COUNT_DOC "Counted up to 100,000."

static const schema_t transactions_query[] = {
    S_WALLET, S_OPT("page", SC_INT, .min = 1, .max = 10001, .doc = "1 when absent; reaches 10,000 rows, then cursor."), LIMIT_ROW("10"), TRADE_CURSOR_ROW,
    S_END,
};
static const schema_t fast_query[] = {S_WALLET, LIMIT_ROW("10"), S_END};
static const schema_t trades_query[] = {
    LIMIT_ROW("50"), S_OPT("offset", SC_INT, .max = TRADES_OFFSET_MAX, .doc = "0 when absent."), TRADE_CURSOR_ROW,
    S_OPT("status", SC_STR, .choices = S_WORDS("PENDING", "SUBMITTED", "CONFIRMED", "FAILED")), S_END,
};

static const schema_t transactions_answer[] = {
    S_REQ("success", SC_BOOL),
    S_REQ("transactions", SC_ARR, .of = S_LIST(S_REQ("transaction", SC_OBJ, .of = trade_camel))),
    S_REQ("pagination", SC_OBJ, .of = S_LIST(S_REQ("page", SC_INT), S_REQ("limit", SC_INT), S_REQ("totalCount", SC_INT, .doc = COUNT_DOC),
                                             S_REQ("totalPages", SC_INT), S_REQ("hasMore", SC_BOOL), S_NUL("nextCursor", SC_STR))),
    S_REQ("totalCount", SC_INT, .doc = COUNT_DOC),
    S_REQ("isEmpty", SC_BOOL),
    STALE_ROWS,
    S_END,
};

static const schema_t fast_answer[] = {
    S_REQ("transactions", SC_ARR, .of = S_LIST(S_REQ("transaction", SC_OBJ, .of = trade_camel))),
    S_REQ("totalCount", SC_INT, .doc = COUNT_DOC),
    STALE_ROWS,
    FAST_ROW,
    S_END,
};

static const schema_t trades_answer[] = {
    S_REQ("success", SC_BOOL),
    S_REQ("trades", SC_ARR, .of = S_LIST(S_REQ("trade", SC_OBJ, .of = trade_snake))),
    S_REQ("pagination", SC_OBJ, .of = S_LIST(S_REQ("limit", SC_INT), S_REQ("offset", SC_INT), S_REQ("has_more", SC_BOOL),
                                             S_NUL("next_cursor", SC_STR), S_REQ("total_count", SC_INT, .doc = COUNT_DOC))),
    STALE_ROWS,
    S_END,
};

const route_t routes_trades[] = {
    {M_GET, "/api/user/transactions", ACCESS_ANY, LIM_USER, ROUTE_OWN | ROUTE_RULE, 0, h_transactions, transactions_query, NULL, 200, transactions_answer,
     "A wallet's trades, newest first."},
    {M_GET, "/api/fast/transactions", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_fast_transactions, fast_query, NULL, 200, fast_answer,
     "A wallet's newest trades, with the server's own time."},
    {M_GET, "/api/bot/trades", ACCESS_WALLET, LIM_USER, 0, 0, h_bot_trades, trades_query, NULL, 200, trades_answer,
     "The trades of the caller's bot, newest first."},
    ROUTE_END,
};
