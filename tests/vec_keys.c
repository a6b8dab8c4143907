/* Encodings and keys: base58, Ed25519 verdicts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "tests/vec.h"

#define BYTES_MAX 512

static bool check_base58(vec_ctx_t *c, vv_t v)
{
    span_t op = vv_text(vv_get(v, "op")), text = vv_text(vv_get(v, "base58"));
    uint8_t out[BYTES_MAX];
    size_t n = 0;
    if (span_is(op, "pubkey_parse")) {
        xerr_t err = b58_key(text, out);
        return (err == XE_OK) == vv_bool(vv_get(v, "valid")) || vec_fail(c, "b58_key: %s", xerr_name(err));
    }
    xerr_t err = b58_decode(text, out, sizeof out, &n);
    if (span_is(op, "decode_invalid")) return err != XE_OK || vec_fail(c, "accepted");
    size_t want_n;
    uint8_t *want = vv_hex(vv_get(v, "hex"), &want_n);
    char again[2 * BYTES_MAX + 2];
    bool ok = err == XE_OK && n == want_n && memcmp(out, want, n) == 0;
    if (!ok) vec_fail(c, "decode of %zu characters: %s", text.n, xerr_name(err));
    if (ok) ok = span_eq(span_make(again, b58_encode(want, want_n, again, sizeof again)), text) || vec_fail(c, "encode differs");
    free(want);
    return ok;
}

/* Strict verdict: what a validator accepts. */
static bool check_ed25519(vec_ctx_t *c, vv_t v)
{
    size_t kn, mn = 0, sn;
    uint8_t *key = vv_hex(vv_get(v, "public_key_hex"), &kn), *sig = vv_hex(vv_get(v, "signature_hex"), &sn);
    vv_t text = vv_find(v, "message_hex");
    uint8_t *msg = vv_has(text) ? vv_hex(text, &mn) : NULL;
    bool want = vv_bool(vv_get(v, "valid_strict"));
    bool got = kn == 32 && sn == 64 && ed25519_verify(key, msg ? (const void *)msg : "Zcash", msg ? mn : 5, sig) == XE_OK;
    free(key);
    free(sig);
    free(msg);
    return got == want || vec_fail(c, "got %s, want %s", got ? "valid" : "refused", want ? "valid" : "refused");
}

const vec_row_t vec_key_rows[] = {
    {"base58", check_base58},
    {"ed25519", check_ed25519},
    {"ed25519_malleability", check_ed25519},
    {NULL, NULL},
};
