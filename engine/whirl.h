/* Orca Whirlpool mathematics (concentrated liquidity, Q64.64 square-root prices): account decoding and exact quotes
 * with the program's rounding, in 128- and 256-bit integers, checked against published and on-chain vectors. A pool with
 * an adaptive fee is quoted with its oracle and the chain's time, and refused without (XE_UNSUPPORTED). Pure. */
#ifndef XORJ_ENGINE_WHIRL_H
#define XORJ_ENGINE_WHIRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/dec.h"
#include "engine/token.h"

#define WHIRL_TICK_MIN (-443636)
#define WHIRL_TICK_MAX 443636
#define WHIRL_ARRAY_TICKS 88
#define WHIRL_ARRAYS_MAX 7 /* loaded around the price */
#define WHIRL_POOL_LEN 653
#define WHIRL_ORACLE_LEN 254

typedef struct {
    uint16_t tick_spacing, fee_tier_index;
    uint16_t fee_rate;      /* 1e-6 */
    uint16_t protocol_rate; /* 1e-4 of the fee */
    u128_t liquidity, sqrt_price;
    int32_t tick;
    uint8_t mint_a[32], mint_b[32], vault_a[32], vault_b[32];
} whirl_pool_t;

typedef struct { int32_t index; i128_t net; u128_t gross; } whirl_tick_t; /* initialised ticks only */
typedef struct {
    int32_t start;
    bool missing; /* the account does not exist: legal, holds no ticks */
    unsigned n;
    uint8_t pool[32]; /* the pool this array says it belongs to; the caller compares */
    whirl_tick_t ticks[WHIRL_ARRAY_TICKS]; /* ascending */
} whirl_array_t;

xerr_t whirl_pool_decode(const uint8_t *p, size_t n, whirl_pool_t *out);   /* XE_BAD_INPUT: tag or length */
xerr_t whirl_array_decode(const uint8_t *p, size_t n, unsigned tick_spacing, whirl_array_t *out); /* fixed and dynamic */

/* The oracle account of a pool with an adaptive fee: constants and the running state of its volatility. */
typedef struct {
    uint8_t pool[32];
    uint64_t enabled_from, last_reference_at, last_major_at;
    uint16_t filter_period, decay_period, reduction, group_size, major_ticks;
    uint32_t control, volatility_max, volatility_reference, volatility;
    int32_t group_reference;
} whirl_oracle_t;
xerr_t whirl_oracle_decode(const uint8_t *p, size_t n, whirl_oracle_t *out);
/* Is it one that this pool can have? What the fee's arithmetic divides by and multiplies stays in range then. */
bool whirl_oracle_sane(const whirl_oracle_t *o, const whirl_pool_t *pool);

int32_t whirl_array_start(int32_t tick, unsigned tick_spacing);

xerr_t whirl_sqrt_of_tick(int32_t tick, u128_t *out);
xerr_t whirl_tick_of_sqrt(u128_t sqrt_price, int32_t *out);

/* The fee of such a pool changes with every swap; all others have a fee-tier index equal to their tick spacing. */
static inline bool whirl_adaptive(const whirl_pool_t *p) { return p->fee_tier_index != p->tick_spacing; }

typedef struct {
    uint64_t amount;   /* base units of the fixed token, as the user names it: transfer fees included */
    bool exact_in, a_to_b;
    u128_t sqrt_limit; /* 0: none */
    const whirl_oracle_t *oracle;       /* of an adaptive pool; NULL: none known */
    uint64_t now;                       /* chain time in seconds, with an oracle */
    const token_fee_t *fee_a, *fee_b;   /* Token-2022 transfer fees in force; NULL: none */
} whirl_ask_t;

typedef struct {
    uint64_t in, out;  /* base units, what the user pays and receives: after transfer fees */
    uint64_t fee;      /* the pool's, in the input token */
    u128_t sqrt_after, liquidity_after;
    int32_t tick_after;
    uint64_t unfilled; /* of an exact-in amount that met its limit: check it */
    unsigned crossed;
    uint16_t program_error; /* with a failure: what the program would answer; 0 when an array is not loaded or refused by rule */
} whirl_quote_t;

/* Arrays: any order, those the caller has. A swap reads three at most. XE_DEPTH: it would leave the loaded arrays (never
 * a guess), or what one swap can reach (out->program_error is then not 0). XE_RANGE: an amount or product the program
 * itself refuses. XE_BAD_INPUT: amount 0, limit on the wrong side, or an oracle that cannot be. XE_STALE: the oracle is
 * of a later time than `now`. XE_DENIED: trading has not begun. XE_UNSUPPORTED: adaptive, and no oracle. */
xerr_t whirl_quote(const whirl_pool_t *pool, const whirl_array_t *arrays, size_t n, const whirl_ask_t *ask, whirl_quote_t *out);

#endif
