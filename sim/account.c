#include "sim/account.h"

#include <string.h>

#include "base/codec.h"
#include "sim/pool.h"

static const char *const names[] = {
#define X(id, text) text,
    ACCOUNT_LIST(X)
#undef X
};

void account_key(uint8_t out[32], account_t a)
{
    XASSERT(b58_key(span_of(names[a]), out) == XE_OK);
}

static void put_le(buf_t *out, u128_t v, unsigned bytes)
{
    uint8_t raw[16];
    for (unsigned i = 0; i < bytes; i++, v >>= 8) raw[i] = (uint8_t)v;
    buf_add(out, raw, bytes);
}

static void put_zero(buf_t *out, unsigned bytes)
{
    static const uint8_t zeros[128];
    for (; bytes > sizeof(zeros); bytes -= (unsigned)sizeof(zeros)) buf_add(out, zeros, sizeof(zeros));
    buf_add(out, zeros, bytes);
}

static void account_mint(buf_t *out, uint64_t supply, uint8_t decimals)
{
    put_zero(out, 36); /* no mint authority */
    put_le(out, supply, 8);
    put_le(out, decimals, 1);
    put_le(out, 1, 1); /* initialised */
    put_zero(out, 36); /* no freeze authority */
}

static void account_token(buf_t *out, const uint8_t mint[32], const uint8_t owner[32], uint64_t amount)
{
    buf_add(out, mint, 32);
    buf_add(out, owner, 32);
    put_le(out, amount, 8);
    put_zero(out, 36);
    put_le(out, 1, 1); /* initialised */
    put_zero(out, 56);
}

/* ---- the Whirlpool accounts ---- */

void pool_encode(const pool_t *p, buf_t *out)
{
    static const uint8_t tag[8] = {0x3f, 0x95, 0xd1, 0x0c, 0xe1, 0x80, 0x63, 0x09};
    uint8_t config[32];
    account_key(config, ACCOUNT_WHIRLPOOL_CONFIG);
    buf_add(out, tag, 8);
    buf_add(out, config, 32);
    put_le(out, p->bump, 1);
    put_le(out, p->w.tick_spacing, 2);
    put_le(out, p->w.fee_tier_index, 2);
    put_le(out, p->w.fee_rate, 2);
    put_le(out, p->w.protocol_rate, 2);
    put_le(out, p->w.liquidity, 16);
    put_le(out, p->w.sqrt_price, 16);
    put_le(out, (u128_t)(i128_t)p->w.tick, 4);
    put_le(out, p->owed_a, 8);
    put_le(out, p->owed_b, 8);
    buf_add(out, p->w.mint_a, 32);
    buf_add(out, p->w.vault_a, 32);
    put_le(out, p->growth_a, 16);
    buf_add(out, p->w.mint_b, 32);
    buf_add(out, p->w.vault_b, 32);
    put_le(out, p->growth_b, 16);
    put_zero(out, 8 + 3 * 128); /* no rewards */
}

static void tick_encode(const ptick_t *t, buf_t *out)
{
    put_le(out, (u128_t)t->net, 16);
    put_le(out, t->gross, 16);
    put_le(out, t->out_a, 16);
    put_le(out, t->out_b, 16);
    put_zero(out, 48);
}

static void fixed_encode(const pool_t *p, const parray_t *a, buf_t *out)
{
    static const uint8_t tag[8] = {0x45, 0x61, 0xbd, 0xbe, 0x6e, 0x07, 0x42, 0xbb};
    buf_add(out, tag, 8);
    put_le(out, (u128_t)(i128_t)a->start, 4);
    for (unsigned i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        put_le(out, a->tick[i].init, 1);
        tick_encode(&a->tick[i], out);
    }
    buf_add(out, p->key, 32);
}

static void dynamic_encode(const pool_t *p, const parray_t *a, buf_t *out)
{
    static const uint8_t tag[8] = {0x11, 0xd8, 0xf6, 0x8e, 0xe1, 0xc7, 0xda, 0x38};
    u128_t map = 0;
    for (unsigned i = 0; i < WHIRL_ARRAY_TICKS; i++) map |= (u128_t)a->tick[i].init << i;
    buf_add(out, tag, 8);
    put_le(out, (u128_t)(i128_t)a->start, 4);
    buf_add(out, p->key, 32);
    put_le(out, map, 16);
    for (unsigned i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        put_le(out, a->tick[i].init, 1);
        if (a->tick[i].init) tick_encode(&a->tick[i], out);
    }
}

void parray_encode(const pool_t *p, const parray_t *a, buf_t *out)
{
    if (a->dynamic)
        dynamic_encode(p, a, out);
    else
        fixed_encode(p, a, out);
}

void parray_view(const parray_t *a, whirl_array_t *out)
{
    out->start = a->start;
    out->missing = false;
    out->n = 0;
    for (int i = 0; i < WHIRL_ARRAY_TICKS; i++) {
        if (!a->tick[i].init) continue;
        out->ticks[out->n++] = (whirl_tick_t){a->start + i * POOL_SPACING, a->tick[i].net, a->tick[i].gross};
    }
}

/* ---- lookup ---- */

/* Two years of rent per byte, as the chain has long asked for; the figure means nothing here. */
static uint64_t rent(size_t n)
{
    return (uint64_t)(n + 128) * 6960;
}

static bool is(const uint8_t key[32], account_t a)
{
    uint8_t want[32];
    account_key(want, a);
    return memcmp(key, want, 32) == 0;
}

static bool token_account(const pool_t *p, const uint8_t key[32], buf_t *out)
{
    if (is(key, ACCOUNT_SOL_MINT))
        account_mint(out, 0, 9);
    else if (is(key, ACCOUNT_USDC_MINT))
        account_mint(out, 41000000000000000ULL, 6);
    else if (is(key, ACCOUNT_VAULT_A))
        account_token(out, p->w.mint_a, p->key, 120000000000000ULL);
    else if (is(key, ACCOUNT_VAULT_B))
        account_token(out, p->w.mint_b, p->key, 18000000000000ULL);
    else
        return false;
    return true;
}

xerr_t pool_account(const pool_t *p, const uint8_t key[32], buf_t *out, uint8_t owner[32], uint64_t *lamports)
{
    size_t from = out->n;
    account_key(owner, ACCOUNT_WHIRLPOOL_PROGRAM);
    if (memcmp(key, p->key, 32) == 0) {
        pool_encode(p, out);
    } else if (token_account(p, key, out)) {
        account_key(owner, ACCOUNT_TOKEN_PROGRAM);
    } else {
        const parray_t *a = NULL;
        for (unsigned i = 0; i < POOL_ARRAYS && !a; i++) {
            if (memcmp(key, p->array[i].key, 32) == 0) a = &p->array[i];
        }
        if (!a) return XE_NOT_FOUND;
        parray_encode(p, a, out);
    }
    *lamports = rent(out->n - from);
    return XE_OK;
}

bool pool_account_changed(const pool_t *p, const uint8_t key[32])
{
    if (memcmp(key, p->key, 32) == 0) return p->changed;
    for (unsigned i = 0; i < POOL_ARRAYS; i++) {
        if (memcmp(key, p->array[i].key, 32) == 0) return p->array[i].changed;
    }
    return false;
}
