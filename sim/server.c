#include "sim/server.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "sim/frame.h"
#include "sim/head.h"

#define HEAD_MS 10000    /* handshake and request head */
#define IDLE_MS 75000    /* between requests */
#define FAREWELL_MS 2000 /* to send what is left */
#define LINGER_MS 100
#define LISTENERS_MAX 2
#define LOW_WATER 65536

typedef enum { C_HEAD, C_BODY, C_WS, C_LEAVING, C_DEAD } cstate_t;

typedef struct {
    srv_t *s;
    SSL_CTX *tls;
    struct evconnlistener *l;
    bool paused;
} listener_t;

struct conn {
    srv_t *s;
    conn_t *next;
    struct bufferevent *bev;
    struct evbuffer *out; /* everything unsent that bev has not been given yet */
    cstate_t state;
    bool plain, owes, close_after, upgraded, close_sent;
    int tag;
    void *user;
    int64_t since_ms, ping_ms;
    char head[SRV_HEAD_MAX + 1];
    size_t head_n;
    head_t req;
    buf_t msg; /* client message being assembled */
    bool in_msg;
};

struct srv {
    srv_hooks_t h;
    struct event_base *base;
    struct event *turn, *sig[2];
    listener_t ls[LISTENERS_MAX];
    unsigned ls_n, conns_n;
    conn_t *conns;
    int signal;
    uint64_t refused, overrun;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- sending ---- */

size_t conn_unsent(const conn_t *c)
{
    return evbuffer_get_length(c->out) + evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void pass_on(conn_t *c, size_t limit)
{
    if (!limit)
        bufferevent_write_buffer(c->bev, c->out);
    else
        evbuffer_remove_buffer(c->out, bufferevent_get_output(c->bev), limit);
}

static void send_bytes(conn_t *c, const void *p, size_t n)
{
    if (c->state == C_DEAD) return;
    if (conn_unsent(c) + n > SRV_UNSENT_MAX) {
        c->s->overrun++;
        conn_reset(c);
        return;
    }
    evbuffer_add(c->out, p, n);
    if (!c->s->h.trickle(c->s->h.ctx, c)) pass_on(c, 0);
}

static void send_frame(conn_t *c, unsigned op, bool fin, span_t body)
{
    uint8_t head[FRAME_HEAD_MAX];
    size_t n = frame_head(head, op, fin, body.n);
    send_bytes(c, head, n);
    if (body.n) send_bytes(c, body.p, body.n);
}

void conn_text(conn_t *c, span_t text)
{
    if (c->state != C_WS) return;
    unsigned op = FRAME_TEXT;
    do {
        size_t n = text.n > SRV_FRAGMENT ? SRV_FRAGMENT : text.n;
        send_frame(c, op, n == text.n, span_make(text.p, n));
        text = span_make(text.p + n, text.n - n);
        op = FRAME_CONT;
    } while (text.n);
}

static void leave(conn_t *c)
{
    if (c->state == C_DEAD) return;
    c->state = C_LEAVING;
    c->since_ms = now_ms();
}

void conn_close(conn_t *c, unsigned code)
{
    if (c->state == C_WS && !c->close_sent) {
        uint8_t two[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        c->close_sent = true;
        send_frame(c, FRAME_CLOSE, true, span_make((const char *)two, 2));
    }
    leave(c);
}

/* Only marks: the connection is freed by the turn, never under a caller's feet. */
void conn_reset(conn_t *c)
{
    if (c->state == C_DEAD) return;
    c->state = C_DEAD;
    bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    struct linger rst = {1, 0};
    evutil_socket_t fd = bufferevent_getfd(c->bev);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Payload Too Large";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Error";
    }
}

void conn_reply(conn_t *c, int status, const char *type, span_t body)
{
    buf_t b;
    buf_init(&b, 1024);
    buf_fmt(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", status, reason(status), type,
            body.n, status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" : "",
            c->req.keep_alive ? "" : "Connection: close\r\n");
    send_bytes(c, b.p, b.n);
    buf_fini(&b);
    if (body.n) send_bytes(c, body.p, body.n);
    c->owes = false;
    if (!c->req.keep_alive) leave(c);
}

void conn_upgrade(conn_t *c)
{
    buf_t b;
    buf_init(&b, 512);
    buf_fmt(&b,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            "%s\r\n%s\r\n",
            c->req.accept, c->req.echo ? "Sec-WebSocket-Protocol: echo-protocol\r\n" : "");
    c->state = C_WS;
    c->upgraded = true;
    c->owes = false;
    c->ping_ms = now_ms();
    send_bytes(c, b.p, b.n);
    buf_fini(&b);
}

/* ---- receiving ---- */

static void refuse(conn_t *c, int status)
{
    static const char text[] = "{\"error\":\"request refused\"}";
    c->req.keep_alive = false;
    conn_reply(c, status, "application/json", SPAN_LIT(text));
}

static void serve(conn_t *c, struct evbuffer *in)
{
    size_t n = c->req.body_n;
    sreq_t r = {c->req.method, c->req.path, c->req.query, c->req.type, span_make(NULL, 0), c->req.upgrade};
    if (n) r.body = span_make((const char *)evbuffer_pullup(in, (ev_ssize_t)n), n);
    c->state = C_HEAD;
    c->owes = true;
    c->since_ms = now_ms();
    c->s->h.on_request(c->s->h.ctx, c, &r);
    evbuffer_drain(in, n);
}

/* true: made progress, look again. */
static bool read_http(conn_t *c, struct evbuffer *in)
{
    if (c->owes) return false;
    if (c->state == C_BODY) {
        if (evbuffer_get_length(in) < c->req.body_n) return false;
        serve(c, in);
        return true;
    }
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0 || end.pos > SRV_HEAD_MAX - 4) {
        if (evbuffer_get_length(in) >= SRV_HEAD_MAX) refuse(c, 431);
        return false;
    }
    c->head_n = (size_t)end.pos;
    evbuffer_remove(in, c->head, c->head_n + 4);
    int bad = head_parse(span_make(c->head, c->head_n), &c->req);
    if (!bad && c->req.body_n > SRV_BODY_MAX) bad = 413;
    if (bad) {
        refuse(c, bad);
        return false;
    }
    c->state = C_BODY;
    return true;
}

static void whole_message(conn_t *c)
{
    c->in_msg = false;
    if (c->msg.failed) {
        conn_close(c, 1009);
        return;
    }
    c->s->h.on_text(c->s->h.ctx, c, buf_span(&c->msg));
}

static void take_frame(conn_t *c, const frame_t *f, const char *body)
{
    bool quiet = c->s->h.muted(c->s->h.ctx, c);
    switch (f->op) {
    case FRAME_TEXT:
    case FRAME_CONT:
        if ((f->op == FRAME_CONT) != c->in_msg) {
            conn_close(c, 1002);
            return;
        }
        if (!c->in_msg) buf_reset(&c->msg);
        c->in_msg = true;
        buf_add(&c->msg, body, f->len);
        if (f->fin) whole_message(c);
        return;
    case FRAME_PING:
        if (!quiet) send_frame(c, FRAME_PONG, true, span_make(body, f->len));
        return;
    case FRAME_PONG: return;
    case FRAME_CLOSE:
        if (quiet)
            leave(c);
        else
            conn_close(c, 1000);
        return;
    default: conn_close(c, f->op == FRAME_BINARY ? 1003 : 1002);
    }
}

static bool read_ws(conn_t *c, struct evbuffer *in)
{
    uint8_t head[FRAME_HEAD_MAX];
    frame_t f;
    ev_ssize_t have = evbuffer_copyout(in, head, sizeof(head));
    int n = frame_parse(head, have > 0 ? (size_t)have : 0, &f);
    if (n == 0) return false;
    if (n < 0 || !f.masked) {
        conn_close(c, 1002);
        return false;
    }
    if (f.len > SRV_BODY_MAX) {
        conn_close(c, 1009);
        return false;
    }
    if (evbuffer_get_length(in) < (size_t)n + f.len) return false;
    evbuffer_drain(in, (size_t)n);
    char *body = f.len ? (char *)evbuffer_pullup(in, (ev_ssize_t)f.len) : NULL;
    frame_mask(&f, body);
    take_frame(c, &f, body ? body : "");
    evbuffer_drain(in, f.len);
    return true;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    conn_t *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    bool more = true;
    while (more) {
        if (c->state == C_HEAD || c->state == C_BODY)
            more = read_http(c, in);
        else if (c->state == C_WS)
            more = read_ws(c, in);
        else {
            evbuffer_drain(in, evbuffer_get_length(in));
            return;
        }
    }
}

static void on_write(struct bufferevent *bev, void *arg)
{
    conn_t *c = arg;
    if (c->state == C_WS && evbuffer_get_length(c->out) == 0) c->s->h.on_drain(c->s->h.ctx, c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) conn_reset(arg);
}

/* ---- life ---- */

static void conn_free(conn_t *c)
{
    srv_t *s = c->s;
    if (c->upgraded) s->h.on_close(s->h.ctx, c);
    SSL *ssl = c->plain ? NULL : bufferevent_openssl_get_ssl(c->bev);
    if (ssl && c->state == C_LEAVING && SSL_is_init_finished(ssl)) {
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(ssl);
    }
    bufferevent_free(c->bev);
    evbuffer_free(c->out);
    buf_fini(&c->msg);
    free(c);
    s->conns_n--;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    listener_t *ls = arg;
    srv_t *s = ls->s;
    conn_t *c = s->conns_n < SRV_CONNS_MAX ? calloc(1, sizeof(*c)) : NULL;
    SSL *ssl = c && ls->tls ? SSL_new(ls->tls) : NULL;
    if (c && (!ls->tls || ssl)) {
        c->bev =
            ssl ? bufferevent_openssl_socket_new(s->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
                : bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
        c->out = evbuffer_new();
    }
    if (!c || !c->bev || !c->out) {
        s->refused++;
        if (c && c->out) evbuffer_free(c->out);
        if (c && c->bev) {
            bufferevent_free(c->bev);
        } else {
            SSL_free(ssl);
            evutil_closesocket(fd);
        }
        free(c);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->s = s;
    c->plain = !ssl;
    c->tag = -1;
    c->since_ms = now_ms();
    buf_init(&c->msg, SRV_BODY_MAX);
    c->next = s->conns;
    s->conns = c;
    s->conns_n++;
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(c->bev, EV_WRITE, LOW_WATER, 0);
    bufferevent_setwatermark(c->bev, EV_READ, 0, 2 * SRV_BODY_MAX);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* Out of descriptors: pause until the next turn instead of spinning. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
    listener_t *ls = arg;
    ls->paused = true;
    evconnlistener_disable(l);
}

static bool overdue(const conn_t *c, int64_t now)
{
    /* Closing at once could meet unread input and turn into a reset that eats our last bytes. */
    if (c->state == C_LEAVING) return now - c->since_ms > (conn_unsent(c) ? FAREWELL_MS : LINGER_MS);
    if (c->state == C_WS || c->owes) return false;
    return now - c->since_ms > (c->head_n ? IDLE_MS : HEAD_MS);
}

static void tend(conn_t *c, int64_t now)
{
    size_t limit = c->s->h.trickle(c->s->h.ctx, c);
    if (evbuffer_get_length(c->out)) pass_on(c, limit);
    if (c->state == C_WS && now - c->ping_ms >= SRV_PING_MS) {
        c->ping_ms = now;
        if (!c->s->h.muted(c->s->h.ctx, c)) send_frame(c, FRAME_PING, true, SPAN_LIT(""));
    }
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    srv_t *s = arg;
    int64_t now = now_ms();
    s->h.on_turn(s->h.ctx, now);
    for (conn_t **p = &s->conns, *c; (c = *p) != NULL;) {
        if (c->state != C_DEAD) tend(c, now);
        if (c->state == C_DEAD || overdue(c, now)) {
            *p = c->next;
            conn_free(c);
        } else {
            p = &c->next;
        }
    }
    for (unsigned i = 0; i < s->ls_n; i++) {
        if (s->ls[i].paused) evconnlistener_enable(s->ls[i].l);
        s->ls[i].paused = false;
    }
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    srv_t *s = arg;
    s->signal = (int)signo;
    event_base_loopbreak(s->base);
}

srv_t *srv_new(srv_hooks_t hooks)
{
    srv_t *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->h = hooks;
    s->base = event_base_new();
    if (!s->base) {
        free(s);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    s->turn = event_new(s->base, -1, EV_PERSIST, on_turn, s);
    s->sig[0] = evsignal_new(s->base, SIGTERM, on_signal, s);
    s->sig[1] = evsignal_new(s->base, SIGINT, on_signal, s);
    struct timeval tv = {0, SRV_TURN_MS * 1000};
    event_add(s->turn, &tv);
    event_add(s->sig[0], NULL);
    event_add(s->sig[1], NULL);
    return s;
}

void srv_free(srv_t *s)
{
    if (!s) return;
    for (unsigned i = 0; i < s->ls_n; i++) evconnlistener_free(s->ls[i].l);
    while (s->conns) {
        conn_t *c = s->conns;
        s->conns = c->next;
        conn_free(c);
    }
    event_free(s->turn);
    event_free(s->sig[0]);
    event_free(s->sig[1]);
    /* A TLS connection that has just written is held by a callback the library has put off. The signal may have come in
     * between; freeing the base would forget the callback and with it the connection. */
    event_base_loop(s->base, EVLOOP_NONBLOCK);
    event_base_free(s->base);
    free(s);
}

xerr_t srv_listen(srv_t *s, SSL_CTX *tls, uint16_t *port)
{
    XASSERT(s->ls_n < LISTENERS_MAX);
    listener_t *ls = &s->ls[s->ls_n];
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *ls = (listener_t){.s = s, .tls = tls};
    ls->l = evconnlistener_new_bind(s->base, on_accept, ls,
                                    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC, 128,
                                    (struct sockaddr *)&sa, (int)sizeof(sa));
    if (!ls->l) return XE_DOWN;
    evconnlistener_set_error_cb(ls->l, on_accept_error);
    socklen_t n = sizeof(sa);
    if (getsockname(evconnlistener_get_fd(ls->l), (struct sockaddr *)&sa, &n)) {
        evconnlistener_free(ls->l);
        return XE_DOWN;
    }
    s->ls_n++;
    *port = ntohs(sa.sin_port);
    return XE_OK;
}

int srv_run(srv_t *s)
{
    event_base_dispatch(s->base);
    return s->signal;
}

uint64_t srv_refused(const srv_t *s)
{
    return s->refused;
}
uint64_t srv_overrun(const srv_t *s)
{
    return s->overrun;
}

bool conn_plain(const conn_t *c)
{
    return c->plain;
}
int conn_tag(const conn_t *c)
{
    return c->tag;
}
void *conn_user(const conn_t *c)
{
    return c->user;
}
bool conn_is_ws(const conn_t *c)
{
    return c->state == C_WS;
}
bool conn_owes(const conn_t *c)
{
    return c->owes;
}

void conn_set(conn_t *c, int tag, void *user)
{
    c->tag = tag;
    c->user = user;
}

void srv_each(srv_t *s, void (*fn)(void *ctx, conn_t *c), void *ctx)
{
    for (conn_t *c = s->conns; c; c = c->next) {
        if (c->state != C_DEAD && c->state != C_LEAVING) fn(ctx, c);
    }
}
