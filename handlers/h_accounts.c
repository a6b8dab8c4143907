/* Accounts of operators, for admins: register, list, delete. */
#include "handlers/ctx.h"

#include <stdio.h>

#include "handlers/cursor.h"
#include "handlers/hashing.h"
#include "handlers/operators.h"
#include "handlers/routes.h"
#include "storage/operators.h"

enum { LIMIT_DEFAULT = 50 };

int username_fits(const char *p, size_t n) { return operator_name_ok(span_make(p, n)); }

/* ---- register ----------------------------------------------------------------------------------------------------- */

typedef struct {
    req_t *r;
    char name[OPERATOR_NAME_MAX + 1], role[12];
} account_t;

static void on_added(void *ctx, xerr_t err)
{
    account_t *n = ctx;
    req_t *r = n->r;
    out_t o;
    hashing_leave(api_of(r));
    if (err == XE_CONFLICT) {
        h_fail_why(r, err, "username: there is an account of that name, or of one that reads alike");
    } else if (err) {
        h_fail(r, err);
    } else {
        out_init(&o);
        put_str(&o.w, "username", n->name);
        put_str(&o.w, "role", n->role);
        out_send(&o, r, 201);
    }
    req_drop(r);
}

static void on_hashed(void *ctx, xerr_t err, const char *made)
{
    account_t *n = ctx;
    req_t *r = n->r;
    who_t who = who_of(r);
    if (!err && !req_answered(r)) {
        operator_add(api_of(r)->store, n->name, n->role, made, false, &who, on_added, n);
        return;
    }
    hashing_leave(api_of(r));
    if (err == XE_FULL) h_busy(r);
    else h_fail(r, err ? err : XE_TIMEOUT);
    req_drop(r);
}

static void h_register(req_t *r)
{
    span_t name = {"", 0}, password = {"", 0}, role = {"", 0};
    account_t *n = req_alloc(r, sizeof *n);
    body_str(r, "username", &name);
    body_str(r, "password", &password);
    body_str(r, "role", &role);
    if (!password_good(r, "password", password, name) || !hashing_enter(r)) return;
    n->r = req_hold(r);
    snprintf(n->name, sizeof n->name, "%.*s", (int)name.n, name.p);
    snprintf(n->role, sizeof n->role, "%.*s", (int)role.n, role.p);
    hashing_ask(api_of(r), &(hashing_t){.hash = "", .fresh = password}, on_hashed, n);
}

/* ---- list --------------------------------------------------------------------------------------------------------- */

typedef struct {
    req_t *r;
    unsigned limit;
} list_t;

static void put_row(jw_t *w, const operator_t *o)
{
    jw_obj(w);
    put_str(w, "username", o->username);
    put_str(w, "role", o->role);
    put_time(w, "created_at", o->created_us);
    put_time(w, "last_login", o->last_login_us);
    put_bool(w, "must_change", o->must_change);
    put_bool(w, "totp", o->totp);
    jw_end(w);
}

static void on_list(void *ctx, xerr_t err, const operator_page_t *p)
{
    list_t *l = ctx;
    out_t o;
    if (err) {
        h_fail(l->r, err);
        req_drop(l->r);
        return;
    }
    out_init(&o);
    jw_key(&o.w, "data");
    jw_arr(&o.w);
    for (unsigned i = 0; i < p->n; i++) put_row(&o.w, &p->row[i]);
    jw_end(&o.w);
    put_page(&o.w, l->limit, p->more ? p->row[p->n - 1].username : NULL, p->total);
    out_send(&o, l->r, 200);
    req_drop(l->r);
}

static void h_users(req_t *r)
{
    list_t *l = req_alloc(r, sizeof *l);
    char after[OPERATOR_NAME_MAX + 1] = "";
    span_t cursor;
    if (arg_of(r, "cursor", &cursor)) snprintf(after, sizeof after, "%.*s", (int)cursor.n, cursor.p);
    *l = (list_t){req_hold(r), (unsigned)arg_i64(r, "limit", LIMIT_DEFAULT)};
    operators_list(api_of(r)->store, after, l->limit, on_list, l);
}

/* ---- delete ------------------------------------------------------------------------------------------------------- */

static void on_deleted(void *ctx, xerr_t err)
{
    req_t *r = ctx;
    if (err == XE_DENIED || err == XE_CONFLICT) {
        h_fail_why(r, XE_CONFLICT, err == XE_DENIED ? "Nobody deletes himself" : "The last admin cannot be deleted");
        req_drop(r);
    } else {
        h_done(r, err);
    }
}

static void h_user_delete(req_t *r)
{
    span_t name = call_of(r)->arg[0];
    char text[OPERATOR_NAME_MAX + 1];
    who_t who = who_of(r);
    snprintf(text, sizeof text, "%.*s", (int)name.n, name.p);
    operator_delete(api_of(r)->store, text, &who, on_deleted, req_hold(r));
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static const schema_t register_body[] = {
    S_REQ("username", SC_STR, .min = 3, .max = OPERATOR_NAME_MAX, .pattern = USERNAME_PATTERN, .fits = username_fits,
          .doc = "3 to 32 letters, digits, dots, dashes and underscores are expected, a letter or digit first, not beginning with cli."),
    S_ROW("password", SC_STR, SC_REQ | SC_SECRET, .min = PASSWORD_MIN, .max = PASSWORD_MAX, .doc = "Well-known and regular ones are refused."),
    S_REQ("role", SC_STR, .choices = S_WORDS("viewer", "operator", "admin")),
    S_END,
};
static const schema_t register_answer[] = {S_REQ("username", SC_STR), S_REQ("role", SC_STR), S_END};

static const schema_t users_query[] = {
    S_OPT("limit", SC_INT, .min = 1, .max = OPERATORS_PAGE_MAX, .doc = "50 when absent."),
    S_OPT("cursor", SC_STR, .min = 3, .max = OPERATOR_NAME_MAX, .pattern = USERNAME_PATTERN, .fits = username_fits, .doc = "a next_cursor of this list is expected"),
    S_END,
};
static const schema_t user_row[] = {
    S_REQ("username", SC_STR), S_REQ("role", SC_STR), S_REQ("created_at", SC_TIME), S_NUL("last_login", SC_TIME),
    S_REQ("must_change", SC_BOOL), S_REQ("totp", SC_BOOL), S_END,
};
static const schema_t users_answer[] = {
    S_REQ("data", SC_ARR, .of = S_LIST(S_REQ("user", SC_OBJ, .of = user_row))),
    S_REQ("pagination", SC_OBJ, .of = page_members),
    S_END,
};

const route_t routes_accounts[] = {
    {M_POST, "/api/v1/auth/register", ACCESS_ADMIN, LIM_CTRL, ROUTE_LOGIN | ROUTE_CLASH | ROUTE_KEY, ROUTE_BODY, h_register, NULL, register_body, 201, register_answer,
     "A new account of an operator."},
    {M_GET, "/api/v1/auth/users", ACCESS_ADMIN, LIM_USER, 0, 0, h_users, users_query, NULL, 200, users_answer, "The accounts, by name."},
    {M_DELETE, "/api/v1/auth/users/{username}", ACCESS_ADMIN, LIM_CTRL, ROUTE_LOGIN | ROUTE_FINDS | ROUTE_CLASH, ROUTE_BODY, h_user_delete, NULL, NULL, 200,
     success_answer, "Deletes an account and ends its sessions and keys at once."},
    ROUTE_END,
};
