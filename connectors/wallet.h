/* Wallets read from the chain: SOL, SPL and Token-2022 accounts, with a cache of cache_ms, one read per wallet however
 * many ask, and the last known values with their age when the chain cannot be read.
 *
 * What an endpoint answers is believed only when it is what was asked: each account owned by the right token program, of
 * the right length, belonging to this wallet, named once. Anything else is refused with a counter and asked elsewhere. */
#ifndef XORJ_CONNECTORS_WALLET_H
#define XORJ_CONNECTORS_WALLET_H

#include "connectors/prices.h"
#include "connectors/rpc.h"
#include "engine/wallet.h"
#include "reactor/config.h"

typedef struct wallets wallets_t;

wallets_t *wallets_open(loop_t *l, metrics_t *m, rpc_t *rpc, prices_t *prices, const cfg_t *cfg);
/* Waiting callers get XE_CLOSED. Reads in flight may still come back: the last of it goes then. */
void wallets_free(wallets_t *w);
wallet_port_t wallets_port(wallets_t *w);

/* Answers of the chain, pure and for tests. XE_DENIED: an account of another program. XE_BAD_INPUT: nonsense, truncated,
 * or named twice. XE_CONFLICT: another wallet's account. */
#define PROGRAM_CLASSIC "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
#define PROGRAM_2022 "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
typedef struct { unsigned n, cap; wtoken_t *t; } wtokens_t;
void wtokens_fini(wtokens_t *w);
xerr_t wallet_read_lamports(span_t result, uint64_t *lamports, uint64_t *slot);
/* Adds what the answer to getTokenAccountsByOwner holds, mint by mint. */
xerr_t wallet_read_tokens(span_t result, const uint8_t owner[32], bool token2022, wtokens_t *out, uint64_t *slot);
/* Decimals of mints[0..n) from the answer to getMultipleAccounts; those that are no mint of the right program stay -1. */
xerr_t wallet_read_mints(span_t result, wtoken_t *const mints[], unsigned n);

#endif
