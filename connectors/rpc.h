/* Solana JSON-RPC over a short list of endpoints. An endpoint that fails (transport, 429 and other statuses, an RPC
 * error, nonsense) rests: Retry-After when it names one, else a doubling back-off; meanwhile the next one is asked. Its
 * URL may carry a key and is never logged. */
#ifndef XORJ_CONNECTORS_RPC_H
#define XORJ_CONNECTORS_RPC_H

#include "reactor/httpc.h"

typedef struct rpc rpc_t;

rpc_t *rpc_new(loop_t *l, httpc_t *http, const char *const *urls, unsigned n); /* at most 4; empty ones are left out */
void rpc_free(rpc_t *r); /* no call may be pending, save the one whose callback does this */
unsigned rpc_endpoints(const rpc_t *r);

/* Exactly once, from the loop. result: JSON text of the member "result", checked, borrowed. XE_DOWN: every endpoint
 * rests or the asked one failed. XE_BAD_INPUT: the answer was no JSON-RPC answer. XE_DENIED: an RPC error. */
typedef void (*rpc_cb)(void *ctx, xerr_t err, span_t result);
void rpc_call(rpc_t *r, const char *method, span_t params, unsigned timeout_ms, rpc_cb cb, void *ctx);
/* Milliseconds until an endpoint may be asked; 0 now. */
int64_t rpc_rest_ms(const rpc_t *r);

#endif
