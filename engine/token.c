#include "engine/token.h"

#include <string.h>

#include "engine/bytes.h"

#define TYPE_AT 165 /* account type of an account with extensions; records follow */
#define TYPE_MINT 1
#define TYPE_ACCOUNT 2
#define MULTISIG_LEN 355
#define FEE_CONFIG_LEN 108
#define LOOKUP_KIND 1
#define NONCE_STATE_READY 1

/* ---- the transfer fee --------------------------------------------------------------------------------------------- */

uint64_t token_fee_of(const token_fee_t *f, uint64_t amount)
{
    unsigned bps = f->bps > TOKEN_BPS_ONE ? TOKEN_BPS_ONE : f->bps;
    if (bps == 0 || amount == 0) return 0;
    uint64_t fee = (uint64_t)(((u128_t)amount * bps + TOKEN_BPS_ONE - 1) / TOKEN_BPS_ONE);
    return fee > f->max ? f->max : fee;
}

xerr_t token_gross_of(const token_fee_t *f, uint64_t net, uint64_t *out)
{
    u128_t gross = net, capped = (u128_t)net + f->max;
    if (f->bps != 0 && net != 0) {
        if (f->bps >= TOKEN_BPS_ONE) {
            gross = capped;
        } else {
            unsigned rest = TOKEN_BPS_ONE - f->bps;
            gross = ((u128_t)net * TOKEN_BPS_ONE + rest - 1) / rest;
            if (gross - net >= f->max) gross = capped;
        }
    }
    if (gross > UINT64_MAX) return XE_RANGE;
    *out = (uint64_t)gross;
    return XE_OK;
}

/* ---- extensions --------------------------------------------------------------------------------------------------- */

bool token_ext_next(const uint8_t *p, size_t n, size_t *at, token_ext_t *out)
{
    if (*at < TYPE_AT + 1) *at = TYPE_AT + 1;
    if (n < 4 || *at > n - 4) return false;
    uint16_t kind = get16(p + *at), len = get16(p + *at + 2);
    if (kind == 0 || len > n - *at - 4) return false;
    *out = (token_ext_t){.kind = kind, .value = p + *at + 4, .n = len};
    *at += 4 + (size_t)len;
    return true;
}

bool token_ext_find(const uint8_t *p, size_t n, token_ext_kind_t kind, token_ext_t *out)
{
    for (size_t at = 0; token_ext_next(p, n, &at, out);)
        if (out->kind == kind) return true;
    return false;
}

/* Every record lies inside: the walk ended at type 0 or where no further head fits. */
static bool records_whole(const uint8_t *p, size_t n)
{
    token_ext_t x;
    size_t at = TYPE_AT + 1;
    while (token_ext_next(p, n, &at, &x)) {
    }
    return n - at < 4 || get16(p + at) == 0;
}

/* Is it a plain account of `plain` bytes, or one of the wanted type with extensions? */
static bool shape_fits(const uint8_t *p, size_t n, size_t plain, uint8_t type)
{
    if (n == plain) return true;
    if (n <= TYPE_AT || n == MULTISIG_LEN || p[TYPE_AT] != type) return false;
    for (size_t i = plain; i < TYPE_AT; i++) /* a mint is padded to the length of an account */
        if (p[i] != 0) return false;
    return records_whole(p, n);
}

/* ---- accounts ----------------------------------------------------------------------------------------------------- */

static bool option(const uint8_t *p, bool *set)
{
    uint32_t tag = get32(p);
    *set = tag == 1;
    return tag <= 1;
}

static bool option_key(const uint8_t *p, opt_key_t *out)
{
    if (!option(p, &out->set)) return false;
    memset(out->key, 0, 32);
    if (out->set) memcpy(out->key, p + 4, 32);
    return true;
}

static xerr_t account_ext(const token_ext_t *x, token_account_t *a)
{
    switch (x->kind) {
    case EXT_TRANSFER_FEE_AMOUNT:
        if (x->n != 8) return XE_BAD_INPUT;
        a->fee_withheld = get64(x->value);
        break;
    case EXT_MEMO_REQUIRED:
    case EXT_CPI_GUARD:
        if (x->n != 1 || x->value[0] > 1) return XE_BAD_INPUT;
        *(x->kind == EXT_CPI_GUARD ? &a->cpi_guard : &a->memo_required) = x->value[0] == 1;
        break;
    default: break;
    }
    return XE_OK;
}

xerr_t token_account_decode(const uint8_t *p, size_t n, token_account_t *out)
{
    token_account_t a = {0};
    token_ext_t x;
    xerr_t err = XE_OK;
    if (!shape_fits(p, n, TOKEN_ACCOUNT_LEN, TYPE_ACCOUNT) || p[108] > TOKEN_FROZEN) return XE_BAD_INPUT;
    memcpy(a.mint, p, 32);
    memcpy(a.owner, p + 32, 32);
    a.amount = get64(p + 64);
    a.state = (token_state_t)p[108];
    a.delegated = get64(p + 121);
    if (!option_key(p + 72, &a.delegate) || !option(p + 109, &a.native) || !option_key(p + 129, &a.close_authority)) return XE_BAD_INPUT;
    if (a.native) a.rent_reserve = get64(p + 113);
    for (size_t at = 0; !err && n > TYPE_AT && token_ext_next(p, n, &at, &x);) err = account_ext(&x, &a);
    if (!err) *out = a;
    return err;
}

static bool fee_of(const uint8_t *p, token_fee_t *f)
{
    *f = (token_fee_t){.epoch = get64(p), .max = get64(p + 8), .bps = get16(p + 16)};
    return f->bps <= TOKEN_BPS_ONE;
}

static bool zero_key(const uint8_t *p)
{
    for (int i = 0; i < 32; i++)
        if (p[i]) return false;
    return true;
}

static xerr_t mint_ext(const token_ext_t *x, token_mint_t *m)
{
    switch (x->kind) {
    case EXT_TRANSFER_FEE_CONFIG:
        if (x->n != FEE_CONFIG_LEN || !fee_of(x->value + 72, &m->older) || !fee_of(x->value + 90, &m->newer)) return XE_BAD_INPUT;
        m->has_fee = true;
        m->fee_withheld = get64(x->value + 64);
        break;
    case EXT_DEFAULT_STATE:
        if (x->n != 1 || x->value[0] > TOKEN_FROZEN) return XE_BAD_INPUT;
        m->default_state = x->value[0];
        break;
    case EXT_TRANSFER_HOOK:
        if (x->n != 64) return XE_BAD_INPUT;
        m->hooked = !zero_key(x->value + 32);
        break;
    case EXT_NON_TRANSFERABLE: m->non_transferable = true; break;
    case EXT_PAUSABLE: m->pausable = true; break;
    default: break;
    }
    return XE_OK;
}

xerr_t token_mint_decode(const uint8_t *p, size_t n, token_mint_t *out)
{
    token_mint_t m = {0};
    token_ext_t x;
    xerr_t err = XE_OK;
    if (!shape_fits(p, n, TOKEN_MINT_LEN, TYPE_MINT) || p[45] > 1) return XE_BAD_INPUT;
    m.supply = get64(p + 36);
    m.decimals = p[44];
    m.initialised = p[45] == 1;
    if (!option_key(p, &m.authority) || !option_key(p + 46, &m.freeze_authority)) return XE_BAD_INPUT;
    for (size_t at = 0; !err && n > TYPE_AT && token_ext_next(p, n, &at, &x);) err = mint_ext(&x, &m);
    if (!err) *out = m;
    return err;
}

const token_fee_t *token_fee_at(const token_mint_t *m, uint64_t epoch)
{
    if (!m->has_fee) return NULL;
    return epoch >= m->newer.epoch ? &m->newer : &m->older;
}

/* ---- lookup tables and nonces ------------------------------------------------------------------------------------- */

xerr_t lookup_table_decode(const uint8_t *p, size_t n, lookup_table_t *out)
{
    if (n < LOOKUP_HEAD || (n - LOOKUP_HEAD) % 32 != 0 || (n - LOOKUP_HEAD) / 32 > LOOKUP_MAX) return XE_BAD_INPUT;
    if (get32(p) != LOOKUP_KIND || p[21] > 1) return XE_BAD_INPUT;
    lookup_table_t t = {.closed_at = get64(p + 4), .extended_at = get64(p + 12), .extended_from = p[20],
                        .n = (unsigned)((n - LOOKUP_HEAD) / 32), .keys = p + LOOKUP_HEAD};
    t.authority.set = p[21] == 1;
    if (t.authority.set) memcpy(t.authority.key, p + 22, 32);
    if (t.extended_from > t.n) return XE_BAD_INPUT;
    *out = t;
    return XE_OK;
}

xerr_t nonce_decode(const uint8_t *p, size_t n, nonce_account_t *out)
{
    if (n != NONCE_LEN || get32(p) > 1 || get32(p + 4) != NONCE_STATE_READY) return XE_BAD_INPUT;
    memcpy(out->authority, p + 8, 32);
    memcpy(out->nonce, p + 40, 32);
    out->lamports_per_signature = get64(p + 72);
    return XE_OK;
}
