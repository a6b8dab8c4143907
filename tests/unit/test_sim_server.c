/* The simulator's listener ends without leaving anything behind, whatever its TLS connections were at when the signal
 * came. The sim is no library, so its sources are taken in here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "sim/frame.c"
#include "sim/head.c"
#include "sim/server.c"
#include "sim/tls.c"

#ifdef __SANITIZE_ADDRESS__
#define WITH_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LSAN 1
#endif
#endif
#ifdef WITH_LSAN
int __lsan_do_recoverable_leak_check(void);
#endif

static int leaks(void)
{
#ifdef WITH_LSAN
    return __lsan_do_recoverable_leak_check();
#else
    return 0;
#endif
}

typedef struct {
    conn_t *asker;
    unsigned turns; /* since it asked */
} desk_t;

static void keep(void *ctx, conn_t *c, const sreq_t *r) { ((desk_t *)ctx)->asker = c; }

/* The loop hears of signal and free socket in one go, the signal first: what the library puts off after the write to the
 * socket is still waiting when the loop ends. */
static void answer_and_end(void *ctx, int64_t now)
{
    desk_t *d = ctx;
    if (!d->asker || ++d->turns != 2) return;
    raise(SIGTERM);
    conn_reply(d->asker, 200, "text/plain", SPAN_LIT("bye\n"));
}

static void no_text(void *ctx, conn_t *c, span_t text) {}
static void no_drain(void *ctx, conn_t *c) {}
static bool not_muted(void *ctx, conn_t *c) { return false; }
static size_t no_limit(void *ctx, conn_t *c) { return 0; }

typedef struct {
    uint16_t port;
    unsigned step; /* how far it goes: 0 connects, 1 sends half a hello, 2 shakes hands, 3 asks */
    bool end;      /* raises the signal itself */
} client_t;

static int dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {5, 0}; /* a connection that was forgotten is never closed */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) abort();
    return fd;
}

static void talk(const client_t *k, int fd)
{
    static const char ask[] = "GET / HTTP/1.1\r\nHost: sim\r\n\r\n";
    char buf[256];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1 || (k->step == 3 && SSL_write(ssl, ask, sizeof ask - 1) <= 0)) abort();
    if (k->end) kill(getpid(), SIGTERM);
    while (read(fd, buf, sizeof buf) > 0) {
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void *client_main(void *arg)
{
    static const char half[] = {0x16, 3, 1, 2, 0, 1};
    const client_t *k = arg;
    char buf[64];
    int fd = dial(k->port);
    if (k->step >= 2) {
        talk(k, fd);
    } else {
        if (k->step == 1 && write(fd, half, sizeof half) < 0) abort();
        usleep(20000);
        if (k->end) kill(getpid(), SIGTERM);
        while (read(fd, buf, sizeof buf) > 0) {
        }
    }
    close(fd);
    return NULL;
}

static void life(unsigned step, bool end)
{
    char dir[] = "/tmp/xorj-sim-XXXXXX", path[64];
    static const char *const files[] = {"ca.key", "ca.pem", "server.key", "server.pem"};
    desk_t d = {0};
    const srv_hooks_t hooks = {keep, no_text, no_drain, no_drain, not_muted, no_limit, answer_and_end, &d};
    const char *why;
    SSL_CTX *tls = NULL;
    client_t k = {.step = step, .end = end};
    pthread_t th;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tls_open(dir, &tls, &why), XE_OK);
    srv_t *s = srv_new(hooks);
    assert_int_equal(srv_listen(s, tls, &k.port), XE_OK);
    assert_int_equal(pthread_create(&th, NULL, client_main, &k), 0);
    assert_int_equal(srv_run(s), SIGTERM);
    srv_free(s);
    SSL_CTX_free(tls);
    pthread_join(th, NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void test_ended_while_writing(void **state)
{
    life(3, false);
    assert_int_equal(leaks(), 0);
}

static void test_ended_in_any_state(void **state)
{
    for (unsigned step = 0; step < 3; step++) life(step, true);
    assert_int_equal(leaks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ended_while_writing),
        cmocka_unit_test(test_ended_in_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
