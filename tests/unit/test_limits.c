/* Token buckets: windows, bursts, callers apart, bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/limits.h"

static const uint64_t sip[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
static const int64_t second = 1000000000LL;

static void a_window_then_a_trickle(void **state)
{
    limits_t *l = limits_new(64, sip);
    lim_rule_t rule = {600, 60, 0};
    int64_t retry, now = 5 * second;
    for (int i = 0; i < 600; i++) assert_true(limits_take(l, LIM_OPEN, &rule, 42, now, &retry));
    assert_false(limits_take(l, LIM_OPEN, &rule, 42, now, &retry));
    assert_in_range(retry, 1, 100);
    now += 100 * 1000000LL; /* one token per 100 ms */
    assert_true(limits_take(l, LIM_OPEN, &rule, 42, now, &retry));
    assert_false(limits_take(l, LIM_OPEN, &rule, 42, now, &retry));
    now += 60 * second; /* a whole window fills it */
    int taken = 0;
    while (limits_take(l, LIM_OPEN, &rule, 42, now, &retry)) taken++;
    assert_int_equal(taken, 600);
    limits_free(l);
}

static void bursts_are_bounded(void **state)
{
    limits_t *l = limits_new(64, sip);
    lim_rule_t rule = {600, 60, 60};
    int64_t retry, now = second;
    int taken = 0;
    while (limits_take(l, LIM_USER, &rule, 1, now, &retry)) taken++;
    assert_int_equal(taken, 60);
    assert_in_range(retry, 1, 17);
    for (int s = 0; s < 9; s++) {
        now += second;
        while (limits_take(l, LIM_USER, &rule, 1, now, &retry)) taken++;
    }
    assert_int_equal(taken, 600); /* ten seconds at 60: the window is used up, a hundred tokens came back meanwhile */
    limits_free(l);
}

static void what_is_left_and_what_others_took(void **state)
{
    limits_t *l = limits_new(64, sip);
    lim_rule_t rule = {60, 60, 10};
    lim_state_t st;
    uint64_t key = limits_key(LIM_USER, 5);
    int64_t now = 7 * second;
    assert_true(limits_judge(l, key, &rule, now, &st));
    assert_int_equal(st.left, 59);
    assert_int_equal(st.full_s, 1);
    assert_int_equal(st.used_us[0], 0);
    assert_int_equal(st.step_us[0], 1000000);
    assert_int_equal(st.step_us[1], 100000);
    assert_true(limits_judge(l, key, &rule, now, &st));
    assert_int_equal(st.used_us[0], 1000000);
    limits_learn(l, key, (const int64_t[2]){50000000, 0}, now); /* others: 48 more */
    assert_true(limits_judge(l, key, &rule, now, &st));
    assert_int_equal(st.left, 9);
    assert_int_equal(st.full_s, 51);
    limits_learn(l, key, (const int64_t[2]){1000000, 0}, now); /* an answer from before: nothing comes back by it */
    assert_true(limits_judge(l, key, &rule, now, &st));
    assert_int_equal(st.left, 8);
    limits_learn(l, key, (const int64_t[2]){60000000, 0}, now);
    assert_false(limits_judge(l, key, &rule, now, &st));
    assert_int_equal(st.left, 0);
    assert_int_equal(st.retry_ms, 1000);
    limits_learn(l, key + 1, (const int64_t[2]){60000000, 0}, now); /* nobody we know */
    assert_int_equal(limits_used(l), 1);
    assert_true(limits_judge(l, key, &rule, now + second, &st));
    limits_free(l);
}

static void callers_and_classes_apart(void **state)
{
    limits_t *l = limits_new(64, sip);
    lim_rule_t rule = {1, 60, 0};
    int64_t retry;
    assert_true(limits_take(l, LIM_OPEN, &rule, 1, second, &retry));
    assert_false(limits_take(l, LIM_OPEN, &rule, 1, second, &retry));
    assert_true(limits_take(l, LIM_OPEN, &rule, 2, second, &retry));
    assert_true(limits_take(l, LIM_AUTH, &rule, 1, second, &retry));
    assert_int_equal(retry, 0);
    limits_free(l);
}

static void memory_is_bounded(void **state)
{
    limits_t *l = limits_new(100, sip);
    lim_rule_t rule = {1, 60, 0};
    int64_t retry;
    for (uint64_t k = 1; k <= 10000; k++) assert_true(limits_take(l, LIM_OPEN, &rule, k * 0x9e3779b97f4a7c15ULL, second, &retry));
    assert_int_equal(limits_used(l), 100);
    assert_int_equal(limits_evicted(l), 9900);
    assert_false(limits_take(l, LIM_OPEN, &rule, 10000 * 0x9e3779b97f4a7c15ULL, second, &retry)); /* the newest is kept */
    limits_free(l);
}

static void the_used_stay(void **state)
{
    limits_t *l = limits_new(64, sip);
    lim_rule_t rule = {1, 600, 0};
    int64_t retry;
    assert_true(limits_take(l, LIM_OPEN, &rule, 7, second, &retry));
    for (uint64_t k = 100; k < 5000; k++) {
        limits_take(l, LIM_OPEN, &rule, k, second, &retry);
        assert_false(limits_take(l, LIM_OPEN, &rule, 7, second, &retry));
    }
    limits_free(l);
}

static void addresses(void **state)
{
    limits_t *l = limits_new(64, sip);
    assert_true(limits_addr_key(l, "192.0.2.1") != limits_addr_key(l, "192.0.2.2"));
    assert_true(limits_addr_key(l, "2001:db8::1") == limits_addr_key(l, "2001:db8::ffff:1"));
    assert_true(limits_addr_key(l, "2001:db8::1") != limits_addr_key(l, "2001:db8:0:1::1"));
    limits_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_then_a_trickle), cmocka_unit_test(bursts_are_bounded), cmocka_unit_test(what_is_left_and_what_others_took), cmocka_unit_test(callers_and_classes_apart),
        cmocka_unit_test(memory_is_bounded), cmocka_unit_test(the_used_stay), cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
