/* Whole transactions: built and signed byte for byte, read back, and refused when they are not whole. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "engine/tx.h"
#include "tests/vec_cmp.h"

#define IX_MAX 64
#define TABLE_KEYS_MAX 256
#define ROOM 4096 /* also what does not fit a packet is written */

typedef struct {
    ix_t ix[IX_MAX];
    uint8_t keys[TX_TABLES_MAX][TABLE_KEYS_MAX][32];
    tx_table_t tables[TX_TABLES_MAX];
    tx_plan_t plan;
    uint8_t msg[ROOM], tx[ROOM];
    size_t msg_n, tx_n;
} case_t;

static bool read_key(vv_t v, uint8_t out[32]) { return b58_key(vv_text(v), out) == XE_OK; }

static bool read_ix(vv_t v, ix_t *ix)
{
    uint8_t key[32];
    size_t n;
    if (!read_key(vv_get(v, "program"), key)) return false;
    ix_begin(ix, key);
    for (vv_t a = vv_first(vv_get(v, "accounts")); vv_has(a); a = vv_next(a)) {
        if (!read_key(vv_get(a, "pubkey"), key)) return false;
        ix_key(ix, key, (vv_bool(vv_get(a, "signer")) ? IX_SIGN : 0) | (vv_bool(vv_get(a, "writable")) ? IX_WRITE : 0));
    }
    uint8_t *data = vv_hex(vv_get(v, "data_hex"), &n);
    ix_bytes(ix, data, n);
    free(data);
    return true;
}

static bool read_tables(vv_t list, case_t *k)
{
    for (vv_t t = vv_first(list); vv_has(t); t = vv_next(t)) {
        if (k->plan.tables_n == TX_TABLES_MAX) return false;
        tx_table_t *out = &k->tables[k->plan.tables_n];
        if (!read_key(vv_get(t, "table"), out->key)) return false;
        out->n = 0;
        out->keys = k->keys[k->plan.tables_n][0];
        for (vv_t a = vv_first(vv_get(t, "addresses")); vv_has(a) && out->n < TABLE_KEYS_MAX; a = vv_next(a))
            if (!read_key(a, k->keys[k->plan.tables_n][out->n++])) return false;
        k->plan.tables_n++;
    }
    return true;
}

static bool read_case(vv_t v, case_t *k)
{
    vv_t tables = vv_find(v, "lookup_tables");
    k->plan = (tx_plan_t){.ix = k->ix, .tables = k->tables, .v0 = vv_has(tables)};
    if (!read_key(vv_get(v, "payer"), k->plan.payer) || !read_key(vv_get(v, "recent_blockhash"), k->plan.blockhash)) return false;
    for (vv_t i = vv_first(vv_get(v, "instructions")); vv_has(i); i = vv_next(i))
        if (k->plan.ix_n == IX_MAX || !read_ix(i, &k->ix[k->plan.ix_n++])) return false;
    return !vv_has(tables) || read_tables(tables, k);
}

static bool same_b64(vec_ctx_t *c, const char *what, const uint8_t *got, size_t n, vv_t want)
{
    size_t len;
    uint8_t *p = vv_b64(want, &len);
    bool ok = len == n && memcmp(p, got, n) == 0;
    free(p);
    return ok || vec_fail(c, "%s: %zu bytes differ from %zu", what, n, len);
}

/* Slots in the order of the keys; the secrets come in any order. Also for what is too long to be parsed. */
static bool sign_all(vec_ctx_t *c, vv_t v, case_t *k)
{
    size_t keys_at = (k->plan.v0 ? 1 : 0) + 4, n;
    for (vv_t s = vv_first(vv_get(v, "signers")); vv_has(s); s = vv_next(s)) {
        uint8_t *seed = vv_hex(vv_get(s, "seed_hex"), &n), key[32];
        bool ok = n == 32 && ed25519_public(seed, key) == XE_OK && same_key(c, "public key", key, vv_get(s, "pubkey"));
        xerr_t err = ok && k->tx_n <= TX_MAX ? tx_sign(k->tx, k->tx_n, seed) : XE_OK;
        for (size_t i = 0; ok && k->tx_n > TX_MAX && i < k->tx[0]; i++)
            if (memcmp(k->msg + keys_at + 32 * i, key, 32) == 0) err = ed25519_sign(seed, k->msg, k->msg_n, k->tx + 1 + 64 * i);
        free(seed);
        if (!ok || err) return vec_fail(c, "signing: %s", xerr_name(err));
    }
    return true;
}

static bool same_header(vec_ctx_t *c, const tx_view_t *t, vv_t e)
{
    vv_t h = vv_get(e, "header"), keys = vv_find(e, "account_keys");
    if (!vv_has(keys)) keys = vv_get(e, "static_keys");
    unsigned i = 0;
    if (t->keys_n != vv_len(keys)) return vec_fail(c, "%u keys", t->keys_n);
    for (vv_t k = vv_first(keys); vv_has(k); k = vv_next(k), i++)
        if (!same_key(c, "key", t->keys + 32 * (size_t)i, k)) return false;
    return same_num(c, "required", t->required, vv_at(h, 0)) && same_num(c, "readonly signed", t->readonly_signed, vv_at(h, 1)) &&
           same_num(c, "readonly unsigned", t->readonly_unsigned, vv_at(h, 2));
}

static bool same_indexes(vec_ctx_t *c, const uint8_t *got, size_t n, vv_t want)
{
    if (n != vv_len(want)) return vec_fail(c, "%zu indexes", n);
    for (size_t i = 0; i < n; i++)
        if (!same_num(c, "index", got[i], vv_at(want, i))) return false;
    return true;
}

static bool same_lookups(vec_ctx_t *c, const tx_view_t *t, vv_t list)
{
    const uint8_t *at = t->lookups;
    if (t->lookups_n != vv_len(list)) return vec_fail(c, "%u lookups", t->lookups_n);
    for (vv_t w = vv_first(list); vv_has(w); w = vv_next(w)) {
        tx_lookup_t l;
        tx_lookup_next(&at, &l);
        if (!same_key(c, "table", l.table, vv_get(w, "table")) || !same_indexes(c, l.writable, l.writable_n, vv_get(w, "writable")) ||
            !same_indexes(c, l.readonly, l.readonly_n, vv_get(w, "readonly"))) return false;
    }
    return true;
}

/* Instructions read back say what was put in. */
static bool same_instructions(vec_ctx_t *c, const tx_view_t *t, const case_t *k)
{
    const uint8_t *at = t->ix;
    if (t->ix_n != k->plan.ix_n) return vec_fail(c, "%u instructions", t->ix_n);
    for (unsigned i = 0; i < t->ix_n; i++) {
        const ix_t *want = &k->ix[i];
        tx_ix_t got;
        tx_ix_next(&at, &got);
        if (memcmp(t->keys + 32 * (size_t)got.program, want->program, 32) != 0 || got.accounts_n != want->accounts_n) return vec_fail(c, "instruction %u", i);
        if (got.data_n != want->data_n || (got.data_n && memcmp(got.data, want->data, got.data_n) != 0)) return vec_fail(c, "data of %u", i);
        for (unsigned a = 0; a < got.accounts_n; a++) {
            const ix_account_t *acc = &want->accounts[a];
            unsigned index = got.accounts[a];
            if (index < t->keys_n && memcmp(t->keys + 32 * (size_t)index, acc->key, 32) != 0) return vec_fail(c, "account %u of %u", a, i);
            if ((acc->signer && !tx_is_signer(t, index)) || (acc->writable && !tx_is_writable(t, index))) return vec_fail(c, "rights of %u of %u", a, i);
        }
    }
    return true;
}

static bool reads_back(vec_ctx_t *c, const case_t *k, vv_t e)
{
    tx_view_t t;
    vv_t lookups = vv_find(e, "lookups"), sigs = vv_get(e, "signatures");
    char text[2 * 64 + 2];
    xerr_t err = tx_parse(k->tx, k->tx_n, &t);
    if (!vv_bool(vv_get(e, "within_1232"))) return err == XE_TOO_BIG || vec_fail(c, "too long a packet: %s", xerr_name(err));
    if (err) return vec_fail(c, "not read back: %s", xerr_name(err));
    if (tx_verify(&t)) return vec_fail(c, "signatures do not hold");
    for (unsigned i = 0; i < t.sigs_n; i++) {
        size_t n = b58_encode(t.sigs + 64 * (size_t)i, 64, text, sizeof text);
        if (!span_eq(span_make(text, n), vv_text(vv_at(sigs, i)))) return vec_fail(c, "signature %u", i);
        if (i == 0 && !span_eq(span_make(text, n), vv_text(vv_get(e, "txid")))) return vec_fail(c, "txid");
    }
    return same_header(c, &t, e) && same_instructions(c, &t, k) && (!vv_has(lookups) || same_lookups(c, &t, lookups));
}

static bool check_tx(vec_ctx_t *c, vv_t v)
{
    static case_t k;
    vv_t e = vv_get(v, "expect");
    if (!read_case(v, &k)) return vec_fail(c, "case is not understood");
    xerr_t err = tx_compile(&k.plan, k.msg, sizeof k.msg, &k.msg_n);
    if (!err) err = tx_wrap(k.msg, k.msg_n, k.tx, sizeof k.tx, &k.tx_n);
    if (err) return vec_fail(c, "%s", xerr_name(err));
    return sign_all(c, v, &k) && same_b64(c, "message", k.msg, k.msg_n, vv_get(e, "message_b64")) &&
           same_b64(c, "transaction", k.tx, k.tx_n, vv_get(e, "tx_b64")) && same_num(c, "message_len", k.msg_n, vv_get(e, "message_len")) &&
           same_num(c, "tx_len", k.tx_n, vv_get(e, "tx_len")) && reads_back(c, &k, e);
}

static bool check_malformed(vec_ctx_t *c, vv_t v)
{
    tx_view_t t;
    size_t n;
    uint8_t *p = vv_b64(vv_get(v, "tx_b64"), &n);
    xerr_t err = tx_parse(p, n, &t);
    free(p);
    return err != XE_OK || vec_fail(c, "accepted");
}

const vec_row_t vec_tx_rows[] = {
    {"tx_legacy", check_tx},
    {"tx_v0", check_tx},
    {"tx_malformed", check_malformed},
    {NULL, NULL},
};
