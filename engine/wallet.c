#include "engine/wallet.h"

#include <stddef.h>

#define RESERVE_E6 10000000LL /* 10 dollars */
#define RESERVE_SHARE 50      /* 2 % */
#define INVEST_MIN_E6 1000000LL
#define QTY_PLACES 12

static const struct { const char *symbol, *mint; unsigned decimals; } assets[ASSET_N] = {
#define X(id, symbol, mint, decimals) {symbol, mint, decimals},
    ASSET_LIST(X)
#undef X
};

const char *asset_symbol(asset_t a) { return a < ASSET_N ? assets[a].symbol : NULL; }
const char *asset_mint(asset_t a) { return a < ASSET_N ? assets[a].mint : NULL; }
unsigned asset_decimals(asset_t a) { return a < ASSET_N ? assets[a].decimals : 0; }

xerr_t wallet_qty(uint64_t amount, unsigned decimals, qty_t *out)
{
    i128_t v = (i128_t)amount;
    if (decimals > 38) return XE_RANGE;
    for (; decimals < QTY_PLACES; decimals++) v *= 10; /* 1.8e19 * 1e12 fits */
    for (; decimals > QTY_PLACES; decimals--) v /= 10;
    out->raw = v;
    return XE_OK;
}

static worth_t worth_of(uint64_t amount, unsigned decimals, const price_t *p, bool coin)
{
    static const px_t one = {DEC_SCALE};
    worth_t w = {0};
    qty_t qty;
    bool assumed = p->state == PRICE_NONE && coin;
    if ((p->state == PRICE_NONE && !coin) || wallet_qty(amount, decimals, &qty)) return w;
    if (usd_of(assumed ? one : p->usd, qty, ROUND_DOWN, &w.usd)) return w;
    w.known = true;
    w.assumed = assumed;
    return w;
}

worth_t wallet_token_worth(const wtoken_t *t, const price_t prices[ASSET_N])
{
    if (t->asset >= ASSET_N || t->decimals < 0) return (worth_t){0};
    return worth_of(t->amount, (unsigned)t->decimals, &prices[t->asset], t->asset != ASSET_SOL);
}

/* Unknown stays unknown; a sum past the range is unknown too. */
static void add(worth_t *sum, worth_t part)
{
    if (!part.known || !sum->known || part.usd.raw > INT64_MAX - sum->usd.raw) {
        sum->known = false;
        return;
    }
    sum->usd.raw += part.usd.raw;
    sum->assumed |= part.assumed;
}

void wallet_worth(const wallet_t *w, const price_t prices[ASSET_N], wallet_worth_t *out)
{
    *out = (wallet_worth_t){.sol = worth_of(w->lamports, asset_decimals(ASSET_SOL), &prices[ASSET_SOL], false)};
    out->total = out->sol;
    out->stale_price = prices[ASSET_SOL].state == PRICE_STALE;
    for (unsigned i = 0; i < w->tokens_n; i++) {
        const wtoken_t *t = &w->tokens[i];
        if (t->asset == ASSET_N) {
            out->partial = true;
            continue;
        }
        add(&out->total, wallet_token_worth(t, prices));
        out->stale_price |= prices[t->asset].state == PRICE_STALE;
    }
    if (!out->total.known) return;
    int64_t total = out->total.usd.raw, share = total / RESERVE_SHARE + (total % RESERVE_SHARE != 0);
    int64_t reserve = share > RESERVE_E6 ? share : RESERVE_E6;
    out->investable.raw = total > reserve ? total - reserve : 0;
    out->insufficient = out->investable.raw < INVEST_MIN_E6;
}
