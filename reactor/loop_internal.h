/* For the files of reactor/ that use struct event directly (sockets in great number): the base behind the loop.
 *
 * A callback of libevent's reads loop_now_ns first, which fixes the time of this turn, then does its work. */
#ifndef XORJ_REACTOR_LOOP_INTERNAL_H
#define XORJ_REACTOR_LOOP_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "reactor/loop.h"

struct event_base *loop_base(loop_t *l);

/* Milliseconds as libevent wants them. */
static inline struct timeval loop_tv(int64_t ms)
{
    if (ms < 0) ms = 0;
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

#endif
