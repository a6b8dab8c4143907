/* Operators and API keys against a real PostgreSQL: what many at once may not break, and what a lost server answers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "storage/keys.h"
#include "storage/operators.h"
#include "storage/users.h"
#include "tests/unit/pgfixture.h"

enum { MANY = 100 };

static fx_t fx;
static const who_t who = {.actor = "root\nadmin", .role = "admin", .request_id = "req-1", .source_ip = "192.0.2.7"};

/* ---- answers, counted --------------------------------------------------------------------------------------------- */

typedef struct {
    bool inside;
    unsigned told;
    xerr_t err;
    int retry_s;
    bool found, flag;
    char text[64];
    int64_t total;
    unsigned n;
} got_t;

static unsigned told;

static void note(got_t *g, xerr_t err)
{
    assert_false(g->inside);
    g->told++;
    g->err = err;
    told++;
}

static void on_done(void *ctx, xerr_t err) { note(ctx, err); }
static void on_made(void *ctx, xerr_t err, int64_t expires_s)
{
    ((got_t *)ctx)->total = expires_s;
    note(ctx, err);
}
static void on_bool(void *ctx, xerr_t err, bool v) { ((got_t *)ctx)->flag = v, note(ctx, err); }

static void on_try(void *ctx, xerr_t err, const login_try_t *t)
{
    got_t *g = ctx;
    if (!err) g->retry_s = t->retry_s, g->found = t->found, snprintf(g->text, sizeof g->text, "%.60s", t->hash);
    note(g, err);
}

static void on_signed(void *ctx, xerr_t err, const signed_in_t *v)
{
    got_t *g = ctx;
    if (!err) snprintf(g->text, sizeof g->text, "%s", v->jti), g->flag = v->must_change;
    note(g, err);
}

static void on_page(void *ctx, xerr_t err, const operator_page_t *p)
{
    got_t *g = ctx;
    if (!err) g->n = p->n, g->total = p->total, g->flag = p->more;
    note(g, err);
}

static void on_keys(void *ctx, xerr_t err, const key_page_t *p)
{
    got_t *g = ctx;
    if (!err) g->n = p->n, g->total = p->total, g->flag = p->more;
    note(g, err);
}

static void on_key(void *ctx, xerr_t err, const api_key_t *k)
{
    if (!err) snprintf(((got_t *)ctx)->text, 64, "%s %s", k->owner, k->role);
    note(ctx, err);
}

static void on_session(void *ctx, xerr_t err, const session_t *s)
{
    got_t *g = ctx;
    if (!err) g->flag = s->limited, snprintf(g->text, sizeof g->text, "%s", s->user_id);
    note(g, err);
}

static bool enough(void *ctx) { return told >= *(unsigned *)ctx; }

static void begin(got_t *g, unsigned n)
{
    memset(g, 0, n * sizeof *g);
    for (unsigned i = 0; i < n; i++) g[i].inside = true;
    told = 0;
}

static void finish(got_t *g, unsigned n)
{
    for (unsigned i = 0; i < n; i++) g[i].inside = false;
    assert_true(fx_turns(&fx, enough, &n, 15000));
    for (unsigned i = 0; i < n; i++) assert_int_equal(g[i].told, 1);
}

static unsigned count(const got_t *g, unsigned n, xerr_t err)
{
    unsigned hits = 0;
    for (unsigned i = 0; i < n; i++) hits += g[i].err == err;
    return hits;
}

#define ONE(g, call)    \
    do {                \
        begin(&(g), 1); \
        call;           \
        finish(&(g), 1); \
    } while (0)

/* ---- accounts ----------------------------------------------------------------------------------------------------- */

static void add(const char *name, const char *role, bool must)
{
    got_t g;
    ONE(g, operator_add(fx.s, name, role, "hash-of-it", must, &who, on_done, &g));
    assert_int_equal(g.err, XE_OK);
}

static void first_account(void **state)
{
    got_t g[8];
    begin(g, 1);
    operators_any(fx.s, on_bool, g);
    finish(g, 1);
    assert_false(g[0].flag);
    begin(g, 8);
    for (int i = 0; i < 8; i++) operator_first(fx.s, "admin", "a-hash", on_bool, &g[i]);
    finish(g, 8);
    unsigned made = 0;
    for (int i = 0; i < 8; i++) made += g[i].flag;
    assert_int_equal(count(g, 8, XE_OK), 8);
    assert_int_equal(made, 1);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM operators WHERE must_change"), 1);
}

static void names(void **state)
{
    got_t g[10];
    begin(g, 10);
    for (int i = 0; i < 10; i++) operator_add(fx.s, i % 2 ? "Clara" : "clara", "viewer", "h", false, &who, on_done, &g[i]);
    finish(g, 10);
    assert_int_equal(count(g, 10, XE_OK), 1);
    assert_int_equal(count(g, 10, XE_CONFLICT), 9);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM audit_log WHERE action = 'operator.create' AND lower(target) = 'clara' AND actor = 'root?admin'"), 1);
    ONE(g[0], operators_list(fx.s, "", 1, on_page, &g[0]));
    assert_int_equal(g[0].n, 1);
    assert_int_equal(g[0].total, 2);
    assert_true(g[0].flag);
    ONE(g[0], operators_list(fx.s, "zzz", 5, on_page, &g[0]));
    assert_int_equal(g[0].n, 0);
    assert_int_equal(g[0].total, 2);
    assert_true(operator_name_ok(SPAN_LIT("abc")) && operator_name_ok(SPAN_LIT("9.a_b-C")));
    static const char *const bad[] = {"", "ab", "cli.admin", "-ab", ".ab", "a b", "a\tb", "abcdefghijklmnopqrstuvwxyz0123456", "d\xc3\xb6rte", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(operator_name_ok(span_of(bad[i])));
}

static void the_last_admin_stays(void **state)
{
    got_t g[2];
    who_t a = {.actor = "admin", .role = "admin", .request_id = "r", .source_ip = "127.0.0.1"}, b = a;
    b.actor = "bert";
    add("bert", "admin", false);
    begin(g, 2);
    operator_delete(fx.s, "bert", &a, on_done, &g[0]);
    operator_delete(fx.s, "admin", &b, on_done, &g[1]);
    finish(g, 2);
    assert_int_equal(count(g, 2, XE_OK), 1);
    assert_int_equal(count(g, 2, XE_CONFLICT), 1);
    ONE(g[0], operator_delete(fx.s, "nobody", &a, on_done, &g[0]));
    assert_int_equal(g[0].err, XE_NOT_FOUND);
    const char *left = fx_sql(&fx, "SELECT username FROM operators WHERE role = 'admin'");
    who_t self = a;
    char name[40];
    snprintf(name, sizeof name, "%s", left);
    self.actor = name;
    ONE(g[0], operator_delete(fx.s, name, &self, on_done, &g[0]));
    assert_int_equal(g[0].err, XE_DENIED);
}

/* ---- sign-in ------------------------------------------------------------------------------------------------------ */

static void tries_are_counted(void **state)
{
    got_t g[MANY];
    unsigned in = 0;
    add("dora", "operator", true);
    begin(g, MANY);
    for (int i = 0; i < MANY; i++) login_begin(fx.s, i % 2 ? "dora" : "nobody", "2001:db8::1", on_try, &g[i]);
    finish(g, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(g[i].err, XE_OK);
        in += g[i].retry_s == 0;
        assert_true(g[i].retry_s >= 0 && g[i].retry_s <= 300);
        assert_false(g[i].retry_s && g[i].found);
    }
    assert_int_equal(in, 10); /* five of each name */
    ONE(g[0], login_begin(fx.s, "dora", "192.0.2.1", on_try, &g[0]));
    assert_true(g[0].retry_s > 0);
    login_forgive(fx.s, "dora", "2001:db8::1");
    fx_turns(&fx, NULL, NULL, 200); /* nobody waits for it, and the next question may travel on another link */
    ONE(g[0], login_begin(fx.s, "dora", "192.0.2.1", on_try, &g[0]));
    assert_int_equal(g[0].retry_s, 0);
    assert_true(g[0].found);
    assert_string_equal(g[0].text, "hash-of-it");
    for (int i = 0; i < 11; i++) { /* the /64 had 9 left: others of it share them */
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        ONE(g[0], login_begin(fx.s, name, i % 2 ? "2001:db8::ffff" : "2001:db8:0:0:1::", on_try, &g[0]));
        assert_int_equal(g[0].retry_s, 0);
    }
    ONE(g[0], login_begin(fx.s, "n99", "2001:db8::2", on_try, &g[0]));
    assert_true(g[0].retry_s > 0);
    ONE(g[0], login_begin(fx.s, "n99", "2001:db8:0:1::2", on_try, &g[0]));
    assert_int_equal(g[0].retry_s, 0);
}

static void sign_in(const char *user, int64_t step, uint8_t refresh, got_t *g)
{
    char jti[37];
    login_in_t in = {.user = user, .hash = "hash-of-it", .step = step, .jti = jti, .issued_s = wall_us() / 1000000};
    uuid4(jti);
    in.expires_s = in.issued_s + 600;
    memset(in.refresh, refresh, 32);
    ONE(*g, operator_login(fx.s, &in, &who, on_signed, g));
}

static void one_winner(void **state)
{
    got_t g[MANY], first;
    uint8_t old[32], next[32];
    char jti[37];
    sign_in("dora", -1, 1, &first);
    assert_int_equal(first.err, XE_OK);
    assert_true(first.flag); /* must change */
    memcpy(jti, first.text, 37);
    ONE(g[0], session_check(fx.s, span_of(jti), on_session, &g[0]));
    assert_int_equal(g[0].err, XE_OK);
    assert_true(g[0].flag);
    assert_string_equal(g[0].text, "dora");
    memset(old, 1, 32);
    begin(g, MANY);
    for (int i = 0; i < MANY; i++) {
        memset(next, 100 + i, 32);
        operator_refresh(fx.s, old, next, wall_us() / 1000000 + 600, &who, on_signed, &g[i]);
    }
    finish(g, MANY);
    assert_int_equal(count(g, MANY, XE_OK), 1);
    assert_int_equal(count(g, MANY, XE_CONFLICT), 1); /* the second of all ends the family */
    assert_int_equal(count(g, MANY, XE_AUTH), MANY - 2);
    ONE(g[0], session_check(fx.s, span_of(jti), on_session, &g[0]));
    assert_int_equal(g[0].err, XE_AUTH);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM audit_log WHERE action = 'operator.refresh_reuse'"), 1);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM refresh_tokens"), 2);
    memset(old, 77, 32);
    ONE(g[0], operator_refresh(fx.s, old, next, wall_us() / 1000000 + 600, &who, on_signed, &g[0]));
    assert_int_equal(g[0].err, XE_AUTH);
    fx_sql(&fx, "UPDATE refresh_tokens SET expires_at = now() - interval '1 s'");
}

static void password_and_codes(void **state)
{
    got_t g, keep, other;
    uint8_t secret[TOTP_SECRET_LEN] = {7};
    char jti[37];
    sign_in("dora", -1, 2, &keep);
    sign_in("dora", -1, 3, &other);
    memcpy(jti, keep.text, 37);
    ONE(g, session_check(fx.s, span_of(jti), on_session, &g));
    assert_true(g.flag);
    ONE(g, operator_password(fx.s, "dora", "another", "hash-of-it", jti, &who, on_done, &g));
    assert_int_equal(g.err, XE_AUTH);
    ONE(g, operator_password(fx.s, "dora", "hash-of-it", "hash-of-it", jti, &who, on_done, &g));
    assert_int_equal(g.err, XE_OK);
    ONE(g, session_check(fx.s, span_of(jti), on_session, &g));
    assert_int_equal(g.err, XE_OK);
    assert_false(g.flag); /* told at once */
    ONE(g, session_check(fx.s, span_of(other.text), on_session, &g));
    assert_int_equal(g.err, XE_AUTH);

    ONE(g, operator_totp(fx.s, "dora", secret, -1, &who, on_done, &g));
    assert_int_equal(g.err, XE_OK);
    sign_in("dora", -1, 4, &g); /* pending is not in force */
    assert_int_equal(g.err, XE_OK);
    secret[0] = 8;
    ONE(g, operator_totp(fx.s, "dora", secret, 100, &who, on_done, &g));
    assert_int_equal(g.err, XE_AUTH); /* not the pending one */
    secret[0] = 7;
    ONE(g, operator_totp(fx.s, "dora", secret, 100, &who, on_done, &g));
    assert_int_equal(g.err, XE_OK);
    sign_in("dora", -1, 5, &g);
    assert_int_equal(g.err, XE_AUTH);
    sign_in("dora", 100, 6, &g);
    assert_int_equal(g.err, XE_AUTH);
    sign_in("dora", 101, 7, &g);
    assert_int_equal(g.err, XE_OK);
    ONE(g, operator_totp(fx.s, "dora", NULL, 101, &who, on_done, &g));
    assert_int_equal(g.err, XE_AUTH);
    ONE(g, operator_totp(fx.s, "dora", NULL, 102, &who, on_done, &g));
    assert_int_equal(g.err, XE_OK);
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static void keys(void **state)
{
    got_t g[12];
    api_key_t k = {.owner = "dora", .name = "a \"quoted\", {braced} name", .role = "operator", .scopes = "desk:read desk:control"};
    char id[12][37];
    begin(g, 12);
    k.issued_s = wall_us() / 1000000;
    k.expires_s = k.issued_s + 600;
    for (int i = 0; i < 12; i++) {
        uuid4(id[i]);
        memcpy(k.id, id[i], 37);
        key_create(fx.s, &k, 8, &who, on_made, &g[i]);
    }
    finish(g, 12);
    assert_int_equal(count(g, 12, XE_OK), 8); /* the bound holds when they come together */
    assert_int_equal(count(g, 12, XE_UNSUPPORTED), 4);
    int ours = 0;
    while (g[ours].err) ours++;
    got_t h;
    ONE(h, key_get(fx.s, id[ours], on_key, &h));
    assert_string_equal(h.text, "dora operator");
    ONE(h, keys_list(fx.s, "dora", 0, "", 5, on_keys, &h));
    assert_int_equal(h.n, 5);
    assert_int_equal(h.total, 8);
    assert_true(h.flag);
    ONE(h, session_check(fx.s, span_of(id[ours]), on_session, &h));
    assert_int_equal(h.err, XE_OK);
    ONE(h, key_revoke(fx.s, id[ours], "clara", &who, on_done, &h));
    assert_int_equal(h.err, XE_NOT_FOUND);
    ONE(h, key_revoke(fx.s, id[ours], "dora", &who, on_done, &h));
    assert_int_equal(h.err, XE_OK);
    ONE(h, session_check(fx.s, span_of(id[ours]), on_session, &h));
    assert_int_equal(h.err, XE_AUTH);
    ONE(h, key_get(fx.s, id[ours], on_key, &h));
    assert_int_equal(h.err, XE_AUTH);
    /* under a name: once, and the end of the key made first, whatever a repeat asks */
    char name[37];
    uuid4(name);
    who_t named = who;
    named.name = name;
    begin(g, 2);
    for (int i = 0; i < 2; i++) {
        memcpy(k.id, id[11], 37);
        k.id[0] = k.id[0] == 'f' ? '0' : 'f';
        key_create(fx.s, &k, 8, &named, on_made, &g[i]);
        k.expires_s += 50;
    }
    finish(g, 2);
    assert_int_equal(count(g, 2, XE_OK), 2);
    assert_int_equal(g[0].total, g[1].total);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM sessions WHERE operator = 'dora' AND kind = 'api_key' AND revoked_at IS NULL"), 8);
    snprintf(k.owner, sizeof k.owner, "gone");
    uuid4(k.id);
    ONE(h, key_create(fx.s, &k, 8, &who, on_made, &h));
    assert_int_equal(h.err, XE_AUTH);
    ONE(h, operator_delete(fx.s, "dora", &who, on_done, &h));
    assert_int_equal(h.err, XE_OK);
    assert_int_equal(fx_num(&fx, "SELECT count(*) FROM sessions WHERE operator = 'dora' AND revoked_at IS NULL"), 0);
}

/* ---- faults ------------------------------------------------------------------------------------------------------- */

static void without_a_server(void **state)
{
    got_t g[4];
    uint8_t hash[32] = {0};
    assert_string_equal(fx_sql(&fx, "SELECT count(*) FROM audit_verify()"), "0");
    fx_pg_kill(&fx, SIGKILL);
    begin(g, 4);
    login_begin(fx.s, "clara", "192.0.2.1", on_try, &g[0]);
    operator_refresh(fx.s, hash, hash, 1, &who, on_signed, &g[1]);
    operators_list(fx.s, "", 5, on_page, &g[2]);
    keys_list(fx.s, NULL, 0, "", 5, on_keys, &g[3]);
    finish(g, 4);
    for (int i = 0; i < 4; i++) assert_true(g[i].err == XE_DOWN || g[i].err == XE_TIMEOUT || g[i].err == XE_CLOSED);
    fx_pg_start(&fx);
}

static int setup(void **state)
{
    fx_open(&fx, NULL);
    fx_migrate(&fx);
    fx_store(&fx);
    return 0;
}

static int teardown(void **state)
{
    fx_close(&fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_account), cmocka_unit_test(names), cmocka_unit_test(the_last_admin_stays), cmocka_unit_test(tries_are_counted),
        cmocka_unit_test(one_winner), cmocka_unit_test(password_and_codes), cmocka_unit_test(keys), cmocka_unit_test(without_a_server),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
