/* Closed-loop HTTP/1.1 load generator for one machine: N keep-alive connections, one request outstanding on each, answers
 * checked for status, latencies in a log-linear histogram. One thread, epoll, no library but libc.
 *
 *   load --to 127.0.0.1:8080 --conns 100 --seconds 5 [--tokens FILE] [--get PATH] [--post PATH --post PATH] [--mix 80]
 *
 * --tokens: lines "WALLET TOKEN"; connection i uses line i modulo the count, %W in a path becomes its wallet. With --get
 * and --post, --mix says how many of 100 requests are GETs. Several --post paths are taken in turn. Prints one line of
 * JSON on stdout: {"requests","errors","statuses":{...},"seconds","rps","p50_us","p95_us","p99_us","max_us"}. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 20000, PATHS_MAX = 8, BUF = 16384, HEAD_MAX = 2048, SUB = 32, BUCKETS = 64 * SUB };

typedef struct { char wallet[48], token[1024]; } cred_t;

typedef struct {
    int fd;
    const cred_t *cred;
    size_t out_n, out_at, in_n, body_left;
    bool in_body;
    unsigned turn;
    int64_t sent_ns;
    char out[HEAD_MAX + 1200], in[BUF];
} conn_t;

static struct {
    struct sockaddr_in to;
    char host[64];
    unsigned conns, seconds, mix;
    const char *get[PATHS_MAX], *post[PATHS_MAX];
    unsigned gets, posts;
    cred_t *creds;
    size_t creds_n;
    int ep;
    uint64_t rng, requests, errors, status[600], hist[BUCKETS];
    int64_t max_ns;
    bool stop;
    unsigned busy;
} g;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static uint64_t rnd(void)
{
    g.rng ^= g.rng << 13;
    g.rng ^= g.rng >> 7;
    return g.rng ^= g.rng << 17;
}

/* 32 linear steps per power of two: 3 % resolution. */
static unsigned bucket(uint64_t v)
{
    if (v < SUB) return (unsigned)v;
    unsigned e = 63u - (unsigned)__builtin_clzll(v);
    return (e - 4) * SUB + (unsigned)((v >> (e - 5)) & (SUB - 1));
}

static uint64_t bucket_top(unsigned b)
{
    if (b < SUB) return b;
    unsigned e = b / SUB + 4;
    return ((uint64_t)(SUB + b % SUB) << (e - 5)) + ((uint64_t)1 << (e - 5)) - 1;
}

static double quantile_us(double q)
{
    uint64_t n = 0, want = (uint64_t)(q * (double)g.requests);
    for (unsigned b = 0; b < BUCKETS; b++) {
        n += g.hist[b];
        if (n > want) return (double)bucket_top(b) / 1e3;
    }
    return 0;
}

static void put_path(conn_t *c, char *out, size_t cap, const char *path)
{
    const char *w = strstr(path, "%W");
    if (w) snprintf(out, cap, "%.*s%s%s", (int)(w - path), path, c->cred ? c->cred->wallet : "", w + 2);
    else snprintf(out, cap, "%s", path);
}

static void build(conn_t *c)
{
    bool get = g.gets && (!g.posts || rnd() % 100 < g.mix);
    char path[512], auth[1100] = "";
    c->turn++;
    put_path(c, path, sizeof path, get ? g.get[c->turn % g.gets] : g.post[c->turn % g.posts]);
    if (c->cred) snprintf(auth, sizeof auth, "Authorization: Bearer %s\r\n", c->cred->token);
    int n = snprintf(c->out, sizeof c->out, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", get ? "GET" : "POST", path, g.host, auth,
                     get ? "" : "Content-Type: application/json\r\nContent-Length: 0\r\n");
    if (n < 0 || (size_t)n >= sizeof c->out) die("request too long");
    c->out_n = (size_t)n;
    c->out_at = 0;
}

static void watch(conn_t *c, uint32_t ev, int op)
{
    struct epoll_event e = {.events = ev, .data.ptr = c};
    if (epoll_ctl(g.ep, op, c->fd, &e)) die("epoll_ctl failed");
}

static void drop(conn_t *c)
{
    g.errors++;
    g.busy--;
    close(c->fd);
    c->fd = -1;
}

static void flush(conn_t *c)
{
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    if (n > 0) c->out_at += (size_t)n;
    if (c->out_at < c->out_n) watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void start(conn_t *c)
{
    build(c);
    c->sent_ns = now_ns();
    flush(c);
}

static void finished(conn_t *c)
{
    int64_t ns = now_ns() - c->sent_ns;
    g.requests++;
    g.hist[bucket((uint64_t)ns)]++;
    if (ns > g.max_ns) g.max_ns = ns;
    c->in_n = 0;
    c->in_body = false;
    if (g.stop) {
        g.busy--;
        close(c->fd);
        c->fd = -1;
    } else start(c);
}

/* One outstanding request: whatever arrives belongs to its answer. */
static void parse(conn_t *c)
{
    if (!c->in_body) {
        c->in[c->in_n] = 0;
        char *end = strstr(c->in, "\r\n\r\n");
        if (!end) {
            if (c->in_n == BUF - 1) drop(c);
            return;
        }
        unsigned status = (unsigned)atoi(c->in + 9);
        g.status[status < 600 ? status : 0]++;
        if (status >= 400 || status < 200) g.errors++;
        char *len = strcasestr(c->in, "\r\nContent-Length:");
        size_t body = len && len < end ? strtoul(len + 17, NULL, 10) : 0;
        size_t have = c->in_n - (size_t)(end + 4 - c->in);
        c->in_body = true;
        c->body_left = body > have ? body - have : 0;
    }
    if (!c->body_left) finished(c);
}

static void readable(conn_t *c)
{
    char *at = c->in_body ? c->in : c->in + c->in_n;
    size_t room = c->in_body ? BUF - 1 : BUF - 1 - c->in_n;
    ssize_t n = recv(c->fd, at, room, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        drop(c);
        return;
    }
    if (c->in_body) c->body_left -= (size_t)n < c->body_left ? (size_t)n : c->body_left;
    else c->in_n += (size_t)n;
    parse(c);
}

static void dial(conn_t *c, unsigned i)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("no more descriptors: raise `ulimit -n`");
    c->cred = g.creds_n ? &g.creds[i % g.creds_n] : NULL;
    c->turn = i;
    if (connect(c->fd, (struct sockaddr *)&g.to, sizeof g.to)) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(g.ep, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl failed");
    g.busy++;
}

static void load_creds(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) die("cannot read the tokens file");
    cred_t one;
    while (fscanf(f, "%47s %1023s", one.wallet, one.token) == 2) {
        cred_t *more = realloc(g.creds, (g.creds_n + 1) * sizeof *more);
        if (!more) die("out of memory");
        g.creds = more;
        g.creds[g.creds_n++] = one;
    }
    fclose(f);
    if (!g.creds_n) die("no line in the tokens file");
}

static void set_to(const char *s)
{
    char ip[48];
    unsigned port;
    if (sscanf(s, "%47[^:]:%u", ip, &port) != 2 || port > 65535) die("--to takes IP:PORT");
    g.to.sin_family = AF_INET;
    g.to.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, ip, &g.to.sin_addr) != 1) die("--to takes a numeric IPv4 address");
    if ((ntohl(g.to.sin_addr.s_addr) >> 24) != 127) die("only loopback is a target");
    snprintf(g.host, sizeof g.host, "%s", s);
}

static void args(int argc, char **argv)
{
    g.conns = 100;
    g.seconds = 5;
    g.mix = 80;
    for (int i = 1; i < argc; i += 2) {
        const char *k = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!v) die("an option lacks its value");
        if (!strcmp(k, "--to")) set_to(v);
        else if (!strcmp(k, "--conns")) g.conns = (unsigned)atoi(v);
        else if (!strcmp(k, "--seconds")) g.seconds = (unsigned)atoi(v);
        else if (!strcmp(k, "--mix")) g.mix = (unsigned)atoi(v);
        else if (!strcmp(k, "--tokens")) load_creds(v);
        else if (!strcmp(k, "--get") && g.gets < PATHS_MAX) g.get[g.gets++] = v;
        else if (!strcmp(k, "--post") && g.posts < PATHS_MAX) g.post[g.posts++] = v;
        else die("unknown option");
    }
    if (!g.to.sin_port || !(g.gets + g.posts) || !g.conns || g.conns > CONNS_MAX || !g.seconds || g.seconds > 3600) die("see the head of load.c");
}

static void report(double seconds)
{
    bool first = true;
    printf("{\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"statuses\":{", g.requests, g.errors);
    for (unsigned s = 0; s < 600; s++) {
        if (!g.status[s]) continue;
        printf("%s\"%u\":%" PRIu64, first ? "" : ",", s, g.status[s]);
        first = false;
    }
    printf("},\"seconds\":%.3f,\"rps\":%.1f,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", seconds,
           (double)g.requests / seconds, quantile_us(0.5), quantile_us(0.95), quantile_us(0.99), (double)g.max_ns / 1e3);
}

int main(int argc, char **argv)
{
    struct epoll_event ev[256];
    args(argc, argv);
    g.rng = 0x9e3779b97f4a7c15u;
    g.ep = epoll_create1(0);
    conn_t *conns = calloc(g.conns, sizeof *conns);
    if (!conns || g.ep < 0) die("out of memory or descriptors");
    for (unsigned i = 0; i < g.conns; i++) dial(&conns[i], i);
    int64_t t0 = now_ns(), end = t0 + (int64_t)g.seconds * 1000000000, patience = end + 5000000000;
    for (unsigned i = 0; i < g.conns; i++) start(&conns[i]);
    while (g.busy) {
        int n = epoll_wait(g.ep, ev, 256, 100);
        int64_t t = now_ns();
        if (t >= end) g.stop = true;
        if (t >= patience) break;
        for (int i = 0; i < n; i++) {
            conn_t *c = ev[i].data.ptr;
            if (c->fd >= 0 && (ev[i].events & EPOLLOUT)) {
                watch(c, EPOLLIN, EPOLL_CTL_MOD);
                flush(c);
            }
            if (c->fd >= 0 && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(c);
        }
    }
    g.errors += g.busy;
    report((double)(now_ns() - t0) / 1e9);
    free(conns);
    free(g.creds);
    return g.requests ? 0 : 1;
}
