#include "handlers/settings_json.h"

#include <stdio.h>
#include <strings.h>

#include "handlers/text.h"

/* A number of the body as a plain decimal; the schema bounded its decimals. */
static const char *amount(req_t *r, const char *name)
{
    span_t text;
    int64_t e6;
    bool exact;
    if (!body_num(r, name, &text) || text_scaled(text, 6, &e6, &exact)) return NULL;
    char *out = req_alloc(r, DEC_TEXT_MAX);
    usd_text((usd_t){e6}, out, DEC_TEXT_MAX);
    return out;
}

static tri_t choice(req_t *r, const char *name)
{
    bool v;
    return body_bool(r, name, &v) ? v ? TRI_YES : TRI_NO : TRI_UNSET;
}

static const char *risk(req_t *r)
{
    const char *const *words = RISK_WORDS;
    span_t v;
    if (!body_str(r, "riskProfile", &v)) return NULL;
    for (unsigned i = 0; words[i]; i++)
        if (v.n == strlen(words[i]) && strncasecmp(v.p, words[i], v.n) == 0) return words[i]; /* a literal: outlives the list */
    return NULL;
}

void settings_patch(req_t *r, settings_patch_t *out)
{
    *out = (settings_patch_t){
        .risk_profile = risk(r), .max_trade_amount = amount(r, "maxTradeAmount"), .slippage_tolerance = amount(r, "slippageTolerance"),
        .max_drawdown_limit = amount(r, "maxDrawdownLimit"), .position_size_percent = amount(r, "positionSizePercent"),
        .investment_amount = amount(r, "investmentAmount"), .stop_loss = choice(r, "stopLossEnabled"), .take_profit = choice(r, "takeProfitEnabled"),
    };
}

static void put_tri(jw_t *w, const char *key, tri_t v)
{
    if (v == TRI_UNSET) put_null(w, key);
    else put_bool(w, key, v == TRI_YES);
}

void settings_put_members(jw_t *w, const settings_t *s)
{
    put_str(w, "riskProfile", s->risk_profile);
    jw_key(w, "settings");
    jw_obj(w);
    put_str(w, "riskProfile", s->risk_profile);
    put_decimal(w, "maxTradeAmount", s->max_trade_amount);
    put_decimal(w, "slippageTolerance", s->slippage_tolerance);
    put_decimal(w, "maxDrawdownLimit", s->max_drawdown_limit);
    put_decimal(w, "positionSizePercent", s->position_size_percent);
    put_tri(w, "stopLossEnabled", s->stop_loss);
    put_tri(w, "takeProfitEnabled", s->take_profit);
    put_decimal(w, "investmentAmount", s->investment_amount);
    jw_end(w);
}

const schema_t settings_members[] = {
    S_REQ("riskProfile", SC_STR, .choices = RISK_WORDS),
    S_DEC("maxTradeAmount", .doc = "USD."),
    S_DEC("slippageTolerance", .doc = "Percent."),
    S_DEC("maxDrawdownLimit", .doc = "Percent."),
    S_DEC("positionSizePercent", .doc = "Percent."),
    S_NUL("stopLossEnabled", SC_BOOL),
    S_NUL("takeProfitEnabled", SC_BOOL),
    S_DEC("investmentAmount", .doc = "USD."),
    S_END,
};

void settings_put_reasons(jw_t *w, const settings_t *s)
{
    const struct { const char *key; bool set; } rows[] = {
        {"settings.maxTradeAmount", s->max_trade_amount[0]}, {"settings.slippageTolerance", s->slippage_tolerance[0]},
        {"settings.maxDrawdownLimit", s->max_drawdown_limit[0]}, {"settings.positionSizePercent", s->position_size_percent[0]},
        {"settings.stopLossEnabled", s->stop_loss != TRI_UNSET}, {"settings.takeProfitEnabled", s->take_profit != TRI_UNSET},
        {"settings.investmentAmount", s->investment_amount[0]},
    };
    jw_key(w, "reasons");
    jw_obj(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].set) put_str(w, rows[i].key, "NOT_SET");
    if (!s->updated_us) put_str(w, "updated_at", "NEVER_CHANGED");
    jw_end(w);
}
