/* Instructions, byte for byte and account for account. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "engine/keys.h"
#include "engine/swap_ix.h"
#include "tests/vec_cmp.h"

#define SIGNERS_MAX 11
#define KEYS_MAX 64

static const uint8_t *key_of(vv_t o, const char *name, uint8_t out[32])
{
    vv_t v = vv_get(o, name);
    if (vv_is_null(v) || b58_key(vv_text(v), out)) memset(out, 0xff, 32); /* differs from whatever is expected */
    return out;
}

static uint64_t num(vv_t o, const char *name) { return vv_u64(vv_get(o, name)); }

static bool same_account(vec_ctx_t *c, const ix_account_t *a, vv_t key, bool signer, bool writable)
{
    return same_key(c, "account", a->key, key) && ((a->signer == signer && a->writable == writable) || vec_fail(c, "flags of an account"));
}

/* ---- system, budget, tokens, memo, lookup tables ------------------------------------------------------------------ */

static bool same_ix(vec_ctx_t *c, const ix_t *ix, vv_t v)
{
    vv_t list = vv_get(v, "accounts");
    unsigned i = 0;
    if (ix->full || ix->accounts_n != vv_len(list)) return vec_fail(c, "%u accounts", ix->accounts_n);
    for (vv_t a = vv_first(list); vv_has(a); a = vv_next(a), i++)
        if (!same_account(c, &ix->accounts[i], vv_get(a, "pubkey"), vv_bool(vv_get(a, "signer")), vv_bool(vv_get(a, "writable")))) return false;
    return same_key(c, "program", ix->program, vv_get(v, "program")) && same_hex(c, "data", ix->data, ix->data_n, vv_get(v, "data_hex"));
}

static bool build_system(span_t kind, vv_t a, ix_t *ix)
{
    uint8_t k[3][32];
    if (span_is(kind, "system_transfer")) {
        ix_transfer(ix, key_of(a, "from", k[0]), key_of(a, "to", k[1]), num(a, "lamports"));
    } else if (span_is(kind, "system_create_account")) {
        ix_create_account(ix, key_of(a, "from", k[0]), key_of(a, "new_account", k[1]), num(a, "lamports"), num(a, "space"), key_of(a, "owner", k[2]));
    } else if (span_is(kind, "system_advance_nonce")) {
        ix_advance_nonce(ix, key_of(a, "nonce", k[0]), key_of(a, "authority", k[1]));
    } else if (span_is(kind, "compute_unit_limit")) {
        ix_unit_limit(ix, (uint32_t)num(a, "units"));
    } else if (span_is(kind, "compute_unit_price")) {
        ix_unit_price(ix, num(a, "micro_lamports"));
    } else if (span_is(kind, "request_heap_frame")) {
        ix_heap(ix, (uint32_t)num(a, "bytes"));
    } else if (span_is(kind, "loaded_accounts_data_size_limit")) {
        ix_loaded_limit(ix, (uint32_t)num(a, "bytes"));
    } else {
        return false;
    }
    return true;
}

static bool cut_prefix(span_t *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->n < n || memcmp(s->p, prefix, n) != 0) return false;
    *s = span_make(s->p + n, s->n - n);
    return true;
}

static unsigned read_keys(vv_t list, uint8_t (*out)[32], unsigned max)
{
    unsigned n = 0;
    for (vv_t k = vv_first(list); vv_has(k) && n < max; k = vv_next(k), n++)
        if (b58_key(vv_text(k), out[n])) memset(out[n], 0xff, 32);
    return n;
}

/* Token kinds spell the same names behind token_ and token2022_. */
static bool build_token(span_t kind, const uint8_t program[32], vv_t a, ix_t *ix)
{
    static const struct { const char *kind; void (*build)(ix_t *, const ix_token_t *); } rows[] = {
        {"transfer", ix_token_transfer}, {"transfer_multisig", ix_token_transfer}, {"transfer_checked", ix_token_transfer_checked},
        {"approve", ix_token_approve}, {"revoke", ix_token_revoke}, {"close_account", ix_token_close},
        {"transfer_checked_with_fee", ix_token_transfer_with_fee},
    };
    uint8_t k[4][32], signers[SIGNERS_MAX][32];
    if (span_is(kind, "sync_native")) return ix_token_sync_native(ix, program, key_of(a, "account", k[0])), true;
    if (span_is(kind, "initialize_account3"))
        return ix_token_init_account(ix, program, key_of(a, "account", k[0]), key_of(a, "mint", k[1]), key_of(a, "owner", k[2])), true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!span_is(kind, rows[i].kind)) continue;
        vv_t decimals = vv_find(a, "decimals"), fee = vv_find(a, "fee"), amount = vv_find(a, "amount"), list = vv_find(a, "signers");
        const char *other = vv_has(vv_find(a, "destination")) ? "destination" : vv_has(vv_find(a, "delegate")) ? "delegate" : NULL;
        ix_token_t t = {
            .program = program, .source = key_of(a, vv_has(vv_find(a, "source")) ? "source" : "account", k[0]),
            .mint = vv_has(vv_find(a, "mint")) ? key_of(a, "mint", k[1]) : NULL, .destination = other ? key_of(a, other, k[2]) : NULL,
            .auth = {.owner = key_of(a, vv_has(list) ? "multisig" : "owner", k[3]), .signers = (const uint8_t(*)[32])signers,
                     .signers_n = vv_has(list) ? read_keys(list, signers, SIGNERS_MAX) : 0},
            .amount = vv_has(amount) ? vv_u64(amount) : 0, .fee = vv_has(fee) ? vv_u64(fee) : 0,
            .decimals = vv_has(decimals) ? (uint8_t)vv_u64(decimals) : 0,
        };
        rows[i].build(ix, &t);
        return true;
    }
    return false;
}

static bool build_memo(span_t kind, vv_t a, ix_t *ix)
{
    static char text[4096];
    uint8_t k[32];
    bool v1 = span_is(kind, "memo_v1");
    if (!v1 && !span_is(kind, "memo")) return false;
    size_t n = vv_str(vv_get(a, "text"), text, sizeof text);
    ix_memo(ix, v1 ? key_memo_v1 : key_memo, span_make(text, n), vv_has(vv_find(a, "signer")) ? key_of(a, "signer", k) : NULL);
    return true;
}

static bool build_accounts(vec_ctx_t *c, span_t kind, vv_t a, ix_t *ix)
{
    uint8_t k[4][32], made[32], keys[KEYS_MAX][32];
    if (span_is(kind, "ata_create") || span_is(kind, "ata_create_idempotent")) {
        return ix_ata_create(ix, key_of(a, "payer", k[0]), key_of(a, "owner", k[1]), key_of(a, "token_program", k[2]), key_of(a, "mint", k[3]),
                             span_is(kind, "ata_create_idempotent")) == XE_OK;
    }
    if (span_is(kind, "alt_create")) {
        if (ix_table_create(ix, key_of(a, "authority", k[0]), key_of(a, "payer", k[1]), num(a, "recent_slot"), made)) return false;
        return same_key(c, "table", made, vv_get(a, "table"));
    }
    if (!span_is(kind, "alt_extend")) return false;
    unsigned n = read_keys(vv_get(a, "addresses"), keys, KEYS_MAX);
    ix_table_extend(ix, key_of(a, "table", k[0]), key_of(a, "authority", k[1]), key_of(a, "payer", k[2]), (const uint8_t(*)[32])keys, n);
    return true;
}

static bool check_instruction(vec_ctx_t *c, vv_t v)
{
    static ix_t ix;
    vv_t a = vv_get(v, "args");
    span_t kind = vv_text(vv_get(v, "kind")), rest = kind;
    bool built = build_system(kind, a, &ix) || build_memo(kind, a, &ix) || build_accounts(c, kind, a, &ix);
    if (!built && cut_prefix(&rest, "token_")) built = build_token(rest, key_token, a, &ix);
    else if (!built && cut_prefix(&rest, "token2022_")) built = build_token(rest, key_token_2022, a, &ix);
    return built ? same_ix(c, &ix, v) : c->why[0] ? false : vec_fail(c, "unknown kind %.*s", (int)kind.n, kind.p);
}

/* ---- swaps -------------------------------------------------------------------------------------------------------- */

static bool same_swap(vec_ctx_t *c, const ix_t *ix, vv_t v)
{
    vv_t list = vv_get(v, "keys");
    unsigned i = 0;
    if (ix->full || ix->accounts_n != vv_len(list)) return vec_fail(c, "%u accounts", ix->accounts_n);
    for (vv_t a = vv_first(list); vv_has(a); a = vv_next(a), i++) {
        span_t flags = vv_text(vv_at(a, 1));
        if (!same_account(c, &ix->accounts[i], vv_at(a, 0), flags.n > 0 && flags.p[0] == 's', flags.n > 1 && flags.p[1] == 'w'))
            return vec_fail(c, "account %u differs", i);
    }
    return same_key(c, "program", ix->program, vv_get(v, "program")) && same_hex(c, "data", ix->data, ix->data_n, vv_get(v, "data_hex"));
}

static bool check_whirl(vec_ctx_t *c, vv_t v)
{
    static ix_t ix;
    whirl_swap_keys_t k = {0};
    vv_t a = vv_get(v, "accounts");
    swap_args_t args = {.amount = num(v, "amount"), .other = num(v, "other_amount_threshold"), .sqrt_limit = vv_u128(vv_get(v, "sqrt_price_limit")),
                        .exact_in = vv_bool(vv_get(v, "amount_specified_is_input")), .a_to_b = vv_bool(vv_get(v, "a_to_b"))};
    key_of(a, "whirlpool", k.pool);
    key_of(a, "tokenAuthority", k.authority);
    key_of(a, "tokenOwnerAccountA", k.user_a);
    key_of(a, "tokenVaultA", k.vault_a);
    key_of(a, "tokenOwnerAccountB", k.user_b);
    key_of(a, "tokenVaultB", k.vault_b);
    key_of(a, "tickArray0", k.arrays[0]);
    key_of(a, "tickArray1", k.arrays[1]);
    key_of(a, "tickArray2", k.arrays[2]);
    key_of(a, "oracle", k.oracle);
    if (span_is(vv_text(vv_get(v, "instruction")), "swap")) {
        ix_whirl_swap(&ix, &args, &k);
        return same_swap(c, &ix, v);
    }
    key_of(a, "tokenMintA", k.mint_a);
    key_of(a, "tokenMintB", k.mint_b);
    key_of(a, "tokenProgramA", k.program_a);
    key_of(a, "tokenProgramB", k.program_b);
    k.extra_n = read_keys(vv_get(a, "supplemental_tick_arrays"), k.extra, WHIRL_EXTRA_MAX);
    ix_whirl_swap_v2(&ix, &args, &k);
    return same_swap(c, &ix, v);
}

static swap_args_t two_amounts(vv_t args, bool exact_in)
{
    return (swap_args_t){.amount = num(args, exact_in ? "amount_in" : "amount_out"),
                         .other = num(args, exact_in ? "minimum_amount_out" : "max_amount_in"), .exact_in = exact_in};
}

static void build_amm(vv_t a, const swap_args_t *args, ix_t *ix)
{
    ray_amm_swap_keys_t k;
    key_of(a, "pool", k.pool);
    key_of(a, "authority", k.authority);
    key_of(a, "coin_vault", k.coin_vault);
    key_of(a, "pc_vault", k.pc_vault);
    key_of(a, "user_source", k.source);
    key_of(a, "user_destination", k.destination);
    key_of(a, "owner", k.owner);
    ix_ray_amm_swap(ix, args, &k);
}

static void build_cpmm(vv_t a, const swap_args_t *args, ix_t *ix)
{
    ray_cpmm_swap_keys_t k;
    const struct { const char *name; uint8_t *to; } rows[] = {
        {"payer", k.payer}, {"authority", k.authority}, {"amm_config", k.config}, {"pool", k.pool}, {"user_input", k.user_in},
        {"user_output", k.user_out}, {"input_vault", k.vault_in}, {"output_vault", k.vault_out}, {"input_program", k.program_in},
        {"output_program", k.program_out}, {"input_mint", k.mint_in}, {"output_mint", k.mint_out}, {"observation", k.observation},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) key_of(a, rows[i].name, rows[i].to);
    ix_ray_cpmm_swap(ix, args, &k);
}

static void build_clmm(vv_t a, vv_t args, ix_t *ix)
{
    ray_clmm_swap_keys_t k;
    swap_args_t s = {.amount = num(args, "amount"), .other = num(args, "other_amount_threshold"),
                     .sqrt_limit = vv_u128(vv_get(args, "sqrt_price_limit_x64")), .exact_in = vv_bool(vv_get(args, "is_base_input"))};
    const struct { const char *name; uint8_t *to; } rows[] = {
        {"payer", k.payer}, {"amm_config", k.config}, {"pool", k.pool}, {"user_input", k.user_in}, {"user_output", k.user_out},
        {"input_vault", k.vault_in}, {"output_vault", k.vault_out}, {"observation", k.observation}, {"input_mint", k.mint_in},
        {"output_mint", k.mint_out},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) key_of(a, rows[i].name, rows[i].to);
    vv_t extension = vv_get(a, "bitmap_extension");
    k.has_extension = !vv_is_null(extension);
    if (k.has_extension) key_of(a, "bitmap_extension", k.extension);
    k.arrays_n = read_keys(vv_get(a, "tick_arrays"), k.arrays, RAY_SWAP_ARRAYS_MAX);
    ix_ray_clmm_swap(ix, &s, &k);
}

static bool check_raydium(vec_ctx_t *c, vv_t v)
{
    static ix_t ix;
    span_t name = vv_text(vv_get(v, "instruction"));
    vv_t a = vv_get(v, "accounts"), args = vv_get(v, "args");
    bool amm_in = span_is(name, "amm_v4_swap_base_in_v2"), amm_out = span_is(name, "amm_v4_swap_base_out_v2");
    bool cpmm_in = span_is(name, "cpmm_swap_base_input"), cpmm_out = span_is(name, "cpmm_swap_base_output");
    if (amm_in || amm_out || cpmm_in || cpmm_out) {
        swap_args_t s = two_amounts(args, amm_in || cpmm_in);
        if (amm_in || amm_out) build_amm(a, &s, &ix);
        else build_cpmm(a, &s, &ix);
    } else if (span_is(name, "clmm_swap_v2")) {
        build_clmm(a, args, &ix);
    } else {
        return vec_fail(c, "unknown instruction %.*s", (int)name.n, name.p);
    }
    return same_swap(c, &ix, v);
}

const vec_row_t vec_instr_rows[] = {
    {"instructions", check_instruction},
    {"whirlpool_instructions", check_whirl},
    {"raydium_instructions", check_raydium},
    {NULL, NULL},
};
