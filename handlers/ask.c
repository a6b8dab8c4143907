#include "handlers/ask.h"

#include "handlers/text.h"

static bool blank(span_t s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr(" \t\r\n", s.p[i]) || !s.p[i]) return false;
    return true;
}

static bool refuse(req_t *r, ctr_t *n, const char *why)
{
    ctr_inc(n);
    h_fail_why(r, XE_BAD_INPUT, why);
    return false;
}

bool ask_body(req_t *r)
{
    api_t *a = api_of(r);
    call_t *c = call_of(r);
    const schema_t *members = c->route->body ? c->route->body : schema_nothing;
    const json_t *doc = NULL;
    const char *why = NULL;
    span_t body = req_body(r);
    sc_why_t fault;
    if ((!c->route->body || (c->route->flags & ROUTE_EMPTY)) && blank(body)) body = SPAN_LIT("{}");
    if (json_parse(body, req_arena(r), &doc, &why)) return refuse(r, a->n.invalid_json, why ? why : "Malformed JSON");
    if (schema_judge(members, doc, &fault)) return refuse(r, a->n.invalid_schema, fault.text);
    c->body = doc;
    return true;
}

const json_t *body_of(const req_t *r) { return call_of(r)->body; }

static const json_t *member(const req_t *r, const char *name)
{
    const json_t *v = json_get(body_of(r), name);
    return v && json_type(v) != JSON_NULL ? v : NULL;
}

bool body_str(const req_t *r, const char *name, span_t *out)
{
    const json_t *v = member(r, name);
    if (v) *out = json_str(v);
    return v != NULL;
}

bool body_i64(const req_t *r, const char *name, int64_t *out)
{
    const json_t *v = member(r, name);
    return v && !json_i64(v, out);
}

bool body_bool(const req_t *r, const char *name, bool *out)
{
    const json_t *v = member(r, name);
    if (v) *out = json_bool(v);
    return v != NULL;
}

bool body_num(const req_t *r, const char *name, span_t *out)
{
    const json_t *v = member(r, name);
    if (v) *out = json_raw(v);
    return v != NULL;
}

int64_t arg_i64(const req_t *r, const char *name, int64_t absent)
{
    span_t text;
    int64_t v;
    if (!arg_of(r, name, &text)) return absent;
    bool minus = text.n && text.p[0] == '-';
    if (text_u63(span_make(text.p + minus, text.n - minus), &v)) return absent;
    return minus ? -v : v;
}

bool wallet_param(req_t *r, span_t *out)
{
    if (arg_of(r, "walletAddress", out)) return true;
    *out = span_of(call_of(r)->who.c.wallet);
    if (out->n) return true;
    h_bad(r, "walletAddress", "required with this token");
    return false;
}
