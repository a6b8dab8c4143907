#include "storage/flight.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/err.h"

#define BUCKETS 1024

typedef struct waiter {
    struct waiter *next;
    void (*cb)(void);
    void *ctx;
} waiter_t;

struct flight {
    flight_t *chain;
    flights_t *all;
    waiter_t *head, *tail;
    bool tainted; /* and therefore in no bucket */
    unsigned key_n;
    char key[CACHE_KEY_MAX];
};

struct flights {
    uint64_t key[2];
    unsigned n;
    flight_t *at[BUCKETS];
};

flights_t *flights_new(void)
{
    flights_t *f = calloc(1, sizeof *f);
    XASSERT(f);
    random_bytes(f->key, sizeof f->key);
    return f;
}

void flights_free(flights_t *f)
{
    XASSERT(f->n == 0);
    free(f);
}

bool flights_empty(const flights_t *f)
{
    return f->n == 0;
}

static flight_t **slot(flights_t *f, span_t key)
{
    flight_t **g = &f->at[siphash(f->key, key.p, key.n) % BUCKETS];
    while (*g && !span_eq(flight_key(*g), key))
        g = &(*g)->chain;
    return g;
}

flight_t *flight_join(flights_t *f, span_t key, void (*cb)(void), void *ctx, bool *first)
{
    flight_t **at = slot(f, key), *g = *at;
    XASSERT(key.n <= CACHE_KEY_MAX);
    *first = g == NULL;
    if (!g) {
        g = calloc(1, sizeof *g);
        XASSERT(g);
        g->all = f;
        g->key_n = (unsigned)key.n;
        memcpy(g->key, key.p, key.n);
        *at = g;
        f->n++;
    }
    if (!cb)
        return g;
    waiter_t *w = malloc(sizeof *w);
    XASSERT(w);
    *w = (waiter_t){.cb = cb, .ctx = ctx};
    *(g->tail ? &g->tail->next : &g->head) = w;
    g->tail = w;
    return g;
}

span_t flight_key(const flight_t *g)
{
    return span_make(g->key, g->key_n);
}

void flight_taint(flights_t *f, span_t key)
{
    flight_t **at = slot(f, key), *g = *at;
    if (!g)
        return;
    *at = g->chain;
    g->chain = NULL;
    g->tainted = true;
}

bool flight_tainted(const flight_t *g)
{
    return g->tainted;
}

void flight_land(flight_t *g, void (*give)(void *arg, void (*cb)(void), void *ctx), void *arg)
{
    flight_taint(g->all, g->tainted ? span_make("", 0) : flight_key(g));
    while (g->head) {
        waiter_t *w = g->head;
        g->head = w->next;
        give(arg, w->cb, w->ctx);
        free(w);
    }
    g->all->n--;
    free(g);
}
