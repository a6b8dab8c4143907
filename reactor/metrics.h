/* Counters, gauges and true histograms, written as Prometheus text. Series are made at boot and never removed, so a
 * pointer stays good for the life of the registry. Names and label sets are literals: no label comes from input. */
#ifndef XORJ_REACTOR_METRICS_H
#define XORJ_REACTOR_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct metrics metrics_t;
typedef struct { uint64_t v; } ctr_t;
typedef struct { double v; } gauge_t;
typedef struct hist hist_t;

metrics_t *metrics_new(void);
void metrics_free(metrics_t *m);

/* labels: `route="/health",method="GET"` or NULL. Asking for the same name and labels again gives the same series. */
ctr_t *metrics_ctr(metrics_t *m, const char *name, const char *labels, const char *help);
gauge_t *metrics_gauge(metrics_t *m, const char *name, const char *labels, const char *help);
/* bounds: n ascending upper bounds in the unit of the name; NULL: 50 us to 10 s in 1-2-5 steps, in seconds. */
hist_t *metrics_hist(metrics_t *m, const char *name, const char *labels, const char *help, const double *bounds, size_t n);

static inline void ctr_inc(ctr_t *c) { c->v++; }
static inline void ctr_add(ctr_t *c, uint64_t n) { c->v += n; }
static inline void gauge_set(gauge_t *g, double v) { g->v = v; }
void hist_add(hist_t *h, double v);
uint64_t hist_count(const hist_t *h);
double hist_quantile(const hist_t *h, double q); /* upper bound of the bucket that holds it; 0 when empty */

void metrics_write(const metrics_t *m, buf_t *out); /* text format 0.0.4, HELP and TYPE once per name */

#endif
