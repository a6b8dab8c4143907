/* The bonding curve of Pump.fun: a constant product over virtual reserves, until the real tokens are sold. Fees come from
 * a table by market cap that the fee program publishes; the caller brings it. Pure. */
#ifndef XORJ_ENGINE_PUMP_H
#define XORJ_ENGINE_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/dec.h"

#define PUMP_CURVE_MIN 49 /* bytes; the account has grown over time, and what an old one lacks is zero */

typedef struct {
    uint64_t virtual_token, virtual_quote, real_token, real_quote, supply;
    bool complete;             /* sold out: trading has moved elsewhere */
    bool mayhem, cashback, holder_reward;
    uint8_t creator[32], quote_mint[32]; /* zero: none; SOL */
    uint64_t creator_bps;      /* the curve's own rate; 0: the table's */
} pump_curve_t;

xerr_t pump_curve_decode(const uint8_t *p, size_t n, pump_curve_t *out); /* XE_BAD_INPUT: tag, length or flags */
bool pump_has_creator(const pump_curve_t *c);

typedef struct { uint64_t protocol_bps, creator_bps; } pump_fees_t;
typedef struct { u128_t cap_from; pump_fees_t fees; } pump_tier_t; /* ascending; the last one reached counts */

/* Lamports that the whole supply costs at the current price. XE_RANGE: no tokens, or beyond 128 bits. */
xerr_t pump_market_cap(const pump_curve_t *c, u128_t *out);
/* The fees at that market cap; one under the first tier pays the first. XE_BAD_INPUT: no tier. */
xerr_t pump_fees_at(const pump_curve_t *c, u128_t cap, const pump_tier_t *tiers, size_t n, pump_fees_t *out);

/* Whoever has no creator pays no creator fee. XE_BAD_INPUT: amount 0 or fees of 100 % and more. XE_CLOSED: complete.
 * XE_DEPTH: the curve does not hold that much. XE_RANGE: beyond 64 bits. */
xerr_t pump_buy_with(const pump_curve_t *c, const pump_fees_t *f, uint64_t quote, uint64_t *tokens); /* quote: all in all */
xerr_t pump_buy_cost(const pump_curve_t *c, const pump_fees_t *f, uint64_t tokens, uint64_t *quote); /* to pay all in all */
/* What a sale brings. With tiny amounts the fees exceed the price: the difference is then owed, and negative. */
xerr_t pump_sell(const pump_curve_t *c, const pump_fees_t *f, uint64_t tokens, int64_t *quote);

#endif
