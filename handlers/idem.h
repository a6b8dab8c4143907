/* Idempotency-Key, for routes with ROUTE_KEY: the first request of a key does its work, every other with the same body gets
 * its answer byte for byte, now or within 24 h, from any process, also after a kill.
 *
 * How: storage/idem.h gives the key a name, and the handler's change is made under it (who_of carries it), so it is done
 * once whoever repeats it. An answer of 2xx is kept before it leaves. Requests that come while the first is under way wait
 * for its answer within their deadline, then 409. Refusals are not kept: the key is free again. */
#ifndef XORJ_HANDLERS_IDEM_H
#define XORJ_HANDLERS_IDEM_H

#include "handlers/ctx.h"

idems_t *idems_new(api_t *a);
void idems_free(idems_t *m);

/* Runs the handler now, or once the key is ours, or never: then it is answered here. */
void idem_gate(req_t *r);

/* For answer.c: true when the request has a key and the answer goes its way from here. */
bool idem_answer(req_t *r, int status, span_t body);
/* The same for a refusal; code is a literal, message is copied. Those who wait for this request get it too. */
bool idem_refused(req_t *r, int status, const char *code, const char *message, int retry_s);

#endif
