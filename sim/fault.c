#include "sim/sim.h"

static const char *const names[FAULT_N] = {"disconnect", "silence", "gap", "garbage", "slow", "limit", "lie"};

const char *fault_name(fault_t f)
{
    return names[f];
}

bool fault_parse(span_t text, fault_t *out)
{
    for (unsigned i = 0; i < FAULT_N; i++) {
        if (span_is(text, names[i])) return *out = (fault_t)i, true;
    }
    return false;
}

bool fault_on(const sim_t *s, sv_t v, fault_t f)
{
    return s->faults.until_ms[v][f] > s->now_ms;
}

typedef struct {
    sim_t *s;
    sv_t v;
} who_t;

static bool of_venue(const conn_t *c, sv_t v)
{
    return conn_tag(c) >= 0 && endpoint_of((ep_t)conn_tag(c))->venue == v;
}

static void cut_off(void *ctx, conn_t *c)
{
    who_t *w = ctx;
    if (of_venue(c, w->v)) conn_reset(c);
}

/* What a silence swallowed is lost, as the numbering of the next message shows. Gemini v2, Coinbase Exchange
 * and Bitstamp have no numbering of their books and a played file cannot be resumed, so those connections end here, and so do requests that never got their answer. */
static void after_silence(void *ctx, conn_t *c)
{
    who_t *w = ctx;
    if (!of_venue(c, w->v)) return;
    bool unnumbered = conn_tag(c) == EP_GEMINI_V2 || conn_tag(c) == EP_EXCHANGE || conn_tag(c) == EP_BITSTAMP || w->s->play[conn_tag(c)];
    if (conn_owes(c) || unnumbered) conn_reset(c);
}

void fault_set(sim_t *s, sv_t v, fault_t f, int64_t ms)
{
    who_t w = {s, v};
    s->faults.count[v][f]++;
    if (f == FAULT_GAP) {
        s->faults.gap[v]++;
    } else if (f == FAULT_GARBAGE) {
        s->faults.garbage[v]++;
    } else {
        s->faults.until_ms[v][f] = s->now_ms + ms;
        if (f == FAULT_DISCONNECT) srv_each(s->srv, cut_off, &w);
    }
}

static void end(sim_t *s, sv_t v, fault_t f)
{
    who_t w = {s, v};
    s->faults.until_ms[v][f] = 0;
    if (f == FAULT_SILENCE) srv_each(s->srv, after_silence, &w);
}

void fault_clear(sim_t *s, sv_t v)
{
    for (unsigned f = 0; f < FAULT_N; f++) {
        if (s->faults.until_ms[v][f]) end(s, v, (fault_t)f);
    }
}

void fault_turn(sim_t *s)
{
    for (unsigned v = 0; v < SV_N; v++) {
        for (unsigned f = 0; f < FAULT_N; f++) {
            int64_t until = s->faults.until_ms[v][f];
            if (until && until <= s->now_ms) end(s, (sv_t)v, (fault_t)f);
        }
    }
}
