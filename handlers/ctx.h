/* What the files of handlers/ share: the face's state, the route row, and the call that hangs on each request. */
#ifndef XORJ_HANDLERS_CTX_H
#define XORJ_HANDLERS_CTX_H

#include "handlers/answer.h"
#include "handlers/api.h"
#include "handlers/jwt.h"
#include "handlers/limits.h"
#include "handlers/query.h"
#include "handlers/siws.h"
#include "handlers/tcache.h"
#include "handlers/tickets.h"

/* Who may call. WALLET: a signed-in wallet only. ANY: wallet or viewer and up. OPTIONAL: anybody, more for viewers.
 * LOCAL: viewer and up, or without a token from a loopback address. METRICS: the address list server.metrics_allow. */
typedef enum {
    ACCESS_PUBLIC, ACCESS_OPTIONAL, ACCESS_LOCAL, ACCESS_METRICS, ACCESS_WALLET, ACCESS_ANY,
    ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN
} access_t;

enum {
    ROUTE_OWN = 1,    /* has a walletAddress parameter: another wallet's is 403 for wallets */
    ROUTE_TICKET = 2, /* a one-time ticket in the query is as good as a token */
    ROUTE_EMPTY = 4   /* the body may hold nothing: none, blanks or {} */
};

#define ROUTE_ARGS_MAX 2
#define ROUTE_BODY 65536 /* no route takes more, whatever http.body_max allows */

typedef struct {
    method_t method;
    const char *path; /* segments in braces match one non-empty segment */
    access_t access;
    lim_class_t limit;
    unsigned flags;
    size_t body_max;
    void (*run)(req_t *r);
    const char *const *query; /* parameters it knows */
} route_t;

typedef struct {
    api_t *api;
    const route_t *route; /* NULL: none matched */
    bool counted;         /* in the in-flight gauge */
    bool known;           /* who is set */
    principal_t who;
    span_t arg[ROUTE_ARGS_MAX];
    query_t query;
    xerr_t query_err;
} call_t;

typedef struct stream stream_t;
typedef struct stats stats_t;

struct api {
    loop_t *loop;
    metrics_t *metrics;
    const cfg_t *cfg;
    store_t *store;
    const engine_t *eng;
    door_t door;
    api_views_t views;
    uint64_t sip[2]; /* keys of tables that strangers fill */
    int64_t started_ns;
    jwt_keys_t keys;
    siws_issuer_t issuer;
    tcache_t *tokens;
    limits_t *limits;
    tickets_t *tickets;
    stream_t *stream;
    stats_t *stats;
    unsigned digests; /* book digests being made */
    struct book_job *digest_head, *digest_tail; /* and those waiting for their turn */
    unsigned digests_waiting;
    struct { ctr_t *header, *token, *session, *role; ctr_t *limited[LIM_N]; ctr_t *invalid_json, *invalid_schema, *invalid_type, *invalid_query; } n;
    gauge_t *in_flight, *limit_entries, *limit_evicted;
};

static inline call_t *call_of(const req_t *r) { return req_user(r); }
static inline api_t *api_of(const req_t *r) { return call_of(r)->api; }
static inline bool is_wallet(const req_t *r) { return call_of(r)->known && call_of(r)->who.c.role == ROLE_WALLET; }
static inline bool is_desk(const req_t *r) { return call_of(r)->known && call_of(r)->who.c.role >= ROLE_VIEWER; }
static inline bool arg_of(const req_t *r, const char *name, span_t *out) { return query_get(&call_of(r)->query, name, out); }
static inline int64_t now_s(const api_t *a) { return loop_wall_us(a->loop) / 1000000; }

/* The wallet a read is about: the parameter, else the caller's own. False: answered (400). */
bool wallet_param(req_t *r, span_t *out);
/* The body as a JSON object; only the names in keys (NULL-terminated) may occur. NULL: answered (400). An absent or
 * blank body gives an empty object when the route is ROUTE_EMPTY. */
const json_t *body_object(req_t *r, const char *const *keys);
who_t who_of(const req_t *r); /* for audit rows; borrowed from the request */

/* In the order of the table in routes.c. */
void h_health(req_t *r);
void h_ready(req_t *r);
void h_system_status(req_t *r);
void h_database_health(req_t *r);
void h_ping(req_t *r);
void h_version(req_t *r);
void h_metrics(req_t *r);
void h_challenge(req_t *r);
void h_authenticate(req_t *r);
void h_bot_status(req_t *r);
void h_bot_enable(req_t *r);
void h_bot_disable(req_t *r);
void h_user_performance(req_t *r);
void h_desk_status(req_t *r);
void h_opps_list(req_t *r);
void h_opps_one(req_t *r);
void h_connectors(req_t *r);
void h_connector_health(req_t *r);
void h_book(req_t *r);
void h_ws(req_t *r);
void h_ws_ticket(req_t *r);

#endif
