/* One-time tickets that open a websocket where no Authorization header can be sent. In memory, 30 s, bounded; the
 * ticket dies with the first use, whatever comes of it. */
#ifndef XORJ_HANDLERS_TICKETS_H
#define XORJ_HANDLERS_TICKETS_H

#include "handlers/tcache.h"

#define TICKET_LEN 43 /* base64url of 32 random bytes */
#define TICKET_TTL_S 30
#define TICKETS_MAX 4096

typedef struct tickets tickets_t;
tickets_t *tickets_new(const uint64_t sip_key[2]); /* NULL: no memory */
void tickets_free(tickets_t *t);
xerr_t tickets_issue(tickets_t *t, const principal_t *p, int64_t now_ns, char out[TICKET_LEN + 1]); /* XE_FULL */
xerr_t tickets_take(tickets_t *t, span_t text, int64_t now_ns, principal_t *out);                   /* XE_AUTH */

#endif
