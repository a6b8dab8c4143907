/* GET /api/wallet/balance: what a wallet holds on the chain and what it is worth. The chain is read elsewhere, behind a
 * port that app/ joins; here values become JSON, and what is not known becomes null with its reason. */
#include <stdio.h>

#include "base/codec.h"
#include "engine/wallet.h"
#include "handlers/ctx.h"
#include "handlers/routes.h"

static void on_balance(void *ctx, xerr_t err, const wallet_view_t *v);
static void send(req_t *r, const wallet_view_t *v);
static void refuse(req_t *r, xerr_t err);

static void h_balance(req_t *r)
{
    const wallet_port_t *port = &api_of(r)->views.wallet;
    wallet_view_t v;
    uint8_t key[32];
    span_t wallet;
    if (!wallet_param(r, &wallet) || !h_wallet(r, "walletAddress", wallet, key)) return;
    if (!port->get) refuse(r, XE_UNSUPPORTED);
    else if (port->peek(port->ctx, key, &v)) send(r, &v);
    else port->get(port->ctx, key, on_balance, req_hold(r));
}

static void on_balance(void *ctx, xerr_t err, const wallet_view_t *v)
{
    req_t *r = ctx;
    if (err) refuse(r, err);
    else send(r, v);
    req_drop(r);
}

/* Nothing is known of this wallet yet, and the chain cannot be read. */
static void refuse(req_t *r, xerr_t err)
{
    static const char code[] = "UPSTREAM_ERROR";
    switch (err) {
    case XE_UNSUPPORTED: req_error(r, 503, code, "No endpoint of the chain is configured", NULL, 0); break;
    case XE_TIMEOUT: req_error(r, 504, "TIMEOUT", "The chain did not answer in time", NULL, 0); break;
    case XE_BAD_INPUT: req_error(r, 503, code, "The chain's endpoints gave no believable answer", NULL, 2); break;
    case XE_FULL: req_error(r, 503, code, "Too many wallets are being read, try again", NULL, 2); break;
    default: req_error(r, 503, code, "The chain cannot be read now", NULL, 2); break;
    }
}

/* ---- the answer --------------------------------------------------------------------------------------------------- */

static void put_usd(jw_t *w, const char *key, bool known, usd_t v)
{
    char text[DEC_TEXT_MAX] = "";
    if (known) usd_text(v, text, sizeof text);
    put_decimal(w, key, text);
}

/* amount / 10^decimals, exactly, whatever the decimals. */
static void amount_text(uint64_t amount, unsigned decimals, char out[300])
{
    char digits[24];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)amount), at = 0;
    size_t whole = n > decimals ? n - decimals : 0;
    if (!whole) out[at++] = '0';
    memcpy(out + at, digits, whole);
    at += whole;
    size_t last = n;
    while (last > whole && digits[last - 1] == '0') last--;
    if (last > whole) {
        out[at++] = '.';
        for (size_t zeros = n < decimals ? decimals - n : 0; zeros; zeros--) out[at++] = '0';
        memcpy(out + at, digits + whole, last - whole);
        at += last - whole;
    }
    out[at] = '\0';
}

/* put_decimal with room for tokens of many decimals. */
static void put_amount(jw_t *w, const char *key, const char *twin, uint64_t amount, int decimals)
{
    char text[300] = "";
    if (decimals >= 0) amount_text(amount, (unsigned)decimals, text);
    jw_key(w, key);
    if (decimals >= 0) jw_raw(w, span_of(text));
    else jw_null(w);
    put_str(w, twin, decimals >= 0 ? text : NULL);
}

static void put_token(jw_t *w, const wtoken_t *t, const price_t prices[ASSET_N])
{
    char mint[2 * 32 + 2], raw[24];
    worth_t worth = wallet_token_worth(t, prices);
    b58_encode(t->mint, 32, mint, sizeof mint);
    snprintf(raw, sizeof raw, "%llu", (unsigned long long)t->amount);
    jw_obj(w);
    put_str(w, "mint", mint);
    put_str(w, "symbol", asset_symbol(t->asset));
    put_str(w, "program", t->token2022 ? "token-2022" : "token");
    put_str(w, "amount", raw);
    jw_key(w, "decimals");
    if (t->decimals >= 0) jw_i64(w, t->decimals);
    else jw_null(w);
    put_amount(w, "balance", "balance_str", t->amount, t->decimals);
    put_usd(w, "usdValue", worth.known, worth.usd);
    put_bool(w, "priceAssumed", worth.assumed);
    put_bool(w, "frozen", t->frozen);
    jw_end(w);
}

static void put_price(jw_t *w, asset_t a, const price_t *p)
{
    char text[DEC_TEXT_MAX] = "";
    if (p->state != PRICE_NONE) dec_text(p->usd.raw, text, sizeof text);
    jw_key(w, asset_symbol(a));
    jw_obj(w);
    put_decimal(w, "usd", text);
    put_str(w, "source", p->source);
    put_i64(w, "sources", p->sources);
    put_i64(w, "confidence", p->confidence);
    if (p->state == PRICE_NONE) put_null(w, "age_ms");
    else put_i64(w, "age_ms", p->age_ms);
    put_bool(w, "stale", p->state == PRICE_STALE);
    put_bool(w, "disputed", p->disputed);
    jw_end(w);
}

static const char *why_unknown(const price_t *p) { return p->disputed ? "PRICE_SOURCES_DISAGREE" : "NO_PRICE"; }

static void put_reasons(jw_t *w, const wallet_worth_t *worth, const wallet_view_t *v)
{
    jw_key(w, "reasons");
    jw_obj(w);
    if (!worth->sol.known) put_str(w, "solUsdValue", why_unknown(&v->prices[ASSET_SOL]));
    if (!worth->total.known) put_str(w, "totalUsdValue", why_unknown(&v->prices[ASSET_SOL]));
    if (!worth->total.known) put_str(w, "maxInvestable", why_unknown(&v->prices[ASSET_SOL]));
    jw_end(w);
}

static void put_data(jw_t *w, const wallet_view_t *v)
{
    const wallet_t *h = v->w;
    char wallet[2 * 32 + 2];
    wallet_worth_t worth;
    wallet_worth(h, v->prices, &worth);
    b58_encode(h->key, 32, wallet, sizeof wallet);
    put_str(w, "walletAddress", wallet);
    put_usd(w, "totalUsdValue", worth.total.known, worth.total.usd);
    put_amount(w, "solBalance", "solBalance_str", h->lamports, (int)asset_decimals(ASSET_SOL));
    put_usd(w, "solUsdValue", worth.sol.known, worth.sol.usd);
    jw_key(w, "tokenBalances");
    jw_arr(w);
    for (unsigned i = 0; i < h->tokens_n; i++) put_token(w, &h->tokens[i], v->prices);
    jw_end(w);
    put_usd(w, "maxInvestable", worth.total.known, worth.investable);
    put_bool(w, "insufficientFunds", worth.total.known && worth.insufficient);
    put_bool(w, "priceAssumed", worth.total.known && worth.total.assumed);
    put_bool(w, "priceStale", worth.stale_price);
    put_bool(w, "partial", worth.partial);
    put_bool(w, "truncated", h->truncated);
    jw_key(w, "prices");
    jw_obj(w);
    for (int a = 0; a < ASSET_N; a++) put_price(w, (asset_t)a, &v->prices[a]);
    jw_end(w);
    put_i64(w, "slot", (int64_t)h->slot);
    put_i64(w, "lastUpdated", h->read_us / 1000);
    put_bool(w, "stale", v->stale);
    put_i64(w, "age_ms", v->age_ms);
    put_reasons(w, &worth, v);
}

static void send(req_t *r, const wallet_view_t *v)
{
    out_t o;
    out_init(&o);
    put_bool(&o.w, "success", true);
    jw_key(&o.w, "data");
    jw_obj(&o.w);
    put_data(&o.w, v);
    jw_end(&o.w);
    put_bool(&o.w, "simulated", api_of(r)->cfg->feeds_simulated);
    put_str(&o.w, "requestId", req_id(r));
    out_send(&o, r, 200);
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t balance_query[] = {
    S_WALLET,
    S_END,
};

static const schema_t token[] = {
    S_REQ("mint", SC_WALLET),
    S_NUL("symbol", SC_STR, .doc = "Of the tokens that have a price here."),
    S_REQ("program", SC_STR, .choices = S_WORDS("token", "token-2022")),
    S_REQ("amount", SC_STR, .doc = "Base units, all accounts of the mint together."),
    S_NUL("decimals", SC_INT),
    S_DEC("balance"),
    S_DEC("usdValue"),
    S_REQ("priceAssumed", SC_BOOL, .doc = "Valued 1:1 for want of a price of this stable coin."),
    S_REQ("frozen", SC_BOOL),
    S_END,
};

static const schema_t price[] = {
    S_DEC("usd"),
    S_NUL("source", SC_STR),
    S_REQ("sources", SC_INT, .doc = "That agree."),
    S_REQ("confidence", SC_INT, .max = 100),
    S_NUL("age_ms", SC_INT),
    S_REQ("stale", SC_BOOL),
    S_REQ("disputed", SC_BOOL, .doc = "Sources contradict each other now."),
    S_END,
};

static const schema_t balance[] = {
    S_REQ("walletAddress", SC_WALLET),
    S_DEC("totalUsdValue", .doc = "SOL and the tokens that have a price."),
    S_DEC("solBalance"),
    S_DEC("solUsdValue"),
    S_REQ("tokenBalances", SC_ARR, .of = S_LIST(S_REQ("token", SC_OBJ, .of = token)), .doc = "Those with a price first; empty accounts are left out."),
    S_DEC("maxInvestable", .doc = "The total less the larger of 2 % and 10 dollars."),
    S_REQ("insufficientFunds", SC_BOOL, .doc = "Less than 1 dollar can be invested."),
    S_REQ("priceAssumed", SC_BOOL, .doc = "A part of the total is valued 1:1."),
    S_REQ("priceStale", SC_BOOL, .doc = "A part of the total is valued at a price older than it should be."),
    S_REQ("partial", SC_BOOL, .doc = "Tokens of unknown worth are held beside the total."),
    S_REQ("truncated", SC_BOOL, .doc = "More tokens are held than are listed."),
    S_REQ("prices", SC_MAP, .of = S_LIST(S_REQ("price", SC_OBJ, .of = price)), .doc = "By symbol."),
    S_REQ("slot", SC_INT),
    S_REQ("lastUpdated", SC_INT, .doc = "Milliseconds since 1970 UTC."),
    S_REQ("stale", SC_BOOL, .doc = "The chain cannot be read: last known values."),
    S_REQ("age_ms", SC_INT),
    S_REASONS,
    S_END,
};

static const schema_t balance_answer[] = {
    S_REQ("success", SC_BOOL),
    S_REQ("data", SC_OBJ, .of = balance),
    S_REQ("simulated", SC_BOOL),
    S_REQ("requestId", SC_STR),
    S_END,
};

const route_t routes_wallet[] = {
    {M_GET, "/api/wallet/balance", ACCESS_ANY, LIM_USER, ROUTE_OWN, 0, h_balance, balance_query, NULL, 200, balance_answer,
     "What a wallet holds on the chain and what it is worth."},
    ROUTE_END,
};
