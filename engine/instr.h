/* Instructions of the programs every transaction meets: system, compute budget, SPL Token and Token-2022, associated
 * accounts, memo, lookup tables. One ix_t holds an instruction whole; each builder fills it from nothing. Pure. */
#ifndef XORJ_ENGINE_INSTR_H
#define XORJ_ENGINE_INSTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define IX_ACCOUNTS_MAX 64
#define IX_DATA_MAX 1232 /* more does not fit a transaction */

typedef struct { uint8_t key[32]; bool signer, writable; } ix_account_t;

typedef struct {
    uint8_t program[32];
    unsigned accounts_n;
    size_t data_n;
    bool full;               /* something did not fit: tx_compile refuses it */
    ix_account_t accounts[IX_ACCOUNTS_MAX];
    uint8_t data[IX_DATA_MAX];
} ix_t;

/* ---- pieces ---- */

typedef enum { IX_READ = 0, IX_WRITE = 1, IX_SIGN = 2, IX_SIGN_WRITE = 3 } ix_role_t;
void ix_begin(ix_t *ix, const uint8_t program[32]);
void ix_key(ix_t *ix, const uint8_t key[32], ix_role_t role);
void ix_bytes(ix_t *ix, const void *p, size_t n);
void ix_u8(ix_t *ix, uint8_t v);
void ix_u32(ix_t *ix, uint32_t v);
void ix_u64(ix_t *ix, uint64_t v);

/* ---- system ---- */

void ix_transfer(ix_t *ix, const uint8_t from[32], const uint8_t to[32], uint64_t lamports);
void ix_create_account(ix_t *ix, const uint8_t payer[32], const uint8_t fresh[32], uint64_t lamports, uint64_t space, const uint8_t owner[32]);
/* Must be the first instruction of its transaction. */
void ix_advance_nonce(ix_t *ix, const uint8_t nonce[32], const uint8_t authority[32]);

/* ---- compute budget ---- */

void ix_heap(ix_t *ix, uint32_t bytes);
void ix_unit_limit(ix_t *ix, uint32_t units);
void ix_unit_price(ix_t *ix, uint64_t micro_lamports);
void ix_loaded_limit(ix_t *ix, uint32_t bytes);

/* ---- tokens: program is key_token or key_token_2022 ---- */

/* Who may move a token account: its owner, or a multisig account with those of its signers who sign. */
typedef struct { const uint8_t *owner; const uint8_t (*signers)[32]; unsigned signers_n; } ix_auth_t;

typedef struct {
    const uint8_t *program, *source, *mint, *destination; /* mint: checked transfers only; destination: the delegate of an approval */
    ix_auth_t auth;
    uint64_t amount, fee;
    uint8_t decimals;
} ix_token_t;
void ix_token_transfer(ix_t *ix, const ix_token_t *t);
void ix_token_transfer_checked(ix_t *ix, const ix_token_t *t);
void ix_token_transfer_with_fee(ix_t *ix, const ix_token_t *t); /* Token-2022 */
void ix_token_approve(ix_t *ix, const ix_token_t *t);
void ix_token_revoke(ix_t *ix, const ix_token_t *t);
void ix_token_close(ix_t *ix, const ix_token_t *t);
void ix_token_sync_native(ix_t *ix, const uint8_t program[32], const uint8_t account[32]);
void ix_token_init_account(ix_t *ix, const uint8_t program[32], const uint8_t account[32], const uint8_t mint[32], const uint8_t owner[32]);

/* The associated account of owner and mint; XE_NOT_FOUND when no bump works, which nobody has met. */
xerr_t ata_address(const uint8_t owner[32], const uint8_t token_program[32], const uint8_t mint[32], uint8_t out[32]);
/* idempotent: no failure when the account exists. XE as ata_address. */
xerr_t ix_ata_create(ix_t *ix, const uint8_t payer[32], const uint8_t owner[32], const uint8_t token_program[32], const uint8_t mint[32],
                     bool idempotent);

/* ---- memo, lookup tables ---- */

void ix_memo(ix_t *ix, const uint8_t program[32], span_t text, const uint8_t *signer); /* signer may be NULL */
/* table: the address it will have. */
xerr_t ix_table_create(ix_t *ix, const uint8_t authority[32], const uint8_t payer[32], uint64_t recent_slot, uint8_t table[32]);
void ix_table_extend(ix_t *ix, const uint8_t table[32], const uint8_t authority[32], const uint8_t payer[32], const uint8_t (*keys)[32], unsigned n);

/* ---- tags of Anchor programs ---- */

/* First 8 bytes of SHA-256("account:Name"), ("global:name"), ("event:Name"); XE_RANGE: name longer than 128. */
xerr_t anchor_tag(const char *space, span_t name, uint8_t out[8]);

#endif
