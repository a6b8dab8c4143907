/* One description of a JSON shape: members of a body, parameters of a query, members of an answer. Requests are judged by
 * it before a handler runs, and /api/openapi.json is written from it, so the two cannot part.
 *
 * A list of members ends with a row whose name is NULL. Rows are static constants; the S_ macros below write them, e.g.
 *
 *     static const schema_t limits_body[] = {
 *         S_REQ("reason", SC_STR, .min = 1, .max = 200, .doc = "Why."),
 *         S_OPT("maxTradeAmount", SC_NUM, .min = 1, .max = 1000000, .places = 6, .doc = "Largest trade in USD."),
 *         S_END,
 *     };
 *
 * A list whose first row is named "" describes a value that is no object: that one row is the value. */
#ifndef XORJ_HANDLERS_SCHEMA_H
#define XORJ_HANDLERS_SCHEMA_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/json.h"

/* DECIMAL: text of a decimal number. WALLET: base58 of 32 bytes. UUID: in lower case. TIME: RFC 3339, upper-case T and Z.
 * MAP: an object with free names whose values are `of` (NULL: anything). ANY: any value, said so on purpose. ONE: answers
 * only, one of the objects in `of`. */
typedef enum {
    SC_STR, SC_INT, SC_NUM, SC_BOOL, SC_OBJ, SC_ARR, SC_MAP, SC_ANY, SC_WALLET, SC_UUID, SC_TIME, SC_DECIMAL, SC_ONE
} sc_type_t;

enum {
    SC_REQ = 1,  /* must be there */
    SC_NULL = 2, /* may be null */
    SC_FOLD = 4, /* choices are compared without regard to case (ASCII) */
    SC_SECRET = 8 /* never in logs or error texts */
};

#define SCHEMA_ROWS_MAX 64    /* members of one object that is judged */
#define SCHEMA_TEXT_MAX 4096  /* characters of a string without a bound of its own */

typedef struct schema schema_t;
struct schema {
    const char *name;
    sc_type_t type;
    unsigned flags;
    /* INT, NUM, DECIMAL: least and greatest value, in units of 10^-places. STR: characters. ARR, MAP: elements. Both 0: the
     * type's own bounds (INT: 18 digits; STR: SCHEMA_TEXT_MAX). No string holds a zero character. */
    int64_t min, max;
    unsigned places;            /* NUM, DECIMAL: most decimals taken; 0: any number of them */
    const char *const *choices; /* STR: the words allowed, NULL-terminated */
    const char *pattern;        /* STR: says the shape in the OpenAPI file (ECMA 262); `fits` judges it */
    int (*fits)(const char *text, unsigned long n); /* STR: 1 when the text has the shape; NULL: no shape */
    const schema_t *of;         /* OBJ, ONE: its members, its variants; ARR: one row for its elements; MAP: one row for its values */
    const char *doc;            /* one plain sentence, also in an error where it helps */
};

#define S_ROW(n, t, f, ...) {.name = (n), .type = (t), .flags = (f), __VA_ARGS__}
#define S_REQ(n, t, ...) S_ROW(n, t, SC_REQ, __VA_ARGS__)           /* there */
#define S_NUL(n, t, ...) S_ROW(n, t, SC_REQ | SC_NULL, __VA_ARGS__) /* there, perhaps null */
#define S_OPT(n, t, ...) S_ROW(n, t, 0, __VA_ARGS__)                /* perhaps not there */
#define S_END {.name = NULL}
#define S_LIST(...) ((const schema_t[]){__VA_ARGS__, S_END})
#define S_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
/* What put_decimal writes: a number and its exact text beside it. */
#define S_DEC(n, ...) S_NUL(n, SC_NUM, __VA_ARGS__), S_NUL(n "_str", SC_DECIMAL, .doc = "The same, exactly.")
/* Rows that many routes have. */
#define S_REASONS S_REQ("reasons", SC_MAP, .of = S_LIST(S_REQ("reason", SC_STR)), .doc = "Why a member is null, by its name.")
#define S_WALLET S_OPT("walletAddress", SC_WALLET, .doc = "The caller's own when absent; required of viewers.")

extern const schema_t schema_nothing[]; /* the empty list: an object without members */

/* The parts of one complaint: "where: what", or Unrecognized key(s) in object. Fit for a client; never holds a value that
 * was sent. */
#define SCHEMA_WHY_MAX 384
typedef struct {
    char text[SCHEMA_WHY_MAX];
} sc_why_t;

/* A document by its members (or the one row named ""). XE_BAD_INPUT: why says the first fault found. No memory; time grows
 * with members sent times members known. */
xerr_t schema_judge(const schema_t *members, const json_t *doc, sc_why_t *why);
/* One value of a query string or a path, as text; rows of such lists are of the types that have one. */
xerr_t schema_judge_text(const schema_t *row, span_t text, sc_why_t *why);
void schema_bound_text(int64_t v, unsigned places, char out[32]); /* units of 10^-places as a plain decimal */
const schema_t *schema_find(const schema_t *members, span_t name); /* NULL: no such member */

#endif
