/* The answer half of the HTTP/1.1 client: bytes in, status and body out. Pure; strict about framing, since a body that
 * ends at the wrong place would become the next answer. One answer_t reads one answer. */
#ifndef XORJ_REACTOR_HTTPC_ANSWER_H
#define XORJ_REACTOR_HTTPC_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

typedef enum {
    ANS_STATUS,
    ANS_HEADER,
    ANS_BODY,
    ANS_BODY_TO_END,
    ANS_CHUNK_SIZE,
    ANS_CHUNK,
    ANS_CHUNK_END,
    ANS_TRAILER,
    ANS_DONE
} answer_state_t;

typedef struct {
    answer_state_t state;
    bool no_body; /* answers a HEAD */
    bool started; /* a byte has arrived */
    bool chunked, has_length, keep_alive;
    int status, retry_after_s;
    unsigned interim;
    size_t head_bytes;
    uint64_t left; /* bytes of the body or chunk still to come */
    buf_t line, body;
} answer_t;

void answer_init(answer_t *a, size_t body_max, bool no_body);
void answer_fini(answer_t *a);

/* Takes *used bytes. XE_OK: complete. XE_AGAIN: wants more. XE_BAD_INPUT: broken. XE_TOO_BIG: body over its ceiling. */
xerr_t answer_feed(answer_t *a, span_t in, size_t *used);
/* The connection has ended: XE_OK when that is how this body ends, else XE_CLOSED. */
xerr_t answer_end(answer_t *a);

/* http://host[:port][/path][?query], also https and [IPv6]; no user, no fragment is sent. */
typedef struct {
    bool tls, numeric; /* numeric: host is an address */
    char host[256];    /* without brackets */
    uint16_t port;
    span_t target; /* borrowed from the text; empty means "/" */
} url_t;
xerr_t url_parse(span_t text, url_t *out);

#endif
