/* What the engine can be told. One kind of struct for ticks, timers and commits; time is a field.
 *
 * door_post is the one way in from anywhere: it queues (copying what the event points to) and the turn drains in order:
 * eng_step, then its effects. Pointers in an event are borrowed until door_post or eng_step returns. */
#ifndef XORJ_ENGINE_EVENT_H
#define XORJ_ENGINE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book.h"
#include "engine/whirl.h"

typedef enum { VENUE_COINBASE, VENUE_GEMINI, VENUE_ORCA, VENUE_BITSTAMP, VENUE_N } venue_t; /* new ones are appended */
extern const char *const venue_names[VENUE_N + 1]; /* by venue_t, ended by NULL */
const char *venue_name(venue_t v); /* "coinbase", "gemini", "orca" */

/* An instrument is a (venue, market) row of the engine's configuration; connectors name it by its index. */
typedef int16_t inst_t;

typedef enum {
    EV_BOOT,       /* first event of a run: seed */
    EV_CONN,       /* connection of a venue: up or down. Down makes every book of the venue unusable at once */
    EV_ALIVE,      /* the venue's connection is known to live (any inbound message, ping answer, poll) */
    EV_BOOK_BEGIN, /* a book message starts for inst; flag snapshot */
    EV_BOOK_LEVELS,/* changes of the open message */
    EV_BOOK_END,   /* message complete: book may be used again */
    EV_BOOK_BAD,   /* gap, garbled, refused: book unusable until the next snapshot; err says why */
    EV_POOL,       /* whole decoded pool state at a slot */
    EV_POOL_ARRAY, /* one tick array at a slot */
    EV_POOL_ORACLE,/* state of an adaptive fee at a slot */
    EV_TIMER,      /* engine's clock, every 100 ms: ages, ends of opportunities */
    EV_BOT,        /* a bot row was committed */
    EV_KIND_N
} ev_kind_t;

typedef struct {
    ev_kind_t kind;
    venue_t venue;
    inst_t inst;           /* -1: the whole venue */
    int64_t recv_ns;       /* monotonic receive time of the frame's last byte */
    int64_t recv_wall_us;  /* wall clock at the same moment */
    int64_t source_us;     /* venue's own time, 0: none given */
    int64_t parsed_ns;     /* monotonic, when parsing ended */
    union {
        uint64_t seed;                                        /* EV_BOOT */
        struct { bool up; } conn;                             /* EV_CONN */
        struct { bool snapshot; } begin;                      /* EV_BOOK_BEGIN */
        struct { const chg_t *c; uint32_t n; } levels;        /* EV_BOOK_LEVELS, n <= EV_LEVELS_MAX */
        struct { xerr_t err; } bad;                           /* EV_BOOK_BAD */
        struct { const whirl_pool_t *p; uint64_t slot; } pool;   /* EV_POOL */
        struct { const whirl_array_t *a; uint64_t slot; } array; /* EV_POOL_ARRAY */
        struct { const whirl_oracle_t *o; uint64_t slot; } oracle; /* EV_POOL_ORACLE */
        struct { const char *wallet; bool enabled; int64_t version, updated_us; } bot; /* EV_BOT */
    } u;
} ev_t;

#define EV_LEVELS_MAX 512

typedef struct {
    void (*post)(void *ctx, const ev_t *ev);
    void *ctx;
} door_t;

static inline void door_post(const door_t *d, const ev_t *ev) { d->post(d->ctx, ev); }

#endif
