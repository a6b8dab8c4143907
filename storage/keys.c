#include "storage/keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "storage/ask.h"
#include "storage/store_int.h"

#define USED_EVERY_NS 60000000000 /* a key's last use is noted this often */

static void on_key(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    api_key_t k;
    size_t n = 0;
    memset(&k, 0, sizeof k);
    if (!err && (pg_rows_n(rows) != 1 || hex_decode(pg_text(rows, 0, 0), k.hash, sizeof k.hash, &n) || n != sizeof k.hash))
        err = XE_AUTH;
    if (!err) {
        memcpy(k.id, q->reload, sizeof k.id);
        pg_copy(rows, 0, 1, k.owner, sizeof k.owner);
        pg_copy(rows, 0, 2, k.role, sizeof k.role);
        k.issued_s = pg_i64(rows, 0, 3);
        k.expires_s = pg_i64(rows, 0, 4);
    }
    ((key_cb)q->cb)(q->ctx, err, err ? NULL : &k);
    free(q);
}

void key_get(store_t *s, const char *id, key_cb cb, void *ctx)
{
    snprintf(ask(s, SQL_KEY_GET, (const char *const[]){id}, true, on_key, (void (*)(void))cb, ctx)->reload, 37, "%s", id);
}

static void on_used(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    (void)ctx, (void)err, (void)rows;
}

void key_used(store_t *s, const char *id)
{
    int64_t at = 0, now = loop_now_ns(s->l);
    size_t n;
    if (s->closing || !pg_up(s->house) || (cache_get(s->key_uses, span_of(id), &n, &at) && now - at < USED_EVERY_NS))
        return;
    cache_put(s->key_uses, span_of(id), "", 1, now);
    pg_send(s->house, SQL_KEY_USED, (const char *const[]){id}, on_used, NULL);
}

/* ---- making and ending ---- */

static void on_outcome(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    err = ask_outcome(q, err, rows);
    if (!err && q->ends) {
        users_ended(q->s, span_of(q->reload));
        ask_settle(q);
        return;
    }
    ((op_done_cb)q->cb)(q->ctx, err);
    free(q);
}

static void on_created(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    err = ask_outcome(q, err, rows);
    ((void (*)(void *, xerr_t, int64_t))q->cb)(q->ctx, err, err ? 0 : pg_i64(rows, 0, 1));
    free(q);
}

/* "a b" as the array text {a,b}: scopes are words of ours, nothing in them needs a quote. */
static void array_text(const char *words, char out[KEY_SCOPES_MAX + 2])
{
    size_t n = 0;
    out[n++] = '{';
    for (; *words && n < KEY_SCOPES_MAX; words++) out[n++] = *words == ' ' ? ',' : *words;
    out[n++] = '}';
    out[n] = '\0';
}

void key_create(store_t *s, const api_key_t *in, unsigned max, const who_t *who,
                void (*cb)(void *ctx, xerr_t err, int64_t expires_s), void *ctx)
{
    static const xerr_t codes[] = {XE_AUTH, XE_UNSUPPORTED};
    char req[37], scopes[KEY_SCOPES_MAX + 2], hash[BYTEA_TEXT], issued[24], expires[24], most[24];
    store_name(who, req);
    array_text(in->scopes, scopes);
    snprintf(issued, sizeof issued, "%lld", (long long)in->issued_s);
    snprintf(expires, sizeof expires, "%lld", (long long)in->expires_s);
    snprintf(most, sizeof most, "%u", max);
    const char *params[] = {req,    in->id,  in->owner, in->role,  in->name,        scopes,        bytea_text(in->hash, sizeof in->hash, hash),
                            issued, expires, most,      who->role, who->request_id, who->source_ip};
    ask(s, SQL_KEY_CREATE, params, who->name != NULL, on_created, (void (*)(void))cb, ctx)->codes = codes;
}

void key_revoke(store_t *s, const char *id, const char *owner, const who_t *who, op_done_cb cb, void *ctx)
{
    static const xerr_t codes[] = {XE_NOT_FOUND};
    char req[37];
    uuid4(req);
    const char *params[] = {req, id, owner, who->actor, who->role, who->request_id, who->source_ip};
    ask_t *q = ask(s, SQL_KEY_REVOKE, params, true, on_outcome, (void (*)(void))cb, ctx);
    q->codes = codes;
    q->ends = true;
    snprintf(q->reload, sizeof q->reload, "%s", id);
}

/* ---- listing: the count first, then the page ---- */

typedef struct {
    store_t *s;
    void (*cb)(void *ctx, xerr_t err, const key_page_t *p);
    void *ctx;
    unsigned limit;
    bool all;
    char owner[37], after_id[37];
    int64_t after_us, total;
} listing_t;

static void on_page(void *ctx, xerr_t err, const pg_rows_t *rows);

static void on_count(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    listing_t *l = q->ctx;
    char after[24], limit[24];
    free(q);
    if (err || l->s->closing) {
        l->cb(l->ctx, err ? err : XE_DOWN, NULL);
        free(l);
        return;
    }
    l->total = pg_i64(rows, 0, 0);
    snprintf(after, sizeof after, "%lld", (long long)l->after_us);
    snprintf(limit, sizeof limit, "%u", l->limit + 1);
    const char *params[] = {l->all ? NULL : l->owner, after, l->after_id[0] ? l->after_id : NULL, limit};
    ask(l->s, SQL_KEY_LIST, params, true, on_page, NULL, l);
}

static void row_of(const pg_rows_t *r, unsigned i, api_key_t *k)
{
    memset(k, 0, sizeof *k);
    pg_copy(r, i, 0, k->id, sizeof k->id);
    pg_copy(r, i, 1, k->name, sizeof k->name);
    pg_copy(r, i, 2, k->owner, sizeof k->owner);
    pg_copy(r, i, 3, k->scopes, sizeof k->scopes);
    k->created_us = pg_i64(r, i, 4);
    k->expires_us = pg_i64(r, i, 5);
    k->used_us = pg_i64(r, i, 6);
}

static void on_page(void *ctx, xerr_t err, const pg_rows_t *rows)
{
    ask_t *q = ctx;
    listing_t *l = q->ctx;
    key_page_t p = {.total = l->total};
    api_key_t *row = NULL;
    free(q);
    if (!err) {
        unsigned n = pg_rows_n(rows);
        p.more = n > l->limit;
        p.n = p.more ? l->limit : n;
        row = calloc(p.n + 1, sizeof *row);
        XASSERT(row);
        for (unsigned i = 0; i < p.n; i++)
            row_of(rows, i, &row[i]);
        p.row = row;
    }
    l->cb(l->ctx, err, err ? NULL : &p);
    free(row);
    free(l);
}

void keys_list(store_t *s, const char *owner, int64_t after_us, const char *after_id, unsigned limit,
               void (*cb)(void *ctx, xerr_t err, const key_page_t *p), void *ctx)
{
    listing_t *l = calloc(1, sizeof *l);
    XASSERT(l);
    *l = (listing_t){.s = s, .cb = cb, .ctx = ctx, .limit = limit, .all = !owner, .after_us = after_us};
    snprintf(l->owner, sizeof l->owner, "%s", owner ? owner : "");
    snprintf(l->after_id, sizeof l->after_id, "%s", after_id);
    ask(s, SQL_KEY_COUNT, (const char *const[]){owner}, true, on_count, NULL, l);
}
