#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "engine/pda.h"

static void address_is(const uint8_t key[32], const char *want)
{
    char text[80];
    assert_true(b58_encode(key, 32, text, sizeof text) > 0);
    assert_string_equal(text, want);
}

static void key_of(const char *text, uint8_t key[32]) { assert_int_equal(b58_key(span_of(text), key), XE_OK); }

/* Accounts that exist on the chain: the SOL/USDC pool of tick spacing 4 and USDC's token account of a known owner. */
static void known_accounts(void **state)
{
    uint8_t program[32], config[32], sol[32], usdc[32], out[32], bump;
    key_of("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc", program);
    key_of("2LecshUwdy9xi7meFgHtFJQNSKk4KdTrcpvaB56dP2NQ", config);
    key_of("So11111111111111111111111111111111111111112", sol);
    key_of("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", usdc);
    static const struct { uint16_t tier; const char *pool; } rows[] = {
        {4, "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE"}, {64, "HJPjoWUrhoZzkNfRpHuieeFk9WcZWjwy6PBjZ81ngndJ"},
        {8, "7qbRF6YsyGuLUVs6Y1q64bdVrfe4ZcUUz1JRdoVNUJnm"}, {1, "83v8iPyZihDEjDdY8RdZddyZNyUtXngz69Lgo9Kt5d6d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char tier[2] = {(char)(rows[i].tier & 255), (char)(rows[i].tier >> 8)};
        span_t seeds[] = {SPAN_LIT("whirlpool"), {(char *)config, 32}, {(char *)sol, 32}, {(char *)usdc, 32}, {tier, 2}};
        assert_int_equal(pda_find(seeds, 5, program, out, &bump), XE_OK);
        address_is(out, rows[i].pool);
        char b = (char)bump;
        span_t with_bump[] = {seeds[0], seeds[1], seeds[2], seeds[3], seeds[4], {&b, 1}};
        uint8_t again[32];
        assert_int_equal(pda_create(with_bump, 6, program, again), XE_OK);
        assert_memory_equal(out, again, 32);
    }
}

static void curve_points(void **state)
{
    uint8_t key[32] = {0};
    assert_true(pda_on_curve(key)); /* y = 0 */
    key[0] = 1;
    assert_true(pda_on_curve(key)); /* the identity */
    key[31] = 0x80;
    assert_false(pda_on_curve(key)); /* x = 0 has no sign */
    key[31] = 0;
    key[0] = 2;
    assert_false(pda_on_curve(key)); /* y = 2 has no x */
    memset(key, 0x66, 32);
    key[0] = 0x58;
    assert_true(pda_on_curve(key)); /* the base point */
    memset(key, 0xff, 32);
    assert_false(pda_on_curve(key));
}

static void bounds(void **state)
{
    uint8_t program[32] = {0}, out[32], bump;
    char bytes[33] = {0};
    span_t seeds[17];
    for (int i = 0; i < 17; i++) seeds[i] = span_make(bytes, 32);
    assert_int_equal(pda_find(NULL, 0, program, out, &bump), XE_OK);
    assert_false(pda_on_curve(out));
    assert_int_equal(pda_find(seeds, 15, program, out, &bump), XE_OK);
    assert_int_equal(pda_find(seeds, 16, program, out, &bump), XE_BAD_INPUT);
    assert_int_equal(pda_create(seeds, 17, program, out), XE_BAD_INPUT);
    seeds[0].n = 33;
    assert_int_equal(pda_find(seeds, 1, program, out, &bump), XE_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_accounts), cmocka_unit_test(curve_points), cmocka_unit_test(bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
