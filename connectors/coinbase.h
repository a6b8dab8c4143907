/* What Coinbase's two sockets, Advanced Trade and Exchange, have in common. */
#ifndef XORJ_CONNECTORS_COINBASE_H
#define XORJ_CONNECTORS_COINBASE_H

#include "connectors/venue.h"

/* A product that is an alias of a USD product is delivered under the USD name. */
void coinbase_wire_name(const char *asked, char out[VP_NAME_MAX]);

#endif
