#include "handlers/query.h"

#include <stdio.h>

#include "base/codec.h"

static int index_of(const schema_t *rows, span_t name)
{
    const schema_t *row = schema_find(rows, name);
    return row ? (int)(row - rows) : -1;
}

static xerr_t unescape(span_t in, query_alloc_fn alloc, void *ctx, span_t *out)
{
    if (!memchr(in.p, '%', in.n)) {
        *out = in;
        return XE_OK;
    }
    char *to = alloc(ctx, in.n);
    size_t n;
    if (pct_decode(in, to, in.n, &n)) return XE_BAD_INPUT;
    *out = span_make(to, n);
    return XE_OK;
}

/* The first fault is the one reported; what follows is read on, because whose data is asked for is judged before. */
static xerr_t fault(query_t *q, span_t name, const char *why)
{
    if (q->fault.p) return XE_BAD_INPUT;
    q->fault = name;
    q->why = why;
    return XE_BAD_INPUT;
}

static xerr_t take(span_t pair, query_alloc_fn alloc, void *ctx, query_t *q)
{
    const char *eq = memchr(pair.p, '=', pair.n);
    span_t name = span_make(pair.p, eq ? (size_t)(eq - pair.p) : pair.n);
    span_t raw = eq ? span_make(eq + 1, pair.n - name.n - 1) : span_make(pair.p + pair.n, 0);
    int i = index_of(q->rows, name);
    if (i < 0) return fault(q, name, NULL);
    if (q->value[i].p) return fault(q, name, "given twice");
    return unescape(raw, alloc, ctx, &q->value[i]) ? fault(q, name, "broken percent escape") : XE_OK;
}

xerr_t query_parse(span_t raw, const schema_t *rows, query_alloc_fn alloc, void *ctx, query_t *out)
{
    xerr_t err = XE_OK;
    memset(out, 0, sizeof *out);
    out->rows = rows;
    for (size_t at = 0; at < raw.n;) {
        const char *amp = memchr(raw.p + at, '&', raw.n - at);
        size_t end = amp ? (size_t)(amp - raw.p) : raw.n;
        span_t pair = span_make(raw.p + at, end - at);
        if (pair.n && take(pair, alloc, ctx, out)) err = XE_BAD_INPUT;
        at = end + 1;
    }
    return err;
}

bool query_get(const query_t *q, const char *name, span_t *out)
{
    int i = index_of(q->rows, span_of(name));
    if (i < 0 || !q->value[i].p) return false;
    if (out) *out = q->value[i];
    return true;
}

xerr_t query_judge(const query_t *q, span_t own, sc_why_t *why)
{
    for (int i = 0; q->rows && q->rows[i].name; i++) {
        const schema_t *row = &q->rows[i];
        if (q->value[i].p) {
            if (row->type == SC_WALLET && own.n && span_eq(q->value[i], own)) continue;
            if (schema_judge_text(row, q->value[i], why)) return XE_BAD_INPUT;
        } else if (row->flags & SC_REQ) {
            snprintf(why->text, sizeof why->text, "%s: required", row->name);
            return XE_BAD_INPUT;
        }
    }
    return XE_OK;
}
