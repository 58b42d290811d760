#include "logic/dial_race.h"
#include "tests/support/test.h"

static const dial_choice_t all_kinds[] = {
    {0, DIAL_RELAY, DIAL_TCP, false},   {1, DIAL_PUBLIC, DIAL_OTHER, false},
    {2, DIAL_PUBLIC, DIAL_TCP, false},  {3, DIAL_PUBLIC, DIAL_TCP, true},
    {4, DIAL_PUBLIC, DIAL_QUIC, false}, {5, DIAL_PUBLIC, DIAL_QUIC, false},
    {6, DIAL_PUBLIC, DIAL_QUIC, true},  {7, DIAL_PRIVATE, DIAL_QUIC, false},
    {8, DIAL_PRIVATE, DIAL_TCP, false}, {9, DIAL_LOOPBACK, DIAL_TCP, false},
};

static size_t next_index(dial_race_t *r, uint64_t now_ms)
{
    dial_choice_t c;
    return dial_race_next(r, now_ms, &c) ? c.index : SIZE_MAX;
}

static void test_order(void **state)
{
    dial_choice_t c[ARRAY_LEN(all_kinds)];
    memcpy(c, all_kinds, sizeof c);
    dial_race_t r;
    dial_race_init(&r, c, ARRAY_LEN(c), 0);
    static const size_t want[] = {9, 8, 7, 6, 4, 5, 3, 2, 1, 0};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(c[i].index, want[i]);
}

static void test_families_take_turns(void **state)
{
    for (unsigned families = 0; families < 64; families++) { /* a bit each: IPv6 */
        dial_choice_t c[6];
        size_t n_ip6 = 0;
        for (size_t i = 0; i < 6; i++) {
            c[i] = (dial_choice_t){i, DIAL_PUBLIC, DIAL_TCP, families >> i & 1};
            n_ip6 += c[i].is_ip6;
        }
        dial_race_t r;
        dial_race_init(&r, c, 6, 0);
        size_t turns = 2 * (n_ip6 < 3 ? n_ip6 : 6 - n_ip6), last[2] = {0, 0};
        bool seen[6] = {false};
        for (size_t i = 0; i < 6; i++) {
            if (i < turns)
                assert_int_equal(c[i].is_ip6, i % 2 == 0);
            assert_true(c[i].index >= last[c[i].is_ip6]); /* as they came otherwise */
            last[c[i].is_ip6] = c[i].index;
            assert_false(seen[c[i].index]);
            seen[c[i].index] = true;
        }
    }
}

static void test_lanes_run_beside_each_other(void **state)
{
    dial_choice_t c[ARRAY_LEN(all_kinds)];
    memcpy(c, all_kinds, sizeof c);
    dial_race_t r;
    dial_race_init(&r, c, ARRAY_LEN(c), 1000);
    assert_int_equal(next_index(&r, 1000), 9);
    assert_int_equal(next_index(&r, 1000), 6);
    assert_int_equal(next_index(&r, 1000), SIZE_MAX);
    assert_int_equal(dial_race_deadline_ms(&r), 1250);
    dial_race_failed(&r, DIAL_PUBLIC, 1100); /* its lane alone goes on */
    assert_int_equal(dial_race_deadline_ms(&r), 1100);
    assert_int_equal(next_index(&r, 1100), 4);
    assert_int_equal(next_index(&r, 1100), SIZE_MAX);
    assert_int_equal(next_index(&r, 1250), 8);
    assert_int_equal(next_index(&r, 1350), 5);
    assert_int_equal(next_index(&r, 1500), 7);
    assert_int_equal(next_index(&r, 1500), 0); /* the relay's turn */
    assert_int_equal(next_index(&r, 1600), 3);
    assert_int_equal(next_index(&r, 1850), 2);
    assert_int_equal(r.n_running, DIAL_PARALLEL_MAX);
    assert_int_equal(next_index(&r, 9999), SIZE_MAX);
    assert_true(dial_race_deadline_ms(&r) == UINT64_MAX);
    dial_race_failed(&r, DIAL_RELAY, 9999);
    assert_int_equal(next_index(&r, 9999), 1);
    assert_false(dial_race_is_over(&r));
    for (int i = 0; i < 3; i++)
        dial_race_failed(&r, DIAL_PRIVATE, 9999);
    for (int i = 0; i < 5; i++)
        dial_race_failed(&r, DIAL_PUBLIC, 9999);
    assert_true(dial_race_is_over(&r));
}

static void test_relays_come_when_all_else_has_failed(void **state)
{
    dial_choice_t c[] = {{0, DIAL_RELAY, DIAL_TCP, false}, {1, DIAL_PUBLIC, DIAL_TCP, false}};
    dial_race_t r;
    dial_race_init(&r, c, 2, 0);
    assert_int_equal(next_index(&r, 0), 1);
    assert_int_equal(next_index(&r, 10), SIZE_MAX);
    dial_race_failed(&r, DIAL_PUBLIC, 10);
    assert_int_equal(next_index(&r, 10), 0);
    c[0] = (dial_choice_t){0, DIAL_RELAY, DIAL_TCP, false}; /* the only one that is there */
    dial_race_init(&r, c, 1, 0);
    assert_int_equal(next_index(&r, 0), 0);
    dial_race_init(&r, c, 0, 0);
    assert_true(dial_race_is_over(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_families_take_turns),
        cmocka_unit_test(test_lanes_run_beside_each_other),
        cmocka_unit_test(test_relays_come_when_all_else_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
