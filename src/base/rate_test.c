#include "base/rate.h"
#include "tests/support/test.h"

static void test_no_limit(void **state)
{
    rate_t r;
    rate_init(&r, 0, 5);
    assert_true(rate_room(&r, 5) == SIZE_MAX);
    rate_take(&r, 1u << 30);
    assert_int_equal(rate_ready_ms(&r, 100), 5);
}

/* Whoever takes all that there is, whenever it looks, moves the rate. */
static void test_exact(void **state)
{
    static const uint64_t rates[] = {1, 7, 999, 1000, 123457, 1u << 20, 10000000000ull};
    static const uint64_t steps[] = {1, 3, 10, 97};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
            rate_t r;
            rate_init(&r, rates[i], 0);
            uint64_t moved = 0, now = 0;
            for (; now < 100000; now += steps[k]) {
                size_t n = rate_room(&r, now);
                rate_take(&r, n);
                moved += n;
            }
            uint64_t whole = rates[i] * now / 1000;
            assert_true(moved <= whole);
            assert_true(moved + rates[i] / 5 + 2 >= whole);
        }
}

static void test_burst_and_ready(void **state)
{
    rate_t r;
    rate_init(&r, 1000, 0);
    assert_int_equal(rate_room(&r, 0), 0);
    assert_int_equal(rate_ready_ms(&r, 10), 10);
    assert_int_equal(rate_ready_ms(&r, 5000), 101); /* more is not saved up */
    assert_int_equal(rate_room(&r, 1000000), 101);
    rate_take(&r, 101);
    assert_int_equal(rate_room(&r, 1000000), 0);
    assert_int_equal(rate_room(&r, 5), 0); /* a clock that goes back gives nothing */
    assert_int_equal(rate_room(&r, 1000010), 10);
    rate_init(&r, UINT64_MAX, 0);
    assert_true(rate_room(&r, UINT64_MAX) > 1u << 30);
    rate_init(&r, 1, 0); /* a byte a second */
    assert_int_equal(rate_ready_ms(&r, 1), 1000);
    assert_int_equal(rate_room(&r, 999), 0);
    assert_int_equal(rate_room(&r, 1000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_limit), cmocka_unit_test(test_exact),
                                       cmocka_unit_test(test_burst_and_ready)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
