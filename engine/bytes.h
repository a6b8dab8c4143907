/* Little-endian integers in account and instruction bytes. The caller has checked the length. */
#ifndef XORJ_ENGINE_BYTES_H
#define XORJ_ENGINE_BYTES_H

#include <stdint.h>
#include <string.h>

#include "engine/dec.h"

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | (unsigned)p[1] << 8); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16; }
static inline uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32; }
static inline u128_t get128(const uint8_t *p) { return (u128_t)get64(p) | (u128_t)get64(p + 8) << 64; }

static inline void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}

static inline void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static inline void put128(uint8_t *p, u128_t v)
{
    put64(p, (uint64_t)v);
    put64(p + 8, (uint64_t)(v >> 64));
}

#endif
