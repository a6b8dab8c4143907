/* A long-lived feed connection: one state machine around wsc, with a deadline in every state that waits.
 *
 *   DOWN -> CONNECTING -> SUBSCRIBING -> LIVE
 *              \________________\________\--> BACKOFF -> CONNECTING ...
 *
 * Back-off doubles from 250 ms to 30 s with jitter and starts again at 250 ms after a minute of LIVE; a connection lost
 * sooner waits 4 s at most, which no venue's limit minds and which keeps recovery short. Whole messages wait
 * in a bounded queue and are worked off in slices, so that a large one never holds the loop; past the bound the
 * connection is made anew and counted. Bytes, not messages, prove life: a snapshot may take seconds to arrive. */
#ifndef XORJ_CONNECTORS_LINK_H
#define XORJ_CONNECTORS_LINK_H

#include <stdbool.h>

#include "connectors/stats.h"
#include "connectors/wsc.h"
#include "reactor/journal.h"

#define LINK_STATES(X) X(DOWN) X(CONNECTING) X(SUBSCRIBING) X(LIVE) X(BACKOFF)
typedef enum {
#define X(id) LINK_##id,
    LINK_STATES(X)
#undef X
    LINK_N
} link_state_t;
const char *link_state_name(link_state_t s);

typedef struct link link_t;

typedef struct {
    const char *name;     /* for the log */
    const char *url;      /* copied; may be secret: never logged */
    size_t frame_max;
    int64_t slice_ns;     /* longest work of one turn */
    unsigned silence_ms;  /* no byte for so long while LIVE: reconnect */
    unsigned ping_ms;     /* protocol ping; 0: none */
    journal_t *journal;   /* records every message, also one that is never read to its end; NULL: not */
    const char *venue, *protocol; /* names of the channel there; literals */
    bool record_sent;     /* what is sent, too: never for connections that sign in */
} link_conf_t;

typedef enum {
    LINK_FRAME_DONE,
    LINK_FRAME_MORE,  /* not read to its end: go on in a later turn */
    LINK_FRAME_ENOUGH /* done, and enough for this turn */
} link_frame_t;

typedef struct {
    void (*on_open)(void *ctx);  /* subscribe now */
    void (*on_frame)(void *ctx, span_t text, int64_t recv_ns, int64_t recv_wall_us); /* a new message; stays until done */
    link_frame_t (*on_slice)(void *ctx, int64_t budget_ns); /* work on it; may call link_restart */
    void (*on_tick)(void *ctx, int64_t now_ns); /* four times a second while SUBSCRIBING or LIVE */
    void (*on_down)(void *ctx, xerr_t why);     /* the connection is gone; comes once after on_open */
    void *ctx;
} link_hooks_t;

link_t *link_new(loop_t *l, wsc_t *w, feed_stats_t *stats, const link_conf_t *c, link_hooks_t h);
void link_start(link_t *k);
void link_live(link_t *k);                 /* the first data of use is here; no-op unless SUBSCRIBING */
void link_restart(link_t *k, xerr_t why);  /* give the connection up and try again after the back-off */
xerr_t link_send(link_t *k, span_t text);
/* A frame of our own at the end of the queue (a seed that came another way): read, and recorded, as if it had been
 * received. Copied; false when no connection is open or the queue is full. */
bool link_inject(link_t *k, span_t text);
void link_stop(link_t *k);                 /* DOWN for good, closed in good manners */
void link_free(link_t *k);                 /* only when the loop turns no more, or a turn after link_stop */
link_state_t link_state(const link_t *k);
bool link_idle(const link_t *k);           /* nothing waits to be worked on */

#endif
