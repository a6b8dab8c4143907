#include "storage/touch.h"

#include <stdlib.h>
#include <string.h>

#include "storage/pgarr.h"
#include "storage/store_int.h"

enum { TOUCH_MAX = 4096 };

struct touches {
    store_t *s;
    ltimer_t *due;
    unsigned n;
    char jti[TOUCH_MAX][37];
};

static void on_due(void *ctx)
{
    touches_t *t = ctx;
    buf_t arr;
    if (!pg_up(t->s->house)) {
        t->n = 0;
        return;
    }
    buf_init(&arr, 64 + TOUCH_MAX * 32);
    pgarr_open(&arr, PGARR_UUID);
    for (unsigned i = 0; i < t->n; i++)
        pgarr_uuid(&arr, t->jti[i]);
    pg_send_arrays(t->s->house, SQL_SESSIONS_SEEN, &arr, NULL, NULL);
    buf_fini(&arr);
    t->n = 0;
}

touches_t *touches_new(store_t *s)
{
    touches_t *t = calloc(1, sizeof *t);
    XASSERT(t);
    t->s = s;
    t->due = ltimer_new(s->l, on_due, t);
    return t;
}

void touches_free(touches_t *t)
{
    ltimer_free(t->due);
    free(t);
}

bool touch_put(touches_t *t, const char jti[37])
{
    if (t->n == TOUCH_MAX || t->s->closing || !pg_up(t->s->house))
        return false;
    memcpy(t->jti[t->n++], jti, 37);
    if (!ltimer_armed(t->due))
        ltimer_arm(t->due, TOUCH_LAG_MS);
    return true;
}
