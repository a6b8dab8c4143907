/* The one table of routes, and how a path finds its row. Paths are compared byte for byte. */
#ifndef XORJ_HANDLERS_ROUTES_H
#define XORJ_HANDLERS_ROUTES_H

#include "handlers/ctx.h"

const route_t *routes_all(size_t *n);
/* The row, its {segments} in arg. NULL: *allow is 0 when nothing has this path, else the methods (a set) it has. */
const route_t *route_find(method_t m, span_t path, span_t arg[ROUTE_ARGS_MAX], unsigned *allow);
void route_allow_text(unsigned methods, char out[64]); /* "GET, HEAD, OPTIONS" */
const char *method_name(method_t m);

#endif
