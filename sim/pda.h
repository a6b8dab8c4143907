/* Program-derived addresses of Solana: SHA-256 over seeds, bump, program and a fixed word, bump counted down from 255
 * until the result is no point of the Ed25519 curve. Pure. */
#ifndef XORJ_SIM_PDA_H
#define XORJ_SIM_PDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

bool pda_on_curve(const uint8_t key[32]);
/* At most 15 seeds of at most 32 bytes. XE_BAD_INPUT: more than that; XE_NOT_FOUND: no bump works. */
xerr_t pda_find(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32], uint8_t *bump);

#endif
