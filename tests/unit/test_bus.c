/* Two stores on one database: what one commits the other no longer believes, before the answer is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "storage/users.h"
#include "tests/unit/pgfixture.h"

static fx_t fx;
static store_t *two;
static metrics_t *two_m;
static const who_t who = {.actor = "tester", .role = "wallet", .request_id = "r", .source_ip = "127.0.0.1"};

static int open_all(void **state)
{
    (void)state;
    fx_open(&fx, NULL);
    fx_migrate(&fx);
    fx_store(&fx);
    two_m = metrics_new();
    two = store_open(fx.l, two_m, &fx.cfg);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    if (two) store_close(two);
    loop_end_turn(fx.l);
    fx_close(&fx);
    metrics_free(two_m);
    return 0;
}

static bool both_listen(void *ctx)
{
    (void)ctx;
    return bus_others(store_bus(fx.s)) == 1 && bus_others(store_bus(two)) == 1;
}

static bool is_set(void *ctx) { return *(bool *)ctx; }

/* ---- one call at a time ---- */

static struct { bool done; xerr_t err; session_t s; bool peeked_there; } got;

static void on_session(void *ctx, xerr_t err, const session_t *s)
{
    (void)ctx;
    got.done = true;
    got.err = err;
    if (s) got.s = *s;
}

static void on_revoked(void *ctx, xerr_t err)
{
    const char *jti = ctx;
    got.done = true;
    got.err = err;
    got.peeked_there = session_peek(two, span_of(jti)) != NULL;
}

static void wait_done(void) { assert_true(fx_turns(&fx, is_set, &got.done, 5000)); }

static xerr_t check(store_t *s, const char *jti)
{
    got.done = false;
    session_check(s, span_of(jti), on_session, NULL);
    wait_done();
    return got.err;
}

static session_t create(unsigned wallet)
{
    session_t in;
    memset(&in, 0, sizeof in);
    uuid4(in.jti);
    fx_wallet(wallet, in.wallet);
    in.issued_s = wall_us() / 1000000;
    in.expires_s = in.issued_s + 3600;
    got.done = false;
    session_create(fx.s, &in, &who, on_session, NULL);
    wait_done();
    assert_int_equal(got.err, XE_OK);
    return in;
}

static int64_t revoke_ms(session_t *s)
{
    int64_t t0 = mono_ns();
    got.done = false;
    session_revoke(fx.s, span_of(s->jti), &who, on_revoked, s->jti);
    assert_false(got.done);
    wait_done();
    assert_int_equal(got.err, XE_OK);
    return (mono_ns() - t0) / 1000000;
}

/* ---- tests ---- */

static void test_revoked_everywhere(void **state)
{
    (void)state;
    assert_true(fx_turns(&fx, both_listen, NULL, 5000));
    for (unsigned i = 0; i < 50; i++) {
        session_t s = create(i);
        assert_int_equal(check(two, s.jti), XE_OK);
        assert_non_null(session_peek(two, span_of(s.jti)));
        int64_t ms = revoke_ms(&s);
        assert_false(got.peeked_there);
        assert_in_range(ms, 0, BUS_LEASE_MS / 2);
        assert_int_equal(check(two, s.jti), XE_AUTH);
    }
}

static unsigned words;
static char last_word[64];

static void on_wallet(void *ctx, span_t key)
{
    (void)ctx;
    words++;
    snprintf(last_word, sizeof last_word, "%.*s", (int)key.n, key.p);
}

static bool heard(void *ctx) { return strcmp(last_word, ctx) == 0; }

static void test_settings_tell(void **state)
{
    char wallet[48], sql[256];
    (void)state;
    fx_wallet(3, wallet);
    bus_on(store_bus(two), BUS_WALLET, on_wallet, NULL);
    words = 0;
    snprintf(sql, sizeof sql, "UPDATE user_settings SET risk_profile = 'Aggressive' WHERE wallet_address = '%s'", wallet);
    fx_sql(&fx, sql);
    assert_true(fx_turns(&fx, heard, wallet, 2000));
    assert_int_equal(words, 1);
    fx_sql(&fx, "BEGIN; UPDATE user_settings SET risk_profile = 'Conservative'; ROLLBACK");
    fx_turns(&fx, NULL, NULL, 50);
    assert_int_equal(words, 1);
}

static void test_post(void **state)
{
    char text[] = "hello there";
    (void)state;
    bus_on(store_bus(fx.s), BUS_NOTICE, on_wallet, NULL);
    bus_on(store_bus(two), BUS_NOTICE, on_wallet, NULL);
    words = 0;
    bus_post(store_bus(fx.s), BUS_NOTICE, span_of(text));
    assert_true(fx_turns(&fx, heard, text, 2000));
    fx_turns(&fx, NULL, NULL, 20);
    assert_int_equal(words, 1); /* not by the one that said it */
}

/* Somebody listens and does not answer: the change waits until that one can believe nothing any more. */
static void test_silent_member(void **state)
{
    (void)state;
    session_t s = create(60), t = create(61), u = create(62), v = create(63);
    fx_hold(&fx, 0, "SET application_name = 'xorj/listening'; LISTEN xorj");
    int64_t ms = revoke_ms(&s);
    assert_in_range(ms, BUS_LEASE_MS, BUS_LEASE_MS + 500);
    assert_in_range(revoke_ms(&t), 0, BUS_LEASE_MS / 2); /* waited out once: it has not stirred since */
    fx_release(&fx, 0);
    fx_hold(&fx, 0, "SET application_name = 'xorj/listening'; LISTEN xorj");
    assert_in_range(revoke_ms(&u), BUS_LEASE_MS, BUS_LEASE_MS + 500); /* another one */
    fx_release(&fx, 0);
    fx_turns(&fx, NULL, NULL, 50);
    assert_in_range(revoke_ms(&v), 0, BUS_LEASE_MS / 2);
}

static bool back(void *ctx) { return bus_believes(store_bus(two), loop_now_ns(fx.l)) && both_listen(ctx); }
static bool gone(void *ctx)
{
    (void)ctx;
    return !bus_believes(store_bus(two), loop_now_ns(fx.l));
}

static void test_link_lost(void **state)
{
    (void)state;
    session_t s = create(70);
    assert_int_equal(check(two, s.jti), XE_OK);
    assert_non_null(session_peek(two, span_of(s.jti)));
    fx_sql(&fx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'xorj/listening'");
    assert_true(fx_turns(&fx, gone, NULL, 2000));
    assert_null(session_peek(two, span_of(s.jti)));
    revoke_ms(&s); /* by whatever way: quick when the links are back, else after the lease */
    assert_false(got.peeked_there);
    assert_int_equal(check(two, s.jti), XE_AUTH);
    assert_true(fx_turns(&fx, back, NULL, 5000));
    session_t t = create(71);
    assert_int_equal(check(two, t.jti), XE_OK);
    assert_non_null(session_peek(two, span_of(t.jti)));
}

/* A stall longer than the lease: nothing is believed until the link was proved again. */
static void test_stalled(void **state)
{
    (void)state;
    session_t s = create(80);
    assert_int_equal(check(two, s.jti), XE_OK);
    struct timespec ts = {(BUS_LEASE_MS + 100) / 1000, (BUS_LEASE_MS + 100) % 1000 * 1000000L};
    nanosleep(&ts, NULL);
    assert_null(session_peek(two, span_of(s.jti)));
    assert_true(fx_turns(&fx, back, NULL, 2000));
}

static void test_alone(void **state)
{
    (void)state;
    session_t s = create(90);
    store_close(two);
    two = NULL;
    loop_end_turn(fx.l);
    fx_turns(&fx, NULL, NULL, 600);
    assert_int_equal(bus_others(store_bus(fx.s)), 0);
    two = fx.s; /* on_revoked looks there */
    assert_in_range(revoke_ms(&s), 0, BUS_LEASE_MS / 2);
    assert_false(got.peeked_there);
    two = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revoked_everywhere), cmocka_unit_test(test_settings_tell), cmocka_unit_test(test_post),
        cmocka_unit_test(test_silent_member),      cmocka_unit_test(test_link_lost),     cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
