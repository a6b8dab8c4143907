/* A recorded stream, one text message per line, sent as its venue would: every client that subscribes gets the whole
 * file in order, at a rate or as fast as it reads, in its own time. The file is read once and never changed. */
#ifndef XORJ_SIM_PLAY_H
#define XORJ_SIM_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define PLAY_BYTES_MAX (512u << 20)
#define PLAY_AHEAD (256u << 10) /* unsent bytes of a client beyond which the next line waits */

typedef struct play play_t;
typedef struct {
    bool started, done;
    size_t line;
    int64_t credit; /* thousandths of a line */
    uint64_t seq;   /* Coinbase: the number of the next message after the file */
} player_t;

/* XE_NOT_FOUND: cannot be read; XE_TOO_BIG; XE_BAD_INPUT: no lines. rate in lines per second, 0: as fast as read. */
xerr_t play_open(const char *path, unsigned rate, play_t **out);
/* "MARKET=FILE": what the venue answers by REST while the file is played. XE_NOT_FOUND: cannot be read. */
xerr_t play_add_rest(play_t *p, const char *arg);
const span_t *play_rest(const play_t *p, span_t market); /* NULL: none, also when p is NULL */
void play_free(play_t *p);
size_t play_lines(const play_t *p);

struct sim;
struct conn;
void play_pump(struct sim *s, struct conn *c, int64_t elapsed_ms); /* sends what is due */
/* The client's message when a file is played: the first subscribe starts it. false: the venue itself should answer. */
bool play_text(struct sim *s, struct conn *c, span_t text);

#endif
