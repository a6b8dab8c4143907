#include "reactor/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "reactor/json_internal.h"
#include "reactor/log.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define TEXT_MAX (16u << 20)
#define FEW_NAMES 16 /* up to here comparing all pairs beats hashing */
#define NUM_CHARS_MAX 64

struct json {
    const char *raw;
    const char *name; /* unescaped, of a member of an object */
    union {
        const json_t *first; /* members or elements stand side by side */
        const char *str;     /* unescaped */
    } u;
    uint32_t raw_n, name_n;
    uint32_t n; /* members, elements, or bytes of str */
    json_type_t type;
};

/* One parse: token i became the value at place[i]; fill[i] is the next free child of container i. */
typedef struct {
    span_t text;
    arena_t *a;
    jsmntok_t *tok;
    json_t **place;
    uint32_t *fill;
    json_t *nodes;
    unsigned count, used;
} parse_t;

static unsigned hex_digit(char ch)
{
    return ch <= '9' ? (unsigned)(ch - '0') : (unsigned)((ch | 32) - 'a' + 10);
}

static unsigned hex4(const char *p)
{
    return hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 | hex_digit(p[3]);
}

static size_t put_utf8(char *out, unsigned cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | cp);
    return n;
}

/* The escape at p, already known to be whole. Returns the bytes it took. */
static size_t unescape_one(const char *p, char *out, size_t *at)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const char *named = strchr(names, p[1]);
    if (p[1] != 'u') {
        out[(*at)++] = named ? values[named - names] : p[1];
        return 2;
    }
    unsigned cp = hex4(p + 2);
    size_t took = 6;
    if (cp >= 0xd800 && cp <= 0xdbff) {
        cp = 0x10000 + ((cp - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
        took = 12;
    }
    *at += put_utf8(out + *at, cp);
    return took;
}

/* A string's inside, unescaped: the text itself when there is nothing to do. false: the arena is full. */
static bool unescape(arena_t *a, span_t in, const char **out, uint32_t *out_n)
{
    *out = in.p;
    *out_n = (uint32_t)in.n;
    if (!in.n || !memchr(in.p, '\\', in.n)) return true;
    char *to = arena_alloc(a, in.n);
    if (!to) return false;
    size_t at = 0;
    for (size_t i = 0; i < in.n;) {
        if (in.p[i] == '\\')
            i += unescape_one(in.p + i, to, &at);
        else
            to[at++] = in.p[i++];
    }
    *out = to;
    *out_n = (uint32_t)at;
    return true;
}

static json_type_t scalar_type(char ch)
{
    return ch == '"' ? JSON_STR : ch == 't' || ch == 'f' ? JSON_BOOL : ch == 'n' ? JSON_NULL : JSON_NUM;
}

/* raw covers the value as written, quotes included. */
static bool set_scalar(arena_t *a, json_t *v, span_t raw)
{
    v->type = scalar_type(raw.p[0]);
    v->raw = raw.p;
    v->raw_n = (uint32_t)raw.n;
    v->n = 0;
    v->u.str = "";
    if (v->type != JSON_STR) return true;
    return unescape(a, (span_t){raw.p + 1, raw.n - 2}, &v->u.str, &v->n);
}

/* Where the value of token i goes. A member's place was taken by its name, which comes first. */
static json_t *place_of(parse_t *p, unsigned i)
{
    int up = p->tok[i].parent;
    if (up < 0) return &p->nodes[p->used++];
    if (p->tok[up].type == JSMN_STRING) return p->place[up];
    json_t *v = (json_t *)(uintptr_t)p->place[up]->u.first + p->fill[up]++;
    v->name = NULL;
    v->name_n = 0;
    return v;
}

static bool is_name(const parse_t *p, unsigned i)
{
    int up = p->tok[i].parent;
    return up >= 0 && p->tok[up].type == JSMN_OBJECT;
}

static bool set_value(parse_t *p, unsigned i)
{
    const jsmntok_t *t = &p->tok[i];
    json_t *v = p->place[i];
    span_t raw = {p->text.p + t->start, (size_t)(t->end - t->start)};
    if (t->type == JSMN_STRING) return set_scalar(p->a, v, (span_t){raw.p - 1, raw.n + 2});
    if (t->type == JSMN_PRIMITIVE) return set_scalar(p->a, v, raw);
    v->type = t->type == JSMN_OBJECT ? JSON_OBJ : JSON_ARR;
    v->raw = raw.p;
    v->raw_n = (uint32_t)raw.n;
    v->n = (uint32_t)t->size;
    v->u.first = p->nodes + p->used;
    p->used += v->n;
    return true;
}

static bool build(parse_t *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        const jsmntok_t *t = &p->tok[i];
        p->fill[i] = 0;
        p->place[i] = place_of(p, i);
        if (is_name(p, i)) {
            span_t in = {p->text.p + t->start, (size_t)(t->end - t->start)};
            if (!unescape(p->a, in, &p->place[i]->name, &p->place[i]->name_n)) return false;
        } else if (!set_value(p, i)) {
            return false;
        }
    }
    return true;
}

static bool same_name(const json_t *a, const json_t *b)
{
    return a->name_n == b->name_n && memcmp(a->name, b->name, a->name_n) == 0;
}

static const json_t *twice_in_few(const json_t *obj)
{
    for (uint32_t i = 1; i < obj->n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (same_name(&obj->u.first[i], &obj->u.first[j])) return &obj->u.first[i];
    return NULL;
}

static const json_t *twice_in_many(const json_t *obj)
{
    uint32_t slots[4 * JSON_MEMBERS_MAX], size = 64; /* open addressing, at most half full; 0: empty */
    uint64_t key[2];
    while (size < 2 * obj->n) size *= 2;
    random_bytes(key, sizeof key);
    memset(slots, 0, size * sizeof *slots);
    for (uint32_t i = 0; i < obj->n; i++) {
        const json_t *m = &obj->u.first[i];
        uint32_t at = (uint32_t)siphash(key, m->name, m->name_n) & (size - 1);
        for (; slots[at]; at = (at + 1) & (size - 1))
            if (same_name(m, &obj->u.first[slots[at] - 1])) return m;
        slots[at] = i + 1;
    }
    return NULL;
}

static const json_t *name_twice(const parse_t *p)
{
    for (unsigned i = 0; i < p->used; i++) {
        const json_t *v = &p->nodes[i];
        if (v->type != JSON_OBJ || v->n < 2) continue;
        const json_t *m = v->n <= FEW_NAMES ? twice_in_few(v) : twice_in_many(v);
        if (m) return m;
    }
    return NULL;
}

static const char *say(arena_t *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *say(arena_t *a, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    const char *kept = arena_dup(a, span_of(line));
    return kept ? kept : "JSON is not acceptable";
}

static xerr_t refuse(arena_t *a, xerr_t err, size_t where, span_t text, const char **msg)
{
    if (text.n > TEXT_MAX)
        *msg = "JSON text is too large";
    else if (err == XE_BAD_INPUT)
        *msg = say(a, "Malformed JSON at byte %zu", where);
    else if (where < text.n && (text.p[where] == '[' || text.p[where] == '{'))
        *msg = say(a, "JSON nested deeper than %d levels or with more than %d members at byte %zu", JSON_DEPTH_MAX,
                   JSON_MEMBERS_MAX, where);
    else
        *msg = say(a, "JSON with more than %d members at byte %zu", JSON_MEMBERS_MAX, where);
    return err;
}

static xerr_t parse_tokens(parse_t *p)
{
    jsmn_parser js;
    jsmn_init(&js);
    int got = jsmn_parse(&js, p->text.p, p->text.n, p->tok, p->count);
    /* The recogniser has passed this text, so there is nothing left for jsmn to refuse. */
    if (got < 0 || (unsigned)got != p->count) return XE_INTERNAL;
    p->nodes = arena_alloc(p->a, p->count * sizeof *p->nodes);
    return p->nodes && build(p) ? XE_OK : XE_TOO_BIG;
}

static xerr_t parse_container(span_t text, unsigned tokens, arena_t *a, const json_t **out, const char **msg)
{
    parse_t p = {.text = text, .a = a, .count = tokens};
    /* Scratch of this call, too much to leave in the arena. */
    char *scratch = malloc(p.count * (sizeof(jsmntok_t) + sizeof(json_t *) + sizeof(uint32_t)));
    if (!scratch) return XE_FULL;
    p.place = (json_t **)(void *)scratch;
    p.tok = (jsmntok_t *)(void *)(p.place + p.count);
    p.fill = (uint32_t *)(void *)(p.tok + p.count);
    xerr_t err = parse_tokens(&p);
    const json_t *twice = err ? NULL : name_twice(&p);
    if (twice) {
        char esc[260];
        *msg = say(a, "Duplicate key in object: '%s'", log_esc((span_t){twice->name, twice->name_n}, esc, sizeof esc));
        err = XE_BAD_INPUT;
    }
    free(scratch);
    if (!err) *out = p.nodes;
    return err;
}

static xerr_t parse_scalar(span_t text, arena_t *a, const json_t **out)
{
    json_t *v = arena_alloc(a, sizeof *v);
    if (!v) return XE_TOO_BIG;
    *v = (json_t){0};
    if (!set_scalar(a, v, text)) return XE_TOO_BIG;
    *out = v;
    return XE_OK;
}

static span_t trim(span_t t)
{
    while (t.n && strchr(" \t\r\n", t.p[0])) t.p++, t.n--;
    while (t.n && strchr(" \t\r\n", t.p[t.n - 1])) t.n--;
    return t;
}

xerr_t json_parse(span_t text, arena_t *a, const json_t **out, const char **err_msg)
{
    const char *msg = "JSON holds too many values";
    size_t where = 0;
    unsigned tokens = 0;
    xerr_t err = text.n > TEXT_MAX ? XE_TOO_BIG : json_check_count(text, &where, &tokens);
    if (err) {
        refuse(a, err, where, text, &msg);
    } else {
        text = trim(text);
        /* Strict jsmn wants a primitive to be followed by something, so a lone scalar does not go through it. */
        bool box = text.p[0] == '[' || text.p[0] == '{';
        err = box ? parse_container(text, tokens, a, out, &msg) : parse_scalar(text, a, out);
    }
    if (err && err_msg) *err_msg = msg;
    return err;
}

json_type_t json_type(const json_t *v)
{
    return v->type;
}

static bool is_box(const json_t *v)
{
    return v && (v->type == JSON_OBJ || v->type == JSON_ARR);
}

size_t json_len(const json_t *v)
{
    return is_box(v) ? v->n : 0;
}

const json_t *json_at(const json_t *v, size_t i)
{
    return is_box(v) && i < v->n ? &v->u.first[i] : NULL;
}

span_t json_key(const json_t *obj, size_t i)
{
    if (!obj || obj->type != JSON_OBJ || i >= obj->n) return (span_t){"", 0};
    return (span_t){obj->u.first[i].name, obj->u.first[i].name_n};
}

const json_t *json_get(const json_t *obj, const char *name)
{
    if (!obj || obj->type != JSON_OBJ) return NULL;
    span_t want = span_of(name);
    for (size_t i = 0; i < obj->n; i++)
        if (span_eq(json_key(obj, i), want)) return &obj->u.first[i];
    return NULL;
}

span_t json_raw(const json_t *v)
{
    return (span_t){v->raw, v->raw_n};
}

span_t json_str(const json_t *v)
{
    if (!v || v->type != JSON_STR) return (span_t){"", 0};
    return (span_t){v->u.str, v->n};
}

bool json_bool(const json_t *v)
{
    return v && v->type == JSON_BOOL && v->raw[0] == 't';
}

typedef struct {
    bool minus;
    char digits[NUM_CHARS_MAX];
    unsigned n;
    int exp; /* value = digits * 10^exp, digits without outer zeros */
} num_t;

static void read_num(span_t s, num_t *out)
{
    size_t i = 0;
    int written = 0, sign = 1;
    bool frac = false;
    *out = (num_t){.minus = s.p[0] == '-'};
    for (i = out->minus; i < s.n && (s.p[i] | 32) != 'e'; i++) {
        if (s.p[i] == '.') {
            frac = true;
            continue;
        }
        out->exp -= frac;
        if (out->n || s.p[i] != '0') out->digits[out->n++] = s.p[i];
    }
    if (i < s.n) i++;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) sign = s.p[i++] == '-' ? -1 : 1;
    for (; i < s.n; i++)
        if (written < 100000) written = written * 10 + (s.p[i] - '0');
    out->exp += sign * written;
    for (; out->n && out->digits[out->n - 1] == '0'; out->n--) out->exp++;
}

xerr_t json_i64(const json_t *v, int64_t *out)
{
    num_t num;
    int64_t sum = 0;
    if (!v || v->type != JSON_NUM) return XE_BAD_INPUT;
    if (v->raw_n > NUM_CHARS_MAX) return XE_RANGE;
    read_num(json_raw(v), &num);
    if (num.n && (num.exp < 0 || num.exp > 19)) return XE_RANGE;
    unsigned total = num.n ? num.n + (unsigned)num.exp : 0;
    for (unsigned i = 0; i < total; i++) {
        int d = i < num.n ? num.digits[i] - '0' : 0;
        if (__builtin_mul_overflow(sum, 10, &sum)) return XE_RANGE;
        if (__builtin_add_overflow(sum, num.minus ? -d : d, &sum)) return XE_RANGE;
    }
    *out = sum;
    return XE_OK;
}
