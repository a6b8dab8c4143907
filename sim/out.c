#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "sim/sim.h"

static void calendar(int64_t unix_ns, struct tm *tm)
{
    time_t t = (time_t)(unix_ns / 1000000000);
    gmtime_r(&t, tm);
}

void iso_ns(int64_t unix_ns, char out[40])
{
    struct tm tm;
    calendar(unix_ns, &tm);
    size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 40 - n, ".%09dZ", (int)(unix_ns % 1000000000));
}

void iso_us(int64_t unix_ns, char out[40])
{
    struct tm tm;
    calendar(unix_ns, &tm);
    size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    int w = snprintf(out + n, 40 - n, ".%06d", (int)(unix_ns % 1000000000 / 1000));
    n += (size_t)w;
    while (out[n - 1] == '0') n--;
    if (out[n - 1] == '.') n--;
    out[n] = 'Z';
    out[n + 1] = 0;
}

void iso_us6(int64_t unix_ns, char out[40])
{
    struct tm tm;
    calendar(unix_ns, &tm);
    size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 40 - n, ".%06dZ", (int)(unix_ns % 1000000000 / 1000));
}

void key_text(jw_t *w, const char *key, const char *v)
{
    jw_key(w, key);
    jw_cstr(w, v);
}

void key_i64(jw_t *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

bool with_json(sim_t *s, span_t text, void (*fn)(void *ctx, const json_t *v), void *ctx)
{
    arena_t *a = arena_new(s->arenas, 4u << 20);
    const json_t *v = NULL;
    bool ok = a && json_parse(text, a, &v, NULL) == XE_OK;
    if (ok) fn(ctx, v);
    if (a) arena_free(a);
    return ok;
}

typedef struct {
    sim_t *s;
    ep_t ep;
    void (*fn)(sim_t *s, conn_t *c);
} walk_t;

static void step(void *ctx, conn_t *c)
{
    walk_t *w = ctx;
    int tag = conn_tag(c);
    if (conn_is_ws(c) && tag >= 0 && (w->ep == EP_N || tag == (int)w->ep)) w->fn(w->s, c);
}

void each_client(sim_t *s, ep_t ep, void (*fn)(sim_t *s, conn_t *c))
{
    walk_t w = {s, ep, fn};
    srv_each(s->srv, step, &w);
}

/* Every second time cut in half, else every digit of the second half becomes a letter: nobody can take it for whole. */
static span_t damage(sim_t *s, span_t text, uint64_t which, buf_t *out)
{
    if (which % 2) return span_make(text.p, text.n / 2);
    buf_reset(out);
    buf_add(out, text.p, text.n);
    if (out->failed) return span_make(text.p, text.n / 2);
    for (size_t i = out->n / 2; i < out->n; i++) {
        if (isdigit((unsigned char)out->p[i])) out->p[i] = 'x';
    }
    return buf_span(out);
}

static void count(sim_t *s, sv_t v, size_t n)
{
    s->stats[v].messages++;
    s->stats[v].bytes += n;
}

void out_text(sim_t *s, conn_t *c, span_t text, out_kind_t kind)
{
    client_t *cl = conn_user(c);
    sv_t v = endpoint_of(cl->ep)->venue;
    if (fault_on(s, v, FAULT_SILENCE)) return;
    if (kind == OUT_UPDATE && cl->gap_seen != s->faults.gap[v]) {
        cl->gap_seen = s->faults.gap[v];
        return;
    }
    buf_t bad;
    buf_init(&bad, SIM_SCRATCH);
    if (kind != OUT_REPLY && cl->garbage_seen != s->faults.garbage[v]) {
        cl->garbage_seen = s->faults.garbage[v];
        text = damage(s, text, cl->garbage_seen, &bad);
    }
    conn_text(c, text);
    count(s, v, text.n);
    buf_fini(&bad);
}

void out_http(sim_t *s, conn_t *c, sv_t v, span_t body)
{
    buf_t bad;
    buf_init(&bad, SIM_SCRATCH);
    if (s->faults.http_garbage_seen[v] != s->faults.garbage[v]) {
        s->faults.http_garbage_seen[v] = s->faults.garbage[v];
        body = damage(s, body, s->faults.http_garbage_seen[v], &bad);
    }
    conn_reply(c, 200, "application/json", body);
    count(s, v, body.n);
    buf_fini(&bad);
}
