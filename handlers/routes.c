#include "handlers/routes.h"

#include <stdio.h>

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const route_t table[] = {
    /* method, path, access, limit, flags, body, handler, query parameters */
    {M_GET, "/health", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_health, NULL},
    {M_GET, "/health/ready", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_ready, NULL},
    {M_GET, "/api/system/status", ACCESS_OPTIONAL, LIM_STATUS, 0, 0, h_system_status, NULL},
    {M_GET, "/api/database/health", ACCESS_LOCAL, LIM_STATUS, 0, 0, h_database_health, NULL},
    {M_GET, "/api/v1/ping", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_ping, NULL},
    {M_GET, "/api/v1/version", ACCESS_PUBLIC, LIM_OPEN, 0, 0, h_version, NULL},
    {M_GET, "/api/metrics", ACCESS_METRICS, LIM_NONE, 0, 0, h_metrics, NULL},
    {M_GET, "/metrics", ACCESS_METRICS, LIM_NONE, 0, 0, h_metrics, NULL},

    {M_GET, "/api/auth/challenge", ACCESS_PUBLIC, LIM_AUTH, 0, 0, h_challenge, KEYS("wallet_address")},
    {M_POST, "/api/auth/authenticate", ACCESS_PUBLIC, LIM_AUTH, 0, ROUTE_BODY, h_authenticate, NULL},

    {M_GET, "/api/bot/status", ACCESS_WALLET, LIM_USER, 0, 0, h_bot_status, NULL},
    {M_POST, "/api/bot/enable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY, ROUTE_BODY, h_bot_enable, NULL},
    {M_POST, "/api/bot/disable", ACCESS_WALLET, LIM_USER, ROUTE_EMPTY, ROUTE_BODY, h_bot_disable, NULL},
    {M_GET, "/api/user/performance", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_user_performance, KEYS("walletAddress", "timeRange")},

    {M_GET, "/api/v1/status", ACCESS_VIEWER, LIM_STATUS, 0, 0, h_desk_status, NULL},
    {M_GET, "/api/v1/opportunities", ACCESS_VIEWER, LIM_OPP, 0, 0, h_opps_list,
     KEYS("limit", "cursor", "pair", "venue", "min_net_bps", "since", "decision")},
    {M_GET, "/api/v1/opportunities/{id}", ACCESS_VIEWER, LIM_OPP, 0, 0, h_opps_one, NULL},
    {M_GET, "/api/v1/connectors", ACCESS_VIEWER, LIM_STATUS, 0, 0, h_connectors, NULL},
    {M_GET, "/api/v1/connectors/{venue}/health", ACCESS_VIEWER, LIM_STATUS, 0, 0, h_connector_health, NULL},
    {M_GET, "/api/v1/books/{venue}/{market}", ACCESS_VIEWER, LIM_OPP, 0, 0, h_book, KEYS("depth", "digest")},

    {M_GET, "/api/v1/ws", ACCESS_ANY, LIM_WS, ROUTE_TICKET, 0, h_ws, KEYS("ticket")},
    {M_POST, "/api/v1/ws-ticket", ACCESS_ANY, LIM_USER, ROUTE_EMPTY, ROUTE_BODY, h_ws_ticket, NULL},
};

static const struct { method_t m; const char *name; } methods[] = {
    {M_GET, "GET"}, {M_HEAD, "HEAD"}, {M_POST, "POST"}, {M_PUT, "PUT"}, {M_DELETE, "DELETE"}, {M_OPTIONS, "OPTIONS"}, {M_PATCH, "PATCH"},
};

const route_t *routes_all(size_t *n)
{
    *n = sizeof table / sizeof *table;
    return table;
}

const char *method_name(method_t m)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].m == m) return methods[i].name;
    return "OTHER";
}

void route_allow_text(unsigned set, char out[64])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (set & methods[i].m) n += (size_t)snprintf(out + n, 64 - n, n ? ", %s" : "%s", methods[i].name);
}

static bool path_matches(const char *pattern, span_t path, span_t arg[ROUTE_ARGS_MAX])
{
    size_t i = 0, n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '{') {
            if (i >= path.n || path.p[i++] != *pattern) return false;
            continue;
        }
        size_t from = i;
        while (i < path.n && path.p[i] != '/') i++;
        if (i == from || n == ROUTE_ARGS_MAX) return false;
        arg[n++] = span_make(path.p + from, i - from);
        while (*pattern != '}') pattern++;
    }
    return i == path.n;
}

const route_t *route_find(method_t m, span_t path, span_t arg[ROUTE_ARGS_MAX], unsigned *allow)
{
    span_t got[ROUTE_ARGS_MAX] = {{NULL, 0}, {NULL, 0}};
    *allow = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const route_t *t = &table[i];
        if (!path_matches(t->path, path, got)) continue;
        if (t->method == m || (t->method == M_GET && m == M_HEAD)) {
            memcpy(arg, got, sizeof got);
            return t;
        }
        *allow |= (unsigned)t->method | M_OPTIONS | (t->method == M_GET ? M_HEAD : 0u);
    }
    return NULL;
}
