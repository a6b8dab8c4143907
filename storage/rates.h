/* Rate limits shared between processes through Redis: the buckets of a caller, counted where all see them.
 *
 * A process judges by its own memory first. What passes there it takes to Redis, which counts for all and says how much is
 * used; memory learns that. Whoever has used little need not wait for the answer, so ordinary callers never wait; the
 * caller near a limit does. While Redis is away each process counts for itself. */
#ifndef XORJ_STORAGE_RATES_H
#define XORJ_STORAGE_RATES_H

#include "storage/store.h"

typedef struct {
    int64_t used_us; /* of the bucket, before this request: time until it would be full again */
    int64_t step_us; /* what one request uses; 0: no such bucket */
    int64_t room_us; /* a request passes while no more than this is used */
} rate_t;

/* XE_OK: passes, used_us is what all have used now. XE_FULL: refused, used_us is what all had used. Anything else: nobody
 * could be asked, used_us is NULL. */
typedef void (*rates_cb)(void *ctx, uint64_t key, xerr_t err, const int64_t used_us[2]);
/* One request of the caller key passed here. Buckets: the window, the burst. False: alone, or no Redis; cb never fires. */
bool rates_take(store_t *s, uint64_t key, const rate_t bucket[2], rates_cb cb, void *ctx);

#endif
