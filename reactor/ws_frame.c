#include "reactor/ws_frame.h"

#include <stdlib.h>
#include <string.h>

static xerr_t length_of(const uint8_t *p, size_t n, ws_head_t *h, size_t *at)
{
    uint64_t len = p[1] & 0x7f;
    size_t wide = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (n < 2 + wide) return XE_AGAIN;
    if (wide) {
        len = 0;
        for (size_t i = 0; i < wide; i++) len = len << 8 | p[2 + i];
        /* The shortest form is the only one allowed; the top bit of the long form must be clear. */
        if (wide == 2 ? len < 126 : len < 65536 || len >> 63) return XE_BAD_INPUT;
    }
    h->len = len;
    *at = 2 + wide;
    return XE_OK;
}

xerr_t ws_head_parse(const uint8_t *p, size_t n, ws_head_t *h)
{
    if (n < 1) return XE_AGAIN;
    h->fin = (p[0] & 0x80) != 0;
    h->op = p[0] & 0x0f;
    bool control = (h->op & 8) != 0;
    if ((p[0] & 0x70) || (h->op > WS_BINARY && !control) || h->op > WS_PONG) return XE_BAD_INPUT;
    if (control && !h->fin) return XE_BAD_INPUT;
    if (n < 2) return XE_AGAIN;
    if (!(p[1] & 0x80)) return XE_BAD_INPUT;
    if (control && (p[1] & 0x7f) > WS_CONTROL_MAX) return XE_BAD_INPUT;
    size_t at = 0;
    xerr_t err = length_of(p, n, h, &at);
    if (err) return err;
    if (n < at + 4) return XE_AGAIN;
    memcpy(h->mask, p + at, 4);
    h->head_n = (uint8_t)(at + 4);
    return XE_OK;
}

size_t ws_head_write(uint8_t out[10], uint8_t op, uint64_t len)
{
    out[0] = (uint8_t)(0x80 | op);
    if (len < 126) {
        out[1] = (uint8_t)len;
        return 2;
    }
    size_t wide = len < 65536 ? 2 : 8;
    out[1] = wide == 2 ? 126 : 127;
    for (size_t i = 0; i < wide; i++) out[2 + i] = (uint8_t)(len >> (8 * (wide - 1 - i)));
    return 2 + wide;
}

void ws_unmask(char *p, size_t n, const uint8_t mask[4], uint64_t at)
{
    uint8_t m[8];
    for (size_t i = 0; i < 8; i++) m[i] = mask[(at + i) & 3];
    uint64_t wide;
    memcpy(&wide, m, 8);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        v ^= wide;
        memcpy(p + i, &v, 8);
    }
    for (; i < n; i++) p[i] = (char)((uint8_t)p[i] ^ m[i & 7]);
}

bool ws_close_code_ok(unsigned code)
{
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

/* What may follow a lead byte: how many continuation bytes, and the range of the first of them. */
static bool utf8_lead(utf8_t *u, uint8_t c)
{
    u->lo = 0x80;
    u->hi = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        u->need = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        u->need = 2;
        if (c == 0xe0) u->lo = 0xa0;
        if (c == 0xed) u->hi = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        u->need = 3;
        if (c == 0xf0) u->lo = 0x90;
        if (c == 0xf4) u->hi = 0x8f;
    } else {
        return false;
    }
    return true;
}

bool utf8_feed(utf8_t *u, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        if (u->need) {
            if (c < u->lo || c > u->hi) return false;
            u->need--;
            u->lo = 0x80;
            u->hi = 0xbf;
        } else if (c >= 0x80 && !utf8_lead(u, c)) {
            return false;
        }
    }
    return true;
}

static void fail(ws_ev_t *ev, unsigned code, const char *why)
{
    *ev = (ws_ev_t){.kind = WS_RX_FAIL, .code = code, .why = why};
}

/* Rules about a frame's head that depend on what came before. */
static bool admit(ws_rx_t *rx, const ws_limits_t *lim, ws_ev_t *ev)
{
    const ws_head_t *h = &rx->h;
    if (h->op & 8) return true;
    if (h->op == WS_BINARY) return fail(ev, 1003, "binary messages are not taken"), false;
    if (h->op == WS_CONT && !rx->in_msg) return fail(ev, 1002, "continuation of nothing"), false;
    if (h->op != WS_CONT && rx->in_msg) return fail(ev, 1002, "new message inside a fragmented one"), false;
    if (h->op != WS_CONT) {
        rx->in_msg = true;
        rx->frags = 0;
        rx->msg_n = 0;
        rx->utf8 = (utf8_t){0};
    }
    if (h->len > lim->msg_max - rx->msg_n) return fail(ev, 1009, "message is too large"), false;
    if (++rx->frags > lim->frags_max) return fail(ev, 1009, "message has too many fragments"), false;
    return true;
}

/* Completes a frame head from gathered and new bytes. False: nothing more to do in this call (ev says why). */
static bool take_head(ws_rx_t *rx, const ws_limits_t *lim, char **p, size_t *n, ws_ev_t *ev)
{
    uint8_t buf[WS_HEAD_MAX];
    size_t old = rx->head_n, fresh = *n < WS_HEAD_MAX - old ? *n : WS_HEAD_MAX - old;
    memcpy(buf, rx->head, old);
    memcpy(buf + old, *p, fresh);
    xerr_t err = ws_head_parse(buf, old + fresh, &rx->h);
    if (err == XE_BAD_INPUT) return fail(ev, 1002, "malformed frame"), false;
    size_t used = err == XE_AGAIN ? fresh : rx->h.head_n - old;
    *p += used;
    *n -= used;
    if (err == XE_AGAIN) {
        memcpy(rx->head, buf, old + fresh);
        rx->head_n = (uint8_t)(old + fresh);
        return false;
    }
    rx->head_n = 0;
    rx->got = 0;
    rx->in_frame = true;
    return admit(rx, lim, ev);
}

static bool msg_room(ws_rx_t *rx, size_t more)
{
    size_t want = rx->msg_n + more;
    if (want <= rx->msg_cap) return true;
    size_t cap = rx->msg_cap ? rx->msg_cap : 256;
    while (cap < want) cap *= 2;
    char *grown = realloc(rx->msg, cap);
    if (!grown) return false;
    rx->msg = grown;
    rx->msg_cap = cap;
    return true;
}

static void control(ws_rx_t *rx, ws_ev_t *ev)
{
    span_t body = {(const char *)rx->ctl, (size_t)rx->h.len};
    if (rx->h.op == WS_PING || rx->h.op == WS_PONG) {
        *ev = (ws_ev_t){.kind = rx->h.op == WS_PING ? WS_RX_PING : WS_RX_PONG, .body = body};
        return;
    }
    if (body.n == 0) {
        *ev = (ws_ev_t){.kind = WS_RX_CLOSE, .code = 1005};
        return;
    }
    unsigned code = body.n < 2 ? 0 : (unsigned)(rx->ctl[0] << 8 | rx->ctl[1]);
    utf8_t u = {0};
    if (!ws_close_code_ok(code)) return fail(ev, 1002, "bad close code");
    if (!utf8_feed(&u, body.p + 2, body.n - 2) || !utf8_whole(&u)) return fail(ev, 1007, "close reason is not UTF-8");
    *ev = (ws_ev_t){.kind = WS_RX_CLOSE, .code = code, .body = {body.p + 2, body.n - 2}};
}

static void take_control(ws_rx_t *rx, const char *p, size_t n, ws_ev_t *ev)
{
    memcpy(rx->ctl + rx->got, p, n);
    rx->got += n;
    if (rx->got < rx->h.len) return;
    ws_unmask((char *)rx->ctl, (size_t)rx->h.len, rx->h.mask, 0);
    rx->in_frame = false;
    control(rx, ev);
}

static void take_text(ws_rx_t *rx, char *p, size_t n, ws_ev_t *ev)
{
    ws_unmask(p, n, rx->h.mask, rx->got);
    if (!utf8_feed(&rx->utf8, p, n)) return fail(ev, 1007, "text is not UTF-8");
    rx->got += n;
    bool ended = rx->got == rx->h.len && rx->h.fin;
    bool in_place = ended && rx->msg_n == 0;
    if (!in_place) {
        if (!msg_room(rx, n)) return fail(ev, 1011, "out of memory");
        if (n) memcpy(rx->msg + rx->msg_n, p, n);
        rx->msg_n += n;
    }
    if (rx->got == rx->h.len) rx->in_frame = false;
    if (!ended) return;
    if (!utf8_whole(&rx->utf8)) return fail(ev, 1007, "text ends inside a character");
    rx->in_msg = false;
    *ev = (ws_ev_t){.kind = WS_RX_TEXT, .body = in_place ? (span_t){p, n} : (span_t){rx->msg, rx->msg_n}};
}

void ws_rx_next(ws_rx_t *rx, const ws_limits_t *lim, char **p, size_t *n, ws_ev_t *ev)
{
    *ev = (ws_ev_t){.kind = WS_RX_MORE};
    if (!rx->in_msg && rx->msg) ws_rx_fini(rx); /* the message handed out last is done with */
    while (ev->kind == WS_RX_MORE && (*n || (rx->in_frame && rx->h.len == rx->got))) {
        if (!rx->in_frame && !take_head(rx, lim, p, n, ev)) {
            if (ev->kind == WS_RX_MORE && *n == 0) return;
            continue;
        }
        uint64_t left = rx->h.len - rx->got;
        size_t take = left < *n ? (size_t)left : *n;
        if (take == 0 && left) return;
        char *from = *p;
        *p += take;
        *n -= take;
        if (rx->h.op & 8)
            take_control(rx, from, take, ev);
        else
            take_text(rx, from, take, ev);
    }
}

void ws_rx_fini(ws_rx_t *rx)
{
    free(rx->msg);
    rx->msg = NULL;
    rx->msg_n = rx->msg_cap = 0;
}
