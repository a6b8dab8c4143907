/* Sessions that were used, told to PostgreSQL a batch at a time. Bounded: what finds no room is told with a later use.
 * Internal to storage/. */
#ifndef XORJ_STORAGE_TOUCH_H
#define XORJ_STORAGE_TOUCH_H

#include <stdbool.h>

#include "storage/store.h"

#define TOUCH_LAG_MS 100 /* how long a use may wait for its batch */

typedef struct touches touches_t;

touches_t *touches_new(store_t *s);
void touches_free(touches_t *t);
bool touch_put(touches_t *t, const char jti[37]); /* false: no room, or nobody to tell */

#endif
