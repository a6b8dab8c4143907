/* The HTTP/1.1 server: own listener and strict parser on the loop, in-order pipelining, deadlines, bounded everything.
 * It also takes RFC 6455 upgrades on the same port (reactor/hub.h).
 *
 * The application gives two hooks. on_head runs once the head is accepted and before a body is read: it may answer at
 * once (404, 405) or name a smaller body ceiling. on_request runs with the whole body. Both may answer now or later.
 * Spans of a request (path, fields, body) stay good as long as it is held. on_done runs once for each request whose
 * head was accepted, also when it was refused before on_head (too large, shutting down: req_user is NULL then).
 * A req_t lives until it is answered and the last hold is dropped, also when its client has gone: then answering is a
 * quiet no-op that is still logged and counted. Errors the server itself makes have the one error shape. */
#ifndef XORJ_REACTOR_HTTP_H
#define XORJ_REACTOR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "reactor/arena.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct http http_t;
typedef struct req req_t;

typedef struct {
    const char *listen_addr; /* numeric address */
    uint16_t port;           /* 0: a free one, see http_port */
    unsigned head_ms, body_ms, idle_ms, write_ms, drain_ms;
    size_t line_max, head_max, lines_max, target_max, body_max;
    unsigned conns_max, conns_per_addr, pipeline_max, fd_reserve;
    const char
        *trusted_proxies; /* comma-separated addresses or CIDR; their connections are exempt from conns_per_addr */
} http_conf_t;

typedef struct {
    void (*on_head)(void *ctx, req_t *r); /* may be NULL */
    void (*on_request)(void *ctx, req_t *r);
    void (*on_done)(void *ctx, req_t *r, int status, int64_t ns); /* after the answer is queued: access log, metrics */
    void *ctx;
} http_hooks_t;

/* XE_DOWN with *why set when the address cannot be bound. */
xerr_t http_open(loop_t *l, metrics_t *m, const http_conf_t *c, http_hooks_t h, http_t **out, const char **why);
uint16_t http_port(const http_t *h);
void http_flush(http_t *h);      /* end of the turn: write what was answered in it */
void http_drain(http_t *h);      /* stop accepting; requests already read are finished; later ones get 503 and close */
bool http_idle(const http_t *h); /* nothing in flight */
void http_close(http_t *h);      /* closes all at once; memory goes through loop_defer */

typedef enum { M_GET = 1, M_HEAD = 2, M_POST = 4, M_PUT = 8, M_DELETE = 16, M_OPTIONS = 32, M_PATCH = 64,
               M_TRACE = 128, M_QUERY = 256 } method_t;

method_t req_method(const req_t *r);
span_t req_path(const req_t *r);  /* without the query, byte for byte as received */
span_t req_query(const req_t *r); /* after '?', as received; empty when absent */
span_t req_body(const req_t *r);
/* Value of a field by lower-case name; false when absent. Repeated fields give the first. */
bool req_header(const req_t *r, const char *name, span_t *out);
unsigned req_header_count(const req_t *r, const char *name); /* lines of that lower-case name */
/* Percent-decoded value of a query parameter in the request's arena. XE_NOT_FOUND absent, XE_BAD_INPUT bad escape or twice. */
xerr_t req_param(req_t *r, const char *name, span_t *out);
const char *req_id(const req_t *r);          /* X-Request-ID when it was 1..64 of [A-Za-z0-9._-], else a fresh UUID */
const char *req_client_addr(const req_t *r); /* numeric text, trusted proxies resolved */
arena_t *req_arena(req_t *r);
void *req_alloc(req_t *r,
                size_t n);      /* never NULL: past the ceiling a scratch chunk is given and the answer becomes 503 */
void *req_user(const req_t *r); /* one slot for handlers (e.g. principal and route) */
void req_set_user(req_t *r, void *p);
void req_limit_body(req_t *r, size_t max); /* in on_head only */
/* Answers by itself (504 TIMEOUT for GET/HEAD, else 503 STORAGE_UNAVAILABLE) when nothing was answered by then. Called once, by routes. */
void req_set_deadline(req_t *r, int64_t ms);

req_t *req_hold(req_t *r); /* returns r */
void req_drop(req_t *r);
bool req_answered(const req_t *r);

/* Extra header of the coming answer, "Name: value" parts; copied. Before req_reply. */
void req_add_header(req_t *r, const char *name, const char *value);
/* The answer. body is copied unless it is empty. First call wins, later ones are no-ops. */
void req_reply(req_t *r, int status, const char *content_type, span_t body);
/* Body in up to four parts, copied straight into the connection's output (for cached answers with a spliced id). */
void req_reply_parts(req_t *r, int status, const char *content_type, const span_t *parts, size_t n);
/* The one error shape. details_json may be NULL. retry_after_s > 0 adds Retry-After (with +-20 % jitter where 503). */
void req_error(req_t *r, int status, const char *code, const char *message, const char *details_json,
               int retry_after_s);
void req_close_after(req_t *r); /* this connection ends after the answer */

#endif
