#include "reactor/httpc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "reactor/httpc_answer.h"
#include "reactor/log.h"
#include "reactor/loop_internal.h"
#include "reactor/names.h"

#define HOSTS_MAX 64
#define IDLE_MS 15000 /* shorter than servers keep a silent connection, so that reuse rarely meets a closed one */
#define READ_AHEAD 262144

typedef struct host host_t;
typedef struct conn conn_t;
typedef struct call call_t;

struct call {
    TAILQ_ENTRY(call) all, wait;
    httpc_t *c;
    host_t *host;
    conn_t *conn; /* NULL while it waits */
    buf_t out;    /* the request, kept until the answer: it may be sent twice */
    size_t body_max;
    bool is_head, repeatable, waiting;
    unsigned repeats;
    xerr_t early; /* refused at once: the deadline is 0 and ends it with this */
    int64_t started;
    ltimer_t *deadline;
    httpc_cb cb;
    void *ctx;
};

struct conn {
    TAILQ_ENTRY(conn) of_host;
    host_t *host;
    struct bufferevent *bev;
    call_t *call; /* NULL: idle */
    bool connected, reused, ended, closed;
    lookup_t *lookup; /* until its address is known */
    unsigned naddrs;
    answer_t ans;
    ltimer_t *idle;
};

struct host {
    httpc_t *c;
    url_t url;
    unsigned turn;                     /* which of its addresses is next: moves on when one does not answer */
    unsigned nconns, nwaiting, ncalls; /* ncalls: not ended yet, wherever they are */
    TAILQ_HEAD(conn_list, conn) conns;
    TAILQ_HEAD(wait_list, call) waiting;
};

struct httpc {
    loop_t *l;
    httpc_conf_t conf;
    SSL_CTX *tls;
    names_t *names;
    bool closing;
    unsigned nhosts;
    host_t *hosts[HOSTS_MAX];
    TAILQ_HEAD(call_list, call) calls;
    ctr_t *c_ok, *c_timeout, *c_down, *c_full, *c_broken, *c_closed, *c_reused, *c_tls;
    gauge_t *g_conns, *g_calls;
    hist_t *h_seconds;
};

/* In the order a call runs. */
static void pump(host_t *h);
static void conn_start(conn_t *k, call_t *q);
static void on_address(void *ctx, xerr_t err, const name_addr_t *addrs, unsigned n, const char *why);
static void on_event(struct bufferevent *bev, short what, void *ctx);
static void on_bytes(struct bufferevent *bev, void *ctx);
static void call_end(call_t *q, xerr_t err);

static void make_metrics(httpc_t *c, metrics_t *m)
{
    static const char name[] = "xorj_httpc_calls_total", help[] = "Calls to other servers by how they ended.";
    c->c_ok = metrics_ctr(m, name, "result=\"answered\"", help);
    c->c_timeout = metrics_ctr(m, name, "result=\"timeout\"", help);
    c->c_down = metrics_ctr(m, name, "result=\"down\"", help);
    c->c_full = metrics_ctr(m, name, "result=\"full\"", help);
    c->c_broken = metrics_ctr(m, name, "result=\"broken\"", help);
    c->c_closed = metrics_ctr(m, name, "result=\"closed\"", help);
    c->c_reused = metrics_ctr(m, "xorj_httpc_reused_total", NULL, "Calls that found an open connection.");
    c->c_tls = metrics_ctr(m, "xorj_httpc_tls_failures_total", NULL, "Handshakes refused, certificates included.");
    c->g_conns = metrics_gauge(m, "xorj_httpc_connections", NULL, "Open connections to other servers.");
    c->g_calls = metrics_gauge(m, "xorj_httpc_calls", NULL, "Calls waiting or in flight.");
    c->h_seconds = metrics_hist(m, "xorj_httpc_seconds", NULL, "From the call to its end.", NULL, 0);
}

static SSL_CTX *make_tls(const char *ca_file)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    XASSERT(tls && SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_default_verify_paths(tls) != 1)
        log_warn("httpc", "-", "the system's certificate authorities cannot be read");
    if (ca_file && *ca_file && SSL_CTX_load_verify_locations(tls, ca_file, NULL) != 1)
        log_error("httpc", "-", "certificate authority cannot be read file=%s", ca_file);
    ERR_clear_error();
    return tls;
}

httpc_t *httpc_new(loop_t *l, metrics_t *m, const httpc_conf_t *conf)
{
    httpc_t *c = calloc(1, sizeof *c);
    XASSERT(c);
    c->l = l;
    c->conf = *conf;
    c->conf.ca_file = c->conf.nameserver = NULL; /* used here, once */
    TAILQ_INIT(&c->calls);
    c->tls = make_tls(conf->ca_file);
    c->names = names_new(l, conf->nameserver);
    make_metrics(c, m);
    return c;
}

static void conn_free(void *p)
{
    conn_t *k = p;
    bufferevent_free(k->bev);
    ltimer_free(k->idle);
    answer_fini(&k->ans);
    free(k);
}

/* Out of every list at once, gone at the end of the turn. */
static void conn_close(conn_t *k)
{
    host_t *h = k->host;
    if (k->closed) return;
    k->closed = true;
    bufferevent_setcb(k->bev, NULL, NULL, NULL, NULL);
    bufferevent_disable(k->bev, EV_READ | EV_WRITE);
    ltimer_stop(k->idle);
    names_cancel(k->lookup);
    TAILQ_REMOVE(&h->conns, k, of_host);
    h->nconns--;
    h->c->g_conns->v--;
    loop_defer(h->c->l, conn_free, k);
}

static void final_free(void *p)
{
    httpc_t *c = p;
    for (unsigned i = 0; i < c->nhosts; i++) free(c->hosts[i]);
    SSL_CTX_free(c->tls);
    free(c);
}

void httpc_free(httpc_t *c)
{
    if (!c || c->closing) return;
    call_t *q;
    conn_t *k;
    c->closing = true;
    while ((q = TAILQ_FIRST(&c->calls))) call_end(q, XE_CLOSED);
    for (unsigned i = 0; i < c->nhosts; i++)
        while ((k = TAILQ_FIRST(&c->hosts[i]->conns))) conn_close(k);
    names_free(c->names);
    loop_defer(c->l, final_free, c); /* behind the connections, which are deferred too */
}

static bool same_host(const url_t *a, const url_t *b)
{
    return a->port == b->port && a->tls == b->tls && strcasecmp(a->host, b->host) == 0;
}

/* Room in the table: a free place, or that of a host nobody uses. HOSTS_MAX: none. */
static unsigned host_place(httpc_t *c)
{
    if (c->nhosts < HOSTS_MAX) return c->nhosts++;
    for (unsigned i = 0; i < HOSTS_MAX; i++) {
        if (c->hosts[i]->nconns || c->hosts[i]->ncalls) continue;
        free(c->hosts[i]);
        return i;
    }
    return HOSTS_MAX;
}

/* The same scheme, name and port share connections. */
static host_t *host_of(httpc_t *c, const url_t *url)
{
    for (unsigned i = 0; i < c->nhosts; i++)
        if (same_host(&c->hosts[i]->url, url)) return c->hosts[i];
    host_t *h = calloc(1, sizeof *h);
    unsigned place = h ? host_place(c) : HOSTS_MAX;
    if (place == HOSTS_MAX) {
        free(h);
        return NULL;
    }
    h->c = c;
    h->url = *url;
    h->url.target = (span_t){NULL, 0};
    TAILQ_INIT(&h->conns);
    TAILQ_INIT(&h->waiting);
    c->hosts[place] = h;
    return h;
}

static bool has_break(const char *s)
{
    return s && s[strcspn(s, "\r\n")];
}

static xerr_t write_request(call_t *q, const httpc_req_t *r, const url_t *url)
{
    bool v6 = strchr(url->host, ':') != NULL;
    if (!*r->method || has_break(r->method) || strchr(r->method, ' ') || has_break(r->content_type) ||
        has_break(r->header))
        return XE_BAD_INPUT;
    buf_fmt(&q->out, "%s ", r->method);
    if (!url->target.n || url->target.p[0] != '/') buf_str(&q->out, "/");
    buf_add(&q->out, url->target.p, url->target.n);
    buf_fmt(&q->out, " HTTP/1.1\r\nHost: %s%s%s", v6 ? "[" : "", url->host, v6 ? "]" : "");
    if (url->port != (url->tls ? 443 : 80)) buf_fmt(&q->out, ":%u", url->port);
    buf_str(&q->out, "\r\nUser-Agent: xorj\r\nAccept: */*\r\nAccept-Encoding: identity\r\n");
    if (r->header) buf_fmt(&q->out, "%s\r\n", r->header);
    if (r->content_type) buf_fmt(&q->out, "Content-Type: %s\r\n", r->content_type);
    if (r->body.n || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0)
        buf_fmt(&q->out, "Content-Length: %zu\r\n", r->body.n);
    buf_str(&q->out, "\r\n");
    buf_add(&q->out, r->body.p, r->body.n);
    return q->out.failed ? XE_TOO_BIG : XE_OK;
}

static void on_deadline(void *ctx)
{
    call_t *q = ctx;
    call_end(q, q->early ? q->early : XE_TIMEOUT);
}

static xerr_t prepare(httpc_t *c, call_t *q, const httpc_req_t *r)
{
    url_t url;
    if (c->closing) return XE_CLOSED;
    xerr_t err = url_parse(span_of(r->url), &url);
    if (!err) err = write_request(q, r, &url);
    if (err) return err;
    q->host = host_of(c, &url);
    if (!q->host) return XE_FULL;
    q->host->ncalls++;
    return q->host->nwaiting >= c->conf.queue_max ? XE_FULL : XE_OK;
}

void httpc_call(httpc_t *c, const httpc_req_t *r, httpc_cb cb, void *ctx)
{
    call_t *q = calloc(1, sizeof *q);
    XASSERT(q);
    *q = (call_t){.c = c, .cb = cb, .ctx = ctx, .started = mono_ns(), .body_max = r->body_max ? r->body_max : c->conf.body_max};
    q->is_head = strcmp(r->method, "HEAD") == 0;
    q->repeatable = r->repeatable || q->is_head || strcmp(r->method, "GET") == 0;
    q->deadline = ltimer_new(c->l, on_deadline, q);
    buf_init(&q->out, r->body.n + 32768);
    TAILQ_INSERT_TAIL(&c->calls, q, all);
    c->g_calls->v++;
    q->early = prepare(c, q, r);
    ltimer_arm(q->deadline, q->early ? 0 : r->timeout_ms);
    if (q->early) return;
    TAILQ_INSERT_TAIL(&q->host->waiting, q, wait);
    q->waiting = true;
    q->host->nwaiting++;
    pump(q->host);
}

static void on_idle(void *ctx)
{
    conn_close(ctx);
}

/* Verification is a property of the connection, set before a byte is exchanged. */
static SSL *make_ssl(const host_t *h)
{
    SSL *ssl = SSL_new(h->c->tls);
    if (!ssl) return NULL;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int ok = h->url.numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), h->url.host)
                            : SSL_set1_host(ssl, h->url.host) && SSL_set_tlsext_host_name(ssl, h->url.host);
    if (ok == 1) return ssl;
    SSL_free(ssl);
    return NULL;
}

static struct bufferevent *make_bev(const host_t *h)
{
    int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    struct event_base *base = loop_base(h->c->l);
    if (!h->url.tls) return bufferevent_socket_new(base, -1, options);
    SSL *ssl = make_ssl(h);
    if (!ssl) return NULL;
    struct bufferevent *bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, options);
    if (!bev) SSL_free(ssl);
    return bev;
}

static conn_t *conn_open(host_t *h)
{
    struct bufferevent *bev = make_bev(h);
    conn_t *k = bev ? calloc(1, sizeof *k) : NULL;
    if (!k) {
        if (bev) bufferevent_free(bev);
        return NULL;
    }
    *k = (conn_t){.host = h, .bev = bev, .idle = ltimer_new(h->c->l, on_idle, k)};
    answer_init(&k->ans, h->c->conf.body_max, false);
    TAILQ_INSERT_TAIL(&h->conns, k, of_host);
    h->nconns++;
    h->c->g_conns->v++;
    bufferevent_setcb(bev, on_bytes, NULL, on_event, k);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    k->lookup = names_ask(h->c->names, h->url.host, h->url.port, on_address, k);
    return k;
}

static void on_address(void *ctx, xerr_t err, const name_addr_t *addrs, unsigned n, const char *why)
{
    conn_t *k = ctx;
    k->lookup = NULL;
    if (!err) {
        const name_addr_t *a = &addrs[k->host->turn % n];
        struct sockaddr_storage to = a->addr;
        k->naddrs = n;
        if (bufferevent_socket_connect(k->bev, (struct sockaddr *)&to, (int)a->len) == 0) return;
        why = "no socket";
    }
    log_info("httpc", k->host->url.host, "not connected reason=%s", why);
    if (k->call)
        call_end(k->call, XE_DOWN);
    else
        conn_close(k);
}

static conn_t *idle_conn(host_t *h)
{
    conn_t *k;
    TAILQ_FOREACH(k, &h->conns, of_host)
    if (!k->call) return k;
    return NULL;
}

static void unqueue(call_t *q)
{
    if (!q->waiting) return;
    TAILQ_REMOVE(&q->host->waiting, q, wait);
    q->host->nwaiting--;
    q->waiting = false;
}

/* A call that cannot even begin fails from the loop, not from here. */
static void fail_soon(call_t *q, xerr_t err)
{
    q->early = err;
    ltimer_arm(q->deadline, 0);
}

static void pump(host_t *h)
{
    call_t *q;
    while (!h->c->closing && (q = TAILQ_FIRST(&h->waiting))) {
        conn_t *k = idle_conn(h);
        if (k)
            ctr_inc(h->c->c_reused);
        else if (h->nconns >= h->c->conf.conns_per_host)
            return;
        else
            k = conn_open(h);
        unqueue(q);
        if (k)
            conn_start(k, q);
        else
            fail_soon(q, XE_DOWN);
    }
}

static void conn_start(conn_t *k, call_t *q)
{
    k->call = q;
    q->conn = k;
    ltimer_stop(k->idle);
    answer_fini(&k->ans);
    answer_init(&k->ans, q->body_max, q->is_head);
    if (bufferevent_write(k->bev, q->out.p, q->out.n) != 0) fail_soon(q, XE_DOWN);
}

/* The answer is complete: the connection serves the next call, or ends. */
static void conn_release(conn_t *k)
{
    k->call->conn = NULL;
    k->call = NULL;
    k->reused = true;
    bool left_over = evbuffer_get_length(bufferevent_get_input(k->bev)) > 0;
    if (!k->ans.keep_alive || left_over || k->ended)
        conn_close(k);
    else
        ltimer_arm(k->idle, IDLE_MS);
}

static void count(httpc_t *c, xerr_t err)
{
    ctr_t *by = err == XE_OK        ? c->c_ok
                : err == XE_TIMEOUT ? c->c_timeout
                : err == XE_DOWN    ? c->c_down
                : err == XE_FULL    ? c->c_full
                : err == XE_CLOSED  ? c->c_closed
                                    : c->c_broken;
    ctr_inc(by);
}

static void call_free(void *p)
{
    call_t *q = p;
    buf_fini(&q->out);
    free(q);
}

/* The one end of every call. With XE_OK its connection holds the answer. */
static void call_end(call_t *q, xerr_t err)
{
    httpc_t *c = q->c;
    host_t *h = q->host;
    buf_t body = {0};
    int status = 0, retry = 0;
    if (!err) {
        answer_t *ans = &q->conn->ans;
        status = ans->status;
        retry = ans->retry_after_s;
        body = ans->body; /* the callback may start the next call on this connection */
        buf_init(&ans->body, c->conf.body_max);
        conn_release(q->conn);
    } else if (q->conn) {
        q->conn->call = NULL;
        conn_close(q->conn);
        q->conn = NULL;
    }
    unqueue(q);
    ltimer_free(q->deadline);
    TAILQ_REMOVE(&c->calls, q, all);
    c->g_calls->v--;
    count(c, err);
    hist_add(c->h_seconds, (double)(mono_ns() - q->started) * 1e-9);
    if (h) {
        h->ncalls--;
        pump(h); /* before the callback, which may end everything */
    }
    q->cb(q->ctx, err, status, (span_t){body.n ? body.p : "", body.n}, retry);
    buf_fini(&body);
    loop_defer(c->l, call_free, q);
}

static void on_bytes(struct bufferevent *bev, void *ctx)
{
    conn_t *k = ctx;
    struct evbuffer *in = bufferevent_get_input(bev);
    (void)loop_now_ns(k->host->c->l);
    if (!k->call) { /* nobody asked */
        conn_close(k);
        return;
    }
    for (size_t n; (n = evbuffer_get_contiguous_space(in)) > 0;) {
        size_t used;
        xerr_t err = answer_feed(&k->ans, (span_t){(const char *)evbuffer_pullup(in, (ev_ssize_t)n), n}, &used);
        evbuffer_drain(in, used);
        if (err == XE_AGAIN) continue;
        call_end(k->call, err);
        return;
    }
}

/* Once more on a fresh connection: when a kept one was closed before the server saw the request, and as long as the name
 * has addresses that were not tried. */
static bool try_again(conn_t *k, call_t *q)
{
    host_t *h = k->host;
    bool stale = k->reused && q->repeatable && !q->repeats, next_addr = !k->connected && q->repeats + 1 < k->naddrs;
    if (k->ans.started || !(stale || next_addr)) return false;
    if (next_addr) h->turn++;
    q->repeats++;
    k->call = NULL;
    q->conn = NULL;
    conn_close(k);
    TAILQ_INSERT_HEAD(&h->waiting, q, wait);
    q->waiting = true;
    h->nwaiting++;
    pump(h);
    return true;
}

/* The reason stays in the log; callers hear XE_DOWN. */
static void say_failure(conn_t *k, short what)
{
    const char *host = k->host->url.host;
    unsigned long tls = bufferevent_get_openssl_error(k->bev);
    long verify = k->host->url.tls ? SSL_get_verify_result(bufferevent_openssl_get_ssl(k->bev)) : X509_V_OK;
    if (tls || verify != X509_V_OK) ctr_inc(k->host->c->c_tls);
    if (verify != X509_V_OK)
        log_warn("httpc", host, "certificate refused reason=%s", X509_verify_cert_error_string(verify));
    else if (tls)
        log_info("httpc", host, "TLS failed reason=%s", ERR_reason_error_string(tls));
    else
        log_info("httpc", host, "connection failed reason=%s",
                 what & BEV_EVENT_EOF ? "closed" : evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    conn_t *k = ctx;
    (void)loop_now_ns(k->host->c->l);
    if (what & BEV_EVENT_CONNECTED) {
        k->connected = true;
        return;
    }
    k->ended = true;
    if (k->call && evbuffer_get_length(bufferevent_get_input(bev)))
        on_bytes(bev, k); /* they came together with the end */
    call_t *q = k->call;
    if (!q) {
        conn_close(k);
        return;
    }
    if ((what & BEV_EVENT_EOF) && answer_end(&k->ans) == XE_OK) {
        call_end(q, XE_OK);
        return;
    }
    if (!k->connected) say_failure(k, what);
    if (!try_again(k, q)) call_end(q, k->connected ? XE_CLOSED : XE_DOWN);
}
