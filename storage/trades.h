/* Trades of a wallet as rows: the wallet's own and, where it has one, its vault's; newest first. The first page is read
 * through memory. */
#ifndef XORJ_STORAGE_TRADES_H
#define XORJ_STORAGE_TRADES_H

#include "storage/store.h"

#define TRADES_LIMIT_MAX 100
#define TRADES_OFFSET_MAX 10000
#define TRADES_COUNTED 100000 /* a total of this many may be more */

typedef struct {
    unsigned limit;      /* 1..TRADES_LIMIT_MAX */
    unsigned offset;     /* 0..TRADES_OFFSET_MAX */
    int64_t before_us;   /* cursor: trades older than this one; 0: from the newest */
    char before_id[37];
    const char *status;  /* PENDING, SUBMITTED, CONFIRMED, FAILED; NULL: all */
} trade_query_t;

typedef struct {
    char id[37], vault[48], order_id[72], status[12], from_token[48], to_token[48];
    /* base units as integer text, "" unknown */
    char amount_in[36], expected_out[36], actual_out[36], gas_fee[36];
    char slippage[16], pnl_usd[32]; /* decimal text, "" unknown */
    char signature[96], error[160];
    int64_t created_us, updated_us;
} trade_t;

typedef struct {
    unsigned n;
    const trade_t *rows;
    bool has_more;
    int64_t total; /* that match wallet and status, counted up to TRADES_COUNTED */
    bool stale;    /* the last known, while PostgreSQL is away */
    int64_t age_ms;
} trade_page_t;

typedef void (*trades_cb)(void *ctx, xerr_t err, const trade_page_t *page); /* borrowed, NULL on error */
void trades_list(store_t *s, span_t wallet, const trade_query_t *q, trades_cb cb, void *ctx);

#endif
