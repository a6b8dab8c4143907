#include "tests/vec_json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "engine/u256.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <jsmn.h>
#pragma GCC diagnostic pop

struct vj {
    char *text;
    size_t n;
    jsmntok_t *tok;
    int *next; /* index after the value at i, including everything inside it */
    int count;
};

static _Noreturn void die(const char *what, span_t where)
{
    fprintf(stderr, "vectors: %s: %.*s\n", what, (int)(where.n > 120 ? 120 : where.n), where.p);
    exit(2);
}

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t cap = 0;
    if (!f) die("cannot open", span_of(path));
    *n = 0;
    do {
        cap = cap ? cap * 2 : 1 << 16;
        text = realloc(text, cap);
        if (!text) die("out of memory", span_of(path));
        *n += fread(text + *n, 1, cap - *n, f);
    } while (*n == cap);
    fclose(f);
    return text;
}

/* A value ends where the first token begins that starts after it. */
static void link_up(vj_t *j)
{
    for (int i = j->count - 1; i >= 0; i--) {
        int k = i + 1;
        while (k < j->count && j->tok[k].start < j->tok[i].end) k = j->next[k];
        j->next[i] = k;
    }
}

vj_t *vj_load(const char *path)
{
    vj_t *j = calloc(1, sizeof *j);
    if (!j) die("out of memory", span_of(path));
    j->text = read_all(path, &j->n);
    jsmn_parser p;
    jsmn_init(&p);
    j->count = jsmn_parse(&p, j->text, j->n, NULL, 0);
    if (j->count <= 0) die("not JSON", span_of(path));
    j->tok = calloc((size_t)j->count, sizeof *j->tok);
    j->next = calloc((size_t)j->count, sizeof *j->next);
    if (!j->tok || !j->next) die("out of memory", span_of(path));
    jsmn_init(&p);
    if (jsmn_parse(&p, j->text, j->n, j->tok, (unsigned)j->count) != j->count) die("not JSON", span_of(path));
    link_up(j);
    return j;
}

void vj_free(vj_t *j)
{
    if (!j) return;
    free(j->text);
    free(j->tok);
    free(j->next);
    free(j);
}

vv_t vj_root(const vj_t *j) { return (vv_t){j, 0}; }

static const jsmntok_t *tok(vv_t v) { return &v.doc->tok[v.tok]; }

bool vv_has(vv_t v) { return v.tok >= 0; }
bool vv_is_object(vv_t v) { return vv_has(v) && tok(v)->type == JSMN_OBJECT; }
bool vv_is_null(vv_t v) { return vv_has(v) && tok(v)->type == JSMN_PRIMITIVE && v.doc->text[tok(v)->start] == 'n'; }

span_t vv_text(vv_t v)
{
    if (!vv_has(v)) die("value missing", SPAN_LIT("?"));
    return span_make(v.doc->text + tok(v)->start, (size_t)(tok(v)->end - tok(v)->start));
}

vv_t vv_find(vv_t o, const char *key)
{
    if (!vv_is_object(o)) die("not an object", vv_text(o));
    int k = o.tok + 1;
    for (int i = 0; i < tok(o)->size; i++) {
        vv_t name = {o.doc, k};
        if (span_is(vv_text(name), key)) return (vv_t){o.doc, k + 1};
        k = o.doc->next[k + 1];
    }
    return (vv_t){o.doc, -1};
}

vv_t vv_get(vv_t o, const char *key)
{
    vv_t v = vv_find(o, key);
    if (!vv_has(v)) die("key missing", span_of(key));
    return v;
}

size_t vv_len(vv_t v) { return (size_t)tok(v)->size; }

vv_t vv_first(vv_t a)
{
    if (tok(a)->type != JSMN_ARRAY) die("not an array", vv_text(a));
    return (vv_t){a.doc, tok(a)->size > 0 ? a.tok + 1 : -1};
}

vv_t vv_next(vv_t e)
{
    int k = e.doc->next[e.tok], parent = tok(e)->parent;
    bool same = k < e.doc->count && e.doc->tok[k].parent == parent;
    return (vv_t){e.doc, same ? k : -1};
}

vv_t vv_at(vv_t a, size_t i)
{
    vv_t v = vv_first(a);
    while (i-- > 0 && vv_has(v)) v = vv_next(v);
    if (!vv_has(v)) die("array too short", vv_text(a));
    return v;
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char ch = p[i];
        v = v << 4 | (unsigned)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
    }
    return v & 0xffff;
}

static size_t put_utf8(unsigned cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(0xf00u >> n | cp);
    return n;
}

/* Surrogates come in pairs. */
static size_t escape(span_t t, size_t at, unsigned *cp)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *p = strchr(from, t.p[at]);
    *cp = (unsigned char)(p ? to[p - from] : t.p[at]);
    if (t.p[at] != 'u') return 1;
    if (t.n - at < 5) die("broken escape", t);
    *cp = hex4(t.p + at + 1);
    if (*cp < 0xd800 || *cp > 0xdbff || t.n - at < 11) return 5;
    *cp = 0x10000 + ((*cp & 0x3ff) << 10) + (hex4(t.p + at + 7) & 0x3ff);
    return 11;
}

size_t vv_str(vv_t v, char *out, size_t cap)
{
    span_t t = vv_text(v);
    size_t n = 0;
    for (size_t i = 0; i < t.n;) {
        unsigned cp;
        if (cap - n < 4) die("text too long", t);
        if (t.p[i] != '\\') {
            out[n++] = t.p[i++];
            continue;
        }
        i += 1 + escape(t, i + 1, &cp);
        n += put_utf8(cp, out + n);
    }
    return n;
}

bool vv_bool(vv_t v)
{
    span_t t = vv_text(v);
    if (span_is(t, "true") || span_is(t, "1")) return true;
    if (span_is(t, "false") || span_is(t, "0")) return false;
    die("not a bool", t);
}

u128_t vv_u128(vv_t v)
{
    span_t t = vv_text(v);
    u128_t x = 0;
    if (t.n == 0) die("not a number", t);
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9') die("not a number", t);
        unsigned d = (unsigned)(t.p[i] - '0');
        if (x > (U128_MAX - d) / 10) die("number beyond 128 bits", t);
        x = x * 10 + d;
    }
    return x;
}

i128_t vv_i128(vv_t v)
{
    span_t t = vv_text(v);
    bool neg = t.n > 1 && t.p[0] == '-';
    u128_t x = 0;
    if (t.n == (size_t)neg) die("not a number", t);
    for (size_t i = neg; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9') die("not a number", t);
        unsigned d = (unsigned)(t.p[i] - '0');
        if (x > ((U128_MAX >> 1) - d) / 10) die("number beyond 127 bits", t);
        x = x * 10 + d;
    }
    return neg ? -(i128_t)x : (i128_t)x;
}

uint64_t vv_u64(vv_t v)
{
    u128_t x = vv_u128(v);
    if (x > UINT64_MAX) die("number beyond 64 bits", vv_text(v));
    return (uint64_t)x;
}

int32_t vv_i32(vv_t v)
{
    i128_t x = vv_i128(v);
    if (x < INT32_MIN || x > INT32_MAX) die("number beyond 32 bits", vv_text(v));
    return (int32_t)x;
}

static uint8_t *room(size_t n)
{
    uint8_t *p = malloc(n + 1);
    if (!p) die("out of memory", SPAN_LIT("value"));
    return p;
}

uint8_t *vv_hex(vv_t v, size_t *n)
{
    span_t t = vv_text(v);
    uint8_t *out = room(t.n);
    if (hex_decode(t, out, t.n + 1, n)) die("not hex", t);
    return out;
}

uint8_t *vv_b64(vv_t v, size_t *n)
{
    span_t t = vv_text(v);
    uint8_t *out = room(t.n);
    if (b64_decode(t, out, t.n + 1, n)) die("not base64", t);
    return out;
}
