#include "storage/rates.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/store_int.h"

/* Each bucket is the time at which it is full again, never sooner than what the asking process knows of it. A request counts
 * when every bucket has room for it. */
static const char SCRIPT[] =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local at, ok = {}, 1"
    " for i = 1, #KEYS do at[i] = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now + tonumber(ARGV[3 * i - 2]))"
    " if at[i] - now > tonumber(ARGV[3 * i]) then ok = 0 end end"
    " local out = {tostring(ok)} for i = 1, #KEYS do if ok == 1 then at[i] = at[i] + tonumber(ARGV[3 * i - 1])"
    " redis.call('SET', KEYS[i], string.format('%.0f', at[i]), 'PX', math.floor((at[i] - now) / 1000) + 1) end"
    " out[i + 1] = string.format('%.0f', at[i] - now) end return table.concat(out, ' ')";

enum { FLIGHT_MAX = 1024, USED_MAX_S = 7200 }; /* no bucket of ours is larger: what says so is not ours */

typedef struct ask {
    struct ask *next;
    store_t *s;
    uint64_t key;
    rates_cb cb;
    void *ctx;
} ask_t;

struct rates {
    char sha[41];   /* "": Redis does not know the script yet */
    bool loading;
    unsigned n;
    ask_t *spare;
};

rates_t *rates_new(void)
{
    rates_t *r = calloc(1, sizeof *r);
    XASSERT(r);
    return r;
}

void rates_free(rates_t *r)
{
    while (r->spare) {
        ask_t *a = r->spare;
        r->spare = a->next;
        free(a);
    }
    free(r);
}

static void on_loaded(void *ctx, xerr_t err, span_t value)
{
    rates_t *r = ((store_t *)ctx)->rates;
    r->loading = false;
    if (err || value.n != 40)
        return;
    memcpy(r->sha, value.p, 40);
    r->sha[40] = '\0';
}

static void load(store_t *s)
{
    if (!s->rates->loading)
        s->rates->loading = rds_send(s->rds, 3, (span_t[]){SPAN_LIT("SCRIPT"), SPAN_LIT("LOAD"), SPAN_LIT(SCRIPT)}, on_loaded, s);
}

void rates_forget(store_t *s)
{
    s->rates->sha[0] = '\0';
    s->rates->loading = false;
    load(s);
}

/* "1 123 456": passed or not, then whole numbers in range, one per bucket. */
static bool read_used(span_t text, bool *passed, int64_t used[2])
{
    char copy[64], *p = copy + 2, *end;
    used[0] = used[1] = 0;
    if (text.n < 3 || text.n >= sizeof copy || text.p[1] != ' ' || (text.p[0] != '0' && text.p[0] != '1'))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *passed = copy[0] == '1';
    for (int i = 0; i < 2 && *p; i++) {
        used[i] = strtoll(p, &end, 10);
        if (end == p || used[i] < 0 || used[i] > USED_MAX_S * 1000000LL || (*end && *end != ' '))
            return false;
        p = *end ? end + 1 : end;
    }
    return *p == '\0';
}

static void on_used(void *ctx, xerr_t err, span_t value)
{
    ask_t *a = ctx, got = *a;
    rates_t *r = a->s->rates;
    int64_t used[2];
    bool passed = false;
    a->next = r->spare;
    r->spare = a;
    r->n--;
    if (err == XE_INTERNAL)
        r->sha[0] = '\0'; /* it was emptied or restarted: it no longer knows the script */
    if (!err && !read_used(value, &passed, used))
        err = XE_INTERNAL;
    got.cb(got.ctx, got.key, err ? err : passed ? XE_OK : XE_FULL, err ? NULL : used);
}

static ask_t *ask_new(rates_t *r)
{
    ask_t *a = r->spare;
    if (a)
        r->spare = a->next;
    else
        a = malloc(sizeof *a);
    XASSERT(a);
    r->n++;
    return a;
}

bool rates_take(store_t *s, uint64_t key, const rate_t bucket[2], rates_cb cb, void *ctx)
{
    rates_t *r = s->rates;
    char names[2][40], nums[6][24];
    if (s->closing || !s->rds || !rds_up(s->rds) || bus_others(s->bus) == 0 || r->n == FLIGHT_MAX)
        return false;
    if (!r->sha[0]) {
        load(s);
        return false;
    }
    unsigned n = bucket[1].step_us ? 2 : 1;
    span_t argv[11] = {SPAN_LIT("EVALSHA"), span_of(r->sha), n == 2 ? SPAN_LIT("2") : SPAN_LIT("1")};
    for (unsigned i = 0; i < n; i++) {
        const int64_t v[3] = {bucket[i].used_us, bucket[i].step_us, bucket[i].room_us};
        snprintf(names[i], sizeof names[i], "xorj:r:{%016" PRIx64 "}%u", key, i);
        argv[3 + i] = span_of(names[i]);
        for (unsigned k = 0; k < 3; k++) {
            snprintf(nums[3 * i + k], sizeof nums[0], "%lld", (long long)v[k]);
            argv[3 + n + 3 * i + k] = span_of(nums[3 * i + k]);
        }
    }
    ask_t *a = ask_new(r);
    *a = (ask_t){.s = s, .key = key, .cb = cb, .ctx = ctx};
    if (rds_send(s->rds, 3 + 4 * n, argv, on_used, a))
        return true;
    r->n--;
    a->next = r->spare;
    r->spare = a;
    return false;
}
