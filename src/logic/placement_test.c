#include "base/prng.h"
#include "logic/placement.h"
#include "tests/support/test.h"

#define GIB (UINT64_C(1) << 30)

static kad_key_t random_key(prng_t *rng)
{
    kad_key_t key;
    prng_fill(rng, key.data, sizeof key.data);
    return key;
}

static void test_zones(void **state)
{
    (void)state;
    assert_int_equal(placement_zone(BYTES_NONE), 0);
    assert_true(placement_zone(BYTES_LIT("eu-1")) != 0);
    assert_true(placement_zone(BYTES_LIT("eu-1")) == placement_zone(bytes_str("eu-1")));
    assert_true(placement_zone(BYTES_LIT("eu-1")) != placement_zone(BYTES_LIT("eu-2")));
    /* the same on all nodes and in all versions */
    assert_true(placement_zone(BYTES_LIT("eu-1")) == UINT64_C(0xb5b57bb98acc026d));
}

static void test_room(void **state)
{
    (void)state;
    placement_peer_t p = {.free_bytes = 100};
    assert_true(placement_fits(&p, 95));
    assert_false(placement_fits(&p, 96)); /* a twentieth stays free */
    assert_false(placement_fits(&p, 0));
    p.free_bytes = GIB;
    assert_true(placement_fits(&p, 0));
    p.free_bytes = 0;
    assert_false(placement_fits(&p, 1));
    p.free_bytes = PLACEMENT_FREE_UNKNOWN;
    assert_true(placement_fits(&p, UINT64_MAX));
}

static void test_weight(void **state)
{
    (void)state;
    static const struct {
        uint64_t free_bytes;
        uint32_t latency_ms;
        double weight;
    } rows[] = {
        {PLACEMENT_FREE_UNKNOWN, 0, 1},
        {64 * GIB, 0, 1},
        {127 * GIB, 20, 1},
        {128 * GIB, 149, 2},
        {2048 * GIB, 0, 16},
        {1 << 20, 0, 1 / 16.0},
        {0, 0, 1 / 16.0},
        {64 * GIB, 150, 0.5},
        {64 * GIB, 400, 0.25},
        {0, 5000, 1 / 64.0},
        {UINT64_MAX - 1, 0, 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        placement_peer_t p = {.free_bytes = rows[i].free_bytes, .latency_ms = rows[i].latency_ms};
        assert_true(placement_weight(&p) == rows[i].weight);
    }
}

/* Without weights it is the XOR order; with them the share of roots follows the weight. */
static void test_order(void **state)
{
    (void)state;
    prng_t rng;
    prng_seed(&rng, 1);
    placement_peer_t plain = {.free_bytes = PLACEMENT_FREE_UNKNOWN}, large = {.free_bytes = 256 * GIB};
    kad_key_t peers[40];
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        peers[i] = random_key(&rng);
    size_t of_large = 0;
    for (size_t n = 0; n < 4000; n++) {
        kad_key_t root = random_key(&rng);
        size_t best = 0;
        double best_cost = 1e9;
        for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
            size_t other = (i + 1) % ARRAY_LEN(peers);
            bool is_nearer = kad_compare_distance(&root, &peers[i], &peers[other]) < 0;
            double a = placement_cost(&root, &peers[i], &plain),
                   b = placement_cost(&root, &peers[other], &plain);
            assert_true(a >= 0 && a <= 1 && is_nearer == (a < b));
            double cost = placement_cost(&root, &peers[i], i % 2 ? &large : &plain);
            if (cost < best_cost) {
                best_cost = cost;
                best = i;
            }
        }
        of_large += best % 2;
    }
    assert_in_range(of_large, 2900, 3500); /* 4 of 5 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_zones), cmocka_unit_test(test_room),
                                       cmocka_unit_test(test_weight), cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
