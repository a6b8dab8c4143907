/* The wallets of the simulated chain. What an address holds follows from its bytes, so every address has something to
 * show (one in eight is empty); a test may say otherwise for up to SIM_WALLETS addresses. Every token account exists at a
 * made-up address; its mint exists on the chain. */
#ifndef XORJ_SIM_WALLET_H
#define XORJ_SIM_WALLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SIM_WALLETS 64
#define SIM_MINTS 4096 /* tokens nobody knows: every fifth is Token-2022, decimals 0 to 9 */

typedef struct {
    uint8_t key[32];
    uint64_t lamports, usdc, usdt;
    unsigned tokens; /* of mints nobody knows */
} holding_t;

typedef struct {
    uint8_t mints[SIM_MINTS][32];
    holding_t said[SIM_WALLETS];
    unsigned said_n;
} sim_wallets_t;

void sim_wallets_init(sim_wallets_t *w);
void sim_wallet_of(const sim_wallets_t *w, const uint8_t key[32], holding_t *out);
xerr_t sim_wallet_say(sim_wallets_t *w, const holding_t *h); /* XE_FULL */

typedef struct {
    uint8_t key[32], mint[32];
    bool token2022;
    uint64_t amount;
} sim_token_t;
/* Token account i of a holding, in the order a node would list them; false: there is none. */
bool sim_wallet_token(const sim_wallets_t *w, const holding_t *h, unsigned i, sim_token_t *out);
void sim_token_encode(const sim_token_t *t, const uint8_t owner[32], buf_t *out);
/* A mint's account bytes. XE_NOT_FOUND: no mint of these wallets. */
xerr_t sim_mint(const sim_wallets_t *w, const uint8_t key[32], buf_t *out, bool *token2022);

#endif
