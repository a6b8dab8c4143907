#include "sim/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define RESTS_MAX 16
#define MARKET_MAX 48

typedef struct {
    char market[MARKET_MAX];
    char *text;
    span_t body;
} prest_t;

struct play {
    char *text;
    prest_t rest[RESTS_MAX];
    unsigned rests_n;
    size_t n, lines_n;
    span_t *lines;
    unsigned rate;
    uint64_t last_seq; /* of the last line that has a sequence_num, else 0 */
};

static xerr_t read_all(const char *path, char **text, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return XE_NOT_FOUND;
    long size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    xerr_t err = size < 0 ? XE_NOT_FOUND : (unsigned long)size > PLAY_BYTES_MAX ? XE_TOO_BIG : XE_OK;
    if (!err) {
        rewind(f);
        *n = (size_t)size;
        *text = malloc(*n + 1);
        if (!*text || fread(*text, 1, *n, f) != *n) err = XE_NOT_FOUND;
    }
    fclose(f);
    return err;
}

static xerr_t split(play_t *p)
{
    size_t room = 0;
    for (char *at = p->text, *end = p->text + p->n; at < end;) {
        char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((nl ? nl : end) - at);
        if (n && at[n - 1] == '\r') n--;
        if (p->lines_n == room) {
            room = room ? 2 * room : 1024;
            span_t *more = realloc(p->lines, room * sizeof(*more));
            if (!more) return XE_TOO_BIG;
            p->lines = more;
        }
        if (n) p->lines[p->lines_n++] = span_make(at, n);
        at = nl ? nl + 1 : end;
    }
    return p->lines_n ? XE_OK : XE_BAD_INPUT;
}

static uint64_t find_last_seq(const play_t *p)
{
    static const char key[] = "\"sequence_num\":";
    for (size_t i = p->lines_n; i-- > 0;) {
        const char *at = memmem(p->lines[i].p, p->lines[i].n, key, sizeof(key) - 1);
        if (at) return strtoull(at + sizeof(key) - 1, NULL, 10);
    }
    return 0;
}

xerr_t play_open(const char *path, unsigned rate, play_t **out)
{
    play_t *p = calloc(1, sizeof(*p));
    if (!p) return XE_TOO_BIG;
    xerr_t err = read_all(path, &p->text, &p->n);
    if (!err) {
        p->text[p->n] = 0;
        err = split(p);
    }
    if (err) {
        play_free(p);
        return err;
    }
    p->rate = rate;
    p->last_seq = find_last_seq(p);
    *out = p;
    return XE_OK;
}

xerr_t play_add_rest(play_t *p, const char *arg)
{
    const char *eq = strchr(arg, '=');
    size_t n = eq ? (size_t)(eq - arg) : 0;
    if (n == 0 || n >= MARKET_MAX || p->rests_n == RESTS_MAX) return XE_BAD_INPUT;
    prest_t *r = &p->rest[p->rests_n];
    xerr_t err = read_all(eq + 1, &r->text, &r->body.n);
    memcpy(r->market, arg, n);
    r->body.p = r->text;
    p->rests_n++;
    return err;
}

const span_t *play_rest(const play_t *p, span_t market)
{
    for (unsigned i = 0; p && i < p->rests_n; i++) {
        if (span_is(market, p->rest[i].market)) return &p->rest[i].body;
    }
    return NULL;
}

void play_free(play_t *p)
{
    if (!p) return;
    for (unsigned i = 0; i < p->rests_n; i++) free(p->rest[i].text);
    free(p->text);
    free(p->lines);
    free(p);
}

size_t play_lines(const play_t *p)
{
    return p->lines_n;
}

void play_pump(sim_t *s, conn_t *c, int64_t elapsed_ms)
{
    client_t *cl = conn_user(c);
    player_t *pl = &cl->player;
    const play_t *p = s->play[cl->ep];
    if (!pl->started || pl->done) return;
    pl->credit += elapsed_ms * p->rate;
    while (pl->line < p->lines_n && conn_is_ws(c) && conn_unsent(c) < PLAY_AHEAD) {
        if (p->rate && pl->credit < 1000) return;
        if (p->rate) pl->credit -= 1000;
        out_text(s, c, p->lines[pl->line++], OUT_UPDATE);
    }
    /* A slow reader does not save up lines to be sent in one burst later. */
    if (pl->credit > 1000 * (int64_t)(p->rate + 1)) pl->credit = 1000 * (int64_t)(p->rate + 1);
    if (pl->line < p->lines_n) return;
    pl->done = true;
    pl->seq = p->last_seq + 1;
    cl->beat_ms = s->now_ms;
}

typedef struct {
    bool subscribe;
} asked_t;

static void look(void *ctx, const json_t *v)
{
    static const char *const keys[] = {"method", "type", "event"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        span_t word = json_str(json_get(v, keys[i]));
        if (span_is(word, "subscribe") || span_is(word, "bts:subscribe")) ((asked_t *)ctx)->subscribe = true;
    }
}

bool play_text(sim_t *s, conn_t *c, span_t text)
{
    client_t *cl = conn_user(c);
    asked_t a = {false};
    if (!with_json(s, text, look, &a) || !a.subscribe) return false;
    /* Replies to subscribes are part of the recording; later ones get nothing new. */
    if (!cl->player.started) {
        cl->player.started = true;
        play_pump(s, c, 0);
    }
    return true;
}
