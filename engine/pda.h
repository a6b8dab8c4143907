/* Program-derived addresses of Solana: SHA-256 over seeds, bump, program and a fixed suffix, taking the first bump from
 * 255 downwards whose hash is no point of Ed25519. Pure. */
#ifndef XORJ_ENGINE_PDA_H
#define XORJ_ENGINE_PDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define PDA_SEEDS_MAX 16 /* the bump included */
#define PDA_SEED_BYTES 32

/* Are the 32 bytes the canonical encoding of a point? As the common client library decides; the validator also takes y
 * past the modulus and a sign on x = 0, which no hash will ever meet: 38 encodings of 2^256. */
bool pda_on_curve(const uint8_t key[32]);
/* With the bump as last seed, or none. XE_BAD_INPUT: too many or too long seeds. XE_DENIED: the hash is a point. */
xerr_t pda_create(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32]);
/* out and bump are the first that is no point. XE_BAD_INPUT as above, one seed less; XE_NOT_FOUND: no bump works. */
xerr_t pda_find(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32], uint8_t *bump);
/* The address SHA-256(base || seed || owner). XE_BAD_INPUT: seed longer than 32 bytes, or an owner whose last bytes
 * would let it pass for a derivation from seeds. */
xerr_t pda_with_seed(const uint8_t base[32], span_t seed, const uint8_t owner[32], uint8_t out[32]);

#endif
