#include "handlers/bot_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"

enum { HELD_SLOTS = 4096 };
#define MOMENT_NS 10000000000LL /* longer than any request may take; a database put back to an older day is believed after it */

/* Two wallets of one slot push each other out; whoever reads the bot puts it right again. */
struct holds {
    struct { uint64_t key; hold_t by[HOLD_N]; } slot[HELD_SLOTS];
    struct { uint64_t key; int64_t version, at_ns; } told[HELD_SLOTS];
};

holds_t *holds_new(void) { return calloc(1, sizeof(holds_t)); }
void holds_free(holds_t *h) { free(h); }

static uint64_t key_of(const api_t *a, const char *wallet) { return siphash(a->sip, wallet, strlen(wallet)) | 1; }

void holds_note(api_t *a, const char *wallet, const hold_t holds[HOLD_N])
{
    uint64_t key = key_of(a, wallet);
    unsigned i = (unsigned)(key >> 1) % HELD_SLOTS;
    a->holds->slot[i].key = key;
    memcpy(a->holds->slot[i].by, holds, sizeof a->holds->slot[i].by);
}

bool bot_is_news(api_t *a, const char *wallet, int64_t version)
{
    uint64_t key = key_of(a, wallet);
    unsigned i = (unsigned)(key >> 1) % HELD_SLOTS;
    int64_t now = loop_now_ns(a->loop);
    if (a->holds->told[i].key == key && a->holds->told[i].version > version && now - a->holds->told[i].at_ns < MOMENT_NS) return false;
    a->holds->told[i].key = key;
    a->holds->told[i].version = version;
    a->holds->told[i].at_ns = now;
    return true;
}

static bool held(const hold_t holds[HOLD_N])
{
    for (unsigned i = 0; i < HOLD_N; i++)
        if (holds[i].paused || holds[i].killed || holds[i].closing) return true;
    return false;
}

static const char *word(const api_t *a, bool enabled, bool is_held)
{
    return enabled && is_held ? "paused" : bot_status_word(market_count(a), enabled);
}

const char *bot_word(const api_t *a, const char *wallet, bool enabled)
{
    uint64_t key = key_of(a, wallet);
    unsigned i = (unsigned)(key >> 1) % HELD_SLOTS;
    return word(a, enabled, a->holds->slot[i].key == key && held(a->holds->slot[i].by));
}

const char *bot_word_of(const api_t *a, const bot_t *b) { return word(a, b->enabled, held(b->holds)); }

bot_health_t bot_health(const api_t *a, const bot_t *b)
{
    enum { W_FRESH = 50, W_HOLDS = 30, W_EXECUTION = 20 };
    market_count_t n = market_count(a);
    bot_health_t h = {.score = -1, .freshness = -1, .holds = held(b->holds) ? 0 : 100, .execution = -1};
    if (b->last_outcome[0]) h.execution = strcmp(b->last_outcome, "CONFIRMED") == 0 ? 100 : 0;
    if (!n.all) return h;
    h.freshness = (int)((100 * n.usable + n.all / 2) / n.all);
    int sum = W_FRESH * h.freshness + W_HOLDS * h.holds, weight = W_FRESH + W_HOLDS;
    if (h.execution >= 0) {
        sum += W_EXECUTION * h.execution;
        weight += W_EXECUTION;
    }
    h.score = (sum + weight / 2) / weight;
    return h;
}

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

static void put_known(jw_t *w, const char *key, int v)
{
    if (v < 0) put_null(w, key);
    else put_i64(w, key, v);
}

static void put_pauses(const api_t *a, jw_t *w, const bot_t *b)
{
    static const char *const by[HOLD_N] = {"USER", "OPERATOR", "GLOBAL"};
    char text[40];
    jw_key(w, "pause_reasons");
    jw_arr(w);
    for (unsigned i = 0; i < HOLD_N; i++) {
        const struct { bool on; const char *what; } rows[] = {
            {b->holds[i].paused && !b->holds[i].closing, "PAUSE"}, {b->holds[i].killed, "KILL_SWITCH"}, {b->holds[i].closing, "CLOSE_POSITIONS"},
        };
        for (unsigned k = 0; k < 3; k++) {
            if (!rows[k].on) continue;
            snprintf(text, sizeof text, "%s_%s", by[i], rows[k].what);
            jw_cstr(w, text);
        }
    }
    if (strcmp(bot_status_word(market_count(a), b->enabled), "paused") == 0) jw_cstr(w, "STALE_DATA");
    jw_end(w);
}

const schema_t bot_health_members[] = {
    S_NUL("data_freshness", SC_INT, .max = 100, .doc = "Share of configured markets that may be traded on now; weight 50."),
    S_REQ("holds", SC_INT, .max = 100, .doc = "100 when nothing holds the bot, else 0; weight 30."),
    S_NUL("last_execution", SC_INT, .max = 100, .doc = "100 when the newest trade that ended was confirmed, 0 when it failed; weight 20."),
    S_END,
};

void bot_put_state(const api_t *a, jw_t *w, const bot_t *b)
{
    bot_health_t h = bot_health(a, b);
    put_str(w, "status", bot_word_of(a, b));
    put_bool(w, "enabled", b->enabled);
    put_pauses(a, w, b);
    put_known(w, "health_score", h.score);
    jw_key(w, "health");
    jw_obj(w);
    put_known(w, "data_freshness", h.freshness);
    put_known(w, "holds", h.holds);
    put_known(w, "last_execution", h.execution);
    jw_end(w);
}

void bot_put_reasons(const api_t *a, jw_t *w, const bot_t *b)
{
    if (!market_count(a).all) {
        put_str(w, "health_score", "NO_FEEDS");
        put_str(w, "health.data_freshness", "NO_FEEDS");
    }
    if (!b->last_outcome[0]) put_str(w, "health.last_execution", "NEVER_EXECUTED");
    if (!b->updated_us) put_str(w, "updated_at", "NEVER_CHANGED");
}

/* The engine hears of every committed change, also when the client has gone. */
void bot_tell_engine(api_t *a, const char *wallet, bool enabled, int64_t version, int64_t updated_us)
{
    ev_t ev = {.kind = EV_BOT, .inst = -1, .recv_ns = loop_now_ns(a->loop), .recv_wall_us = loop_wall_us(a->loop)};
    ev.parsed_ns = ev.recv_ns;
    ev.u.bot.wallet = wallet;
    ev.u.bot.enabled = enabled;
    ev.u.bot.version = version;
    ev.u.bot.updated_us = updated_us;
    door_post(&a->door, &ev);
    if (bus_others(store_bus(a->store))) bus_post(store_bus(a->store), BUS_BOT, span_of(wallet));
}
