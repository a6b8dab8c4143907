/* RFC 6455 frames of a server: pure codec, no I/O.
 *
 * ws_rx turns received bytes into whole messages and control frames. It unmasks in place and hands out spans of the
 * caller's bytes where a message arrived in one piece; only pieces are copied, into memory bounded by msg_max. Every
 * protocol error is named by the close code that RFC 6455 asks for, at the first byte that shows it: announced sizes
 * are judged before their bytes arrive, UTF-8 as it arrives. */
#ifndef XORJ_REACTOR_WS_FRAME_H
#define XORJ_REACTOR_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
#define WS_CONTROL_MAX 125
#define WS_HEAD_MAX 14

typedef struct {
    bool fin;
    uint8_t op;
    uint8_t mask[4];
    uint64_t len;
    uint8_t head_n;
} ws_head_t;

/* XE_OK: h is filled. XE_AGAIN: the head is not complete. XE_BAD_INPUT: a violation that closes with 1002. Demands the mask. */
xerr_t ws_head_parse(const uint8_t *p, size_t n, ws_head_t *h);
/* Head of an unmasked, final frame; returns its size. */
size_t ws_head_write(uint8_t out[10], uint8_t op, uint64_t len);
void ws_unmask(char *p, size_t n, const uint8_t mask[4], uint64_t at); /* at: offset inside the frame */
bool ws_close_code_ok(unsigned code);                                  /* may a peer send it? */

/* UTF-8 checked piece by piece. Zero it first. */
typedef struct {
    uint8_t need, lo, hi;
} utf8_t;
bool utf8_feed(utf8_t *u, const char *p, size_t n); /* false at the first byte that cannot be right */
static inline bool utf8_whole(const utf8_t *u)
{
    return u->need == 0;
}

typedef struct {
    size_t msg_max;
    unsigned frags_max;
} ws_limits_t;

/* Receiving state of one socket; about 200 bytes. Zero it first; fini frees what it gathered. */
typedef struct {
    ws_head_t h;
    uint64_t got; /* bytes of the current frame's payload seen */
    bool in_frame, in_msg;
    uint8_t head_n; /* bytes gathered of an incomplete head */
    uint8_t head[WS_HEAD_MAX];
    uint8_t ctl[WS_CONTROL_MAX];
    unsigned frags;
    utf8_t utf8;
    char *msg; /* the message in pieces */
    size_t msg_n, msg_cap;
} ws_rx_t;

typedef enum { WS_RX_MORE, WS_RX_TEXT, WS_RX_PING, WS_RX_PONG, WS_RX_CLOSE, WS_RX_FAIL } ws_rx_kind_t;

typedef struct {
    ws_rx_kind_t kind;
    span_t body;     /* text, ping payload or close reason; good until the next call */
    unsigned code;   /* CLOSE: the peer's code, 1005 when it gave none. FAIL: the code to close with */
    const char *why; /* FAIL: static text */
} ws_ev_t;

/* Takes bytes from *p and moves *p and *n behind what it used. Call until kind is MORE (all used), CLOSE or FAIL. */
void ws_rx_next(ws_rx_t *rx, const ws_limits_t *lim, char **p, size_t *n, ws_ev_t *ev);
void ws_rx_fini(ws_rx_t *rx);

#endif
