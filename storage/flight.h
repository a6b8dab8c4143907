/* One load per key however many ask: the first asker starts the load, the rest wait for its answer. Internal to storage/. */
#ifndef XORJ_STORAGE_FLIGHT_H
#define XORJ_STORAGE_FLIGHT_H

#include <stdbool.h>

#include "base/span.h"
#include "storage/cache.h"

typedef struct flights flights_t;
typedef struct flight flight_t;

flights_t *flights_new(void);
void flights_free(flights_t *f); /* must be empty */
bool flights_empty(const flights_t *f);

/* Adds a waiter (cb NULL: none, the load is wanted for itself). *first: a new flight, the caller starts the load. */
flight_t *flight_join(flights_t *f, span_t key, void (*cb)(void), void *ctx, bool *first);
span_t flight_key(const flight_t *g);
/* Later askers start a flight of their own; this one still answers its waiters, and reads as tainted. */
void flight_taint(flights_t *f, span_t key);
bool flight_tainted(const flight_t *g);

/* Ends the flight: give is called for each waiter in the order of asking, then g is gone. Askers from inside give start
 * a new flight. */
void flight_land(flight_t *g, void (*give)(void *arg, void (*cb)(void), void *ctx), void *arg);

#endif
