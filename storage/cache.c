#include "storage/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

typedef struct entry {
    struct entry *chain;
    struct entry *newer, *older;
    uint64_t hash;
    int64_t at_ns;
    size_t val_n;
    void *val;
    unsigned key_n;
    char key[];
} entry_t;

struct cache {
    loop_t *l;
    ctr_t *evicted;
    unsigned max, n, mask;
    size_t bytes, bytes_max;
    entry_t **table;
    entry_t *newest, *oldest;
    uint64_t key[2];
};

cache_t *cache_new(loop_t *l, unsigned entries_max, size_t bytes_max, ctr_t *evicted)
{
    cache_t *c = calloc(1, sizeof *c);
    unsigned cap = 16;
    while (cap < entries_max)
        cap *= 2;
    XASSERT(c);
    c->l = l;
    c->evicted = evicted;
    c->max = entries_max;
    c->bytes_max = bytes_max;
    c->mask = cap - 1;
    c->table = calloc(cap, sizeof(entry_t *));
    XASSERT(c->table);
    random_bytes(c->key, sizeof c->key);
    return c;
}

static entry_t **slot(cache_t *c, span_t key, uint64_t *hash)
{
    *hash = siphash(c->key, key.p, key.n);
    entry_t **e = &c->table[*hash & c->mask];
    while (*e && ((*e)->hash != *hash || !span_eq(span_make((*e)->key, (*e)->key_n), key)))
        e = &(*e)->chain;
    return e;
}

static void unlink_lru(cache_t *c, entry_t *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(cache_t *c, entry_t *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(cache_t *c, entry_t **at)
{
    entry_t *e = *at;
    XASSERT(e);
    *at = e->chain;
    unlink_lru(c, e);
    c->n--;
    c->bytes -= e->val_n + e->key_n + sizeof *e;
    loop_defer(c->l, free, e->val);
    free(e);
}

const void *cache_get(cache_t *c, span_t key, size_t *n, int64_t *at_ns)
{
    uint64_t hash;
    entry_t *e = *slot(c, key, &hash);
    if (!e)
        return NULL;
    if (c->newest != e) {
        unlink_lru(c, e);
        link_newest(c, e);
    }
    *n = e->val_n;
    if (at_ns)
        *at_ns = e->at_ns;
    return e->val;
}

void cache_put(cache_t *c, span_t key, const void *val, size_t n, int64_t at_ns)
{
    uint64_t hash;
    entry_t **at = slot(c, key, &hash);
    XASSERT(key.n <= CACHE_KEY_MAX);
    if (*at)
        drop(c, at);
    entry_t *e = malloc(sizeof *e + key.n);
    void *copy = malloc(n ? n : 1);
    XASSERT(e && copy);
    memcpy(copy, val, n);
    *e = (entry_t){.hash = hash, .at_ns = at_ns, .val_n = n, .val = copy, .key_n = (unsigned)key.n};
    memcpy(e->key, key.p, key.n);
    e->chain = c->table[hash & c->mask];
    c->table[hash & c->mask] = e;
    link_newest(c, e);
    c->n++;
    c->bytes += n + key.n + sizeof *e;
    while (c->oldest != e && (c->n > c->max || c->bytes > c->bytes_max)) {
        entry_t *old = c->oldest;
        ctr_inc(c->evicted);
        drop(c, slot(c, span_make(old->key, old->key_n), &hash));
    }
}

void cache_restamp(cache_t *c, span_t key, int64_t at_ns)
{
    uint64_t hash;
    entry_t *e = *slot(c, key, &hash);
    if (e)
        e->at_ns = at_ns;
}

void cache_del(cache_t *c, span_t key)
{
    uint64_t hash;
    entry_t **at = slot(c, key, &hash);
    if (*at)
        drop(c, at);
}

unsigned cache_entries(const cache_t *c)
{
    return c->n;
}

void cache_free(cache_t *c)
{
    uint64_t hash;
    while (c->oldest)
        drop(c, slot(c, span_make(c->oldest->key, c->oldest->key_n), &hash));
    free(c->table);
    free(c);
}
