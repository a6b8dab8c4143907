/* A growing byte buffer that must name its ceiling. init/fini embedded; past the ceiling it sets `failed`, keeps what
 * it has, and every later append is a no-op: callers check once at the end. */
#ifndef XORJ_BASE_BUF_H
#define XORJ_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

typedef struct {
    char *p; /* NULL until something was added, then NUL-terminated behind n */
    size_t n, cap, max;
    bool failed;
} buf_t;

void buf_init(buf_t *b, size_t max);
void buf_fini(buf_t *b);
void buf_reset(buf_t *b); /* n = 0, failed = false, memory kept */
void buf_add(buf_t *b, const void *p, size_t n);
void buf_str(buf_t *b, const char *s);
void buf_fmt(buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline span_t buf_span(const buf_t *b) { return (span_t){b->p, b->n}; }

#endif
