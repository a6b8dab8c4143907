/* An opportunity as JSON: one encoder for rows of storage and for live messages. */
#ifndef XORJ_HANDLERS_OPPJSON_H
#define XORJ_HANDLERS_OPPJSON_H

#include "engine/engine.h"
#include "handlers/schema.h"
#include "reactor/json.h"
#include "storage/opps.h"

extern const schema_t opp_members[];
void opp_json(jw_t *w, const opp_row_t *row, bool simulated);
/* The engine's view as such a row; seq stays 0 (known only to storage). */
void opp_row_of(const opp_t *o, const char *pair_name, opp_row_t *out);

#endif
