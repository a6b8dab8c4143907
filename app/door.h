/* The one door into the engine. Posting copies the event and what it points to into a bounded queue; the turn drains it
 * in order: eng_step, then the effects, each handed to its sink.
 *
 * When the queue is full the event is dropped, its venue is marked, and the drain tells the engine that every book of
 * that venue is bad (XE_FULL) and asks for a fresh snapshot: never a book with a hole in it. */
#ifndef XORJ_APP_DOOR_H
#define XORJ_APP_DOOR_H

#include "engine/engine.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct door_queue door_queue_t;

/* Sinks of effects; called during door_drain. */
typedef struct {
    void (*opp)(void *ctx, const opp_t *o);
    void (*resync)(void *ctx, inst_t inst, xerr_t why);
    void (*lost)(void *ctx, venue_t venue); /* events of this venue were dropped */
    void (*inst)(void *ctx, inst_t inst, bool usable, xerr_t why);
    void (*bot)(void *ctx, const char *wallet, bool enabled, int64_t version, int64_t updated_us);
    void *ctx;
} door_sinks_t;

door_queue_t *door_new(loop_t *l, metrics_t *m, engine_t *e, size_t bytes, door_sinks_t sinks); /* NULL: no memory */
void door_free(door_queue_t *d);
door_t door_of(door_queue_t *d);
void door_drain(door_queue_t *d);

#endif
