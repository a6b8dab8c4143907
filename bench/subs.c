/* Websocket subscribers for one machine: N sockets that say one message and count what they hear. One thread, epoll.
 *
 *   subs --to 127.0.0.1:8080 --conns 1000 --tokens FILE --say JSON [--sources N]
 *
 * --tokens: lines "WALLET TOKEN", socket i uses line i modulo the count. Prints READY when every socket has heard
 * {"type":"subscribed"...}, and when its stdin ends one line of JSON: {"opened","closed","messages","bytes",
 * "fanouts":[[channel, seq, sockets, first ns, last ns]...], "delays_us":[...]}. The ns are those of CLOCK_MONOTONIC;
 * delays_us: for each first hearing of an opportunity's message, microseconds by the wall clock, which server and
 * subscriber share, since the frame that opened it was received; of later messages since the server's turn began. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 20000, BUF = 8192, SEEN_MAX = 4096, DELAYS_MAX = 4096 };

typedef struct {
    int fd;
    bool up, joined;
    size_t n;    /* bytes of the buffer in use */
    size_t skip; /* bytes of a long frame not looked at */
    char buf[BUF];
} sock_t;

typedef struct {
    char channel[24];
    uint64_t seq, n;
    int64_t first_ns, last_ns;
} seen_t;

static struct {
    struct sockaddr_in to;
    char host[64];
    unsigned conns, sources, up, joined, closed;
    const char *say;
    char (*tokens)[1024];
    size_t tokens_n;
    sock_t *all;
    int ep;
    bool told;
    uint64_t messages, bytes;
    seen_t seen[SEEN_MAX];
    unsigned seen_n;
    int64_t delay_us[DELAYS_MAX];
    unsigned delays_n;
} g;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "subs: %s\n", what);
    exit(2);
}

static int64_t clock_now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what is heard ---- */

/* "2026-01-02T03:04:05.678901Z" to microseconds since 1970; 0: something else. */
static int64_t rfc3339_us(const char *s)
{
    struct tm tm = {0};
    int us;
    if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us) != 7) return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000000 + us;
}

static void note_delay(const char *text)
{
    bool opened = strstr(text, "\"type\":\"opened\"") != NULL;
    const char *key = opened ? "\"received\":\"" : "\"ts\":\"", *r = strncmp(text, "{\"channel\":\"opp", 15) == 0 ? strstr(text, key) : NULL;
    int64_t at = r ? rfc3339_us(r + strlen(key)) : 0;
    if (at && g.delays_n < DELAYS_MAX) g.delay_us[g.delays_n++] = clock_now_ns(CLOCK_REALTIME) / 1000 - at;
}

static void note_message(const char *text)
{
    char channel[24];
    uint64_t seq;
    int64_t t = clock_now_ns(CLOCK_MONOTONIC);
    if (sscanf(text, "{\"channel\":\"%23[a-z]\",\"seq\":%" SCNu64, channel, &seq) != 2 || strstr(text, "\"type\":\"snapshot\"")) return;
    for (unsigned i = g.seen_n; i-- > 0;) {
        seen_t *s = &g.seen[i];
        if (s->seq != seq || strcmp(s->channel, channel) != 0) continue;
        s->n++;
        s->last_ns = t;
        return;
    }
    if (g.seen_n == SEEN_MAX) return;
    seen_t *s = &g.seen[g.seen_n++];
    *s = (seen_t){.seq = seq, .n = 1, .first_ns = t, .last_ns = t};
    memcpy(s->channel, channel, sizeof channel);
    note_delay(text);
}

static void on_text(sock_t *s, const char *text)
{
    g.messages++;
    if (!s->joined && strncmp(text, "{\"type\":\"subscribed\"", 20) == 0) {
        s->joined = true;
        g.joined++;
    } else if (strncmp(text, "{\"type\":\"error\"", 15) == 0) die(text);
    else note_message(text);
}

/* ---- frames ---- */

static void send_frame(sock_t *s, unsigned op, const char *p, size_t n)
{
    static const unsigned char mask[4] = {0x5a, 0xc3, 0x3c, 0xa5};
    unsigned char out[1100];
    size_t at = 0;
    if (n > 1000) die("the message is too long");
    out[at++] = (unsigned char)(0x80 | op);
    if (n < 126) out[at++] = (unsigned char)(0x80 | n);
    else {
        out[at++] = 0x80 | 126;
        out[at++] = (unsigned char)(n >> 8);
        out[at++] = (unsigned char)n;
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++) out[at++] = (unsigned char)p[i] ^ mask[i % 4];
    if (send(s->fd, out, at, MSG_NOSIGNAL) != (ssize_t)at) die("a socket took no message");
}

/* Length of the frame at p and of its head; 0: more bytes are needed. */
static size_t frame_at(const unsigned char *p, size_t n, size_t *head)
{
    if (n < 2) return 0;
    size_t len = p[1] & 0x7fu;
    *head = len == 126 ? 4 : len == 127 ? 10 : 2;
    if (n < *head) return 0;
    if (len >= 126) {
        len = 0;
        for (size_t i = 2; i < *head; i++) len = len << 8 | p[i];
    }
    return *head + len;
}

static void on_frame(sock_t *s, char *p, size_t head, size_t len)
{
    unsigned op = (unsigned char)p[0] & 0x0fu;
    char *text = p + head, end = p[len];
    p[len] = '\0';
    if (op == 1) on_text(s, text);
    else if (op == 9) send_frame(s, 10, text, len - head);
    p[len] = end;
}

static void frames(sock_t *s)
{
    size_t at = 0, head, len;
    while (at < s->n && (len = frame_at((unsigned char *)s->buf + at, s->n - at, &head)) != 0) {
        if (at + len > s->n && len < BUF - 1) break;
        if (len >= BUF - 1) { /* counted by its beginning */
            on_frame(s, s->buf + at, head, s->n - at);
            s->skip = len - (s->n - at);
            at = s->n;
            break;
        }
        on_frame(s, s->buf + at, head, len);
        at += len;
    }
    memmove(s->buf, s->buf + at, s->n - at);
    s->n -= at;
}

static void upgraded(sock_t *s)
{
    char *end = strstr(s->buf, "\r\n\r\n");
    if (!end) return;
    if (strncmp(s->buf, "HTTP/1.1 101", 12) != 0) {
        *strchr(s->buf, '\r') = '\0';
        die(s->buf);
    }
    size_t head = (size_t)(end + 4 - s->buf);
    s->up = true;
    g.up++;
    memmove(s->buf, s->buf + head, s->n - head);
    s->n -= head;
    send_frame(s, 1, g.say, strlen(g.say));
}

static void readable(sock_t *s)
{
    ssize_t n = recv(s->fd, s->buf + s->n, BUF - 1 - s->n, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close(s->fd);
        s->fd = -1;
        g.closed++;
        return;
    }
    g.bytes += (uint64_t)n;
    size_t gone = s->skip < (size_t)n ? s->skip : (size_t)n;
    s->skip -= gone;
    memmove(s->buf + s->n, s->buf + s->n + gone, (size_t)n - gone);
    s->n += (size_t)n - gone;
    s->buf[s->n] = '\0';
    if (!s->up) upgraded(s);
    if (s->up) frames(s);
}

/* ---- the loop ---- */

static void dial(unsigned i)
{
    static const char shape[] = "GET /api/v1/ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer %s\r\n\r\n";
    char out[1500];
    sock_t *s = &g.all[i];
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0) die("no more descriptors: raise `ulimit -n`");
    if (g.sources) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + i % g.sources)};
        setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(s->fd, (struct sockaddr *)&from, sizeof from)) die("cannot bind to a loopback address");
    }
    if (connect(s->fd, (struct sockaddr *)&g.to, sizeof g.to)) die("cannot connect");
    int n = snprintf(out, sizeof out, shape, g.host, g.tokens[i % g.tokens_n]);
    if (send(s->fd, out, (size_t)n, MSG_NOSIGNAL) != n) die("cannot send");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(g.ep, EPOLL_CTL_ADD, s->fd, &e)) die("epoll_ctl failed");
}

/* True: stdin has ended. */
static bool turn(int wait_ms)
{
    struct epoll_event ev[256];
    char in[64];
    int n = epoll_wait(g.ep, ev, 256, wait_ms);
    for (int i = 0; i < n; i++) {
        sock_t *s = ev[i].data.ptr;
        if (!s) {
            if (read(STDIN_FILENO, in, sizeof in) <= 0) return true;
        } else if (s->fd >= 0) readable(s);
    }
    if (!g.told && g.joined == g.conns) {
        g.told = true;
        printf("READY\n");
        fflush(stdout);
    }
    return false;
}

static void report(void)
{
    printf("{\"opened\":%u,\"closed\":%u,\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"fanouts\":[", g.joined, g.closed, g.messages, g.bytes);
    for (unsigned i = 0; i < g.seen_n; i++) {
        const seen_t *s = &g.seen[i];
        printf("%s[\"%s\",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 "]", i ? "," : "", s->channel, s->seq, s->n, s->first_ns, s->last_ns);
    }
    printf("],\"delays_us\":[");
    for (unsigned i = 0; i < g.delays_n; i++) printf("%s%" PRId64, i ? "," : "", g.delay_us[i]);
    printf("]}\n");
}

static void load_tokens(const char *path)
{
    FILE *f = fopen(path, "r");
    char one[1024];
    if (!f) die("cannot read the tokens file");
    g.tokens = calloc(CONNS_MAX, sizeof *g.tokens);
    if (!g.tokens) die("out of memory");
    while (g.tokens_n < CONNS_MAX && fscanf(f, "%*s %1023s", one) == 1) memcpy(g.tokens[g.tokens_n++], one, sizeof one);
    fclose(f);
    if (!g.tokens_n) die("no line in the tokens file");
}

static void args(int argc, char **argv)
{
    char ip[48];
    unsigned port;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];
        if (!strcmp(k, "--conns")) g.conns = (unsigned)strtoul(v, NULL, 10);
        else if (!strcmp(k, "--sources")) g.sources = (unsigned)strtoul(v, NULL, 10);
        else if (!strcmp(k, "--tokens")) load_tokens(v);
        else if (!strcmp(k, "--say")) g.say = v;
        else if (strcmp(k, "--to") != 0 || sscanf(v, "%47[^:]:%u", ip, &port) != 2 || port > 65535) die("see the head of subs.c");
        else {
            g.to.sin_family = AF_INET;
            g.to.sin_port = htons((uint16_t)port);
            if (inet_pton(AF_INET, ip, &g.to.sin_addr) != 1 || (ntohl(g.to.sin_addr.s_addr) >> 24) != 127) die("only loopback is a target");
            snprintf(g.host, sizeof g.host, "%s", v);
        }
    }
    if (!g.conns || g.conns > CONNS_MAX || !g.tokens_n || !g.say || !g.to.sin_port || g.sources > 250) die("see the head of subs.c");
}

int main(int argc, char **argv)
{
    struct rlimit nofile;
    args(argc, argv);
    if (!getrlimit(RLIMIT_NOFILE, &nofile)) {
        nofile.rlim_cur = nofile.rlim_max;
        setrlimit(RLIMIT_NOFILE, &nofile);
    }
    g.ep = epoll_create1(0);
    g.all = calloc(g.conns, sizeof *g.all);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (!g.all || g.ep < 0 || epoll_ctl(g.ep, EPOLL_CTL_ADD, STDIN_FILENO, &e)) die("out of memory or descriptors, or stdin is a file");
    bool over = false;
    for (unsigned i = 0; i < g.conns && !over; i++) { /* at most 64 handshakes at once */
        dial(i);
        while (!over && i + 1 - g.up >= 64) over = turn(100);
    }
    while (!over) over = turn(1000);
    report();
    free(g.all);
    free(g.tokens);
    return 0;
}
