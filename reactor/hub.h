/* Websocket subscribers (RFC 6455) on the HTTP port, and the fan-out to them.
 *
 * Bytes and topics only: a publication is framed once into one outgoing ring; each subscriber holds a cursor and a
 * filter. hub_flush moves cursors in slices. An event-topic subscriber the ring or its own bound would lap is closed
 * with 4008; on conflating topics it keeps the newest value per key. Protocol errors are closed as RFC 6455 asks. */
#ifndef XORJ_REACTOR_HUB_H
#define XORJ_REACTOR_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/http.h"

typedef struct hub hub_t;
typedef struct ws ws_t;

typedef struct {
    size_t ring_bytes;       /* outgoing ring, all topics */
    size_t sub_bytes_max;    /* unsent bytes of one subscriber, 256 KiB */
    unsigned sub_events_max; /* unsent events of one subscriber, 1,024 */
    size_t msg_max;          /* 16 KiB */
    unsigned frags_max;      /* 64 */
    unsigned ping_ms;        /* heartbeat, 30 s */
    unsigned dead_ms;        /* unanswered ping closes, 60 s */
    unsigned slice;          /* subscribers served per turn, 128 */
    unsigned subs_max;
} hub_conf_t;

#define HUB_TOPICS_MAX 16

typedef struct {
    void (*on_open)(void *ctx, ws_t *ws);
    void (*on_text)(void *ctx, ws_t *ws, span_t text);    /* whole message, UTF-8 checked; borrowed */
    void (*on_close)(void *ctx, ws_t *ws, unsigned code); /* last call for this ws */
    void *ctx;
} hub_hooks_t;

hub_t *hub_open(loop_t *l, metrics_t *m, const hub_conf_t *c, hub_hooks_t h);
void hub_close(hub_t *h, unsigned code); /* closes every subscriber (1001 at shutdown) */
bool hub_idle(const hub_t *h);
void hub_free(hub_t *h);
unsigned hub_subscribers(const hub_t *h);

/* Takes over the connection of an upgrade request that passed the gate. Checks the handshake itself and has answered
 * when it fails: XE_BAD_INPUT (400, 426), XE_FULL (503: no place, shutting down), XE_CLOSED (the client has gone).
 * user is handed back by ws_user. on_open follows from the loop, before any on_text. */
xerr_t hub_upgrade(hub_t *h, req_t *r, void *user);

void *ws_user(const ws_t *ws);
void ws_send(ws_t *ws, span_t json);                        /* directly to one subscriber, counts to its bound */
void ws_close(ws_t *ws, unsigned code, const char *reason); /* on_close follows from the loop */

/* Topics are made at boot. conflate: state channel, newest value per key. */
int hub_topic(hub_t *h, const char *name, bool conflate);

typedef struct {
    uint64_t key;      /* publications for this key, and those for everybody; 0: only those for everybody */
    int32_t pair;      /* only this pair; -1: all */
    int32_t venue;     /* only publications that touch this venue; -1: all */
    int64_t min_value; /* only publications with value >= this (net bps in hundredths); INT64_MIN: all */
} hub_filter_t;

typedef struct {
    uint64_t key;             /* who it is for (a wallet's hash), 0: everybody */
    int32_t pair;             /* -1: none */
    int32_t venue_a, venue_b; /* -1: none */
    int64_t value;
} hub_attr_t;

void hub_join(hub_t *h, ws_t *ws, int topic, const hub_filter_t *f);
void hub_leave(hub_t *h, ws_t *ws, int topic);
/* Frames {"channel":..,"seq":N,"ts":"..","type":type,"data":data} once. Returns the topic's seq. A publication whose
 * key is not 0 reaches only subscribers that joined with that very key. */
uint64_t hub_publish(hub_t *h, int topic, const hub_attr_t *a, const char *type, span_t data_json);
uint64_t hub_seq(const hub_t *h, int topic);
void hub_flush(hub_t *h); /* end of the turn */

#endif
