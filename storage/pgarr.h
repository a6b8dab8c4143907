/* One-dimensional PostgreSQL arrays in the binary wire format (array_recv): a header of number of dimensions, null flag,
 * element type, length and lower bound, then each element as length and bytes, all big-endian. Half the cost of text for
 * the server, and nothing to escape. Built into a buf_t of the caller. Internal to storage/. */
#ifndef XORJ_STORAGE_PGARR_H
#define XORJ_STORAGE_PGARR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Object ids of built-in types never change. */
typedef enum { PGARR_BOOL = 16, PGARR_INT4 = 23, PGARR_TEXT = 25, PGARR_UUID = 2950 } pgarr_type_t;

void pgarr_open(buf_t *b, pgarr_type_t type); /* forgets what b held */
void pgarr_null(buf_t *b);
void pgarr_text(buf_t *b, const char *s);
void pgarr_bool(buf_t *b, bool v);
void pgarr_int4(buf_t *b, int32_t v);
void pgarr_uuid(buf_t *b, const char *text); /* 36 characters, lower case */

#endif
