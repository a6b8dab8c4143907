#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "reactor/http_internal.h"
#include "reactor/log.h"

#define BUCKETS 4096
#define ACCEPT_SLICE 64
#define TICK_MS 100
#define RETRY_NS 100000000
#define WARN_NS 10000000000
#define BACKLOG 4096
#define ARENA_CHUNK 4096
#define ARENA_KEEP 256

static void on_accept(evutil_socket_t fd, short what, void *ctx);

/* ---- addresses ---------------------------------------------------------------------------------------------------- */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_parse(span_t v, uint8_t addr[16])
{
    char text[ADDR_TEXT];
    if (v.n == 0 || v.n >= sizeof text) return false;
    memcpy(text, v.p, v.n);
    text[v.n] = 0;
    if (inet_pton(AF_INET, text, addr + 12) == 1) {
        memcpy(addr, mapped, 12);
        return true;
    }
    return inet_pton(AF_INET6, text, addr) == 1;
}

static bool is_v4(const uint8_t addr[16])
{
    return memcmp(addr, mapped, sizeof mapped) == 0;
}

void addr_text(const uint8_t addr[16], char out[ADDR_TEXT])
{
    if (is_v4(addr))
        inet_ntop(AF_INET, addr + 12, out, ADDR_TEXT);
    else
        inet_ntop(AF_INET6, addr, out, ADDR_TEXT);
}

static bool in_cidr(const cidr_t *c, const uint8_t addr[16])
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (memcmp(c->addr, addr, whole) != 0) return false;
    return !rest || ((c->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

bool addr_trusted(const http_t *h, const uint8_t addr[16])
{
    for (unsigned i = 0; i < h->n_trusted; i++) {
        if (in_cidr(&h->trusted[i], addr)) return true;
    }
    return false;
}

static bool cidr_parse(span_t v, cidr_t *out)
{
    const char *slash = memchr(v.p, '/', v.n);
    span_t host = {v.p, slash ? (size_t)(slash - v.p) : v.n};
    if (!addr_parse(host, out->addr)) return false;
    unsigned max = is_v4(out->addr) ? 32 : 128;
    uint64_t bits = max;
    if (slash && (!http_parse_length((span_t){slash + 1, v.n - host.n - 1}, &bits) || bits > max)) return false;
    out->bits = (uint8_t)(bits + (128 - max));
    return true;
}

static bool read_trusted(http_t *h, const char *list)
{
    for (const char *p = list ? list : ""; *p;) {
        size_t n = strcspn(p, ",");
        span_t v = {p, n};
        while (v.n && *v.p == ' ') v.p++, v.n--;
        while (v.n && v.p[v.n - 1] == ' ') v.n--;
        if (v.n && (h->n_trusted == TRUSTED_MAX || !cidr_parse(v, &h->trusted[h->n_trusted]))) return false;
        if (v.n) h->n_trusted++;
        p += n + (p[n] == ',');
    }
    return true;
}

/* ---- connections of one address ----------------------------------------------------------------------------------- */

static addr_count_t **addr_slot(http_t *h, const uint8_t addr[16])
{
    addr_count_t **at = &h->addrs[siphash(h->addr_key, addr, 16) % BUCKETS];
    while (*at && memcmp((*at)->addr, addr, 16) != 0) at = &(*at)->next;
    return at;
}

static bool addr_enter(http_t *h, const uint8_t addr[16])
{
    addr_count_t **at = addr_slot(h, addr);
    if (!*at) {
        if (!(*at = calloc(1, sizeof **at))) return false;
        memcpy((*at)->addr, addr, 16);
    }
    if ((*at)->n >= h->conf.conns_per_addr) return false;
    (*at)->n++;
    return true;
}

static void addr_leave(http_t *h, const uint8_t addr[16])
{
    addr_count_t **at = addr_slot(h, addr);
    XASSERT(*at && (*at)->n > 0);
    if (--(*at)->n) return;
    addr_count_t *gone = *at;
    *at = gone->next;
    free(gone);
}

/* ---- accepting ---------------------------------------------------------------------------------------------------- */

static void set_accepting(http_t *h, bool on)
{
    if (h->accepting == on || h->lfd < 0) return;
    h->accepting = on;
    if (on)
        event_add(&h->ev_accept, NULL);
    else
        event_del(&h->ev_accept);
}

/* Descriptors or places are short: the backlog waits in the kernel and costs nothing. */
static void pause_accepting(http_t *h, const char *why, int64_t retry_ns)
{
    int64_t now = loop_now_ns(h->l);
    set_accepting(h, false);
    h->paused = true;
    h->fd_freed = false;
    h->retry_ns = retry_ns ? now + retry_ns : 0;
    ctr_inc(h->c_paused);
    if (now - h->warned_ns < WARN_NS && h->warned_ns) return;
    h->warned_ns = now;
    log_warn("http", "-", "accepting paused why=%s connections=%u", why, h->n_conns);
}

static void maybe_resume(http_t *h, int64_t now)
{
    if (!h->paused || h->draining) return;
    if (!h->fd_freed && !(h->retry_ns && now >= h->retry_ns)) return;
    if (h->n_conns >= h->conf.conns_max) return;
    h->paused = false;
    set_accepting(h, true);
}

void listen_conn_gone(http_t *h, const uint8_t addr[16], bool trusted)
{
    if (!trusted) addr_leave(h, addr);
    h->fd_freed = true;
}

static bool take_address(const struct sockaddr_storage *ss, uint8_t addr[16])
{
    if (ss->ss_family == AF_INET) {
        memcpy(addr, mapped, 12);
        memcpy(addr + 12, &((const struct sockaddr_in *)(const void *)ss)->sin_addr, 4);
        return true;
    }
    if (ss->ss_family != AF_INET6) return false;
    memcpy(addr, &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr, 16);
    return true;
}

static void welcome(http_t *h, int fd, const struct sockaddr_storage *ss)
{
    uint8_t addr[16];
    char peer[ADDR_TEXT];
    if (!take_address(ss, addr)) {
        close(fd);
        return;
    }
    bool trusted = addr_trusted(h, addr);
    if (!trusted && !addr_enter(h, addr)) {
        ctr_inc(h->c_refused);
        close(fd);
        return;
    }
    addr_text(addr, peer);
    ctr_inc(h->c_accepted);
    if (conn_new(h, fd, addr, peer, trusted)) return;
    if (!trusted) addr_leave(h, addr);
    close(fd);
}

/* False: nothing more to accept now. */
static bool accept_one(http_t *h)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof ss;
    if (h->n_conns >= h->conf.conns_max) {
        pause_accepting(h, "connections", 0);
        return false;
    }
    int fd = accept4(h->lfd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) return true;
        /* EMFILE and its kin keep the listener readable: going on would spin. */
        pause_accepting(h, strerror(errno), RETRY_NS);
        return false;
    }
    welcome(h, fd, &ss);
    /* The kernel hands out the lowest free number, so this one shows how many are left for everybody else. */
    if (fd < h->fd_ceiling) return true;
    pause_accepting(h, "descriptors", 0);
    return false;
}

static void on_accept(evutil_socket_t fd, short what, void *ctx)
{
    http_t *h = ctx;
    loop_now_ns(h->l);
    for (unsigned i = 0; i < ACCEPT_SLICE && accept_one(h); i++) continue;
}

static void on_more(evutil_socket_t fd, short what, void *ctx)
{
    http_t *h = ctx;
    loop_now_ns(h->l);
    conn_serve_more(h);
}

static void on_tick(void *ctx)
{
    http_t *h = ctx;
    int64_t now = loop_now_ns(h->l);
    ltimer_arm(h->tick, TICK_MS);
    conn_ticks(h, now);
    maybe_resume(h, now);
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static int listen_fail(int fd, const char **why)
{
    *why = strerror(errno);
    if (fd >= 0) close(fd);
    return -1;
}

static int listen_on(const http_conf_t *c, uint16_t *port, const char **why)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&ss;
    socklen_t n = sizeof *v6;
    int one = 1;
    if (inet_pton(AF_INET, c->listen_addr, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(c->port);
        n = sizeof *v4;
    } else if (inet_pton(AF_INET6, c->listen_addr, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(c->port);
    } else {
        *why = "listen address is not numeric";
        return -1;
    }
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return listen_fail(fd, why);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)&ss, n) != 0 || listen(fd, BACKLOG) != 0) return listen_fail(fd, why);
    if (getsockname(fd, (struct sockaddr *)&ss, &n) != 0) return listen_fail(fd, why);
    *port = ntohs(ss.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    return fd;
}

static void make_metrics(http_t *h, metrics_t *m)
{
    h->m = m;
    h->g_conns = metrics_gauge(m, "xorj_http_connections", NULL, "open client connections");
    h->g_flight = metrics_gauge(m, "xorj_http_in_flight", NULL, "requests not yet answered");
    h->c_paused = metrics_ctr(m, "xorj_http_accept_paused_total", NULL,
                              "times accepting paused for want of descriptors or places");
    h->c_accepted = metrics_ctr(m, "xorj_http_accepted_total", NULL, "connections accepted");
    h->c_refused = metrics_ctr(m, "xorj_http_refused_total", "reason=\"per_address\"", "connections closed at once");
    h->c_timeouts = metrics_ctr(m, "xorj_http_deadline_total", NULL, "requests ended by their deadline");
    h->c_lost = metrics_ctr(m, "xorj_http_client_gone_total", NULL, "answers whose client had gone");
    h->c_unsent = metrics_ctr(m, "xorj_http_no_memory_total", NULL, "answers lost for want of memory");
    for (size_t i = 0; i < REFUSALS; i++) {
        char label[32];
        snprintf(label, sizeof label, "status=\"%d\"", http_refusals[i]);
        h->c_errors[i] =
            metrics_ctr(m, "xorj_http_parse_errors_total", label, "requests refused before a handler saw them");
    }
}

static void make_lists(http_t *h)
{
    const http_conf_t *c = &h->conf;
    dl_init(&h->rd[DL_NONE], 0);
    dl_init(&h->rd[DL_HEAD], c->head_ms);
    dl_init(&h->rd[DL_BODY], c->body_ms);
    dl_init(&h->rd[DL_IDLE], c->idle_ms);
    dl_init(&h->rd[DL_LINGER], c->drain_ms);
    dl_init(&h->wr, c->write_ms);
}

static int fd_ceiling(unsigned reserve)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur == RLIM_INFINITY) return INT32_MAX;
    int64_t left = (int64_t)rl.rlim_cur - reserve - 1;
    return left < 1 ? 1 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static bool make_memory(http_t *h)
{
    h->scratch = malloc(SCRATCH);
    h->head.fields = calloc(h->conf.lines_max + 1, sizeof *h->head.fields);
    h->addrs = calloc(BUCKETS, sizeof(addr_count_t *));
    h->arenas = arena_pool_new(ARENA_CHUNK, ARENA_KEEP);
    h->tick = ltimer_new(h->l, on_tick, h);
    buf_init(&h->text, 65536);
    return h->scratch && h->head.fields && h->addrs && h->arenas && h->tick;
}

static void http_free(void *obj)
{
    http_t *h = obj;
    while (h->free_reqs) {
        req_t *r = h->free_reqs;
        h->free_reqs = r->next;
        free(r);
    }
    for (size_t i = 0; h->addrs && i < BUCKETS; i++) XASSERT(!h->addrs[i]);
    chunk_pool_fini(&h->chunks);
    buf_fini(&h->text);
    if (h->arenas) arena_pool_free(h->arenas);
    free(h->addrs);
    free(h->head.fields);
    free(h->scratch);
    free(h);
}

static http_t *http_new(loop_t *l, const http_conf_t *c, http_hooks_t hooks)
{
    http_t *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->l = l;
    h->conf = *c;
    h->hooks = hooks;
    h->lfd = -1;
    h->lim = (http_limits_t){c->line_max, c->head_max, c->lines_max, c->target_max};
    if (h->lim.head_max > HTTP_HEAD_CEIL) h->lim.head_max = HTTP_HEAD_CEIL;
    h->fd_ceiling = fd_ceiling(c->fd_reserve);
    random_bytes(h->addr_key, sizeof h->addr_key);
    random_bytes(&h->id_seed, sizeof h->id_seed);
    make_lists(h);
    if (make_memory(h)) return h;
    if (h->tick) ltimer_free(h->tick);
    http_free(h);
    return NULL;
}

xerr_t http_open(loop_t *l, metrics_t *m, const http_conf_t *c, http_hooks_t hooks, http_t **out, const char **why)
{
    http_t *h = http_new(l, c, hooks);
    *why = "out of memory";
    if (!h) return XE_DOWN;
    bool ok = read_trusted(h, c->trusted_proxies);
    if (!ok) *why = "trusted_proxies is not a list of addresses";
    if (ok) h->lfd = listen_on(c, &h->port, why);
    if (h->lfd < 0) {
        ltimer_free(h->tick);
        http_free(h);
        return XE_DOWN;
    }
    make_metrics(h, m);
    event_assign(&h->ev_accept, loop_base(l), h->lfd, EV_READ | EV_PERSIST, on_accept, h);
    event_assign(&h->ev_more, loop_base(l), -1, EV_PERSIST, on_more, h);
    set_accepting(h, true);
    ltimer_arm(h->tick, TICK_MS);
    *out = h;
    return XE_OK;
}

uint16_t http_port(const http_t *h)
{
    return h->port;
}

/* ---- closing ------------------------------------------------------------------------------------------------------ */

static void stop_listening(http_t *h)
{
    if (h->lfd < 0) return;
    set_accepting(h, false);
    close(h->lfd);
    h->lfd = -1;
}

void http_drain(http_t *h)
{
    if (h->draining) return;
    /* Whoever is through the handshake already gets an answer, even if it is a refusal. */
    for (unsigned i = 0; i < BACKLOG && accept_one(h); i++) continue;
    h->draining = true;
    stop_listening(h);
}

bool http_idle(const http_t *h)
{
    if (h->in_flight) return false;
    for (const conn_t *c = h->conns; c; c = c->next) {
        if (c->n_reqs > (c->cur != NULL) || c->out.bytes || c->closing || c->lingering) return false;
    }
    return true;
}

/* The last of connections and requests frees the server. */
void http_maybe_free(http_t *h)
{
    if (h->closed && !h->n_conns && !h->live_reqs && !h->dirty && !h->resume && !h->ready) {
        h->closed = false;
        loop_defer(h->l, http_free, h);
    }
}

void http_close(http_t *h)
{
    h->draining = true;
    stop_listening(h);
    ltimer_free(h->tick);
    h->tick = NULL;
    while (h->conns) conn_die(h->conns);
    conn_forget_ready(h);
    http_flush(h);
    event_del(&h->ev_more);
    h->closed = true;
    http_maybe_free(h);
}
