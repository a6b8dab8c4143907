/* Connectors and books as the running process sees them. A digest covers every level of a book, so it is made in
 * slices: the levels are copied first (the book may move on), then hashed a piece per turn. Few are made at once, since
 * each holds a copy of a book; a bounded number waits for its turn. */
#include "handlers/ctx.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/market.h"
#include "handlers/routes.h"

enum { DEPTH_MAX = 1000, DEPTH_DEFAULT = 20, DIGESTS_MAX = 2, WAITING_MAX = 64, SLICE_LEVELS = 2000, VIEW_MAX = 1 << 18 };

typedef struct book_job {
    struct book_job *next; /* in the queue */
    req_t *r;
    inst_t inst;
    size_t depth;
    bool usable;
    xerr_t why;
    int64_t age_ms;
    size_t n[2]; /* levels per side */
    level_t *lv; /* bids, then asks; with a digest all of them, else depth of each */
    size_t kept[2];
    size_t done; /* hashed so far */
    sha256_ctx_t *sha;
} book_job_t;

static void hash_slice(void *ctx);
static void digest_next(api_t *a);

/* ---- connectors --------------------------------------------------------------------------------------------------- */

static void h_connectors(req_t *r)
{
    api_t *a = api_of(r);
    buf_t list;
    out_t o;
    buf_init(&list, VIEW_MAX);
    a->views.connectors(a->views.ctx, &list);
    out_init(&o);
    jw_key(&o.w, "data");
    if (list.failed) jw_null(&o.w);
    else jw_raw(&o.w, buf_span(&list));
    put_bool(&o.w, "simulated", a->cfg->feeds_simulated);
    out_send(&o, r, 200);
    buf_fini(&list);
}

static void h_connector_health(req_t *r)
{
    api_t *a = api_of(r);
    buf_t one;
    buf_init(&one, VIEW_MAX);
    if (!a->views.connector(a->views.ctx, call_of(r)->arg[0], &one)) h_fail_why(r, XE_NOT_FOUND, "No connector has this name");
    else if (one.failed) h_fail(r, XE_INTERNAL);
    else req_reply(r, 200, "application/json", buf_span(&one));
    buf_fini(&one);
}

/* ---- books -------------------------------------------------------------------------------------------------------- */

static void put_level(jw_t *w, const level_t *lv)
{
    char px[DEC_TEXT_MAX], qty[DEC_TEXT_MAX];
    dec_text(lv->px.raw, px, sizeof px);
    dec_text(lv->qty.raw, qty, sizeof qty);
    jw_arr(w);
    jw_cstr(w, px);
    jw_cstr(w, qty);
    jw_end(w);
}

static void put_side(jw_t *w, const char *key, const level_t *lv, size_t n)
{
    jw_key(w, key);
    jw_arr(w);
    for (size_t i = 0; i < n; i++) put_level(w, &lv[i]);
    jw_end(w);
}

static void put_head(const api_t *a, jw_t *w, inst_t i, bool usable, xerr_t why, int64_t age_ms)
{
    const inst_conf_t *in = &eng_conf(a->eng)->insts[i];
    put_str(w, "venue", venue_name(in->venue));
    put_str(w, "market", in->market);
    put_bool(w, "usable", usable);
    put_str(w, "reason", usable ? NULL : market_reason(why));
    if (age_ms >= 0) put_i64(w, "age_ms", age_ms);
    else put_null(w, "age_ms");
    put_time(w, "ts", loop_wall_us(a->loop));
    put_bool(w, "simulated", a->cfg->feeds_simulated);
}

static void free_job(book_job_t *j)
{
    req_t *r = j->r;
    uint8_t unused[32];
    if (j->sha) sha256_end_free(j->sha, unused);
    free(j->lv);
    free(j);
    req_drop(r);
}

static void send_book(const book_job_t *j, const char *digest)
{
    const api_t *a = api_of(j->r);
    size_t bids = j->n[SIDE_BID] < j->depth ? j->n[SIDE_BID] : j->depth, asks = j->n[SIDE_ASK] < j->depth ? j->n[SIDE_ASK] : j->depth;
    out_t o;
    out_init(&o);
    put_head(a, &o.w, j->inst, j->usable, j->why, j->age_ms);
    put_i64(&o.w, "bid_levels", (int64_t)j->n[SIDE_BID]);
    put_i64(&o.w, "ask_levels", (int64_t)j->n[SIDE_ASK]);
    put_side(&o.w, "bids", j->lv, bids);
    put_side(&o.w, "asks", j->lv + j->kept[SIDE_BID], asks);
    if (digest) put_str(&o.w, "book_sha256", digest);
    out_send(&o, j->r, 200);
}

static bool copy_levels(book_job_t *j, const book_t *b, bool all)
{
    for (side_t s = SIDE_BID; s <= SIDE_ASK; s++) {
        j->n[s] = book_depth(b, s);
        j->kept[s] = all || j->n[s] < j->depth ? j->n[s] : j->depth;
    }
    j->lv = malloc((j->kept[0] + j->kept[1] + 1) * sizeof *j->lv);
    if (!j->lv) return false;
    for (size_t i = 0; i < j->kept[SIDE_BID]; i++) j->lv[i] = *book_level(b, SIDE_BID, i);
    for (size_t i = 0; i < j->kept[SIDE_ASK]; i++) j->lv[j->kept[SIDE_BID] + i] = *book_level(b, SIDE_ASK, i);
    return true;
}

static void add_level(sha256_ctx_t *sha, char side, const level_t *lv)
{
    char line[2 * DEC_TEXT_MAX + 8] = {side, ' '};
    size_t n = 2;
    n += dec_text(lv->px.raw, line + n, DEC_TEXT_MAX);
    line[n++] = ' ';
    n += dec_text(lv->qty.raw, line + n, DEC_TEXT_MAX);
    line[n++] = '\n';
    sha256_add(sha, line, n);
}

static void hash_slice(void *ctx)
{
    book_job_t *j = ctx;
    api_t *a = api_of(j->r);
    size_t all = j->kept[0] + j->kept[1], end = j->done + SLICE_LEVELS < all ? j->done + SLICE_LEVELS : all;
    uint8_t sum[32];
    char text[65];
    for (; j->done < end; j->done++) add_level(j->sha, j->done < j->kept[SIDE_BID] ? 'b' : 'a', &j->lv[j->done]);
    if (j->done < all && !req_answered(j->r)) {
        loop_later(a->loop, hash_slice, j);
        return;
    }
    sha256_end_free(j->sha, sum);
    j->sha = NULL;
    hex_encode(sum, sizeof sum, text);
    a->digests--;
    send_book(j, text);
    free_job(j);
    digest_next(a);
}

static void make_book(book_job_t *j, bool digest)
{
    api_t *a = api_of(j->r);
    j->usable = eng_usable(a->eng, j->inst, loop_now_ns(a->loop), &j->why);
    j->age_ms = eng_age_ms(a->eng, j->inst, loop_now_ns(a->loop));
    if (!copy_levels(j, eng_book(a->eng, j->inst), digest)) {
        h_fail(j->r, XE_FULL);
        free_job(j);
    } else if (digest) {
        j->sha = sha256_new();
        a->digests++;
        loop_later(a->loop, hash_slice, j);
    } else {
        send_book(j, NULL);
        free_job(j);
    }
}

static void digest_next(api_t *a)
{
    while (a->digest_head && a->digests < DIGESTS_MAX) {
        book_job_t *j = a->digest_head;
        a->digest_head = j->next;
        if (!j->next) a->digest_tail = NULL;
        a->digests_waiting--;
        if (req_answered(j->r)) free_job(j); /* its deadline passed meanwhile */
        else make_book(j, true);
    }
}

static void digest_wait(api_t *a, book_job_t *j)
{
    if (a->digest_tail) a->digest_tail->next = j;
    else a->digest_head = j;
    a->digest_tail = j;
    a->digests_waiting++;
}

static void start_book(req_t *r, inst_t i, size_t depth, bool digest)
{
    api_t *a = api_of(r);
    book_job_t *j = digest && a->digests_waiting >= WAITING_MAX ? NULL : calloc(1, sizeof *j);
    if (!j) {
        h_fail_why(r, XE_FULL, "Too many digests are being made, try again");
        return;
    }
    j->r = req_hold(r);
    j->inst = i;
    j->depth = depth;
    if (!digest) {
        make_book(j, false);
        return;
    }
    digest_wait(a, j);
    digest_next(a);
}

static void u128_text(u128_t v, char out[40])
{
    char rev[40];
    size_t n = 0, i = 0;
    do rev[n++] = (char)('0' + (int)(v % 10)); while ((v /= 10) != 0);
    while (n) out[i++] = rev[--n];
    out[i] = '\0';
}

static void send_pool(req_t *r, inst_t i)
{
    const api_t *a = api_of(r);
    uint64_t slot = 0;
    xerr_t why = XE_OK;
    bool usable = eng_usable(a->eng, i, loop_now_ns(a->loop), &why);
    const whirl_pool_t *p = eng_pool(a->eng, i, &slot);
    char text[40];
    out_t o;
    out_init(&o);
    put_head(a, &o.w, i, usable, why, eng_age_ms(a->eng, i, loop_now_ns(a->loop)));
    jw_key(&o.w, "pool");
    if (p) {
        jw_obj(&o.w);
        put_i64(&o.w, "slot", (int64_t)slot);
        u128_text(p->sqrt_price, text);
        put_str(&o.w, "sqrt_price_x64", text);
        u128_text(p->liquidity, text);
        put_str(&o.w, "liquidity", text);
        put_i64(&o.w, "tick", p->tick);
        put_i64(&o.w, "tick_spacing", p->tick_spacing);
        put_i64(&o.w, "fee_rate_e6", p->fee_rate);
        jw_end(&o.w);
    } else {
        jw_null(&o.w);
    }
    out_send(&o, r, 200);
}

static void h_book(req_t *r)
{
    api_t *a = api_of(r);
    const call_t *c = call_of(r);
    size_t depth = (size_t)arg_i64(r, "depth", DEPTH_DEFAULT);
    bool digest = arg_i64(r, "digest", 0) == 1;
    inst_t i = market_find(a, c->arg[0], c->arg[1]);
    const book_t *b = i >= 0 ? eng_book(a->eng, i) : NULL;
    if (i < 0) h_fail_why(r, XE_NOT_FOUND, "No book has this venue and market");
    else if (b) start_book(r, i, depth, digest);
    else send_pool(r, i);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

#define BOOK_HEAD                                                                                                          \
    S_REQ("venue", SC_STR), S_REQ("market", SC_STR), S_REQ("usable", SC_BOOL), S_NUL("reason", SC_STR), S_NUL("age_ms", SC_INT), \
        S_REQ("ts", SC_TIME), S_REQ("simulated", SC_BOOL)
#define SIDE(name) S_REQ(name, SC_ARR, .of = level, .doc = "Price and size, best first.")

static const schema_t level[] = {S_REQ("level", SC_ARR, .min = 2, .max = 2, .of = S_LIST(S_REQ("text", SC_DECIMAL))), S_END};

static const schema_t book_query[] = {
    S_OPT("depth", SC_INT, .min = 1, .max = DEPTH_MAX, .doc = "Levels of each side; 20 when absent."),
    S_OPT("digest", SC_INT, .max = 1, .doc = "1: also book_sha256, over all levels."),
    S_END,
};

static const schema_t list_answer[] = {
    S_NUL("data", SC_ARR, .of = S_LIST(S_REQ("connector", SC_OBJ, .of = connector_members))), S_REQ("simulated", SC_BOOL), S_END,
};

static const schema_t book_members[] = {
    BOOK_HEAD, S_REQ("bid_levels", SC_INT), S_REQ("ask_levels", SC_INT), SIDE("bids"), SIDE("asks"),
    S_OPT("book_sha256", SC_STR, .pattern = "^[0-9a-f]{64}$", .doc = "Of all levels; when asked for."), S_END,
};

static const schema_t pool_members[] = {
    S_REQ("slot", SC_INT), S_REQ("sqrt_price_x64", SC_DECIMAL), S_REQ("liquidity", SC_DECIMAL), S_REQ("tick", SC_INT), S_REQ("tick_spacing", SC_INT),
    S_REQ("fee_rate_e6", SC_INT), S_END,
};

static const schema_t pool_answer[] = {BOOK_HEAD, S_NUL("pool", SC_OBJ, .of = pool_members), S_END};

static const schema_t book_answer[] = {
    S_REQ("", SC_ONE, .of = S_LIST(S_REQ("Book", SC_OBJ, .of = book_members), S_REQ("Pool", SC_OBJ, .of = pool_answer))),
    S_END,
};

const route_t routes_market[] = {
    {M_GET, "/api/v1/connectors", ACCESS_VIEWER, LIM_STATUS, 0, 0, h_connectors, NULL, NULL, 200, list_answer, "Links to venues and their health."},
    {M_GET, "/api/v1/connectors/{venue}/health", ACCESS_VIEWER, LIM_STATUS, ROUTE_FINDS, 0, h_connector_health, NULL, NULL, 200, connector_members,
     "Health of one link."},
    {M_GET, "/api/v1/books/{venue}/{market}", ACCESS_VIEWER, LIM_OPP, ROUTE_FINDS, 0, h_book, book_query, NULL, 200, book_answer,
     "The order book, or the state of the pool, behind one market."},
    ROUTE_END,
};
