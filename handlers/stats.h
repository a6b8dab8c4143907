/* HTTP figures per route with bounded labels: pattern, method, status. */
#ifndef XORJ_HANDLERS_STATS_H
#define XORJ_HANDLERS_STATS_H

#include "handlers/ctx.h"

stats_t *stats_new(metrics_t *m);
void stats_free(stats_t *s);
void stats_add(stats_t *s, const route_t *route, int status, int64_t ns); /* route NULL: unmatched */

#endif
