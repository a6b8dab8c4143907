/* The opening handshake of RFC 6455, seen from the server: judges an upgrade request and gives the answer's lines. */
#ifndef XORJ_REACTOR_WS_HANDSHAKE_H
#define XORJ_REACTOR_WS_HANDSHAKE_H

#include "reactor/http.h"

#define WS_ACCEPT_TEXT 28

typedef struct {
    int status;          /* 0: fit for an upgrade; else 400 or 426 */
    const char *message; /* static */
} ws_verdict_t;

ws_verdict_t ws_handshake_judge(const req_t *r);
/* Sec-WebSocket-Accept for a key: 28 characters and a NUL. */
void ws_accept_text(span_t key, char out[WS_ACCEPT_TEXT + 1]);

#endif
