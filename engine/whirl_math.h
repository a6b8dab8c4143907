/* The pieces of a Whirlpool swap, with the program's own refusals by name: price steps, amounts, and the whole run over
 * a given sequence of tick arrays. whirl_quote in engine/whirl.h is what the rest of the house uses; this header serves
 * the engine itself and the vector runner. Pure. */
#ifndef XORJ_ENGINE_WHIRL_MATH_H
#define XORJ_ENGINE_WHIRL_MATH_H

#include "engine/whirl.h"

#define WHIRL_ERR_LIST(X)                         \
    X(DivideByZero, 6006)                         \
    X(SqrtPriceOutOfBounds, 6011)                 \
    X(LiquidityOverflow, 6014)                    \
    X(LiquidityUnderflow, 6015)                   \
    X(TokenMaxExceeded, 6017)                     \
    X(TokenMinSubceeded, 6018)                    \
    X(InvalidTimestamp, 6022)                     \
    X(InvalidTickArraySequence, 6023)             \
    X(MultiplicationShiftRightOverflow, 6030)     \
    X(MultiplicationOverflow, 6033)               \
    X(InvalidSqrtPriceLimitDirection, 6034)       \
    X(ZeroTradableAmount, 6035)                   \
    X(TickArraySequenceInvalidIndex, 6038)        \
    X(AmountCalcOverflow, 6039)                   \
    X(AmountRemainingOverflow, 6040)              \
    X(TransferFeeCalculationError, 6052)          \
    X(PartialFillError, 6057)

typedef enum {
    WHIRL_FINE = 0,
    WHIRL_OutOfSteps = 1, /* none of the program's: the run was given up, as its compute budget would */
#define X(name, n) WHIRL_##name = (n),
    WHIRL_ERR_LIST(X)
#undef X
} whirl_err_t;

const char *whirl_err_name(whirl_err_t e); /* "TokenMaxExceeded"; "" when fine */

#define WHIRL_FEE_ONE 1000000u       /* fee rates are millionths */
#define WHIRL_SHARE_ONE 10000u       /* the protocol's share of the fee, ten-thousandths */
#define WHIRL_SQRT_MIN ((u128_t)4295048016u)
#define WHIRL_SQRT_MAX (((u128_t)0xfffec4b1u << 64) | 0x35bb7f32a81b33afu) /* 79226673515401279992447579055 */

/* Tokens between two prices. TokenMaxExceeded: does not fit u64; *Overflow: the program's products do not fit. */
whirl_err_t whirl_delta_a(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out);
whirl_err_t whirl_delta_b(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out);

/* Price after `amount` of one token went in (or came out). */
whirl_err_t whirl_next_from_a(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out);
whirl_err_t whirl_next_from_b(u128_t p, u128_t liquidity, uint64_t amount, bool in, u128_t *out);

typedef struct {
    uint64_t remaining;
    uint32_t fee_rate;
    u128_t liquidity, price, target;
    bool exact_in, a_to_b;
} whirl_step_ask_t;

typedef struct {
    uint64_t in, out, fee;
    u128_t next;
    bool reached;
} whirl_step_t;

whirl_err_t whirl_step(const whirl_step_ask_t *ask, whirl_step_t *out);

/* Start ticks of the arrays a swap reads, in order, at most three; returns how many. */
unsigned whirl_sequence(int32_t tick, unsigned tick_spacing, bool a_to_b, int32_t starts[3]);

typedef struct {
    whirl_quote_t q;
    u128_t fee_growth;      /* added to the input side's global growth, wraps */
    uint64_t protocol_fee;
    unsigned steps, arrays_read;
    uint64_t swapped_in, swapped_out; /* what the pool itself takes and gives */
    uint32_t fee_rate_low, fee_rate_high; /* over all steps */
    whirl_oracle_t oracle;  /* as the program leaves it; all zero for a static fee */
    bool at_gap;            /* reached the end of what is loaded though the program would go on with the next array */
} whirl_run_t;

/* What the program does with exactly these arrays (any order). at_gap: the result is the program's answer for these
 * accounts, but another array, had it been given, could have changed it. An adaptive pool without ask->oracle runs with
 * its static fee alone. */
whirl_err_t whirl_run(const whirl_pool_t *pool, const whirl_array_t *arrays, size_t n, const whirl_ask_t *ask, whirl_run_t *out);

#endif
