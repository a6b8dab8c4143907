/* Websocket frame headers (RFC 6455 section 5), both directions. No extension is spoken: reserved bits are an error. */
#ifndef XORJ_SIM_FRAME_H
#define XORJ_SIM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD_MAX 14
enum { FRAME_CONT = 0, FRAME_TEXT = 1, FRAME_BINARY = 2, FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10 };

typedef struct {
    unsigned op;
    bool fin, masked;
    uint8_t mask[4];
    uint64_t len;
} frame_t;

/* Bytes of the header, 0: not complete yet, -1: not allowed. */
int frame_parse(const uint8_t *p, size_t n, frame_t *f);
void frame_mask(const frame_t *f, char *body); /* in place; nothing when not masked */
size_t frame_head(uint8_t out[FRAME_HEAD_MAX], unsigned op, bool fin, uint64_t len); /* server to client: not masked */

#endif
