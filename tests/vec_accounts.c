/* Account bytes to fields: tokens with their extensions, lookup tables, nonces, the Raydium layouts; transfer fees. */
#include <stdlib.h>
#include <string.h>

#include "engine/bytes.h"
#include "engine/raydium_amm.h"
#include "engine/raydium_clmm.h"
#include "engine/token.h"
#include "tests/vec_cmp.h"

static bool same_opt_key(vec_ctx_t *c, const char *what, const opt_key_t *got, vv_t want)
{
    if (vv_is_null(want)) return !got->set || vec_fail(c, "%s is set", what);
    return got->set ? same_key(c, what, got->key, want) : vec_fail(c, "%s is not set", what);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

static bool same_token_account(vec_ctx_t *c, const token_account_t *a, vv_t f)
{
    static const char *const states[] = {"uninitialized", "initialized", "frozen"};
    vv_t native = vv_get(f, "is_native");
    if (vv_is_null(native) == a->native) return vec_fail(c, "is_native");
    if (a->native && !same_num(c, "is_native", a->rent_reserve, native)) return false;
    return same_key(c, "mint", a->mint, vv_get(f, "mint")) && same_key(c, "owner", a->owner, vv_get(f, "owner")) &&
           same_num(c, "amount", a->amount, vv_get(f, "amount")) && same_opt_key(c, "delegate", &a->delegate, vv_get(f, "delegate")) &&
           (span_is(vv_text(vv_get(f, "state")), states[a->state]) || vec_fail(c, "state")) &&
           same_num(c, "delegated_amount", a->delegated, vv_get(f, "delegated_amount")) &&
           same_opt_key(c, "close_authority", &a->close_authority, vv_get(f, "close_authority"));
}

static bool same_mint(vec_ctx_t *c, const token_mint_t *m, vv_t f)
{
    return same_opt_key(c, "mint_authority", &m->authority, vv_get(f, "mint_authority")) && same_num(c, "supply", m->supply, vv_get(f, "supply")) &&
           same_num(c, "decimals", m->decimals, vv_get(f, "decimals")) && same_flag(c, "is_initialized", m->initialised, vv_get(f, "is_initialized")) &&
           same_opt_key(c, "freeze_authority", &m->freeze_authority, vv_get(f, "freeze_authority"));
}

static bool same_fee(vec_ctx_t *c, const token_fee_t *got, vv_t want)
{
    return same_num(c, "epoch", got->epoch, vv_get(want, "epoch")) && same_num(c, "maximum_fee", got->max, vv_get(want, "maximum_fee")) &&
           same_num(c, "basis_points", got->bps, vv_get(want, "basis_points"));
}

static bool same_mint_extensions(vec_ctx_t *c, const token_mint_t *m, vv_t x)
{
    vv_t fee = vv_find(x, "transfer_fee_config"), state = vv_find(x, "default_account_state");
    if (vv_has(fee) != m->has_fee || vv_has(vv_find(x, "transfer_hook")) < m->hooked) return vec_fail(c, "extensions");
    if (vv_has(vv_find(x, "non_transferable")) != m->non_transferable) return vec_fail(c, "non_transferable");
    if (vv_has(state) && !same_num(c, "default_account_state", m->default_state, state)) return false;
    return !vv_has(fee) || (same_fee(c, &m->older, vv_get(fee, "older")) && same_fee(c, &m->newer, vv_get(fee, "newer")) &&
                            same_num(c, "withheld_amount", m->fee_withheld, vv_get(fee, "withheld_amount")));
}

/* The kinds in the order of the bytes. */
static bool same_kinds(vec_ctx_t *c, const uint8_t *p, size_t n, vv_t want)
{
    token_ext_t x;
    size_t at = 0, i = 0;
    for (; token_ext_next(p, n, &at, &x); i++)
        if (i >= vv_len(want) || x.kind != vv_u64(vv_at(want, i))) return vec_fail(c, "extension %u", x.kind);
    return i == vv_len(want) || vec_fail(c, "%zu extensions", i);
}

/* Keys that an extension holds are read through the walk. */
static bool same_ext_keys(vec_ctx_t *c, const uint8_t *p, size_t n, vv_t x)
{
    static const struct { const char *name; token_ext_kind_t kind; const char *part; size_t at; } keys[] = {
        {"mint_close_authority", EXT_MINT_CLOSE_AUTHORITY, NULL, 0}, {"permanent_delegate", EXT_PERMANENT_DELEGATE, NULL, 0},
        {"transfer_hook", EXT_TRANSFER_HOOK, "authority", 0}, {"transfer_hook", EXT_TRANSFER_HOOK, "program", 32},
        {"metadata_pointer", EXT_METADATA_POINTER, "authority", 0}, {"metadata_pointer", EXT_METADATA_POINTER, "address", 32},
        {"interest_bearing", EXT_INTEREST_BEARING, "rate_authority", 0},
    };
    token_ext_t e;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        vv_t want = vv_find(x, keys[i].name);
        if (!vv_has(want)) continue;
        if (keys[i].part) want = vv_get(want, keys[i].part);
        if (!token_ext_find(p, n, keys[i].kind, &e) || e.n < keys[i].at + 32) return vec_fail(c, "%s is missing", keys[i].name);
        if (!vv_is_null(want) && !same_key(c, keys[i].name, e.value + keys[i].at, want)) return false;
    }
    return true;
}

static bool check_mint(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n)
{
    token_mint_t m;
    vv_t x = vv_find(v, "extensions"), kinds = vv_find(v, "extension_types");
    if (token_mint_decode(p, n, &m)) return vec_fail(c, "refused");
    if (!same_mint(c, &m, vv_get(v, "fields"))) return false;
    if (vv_has(kinds) && !same_kinds(c, p, n, kinds)) return false;
    return !vv_has(x) || (same_mint_extensions(c, &m, x) && same_ext_keys(c, p, n, x));
}

static bool check_token_account(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n)
{
    token_account_t a;
    token_ext_t e;
    vv_t x = vv_find(v, "extensions");
    if (token_account_decode(p, n, &a)) return vec_fail(c, "refused");
    if (!same_token_account(c, &a, vv_get(v, "fields"))) return false;
    if (!vv_has(x)) return true;
    vv_t withheld = vv_find(x, "transfer_fee_withheld"), memo = vv_find(x, "memo_required"), guard = vv_find(x, "cpi_guard");
    if (vv_has(withheld) && !same_num(c, "transfer_fee_withheld", a.fee_withheld, withheld)) return false;
    if (vv_has(memo) && !same_flag(c, "memo_required", a.memo_required, memo)) return false;
    if (vv_has(guard) && !same_flag(c, "cpi_guard", a.cpi_guard, guard)) return false;
    return vv_has(vv_find(x, "immutable_owner")) == token_ext_find(p, n, EXT_IMMUTABLE_OWNER, &e) || vec_fail(c, "immutable_owner");
}

static bool check_lookup_table(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n)
{
    lookup_table_t t;
    unsigned i = 0;
    vv_t f = vv_get(v, "fields"), keys = vv_get(f, "addresses");
    if (lookup_table_decode(p, n, &t)) return vec_fail(c, "refused");
    if (t.n != vv_len(keys)) return vec_fail(c, "%u addresses", t.n);
    for (vv_t k = vv_first(keys); vv_has(k); k = vv_next(k), i++)
        if (!same_key(c, "address", t.keys + 32 * (size_t)i, k)) return false;
    return same_num(c, "deactivation_slot", t.closed_at, vv_get(f, "deactivation_slot")) &&
           same_num(c, "last_extended_slot", t.extended_at, vv_get(f, "last_extended_slot")) &&
           same_num(c, "last_extended_start_index", t.extended_from, vv_get(f, "last_extended_start_index")) &&
           same_opt_key(c, "authority", &t.authority, vv_get(f, "authority"));
}

static bool check_nonce(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n)
{
    nonce_account_t a;
    vv_t f = vv_get(v, "fields");
    if (nonce_decode(p, n, &a)) return vec_fail(c, "refused");
    return same_key(c, "authority", a.authority, vv_get(f, "authority")) && same_key(c, "nonce", a.nonce, vv_get(f, "nonce")) &&
           same_num(c, "lamports_per_signature", a.lamports_per_signature, vv_get(f, "lamports_per_signature"));
}

typedef struct { const char *kind; bool (*check)(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n); } kind_row_t;

static bool check_bytes(vec_ctx_t *c, vv_t v, const kind_row_t *rows, size_t rows_n)
{
    span_t kind = vv_text(vv_get(v, "kind"));
    for (size_t i = 0; i < rows_n; i++) {
        if (!span_is(kind, rows[i].kind)) continue;
        size_t n;
        uint8_t *p = vv_b64(vv_get(v, "data_b64"), &n);
        bool ok = rows[i].check(c, v, p, n);
        free(p);
        return ok;
    }
    return vec_fail(c, "unknown kind %.*s", (int)kind.n, kind.p);
}

static bool check_token_bytes(vec_ctx_t *c, vv_t v)
{
    static const kind_row_t rows[] = {
        {"token_account", check_token_account}, {"token2022_account", check_token_account}, {"mint", check_mint},
        {"token2022_mint", check_mint}, {"address_lookup_table", check_lookup_table}, {"nonce_account", check_nonce},
    };
    return check_bytes(c, v, rows, sizeof rows / sizeof *rows);
}

static bool check_transfer_fee(vec_ctx_t *c, vv_t v)
{
    token_fee_t f = {.bps = (uint16_t)vv_u64(vv_get(v, "basis_points")), .max = vv_u64(vv_get(v, "maximum_fee"))};
    uint64_t amount = vv_u64(vv_get(v, "amount")), fee = token_fee_of(&f, amount), gross = 0;
    vv_t send = vv_get(v, "send_to_receive_amount");
    xerr_t err = token_gross_of(&f, amount, &gross);
    if (!same_num(c, "fee", fee, vv_get(v, "fee")) || !same_num(c, "received", amount - fee, vv_get(v, "received"))) return false;
    if (vv_is_null(send)) return err != XE_OK || vec_fail(c, "send_to_receive_amount accepted");
    return err ? vec_fail(c, "send_to_receive_amount refused") : same_num(c, "send_to_receive_amount", gross, send);
}

/* ---- Raydium ------------------------------------------------------------------------------------------------------ */

static bool check_amm(vec_ctx_t *c, vv_t v, const uint8_t *p, size_t n)
{
    ray_amm_t a;
    vv_t f = vv_get(v, "fields");
    if (ray_amm_decode(p, n, &a)) return vec_fail(c, "refused");
    return same_num(c, "status", a.status, vv_get(f, "status")) && same_num(c, "nonce", a.nonce, vv_get(f, "nonce")) &&
           same_num(c, "coin_decimals", a.coin_decimals, vv_get(f, "coin_decimals")) &&
           same_num(c, "pc_decimals", a.pc_decimals, vv_get(f, "pc_decimals")) &&
           same_num(c, "swap_fee_numerator", a.fee_num, vv_get(f, "swap_fee_numerator")) &&
           same_num(c, "swap_fee_denominator", a.fee_den, vv_get(f, "swap_fee_denominator")) &&
           same_num(c, "need_take_pnl_coin", a.owed_coin, vv_get(f, "need_take_pnl_coin")) &&
           same_num(c, "need_take_pnl_pc", a.owed_pc, vv_get(f, "need_take_pnl_pc")) &&
           same_num(c, "pool_open_time", a.open_time, vv_get(f, "pool_open_time")) && same_num(c, "lp_amount", a.lp_amount, vv_get(f, "lp_amount")) &&
           same_key(c, "coin_vault", a.coin_vault, vv_get(f, "coin_vault")) && same_key(c, "pc_vault", a.pc_vault, vv_get(f, "pc_vault")) &&
           same_key(c, "coin_mint", a.coin_mint, vv_get(f, "coin_mint")) && same_key(c, "pc_mint", a.pc_mint, vv_get(f, "pc_mint")) &&
           same_key(c, "lp_mint", a.lp_mint, vv_get(f, "lp_mint")) && same_key(c, "open_orders", a.open_orders, vv_get(f, "open_orders")) &&
           same_key(c, "market", a.market, vv_get(f, "market")) && same_key(c, "market_program", a.market_program, vv_get(f, "market_program")) &&
           same_key(c, "target_orders", a.target_orders, vv_get(f, "target_orders")) && same_key(c, "owner", a.owner, vv_get(f, "owner"));
}

static bool same_pair(vec_ctx_t *c, const char *what, const uint64_t got[2], vv_t want)
{
    return same_num(c, what, got[0], vv_at(want, 0)) && same_num(c, what, got[1], vv_at(want, 1));
}

static bool same_cpmm_keys(vec_ctx_t *c, const ray_cpmm_t *p, vv_t f)
{
    return same_key(c, "amm_config", p->config, vv_get(f, "amm_config")) && same_key(c, "pool_creator", p->creator, vv_get(f, "pool_creator")) &&
           same_key(c, "token_0_vault", p->vault[0], vv_get(f, "token_0_vault")) && same_key(c, "token_1_vault", p->vault[1], vv_get(f, "token_1_vault")) &&
           same_key(c, "lp_mint", p->lp_mint, vv_get(f, "lp_mint")) && same_key(c, "token_0_mint", p->mint[0], vv_get(f, "token_0_mint")) &&
           same_key(c, "token_1_mint", p->mint[1], vv_get(f, "token_1_mint")) && same_key(c, "token_0_program", p->program[0], vv_get(f, "token_0_program")) &&
           same_key(c, "token_1_program", p->program[1], vv_get(f, "token_1_program")) && same_key(c, "observation", p->observation, vv_get(f, "observation"));
}

static bool check_cpmm(vec_ctx_t *c, vv_t v, const uint8_t *b, size_t n)
{
    ray_cpmm_t p;
    vv_t f = vv_get(v, "fields");
    if (ray_cpmm_decode(b, n, &p)) return vec_fail(c, "refused");
    return same_cpmm_keys(c, &p, f) && same_num(c, "auth_bump", p.bump, vv_get(f, "auth_bump")) && same_num(c, "status", p.status, vv_get(f, "status")) &&
           same_flag(c, "swap_enabled", ray_cpmm_trades(&p, UINT64_MAX), vv_get(f, "swap_enabled")) &&
           same_num(c, "mint_0_decimals", p.decimals[0], vv_get(f, "mint_0_decimals")) &&
           same_num(c, "mint_1_decimals", p.decimals[1], vv_get(f, "mint_1_decimals")) && same_num(c, "lp_supply", p.lp_supply, vv_get(f, "lp_supply")) &&
           same_pair(c, "protocol_fees", p.protocol_fees, vv_get(f, "protocol_fees")) && same_pair(c, "fund_fees", p.fund_fees, vv_get(f, "fund_fees")) &&
           same_pair(c, "creator_fees", p.creator_fees, vv_get(f, "creator_fees")) && same_num(c, "open_time", p.open_time, vv_get(f, "open_time")) &&
           same_num(c, "recent_epoch", p.epoch, vv_get(f, "recent_epoch")) && same_num(c, "creator_fee_on", p.creator_side, vv_get(f, "creator_fee_on")) &&
           same_flag(c, "enable_creator_fee", p.creator_fee, vv_get(f, "enable_creator_fee"));
}

static bool check_cpmm_config(vec_ctx_t *c, vv_t v, const uint8_t *b, size_t n)
{
    ray_cpmm_config_t k;
    vv_t f = vv_get(v, "fields");
    if (ray_cpmm_config_decode(b, n, &k)) return vec_fail(c, "refused");
    return same_num(c, "index", k.index, vv_get(f, "index")) && same_num(c, "trade_fee_rate", k.trade_rate, vv_get(f, "trade_fee_rate")) &&
           same_num(c, "protocol_fee_rate", k.protocol_rate, vv_get(f, "protocol_fee_rate")) &&
           same_num(c, "fund_fee_rate", k.fund_rate, vv_get(f, "fund_fee_rate")) && same_num(c, "create_pool_fee", k.create_fee, vv_get(f, "create_pool_fee")) &&
           same_key(c, "protocol_owner", k.owner, vv_get(f, "protocol_owner")) && same_key(c, "fund_owner", k.fund_owner, vv_get(f, "fund_owner")) &&
           same_num(c, "creator_fee_rate", k.creator_rate, vv_get(f, "creator_fee_rate"));
}

static bool same_dynfee(vec_ctx_t *c, const ray_clmm_t *p, vv_t f)
{
    const ray_dynfee_t *d = &p->dynfee;
    if (vv_is_null(f) || !p->dynamic) return vv_is_null(f) != p->dynamic || vec_fail(c, "dynamic_fee");
    return same_num(c, "filter_period", d->filter_period, vv_get(f, "filter_period")) && same_num(c, "decay_period", d->decay_period, vv_get(f, "decay_period")) &&
           same_num(c, "reduction_factor", d->reduction, vv_get(f, "reduction_factor")) &&
           same_num(c, "dynamic_fee_control", d->control, vv_get(f, "dynamic_fee_control")) &&
           same_num(c, "max_volatility_accumulator", d->volatility_max, vv_get(f, "max_volatility_accumulator")) &&
           same_i32(c, "tick_spacing_index_reference", d->group_reference, vv_get(f, "tick_spacing_index_reference")) &&
           same_num(c, "volatility_reference", d->volatility_reference, vv_get(f, "volatility_reference")) &&
           same_num(c, "volatility_accumulator", d->volatility, vv_get(f, "volatility_accumulator")) &&
           same_num(c, "last_update_timestamp", d->updated_at, vv_get(f, "last_update_timestamp"));
}

static bool same_arrays(vec_ctx_t *c, const ray_clmm_t *p, vv_t want)
{
    int32_t at = ray_array_start(RAY_TICK_MIN, p->tick_spacing), low = -512 * RAY_ARRAY_TICKS * (int32_t)p->tick_spacing;
    if (at < low) at = low;
    bool first = true;
    for (vv_t w = vv_first(want); vv_has(w); w = vv_next(w), first = false)
        if (ray_next_array(p, NULL, at, false, first, &at) || !same_i32(c, "array", at, w)) return vec_fail(c, "array %d", vv_i32(w));
    return ray_next_array(p, NULL, at, false, first, &at) != XE_OK || vec_fail(c, "one more array: %d", at);
}

static bool check_clmm(vec_ctx_t *c, vv_t v, const uint8_t *b, size_t n)
{
    ray_clmm_t p;
    vv_t f = vv_get(v, "fields");
    if (ray_clmm_decode(b, n, &p)) return vec_fail(c, "refused");
    return same_key(c, "amm_config", p.config, vv_get(f, "amm_config")) && same_key(c, "token_mint_0", p.mint[0], vv_get(f, "token_mint_0")) &&
           same_key(c, "token_mint_1", p.mint[1], vv_get(f, "token_mint_1")) && same_key(c, "token_vault_0", p.vault[0], vv_get(f, "token_vault_0")) &&
           same_key(c, "token_vault_1", p.vault[1], vv_get(f, "token_vault_1")) && same_key(c, "observation", p.observation, vv_get(f, "observation")) &&
           same_num(c, "mint_decimals_0", p.decimals[0], vv_get(f, "mint_decimals_0")) &&
           same_num(c, "mint_decimals_1", p.decimals[1], vv_get(f, "mint_decimals_1")) && same_num(c, "tick_spacing", p.tick_spacing, vv_get(f, "tick_spacing")) &&
           same_num(c, "liquidity", p.liquidity, vv_get(f, "liquidity")) && same_num(c, "sqrt_price", p.sqrt_price, vv_get(f, "sqrt_price_x64")) &&
           same_i32(c, "tick_current", p.tick, vv_get(f, "tick_current")) &&
           same_num(c, "fee_growth_global_0", p.fee_growth[0], vv_get(f, "fee_growth_global_0")) &&
           same_num(c, "fee_growth_global_1", p.fee_growth[1], vv_get(f, "fee_growth_global_1")) && same_num(c, "status", p.status, vv_get(f, "status")) &&
           same_num(c, "fee_on", p.fee_on, vv_get(f, "fee_on")) && same_dynfee(c, &p, vv_get(f, "dynamic_fee")) &&
           same_arrays(c, &p, vv_get(f, "arrays_in_bitmap"));
}

static bool check_clmm_config(vec_ctx_t *c, vv_t v, const uint8_t *b, size_t n)
{
    ray_clmm_config_t k;
    vv_t f = vv_get(v, "fields");
    if (ray_clmm_config_decode(b, n, &k)) return vec_fail(c, "refused");
    return same_num(c, "tick_spacing", k.tick_spacing, vv_get(f, "tick_spacing")) && same_num(c, "trade_fee_rate", k.trade_rate, vv_get(f, "trade_fee_rate")) &&
           same_num(c, "protocol_fee_rate", k.protocol_rate, vv_get(f, "protocol_fee_rate")) && same_num(c, "fund_fee_rate", k.fund_rate, vv_get(f, "fund_fee_rate"));
}

static bool same_tick(vec_ctx_t *c, const ray_tick_t *k, vv_t t)
{
    return same_i32(c, "tick", k->index, vv_get(t, "tick")) && (k->net == vv_i128(vv_get(t, "liquidity_net")) || vec_fail(c, "liquidity_net")) &&
           same_num(c, "liquidity_gross", k->gross, vv_get(t, "liquidity_gross")) && same_num(c, "order_phase", k->phase, vv_get(t, "order_phase")) &&
           same_num(c, "orders_amount", k->orders, vv_get(t, "orders_amount")) && same_num(c, "part_filled_remaining", k->part, vv_get(t, "part_filled_remaining")) &&
           same_num(c, "unfilled_ratio", k->unfilled_ratio, vv_get(t, "unfilled_ratio_x64"));
}

/* The file does not say the spacing: the distance of a used tick from the start, by its place, does. */
static unsigned spacing_in(const uint8_t *b, size_t n)
{
    for (unsigned i = 1; n == RAY_CLMM_ARRAY_LEN && i < RAY_ARRAY_TICKS; i++) {
        const uint8_t *t = b + 44 + (size_t)i * 168;
        int32_t away = (int32_t)get32(t) - (int32_t)get32(b + 40);
        if ((get128(t + 20) || get64(t + 124) || get64(t + 132)) && away > 0 && (unsigned)away % i == 0) return (unsigned)away / i;
    }
    return 1;
}

static bool check_clmm_array(vec_ctx_t *c, vv_t v, const uint8_t *b, size_t n)
{
    static ray_array_t a;
    unsigned i = 0;
    vv_t f = vv_get(v, "fields"), ticks = vv_get(f, "ticks");
    if (ray_array_decode(b, n, spacing_in(b, n), &a)) return vec_fail(c, "refused");
    if (a.n != vv_len(ticks)) return vec_fail(c, "%u ticks", a.n);
    for (vv_t t = vv_first(ticks); vv_has(t); t = vv_next(t), i++)
        if (!same_tick(c, &a.ticks[i], t)) return false;
    return same_key(c, "pool", a.pool, vv_get(f, "pool")) && same_i32(c, "start", a.start, vv_get(f, "start_tick_index")) &&
           same_num(c, "initialized_tick_count", a.counted, vv_get(f, "initialized_tick_count"));
}

static bool check_raydium_bytes(vec_ctx_t *c, vv_t v)
{
    static const kind_row_t rows[] = {
        {"amm_v4", check_amm}, {"cpmm_pool", check_cpmm}, {"cpmm_config", check_cpmm_config}, {"clmm_pool", check_clmm},
        {"clmm_config", check_clmm_config}, {"clmm_tick_array", check_clmm_array},
    };
    return check_bytes(c, v, rows, sizeof rows / sizeof *rows);
}

const vec_row_t vec_account_rows[] = {
    {"token_accounts", check_token_bytes},
    {"token2022_transfer_fee", check_transfer_fee},
    {"raydium_accounts", check_raydium_bytes},
    {NULL, NULL},
};
