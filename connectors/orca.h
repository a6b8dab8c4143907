/* Orca Whirlpool pools through Solana RPC: each pool's account, the tick arrays around its price and, where the fee is
 * adaptive, its oracle, pushed by accountSubscribe where a websocket endpoint is configured, and read by getMultipleAccounts every poll_ms in any case.
 *
 * An older slot never replaces a newer one. An account that is not what it should be (owner, tag, length, pool, start
 * tick, mints) is refused with a counter and its pool is bad until the next whole read. */
#ifndef XORJ_CONNECTORS_ORCA_H
#define XORJ_CONNECTORS_ORCA_H

#include "connectors/link.h"
#include "connectors/rpc.h"

typedef struct orca orca_t;

#define ORCA_POOLS_MAX 12

/* NULL when no pool is configured. w may be NULL: polling only. */
orca_t *orca_open(loop_t *l, wsc_t *w, metrics_t *m, const cfg_t *cfg, const eng_conf_t *insts, rpc_t *rpc, door_t door, journal_t *journal);
void orca_resync(orca_t *o, inst_t inst); /* read everything of this pool again */
bool orca_has(const orca_t *o, inst_t inst);
void orca_stop(orca_t *o);
bool orca_idle(const orca_t *o);
void orca_free(orca_t *o); /* a read in flight may still come back: the last of it goes then */
const feed_health_t *orca_health(orca_t *o);

#endif
