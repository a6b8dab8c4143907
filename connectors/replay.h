/* `xorj replay`: recorded frames through the parsers of the live feeds, without a loop. Blocking; each function returns
 * a process exit code and says on stderr what went wrong. An output path of "-" is stdout. */
#ifndef XORJ_CONNECTORS_REPLAY_H
#define XORJ_CONNECTORS_REPLAY_H

#include <stdbool.h>

#include "base/span.h"

enum { REPLAY_DONE = 0, REPLAY_FAILED = 1, REPLAY_USAGE = 2 };

/* One text frame per line, or a journal (file or directory; seeds are part of it). Writes the JSON that --books asks
 * for. protocol may be NULL for a journal that holds one. */
int replay_books(const char *protocol, const char *in_path, const char *out_path, const char *const *seeds, unsigned seeds_n);
/* The same for journals only. A connection's end, a hole or a lost frame empties its books as it does in the live desk;
 * at the end they are shown as the last frame left them. */
int replay_journal(const char *protocol, const char *in_path, const char *out_path);
/* The frames of a journal as lines; protocol NULL: of all connections. */
int replay_frames(const char *protocol, const char *in_path, const char *out_path);
int replay_list(const char *in_path); /* what a journal holds, to stdout */

bool replay_save(const char *path, span_t text); /* for the files of replay */

#endif
