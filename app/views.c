#include "app/views.h"

#include "app/app.h"
#include "reactor/json.h"

enum { FEEDS_MAX = 16 };

static void put_age(jw_t *w, const char *key, int64_t then_ns, int64_t now_ns)
{
    jw_key(w, key);
    if (then_ns > 0) jw_i64(w, (now_ns - then_ns) / 1000000);
    else jw_null(w);
}

static void put_counters(jw_t *w, const feed_health_t *h)
{
    const struct { const char *name; uint64_t v; } rows[] = {
        {"messages", h->messages}, {"bytes", h->bytes}, {"gaps", h->gaps}, {"resyncs", h->resyncs},
        {"reconnects", h->reconnects}, {"garbled", h->garbled}, {"unknown", h->unknown}, {"refused_levels", h->refused_levels},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        jw_key(w, rows[i].name);
        jw_u64(w, rows[i].v);
    }
}

static void put_markets(jw_t *w, const app_t *a, const char *venue)
{
    int64_t now = loop_now_ns(a->loop);
    jw_key(w, "markets");
    jw_arr(w);
    for (unsigned i = 0; i < a->eng_conf.insts_n; i++) {
        const inst_conf_t *in = &a->eng_conf.insts[i];
        xerr_t why = XE_OK;
        if (!span_is(span_of(venue_name(in->venue)), venue)) continue;
        bool usable = eng_usable(a->engine, (inst_t)i, now, &why);
        int64_t age = eng_age_ms(a->engine, (inst_t)i, now);
        jw_obj(w);
        jw_key(w, "market");
        jw_cstr(w, in->market);
        jw_key(w, "usable");
        jw_bool(w, usable);
        jw_key(w, "reason");
        jw_cstr(w, usable ? NULL : xerr_text(why));
        jw_key(w, "age_ms");
        if (age >= 0) jw_i64(w, age);
        else jw_null(w);
        jw_end(w);
    }
    jw_end(w);
}

static void put_feed(jw_t *w, const app_t *a, const feed_health_t *h)
{
    jw_obj(w);
    jw_key(w, "venue");
    jw_cstr(w, h->venue);
    jw_key(w, "state");
    jw_cstr(w, h->state);
    jw_key(w, "since");
    jw_time_us(w, h->since_us);
    put_age(w, "last_message_age_ms", h->last_message_ns, mono_ns());
    put_counters(w, h);
    jw_key(w, "clock_offset_ms");
    jw_i64(w, h->clock_offset_ms);
    jw_key(w, "simulated");
    jw_bool(w, a->cfg.feeds_simulated);
    put_markets(w, a, h->venue);
    jw_end(w);
}

void views_connectors(void *app, buf_t *json_array)
{
    const app_t *a = app;
    feed_health_t h[FEEDS_MAX];
    unsigned n = a->feeds ? feeds_health(a->feeds, h, FEEDS_MAX) : 0;
    jw_t w;
    jw_init(&w, json_array);
    jw_arr(&w);
    for (unsigned i = 0; i < n; i++) put_feed(&w, a, &h[i]);
    jw_end(&w);
}

bool views_connector(void *app, span_t venue, buf_t *json_object)
{
    const app_t *a = app;
    feed_health_t h[FEEDS_MAX];
    unsigned n = a->feeds ? feeds_health(a->feeds, h, FEEDS_MAX) : 0;
    jw_t w;
    for (unsigned i = 0; i < n; i++) {
        if (!span_is(venue, h[i].venue)) continue;
        jw_init(&w, json_object);
        put_feed(&w, a, &h[i]);
        return true;
    }
    return false;
}

bool views_wallet_peek(void *app, const uint8_t key[32], wallet_view_t *out)
{
    wallet_port_t port = wallets_port(((app_t *)app)->wallets);
    return port.peek(port.ctx, key, out);
}

void views_wallet_get(void *app, const uint8_t key[32], wallet_cb cb, void *cb_ctx)
{
    wallet_port_t port = wallets_port(((app_t *)app)->wallets);
    port.get(port.ctx, key, cb, cb_ctx);
}
