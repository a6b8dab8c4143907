#include "handlers/limits.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

enum { NIL = UINT32_MAX };

typedef struct {
    uint64_t key;
    int64_t window_ns, burst_ns; /* theoretical arrival times */
    uint32_t newer, older;       /* list by use */
    uint32_t next;               /* of the hash chain */
} entry_t;

struct limits {
    uint64_t sip[2];
    uint32_t cap, used, mask;
    uint32_t newest, oldest;
    uint64_t evicted;
    uint32_t *head;
    entry_t *e;
};

const char *lim_name(lim_class_t c)
{
    switch (c) {
    case LIM_NONE: case LIM_N: break;
#define X(id, name, addr) case LIM_##id: return name;
    LIM_LIST(X)
#undef X
    }
    return "none";
}

bool lim_by_address(lim_class_t c)
{
    switch (c) {
    case LIM_NONE: case LIM_N: break;
#define X(id, name, addr) case LIM_##id: return addr;
    LIM_LIST(X)
#undef X
    }
    return false;
}

lim_rule_t lim_rule(const cfg_t *cfg, lim_class_t c)
{
    switch (c) {
    case LIM_OPEN: return (lim_rule_t){cfg->limits_open_per_min, 60, 0};
    case LIM_STATUS: return (lim_rule_t){cfg->limits_status_per_min, 60, 0};
    case LIM_OPP: return (lim_rule_t){cfg->limits_opp_per_min, 60, 0};
    case LIM_TRADES: return (lim_rule_t){cfg->limits_trades_per_min, 60, 0};
    case LIM_CTRL: return (lim_rule_t){cfg->limits_ctrl_per_min, 60, 0};
    case LIM_TEST: return (lim_rule_t){cfg->limits_test_per_min, 60, 0};
    case LIM_AUTH: return (lim_rule_t){cfg->limits_auth_per_15min, 900, 0};
    case LIM_USER: return (lim_rule_t){cfg->limits_user_per_min, 60, cfg->limits_user_burst};
    case LIM_WS: return (lim_rule_t){cfg->limits_ws_per_min, 60, 0};
    case LIM_NONE: case LIM_N: break;
    }
    return (lim_rule_t){0, 0, 0};
}

limits_t *limits_new(unsigned keys_max, const uint64_t sip_key[2])
{
    limits_t *l = calloc(1, sizeof *l);
    uint32_t slots = 64;
    if (!l) return NULL;
    while (slots < keys_max) slots *= 2;
    l->cap = keys_max;
    l->mask = slots - 1;
    l->newest = l->oldest = NIL;
    memcpy(l->sip, sip_key, sizeof l->sip);
    l->head = malloc(slots * sizeof *l->head);
    l->e = calloc(keys_max, sizeof *l->e);
    if (!l->head || !l->e) {
        limits_free(l);
        return NULL;
    }
    memset(l->head, 0xff, slots * sizeof *l->head);
    return l;
}

void limits_free(limits_t *l)
{
    if (!l) return;
    free(l->head);
    free(l->e);
    free(l);
}

unsigned limits_used(const limits_t *l) { return l->used; }
uint64_t limits_evicted(const limits_t *l) { return l->evicted; }

uint64_t limits_addr_key(const limits_t *l, const char *addr)
{
    uint8_t raw[16];
    if (inet_pton(AF_INET, addr, raw) == 1) return siphash(l->sip, raw, 4);
    if (inet_pton(AF_INET6, addr, raw) == 1) return siphash(l->sip, raw, 8);
    return siphash(l->sip, addr, strlen(addr));
}

static void list_remove(limits_t *l, uint32_t i)
{
    entry_t *e = &l->e[i];
    if (e->newer != NIL) l->e[e->newer].older = e->older;
    else l->newest = e->older;
    if (e->older != NIL) l->e[e->older].newer = e->newer;
    else l->oldest = e->newer;
}

static void list_push(limits_t *l, uint32_t i)
{
    entry_t *e = &l->e[i];
    e->newer = NIL;
    e->older = l->newest;
    if (l->newest != NIL) l->e[l->newest].newer = i;
    l->newest = i;
    if (l->oldest == NIL) l->oldest = i;
}

static void unchain(limits_t *l, uint32_t i)
{
    uint32_t *at = &l->head[l->e[i].key & l->mask];
    while (*at != i) at = &l->e[*at].next;
    *at = l->e[i].next;
}

/* A full bucket is the same as no entry, so what is evicted only forgets, it never refuses. */
static uint32_t fresh(limits_t *l, uint64_t key)
{
    uint32_t i;
    if (l->used < l->cap) {
        i = l->used++;
    } else {
        i = l->oldest;
        unchain(l, i);
        list_remove(l, i);
        l->evicted++;
    }
    l->e[i] = (entry_t){.key = key, .next = l->head[key & l->mask]};
    l->head[key & l->mask] = i;
    list_push(l, i);
    return i;
}

static uint32_t find(const limits_t *l, uint64_t key)
{
    uint32_t i = l->head[key & l->mask];
    while (i != NIL && l->e[i].key != key) i = l->e[i].next;
    return i;
}

static entry_t *entry_of(limits_t *l, uint64_t key)
{
    uint32_t i = find(l, key);
    if (i == NIL) return &l->e[fresh(l, key)];
    if (l->newest != i) {
        list_remove(l, i);
        list_push(l, i);
    }
    return &l->e[i];
}

/* Wait in ns until a bucket of n tokens per window has one again; 0 when it has one now. *next is its state after. */
static int64_t wait_of(int64_t state, int64_t now, int64_t n, int64_t window_ns, int64_t *next)
{
    int64_t step = window_ns / n;
    int64_t base = state > now ? state : now;
    int64_t wait = base - now - (n - 1) * step;
    *next = base + step;
    return wait > 0 ? wait : 0;
}

uint64_t limits_key(lim_class_t c, uint64_t who) { return who ^ ((uint64_t)c * 0x9e3779b97f4a7c15ULL); }

static int64_t used_us(int64_t state, int64_t now) { return state > now ? (state - now) / 1000 : 0; }

static void fill(lim_state_t *out, const lim_rule_t *rule, int64_t state, int64_t now)
{
    int64_t used = state > now ? state - now : 0, step = rule->window_s * 1000000000LL / rule->n;
    out->left = rule->n - (used + step - 1) / step;
    if (out->left < 0) out->left = 0;
    out->full_s = (used + 999999999) / 1000000000;
}

bool limits_judge(limits_t *l, uint64_t key, const lim_rule_t *rule, int64_t now_ns, lim_state_t *out)
{
    int64_t window = 0, burst = 0, wait, wait2 = 0;
    *out = (lim_state_t){.left = rule->n};
    if (rule->n <= 0) return true;
    entry_t *e = entry_of(l, key);
    out->used_us[0] = used_us(e->window_ns, now_ns);
    out->used_us[1] = used_us(e->burst_ns, now_ns);
    out->step_us[0] = rule->window_s * 1000000 / rule->n;
    out->step_us[1] = rule->burst_per_s > 0 ? 1000000 / rule->burst_per_s : 0;
    out->room_us[0] = (rule->n - 1) * out->step_us[0];
    out->room_us[1] = (rule->burst_per_s - 1) * out->step_us[1];
    wait = wait_of(e->window_ns, now_ns, rule->n, rule->window_s * 1000000000LL, &window);
    if (rule->burst_per_s > 0) wait2 = wait_of(e->burst_ns, now_ns, rule->burst_per_s, 1000000000LL, &burst);
    if (wait2 > wait) wait = wait2;
    if (wait > 0) {
        out->retry_ms = (wait + 999999) / 1000000;
        fill(out, rule, e->window_ns, now_ns);
        out->left = 0;
        return false;
    }
    e->window_ns = window;
    e->burst_ns = burst;
    fill(out, rule, window, now_ns);
    return true;
}

void limits_passed(const lim_rule_t *rule, const int64_t used[2], lim_state_t *out)
{
    fill(out, rule, used[0] * 1000, 0);
}

void limits_refused(const lim_rule_t *rule, const int64_t used[2], lim_state_t *out)
{
    int64_t wait = used[0] - out->room_us[0], burst = out->step_us[1] ? used[1] - out->room_us[1] : 0;
    if (burst > wait) wait = burst;
    out->retry_ms = wait > 1000 ? (wait + 999) / 1000 : 1;
    out->left = 0;
}

void limits_learn(limits_t *l, uint64_t key, const int64_t used[2], int64_t now_ns)
{
    uint32_t i = find(l, key);
    if (i == NIL) return;
    entry_t *e = &l->e[i];
    if (now_ns + used[0] * 1000 > e->window_ns) e->window_ns = now_ns + used[0] * 1000;
    if (now_ns + used[1] * 1000 > e->burst_ns) e->burst_ns = now_ns + used[1] * 1000;
}

bool limits_take(limits_t *l, lim_class_t c, const lim_rule_t *rule, uint64_t key, int64_t now_ns, int64_t *retry_ms)
{
    lim_state_t st;
    bool ok = limits_judge(l, limits_key(c, key), rule, now_ns, &st);
    *retry_ms = st.retry_ms;
    return ok;
}
