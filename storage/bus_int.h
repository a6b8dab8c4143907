/* The making of the bus, for store.c. Internal to storage/. */
#ifndef XORJ_STORAGE_BUS_INT_H
#define XORJ_STORAGE_BUS_INT_H

#include "storage/bus.h"
#include "storage/pg.h"

typedef struct {
    void (*up)(void *ctx);
    void (*down)(void *ctx, bool silent);
    void *ctx;
} bus_hooks_t;

bus_t *bus_open(loop_t *l, const pg_conf_t *link, metrics_t *m, pg_metrics_t *pm, bus_hooks_t h);
void bus_close(bus_t *b); /* who waits is answered first */
bool bus_idle(const bus_t *b);
void bus_retry_now(bus_t *b);
void bus_break(bus_t *b);
void bus_counts(const bus_t *b, unsigned *in_use, unsigned *idle);

#endif
