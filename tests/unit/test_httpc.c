#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reactor/httpc.h"
#include "reactor/httpc_answer.h"
#include "reactor/log.h"

/* ---- certificates, made here */

typedef struct {
    X509 *cert;
    EVP_PKEY *key;
} pair_t;

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, nid, (char *)(uintptr_t)value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* signer NULL: signs itself. from and until are seconds from now. */
static pair_t make_cert(const char *name, const char *san, const pair_t *signer, long from, long until)
{
    static long serial = 1;
    pair_t p = {X509_new(), EVP_EC_gen("P-256")};
    assert_non_null(p.cert);
    assert_non_null(p.key);
    X509_set_version(p.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(p.cert), from);
    X509_gmtime_adj(X509_getm_notAfter(p.cert), until);
    X509_set_pubkey(p.cert, p.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(p.cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(p.cert, X509_get_subject_name(signer ? signer->cert : p.cert));
    if (san)
        add_ext(p.cert, signer ? signer->cert : p.cert, NID_subject_alt_name, san);
    else
        add_ext(p.cert, p.cert, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(p.cert, signer ? signer->key : p.key, EVP_sha256()) > 0);
    return p;
}

static void drop_pair(pair_t *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
}

/* ---- a small server: one thread, one connection at a time per kind, behaviour named by the path */

typedef struct {
    int fd;
    uint16_t port;
    SSL_CTX *tls; /* NULL: plain */
    pthread_t th;
    atomic_int conns, requests;
    atomic_bool stop;
} server_t;

typedef struct {
    server_t *s;
    int fd;
    SSL *ssl;
} peer_t;

static bool put_bytes(peer_t *p, const char *b, size_t n)
{
    return p->ssl ? SSL_write(p->ssl, b, (int)n) == (int)n : send(p->fd, b, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool put(peer_t *p, const char *text)
{
    return put_bytes(p, text, strlen(text));
}

static ssize_t get_bytes(peer_t *p, char *b, size_t n)
{
    struct pollfd pf = {.fd = p->fd, .events = POLLIN};
    while (!(p->ssl && SSL_pending(p->ssl)) && poll(&pf, 1, 20) == 0)
        if (p->s->stop) return -1;
    return p->ssl ? SSL_read(p->ssl, b, (int)n) : recv(p->fd, b, n, 0);
}

/* Reads one request; the whole of it ends up in text. */
static bool get_request(peer_t *p, char *text, size_t cap)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = get_bytes(p, text + n, cap - 1 - n);
        if (got <= 0) return false;
        n += (size_t)got;
        text[n] = '\0';
        char *end = strstr(text, "\r\n\r\n"), *len = strstr(text, "Content-Length: ");
        if (end && n >= (size_t)(end + 4 - text) + (len ? (size_t)atol(len + 16) : 0)) return true;
    }
}

/* False: the connection is over. */
static bool answer(peer_t *p, const char *req)
{
    char head[256];
    const char *path = strchr(req, ' ') + 1;
#define IS(s) (strncmp(path, s " ", sizeof(s)) == 0)
    if (IS("/hello")) return put(p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (IS("/echo")) {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(req));
        return put(p, head) && put(p, req);
    }
    if (IS("/chunked")) {
        const char *parts =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n005\r\npedia\r\nE\r\n "
            "in\r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n";
        for (const char *c = parts; *c; c++)
            if (!put_bytes(p, c, 1)) return false;
        return true;
    }
    if (IS("/slow")) {
        for (int i = 0; i < 100 && !p->s->stop; i++) usleep(10000);
        return false;
    }
    if (IS("/drip")) {
        if (!put(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")) return false;
        for (int i = 0; i < 100 && !p->s->stop; i++) {
            if (!put(p, "x")) return false;
            usleep(10000);
        }
        return false;
    }
    if (IS("/limited")) return put(p, "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
    if (IS("/none")) return put(p, "HTTP/1.1 204 No Content\r\n\r\n");
    if (IS("/interim"))
        return put(p, "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!");
    if (IS("/close")) return put(p, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye") && false;
    if (IS("/to-end")) return put(p, "HTTP/1.0 200 OK\r\n\r\nuntil the end") && false;
    if (IS("/cut")) return put(p, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort") && false;
    if (IS("/vanish")) return false;
    if (IS("/once-then-vanish")) {
        put(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return false; /* says keep-alive and closes */
    }
    if (IS("/garbage")) return put(p, "SSH-2.0-x\r\n\r\n");
    if (IS("/both-lengths"))
        return put(p, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    if (IS("/two-lengths")) return put(p, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
    if (IS("/huge")) return put(p, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx");
    if (IS("/huge-chunks")) {
        if (!put(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")) return false;
        for (int i = 0; i < 1000; i++)
            if (!put(p, "400\r\n") || !put_bytes(p, (char[1024]){0}, 1024) || !put(p, "\r\n")) return false;
        return put(p, "0\r\n\r\n");
    }
    if (IS("/big")) {
        static char big[200000];
        memset(big, 'b', sizeof big);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof big);
        return put(p, head) && put_bytes(p, big, sizeof big);
    }
    if (IS("/endless-head")) {
        for (int i = 0; i < 10000; i++)
            if (!put(p, i ? "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" : "HTTP/1.1 200 OK\r\n")) return false;
        return false;
    }
    return put(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

static void serve_one(server_t *s, int fd)
{
    peer_t p = {s, fd, NULL};
    char text[65536];
    struct timeval tv = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    s->conns++;
    if (s->tls) {
        p.ssl = SSL_new(s->tls);
        SSL_set_fd(p.ssl, fd);
        if (SSL_accept(p.ssl) != 1) {
            SSL_free(p.ssl);
            close(fd);
            return;
        }
    }
    while (get_request(&p, text, sizeof text)) {
        s->requests++;
        if (!answer(&p, text)) break;
    }
    if (p.ssl) {
        SSL_shutdown(p.ssl);
        SSL_free(p.ssl);
    }
    close(fd);
}

typedef struct {
    server_t *s;
    int fd;
} job_t;

static void *job_main(void *ctx)
{
    job_t j = *(job_t *)ctx;
    free(ctx);
    serve_one(j.s, j.fd);
    return NULL;
}

static void *server_main(void *ctx)
{
    server_t *s = ctx;
    pthread_t th[64];
    unsigned n = 0;
    while (!s->stop) {
        struct pollfd pf = {.fd = s->fd, .events = POLLIN};
        if (poll(&pf, 1, 10) != 1) continue;
        job_t *j = malloc(sizeof *j);
        *j = (job_t){s, accept(s->fd, NULL, NULL)};
        if (n == 64 || pthread_create(&th[n], NULL, job_main, j) != 0) abort();
        n++;
    }
    while (n) pthread_join(th[--n], NULL);
    return NULL;
}

static server_t *server_start(const pair_t *p, int max_version)
{
    server_t *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    if (p) {
        s->tls = SSL_CTX_new(TLS_server_method());
        if (max_version) {
            SSL_CTX_set_security_level(s->tls, 0);
            SSL_CTX_set_min_proto_version(s->tls, max_version);
            SSL_CTX_set_max_proto_version(s->tls, max_version);
        }
        assert_int_equal(SSL_CTX_use_certificate(s->tls, p->cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(s->tls, p->key), 1);
    }
    assert_int_equal(pthread_create(&s->th, NULL, server_main, s), 0);
    return s;
}

static void server_stop(server_t *s)
{
    s->stop = true;
    pthread_join(s->th, NULL);
    close(s->fd);
    SSL_CTX_free(s->tls);
    free(s);
}

/* ---- the client under test */

typedef struct {
    metrics_t *m;
    loop_t *l;
    httpc_t *c;
} env_t;

typedef struct {
    int calls;
    xerr_t err;
    int status, retry;
    char body[4096];
    size_t n;
    httpc_t *kill; /* freed inside the callback */
} result_t;

static char ca_path[64];
static pair_t ca;

static void open_env(env_t *e, unsigned conns, unsigned queue)
{
    e->m = metrics_new();
    e->l = loop_new(e->m);
    httpc_conf_t conf = {.ca_file = ca_path, .body_max = 300000, .conns_per_host = conns, .queue_max = queue};
    e->c = httpc_new(e->l, e->m, &conf);
}

static void close_env(env_t *e)
{
    httpc_free(e->c);
    loop_poll(e->l, 0);
    loop_end_turn(e->l);
    loop_poll(e->l, 0);
    loop_end_turn(e->l);
    loop_free(e->l);
    metrics_free(e->m);
}

static void on_answer(void *ctx, xerr_t err, int status, span_t body, int retry)
{
    result_t *r = ctx;
    r->calls++;
    r->err = err;
    r->status = status;
    r->retry = retry;
    r->n = body.n;
    snprintf(r->body, sizeof r->body, "%.*s", (int)(body.n < 4000 ? body.n : 4000), body.p);
    if (r->kill) httpc_free(r->kill);
}

static void call_url(env_t *e, result_t *r, const char *url, const char *method, unsigned ms)
{
    memset(r, 0, sizeof *r);
    httpc_req_t q = {.method = method, .url = url, .timeout_ms = ms};
    httpc_call(e->c, &q, on_answer, r);
    assert_int_equal(r->calls, 0);
}

static void wait_for(env_t *e, const result_t *r)
{
    int64_t t0 = mono_ns();
    while (!r->calls && mono_ns() - t0 < 5000000000) {
        loop_poll(e->l, 20);
        loop_end_turn(e->l);
    }
    assert_int_equal(r->calls, 1);
}

static const char *at(const char *scheme, const char *host, const server_t *s, const char *path)
{
    static char text[256];
    snprintf(text, sizeof text, "%s://%s:%u%s", scheme, host, s->port, path);
    return text;
}

static void one(env_t *e, result_t *r, const server_t *s, const char *path)
{
    call_url(e, r, at("http", "127.0.0.1", s, path), "GET", 2000);
    wait_for(e, r);
}

static void test_answers(void **state)
{
    static const struct {
        const char *path;
        xerr_t err;
        int status;
        const char *body;
    } rows[] = {
        {"/hello", XE_OK, 200, "hello"},
        {"/chunked", XE_OK, 200, "wikipedia in\r\n\r\nchunks."},
        {"/limited", XE_OK, 429, "no"},
        {"/none", XE_OK, 204, ""},
        {"/interim", XE_OK, 200, "!"},
        {"/close", XE_OK, 200, "bye"},
        {"/to-end", XE_OK, 200, "until the end"},
        {"/nope", XE_OK, 404, ""},
        {"/cut", XE_CLOSED, 0, ""},
        {"/vanish", XE_CLOSED, 0, ""},
        {"/garbage", XE_BAD_INPUT, 0, ""},
        {"/both-lengths", XE_BAD_INPUT, 0, ""},
        {"/two-lengths", XE_BAD_INPUT, 0, ""},
        {"/huge", XE_TOO_BIG, 0, ""},
        {"/huge-chunks", XE_TOO_BIG, 0, ""},
        {"/endless-head", XE_BAD_INPUT, 0, ""},
    };
    env_t e;
    result_t r;
    server_t *s = server_start(NULL, 0);
    open_env(&e, 4, 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        one(&e, &r, s, rows[i].path);
        if (r.err != rows[i].err || r.status != rows[i].status || strcmp(r.body, rows[i].body) != 0)
            fail_msg("%s: %s %d '%s'", rows[i].path, xerr_name(r.err), r.status, r.body);
        if (strcmp(rows[i].path, "/limited") == 0) assert_int_equal(r.retry, 7);
    }
    one(&e, &r, s, "/big");
    assert_int_equal(r.err, XE_OK);
    assert_int_equal(r.n, 200000);
    call_url(&e, &r, at("http", "localhost", s, "/hello?x=1"), "GET", 2000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_OK); /* the name came from the hosts file */
    close_env(&e);
    server_stop(s);
}

static void test_request_text(void **state)
{
    env_t e;
    result_t r = {0};
    server_t *s = server_start(NULL, 0);
    open_env(&e, 1, 4);
    httpc_req_t q = {.method = "POST",
                     .url = at("http", "127.0.0.1", s, "/echo"),
                     .content_type = "application/json",
                     .body = SPAN_LIT("{\"id\":1}"),
                     .header = "X-Key: abc",
                     .timeout_ms = 2000};
    httpc_call(e.c, &q, on_answer, &r);
    wait_for(&e, &r);
    char want[512];
    snprintf(
        want, sizeof want,
        "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: xorj\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        "X-Key: abc\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":1}",
        s->port);
    assert_string_equal(r.body, want);
    call_url(&e, &r, at("http", "127.0.0.1", s, "/hello"), "HEAD", 2000);
    wait_for(&e, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.n, 0);
    close_env(&e);
    server_stop(s);
}

static void test_keep_alive_and_stale(void **state)
{
    env_t e;
    result_t r;
    server_t *s = server_start(NULL, 0);
    open_env(&e, 2, 16);
    for (int i = 0; i < 10; i++) {
        one(&e, &r, s, "/hello");
        assert_int_equal(r.err, XE_OK);
    }
    assert_int_equal(s->conns, 1);
    assert_int_equal(s->requests, 10);
    one(&e, &r, s, "/once-then-vanish");
    assert_int_equal(r.err, XE_OK);
    usleep(30000); /* the end of the kept connection is on its way, unseen by the loop */
    one(&e, &r, s, "/hello");
    assert_int_equal(r.err, XE_OK);
    assert_int_equal(s->conns, 2);
    /* A connection that dies with a fresh request is repeated once, and only when that is harmless. */
    int before = s->requests;
    one(&e, &r, s, "/vanish");
    assert_int_equal(r.err, XE_CLOSED);
    assert_int_equal(s->requests - before, 2);
    one(&e, &r, s, "/hello");
    before = s->requests;
    call_url(&e, &r, at("http", "127.0.0.1", s, "/vanish"), "POST", 2000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_CLOSED);
    assert_int_equal(s->requests - before, 1);
    close_env(&e);
    server_stop(s);
}

static void test_deadlines(void **state)
{
    static const char *const paths[] = {"/slow", "/drip"};
    env_t e;
    result_t r;
    server_t *s = server_start(NULL, 0);
    open_env(&e, 2, 16);
    for (int i = 0; i < 2; i++) {
        int64_t t0 = mono_ns();
        call_url(&e, &r, at("http", "127.0.0.1", s, paths[i]), "GET", 100);
        wait_for(&e, &r);
        assert_int_equal(r.err, XE_TIMEOUT);
        assert_true(mono_ns() - t0 > 99000000 && mono_ns() - t0 < 400000000);
    }
    close_env(&e);
    server_stop(s);
}

static void test_queue_and_bounds(void **state)
{
    env_t e;
    result_t r[8];
    server_t *s = server_start(NULL, 0);
    open_env(&e, 2, 3);
    for (int i = 0; i < 8; i++)
        call_url(&e, &r[i], at("http", "127.0.0.1", s, i < 2 ? "/slow" : "/hello"), "GET", i < 2 ? 150 : 2000);
    for (int i = 0; i < 8; i++) wait_for(&e, &r[i]);
    assert_int_equal(r[0].err, XE_TIMEOUT);
    assert_int_equal(r[1].err, XE_TIMEOUT);
    for (int i = 2; i < 5; i++) assert_int_equal(r[i].err, XE_OK);
    for (int i = 5; i < 8; i++) assert_int_equal(r[i].err, XE_FULL);
    close_env(&e);
    server_stop(s);
}

static void test_refusals_come_from_the_loop(void **state)
{
    static const char *const urls[] = {"ftp://x/",
                                       "http://",
                                       "http://a b/",
                                       "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1:0/",
                                       "http://127.0.0.1:99999/",
                                       "http://[::1/",
                                       "http://x/\r\nHost: y",
                                       "",
                                       "http://a:b/",
                                       "https://[1.2.3.4]x/"};
    env_t e;
    result_t r;
    open_env(&e, 2, 4);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        call_url(&e, &r, urls[i], "GET", 500);
        wait_for(&e, &r);
        if (r.err != XE_BAD_INPUT) fail_msg("%s: %s", urls[i], xerr_name(r.err));
    }
    memset(&r, 0, sizeof r);
    httpc_req_t q = {.method = "GET", .url = "http://127.0.0.1/", .header = "A: b\r\nC: d", .timeout_ms = 500};
    httpc_call(e.c, &q, on_answer, &r);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_BAD_INPUT);
    call_url(&e, &r, "http://127.0.0.1:1/", "GET", 2000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_DOWN);
    close_env(&e);
}

static void test_free_ends_what_is_pending(void **state)
{
    env_t e;
    result_t r[3];
    server_t *s = server_start(NULL, 0);
    open_env(&e, 1, 4);
    for (int i = 0; i < 3; i++) call_url(&e, &r[i], at("http", "127.0.0.1", s, "/slow"), "GET", 2000);
    for (int i = 0; i < 5; i++) {
        loop_poll(e.l, 5);
        loop_end_turn(e.l);
    }
    close_env(&e);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].err, XE_CLOSED);
    }
    open_env(&e, 1, 4);
    call_url(&e, &r[0], at("http", "127.0.0.1", s, "/hello"), "GET", 2000);
    call_url(&e, &r[1], at("http", "127.0.0.1", s, "/hello"), "GET", 2000);
    r[0].kill = e.c;
    wait_for(&e, &r[0]);
    assert_int_equal(r[0].err, XE_OK);
    assert_int_equal(r[1].calls, 1);
    assert_int_equal(r[1].err, XE_CLOSED);
    e.c = NULL;
    close_env(&e);
    server_stop(s);
}

/* ---- names, by a name server of our own */

typedef struct {
    int fd;
    uint16_t port;
    atomic_int asked;
    atomic_bool stop;
    pthread_t th;
} dns_t;

/* Echoes the question: "good.test" has the address 127.0.0.1 (and no IPv6), "mute.test" is never answered, others do
 * not exist. */
static void *dns_main(void *ctx)
{
    static const unsigned char a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1};
    dns_t *d = ctx;
    while (!d->stop) {
        unsigned char m[600];
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        struct pollfd pf = {.fd = d->fd, .events = POLLIN};
        if (poll(&pf, 1, 10) != 1) continue;
        ssize_t n = recvfrom(d->fd, m, 512, 0, (struct sockaddr *)&from, &len);
        if (n < 20) continue;
        d->asked++;
        size_t end = 12; /* of the question; whatever follows is not echoed */
        while (m[end] && end + m[end] + 6 <= (size_t)n) end += m[end] + 1u;
        end += 5;
        n = (ssize_t)end;
        bool good = strncasecmp((char *)m + 13, "good", 4) == 0, v4 = m[end - 3] == 1;
        if (strncasecmp((char *)m + 13, "mute", 4) == 0) continue;
        m[2] = 0x81;
        m[3] = good ? 0x80 : 0x83;
        m[7] = good && v4;
        m[9] = m[11] = 0;
        if (good && v4) memcpy(m + n, a, sizeof a), n += (ssize_t)sizeof a;
        sendto(d->fd, m, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
    return NULL;
}

static void test_names(void **state)
{
    dns_t d = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(d.fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(d.fd, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(pthread_create(&d.th, NULL, dns_main, &d), 0);
    char ns[32];
    snprintf(ns, sizeof ns, "127.0.0.1:%u", ntohs(a.sin_port));
    server_t *s = server_start(NULL, 0);
    metrics_t *m = metrics_new();
    env_t e = {.m = m, .l = loop_new(m)};
    httpc_conf_t conf = {.body_max = 1000, .conns_per_host = 2, .queue_max = 4, .nameserver = ns};
    e.c = httpc_new(e.l, m, &conf);
    result_t r, late;
    call_url(&e, &r, at("http", "good.test", s, "/hello"), "GET", 3000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_OK);
    call_url(&e, &r, at("http", "absent.test", s, "/hello"), "GET", 3000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_DOWN);
    call_url(&e, &r, at("http", "mute.test", s, "/hello"), "GET", 60);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_TIMEOUT);
    call_url(&e, &late, at("http", "mute.test", s, "/hello"), "GET", 3000);
    for (int i = 0; i < 5; i++) {
        loop_poll(e.l, 5);
        loop_end_turn(e.l);
    }
    assert_true(d.asked >= 3);
    close_env(&e); /* with a question still open */
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.err, XE_CLOSED);
    server_stop(s);
    d.stop = true;
    pthread_join(d.th, NULL);
    close(d.fd);
}

static void tls_case(const pair_t *cert, int version, const char *host, xerr_t want)
{
    env_t e;
    result_t r;
    server_t *s = server_start(cert, version);
    open_env(&e, 2, 4);
    call_url(&e, &r, at("https", host, s, "/hello"), "GET", 3000);
    wait_for(&e, &r);
    assert_int_equal(r.err, want);
    if (!want)
        assert_string_equal(r.body, "hello");
    else
        assert_int_equal(s->requests, 0); /* not a byte of the request went out */
    ctr_t *refused = metrics_ctr(e.m, "xorj_httpc_tls_failures_total", NULL, "");
    assert_true(want ? refused->v > 0 : refused->v == 0);
    close_env(&e);
    server_stop(s);
}

static void test_tls(void **state)
{
    long day = 86400;
    pair_t other_ca = make_cert("Other", NULL, NULL, -day, day);
    pair_t good = make_cert("x", "IP:127.0.0.1,DNS:localhost", &ca, -day, day),
           wrong = make_cert("localhost", "DNS:other.example,IP:127.0.0.2", &ca, -day, day);
    pair_t old = make_cert("x", "IP:127.0.0.1,DNS:localhost", &ca, -2 * day, -day),
           early = make_cert("x", "IP:127.0.0.1", &ca, day, 2 * day);
    pair_t self = make_cert("x", "IP:127.0.0.1", NULL, -day, day),
           foreign = make_cert("x", "IP:127.0.0.1", &other_ca, -day, day);
    tls_case(&good, 0, "127.0.0.1", XE_OK);
    tls_case(&good, 0, "localhost", XE_OK);
    tls_case(&good, TLS1_2_VERSION, "127.0.0.1", XE_OK);
    tls_case(&wrong, 0, "127.0.0.1", XE_DOWN);
    tls_case(&wrong, 0, "localhost", XE_DOWN);
    tls_case(&old, 0, "127.0.0.1", XE_DOWN);
    tls_case(&early, 0, "127.0.0.1", XE_DOWN);
    tls_case(&self, 0, "127.0.0.1", XE_DOWN);
    tls_case(&foreign, 0, "127.0.0.1", XE_DOWN);
    tls_case(&good, TLS1_1_VERSION, "127.0.0.1", XE_DOWN);
    pair_t *all[] = {&other_ca, &good, &wrong, &old, &early, &self, &foreign};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop_pair(all[i]);
}

static void test_tls_keep_alive_and_bodies(void **state)
{
    pair_t good = make_cert("x", "IP:127.0.0.1", &ca, -1000, 1000);
    server_t *s = server_start(&good, 0);
    env_t e;
    result_t r;
    open_env(&e, 2, 4);
    for (int i = 0; i < 6; i++) {
        call_url(&e, &r, at("https", "127.0.0.1", s, i % 2 ? "/big" : "/chunked"), "GET", 3000);
        wait_for(&e, &r);
        assert_int_equal(r.err, XE_OK);
        assert_int_equal(r.n, i % 2 ? 200000 : 23);
    }
    assert_int_equal(s->conns, 1);
    call_url(&e, &r, at("https", "127.0.0.1", s, "/to-end"), "GET", 3000);
    wait_for(&e, &r);
    assert_int_equal(r.err, XE_OK); /* ended by close_notify */
    close_env(&e);
    server_stop(s);
    drop_pair(&good);
}

/* The answer does not depend on where the bytes were cut. */
static void test_answer_parser_cuts(void **state)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nRetry-After: 3\r\nTransfer-Encoding: "
                               "chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        answer_t a;
        size_t used, done = 0;
        answer_init(&a, 100, false);
        xerr_t err = XE_AGAIN;
        while (err == XE_AGAIN && done < sizeof text - 1) {
            size_t n = sizeof text - 1 - done < cut ? sizeof text - 1 - done : cut;
            err = answer_feed(&a, (span_t){text + done, n}, &used);
            done += used;
        }
        assert_int_equal(err, XE_OK);
        assert_int_equal(done, sizeof text - 1);
        assert_int_equal(a.retry_after_s, 3);
        assert_true(span_is(buf_span(&a.body), "abc0123456789"));
        answer_fini(&a);
    }
}

static void test_answer_parser_refuses(void **state)
{
    static const char *const bad[] = {
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1  200\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answer_t a;
        size_t used;
        answer_init(&a, 100, false);
        xerr_t err = answer_feed(&a, span_of(bad[i]), &used);
        if (err != XE_BAD_INPUT) fail_msg("%s: %s", bad[i], xerr_name(err));
        answer_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_parser_cuts),
        cmocka_unit_test(test_answer_parser_refuses),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_request_text),
        cmocka_unit_test(test_keep_alive_and_stale),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_queue_and_bounds),
        cmocka_unit_test(test_refusals_come_from_the_loop),
        cmocka_unit_test(test_free_ends_what_is_pending),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_keep_alive_and_bodies),
    };
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    ca = make_cert("Test authority", NULL, NULL, -86400, 86400);
    snprintf(ca_path, sizeof ca_path, "/tmp/xorj-test-ca-%ld.pem", (long)getpid());
    FILE *f = fopen(ca_path, "wxe");
    if (!f || !PEM_write_X509(f, ca.cert) || fclose(f)) return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(ca_path);
    drop_pair(&ca);
    return failed;
}
