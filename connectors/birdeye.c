#include "connectors/birdeye.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "reactor/log.h"

#define FRAME_MAX 65536
#define CONNECT_MS 10000
#define SILENCE_MS 30000
#define PING_MS 10000
#define REST_MIN_MS 1000
#define REST_MAX_MS 60000
#define TEXT_MAX 2048
#define MS 1000000LL

struct birdeye {
    loop_t *loop;
    wsc_t *wsc;
    char *url;
    wsconn_t *conn;   /* NULL: resting */
    bool open;
    ltimer_t *timer;
    unsigned tries;
    int64_t since_ns, heard_ns, ping_ns;
    birdeye_fn fn;
    void *ctx;
    jchan_t *rec;
    ctr_t *messages, *garbled, *reconnects;
    gauge_t *up;
};

static void lost(birdeye_t *b, xerr_t why)
{
    uint16_t noise;
    int64_t ms = (int64_t)REST_MIN_MS << (b->tries < 6 ? b->tries : 6);
    if (ms > REST_MAX_MS) ms = REST_MAX_MS;
    random_bytes(&noise, sizeof noise);
    ms -= ms * noise / 65535 / 4;
    if (b->conn) wsc_shut(b->conn);
    b->conn = NULL;
    if (b->open) jchan_close(b->rec, xerr_name(why));
    log_at(b->open || b->tries == 0 ? LOG_WARN : LOG_DEBUG, "price", "birdeye", "stream lost why=%s wait_ms=%lld", xerr_name(why), (long long)ms);
    b->open = false;
    b->tries++;
    ctr_inc(b->reconnects);
    gauge_set(b->up, 0);
    ltimer_arm(b->timer, ms);
}

static void on_open(void *ctx)
{
    birdeye_t *b = ctx;
    buf_t text;
    b->open = true;
    b->heard_ns = b->ping_ns = mono_ns();
    jchan_open(b->rec);
    buf_init(&text, TEXT_MAX);
    birdeye_subscription(&text);
    xerr_t err = text.failed ? XE_TOO_BIG : wsc_send(b->conn, buf_span(&text));
    buf_fini(&text);
    if (err) lost(b, err);
}

static void on_bytes(void *ctx, size_t n)
{
    (void)n;
    ((birdeye_t *)ctx)->heard_ns = mono_ns();
}

static void on_message(void *ctx, wsc_msg_t msg)
{
    birdeye_t *b = ctx;
    quote_t q[ASSET_N];
    xerr_t err = birdeye_read(span_make(msg.text, msg.n), msg.recv_wall_us, q);
    ctr_inc(b->messages);
    if (!err) {
        for (int a = 0; a < ASSET_N; a++) q[a].at_us = msg.recv_wall_us;
        b->tries = 0;
        gauge_set(b->up, 1);
        b->fn(b->ctx, q);
    }
    jchan_give(b->rec, msg.text, msg.n, msg.recv_ns, msg.recv_wall_us);
    if (err != XE_BAD_INPUT) return;
    ctr_inc(b->garbled);
    lost(b, err);
}

static void on_close(void *ctx, xerr_t why, const char *text)
{
    birdeye_t *b = ctx;
    (void)text;
    b->conn = NULL;
    lost(b, why);
}

static void connect_now(birdeye_t *b)
{
    static const wsc_guise_t guise = {.origin = "ws://public-api.birdeye.so", .protocol = "echo-protocol"};
    wsc_hooks_t h = {.on_open = on_open, .on_bytes = on_bytes, .on_message = on_message, .on_close = on_close, .ctx = b};
    b->since_ns = mono_ns();
    b->conn = wsc_connect_as(b->wsc, b->url, FRAME_MAX, &guise, h);
    if (b->conn) ltimer_arm(b->timer, CONNECT_MS);
    else log_error("price", "birdeye", "the configured address is not a websocket URL");
}

static void on_timer(void *ctx)
{
    birdeye_t *b = ctx;
    int64_t now = mono_ns();
    if (!b->conn) {
        connect_now(b);
        return;
    }
    if (!b->open || now - b->heard_ns > SILENCE_MS * MS) {
        lost(b, XE_TIMEOUT);
        return;
    }
    wsc_ping(b->conn);
    ltimer_arm(b->timer, PING_MS);
}

birdeye_t *birdeye_open(loop_t *l, metrics_t *m, wsc_t *w, const char *url, journal_t *journal, birdeye_fn fn, void *ctx)
{
    birdeye_t *b = calloc(1, sizeof *b);
    XASSERT(b != NULL);
    b->wsc = w;
    b->loop = l;
    b->url = strdup(url);
    XASSERT(b->url != NULL);
    b->fn = fn;
    b->ctx = ctx;
    b->timer = ltimer_new(l, on_timer, b);
    b->rec = journal_chan(journal, "birdeye", "birdeye-price");
    b->messages = metrics_ctr(m, "xorj_birdeye_messages_total", NULL, "Messages of the price stream.");
    b->garbled = metrics_ctr(m, "xorj_birdeye_garbled_total", NULL, "Messages refused because their text was wrong.");
    b->reconnects = metrics_ctr(m, "xorj_birdeye_reconnects_total", NULL, "Connections given up or lost.");
    b->up = metrics_gauge(m, "xorj_birdeye_up", NULL, "1 while prices come.");
    ltimer_arm(b->timer, 0);
    return b;
}

void birdeye_drain(birdeye_t *b)
{
    if (!b) return;
    if (b->conn) wsc_shut(b->conn);
    if (b->open) jchan_close(b->rec, xerr_name(XE_CLOSED));
    b->conn = NULL;
    b->open = false;
    ltimer_stop(b->timer);
}

void birdeye_free(birdeye_t *b)
{
    if (!b) return;
    birdeye_drain(b);
    ltimer_free(b->timer);
    free(b->url);
    free(b);
}
