/* What a wallet holds and what it is worth: values, the arithmetic over them, and the port through which the face asks
 * for them (handlers cannot see connectors; app/ joins the two). Pure; amounts are base units, dollars are usd_t.
 *
 * A price is never invented: without one the dollar fields are unknown. USD, USDC and USDT are different things; only for
 * the two coins may 1:1 stand in for a missing price, and then it says so. */
#ifndef XORJ_ENGINE_WALLET_H
#define XORJ_ENGINE_WALLET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/dec.h"

/* X(id, symbol, mint, decimals) */
#define ASSET_LIST(X)                                                       \
    X(SOL, "SOL", "So11111111111111111111111111111111111111112", 9)         \
    X(USDC, "USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", 6)      \
    X(USDT, "USDT", "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", 6)
typedef enum {
#define X(id, symbol, mint, decimals) ASSET_##id,
    ASSET_LIST(X)
#undef X
    ASSET_N /* also: none of these */
} asset_t;
const char *asset_symbol(asset_t a); /* NULL for ASSET_N */
const char *asset_mint(asset_t a);   /* NULL for ASSET_N */
unsigned asset_decimals(asset_t a);

/* ---- prices ---- */

typedef enum {
    PRICE_NONE,  /* never known, too old, or the sources contradict each other */
    PRICE_STALE, /* the last one agreed upon, older than it should be */
    PRICE_GOOD
} price_state_t;

typedef struct {
    price_state_t state;
    px_t usd;             /* per whole unit; meaningless with PRICE_NONE */
    int64_t age_ms;       /* since the source's own time */
    unsigned confidence;  /* 0..100 */
    unsigned sources;     /* that agree */
    const char *source;   /* whose figure it is; literal */
    bool disputed;        /* sources contradict each other now */
} price_t;

/* ---- holdings ---- */

#define WALLET_TOKENS_MAX 512

typedef struct {
    uint8_t mint[32];
    uint64_t amount;      /* base units, all accounts of the mint together */
    int16_t decimals;     /* -1: not known */
    asset_t asset;        /* ASSET_N: unknown here */
    bool token2022;
    bool frozen;          /* at least one of the accounts */
} wtoken_t;

typedef struct {
    uint8_t key[32];
    uint64_t lamports;
    uint64_t slot;        /* oldest slot of the answers it was read from */
    int64_t read_us;      /* wall time */
    bool truncated;       /* more tokens exist than are listed */
    unsigned tokens_n;
    wtoken_t tokens[];    /* known assets first */
} wallet_t;

/* Base units as a quantity; digits past 1e-12 are cut. XE_RANGE: more than 38 decimals. */
xerr_t wallet_qty(uint64_t amount, unsigned decimals, qty_t *out);

/* ---- worth ---- */

typedef struct { bool known, assumed; usd_t usd; } worth_t; /* assumed: 1:1 for want of a price */

typedef struct {
    worth_t sol, total;   /* total.assumed: a part of it is */
    bool stale_price;     /* a stale price is part of it */
    bool partial;         /* tokens of unknown worth are held beside it */
    usd_t investable;     /* total less the larger of 2 % and 10 dollars; valid when total.known */
    bool insufficient;    /* less than 1 dollar can be invested; valid when total.known */
} wallet_worth_t;

worth_t wallet_token_worth(const wtoken_t *t, const price_t prices[ASSET_N]);
void wallet_worth(const wallet_t *w, const price_t prices[ASSET_N], wallet_worth_t *out);

/* ---- the port ---- */

typedef struct {
    const wallet_t *w;         /* borrowed until the loop's next turn */
    price_t prices[ASSET_N];
    bool stale;                /* older than the cache's time: the chain could not be read */
    int64_t age_ms;
} wallet_view_t;

typedef void (*wallet_cb)(void *ctx, xerr_t err, const wallet_view_t *v);

typedef struct {
    /* A fresh answer from memory, at once. */
    bool (*peek)(void *ctx, const uint8_t key[32], wallet_view_t *out);
    /* Else: cb exactly once, never before this returned. XE_DOWN, XE_TIMEOUT, XE_FULL: nothing is known and the chain
     * cannot be read now. XE_BAD_INPUT: it answered nonsense. XE_UNSUPPORTED: no endpoint is configured. */
    void (*get)(void *ctx, const uint8_t key[32], wallet_cb cb, void *cb_ctx);
    void *ctx;
} wallet_port_t;

#endif
