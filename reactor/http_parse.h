/* HTTP/1.1 request heads: a pure, strict, incremental parser. No memory of its own, no I/O.
 *
 * A head is parsed where it lies; fields are offsets from its first byte, so the bytes may move afterwards. Call
 * http_parse_head again with the same bytes and more behind them while it answers XE_AGAIN. A fault is named at the
 * first byte that cannot be right; nothing behind that byte may be interpreted. Strictness: CRLF only, no control
 * bytes, tokens directly followed by a colon, no folding, no Transfer-Encoding, at most one digits-only
 * Content-Length, exactly one plain Host, origin-form targets. */
#ifndef XORJ_REACTOR_HTTP_PARSE_H
#define XORJ_REACTOR_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/http.h"

#define HTTP_HEAD_CEIL 65535 /* offsets are 16 bits wide */
#define HTTP_METHOD_MAX 32

typedef struct {
    size_t line_max, head_max, lines_max, target_max;
} http_limits_t;

typedef struct {
    uint16_t name, name_n, value, value_n;
} http_field_t;

/* Why a head was refused: the status to answer and a text fit for a client. */
typedef struct {
    int status;
    const char *message; /* static */
} http_fault_t;

/* Fields that the server itself reads, found while parsing; -1: absent, else the index of the (first) field. */
typedef enum {
    HF_HOST,
    HF_LENGTH,
    HF_TYPE,
    HF_AUTH,
    HF_EXPECT,
    HF_UPGRADE,
    HF_REQUEST_ID,
    HF_FORWARDED,
    HF_COUNT
} http_known_t;

typedef struct {
    method_t method;
    uint8_t minor;        /* 0 or 1 */
    bool close;           /* the conversation ends after the answer: Connection: close, or HTTP/1.0 */
    bool upgrade;         /* Connection names upgrade */
    bool expect_continue; /* Expect: 100-continue, HTTP/1.1 only */
    bool has_length;
    uint64_t length;       /* Content-Length, 0 when absent */
    uint16_t path, path_n; /* without the query */
    uint16_t query, query_n;
    uint16_t auth, auth_n;    /* authority of an absolute-form target, auth_n = 0 otherwise */
    uint16_t known[HF_COUNT]; /* index + 1; 0: absent */
    uint16_t n_fields;
    uint32_t size;        /* bytes of the head with its final CRLF */
    http_field_t *fields; /* given by the caller, at least lines_max of them */
} http_head_t;

/* Progress over a head that arrives in pieces. Zero it before each head. */
typedef struct {
    uint32_t line;  /* start of the first line not yet complete */
    uint16_t lines; /* complete lines, the request line included */
    uint16_t seen;  /* bit k: field k of http_known_t came already */
    bool resumed;
} http_scan_t;

/* XE_OK: out is filled. XE_AGAIN: more bytes are needed. XE_BAD_INPUT: *why says what to answer before closing. */
xerr_t http_parse_head(http_scan_t *s, const char *p, size_t n, const http_limits_t *lim, http_head_t *out,
                       http_fault_t *why);

/* Content-Length text: 1 to 19 digits. False for anything else. */
bool http_parse_length(span_t v, uint64_t *out);
/* A plain name, IPv4 or bracketed IPv6 address, with optional port. */
bool http_host_ok(span_t v);
/* Does a comma-separated list hold this lower-case token? */
bool http_list_has(span_t v, const char *token);
bool http_ieq(span_t a, const char *lower); /* equal but for case; lower is lower-case */

#endif
