#include "engine/instr.h"

#include <string.h>

#include "base/crypto.h"
#include "engine/bytes.h"
#include "engine/keys.h"
#include "engine/pda.h"

#define TAG_NAME_MAX 128

enum { SYS_CREATE = 0, SYS_TRANSFER = 2, SYS_ADVANCE_NONCE = 4 };
enum { BUDGET_HEAP = 1, BUDGET_LIMIT = 2, BUDGET_PRICE = 3, BUDGET_LOADED = 4 };
enum { TOK_TRANSFER = 3, TOK_APPROVE = 4, TOK_REVOKE = 5, TOK_CLOSE = 9, TOK_TRANSFER_CHECKED = 12, TOK_SYNC_NATIVE = 17,
       TOK_INIT_ACCOUNT_3 = 18, TOK_FEE_EXTENSION = 26, TOK_FEE_TRANSFER = 1 };
enum { TABLE_CREATE = 0, TABLE_EXTEND = 2 };

/* ---- pieces ------------------------------------------------------------------------------------------------------- */

void ix_begin(ix_t *ix, const uint8_t program[32])
{
    memcpy(ix->program, program, 32);
    ix->accounts_n = 0;
    ix->data_n = 0;
    ix->full = false;
}

void ix_key(ix_t *ix, const uint8_t key[32], ix_role_t role)
{
    if (ix->accounts_n == IX_ACCOUNTS_MAX) {
        ix->full = true;
        return;
    }
    ix_account_t *a = &ix->accounts[ix->accounts_n++];
    memcpy(a->key, key, 32);
    a->signer = role & IX_SIGN;
    a->writable = role & IX_WRITE;
}

void ix_bytes(ix_t *ix, const void *p, size_t n)
{
    if (n > sizeof ix->data - ix->data_n) {
        ix->full = true;
        return;
    }
    if (n) memcpy(ix->data + ix->data_n, p, n);
    ix->data_n += n;
}

void ix_u8(ix_t *ix, uint8_t v) { ix_bytes(ix, &v, 1); }

void ix_u32(ix_t *ix, uint32_t v)
{
    uint8_t b[4];
    put32(b, v);
    ix_bytes(ix, b, sizeof b);
}

void ix_u64(ix_t *ix, uint64_t v)
{
    uint8_t b[8];
    put64(b, v);
    ix_bytes(ix, b, sizeof b);
}

/* ---- system ------------------------------------------------------------------------------------------------------- */

void ix_transfer(ix_t *ix, const uint8_t from[32], const uint8_t to[32], uint64_t lamports)
{
    ix_begin(ix, key_system);
    ix_key(ix, from, IX_SIGN_WRITE);
    ix_key(ix, to, IX_WRITE);
    ix_u32(ix, SYS_TRANSFER);
    ix_u64(ix, lamports);
}

void ix_create_account(ix_t *ix, const uint8_t payer[32], const uint8_t fresh[32], uint64_t lamports, uint64_t space, const uint8_t owner[32])
{
    ix_begin(ix, key_system);
    ix_key(ix, payer, IX_SIGN_WRITE);
    ix_key(ix, fresh, IX_SIGN_WRITE);
    ix_u32(ix, SYS_CREATE);
    ix_u64(ix, lamports);
    ix_u64(ix, space);
    ix_bytes(ix, owner, 32);
}

void ix_advance_nonce(ix_t *ix, const uint8_t nonce[32], const uint8_t authority[32])
{
    ix_begin(ix, key_system);
    ix_key(ix, nonce, IX_WRITE);
    ix_key(ix, key_recent_blockhashes, IX_READ);
    ix_key(ix, authority, IX_SIGN);
    ix_u32(ix, SYS_ADVANCE_NONCE);
}

/* ---- compute budget ----------------------------------------------------------------------------------------------- */

static void budget_u32(ix_t *ix, uint8_t tag, uint32_t v)
{
    ix_begin(ix, key_compute);
    ix_u8(ix, tag);
    ix_u32(ix, v);
}

void ix_heap(ix_t *ix, uint32_t bytes) { budget_u32(ix, BUDGET_HEAP, bytes); }
void ix_unit_limit(ix_t *ix, uint32_t units) { budget_u32(ix, BUDGET_LIMIT, units); }
void ix_loaded_limit(ix_t *ix, uint32_t bytes) { budget_u32(ix, BUDGET_LOADED, bytes); }

void ix_unit_price(ix_t *ix, uint64_t micro_lamports)
{
    ix_begin(ix, key_compute);
    ix_u8(ix, BUDGET_PRICE);
    ix_u64(ix, micro_lamports);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

/* A multisig account does not sign itself. */
static void authority(ix_t *ix, const ix_auth_t *a)
{
    ix_key(ix, a->owner, a->signers_n ? IX_READ : IX_SIGN);
    for (unsigned i = 0; i < a->signers_n; i++) ix_key(ix, a->signers[i], IX_SIGN);
}

void ix_token_transfer(ix_t *ix, const ix_token_t *t)
{
    ix_begin(ix, t->program);
    ix_key(ix, t->source, IX_WRITE);
    ix_key(ix, t->destination, IX_WRITE);
    authority(ix, &t->auth);
    ix_u8(ix, TOK_TRANSFER);
    ix_u64(ix, t->amount);
}

static void checked_accounts(ix_t *ix, const ix_token_t *t)
{
    ix_begin(ix, t->program);
    ix_key(ix, t->source, IX_WRITE);
    ix_key(ix, t->mint, IX_READ);
    ix_key(ix, t->destination, IX_WRITE);
    authority(ix, &t->auth);
}

void ix_token_transfer_checked(ix_t *ix, const ix_token_t *t)
{
    checked_accounts(ix, t);
    ix_u8(ix, TOK_TRANSFER_CHECKED);
    ix_u64(ix, t->amount);
    ix_u8(ix, t->decimals);
}

void ix_token_transfer_with_fee(ix_t *ix, const ix_token_t *t)
{
    checked_accounts(ix, t);
    ix_u8(ix, TOK_FEE_EXTENSION);
    ix_u8(ix, TOK_FEE_TRANSFER);
    ix_u64(ix, t->amount);
    ix_u8(ix, t->decimals);
    ix_u64(ix, t->fee);
}

void ix_token_approve(ix_t *ix, const ix_token_t *t)
{
    ix_begin(ix, t->program);
    ix_key(ix, t->source, IX_WRITE);
    ix_key(ix, t->destination, IX_READ);
    authority(ix, &t->auth);
    ix_u8(ix, TOK_APPROVE);
    ix_u64(ix, t->amount);
}

void ix_token_revoke(ix_t *ix, const ix_token_t *t)
{
    ix_begin(ix, t->program);
    ix_key(ix, t->source, IX_WRITE);
    authority(ix, &t->auth);
    ix_u8(ix, TOK_REVOKE);
}

void ix_token_close(ix_t *ix, const ix_token_t *t)
{
    ix_begin(ix, t->program);
    ix_key(ix, t->source, IX_WRITE);
    ix_key(ix, t->destination, IX_WRITE);
    authority(ix, &t->auth);
    ix_u8(ix, TOK_CLOSE);
}

void ix_token_sync_native(ix_t *ix, const uint8_t program[32], const uint8_t account[32])
{
    ix_begin(ix, program);
    ix_key(ix, account, IX_WRITE);
    ix_u8(ix, TOK_SYNC_NATIVE);
}

void ix_token_init_account(ix_t *ix, const uint8_t program[32], const uint8_t account[32], const uint8_t mint[32], const uint8_t owner[32])
{
    ix_begin(ix, program);
    ix_key(ix, account, IX_WRITE);
    ix_key(ix, mint, IX_READ);
    ix_u8(ix, TOK_INIT_ACCOUNT_3);
    ix_bytes(ix, owner, 32);
}

static span_t key_span(const uint8_t key[32]) { return span_make((const char *)key, 32); }

xerr_t ata_address(const uint8_t owner[32], const uint8_t token_program[32], const uint8_t mint[32], uint8_t out[32])
{
    uint8_t bump;
    span_t seeds[] = {key_span(owner), key_span(token_program), key_span(mint)};
    return pda_find(seeds, 3, key_ata, out, &bump);
}

xerr_t ix_ata_create(ix_t *ix, const uint8_t payer[32], const uint8_t owner[32], const uint8_t token_program[32], const uint8_t mint[32],
                     bool idempotent)
{
    uint8_t ata[32];
    xerr_t err = ata_address(owner, token_program, mint, ata);
    if (err) return err;
    ix_begin(ix, key_ata);
    ix_key(ix, payer, IX_SIGN_WRITE);
    ix_key(ix, ata, IX_WRITE);
    ix_key(ix, owner, IX_READ);
    ix_key(ix, mint, IX_READ);
    ix_key(ix, key_system, IX_READ);
    ix_key(ix, token_program, IX_READ);
    if (idempotent) ix_u8(ix, 1);
    return XE_OK;
}

/* ---- memo, lookup tables ------------------------------------------------------------------------------------------ */

void ix_memo(ix_t *ix, const uint8_t program[32], span_t text, const uint8_t *signer)
{
    ix_begin(ix, program);
    if (signer) ix_key(ix, signer, IX_SIGN);
    ix_bytes(ix, text.p, text.n);
}

static void table_accounts(ix_t *ix, const uint8_t table[32], const uint8_t auth[32], const uint8_t payer[32])
{
    ix_begin(ix, key_lookup);
    ix_key(ix, table, IX_WRITE);
    ix_key(ix, auth, IX_SIGN);
    ix_key(ix, payer, IX_SIGN_WRITE);
    ix_key(ix, key_system, IX_READ);
}

xerr_t ix_table_create(ix_t *ix, const uint8_t auth[32], const uint8_t payer[32], uint64_t recent_slot, uint8_t table[32])
{
    uint8_t slot[8], bump;
    put64(slot, recent_slot);
    span_t seeds[] = {key_span(auth), span_make((const char *)slot, sizeof slot)};
    xerr_t err = pda_find(seeds, 2, key_lookup, table, &bump);
    if (err) return err;
    table_accounts(ix, table, auth, payer);
    ix_u32(ix, TABLE_CREATE);
    ix_u64(ix, recent_slot);
    ix_u8(ix, bump);
    return XE_OK;
}

void ix_table_extend(ix_t *ix, const uint8_t table[32], const uint8_t auth[32], const uint8_t payer[32], const uint8_t (*keys)[32], unsigned n)
{
    table_accounts(ix, table, auth, payer);
    ix_u32(ix, TABLE_EXTEND);
    ix_u64(ix, n);
    for (unsigned i = 0; i < n; i++) ix_bytes(ix, keys[i], 32);
}

/* ---- tags --------------------------------------------------------------------------------------------------------- */

xerr_t anchor_tag(const char *space, span_t name, uint8_t out[8])
{
    uint8_t hash[32];
    if (name.n > TAG_NAME_MAX) return XE_RANGE;
    sha256_ctx_t *h = sha256_new();
    sha256_add(h, space, strlen(space));
    sha256_add(h, ":", 1);
    sha256_add(h, name.p, name.n);
    sha256_end_free(h, hash);
    memcpy(out, hash, 8);
    return XE_OK;
}
