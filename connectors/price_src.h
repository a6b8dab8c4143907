/* The price sources one by one: what to ask, and how to read the answer. Pure: text in, quotes out. Figures are exact to
 * 1e-12, never a double. A quote that is no positive number, carries no time where the source tells one, or has a
 * confidence interval wider than 1 % is left out. */
#ifndef XORJ_CONNECTORS_PRICE_SRC_H
#define XORJ_CONNECTORS_PRICE_SRC_H

#include "base/buf.h"
#include "engine/wallet.h"

/* X(id, name); BIRDEYE pushes, the others are asked */
#define PRICE_SRC_LIST(X) X(COINGECKO, "coingecko") X(JUPITER, "jupiter") X(PYTH, "pyth") X(BIRDEYE, "birdeye")
typedef enum {
#define X(id, name) SRC_##id,
    PRICE_SRC_LIST(X)
#undef X
    SRC_N
} price_src_t;
const char *price_src_name(price_src_t s);

typedef struct {
    bool known;
    px_t usd;
    int64_t at_us; /* the source's own time; 0: it tells none, the moment of receipt counts */
} quote_t;

void price_src_url(price_src_t s, const char *base, buf_t *out);
/* "Name: value", or nothing when key is empty. */
void price_src_header(price_src_t s, const char *base, const char *key, buf_t *out);
/* XE_BAD_INPUT: not this source's answer. Assets it does not tell stay unknown. */
xerr_t price_src_read(price_src_t s, span_t body, quote_t out[ASSET_N]);

/* The subscription Birdeye wants, and one of its messages: XE_AGAIN: not a price. Its candles carry the time they began:
 * one that began more than three minutes before now_us is not taken (XE_STALE). */
void birdeye_subscription(buf_t *out);
xerr_t birdeye_read(span_t text, int64_t now_us, quote_t out[ASSET_N]);

/* A JSON number, exponent and all, cut to 1e-12; XE_BAD_INPUT: not one, or negative. XE_RANGE. */
xerr_t price_number(span_t text, px_t *out);

#endif
