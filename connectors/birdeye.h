/* Birdeye's price stream: one websocket that pushes the running minute's candle of each asset. The URL carries the key and
 * is never logged. Reconnects by itself, with a back-off of 1 s to 60 s; a connection that is silent for 30 s is given up. */
#ifndef XORJ_CONNECTORS_BIRDEYE_H
#define XORJ_CONNECTORS_BIRDEYE_H

#include "connectors/price_src.h"
#include "connectors/wsc.h"
#include "reactor/journal.h"
#include "reactor/metrics.h"

typedef struct birdeye birdeye_t;

/* quotes: what the message told, times of receipt filled in. */
typedef void (*birdeye_fn)(void *ctx, const quote_t quotes[ASSET_N]);

/* w outlives it. */
birdeye_t *birdeye_open(loop_t *l, metrics_t *m, wsc_t *w, const char *url, journal_t *journal, birdeye_fn fn, void *ctx);
void birdeye_drain(birdeye_t *b); /* closes the connection in good manners; no price comes any more */
void birdeye_free(birdeye_t *b);

#endif
