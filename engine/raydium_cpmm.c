#include "engine/raydium_cpmm.h"

#include "engine/bytes.h"

#define RATE_ONE 1000000u
#define DECIMALS_MAX 30

static const uint8_t pool_tag[8] = {0xf7, 0xed, 0xe3, 0xf5, 0xd7, 0xc3, 0xde, 0x46};
static const uint8_t config_tag[8] = {0xda, 0xf4, 0x21, 0x68, 0xcb, 0xcb, 0x2b, 0x6f};

/* ---- accounts ----------------------------------------------------------------------------------------------------- */

/* The ten keys stand one behind the other, in the account as in the struct. */
static void take_keys(const uint8_t *p, ray_cpmm_t *c)
{
    uint8_t *const to[] = {c->config, c->creator, c->vault[0], c->vault[1], c->lp_mint, c->mint[0], c->mint[1],
                           c->program[0], c->program[1], c->observation};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) memcpy(to[i], p + 8 + 32 * i, 32);
}

xerr_t ray_cpmm_decode(const uint8_t *p, size_t n, ray_cpmm_t *out)
{
    if (n != RAY_CPMM_LEN || memcmp(p, pool_tag, sizeof pool_tag) != 0) return XE_BAD_INPUT;
    ray_cpmm_t c = {
        .bump = p[328], .status = p[329], .lp_decimals = p[330], .decimals = {p[331], p[332]}, .lp_supply = get64(p + 333),
        .protocol_fees = {get64(p + 341), get64(p + 349)}, .fund_fees = {get64(p + 357), get64(p + 365)},
        .open_time = get64(p + 373), .epoch = get64(p + 381), .creator_fees = {get64(p + 397), get64(p + 405)},
    };
    if (p[389] > RAY_FEE_TOKEN_1 || p[390] > 1) return XE_BAD_INPUT;
    if (c.decimals[0] > DECIMALS_MAX || c.decimals[1] > DECIMALS_MAX) return XE_BAD_INPUT;
    c.creator_side = (ray_fee_side_t)p[389];
    c.creator_fee = p[390] == 1;
    take_keys(p, &c);
    *out = c;
    return XE_OK;
}

static bool rates_fit(const ray_cpmm_config_t *c)
{
    if (c->trade_rate >= RATE_ONE || c->creator_rate >= RATE_ONE || c->trade_rate + c->creator_rate >= RATE_ONE) return false;
    return c->protocol_rate <= RATE_ONE && c->fund_rate <= RATE_ONE && c->protocol_rate + c->fund_rate <= RATE_ONE;
}

xerr_t ray_cpmm_config_decode(const uint8_t *p, size_t n, ray_cpmm_config_t *out)
{
    if (n != RAY_CPMM_CONFIG_LEN || memcmp(p, config_tag, sizeof config_tag) != 0) return XE_BAD_INPUT;
    ray_cpmm_config_t c = {
        .index = get16(p + 10), .trade_rate = get64(p + 12), .protocol_rate = get64(p + 20), .fund_rate = get64(p + 28),
        .create_fee = get64(p + 36), .creator_rate = get64(p + 108),
    };
    memcpy(c.owner, p + 44, 32);
    memcpy(c.fund_owner, p + 76, 32);
    if (!rates_fit(&c)) return XE_BAD_INPUT;
    *out = c;
    return XE_OK;
}

bool ray_cpmm_trades(const ray_cpmm_t *p, uint64_t now)
{
    return !(p->status & RAY_CPMM_SWAP_OFF) && now > p->open_time;
}

/* ---- quotes ------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t rin, rout;        /* reserves */
    uint64_t trade, creator;   /* rates; creator 0 when the pool has none */
    bool creator_on_input;
    const ray_cpmm_config_t *conf;
} curve_t;

static u128_t ceil_div(u128_t a, u128_t b) { return a / b + (a % b != 0); }

static bool reserve(const ray_cpmm_t *p, const ray_cpmm_ask_t *ask, unsigned i, uint64_t *out)
{
    u128_t owed = (u128_t)p->protocol_fees[i] + p->fund_fees[i] + p->creator_fees[i];
    if (owed > ask->vault[i]) return false;
    *out = ask->vault[i] - (uint64_t)owed;
    return true;
}

static xerr_t curve_of(const ray_cpmm_t *p, const ray_cpmm_config_t *c, const ray_cpmm_ask_t *ask, curve_t *k)
{
    unsigned in = ask->zero_for_one ? 0 : 1;
    if (!rates_fit(c)) return XE_BAD_INPUT;
    *k = (curve_t){.trade = c->trade_rate, .creator = p->creator_fee ? c->creator_rate : 0, .conf = c};
    k->creator_on_input = p->creator_side == RAY_FEE_INPUT || (p->creator_side == RAY_FEE_TOKEN_0) == (in == 0);
    if (!reserve(p, ask, in, &k->rin) || !reserve(p, ask, 1 - in, &k->rout)) return XE_DEPTH;
    return k->rin > 0 && k->rout > 0 ? XE_OK : XE_DEPTH;
}

/* One ceiling over both fees together, then the creator's part of it: two ceilings would be one unit too many. */
static void split_fees(const curve_t *k, uint64_t total, ray_cpmm_quote_t *q)
{
    uint64_t rates = k->trade + k->creator;
    q->creator_fee = rates ? (uint64_t)((u128_t)total * k->creator / rates) : 0;
    q->trade_fee = total - q->creator_fee;
}

static uint64_t input_rate(const curve_t *k)
{
    return k->creator_on_input ? k->trade + k->creator : k->trade;
}

static void charge_input(const curve_t *k, uint64_t total, ray_cpmm_quote_t *q)
{
    if (k->creator_on_input) split_fees(k, total, q);
    else q->trade_fee = total;
}

static xerr_t exact_in(const curve_t *k, uint64_t in, ray_cpmm_quote_t *q)
{
    uint64_t total = (uint64_t)ceil_div((u128_t)in * input_rate(k), RATE_ONE), net = in - total;
    charge_input(k, total, q);
    q->in = in;
    q->out = (uint64_t)((u128_t)net * k->rout / ((u128_t)k->rin + net));
    if (!k->creator_on_input) {
        q->creator_fee = (uint64_t)ceil_div((u128_t)q->out * k->creator, RATE_ONE);
        q->out -= q->creator_fee;
    }
    return XE_OK;
}

static xerr_t exact_out(const curve_t *k, uint64_t want, ray_cpmm_quote_t *q)
{
    u128_t gross = k->creator_on_input ? want : ceil_div((u128_t)want * RATE_ONE, RATE_ONE - k->creator);
    if (gross >= k->rout) return XE_DEPTH;
    u128_t num = (u128_t)k->rin * gross, net = ceil_div(num, k->rout - gross);
    q->dust = num < (k->rout - gross + 1) / 2;
    if (net > UINT64_MAX) return XE_RANGE;
    u128_t in = ceil_div(net * RATE_ONE, RATE_ONE - input_rate(k));
    if (in > UINT64_MAX) return XE_RANGE;
    charge_input(k, (uint64_t)(in - net), q);
    if (!k->creator_on_input) q->creator_fee = (uint64_t)gross - want;
    q->in = (uint64_t)in;
    q->out = want;
    return q->in > 0 ? XE_OK : XE_DEPTH;
}

/* Between what the user names and what the pool sees stand the transfer fees of both tokens. */
static xerr_t through_fees(const curve_t *k, const ray_cpmm_ask_t *ask, ray_cpmm_quote_t *q)
{
    const token_fee_t *fin = ask->fee[ask->zero_for_one ? 0 : 1], *fout = ask->fee[ask->zero_for_one ? 1 : 0];
    uint64_t amount = ask->amount;
    xerr_t err;
    if (ask->exact_in) {
        err = exact_in(k, amount - (fin ? token_fee_of(fin, amount) : 0), q);
        q->in = amount;
        if (fout) q->out -= token_fee_of(fout, q->out);
        return err;
    }
    if (fout && token_gross_of(fout, amount, &amount)) return XE_RANGE;
    err = exact_out(k, amount, q);
    if (!err && fin) err = token_gross_of(fin, q->in, &q->in);
    if (fout) q->out = amount - token_fee_of(fout, amount);
    return err;
}

xerr_t ray_cpmm_quote(const ray_cpmm_t *p, const ray_cpmm_config_t *c, const ray_cpmm_ask_t *ask, ray_cpmm_quote_t *out)
{
    ray_cpmm_quote_t q = {0};
    curve_t k;
    if (ask->amount == 0) return XE_BAD_INPUT;
    xerr_t err = curve_of(p, c, ask, &k);
    if (!err) err = through_fees(&k, ask, &q);
    if (err) return err;
    q.protocol_fee = (uint64_t)((u128_t)q.trade_fee * c->protocol_rate / RATE_ONE);
    q.fund_fee = (uint64_t)((u128_t)q.trade_fee * c->fund_rate / RATE_ONE);
    *out = q;
    return q.out > 0 ? XE_OK : XE_DEPTH;
}
