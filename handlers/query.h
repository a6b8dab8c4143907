/* Query strings, strictly: only parameters the route names, each at most once, well-formed escapes. '+' stays '+'. */
#ifndef XORJ_HANDLERS_QUERY_H
#define XORJ_HANDLERS_QUERY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

#define QUERY_MAX 8

typedef struct {
    const char *const *names; /* of the route, NULL-terminated; NULL: none allowed */
    span_t value[QUERY_MAX];  /* by position in names; p == NULL: absent */
    span_t fault;             /* the name that was refused */
    const char *why;          /* static; NULL: an unknown name */
} query_t;

typedef void *(*query_alloc_fn)(void *ctx, size_t n);
/* alloc gives room for values that hold escapes. XE_BAD_INPUT: fault and why are set. */
xerr_t query_parse(span_t raw, const char *const *names, query_alloc_fn alloc, void *ctx, query_t *out);
bool query_get(const query_t *q, const char *name, span_t *out); /* false: absent; out may be NULL */

#endif
