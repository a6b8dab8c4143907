/* A bot as answers and messages tell it: its word, why it is held, how well it could act. Pure, but for one small memory:
 * the holds last read of each wallet, for messages about a change that does not carry them. */
#ifndef XORJ_HANDLERS_BOT_VIEW_H
#define XORJ_HANDLERS_BOT_VIEW_H

#include "handlers/ctx.h"
#include "handlers/market.h"
#include "storage/bots.h"

holds_t *holds_new(void);
void holds_free(holds_t *h);
/* False: a later version of this bot was told a moment ago, and this one comes late. */
bool bot_is_news(api_t *a, const char *wallet, int64_t version);
void holds_note(api_t *a, const char *wallet, const hold_t holds[HOLD_N]);

/* stopped, active, or paused: switched on, and held or without one usable market. A process without feeds cannot judge
 * markets. wallet's holds as last noted. */
const char *bot_word(const api_t *a, const char *wallet, bool enabled);
const char *bot_word_of(const api_t *a, const bot_t *b);

/* health_score, 0 to 100: the mean, by weight, of what is known of data_freshness (50: share of configured markets that may
 * be traded on now), holds (30: 100 when nothing holds the bot, else 0), last_execution (20: 100 when the newest trade that
 * ended was confirmed, 0 when it failed). Unknown while no market is configured. */
typedef struct { int score, freshness, holds, execution; } bot_health_t; /* -1: unknown */
bot_health_t bot_health(const api_t *a, const bot_t *b);

/* status, enabled, pause_reasons, health_score, health */
void bot_put_state(const api_t *a, jw_t *w, const bot_t *b);
void bot_put_reasons(const api_t *a, jw_t *w, const bot_t *b); /* members of a reasons object: why parts of it are null */

#define BOT_STATE_ROWS                                                                                                            \
    S_REQ("status", SC_STR, .choices = S_WORDS("active", "stopped", "paused")), S_REQ("enabled", SC_BOOL),                         \
    S_REQ("pause_reasons", SC_ARR, .of = S_LIST(S_REQ("reason", SC_STR)),                                                         \
          .doc = "STALE_DATA, or USER_, OPERATOR_, GLOBAL_ with PAUSE, KILL_SWITCH or CLOSE_POSITIONS."),                          \
    S_NUL("health_score", SC_INT, .max = 100, .doc = "Mean, by weight, of what is known in health."),                             \
    S_REQ("health", SC_OBJ, .of = bot_health_members)
extern const schema_t bot_health_members[];

/* After the commit; other processes hear it too, for their subscribers. */
void bot_tell_engine(api_t *a, const char *wallet, bool enabled, int64_t version, int64_t updated_us);

#endif
