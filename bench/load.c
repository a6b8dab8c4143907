/* HTTP/1.1 load generator for one machine: keep-alive connections with one request outstanding on each, every answer
 * judged, latencies in a histogram. One thread, epoll, no library but libc; only loopback is a target.
 *
 *   load --to 127.0.0.1:8080 [--conns 100] [--seconds 5] [--requests N] [--tokens FILE] [--sources N]
 *        [--get PATH]... [--post PATH]... [--mix 80] [--think A-B | --rate R] [--ramp S] [--acks FILE] [--progress 1]
 *        [--pid PID]
 *
 * Closed model: a connection asks, waits for the answer, thinks A to B ms (default: not at all) and asks again. Open
 * model (--rate R): requests fall due at R per second whatever became of those before; one that finds no connection free
 * waits, and its latency counts from when it was due.
 *
 * --tokens: lines "WALLET TOKEN"; connection i uses line i modulo the count (open model: request i does), %W in a path is
 * its wallet. --mix: so many of 100 requests are GETs. --sources N: connection i comes from 127.0.1.(1 + i mod N).
 * --ramp S: connections begin spread over S seconds. --requests N: ends after N. --acks FILE: a line per token,
 * "WALLET acknowledged unknown version enabled", of the answers to POSTs. --progress 1: a line each second on stderr.
 * --pid: cpu_us is that process's CPU time per request, without the opening and closing of connections.
 *
 * One line of JSON on stdout. Latencies are given twice: as answered ("service"), and corrected for coordinated omission:
 * open model from when due, closed model with think time by what a client that did not wait would have seen. p50_us to
 * max_us and histogram are the corrected ones. */
#include <arpa/inet.h>
#include <dirent.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/lat.h"

enum { CONNS_MAX = 20000, PATHS_MAX = 8, BUF = 8192, HEAD_MAX = 2048, PATIENCE_S = 10 };
#define SECOND_NS 1000000000LL

typedef struct {
    char wallet[48], token[1024];
    uint64_t acked, unknown, version;
    bool enabled;
} cred_t;

typedef struct {
    int fd;
    cred_t *cred;
    size_t out_n, out_at, in_n, left;
    bool asked, in_body, write;
    unsigned status, turn;
    int64_t due_ns, sent_ns;
    char out[HEAD_MAX + 1200], in[BUF];
} conn_t;

static struct {
    struct sockaddr_in to;
    char host[64];
    unsigned conns, seconds, mix, sources, think_lo, think_hi, rate, ramp, progress, pid;
    uint64_t limit;
    const char *get[PATHS_MAX], *post[PATHS_MAX], *acks;
    unsigned gets, posts;
    cred_t *creds;
    size_t creds_n;
    conn_t *all, **idle, **heap; /* heap: connections that think, by due_ns */
    unsigned idle_n, idle_at, heap_n, busy, live; /* idle: a ring, so that every connection has its turn */
    int ep, tick;
    uint64_t rng, begun, errors, status[600], waited;
    int64_t next_due_ns;
    uint64_t cpu_ns, cpu_requests;
    lat_t service, corrected, second;
    bool stop;
} g;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
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

/* ---- connections that think, and those that rest ---- */

static void heap_swap(unsigned i, unsigned j)
{
    conn_t *c = g.heap[i];
    g.heap[i] = g.heap[j];
    g.heap[j] = c;
}

static void heap_push(conn_t *c)
{
    unsigned i = g.heap_n++;
    g.heap[i] = c;
    for (; i && g.heap[i]->due_ns < g.heap[(i - 1) / 2]->due_ns; i = (i - 1) / 2) heap_swap(i, (i - 1) / 2);
}

static conn_t *heap_pop(void)
{
    conn_t *c = g.heap[0];
    g.heap[0] = g.heap[--g.heap_n];
    for (unsigned i = 0, k; (k = 2 * i + 1) < g.heap_n; i = k) {
        if (k + 1 < g.heap_n && g.heap[k + 1]->due_ns < g.heap[k]->due_ns) k++;
        if (g.heap[i]->due_ns <= g.heap[k]->due_ns) break;
        heap_swap(i, k);
    }
    return c;
}

static void idle_put(conn_t *c) { g.idle[(g.idle_at + g.idle_n++) % g.conns] = c; }

static conn_t *idle_take(void)
{
    conn_t *c = g.idle[g.idle_at];
    g.idle_at = (g.idle_at + 1) % g.conns;
    g.idle_n--;
    return c;
}

/* ---- one request ---- */

static void put_path(const conn_t *c, char *out, size_t cap, const char *path)
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
    c->write = !get;
    put_path(c, path, sizeof path, get ? g.get[c->turn % g.gets] : g.post[rnd() % g.posts]);
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

static void close_conn(conn_t *c)
{
    close(c->fd);
    c->fd = -1;
    g.live--;
}

static void dial(conn_t *c)
{
    int one = 1;
    unsigned i = (unsigned)(c - g.all);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("no more descriptors: raise `ulimit -n`");
    if (g.sources) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + i % g.sources)};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("cannot bind to a loopback address");
    }
    if (connect(c->fd, (struct sockaddr *)&g.to, sizeof g.to)) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    g.live++;
}

/* Cut before its answer: whether a write was done is not known. */
static void drop(conn_t *c)
{
    g.errors++;
    g.busy--;
    if (c->write && c->cred) c->cred->unknown++;
    close_conn(c);
}

static void flush(conn_t *c)
{
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    if (n > 0) c->out_at += (size_t)n;
    if (c->out_at < c->out_n) watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void ask(conn_t *c, int64_t due_ns)
{
    if (g.rate && g.creds_n) c->cred = &g.creds[g.begun % g.creds_n];
    g.begun++;
    g.busy++;
    build(c);
    c->asked = true;
    c->in_n = c->left = 0;
    c->in_body = false;
    c->due_ns = due_ns;
    c->sent_ns = now_ns();
    flush(c);
}

static bool enough(void) { return g.stop || (g.limit && g.begun >= g.limit); }

/* Open model: what is due and waits comes first. */
static void next_of(conn_t *c, int64_t t)
{
    if (enough()) close_conn(c);
    else if (g.rate) idle_put(c);
    else if (g.think_hi) {
        c->due_ns = t + (int64_t)(g.think_lo + rnd() % (g.think_hi - g.think_lo + 1)) * 1000000;
        heap_push(c);
    } else ask(c, t);
}

/* ---- the answer ---- */

static void take_ack(conn_t *c)
{
    const char *v, *e;
    if (!c->write || !c->cred) return;
    v = c->status == 200 && c->in_n < BUF ? strstr(c->in, "\"version\":") : NULL;
    e = v ? strstr(c->in, "\"enabled\":") : NULL;
    if (!e) {
        c->cred->unknown++;
        return;
    }
    uint64_t version = strtoull(v + 10, NULL, 10);
    c->cred->acked++;
    if (version <= c->cred->version) return;
    c->cred->version = version;
    c->cred->enabled = e[10] == 't';
}

static void finished(conn_t *c)
{
    int64_t t = now_ns(), interval = g.rate || !g.think_hi ? 0 : (int64_t)(g.think_lo + g.think_hi) * 500000;
    int64_t from = g.rate ? c->due_ns : c->sent_ns;
    lat_add(&g.service, t - c->sent_ns);
    lat_add(&g.second, t - from);
    lat_add_corrected(&g.corrected, t - from, interval);
    g.status[c->status < 600 ? c->status : 0]++;
    if (c->status >= 400 || c->status < 200) g.errors++;
    take_ack(c);
    c->asked = false;
    g.busy--;
    next_of(c, t);
}

/* One outstanding request: whatever arrives belongs to its answer. left: bytes of the body still to come. */
static void head_done(conn_t *c, const char *end)
{
    const char *len = strcasestr(c->in, "\r\nContent-Length:");
    size_t body = len && len < end ? strtoul(len + 17, NULL, 10) : 0, have = c->in_n - (size_t)(end + 4 - c->in);
    c->status = (unsigned)atoi(c->in + 9);
    c->in_body = true;
    c->left = body > have ? body - have : 0;
}

/* A server may close a connection that rests; it is opened again. */
static void gone(conn_t *c)
{
    if (c->asked) drop(c);
    else {
        close_conn(c);
        dial(c);
    }
}

static void readable(conn_t *c)
{
    char over[BUF];
    bool full = c->in_body && c->left > BUF - 1 - c->in_n; /* a body longer than the buffer is read past it */
    ssize_t n = recv(c->fd, full ? over : c->in + c->in_n, full ? sizeof over : BUF - 1 - c->in_n, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        gone(c);
        return;
    }
    if (c->in_body) c->left -= (size_t)n < c->left ? (size_t)n : c->left;
    if (!full) {
        c->in_n += (size_t)n;
        c->in[c->in_n] = '\0';
    }
    const char *end = c->in_body ? NULL : strstr(c->in, "\r\n\r\n");
    if (end) head_done(c, end);
    if (c->in_body && !c->left) finished(c);
    else if (!c->in_body && c->in_n == BUF - 1) drop(c);
}

/* ---- the loop ---- */

static void begin(int64_t t0)
{
    for (unsigned i = 0; i < g.conns; i++) {
        conn_t *c = &g.all[i];
        if (g.rate) idle_put(c);
        else if (g.ramp || g.think_hi) {
            c->due_ns = t0 + (int64_t)g.ramp * SECOND_NS * i / g.conns + (int64_t)(g.think_hi ? rnd() % g.think_hi * 1000000 : 0);
            heap_push(c);
        } else if (!enough()) ask(c, t0);
        else close_conn(c);
    }
    g.next_due_ns = t0;
}

static void close_waiting(void)
{
    while (g.heap_n) close_conn(heap_pop());
    while (g.idle_n) close_conn(idle_take());
}

/* Sends what is due. Open model: a request that is due while every connection is busy keeps its due time. */
static void send_due(int64_t t)
{
    while (g.heap_n && g.heap[0]->due_ns <= t && !enough()) {
        conn_t *c = heap_pop();
        ask(c, c->due_ns);
    }
    while (g.rate && g.next_due_ns <= t && !enough()) {
        if (!g.idle_n) return;
        int64_t due = g.next_due_ns;
        g.waited += t - due > SECOND_NS / 1000;
        g.next_due_ns += SECOND_NS / g.rate;
        ask(idle_take(), due);
    }
    if (enough()) close_waiting();
}

static void arm(int64_t end)
{
    int64_t at = end;
    if (g.heap_n && g.heap[0]->due_ns < at) at = g.heap[0]->due_ns;
    if (g.rate && g.idle_n && g.next_due_ns < at) at = g.next_due_ns;
    struct itimerspec it = {.it_value = {at / SECOND_NS, at % SECOND_NS}};
    if (timerfd_settime(g.tick, TFD_TIMER_ABSTIME, &it, NULL)) die("timerfd_settime failed");
}

static void progress(unsigned at)
{
    const lat_t *s = &g.second;
    fprintf(stderr, "  %4u/%u s  %6" PRIu64 "/s  p95 %.2f ms  p99 %.2f ms  errors %" PRIu64 "\n", at, g.seconds, s->n,
            (double)lat_at(s, 0.95) / 1e3, (double)lat_at(s, 0.99) / 1e3, g.errors);
    memset(&g.second, 0, sizeof g.second);
}

/* Nanoseconds on a core, every thread of --pid. */
static uint64_t cpu_ns(void)
{
    char path[300];
    uint64_t sum = 0, one;
    snprintf(path, sizeof path, "/proc/%u/task", g.pid);
    DIR *d = g.pid ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%u/task/%.200s/schedstat", g.pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%" SCNu64, &one) == 1) sum += one;
        if (f) fclose(f);
    }
    if (d) closedir(d);
    return sum;
}

static void serve(const struct epoll_event *e)
{
    conn_t *c = e->data.ptr;
    uint64_t n;
    if (!c) {
        if (read(g.tick, &n, sizeof n) < 0) return;
        return;
    }
    if (c->fd >= 0 && (e->events & EPOLLOUT)) {
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        flush(c);
    }
    if (c->fd >= 0 && (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(c);
}

static double drive(void)
{
    struct epoll_event ev[256];
    int64_t t0 = now_ns(), end = t0 + (int64_t)g.seconds * SECOND_NS, t = t0;
    unsigned said = 0;
    uint64_t cpu = cpu_ns();
    begin(t0);
    while (g.live && t < end + PATIENCE_S * SECOND_NS) {
        if (t >= end && !g.stop) {
            g.stop = true;
            g.cpu_ns = cpu_ns() - cpu;
            g.cpu_requests = g.service.n;
        }
        send_due(t);
        if (!g.live) break;
        arm(g.stop ? t + SECOND_NS / 10 : end);
        int n = epoll_wait(g.ep, ev, 256, 100);
        for (int i = 0; i < n; i++) serve(&ev[i]);
        t = now_ns();
        if (g.progress && (t - t0) / SECOND_NS > said) progress(said = (unsigned)((t - t0) / SECOND_NS));
    }
    t = now_ns();
    for (unsigned i = 0; i < g.conns && g.busy; i++)
        if (g.all[i].fd >= 0) drop(&g.all[i]);
    return (double)(t - t0) / 1e9;
}

/* ---- arguments and result ---- */

static void load_creds(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t cap = 0;
    if (!f) die("cannot read the tokens file");
    cred_t one = {0};
    while (fscanf(f, "%47s %1023s", one.wallet, one.token) == 2) {
        if (g.creds_n == cap) {
            cap = cap ? cap * 2 : 128;
            cred_t *more = realloc(g.creds, cap * sizeof *more);
            if (!more) die("out of memory");
            g.creds = more;
        }
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

static bool number(const char *k, const char *v)
{
    const struct { const char *name; unsigned *to; } rows[] = {
        {"--conns", &g.conns}, {"--seconds", &g.seconds}, {"--mix", &g.mix}, {"--sources", &g.sources},
        {"--rate", &g.rate}, {"--ramp", &g.ramp}, {"--progress", &g.progress}, {"--pid", &g.pid},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(k, rows[i].name) != 0) continue;
        char *end;
        unsigned long n = strtoul(v, &end, 10);
        if (*end || !*v || n > 10000000) die("an option takes a number");
        *rows[i].to = (unsigned)n;
        return true;
    }
    return false;
}

static void args(int argc, char **argv)
{
    g.conns = 100;
    g.seconds = 5;
    g.mix = 80;
    for (int i = 1; i < argc; i += 2) {
        const char *k = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!v) die("an option lacks its value");
        if (number(k, v)) continue;
        if (!strcmp(k, "--to")) set_to(v);
        else if (!strcmp(k, "--requests")) g.limit = strtoull(v, NULL, 10);
        else if (!strcmp(k, "--tokens")) load_creds(v);
        else if (!strcmp(k, "--acks")) g.acks = v;
        else if (!strcmp(k, "--get") && g.gets < PATHS_MAX) g.get[g.gets++] = v;
        else if (!strcmp(k, "--post") && g.posts < PATHS_MAX) g.post[g.posts++] = v;
        else if (strcmp(k, "--think") != 0 || sscanf(v, "%u-%u", &g.think_lo, &g.think_hi) != 2) die("unknown option");
    }
    if (!g.to.sin_port || !(g.gets + g.posts) || !g.conns || g.conns > CONNS_MAX || !g.seconds || g.seconds > 3600 || g.sources > 250 ||
        g.think_lo > g.think_hi || (g.rate && g.think_hi))
        die("see the head of load.c");
}

static void report(double seconds)
{
    bool first = true;
    const lat_t *c = &g.corrected, *s = &g.service;
    printf("{\"model\":\"%s\",\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"statuses\":{", g.rate ? "open" : "closed", s->n, g.errors);
    for (unsigned i = 0; i < 600; i++) {
        if (!g.status[i]) continue;
        printf("%s\"%u\":%" PRIu64, first ? "" : ",", i, g.status[i]);
        first = false;
    }
    printf("},\"seconds\":%.3f,\"rps\":%.1f,\"p50_us\":%" PRIu64 ",\"p95_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"p999_us\":%" PRIu64
           ",\"max_us\":%" PRIu64 ",\"service\":{\"p50_us\":%" PRIu64 ",\"p95_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64
           "},\"waited\":%" PRIu64 ",\"histogram\":",
           seconds, (double)s->n / seconds, lat_at(c, 0.5), lat_at(c, 0.95), lat_at(c, 0.99), lat_at(c, 0.999), c->max_us, lat_at(s, 0.5),
           lat_at(s, 0.95), lat_at(s, 0.99), s->max_us, g.waited);
    lat_json(c, stdout);
    if (g.pid && g.cpu_requests) printf(",\"cpu_us\":%.3f", (double)g.cpu_ns / 1e3 / (double)g.cpu_requests);
    printf("}\n");
}

static void save_acks(void)
{
    FILE *f = g.acks ? fopen(g.acks, "w") : NULL;
    if (!g.acks) return;
    if (!f) die("cannot write the acks file");
    for (size_t i = 0; i < g.creds_n; i++) {
        const cred_t *c = &g.creds[i];
        fprintf(f, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", c->wallet, c->acked, c->unknown, c->version, c->enabled);
    }
    if (fclose(f)) die("cannot write the acks file");
}

int main(int argc, char **argv)
{
    struct rlimit nofile;
    args(argc, argv);
    if (!getrlimit(RLIMIT_NOFILE, &nofile)) {
        nofile.rlim_cur = nofile.rlim_max;
        setrlimit(RLIMIT_NOFILE, &nofile);
    }
    g.rng = 0x9e3779b97f4a7c15u;
    g.ep = epoll_create1(0);
    g.tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    g.all = calloc(g.conns, sizeof *g.all);
    g.idle = calloc(g.conns, sizeof(conn_t *));
    g.heap = calloc(g.conns, sizeof(conn_t *));
    if (!g.all || !g.idle || !g.heap || g.ep < 0 || g.tick < 0) die("out of memory or descriptors");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(g.ep, EPOLL_CTL_ADD, g.tick, &e)) die("epoll_ctl failed");
    for (unsigned i = 0; i < g.conns; i++) {
        g.all[i].cred = g.creds_n ? &g.creds[i % g.creds_n] : NULL;
        g.all[i].turn = i;
        dial(&g.all[i]);
    }
    report(drive());
    save_acks();
    free(g.all);
    free(g.idle);
    free(g.heap);
    free(g.creds);
    return g.service.n ? 0 : 1;
}
