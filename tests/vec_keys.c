/* Encodings and keys: base58, Ed25519 verdicts, program-derived addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "engine/instr.h"
#include "engine/pda.h"
#include "engine/tx.h"
#include "tests/vec_cmp.h"

#define BYTES_MAX 512
#define SEEDS_MAX 32

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

static bool check_on_curve(vec_ctx_t *c, vv_t v)
{
    size_t n;
    uint8_t *key = vv_hex(vv_get(v, "hex"), &n);
    bool got = n == 32 && pda_on_curve(key);
    free(key);
    return got == vv_bool(vv_get(v, "on_curve")) || vec_fail(c, "got %s the curve", got ? "on" : "off");
}

static bool same_address(vec_ctx_t *c, xerr_t err, const uint8_t got[32], vv_t want)
{
    uint8_t key[32];
    if (err) return vec_fail(c, "%s", xerr_name(err));
    return (b58_key(vv_text(want), key) == XE_OK && memcmp(key, got, 32) == 0) || vec_fail(c, "address differs");
}

static bool check_pda(vec_ctx_t *c, vv_t v)
{
    uint8_t program[32], out[32] = {0}, bump = 0, *bytes[SEEDS_MAX];
    span_t seeds[SEEDS_MAX];
    size_t n = 0;
    if (b58_key(vv_text(vv_get(v, "program")), program)) return vec_fail(c, "program");
    for (vv_t s = vv_first(vv_get(v, "seeds_hex")); vv_has(s) && n < SEEDS_MAX; s = vv_next(s), n++) {
        size_t len;
        bytes[n] = vv_hex(s, &len);
        seeds[n] = span_make((const char *)bytes[n], len);
    }
    bool find = span_is(vv_text(vv_get(v, "op")), "find");
    xerr_t err = find ? pda_find(seeds, n, program, out, &bump) : pda_create(seeds, n, program, out);
    while (n > 0) free(bytes[--n]);
    if (!find && !vv_bool(vv_get(v, "valid"))) return err != XE_OK || vec_fail(c, "accepted");
    if (find && !err && bump != vv_u64(vv_get(v, "bump"))) return vec_fail(c, "bump %u", bump);
    return same_address(c, err, out, vv_get(v, "address"));
}

static bool check_ata(vec_ctx_t *c, vv_t v)
{
    const char *const parts[] = {"owner", "token_program", "mint"};
    uint8_t program[32], key[3][32], out[32] = {0}, bump = 0;
    span_t seeds[3];
    if (b58_key(SPAN_LIT("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"), program)) return vec_fail(c, "program");
    for (size_t i = 0; i < 3; i++) {
        if (b58_key(vv_text(vv_get(v, parts[i])), key[i])) return vec_fail(c, "%s", parts[i]);
        seeds[i] = span_make((const char *)key[i], 32);
    }
    xerr_t err = pda_find(seeds, 3, program, out, &bump);
    if (pda_on_curve(key[0]) != vv_bool(vv_get(v, "owner_on_curve"))) return vec_fail(c, "owner_on_curve");
    if (!err && bump != vv_u64(vv_get(v, "bump"))) return vec_fail(c, "bump %u", bump);
    return same_address(c, err, out, vv_get(v, "ata"));
}

static bool check_compact(vec_ctx_t *c, vv_t v)
{
    span_t op = vv_text(vv_get(v, "op"));
    uint16_t got = 0;
    uint8_t again[3];
    size_t n;
    uint8_t *p = vv_hex(vv_get(v, "hex"), &n);
    size_t used = cu16_get(p, n, &got);
    free(p);
    if (span_is(op, "decode_invalid")) return used == 0 || used < n || vec_fail(c, "accepted");
    if (used == 0) return vec_fail(c, "refused");
    vv_t want = vv_find(v, "bytes_used");
    if (vv_has(want) ? !same_num(c, "bytes_used", used, want) : used != n) return vec_fail(c, "%zu bytes used", used);
    if (!same_num(c, "value", got, vv_get(v, "value"))) return false;
    return vv_has(want) || same_hex(c, "encoding", again, cu16_put(got, again), vv_get(v, "hex"));
}

static bool check_tag(vec_ctx_t *c, vv_t v, const char *space)
{
    uint8_t tag[8];
    if (anchor_tag(space, vv_text(vv_get(v, "name")), tag)) return vec_fail(c, "refused");
    return same_hex(c, "tag", tag, sizeof tag, vv_get(v, "hex"));
}

static bool check_seeds(vec_ctx_t *c, vv_t v)
{
    span_t op = vv_text(vv_get(v, "op"));
    uint8_t base[32], owner[32], out[32];
    char seed[256];
    if (span_is(op, "account_discriminator")) return check_tag(c, v, "account");
    if (span_is(op, "instruction_discriminator")) return check_tag(c, v, "global");
    if (span_is(op, "event_discriminator")) return check_tag(c, v, "event");
    if (!span_is(op, "create_with_seed")) return vec_fail(c, "unknown op");
    if (b58_key(vv_text(vv_get(v, "base")), base) || b58_key(vv_text(vv_get(v, "owner")), owner)) return vec_fail(c, "keys");
    size_t n = vv_str(vv_get(v, "seed"), seed, sizeof seed);
    return same_address(c, pda_with_seed(base, span_make(seed, n), owner, out), out, vv_get(v, "address"));
}

const vec_row_t vec_key_rows[] = {
    {"base58", check_base58},
    {"ed25519", check_ed25519},
    {"ed25519_malleability", check_ed25519},
    {"on_curve", check_on_curve},
    {"pda", check_pda},
    {"ata", check_ata},
    {"compact_u16", check_compact},
    {"discriminators_and_seeds", check_seeds},
    {NULL, NULL},
};
