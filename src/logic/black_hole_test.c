#include "logic/black_hole.h"
#include "tests/support/test.h"

static void record(black_hole_t *b, bool is_ok, int times)
{
    for (int i = 0; i < times; i++)
        black_hole_record(b, is_ok);
}

static void test_needs_results(void **state)
{
    black_hole_t b = {0};
    record(&b, false, BLACK_HOLE_N - 1);
    assert_int_equal(black_hole_ask(&b), BLACK_HOLE_PROBING);
    assert_int_equal(black_hole_next_after(&b), 0);
    record(&b, false, 1);
    assert_int_equal(black_hole_ask(&b), BLACK_HOLE_BLOCKED);
    assert_true(black_hole_ok_share(&b) == 0);
}

static void test_few_successes_are_enough(void **state)
{
    black_hole_t b = {0};
    assert_true(black_hole_ok_share(&b) == 0);
    record(&b, true, BLACK_HOLE_MIN_OK);
    record(&b, false, BLACK_HOLE_N - BLACK_HOLE_MIN_OK);
    assert_int_equal(black_hole_ask(&b), BLACK_HOLE_ALLOWED);
    assert_true(black_hole_ok_share(&b) == 0.05);
    record(&b, false, 1); /* the oldest success is out of sight */
    assert_int_equal(black_hole_ask(&b), BLACK_HOLE_BLOCKED);
}

static void test_one_in_n_is_let_through(void **state)
{
    black_hole_t b = {0};
    record(&b, false, BLACK_HOLE_N);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 1; i < BLACK_HOLE_N; i++) {
            assert_int_equal(black_hole_next_after(&b), BLACK_HOLE_N - i + 1);
            assert_int_equal(black_hole_ask(&b), BLACK_HOLE_BLOCKED);
        }
        assert_int_equal(black_hole_next_after(&b), 1);
        assert_int_equal(black_hole_ask(&b), BLACK_HOLE_PROBING);
        record(&b, false, 1);
        assert_int_equal(b.state, BLACK_HOLE_BLOCKED);
    }
    record(&b, true, 1); /* the network has changed: all is open again */
    assert_int_equal(black_hole_ask(&b), BLACK_HOLE_PROBING);
    assert_int_equal(b.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs_results),
        cmocka_unit_test(test_few_successes_are_enough),
        cmocka_unit_test(test_one_in_n_is_let_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
