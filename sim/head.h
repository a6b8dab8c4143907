/* The head of an HTTP/1.1 request, as far as the simulator needs it: target, length, websocket handshake. Pure. */
#ifndef XORJ_SIM_HEAD_H
#define XORJ_SIM_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

typedef struct {
    span_t method, path, query, type; /* borrowed from the text; query without '?' */
    size_t body_n;
    bool keep_alive;
    bool upgrade;    /* a complete websocket handshake */
    bool echo;       /* it asks for the protocol echo-protocol, which is granted */
    char accept[32]; /* its answer */
} head_t;

/* text: request line and header lines, without the empty line. 0: fine; else the status to refuse it with (400, 426). */
int head_parse(span_t text, head_t *h);

#endif
