/* Websocket client for venue feeds: libwebsockets on a private libuv loop that is nested in ours (its backend descriptor
 * is watched, its next timer armed; nothing of it ever waits). TLS verifies chain and host name, always; names are
 * resolved by libuv's threads, never on the loop. Messages are assembled whole up to a ceiling and handed over.
 *
 * Callbacks come from the loop, never before the call that caused them has returned. on_close is the last of its
 * connection and comes exactly once, unless wsc_shut was called: after that there is none at all. */
#ifndef XORJ_CONNECTORS_WSC_H
#define XORJ_CONNECTORS_WSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/loop.h"

typedef struct wsc wsc_t;
typedef struct wsconn wsconn_t;

typedef struct {
    char *text; /* malloc'd; the receiver frees it */
    size_t n;
    int64_t recv_ns, recv_wall_us; /* when the last byte was here */
} wsc_msg_t;

typedef struct {
    void (*on_open)(void *ctx);
    void (*on_bytes)(void *ctx, size_t n); /* anything arrived, also parts of a message and answers to pings */
    void (*on_message)(void *ctx, wsc_msg_t msg);
    void (*on_close)(void *ctx, xerr_t why, const char *text); /* text: what the library says, for the log; may be "" */
    void *ctx;
} wsc_hooks_t;

wsc_t *wsc_new(loop_t *l, const char *ca_file); /* extra authority or NULL; NULL when the library refuses to start */
void wsc_free(wsc_t *w);                        /* every connection is cut; no callbacks */

bool wsc_idle(const wsc_t *w);                    /* no connection is left, those being closed included */

/* What some venues want to be told at the handshake; literals, NULL: nothing. */
typedef struct { const char *origin, *protocol; } wsc_guise_t;

/* ws:// or wss://. NULL when the URL is none (nothing will be called back). */
wsconn_t *wsc_connect(wsc_t *w, const char *url, size_t frame_max, wsc_hooks_t h);
wsconn_t *wsc_connect_as(wsc_t *w, const char *url, size_t frame_max, const wsc_guise_t *guise, wsc_hooks_t h);
xerr_t wsc_send(wsconn_t *c, span_t text); /* one text message, copied; XE_FULL past 256 waiting */
void wsc_ping(wsconn_t *c);                /* protocol ping; its answer counts as bytes */
void wsc_shut(wsconn_t *c);                /* closes in good manners within 2 s; c is gone for the caller */

#endif
