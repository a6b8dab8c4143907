#include "handlers/schema.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/rfc3339.h"
#include "handlers/text.h"
#include "reactor/log.h"

enum { DEPTH = 16, NAME_SHOWN = 64 };

const schema_t schema_nothing[] = {S_END};

/* Where in the document the judge stands, outermost last: shown only when something is wrong. */
typedef struct place place_t;
struct place {
    const place_t *up;
    const schema_t *row; /* NULL: an element of its parent */
    size_t index;
    unsigned depth;
};

static xerr_t judge(const schema_t *row, const json_t *v, const place_t *at, sc_why_t *why);

/* ---- complaints --------------------------------------------------------------------------------------------------- */

static size_t put_path(const place_t *at, char *out, size_t cap)
{
    size_t n = at->up ? put_path(at->up, out, cap) : 0;
    if (n >= cap) return n;
    int more = at->row ? snprintf(out + n, cap - n, n ? ".%s" : "%s", at->row->name) : snprintf(out + n, cap - n, "[%zu]", at->index);
    return n + (more > 0 ? (size_t)more : 0);
}

__attribute__((format(printf, 3, 4))) static xerr_t wrong(sc_why_t *why, const place_t *at, const char *what, ...)
{
    char path[128] = "", text[224];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    put_path(at, path, sizeof path);
    snprintf(why->text, sizeof why->text, "%s: %s", path[0] ? path : "body", text);
    return XE_BAD_INPUT;
}

static xerr_t unknown_key(sc_why_t *why, const place_t *at, span_t key)
{
    char path[128] = "", shown[4 * NAME_SHOWN + 8];
    put_path(at, path, sizeof path);
    if (key.n > NAME_SHOWN) key.n = NAME_SHOWN;
    snprintf(why->text, sizeof why->text, "%s%sUnrecognized key(s) in object: '%s'", path, path[0] ? ": " : "", log_esc(key, shown, sizeof shown));
    return XE_BAD_INPUT;
}

void schema_bound_text(int64_t v, unsigned places, char out[32])
{
    uint64_t unit = 1, mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    for (unsigned i = 0; i < places; i++) unit *= 10;
    int n = snprintf(out, 32, "%s%llu", v < 0 ? "-" : "", (unsigned long long)(mag / unit));
    if (mag % unit == 0 || n < 0) return;
    snprintf(out + n, 32 - (size_t)n, ".%0*llu", (int)places, (unsigned long long)(mag % unit));
    for (size_t end = strlen(out); out[end - 1] == '0'; end--) out[end - 1] = '\0';
}

static const char *bound_text(const schema_t *row, int64_t v, char out[32])
{
    schema_bound_text(v, row->places, out);
    return out;
}

static bool bounded(const schema_t *row) { return row->min || row->max; }

static xerr_t wrong_number(const schema_t *row, const place_t *at, sc_why_t *why)
{
    char lo[32], hi[32], places[40] = "";
    const char *kind = row->type == SC_INT ? "an integer" : "a number";
    if (row->places && row->type != SC_INT) snprintf(places, sizeof places, " with at most %u decimals", row->places);
    if (!bounded(row)) return wrong(why, at, "%s%s is expected", kind, places);
    return wrong(why, at, "%s from %s to %s%s is expected", kind, bound_text(row, row->min, lo), bound_text(row, row->max, hi), places);
}

static xerr_t wrong_choice(const schema_t *row, const place_t *at, sc_why_t *why)
{
    char list[192] = "";
    size_t n = 0;
    for (const char *const *c = row->choices; *c && n < sizeof list; c++) n += (size_t)snprintf(list + n, sizeof list - n, n ? ", %s" : "%s", *c);
    return wrong(why, at, "one of %s is expected", list);
}

/* ---- text --------------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same(span_t text, const char *word, bool fold)
{
    if (text.n != strlen(word)) return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != word[i] && !(fold && lower(text.p[i]) == lower(word[i]))) return false;
    return true;
}

static bool chosen(const schema_t *row, span_t text)
{
    for (const char *const *c = row->choices; *c; c++)
        if (same(text, *c, row->flags & SC_FOLD)) return true;
    return false;
}

/* Characters of text already known to be UTF-8. */
static size_t characters(span_t text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += (text.p[i] & 0xc0) != 0x80;
    return n;
}

static xerr_t judge_length(const schema_t *row, span_t text, const place_t *at, sc_why_t *why)
{
    int64_t n = (int64_t)characters(text), max = bounded(row) ? row->max : SCHEMA_TEXT_MAX;
    if (n < row->min && row->min == 1) return wrong(why, at, "must not be empty");
    if (n >= row->min && n <= max) return XE_OK;
    if (row->min == max) return wrong(why, at, "%lld characters are expected", (long long)max);
    return wrong(why, at, "%lld to %lld characters are expected", (long long)row->min, (long long)max);
}

static xerr_t judge_string(const schema_t *row, span_t text, const place_t *at, sc_why_t *why)
{
    if (text.n && memchr(text.p, '\0', text.n)) return wrong(why, at, "must not hold a zero character");
    if (row->choices) return chosen(row, text) ? XE_OK : wrong_choice(row, at, why);
    if (judge_length(row, text, at, why)) return XE_BAD_INPUT;
    if (!row->fits || row->fits(text.p, text.n)) return XE_OK;
    return wrong(why, at, "%s", row->doc ? row->doc : "does not have the expected form");
}

static const int64_t INT_MAX_18 = INT64_C(999999999999999999);

/* A number as written in JSON: whole, or with at most so many decimals, and within the bounds. */
static xerr_t judge_number(const schema_t *row, span_t text, const place_t *at, sc_why_t *why)
{
    int64_t floor = 0, max = bounded(row) ? row->max : INT_MAX_18, min = bounded(row) ? row->min : -INT_MAX_18;
    bool exact = false;
    if (!bounded(row) && !row->places && row->type != SC_INT) return XE_OK;
    if (text_scaled(text, row->type == SC_INT ? 0 : row->places, &floor, &exact)) return wrong_number(row, at, why);
    if (!exact && (row->places || row->type == SC_INT)) return wrong_number(row, at, why);
    if (floor < min || floor > max || (floor == max && !exact)) return wrong_number(row, at, why);
    return XE_OK;
}

static xerr_t judge_form(const schema_t *row, span_t text, const place_t *at, sc_why_t *why)
{
    uint8_t key[32];
    int64_t us;
    switch (row->type) {
    case SC_WALLET: return b58_key(text, key) ? wrong(why, at, "32 to 44 base58 characters that decode to 32 bytes are expected") : XE_OK;
    case SC_UUID: return uuid_valid(text) ? XE_OK : wrong(why, at, "a UUID in lower case is expected");
    case SC_TIME: return rfc3339_parse(text, &us) ? wrong(why, at, "an RFC 3339 time is expected, for example 2026-11-20T13:00:00Z") : XE_OK;
    case SC_DECIMAL:
        if (!text_is_decimal(text)) return wrong(why, at, "the text of a decimal number is expected");
        return judge_number(row, text, at, why);
    default: return judge_string(row, text, at, why);
    }
}

xerr_t schema_judge_text(const schema_t *row, span_t text, sc_why_t *why)
{
    place_t at = {NULL, row, 0, 0};
    int64_t unused;
    switch (row->type) {
    case SC_INT:
        return (text.n && text.p[0] == '-' ? text_u63(span_make(text.p + 1, text.n - 1), &unused) : text_u63(text, &unused))
                   ? wrong_number(row, &at, why) : judge_number(row, text, &at, why);
    case SC_NUM: return text_is_number(text) ? judge_number(row, text, &at, why) : wrong_number(row, &at, why);
    case SC_BOOL: return span_is(text, "true") || span_is(text, "false") ? XE_OK : wrong(why, &at, "true or false is expected");
    default: return utf8_valid(text) ? judge_form(row, text, &at, why) : wrong(why, &at, "not UTF-8");
    }
}

/* ---- documents ---------------------------------------------------------------------------------------------------- */

const schema_t *schema_find(const schema_t *members, span_t name)
{
    for (const schema_t *m = members; m && m->name; m++)
        if (span_is(name, m->name)) return m;
    return NULL;
}

static xerr_t judge_object(const schema_t *members, const json_t *obj, const place_t *at, sc_why_t *why)
{
    uint64_t seen = 0;
    size_t n = json_len(obj);
    for (size_t i = 0; i < n; i++) {
        const schema_t *row = schema_find(members, json_key(obj, i));
        if (!row) return unknown_key(why, at, json_key(obj, i));
        seen |= UINT64_C(1) << (row - members) % SCHEMA_ROWS_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        const schema_t *row = schema_find(members, json_key(obj, i));
        place_t in = {at, row, 0, at->depth + 1};
        if (judge(row, json_at(obj, i), &in, why)) return XE_BAD_INPUT;
    }
    for (const schema_t *m = members; m->name; m++) {
        place_t in = {at, m, 0, at->depth + 1};
        if ((m->flags & SC_REQ) && !(seen & UINT64_C(1) << (m - members) % SCHEMA_ROWS_MAX)) return wrong(why, &in, "required");
    }
    return XE_OK;
}

static xerr_t judge_count(const schema_t *row, const json_t *v, const place_t *at, sc_why_t *why)
{
    int64_t n = (int64_t)json_len(v);
    if (!bounded(row) || (n >= row->min && n <= row->max)) return XE_OK;
    return wrong(why, at, "%lld to %lld elements are expected", (long long)row->min, (long long)row->max);
}

static xerr_t judge_elements(const schema_t *row, const json_t *v, const place_t *at, sc_why_t *why)
{
    if (judge_count(row, v, at, why)) return XE_BAD_INPUT;
    for (size_t i = 0; row->of && i < json_len(v); i++) {
        place_t in = {at, NULL, i, at->depth + 1};
        if (judge(row->of, json_at(v, i), &in, why)) return XE_BAD_INPUT;
    }
    return XE_OK;
}

static bool has_type(const schema_t *row, json_type_t t)
{
    switch (row->type) {
    case SC_ANY: return true;
    case SC_INT: case SC_NUM: return t == JSON_NUM;
    case SC_BOOL: return t == JSON_BOOL;
    case SC_OBJ: case SC_MAP: return t == JSON_OBJ;
    case SC_ARR: return t == JSON_ARR;
    case SC_ONE: return false;
    default: return t == JSON_STR;
    }
}

static const char *type_text(sc_type_t t)
{
    switch (t) {
    case SC_INT: return "an integer";
    case SC_NUM: return "a number";
    case SC_BOOL: return "true or false";
    case SC_OBJ: case SC_MAP: return "a JSON object";
    case SC_ARR: return "an array";
    default: return "a string";
    }
}

static xerr_t judge(const schema_t *row, const json_t *v, const place_t *at, sc_why_t *why)
{
    if (at->depth > DEPTH) return wrong(why, at, "too deep");
    if (json_type(v) == JSON_NULL && (row->flags & SC_NULL)) return XE_OK;
    if (!has_type(row, json_type(v))) return wrong(why, at, "%s is expected", type_text(row->type));
    switch (row->type) {
    case SC_ANY: case SC_BOOL: return XE_OK;
    case SC_INT: case SC_NUM: return judge_number(row, json_raw(v), at, why);
    case SC_OBJ: return judge_object(row->of, v, at, why);
    case SC_ARR: case SC_MAP: return judge_elements(row, v, at, why);
    default: return judge_form(row, json_str(v), at, why);
    }
}

xerr_t schema_judge(const schema_t *members, const json_t *doc, sc_why_t *why)
{
    static const schema_t whole = {.name = ""};
    place_t at = {NULL, &whole, 0, 0};
    if (members->name && !members->name[0]) return judge(members, doc, &at, why);
    if (json_type(doc) == JSON_OBJ) return judge_object(members, doc, &at, why);
    return wrong(why, &at, "a JSON object is expected");
}
