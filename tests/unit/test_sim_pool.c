/* The simulated pool: encoders against the engine's decoders, liquidity sums, exact moves, derived addresses. The sim
 * is no library, so its sources are taken in here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/account.c"
#include "sim/pool.c"

static void check_pool(const pool_t *p)
{
    whirl_pool_t got;
    buf_t b;
    buf_init(&b, 65536);
    pool_encode(p, &b);
    assert_int_equal(b.n, WHIRL_POOL_LEN);
    assert_int_equal(whirl_pool_decode((const uint8_t *)b.p, b.n, &got), XE_OK);
    assert_true(got.liquidity == p->w.liquidity && got.sqrt_price == p->w.sqrt_price);
    assert_int_equal(got.tick, p->w.tick);
    assert_int_equal(got.tick_spacing, p->w.tick_spacing);
    assert_int_equal(got.fee_tier_index, p->w.fee_tier_index);
    assert_int_equal(got.fee_rate, 400);
    assert_int_equal(got.protocol_rate, p->w.protocol_rate);
    assert_memory_equal(got.mint_a, p->w.mint_a, 32);
    assert_memory_equal(got.mint_b, p->w.mint_b, 32);
    assert_memory_equal(got.vault_a, p->w.vault_a, 32);
    assert_memory_equal(got.vault_b, p->w.vault_b, 32);
    buf_fini(&b);
}

/* Every array decodes to what is in memory; returns the net sum of all ticks at or below the price. */
static i128_t check_arrays(const pool_t *p)
{
    i128_t sum = 0, all = 0;
    for (unsigned i = 0; i < POOL_ARRAYS; i++) {
        static whirl_array_t want, got;
        buf_t b;
        buf_init(&b, 65536);
        parray_encode(p, &p->array[i], &b);
        parray_view(&p->array[i], &want);
        assert_int_equal(b.n, p->array[i].dynamic ? 148 + 112 * want.n : 9988);
        assert_int_equal(whirl_array_decode((const uint8_t *)b.p, b.n, POOL_SPACING, &got), XE_OK);
        assert_int_equal(got.start, want.start);
        assert_int_equal(got.n, want.n);
        for (unsigned k = 0; k < want.n; k++) {
            assert_int_equal(got.ticks[k].index, want.ticks[k].index);
            assert_true(got.ticks[k].net == want.ticks[k].net && got.ticks[k].gross == want.ticks[k].gross);
            if (want.ticks[k].index <= p->w.tick) sum += want.ticks[k].net;
            all += want.ticks[k].net;
        }
        buf_fini(&b);
    }
    assert_true(all == 0);
    return sum;
}

static void check(const pool_t *p)
{
    int32_t tick;
    check_pool(p);
    assert_true(check_arrays(p) == (i128_t)p->w.liquidity);
    assert_int_equal(whirl_tick_of_sqrt(p->w.sqrt_price, &tick), XE_OK);
    /* After a downward stop exactly on a tick the pool's tick is one lower than the price's. */
    assert_true(tick == p->w.tick || tick == p->w.tick + 1);
}

static void test_round_trip(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static pool_t p;
        assert_int_equal(pool_init(&p, seed, 150 * 1000000LL), XE_OK);
        unsigned low = 0, high = 0, dynamic = 0;
        for (unsigned i = 0; i < POOL_ARRAYS; i++) {
            low += p.array[i].start + WHIRL_ARRAY_TICKS * POOL_SPACING <= p.w.tick;
            high += p.array[i].start > p.w.tick;
            dynamic += p.array[i].dynamic;
        }
        assert_true(low >= 5 && high >= 5);
        assert_int_equal(dynamic, 1);
        assert_true(llabs(pool_price_micro(&p) - 150000000) <= 2);
        check(&p);
    }
}

static void test_moves(void **state)
{
    static pool_t p;
    rng_t r;
    rng_init(&r, 42);
    assert_int_equal(pool_init(&p, 42, 150 * 1000000LL), XE_OK);
    uint64_t slot = 1000;
    unsigned arrays_changed = 0;
    for (unsigned i = 0; i < 400; i++) {
        int64_t goal = rng_range(&r, 138000000, 162000000);
        u128_t a = p.growth_a, b = p.growth_b;
        pool_slot(&p, ++slot, goal);
        assert_true(llabs(pool_price_micro(&p) - goal) * 10000 <= goal * 3);
        assert_true(p.growth_a >= a && p.growth_b >= b);
        check(&p);
        for (unsigned k = 0; k < POOL_ARRAYS; k++) arrays_changed += p.array[k].changed;
        pool_settled(&p);
    }
    assert_true(p.swaps > 300 && arrays_changed > 400);
}

static void test_thousand_dollars_hardly_move_it(void **state)
{
    static pool_t p;
    static whirl_array_t arrays[WHIRL_ARRAYS_MAX];
    assert_int_equal(pool_init(&p, 3, 150 * 1000000LL), XE_OK);
    unsigned n = near_arrays(&p, arrays);
    whirl_ask_t ask = {.amount = 1000 * 1000000ULL, .exact_in = true, .a_to_b = false};
    whirl_quote_t q;
    assert_int_equal(whirl_quote(&p.w, arrays, n, &ask, &q), XE_OK);
    /* 1,000 USDC at 150 and 0.04 % are 6.664 SOL; impact stays under a basis point. */
    assert_in_range(q.out, 6663000000ULL, 6664000000ULL);
}

static void test_addresses(void **state)
{
    static pool_t p;
    uint8_t key[32], owner[32];
    uint64_t lamports;
    buf_t b;
    assert_int_equal(pool_init(&p, 1, 150 * 1000000LL), XE_OK);
    buf_init(&b, 65536);
    account_key(key, ACCOUNT_POOL);
    assert_int_equal(pool_account(&p, key, &b, owner, &lamports), XE_OK);
    assert_int_equal(b.n, WHIRL_POOL_LEN);
    buf_reset(&b);
    account_key(key, ACCOUNT_USDC_MINT);
    assert_int_equal(pool_account(&p, key, &b, owner, &lamports), XE_OK);
    assert_int_equal(b.n, 82);
    assert_int_equal((uint8_t)b.p[44], 6);
    buf_reset(&b);
    account_key(key, ACCOUNT_VAULT_A);
    assert_int_equal(pool_account(&p, key, &b, owner, &lamports), XE_OK);
    assert_int_equal(b.n, 165);
    memset(key, 1, 32);
    assert_int_equal(pool_account(&p, key, &b, owner, &lamports), XE_NOT_FOUND);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_thousand_dollars_hardly_move_it),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
