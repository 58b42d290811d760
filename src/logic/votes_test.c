#include "logic/votes.h"
#include "tests/support/test.h"

static void test_one_is_nobody(void **state)
{
    votes_t v = {0};
    assert_int_equal(votes_verdict(&v), VOTES_OPEN);
    for (int i = 0; i < 10; i++)
        votes_add(&v, 7, true);
    assert_int_equal(v.n, 1);
    assert_int_equal(votes_verdict(&v), VOTES_OPEN);
    votes_add(&v, 8, true);
    assert_int_equal(votes_verdict(&v), VOTES_YES);
    votes_add(&v, 7, false); /* the newest word counts */
    assert_int_equal(votes_verdict(&v), VOTES_OPEN);
    votes_add(&v, 8, false);
    assert_int_equal(votes_verdict(&v), VOTES_NO);
}

static void test_the_old_are_forgotten(void **state)
{
    votes_t v = {0};
    for (uint64_t who = 0; who < 20; who++)
        votes_add(&v, who, true);
    assert_int_equal(v.n, VOTES_MAX);
    votes_add(&v, 100, false);
    votes_add(&v, 101, false);
    assert_int_equal(votes_verdict(&v), VOTES_OPEN); /* 3 to 2 */
    votes_add(&v, 102, false);
    votes_add(&v, 103, false);
    assert_int_equal(votes_verdict(&v), VOTES_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_nobody),
        cmocka_unit_test(test_the_old_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
