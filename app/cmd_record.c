/* `xorj record`: the feeds of the configuration into journals, without database, server or signals. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/insts.h"
#include "app/market.h"
#include "connectors/feeds.h"
#include "reactor/log.h"

enum { FEEDS_MAX = 16, TELL_MS = 10000, PROBE_MS = 20, GRACE_PROBES = 150 };

typedef struct {
    cfg_t cfg;
    loop_t *loop;
    metrics_t *metrics;
    eng_conf_t insts;
    market_io_t io;
    feeds_t *feeds;
    ltimer_t *tell, *end, *probe;
    unsigned probes;
    bool stopping;
} rec_t;

static void ignore(void *ctx, const ev_t *ev)
{
    (void)ctx;
    (void)ev;
}

static void tell(void *ctx)
{
    rec_t *r = ctx;
    feed_health_t h[FEEDS_MAX];
    unsigned n = feeds_health(r->feeds, h, FEEDS_MAX);
    for (unsigned i = 0; i < n; i++)
        log_info("record", h[i].venue, "state=%s messages=%" PRIu64 " bytes=%" PRIu64 " gaps=%" PRIu64 " reconnects=%" PRIu64, h[i].state,
                 h[i].messages, h[i].bytes, h[i].gaps, h[i].reconnects);
    if (!r->stopping) ltimer_arm(r->tell, TELL_MS);
}

static void on_probe(void *ctx)
{
    rec_t *r = ctx;
    journal_flush(r->io.journal);
    bool done = feeds_idle(r->feeds) && journal_idle(r->io.journal);
    if (done || ++r->probes > GRACE_PROBES) loop_stop(r->loop);
    else ltimer_arm(r->probe, PROBE_MS);
}

static void stop(void *ctx)
{
    rec_t *r = ctx;
    if (r->stopping) {
        loop_stop(r->loop);
        return;
    }
    r->stopping = true;
    tell(r);
    feeds_drain(r->feeds);
    ltimer_arm(r->probe, PROBE_MS);
}

static void on_signal(void *ctx, int signo)
{
    (void)signo;
    stop(ctx);
}

static int begin(rec_t *r, const char *dir, int64_t seconds)
{
    const char *why = "";
    log_level_t lv = LOG_INFO;
    log_level_parse(span_of(r->cfg.log_level), &lv);
    log_init(STDERR_FILENO, lv);
    r->metrics = metrics_new();
    r->loop = r->metrics ? loop_new(r->metrics) : NULL;
    if (!r->loop || !market_open(r->loop, r->metrics, &r->cfg, dir, &r->io, &why)) {
        fprintf(stderr, "xorj record: %s: %s\n", dir, r->loop ? why : "out of memory or descriptors");
        return 1;
    }
    feeds_conf_t fc = {.loop = r->loop, .metrics = r->metrics, .cfg = &r->cfg, .insts = &r->insts, .rpc = r->io.rpc, .wsc = r->io.wsc, .http = r->io.httpc, .journal = r->io.journal,
                       .door = {ignore, NULL}};
    r->feeds = feeds_open(&fc);
    r->tell = ltimer_new(r->loop, tell, r);
    r->end = ltimer_new(r->loop, stop, r);
    r->probe = ltimer_new(r->loop, on_probe, r);
    ltimer_arm(r->tell, TELL_MS);
    if (seconds) ltimer_arm(r->end, seconds * 1000);
    loop_on_signal(r->loop, SIGTERM, on_signal, r);
    loop_on_signal(r->loop, SIGINT, on_signal, r);
    log_info("record", "-", "recording into %s", dir);
    return 0;
}

static void finish(rec_t *r)
{
    ltimer_free(r->tell);
    ltimer_free(r->end);
    ltimer_free(r->probe);
    feeds_close(r->feeds);
    market_close(&r->io);
    if (r->loop) loop_end_turn(r->loop);
    if (r->loop) loop_free(r->loop);
    if (r->metrics) metrics_free(r->metrics);
}

static int record(rec_t *r, const char *dir, int64_t seconds)
{
    buf_t errors;
    buf_init(&errors, 65536);
    r->cfg.feeds_enabled = true; /* whoever records wants feeds, whatever a server's configuration says */
    xerr_t err = insts_from_cfg(&r->cfg, &r->insts, &errors);
    if (err) fprintf(stderr, "%.*s", (int)errors.n, errors.p);
    buf_fini(&errors);
    if (err) return 2;
    int rc = begin(r, dir, seconds);
    while (!rc && loop_poll(r->loop, -1)) loop_end_turn(r->loop);
    finish(r);
    return rc;
}

int cmd_record(int argc, char **argv)
{
    static const struct option opts[] = {{"config", required_argument, NULL, 'c'}, {"dir", required_argument, NULL, 'd'},
                                         {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    const char *path = NULL, *dir = NULL;
    int64_t seconds = 0;
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", opts, NULL)) != -1) {
        char none[1] = "", *end = none;
        if (o == 'c') path = optarg;
        else if (o == 'd') dir = optarg;
        else if (o == 's') seconds = strtoll(optarg, &end, 10);
        else return 2;
        if (*end || seconds < 0 || seconds > 31536000) {
            fprintf(stderr, "xorj record: --seconds wants a number of seconds\n");
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "xorj record: unexpected argument '%.64s'\n", argv[optind]);
        return 2;
    }
    rec_t *r = calloc(1, sizeof *r);
    if (!r) return 1;
    int rc = cmd_config(path, &r->cfg);
    if (!rc) rc = record(r, dir ? dir : r->cfg.record_dir, seconds);
    free(r);
    return rc;
}
