#include "handlers/market.h"

market_count_t market_count(const api_t *a)
{
    market_count_t n = {0, 0};
    xerr_t why;
    if (!a->eng || !a->cfg->feeds_enabled) return n;
    n.all = eng_conf(a->eng)->insts_n;
    for (unsigned i = 0; i < n.all; i++)
        if (eng_usable(a->eng, (inst_t)i, loop_now_ns(a->loop), &why)) n.usable++;
    return n;
}

const char *bot_status_word(market_count_t n, bool enabled)
{
    if (!enabled) return "stopped";
    return n.all && !n.usable ? "paused" : "active";
}

inst_t market_find(const api_t *a, span_t venue, span_t market)
{
    if (!a->eng) return -1;
    const eng_conf_t *c = eng_conf(a->eng);
    for (unsigned i = 0; i < c->insts_n; i++)
        if (span_is(venue, venue_name(c->insts[i].venue)) && span_is(market, c->insts[i].market)) return (inst_t)i;
    return -1;
}

int32_t market_pair(const api_t *a, span_t name)
{
    if (!a->eng) return -1;
    const eng_conf_t *c = eng_conf(a->eng);
    for (unsigned i = 0; i < c->pairs_n; i++)
        if (span_is(name, c->pairs[i].name)) return (int32_t)i;
    return -1;
}

int32_t market_venue(span_t name)
{
    for (int v = 0; v < VENUE_N; v++)
        if (span_is(name, venue_name((venue_t)v))) return v;
    return -1;
}

const char *market_reason(xerr_t why)
{
    const char *name = xerr_name(why);
    return strncmp(name, "XE_", 3) == 0 ? name + 3 : name;
}

const schema_t market_members[] = {
    S_REQ("venue", SC_STR),
    S_REQ("market", SC_STR, .doc = "The market's name at its venue."),
    S_NUL("pair", SC_STR),
    S_REQ("usable", SC_BOOL, .doc = "Whether prices may be taken from it now."),
    S_NUL("reason", SC_STR, .doc = "Why it is not usable, such as STALE."),
    S_NUL("age_ms", SC_INT, .doc = "Since the last sign that it is current; null before the first."),
    S_END,
};

static const schema_t connector_market[] = {
    S_REQ("market", SC_STR), S_REQ("usable", SC_BOOL), S_NUL("reason", SC_STR), S_NUL("age_ms", SC_INT), S_END,
};

const schema_t connector_members[] = {
    S_REQ("venue", SC_STR),
    S_REQ("state", SC_STR, .doc = "Where the link stands, such as LIVE."),
    S_REQ("since", SC_TIME),
    S_NUL("last_message_age_ms", SC_INT),
    S_REQ("messages", SC_INT),
    S_REQ("bytes", SC_INT),
    S_REQ("gaps", SC_INT, .doc = "Holes found in a venue's numbering or checks."),
    S_REQ("resyncs", SC_INT),
    S_REQ("reconnects", SC_INT),
    S_REQ("garbled", SC_INT, .doc = "Messages that could not be read."),
    S_REQ("unknown", SC_INT, .doc = "Messages of a kind that is not known."),
    S_REQ("refused_levels", SC_INT),
    S_REQ("clock_offset_ms", SC_INT),
    S_REQ("simulated", SC_BOOL),
    S_REQ("markets", SC_ARR, .of = S_LIST(S_REQ("market", SC_OBJ, .of = connector_market))),
    S_END,
};

static void put_one(const api_t *a, jw_t *w, inst_t i)
{
    const eng_conf_t *c = eng_conf(a->eng);
    const inst_conf_t *in = &c->insts[i];
    int64_t now = loop_now_ns(a->loop), age = eng_age_ms(a->eng, i, now);
    xerr_t why = XE_OK;
    bool usable = eng_usable(a->eng, i, now, &why);
    jw_obj(w);
    put_str(w, "venue", venue_name(in->venue));
    put_str(w, "market", in->market);
    put_str(w, "pair", in->pair >= 0 ? c->pairs[in->pair].name : NULL);
    put_bool(w, "usable", usable);
    put_str(w, "reason", usable ? NULL : market_reason(why));
    if (age >= 0) put_i64(w, "age_ms", age);
    else put_null(w, "age_ms");
    jw_end(w);
}

void market_put_all(const api_t *a, jw_t *w)
{
    jw_arr(w);
    for (unsigned i = 0; a->eng && a->cfg->feeds_enabled && i < eng_conf(a->eng)->insts_n; i++) put_one(a, w, (inst_t)i);
    jw_end(w);
}
