/* The simulator's listener: HTTP/1.1 requests and RFC 6455 websockets, over TLS or plain, on its own libevent base.
 *
 * It is not the product's server on purpose: tests want a second opinion on the wire, and the faults need a say over
 * every byte (pongs withheld, frames trickled, connections reset). Bounded in connections, request size, client message
 * size and unsent bytes. A conn_t lives until on_close returns; it is never freed inside a call that was given it. */
#ifndef XORJ_SIM_SERVER_H
#define XORJ_SIM_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define SRV_CONNS_MAX 256
#define SRV_HEAD_MAX 8192
#define SRV_BODY_MAX 262144        /* request body, and one client message */
#define SRV_UNSENT_MAX (32u << 20) /* unsent bytes of one connection; beyond: reset */
#define SRV_FRAGMENT 65536         /* larger messages leave as fragments of this size */

typedef struct srv srv_t;
typedef struct conn conn_t;

typedef struct {
    span_t method, path, query, type; /* borrowed; query without '?' */
    span_t body;
    bool upgrade; /* a websocket handshake: answer with conn_upgrade or conn_reply */
} sreq_t;

typedef struct {
    void (*on_request)(void *ctx, conn_t *c, const sreq_t *r); /* may leave it unanswered */
    void (*on_text)(void *ctx, conn_t *c, span_t text);
    void (*on_drain)(void *ctx, conn_t *c);     /* little is left unsent */
    void (*on_close)(void *ctx, conn_t *c);     /* last call for c, only after conn_upgrade */
    bool (*muted)(void *ctx, conn_t *c);        /* sends nothing, not even pongs */
    size_t (*trickle)(void *ctx, conn_t *c);    /* bytes it may send per turn; 0: no limit */
    void (*on_turn)(void *ctx, int64_t now_ms); /* every SRV_TURN_MS */
    void *ctx;
} srv_hooks_t;

#define SRV_TURN_MS 20
#define SRV_PING_MS 20000

srv_t *srv_new(srv_hooks_t hooks);
void srv_free(srv_t *s); /* resets every connection */
/* Listens on 127.0.0.1; tls NULL: plain. *port 0 takes a free one and is set. */
xerr_t srv_listen(srv_t *s, SSL_CTX *tls, uint16_t *port);
int srv_run(srv_t *s); /* until SIGTERM or SIGINT: the signal's number */
uint64_t srv_refused(const srv_t *s); /* connections over the limit */
uint64_t srv_overrun(const srv_t *s); /* connections reset because they did not read */

bool conn_plain(const conn_t *c);
void conn_set(conn_t *c, int tag, void *user); /* tag: the caller's number for it, -1 at first */
int conn_tag(const conn_t *c);
void *conn_user(const conn_t *c);
bool conn_is_ws(const conn_t *c);
bool conn_owes(const conn_t *c); /* a request of it was left unanswered */
size_t conn_unsent(const conn_t *c);

void conn_reply(conn_t *c, int status, const char *type, span_t body);
void conn_upgrade(conn_t *c);
void conn_text(conn_t *c, span_t text);    /* one message */
void conn_close(conn_t *c, unsigned code); /* closing handshake, then the end */
void conn_reset(conn_t *c);                /* TCP reset, no farewell */
/* Every open connection in turn; fn may reset or close. */
void srv_each(srv_t *s, void (*fn)(void *ctx, conn_t *c), void *ctx);

#endif
