/* The journal's directory as its writing thread sees it: one file per hour and part, torn tails cut at the start, the
 * oldest files removed when the directory would pass its bound. Blocking calls only: never on the loop.
 *
 * Names are YYYYMMDDTHH-NNNNNN.xj (UTC), so that their order is the order of time. A start never appends to an old file. */
#ifndef XORJ_REACTOR_JFILE_H
#define XORJ_REACTOR_JFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define JF_NAME_MAX 24
#define JF_FILES_MAX 100000

typedef struct { char name[JF_NAME_MAX]; int64_t bytes; } jf_entry_t;
/* Journals of a directory in the order of time; *out is malloc'd. XE_NOT_FOUND: the directory cannot be read. */
xerr_t jf_list(const char *dir, jf_entry_t **out, size_t *n);

typedef struct jfile jfile_t;
typedef struct {
    uint64_t torn_bytes; /* cut from the newest file of an earlier run */
    char torn_name[JF_NAME_MAX];
    uint64_t removed;    /* files removed for the bound */
    int64_t bytes;       /* in the directory now */
} jf_state_t;

/* Takes the directory for this process; quick. XE_CONFLICT: another process writes there. XE_DOWN: it cannot be made. */
xerr_t jf_open(const char *dir, int64_t bytes_max, jfile_t **out);
void jf_mend(jfile_t *f); /* cuts what a crash tore, and adds up what is there; reads the newest file */
/* Chooses the file for a block of about n bytes that begins at at_us (wall; a new one when the hour or the part is over)
 * and says which number the block has. */
xerr_t jf_next(jfile_t *f, int64_t at_us, size_t n, uint64_t *number);
/* Appends a whole block. On failure nothing of it stays (XE_DOWN; XE_FULL: no room on the disk). */
xerr_t jf_append(jfile_t *f, span_t block);
void jf_lost(jfile_t *f); /* a block will not be written: its number stays a hole that readers see */
const jf_state_t *jf_state(const jfile_t *f);
void jf_close(jfile_t *f); /* synchronised to disk */

/* Bytes of the file up to the end of its last whole block; bytes behind it are torn. Reads the whole file. */
xerr_t jf_scan(const char *path, int64_t *good, int64_t *all);

#endif
