/* Well-known addresses of the simulated chain, and the accounts beside the pool: mints and vaults. */
#ifndef XORJ_SIM_ACCOUNT_H
#define XORJ_SIM_ACCOUNT_H

#include <stdint.h>

#include "base/buf.h"
#include "engine/dec.h"

#define ACCOUNT_LIST(X)                                                         \
    X(ACCOUNT_WHIRLPOOL_PROGRAM, "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc") \
    X(ACCOUNT_WHIRLPOOL_CONFIG, "2LecshUwdy9xi7meFgHtFJQNSKk4KdTrcpvaB56dP2NQ") \
    X(ACCOUNT_POOL, "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE")             \
    X(ACCOUNT_SOL_MINT, "So11111111111111111111111111111111111111112")          \
    X(ACCOUNT_USDC_MINT, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")        \
    X(ACCOUNT_VAULT_A, "EUuUbDcafPrmVTD5M6qoJAoyyNbihBhugADAxRMn5he9")          \
    X(ACCOUNT_VAULT_B, "2WLWEuKDgkDUccTpbwYp1GToYktiSB1cXvreHUwiSUVP")          \
    X(ACCOUNT_TOKEN_PROGRAM, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")

typedef enum {
#define X(id, text) id,
    ACCOUNT_LIST(X)
#undef X
} account_t;

void account_key(uint8_t out[32], account_t a);

#endif
