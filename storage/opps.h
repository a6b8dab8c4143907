/* Opportunities as rows. Writes are batched and bounded; when PostgreSQL is away the oldest waiting updates are dropped
 * and counted (the stream to subscribers goes on). */
#ifndef XORJ_STORAGE_OPPS_H
#define XORJ_STORAGE_OPPS_H

#include "engine/engine.h"
#include "storage/store.h"

void opps_put(store_t *s, const opp_t *o, const char *pair_name); /* open inserts, update and close change the row */

typedef struct {
    unsigned limit;          /* 1..1000 */
    int64_t before_seq;      /* cursor: rows with a smaller seq; 0: from the newest */
    span_t pair, venue, decision; /* empty: all */
    int64_t since_us;        /* 0: all */
    bool has_min_net;
    int32_t min_net_bps_x100;
} opp_query_t;

typedef struct {
    int64_t seq;             /* order of detection in this database */
    char id[37], pair[16], direction[16], buy_venue[16], sell_venue[16];
    /* exact decimal text, "" unknown */
    char buy_price[48], sell_price[48], size[48], buy_cost[32], sell_proceeds[32];
    char fee_cex[32], fee_dex[32], fee_network[32], slippage[32], fee_total[32], basis[48];
    char gross_bps[16], net_bps[16], peak_net_bps[16], predicted_pnl[32];
    int64_t detected_us, source_us, recv_us, ended_us, lifetime_ms; /* 0: none */
    int64_t parse_ns, detect_ns; /* receive to parsed, receive to detected */
    char decision[16], reason[16], status[16]; /* status: open, closed */
} opp_row_t;

typedef struct {
    unsigned n;
    const opp_row_t *rows;
    bool has_more;
    int64_t next_seq, total; /* total: rows that match the filters without the cursor, counted up to 100,000 */
} opp_page_t;

void opps_list(store_t *s, const opp_query_t *q, void (*cb)(void *ctx, xerr_t err, const opp_page_t *page), void *ctx);
/* XE_NOT_FOUND: page has no row. */
void opps_one(store_t *s, span_t id, void (*cb)(void *ctx, xerr_t err, const opp_page_t *page), void *ctx);

#endif
