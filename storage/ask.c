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

xerr_t ask_outcome(const ask_t *q, xerr_t err, const pg_rows_t *rows)
{
    if (err)
        return err;
    if (pg_rows_n(rows) != 1)
        return XE_INTERNAL;
    int64_t outcome = pg_i64(rows, 0, 0);
    return outcome ? q->codes[outcome - 1] : XE_OK;
}

static void on_settled(void *ctx)
{
    ask_t *q = ctx;
    ((void (*)(void *, xerr_t))q->cb)(q->ctx, XE_OK);
    free(q);
}

void ask_settle(ask_t *q)
{
    bus_settle(q->s->bus, on_settled, q);
}

const char *bytea_text(const uint8_t *in, size_t n, char out[BYTEA_TEXT])
{
    XASSERT(n <= 32);
    out[0] = '\\';
    out[1] = 'x';
    hex_encode(in, n, out + 2);
    return out;
}
