#include "handlers/stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "handlers/routes.h"

enum { CLASSES = 5 };

typedef struct {
    ctr_t *by_class[CLASSES];
    hist_t *seconds;
} row_t;

struct stats {
    size_t n;
    row_t row[]; /* one per route, then one for requests that matched none */
};

static void make_row(metrics_t *m, row_t *row, const char *path, const char *method)
{
    char labels[160];
    for (int i = 0; i < CLASSES; i++) {
        snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%dxx\"", path, method, i + 1);
        row->by_class[i] = metrics_ctr(m, "http_requests_total", labels, "Requests answered, by route and status class");
    }
    snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", path, method);
    row->seconds = metrics_hist(m, "http_request_duration_seconds", labels, "Time from a request's head to its answer", NULL, 0);
}

stats_t *stats_new(metrics_t *m)
{
    size_t n;
    const route_t *routes = routes_all(&n);
    stats_t *s = calloc(1, sizeof *s + (n + 1) * sizeof s->row[0]);
    if (!s) return NULL;
    s->n = n;
    for (size_t i = 0; i < n; i++) make_row(m, &s->row[i], routes[i].path, method_name(routes[i].method));
    make_row(m, &s->row[n], "unmatched", "any");
    return s;
}

void stats_free(stats_t *s) { free(s); }

void stats_add(stats_t *s, const route_t *route, int status, int64_t ns)
{
    size_t n;
    row_t *row = &s->row[route ? (size_t)(route - routes_all(&n)) : s->n];
    int class = status / 100 - 1;
    if (class >= 0 && class < CLASSES) ctr_inc(row->by_class[class]);
    hist_add(row->seconds, (double)ns * 1e-9);
}
