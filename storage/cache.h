/* Answers kept in memory: bytes by key, bounded in entries and bytes, the least recently used goes first. Keys come from
 * strangers, hence the keyed hash. A borrowed value stays good until the end of the turn, also when it is replaced or
 * evicted meanwhile. Internal to storage/. */
#ifndef XORJ_STORAGE_CACHE_H
#define XORJ_STORAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

#define CACHE_KEY_MAX 96

typedef struct cache cache_t;

cache_t *cache_new(loop_t *l, unsigned entries_max, size_t bytes_max, ctr_t *evicted);
void cache_free(cache_t *c);
unsigned cache_entries(const cache_t *c);

/* NULL: not there. *at_ns (may be NULL) gets the time given to cache_put or cache_restamp. */
const void *cache_get(cache_t *c, span_t key, size_t *n, int64_t *at_ns);
void cache_put(cache_t *c, span_t key, const void *val, size_t n, int64_t at_ns);
void cache_restamp(cache_t *c, span_t key, int64_t at_ns);
void cache_del(cache_t *c, span_t key);

#endif
