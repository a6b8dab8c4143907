#include "reactor/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#if defined(XORJ_ASAN)
#define EACH_ALONE 1
#else
#define EACH_ALONE 0
#endif

typedef struct chunk {
    struct chunk *next;
    size_t cap, used;
    _Alignas(16) unsigned char bytes[];
} chunk_t;

struct arena_pool {
    size_t chunk, keep, idle;
    chunk_t *free;
};

struct arena {
    arena_pool_t *pool;
    chunk_t *chunks; /* the first has room left, the others are full or single allocations */
    size_t used, max;
    bool failed;
};

arena_pool_t *arena_pool_new(size_t chunk, size_t keep)
{
    arena_pool_t *p = calloc(1, sizeof *p);
    XASSERT(p);
    p->chunk = chunk < 256 ? 256 : (chunk + 15) & ~(size_t)15;
    p->keep = keep;
    return p;
}

void arena_pool_free(arena_pool_t *p)
{
    if (!p) return;
    for (chunk_t *c = p->free, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(p);
}

static chunk_t *chunk_get(arena_pool_t *p, size_t n)
{
    chunk_t *c = p->free;
    if (c && n <= p->chunk && !EACH_ALONE) {
        p->free = c->next;
        p->idle--;
    } else {
        size_t cap = n > p->chunk || EACH_ALONE ? n : p->chunk;
        c = malloc(sizeof *c + cap);
        if (!c) return NULL;
        c->cap = cap;
    }
    c->used = 0;
    c->next = NULL;
    return c;
}

static void chunk_put(arena_pool_t *p, chunk_t *c)
{
    if (EACH_ALONE || c->cap != p->chunk || p->idle >= p->keep) {
        free(c);
        return;
    }
    c->next = p->free;
    p->free = c;
    p->idle++;
}

/* The arena's own record lives in its first chunk. */
arena_t *arena_new(arena_pool_t *p, size_t max)
{
    size_t head = (sizeof(arena_t) + 15) & ~(size_t)15;
    chunk_t *c = chunk_get(p, head);
    if (!c) return NULL;
    arena_t *a = (arena_t *)(void *)c->bytes;
    *a = (arena_t){.pool = p, .chunks = c, .max = max};
    c->used = head;
    return a;
}

void arena_free(arena_t *a)
{
    if (!a) return;
    arena_pool_t *p = a->pool;
    for (chunk_t *c = a->chunks, *next; c; c = next) {
        next = c->next;
        chunk_put(p, c);
    }
}

/* A large allocation goes behind the first chunk, whose rest stays in use. */
static chunk_t *chunk_for(arena_t *a, size_t n)
{
    chunk_t *first = a->chunks;
    if (!EACH_ALONE && n <= first->cap - first->used) return first;
    chunk_t *c = chunk_get(a->pool, n);
    if (!c) return NULL;
    if (EACH_ALONE || n > a->pool->chunk) {
        c->next = first->next;
        first->next = c;
    } else {
        c->next = first;
        a->chunks = c;
    }
    return c;
}

void *arena_alloc(arena_t *a, size_t n)
{
    size_t size = n < SIZE_MAX - 15 ? (n + 15) & ~(size_t)15 : SIZE_MAX;
    chunk_t *c = NULL;
    if (!a->failed && size <= a->max - a->used) c = chunk_for(a, EACH_ALONE ? n : size);
    if (!c) {
        a->failed = true;
        return NULL;
    }
    void *p = c->bytes + c->used;
    c->used += EACH_ALONE ? n : size;
    a->used += size;
    return p;
}

char *arena_dup(arena_t *a, span_t s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (!p) return NULL;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

bool arena_failed(const arena_t *a)
{
    return a->failed;
}
