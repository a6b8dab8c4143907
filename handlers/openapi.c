#include "handlers/openapi.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/version.h"
#include "handlers/routes.h"

enum { DOC_MAX = 4 << 20, TAG_BYTES = 12 };

struct openapi {
    buf_t text;
    char etag[2 * TAG_BYTES + 3];
    lim_rule_t rules[LIM_N]; /* as they stand in the text */
};

/* ---- what a route may answer -------------------------------------------------------------------------------------- */

typedef struct { int status; const char *name, *says; } refusal_t;

/* Each is also a reusable answer of the description. */
static const refusal_t refusals[] = {
    {400, "BadRequest", "VALIDATION_ERROR: a parameter, the body or a header is not as described; the message names it."},
    {401, "Unauthorized", "AUTHENTICATION_ERROR: no token, or one that is malformed, expired or revoked."},
    {403, "Forbidden", "AUTHORIZATION_ERROR: not with this role, or not this wallet's."},
    {404, "NotFound", "NOT_FOUND: nothing has this name."},
    {409, "Conflict", "CONFLICT: refused by the state of things; reading again tells more."},
    {412, "PreconditionFailed", "PRECONDITION_FAILED: If-Match names another version."},
    {413, "ContentTooLarge", "VALIDATION_ERROR: the body is larger than its limit."},
    {415, "UnsupportedMediaType", "VALIDATION_ERROR: a body that is not application/json, or is encoded."},
    {422, "Unprocessable", "VALIDATION_ERROR: well-formed, and refused by a rule; or the Idempotency-Key came with another body."},
    {426, "UpgradeRequired", "VALIDATION_ERROR: a websocket handshake is expected."},
    {429, "TooManyRequests", "RATE_LIMIT_ERROR: the route's limit is spent; Retry-After says when to come back."},
    {500, "InternalError", "INTERNAL_ERROR: a defect of the server."},
    {503, "Unavailable", "STORAGE_UNAVAILABLE or UPSTREAM_ERROR: not now; Retry-After says when to come back."},
    {504, "Timeout", "TIMEOUT: a read took longer than its deadline."},
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

static bool asks_who(const route_t *t) { return t->access != ACCESS_PUBLIC && t->access != ACCESS_METRICS; }

static bool may_answer(const route_t *t, int status)
{
    bool write = t->method != M_GET;
    switch (status) {
    case 401: return asks_who(t) || (t->flags & ROUTE_REFUSES);
    case 403: return t->access != ACCESS_PUBLIC || (t->flags & ROUTE_FORBIDS);
    case 404: return t->flags & ROUTE_FINDS;
    case 409: return t->flags & (ROUTE_CLASH | ROUTE_KEY);
    case 412: return t->flags & ROUTE_MATCH;
    case 413: case 415: return write;
    case 422: return t->flags & (ROUTE_RULE | ROUTE_KEY);
    case 426: return t->flags & ROUTE_UPGRADE;
    case 429: return t->limit != LIM_NONE || (t->flags & ROUTE_REFUSES);
    case 504: return !write;
    default: return true;
    }
}

/* ---- who may call ------------------------------------------------------------------------------------------------- */

static const char *role_word(access_t a)
{
    switch (a) {
    case ACCESS_PUBLIC: return "public";
    case ACCESS_OPTIONAL: return "public, more for viewers";
    case ACCESS_LOCAL: return "viewer, or a caller on the same machine";
    case ACCESS_METRICS: return "address list";
    case ACCESS_WALLET: return "wallet";
    case ACCESS_ANY: return "wallet or viewer";
    case ACCESS_CONTROL: return "wallet or operator";
    case ACCESS_VIEWER: return "viewer";
    case ACCESS_OPERATOR: return "operator";
    case ACCESS_ADMIN: return "admin";
    }
    return "";
}

static const char *least_role(access_t a)
{
    switch (a) {
    case ACCESS_WALLET: case ACCESS_ANY: case ACCESS_CONTROL: return "wallet";
    case ACCESS_OPERATOR: return "operator";
    case ACCESS_ADMIN: return "admin";
    default: return "viewer";
    }
}

static bool wallet_may(const route_t *t)
{
    return t->access == ACCESS_WALLET || t->access == ACCESS_ANY || t->access == ACCESS_CONTROL;
}

/* One way in: a scheme with the roles it needs. NULL: none at all. */
static void put_way(jw_t *w, const char *scheme, const route_t *t)
{
    jw_obj(w);
    if (scheme) {
        jw_key(w, scheme);
        jw_arr(w);
        jw_cstr(w, least_role(t->access));
        if (t->access == ACCESS_ANY) jw_cstr(w, "viewer");
        if (t->access == ACCESS_CONTROL) jw_cstr(w, "operator");
        jw_end(w);
    }
    jw_end(w);
}

static void put_security(jw_t *w, const route_t *t)
{
    put_str(w, "x-role", role_word(t->access));
    jw_key(w, "security");
    jw_arr(w);
    if (asks_who(t)) put_way(w, "bearer", t);
    if (asks_who(t) && t->access != ACCESS_WALLET && !(t->flags & ROUTE_LOGIN)) put_way(w, "api_key", t);
    if (wallet_may(t)) put_way(w, "session", t);
    if (t->flags & ROUTE_TICKET) put_way(w, "ticket", t);
    if (t->access == ACCESS_OPTIONAL || t->access == ACCESS_LOCAL) put_way(w, NULL, t);
    jw_end(w);
}

static const struct { const char *name, *type, *a, *av, *b, *bv, *says; } schemes[] = {
    {"bearer", "http", "scheme", "bearer", "bearerFormat", "JWT", "A wallet's session token, or an operator's access token."},
    {"api_key", "apiKey", "in", "header", "name", "X-API-Key", "An operator's API key; Authorization: ApiKey says the same."},
    {"session", "apiKey", "in", "cookie", "name", "__Host-xorj",
     "A wallet's session token in a cookie, for a console in a browser. What is not a GET must also come from an allowed Origin, or bring X-CSRF-Token."},
    {"ticket", "apiKey", "in", "query", "name", "ticket", "A one-time ticket for the live stream."},
};

static void put_schemes(jw_t *w)
{
    jw_key(w, "securitySchemes");
    jw_obj(w);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        jw_key(w, schemes[i].name);
        jw_obj(w);
        put_str(w, "type", schemes[i].type);
        put_str(w, schemes[i].a, schemes[i].av);
        put_str(w, schemes[i].b, schemes[i].bv);
        put_str(w, "description", schemes[i].says);
        jw_end(w);
    }
    jw_end(w);
}

/* ---- parameters and body ------------------------------------------------------------------------------------------ */

static void put_parameter(jw_t *w, const char *in, const schema_t *row, bool required)
{
    schema_t bare = *row;
    bare.doc = NULL;
    jw_obj(w);
    put_str(w, "name", row->name);
    put_str(w, "in", in);
    if (required) put_bool(w, "required", true);
    if (row->doc) put_str(w, "description", row->doc);
    jw_key(w, "schema");
    openapi_value(w, &bare, strcmp(in, "header") != 0); /* fields of the head have no bound but the head's */
    jw_end(w);
}

static void put_ref(jw_t *w, const char *kind, const char *name)
{
    char text[96];
    snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
    jw_obj(w);
    put_str(w, "$ref", text);
    jw_end(w);
}

static void put_parameters(jw_t *w, const route_t *t)
{
    jw_key(w, "parameters");
    jw_arr(w);
    for (const char *at = strchr(t->path, '{'); at; at = strchr(at + 1, '{'))
        put_parameter(w, "path", route_segment(span_make(at + 1, strcspn(at + 1, "}"))), true);
    for (const schema_t *q = t->query; q && q->name; q++) {
        if ((t->flags & ROUTE_TICKET) && strcmp(q->name, "ticket") == 0) continue; /* a security scheme */
        put_parameter(w, "query", q, q->flags & SC_REQ);
    }
    if (t->flags & ROUTE_MATCH) put_ref(w, "parameters", "IfMatch");
    if ((t->flags & ROUTE_ETAG) && t->method == M_GET) put_ref(w, "parameters", "IfNoneMatch");
    if (t->flags & ROUTE_KEY) put_ref(w, "parameters", "IdempotencyKey");
    if (wallet_may(t) && t->method != M_GET) put_ref(w, "parameters", "CsrfToken");
    jw_end(w);
}

static const struct { const char *key, *name, *pattern, *says; } fields[] = {
    {"IfMatch", "If-Match", "^(?:[*]|\"[!#-~]{0,62}\")$", "The version that must still stand, as ETag gave it."},
    {"IfNoneMatch", "If-None-Match", NULL, "304 when this is still the answer's ETag."},
    {"CsrfToken", "X-CSRF-Token", NULL, "With a session cookie where no Origin is sent: the token that sign-in gave."},
    {"IdempotencyKey", "Idempotency-Key", "^[!-~]{1,255}$", "Repeats with the same key and body get the first answer again, for 24 hours."},
};

static void put_fields(jw_t *w)
{
    jw_key(w, "parameters");
    jw_obj(w);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        schema_t row = {.name = fields[i].name, .type = SC_STR, .pattern = fields[i].pattern, .doc = fields[i].says};
        jw_key(w, fields[i].key);
        put_parameter(w, "header", &row, false);
    }
    jw_end(w);
}

static void open_json(jw_t *w)
{
    jw_key(w, "content");
    jw_obj(w);
    jw_key(w, "application/json");
    jw_obj(w);
    jw_key(w, "schema");
}

static void close_json(jw_t *w)
{
    jw_end(w);
    jw_end(w);
}

static void put_body(jw_t *w, const route_t *t)
{
    if (!t->body) return;
    jw_key(w, "requestBody");
    jw_obj(w);
    put_bool(w, "required", !(t->flags & ROUTE_EMPTY));
    open_json(w);
    openapi_schema(w, t->body, true);
    close_json(w);
    jw_end(w);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void put_headers(jw_t *w, const char *const *names)
{
    jw_key(w, "headers");
    jw_obj(w);
    for (; *names; names++) {
        jw_key(w, *names);
        put_ref(w, "headers", *names);
    }
    jw_end(w);
}

static void open_status(jw_t *w, int status, const char *says)
{
    char text[8];
    snprintf(text, sizeof text, "%d", status);
    jw_key(w, text);
    jw_obj(w);
    put_str(w, "description", says);
}

static void put_answer(jw_t *w, const route_t *t)
{
    open_status(w, t->status, t->flags & ROUTE_UPGRADE ? "The connection is a websocket now." : "The ordinary answer.");
    if (t->flags & ROUTE_UPGRADE) {
        jw_end(w);
        return;
    }
    const char *names[8] = {"X-Request-ID", "Cache-Control"};
    size_t n = 2;
    if (t->flags & ROUTE_ETAG) names[n++] = "ETag";
    if (t->limit != LIM_NONE) names[n++] = "RateLimit", names[n++] = "RateLimit-Policy";
    put_headers(w, names);
    if (t->answer) {
        open_json(w);
        openapi_schema(w, t->answer, false);
        close_json(w);
    } else if (t->flags & ROUTE_TEXT) {
        jw_key(w, "content");
        jw_raw(w, SPAN_LIT("{\"text/plain\":{\"schema\":{\"type\":\"string\"}}}"));
    }
    jw_end(w);
}

static void put_unchanged(jw_t *w)
{
    open_status(w, 304, "If-None-Match names the answer as it still is.");
    put_headers(w, S_WORDS("X-Request-ID", "Cache-Control", "ETag"));
    jw_end(w);
}

/* A state that is told with 503 has its own shape, but the server may also be on its way out. */
static void put_state_503(jw_t *w, const route_t *t)
{
    open_status(w, 503, "The same, while something is missing; or the server is shutting down.");
    put_headers(w, S_WORDS("X-Request-ID", "Cache-Control", "Retry-After"));
    open_json(w);
    jw_obj(w);
    jw_key(w, "oneOf");
    jw_arr(w);
    openapi_schema(w, t->answer, false);
    put_ref(w, "schemas", "Error");
    jw_end(w);
    jw_end(w);
    close_json(w);
    jw_end(w);
}

static void put_responses(jw_t *w, const route_t *t)
{
    char text[8];
    jw_key(w, "responses");
    jw_obj(w);
    put_answer(w, t);
    if ((t->flags & ROUTE_ETAG) && t->method == M_GET) put_unchanged(w);
    for (int i = 0; i < REFUSALS; i++) {
        if (!may_answer(t, refusals[i].status)) continue;
        if (refusals[i].status == 503 && (t->flags & ROUTE_OPEN_STATE)) {
            put_state_503(w, t);
            continue;
        }
        snprintf(text, sizeof text, "%d", refusals[i].status);
        jw_key(w, text);
        put_ref(w, "responses", refusals[i].name);
    }
    jw_key(w, "default");
    put_ref(w, "responses", "Refused");
    jw_end(w);
}

static void put_refusal(jw_t *w, const char *name, int status, const char *says)
{
    jw_key(w, name);
    jw_obj(w);
    put_str(w, "description", says);
    if (status == 401) put_headers(w, S_WORDS("X-Request-ID", "Cache-Control", "WWW-Authenticate"));
    else if (status == 429) put_headers(w, S_WORDS("X-Request-ID", "Cache-Control", "Retry-After", "RateLimit", "RateLimit-Policy"));
    else if (status == 503) put_headers(w, S_WORDS("X-Request-ID", "Cache-Control", "Retry-After"));
    else put_headers(w, S_WORDS("X-Request-ID", "Cache-Control"));
    open_json(w);
    put_ref(w, "schemas", "Error");
    close_json(w);
    jw_end(w);
}

static void put_refusals(jw_t *w)
{
    jw_key(w, "responses");
    jw_obj(w);
    for (int i = 0; i < REFUSALS; i++) put_refusal(w, refusals[i].name, refusals[i].status, refusals[i].says);
    put_refusal(w, "Refused", 0,
                "What the listener refuses before it knows the route (404, 405, 408, 411, 414, 417, 431, 501, 505); 405 has Allow.");
    jw_end(w);
}

static const struct { const char *name, *type, *says; } headers[] = {
    {"X-Request-ID", "string", "The request's id: the caller's own when it was 1 to 64 of A-Z a-z 0-9 . _ -"},
    {"Cache-Control", "string", "no-store, unless the answer may be kept."},
    {"ETag", "string", "The version of what is answered."},
    {"Retry-After", "integer", "Seconds."},
    {"RateLimit", "string", "What is left of the limit, and when it is whole again."},
    {"RateLimit-Policy", "string", "The limit: its name, its number, its window in seconds."},
    {"WWW-Authenticate", "string", "How to authenticate."},
};

static void put_header_shapes(jw_t *w)
{
    jw_key(w, "headers");
    jw_obj(w);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        jw_key(w, headers[i].name);
        jw_obj(w);
        put_str(w, "description", headers[i].says);
        jw_key(w, "schema");
        jw_obj(w);
        put_str(w, "type", headers[i].type);
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
}

/* The one error shape, as reactor/http_reply.c writes it. */
static void put_error_shape(jw_t *w)
{
    jw_key(w, "schemas");
    jw_raw(w, SPAN_LIT("{\"Error\":{\"type\":\"object\",\"properties\":{\"success\":{\"type\":\"boolean\",\"const\":false},"
                       "\"error\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\",\"enum\":[\"VALIDATION_ERROR\","
                       "\"AUTHENTICATION_ERROR\",\"AUTHORIZATION_ERROR\",\"NOT_FOUND\",\"CONFLICT\",\"PRECONDITION_FAILED\","
                       "\"RATE_LIMIT_ERROR\",\"STORAGE_UNAVAILABLE\",\"UPSTREAM_ERROR\",\"TIMEOUT\",\"INTERNAL_ERROR\"]},"
                       "\"message\":{\"type\":\"string\",\"minLength\":1},\"details\":{\"type\":\"object\"}},"
                       "\"required\":[\"code\",\"message\"],\"additionalProperties\":false},"
                       "\"request_id\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}},"
                       "\"required\":[\"success\",\"error\",\"request_id\"],\"additionalProperties\":false}}"));
}

/* ---- the document ------------------------------------------------------------------------------------------------- */

/* "get_api_v1_books_venue_market" */
static void put_id(jw_t *w, const route_t *t)
{
    char text[160];
    size_t n = 0;
    for (const char *m = method_name(t->method); *m && n + 1 < sizeof text; m++) text[n++] = (char)(*m - 'A' + 'a');
    for (const char *p = t->path; *p && n + 1 < sizeof text; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (word) text[n++] = *p;
        else if (n && text[n - 1] != '_') text[n++] = '_';
    }
    if (n && text[n - 1] == '_') n--;
    text[n] = '\0';
    put_str(w, "operationId", text);
}

static void put_limit(jw_t *w, const cfg_t *cfg, const route_t *t)
{
    lim_rule_t rule = lim_rule(cfg, t->limit);
    if (t->limit == LIM_NONE) return;
    jw_key(w, "x-rate-limit");
    jw_obj(w);
    put_str(w, "class", lim_name(t->limit));
    put_i64(w, "requests", rule.n);
    put_i64(w, "window_s", rule.window_s);
    if (rule.burst_per_s) put_i64(w, "burst_per_s", rule.burst_per_s);
    put_str(w, "per", lim_by_address(t->limit) ? "address" : "principal");
    jw_end(w);
}

static void put_operation(jw_t *w, const cfg_t *cfg, const route_t *t)
{
    char method[16];
    size_t n = 0;
    for (const char *m = method_name(t->method); *m; m++) method[n++] = (char)(*m - 'A' + 'a');
    method[n] = '\0';
    jw_key(w, method);
    jw_obj(w);
    put_id(w, t);
    jw_key(w, "tags");
    jw_arr(w);
    jw_cstr(w, route_tag(t));
    jw_end(w);
    put_str(w, "summary", t->doc);
    put_security(w, t);
    put_limit(w, cfg, t);
    put_parameters(w, t);
    put_body(w, t);
    put_responses(w, t);
    jw_end(w);
}

/* Rows of one path may stand in different lists: all are written where the first is. */
static void put_paths(jw_t *w, const cfg_t *cfg)
{
    const route_t *t, *u;
    jw_key(w, "paths");
    jw_obj(w);
    for (size_t i = 0; (t = route_at(i)); i++) {
        size_t k = 0;
        while (k < i && strcmp(route_at(k)->path, t->path) != 0) k++;
        if (k < i) continue;
        jw_key(w, t->path);
        jw_obj(w);
        for (; (u = route_at(k)); k++)
            if (strcmp(u->path, t->path) == 0) put_operation(w, cfg, u);
        jw_end(w);
    }
    jw_end(w);
}

static void put_info(jw_t *w)
{
    put_str(w, "openapi", "3.1.0");
    jw_key(w, "info");
    jw_obj(w);
    put_str(w, "title", "XORJ");
    put_str(w, "version", XORJ_VERSION);
    put_str(w, "description", "Written from the table that routes and judges requests. A request that is not as described here is refused with 400 and a "
                              "message that names the member. A later version may add members to an answer; none is renamed. Every route also takes "
                              "OPTIONS, every GET also HEAD. X-Request-ID may come with any request.");
    jw_end(w);
    jw_key(w, "servers");
    jw_raw(w, SPAN_LIT("[{\"url\":\"/\"}]"));
}

bool openapi_write(const cfg_t *cfg, buf_t *out)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    put_info(&w);
    put_paths(&w, cfg);
    jw_key(&w, "components");
    jw_obj(&w);
    put_error_shape(&w);
    put_refusals(&w);
    put_fields(&w);
    put_header_shapes(&w);
    put_schemes(&w);
    jw_end(&w);
    jw_end(&w);
    return !out->failed;
}

/* ---- the kept copy ------------------------------------------------------------------------------------------------ */

openapi_t *openapi_new(void)
{
    openapi_t *d = calloc(1, sizeof *d);
    if (d) buf_init(&d->text, DOC_MAX);
    return d;
}

void openapi_free(openapi_t *d)
{
    if (!d) return;
    buf_fini(&d->text);
    free(d);
}

static bool is_current(openapi_t *d, const cfg_t *cfg)
{
    bool same = d->text.n > 0;
    for (lim_class_t c = LIM_NONE + 1; c < LIM_N; c++) {
        lim_rule_t r = lim_rule(cfg, c), *k = &d->rules[c];
        same = same && r.n == k->n && r.window_s == k->window_s && r.burst_per_s == k->burst_per_s;
        *k = r;
    }
    return same;
}

static bool refresh(openapi_t *d, const cfg_t *cfg)
{
    uint8_t sum[32];
    if (is_current(d, cfg)) return true;
    buf_reset(&d->text);
    if (!openapi_write(cfg, &d->text)) {
        buf_reset(&d->text);
        return false;
    }
    sha256(d->text.p, d->text.n, sum);
    d->etag[0] = '"';
    hex_encode(sum, TAG_BYTES, d->etag + 1);
    memcpy(d->etag + 1 + 2 * TAG_BYTES, "\"", 2);
    return true;
}

static void h_openapi(req_t *r)
{
    api_t *a = api_of(r);
    if (!refresh(a->openapi, a->cfg)) {
        h_fail(r, XE_INTERNAL);
        return;
    }
    req_add_header(r, "Cache-Control", "no-cache");
    if (!req_header_count(r, "origin")) req_add_header(r, "Vary", "Origin"); /* it may be kept: also for whom CORS matters */
    if (!h_unchanged(r, a->openapi->etag)) req_reply(r, 200, "application/json", buf_span(&a->openapi->text));
}

static const schema_t answer[] = {
    S_REQ("openapi", SC_STR), S_REQ("info", SC_MAP), S_REQ("servers", SC_ARR, .of = S_LIST(S_REQ("", SC_MAP))), S_REQ("paths", SC_MAP),
    S_REQ("components", SC_MAP), S_END,
};

const route_t routes_openapi[] = {
    {M_GET, "/api/openapi.json", ACCESS_PUBLIC, LIM_OPEN, ROUTE_ETAG, 0, h_openapi, NULL, NULL, 200, answer, "This description."},
    ROUTE_END,
};
