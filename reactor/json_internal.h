/* Between the recogniser and the parser of reactor/json.h. */
#ifndef XORJ_REACTOR_JSON_INTERNAL_H
#define XORJ_REACTOR_JSON_INTERNAL_H

#include "reactor/json.h"

/* json_check, which also counts the values and names: as many tokens as jsmn will make. */
xerr_t json_check_count(span_t text, size_t *where, unsigned *tokens);

#endif
