/* Bot state of a wallet: one row, last writer wins, the version grows by one per acknowledged change, an audit row for
 * each. Changes are group-committed: everything that arrives while a batch is on its way goes out as the next one. */
#ifndef XORJ_STORAGE_BOTS_H
#define XORJ_STORAGE_BOTS_H

#include "storage/store.h"

typedef struct {
    char wallet[48];
    char user_id[37];
    bool exists;             /* false: the wallet never chose; enabled is then the configured default */
    bool enabled;
    int64_t version;         /* 0 when it does not exist */
    int64_t updated_us;      /* wall time of the last change, 0 when none */
    int64_t last_execution_us; /* 0: never */
    char risk_profile[16];   /* from user_settings, "Balanced" by default */
    char max_trade_amount[32], slippage_tolerance[16]; /* decimal text, "" when unset */
    char strategy[32];       /* "" when none */
} bot_t;

typedef void (*bot_cb)(void *ctx, xerr_t err, const bot_t *bot); /* bot is borrowed, NULL on error */

void bots_get(store_t *s, span_t wallet, bot_cb cb, void *ctx);  /* always from PostgreSQL */
/* Sets enabled. XE_CONFLICT when if_version >= 0 and it is not the row's version. In the answer only wallet, enabled,
 * version and updated_us are set. */
void bots_set_enabled(store_t *s, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx);

#endif
