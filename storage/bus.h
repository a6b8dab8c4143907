/* Word between the processes that share one database, so that a memory cache never outlives a change made elsewhere.
 *
 * Whoever changes a row that processes keep in memory says so inside the same transaction: SELECT bus_tell(letter, key) in
 * the statement, or a trigger (sessions and user_settings have theirs). Every process hears it over a link of its own
 * (LISTEN), this one included, and calls what was registered for the kind.
 *
 * "At once" is kept by two rules. A cache believes an entry only while bus_believes() says so: the link is up, was proved
 * alive within BUS_LEASE_MS, and the entry was read after the link came up; else it asks PostgreSQL. And the answer to a
 * change leaves only after bus_settle(): every other process has applied what was committed before, or has been silent for
 * so long that it believes nothing. So a client that has read the answer meets the change everywhere, whatever its speed.
 *
 *     bus_on(store_bus(s), BUS_WALLET, forget, s);    forget(s, key): drop key and taint loads of it; empty key: all of it
 *     cache_put(.., loop_now_ns when the SELECT was sent);    bus_believes(bus, at_ns) before an entry is used
 *     on the change's commit: drop it here too, then bus_settle(bus, answer, ctx)
 *
 * Alone on its database a process settles with one round trip. Toggles say nothing here: bot state is always read from
 * PostgreSQL. bus_post() is the weaker word: after the commit, no promise, for subscribers' messages. */
#ifndef XORJ_STORAGE_BUS_H
#define XORJ_STORAGE_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"

#define BUS_LEASE_MS 2500 /* PostgreSQL may stand still for two seconds and reads go on from memory */
#define BUS_KEY_MAX 1000

/* X(id, letter, what the key is) */
#define BUS_LIST(X)                                                     \
    X(SESSION, 's', "jti of a session that was revoked")                \
    X(WALLET, 'w', "wallet whose settings or user row changed")         \
    X(OPERATOR, 'o', "jti of a session whose account changed")           \
    X(API_KEY, 'k', "id of an API key that changed")                    \
    X(BOT, 'b', "a bot's new state; posted after its commit, see bots") \
    X(NOTICE, 'n', "anything a subscriber should hear; posted")
typedef enum {
#define X(id, letter, doc) BUS_##id,
    BUS_LIST(X)
#undef X
    BUS_KINDS
} bus_kind_t;

typedef struct bus bus_t;

/* key is borrowed. Empty: word may have been missed, everything of this kind may have changed. */
typedef void (*bus_fn)(void *ctx, span_t key);
void bus_on(bus_t *b, bus_kind_t kind, bus_fn fn, void *ctx); /* before the loop turns; at most 4 per kind */

/* May an entry be used whose statement was sent at at_ns (loop time)? False: ask PostgreSQL, and do not join a load that
 * somebody else started before (flight_taint it right after starting). */
bool bus_believes(const bus_t *b, int64_t at_ns);
unsigned bus_others(const bus_t *b); /* other processes on this database, as of the last beat; 0 when not known */

/* cb(ctx) once, from the loop, within BUS_LEASE_MS and a little: see above. */
void bus_settle(bus_t *b, void (*cb)(void *ctx), void *ctx);
/* Tells the other processes only, soon. Dropped and counted when the link is away or the queue is full. */
void bus_post(bus_t *b, bus_kind_t kind, span_t key);

#endif
