/* The simulator's own random numbers (xoshiro256** seeded by splitmix64): the same seed gives the same market on every
 * machine. Nothing secret is made from them. */
#ifndef XORJ_SIM_RNG_H
#define XORJ_SIM_RNG_H

#include <stdint.h>

typedef struct {
    uint64_t s[4];
} rng_t;

static inline uint64_t rng_mix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline void rng_init(rng_t *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) r->s[i] = rng_mix(&seed);
}

static inline uint64_t rng_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t rng_next(rng_t *r)
{
    uint64_t out = rng_rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rng_rotl(r->s[3], 45);
    return out;
}

/* Evenly in lo..hi, both ends included; lo <= hi. The bias of the remainder does not matter for a market. */
static inline int64_t rng_range(rng_t *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(rng_next(r) % ((uint64_t)(hi - lo) + 1));
}

static inline int rng_chance(rng_t *r, unsigned percent)
{
    return rng_next(r) % 100 < percent;
}

#endif
