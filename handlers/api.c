/* The face: takes a request from its head to its handler, in one fixed order of judgement, and counts it. */
#include "handlers/ctx.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/ask.h"
#include "handlers/bot_view.h"
#include "handlers/cors.h"
#include "handlers/guard.h"
#include "handlers/idem.h"
#include "handlers/openapi.h"
#include "handlers/rate.h"
#include "handlers/routes.h"
#include "handlers/stats.h"
#include "handlers/stream.h"
#include "reactor/log.h"
#include "storage/bus.h"

/* The gates of a request, first to last. Syntax and size of the head were judged by reactor/. */
static void on_head(void *ctx, req_t *r);          /* route: 404, 405; body ceiling */
static void on_request(void *ctx, req_t *r);       /* address limit: 429 */
static void on_identified(req_t *r, xerr_t err);   /* token: 401; role and ownership: 403; principal limit: 429 */
static void on_admitted(req_t *r);                 /* content type: 415; path, query, body: 400; key: 409, 422; then the handler */
static void on_done(void *ctx, req_t *r, int status, int64_t ns);

enum { TOKENS_KEPT = 4096 };

/* ---- route -------------------------------------------------------------------------------------------------------- */

static void *alloc_for(void *r, size_t n) { return req_alloc(r, n); }

static call_t *make_call(api_t *a, req_t *r)
{
    call_t *c = req_alloc(r, sizeof *c);
    memset(c, 0, sizeof *c);
    c->api = a;
    req_set_user(r, c);
    return c;
}

static void no_route(req_t *r, unsigned methods)
{
    char allow[64];
    if (!methods) {
        h_fail_why(r, XE_NOT_FOUND, "No such path");
        return;
    }
    route_allow_text(methods, allow);
    req_add_header(r, "Allow", allow);
    req_error(r, 405, "VALIDATION_ERROR", "This path does not take this method", NULL, 0);
}

static void on_head(void *ctx, req_t *r)
{
    api_t *a = ctx;
    call_t *c = make_call(a, r);
    unsigned methods = 0;
    cors_apply(r, a->cfg->server_allowed_origins);
    c->route = route_find(req_method(r), req_path(r), c->arg, &methods);
    if (c->route) {
        if (c->route->body_max) req_limit_body(r, c->route->body_max);
    } else if (req_method(r) == M_OPTIONS && methods) {
        cors_preflight(r, a->cfg->server_allowed_origins, methods);
    } else {
        no_route(r, methods);
    }
}

/* ---- the way in --------------------------------------------------------------------------------------------------- */

/* Only what was not answered at once needs a deadline. */
static void arm_deadline(api_t *a, req_t *r)
{
    bool read = req_method(r) == M_GET || req_method(r) == M_HEAD;
    /* Storage ends a write that cannot be committed; one that was may still wait for other processes to hear of it. */
    req_set_deadline(r, read ? a->cfg->http_read_deadline_ms : a->cfg->http_write_deadline_ms + BUS_LEASE_MS);
}

static void identify(req_t *r) { guard_identify(r, on_identified); }

static void on_request(void *ctx, req_t *r)
{
    api_t *a = ctx;
    call_t *c = call_of(r);
    if (!c || req_answered(r)) return;
    req_hold(r);
    c->counted = true;
    a->in_flight->v++;
    c->query_err = query_parse(req_query(r), c->route->query, alloc_for, r, &c->query);
    rate_admit(r, true, identify);
    if (!req_answered(r)) arm_deadline(a, r);
    req_drop(r);
}

static void on_identified(req_t *r, xerr_t err)
{
    if (err) {
        if (err != XE_AUTH || rate_stranger(r)) h_fail(r, err);
        return;
    }
    if (guard_admit(r)) {
        ctr_inc(api_of(r)->n.role);
        h_fail_why(r, XE_DENIED, call_of(r)->deny);
        return;
    }
    rate_admit(r, false, on_admitted);
}

static bool eat(span_t *s, const char *lower)
{
    size_t n = strlen(lower);
    if (s->n < n) return false;
    for (size_t i = 0; i < n; i++) {
        char c = s->p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c != lower[i]) return false;
    }
    *s = span_make(s->p + n, s->n - n);
    return true;
}

static void skip_blanks(span_t *s)
{
    while (s->n && (*s->p == ' ' || *s->p == '\t')) *s = span_make(s->p + 1, s->n - 1);
}

/* application/json, optionally with charset utf-8 (quoted or not), and no content coding, not even of nothing. */
static bool content_ok(const req_t *r)
{
    span_t v;
    if (req_header(r, "content-encoding", &v)) return false;
    if (!req_body(r).n) return true;
    if (!req_header(r, "content-type", &v) || !eat(&v, "application/json")) return false;
    skip_blanks(&v);
    if (!v.n) return true;
    if (!eat(&v, ";")) return false;
    skip_blanks(&v);
    if (!eat(&v, "charset=") || !(eat(&v, "utf-8") || eat(&v, "\"utf-8\""))) return false;
    skip_blanks(&v);
    return !v.n;
}

static void bad_query(req_t *r)
{
    const query_t *q = &call_of(r)->query;
    char name[264];
    ctr_inc(api_of(r)->n.invalid_query);
    if (!q->why) h_unknown_key(r, "query", q->fault);
    else h_bad(r, log_esc(q->fault, name, sizeof name), q->why);
}

/* A segment with escapes is taken by what they mean; a broken escape stays as it is and names nothing. */
static void decode_segments(req_t *r)
{
    call_t *c = call_of(r);
    for (int i = 0; i < ROUTE_ARGS_MAX; i++) {
        if (!c->arg[i].n || !memchr(c->arg[i].p, '%', c->arg[i].n)) continue;
        char *to = req_alloc(r, c->arg[i].n);
        size_t n;
        if (!pct_decode(c->arg[i], to, c->arg[i].n, &n)) c->arg[i] = span_make(to, n);
    }
}

/* Segments of the path and values of the query. False: answered (400). */
static bool address_ok(req_t *r)
{
    const call_t *c = call_of(r);
    sc_why_t why;
    if (c->query_err) {
        bad_query(r);
        return false;
    }
    decode_segments(r);
    if (!route_judge(c->route, c->arg, &why) && !query_judge(&c->query, c->known ? span_of(c->who.c.wallet) : span_of(""), &why)) return true;
    ctr_inc(c->api->n.invalid_query);
    h_fail_why(r, XE_BAD_INPUT, why.text);
    return false;
}

static void on_admitted(req_t *r)
{
    const call_t *c = call_of(r);
    bool reads_body = c->route->method != M_GET;
    if (reads_body && !content_ok(r)) {
        ctr_inc(c->api->n.invalid_type);
        req_error(r, 415, "VALIDATION_ERROR", "Content-Type: application/json is expected, without Content-Encoding", NULL, 0);
        return;
    }
    if (address_ok(r) && (!reads_body || ask_body(r))) idem_gate(r);
}

static const char *principal_text(const call_t *c)
{
    if (!c || !c->known) return "-";
    return c->who.c.role == ROLE_WALLET ? c->who.c.wallet : c->who.c.user_id;
}

static void on_done(void *ctx, req_t *r, int status, int64_t ns)
{
    api_t *a = ctx;
    const call_t *c = call_of(r);
    const route_t *route = c ? c->route : NULL;
    if (c && c->counted) a->in_flight->v--;
    stats_add(a->stats, route, status, ns);
    if (a->cfg->log_requests)
        log_info("http", req_id(r), "%s %s status=%d us=%lld who=%s", method_name(req_method(r)), route ? route->path : "unmatched", status,
                 (long long)(ns / 1000), principal_text(c));
}

/* ---- shared by handlers ------------------------------------------------------------------------------------------- */

who_t who_of(const req_t *r)
{
    const claims_t *c = &call_of(r)->who.c;
    return (who_t){.actor = c->role == ROLE_WALLET ? c->wallet : c->user_id, .role = role_name(c->role), .request_id = req_id(r),
                   .source_ip = req_client_addr(r), .name = call_of(r)->idem ? call_of(r)->idem_name : NULL};
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void make_counters(api_t *a)
{
    static const char fail[] = "auth_failures_total", fail_help[] = "Requests refused for who sent them";
    static const char bad[] = "validation_errors_total", bad_help[] = "Requests refused for what they held";
    char labels[64];
    a->n.header = metrics_ctr(a->metrics, fail, "reason=\"header\"", fail_help);
    a->n.token = metrics_ctr(a->metrics, fail, "reason=\"token\"", fail_help);
    a->n.session = metrics_ctr(a->metrics, fail, "reason=\"session\"", fail_help);
    a->n.role = metrics_ctr(a->metrics, fail, "reason=\"role\"", fail_help);
    a->n.invalid_json = metrics_ctr(a->metrics, bad, "error_type=\"malformed_json\"", bad_help);
    a->n.invalid_schema = metrics_ctr(a->metrics, bad, "error_type=\"schema\"", bad_help);
    a->n.invalid_type = metrics_ctr(a->metrics, bad, "error_type=\"content_type\"", bad_help);
    a->n.invalid_query = metrics_ctr(a->metrics, bad, "error_type=\"query\"", bad_help);
    a->n.login_ok = metrics_ctr(a->metrics, "operator_logins_total", "result=\"ok\"", "Sign-ins of operators");
    a->n.login_failed = metrics_ctr(a->metrics, "operator_logins_total", "result=\"refused\"", "Sign-ins of operators");
    a->n.login_throttled = metrics_ctr(a->metrics, "operator_logins_total", "result=\"throttled\"", "Sign-ins of operators");
    a->n.hash_full = metrics_ctr(a->metrics, "operator_logins_total", "result=\"busy\"", "Sign-ins of operators");
    a->n.refresh_reused = metrics_ctr(a->metrics, "refresh_reused_total", NULL, "Refresh tokens used twice: the family was revoked");
    for (lim_class_t c = LIM_NONE + 1; c < LIM_N; c++) {
        snprintf(labels, sizeof labels, "class=\"%s\"", lim_name(c));
        a->n.limited[c] = metrics_ctr(a->metrics, "rate_limited_total", labels, "Requests refused by a rate limit");
    }
    a->limit_entries = metrics_gauge(a->metrics, "rate_limit_entries", NULL, "Callers the limiter remembers");
    a->limit_evicted = metrics_gauge(a->metrics, "rate_limit_evicted", NULL, "Callers the limiter forgot for lack of room, since the start");
    a->in_flight = metrics_gauge(a->metrics, "http_requests_in_flight", NULL, "Requests taken and not yet answered");
}

/* The same in every process of the database, so that they can speak of a caller without naming it (storage/rates.h). */
static void table_keys(api_t *a)
{
    uint8_t mac[32];
    if (a->cfg->auth_jwt_secret[0]) hmac_sha256(span_of(a->cfg->auth_jwt_secret), SPAN_LIT("xorj tables 1"), mac);
    else random_bytes(mac, sizeof mac);
    memcpy(a->sip, mac, sizeof a->sip);
}

api_t *api_new(loop_t *l, metrics_t *m, const cfg_t *cfg, store_t *store, const engine_t *eng, door_t door, api_views_t v)
{
    api_t *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    *a = (api_t){.loop = l, .metrics = m, .cfg = cfg, .store = store, .eng = eng, .door = door, .views = v, .started_ns = mono_ns()};
    table_keys(a);
    jwt_keys_init(&a->keys, cfg);
    siws_issuer_init(&a->issuer, cfg);
    a->tokens = tcache_new(TOKENS_KEPT, a->sip);
    a->limits = limits_new((unsigned)cfg->limits_keys_max, a->sip);
    a->tickets = tickets_new(a->sip);
    password_dummy(a->dummy_hash);
    a->stats = stats_new(m);
    a->openapi = openapi_new();
    a->idems = idems_new(a);
    a->holds = holds_new();
    make_counters(a);
    a->stream = stream_new(a);
    if (a->tokens && a->limits && a->tickets && a->stats && a->openapi && a->idems && a->holds && a->stream) return a;
    api_free(a);
    return NULL;
}

void api_free(api_t *a)
{
    if (!a) return;
    stream_free(a->stream);
    openapi_free(a->openapi);
    idems_free(a->idems);
    holds_free(a->holds);
    stats_free(a->stats);
    tickets_free(a->tickets);
    limits_free(a->limits);
    tcache_free(a->tokens);
    free(a);
}

void api_reload(api_t *a)
{
    jwt_keys_init(&a->keys, a->cfg);
    siws_issuer_init(&a->issuer, a->cfg);
    tcache_clear(a->tokens);
}

void api_set_worker(api_t *a, worker_t *w) { a->worker = w; }

http_hooks_t api_http_hooks(api_t *a) { return (http_hooks_t){on_head, on_request, on_done, a}; }

xerr_t token_mint(const cfg_t *cfg, const struct token_in *in, char *out, size_t cap)
{
    jwt_keys_t keys;
    claims_t c = {.issued_s = in->issued_s, .expires_s = in->expires_s};
    if (role_parse(span_of(in->role), &c.role)) return XE_BAD_INPUT;
    snprintf(c.jti, sizeof c.jti, "%s", in->jti);
    snprintf(c.user_id, sizeof c.user_id, "%s", in->user_id);
    if (c.role == ROLE_WALLET) snprintf(c.wallet, sizeof c.wallet, "%s", in->wallet);
    jwt_keys_init(&keys, cfg);
    return jwt_sign(&keys, &c, out, cap);
}
