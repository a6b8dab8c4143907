#include "handlers/idem.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "handlers/routes.h"
#include "storage/idem.h"

/* A request with a key, in the order it runs */
static void on_claimed(void *ctx, xerr_t err, const idem_row_t *row);
static void on_kept(void *ctx, xerr_t err, const idem_row_t *row);
static void on_opened(void *ctx, xerr_t err, const idem_row_t *row); /* instead, when the handler refused */

enum { WAITERS_MAX = 1024, SLACK_MS = 150, BUCKET_BITS = 10, BUCKETS = 1 << BUCKET_BITS };

typedef struct waiter {
    struct waiter *next;
    req_t *r;
} waiter_t; /* in the request's arena */

typedef struct {
    int status;
    const char *code, *message;
    int retry_s;
} refusal_t;

/* A key whose request is under way in this process. */
typedef struct under_way {
    struct under_way *next, **link;
    idems_t *m;
    uint64_t id; /* what the leading request knows it by: it may be gone by then. Its low bits name the bucket */
    idem_key_t key;
    req_t *lead;
    waiter_t *waiters, **last;
    unsigned n;
    ltimer_t *timer;
    bool late; /* those who waited were sent away */
    bool owed; /* storage owes an answer and will call back with this entry */
    char *body; /* of the answer that is being kept */
    size_t body_n;
    int status;
    refusal_t refusal;
    char message[400];
} under_way_t;

struct idems {
    api_t *a;
    under_way_t *bucket[BUCKETS];
    uint64_t ids;
    ctr_t *first, *repeat, *other, *busy;
};

/* ---- life of an entry --------------------------------------------------------------------------------------------- */

static unsigned bucket_of(const idems_t *m, const idem_key_t *k)
{
    return (unsigned)(siphash(m->a->sip, k->key, strlen(k->key)) ^ siphash(m->a->sip, k->principal, strlen(k->principal))) % BUCKETS;
}

static under_way_t *find_key(const idems_t *m, const idem_key_t *k)
{
    under_way_t *e = m->bucket[bucket_of(m, k)];
    while (e && (strcmp(e->key.key, k->key) != 0 || strcmp(e->key.principal, k->principal) != 0)) e = e->next;
    return e;
}

static under_way_t *find_id(const idems_t *m, uint64_t id)
{
    under_way_t *e = id ? m->bucket[id % BUCKETS] : NULL;
    while (e && e->id != id) e = e->next;
    return e;
}

static void busy(req_t *r)
{
    ctr_inc(call_of(r)->api->idems->busy);
    req_error(r, 409, "CONFLICT", "Idempotency-Key: the first request with this key is still under way", NULL, 1);
}

/* Gives each waiter to fn; they are no longer the entry's. */
static void let_go(under_way_t *e, void (*fn)(req_t *r, void *arg), void *arg)
{
    waiter_t *w = e->waiters;
    e->waiters = NULL;
    e->last = &e->waiters;
    e->n = 0;
    while (w) {
        waiter_t *next = w->next;
        req_t *r = w->r;
        fn(r, arg);
        req_drop(r);
        w = next;
    }
}

static void send_away(req_t *r, void *arg)
{
    (void)arg;
    busy(r);
}

static void entry_end(under_way_t *e)
{
    *e->link = e->next;
    if (e->next) e->next->link = e->link;
    let_go(e, send_away, NULL);
    ltimer_free(e->timer);
    req_drop(e->lead);
    free(e->body);
    free(e);
}

/* First for those who wait; then for the entry, should its handler never answer. */
static void on_timer(void *ctx)
{
    under_way_t *e = ctx;
    if (e->late && !e->owed) {
        entry_end(e);
        return;
    }
    e->late = true;
    let_go(e, send_away, NULL);
    ltimer_arm(e->timer, 4 * e->m->a->cfg->http_write_deadline_ms);
}

static under_way_t *entry_new(idems_t *m, const idem_key_t *k, req_t *r)
{
    under_way_t *e = calloc(1, sizeof *e);
    int64_t ms = m->a->cfg->http_write_deadline_ms - SLACK_MS;
    unsigned n = bucket_of(m, k);
    if (!e) return NULL;
    *e = (under_way_t){
        .m = m, .id = ++m->ids << BUCKET_BITS | n, .key = *k, .lead = req_hold(r), .next = m->bucket[n], .link = &m->bucket[n],
    };
    e->last = &e->waiters;
    if (e->next) e->next->link = &e->next;
    m->bucket[n] = e;
    e->timer = ltimer_new(m->a->loop, on_timer, e);
    ltimer_arm(e->timer, ms > 1 ? ms : 1);
    return e;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void replay(req_t *r, void *arg)
{
    const idem_row_t *row = arg;
    char tag[80];
    if (row->etag.n && row->etag.n < sizeof tag) {
        memcpy(tag, row->etag.p, row->etag.n);
        tag[row->etag.n] = '\0';
        req_add_header(r, "ETag", tag);
    }
    req_reply(r, row->status, "application/json", row->body);
}

static void refuse(req_t *r, void *arg)
{
    const refusal_t *f = arg;
    req_error(r, f->status, f->code, f->message, NULL, f->retry_s);
}

static refusal_t refusal_of(xerr_t err)
{
    answer_t a = answer_of(err, M_POST);
    return (refusal_t){a.status, a.code, a.message, a.retry_s};
}

static void end_with(under_way_t *e, refusal_t f)
{
    refuse(e->lead, &f);
    let_go(e, refuse, &f);
    entry_end(e);
}

static refusal_t other_body(const idems_t *m)
{
    ctr_inc(m->other);
    return (refusal_t){422, "VALIDATION_ERROR", "Idempotency-Key: this key was used with another request", 0};
}

static void end_with_row(under_way_t *e, const idem_row_t *row)
{
    replay(e->lead, (void *)(uintptr_t)row);
    ctr_add(e->m->repeat, e->n);
    let_go(e, replay, (void *)(uintptr_t)row);
    entry_end(e);
}

static void on_claimed(void *ctx, xerr_t err, const idem_row_t *row)
{
    under_way_t *e = ctx;
    call_t *c = call_of(e->lead);
    e->owed = false;
    if (err) {
        end_with(e, refusal_of(err));
    } else if (row->other) {
        end_with(e, other_body(e->m));
    } else if (row->status) {
        ctr_inc(e->m->repeat);
        end_with_row(e, row);
    } else {
        ctr_inc(e->m->first);
        c->idem = e->id;
        memcpy(c->idem_name, row->name, sizeof c->idem_name);
        req_t *r = req_hold(e->lead); /* the handler may end the entry */
        c->route->run(r);
        req_drop(r);
    }
}

bool idem_answer(req_t *r, int status, span_t body)
{
    call_t *c = call_of(r);
    under_way_t *e = c ? find_id(c->api->idems, c->idem) : NULL;
    if (!e) return false;
    c->idem = 0;
    if (c->route->flags & ROUTE_SECRET) {
        idem_row_t own = {.status = status, .etag = span_of(c->etag), .body = body};
        end_with_row(e, &own);
        return true;
    }
    e->body = malloc(body.n + 1);
    if (!e->body) {
        end_with(e, refusal_of(XE_FULL));
        return true;
    }
    memcpy(e->body, body.p, body.n);
    e->body_n = body.n;
    e->status = status;
    e->owed = true;
    idem_keep(c->api->store, &e->key, c->idem_name, status, span_of(c->etag), body, on_kept, e);
    return true;
}

/* An answer that could not be kept is not given: a repeat finds the change done and tries again. */
static void on_kept(void *ctx, xerr_t err, const idem_row_t *row)
{
    under_way_t *e = ctx;
    e->owed = false;
    if (err == XE_NOT_FOUND) {
        idem_row_t own = {.status = e->status, .etag = span_of(call_of(e->lead)->etag), .body = span_make(e->body, e->body_n)};
        end_with_row(e, &own);
    } else if (err) {
        end_with(e, refusal_of(err));
    } else {
        end_with_row(e, row);
    }
}

/* After a 5xx the change may have been made: the key stays with its request. Else it is free before anybody is answered. */
bool idem_refused(req_t *r, int status, const char *code, const char *message, int retry_s)
{
    call_t *c = call_of(r);
    under_way_t *e = c ? find_id(c->api->idems, c->idem) : NULL;
    if (!e) return false;
    c->idem = 0;
    snprintf(e->message, sizeof e->message, "%s", message);
    e->refusal = (refusal_t){status, code, e->message, retry_s};
    if (status >= 500) {
        end_with(e, e->refusal);
        return true;
    }
    e->owed = true;
    idem_open(c->api->store, &e->key, c->idem_name, on_opened, e);
    return true;
}

static void on_opened(void *ctx, xerr_t err, const idem_row_t *row)
{
    under_way_t *e = ctx;
    e->owed = false;
    end_with(e, e->refusal);
}

/* ---- the gate ----------------------------------------------------------------------------------------------------- */

static bool key_fits(span_t v)
{
    if (v.n < 1 || v.n > IDEM_KEY_MAX) return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7e) return false;
    return true;
}

static void add_part(sha256_ctx_t *h, span_t part)
{
    uint64_t n = part.n;
    sha256_add(h, &n, sizeof n);
    sha256_add(h, part.p, part.n);
}

static void key_make(const req_t *r, span_t value, idem_key_t *k)
{
    const claims_t *c = &call_of(r)->who.c;
    sha256_ctx_t *h = sha256_new();
    memset(k, 0, sizeof *k);
    /* The kinds have names of their own: a user name cannot be another's wallet. */
    snprintf(k->principal, sizeof k->principal, "%s:%s", role_name(c->role), c->role == ROLE_WALLET ? c->wallet : c->user_id);
    memcpy(k->key, value.p, value.n);
    add_part(h, span_of(method_name(req_method(r))));
    add_part(h, req_path(r));
    add_part(h, req_query(r));
    add_part(h, req_body(r));
    sha256_end_free(h, k->hash);
    /* Bodies may hold passwords: what is stored tells nothing to who cannot sign tokens. */
    hmac_sha256(span_of(call_of(r)->api->cfg->auth_jwt_secret), span_make((const char *)k->hash, sizeof k->hash), k->hash);
}

static void join(under_way_t *e, const idem_key_t *k, req_t *r)
{
    if (memcmp(e->key.hash, k->hash, sizeof k->hash) != 0) {
        refusal_t f = other_body(e->m);
        refuse(r, &f);
    } else if (e->late || e->n == WAITERS_MAX) {
        busy(r);
    } else {
        waiter_t *w = req_alloc(r, sizeof *w);
        *w = (waiter_t){.r = req_hold(r)};
        *e->last = w;
        e->last = &w->next;
        e->n++;
    }
}

void idem_gate(req_t *r)
{
    const call_t *c = call_of(r);
    idems_t *m = c->api->idems;
    unsigned lines = c->route->flags & ROUTE_KEY ? req_header_count(r, "idempotency-key") : 0;
    span_t value;
    idem_key_t k;
    under_way_t *e;
    if (!lines) {
        c->route->run(r);
        return;
    }
    if (lines > 1 || !req_header(r, "idempotency-key", &value) || !key_fits(value)) {
        h_bad(r, "Idempotency-Key", "one key of 1 to 255 printable ASCII characters is expected");
        return;
    }
    key_make(r, value, &k);
    if ((e = find_key(m, &k))) {
        join(e, &k, r);
        return;
    }
    if (!(e = entry_new(m, &k, r))) {
        h_fail(r, XE_FULL);
        return;
    }
    e->owed = true;
    idem_claim(c->api->store, &e->key, on_claimed, e);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

idems_t *idems_new(api_t *a)
{
    static const char name[] = "idempotent_requests_total", help[] = "Requests with an Idempotency-Key, by what became of them";
    idems_t *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->a = a;
    m->first = metrics_ctr(a->metrics, name, "result=\"first\"", help);
    m->repeat = metrics_ctr(a->metrics, name, "result=\"repeat\"", help);
    m->other = metrics_ctr(a->metrics, name, "result=\"other_body\"", help);
    m->busy = metrics_ctr(a->metrics, name, "result=\"busy\"", help);
    return m;
}

/* Storage has closed: nothing is owed. What is left are entries whose handler never answered. */
void idems_free(idems_t *m)
{
    if (!m) return;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (under_way_t *e = m->bucket[i], *next; e; e = next) {
            next = e->next;
            entry_end(e);
        }
    free(m);
}
