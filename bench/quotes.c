/* Quotes per second on one core, one pool of each kind; the pools are those of bench/peers/sdk/quotes.mjs, which must
 * come to the same amounts. Prints one JSON object: nanoseconds a quote and the amount, by kind.
 *   build/bench/quotes [SECONDS each, 1] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/pump.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_clmm_math.h"
#include "engine/whirl_math.h"

#define BATCH 256
#define ONE ((u128_t)1 << 64) /* square-root price 1 */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(bool ok, const char *kind)
{
    if (ok) return;
    fprintf(stderr, "quotes: %s was refused\n", kind);
    exit(1);
}

/* Two ranges around price 1; the amount leaves the inner one. */
static uint64_t whirlpool(uint64_t amount)
{
    static whirl_array_t a[3];
    static whirl_pool_t p;
    whirl_quote_t q;
    if (p.tick_spacing == 0) {
        p = (whirl_pool_t){.tick_spacing = 8, .fee_tier_index = 8, .fee_rate = 3000, .protocol_rate = 1300, .liquidity = 1500000000000, .sqrt_price = ONE};
        a[1].start = -704, a[2].start = -1408;
        a[0].ticks[a[0].n++] = (whirl_tick_t){.index = 504, .net = -1000000000000};
        a[1].ticks[a[1].n++] = (whirl_tick_t){.index = -504, .net = 1000000000000};
        a[2].ticks[a[2].n++] = (whirl_tick_t){.index = -1200, .net = 500000000000};
    }
    whirl_ask_t ask = {.amount = amount, .exact_in = true, .a_to_b = true};
    check(whirl_quote(&p, a, 3, &ask, &q) == XE_OK, "whirlpool");
    return q.out;
}

static uint64_t clmm(uint64_t amount)
{
    static ray_array_t a[2];
    static ray_clmm_t p;
    const ray_clmm_config_t c = {.tick_spacing = 10, .trade_rate = 3000, .protocol_rate = 120000, .fund_rate = 40000};
    ray_clmm_quote_t q;
    if (p.tick_spacing == 0) {
        p = (ray_clmm_t){.tick_spacing = 10, .liquidity = 1500000000000, .sqrt_price = ONE};
        p.bits[7] = 3ull << 62; /* arrays -1 and -2 */
        a[0].start = -600, a[1].start = -1200;
        a[0].ticks[a[0].n++] = (ray_tick_t){.index = -500, .net = 1000000000000, .gross = 1000000000000};
        a[1].ticks[a[1].n++] = (ray_tick_t){.index = -1200, .net = 500000000000, .gross = 500000000000};
    }
    ray_clmm_ask_t ask = {.amount = amount, .exact_in = true, .zero_for_one = true};
    check(ray_clmm_quote(&p, &c, a, 2, &ask, &q) == XE_OK, "raydium_clmm");
    return q.out;
}

static uint64_t cpmm(uint64_t amount)
{
    const ray_cpmm_t p = {.creator_fee = false};
    const ray_cpmm_config_t c = {.trade_rate = 2500, .protocol_rate = 120000, .fund_rate = 40000};
    ray_cpmm_ask_t ask = {.vault = {1000000000000, 2000000000000}, .amount = amount, .exact_in = true, .zero_for_one = true};
    ray_cpmm_quote_t q;
    check(ray_cpmm_quote(&p, &c, &ask, &q) == XE_OK, "raydium_cpmm");
    return q.out;
}

static uint64_t amm(uint64_t amount)
{
    const ray_amm_t p = {.fee_num = 25, .fee_den = 10000};
    ray_amm_ask_t ask = {.vault_coin = 1000000000000, .vault_pc = 2000000000000, .amount = amount, .exact_in = true, .coin_to_pc = true};
    ray_amm_quote_t q;
    check(ray_amm_quote(&p, &ask, &q) == XE_OK, "raydium_amm");
    return q.out;
}

static uint64_t pump(uint64_t amount)
{
    const pump_curve_t c = {.virtual_token = 1073000000000000, .virtual_quote = 30000000000, .real_token = 793100000000000, .supply = 1000000000000000};
    const pump_fees_t f = {95, 30};
    uint64_t out;
    check(pump_buy_with(&c, &f, amount, &out) == XE_OK, "pump");
    return out;
}

static const struct { const char *kind; uint64_t (*quote)(uint64_t amount); uint64_t amount; } rows[] = {
    {"whirlpool", whirlpool, 45000000000}, {"raydium_clmm", clmm, 45000000000}, {"raydium_cpmm", cpmm, 45000000000},
    {"raydium_amm", amm, 45000000000}, {"pump", pump, 1000000000},
};

int main(int argc, char **argv)
{
    double limit = argc > 1 ? strtod(argv[1], NULL) : 1;
    volatile uint64_t sink = 0;
    putchar('{');
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        unsigned long long n = 0;
        double t0 = seconds(), t = 0;
        do {
            for (unsigned i = 0; i < BATCH; i++) sink += rows[r].quote(rows[r].amount + (n + i) % 1000);
            n += BATCH;
            t = seconds() - t0;
        } while (t < limit);
        printf("%s\"%s\":{\"ns\":%.1f,\"out\":\"%llu\"}", r ? "," : "", rows[r].kind, t / (double)n * 1e9,
               (unsigned long long)rows[r].quote(rows[r].amount));
    }
    puts("}");
    return 0;
}
