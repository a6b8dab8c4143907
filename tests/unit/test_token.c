/* Token accounts and mints built here byte by byte, whole and broken; transfer fees both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bytes.h"
#include "engine/token.h"

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* ---- fees ---- */

static void fee_is_rounded_up_and_capped(void **state)
{
    token_fee_t f = {.bps = 100, .max = 5000};
    assert_int_equal(token_fee_of(&f, 10000), 100);
    assert_int_equal(token_fee_of(&f, 10001), 101);
    assert_int_equal(token_fee_of(&f, 1), 1);
    assert_int_equal(token_fee_of(&f, 0), 0);
    assert_int_equal(token_fee_of(&f, 1000000), 5000);
    f.bps = 0;
    assert_int_equal(token_fee_of(&f, UINT64_MAX), 0);
    f = (token_fee_t){.bps = 10000, .max = UINT64_MAX};
    assert_true(token_fee_of(&f, UINT64_MAX) == UINT64_MAX);
}

static void gross_is_the_least_that_arrives(void **state)
{
    for (int i = 0; i < 20000; i++) {
        token_fee_t f = {.bps = (uint16_t)(next() % 10000), .max = next() >> (next() % 64)};
        uint64_t net = next() >> (1 + next() % 63), gross;
        if (token_gross_of(&f, net, &gross)) continue;
        assert_true(gross - token_fee_of(&f, gross) >= net);
        if (gross > net) assert_true(gross - 1 - token_fee_of(&f, gross - 1) <= net);
    }
}

static void gross_has_its_corners(void **state)
{
    token_fee_t f = {.bps = 10000, .max = 7};
    uint64_t v = 0;
    assert_int_equal(token_gross_of(&f, 0, &v), XE_OK);
    assert_int_equal(v, 0);
    assert_int_equal(token_gross_of(&f, 100, &v), XE_OK);
    assert_int_equal(v, 107);
    f.max = UINT64_MAX;
    assert_int_equal(token_gross_of(&f, 1, &v), XE_RANGE);
    f = (token_fee_t){.bps = 9999, .max = UINT64_MAX};
    assert_int_equal(token_gross_of(&f, UINT64_MAX / 2, &v), XE_RANGE);
}

/* ---- bytes ---- */

static size_t account(uint8_t *b)
{
    memset(b, 0, 400);
    memset(b, 1, 32);
    memset(b + 32, 2, 32);
    put64(b + 64, 12345);
    b[108] = TOKEN_READY;
    return TOKEN_ACCOUNT_LEN;
}

static size_t add(uint8_t *b, size_t n, uint16_t kind, uint16_t len, uint8_t fill)
{
    put16(b + n, kind);
    put16(b + n + 2, len);
    memset(b + n + 4, fill, len);
    return n + 4 + len;
}

static void account_fields(void **state)
{
    uint8_t b[400];
    token_account_t a;
    size_t n = account(b);
    put32(b + 72, 1);
    memset(b + 76, 3, 32);
    put32(b + 109, 1);
    put64(b + 113, 2039280);
    put64(b + 121, 99);
    assert_int_equal(token_account_decode(b, n, &a), XE_OK);
    assert_int_equal(a.amount, 12345);
    assert_true(a.delegate.set && a.delegate.key[31] == 3 && !a.close_authority.set);
    assert_true(a.native && a.rent_reserve == 2039280 && a.delegated == 99 && a.state == TOKEN_READY);
}

static void account_extensions(void **state)
{
    uint8_t b[400];
    token_account_t a;
    token_ext_t x;
    size_t n = account(b), at = 0;
    b[n++] = 2;
    n = add(b, n, EXT_IMMUTABLE_OWNER, 0, 0);
    n = add(b, n, EXT_TRANSFER_FEE_AMOUNT, 8, 0);
    b[n - 8] = 77;
    n = add(b, n, EXT_MEMO_REQUIRED, 1, 1);
    n = add(b, n, 999, 5, 9); /* unknown kinds are passed over */
    assert_int_equal(token_account_decode(b, n, &a), XE_OK);
    assert_true(a.fee_withheld == 77 && a.memo_required && !a.cpi_guard);
    for (unsigned i = 0; i < 4; i++) assert_true(token_ext_next(b, n, &at, &x));
    assert_false(token_ext_next(b, n, &at, &x));
    assert_true(token_ext_find(b, n, EXT_IMMUTABLE_OWNER, &x) && x.n == 0);
}

static void broken_accounts_are_refused(void **state)
{
    uint8_t b[400];
    token_account_t a;
    size_t n = account(b);
    for (size_t len = 0; len < n; len++) {
        uint8_t *exact = malloc(len + 1);
        memcpy(exact, b, len);
        assert_int_equal(token_account_decode(exact, len, &a), XE_BAD_INPUT);
        free(exact);
    }
    b[108] = 3;
    assert_int_equal(token_account_decode(b, n, &a), XE_BAD_INPUT);
    b[108] = 1;
    put32(b + 72, 2);
    assert_int_equal(token_account_decode(b, n, &a), XE_BAD_INPUT);
    put32(b + 72, 0);
    b[n] = 1; /* a mint's type */
    assert_int_equal(token_account_decode(b, n + 1, &a), XE_BAD_INPUT);
    b[n] = 2;
    assert_int_equal(token_account_decode(b, n + 1, &a), XE_OK);
    put16(b + n + 1, EXT_MEMO_REQUIRED);
    put16(b + n + 3, 500); /* longer than the account */
    assert_int_equal(token_account_decode(b, n + 6, &a), XE_BAD_INPUT);
    memset(b + n + 1, 0, 400 - n - 1);
    assert_int_equal(token_account_decode(b, 355, &a), XE_BAD_INPUT); /* the length of a multisig account */
    assert_int_equal(token_account_decode(b, 357, &a), XE_OK);
}

static void mint_with_fees(void **state)
{
    uint8_t b[400] = {0};
    token_mint_t m;
    put64(b + 36, 1000000);
    b[44] = 6;
    b[45] = 1;
    assert_int_equal(token_mint_decode(b, TOKEN_MINT_LEN, &m), XE_OK);
    assert_true(m.decimals == 6 && m.initialised && !m.has_fee && token_fee_at(&m, 5) == NULL);
    size_t n = TOKEN_ACCOUNT_LEN;
    b[n++] = 1;
    n = add(b, n, EXT_TRANSFER_FEE_CONFIG, 108, 0);
    uint8_t *f = b + n - 108;
    put64(f + 64, 11);
    put64(f + 80, 1000), put16(f + 88, 50);
    put64(f + 90, 700), put64(f + 98, 2000), put16(f + 106, 75);
    n = add(b, n, EXT_TRANSFER_HOOK, 64, 4);
    assert_int_equal(token_mint_decode(b, n, &m), XE_OK);
    assert_true(m.has_fee && m.hooked && m.fee_withheld == 11);
    assert_int_equal(token_fee_at(&m, 699)->bps, 50);
    assert_int_equal(token_fee_at(&m, 700)->bps, 75);
    put16(f + 106, 10001);
    assert_int_equal(token_mint_decode(b, n, &m), XE_BAD_INPUT);
    put16(f + 106, 75);
    b[100] = 1; /* between mint and type all is zero */
    assert_int_equal(token_mint_decode(b, n, &m), XE_BAD_INPUT);
}

static void tables_and_nonces(void **state)
{
    uint8_t b[LOOKUP_HEAD + 64] = {1}, k[NONCE_LEN] = {1, 0, 0, 0, 1};
    lookup_table_t t;
    nonce_account_t a;
    put64(b + 4, UINT64_MAX);
    put64(b + 12, 55);
    b[20] = 1;
    memset(b + LOOKUP_HEAD + 32, 8, 32);
    assert_int_equal(lookup_table_decode(b, sizeof b, &t), XE_OK);
    assert_true(t.n == 2 && t.keys[32] == 8 && !t.authority.set && t.extended_at == 55);
    assert_int_equal(lookup_table_decode(b, sizeof b - 1, &t), XE_BAD_INPUT);
    b[20] = 3;
    assert_int_equal(lookup_table_decode(b, sizeof b, &t), XE_BAD_INPUT);
    b[20] = 0, b[0] = 0;
    assert_int_equal(lookup_table_decode(b, sizeof b, &t), XE_BAD_INPUT);
    put64(k + 72, 5000);
    assert_int_equal(nonce_decode(k, sizeof k, &a), XE_OK);
    assert_int_equal(a.lamports_per_signature, 5000);
    k[4] = 0;
    assert_int_equal(nonce_decode(k, sizeof k, &a), XE_BAD_INPUT);
    assert_int_equal(nonce_decode(k, 79, &a), XE_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fee_is_rounded_up_and_capped), cmocka_unit_test(gross_is_the_least_that_arrives), cmocka_unit_test(gross_has_its_corners),
        cmocka_unit_test(account_fields), cmocka_unit_test(account_extensions), cmocka_unit_test(broken_accounts_are_refused),
        cmocka_unit_test(mint_with_fees), cmocka_unit_test(tables_and_nonces),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
