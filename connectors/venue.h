/* One venue protocol behind one ops table, and what all of them share: the state of a connection (vp_t), a table of
 * markets, a resumable walk over a frame, and the way of levels to the door.
 *
 * A protocol is pure: text in, events out, no socket and no clock of its own (vp_t.clock is handed in). It says what it
 * wants by fields: `reconnect` for the connection, vmkt_t.why for one market. Whoever owns the connection acts.
 *
 * The walk: the driver in venue.c reads a frame's top-level object and calls member() for each name in it. The answer
 * names what the driver does with the value. Arrays whose meaning is not known yet (the symbol may come last) are
 * skipped, remembered and walked from end(). Everything is checked on the way; a fault makes the frame garbled: books of
 * the connection become bad and the connection is made anew. No END of a book message is posted before the whole frame
 * has been read, so a frame that breaks in its last byte has never shown a book. */
#ifndef XORJ_CONNECTORS_VENUE_H
#define XORJ_CONNECTORS_VENUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "connectors/scan.h"
#include "engine/event.h"

#define VP_MARKETS_MAX 4096
#define VP_NAME_MAX 48
#define VP_WALK_MAX 6
#define VP_RUN_LEVELS 4096 /* of one run with a budget: whoever applies them needs time in the same turn */

typedef struct vp vp_t;

typedef enum {
    VA_TAKEN, /* the handler has consumed the value; from end(): the object is complete */
    VA_SKIP,  /* the driver skips the value */
    VA_ROWS,  /* an array: the driver calls vp->row for each element */
    VA_OBJS,  /* an array of objects: each is walked with vp->child */
    VA_OBJ,   /* an object: walked with vp->child */
    VA_BAD    /* garbled */
} vp_act_t;

typedef struct {
    vp_act_t (*member)(vp_t *p, span_t key); /* the cursor stands on the value */
    vp_act_t (*end)(vp_t *p);                /* VA_ROWS, VA_OBJ(S): walk the value at vp->jump, then end is called again */
} vp_walk_t;

/* What makes a doubtful book of one market whole again. */
typedef enum {
    VR_RECONNECT, /* a new connection */
    VR_CONFIRM,   /* unsubscribe, wait for vmkt_t.unsubscribed, subscribe: its snapshot carries no mark */
    VR_SUBSCRIBE, /* unsubscribe and subscribe at once: the snapshot is marked as one */
    VR_SEED,      /* a snapshot by REST, asked for when vmkt_t.want_seed says so */
    VR_WAIT       /* the next message is complete in itself */
} vp_resync_t;

typedef struct {
    const char *protocol; /* "coinbase-advanced" */
    venue_t venue;
    unsigned silence_ms;  /* no byte for so long: reconnect */
    unsigned beat_ms;     /* no heartbeat message for so long although bytes arrive: reconnect; 0: none expected */
    vp_resync_t resync;
    bool refresh;         /* a lost message leaves no trace: a fresh snapshot is taken now and then (feeds.check_s) */
    unsigned ping_ms;     /* application ping; 0: none */
    unsigned markets_max; /* per connection; 0: no limit of the venue */
    bool fold_case;       /* market names compare without case */
    size_t state_size;    /* protocol's own state, zeroed */
    const vp_walk_t *top;
    void (*reset)(vp_t *p);       /* a new connection: forget sequences; may be NULL */
    void (*frame)(vp_t *p);       /* a new frame: forget the fields of the last; may be NULL */
    void (*done)(vp_t *p);        /* the frame was read without fault and its books are complete; may be NULL */
    void (*wire_name)(const char *asked, char out[VP_NAME_MAX]);    /* how data calls the market */
    bool (*subscribe)(const vp_t *p, unsigned i, buf_t *out);       /* i-th message after the connect; false: no more */
    bool (*ping)(vp_t *p, buf_t *out);
    bool (*unsubscribe)(vp_t *p, unsigned market, buf_t *out); /* VR_CONFIRM, VR_SUBSCRIBE, refresh without seed */
    bool (*resubscribe)(vp_t *p, unsigned market, buf_t *out);
    /* VR_SEED, VR_WAIT: path and query of the REST book, and the REST answer as a frame of the stream, so that a journal
     * holds it where it came in; body NULL: the frame that says "keep what comes from now on, a seed follows". */
    void (*seed_path)(const vp_t *p, unsigned market, int64_t now_ms, buf_t *out);
    void (*seed_frame)(const vp_t *p, unsigned market, const span_t *body, buf_t *out);
} venue_ops_t;

extern const venue_ops_t venue_coinbase, venue_coinbase_exchange, venue_gemini, venue_gemini_v2, venue_bitstamp, venue_bitstamp_diff;
extern const venue_ops_t *const venue_protocols[];          /* all of them, ended by NULL */
const venue_ops_t *venue_by_protocol(const char *protocol); /* NULL when unknown */

typedef struct {
    char asked[VP_NAME_MAX]; /* as configured */
    char wire[VP_NAME_MAX];  /* as the venue writes it */
    inst_t inst;
    int twin;                /* another row fed by the same data (an alias), -1: none */
    bool synced;             /* a snapshot was seen since the last subscribe */
    bool open, open_snapshot;/* a message is being applied */
    bool unsubscribed;       /* the venue confirmed the unsubscribe of a resync */
    xerr_t why;              /* set by the protocol: needs a fresh snapshot; cleared by vp_market_forget */
    uint64_t last;           /* protocol's own: last id applied */
    bool want_seed;          /* set by the protocol: a REST snapshot would be of use now; cleared by the owner when it asks */
    bool keeping;            /* frames are kept although the book is whole: a seed will replace it */
    unsigned kept_n;         /* frames kept until the seed is here */
    uint64_t mark;           /* protocol's own: id of the first kept frame */
} vmkt_t;

#define VP_KEPT_MAX 4096           /* frames of one market */
#define VP_KEPT_BYTES (8u << 20)   /* of the connection */
typedef struct vp_kept vp_kept_t;

typedef struct {
    uint64_t messages, gaps, garbled, unknown, refused_levels, old, early, beats, errors, levels;
} vp_stats_t;

typedef struct {
    uint8_t kind;
    bool first, ended;
    const vp_walk_t *walk;
    const char *back; /* where reading goes on after a deferred value; NULL: right behind it */
} vp_level_t;

struct vp {
    const venue_ops_t *ops;
    void *st;               /* protocol's own, ops->state_size */
    door_t door;
    int64_t (*clock)(void); /* monotonic ns */
    bool adopt;             /* unknown markets become rows (replay) */
    vmkt_t *mkts;
    unsigned mkts_n, mkts_cap, hint;
    vp_stats_t stats;
    xerr_t reconnect;       /* set: the connection must be made anew */
    char note[160];         /* what the venue said, for the log; "" nothing */
    int64_t venue_clock_us; /* venue's own time of the last frame that told it; 0 none */

    unsigned variant;       /* protocol's own: which of several spellings of a request the venue likes; outlives a reset */

    /* frames kept until a seed is here */
    vp_kept_t *kept, **kept_tail;
    size_t kept_bytes;
    vp_kept_t *replayed;    /* the kept frame that is read now */
    int replay;             /* market whose kept frames are read next, -1: none */

    /* the frame at hand */
    scan_t s;
    span_t text;
    bool busy;
    int64_t recv_ns, recv_wall_us, source_us;
    unsigned depth, ticks;
    vp_level_t walk[VP_WALK_MAX];
    bool (*row)(vp_t *p);   /* chosen by the handler that answered VA_ROWS */
    const vp_walk_t *child; /* chosen by the handler that answered VA_OBJS */
    const char *jump;       /* chosen by end() */

    /* levels on their way */
    unsigned cur;           /* market of the rows being read */
    uint32_t chunk_n;
    chg_t chunk[EV_LEVELS_MAX];
};

vp_t *vp_new(const venue_ops_t *ops, door_t door, int64_t (*clock)(void));
void vp_free(vp_t *p);
/* Row of a market; XE_FULL past the limit or XE_CONFLICT when it is there already. */
xerr_t vp_market_add(vp_t *p, const char *asked, inst_t inst);
int vp_market(vp_t *p, span_t wire); /* index; -1 unknown */
void vp_reset(vp_t *p);              /* a new connection: nothing is known any more */

typedef enum { VP_DONE, VP_MORE, VP_BAD } vp_rc_t;
/* text must stay until vp_run has answered VP_DONE or VP_BAD. */
void vp_frame(vp_t *p, span_t text, int64_t recv_ns, int64_t recv_wall_us);
vp_rc_t vp_run(vp_t *p, int64_t budget_ns); /* budget 0: to the end */
/* Books of the connection are bad from now on: posts EV_BOOK_BAD for each market that had a snapshot. */
void vp_all_bad(vp_t *p, xerr_t why);
void vp_market_bad(vp_t *p, unsigned market, xerr_t why);
void vp_market_forget(vp_t *p, unsigned market); /* a fresh snapshot was asked for */

/* For protocols. */
void vp_book_begin(vp_t *p, unsigned market, bool snapshot); /* rows that follow belong to it; goes on when open already */
bool vp_level(vp_t *p, side_t side, span_t px, span_t qty);  /* false: garbled; out of range is refused and counted */
void vp_want_reconnect(vp_t *p, xerr_t why);
void vp_note(vp_t *p, span_t text);
void vp_venue_clock(vp_t *p, int64_t unix_us);
/* The frame at hand is read again after the seed. Past the ceiling everything kept of the market is given up: false. */
bool vp_keep(vp_t *p, unsigned market);
void vp_play_kept(vp_t *p, unsigned market); /* as soon as this frame is done */
bool vp_once(vp_t *p, uint32_t *seen, uint32_t bit); /* false (garbled) the second time */

#endif
