/* Solana JSON-RPC over a short list of endpoints, in order of preference, shared by everything that reads the chain.
 *
 * Each endpoint has a health score (successes, failures, how far its slot lags), a budget of calls per second, and rests
 * after a failure: Retry-After when it names one, else a doubling back-off, long after 429 and 403. A call that fails at
 * one endpoint is tried at the next within the same deadline. The first endpoint in good health is asked, so traffic
 * returns to the primary by itself. An endpoint's URL may carry a key and is never logged. */
#ifndef XORJ_CONNECTORS_RPC_H
#define XORJ_CONNECTORS_RPC_H

#include "reactor/httpc.h"
#include "reactor/journal.h"
#include "reactor/metrics.h"

typedef struct rpc rpc_t;

#define RPC_ENDPOINTS_MAX 4

typedef struct {
    const char *const *urls; /* copied; an entry may hold several, comma-separated; empty and repeated ones are left out */
    unsigned urls_n;
    unsigned per_s;          /* calls per second and endpoint, twice as many at once; 0: no bound */
    journal_t *journal;      /* questions and answers are recorded here; NULL: not */
} rpc_conf_t;

rpc_t *rpc_new(loop_t *l, metrics_t *m, httpc_t *http, const rpc_conf_t *c); /* without an endpoint every call is XE_DOWN */
/* After httpc_free, or when no call is pending. */
void rpc_free(rpc_t *r);
unsigned rpc_endpoints(const rpc_t *r);

typedef struct {
    const char *method;
    span_t params;       /* JSON; copied */
    unsigned timeout_ms; /* of the whole call, all endpoints together */
    size_t body_max;     /* ceiling of the answer; 0: the HTTP client's */
    bool spare;          /* may use half of a budget only, so that the desk's own reads find room */
    xerr_t (*check)(void *ctx, span_t result); /* with rpc_cb's ctx: an endpoint whose result is refused here has answered
                                                  nonsense, and the next one is asked; NULL: no such judgement */
} rpc_req_t;

/* Exactly once, from the loop. result: JSON text of the member "result", checked, borrowed. XE_DOWN: every endpoint
 * rests or failed. XE_FULL: every budget is used up. XE_BAD_INPUT: no JSON-RPC answer. XE_DENIED: an RPC error, or the
 * last endpoint would not have us. XE_TOO_BIG: the answer is past its ceiling. XE_TIMEOUT, XE_CLOSED. */
typedef void (*rpc_cb)(void *ctx, xerr_t err, span_t result);
void rpc_call(rpc_t *r, const rpc_req_t *q, rpc_cb cb, void *ctx);
/* Milliseconds until an endpoint may be asked; 0 now. */
int64_t rpc_rest_ms(const rpc_t *r);

/* The member "context"."slot" and the value of an answer that has them. XE_BAD_INPUT: it has not. */
xerr_t rpc_context(span_t result, uint64_t *slot, span_t *value);

typedef struct { unsigned score; int64_t rest_ms, latency_ms; uint64_t ok, failed, slot; } rpc_health_t; /* score 0..100 */
unsigned rpc_health(const rpc_t *r, rpc_health_t out[RPC_ENDPOINTS_MAX]);

#endif
