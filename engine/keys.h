/* Addresses that are part of the protocols: programs, sysvars, mints. Facts, not configuration. */
#ifndef XORJ_ENGINE_KEYS_H
#define XORJ_ENGINE_KEYS_H

#include <stdint.h>

/* name, base58 */
#define SOL_KEY_LIST(X) \
    X(system, "11111111111111111111111111111111") \
    X(token, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA") \
    X(token_2022, "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb") \
    X(ata, "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL") \
    X(compute, "ComputeBudget111111111111111111111111111111") \
    X(memo, "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr") \
    X(memo_v1, "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo") \
    X(lookup, "AddressLookupTab1e1111111111111111111111111") \
    X(recent_blockhashes, "SysvarRecentB1ockHashes11111111111111111111") \
    X(wsol, "So11111111111111111111111111111111111111112") \
    X(usdc, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v") \
    X(whirlpool, "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc") \
    X(ray_amm, "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8") \
    X(ray_amm_authority, "5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1") \
    X(ray_cpmm, "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C") \
    X(ray_cpmm_authority, "GpMZbSM2GgvTKHJirzeGfMFoaZ8UR2X7F4v8vHTvxFbL") \
    X(ray_clmm, "CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK") \
    X(pump, "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P")

#define X(name, text) extern const uint8_t key_##name[32]; /* text */
SOL_KEY_LIST(X)
#undef X

#endif
