/* Pools on a constant product: Raydium AMM v4 and CPMM, the Pump.fun curve. */
#include <stdlib.h>

#include "engine/pump.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_cpmm.h"
#include "tests/vec_cmp.h"

#define TIERS_MAX 32

/* ---- AMM v4 ------------------------------------------------------------------------------------------------------- */

/* Nothing comes out of tiny amounts: the numbers stand in the file, and we refuse with them filled in. */
static bool refusal_fits(vec_ctx_t *c, xerr_t err, uint64_t out, vv_t expect)
{
    bool rejected = vv_has(vv_find(expect, "program_rejects")) || out == 0;
    if (rejected) return err == XE_DEPTH || vec_fail(c, "%s though the program refuses", xerr_name(err));
    return !err || vec_fail(c, "%s", xerr_name(err));
}

static bool check_amm(vec_ctx_t *c, vv_t v)
{
    ray_amm_t a = {.fee_num = vv_u64(vv_get(v, "swap_fee_numerator")), .fee_den = vv_u64(vv_get(v, "swap_fee_denominator")),
                   .owed_coin = vv_u64(vv_get(v, "need_take_pnl_coin")), .owed_pc = vv_u64(vv_get(v, "need_take_pnl_pc"))};
    ray_amm_ask_t ask = {.vault_coin = vv_u64(vv_get(v, "vault_coin")), .vault_pc = vv_u64(vv_get(v, "vault_pc")),
                         .amount = vv_u64(vv_get(v, "amount")), .exact_in = vv_bool(vv_get(v, "amount_is_input")),
                         .coin_to_pc = vv_bool(vv_get(v, "coin_to_pc"))};
    ray_amm_quote_t q = {0};
    vv_t e = vv_get(v, "expect");
    xerr_t err = ray_amm_quote(&a, &ask, &q);
    if (vv_has(vv_find(e, "error"))) return err != XE_OK || vec_fail(c, "accepted");
    return refusal_fits(c, err, q.out, e) && same_num(c, "amount_in", q.in, vv_get(e, "amount_in")) &&
           same_num(c, "amount_out", q.out, vv_get(e, "amount_out")) && same_num(c, "fee", q.fee, vv_get(e, "fee"));
}

/* ---- CPMM --------------------------------------------------------------------------------------------------------- */

static void read_pair(vv_t v, const char *key, uint64_t out[2])
{
    vv_t a = vv_find(v, key);
    for (size_t i = 0; i < 2; i++) out[i] = vv_has(a) ? vv_u64(vv_at(a, i)) : 0;
}

static void read_cpmm(vv_t v, ray_cpmm_t *p, ray_cpmm_config_t *f, ray_cpmm_ask_t *ask)
{
    vv_t creator = vv_find(v, "creator_fee_rate");
    *p = (ray_cpmm_t){0};
    read_pair(v, "protocol_fees", p->protocol_fees);
    read_pair(v, "fund_fees", p->fund_fees);
    read_pair(v, "creator_fees", p->creator_fees);
    *f = (ray_cpmm_config_t){.trade_rate = vv_u64(vv_get(v, "trade_fee_rate")), .protocol_rate = vv_u64(vv_get(v, "protocol_fee_rate")),
                             .fund_rate = vv_u64(vv_get(v, "fund_fee_rate"))};
    if (vv_has(creator)) {
        f->creator_rate = vv_u64(creator);
        p->creator_fee = vv_bool(vv_get(v, "enable_creator_fee"));
        p->creator_side = (ray_fee_side_t)vv_u64(vv_get(v, "creator_fee_on"));
    }
    *ask = (ray_cpmm_ask_t){.vault = {vv_u64(vv_get(v, "token_0_vault")), vv_u64(vv_get(v, "token_1_vault"))},
                            .amount = vv_u64(vv_get(v, "amount")), .exact_in = vv_bool(vv_get(v, "amount_is_input")),
                            .zero_for_one = vv_bool(vv_get(v, "zero_for_one"))};
}

static bool check_cpmm(vec_ctx_t *c, vv_t v)
{
    ray_cpmm_t p;
    ray_cpmm_config_t f;
    ray_cpmm_ask_t ask;
    ray_cpmm_quote_t q = {0};
    vv_t e = vv_get(v, "expect");
    read_cpmm(v, &p, &f, &ask);
    xerr_t err = ray_cpmm_quote(&p, &f, &ask, &q);
    if (vv_has(vv_find(e, "error"))) return err != XE_OK || vec_fail(c, "accepted");
    return refusal_fits(c, err, q.out, e) && same_num(c, "amount_in", q.in, vv_get(e, "amount_in")) &&
           same_num(c, "amount_out", q.out, vv_get(e, "amount_out")) && same_num(c, "trade_fee", q.trade_fee, vv_get(e, "trade_fee")) &&
           same_num(c, "creator_fee", q.creator_fee, vv_get(e, "creator_fee")) &&
           same_num(c, "protocol_fee", q.protocol_fee, vv_get(e, "protocol_fee")) && same_num(c, "fund_fee", q.fund_fee, vv_get(e, "fund_fee"));
}

/* Where the account bytes are given, they must say the same as the fields. */
static bool bytes_agree(vec_ctx_t *c, vv_t v, const ray_cpmm_t *p, const ray_cpmm_config_t *f)
{
    vv_t pool = vv_find(v, "pool_b64"), config = vv_find(v, "config_b64");
    ray_cpmm_t bp;
    ray_cpmm_config_t bf;
    size_t n;
    if (vv_has(pool)) {
        uint8_t *b = vv_b64(pool, &n);
        xerr_t err = ray_cpmm_decode(b, n, &bp);
        free(b);
        if (err || memcmp(bp.protocol_fees, p->protocol_fees, 16) || memcmp(bp.fund_fees, p->fund_fees, 16)) return vec_fail(c, "pool bytes");
    }
    if (vv_has(config)) {
        uint8_t *b = vv_b64(config, &n);
        xerr_t err = ray_cpmm_config_decode(b, n, &bf);
        free(b);
        if (err || bf.trade_rate != f->trade_rate || bf.protocol_rate != f->protocol_rate || bf.fund_rate != f->fund_rate)
            return vec_fail(c, "config bytes");
    }
    return true;
}

static bool check_cpmm_onchain(vec_ctx_t *c, vv_t v)
{
    ray_cpmm_t p;
    ray_cpmm_config_t f;
    ray_cpmm_ask_t ask;
    ray_cpmm_quote_t q = {0};
    vv_t e = vv_get(v, "expect");
    read_cpmm(v, &p, &f, &ask);
    if (!bytes_agree(c, v, &p, &f)) return false;
    xerr_t err = ray_cpmm_quote(&p, &f, &ask, &q);
    if (vv_has(vv_find(e, "error_code")) || vv_has(vv_find(e, "error"))) return err != XE_OK || q.dust || vec_fail(c, "accepted");
    if (err) return vec_fail(c, "%s", xerr_name(err));
    if (q.dust) return vec_fail(c, "called dust");
    size_t in = ask.zero_for_one ? 0 : 1;
    vv_t protocol = vv_get(e, "protocol_fee_added"), fund = vv_get(e, "fund_fee_added");
    return same_num(c, "user_paid", q.in, vv_get(e, "user_paid")) && same_num(c, "user_received", q.out, vv_get(e, "user_received")) &&
           same_num(c, "protocol_fee", q.protocol_fee, vv_at(protocol, in)) && same_num(c, "other side", 0, vv_at(protocol, 1 - in)) &&
           same_num(c, "fund_fee", q.fund_fee, vv_at(fund, in)) && same_num(c, "other side", 0, vv_at(fund, 1 - in));
}

/* ---- Pump.fun ----------------------------------------------------------------------------------------------------- */

static bool check_curve_account(vec_ctx_t *c, vv_t v)
{
    pump_curve_t p;
    size_t n;
    uint8_t *b = vv_b64(vv_get(v, "data_b64"), &n);
    xerr_t err = pump_curve_decode(b, n, &p);
    free(b);
    if (vv_has(vv_find(v, "reject"))) return err != XE_OK || vec_fail(c, "accepted");
    if (err) return vec_fail(c, "refused: %s", xerr_name(err));
    vv_t f = vv_get(v, "fields");
    return same_num(c, "virtual_token_reserves", p.virtual_token, vv_get(f, "virtual_token_reserves")) &&
           same_num(c, "virtual_quote_reserves", p.virtual_quote, vv_get(f, "virtual_quote_reserves")) &&
           same_num(c, "real_token_reserves", p.real_token, vv_get(f, "real_token_reserves")) &&
           same_num(c, "real_quote_reserves", p.real_quote, vv_get(f, "real_quote_reserves")) &&
           same_num(c, "token_total_supply", p.supply, vv_get(f, "token_total_supply")) && same_flag(c, "complete", p.complete, vv_get(f, "complete")) &&
           same_key(c, "creator", p.creator, vv_get(f, "creator")) && same_flag(c, "is_mayhem_mode", p.mayhem, vv_get(f, "is_mayhem_mode")) &&
           same_flag(c, "is_cashback_coin", p.cashback, vv_get(f, "is_cashback_coin")) && same_key(c, "quote_mint", p.quote_mint, vv_get(f, "quote_mint")) &&
           same_num(c, "creator_fee_bps", p.creator_bps, vv_get(f, "creator_fee_bps")) &&
           same_flag(c, "is_holder_reward", p.holder_reward, vv_get(f, "is_holder_reward"));
}

static bool read_fees(vec_ctx_t *c, vv_t v, const pump_curve_t *p, pump_fees_t *f)
{
    pump_tier_t tiers[TIERS_MAX];
    size_t n = 0;
    vv_t list = vv_get(v, "fee_tiers"), charged = vv_get(v, "charged");
    if (vv_is_null(list)) {
        *f = (pump_fees_t){vv_u64(vv_get(v, "flat_protocol_fee_bps")), vv_u64(vv_get(v, "flat_creator_fee_bps"))};
    } else {
        for (vv_t t = vv_first(list); vv_has(t) && n < TIERS_MAX; t = vv_next(t))
            tiers[n++] = (pump_tier_t){vv_u128(vv_get(t, "market_cap_from")),
                                       {vv_u64(vv_get(t, "protocol_fee_bps")), vv_u64(vv_get(t, "creator_fee_bps"))}};
        if (pump_fees_at(p, vv_u128(vv_get(v, "market_cap")), tiers, n, f)) return vec_fail(c, "no tier");
    }
    return same_num(c, "protocol_fee_bps", f->protocol_bps, vv_get(charged, "protocol_fee_bps")) &&
           same_num(c, "creator_fee_bps", pump_has_creator(p) ? f->creator_bps : 0, vv_get(charged, "creator_fee_bps"));
}

static bool check_curve_quote(vec_ctx_t *c, vv_t v)
{
    pump_curve_t p = {.virtual_token = vv_u64(vv_get(v, "virtual_token_reserves")), .virtual_quote = vv_u64(vv_get(v, "virtual_quote_reserves")),
                      .real_token = vv_u64(vv_get(v, "real_token_reserves")), .creator = {vv_bool(vv_get(v, "has_creator"))}};
    pump_fees_t f;
    span_t kind = vv_text(vv_get(v, "kind"));
    uint64_t amount = vv_u64(vv_get(v, "amount")), got = 0;
    int64_t net = 0;
    xerr_t err;
    if (!read_fees(c, v, &p, &f)) return false;
    if (span_is(kind, "buy_for_quote")) err = pump_buy_with(&p, &f, amount, &got);
    else if (span_is(kind, "buy_tokens")) err = pump_buy_cost(&p, &f, amount, &got);
    else err = pump_sell(&p, &f, amount, &net);
    if (err) return vec_fail(c, "%s", xerr_name(err));
    if (span_is(kind, "sell_tokens")) return net == vv_i128(vv_get(v, "expect")) || vec_fail(c, "got %lld", (long long)net);
    return same_num(c, "expect", got, vv_get(v, "expect"));
}

const vec_row_t vec_curve_rows[] = {
    {"raydium_ammv4_quotes", check_amm},
    {"raydium_cpmm_quotes", check_cpmm},
    {"raydium_cpmm_onchain", check_cpmm_onchain},
    {"pump_bonding_curve_accounts", check_curve_account},
    {"pump_bonding_curve_quotes", check_curve_quote},
    {NULL, NULL},
};
