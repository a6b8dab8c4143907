#include "reactor/ws_handshake.h"

#include <string.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/http_internal.h"

#define KEY_TEXT 24 /* base64 of 16 bytes */

void ws_accept_text(span_t key, char out[WS_ACCEPT_TEXT + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_TEXT + sizeof guid];
    uint8_t digest[20];
    size_t n = key.n < KEY_TEXT ? key.n : KEY_TEXT;
    memcpy(text, key.p, n);
    memcpy(text + n, guid, sizeof guid - 1);
    sha1(text, n + sizeof guid - 1, digest);
    char room[48];
    size_t got = b64_encode(digest, sizeof digest, room, sizeof room);
    XASSERT(got == WS_ACCEPT_TEXT);
    memcpy(out, room, WS_ACCEPT_TEXT + 1);
}

/* How often a field came: the handshake's own fields may come once. */
static unsigned times(const req_t *r, const char *name, span_t *first)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->head.n_fields; i++) {
        const http_field_t *f = &r->head.fields[i];
        if (!http_ieq((span_t){r->text + f->name, f->name_n}, name)) continue;
        if (n++ == 0) *first = (span_t){r->text + f->value, f->value_n};
    }
    return n;
}

static bool key_ok(span_t key)
{
    uint8_t raw[18];
    size_t n = 0;
    return key.n == KEY_TEXT && b64_decode(key, raw, sizeof raw, &n) == XE_OK && n == 16;
}

ws_verdict_t ws_handshake_judge(const req_t *r)
{
    span_t v = {"", 0};
    if (req_method(r) != M_GET || r->head.minor == 0 || r->head.length)
        return (ws_verdict_t){400, "a websocket opens with GET over HTTP/1.1"};
    if (!http_list_has(req_field(r, HF_UPGRADE), "websocket"))
        return (ws_verdict_t){426, "this path speaks websocket only"};
    if (!r->head.upgrade) return (ws_verdict_t){400, "Connection does not name upgrade"};
    if (times(r, "sec-websocket-version", &v) != 1 || !span_is(v, "13"))
        return (ws_verdict_t){426, "websocket version 13 is the one spoken here"};
    if (times(r, "sec-websocket-key", &v) != 1 || !key_ok(v))
        return (ws_verdict_t){400, "Sec-WebSocket-Key is not 16 bytes of base64"};
    return (ws_verdict_t){0, NULL};
}
