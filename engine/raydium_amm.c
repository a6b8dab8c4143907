#include "engine/raydium_amm.h"

#include "engine/bytes.h"

#define STATUS_MAX 7
#define DECIMALS_MAX 30

static const struct { uint16_t at; size_t to; } keys[] = {
    {336, offsetof(ray_amm_t, coin_vault)}, {368, offsetof(ray_amm_t, pc_vault)}, {400, offsetof(ray_amm_t, coin_mint)},
    {432, offsetof(ray_amm_t, pc_mint)}, {464, offsetof(ray_amm_t, lp_mint)}, {496, offsetof(ray_amm_t, open_orders)},
    {528, offsetof(ray_amm_t, market)}, {560, offsetof(ray_amm_t, market_program)}, {592, offsetof(ray_amm_t, target_orders)},
    {688, offsetof(ray_amm_t, owner)},
};

xerr_t ray_amm_decode(const uint8_t *p, size_t n, ray_amm_t *out)
{
    if (n != RAY_AMM_LEN) return XE_BAD_INPUT;
    ray_amm_t a = {
        .status = get64(p), .nonce = get64(p + 8), .coin_decimals = get64(p + 32), .pc_decimals = get64(p + 40),
        .fee_num = get64(p + 176), .fee_den = get64(p + 184), .owed_coin = get64(p + 192), .owed_pc = get64(p + 200),
        .open_time = get64(p + 224), .lp_amount = get64(p + 720),
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) memcpy((uint8_t *)&a + keys[i].to, p + keys[i].at, 32);
    if (a.status > STATUS_MAX || a.nonce > UINT8_MAX || a.coin_decimals > DECIMALS_MAX || a.pc_decimals > DECIMALS_MAX) return XE_BAD_INPUT;
    if (a.fee_den == 0 || a.fee_num >= a.fee_den) return XE_BAD_INPUT;
    *out = a;
    return XE_OK;
}

bool ray_amm_trades(const ray_amm_t *a, uint64_t now)
{
    return a->status == 1 || a->status == 6 || (a->status == 7 && now >= a->open_time);
}

static u128_t ceil_div(u128_t a, u128_t b) { return a / b + (a % b != 0); }

/* rin and rout are the reserves of the side that grows and the one that shrinks; both sums stay under 2^65. */
static xerr_t exact_in(const ray_amm_t *a, uint64_t in, uint64_t rin, uint64_t rout, ray_amm_quote_t *q)
{
    u128_t fee = ceil_div((u128_t)in * a->fee_num, a->fee_den);
    uint64_t net = in - (uint64_t)fee;
    *q = (ray_amm_quote_t){.in = in, .fee = (uint64_t)fee, .out = (uint64_t)((u128_t)net * rout / ((u128_t)rin + net))};
    return q->out > 0 ? XE_OK : XE_DEPTH;
}

static xerr_t exact_out(const ray_amm_t *a, uint64_t want, uint64_t rin, uint64_t rout, ray_amm_quote_t *q)
{
    if (want >= rout) return XE_DEPTH;
    u128_t before = ceil_div((u128_t)rin * want, rout - want);
    if (before > UINT64_MAX) return XE_RANGE;
    u128_t in = ceil_div(before * a->fee_den, a->fee_den - a->fee_num);
    if (in > UINT64_MAX) return XE_RANGE;
    *q = (ray_amm_quote_t){.in = (uint64_t)in, .out = want, .fee = (uint64_t)(in - before)};
    return XE_OK;
}

xerr_t ray_amm_quote(const ray_amm_t *a, const ray_amm_ask_t *ask, ray_amm_quote_t *out)
{
    if (ask->amount == 0 || a->fee_den == 0 || a->fee_num >= a->fee_den) return XE_BAD_INPUT;
    if (a->owed_coin > ask->vault_coin || a->owed_pc > ask->vault_pc) return XE_DEPTH;
    uint64_t coin = ask->vault_coin - a->owed_coin, pc = ask->vault_pc - a->owed_pc;
    uint64_t rin = ask->coin_to_pc ? coin : pc, rout = ask->coin_to_pc ? pc : coin;
    if (rin == 0 || rout == 0) return XE_DEPTH;
    return ask->exact_in ? exact_in(a, ask->amount, rin, rout, out) : exact_out(a, ask->amount, rin, rout, out);
}
