#include "storage/ask.h"

#include <stdlib.h>

#include "base/codec.h"
#include "storage/store_int.h"

static void fire_closing(soon_t *soon)
{
    ask_t *q = (ask_t *)soon;
    q->read(q, XE_DOWN, NULL);
}

ask_t *ask(store_t *s, sql_t stmt, const char *const *params, bool repeat, pg_cb read, void (*cb)(void), void *ctx)
{
    ask_t *q = calloc(1, sizeof *q);
    XASSERT(q);
    q->s = s;
    q->read = read;
    q->cb = cb;
    q->ctx = ctx;
    if (s->closing)
        soons_post(s->soons, &q->soon, fire_closing);
    else
        pool_query(s->pool, stmt, params, (unsigned)s->cfg->http_write_deadline_ms, repeat, read, q);
    return q;
}

const char *bytea_text(const uint8_t *in, size_t n, char out[BYTEA_TEXT])
{
    XASSERT(n <= 32);
    out[0] = '\\';
    out[1] = 'x';
    hex_encode(in, n, out + 2);
    return out;
}
