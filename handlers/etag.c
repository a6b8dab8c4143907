#include "handlers/etag.h"

#include <stdio.h>

#include "handlers/text.h"

static void spell(const int64_t *version, unsigned n, char out[48])
{
    if (n == 1) snprintf(out, 48, "\"%lld\"", (long long)version[0]);
    else snprintf(out, 48, "\"%lld-%lld\"", (long long)version[0], (long long)version[1]);
}

void etag_put(req_t *r, const int64_t *version, unsigned n)
{
    call_t *c = call_of(r);
    spell(version, n, c->etag);
    if (!c->idem) req_add_header(r, "ETag", c->etag); /* with a key it travels with the kept answer */
}

bool etag_same(req_t *r, const int64_t *version, unsigned n)
{
    char tag[48];
    if (call_of(r)->idem) {
        etag_put(r, version, n);
        return false;
    }
    spell(version, n, tag);
    return h_unchanged(r, tag);
}

void etag_failed(req_t *r) { h_refuse(r, 412, "PRECONDITION_FAILED", "If-Match: the state has another version", 0); }

/* The versions of a tag's inside, in their one spelling. */
static bool parse(span_t v, int64_t *version, unsigned n)
{
    char again[48];
    span_t rest = v;
    for (unsigned i = 0; i < n; i++) {
        const char *dash = memchr(rest.p, '-', rest.n);
        size_t len = dash ? (size_t)(dash - rest.p) : rest.n;
        if ((i + 1 < n) != (dash != NULL) || text_u63(span_make(rest.p, len), &version[i])) return false;
        if (dash) rest = span_make(dash + 1, rest.n - len - 1);
    }
    spell(version, n, again);
    return span_is(span_make(v.p - 1, v.n + 2), again);
}

bool etag_match(req_t *r, int64_t *version, unsigned n)
{
    span_t v;
    unsigned lines = req_header_count(r, "if-match");
    for (unsigned i = 0; i < n; i++) version[i] = -1;
    if (lines > 1) {
        h_bad(r, "If-Match", "may come only once");
        return false;
    }
    if (!lines || !req_header(r, "if-match", &v) || span_is(v, "*")) return true;
    bool weak = v.n > 2 && v.p[0] == 'W' && v.p[1] == '/';
    if (weak) v = span_make(v.p + 2, v.n - 2);
    if (v.n < 2 || v.n > 64 || v.p[0] != '"' || memchr(v.p + 1, '"', v.n - 1) != v.p + v.n - 1) {
        h_bad(r, "If-Match", "one entity tag is expected, as ETag gave it");
        return false;
    }
    if (!weak && parse(span_make(v.p + 1, v.n - 2), version, n)) return true;
    etag_failed(r);
    return false;
}
