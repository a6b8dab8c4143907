/* API keys: made by an operator for a program, shown once, never more than their maker may do. Scopes name what a key may
 * do; each includes those before it: desk:read, desk:control, desk:admin. A key manages no accounts, keys or passwords. */
#include "handlers/ctx.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/apikey.h"
#include "handlers/cursor.h"
#include "handlers/operators.h"
#include "handlers/routes.h"
#include "storage/keys.h"

enum { LIMIT_DEFAULT = 50, DAYS_DEFAULT = 90, DAYS_MAX = 365, CURSOR_LEN = 53 };

static const struct { const char *word; role_t role; } scopes[] = {
    {"desk:read", ROLE_VIEWER}, {"desk:control", ROLE_OPERATOR}, {"desk:admin", ROLE_ADMIN},
};
enum { SCOPES_N = sizeof scopes / sizeof *scopes };

/* ---- making ------------------------------------------------------------------------------------------------------- */

typedef struct {
    req_t *r;
    api_key_t k;
    char text[APIKEY_LEN + 1];
} making_t;

static void put_scopes(jw_t *w, const char *words)
{
    jw_key(w, "scopes");
    jw_arr(w);
    while (*words) {
        size_t n = strcspn(words, " ");
        jw_str(w, span_make(words, n));
        words += n;
        words += *words == ' ';
    }
    jw_end(w);
}

static void on_made(void *ctx, xerr_t err, int64_t expires_s)
{
    making_t *m = ctx;
    req_t *r = m->r;
    out_t o;
    if (err == XE_UNSUPPORTED) {
        h_fail_why(r, err, "This account has as many keys as it may: revoke one first");
    } else if (err) {
        h_fail(r, err);
    } else {
        out_init(&o);
        put_str(&o.w, "id", m->k.id);
        put_str(&o.w, "name", m->k.name);
        put_str(&o.w, "key", m->text);
        put_scopes(&o.w, m->k.scopes);
        put_time(&o.w, "expires_at", expires_s * 1000000);
        out_send(&o, r, 201);
    }
    req_drop(r);
}

/* The scopes asked for as a set, in their order and once each; the role they amount to. */
static role_t read_scopes(const json_t *list, char out[KEY_SCOPES_MAX])
{
    role_t role = ROLE_PUBLIC;
    size_t at = 0;
    out[0] = '\0';
    for (size_t s = 0; s < SCOPES_N; s++) {
        bool asked = false;
        for (size_t i = 0; i < json_len(list); i++) asked = asked || span_is(json_str(json_at(list, i)), scopes[s].word);
        if (!asked) continue;
        at += (size_t)snprintf(out + at, KEY_SCOPES_MAX - at, at ? " %s" : "%s", scopes[s].word);
        role = scopes[s].role;
    }
    return role;
}

/* Under a name the key is made from the name, so that a repeat shows the same one although it is kept nowhere. */
static void key_text(const api_t *a, const who_t *who, making_t *m)
{
    uint8_t seed[32];
    char label[80];
    if (who->name) {
        snprintf(label, sizeof label, "xorj api key 1 %s", who->name);
        hmac_sha256(span_of(a->cfg->auth_jwt_secret), span_of(label), seed);
    }
    apikey_new(who->name ? seed : NULL, m->k.id, m->text, m->k.hash);
    secret_wipe(seed, sizeof seed);
}

static void h_key_create(req_t *r)
{
    api_t *a = api_of(r);
    const claims_t *c = &call_of(r)->who.c;
    making_t *m = req_alloc(r, sizeof *m);
    who_t who = who_of(r);
    span_t name = {"", 0};
    int64_t days = DAYS_DEFAULT;
    memset(m, 0, sizeof *m);
    body_str(r, "name", &name);
    body_i64(r, "expires_in_days", &days);
    role_t role = read_scopes(json_get(body_of(r), "scopes"), m->k.scopes);
    if (role > c->role) {
        h_fail_why(r, XE_DENIED, "scopes: a key may not do more than its maker");
        return;
    }
    snprintf(m->k.owner, sizeof m->k.owner, "%s", c->user_id);
    snprintf(m->k.role, sizeof m->k.role, "%s", role_name(role));
    memcpy(m->k.name, name.p, name.n); /* at most 64 characters */
    m->k.issued_s = now_s(a);
    m->k.expires_s = m->k.issued_s + days * 86400;
    key_text(a, &who, m);
    m->r = req_hold(r);
    key_create(a->store, &m->k, (unsigned)a->cfg->auth_api_keys_max, &who, on_made, m);
}

/* ---- list --------------------------------------------------------------------------------------------------------- */

typedef struct {
    req_t *r;
    unsigned limit;
} list_t;

/* "0123456789abcdef.uuid": time of the last row in microseconds, and its id. */
static bool cursor_read(span_t t, int64_t *us, char id[37])
{
    char hex[17];
    if (t.n != CURSOR_LEN || t.p[16] != '.' || !uuid_valid(span_make(t.p + 17, 36)) || t.p[0] != '0' || t.p[1] > '2') return false;
    for (int i = 0; i < 16; i++)
        if (!strchr("0123456789abcdef", t.p[i])) return false;
    memcpy(hex, t.p, 16);
    hex[16] = '\0';
    *us = strtoll(hex, NULL, 16);
    memcpy(id, t.p + 17, 36);
    id[36] = '\0';
    return true;
}

static int fits_cursor(const char *p, size_t n)
{
    int64_t us;
    char id[37];
    return cursor_read(span_make(p, n), &us, id);
}

static void put_row(jw_t *w, const api_key_t *k)
{
    jw_obj(w);
    put_str(w, "id", k->id);
    put_str(w, "name", k->name);
    put_str(w, "owner", k->owner);
    put_scopes(w, k->scopes);
    put_time(w, "created_at", k->created_us);
    put_time(w, "last_used", k->used_us);
    put_time(w, "expires_at", k->expires_us);
    jw_end(w);
}

static void on_list(void *ctx, xerr_t err, const key_page_t *p)
{
    list_t *l = ctx;
    char cursor[64] = "";
    out_t o;
    if (err) {
        h_fail(l->r, err);
        req_drop(l->r);
        return;
    }
    if (p->more) snprintf(cursor, sizeof cursor, "%016llx.%s", (unsigned long long)p->row[p->n - 1].created_us, p->row[p->n - 1].id);
    out_init(&o);
    jw_key(&o.w, "data");
    jw_arr(&o.w);
    for (unsigned i = 0; i < p->n; i++) put_row(&o.w, &p->row[i]);
    jw_end(&o.w);
    put_page(&o.w, l->limit, p->more ? cursor : NULL, p->total);
    out_send(&o, l->r, 200);
    req_drop(l->r);
}

/* Everybody's for an admin, else one's own. */
static const char *whose(const req_t *r)
{
    const claims_t *c = &call_of(r)->who.c;
    return c->role == ROLE_ADMIN ? NULL : c->user_id;
}

static void h_keys(req_t *r)
{
    list_t *l = req_alloc(r, sizeof *l);
    char id[37] = "";
    int64_t us = 0;
    span_t cursor;
    if (arg_of(r, "cursor", &cursor)) cursor_read(cursor, &us, id);
    *l = (list_t){req_hold(r), (unsigned)arg_i64(r, "limit", LIMIT_DEFAULT)};
    keys_list(api_of(r)->store, whose(r), us, id, l->limit, on_list, l);
}

static void h_key_revoke(req_t *r)
{
    char id[37];
    who_t who = who_of(r);
    snprintf(id, sizeof id, "%.*s", (int)call_of(r)->arg[0].n, call_of(r)->arg[0].p);
    key_revoke(api_of(r)->store, id, whose(r), &who, h_done, req_hold(r));
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t create_body[] = {
    S_REQ("name", SC_STR, .min = 1, .max = 64, .doc = "What the key is for."),
    S_REQ("scopes", SC_ARR, .min = 1, .max = SCOPES_N,
          .of = S_LIST(S_REQ("scope", SC_STR, .choices = S_WORDS("desk:read", "desk:control", "desk:admin"))),
          .doc = "What it may do; each scope includes those before it."),
    S_OPT("expires_in_days", SC_INT, .min = 1, .max = DAYS_MAX, .doc = "90 when absent."),
    S_END,
};
static const schema_t create_answer[] = {
    S_REQ("id", SC_UUID),
    S_REQ("name", SC_STR),
    S_REQ("key", SC_STR, .doc = "Shown this once: for X-API-Key, or Authorization: ApiKey."),
    S_REQ("scopes", SC_ARR, .of = S_LIST(S_REQ("scope", SC_STR))),
    S_REQ("expires_at", SC_TIME),
    S_END,
};
static const schema_t keys_query[] = {
    S_OPT("limit", SC_INT, .min = 1, .max = KEYS_PAGE_MAX, .doc = "50 when absent."),
    S_OPT("cursor", SC_STR, .min = CURSOR_LEN, .max = CURSOR_LEN, .pattern = "^0[0-2][0-9a-f]{14}[.][0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", .fits = fits_cursor,
          .doc = "a next_cursor of this list is expected"),
    S_END,
};
static const schema_t key_row[] = {
    S_REQ("id", SC_UUID), S_REQ("name", SC_STR), S_REQ("owner", SC_STR), S_REQ("scopes", SC_ARR, .of = S_LIST(S_REQ("scope", SC_STR))),
    S_REQ("created_at", SC_TIME), S_NUL("last_used", SC_TIME), S_REQ("expires_at", SC_TIME), S_END,
};
static const schema_t keys_answer[] = {
    S_REQ("data", SC_ARR, .of = S_LIST(S_REQ("key", SC_OBJ, .of = key_row))),
    S_REQ("pagination", SC_OBJ, .of = page_members),
    S_END,
};

const route_t routes_keys[] = {
    {M_POST, "/api/v1/auth/api-key", ACCESS_VIEWER, LIM_CTRL, ROUTE_LOGIN | ROUTE_RULE | ROUTE_KEY | ROUTE_SECRET, ROUTE_BODY, h_key_create, NULL, create_body, 201, create_answer,
     "A new API key of one's own."},
    {M_GET, "/api/v1/auth/api-keys", ACCESS_VIEWER, LIM_USER, 0, 0, h_keys, keys_query, NULL, 200, keys_answer,
     "Live API keys, newest first: one's own, or everybody's for an admin."},
    {M_DELETE, "/api/v1/auth/api-keys/{id}", ACCESS_VIEWER, LIM_CTRL, ROUTE_LOGIN | ROUTE_FINDS, ROUTE_BODY, h_key_revoke, NULL, NULL, 200, success_answer,
     "Revokes an API key at once: one's own, or anybody's for an admin."},
    ROUTE_END,
};
