#include "handlers/trade_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "engine/dec.h"

/* Decimals of tokens that are known for certain; other tokens' amounts are given in base units only. */
static const struct { const char *mint; unsigned places; } mints[] = {
    {"So11111111111111111111111111111111111111112", 9},
    {"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", 6},
    {"Es9vMFrzaCErvZVz2WdU4m8ysXYFNo3vR6kq9dkFc5YB", 6},
};

/* Base units as a plain decimal. False: not known, or not a number that fits. */
static bool amount_text(const char *mint, const char *raw, char out[DEC_TEXT_MAX])
{
    i128_t v;
    for (size_t i = 0; i < sizeof mints / sizeof *mints; i++) {
        if (strcmp(mint, mints[i].mint) != 0) continue;
        if (dec_parse(span_of(raw), &v)) return false;
        for (unsigned k = 0; k < mints[i].places; k++) v /= 10; /* exact: 12 decimals behind an integer */
        dec_text(v, out, DEC_TEXT_MAX);
        return true;
    }
    return false;
}

/* key, key_raw: the amount in tokens where their decimals are known, and in base units. */
static void put_amount(jw_t *w, case_t c, const char *const key[2], const char *mint, const char *raw)
{
    char text[DEC_TEXT_MAX], twin[48];
    jw_key(w, key[c]);
    if (raw[0] && amount_text(mint, raw, text)) jw_raw(w, span_of(text));
    else jw_null(w);
    snprintf(twin, sizeof twin, "%s_raw", key[c]);
    put_text_or_null(w, twin, raw);
}

static void put_named(jw_t *w, case_t c, const char *const key[2], const char *v) { put_text_or_null(w, key[c], v); }

#define NAME(snake, camel) ((const char *const[2]){snake, camel})

static void put_one(jw_t *w, case_t c, const trade_t *t)
{
    static const char sol[] = "So11111111111111111111111111111111111111112";
    jw_obj(w);
    put_str(w, "id", t->id);
    put_named(w, c, NAME("user_vault_address", "userVaultAddress"), t->vault);
    put_named(w, c, NAME("client_order_id", "clientOrderId"), t->order_id);
    put_str(w, "status", t->status);
    put_named(w, c, NAME("from_token", "fromToken"), t->from_token);
    put_named(w, c, NAME("to_token", "toToken"), t->to_token);
    put_amount(w, c, NAME("amount_in", "amountIn"), t->from_token, t->amount_in);
    put_amount(w, c, NAME("expected_amount_out", "expectedAmountOut"), t->to_token, t->expected_out);
    put_amount(w, c, NAME("actual_amount_out", "actualAmountOut"), t->to_token, t->actual_out);
    put_amount(w, c, NAME("gas_fee", "gasFee"), sol, t->gas_fee);
    put_decimal(w, NAME("slippage_realized", "slippageRealized")[c], t->slippage);
    put_decimal(w, NAME("realized_pnl_usd", "realizedPnlUsd")[c], t->pnl_usd);
    put_named(w, c, NAME("transaction_signature", "transactionSignature"), t->signature);
    put_named(w, c, NAME("error_message", "errorMessage"), t->error);
    put_time(w, NAME("created_at", "createdAt")[c], t->created_us);
    put_time(w, NAME("updated_at", "updatedAt")[c], t->updated_us);
    jw_end(w);
}

void trades_put(jw_t *w, case_t c, const trade_page_t *p)
{
    jw_arr(w);
    for (unsigned i = 0; i < p->n; i++) put_one(w, c, &p->rows[i]);
    jw_end(w);
}

#define STATUS_WORDS S_WORDS("PENDING", "SUBMITTED", "CONFIRMED", "FAILED")
#define AMOUNT(n) \
    S_NUL(n, SC_NUM, .doc = "In tokens; null when the token's decimals are not known."), S_NUL(n "_raw", SC_DECIMAL, .doc = "In base units.")

const schema_t trade_snake[] = {
    S_REQ("id", SC_UUID), S_REQ("user_vault_address", SC_STR), S_REQ("client_order_id", SC_STR), S_REQ("status", SC_STR, .choices = STATUS_WORDS),
    S_REQ("from_token", SC_STR), S_REQ("to_token", SC_STR),
    AMOUNT("amount_in"), AMOUNT("expected_amount_out"),
    AMOUNT("actual_amount_out"), AMOUNT("gas_fee"),
    S_DEC("slippage_realized"), S_DEC("realized_pnl_usd"),
    S_NUL("transaction_signature", SC_STR), S_NUL("error_message", SC_STR), S_REQ("created_at", SC_TIME), S_REQ("updated_at", SC_TIME), S_END,
};

const schema_t trade_camel[] = {
    S_REQ("id", SC_UUID), S_REQ("userVaultAddress", SC_STR), S_REQ("clientOrderId", SC_STR), S_REQ("status", SC_STR, .choices = STATUS_WORDS),
    S_REQ("fromToken", SC_STR), S_REQ("toToken", SC_STR),
    AMOUNT("amountIn"), AMOUNT("expectedAmountOut"),
    AMOUNT("actualAmountOut"), AMOUNT("gasFee"),
    S_DEC("slippageRealized"), S_DEC("realizedPnlUsd"),
    S_NUL("transactionSignature", SC_STR), S_NUL("errorMessage", SC_STR), S_REQ("createdAt", SC_TIME), S_REQ("updatedAt", SC_TIME), S_END,
};

/* ---- cursor ------------------------------------------------------------------------------------------------------- */

enum { TIME_HEX = 16, ID_HEX = 32 };

void trade_cursor_text(const trade_t *last, char out[TRADE_CURSOR_TEXT])
{
    size_t n = (size_t)snprintf(out, TRADE_CURSOR_TEXT, "%016llx", (unsigned long long)last->created_us);
    for (const char *p = last->id; *p && n < TIME_HEX + ID_HEX; p++)
        if (*p != '-') out[n++] = *p;
    out[n] = '\0';
}

xerr_t trade_cursor_parse(span_t text, trade_query_t *q)
{
    uint8_t raw[(TIME_HEX + ID_HEX) / 2];
    char hex[TIME_HEX + ID_HEX + 1];
    int64_t us = 0;
    size_t n;
    if (hex_decode(text, raw, sizeof raw, &n) || n != sizeof raw || raw[0]) return XE_BAD_INPUT;
    hex_encode(raw, sizeof raw, hex);
    if (!span_is(text, hex)) return XE_BAD_INPUT; /* in lower case */
    for (int i = 0; i < TIME_HEX / 2; i++) us = us << 8 | raw[i];
    hex_encode(raw + TIME_HEX / 2, ID_HEX / 2, hex);
    q->before_us = us ? us : 1; /* 0 is no cursor; no trade is that old */
    snprintf(q->before_id, sizeof q->before_id, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return XE_OK;
}

int trade_cursor_fits(const char *text, unsigned long n)
{
    trade_query_t q;
    return trade_cursor_parse(span_make(text, n), &q) == XE_OK;
}
