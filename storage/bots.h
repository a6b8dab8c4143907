/* Bot state of a wallet: one row, last writer wins, the version grows by one per acknowledged change, an audit row for
 * each. Changes are group-committed: everything that arrives while a batch is on its way goes out as the next one. */
#ifndef XORJ_STORAGE_BOTS_H
#define XORJ_STORAGE_BOTS_H

#include "storage/store.h"

/* What keeps a bot from acting although it is switched on: by its owner, by an operator, by an operator for all bots.
 * closing: positions are to be closed. */
typedef struct { bool paused, killed, closing; } hold_t;
typedef enum { HOLD_OWNER, HOLD_OPERATOR, HOLD_ALL, HOLD_N } hold_by_t;

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
    char investment_amount[32]; /* decimal text, "" when unset */
    int64_t settings_version, settings_updated_us; /* 0: never changed */
    char vault[48];          /* address, "" when there is none */
    int64_t created_us;      /* of the user, 0: no such user */
    char last_outcome[12];   /* CONFIRMED or FAILED, of the newest trade that ended; "" when none did */
    hold_t holds[HOLD_N];
} bot_t;

typedef void (*bot_cb)(void *ctx, xerr_t err, const bot_t *bot); /* bot is borrowed, NULL on error */

void bots_get(store_t *s, span_t wallet, bot_cb cb, void *ctx);  /* always from PostgreSQL */
/* Sets enabled. XE_CONFLICT when if_version >= 0 and it is not the row's version. In the answer only wallet, enabled,
 * version and updated_us are set. */
void bots_set_enabled(store_t *s, span_t wallet, bool enabled, int64_t if_version, const who_t *who, bot_cb cb, void *ctx);

/* ---- emergency ---- */

typedef enum { EMERGENCY_PAUSE, EMERGENCY_RESUME, EMERGENCY_KILL, EMERGENCY_CLOSE } emergency_t;

typedef struct {
    char scope[64]; /* "wallet:ADDRESS", "operator:ADDRESS", "global" */
    hold_t hold;
    char reason[832];
    int64_t version, updated_us;
} hold_state_t;
typedef void (*hold_cb)(void *ctx, xerr_t err, const hold_state_t *st);

/* Holds or frees one bot (wallet empty with HOLD_ALL: all of them). Durable, one audit row. master: may lift a kill switch;
 * without it a resume under one is XE_CONFLICT. */
void bots_emergency(store_t *s, hold_by_t by, span_t wallet, emergency_t what, const char *reason, bool master, const who_t *who,
                    hold_cb cb, void *ctx);

#endif
