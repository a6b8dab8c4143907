/* Transactions: the order of keys, both versions, signatures, and everything a strict reader must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "engine/keys.h"
#include "engine/swap_ix.h"
#include "engine/tx.h"

static const uint8_t seed[32] = {1, 2, 3}, seed_b[32] = {4, 5, 6};

static void fill(uint8_t key[32], uint8_t v) { memset(key, v, 32); }

static void known_keys(void **state)
{
    uint8_t key[32];
#define X(name, text)                                        \
    assert_int_equal(b58_key(SPAN_LIT(text), key), XE_OK);   \
    assert_memory_equal(key, key_##name, 32);
    SOL_KEY_LIST(X)
#undef X
}

/* RFC 8032, 7.1, test 1: the empty message. */
static void signing_is_the_standard_one(void **state)
{
    uint8_t secret[32], key[32], sig[64], want[64];
    size_t n;
    assert_int_equal(hex_decode(SPAN_LIT("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), secret, 32, &n), XE_OK);
    assert_int_equal(hex_decode(SPAN_LIT("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
                                want, 64, &n), XE_OK);
    assert_int_equal(ed25519_public(secret, key), XE_OK);
    assert_int_equal(ed25519_sign(secret, NULL, 0, sig), XE_OK);
    assert_memory_equal(sig, want, 64);
    assert_int_equal(ed25519_verify(key, NULL, 0, sig), XE_OK);
}

static void compact_lengths(void **state)
{
    for (unsigned v = 0; v <= UINT16_MAX; v++) {
        uint8_t b[3];
        uint16_t got = 1;
        size_t n = cu16_put((uint16_t)v, b);
        assert_int_equal(n, v < 0x80 ? 1 : v < 0x4000 ? 2 : 3);
        assert_int_equal(cu16_get(b, n, &got), n);
        assert_int_equal(got, v);
        assert_int_equal(cu16_get(b, n - 1, &got), 0);
    }
    static const uint8_t bad[][3] = {{0x80, 0x00}, {0xff, 0x80, 0x00}, {0xff, 0xff, 0x04}, {0xff, 0xff, 0xff}};
    uint16_t got;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(cu16_get(bad[i], 3, &got), 0);
}

/* ---- building ---- */

typedef struct {
    ix_t ix[3];
    tx_plan_t plan;
    uint8_t msg[TX_MAX], tx[TX_MAX];
    size_t msg_n, tx_n;
} world_t;

static void build(world_t *w)
{
    assert_int_equal(tx_compile(&w->plan, w->msg, sizeof w->msg, &w->msg_n), XE_OK);
    assert_int_equal(tx_wrap(w->msg, w->msg_n, w->tx, sizeof w->tx, &w->tx_n), XE_OK);
}

static void world(world_t *w)
{
    uint8_t to[32];
    memset(w, 0, sizeof *w);
    fill(to, 9);
    assert_int_equal(ed25519_public(seed, w->plan.payer), XE_OK);
    fill(w->plan.blockhash, 7);
    ix_transfer(&w->ix[0], w->plan.payer, to, 1000);
    w->plan.ix = w->ix;
    w->plan.ix_n = 1;
}

/* A transfer, every byte written out. */
static void legacy_transfer(void **state)
{
    world_t w;
    uint8_t want[256], *p = want;
    world(&w);
    build(&w);
    *p++ = 1, *p++ = 0, *p++ = 1, *p++ = 3;
    memcpy(p, w.plan.payer, 32), p += 32;
    memset(p, 9, 32), p += 32;
    memset(p, 0, 32), p += 32; /* the system program */
    memset(p, 7, 32), p += 32;
    static const uint8_t tail[] = {1, 2, 2, 0, 1, 12, 2, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0};
    memcpy(p, tail, sizeof tail), p += sizeof tail;
    assert_int_equal(w.msg_n, p - want);
    assert_memory_equal(w.msg, want, w.msg_n);
    assert_int_equal(w.tx_n, w.msg_n + 65);
}

static void rights_are_joined_and_grouped(void **state)
{
    world_t w;
    tx_view_t v;
    uint8_t a[32], b[32], c[32], prog[32];
    world(&w);
    fill(a, 0xa), fill(b, 0xb), fill(c, 0xc), fill(prog, 0xee);
    ix_begin(&w.ix[0], prog);
    ix_key(&w.ix[0], a, IX_READ);
    ix_key(&w.ix[0], b, IX_SIGN);
    ix_key(&w.ix[0], c, IX_WRITE);
    ix_begin(&w.ix[1], prog);
    ix_key(&w.ix[1], a, IX_WRITE);
    ix_key(&w.ix[1], w.plan.payer, IX_READ);
    w.plan.ix_n = 2;
    build(&w);
    assert_int_equal(tx_parse(w.tx, w.tx_n, &v), XE_OK);
    assert_true(v.required == 2 && v.readonly_signed == 1 && v.readonly_unsigned == 1 && v.keys_n == 5);
    const uint8_t *order[] = {w.plan.payer, b, a, c, prog};
    for (size_t i = 0; i < 5; i++) assert_memory_equal(v.keys + 32 * i, order[i], 32);
    static const bool writable[] = {true, false, true, true, false};
    for (unsigned i = 0; i < 5; i++) assert_int_equal(tx_is_writable(&v, i), writable[i]);
    assert_true(tx_is_signer(&v, 1) && !tx_is_signer(&v, 2));
}

/* The table holds every key; signers and programs stay in the message all the same. */
static void tables_take_what_they_may(void **state)
{
    world_t w;
    tx_view_t v;
    tx_lookup_t l;
    uint8_t prog[32], a[32], b[32], table[5][32];
    world(&w);
    fill(prog, 0xee), fill(a, 0xa), fill(b, 0xb);
    ix_begin(&w.ix[0], prog);
    ix_key(&w.ix[0], a, IX_READ);
    ix_key(&w.ix[0], b, IX_WRITE);
    memcpy(table[0], w.plan.payer, 32), memcpy(table[1], prog, 32), memcpy(table[2], a, 32), fill(table[3], 1), memcpy(table[4], b, 32);
    tx_table_t tables[2] = {{.keys = table[3], .n = 1}, {.keys = table[0], .n = 5}};
    fill(tables[0].key, 0x51), fill(tables[1].key, 0x52);
    w.plan.v0 = true;
    w.plan.tables = tables;
    w.plan.tables_n = 2;
    build(&w);
    assert_int_equal(w.msg[0], 0x80);
    assert_int_equal(tx_parse(w.tx, w.tx_n, &v), XE_OK);
    assert_true(v.v0 && v.keys_n == 2 && v.lookups_n == 1 && v.loaded_writable == 1 && v.loaded_readonly == 1);
    const uint8_t *at = v.lookups;
    tx_lookup_next(&at, &l);
    assert_memory_equal(l.table, tables[1].key, 32);
    assert_true(l.writable_n == 1 && l.writable[0] == 4 && l.readonly_n == 1 && l.readonly[0] == 2);
    assert_true(tx_is_writable(&v, 2) && !tx_is_writable(&v, 3));
}

static void what_does_not_fit_is_refused(void **state)
{
    static world_t w;
    uint8_t key[32], small[100];
    size_t n;
    world(&w);
    ix_begin(&w.ix[0], key_memo);
    for (unsigned i = 0; i < IX_ACCOUNTS_MAX; i++) fill(key, (uint8_t)(i + 1)), ix_key(&w.ix[0], key, IX_READ);
    assert_int_equal(tx_compile(&w.plan, w.msg, sizeof w.msg, &n), XE_TOO_BIG);
    ix_key(&w.ix[0], key, IX_READ);
    assert_true(w.ix[0].full);
    assert_int_equal(tx_compile(&w.plan, w.msg, sizeof w.msg, &n), XE_BAD_INPUT);
    world(&w);
    assert_int_equal(tx_compile(&w.plan, small, sizeof small, &n), XE_TOO_BIG);
}

/* ---- signing ---- */

static void two_signers(void **state)
{
    world_t w;
    tx_view_t v;
    uint8_t other[32], none[32] = {77};
    world(&w);
    assert_int_equal(ed25519_public(seed_b, other), XE_OK);
    ix_create_account(&w.ix[0], w.plan.payer, other, 5, 165, key_token);
    build(&w);
    assert_int_equal(tx_sign(w.tx, w.tx_n, seed_b), XE_OK);
    assert_int_equal(tx_parse(w.tx, w.tx_n, &v), XE_OK);
    assert_int_equal(tx_verify(&v), XE_AUTH);
    assert_int_equal(tx_sign(w.tx, w.tx_n, seed), XE_OK);
    assert_int_equal(tx_verify(&v), XE_OK);
    assert_int_equal(tx_sign(w.tx, w.tx_n, none), XE_NOT_FOUND);
    for (size_t i = 1 + 128; i < w.tx_n; i += 7) {
        w.tx[i] ^= 1;
        assert_true(tx_parse(w.tx, w.tx_n, &v) != XE_OK || tx_verify(&v) == XE_AUTH);
        w.tx[i] ^= 1;
    }
}

/* ---- reading ---- */

static xerr_t parse(const uint8_t *p, size_t n)
{
    tx_view_t v;
    uint8_t *exact = malloc(n + 1);
    memcpy(exact, p, n);
    xerr_t err = tx_parse(exact, n, &v);
    free(exact);
    return err;
}

static xerr_t changed(const world_t *w, size_t at, uint8_t to)
{
    uint8_t copy[TX_MAX];
    memcpy(copy, w->tx, w->tx_n);
    copy[at] = to;
    return parse(copy, w->tx_n);
}

static void broken_transactions_are_refused(void **state)
{
    world_t w;
    world(&w);
    build(&w);
    assert_int_equal(parse(w.tx, w.tx_n), XE_OK);
    for (size_t n = 0; n < w.tx_n; n++) assert_int_not_equal(parse(w.tx, n), XE_OK);
    memset(w.tx + w.tx_n, 0, 1);
    assert_int_equal(parse(w.tx, w.tx_n + 1), XE_BAD_INPUT);
    const size_t m = 65, ix = m + 4 + 96 + 32 + 1;
    assert_int_equal(changed(&w, 0, 0), XE_BAD_INPUT);
    assert_int_equal(changed(&w, m, 0x81), XE_UNSUPPORTED);
    assert_int_equal(changed(&w, m, 0), XE_BAD_INPUT);      /* nobody signs */
    assert_int_equal(changed(&w, m, 2), XE_BAD_INPUT);      /* more signatures than slots */
    assert_int_equal(changed(&w, m + 1, 1), XE_BAD_INPUT);  /* the payer must be writable */
    assert_int_equal(changed(&w, m + 2, 3), XE_BAD_INPUT);  /* more read-only keys than there are */
    assert_int_equal(changed(&w, ix, 0), XE_BAD_INPUT);     /* the payer as program */
    assert_int_equal(changed(&w, ix, 3), XE_BAD_INPUT);     /* no such program */
    assert_int_equal(changed(&w, ix + 3, 3), XE_BAD_INPUT); /* no such account */
    uint8_t twice[TX_MAX];
    memcpy(twice, w.tx, w.tx_n);
    memcpy(twice + m + 4 + 32, twice + m + 4, 32);
    assert_int_equal(parse(twice, w.tx_n), XE_BAD_INPUT);   /* a key twice */
    static uint8_t big[TX_MAX + 1];
    assert_int_equal(parse(big, sizeof big), XE_TOO_BIG);
}

/* ---- instructions ---- */

static void data_is(const ix_t *ix, const char *hex)
{
    char text[2 * 128 + 1];
    assert_true(ix->data_n <= 128);
    hex_encode(ix->data, ix->data_n, text);
    assert_string_equal(text, hex);
}

static void common_instructions(void **state)
{
    ix_t ix;
    uint8_t k[4][32], signers[2][32];
    for (uint8_t i = 0; i < 4; i++) fill(k[i], (uint8_t)(i + 1));
    fill(signers[0], 0x61), fill(signers[1], 0x62);
    ix_unit_limit(&ix, 1400000);
    data_is(&ix, "02c05c1500");
    ix_unit_price(&ix, 1);
    data_is(&ix, "030100000000000000");
    ix_token_t t = {.program = key_token, .source = k[0], .mint = k[1], .destination = k[2], .auth = {.owner = k[3]}, .amount = 258, .decimals = 6};
    ix_token_transfer_checked(&ix, &t);
    data_is(&ix, "0c020100000000000006");
    assert_true(ix.accounts_n == 4 && ix.accounts[3].signer && !ix.accounts[3].writable && ix.accounts[0].writable && !ix.accounts[1].writable);
    t.auth = (ix_auth_t){.owner = k[3], .signers = (const uint8_t(*)[32])signers, .signers_n = 2};
    ix_token_transfer(&ix, &t);
    assert_true(ix.accounts_n == 5 && !ix.accounts[2].signer && ix.accounts[3].signer && ix.accounts[4].signer);
    ix_advance_nonce(&ix, k[0], k[1]);
    data_is(&ix, "04000000");
    ix_memo(&ix, key_memo, SPAN_LIT("ok"), NULL);
    data_is(&ix, "6f6b");
    assert_int_equal(ix.accounts_n, 0);
}

static void swaps_name_amounts_in_their_order(void **state)
{
    ix_t ix;
    swap_args_t a = {.amount = 1, .other = 2, .exact_in = true, .a_to_b = true};
    ray_amm_swap_keys_t amm = {0};
    whirl_swap_keys_t whirl = {.extra_n = 2};
    ix_ray_amm_swap(&ix, &a, &amm);
    data_is(&ix, "1001000000000000000200000000000000");
    ix_whirl_swap_v2(&ix, &a, &whirl);
    assert_int_equal(ix.accounts_n, 17);
    data_is(&ix, "2b04ed0b1ac91e6201000000000000000200000000000000" "00000000000000000000000000000000" "01010101000000" "0602");
    a.exact_in = false; /* most to pay first, then the amount */
    ix_ray_amm_swap(&ix, &a, &amm);
    data_is(&ix, "1102000000000000000100000000000000");
}

static void tags(void **state)
{
    uint8_t tag[8];
    static const uint8_t whirlpool[8] = {0x3f, 0x95, 0xd1, 0x0c, 0xe1, 0x80, 0x63, 0x09};
    assert_int_equal(anchor_tag("account", SPAN_LIT("Whirlpool"), tag), XE_OK);
    assert_memory_equal(tag, whirlpool, 8);
    char longname[200];
    memset(longname, 'x', sizeof longname);
    assert_int_equal(anchor_tag("global", span_make(longname, sizeof longname), tag), XE_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_keys), cmocka_unit_test(signing_is_the_standard_one), cmocka_unit_test(compact_lengths),
        cmocka_unit_test(legacy_transfer), cmocka_unit_test(rights_are_joined_and_grouped), cmocka_unit_test(tables_take_what_they_may),
        cmocka_unit_test(what_does_not_fit_is_refused), cmocka_unit_test(two_signers), cmocka_unit_test(broken_transactions_are_refused),
        cmocka_unit_test(common_instructions), cmocka_unit_test(swaps_name_amounts_in_their_order), cmocka_unit_test(tags),
    };
    return cmocka_run_group_tests_name("tx", tests, NULL, NULL);
}
