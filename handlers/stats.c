#include "handlers/stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "handlers/routes.h"

/* Every status the server gives: a fixed set, so that the series are bounded. Anything else is the last. */
static const short statuses[] = {200, 500, 503, 101, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 412, 413,
                                 414, 415, 417, 422, 426, 429, 431, 501, 504, 505, 0};
enum { STATUSES = sizeof statuses / sizeof *statuses, FROM_START = 3, CODE_MIN = 100, CODE_MAX = 599 };

typedef struct {
    const char *path, *method;
    ctr_t *by_status[STATUSES]; /* made at the first use, but for those that alerts ask for */
    hist_t *seconds;
} row_t;

struct stats {
    metrics_t *m;
    uint8_t index[CODE_MAX - CODE_MIN + 1]; /* of a status in statuses */
    size_t n;
    row_t row[]; /* one per route, then one for requests that matched none */
};

static ctr_t *counter(metrics_t *m, row_t *row, int i)
{
    char labels[160], code[8] = "other";
    if (row->by_status[i]) return row->by_status[i];
    if (statuses[i]) snprintf(code, sizeof code, "%d", statuses[i]);
    snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%s\"", row->path, row->method, code);
    row->by_status[i] = metrics_ctr(m, "http_requests_total", labels, "Requests answered, by route and status");
    return row->by_status[i];
}

static void make_row(metrics_t *m, row_t *row, const char *path, const char *method)
{
    char labels[160];
    row->path = path;
    row->method = method;
    for (int i = 0; i < FROM_START; i++) counter(m, row, i);
    snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", path, method);
    row->seconds = metrics_hist(m, "http_request_duration_seconds", labels, "Time from a request's head to its answer", NULL, 0);
}

stats_t *stats_new(metrics_t *m)
{
    size_t n = routes_count();
    stats_t *s = calloc(1, sizeof *s + (n + 1) * sizeof s->row[0]);
    if (!s) return NULL;
    s->m = m;
    s->n = n;
    memset(s->index, STATUSES - 1, sizeof s->index);
    for (int i = 0; i < STATUSES - 1; i++) s->index[statuses[i] - CODE_MIN] = (uint8_t)i;
    for (size_t i = 0; i < n; i++) make_row(m, &s->row[i], route_at(i)->path, method_name(route_at(i)->method));
    make_row(m, &s->row[n], "unmatched", "any");
    return s;
}

void stats_free(stats_t *s) { free(s); }

void stats_add(stats_t *s, const route_t *route, int status, int64_t ns)
{
    row_t *row = &s->row[route ? route_index(route) : s->n];
    bool known = status >= CODE_MIN && status <= CODE_MAX;
    ctr_inc(counter(s->m, row, known ? s->index[status - CODE_MIN] : STATUSES - 1));
    hist_add(row->seconds, (double)ns * 1e-9);
}
