#include "handlers/rate.h"

#include <stdio.h>

#include "storage/rates.h"

static char *put_num(char *p, int64_t v)
{
    char digits[20];
    int n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    while (n) *p++ = digits[--n];
    return p;
}

/* "user";q=600;w=60 and "user";r=599;t=1: on every answer of the route, hence by hand. */
static void put_headers(req_t *r, lim_class_t class, const lim_rule_t *rule, const lim_state_t *st)
{
    char text[96], *p = stpcpy(stpcpy(stpcpy(text, "\""), lim_name(class)), "\";q=");
    p = stpcpy(put_num(p, rule->n), ";w=");
    *put_num(p, rule->window_s) = '\0';
    req_add_header(r, "RateLimit-Policy", text);
    p = stpcpy(stpcpy(stpcpy(text, "\""), lim_name(class)), "\";r=");
    p = stpcpy(put_num(p, st->left), ";t=");
    *put_num(p, st->retry_ms ? (st->retry_ms + 999) / 1000 : st->full_s) = '\0';
    req_add_header(r, "RateLimit", text);
}

static void refuse(req_t *r, lim_class_t class, const lim_state_t *st)
{
    char text[96];
    int retry = (int)((st->retry_ms + 999) / 1000);
    snprintf(text, sizeof text, "Too many requests of class %s, try again in %d s", lim_name(class), retry);
    ctr_inc(api_of(r)->n.limited[class]);
    req_error(r, 429, "RATE_LIMIT_ERROR", text, NULL, retry);
}

typedef struct {
    req_t *r;
    void (*next)(req_t *r);
    lim_class_t class;
    lim_rule_t rule;
    lim_state_t st;
    uint64_t key;
} wait_t;

/* Nobody waits: what others used is learned for the next time. */
static void on_told(void *ctx, uint64_t key, xerr_t err, const int64_t used_us[2])
{
    api_t *a = ctx;
    if (used_us) limits_learn(a->limits, key, used_us, loop_now_ns(a->loop));
}

static void on_counted(void *ctx, uint64_t key, xerr_t err, const int64_t used_us[2])
{
    wait_t w = *(wait_t *)ctx;
    api_t *a = api_of(w.r);
    on_told(a, key, err, used_us);
    if (err == XE_FULL) limits_refused(&w.rule, used_us, &w.st);
    else if (used_us) limits_passed(&w.rule, used_us, &w.st);
    if (!req_answered(w.r)) {
        put_headers(w.r, w.class, &w.rule, &w.st);
        if (err == XE_FULL) refuse(w.r, w.class, &w.st);
        else w.next(w.r);
    }
    req_drop(w.r);
}

/* Of so few every one is asked for: what passes unasked elsewhere would be a good part of them. */
enum { FEW = 100 };

/* To the count of all processes. True: taken there, next comes from it. Below a quarter of one's share of many nobody waits. */
static bool share(const wait_t *w)
{
    api_t *a = api_of(w->r);
    const lim_state_t *st = &w->st;
    rate_t b[2];
    if (!a->cfg->limits_shared) return false;
    for (int i = 0; i < 2; i++) b[i] = (rate_t){st->used_us[i], st->step_us[i], st->room_us[i]};
    int64_t share = b[0].room_us / (4 * (1 + (int64_t)bus_others(store_bus(a->store))));
    if ((w->rule.n > FEW && b[0].used_us < share) || !w->next) {
        rates_take(a->store, w->key, b, on_told, a);
        return false;
    }
    wait_t *mine = req_alloc(w->r, sizeof *mine);
    *mine = *w;
    return rates_take(a->store, w->key, b, on_counted, mine) && req_hold(w->r);
}

/* False: refused, or on its way to be counted. */
static bool judge(req_t *r, lim_class_t class, uint64_t who, void (*next)(req_t *r))
{
    api_t *a = api_of(r);
    wait_t w = {.r = r, .next = next, .class = class, .rule = lim_rule(a->cfg, class), .key = limits_key(class, who)};
    bool ok = limits_judge(a->limits, w.key, &w.rule, loop_now_ns(a->loop), &w.st);
    if (ok && share(&w)) return false;
    if (next || !ok) put_headers(r, class, &w.rule, &w.st);
    if (!ok) refuse(r, class, &w.st);
    return ok;
}

void rate_admit(req_t *r, bool before_token, void (*next)(req_t *r))
{
    const api_t *a = api_of(r);
    const call_t *c = call_of(r);
    lim_class_t class = c->route->limit;
    bool mine = class != LIM_NONE && lim_by_address(class) == before_token && a->cfg->limits_enabled;
    if (!mine || judge(r, class, c->known ? c->who.key : limits_addr_key(a->limits, req_client_addr(r)), next)) next(r);
}

bool rate_stranger(req_t *r)
{
    const api_t *a = api_of(r);
    return !a->cfg->limits_enabled || judge(r, LIM_OPEN, limits_addr_key(a->limits, req_client_addr(r)), NULL);
}
