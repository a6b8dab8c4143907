/* What status pages may read of connectors and engine: handlers cannot include connectors, so app/ lends them these. */
#ifndef XORJ_APP_VIEWS_H
#define XORJ_APP_VIEWS_H

#include "base/buf.h"
#include "base/span.h"
#include "engine/wallet.h"

void views_connectors(void *app, buf_t *json_array);
bool views_connector(void *app, span_t venue, buf_t *json_object); /* false: no such venue */

/* The port of wallet balances: what is behind it is opened after the face is. */
bool views_wallet_peek(void *app, const uint8_t key[32], wallet_view_t *out);
void views_wallet_get(void *app, const uint8_t key[32], wallet_cb cb, void *cb_ctx);

#endif
