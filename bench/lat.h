/* Latencies in microseconds, log-linear: 64 steps per power of two, so a quantile is at most 1.6 % too high. Fixed
 * memory, nothing is lost, and two can be laid side by side. */
#ifndef XORJ_BENCH_LAT_H
#define XORJ_BENCH_LAT_H

#include <stdint.h>
#include <stdio.h>

enum { LAT_SUB = 64, LAT_STEPS = 32 * LAT_SUB };

typedef struct {
    uint64_t n, max_us, step[LAT_STEPS];
} lat_t;

void lat_add(lat_t *l, int64_t ns);
/* Coordinated omission: a client that waited longer than the interval at which it would have asked again did not ask
 * meanwhile. What it would have seen is added: ns - interval, ns - 2 * interval, ... interval_ns 0: lat_add. */
void lat_add_corrected(lat_t *l, int64_t ns, int64_t interval_ns);
uint64_t lat_at(const lat_t *l, double q); /* upper edge of the step that holds the quantile; 0 when empty */
void lat_json(const lat_t *l, FILE *out);  /* [[upper edge, count], ...] of the steps in use */

#endif
