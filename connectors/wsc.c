#include "connectors/wsc.h"

#include <libwebsockets.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "reactor/log.h"

#define SEND_QUEUE_MAX 256
#define RX_CHUNK 65536
#define RUNS_PER_TURN 4
#define CLOSE_RUNS 1000
#define URL_PART_MAX 256

typedef struct out out_t;
struct out {
    out_t *next;
    size_t n;
    unsigned char buf[]; /* LWS_PRE bytes of room, then the text */
};

struct wsc {
    loop_t *loop;
    uv_loop_t uv;
    struct lws_context *lws;
    watch_t *watch;
    ltimer_t *timer;
    bool running;       /* inside uv_run: no nesting */
    bool freeing;
    unsigned callbacks; /* library callbacks so far: more of them mean that interest may have changed */
    wsconn_t *conns;
};

struct wsconn {
    wsc_t *w;
    wsconn_t *next, **link;
    wsc_hooks_t h;
    wsc_guise_t guise;
    uv_getaddrinfo_t dns;
    bool resolving;
    bool shut;  /* given up by the caller: no callbacks */
    bool over;  /* the library is done with it */
    bool open;
    struct lws *wsi;
    bool tls;
    int port;
    char host[URL_PART_MAX], path[2 * URL_PART_MAX], host_header[URL_PART_MAX + 8];
    size_t frame_max;
    char *rx;
    size_t rx_n, rx_cap;
    out_t *out_head, **out_tail;
    unsigned out_n;
    bool ping_wanted;
};

static int on_lws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t n);

static const struct lws_protocols protocols[] = {
    {.name = "feed", .callback = on_lws, .rx_buffer_size = RX_CHUNK},
    {.name = NULL},
};

static void on_log(int level, const char *line)
{
    char text[260];
    size_t n = strlen(line);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    log_esc(span_make(line, n), text, sizeof text);
    if (level == LLL_ERR) log_warn("wsc", "lws", "%s", text);
    else log_debug("wsc", "lws", "%s", text);
}

/* Interest that changed inside callbacks reaches the kernel only when the nested loop runs again. */
static void pump(wsc_t *w)
{
    if (w->running || w->freeing) return;
    w->running = true;
    unsigned before, runs = 0;
    do {
        before = w->callbacks;
        uv_run(&w->uv, UV_RUN_NOWAIT);
    } while (++runs < RUNS_PER_TURN && (w->callbacks != before || runs < 2));
    w->running = false;
    int ms = w->callbacks != before ? 0 : uv_backend_timeout(&w->uv);
    if (ms >= 0) ltimer_arm(w->timer, ms);
    else ltimer_stop(w->timer);
}

static void on_backend(void *ctx, int ready)
{
    (void)ready;
    pump(ctx);
}

static void on_timer(void *ctx) { pump(ctx); }

/* After every library call made from outside. Not at once: no callback may run inside somebody else's call. */
static void kick(wsc_t *w)
{
    if (!w->running && !w->freeing) ltimer_arm(w->timer, 0);
}

static bool make_context(wsc_t *w, const char *ca_file)
{
    void *loops[1] = {&w->uv};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_LIBUV;
    info.foreign_loops = loops;
    info.pt_serv_buf_size = RX_CHUNK;
    info.timeout_secs = 10;
    info.user = w;
    info.pcontext = &w->lws; /* becomes NULL when the library has really ended */
    if (ca_file && ca_file[0]) info.client_ssl_ca_filepath = ca_file;
    w->lws = lws_create_context(&info);
    return w->lws != NULL;
}

wsc_t *wsc_new(loop_t *l, const char *ca_file)
{
    wsc_t *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->loop = l;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    if (uv_loop_init(&w->uv) != 0) {
        free(w);
        return NULL;
    }
    if (!make_context(w, ca_file)) {
        uv_loop_close(&w->uv);
        free(w);
        return NULL;
    }
    w->timer = ltimer_new(l, on_timer, w);
    w->watch = watch_new(l, uv_backend_fd(&w->uv), on_backend, w);
    watch_set(w->watch, WATCH_R);
    kick(w);
    return w;
}

static void drop_output(wsconn_t *c)
{
    while (c->out_head) {
        out_t *o = c->out_head;
        c->out_head = o->next;
        free(o);
    }
    c->out_tail = &c->out_head;
    c->out_n = 0;
}

static void conn_free(void *obj)
{
    wsconn_t *c = obj;
    drop_output(c);
    free(c->rx);
    free(c);
}

/* The last step of a connection, from wherever it ends. */
static void conn_over(wsconn_t *c, xerr_t why, const char *text)
{
    if (c->over) return;
    c->over = true;
    if (c->wsi) lws_set_opaque_user_data(c->wsi, NULL);
    c->wsi = NULL;
    if (!c->shut && !c->w->freeing) c->h.on_close(c->h.ctx, why, text);
    c->shut = true;
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    loop_defer(c->w->loop, conn_free, c);
}

/* With a foreign loop the library closes its handles first, and wants to be asked a second time for the rest. */
static void end_library(wsc_t *w)
{
    for (int round = 0; round < 3 && w->lws; round++) {
        lws_context_destroy(w->lws);
        for (int i = 0; i < CLOSE_RUNS && uv_run(&w->uv, UV_RUN_NOWAIT) != 0; i++) {
        }
    }
}

void wsc_free(wsc_t *w)
{
    if (!w) return;
    w->freeing = true;
    for (wsconn_t *c = w->conns; c; c = c->next)
        if (c->resolving) uv_cancel((uv_req_t *)&c->dns);
    end_library(w);
    for (wsconn_t *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (!c->resolving) conn_over(c, XE_CLOSED, "");
    }
    watch_free(w->watch);
    ltimer_free(w->timer);
    /* A resolver thread that is still at work owns its request and the loop: both stay until the process ends. */
    if (uv_loop_close(&w->uv) == 0) free(w);
}

bool wsc_idle(const wsc_t *w) { return w->conns == NULL; }

/* scheme://host[:port][/path][?query]; brackets around an IPv6 address. */
static bool parse_url(wsconn_t *c, const char *url)
{
    if (strncmp(url, "wss://", 6) == 0) c->tls = true;
    else if (strncmp(url, "ws://", 5) != 0) return false;
    const char *p = url + (c->tls ? 6 : 5);
    bool v6 = *p == '[';
    size_t n = v6 ? strcspn(++p, "]") : strcspn(p, ":/?");
    if (n == 0 || n >= sizeof c->host) return false;
    memcpy(c->host, p, n);
    p += n;
    if (v6 && *p++ != ']') return false;
    c->port = c->tls ? 443 : 80;
    if (*p == ':') {
        char *end;
        long port = strtol(p + 1, &end, 10);
        if (end == p + 1 || port < 1 || port > 65535) return false;
        c->port = (int)port;
        p = end;
    }
    size_t slash = *p == '/' ? 0 : 1;
    if ((*p != 0 && *p != '/' && *p != '?') || strlen(p) + slash >= sizeof c->path) return false;
    c->path[0] = '/';
    memcpy(c->path + slash, p, strlen(p) + 1);
    bool plain = c->port == (c->tls ? 443 : 80);
    snprintf(c->host_header, sizeof c->host_header, plain ? "%s%s%s" : "%s%s%s:%d", v6 ? "[" : "", c->host, v6 ? "]" : "", c->port);
    return true;
}

static void start(wsconn_t *c, const char *address)
{
    struct lws_client_connect_info i;
    memset(&i, 0, sizeof i);
    i.context = c->w->lws;
    i.address = address;
    i.port = c->port;
    i.host = c->host_header;
    i.path = c->path;
    i.ssl_connection = c->tls ? LCCSCF_USE_SSL : 0;
    i.local_protocol_name = protocols[0].name;
    i.origin = c->guise.origin;
    i.protocol = c->guise.protocol;
    i.alpn = "http/1.1";
    i.pwsi = &c->wsi;
    i.opaque_user_data = c;
    c->w->callbacks++;
    if (!lws_client_connect_via_info(&i)) conn_over(c, XE_DOWN, "connect refused by the library");
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    wsconn_t *c = req->data;
    char address[NI_MAXHOST];
    c->resolving = false;
    c->w->callbacks++;
    int bad = status != 0 || !found ? 1 : getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    uv_freeaddrinfo(found);
    if (c->shut || c->w->freeing) conn_over(c, XE_CLOSED, "");
    else if (bad) conn_over(c, XE_DOWN, status ? uv_strerror(status) : "no address");
    else start(c, address);
}

wsconn_t *wsc_connect(wsc_t *w, const char *url, size_t frame_max, wsc_hooks_t h) { return wsc_connect_as(w, url, frame_max, &(wsc_guise_t){0}, h); }

wsconn_t *wsc_connect_as(wsc_t *w, const char *url, size_t frame_max, const wsc_guise_t *guise, wsc_hooks_t h)
{
    wsconn_t *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->w = w;
    c->h = h;
    c->guise = *guise;
    c->frame_max = frame_max;
    c->out_tail = &c->out_head;
    c->dns.data = c;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (!parse_url(c, url) || uv_getaddrinfo(&w->uv, &c->dns, on_resolved, c->host, NULL, &hints) != 0) {
        free(c);
        return NULL;
    }
    c->resolving = true;
    c->next = w->conns;
    c->link = &w->conns;
    if (c->next) c->next->link = &c->next;
    w->conns = c;
    kick(w);
    return c;
}

xerr_t wsc_send(wsconn_t *c, span_t text)
{
    if (!c->open || c->shut) return XE_CLOSED;
    if (c->out_n >= SEND_QUEUE_MAX) return XE_FULL;
    out_t *o = malloc(sizeof *o + LWS_PRE + text.n);
    if (!o) return XE_FULL;
    o->next = NULL;
    o->n = text.n;
    memcpy(o->buf + LWS_PRE, text.p, text.n);
    *c->out_tail = o;
    c->out_tail = &o->next;
    c->out_n++;
    lws_callback_on_writable(c->wsi);
    kick(c->w);
    return XE_OK;
}

void wsc_ping(wsconn_t *c)
{
    if (!c->open || c->shut) return;
    c->ping_wanted = true;
    lws_callback_on_writable(c->wsi);
    kick(c->w);
}

void wsc_shut(wsconn_t *c)
{
    if (c->shut) return;
    c->shut = true;
    if (c->resolving) {
        uv_cancel((uv_req_t *)&c->dns);
    } else if (c->wsi && c->open) {
        lws_callback_on_writable(c->wsi);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, 2);
    } else if (c->wsi) {
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    }
    kick(c->w);
}

static bool grow(wsconn_t *c, size_t n, size_t announced)
{
    if (c->rx_n + n > c->frame_max) return false;
    size_t want = c->rx_n + n + announced;
    if (want <= c->rx_cap) return true;
    if (want > c->frame_max) return false;
    size_t cap = c->rx_cap * 2 > want ? c->rx_cap * 2 : want;
    if (cap > c->frame_max) cap = c->frame_max;
    char *more = realloc(c->rx, cap ? cap : 1);
    if (!more) return false;
    c->rx = more;
    c->rx_cap = cap;
    return true;
}

/* Answers -1 to make the library close the connection. */
static int received(wsconn_t *c, const char *in, size_t n)
{
    if (c->shut) return -1;
    c->h.on_bytes(c->h.ctx, n);
    if (c->shut) return -1;
    if (lws_frame_is_binary(c->wsi)) {
        conn_over(c, XE_BAD_INPUT, "binary message");
        return -1;
    }
    if (lws_is_first_fragment(c->wsi)) c->rx_n = 0;
    if (!grow(c, n, lws_remaining_packet_payload(c->wsi))) {
        conn_over(c, XE_TOO_BIG, "message past its ceiling");
        return -1;
    }
    if (n) memcpy(c->rx + c->rx_n, in, n);
    c->rx_n += n;
    if (!lws_is_final_fragment(c->wsi)) return 0;
    wsc_msg_t msg = {.text = c->rx, .n = c->rx_n, .recv_ns = mono_ns(), .recv_wall_us = wall_us()};
    c->rx = NULL;
    c->rx_n = c->rx_cap = 0;
    c->h.on_message(c->h.ctx, msg);
    return c->shut ? -1 : 0;
}

static int writable(wsconn_t *c)
{
    if (c->shut && !c->out_head) {
        lws_close_reason(c->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1;
    }
    if (c->ping_wanted) {
        unsigned char buf[LWS_PRE + 1];
        c->ping_wanted = false;
        if (lws_write(c->wsi, buf + LWS_PRE, 0, LWS_WRITE_PING) < 0) return -1;
    } else if (c->out_head) {
        out_t *o = c->out_head;
        c->out_head = o->next;
        if (!c->out_head) c->out_tail = &c->out_head;
        c->out_n--;
        int sent = lws_write(c->wsi, o->buf + LWS_PRE, o->n, LWS_WRITE_TEXT);
        free(o);
        if (sent < 0) return -1;
    }
    if (c->out_head || c->ping_wanted || c->shut) lws_callback_on_writable(c->wsi);
    return 0;
}

static int established(wsconn_t *c)
{
    c->open = true;
    if (c->shut) return -1;
    c->h.on_bytes(c->h.ctx, 0);
    c->h.on_open(c->h.ctx);
    return c->shut ? -1 : 0;
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t n)
{
    wsc_t *w = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;
    wsconn_t *c = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    (void)user;
    if (w) w->callbacks++;
    if (!c) return 0;
    switch (why) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED: return established(c);
    case LWS_CALLBACK_CLIENT_RECEIVE: return received(c, in, n);
    case LWS_CALLBACK_CLIENT_WRITEABLE: return writable(c);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        if (!c->shut) c->h.on_bytes(c->h.ctx, n);
        return c->shut ? -1 : 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        conn_over(c, XE_DOWN, in ? (const char *)in : "");
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        conn_over(c, XE_CLOSED, "");
        return 0;
    default:
        return 0;
    }
}
