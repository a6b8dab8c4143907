/* /api/openapi.json: an OpenAPI 3.1 description written from the table of routes and from nothing else. Made once, and
 * again when a rate limit changed; kept with its ETag. */
#ifndef XORJ_HANDLERS_OPENAPI_H
#define XORJ_HANDLERS_OPENAPI_H

#include "handlers/ctx.h"

openapi_t *openapi_new(void); /* NULL when memory is out */
void openapi_free(openapi_t *d);
/* The whole text; false when it does not fit (a defect: a test writes it). */
bool openapi_write(const cfg_t *cfg, buf_t *out);

/* A list of members as JSON Schema (2020-12). request: as the judge takes it, else as answers are given. */
void openapi_schema(jw_t *w, const schema_t *members, bool request);
void openapi_value(jw_t *w, const schema_t *row, bool request);

#endif
