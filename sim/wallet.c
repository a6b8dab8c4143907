#include "sim/wallet.h"

#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "sim/rng.h"

#define USDC "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
#define USDT "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"
#define TYPE_ACCOUNT 2
#define EXT_IMMUTABLE_OWNER 7

static void number(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

void sim_wallets_init(sim_wallets_t *w)
{
    uint8_t seed[16] = "xorj-sim-mint";
    for (unsigned i = 0; i < SIM_MINTS; i++) {
        number(seed + 13, i, 3);
        sha256(seed, sizeof seed, w->mints[i]);
    }
}

void sim_wallet_of(const sim_wallets_t *w, const uint8_t key[32], holding_t *out)
{
    rng_t r;
    uint64_t seed = 0;
    for (unsigned i = 0; i < w->said_n; i++) {
        if (memcmp(w->said[i].key, key, 32) != 0) continue;
        *out = w->said[i];
        return;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->key, key, 32);
    memcpy(&seed, key, sizeof seed);
    rng_init(&r, seed);
    if (rng_next(&r) % 8 == 0) return;
    out->lamports = (uint64_t)rng_range(&r, 1000000, 40000000000);
    if (rng_chance(&r, 70)) out->usdc = (uint64_t)rng_range(&r, 1, 25000000000);
    if (rng_chance(&r, 30)) out->usdt = (uint64_t)rng_range(&r, 1, 5000000000);
    out->tokens = (unsigned)rng_range(&r, 0, 4);
}

xerr_t sim_wallet_say(sim_wallets_t *w, const holding_t *h)
{
    unsigned i = 0;
    while (i < w->said_n && memcmp(w->said[i].key, h->key, 32) != 0) i++;
    if (i == SIM_WALLETS) return XE_FULL;
    if (i == w->said_n) w->said_n++;
    w->said[i] = *h;
    return XE_OK;
}

/* USDC lies in two accounts, as it often does in life: the sum is what counts. */
bool sim_wallet_token(const sim_wallets_t *w, const holding_t *h, unsigned i, sim_token_t *out)
{
    uint8_t name[65];
    memset(out, 0, sizeof *out);
    if (i < 3) {
        (void)b58_key(i < 2 ? SPAN_LIT(USDC) : SPAN_LIT(USDT), out->mint);
        out->amount = i == 0 ? h->usdc - h->usdc / 3 : i == 1 ? h->usdc / 3 : h->usdt;
    } else if (i - 3 < h->tokens && i - 3 < SIM_MINTS) {
        memcpy(out->mint, w->mints[i - 3], 32);
        out->token2022 = (i - 3) % 5 == 4;
        out->amount = 1000 + i;
    } else {
        return false;
    }
    memcpy(name, h->key, 32);
    memcpy(name + 32, out->mint, 32);
    name[64] = (uint8_t)i;
    sha256(name, sizeof name, out->key);
    return true;
}

void sim_token_encode(const sim_token_t *t, const uint8_t owner[32], buf_t *out)
{
    uint8_t p[165 + 5] = {0};
    memcpy(p, t->mint, 32);
    memcpy(p + 32, owner, 32);
    number(p + 64, t->amount, 8);
    p[108] = 1; /* initialised */
    p[165] = TYPE_ACCOUNT;
    number(p + 166, EXT_IMMUTABLE_OWNER, 2);
    buf_add(out, p, t->token2022 ? sizeof p : 165);
}

xerr_t sim_mint(const sim_wallets_t *w, const uint8_t key[32], buf_t *out, bool *token2022)
{
    uint8_t p[82] = {0}, usdt[32];
    unsigned i = 0;
    bool coin = b58_key(SPAN_LIT(USDT), usdt) == XE_OK && memcmp(usdt, key, 32) == 0;
    while (!coin && i < SIM_MINTS && memcmp(w->mints[i], key, 32) != 0) i++;
    if (i == SIM_MINTS) return XE_NOT_FOUND;
    number(p + 36, 1000000000000000ULL, 8);
    p[44] = coin ? 6 : (uint8_t)(i % 10);
    p[45] = 1;
    buf_add(out, p, sizeof p);
    *token2022 = !coin && i % 5 == 4;
    return XE_OK;
}
