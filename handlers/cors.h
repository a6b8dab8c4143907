/* Cross-origin rules: only origins of server.allowed_origins are granted anything; others get no CORS header at all. */
#ifndef XORJ_HANDLERS_CORS_H
#define XORJ_HANDLERS_CORS_H

#include <stdbool.h>

#include "base/span.h"
#include "reactor/http.h"

bool cors_allowed(span_t origin, const char *list);      /* whole, byte for byte */
void cors_apply(req_t *r, const char *list);             /* headers of an ordinary answer */
void cors_preflight(req_t *r, const char *list, unsigned methods); /* answers OPTIONS: 204 */
bool cors_same_site(const req_t *r, span_t origin);      /* the origin's authority is this request's Host */

#endif
