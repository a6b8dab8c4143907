/* Solana transactions: from instructions to a message, legacy or version 0 with lookup tables, and back. The parser is
 * strict: what a validator's sanity check would refuse is refused, and nothing may stand behind the last byte. Pure. */
#ifndef XORJ_ENGINE_TX_H
#define XORJ_ENGINE_TX_H

#include "engine/instr.h"

#define TX_MAX 1232        /* bytes of a whole packet */
#define TX_KEYS_MAX 256    /* an index is one byte */
#define TX_TABLES_MAX 8
#define TX_SIGNERS_MAX 127 /* the first byte of a message must not look like a version */

/* compact-u16: 7 bits a byte, low first. Writes 1 to 3 bytes; reads as many and returns the count, 0 for what is cut off,
 * too long, beyond 65535 or not the shortest form. */
size_t cu16_put(uint16_t v, uint8_t out[3]);
size_t cu16_get(const uint8_t *p, size_t n, uint16_t *out);

/* ---- building ---- */

typedef struct { uint8_t key[32]; const uint8_t *keys; unsigned n; } tx_table_t; /* keys: n x 32, as lookup_table_decode gives */

typedef struct {
    uint8_t payer[32], blockhash[32];
    const ix_t *ix;
    unsigned ix_n;
    bool v0;
    const tx_table_t *tables;  /* v0: tried in this order */
    unsigned tables_n;
} tx_plan_t;

/* The message. Keys in order of first use, the payer first, each program before its accounts, flags joined; then the four
 * groups. XE_TOO_BIG: does not fit cap, or too many keys. XE_BAD_INPUT: an instruction that overflowed. */
xerr_t tx_compile(const tx_plan_t *plan, uint8_t *out, size_t cap, size_t *n);
/* A whole transaction of a message: its signature slots, all zero, in front. */
xerr_t tx_wrap(const uint8_t *msg, size_t msg_n, uint8_t *out, size_t cap, size_t *n);
/* Signs into the slot of this key. seed: the 32 bytes of the secret. XE_NOT_FOUND: the key is no signer. XE_BAD_INPUT:
 * not a transaction. */
xerr_t tx_sign(uint8_t *tx, size_t n, const uint8_t seed[32]);

/* ---- reading ---- */

/* Borrowed from the bytes parsed. */
typedef struct {
    const uint8_t *sigs, *msg, *keys, *blockhash;
    unsigned sigs_n, keys_n;    /* keys: the static ones */
    size_t msg_n;
    uint8_t required, readonly_signed, readonly_unsigned;
    bool v0;
    unsigned ix_n, lookups_n, loaded_writable, loaded_readonly;
    const uint8_t *ix, *lookups; /* encoded; walk them with the functions below */
} tx_view_t;

typedef struct { uint8_t program; const uint8_t *accounts, *data; uint16_t accounts_n, data_n; } tx_ix_t;
typedef struct { const uint8_t *table, *writable, *readonly; uint16_t writable_n, readonly_n; } tx_lookup_t;

/* XE_TOO_BIG: longer than a packet. XE_UNSUPPORTED: a version nobody here knows. XE_BAD_INPUT: anything else. */
xerr_t tx_parse(const uint8_t *p, size_t n, tx_view_t *out);
xerr_t tx_parse_message(const uint8_t *msg, size_t n, tx_view_t *out); /* sigs stay empty */
bool tx_is_signer(const tx_view_t *v, unsigned key);
bool tx_is_writable(const tx_view_t *v, unsigned key); /* indexes past the static keys: loaded ones */
/* In order; start with *at = v->ix (v->lookups) and call ix_n (lookups_n) times. */
void tx_ix_next(const uint8_t **at, tx_ix_t *out);
void tx_lookup_next(const uint8_t **at, tx_lookup_t *out);
/* Every signature present and right, as a validator judges it. XE_AUTH otherwise. */
xerr_t tx_verify(const tx_view_t *v);

#endif
