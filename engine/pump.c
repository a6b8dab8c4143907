#include "engine/pump.h"

#include "engine/bytes.h"

#define BPS_ONE 10000u
#define CURVE_MAX 4096 /* the account may grow further; behind its known fields anything may stand */

static const uint8_t tag[8] = {0x17, 0xb7, 0xf8, 0x37, 0x60, 0xd8, 0xac, 0x60};

static uint8_t byte_at(const uint8_t *p, size_t n, size_t at) { return at < n ? p[at] : 0; }

/* An old account may end in the middle of what came later; a field is there whole or not at all. */
static void key_at(const uint8_t *p, size_t n, size_t at, uint8_t out[32])
{
    if (n >= at + 32) memcpy(out, p + at, 32);
}

xerr_t pump_curve_decode(const uint8_t *p, size_t n, pump_curve_t *out)
{
    if (n < PUMP_CURVE_MIN || n > CURVE_MAX || memcmp(p, tag, sizeof tag) != 0) return XE_BAD_INPUT;
    pump_curve_t c = {
        .virtual_token = get64(p + 8), .virtual_quote = get64(p + 16), .real_token = get64(p + 24), .real_quote = get64(p + 32),
        .supply = get64(p + 40), .complete = p[48] == 1, .mayhem = byte_at(p, n, 81) == 1, .cashback = byte_at(p, n, 82) == 1,
        .creator_bps = n >= 123 ? get64(p + 115) : 0, .holder_reward = byte_at(p, n, 124) == 1,
    };
    if (p[48] > 1 || byte_at(p, n, 81) > 1 || byte_at(p, n, 82) > 1 || byte_at(p, n, 124) > 1) return XE_BAD_INPUT;
    if (c.creator_bps > BPS_ONE) return XE_BAD_INPUT;
    key_at(p, n, 49, c.creator);
    key_at(p, n, 83, c.quote_mint);
    *out = c;
    return XE_OK;
}

bool pump_has_creator(const pump_curve_t *c)
{
    for (int i = 0; i < 32; i++)
        if (c->creator[i]) return true;
    return false;
}

/* ---- fees --------------------------------------------------------------------------------------------------------- */

xerr_t pump_market_cap(const pump_curve_t *c, u128_t *out)
{
    if (c->virtual_token == 0) return XE_RANGE;
    *out = (u128_t)c->virtual_quote * c->supply / c->virtual_token;
    return XE_OK;
}

xerr_t pump_fees_at(const pump_curve_t *c, u128_t cap, const pump_tier_t *tiers, size_t n, pump_fees_t *out)
{
    if (n == 0) return XE_BAD_INPUT;
    *out = tiers[0].fees;
    for (size_t i = 0; i < n; i++)
        if (cap >= tiers[i].cap_from) *out = tiers[i].fees;
    if (c->creator_bps) out->creator_bps = c->creator_bps;
    return XE_OK;
}

static uint64_t creator_rate(const pump_curve_t *c, const pump_fees_t *f)
{
    return pump_has_creator(c) ? f->creator_bps : 0;
}

static xerr_t ready(const pump_curve_t *c, const pump_fees_t *f, uint64_t amount)
{
    if (amount == 0 || f->protocol_bps >= BPS_ONE || f->creator_bps >= BPS_ONE - f->protocol_bps) return XE_BAD_INPUT;
    if (c->complete) return XE_CLOSED;
    return c->virtual_token > 0 && c->virtual_quote > 0 ? XE_OK : XE_DEPTH;
}

static u128_t fees_of(const pump_curve_t *c, const pump_fees_t *f, uint64_t amount)
{
    return ((u128_t)amount * f->protocol_bps + BPS_ONE - 1) / BPS_ONE + ((u128_t)amount * creator_rate(c, f) + BPS_ONE - 1) / BPS_ONE;
}

/* ---- trades ------------------------------------------------------------------------------------------------------- */

xerr_t pump_buy_with(const pump_curve_t *c, const pump_fees_t *f, uint64_t quote, uint64_t *tokens)
{
    xerr_t err = ready(c, f, quote);
    if (err) return err;
    uint64_t bps = f->protocol_bps + creator_rate(c, f);
    uint64_t net = (uint64_t)((u128_t)(quote - 1) * BPS_ONE / (BPS_ONE + bps));
    u128_t v = (u128_t)net * c->virtual_token / ((u128_t)c->virtual_quote + net);
    *tokens = v > c->real_token ? c->real_token : (uint64_t)v;
    return XE_OK;
}

xerr_t pump_buy_cost(const pump_curve_t *c, const pump_fees_t *f, uint64_t tokens, uint64_t *quote)
{
    xerr_t err = ready(c, f, tokens);
    if (err) return err;
    if (tokens > c->real_token || tokens >= c->virtual_token) return XE_DEPTH;
    u128_t cost = (u128_t)tokens * c->virtual_quote / (c->virtual_token - tokens) + 1;
    if (cost > UINT64_MAX) return XE_RANGE;
    cost += fees_of(c, f, (uint64_t)cost);
    if (cost > UINT64_MAX) return XE_RANGE;
    *quote = (uint64_t)cost;
    return XE_OK;
}

xerr_t pump_sell(const pump_curve_t *c, const pump_fees_t *f, uint64_t tokens, int64_t *quote)
{
    xerr_t err = ready(c, f, tokens);
    if (err) return err;
    uint64_t price = (uint64_t)((u128_t)tokens * c->virtual_quote / ((u128_t)c->virtual_token + tokens));
    i128_t net = (i128_t)price - (i128_t)fees_of(c, f, price);
    if (net > INT64_MAX) return XE_RANGE;
    *quote = (int64_t)net;
    return XE_OK;
}
