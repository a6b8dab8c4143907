/* Settings of a wallet: one row, last writer wins, the version grows by one per acknowledged change, an audit row for each.
 * Read through memory; a change is seen by whoever asks after its answer. */
#ifndef XORJ_STORAGE_SETTINGS_H
#define XORJ_STORAGE_SETTINGS_H

#include "storage/store.h"

/* Numbers are exact decimal text, "" when never set. tri_t: as the owner chose, or not. */
typedef enum { TRI_UNSET = -1, TRI_NO, TRI_YES } tri_t;

typedef struct {
    char wallet[48];
    bool exists;           /* false: no row; the defaults are given */
    int64_t version;       /* 0: never changed */
    int64_t updated_us;    /* of the last change, 0: none */
    char risk_profile[16]; /* Conservative, Balanced, Aggressive */
    char max_trade_amount[32], slippage_tolerance[16], max_drawdown_limit[32], position_size_percent[32], investment_amount[32];
    tri_t stop_loss, take_profit;
} settings_t;

/* A change: NULL or TRI_UNSET leaves a member as it is. Texts must be plain decimals that fit their columns. */
typedef struct {
    const char *risk_profile; /* canonical */
    const char *max_trade_amount, *slippage_tolerance, *max_drawdown_limit, *position_size_percent, *investment_amount;
    tri_t stop_loss, take_profit;
} settings_patch_t;

typedef struct {
    const settings_t *s; /* borrowed until the callback returns */
    bool stale;          /* the last known, while PostgreSQL is away */
    int64_t age_ms;
} settings_hit_t;

typedef void (*settings_cb)(void *ctx, xerr_t err, const settings_hit_t *hit);

void settings_get(store_t *s, span_t wallet, settings_cb cb, void *ctx);
bool settings_peek(store_t *s, span_t wallet, settings_hit_t *out); /* fresh in memory: borrowed until the end of the turn */
/* XE_CONFLICT: if_version >= 0 and the row has another. XE_NOT_FOUND: no such user. */
void settings_put(store_t *s, span_t wallet, const settings_patch_t *p, int64_t if_version, const who_t *who, settings_cb cb, void *ctx);

/* The bot's switch and the settings beside it, changed together. if_bot and if_settings: versions, -1 any. */
typedef struct {
    settings_t settings;
    bool enabled;
    int64_t bot_version, bot_updated_us; /* 0: never chosen */
    bool switched;                       /* enabled was part of the change */
} bot_config_t;
void bot_configure(store_t *s, span_t wallet, tri_t enabled, const settings_patch_t *p, int64_t if_bot, int64_t if_settings,
                   const who_t *who, void (*cb)(void *ctx, xerr_t err, const bot_config_t *c), void *ctx);

#endif
