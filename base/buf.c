#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(buf_t *b, size_t max)
{
    *b = (buf_t){.max = max};
}

void buf_fini(buf_t *b)
{
    free(b->p);
    *b = (buf_t){.max = b->max};
}

void buf_reset(buf_t *b)
{
    b->n = 0;
    b->failed = false;
}

/* Room for `more` bytes and a terminator that is never counted. */
static bool room(buf_t *b, size_t more)
{
    if (b->failed || more > b->max - b->n) {
        b->failed = true;
        return false;
    }
    size_t need = b->n + more + 1;
    if (need <= b->cap) return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap - 1 > b->max) cap = b->max + 1;
    char *p = realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buf_add(buf_t *b, const void *p, size_t n)
{
    if (n == 0 || !room(b, n)) return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_str(buf_t *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_fmt(buf_t *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t left = b->cap - b->n;
    int want = vsnprintf(left ? b->p + b->n : NULL, left, fmt, ap);
    va_end(ap);
    if (want < 0) {
        b->failed = true;
    } else if (room(b, (size_t)want)) {
        if ((size_t)want >= left) vsnprintf(b->p + b->n, (size_t)want + 1, fmt, again);
        b->n += (size_t)want;
    } else if (b->cap) {
        b->p[b->n] = '\0'; /* the first attempt may have written a part behind the end */
    }
    va_end(again);
}
