/* The recogniser: RFC 8259 over the text, left to right, one look at each byte. jsmn runs only on what passes here.
 *
 * Every step takes the position and returns the next one, so that it stays in a register; NULL means a fault was set. */
#include "base/codec.h"
#include "reactor/json_internal.h"

#define DEPTH_CEILING 256

typedef const unsigned char *pos_t;

typedef struct {
    pos_t end, bad; /* bad: the first fault */
    xerr_t err;
    unsigned depth, depth_max, members_max, tokens;
    bool is_obj[DEPTH_CEILING];
    unsigned members[DEPTH_CEILING];
} chk_t;

static pos_t broken(chk_t *c, pos_t at)
{
    c->bad = at;
    c->err = XE_BAD_INPUT;
    return NULL;
}

static pos_t too_big(chk_t *c, pos_t at)
{
    c->bad = at;
    c->err = XE_TOO_BIG;
    return NULL;
}

static inline pos_t skip_blanks(const chk_t *c, pos_t p)
{
    while (p < c->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Bytes a string may hold as they are: everything from blank to DEL but the quote and the backslash. */
static inline bool plain(unsigned char ch)
{
    return ch >= 0x20 && ch < 0x80 && ch != '"' && ch != '\\';
}

static int hex4(pos_t p, pos_t end)
{
    int v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int ch = p[i], low = ch | 32;
        int d = ch >= '0' && ch <= '9' ? ch - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* at is the backslash of \u. A high surrogate takes the low one that must follow with it. */
static pos_t escape_u(chk_t *c, pos_t at)
{
    pos_t p = at + 6;
    int v = hex4(at + 2, c->end);
    if (v < 0 || (v >= 0xdc00 && v <= 0xdfff)) return broken(c, at);
    if (v < 0xd800 || v > 0xdfff) return p;
    if (c->end - p < 6 || p[0] != '\\' || p[1] != 'u') return broken(c, at);
    int low = hex4(p + 2, c->end);
    return low < 0xdc00 || low > 0xdfff ? broken(c, at) : p + 6;
}

static pos_t escape(chk_t *c, pos_t p)
{
    if (c->end - p < 2) return broken(c, c->end);
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return p + 2;
    case 'u': return escape_u(c, p);
    default: return broken(c, p);
    }
}

static pos_t string(chk_t *c, pos_t p)
{
    for (p++; p < c->end;) {
        if (plain(*p)) {
            p++;
        } else if (*p == '"') {
            return p + 1;
        } else if (*p == '\\') {
            p = escape(c, p);
            if (!p) return NULL;
        } else {
            size_t n = *p < 0x80 ? 0 : utf8_next((span_t){(const char *)p, (size_t)(c->end - p)});
            if (!n) return broken(c, p);
            p += n;
        }
    }
    return broken(c, p);
}

static inline pos_t digits(chk_t *c, pos_t p)
{
    pos_t from = p;
    while (p < c->end && *p >= '0' && *p <= '9') p++;
    return p > from ? p : broken(c, p);
}

static inline pos_t number(chk_t *c, pos_t p)
{
    if (*p == '-') p++;
    if (p < c->end && *p == '0')
        p++; /* a digit behind it is then out of place */
    else if (!(p = digits(c, p)))
        return NULL;
    if (p < c->end && *p == '.' && !(p = digits(c, p + 1))) return NULL;
    if (p == c->end || (*p | 32) != 'e') return p;
    p++;
    if (p < c->end && (*p == '+' || *p == '-')) p++;
    return digits(c, p);
}

static pos_t literal(chk_t *c, pos_t p, const char *word)
{
    for (; *word; word++, p++)
        if (p == c->end || *p != (unsigned char)*word) return broken(c, p);
    return p;
}

static inline pos_t scalar(chk_t *c, pos_t p)
{
    switch (*p) {
    case '"': return string(c, p);
    case 't': return literal(c, p, "true");
    case 'f': return literal(c, p, "false");
    case 'n': return literal(c, p, "null");
    default: return *p == '-' || (*p >= '0' && *p <= '9') ? number(c, p) : broken(c, p);
    }
}

/* A name and its colon. */
static pos_t name(chk_t *c, pos_t p)
{
    if (*p != '"') return broken(c, p);
    c->tokens++;
    p = string(c, p);
    if (!p) return NULL;
    p = skip_blanks(c, p);
    return p < c->end && *p == ':' ? p + 1 : broken(c, p);
}

/* The next member or element of the innermost container, up to where its value begins. */
static inline pos_t member(chk_t *c, pos_t p)
{
    unsigned n = ++c->members[c->depth - 1];
    p = skip_blanks(c, p);
    if (p == c->end) return broken(c, p);
    if (c->members_max && n > c->members_max) return too_big(c, p);
    return c->is_obj[c->depth - 1] ? name(c, p) : p;
}

static inline bool is_end(const chk_t *c, pos_t p)
{
    return *p == (c->is_obj[c->depth - 1] ? '}' : ']');
}

/* Behind a value: a comma and the next member, or the ends of containers. Depth 0 afterwards: the text's value is over. */
static inline pos_t after_value(chk_t *c, pos_t p)
{
    for (; c->depth; c->depth--, p++) {
        p = skip_blanks(c, p);
        if (p == c->end) return broken(c, p);
        if (*p == ',') return member(c, p + 1);
        if (!is_end(c, p)) return broken(c, p);
    }
    return p;
}

/* p stands on the bracket. */
static pos_t open_container(chk_t *c, pos_t p)
{
    if (c->depth >= c->depth_max) return too_big(c, p);
    c->is_obj[c->depth] = *p == '{';
    c->members[c->depth++] = 0;
    p = skip_blanks(c, p + 1);
    if (p == c->end) return broken(c, p);
    return is_end(c, p) ? after_value(c, p) : member(c, p);
}

static inline pos_t value(chk_t *c, pos_t p)
{
    p = skip_blanks(c, p);
    if (p == c->end) return broken(c, p);
    c->tokens++;
    if (*p == '{' || *p == '[') return open_container(c, p);
    p = scalar(c, p);
    return p ? after_value(c, p) : NULL;
}

static void walk(chk_t *c, pos_t p)
{
    do p = value(c, p);
    while (p && c->depth);
    if (!p) return;
    p = skip_blanks(c, p);
    if (p != c->end) broken(c, p);
}

static xerr_t check(chk_t *c, span_t text, size_t *where)
{
    pos_t from = (pos_t)(text.n ? text.p : "");
    c->end = from + text.n;
    c->bad = from;
    c->err = XE_OK;
    c->depth = c->tokens = 0;
    walk(c, from);
    if (c->err && where) *where = (size_t)(c->bad - from);
    return c->err;
}

xerr_t json_check_lim(span_t text, unsigned depth, unsigned members, size_t *where)
{
    chk_t c; /* the stacks are written before they are read */
    c.depth_max = depth < DEPTH_CEILING ? depth : DEPTH_CEILING;
    c.members_max = members;
    return check(&c, text, where);
}

xerr_t json_check_count(span_t text, size_t *where, unsigned *tokens)
{
    chk_t c;
    c.depth_max = JSON_DEPTH_MAX;
    c.members_max = JSON_MEMBERS_MAX;
    xerr_t err = check(&c, text, where);
    *tokens = c.tokens;
    return err;
}

xerr_t json_check(span_t text, size_t *where)
{
    return json_check_lim(text, JSON_DEPTH_MAX, JSON_MEMBERS_MAX, where);
}
