/* Dollar prices of the few assets a wallet is valued in, from several independent sources.
 *
 * Each source is asked every poll_ms while somebody wants prices, rests after a failure (doubling, Retry-After kept), and
 * is checked on its own: no time in the future, no age past stale_ms. Sources that agree within max_dev_bps make a price;
 * when they contradict each other and no majority agrees, there is none. What was last agreed upon is kept as stale for
 * keep_ms, then forgotten. Nothing is ever made up. */
#ifndef XORJ_CONNECTORS_PRICES_H
#define XORJ_CONNECTORS_PRICES_H

#include "connectors/price_src.h"
#include "connectors/wsc.h"
#include "reactor/config.h"
#include "reactor/httpc.h"
#include "reactor/journal.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

typedef struct prices prices_t;

/* w (for the source that pushes; NULL: without it) outlives the prices. */
prices_t *prices_open(loop_t *l, metrics_t *m, httpc_t *http, wsc_t *w, const cfg_t *cfg, journal_t *journal);
void prices_drain(prices_t *p); /* closes connections cleanly; NULL is fine here and below */
void prices_free(prices_t *p); /* a question in flight may still come back: the last of it goes then */
/* The prices as they are now; asks for fresh ones when they are due. */
void prices_now(prices_t *p, price_t out[ASSET_N]);
/* fn(ctx) once, from the loop, when no question is in flight any more (at once when none is due). Cancelled by
 * prices_free. */
void prices_when(prices_t *p, loop_fn fn, void *ctx);

/* The judgement alone; pure. q: one row per source, at_us already replaced by the time of receipt where the source tells
 * none. last (may hold nothing) is updated when a price is agreed upon. */
typedef struct { px_t usd; int64_t at_us; bool known; unsigned src; } agreed_t;
typedef struct { int64_t stale_ms, keep_ms; unsigned max_dev_bps; } price_rule_t;
void prices_judge(const quote_t q[SRC_N], const price_rule_t *rule, int64_t now_us, agreed_t *last, price_t *out);

#endif
