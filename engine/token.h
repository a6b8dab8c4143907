/* SPL Token and Token-2022 account bytes, the transfer fee, and two small system accounts that transactions need (lookup
 * table, durable nonce). Decoders borrow nothing and refuse with XE_BAD_INPUT whatever is not whole. The owning program
 * is the caller's to check: these layouts carry no tag. Pure. */
#ifndef XORJ_ENGINE_TOKEN_H
#define XORJ_ENGINE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOKEN_ACCOUNT_LEN 165
#define TOKEN_MINT_LEN 82
#define TOKEN_BPS_ONE 10000u

typedef struct { bool set; uint8_t key[32]; } opt_key_t;

/* ---- the transfer fee ---- */

typedef struct { uint64_t epoch, max; uint16_t bps; } token_fee_t;

/* What is held back of `amount`: the share rounded up, at most max. bps beyond 10000 counts as 10000. */
uint64_t token_fee_of(const token_fee_t *f, uint64_t amount);
/* The amount to send so that `net` arrives. XE_RANGE: beyond 64 bits. */
xerr_t token_gross_of(const token_fee_t *f, uint64_t net, uint64_t *out);

/* ---- extensions: records behind byte 165 ---- */

typedef enum {
    EXT_TRANSFER_FEE_CONFIG = 1, EXT_TRANSFER_FEE_AMOUNT = 2, EXT_MINT_CLOSE_AUTHORITY = 3, EXT_CONFIDENTIAL_TRANSFER = 4,
    EXT_DEFAULT_STATE = 6, EXT_IMMUTABLE_OWNER = 7, EXT_MEMO_REQUIRED = 8, EXT_NON_TRANSFERABLE = 9,
    EXT_INTEREST_BEARING = 10, EXT_CPI_GUARD = 11, EXT_PERMANENT_DELEGATE = 12, EXT_TRANSFER_HOOK = 14,
    EXT_METADATA_POINTER = 18, EXT_TOKEN_METADATA = 19, EXT_SCALED_AMOUNT = 25, EXT_PAUSABLE = 26,
} token_ext_kind_t;

typedef struct {
    uint16_t kind;         /* token_ext_kind_t or one nobody here knows */
    const uint8_t *value;  /* inside the account bytes */
    size_t n;
} token_ext_t;

/* Walks the records: start with *at = 0; false after the last. Call it only on bytes a decoder below accepted. */
bool token_ext_next(const uint8_t *p, size_t n, size_t *at, token_ext_t *out);
bool token_ext_find(const uint8_t *p, size_t n, token_ext_kind_t kind, token_ext_t *out);

/* ---- accounts ---- */

typedef enum { TOKEN_UNINITIALISED = 0, TOKEN_READY = 1, TOKEN_FROZEN = 2 } token_state_t;

typedef struct {
    uint8_t mint[32], owner[32];
    uint64_t amount;
    opt_key_t delegate, close_authority;
    uint64_t delegated;
    token_state_t state;
    bool native;
    uint64_t rent_reserve;     /* of a native account */
    bool memo_required, cpi_guard;
    uint64_t fee_withheld;     /* Token-2022; 0 otherwise */
} token_account_t;

typedef struct {
    opt_key_t authority, freeze_authority;
    uint64_t supply;
    uint8_t decimals;
    bool initialised;
    bool has_fee;
    token_fee_t older, newer;  /* has_fee */
    uint64_t fee_withheld;
    bool non_transferable, hooked, pausable; /* hooked: a transfer needs accounts of a program unknown here */
    uint8_t default_state;     /* token_state_t of new accounts; 0 when the mint does not say */
} token_mint_t;

/* Both programs: exactly 165 (82) bytes, or extensions behind an account type of the right kind. */
xerr_t token_account_decode(const uint8_t *p, size_t n, token_account_t *out);
xerr_t token_mint_decode(const uint8_t *p, size_t n, token_mint_t *out);
/* The fee in force at an epoch, or NULL when the mint takes none. */
const token_fee_t *token_fee_at(const token_mint_t *m, uint64_t epoch);

/* ---- lookup tables and nonces ---- */

#define LOOKUP_HEAD 56
#define LOOKUP_MAX 256

typedef struct {
    uint64_t closed_at;      /* slot of deactivation; UINT64_MAX: in use */
    uint64_t extended_at;
    uint8_t extended_from;   /* entries from here on are usable one slot later */
    opt_key_t authority;
    unsigned n;
    const uint8_t *keys;     /* n x 32 bytes, borrowed from the account bytes */
} lookup_table_t;
xerr_t lookup_table_decode(const uint8_t *p, size_t n, lookup_table_t *out);

#define NONCE_LEN 80
typedef struct { uint8_t authority[32], nonce[32]; uint64_t lamports_per_signature; } nonce_account_t;
xerr_t nonce_decode(const uint8_t *p, size_t n, nonce_account_t *out); /* initialised accounts only */

#endif
