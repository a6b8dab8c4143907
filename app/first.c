#include "app/first.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/password.h"
#include "reactor/log.h"
#include "storage/operators.h"

enum { SOON_MS = 10, AGAIN_MS = 500 };

static const char NAME[] = "admin";

/* In the order it runs */
struct first {
    job_t job;
    const cfg_t *cfg;
    store_t *store;
    worker_t *worker;
    ltimer_t *timer;
    xerr_t err;
    bool random;
    char password[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX];
};

static void on_time(void *ctx);                                 /* once storage can be written */
static void on_any(void *ctx, xerr_t err, bool any);            /* no account yet: a password */
static void on_hashed(job_t *j, xerr_t err);
static void on_made(void *ctx, xerr_t err, bool made);          /* printed, if this process was the one */

static void again(first_t *f) { ltimer_arm(f->timer, AGAIN_MS); }

first_t *first_new(loop_t *l, const cfg_t *cfg, store_t *store, worker_t *w)
{
    first_t *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->cfg = cfg;
    f->store = store;
    f->worker = w;
    f->timer = ltimer_new(l, on_time, f);
    ltimer_arm(f->timer, SOON_MS);
    return f;
}

void first_free(first_t *f)
{
    if (!f) return;
    ltimer_free(f->timer);
    secret_wipe(f->password, sizeof f->password);
    free(f);
}

static void on_time(void *ctx)
{
    first_t *f = ctx;
    store_health_t h;
    store_health(f->store, &h);
    if (!h.pg_writable) ltimer_arm(f->timer, SOON_MS * 5);
    else operators_any(f->store, on_any, f);
}

static void run(job_t *j)
{
    first_t *f = (first_t *)j;
    f->err = password_hash(span_of(f->password), f->hash);
}

static void on_any(void *ctx, xerr_t err, bool any)
{
    first_t *f = ctx;
    if (err) again(f);
    if (err || any) return;
    f->random = !f->cfg->auth_admin_password[0];
    if (f->random) password_random(f->password);
    else snprintf(f->password, sizeof f->password, "%.*s", PASSWORD_MAX, f->cfg->auth_admin_password);
    f->job.run = run;
    f->job.done = on_hashed;
    if (worker_submit(f->worker, &f->job)) again(f);
}

static void on_hashed(job_t *j, xerr_t err)
{
    first_t *f = (first_t *)j;
    if (err == XE_CLOSED) return;
    if (f->err) again(f);
    else operator_first(f->store, NAME, f->hash, on_made, f);
}

static void on_made(void *ctx, xerr_t err, bool made)
{
    first_t *f = ctx;
    if (!err && made && f->random) {
        printf("First start: sign in as %s with the password %s (shown this once; it must be changed)\n", NAME, f->password);
        fflush(stdout);
    }
    if (!err && made) log_info("auth", NAME, "first account made, its password must be changed%s", f->random ? "" : " (taken from the configuration)");
    secret_wipe(f->password, sizeof f->password);
    if (err && err != XE_CLOSED) again(f);
}
