/* Field arithmetic modulo 2^255 - 19 in five limbs of 51 bits, only as much as the test for a square needs. Nothing here
 * is secret, so nothing is constant-time. */
#include "engine/pda.h"

#include "base/crypto.h"
#include "engine/dec.h"

#define LIMB 51
#define MASK ((1ull << LIMB) - 1)

typedef struct { uint64_t v[5]; } fe_t;

static const fe_t fe_one = {{1, 0, 0, 0, 0}};
/* d = -121665/121666 */
static const fe_t fe_d = {{0x34dca135978a3ull, 0x1a8283b156ebdull, 0x5e7a26001c029ull, 0x739c663a03cbbull, 0x52036cee2b6ffull}};

static fe_t carry(u128_t t[5])
{
    fe_t r;
    for (int i = 0; i < 4; i++) {
        /* cppcheck-suppress shiftTooManyBits ; the type has 128 bits */
        t[i + 1] += t[i] >> LIMB;
        r.v[i] = (uint64_t)t[i] & MASK;
    }
    r.v[4] = (uint64_t)t[4] & MASK;
    /* cppcheck-suppress shiftTooManyBits */
    r.v[0] += (uint64_t)(t[4] >> LIMB) * 19;
    r.v[1] += r.v[0] >> LIMB;
    r.v[0] &= MASK;
    return r;
}

static fe_t fe_mul(const fe_t *a, const fe_t *b)
{
    u128_t t[5] = {0};
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            u128_t product = (u128_t)a->v[i] * b->v[k];
            t[(i + k) % 5] += i + k < 5 ? product : product * 19;
        }
    }
    return carry(t);
}

static fe_t fe_add(const fe_t *a, const fe_t *b)
{
    u128_t t[5];
    for (int i = 0; i < 5; i++) t[i] = (u128_t)a->v[i] + b->v[i];
    return carry(t);
}

static fe_t fe_sub(const fe_t *a, const fe_t *b)
{
    /* Four times the modulus keeps every limb above zero. */
    u128_t t[5];
    for (int i = 0; i < 5; i++) t[i] = (u128_t)a->v[i] + ((MASK - (i ? 0 : 18)) * 4) - b->v[i];
    return carry(t);
}

static void canonical(fe_t *a)
{
    u128_t t[5];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++) t[i] = a->v[i];
        *a = carry(t);
    }
    bool above = a->v[0] >= MASK - 18 && a->v[1] == MASK && a->v[2] == MASK && a->v[3] == MASK && a->v[4] == MASK;
    if (!above) return;
    a->v[0] -= MASK - 18;
    a->v[1] = a->v[2] = a->v[3] = a->v[4] = 0;
}

static bool fe_equal(fe_t a, const fe_t *b)
{
    fe_t d = fe_sub(&a, b);
    canonical(&d);
    return (d.v[0] | d.v[1] | d.v[2] | d.v[3] | d.v[4]) == 0;
}

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static fe_t fe_of(const uint8_t b[32])
{
    uint64_t w[4] = {le64(b), le64(b + 8), le64(b + 16), le64(b + 24)};
    return (fe_t){{w[0] & MASK, (w[0] >> 51 | w[1] << 13) & MASK, (w[1] >> 38 | w[2] << 26) & MASK,
                   (w[2] >> 25 | w[3] << 39) & MASK, w[3] >> 12 & MASK}};
}

/* a^((p-1)/2): 1 for a square, 0 for zero, -1 otherwise. The exponent is 2^254 - 10. */
static fe_t fe_chi(const fe_t *a)
{
    fe_t r = fe_one;
    for (int bit = 253; bit >= 0; bit--) {
        r = fe_mul(&r, &r);
        bool zero = bit == 0 || bit == 3;
        if (!zero) r = fe_mul(&r, a);
    }
    return r;
}

bool pda_on_curve(const uint8_t key[32])
{
    fe_t y = fe_of(key), zero = {{0}}, reduced = y;
    canonical(&reduced);
    if (memcmp(&reduced, &y, sizeof y) != 0) return false;
    fe_t yy = fe_mul(&y, &y);
    fe_t u = fe_sub(&yy, &fe_one), v = fe_mul(&yy, &fe_d);
    v = fe_add(&v, &fe_one);
    /* u/v is a square exactly when u*v is, and v is never zero since -1/d is no square. */
    fe_t uv = fe_mul(&u, &v), chi = fe_chi(&uv);
    return fe_equal(chi, &fe_one) || (fe_equal(chi, &zero) && !(key[31] & 0x80));
}

static bool seeds_fit(const span_t *seeds, size_t n, size_t max)
{
    if (n > max) return false;
    for (size_t i = 0; i < n; i++)
        if (seeds[i].n > PDA_SEED_BYTES) return false;
    return true;
}

static const char suffix[] = "ProgramDerivedAddress";

static void hash(const span_t *seeds, size_t n, const uint8_t *bump, const uint8_t program[32], uint8_t out[32])
{
    sha256_ctx_t *h = sha256_new();
    for (size_t i = 0; i < n; i++) sha256_add(h, seeds[i].p, seeds[i].n);
    if (bump) sha256_add(h, bump, 1);
    sha256_add(h, program, 32);
    sha256_add(h, suffix, sizeof suffix - 1);
    sha256_end_free(h, out);
}

xerr_t pda_create(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32])
{
    if (!seeds_fit(seeds, n, PDA_SEEDS_MAX)) return XE_BAD_INPUT;
    hash(seeds, n, NULL, program, out);
    return pda_on_curve(out) ? XE_DENIED : XE_OK;
}

xerr_t pda_find(const span_t *seeds, size_t n, const uint8_t program[32], uint8_t out[32], uint8_t *bump)
{
    if (!seeds_fit(seeds, n, PDA_SEEDS_MAX - 1)) return XE_BAD_INPUT;
    for (int b = 255; b >= 0; b--) {
        *bump = (uint8_t)b;
        hash(seeds, n, bump, program, out);
        if (!pda_on_curve(out)) return XE_OK;
    }
    return XE_NOT_FOUND;
}

xerr_t pda_with_seed(const uint8_t base[32], span_t seed, const uint8_t owner[32], uint8_t out[32])
{
    const size_t mark = sizeof suffix - 1;
    if (seed.n > PDA_SEED_BYTES || memcmp(owner + 32 - mark, suffix, mark) == 0) return XE_BAD_INPUT;
    sha256_ctx_t *h = sha256_new();
    sha256_add(h, base, 32);
    sha256_add(h, seed.p, seed.n);
    sha256_add(h, owner, 32);
    sha256_end_free(h, out);
    return XE_OK;
}
