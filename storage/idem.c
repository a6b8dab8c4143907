#include "storage/idem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "storage/store_int.h"

#define TTL_S "86400" /* not longer than the names of changes are kept: see SQL_PURGE */

typedef struct {
    soon_t soon;
    idem_cb cb;
    void *ctx;
} ask_t;

static void fire_down(soon_t *soon)
{
    ask_t a = *(ask_t *)soon;
    free(soon);
    a.cb(a.ctx, XE_DOWN, NULL);
}

/* NULL: the store is closing, the callback is on its way. */
static ask_t *ask_new(store_t *s, idem_cb cb, void *ctx)
{
    ask_t *a = calloc(1, sizeof *a);
    XASSERT(a);
    a->cb = cb;
    a->ctx = ctx;
    if (!s->closing)
        return a;
    soons_post(s->soons, &a->soon, fire_down);
    return NULL;
}

static void on_row(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t a = *(ask_t *)ctx;
    idem_row_t row = {0};
    free(ctx);
    if (!err && pg_rows_n(rows) != 1)
        err = XE_NOT_FOUND;
    if (!err) {
        row.other = !pg_bool(rows, 0, 0);
        pg_copy(rows, 0, 1, row.name, sizeof row.name);
        row.status = (int)pg_i64(rows, 0, 2);
        row.etag = pg_text(rows, 0, 3);
        row.body = pg_text(rows, 0, 4);
    }
    a.cb(a.ctx, err, err ? NULL : &row);
}

static unsigned deadline(const store_t *s)
{
    return (unsigned)s->cfg->http_write_deadline_ms;
}

void idem_claim(store_t *s, const idem_key_t *k, idem_cb cb, void *ctx)
{
    char hex[65];
    ask_t *a = ask_new(s, cb, ctx);
    if (!a)
        return;
    hex_encode(k->hash, sizeof k->hash, hex);
    pool_query(s->pool, SQL_IDEM_CLAIM, (const char *const[]){k->principal, k->key, hex, TTL_S}, deadline(s), true, on_row, a);
}

void idem_keep(store_t *s, const idem_key_t *k, const char *name, int status, span_t etag, span_t body, idem_cb cb, void *ctx)
{
    char hex[65], code[12], tag[80];
    ask_t *a = ask_new(s, cb, ctx);
    if (!a)
        return;
    char *text = malloc(body.n + 1);
    XASSERT(text);
    memcpy(text, body.p, body.n);
    text[body.n] = '\0';
    hex_encode(k->hash, sizeof k->hash, hex);
    snprintf(code, sizeof code, "%d", status);
    snprintf(tag, sizeof tag, "%.*s", (int)etag.n, etag.n ? etag.p : "");
    const char *params[] = {k->principal, k->key, name, hex, code, etag.n ? tag : NULL, text};
    pool_query(s->pool, SQL_IDEM_KEEP, params, deadline(s), true, on_row, a);
    free(text);
}

static void on_open(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t a = *(ask_t *)ctx;
    (void)rows;
    free(ctx);
    a.cb(a.ctx, err, NULL);
}

void idem_open(store_t *s, const idem_key_t *k, const char *name, idem_cb cb, void *ctx)
{
    ask_t *a = ask_new(s, cb, ctx);
    if (a)
        pool_query(s->pool, SQL_IDEM_OPEN, (const char *const[]){k->principal, k->key, name}, deadline(s), true, on_open, a);
}
