/* What status pages may read of connectors and engine: handlers cannot include connectors, so app/ lends them these. */
#ifndef XORJ_APP_VIEWS_H
#define XORJ_APP_VIEWS_H

#include "base/buf.h"
#include "base/span.h"

void views_connectors(void *app, buf_t *json_array);
bool views_connector(void *app, span_t venue, buf_t *json_object); /* false: no such venue */

#endif
