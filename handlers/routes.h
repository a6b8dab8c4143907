/* The one table of routes, joined from a list per resource, and how a path finds its row. Paths are compared byte for byte. */
#ifndef XORJ_HANDLERS_ROUTES_H
#define XORJ_HANDLERS_ROUTES_H

#include "handlers/ctx.h"

/* A resource: its rows are `const route_t routes_<name>[]` in its own file; the order is that of the description. */
#define ROUTE_LISTS(X) \
    X(system)          \
    X(openapi)         \
    X(auth)            \
    X(operators)       \
    X(accounts)        \
    X(keys)            \
    X(totp)            \
    X(bot)             \
    X(bot_config)      \
    X(user)            \
    X(settings)        \
    X(trades)          \
    X(account)         \
    X(wallet)          \
    X(opps)            \
    X(market)          \
    X(audit)           \
    X(stream)

#define X(name) extern const route_t routes_##name[];
ROUTE_LISTS(X)
#undef X

size_t routes_count(void);
const route_t *route_at(size_t i);            /* NULL past the end */
size_t route_index(const route_t *route);     /* routes_count() when it is none */
const char *route_tag(const route_t *route);  /* name of its resource */
/* The row, its {segments} in arg. NULL: *allow is 0 when nothing has this path, else the methods (a set) it has. */
const route_t *route_find(method_t m, span_t path, span_t arg[ROUTE_ARGS_MAX], unsigned *allow);
/* The shape of a {segment}, by its name; every name that occurs has one. */
const schema_t *route_segment(span_t name);
/* The segments by their shapes: XE_BAD_INPUT. */
xerr_t route_judge(const route_t *route, const span_t arg[ROUTE_ARGS_MAX], sc_why_t *why);
void route_allow_text(unsigned methods, char out[64]); /* "GET, HEAD, OPTIONS" */
const char *method_name(method_t m);

#endif
