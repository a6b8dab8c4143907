/* Rate limits: token buckets per class and caller, in memory, bounded; the least recently used entry goes first.
 *
 * A caller may spend a whole window's tokens at once; a second, shorter window may bound that burst. Kept as
 * "theoretical arrival time": one integer per bucket, no timer, no drift. The monotonic clock drives it. */
#ifndef XORJ_HANDLERS_LIMITS_H
#define XORJ_HANDLERS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/config.h"

/* X(id, name, key per address) */
#define LIM_LIST(X) X(OPEN, "open", true) X(STATUS, "status", false) X(OPP, "opportunities", false) \
    X(TRADES, "trades", false) X(CTRL, "controls", false) X(TEST, "test", false) \
    X(AUTH, "auth", true) X(USER, "user", false) X(WS, "ws", false)
typedef enum {
    LIM_NONE,
#define X(id, name, addr) LIM_##id,
    LIM_LIST(X)
#undef X
    LIM_N
} lim_class_t;
const char *lim_name(lim_class_t c);
bool lim_by_address(lim_class_t c);

typedef struct { int64_t n, window_s, burst_per_s; } lim_rule_t; /* burst_per_s 0: none */
lim_rule_t lim_rule(const cfg_t *cfg, lim_class_t c);

typedef struct limits limits_t;
limits_t *limits_new(unsigned keys_max, const uint64_t sip_key[2]); /* NULL when memory is out */
void limits_free(limits_t *l);

typedef struct {
    int64_t retry_ms;    /* refused: when a token will be there; else 0 */
    int64_t left, full_s; /* tokens still there, and when all are there again */
    int64_t used_us[2], step_us[2]; /* window and burst: what was used before this request, and what one uses; step 0: no burst */
    int64_t room_us[2];  /* one passes while no more than this is used */
} lim_state_t;
uint64_t limits_key(lim_class_t c, uint64_t who); /* of one bucket */
/* Takes one token of a bucket. false: refused. */
bool limits_judge(limits_t *l, uint64_t key, const lim_rule_t *rule, int64_t now_ns, lim_state_t *out);
/* The state by what all processes have used: after a request that passed, or that was refused for it. */
void limits_passed(const lim_rule_t *rule, const int64_t used_us[2], lim_state_t *out);
void limits_refused(const lim_rule_t *rule, const int64_t used_us[2], lim_state_t *out);
/* Others took of it too: at least this much is used now. Forgotten buckets stay so. */
void limits_learn(limits_t *l, uint64_t key, const int64_t used_us[2], int64_t now_ns);

/* Takes one token. false: refused, *retry_ms says when one will be there. key: who, of an address or a principal. */
bool limits_take(limits_t *l, lim_class_t c, const lim_rule_t *rule, uint64_t key, int64_t now_ns, int64_t *retry_ms);
/* Key of a numeric address text; IPv6 counts per /64. */
uint64_t limits_addr_key(const limits_t *l, const char *addr);
unsigned limits_used(const limits_t *l);
uint64_t limits_evicted(const limits_t *l);

#endif
