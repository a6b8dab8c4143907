#include "handlers/oppjson.h"

#include <stdio.h>

#include "handlers/answer.h"

static void put_fees(jw_t *w, const opp_row_t *o)
{
    put_decimal(w, "fee_cex", o->fee_cex);
    put_decimal(w, "fee_dex", o->fee_dex);
    put_decimal(w, "fee_network", o->fee_network);
    put_decimal(w, "slippage", o->slippage);
    put_decimal(w, "fee_total", o->fee_total);
}

static void put_stages(jw_t *w, const opp_row_t *o)
{
    jw_key(w, "timestamps");
    jw_obj(w);
    put_time(w, "source", o->source_us);
    put_time(w, "received", o->recv_us);
    put_time(w, "parsed", o->recv_us ? o->recv_us + o->parse_ns / 1000 : 0);
    put_time(w, "detected", o->detected_us);
    jw_end(w);
    jw_key(w, "latency");
    jw_obj(w);
    put_i64(w, "receive_to_parse_us", o->parse_ns / 1000);
    put_i64(w, "receive_to_detect_us", o->detect_ns / 1000);
    if (o->source_us && o->recv_us) put_i64(w, "source_to_detect_us", o->recv_us + o->detect_ns / 1000 - o->source_us);
    else put_null(w, "source_to_detect_us");
    jw_end(w);
}

const schema_t opp_members[] = {
    S_REQ("id", SC_UUID),
    S_OPT("seq", SC_INT, .doc = "Order of detection in this database."),
    S_REQ("pair", SC_STR),
    S_REQ("direction", SC_STR, .choices = S_WORDS("CEX_TO_DEX", "DEX_TO_CEX")),
    S_REQ("buy_venue", SC_STR),
    S_REQ("sell_venue", SC_STR),
    S_DEC("buy_price"), S_DEC("sell_price"), S_DEC("size"), S_DEC("buy_cost"), S_DEC("sell_proceeds"),
    S_DEC("fee_cex"), S_DEC("fee_dex"), S_DEC("fee_network"), S_DEC("slippage"), S_DEC("fee_total"),
    S_DEC("basis", .doc = "Quote of one venue in that of the other."),
    S_DEC("gross_bps"), S_DEC("net_bps"), S_DEC("peak_net_bps"), S_DEC("predicted_pnl"),
    S_REQ("timestamps", SC_OBJ, .of = S_LIST(S_NUL("source", SC_TIME), S_NUL("received", SC_TIME), S_NUL("parsed", SC_TIME), S_NUL("detected", SC_TIME))),
    S_REQ("latency", SC_OBJ, .of = S_LIST(S_REQ("receive_to_parse_us", SC_INT), S_REQ("receive_to_detect_us", SC_INT), S_NUL("source_to_detect_us", SC_INT))),
    S_NUL("detected_at", SC_TIME),
    S_NUL("ended_at", SC_TIME),
    S_NUL("lifetime_ms", SC_INT),
    S_REQ("status", SC_STR, .choices = S_WORDS("open", "closed")),
    S_REQ("decision", SC_STR),
    S_NUL("reason_code", SC_STR),
    S_REQ("simulated", SC_BOOL),
    S_END,
};

void opp_json(jw_t *w, const opp_row_t *o, bool simulated)
{
    jw_obj(w);
    put_str(w, "id", o->id);
    if (o->seq) put_i64(w, "seq", o->seq);
    put_str(w, "pair", o->pair);
    put_str(w, "direction", o->direction);
    put_str(w, "buy_venue", o->buy_venue);
    put_str(w, "sell_venue", o->sell_venue);
    put_decimal(w, "buy_price", o->buy_price);
    put_decimal(w, "sell_price", o->sell_price);
    put_decimal(w, "size", o->size);
    put_decimal(w, "buy_cost", o->buy_cost);
    put_decimal(w, "sell_proceeds", o->sell_proceeds);
    put_fees(w, o);
    put_decimal(w, "basis", o->basis);
    put_decimal(w, "gross_bps", o->gross_bps);
    put_decimal(w, "net_bps", o->net_bps);
    put_decimal(w, "peak_net_bps", o->peak_net_bps);
    put_decimal(w, "predicted_pnl", o->predicted_pnl);
    put_stages(w, o);
    put_time(w, "detected_at", o->detected_us);
    put_time(w, "ended_at", o->ended_us);
    if (o->ended_us) put_i64(w, "lifetime_ms", o->lifetime_ms);
    else put_null(w, "lifetime_ms");
    put_str(w, "status", o->status);
    put_str(w, "decision", o->decision);
    put_text_or_null(w, "reason_code", o->reason);
    put_bool(w, "simulated", simulated);
    jw_end(w);
}

static void bps_text(int32_t x100, char *out, size_t cap)
{
    int64_t v = x100 < 0 ? -(int64_t)x100 : x100;
    snprintf(out, cap, "%s%lld.%02lld", x100 < 0 ? "-" : "", (long long)(v / 100), (long long)(v % 100));
}

static void set(char *out, size_t cap, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= cap) n = cap - 1;
    if (n) memcpy(out, text, n);
    out[n] = '\0';
}

static void set_usd(char *out, size_t cap, usd_t v)
{
    char text[DEC_TEXT_MAX];
    usd_text(v, text, sizeof text);
    set(out, cap, text);
}

static void prices(const opp_t *o, opp_row_t *r)
{
    dec_text(o->buy_px.raw, r->buy_price, sizeof r->buy_price);
    dec_text(o->sell_px.raw, r->sell_price, sizeof r->sell_price);
    dec_text(o->size.raw, r->size, sizeof r->size);
    dec_text(o->basis.raw, r->basis, sizeof r->basis);
    set_usd(r->buy_cost, sizeof r->buy_cost, o->buy_cost);
    set_usd(r->sell_proceeds, sizeof r->sell_proceeds, o->sell_proceeds);
    set_usd(r->fee_cex, sizeof r->fee_cex, o->fee_cex);
    set_usd(r->fee_dex, sizeof r->fee_dex, o->fee_dex);
    set_usd(r->fee_network, sizeof r->fee_network, o->fee_network);
    set_usd(r->slippage, sizeof r->slippage, o->slippage);
    set_usd(r->fee_total, sizeof r->fee_total, o->fee_total);
    set_usd(r->predicted_pnl, sizeof r->predicted_pnl, o->predicted_pnl);
    bps_text(o->gross_bps_x100, r->gross_bps, sizeof r->gross_bps);
    bps_text(o->net_bps_x100, r->net_bps, sizeof r->net_bps);
    bps_text(o->peak_net_bps_x100, r->peak_net_bps, sizeof r->peak_net_bps);
}

void opp_row_of(const opp_t *o, const char *pair_name, opp_row_t *r)
{
    memset(r, 0, sizeof *r);
    set(r->id, sizeof r->id, o->id);
    set(r->pair, sizeof r->pair, pair_name);
    set(r->direction, sizeof r->direction, dir_name(o->dir));
    set(r->buy_venue, sizeof r->buy_venue, venue_name(o->buy));
    set(r->sell_venue, sizeof r->sell_venue, venue_name(o->sell));
    prices(o, r);
    r->source_us = o->source_us;
    r->recv_us = o->recv_wall_us;
    r->detected_us = o->detect_wall_us;
    r->parse_ns = o->parsed_ns > o->recv_ns ? o->parsed_ns - o->recv_ns : 0;
    r->detect_ns = o->detect_ns > o->recv_ns ? o->detect_ns - o->recv_ns : 0;
    r->ended_us = o->phase == OPP_CLOSE ? o->closed_wall_us : 0;
    r->lifetime_ms = o->lifetime_ms;
    set(r->decision, sizeof r->decision, o->decision);
    set(r->reason, sizeof r->reason, o->reason);
    set(r->status, sizeof r->status, o->phase == OPP_CLOSE ? "closed" : "open");
}
