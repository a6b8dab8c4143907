/* The recogniser: RFC 8259 over the text, left to right, one look at each byte. jsmn runs only on what passes here. */
#include "base/codec.h"
#include "reactor/json.h"

#define DEPTH_CEILING 256

typedef enum { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END } want_t;

typedef struct {
    const unsigned char *base, *p, *end;
    const unsigned char *bad; /* the first fault */
    unsigned depth, depth_max, members_max;
    bool is_obj[DEPTH_CEILING];
    unsigned members[DEPTH_CEILING];
} chk_t;

/* Bytes a string may hold as they are: everything from blank to DEL but the quote and the backslash. */
static inline bool plain(unsigned char ch)
{
    return ch >= 0x20 && ch < 0x80 && ch != '"' && ch != '\\';
}

static bool fault(chk_t *c, const unsigned char *at)
{
    c->bad = at;
    return false;
}

static int hex4(const unsigned char *p, const unsigned char *end)
{
    int v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = p[i] >= '0' && p[i] <= '9'                 ? p[i] - '0'
                : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f' ? (p[i] | 32) - 'a' + 10
                                                           : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* p stands on the backslash. A high surrogate takes the low one that must follow with it. */
static bool escape(chk_t *c)
{
    const unsigned char *at = c->p;
    if (c->end - at < 2) return fault(c, c->end);
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': c->p += 2; return true;
    case 'u': break;
    default: return fault(c, at);
    }
    int v = hex4(at + 2, c->end);
    if (v < 0 || (v >= 0xdc00 && v <= 0xdfff)) return fault(c, at);
    c->p += 6;
    if (v < 0xd800 || v > 0xdfff) return true;
    if (c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u') return fault(c, at);
    int low = hex4(c->p + 2, c->end);
    if (low < 0xdc00 || low > 0xdfff) return fault(c, at);
    c->p += 6;
    return true;
}

static bool string(chk_t *c)
{
    c->p++;
    while (c->p < c->end) {
        unsigned char ch = *c->p;
        if (plain(ch)) {
            c->p++;
        } else if (ch == '"') {
            c->p++;
            return true;
        } else if (ch == '\\') {
            if (!escape(c)) return false;
        } else {
            size_t n = ch < 0x80 ? 0 : utf8_next((span_t){(const char *)c->p, (size_t)(c->end - c->p)});
            if (!n) return fault(c, c->p);
            c->p += n;
        }
    }
    return fault(c, c->end);
}

static bool digits(chk_t *c)
{
    const unsigned char *from = c->p;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') c->p++;
    return c->p > from ? true : fault(c, c->p);
}

static bool number(chk_t *c)
{
    if (*c->p == '-') c->p++;
    if (c->p < c->end && *c->p == '0')
        c->p++; /* a digit behind it is then out of place */
    else if (!digits(c))
        return false;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        if (!digits(c)) return false;
    }
    if (c->p < c->end && (*c->p | 32) == 'e') {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-')) c->p++;
        if (!digits(c)) return false;
    }
    return true;
}

static bool literal(chk_t *c, const char *word)
{
    for (; *word; word++, c->p++)
        if (c->p == c->end || *c->p != (unsigned char)*word) return fault(c, c->p);
    return true;
}

static bool scalar(chk_t *c)
{
    switch (*c->p) {
    case '"': return string(c);
    case 't': return literal(c, "true");
    case 'f': return literal(c, "false");
    case 'n': return literal(c, "null");
    default:
        if (*c->p != '-' && (*c->p < '0' || *c->p > '9')) return fault(c, c->p);
        return number(c);
    }
}

static void skip_blanks(chk_t *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) c->p++;
}

/* One more member of the innermost container; false when it is one too many. */
static bool count_member(chk_t *c)
{
    if (!c->depth) return true;
    unsigned n = ++c->members[c->depth - 1];
    return !c->members_max || n <= c->members_max;
}

static bool open_container(chk_t *c)
{
    if (c->depth >= c->depth_max) return false;
    c->is_obj[c->depth] = *c->p == '{';
    c->members[c->depth++] = 0;
    c->p++;
    return true;
}

/* A name and its colon. */
static bool name(chk_t *c)
{
    if (*c->p != '"') return fault(c, c->p);
    if (!string(c)) return false;
    skip_blanks(c);
    if (c->p == c->end || *c->p != ':') return fault(c, c->p);
    c->p++;
    return true;
}

static bool is_end(const chk_t *c)
{
    return *c->p == (c->is_obj[c->depth - 1] ? '}' : ']');
}

static xerr_t too_big(chk_t *c)
{
    fault(c, c->p);
    return XE_TOO_BIG;
}

/* One token of the grammar: what stands at p, given what may stand there. */
static xerr_t step(chk_t *c, want_t *want)
{
    if ((*want == WANT_VALUE_OR_END || *want == WANT_KEY_OR_END || *want == WANT_COMMA_OR_END) && is_end(c)) {
        c->p++;
        c->depth--;
        *want = WANT_COMMA_OR_END;
        return XE_OK;
    }
    if (*want == WANT_COMMA_OR_END) {
        if (*c->p != ',') {
            fault(c, c->p);
            return XE_BAD_INPUT;
        }
        c->p++;
        *want = c->is_obj[c->depth - 1] ? WANT_KEY : WANT_VALUE;
        return XE_OK;
    }
    if (*want == WANT_KEY || *want == WANT_KEY_OR_END) {
        if (!count_member(c)) return too_big(c);
        *want = WANT_VALUE;
        return name(c) ? XE_OK : XE_BAD_INPUT;
    }
    if (c->depth && !c->is_obj[c->depth - 1] && !count_member(c)) return too_big(c);
    if (*c->p == '{' || *c->p == '[') {
        *want = *c->p == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
        return open_container(c) ? XE_OK : too_big(c);
    }
    *want = WANT_COMMA_OR_END;
    return scalar(c) ? XE_OK : XE_BAD_INPUT;
}

static xerr_t walk(chk_t *c)
{
    want_t want = WANT_VALUE;
    do {
        skip_blanks(c);
        if (c->p == c->end) {
            fault(c, c->p);
            return XE_BAD_INPUT;
        }
        xerr_t err = step(c, &want);
        if (err) return err;
    } while (c->depth);
    skip_blanks(c);
    if (c->p == c->end) return XE_OK;
    fault(c, c->p);
    return XE_BAD_INPUT;
}

xerr_t json_check_lim(span_t text, unsigned depth, unsigned members, size_t *where)
{
    chk_t c; /* the stacks are written before they are read */
    c.base = c.p = c.bad = (const unsigned char *)(text.n ? text.p : "");
    c.end = c.base + text.n;
    c.depth = 0;
    c.depth_max = depth < DEPTH_CEILING ? depth : DEPTH_CEILING;
    c.members_max = members;
    xerr_t err = walk(&c);
    if (err && where) *where = (size_t)(c.bad - c.base);
    return err;
}

xerr_t json_check(span_t text, size_t *where)
{
    return json_check_lim(text, JSON_DEPTH_MAX, JSON_MEMBERS_MAX, where);
}
