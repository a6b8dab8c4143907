#include "handlers/hashing.h"

#include <stdio.h>
#include <stdlib.h>

#include "reactor/worker.h"

typedef struct {
    job_t job;
    hashed_cb cb;
    void *ctx;
    xerr_t err;
    int64_t until_ns; /* nobody waits for it any more */
    size_t password_n, fresh_n;
    char password[PASSWORD_MAX], fresh[PASSWORD_MAX], hash[PASSWORD_HASH_MAX], made[PASSWORD_HASH_MAX];
} work_t;

bool hashing_enter(req_t *r)
{
    api_t *a = api_of(r);
    if (a->hashing < (unsigned)(a->cfg->auth_hash_threads + a->cfg->auth_hash_waiting)) {
        a->hashing++;
        return true;
    }
    ctr_inc(a->n.hash_full);
    h_refuse(r, 429, "RATE_LIMIT_ERROR", "Too many sign-ins are waiting, try again", 1);
    return false;
}

void hashing_leave(api_t *a) { a->hashing--; }

/* On a worker thread: touches nothing but the job. */
static void run(job_t *j)
{
    work_t *w = (work_t *)j;
    w->err = mono_ns() > w->until_ns ? XE_TIMEOUT : XE_OK;
    if (w->err) return;
    w->err = w->hash[0] ? password_verify(span_make(w->password, w->password_n), w->hash) : XE_OK;
    if (!w->err && w->fresh_n) w->err = password_hash(span_make(w->fresh, w->fresh_n), w->made);
}

static void done(job_t *j, xerr_t err)
{
    work_t *w = (work_t *)j;
    w->cb(w->ctx, err ? err : w->err, w->made);
    secret_wipe(w, sizeof *w);
    free(w);
}

static void take(span_t s, char out[PASSWORD_MAX], size_t *n)
{
    *n = s.n <= PASSWORD_MAX ? s.n : 0; /* too long fits no hash: an empty one never does either */
    if (*n) memcpy(out, s.p, *n);
}

static void refused(void *ctx)
{
    done(ctx, ((work_t *)ctx)->err);
}

void hashing_ask(api_t *a, const hashing_t *in, hashed_cb cb, void *ctx)
{
    work_t *w = calloc(1, sizeof *w);
    XASSERT(w);
    w->job.run = run;
    w->job.done = done;
    w->cb = cb;
    w->ctx = ctx;
    w->until_ns = mono_ns() + a->cfg->http_write_deadline_ms * 1000000;
    take(in->password, w->password, &w->password_n);
    take(in->fresh, w->fresh, &w->fresh_n);
    snprintf(w->hash, sizeof w->hash, "%s", in->hash);
    w->err = a->worker ? worker_submit(a->worker, &w->job) : XE_CLOSED;
    if (w->err) loop_later(a->loop, refused, w);
}

bool password_good(req_t *r, const char *field, span_t password, span_t username)
{
    const char *why = password_weakness(password, username);
    if (!why) return true;
    ctr_inc(api_of(r)->n.invalid_schema);
    h_bad(r, field, why);
    return false;
}
