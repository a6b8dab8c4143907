/* One-time tickets that open a websocket where no Authorization header can be sent. In memory, 30 s, bounded; the
 * ticket dies with the first use, whatever comes of it. */
#ifndef XORJ_HANDLERS_TICKETS_H
#define XORJ_HANDLERS_TICKETS_H

#include "handlers/tcache.h"

#define TICKET_LEN 43 /* base64url of 32 random bytes */
#define TICKET_TTL_S 30
#define TICKETS_MAX 8192
#define TICKETS_EACH 16 /* of one principal within the 30 s: about as many sockets as it may open, and no room of others */

typedef struct tickets tickets_t;
tickets_t *tickets_new(const uint64_t sip_key[2]); /* NULL: no memory */
void tickets_free(tickets_t *t);
/* XE_UNSUPPORTED: this principal has had its share for now. XE_FULL: no room for anybody. */
xerr_t tickets_issue(tickets_t *t, const principal_t *p, int64_t now_ns, char out[TICKET_LEN + 1]);
xerr_t tickets_take(tickets_t *t, span_t text, int64_t now_ns, principal_t *out); /* XE_AUTH */

#endif
