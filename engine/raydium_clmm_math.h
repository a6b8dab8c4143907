/* The pieces of a Raydium CLMM swap: ticks and prices, one step, the dynamic fee, the whole run with the program's own
 * refusals by name. ray_clmm_quote is what the rest of the house uses; this serves the engine and the vector runner. */
#ifndef XORJ_ENGINE_RAYDIUM_CLMM_MATH_H
#define XORJ_ENGINE_RAYDIUM_CLMM_MATH_H

#include "engine/raydium_clmm.h"

#define RAY_ERR_LIST(X)                                                     \
    X(NotApproved)                    /* the pool does not trade */         \
    X(SqrtPriceLimitOverflow)         /* limit on the wrong side */         \
    X(LiquidityInsufficient)          /* no further tick */                 \
    X(TooSmallInputOrOutputAmount)                                          \
    X(ZeroAmountSpecified)                                                  \
    X(PartialFill)                    /* without a limit all must trade */  \
    X(NotEnoughTickArrayAccount)      /* an array is not loaded */          \
    X(MissingTickArrayBitmapExtensionAccount)                               \
    X(LiquidityAddValueErr)                                                 \
    X(LiquiditySubValueErr)                                                 \
    X(MaxTokenOverflow)                                                     \
    X(SqrtPriceX64)                   /* price outside of the ticks */      \
    X(CalculateOverflow)                                                    \
    X(TransferFeeCalculateNotMatch)                                         \
    X(OutOfSteps)                     /* ours: given up */

typedef enum {
    RAY_FINE = 0,
#define X(name) RAY_##name,
    RAY_ERR_LIST(X)
#undef X
} ray_err_t;

const char *ray_err_name(ray_err_t e); /* "" when fine */

#define RAY_FEE_ONE 1000000u
#define RAY_FEE_MAX 100000u
#define RAY_SQRT_MIN ((u128_t)4295048016u)
#define RAY_SQRT_MAX (((u128_t)0xfffec4b1u << 64) | 0x845c1aa94e69579bu) /* 79226673521066979257578248091 */

xerr_t ray_sqrt_of_tick(int32_t tick, u128_t *out);
xerr_t ray_tick_of_sqrt(u128_t sqrt_price, int32_t *out);

/* Tokens between two prices; false: does not fit 64 bits. */
bool ray_delta_0(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out);
bool ray_delta_1(u128_t p, u128_t q, u128_t liquidity, bool round_up, uint64_t *out);

typedef struct {
    uint64_t remaining;
    uint32_t fee_rate;
    u128_t liquidity, price, target;
    bool exact_in, zero_for_one, fee_on_input;
} ray_step_ask_t;
typedef struct { uint64_t in, out, fee; u128_t next; } ray_step_t; /* a fee on the output is already taken off it */
ray_err_t ray_step(const ray_step_ask_t *ask, ray_step_t *out);

/* Resting orders at the price ask->price: like a step that does not move. `avail`: how much they offer. */
ray_err_t ray_fill(const ray_step_ask_t *ask, uint64_t avail, ray_step_t *out);

/* ---- the dynamic fee ---- */

typedef struct {
    ray_dynfee_t o;
    bool dynamic, down, skipped;
    uint32_t fixed;
    int32_t group, size;
} ray_fee_t;
bool ray_dynfee_sane(const ray_dynfee_t *d);
void ray_fee_begin(ray_fee_t *f, const ray_clmm_t *p, uint32_t fixed, bool down, uint64_t now);
uint32_t ray_fee_next(ray_fee_t *f, u128_t liquidity, u128_t target, u128_t *bounded);
void ray_fee_advance(ray_fee_t *f, u128_t price, bool on_tick, int32_t tick);

typedef struct {
    ray_clmm_quote_t q;
    u128_t fee_growth;       /* of the fee's token, after the swap */
    ray_dynfee_t dynfee;     /* as the program leaves it */
    uint64_t swapped_in, swapped_out;
} ray_run_t;
ray_err_t ray_clmm_run(const ray_clmm_t *p, const ray_clmm_config_t *c, const ray_array_t *arrays, size_t n,
                       const ray_clmm_ask_t *ask, ray_run_t *out);

#endif
