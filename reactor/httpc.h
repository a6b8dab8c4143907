/* HTTP/1.1 client on the loop, for RPC and price APIs: TLS by OpenSSL with chain and host name verification (never
 * switched off), asynchronous DNS, keep-alive per host, bounded bodies, one deadline per call. */
#ifndef XORJ_REACTOR_HTTPC_H
#define XORJ_REACTOR_HTTPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct httpc httpc_t;

typedef struct {
    const char *ca_file; /* extra authority (the simulator's test authority), NULL: the system's only */
    size_t body_max;
    unsigned conns_per_host, queue_max;
    const char *nameserver; /* "127.0.0.1:5353" in place of the system's, NULL: the system's */
} httpc_conf_t;

httpc_t *httpc_new(loop_t *l, metrics_t *m, const httpc_conf_t *c);
void httpc_free(httpc_t *c); /* pending calls end with XE_CLOSED first */

/* Fires exactly once, from the loop, never before httpc_call returned. err is XE_OK for any complete answer, whatever
 * its status; XE_TIMEOUT, XE_DOWN (connect, TLS, DNS), XE_TOO_BIG, XE_BAD_INPUT (broken answer), XE_CLOSED. body is
 * borrowed until it returns. retry_after_s: from the header, 0 when absent. */
typedef void (*httpc_cb)(void *ctx, xerr_t err, int status, span_t body, int retry_after_s);

typedef struct {
    const char *method;       /* "GET", "POST" */
    const char *url;          /* http:// or https:// */
    const char *content_type; /* NULL when there is no body */
    span_t body;              /* copied */
    const char *header;       /* one more "Name: value", or NULL; may be secret: never logged */
    unsigned timeout_ms;      /* from the call to its end, waiting included */
    size_t body_max;          /* ceiling of this answer's body; 0: that of the client */
    bool repeatable;          /* sending it twice does no harm: it is sent once more when a kept connection turns out
                                 to be closed. GET and HEAD always are. */
} httpc_req_t;

void httpc_call(httpc_t *c, const httpc_req_t *q, httpc_cb cb, void *ctx);

#endif
