#include "handlers/tcache.h"

#include <stdlib.h>

#include "base/crypto.h"

enum { WAYS = 4, TOKEN_MIN = 64, TOKEN_MAX = 1024, MAC_TEXT = 43 };

typedef struct {
    uint64_t hash;
    uint32_t used_at; /* of the cache's own clock */
    uint16_t n;       /* 0: empty */
    char token[TOKEN_MAX];
    principal_t p;
} slot_t;

struct tcache {
    uint64_t sip[2];
    uint64_t mask; /* of sets */
    uint32_t clock;
    slot_t *slot;
};

tcache_t *tcache_new(unsigned entries, const uint64_t sip_key[2])
{
    tcache_t *t = calloc(1, sizeof *t);
    uint64_t sets = 1;
    if (!t) return NULL;
    while (sets * WAYS < entries) sets *= 2;
    t->mask = sets - 1;
    memcpy(t->sip, sip_key, sizeof t->sip);
    t->slot = calloc(sets * WAYS, sizeof *t->slot);
    if (!t->slot) {
        free(t);
        return NULL;
    }
    return t;
}

void tcache_free(tcache_t *t)
{
    if (!t) return;
    free(t->slot);
    free(t);
}

void tcache_clear(tcache_t *t)
{
    for (uint64_t i = 0; i < (t->mask + 1) * WAYS; i++) t->slot[i].n = 0, t->slot[i].hash = 0;
}

/* The MAC at the end of a token is as good as random, so it alone is the key of the table. */
static uint64_t hash_of(const tcache_t *t, span_t token)
{
    return siphash(t->sip, token.p + token.n - MAC_TEXT, MAC_TEXT);
}

/* What is secret is the MAC: that part is compared in constant time, the rest any caller may read for himself. */
static bool same(const slot_t *s, span_t token)
{
    size_t open = token.n - MAC_TEXT;
    return ct_equal(s->token + open, token.p + open, MAC_TEXT) && memcmp(s->token, token.p, open) == 0;
}

const principal_t *tcache_get(tcache_t *t, span_t token, int64_t now_s)
{
    if (token.n < TOKEN_MIN || token.n > TOKEN_MAX) return NULL;
    uint64_t hash = hash_of(t, token);
    slot_t *set = &t->slot[(hash & t->mask) * WAYS];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].hash != hash || set[i].n != token.n || !same(&set[i], token)) continue;
        if (set[i].p.c.expires_s <= now_s) return NULL;
        set[i].used_at = ++t->clock;
        return &set[i].p;
    }
    return NULL;
}

void tcache_put(tcache_t *t, span_t token, const principal_t *p)
{
    if (token.n < TOKEN_MIN || token.n > TOKEN_MAX) return;
    uint64_t hash = hash_of(t, token);
    slot_t *set = &t->slot[(hash & t->mask) * WAYS], *victim = set;
    for (int i = 0; i < WAYS; i++) {
        if (!set[i].n || (set[i].hash == hash && set[i].n == token.n)) {
            victim = &set[i];
            break;
        }
        if (t->clock - set[i].used_at > t->clock - victim->used_at) victim = &set[i];
    }
    victim->hash = hash;
    victim->n = (uint16_t)token.n;
    victim->used_at = ++t->clock;
    memcpy(victim->token, token.p, token.n);
    victim->p = *p;
}
