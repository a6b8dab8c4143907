/* What handlers ask the engine about its instruments. Pure reads. */
#ifndef XORJ_HANDLERS_MARKET_H
#define XORJ_HANDLERS_MARKET_H

#include "handlers/ctx.h"

typedef struct { unsigned usable, all; } market_count_t;
market_count_t market_count(const api_t *a);
/* Word for a bot's state: stopped, active, or paused: switched on while no market is usable. A process without
 * feeds cannot judge that and says active. */
const char *bot_status_word(market_count_t n, bool enabled);
inst_t market_find(const api_t *a, span_t venue, span_t market); /* -1: no such instrument */
int32_t market_pair(const api_t *a, span_t name);                /* -1: no such pair */
int32_t market_venue(span_t name);                               /* -1: no such venue */
/* Why an instrument is not usable, as a code fit for clients: "STALE", "GAP", ... */
const char *market_reason(xerr_t why);
void market_put_all(const api_t *a, jw_t *w); /* an array of market_members */
extern const schema_t market_members[], connector_members[]; /* connectors: as api_views_t gives them */

#endif
