/* Passwords, one-time codes and the text of API keys: the published vectors, what is refused, and that nothing but the
 * right one fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "base/password.h"
#include "base/totp.h"
#include "handlers/apikey.h"

#define KNOWN_HASH "ga8Hgqu2V4+y/NPuIisYAsCSDfDvqTx4TTAi/GXWbqg"

static void hash_and_verify(void **state)
{
    char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX], dummy[PASSWORD_HASH_MAX];
    assert_int_equal(password_hash(SPAN_LIT("correct horse battery"), a), XE_OK);
    assert_int_equal(password_hash(SPAN_LIT("correct horse battery"), b), XE_OK);
    assert_memory_equal(a, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_string_not_equal(a, b); /* salted */
    assert_int_equal(password_verify(SPAN_LIT("correct horse battery"), a), XE_OK);
    assert_int_equal(password_verify(SPAN_LIT("correct horse batterz"), a), XE_AUTH);
    assert_int_equal(password_verify(SPAN_LIT("correct horse battery "), a), XE_AUTH);
    assert_int_equal(password_verify(SPAN_LIT(""), a), XE_AUTH);
    password_dummy(dummy);
    assert_int_equal(strlen(dummy), strlen(a));
    assert_int_equal(password_verify(SPAN_LIT("correct horse battery"), dummy), XE_AUTH);
}

/* Made with argon2id_hash_encoded of the reference library: other figures than ours, as an account from elsewhere may have. */
static void foreign_texts(void **state)
{
    static const char known[] = "$argon2id$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH;
    assert_int_equal(password_verify(SPAN_LIT("an older password"), known), XE_OK);
    assert_int_equal(password_verify(SPAN_LIT("an older passwore"), known), XE_AUTH);
    static const char *const bad[] = {
        "", "$", "x", "$2b$12$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH,
        "$argon2id$v=16$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH, "$argon2id$v=19$m=4294967295,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH,
        "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH, "$argon2id$v=19$m=64,t=3,p=99$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH,
        "$argon2id$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA==$" KNOWN_HASH, "$argon2id$v=19$m=64,t=3,p=1$c2FsdA$" KNOWN_HASH,
        "$argon2id$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH "A", "$argon2id$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$" KNOWN_HASH, "$argon2id$v=19$m=64,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$$" KNOWN_HASH,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(password_verify(SPAN_LIT("an older password"), bad[i]), XE_INTERNAL);
}

static void lengths(void **state)
{
    char text[PASSWORD_MAX + 2], hash[PASSWORD_HASH_MAX];
    memset(text, 'x', sizeof text);
    assert_int_equal(password_hash(span_make(text, PASSWORD_MAX), hash), XE_OK);
    assert_int_equal(password_verify(span_make(text, PASSWORD_MAX), hash), XE_OK);
    assert_int_equal(password_hash(span_make(text, PASSWORD_MAX + 1), hash), XE_RANGE);
    assert_int_equal(password_hash(span_make(text, 0), hash), XE_RANGE);
    assert_int_equal(password_verify(span_make(text, PASSWORD_MAX + 1), hash), XE_AUTH);
}

static void weak_ones(void **state)
{
    static const char *const bad[] = {
        "", "short", "ninechars", "password12", "Password12345", "P@ssw0rd1234", "passwordpassword", "admin12345", "Admin-Admin-Admin", "changeme123",
        "ChangeMe!2026", "letmein-2026", "qwertyuiop12", "aaaaaaaaaaaa", "1234567890", "abcdefghijkl", "12121212121212", "xorj-admin-1", "default-secret",
        "clara-1234567", "CLARA_clara_9", "tab\there-longer",
    };
    static const char *const good[] = {
        "correct horse battery", "Str0ng-Passw0rd!x", "viewer-pass-word-9", "k7#mQ2vX9!pL", "d2pueyxvv9r92c32cysvjhhk", "Z\xc3\xbcrich im Regen",
    };
    char text[PASSWORD_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!password_weakness(span_of(bad[i]), SPAN_LIT("clara"))) fail_msg("taken: %s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *why = password_weakness(span_of(good[i]), SPAN_LIT("clara"));
        if (why) fail_msg("refused: %s: %s", good[i], why);
    }
    memset(text, 'x', sizeof text);
    assert_non_null(password_weakness(span_make(text, PASSWORD_MAX + 1), SPAN_LIT("clara")));
}

static void random_ones(void **state)
{
    char a[25], b[25];
    for (int i = 0; i < 200; i++) {
        password_random(a);
        password_random(b);
        assert_int_equal(strlen(a), 24);
        assert_string_not_equal(a, b);
        assert_null(password_weakness(span_of(a), SPAN_LIT("admin")));
    }
}

/* RFC 6238, appendix B, SHA-1; six digits are the last six of the eight printed there. */
static void codes(void **state)
{
    static const struct { int64_t t; uint32_t code; } rows[] = {
        {59, 287082}, {1111111109, 81804}, {1111111111, 50471}, {1234567890, 5924}, {2000000000, 279037}, {20000000000, 353130},
    };
    const uint8_t *secret = (const uint8_t *)"12345678901234567890";
    char text[TOTP_TEXT_LEN + 1];
    int64_t step = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(totp_code(secret, rows[i].t / 30), rows[i].code);
    totp_text(secret, text);
    assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111, 0, &step), XE_OK);
    assert_int_equal(step, 1111111111 / 30);
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111, step, &step), XE_AUTH); /* once */
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111 + 30, 0, &step), XE_OK);
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111 - 30, 0, &step), XE_OK);
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111 + 60, 0, &step), XE_AUTH);
    assert_int_equal(totp_check(secret, SPAN_LIT("050471"), 1111111111 - 61, 0, &step), XE_AUTH);
    static const char *const bad[] = {"", "05047", "0504711", "050472", "05047 ", "x50471"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(totp_check(secret, span_of(bad[i]), 1111111111, 0, &step), XE_AUTH);
}

static void key_texts(void **state)
{
    char id[37], text[APIKEY_LEN + 1], again[37], bad[APIKEY_LEN + 2];
    uint8_t hash[32], other[32];
    uint8_t seed[32] = {1, 2, 3};
    char first[APIKEY_LEN + 1];
    apikey_new(seed, id, first, hash);
    assert_true(apikey_read(span_of(first), again, other));
    apikey_new(seed, again, text, other);
    assert_string_equal(text, first); /* the same seed, the same key */
    assert_string_equal(id, again);
    seed[31] = 1;
    apikey_new(seed, again, text, other);
    assert_string_not_equal(text, first);
    assert_string_not_equal(id, again);
    apikey_new(NULL, id, text, hash);
    assert_int_equal(strlen(text), APIKEY_LEN);
    assert_true(apikey_read(span_of(text), again, other));
    assert_string_equal(id, again);
    assert_memory_equal(hash, other, 32);
    assert_false(apikey_read(span_make(text, APIKEY_LEN - 1), again, other));
    snprintf(bad, sizeof bad, "%sA", text);
    assert_false(apikey_read(span_of(bad), again, other));
    for (size_t i = 0; i < APIKEY_LEN; i++) { /* a byte that belongs nowhere, at every place */
        memcpy(bad, text, sizeof text);
        bad[i] = '!';
        assert_false(apikey_read(span_of(bad), again, other));
    }
    memcpy(bad, text, sizeof text);
    bad[60] = bad[60] == 'A' ? 'B' : 'A';
    assert_true(apikey_read(span_of(bad), again, other));
    assert_memory_not_equal(hash, other, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_and_verify), cmocka_unit_test(foreign_texts), cmocka_unit_test(lengths), cmocka_unit_test(weak_ones),
        cmocka_unit_test(random_ones), cmocka_unit_test(codes), cmocka_unit_test(key_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
