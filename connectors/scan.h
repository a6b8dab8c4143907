/* A strict JSON scanner for venue frames: one pass over text that is in memory, typed, without a tree and without malloc.
 *
 * The caller walks the value it expects and skips the rest; whatever is walked or skipped has been checked (RFC 8259,
 * UTF-8, no unpaired surrogates, depth). The first fault sticks in err and every later call fails, so callers may check
 * late. Skipping can be cut into slices: all state lives in scan_t, nothing on the stack. Spans borrow from the text.
 * Strings are handed out as written: escapes are checked, not undone, so an escaped name is never a known name. */
#ifndef XORJ_CONNECTORS_SCAN_H
#define XORJ_CONNECTORS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define SCAN_DEPTH_MAX 32
#define SCAN_STR_MAX (1u << 20) /* bytes of one string */
#define SCAN_NUM_MAX 256        /* characters of one number */
#define SCAN_WS_MAX (1u << 16)  /* blanks in one run */

typedef struct {
    const char *p, *end;
    xerr_t err;       /* XE_OK until the first fault */
    unsigned depth;   /* containers open inside the value being skipped */
    uint64_t objects; /* bit d: container d is an object */
    uint8_t want;     /* what the skipping expects next */
} scan_t;

typedef enum { SCAN_DONE, SCAN_MORE, SCAN_BAD } scan_rc_t;

void scan_init(scan_t *s, span_t text);
bool scan_fail(scan_t *s, xerr_t err); /* records the first fault; always false */
char scan_peek(scan_t *s);             /* first byte after blanks, not taken; 0 at the end */
bool scan_take(scan_t *s, char c);     /* blanks, then exactly c */
bool scan_str(scan_t *s, span_t *out); /* the text between the quotes */
bool scan_key(scan_t *s, span_t *out); /* a string and its colon */
/* For rows that nearly always look the same: exactly these bytes next, or nothing is taken and there is no fault. */
static inline bool scan_lit(scan_t *s, const char *lit, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, lit, n) != 0) return false;
    s->p += n;
    return true;
}
#define SCAN_LIT(s, lit) scan_lit(s, lit, sizeof(lit) - 1)
bool scan_body(scan_t *s, span_t *out); /* a string whose opening quote was taken */
bool scan_u64(scan_t *s, uint64_t *out); /* XE_BAD_INPUT: not a plain non-negative integer; XE_RANGE: too big */
bool scan_done(scan_t *s);             /* only blanks are left */

/* In a container: *first is true right after its opening bracket. True when another member follows (its comma is taken),
 * false when the closing bracket was taken or the text is at fault (see err). */
bool scan_more(scan_t *s, char close, bool *first);

/* Skips one value of any kind: begin, then run until SCAN_DONE; each run looks at about max bytes. */
void scan_skip_begin(scan_t *s);
scan_rc_t scan_skip_run(scan_t *s, size_t max);
bool scan_skip(scan_t *s, size_t max); /* in one go; XE_TOO_BIG past max bytes */

/* Value of a member in text already known to be one valid object (first match); false when absent or not an object. */
bool scan_get(span_t object, const char *name, span_t *value);
bool scan_get_str(span_t object, const char *name, span_t *text); /* the same for a string, as scan_str gives it */

#endif
