/* All market feeds of the process, as app/ sees them: opened from configuration, they post events to the door and obey
 * a few requests. Connector protocols live in one file set per venue behind connectors/venue.h. */
#ifndef XORJ_CONNECTORS_FEEDS_H
#define XORJ_CONNECTORS_FEEDS_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/rpc.h"
#include "connectors/wsc.h"
#include "engine/engine.h"
#include "reactor/config.h"
#include "reactor/httpc.h"
#include "reactor/journal.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct feeds feeds_t;

/* Copied. insts: which instruments exist (their index is the inst of every event). Bounded queues; never blocks. */
typedef struct {
    loop_t *loop;
    metrics_t *metrics;
    const cfg_t *cfg;
    const eng_conf_t *insts;
    wsc_t *wsc;         /* outlives the feeds; NULL: they have one of their own */
    rpc_t *rpc;         /* NULL: no pools */
    httpc_t *http;      /* NULL: no books by REST */
    journal_t *journal; /* what venues send is recorded there; NULL: not */
    door_t door;
} feeds_conf_t;

feeds_t *feeds_open(const feeds_conf_t *c);
void feeds_resync(feeds_t *f, inst_t inst, xerr_t why); /* fresh snapshot: resubscribe or reconnect, as the venue asks */
void feeds_drain(feeds_t *f); /* close the connections cleanly */
bool feeds_idle(const feeds_t *f);
void feeds_close(feeds_t *f);

typedef struct {
    const char *venue, *state; /* "DOWN" "CONNECTING" "SUBSCRIBING" "LIVE" "BACKOFF" */
    int64_t last_message_ns;   /* monotonic; 0 never */
    int64_t since_us;          /* wall time of the last change of state */
    uint64_t messages, bytes, gaps, resyncs, reconnects, garbled, unknown, refused_levels;
    int64_t clock_offset_ms;   /* venue's clock minus ours, smoothed; 0 when unknown */
} feed_health_t;
unsigned feeds_health(const feeds_t *f, feed_health_t *out, unsigned max);

#endif
