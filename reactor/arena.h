/* Memory with one lifetime: a request, a parse. Chunks come from a free list kept by the pool; nothing is freed by
 * hand. Past its ceiling arena_alloc returns NULL once and marks the arena failed. Under ASan each allocation is its
 * own malloc, so an overrun is seen. */
#ifndef XORJ_REACTOR_ARENA_H
#define XORJ_REACTOR_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

typedef struct arena arena_t;
typedef struct arena_pool arena_pool_t;

arena_pool_t *arena_pool_new(size_t chunk, size_t keep); /* bytes of a chunk; how many idle chunks to keep */
void arena_pool_free(arena_pool_t *p);

arena_t *arena_new(arena_pool_t *p, size_t max); /* max bytes in all; NULL when memory is out */
void arena_free(arena_t *a);
void *arena_alloc(arena_t *a, size_t n); /* 16-byte aligned, not zeroed; NULL past the ceiling */
char *arena_dup(arena_t *a, span_t s);   /* copy and a NUL */
bool arena_failed(const arena_t *a);

#endif
