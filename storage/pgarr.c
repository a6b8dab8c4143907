#include "storage/pgarr.h"

#include <string.h>

#include "base/err.h"

enum { AT_NULLS = 4, AT_COUNT = 12 };

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i));
}

static void add32(buf_t *b, uint32_t v)
{
    char bytes[4];
    put32(bytes, v);
    buf_add(b, bytes, sizeof bytes);
}

void pgarr_open(buf_t *b, pgarr_type_t type)
{
    buf_reset(b);
    add32(b, 1);
    add32(b, 0);
    add32(b, (uint32_t)type);
    add32(b, 0);
    add32(b, 1);
}

static void element(buf_t *b, const void *p, size_t n)
{
    uint32_t count = 0;
    if (b->failed)
        return;
    for (int i = 0; i < 4; i++)
        count = count << 8 | (unsigned char)b->p[AT_COUNT + i];
    put32(b->p + AT_COUNT, count + 1);
    if (!p)
        put32(b->p + AT_NULLS, 1);
    add32(b, p ? (uint32_t)n : UINT32_MAX);
    if (p)
        buf_add(b, p, n);
}

void pgarr_null(buf_t *b) { element(b, NULL, 0); }

void pgarr_text(buf_t *b, const char *s) { element(b, s, strlen(s)); }

void pgarr_bool(buf_t *b, bool v) { element(b, v ? "\1" : "\0", 1); }

void pgarr_int4(buf_t *b, int32_t v)
{
    char bytes[4];
    put32(bytes, (uint32_t)v);
    element(b, bytes, sizeof bytes);
}

static unsigned nibble(char c) { return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0'); }

void pgarr_uuid(buf_t *b, const char *text)
{
    unsigned char bytes[16];
    size_t n = 0;
    for (const char *c = text; n < sizeof bytes; c += 2) {
        if (*c == '-')
            c++;
        XASSERT(c[0] && c[1]);
        bytes[n++] = (unsigned char)(nibble(c[0]) << 4 | nibble(c[1]));
    }
    element(b, bytes, sizeof bytes);
}
