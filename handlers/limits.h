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

/* Takes one token. false: refused, *retry_ms says when one will be there. key: who, from limits_key or a principal. */
bool limits_take(limits_t *l, lim_class_t c, const lim_rule_t *rule, uint64_t key, int64_t now_ns, int64_t *retry_ms);
/* Key of a numeric address text; IPv6 counts per /64. */
uint64_t limits_addr_key(const limits_t *l, const char *addr);
unsigned limits_used(const limits_t *l);
uint64_t limits_evicted(const limits_t *l);

#endif
