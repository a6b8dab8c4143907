/* What the market side stands on, for `serve` and `record` alike: the journal, the HTTPS client, the RPC endpoints. */
#ifndef XORJ_APP_MARKET_H
#define XORJ_APP_MARKET_H

#include <stdbool.h>

#include "connectors/rpc.h"
#include "connectors/wsc.h"
#include "reactor/config.h"
#include "reactor/httpc.h"
#include "reactor/journal.h"

typedef struct {
    journal_t *journal; /* NULL: nothing is recorded */
    httpc_t *httpc;
    rpc_t *rpc;
    wsc_t *wsc; /* one for the process; NULL: nothing needs it, or the library did not start */
} market_io_t;

/* dir NULL: nothing is recorded. False: *why says what the journal's directory lacks; nothing is open then. */
bool market_open(loop_t *l, metrics_t *m, const cfg_t *cfg, const char *dir, market_io_t *io, const char **why);
/* Everything that uses them must be closed; calls still in flight end with XE_CLOSED here. */
void market_close(market_io_t *io);

#endif
