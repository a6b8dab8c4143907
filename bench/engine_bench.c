/* Levels per second on one core, from venue text to evaluated signal: frames decoded, books changed, opportunities priced.
 *
 *   build/bench/engine_bench [FILE.jsonl]
 *
 * FILE is a recording of Coinbase Advanced Trade (level2). Without it, and without ../shared, a synthetic stream of the
 * same form is made. The whole stream is played several times; the best and the median round are printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "connectors/venue.h"
#include "engine/engine.h"

#define RECORDING "../shared/venues/recordings/coinbase/advanced_2026-08-09.jsonl"
#define ROUNDS 7
#define POOL_TICK (-18972)

typedef struct { buf_t text; size_t *line; size_t lines; } stream_t;
typedef struct { engine_t *e; eff_list_t out; uint64_t levels, messages; int64_t now_ns; double worst; } sink_t;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t no_clock(void) { return 0; }

static void count_only(void *ctx, const ev_t *ev)
{
    sink_t *s = ctx;
    if (ev->kind == EV_BOOK_LEVELS) s->levels += ev->u.levels.n;
}

static void into_engine(void *ctx, const ev_t *ev)
{
    sink_t *s = ctx;
    if (ev->kind == EV_BOOK_LEVELS) s->levels += ev->u.levels.n;
    if (ev->kind == EV_BOOK_END) s->messages++;
    eng_step(s->e, ev, &s->out);
}

/* ---- the stream --------------------------------------------------------------------------------------------------- */

static bool load(const char *path, buf_t *text)
{
    FILE *f = fopen(path, "rb");
    char chunk[65536];
    size_t n;
    if (!f) return false;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) buf_add(text, chunk, n);
    fclose(f);
    return !text->failed && text->n > 0;
}

static uint64_t rng = 88172645463325252u;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void add_rows(buf_t *b, unsigned n, bool snapshot)
{
    for (unsigned i = 0; i < n; i++) {
        bool bid = snapshot ? i < n / 2 : (next() & 1) != 0;
        unsigned off = snapshot ? i % (n / 2) : (unsigned)(next() % 300);
        unsigned cents = bid ? 6508366 - off : 6508367 + off;
        bool gone = !snapshot && next() % 3 == 0;
        buf_fmt(b, "%s{\"side\":\"%s\",\"event_time\":\"2026-01-01T00:00:00Z\",\"price_level\":\"%u.%02u\",\"new_quantity\":\"%s%u\"}",
                i ? "," : "", bid ? "bid" : "offer", cents / 100, cents % 100, gone ? "0." : "0.1", gone ? 0 : (unsigned)(next() % 1000000));
    }
}

static void synthesise(buf_t *b)
{
    for (unsigned seq = 0; seq < 600; seq++) {
        buf_fmt(b, "{\"channel\":\"l2_data\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"sequence_num\":%u,\"events\":[{\"type\":\"%s\","
                "\"product_id\":\"BTC-USD\",\"updates\":[", seq, seq ? "update" : "snapshot");
        add_rows(b, seq ? 100 : 40000, seq == 0);
        buf_str(b, "]}]}\n");
    }
}

static void split(stream_t *s)
{
    size_t cap = 1024;
    s->line = malloc(cap * sizeof *s->line);
    for (size_t at = 0; s->line && at < s->text.n;) {
        if (s->lines + 2 > cap) s->line = realloc(s->line, (cap *= 2) * sizeof *s->line);
        if (!s->line) break;
        s->line[s->lines++] = at;
        char *end = memchr(s->text.p + at, '\n', s->text.n - at);
        at = end ? (size_t)(end - s->text.p) + 1 : s->text.n;
        s->line[s->lines] = at;
    }
    if (!s->line) exit(1);
}

/* ---- rounds ------------------------------------------------------------------------------------------------------- */

/* A pool and a basis beside the books, so that every book message is priced both ways. */
static void set_stage(sink_t *s)
{
    whirl_pool_t p = {.tick_spacing = 4, .fee_tier_index = 4, .fee_rate = 400, .protocol_rate = 1300, .liquidity = (u128_t)1 << 50, .tick = POOL_TICK};
    if (whirl_sqrt_of_tick(POOL_TICK, &p.sqrt_price)) exit(1);
    for (int k = -3; k <= 3; k++) {
        whirl_array_t a = {.start = whirl_array_start(POOL_TICK, 4) + k * 352};
        ev_t ev = {.kind = EV_POOL_ARRAY, .venue = VENUE_ORCA, .inst = 2, .recv_ns = 1, .u.array = {&a, 1}};
        into_engine(s, &ev);
    }
    ev_t pool = {.kind = EV_POOL, .venue = VENUE_ORCA, .inst = 2, .recv_ns = 1, .u.pool = {&p, 1}};
    into_engine(s, &pool);
    chg_t c[2] = {{SIDE_BID, {{DEC_SCALE}, {(i128_t)100000000 * DEC_SCALE}}}, {SIDE_ASK, {{DEC_SCALE + 1000}, {(i128_t)100000000 * DEC_SCALE}}}};
    ev_t ev = {.kind = EV_BOOK_BEGIN, .venue = VENUE_GEMINI, .inst = 3, .recv_ns = 1, .u.begin.snapshot = true};
    into_engine(s, &ev);
    ev = (ev_t){.kind = EV_BOOK_LEVELS, .venue = VENUE_GEMINI, .inst = 3, .recv_ns = 1, .u.levels = {c, 2}};
    into_engine(s, &ev);
    ev = (ev_t){.kind = EV_BOOK_END, .venue = VENUE_GEMINI, .inst = 3, .recv_ns = 1};
    into_engine(s, &ev);
    s->levels = s->messages = 0;
}

static engine_t *make_engine(void)
{
    static const eng_conf_t conf = {
        .insts_n = 4, .pairs_n = 1,
        .insts = {{.venue = VENUE_COINBASE, .kind = INST_SPOT, .market = "BTC-USD", .pair = 0, .taker_bps_x100 = 9000},
                  {.venue = VENUE_COINBASE, .kind = INST_SPOT, .market = "ETH-USD", .pair = 0, .taker_bps_x100 = 9000},
                  {.venue = VENUE_ORCA, .kind = INST_POOL, .market = "pool", .pair = 0},
                  {.venue = VENUE_GEMINI, .kind = INST_BASIS, .market = "usdcusd", .pair = -1}},
        .pairs = {{.name = "BENCH", .base_decimals = 9, .quote_decimals = 6}},
        .book_levels = 65536, .stale_ms = INT32_MAX, .basis_stale_ms = INT32_MAX, .pool_stale_ms = INT32_MAX,
        .min_net_bps_x100 = -1000000000, /* nothing is hopeless: every size is priced */
        .size_min = {100000000}, .size_max = {1000000000}, .size_steps = 8, .network_fee = {10000},
    };
    engine_t *e = eng_new(&conf);
    if (!e) exit(1);
    return e;
}

/* One pass; seconds taken. */
static double play(const stream_t *s, sink_t *sink, bool engine)
{
    vp_t *vp = vp_new(&venue_coinbase, (door_t){engine ? into_engine : count_only, sink}, no_clock);
    if (!vp || vp_market_add(vp, "BTC-USD", 0) || vp_market_add(vp, "ETH-USD", 1)) exit(1);
    double t0 = seconds();
    for (size_t i = 0; i < s->lines; i++) {
        size_t n = s->line[i + 1] - s->line[i];
        if (n && s->text.p[s->line[i] + n - 1] == '\n') n--;
        vp_frame(vp, span_make(s->text.p + s->line[i], n), ++sink->now_ns, 1790000000000000);
        (void)vp_run(vp, 0);
    }
    double t = seconds() - t0;
    vp_free(vp);
    return t;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const stream_t *s, bool engine)
{
    double t[ROUNDS];
    sink_t sink = {.now_ns = 10};
    uint64_t before = 0;
    if (engine) {
        sink.e = make_engine();
        set_stage(&sink);
        before = eng_evaluations(sink.e);
    }
    for (int i = 0; i < ROUNDS; i++) t[i] = play(s, &sink, engine);
    qsort(t, ROUNDS, sizeof *t, by_size);
    double levels = (double)sink.levels / ROUNDS;
    printf("%-28s %8.0f levels  median %6.2f M levels/s  best %6.2f M levels/s  %6.0f MB/s", engine ? "decode, apply, evaluate" : "decode",
           levels, levels / t[ROUNDS / 2] * 1e-6, levels / t[0] * 1e-6, (double)s->text.n / t[ROUNDS / 2] * 1e-6);
    if (engine) printf("  %llu evaluations a round", (unsigned long long)(eng_evaluations(sink.e) - before) / ROUNDS);
    putchar('\n');
    eng_free(sink.e);
}

int main(int argc, char **argv)
{
    stream_t s = {.lines = 0};
    buf_init(&s.text, (size_t)1 << 30);
    const char *path = argc > 1 ? argv[1] : RECORDING;
    if (load(path, &s.text)) {
        printf("stream: recorded, %zu bytes\n", s.text.n);
    } else if (argc > 1) {
        fprintf(stderr, "engine_bench: cannot read %s\n", path);
        return 1;
    } else {
        synthesise(&s.text);
        printf("stream: synthetic, %zu bytes\n", s.text.n);
    }
    split(&s);
    measure(&s, false);
    measure(&s, true);
    free(s.line);
    buf_fini(&s.text);
    return 0;
}
