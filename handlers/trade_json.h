/* A trade as the lists show it, in either spelling of names, and the cursor of those lists. */
#ifndef XORJ_HANDLERS_TRADE_JSON_H
#define XORJ_HANDLERS_TRADE_JSON_H

#include "handlers/ctx.h"
#include "storage/trades.h"

typedef enum { CASE_SNAKE, CASE_CAMEL } case_t; /* bot routes; user routes */

void trades_put(jw_t *w, case_t c, const trade_page_t *p); /* the array */
extern const schema_t trade_snake[], trade_camel[];

/* Hex of the time (microseconds, before the year 4253) and the id of the last trade shown: opaque to clients. */
#define TRADE_CURSOR_TEXT 49
void trade_cursor_text(const trade_t *last, char out[TRADE_CURSOR_TEXT]);
xerr_t trade_cursor_parse(span_t text, trade_query_t *q);
int trade_cursor_fits(const char *text, unsigned long n);
#define TRADE_CURSOR_ROW                                                                                                          \
    S_OPT("cursor", SC_STR, .min = 48, .max = 48, .pattern = "^00[0-9a-f]{46}$", .fits = trade_cursor_fits,                        \
          .doc = "the next cursor of this list is expected; it stands instead of page or offset")

#endif
