/* Unsigned 256-bit integers, as far as market products and pool mathematics need them. Values are plain structs; all
 * functions are pure. Overflow is told by a bool where it can happen, never wrapped in silence. */
#ifndef XORJ_ENGINE_U256_H
#define XORJ_ENGINE_U256_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/dec.h"

#define U128_MAX (~(u128_t)0)

typedef struct { u128_t lo, hi; } u256_t;

static inline u256_t u256_of(u128_t v) { return (u256_t){v, 0}; }
static inline bool u256_is_zero(u256_t a) { return (a.lo | a.hi) == 0; }
static inline bool u256_lt(u256_t a, u256_t b) { return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo; }
static inline bool u256_le(u256_t a, u256_t b) { return !u256_lt(b, a); }

u256_t u256_mul(u128_t a, u128_t b);                   /* exact */
bool u256_add(u256_t a, u256_t b, u256_t *out);        /* false: carry out of bit 255; out holds the wrapped sum */
u256_t u256_sub(u256_t a, u256_t b);                   /* a >= b is the caller's promise */
bool u256_shl64(u256_t a, u256_t *out);                /* false: bits lost */
u256_t u256_shr(u256_t a, unsigned bits);              /* bits < 256 */
/* Quotient and remainder; den must not be zero. */
u256_t u256_div(u256_t num, u256_t den, u256_t *rem);
/* Quotient rounded up or down; false when it does not fit 128 bits. */
bool u256_div_to_128(u256_t num, u256_t den, bool round_up, u128_t *out);

/* log2 of a Q64.64 number above 0, as Q32.32 rounded down; of the fraction, bits 31 down to `last` are computed. */
int64_t log2_x32(u128_t p, int last);

#endif
