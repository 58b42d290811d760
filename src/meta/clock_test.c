/* The time of a service beside that of its database. */
#include "meta/clock.h"
#include "tests/support/test.h"

static void is_moved_no_more_than_needed(void **state)
{
    assert_int_equal(clock_fit(0, 1000, 1000, 1000), 0);
    assert_int_equal(clock_fit(0, 1000, 1300, 1600), 0);        /* somewhere on the way */
    assert_int_equal(clock_fit(0, 1000, 1700, 1600), 100);      /* the clock here is late, by that at least */
    assert_int_equal(clock_fit(0, 1000, 900, 1600), -100);      /* early */
    assert_int_equal(clock_fit(90000, 1000, 1300, 1600), 300);  /* it was set right */
    assert_int_equal(clock_fit(100, 1000, 91000, 1010), 89990); /* it was set wrong */
    assert_int_equal(clock_fit(89990, 2000, 91995, 2010), 89990);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_moved_no_more_than_needed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
