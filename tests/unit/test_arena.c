#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "reactor/arena.h"

static void test_allocations_are_apart_and_aligned(void **state)
{
    arena_pool_t *p = arena_pool_new(1024, 4);
    for (int round = 0; round < 50; round++) {
        arena_t *a = arena_new(p, 1 << 20);
        unsigned char *at[200];
        for (size_t i = 0; i < 200; i++) {
            size_t n = (i * 37 + (size_t)round) % 300 + (i % 50 == 0 ? 5000 : 0);
            at[i] = arena_alloc(a, n + 1);
            assert_non_null(at[i]);
            assert_int_equal((uintptr_t)at[i] % 16, 0);
            memset(at[i], (int)i, n + 1);
        }
        for (size_t i = 0; i < 200; i++) assert_int_equal(at[i][(i * 37 + (size_t)round) % 300], (unsigned char)i);
        assert_false(arena_failed(a));
        arena_free(a);
    }
    arena_pool_free(p);
}

static void test_ceiling(void **state)
{
    arena_pool_t *p = arena_pool_new(512, 4);
    arena_t *a = arena_new(p, 1000);
    assert_non_null(arena_alloc(a, 496));
    assert_non_null(arena_alloc(a, 496));
    assert_null(arena_alloc(a, 16));
    assert_true(arena_failed(a));
    assert_null(arena_alloc(a, 1)); /* failed stays failed */
    arena_free(a);
    a = arena_new(p, 1000);
    assert_null(arena_alloc(a, SIZE_MAX));
    arena_free(a);
    a = arena_new(p, 1000);
    assert_null(arena_alloc(a, SIZE_MAX - 8));
    arena_free(a);
    arena_free(NULL);
    arena_pool_free(p);
    arena_pool_free(NULL);
}

static void test_dup(void **state)
{
    arena_pool_t *p = arena_pool_new(512, 0);
    arena_t *a = arena_new(p, 4096);
    span_t s = {"ab\0cd", 5};
    char *copy = arena_dup(a, s);
    assert_memory_equal(copy, "ab\0cd", 6);
    assert_string_equal(arena_dup(a, (span_t){NULL, 0}), "");
    arena_free(a);
    arena_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations_are_apart_and_aligned),
                                       cmocka_unit_test(test_ceiling), cmocka_unit_test(test_dup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
