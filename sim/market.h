/* The simulated market: one fair SOL price around 150 USD on a bounded random walk, a USDC basis close to one, the
 * order books of the two exchanges that follow them, and the course of the pool's deviation from fair.
 *
 * Everything is integer and driven by fixed steps of MARKET_STEP_MS and a seed, so a seed means one market. Books
 * change by whole updates: mbook_t.chg lists what the last one changed, removals first, so that no prefix of it crosses
 * the book. */
#ifndef XORJ_SIM_MARKET_H
#define XORJ_SIM_MARKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/rng.h"

#define MARKET_STEP_MS 20
#define MICRO 1000000LL /* prices of the market are micro-dollars */
#define QTY_DEC 8       /* sizes are 1e-8 units */

typedef enum { BOOK_CB_SOL, BOOK_CB_BTC, BOOK_GM_SOL, BOOK_GM_USDC, BOOK_GM_BTC, BOOK_BS_SOL, BOOK_BS_BTC, BOOK_N } mbook_id_t;
typedef enum { MSIDE_BID, MSIDE_ASK } mside_t;

#define MBOOK_LEVELS 512
#define MBOOK_CHANGES 128

typedef struct {
    int64_t px, qty;
} mlevel_t; /* price in the book's own steps, size in 1e-8 */
typedef struct {
    mside_t side;
    mlevel_t lv;
} mchange_t;

typedef struct {
    const char *name;         /* the venue's own name */
    unsigned px_dec, qty_dec; /* decimals of the price step and of the size step */
    int64_t half_spread;      /* micro-dollars from mid to touch */
    int64_t gap_max;          /* largest distance of neighbouring levels, in price steps */
    int64_t qty_min, qty_max; /* of one level, 1e-8 */
    unsigned levels;          /* kept on each side */
    unsigned share;           /* percent of its venue's update rate */
} mspec_t;

typedef struct {
    int64_t px, qty;
    bool buy;
    uint64_t id;
} mtrade_t;

typedef struct {
    const mspec_t *spec;
    mlevel_t side[2][MBOOK_LEVELS]; /* best first */
    unsigned n[2];
    mchange_t chg[MBOOK_CHANGES]; /* of the last update, one entry per price */
    unsigned chg_n;
    int64_t credit, due; /* pacing: an update is due when credit reaches due */
    mtrade_t trade;      /* last trade */
    bool traded;         /* the last update came with a trade */
} mbook_t;

typedef enum { DRIFT_CALM, DRIFT_AWAY, DRIFT_HOLD, DRIFT_BACK } drift_t;

typedef struct {
    rng_t rng;
    uint64_t steps;
    int64_t fair, btc, basis; /* micro-dollars; basis: dollars per USDC */
    int64_t mid[BOOK_N];
    int64_t noise[BOOK_N]; /* micro-fractions of the price */
    mbook_t book[BOOK_N];
    unsigned rate; /* book updates per second and venue */
    drift_t drift;
    int64_t drift_left;    /* steps until the next phase */
    int64_t dev, dev_goal; /* pool's intended deviation from fair, millionths */
    int dev_sign;
    bool held; /* books and pool stand still */
} market_t;

void market_init(market_t *m, uint64_t seed, unsigned rate);
void market_step(market_t *m); /* prices move on by MARKET_STEP_MS; books do not */
/* True when this book has an update due; it is applied and stands in chg. Ask again until false. */
bool market_book_due(market_t *m, mbook_id_t id);
int64_t market_pool_target(const market_t *m); /* micro-USDC per SOL the pool drifts to */
int64_t mbook_mid(const mbook_t *b);           /* micro-dollars */

#define DEC_SIM_MAX 32
/* Plain decimal text of v * 10^-dec with exactly `show` decimals (v must not need more); show < 0: the shortest. */
size_t sim_dec(char out[DEC_SIM_MAX], int64_t v, unsigned dec, int show);

#endif
