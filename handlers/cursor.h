/* Page cursors: base64url of a version byte and the number of the last row shown. Opaque to clients, the same in every list. */
#ifndef XORJ_HANDLERS_CURSOR_H
#define XORJ_HANDLERS_CURSOR_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "handlers/schema.h"

#define CURSOR_TEXT 32
void cursor_text(int64_t row, char out[CURSOR_TEXT]);
xerr_t cursor_parse(span_t text, int64_t *row); /* XE_BAD_INPUT: not one of ours; row is at least 1 */

/* The member every list ends with: pagination{limit, has_more, next_cursor, total_count}. next NULL: that was the last page. */
void put_page(jw_t *w, unsigned limit, const char *next, int64_t total);
extern const schema_t page_members[];

/* The parameter of a list's query. */
int cursor_fits(const char *text, unsigned long n);
#define CURSOR_ROW \
    S_OPT("cursor", SC_STR, .min = 12, .max = 12, .pattern = "^A[Q-X][A-Za-z0-9_-]{10}$", .fits = cursor_fits, .doc = "a next_cursor of this list is expected")

#endif
