#include "handlers/routes.h"

#include <stdio.h>

static const struct { const char *tag; const route_t *rows; } lists[] = {
#define X(name) {#name, routes_##name},
    ROUTE_LISTS(X)
#undef X
};
enum { LISTS = sizeof lists / sizeof *lists };

/* A venue or market of another spelling is merely one we do not have: 404, by the handler. */
static const schema_t segments[] = {
    S_REQ("id", SC_UUID, .doc = "The id, in lower case."),
    S_REQ("username", SC_STR, .min = 1, .max = 32, .doc = "Name of an account."),
    S_REQ("venue", SC_STR, .min = 1, .max = 1024, .doc = "The venue's name, such as coinbase."),
    S_REQ("market", SC_STR, .min = 1, .max = 1024, .doc = "The market's name at its venue, such as SOL-USD."),
    S_END,
};

static const struct { method_t m; const char *name; } methods[] = {
    {M_GET, "GET"}, {M_HEAD, "HEAD"}, {M_POST, "POST"}, {M_PUT, "PUT"}, {M_DELETE, "DELETE"}, {M_OPTIONS, "OPTIONS"}, {M_PATCH, "PATCH"}, {M_TRACE, "TRACE"},
    {M_QUERY, "QUERY"},
};

/* A walk through the lists as if they were one; starts as {0, NULL}. */
typedef struct { size_t list; const route_t *row; } walk_t;

static bool next_row(walk_t *w)
{
    w->row = w->row ? w->row + 1 : lists[0].rows;
    while (!w->row->path) {
        if (++w->list == LISTS) return false;
        w->row = lists[w->list].rows;
    }
    return true;
}

enum { ROUTES_MAX = 192, SLOTS = 512, NONE = 0xff };

/* Every request looks its route up: rows in one list, plain paths in a table, paths with segments tried after it. */
static struct {
    const route_t *row[ROUTES_MAX];
    uint8_t next[ROUTES_MAX]; /* the next row of the same slot, or of the paths with segments */
    uint8_t slot[SLOTS], segmented;
    size_t n;
} idx;

/* Our own paths are what it has to tell apart; a stranger's path only reads. */
static size_t slot_of(span_t path)
{
    size_t h = path.n * 31;
    for (size_t i = path.n > 12 ? path.n - 12 : 0; i < path.n; i++) h = h * 33 + (unsigned char)path.p[i];
    return (h ^ h >> 9) % SLOTS;
}

static void index_add(size_t i)
{
    const char *path = idx.row[i]->path;
    uint8_t *at = strchr(path, '{') ? &idx.segmented : &idx.slot[slot_of(span_of(path))];
    while (*at != NONE) at = &idx.next[*at];
    *at = (uint8_t)i;
    idx.next[i] = NONE;
}

static void index_make(void)
{
    if (idx.n) return;
    memset(idx.slot, NONE, sizeof idx.slot);
    idx.segmented = NONE;
    for (walk_t w = {0, NULL}; next_row(&w);) {
        XASSERT(idx.n < ROUTES_MAX);
        idx.row[idx.n] = w.row;
        index_add(idx.n++);
    }
}

size_t routes_count(void)
{
    index_make();
    return idx.n;
}

const route_t *route_at(size_t i)
{
    index_make();
    return i < idx.n ? idx.row[i] : NULL;
}

size_t route_index(const route_t *route)
{
    index_make();
    if (!route) return idx.n;
    size_t i = strchr(route->path, '{') ? idx.segmented : idx.slot[slot_of(span_of(route->path))];
    while (i != NONE && idx.row[i] != route) i = idx.next[i];
    return i == NONE ? idx.n : i;
}

const char *route_tag(const route_t *route)
{
    for (walk_t w = {0, NULL}; next_row(&w);)
        if (w.row == route) return lists[w.list].tag;
    return "";
}

const schema_t *route_segment(span_t name) { return schema_find(segments, name); }

const char *method_name(method_t m)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].m == m) return methods[i].name;
    return "OTHER";
}

void route_allow_text(unsigned set, char out[64])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (set & methods[i].m) n += (size_t)snprintf(out + n, 64 - n, n ? ", %s" : "%s", methods[i].name);
}

static bool path_matches(const char *pattern, span_t path, span_t arg[ROUTE_ARGS_MAX])
{
    size_t i = 0, n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '{') {
            if (i >= path.n || path.p[i++] != *pattern) return false;
            continue;
        }
        size_t from = i;
        while (i < path.n && path.p[i] != '/') i++;
        if (i == from || n == ROUTE_ARGS_MAX) return false;
        arg[n++] = span_make(path.p + from, i - from);
        while (*pattern != '}') pattern++;
    }
    return i == path.n;
}

const route_t *route_find(method_t m, span_t path, span_t arg[ROUTE_ARGS_MAX], unsigned *allow)
{
    span_t got[ROUTE_ARGS_MAX] = {{NULL, 0}, {NULL, 0}};
    *allow = 0;
    index_make();
    const size_t first[] = {idx.slot[slot_of(path)], idx.segmented};
    for (size_t k = 0; k < 2 && !*allow; k++)
        for (size_t i = first[k]; i != NONE; i = idx.next[i]) {
            const route_t *t = idx.row[i];
            if (!path_matches(t->path, path, got)) continue;
            if (t->method == m || (t->method == M_GET && m == M_HEAD)) {
                memcpy(arg, got, sizeof got);
                return t;
            }
            *allow |= (unsigned)t->method | M_OPTIONS | (t->method == M_GET ? M_HEAD : 0u);
        }
    return NULL;
}

xerr_t route_judge(const route_t *route, const span_t arg[ROUTE_ARGS_MAX], sc_why_t *why)
{
    const char *at = strchr(route->path, '{');
    for (size_t i = 0; at; at = strchr(at + 1, '{'), i++) {
        const schema_t *row = route_segment(span_make(at + 1, strcspn(at + 1, "}")));
        if (row && schema_judge_text(row, arg[i], why)) return XE_BAD_INPUT;
    }
    return XE_OK;
}
