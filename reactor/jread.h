/* Reads journals back: a file, or all files of a directory in order. Blocking file I/O, for tools and tests.
 *
 * Only whole blocks with right checksums are ever shown. What is torn at the end of a run is left out; what is broken in
 * the middle is skipped, and the hole is told once (XE_GAP) before reading goes on behind it: whoever rebuilds state
 * must forget it then. */
#ifndef XORJ_REACTOR_JREAD_H
#define XORJ_REACTOR_JREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/jblock.h"

typedef struct jread jread_t;

typedef struct {
    jr_kind_t kind;            /* never JR_CHANNEL */
    const char *venue, *protocol;
    uint16_t chan;
    uint64_t conn;             /* number of the connection: with the channel it is unique in the run */
    uint64_t run;
    int64_t mono_ns, wall_us;  /* when the last byte was here */
    span_t text;               /* borrowed until the next call */
} jrec_t;

typedef struct { uint64_t files, blocks, records, raw_bytes, packed_bytes, holes, torn_bytes, skipped_bytes; } jread_stats_t;

bool jread_is_journal(const char *path); /* a directory, or a file that begins as a journal does */
/* XE_NOT_FOUND: nothing to read there. XE_UNSUPPORTED: a later version. XE_BAD_INPUT: not a journal. */
xerr_t jread_open(const char *path, jread_t **out);
void jread_close(jread_t *r);
/* XE_OK, XE_CLOSED: the end, XE_GAP: something is missing here; go on calling. */
xerr_t jread_next(jread_t *r, jrec_t *out);
const jread_stats_t *jread_stats(const jread_t *r);

#endif
