#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/log.h"
#include "sim/run.h"

static const char help[] =
    "xorj-sim: the venues on loopback, for demonstration and tests\n"
    "\n"
    "  --state DIR      certificates (ca.pem is the authority to trust) and sim.env; made when missing\n"
    "  --tls-port N     wss and https: /coinbase /coinbase-exchange /gemini /gemini-v2 /bitstamp\n"
    "                   /solana (default 0: a free port)\n"
    "  --ctl-port N     plain http: GET /status, POST /fault, POST /market, GET /books/VENUE/MARKET (default 0)\n"
    "  --seed N         the market's seed (default 1)\n"
    "  --rate N         book updates per second and venue, 1 to 2000 (default 15); after --play: lines per second\n"
    "                   of that file, 0 for as fast as the client reads (default 0)\n"
    "  --play FILE      one text message per line, sent to every client that subscribes\n"
    "  --protocol P     of the file: coinbase-advanced, coinbase-exchange, gemini-depth, gemini-v2, bitstamp-diff\n"
    "                   or bitstamp-book\n"
    "  --rest M=FILE    Bitstamp: the REST book of market M while the file is played; may be given several times\n"
    "  --help\n"
    "\n"
    "--play may be given once for each protocol; the other venues show the market.\n";

enum { O_STATE, O_TLS, O_CTL, O_SEED, O_RATE, O_PLAY, O_PROTOCOL, O_REST, O_HELP };

static const struct option options[] = {
    {"state", required_argument, NULL, O_STATE},
    {"tls-port", required_argument, NULL, O_TLS},
    {"ctl-port", required_argument, NULL, O_CTL},
    {"seed", required_argument, NULL, O_SEED},
    {"rate", required_argument, NULL, O_RATE},
    {"play", required_argument, NULL, O_PLAY},
    {"help", no_argument, NULL, O_HELP},
    {"protocol", required_argument, NULL, O_PROTOCOL},
    {"rest", required_argument, NULL, O_REST},
    {NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "xorj-sim: %s%s%s (see --help)\n", what, value ? ": " : "", value ? value : "");
    return 2;
}

static int number(const char *text, unsigned long long lo, unsigned long long hi, unsigned long long *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out >= lo && *out <= hi;
}

static int protocol(run_conf_t *c, const char *name)
{
    static const struct {
        const char *name;
        ep_t ep;
    } known[] = {{"coinbase-advanced", EP_COINBASE}, {"gemini-depth", EP_GEMINI}, {"gemini-v2", EP_GEMINI_V2},
                 {"coinbase-exchange", EP_EXCHANGE}, {"bitstamp-diff", EP_BITSTAMP}, {"bitstamp-book", EP_BITSTAMP}};
    if (!c->plays_n) return usage("--protocol comes after the --play it belongs to", NULL);
    for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            c->play[c->plays_n - 1].ep = known[i].ep;
            return 0;
        }
    }
    return usage("unknown protocol", name);
}

/* 0: go on; else the exit code. */
static int option(run_conf_t *c, int opt, const char *arg)
{
    unsigned long long n = 0;
    switch (opt) {
    case O_STATE: c->state = arg; return 0;
    case O_TLS:
    case O_CTL:
        if (!number(arg, 0, 65535, &n)) return usage("not a port", arg);
        *(opt == O_TLS ? &c->tls_port : &c->ctl_port) = (uint16_t)n;
        return 0;
    case O_SEED:
        if (!number(arg, 0, UINT64_MAX, &n)) return usage("not a seed", arg);
        c->seed = n;
        return 0;
    case O_RATE:
        if (!number(arg, c->plays_n ? 0 : 1, c->plays_n ? 100000 : 2000, &n)) return usage("rate out of range", arg);
        *(c->plays_n ? &c->play[c->plays_n - 1].rate : &c->rate) = (unsigned)n;
        return 0;
    case O_PLAY:
        if (c->plays_n == EP_N) return usage("too many files", arg);
        c->play[c->plays_n].file = arg;
        c->play[c->plays_n].ep = EP_N;
        c->plays_n++;
        return 0;
    case O_PROTOCOL: return protocol(c, arg);
    case O_REST:
        if (!c->plays_n || c->play[c->plays_n - 1].rests_n == RUN_RESTS_MAX) return usage("--rest comes after the --play it belongs to, at most 16", arg);
        c->play[c->plays_n - 1].rest[c->play[c->plays_n - 1].rests_n++] = arg;
        return 0;
    default: return 2; /* getopt has said why */
    }
}

int main(int argc, char **argv)
{
    run_conf_t c = {.seed = 1, .rate = 15};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == O_HELP) return fputs(help, stdout) < 0;
        int rc = option(&c, opt, optarg);
        if (rc) return rc;
    }
    if (optind < argc) return usage("unexpected argument", argv[optind]);
    if (!c.state) return usage("--state is missing", NULL);
    for (unsigned i = 0; i < c.plays_n; i++) {
        if (c.play[i].ep == EP_N) return usage("--protocol is missing for", c.play[i].file);
    }
    log_init(2, LOG_INFO);
    return sim_run(&c);
}
