/* Shared by stream.c (sockets, sessions, publications) and stream_cmd.c (what clients say and are told). */
#ifndef XORJ_HANDLERS_STREAM_INTERNAL_H
#define XORJ_HANDLERS_STREAM_INTERNAL_H

#include "handlers/stream.h"

enum { CLOSE_UNAUTHENTICATED = 4001, CLOSE_LIMITED = 4029 };

/* X(id, name, conflating, viewers only) */
#define CHANNEL_LIST(X) X(OPPORTUNITIES, "opportunities", false, true) X(TRADES, "trades", false, true) X(BOT, "bot", true, false) \
    X(CONNECTORS, "connectors", true, true) X(RISK, "risk", true, true) X(STATUS, "status", true, false)
typedef enum {
#define X(id, name, conflate, viewer) CH_##id,
    CHANNEL_LIST(X)
#undef X
    CH_N
} channel_t;

typedef struct { const char *name; bool conflate, viewer; } channel_row_t;
extern const channel_row_t stream_channels[CH_N];

typedef struct sub sub_t;
struct sub {
    stream_t *s;
    sub_t *prev, *next;
    ws_t *ws; /* NULL until the hub opened it */
    uint64_t id;
    principal_t who;
    unsigned joined;      /* bit per channel */
    char bot_wallet[48];  /* whose bot it hears */
    int64_t tat_ns;       /* of the messages-per-second bucket */
    int64_t recheck_ns;
    bool closing;
    bool bot_missed;      /* word of its bot may have been missed: read again with the next sweeps */
};

struct stream {
    api_t *a;
    hub_t *hub;
    int topic[CH_N];
    sub_t *subs;
    unsigned subs_n;
    uint64_t next_id;
    ltimer_t *sweep;
    buf_t scratch; /* one publication at a time */
    arena_pool_t *arenas;
    ctr_t *commands, *refused, *limited;
    gauge_t *open;
};

/* Between question and answer the socket may go: the answer finds it again by its number. */
typedef struct { stream_t *s; uint64_t id; } later_t;
later_t *stream_later(sub_t *u); /* owned by the caller; NULL: no memory */
sub_t *stream_find(const stream_t *s, uint64_t id);

void stream_close(sub_t *u, unsigned code, const char *reason);
void stream_on_text(void *ctx, ws_t *ws, span_t text);

uint64_t stream_wallet_key(const api_t *a, const char *wallet); /* who a bot message is for */
/* Data objects of the state channels: the same in a snapshot and in a change. */
void stream_put_bot(const api_t *a, jw_t *w, const char *wallet, bool enabled, int64_t version, int64_t updated_us);
void stream_put_connectors(const api_t *a, jw_t *w);
void stream_put_status(const api_t *a, jw_t *w);

#endif
