/* Query strings, strictly: only parameters the route names, each at most once, well-formed escapes. '+' stays '+'. */
#ifndef XORJ_HANDLERS_QUERY_H
#define XORJ_HANDLERS_QUERY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "handlers/schema.h"

#define QUERY_MAX 16

typedef struct {
    const schema_t *rows;    /* of the route; NULL: none allowed */
    span_t value[QUERY_MAX]; /* by position in rows; p == NULL: absent */
    span_t fault;            /* the name that was refused */
    const char *why;         /* static; NULL: an unknown name */
} query_t;

typedef void *(*query_alloc_fn)(void *ctx, size_t n);
/* alloc gives room for values that hold escapes. XE_BAD_INPUT: fault and why are set. Values are not judged yet. */
xerr_t query_parse(span_t raw, const schema_t *rows, query_alloc_fn alloc, void *ctx, query_t *out);
/* The values by their rows: types, bounds, choices, and what is required. own: the caller's wallet, known to be one (empty:
 * none); decoding it again would be a tenth of a cached read. */
xerr_t query_judge(const query_t *q, span_t own, sc_why_t *why);
bool query_get(const query_t *q, const char *name, span_t *out); /* false: absent; out may be NULL */

#endif
