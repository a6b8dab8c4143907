/* One description of a JSON shape: members of a body, parameters of a query, members of an answer. Requests are judged by
 * it before a handler runs, and /api/openapi.json is written from it, so the two cannot part.
 *
 * A list of members ends with a row whose name is NULL. Rows are static constants. */
#ifndef XORJ_HANDLERS_SCHEMA_H
#define XORJ_HANDLERS_SCHEMA_H

#include <stdint.h>

/* DECIMAL: text of a decimal number. WALLET: base58 of 32 bytes. TIME: RFC 3339. MAP: an object with free names whose
 * values are `of` (NULL: anything). ANY: any value, said so on purpose. */
typedef enum {
    SC_STR, SC_INT, SC_NUM, SC_BOOL, SC_OBJ, SC_ARR, SC_MAP, SC_ANY, SC_WALLET, SC_UUID, SC_TIME, SC_DECIMAL
} sc_type_t;

enum {
    SC_REQ = 1,  /* must be there */
    SC_NULL = 2, /* may be null */
    SC_FOLD = 4, /* choices are compared without regard to case (ASCII) */
    SC_SECRET = 8 /* never in logs or error texts */
};

typedef struct schema schema_t;
struct schema {
    const char *name;
    sc_type_t type;
    unsigned flags;
    /* INT, NUM: least and greatest value. STR: characters. ARR, MAP: elements. Both 0: the type's own bounds. */
    int64_t min, max;
    const char *const *choices; /* STR: the words allowed, NULL-terminated */
    const char *pattern;        /* STR: says the shape in the OpenAPI file (ECMA 262); `fits` judges it */
    int (*fits)(const char *text, unsigned long n); /* STR: 1 when the text has the shape; NULL: no shape */
    const schema_t *of;         /* OBJ: its members; ARR: one row for its elements; MAP: one row for its values */
    const char *doc;            /* one plain sentence, also in an error where it helps */
};

#endif
