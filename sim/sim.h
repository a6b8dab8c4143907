/* The simulator's root: one market, one pool, one server, and the venues that speak for them.
 *
 * A venue is an endpoint_t row: path, what a new websocket gets, what a message does, what each turn sends. Everything
 * that leaves goes through out_text or out_rpc, which is where the faults act. */
#ifndef XORJ_SIM_SIM_H
#define XORJ_SIM_SIM_H

#include "reactor/arena.h"
#include "reactor/json.h"
#include "sim/market.h"
#include "sim/play.h"
#include "sim/pool.h"
#include "sim/server.h"
#include "sim/wallet.h"

typedef enum { SV_COINBASE, SV_GEMINI, SV_SOLANA, SV_COINGECKO, SV_JUPITER, SV_PYTH, SV_BITSTAMP, SV_BIRDEYE, SV_N } sv_t;
typedef enum { EP_COINBASE, EP_GEMINI, EP_GEMINI_V2, EP_SOLANA, EP_COINGECKO, EP_JUPITER, EP_PYTH, EP_EXCHANGE, EP_BITSTAMP, EP_BIRDEYE, EP_N } ep_t;
typedef enum { FAULT_DISCONNECT, FAULT_SILENCE, FAULT_GAP, FAULT_GARBAGE, FAULT_SLOW, FAULT_LIMIT, FAULT_LIE, FAULT_N } fault_t;

#define SIM_CLIENTS_MAX 64 /* websockets of one venue */
#define SIM_SCRATCH (8u << 20)

typedef struct sim sim_t;

/* First member of what every endpoint keeps for a connection. */
typedef struct {
    ep_t ep;
    int64_t opened_ms, beat_ms;
    uint64_t gap_seen, garbage_seen; /* faults of those kinds already acted out here */
    player_t player;
} client_t;

typedef struct {
    const char *path;
    sv_t venue;
    size_t client_size;
    void (*open)(sim_t *s, conn_t *c, span_t query);
    void (*text)(sim_t *s, conn_t *c, span_t text);
    void (*post)(sim_t *s, conn_t *c, const sreq_t *r); /* a plain request; NULL: websocket only */
    bool http_only;                                     /* no websocket here */
    void (*turn)(sim_t *s, conn_t *c);                  /* NULL: nothing by the clock */
    void (*book)(sim_t *s, conn_t *c, mbook_id_t id);   /* a book changed */
    void (*second)(sim_t *s, conn_t *c, mbook_id_t id); /* the book's changes of the last second stand in its chain */
    void (*slot)(sim_t *s, conn_t *c);                  /* a slot passed */
    void (*idle)(sim_t *s, conn_t *c);                  /* instead of turn once a played file has ended; may be NULL */
    const char *rest;                                   /* paths that begin so are answered by get; NULL: none */
    void (*get)(sim_t *s, conn_t *c, span_t rest);      /* rest: of the path, behind that */
} endpoint_t;

extern const endpoint_t endpoint_coinbase, endpoint_gemini, endpoint_gemini_v2, endpoint_solana, endpoint_coingecko,
    endpoint_jupiter, endpoint_pyth, endpoint_exchange, endpoint_bitstamp, endpoint_birdeye;
const endpoint_t *endpoint_of(ep_t ep);
const char *sv_name(sv_t v);

typedef struct {
    unsigned clients;
    uint64_t connects, messages, bytes, requests, requests_bad;
} sv_stats_t;

typedef struct {
    int64_t until_ms[SV_N][FAULT_N];
    uint64_t gap[SV_N], garbage[SV_N]; /* how many were asked for */
    uint64_t http_garbage_seen[SV_N];
    uint64_t count[SV_N][FAULT_N];
} faults_t;

#define CHAIN_DIRTY 1024
typedef struct {
    uint64_t before, last, sent_1s;
    uint64_t micro; /* of the last change, growing */
    mchange_t dirty[CHAIN_DIRTY];
    unsigned dirty_n;
} chain_t;

#define REST_CACHE_MS 1000
#define REST_BOOKS 2
typedef struct {
    buf_t body;
    int64_t at_ms;
} rest_t;

struct sim {
    srv_t *srv;
    market_t market;
    pool_t pool;
    sim_wallets_t wallets;
    faults_t faults;
    arena_pool_t *arenas;
    buf_t body, msg;    /* scratch of one message */
    play_t *play[EP_N]; /* NULL: the endpoint shows the market */
    sv_stats_t stats[SV_N];
    uint64_t seed;
    int64_t start_ms, now_ms, stepped_ms;
    int64_t wall_ns; /* of this turn */
    uint64_t slot, sub_id;
    chain_t chain[BOOK_N];
    uint64_t update_id; /* shared by all symbols of Gemini */
    int64_t second_ms;
    rest_t rest_cache[REST_BOOKS]; /* Bitstamp's books as its cache has them */
    uint16_t tls_port, ctl_port;
};

/* ---- out.c ---- */

typedef enum { OUT_REPLY, OUT_SNAPSHOT, OUT_UPDATE } out_kind_t;
void out_text(sim_t *s, conn_t *c, span_t text,
              out_kind_t kind); /* gap acts on updates, garbage on updates and snapshots */
void out_http(sim_t *s, conn_t *c, sv_t v, span_t body); /* the answer to a plain request */
void iso_ns(int64_t unix_ns, char out[40]); /* "2026-08-09T21:05:48.228568804Z" */
void iso_us(int64_t unix_ns, char out[40]); /* microseconds with trailing zeros cut */
void iso_us6(int64_t unix_ns, char out[40]); /* microseconds, all six */
/* A member of the open object. */
void key_text(jw_t *w, const char *key, const char *v);
void key_i64(jw_t *w, const char *key, int64_t v);

/* What a venue hands to with_json as ctx. */
typedef struct {
    sim_t *s;
    conn_t *c; /* NULL: a request that did not come over a websocket */
} call_t;
/* Parses into a fresh arena and hands it to fn; false when the text is not JSON. */
bool with_json(sim_t *s, span_t text, void (*fn)(void *ctx, const json_t *v), void *ctx);
/* fn for every websocket of an endpoint, or of every endpoint of the venue when ep is EP_N. */
void each_client(sim_t *s, ep_t ep, void (*fn)(sim_t *s, conn_t *c));

/* ---- fault.c ---- */

bool fault_on(const sim_t *s, sv_t v, fault_t f);
const char *fault_name(fault_t f);
bool fault_parse(span_t text, fault_t *out);
void fault_set(sim_t *s, sv_t v, fault_t f, int64_t ms);
void fault_clear(sim_t *s, sv_t v);
void fault_turn(sim_t *s); /* ends what is over */

/* ---- control.c ---- */

void control_request(sim_t *s, conn_t *c, const sreq_t *r);

#endif
