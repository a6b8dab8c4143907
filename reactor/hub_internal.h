/* Shared by hub.c (topics, ring, slices) and hub_sub.c (one subscriber: its queue, its socket, its close).
 *
 * A frame is built once and counted: the ring holds it until every subscriber's cursor is past it, a subscriber that
 * cannot take it yet holds it in its own bounded queue. Subscribers are kept in a list ordered by cursor, the one
 * furthest behind first, so a slice of a fan-out is simply the front of that list. */
#ifndef XORJ_REACTOR_HUB_INTERNAL_H
#define XORJ_REACTOR_HUB_INTERNAL_H

#include "reactor/http_internal.h"
#include "reactor/hub.h"
#include "reactor/ws_frame.h"

#define RING_FRAMES 8192 /* a power of two */
#define KEY_BUCKETS 4096
#define QUEUE_INLINE 4
#define PONGS_MAX 64 /* unsent answers to pings; beyond, the newest replaces the last */
#define CONTROL_BURST 2048 /* pings and pongs taken at once */
#define CONTROL_STEP_NS 5000000 /* one more in this time; beyond: close 4029 */
#define CLOSE_CODES 15

typedef struct {
    unsigned refs;
    uint32_t n;
    uint64_t number; /* in the ring; 0: never was there */
    int topic;       /* -1: control frame or direct message */
    bool pong;
    hub_attr_t a;
    char data[];
} frame_t;

typedef struct member {
    struct member *next; /* of its bucket, when the filter has a key */
    ws_t *ws;
    int topic;
    hub_filter_t f;
    uint64_t from; /* first ring number it may see */
} member_t;

struct ws {
    hub_t *hub;
    conn_t *conn; /* NULL once closing */
    void *user;
    ws_t *prev, *next; /* by cursor */
    ws_t *active_next, *closed_next;
    uint64_t cursor;
    bool opened, closing, active;
    unsigned code; /* on_close reports it */
    frame_t **q;   /* ring of q_cap */
    frame_t *q_in[QUEUE_INLINE];
    unsigned q_head, q_n, q_cap;
    size_t q_bytes, part; /* part: bytes of the first frame already sent */
    unsigned pongs;
    int64_t control_ns; /* bucket of the peer's pings and pongs: when it will be empty */
    dl_node_t ping;
    int64_t ping_ns; /* when the oldest unanswered ping was sent; 0: none */
    member_t *members[HUB_TOPICS_MAX];
    unsigned joined;
    ws_rx_t rx;
};

typedef struct {
    char name[32];
    bool conflate;
    uint64_t seq;
    unsigned members;
} topic_t;

struct hub {
    loop_t *l;
    hub_conf_t conf;
    ws_limits_t lim;
    hub_hooks_t hooks;
    topic_t topics[HUB_TOPICS_MAX];
    int n_topics;
    frame_t *ring[RING_FRAMES];
    uint64_t head, tail; /* numbers: next to be given, oldest kept */
    size_t ring_bytes;
    member_t *keys[KEY_BUCKETS];
    ws_t *first, *last;
    unsigned n_subs;
    ws_t *active, *closed_first, *closed_last;
    bool shut;
    int64_t flush_turn;
    int64_t behind_ns; /* when the oldest publication not yet given to all was made; 0: none */
    dl_list_t pings;
    ltimer_t *tick;
    buf_t text;
    gauge_t *g_subs;
    ctr_t *c_published, *c_dropped, *c_sent, *c_conflated, *c_closed[CLOSE_CODES];
    hist_t *h_fanout;
};

/* ---- hub.c -------------------------------------------------------------------------------------------------------- */

frame_t *frame_new(uint8_t op, span_t body); /* refs 1; NULL when memory is out */
void frame_drop(frame_t *f);
void hub_collect(hub_t *h, ws_t *ws); /* moves what the ring holds for it into its queue; its cursor is at the head */
void hub_unlink(hub_t *h, ws_t *ws);  /* out of the list and of all topics; counts its close */

/* ---- hub_sub.c ---------------------------------------------------------------------------------------------------- */

extern const conn_ops_t ws_conn_ops;
void ws_push(ws_t *ws, frame_t *f);  /* takes its own reference; may close the subscriber as too slow */
void ws_write(ws_t *ws);             /* as much as the socket takes, unless it is known to be full */
void ws_activate(ws_t *ws);          /* written at the end of the turn */
void ws_open_now(ws_t *ws);          /* on_open, once */
void ws_ping(ws_t *ws, int64_t now); /* sends one, or closes who left the last unanswered too long */
void ws_free(void *ws);

#endif
