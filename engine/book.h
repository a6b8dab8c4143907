/* One order book: two sides of levels, sorted, absolute sizes. Bounded: levels past the capacity make the book
 * unusable (XE_FULL), never silently shorter. The book knows whether it may be trusted:
 *   EMPTY -> (snapshot complete) -> GOOD -> (gap, crossing, garbled, disconnect) -> EMPTY
 * Inside a message it is never GOOD: touch and depth are published only after a whole message. */
#ifndef XORJ_ENGINE_BOOK_H
#define XORJ_ENGINE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/dec.h"

typedef struct { px_t px; qty_t qty; } level_t;
typedef enum { SIDE_BID, SIDE_ASK } side_t;
typedef struct { uint8_t side; level_t lv; } chg_t; /* qty 0 removes */

typedef struct {
    uint64_t changes, removed_absent, refused_levels, crossed, snapshots, messages;
} book_stats_t;

typedef struct book book_t;

book_t *book_new(size_t levels_per_side); /* at boot; NULL when memory is out */
void book_free(book_t *b);
void book_clear(book_t *b);                             /* EMPTY, levels forgotten */
void book_begin(book_t *b, bool snapshot);              /* a message starts; snapshot forgets all levels first */
/* XE_FULL: cleared, the rest of the message is ignored; XE_STALE: no snapshot yet, or no message open (ignored).
 * A price or size that is not positive is refused and counted; size 0 removes the level, absent ones are counted. */
xerr_t book_apply(book_t *b, const chg_t *c, size_t n);
xerr_t book_end(book_t *b);                             /* XE_CROSSED: cleared; XE_STALE: no snapshot seen; XE_OK: GOOD */
bool book_good(const book_t *b);
size_t book_depth(const book_t *b, side_t s);
const level_t *book_level(const book_t *b, side_t s, size_t i); /* 0 = best; NULL past the end; works in any state */
const book_stats_t *book_stats(const book_t *b);

/* Walks executable depth: cost (asks) or proceeds (bids) of qty, and the worst price touched. XE_DEPTH when the book
 * holds less; XE_STALE when it is not GOOD. Rounded against the taker (asks up, bids down), 1e-6 quote units. */
typedef struct { usd_t value; px_t touch, worst; unsigned levels; } fill_t;
xerr_t book_walk(const book_t *b, side_t s, qty_t qty, fill_t *out);

#endif
