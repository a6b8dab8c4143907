/* Rows of handlers/schema.h as JSON Schema. Whatever the judge refuses is said here as far as JSON Schema can say it. */
#include <stdio.h>

#include "handlers/openapi.h"

#define TEXT_PATTERN "^[^\\u0000]*$"
#define WALLET_PATTERN "^[1-9A-HJ-NP-Za-km-z]{32,44}$"
#define UUID_PATTERN "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
#define DECIMAL_PATTERN "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"
#define TIME_PATTERN "^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"

static const int64_t SAFE = INT64_C(999999999999999999); /* 18 digits: what a parameter of any size takes */

static const char *type_name(sc_type_t t)
{
    switch (t) {
    case SC_INT: return "integer";
    case SC_NUM: return "number";
    case SC_BOOL: return "boolean";
    case SC_OBJ: case SC_MAP: case SC_ONE: return "object";
    case SC_ARR: return "array";
    default: return "string";
    }
}

static void put_type(jw_t *w, const schema_t *row)
{
    jw_key(w, "type");
    if (row->flags & SC_NULL) jw_arr(w);
    jw_cstr(w, type_name(row->type));
    if (!(row->flags & SC_NULL)) return;
    jw_cstr(w, "null");
    jw_end(w);
}

static void put_scaled(jw_t *w, const char *key, int64_t v, unsigned places)
{
    char text[32];
    schema_bound_text(v, places, text);
    jw_key(w, key);
    jw_raw(w, span_of(text));
}

static void put_number(jw_t *w, const schema_t *row, bool request)
{
    bool bounded = row->min || row->max;
    unsigned places = row->type == SC_INT ? 0 : row->places;
    if (bounded || (request && row->type == SC_INT)) {
        put_scaled(w, "minimum", bounded ? row->min : -SAFE, places);
        put_scaled(w, "maximum", bounded ? row->max : SAFE, places);
    }
    if (places) put_scaled(w, "multipleOf", 1, places);
    if (row->type == SC_INT) put_str(w, "format", "int64");
}

static void put_choices(jw_t *w, const schema_t *row)
{
    jw_key(w, "enum");
    jw_arr(w);
    for (const char *const *c = row->choices; *c; c++) jw_cstr(w, *c);
    if (row->flags & SC_NULL) jw_null(w);
    jw_end(w);
}

/* The words in any mixture of cases: "^([Ll][Oo][Ww])$". */
static void put_fold(jw_t *w, const schema_t *row)
{
    buf_t b;
    buf_init(&b, 4096);
    for (const char *const *c = row->choices; *c; c++) {
        buf_str(&b, c == row->choices ? "^(" : "|");
        for (const char *p = *c; *p; p++) {
            char low = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p, up = low >= 'a' && low <= 'z' ? (char)(low - 'a' + 'A') : low;
            if (low == up) buf_fmt(&b, "%s%c", strchr("\\^$.|?*+()[]{}", low) ? "\\" : "", low);
            else buf_fmt(&b, "[%c%c]", up, low);
        }
    }
    buf_str(&b, ")$");
    jw_key(w, "anyOf");
    jw_arr(w);
    jw_obj(w);
    put_choices(w, row);
    jw_end(w);
    jw_obj(w);
    put_str(w, "type", "string");
    put_str(w, "pattern", b.p);
    jw_end(w);
    jw_end(w);
    buf_fini(&b);
}

static void put_text(jw_t *w, const schema_t *row, bool request)
{
    if (request && (row->flags & SC_SECRET)) put_str(w, "format", "password");
    if (row->choices) {
        put_choices(w, row);
        return;
    }
    if (row->min) put_i64(w, "minLength", row->min);
    if (row->max) put_i64(w, "maxLength", row->max);
    else if (request) put_i64(w, "maxLength", SCHEMA_TEXT_MAX);
    if (row->pattern) put_str(w, "pattern", row->pattern);
    else if (request) put_str(w, "pattern", TEXT_PATTERN);
}

static void put_form(jw_t *w, const schema_t *row, bool request)
{
    switch (row->type) {
    case SC_WALLET: put_str(w, "format", "solana-address"), put_str(w, "pattern", WALLET_PATTERN); break;
    case SC_UUID: put_str(w, "format", "uuid"), put_str(w, "pattern", UUID_PATTERN); break;
    case SC_TIME: put_str(w, "format", "date-time"), put_str(w, "pattern", TIME_PATTERN); break;
    case SC_DECIMAL: put_str(w, "format", "decimal"), put_str(w, "pattern", DECIMAL_PATTERN); break;
    default: put_text(w, row, request); break;
    }
}

static void put_array(jw_t *w, const schema_t *row, bool request)
{
    if (row->min) put_i64(w, "minItems", row->min);
    if (row->max) put_i64(w, "maxItems", row->max);
    jw_key(w, "items");
    openapi_value(w, row->of, request);
}

static void put_map(jw_t *w, const schema_t *row, bool request)
{
    if (row->max) put_i64(w, "maxProperties", row->max);
    jw_key(w, "additionalProperties");
    if (row->of) openapi_value(w, row->of, request);
    else jw_bool(w, true);
}

static void put_members(jw_t *w, const schema_t *members, bool request)
{
    bool any = false;
    jw_key(w, "properties");
    jw_obj(w);
    for (const schema_t *m = members; m->name; m++) {
        jw_key(w, m->name);
        openapi_value(w, m, request);
        any = any || (m->flags & SC_REQ);
    }
    jw_end(w);
    if (any) {
        jw_key(w, "required");
        jw_arr(w);
        for (const schema_t *m = members; m->name; m++)
            if (m->flags & SC_REQ) jw_cstr(w, m->name);
        jw_end(w);
    }
    put_bool(w, "additionalProperties", false);
}

static void put_variants(jw_t *w, const schema_t *row)
{
    jw_key(w, "oneOf");
    jw_arr(w);
    for (const schema_t *v = row->of; v->name; v++) {
        jw_obj(w);
        put_str(w, "title", v->name);
        put_str(w, "type", "object");
        put_members(w, v->of, false);
        jw_end(w);
    }
    jw_end(w);
}

void openapi_value(jw_t *w, const schema_t *row, bool request)
{
    jw_obj(w);
    if (row->type == SC_ONE) {
        put_variants(w, row);
    } else if (row->choices && (row->flags & SC_FOLD) && request) {
        put_fold(w, row);
    } else if (row->type != SC_ANY) {
        put_type(w, row);
        switch (row->type) {
        case SC_BOOL: break;
        case SC_INT: case SC_NUM: put_number(w, row, request); break;
        case SC_OBJ: put_members(w, row->of, request); break;
        case SC_ARR: put_array(w, row, request); break;
        case SC_MAP: put_map(w, row, request); break;
        default: put_form(w, row, request); break;
        }
    }
    if (row->doc) put_str(w, "description", row->doc);
    jw_end(w);
}

void openapi_schema(jw_t *w, const schema_t *members, bool request)
{
    if (members->name && !members->name[0]) {
        openapi_value(w, members, request);
        return;
    }
    jw_obj(w);
    put_str(w, "type", "object");
    put_members(w, members, request);
    jw_end(w);
}
