/* A borrowed run of bytes. Never owns, never NUL-terminated; whoever hands one out says how long it lives. */
#ifndef XORJ_BASE_SPAN_H
#define XORJ_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    const char *p;
    size_t n;
} span_t;

#define SPAN_LIT(s) ((span_t){(s), sizeof(s) - 1}) /* of a string literal */

static inline span_t span_of(const char *s) { return (span_t){s, s ? strlen(s) : 0}; }
static inline span_t span_make(const char *p, size_t n) { return (span_t){p, n}; }
static inline bool span_eq(span_t a, span_t b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool span_is(span_t a, const char *s) { return span_eq(a, span_of(s)); }

#endif
