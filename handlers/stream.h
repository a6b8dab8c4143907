/* Live subscribers: who may open a socket, what they may say on it, and which publications they hear.
 *
 * Commands are strict JSON: {"action":"subscribe"|"unsubscribe","channels":[..],"filter":{..},"since":N} and
 * {"action":"ping"}. A bad command gets an error message, not a close. State channels (bot, connectors, risk, status)
 * conflate and greet with a snapshot; event channels (opportunities, trades) do not. */
#ifndef XORJ_HANDLERS_STREAM_H
#define XORJ_HANDLERS_STREAM_H

#include "handlers/ctx.h"

stream_t *stream_new(api_t *a);
void stream_free(stream_t *s);

#endif
