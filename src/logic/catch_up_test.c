#include "logic/catch_up.h"
#include "tests/support/test.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)

static peer_id_t peer_of(uint16_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, (uint8_t)n, (uint8_t)(n >> 8)}};
}

static catch_up_t *make(uint64_t away_ms, size_t n_members)
{
    catch_up_config_t c;
    catch_up_config_default(&c);
    c.max_peers = 100;
    c.seed = 5;
    return catch_up_new(&c, away_ms, n_members, 1000);
}

static void test_gate(void **state)
{
    (void)state;
    static const struct {
        uint64_t away_ms;
        size_t members;
        uint32_t left;
    } rows[] = {{0, 9, 0},          {7 * DAY_MS, 9, 0}, {7 * DAY_MS + 1, 9, 2}, {UINT64_MAX, 9, 2},
                {UINT64_MAX, 0, 0}, {8 * DAY_MS, 1, 1}, {8 * DAY_MS, 2, 2},     {8 * DAY_MS, 0, 2}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        catch_up_t *u = make(rows[i].away_ms, rows[i].members);
        assert_int_equal(catch_up_is_current(u), !rows[i].left);
        assert_int_equal(catch_up_left(u), rows[i].left);
        catch_up_free(u);
    }
}

/* After weeks away: two different peers, each complete. */
static void test_two_peers(void **state)
{
    (void)state;
    catch_up_t *u = make(30 * DAY_MS, 5);
    peer_id_t a = peer_of(1), b = peer_of(2), got;
    uint64_t now = 1000;
    assert_false(catch_up_next(u, now, &got));
    assert_true(catch_up_deadline_ms(u) == UINT64_MAX);
    catch_up_peer(u, &a, true, now);
    assert_true(catch_up_deadline_ms(u) <= now);
    assert_true(catch_up_next(u, now, &got) && peer_id_equal(&got, &a));
    assert_false(catch_up_next(u, now, &got));
    catch_up_done(u, &a, CATCH_UP_WITH_CURRENT, now);
    assert_int_equal(catch_up_left(u), 1);
    catch_up_done(u, &a, CATCH_UP_WITH_CURRENT, now); /* no session: nothing */
    catch_up_peer(u, &a, false, now);
    catch_up_peer(u, &a, true, now);
    assert_true(catch_up_next(u, now, &got));
    catch_up_done(u, &a, CATCH_UP_WITH_CURRENT, now); /* the same one again is not a second one */
    assert_int_equal(catch_up_left(u), 1);
    catch_up_peer(u, &b, true, now);
    assert_true(catch_up_next(u, now, &got) && peer_id_equal(&got, &b));
    catch_up_done(u, &b, CATCH_UP_FAILED, now);
    assert_false(catch_up_is_current(u));
    now = catch_up_deadline_ms(u);
    assert_in_range(now, 1000 + 2500, 1000 + 5000);
    assert_true(catch_up_next(u, now, &got) && peer_id_equal(&got, &b));
    catch_up_done(u, &b, CATCH_UP_WITH_CURRENT, now);
    assert_true(catch_up_is_current(u));
    /* it slept for a month */
    catch_up_was_away(u, DAY_MS, now);
    assert_true(catch_up_is_current(u));
    catch_up_was_away(u, 30 * DAY_MS, now);
    assert_false(catch_up_is_current(u));
    assert_int_equal(catch_up_left(u), 2);
    catch_up_free(u);
}

static void meet(catch_up_t *u, uint16_t n, catch_up_outcome_t how, uint64_t now_ms)
{
    peer_id_t p = peer_of(n), got;
    catch_up_peer(u, &p, true, now_ms);
    assert_true(catch_up_next(u, now_ms, &got) && peer_id_equal(&got, &p));
    catch_up_done(u, &got, how, now_ms);
    catch_up_peer(u, &p, false, now_ms);
}

/* Two that were long away do not clear each other; all members together do, and most of them after a day. */
static void test_all_away(void **state)
{
    (void)state;
    catch_up_t *u = make(30 * DAY_MS, 4);
    meet(u, 1, CATCH_UP_WITH_BEHIND, 1000);
    meet(u, 2, CATCH_UP_WITH_BEHIND, 1000);
    meet(u, 2, CATCH_UP_WITH_BEHIND, 2000);
    meet(u, 3, CATCH_UP_WITH_BEHIND, 2000);
    assert_false(catch_up_is_current(u));
    assert_int_equal(catch_up_left(u), 2);
    meet(u, 4, CATCH_UP_WITH_BEHIND, 2000);
    assert_true(catch_up_is_current(u));
    catch_up_was_away(u, 30 * DAY_MS, 3000);
    meet(u, 1, CATCH_UP_WITH_BEHIND, 3000);
    meet(u, 2, CATCH_UP_WITH_BEHIND, 3000 + DAY_MS); /* two of four are not most */
    assert_false(catch_up_is_current(u));
    meet(u, 3, CATCH_UP_WITH_BEHIND, 3000 + DAY_MS);
    assert_true(catch_up_is_current(u));
    catch_up_was_away(u, 30 * DAY_MS, 4000 + DAY_MS);
    meet(u, 1, CATCH_UP_WITH_CURRENT, 4000 + DAY_MS);
    meet(u, 2, CATCH_UP_WITH_BEHIND, 4000 + DAY_MS);
    assert_int_equal(catch_up_left(u), 1);
    meet(u, 2, CATCH_UP_WITH_CURRENT, 5000 + DAY_MS); /* it has caught up meanwhile */
    assert_true(catch_up_is_current(u));
    catch_up_free(u);
    u = make(30 * DAY_MS, 1); /* a mesh of two: there is nobody else to ask */
    meet(u, 1, CATCH_UP_WITH_BEHIND, 1000);
    assert_true(catch_up_is_current(u));
    catch_up_free(u);
}

/* Everybody comes up in turn, at intervals; who fails is asked less and less often. */
static void test_rounds(void **state)
{
    (void)state;
    catch_up_t *u = make(0, 0);
    uint64_t now = 1000, until = now + DAY_MS;
    size_t times[20] = {0};
    for (uint16_t i = 0; i < 20; i++) {
        peer_id_t p = peer_of(i);
        catch_up_peer(u, &p, true, now);
    }
    while ((now = catch_up_deadline_ms(u)) < until) {
        peer_id_t got;
        assert_true(catch_up_next(u, now, &got));
        size_t i = got.data[2];
        times[i]++;
        catch_up_done(u, &got, i ? CATCH_UP_WITH_CURRENT : CATCH_UP_FAILED, now);
    }
    for (size_t i = 1; i < 20; i++)
        assert_in_range(times[i], 24, 49); /* an hour to half an hour */
    assert_in_range(times[0], 24, 60);
    catch_up_free(u);
}

static void test_bounds(void **state)
{
    (void)state;
    catch_up_t *u = make(0, 0);
    for (uint16_t i = 0; i < 300; i++) { /* the first hundred stay up */
        peer_id_t p = peer_of(i);
        catch_up_peer(u, &p, true, 1000);
        if (i >= 50)
            catch_up_peer(u, &p, false, 1000);
    }
    size_t n = 0;
    peer_id_t got;
    uint64_t now = 1000 + 5000;
    for (; catch_up_next(u, now, &got); n++) {
        assert_true(got.data[2] < 50 && !got.data[3]);
        catch_up_done(u, &got, CATCH_UP_WITH_CURRENT, now);
    }
    assert_int_equal(n, 50);
    catch_up_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gate), cmocka_unit_test(test_two_peers),
                                       cmocka_unit_test(test_all_away), cmocka_unit_test(test_rounds),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
