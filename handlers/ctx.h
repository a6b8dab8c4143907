/* What the files of handlers/ share: the face's state, the route row, and the call that hangs on each request. */
#ifndef XORJ_HANDLERS_CTX_H
#define XORJ_HANDLERS_CTX_H

#include "base/password.h"
#include "handlers/answer.h"
#include "handlers/api.h"
#include "handlers/jwt.h"
#include "handlers/limits.h"
#include "handlers/query.h"
#include "handlers/schema.h"
#include "handlers/siws.h"
#include "handlers/tcache.h"
#include "handlers/tickets.h"

/* Who may call. WALLET: a signed-in wallet only. CONTROL: wallet or operator and up. ANY: wallet or viewer and up. OPTIONAL: anybody, more for viewers.
 * LOCAL: viewer and up, or without a token from a loopback address. METRICS: the address list server.metrics_allow. */
typedef enum {
    ACCESS_PUBLIC, ACCESS_OPTIONAL, ACCESS_LOCAL, ACCESS_METRICS, ACCESS_WALLET, ACCESS_ANY, ACCESS_CONTROL,
    ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN
} access_t;

enum {
    ROUTE_OWN = 1,     /* has a walletAddress parameter: another wallet's is 403 for wallets */
    ROUTE_TICKET = 2,  /* a one-time ticket in the query is as good as a token */
    ROUTE_EMPTY = 4,   /* an absent or blank body is as good as {} */
    ROUTE_ETAG = 8,    /* the answer carries an ETag */
    ROUTE_MATCH = 16,  /* takes If-Match: 412 */
    ROUTE_FINDS = 32,  /* what is named may be missing: 404 */
    ROUTE_CLASH = 64,  /* may be refused by the state of things: 409 */
    ROUTE_RULE = 128,  /* may be refused by a rule that no shape says: 422 */
    ROUTE_KEY = 256,   /* takes Idempotency-Key: 409 while the first is under way, 422 with another body */
    ROUTE_OPEN_STATE = 512, /* a 503 has the answer's own shape: it is the answer */
    ROUTE_TEXT = 1024,      /* the answer is plain text */
    ROUTE_REFUSES = 2048,   /* answers 401 though anybody may call it: what is sent proves who sends it */
    ROUTE_UPGRADE = 4096,   /* becomes a socket */
    ROUTE_FORBIDS = 8192,   /* may answer 403 though the row itself lets everybody in */
    ROUTE_LOGIN = 16384,    /* not with an API key: 403 */
    ROUTE_LIMITED = 32768,  /* also for who must change his password first */
    ROUTE_SECRET = 65536    /* the answer holds a secret: it is not kept under a key, a repeat makes it again from the name */
};

#define ROUTE_ARGS_MAX 2
#define ROUTE_BODY 65536 /* no route takes more, whatever http.body_max allows */

/* One row says all there is to say about a route: routing, gates, judgement of what was sent, and /api/openapi.json. Each
 * resource file ends with its rows (`const route_t routes_bot[]`, ended by a path that is NULL); handlers/routes.h lists them. */
typedef struct {
    method_t method;
    const char *path; /* segments in braces match one non-empty segment; their shapes: route_segment in routes.c */
    access_t access;
    lim_class_t limit;
    unsigned flags;
    size_t body_max;        /* ROUTE_BODY for all that are not GET */
    void (*run)(req_t *r);
    const schema_t *query;  /* parameters it knows; NULL: none */
    const schema_t *body;   /* NULL: no body is taken (other than GET: an absent or blank one, or {}) */
    int status;             /* of the ordinary answer */
    const schema_t *answer; /* its shape; NULL: no JSON */
    const char *doc;        /* one plain sentence */
} route_t;
#define ROUTE_END {.path = NULL}

typedef struct {
    api_t *api;
    const route_t *route; /* NULL: none matched */
    bool counted;         /* in the in-flight gauge */
    bool known;           /* who is set */
    bool cookie;          /* by the session cookie */
    const char *deny;     /* why guard_admit said XE_DENIED; NULL: the ordinary text */
    bool limited;         /* must change his password before anything else */
    principal_t who;
    span_t arg[ROUTE_ARGS_MAX];
    query_t query;
    xerr_t query_err;
    const json_t *body; /* judged; NULL: the route takes none */
    int64_t started_ns; /* of a fast route */
    char etag[48];      /* of the coming answer; "" none */
    uint64_t idem;      /* 0: no Idempotency-Key, or it has been seen to */
    char idem_name[37]; /* of the change that key stands for */
} call_t;

typedef struct stream stream_t;
typedef struct stats stats_t;
typedef struct openapi openapi_t;
typedef struct idems idems_t;
typedef struct holds holds_t;

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
    worker_t *worker; /* hashes passwords; NULL before it is there and when it is going */
    unsigned hashing;      /* requests that hash or wait for it */
    char dummy_hash[PASSWORD_HASH_MAX];
    stream_t *stream;
    stats_t *stats;
    openapi_t *openapi;
    idems_t *idems;
    holds_t *holds;
    unsigned digests; /* book digests being made */
    struct book_job *digest_head, *digest_tail; /* and those waiting for their turn */
    unsigned digests_waiting;
    struct { ctr_t *header, *token, *session, *role; ctr_t *limited[LIM_N]; ctr_t *invalid_json, *invalid_schema, *invalid_type, *invalid_query;
        ctr_t *login_ok, *login_failed, *login_throttled, *hash_full, *refresh_reused; } n;
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
/* The body, already judged by the route's body schema; an empty object when it was absent and the route is ROUTE_EMPTY. Never
 * NULL for a route with a body schema. The readers below give false for a member that is absent or null. */
const json_t *body_of(const req_t *r);
bool body_str(const req_t *r, const char *name, span_t *out);
bool body_i64(const req_t *r, const char *name, int64_t *out);
bool body_bool(const req_t *r, const char *name, bool *out);
bool body_num(const req_t *r, const char *name, span_t *out); /* as written */
int64_t arg_i64(const req_t *r, const char *name, int64_t absent); /* a judged SC_INT parameter */
who_t who_of(const req_t *r); /* for audit rows; borrowed from the request */

#endif
