#include "base/prng.h"
#include "tests/support/test.h"

static void test_known(void **state)
{
    prng_t a, b;
    a = (prng_t){{1, 2, 3, 4}};
    /* xoshiro256** from the state 1, 2, 3, 4 */
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(prng_next(&a) == want[i]);
    prng_seed(&a, 0); /* splitmix64 from 0 */
    assert_true(a.s[0] == 0xe220a8397b1dcdaf && a.s[1] == 0x6e789e6aa1b965f4);
    prng_seed(&a, 7);
    prng_seed(&b, 7);
    for (int i = 0; i < 100; i++)
        assert_true(prng_next(&a) == prng_next(&b));
    prng_seed(&b, 8);
    assert_true(prng_next(&a) != prng_next(&b));
}

static void test_ranges(void **state)
{
    prng_t p;
    prng_seed(&p, 1);
    unsigned seen[10] = {0};
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t v = prng_below(&p, 10);
        assert_true(v < 10);
        seen[v]++;
        double unit = prng_unit(&p);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
        assert_int_equal(prng_below(&p, 1), 0);
        assert_true(prng_below(&p, UINT64_MAX - 5) < UINT64_MAX - 5);
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_true(sum > 4800 && sum < 5200);
}

static void test_fill(void **state)
{
    prng_t a, b;
    uint8_t whole[21] = {0}, guard[4] = {9, 9, 9, 9};
    prng_seed(&a, 3);
    prng_seed(&b, 3);
    prng_fill(&a, whole, sizeof whole);
    uint64_t first = prng_next(&b);
    for (int i = 0; i < 8; i++)
        assert_int_equal(whole[i], (uint8_t)(first >> (8 * i)));
    prng_fill(&a, guard + 1, 2);
    assert_int_equal(guard[0], 9);
    assert_int_equal(guard[3], 9);
    prng_fill(&a, guard, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
