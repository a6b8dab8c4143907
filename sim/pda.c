#include "sim/pda.h"

#include <openssl/bn.h>

#include "base/crypto.h"

/* Legendre symbol by a power: u*v^-1 is a square exactly when u*v is one, so no division is needed. */
static bool ratio_is_square(const BIGNUM *u, const BIGNUM *v, const BIGNUM *p, BN_CTX *ctx)
{
    BN_CTX_start(ctx);
    BIGNUM *x = BN_CTX_get(ctx), *e = BN_CTX_get(ctx), *r = BN_CTX_get(ctx);
    bool ok = r && BN_mod_mul(x, u, v, p, ctx) && BN_copy(e, p) && BN_sub_word(e, 1) && BN_rshift1(e, e) &&
              BN_mod_exp(r, x, e, p, ctx) && (BN_is_zero(r) || BN_is_one(r));
    BN_CTX_end(ctx);
    return ok;
}

static bool curve_test(const uint8_t key[32], BN_CTX *ctx)
{
    static const char d_hex[] = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";
    uint8_t yb[32];
    memcpy(yb, key, 32);
    yb[31] &= 0x7f;
    BIGNUM *p = BN_CTX_get(ctx), *d = BN_CTX_get(ctx), *y = BN_CTX_get(ctx), *y2 = BN_CTX_get(ctx);
    BIGNUM *u = BN_CTX_get(ctx), *v = BN_CTX_get(ctx);
    XASSERT(v && BN_hex2bn(&d, d_hex) && BN_set_word(p, 1) && BN_lshift(p, p, 255) && BN_sub_word(p, 19));
    XASSERT(BN_lebin2bn(yb, 32, y) && BN_mod_sqr(y2, y, p, ctx));
    XASSERT(BN_mod_sub(u, y2, BN_value_one(), p, ctx) && BN_mod_mul(v, d, y2, p, ctx) && BN_add_word(v, 1));
    return ratio_is_square(u, v, p, ctx);
}

bool pda_on_curve(const uint8_t key[32])
{
    BN_CTX *ctx = BN_CTX_new();
    XASSERT(ctx);
    BN_CTX_start(ctx);
    bool yes = curve_test(key, ctx);
    BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    return yes;
}

xerr_t pda_find(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32], uint8_t *bump)
{
    static const uint8_t word[] = {'P', 'r', 'o', 'g', 'r', 'a', 'm', 'D', 'e', 'r', 'i',
                                   'v', 'e', 'd', 'A', 'd', 'd', 'r', 'e', 's', 's'};
    uint8_t text[16 * 32 + 1 + 32 + sizeof(word)];
    size_t at = 0;
    if (n > 15) return XE_BAD_INPUT;
    for (size_t i = 0; i < n; i++) {
        if (seeds[i].n > 32) return XE_BAD_INPUT;
        if (seeds[i].n) memcpy(text + at, seeds[i].p, seeds[i].n);
        at += seeds[i].n;
    }
    memcpy(text + at + 1, program, 32);
    memcpy(text + at + 33, word, sizeof(word));
    for (int b = 255; b >= 0; b--) {
        text[at] = (uint8_t)b;
        sha256(text, at + 54, out);
        if (!pda_on_curve(out)) {
            *bump = (uint8_t)b;
            return XE_OK;
        }
    }
    return XE_NOT_FOUND;
}
