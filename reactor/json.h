/* Reading: first a strict recogniser (RFC 8259, UTF-8, depth, size) in one pass, then jsmn's tokens, then the search for
 * duplicate names. Writing: jw_t, whose output is valid by construction. jsmn's types stay in json.c.
 *
 * The documents read here are request bodies and small replies; venue feeds have their own scanner. */
#ifndef XORJ_REACTOR_JSON_H
#define XORJ_REACTOR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "reactor/arena.h"

#define JSON_DEPTH_MAX 32
#define JSON_MEMBERS_MAX 1024 /* members or elements of one container */

/* Recogniser alone: is this text exactly one JSON value? *where (may be NULL) gets the offset of the first fault.
 * XE_BAD_INPUT syntax or UTF-8; XE_TOO_BIG depth or members. Linear, no memory. */
xerr_t json_check(span_t text, size_t *where);
/* Same with other ceilings (0: no ceiling on members), for replies of venues. */
xerr_t json_check_lim(span_t text, unsigned depth, unsigned members, size_t *where);

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUM, JSON_STR, JSON_ARR, JSON_OBJ } json_type_t;
typedef struct json json_t; /* a value; lives in the arena it was parsed into */

/* Text must outlive the document. On failure *err_msg (may be NULL) is a static or arena string fit for a client,
 * e.g. "Malformed JSON at byte 17" or "Duplicate key in object: 'x'". */
xerr_t json_parse(span_t text, arena_t *a, const json_t **out, const char **err_msg);

json_type_t json_type(const json_t *v);
size_t json_len(const json_t *v);                       /* members of an object, elements of an array, else 0 */
const json_t *json_at(const json_t *v, size_t i);       /* element i, or value of member i; NULL past the end */
span_t json_key(const json_t *obj, size_t i);           /* unescaped name of member i */
const json_t *json_get(const json_t *obj, const char *name); /* NULL when absent or not an object */
span_t json_raw(const json_t *v);                       /* the text of the value; numbers and literals as written */
span_t json_str(const json_t *v);                       /* unescaped text of a string (may hold NUL), else empty */
bool json_bool(const json_t *v);
xerr_t json_i64(const json_t *v, int64_t *out);         /* XE_BAD_INPUT: not a number; XE_RANGE: not an integer that fits */

/* Writer: values in order, commas and quotes by itself. Invalid UTF-8 becomes U+FFFD. Misuse aborts. */
typedef struct {
    buf_t *b;
    uint64_t comma; /* bit d: depth d already has a member */
    uint64_t isobj;
    unsigned depth;
    bool after_key;
} jw_t;

void jw_init(jw_t *w, buf_t *b);
void jw_obj(jw_t *w);
void jw_arr(jw_t *w);
void jw_end(jw_t *w); /* closes the innermost */
void jw_key(jw_t *w, const char *name);
void jw_str(jw_t *w, span_t s);
void jw_cstr(jw_t *w, const char *s); /* NULL writes null */
void jw_i64(jw_t *w, int64_t v);
void jw_u64(jw_t *w, uint64_t v);
void jw_bool(jw_t *w, bool v);
void jw_null(jw_t *w);
void jw_f64(jw_t *w, double v);    /* shortest text that reads back equal; not finite writes null */
void jw_raw(jw_t *w, span_t json); /* text already known to be one valid value */
void jw_time_us(jw_t *w, int64_t unix_us); /* "2026-11-20T13:00:00.000000Z" */

#endif
