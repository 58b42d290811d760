#include "logic/deletion.h"
#include "tests/support/test.h"

static cid_t root_of(uint8_t n)
{
    uint8_t digest[32] = {n};
    return cid_of_sha256(1, CODEC_DAG_CBOR, digest);
}

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n}};
}

static deletion_t *make(uint32_t max_under_way, size_t max_roots)
{
    deletion_config_t c;
    deletion_config_default(&c);
    c.max_under_way = max_under_way;
    c.max_roots = max_roots;
    return deletion_new(&c);
}

static void assert_figures(const deletion_t *d, const cid_t *root, size_t gone, size_t holders)
{
    size_t g, h;
    assert_true(deletion_figures(d, root, &g, &h));
    assert_int_equal(g, gone);
    assert_int_equal(h, holders);
}

/* Three holders: one answers at once, one later, one is away for weeks. */
static void test_receipts(void **state)
{
    (void)state;
    deletion_t *d = make(2, 10);
    cid_t root = root_of(1), told;
    peer_id_t holders[] = {peer_of(1), peer_of(2), peer_of(3)}, whom;
    uint64_t now = 1000;
    deletion_peer(d, &holders[2], false, now);
    deletion_start(d, &root, holders, 3, now);
    assert_figures(d, &root, 0, 3);
    assert_true(deletion_next(d, now, &told, &whom) && peer_id_equal(&whom, &holders[0]));
    assert_true(deletion_next(d, now, &told, &whom) && peer_id_equal(&whom, &holders[1]));
    assert_false(deletion_next(d, now, &told, &whom));
    assert_true(deletion_receipt(d, &root, &holders[0], 77, now));
    assert_false(deletion_receipt(d, &root, &holders[0], 78, now)); /* replayed */
    deletion_told(d, &root, &holders[0], DELETION_NO_ANSWER, now);
    deletion_told(d, &root, &holders[1], DELETION_PENDING, now); /* it collects: asked again, soon at first */
    static const uint64_t waits_ms[] = {200, 250, 312, 390, 487, 608, 760, 950, 1187, 1483, 1853, 2000, 2000};
    for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
        deletion_holder_t pending;
        assert_true(deletion_holder_at(d, &root, 1, &pending) && pending.is_pending);
        assert_int_equal(deletion_deadline_ms(d), now + waits_ms[i]);
        assert_false(deletion_next(d, now + waits_ms[i] - 1, &told, &whom));
        now += waits_ms[i];
        assert_true(deletion_next(d, now, &told, &whom) && peer_id_equal(&whom, &holders[1]));
        deletion_told(d, &root, &holders[1], DELETION_PENDING, now);
    }
    assert_true(deletion_receipt(d, &root, &holders[1], 80, now));
    assert_figures(d, &root, 2, 3);
    assert_true(deletion_deadline_ms(d) == UINT64_MAX); /* the third one is away */
    now += UINT64_C(21) * 86400000;
    assert_false(deletion_next(d, now, &told, &whom));
    deletion_peer(d, &holders[2], true, now);
    assert_int_equal(deletion_deadline_ms(d), now);
    assert_true(deletion_next(d, now, &told, &whom) && peer_id_equal(&whom, &holders[2]));
    assert_int_equal(deletion_open(d), 1);
    assert_true(deletion_receipt(d, &root, &holders[2], 90, now));
    deletion_told(d, &root, &holders[2], DELETION_NO_ANSWER, now);
    assert_int_equal(deletion_open(d), 0);
    assert_figures(d, &root, 3, 3);
    deletion_holder_t h;
    assert_true(deletion_holder_at(d, &root, 2, &h));
    assert_true(h.is_gone && h.wall_ms == 90 && h.tries == 1);
    assert_false(deletion_holder_at(d, &root, 3, &h));
    deletion_free(d);
}

static void test_back_off(void **state)
{
    (void)state;
    deletion_t *d = make(2, 10);
    cid_t root = root_of(1), told;
    peer_id_t holder = peer_of(1), whom;
    uint64_t now = 0, last = 0;
    deletion_start(d, &root, &holder, 1, now);
    size_t tries = 0;
    for (; now < 86400000; tries++) {
        uint64_t at = deletion_deadline_ms(d);
        assert_true(at - now <= 600000 && (tries < 3 || at - now >= last));
        last = tries ? at - now : 0;
        now = at;
        assert_true(deletion_next(d, now, &told, &whom));
        deletion_told(d, &root, &holder, DELETION_NO_ANSWER, now);
    }
    assert_in_range(tries, 140, 160);          /* every ten minutes in the end */
    deletion_start(d, &root, &holder, 1, now); /* asked for again by the user: at once */
    assert_true(deletion_next(d, now, &told, &whom));
    assert_figures(d, &root, 0, 1);
    deletion_free(d);
}

static void test_bounds(void **state)
{
    (void)state;
    deletion_t *d = make(1, 3);
    peer_id_t many[DELETION_HOLDERS_MAX + 5], whom;
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = peer_of((uint8_t)i);
    cid_t roots[5], told;
    for (uint8_t i = 0; i < 5; i++)
        roots[i] = root_of(i);
    deletion_start(d, &roots[0], many, ARRAY_LEN(many), 0);
    assert_figures(d, &roots[0], 0, DELETION_HOLDERS_MAX);
    assert_true(deletion_next(d, 0, &told, &whom));
    assert_false(deletion_next(d, 0, &told, &whom)); /* one at a time */
    deletion_start(d, &roots[1], many, 1, 0);
    assert_true(deletion_receipt(d, &roots[1], &many[0], 1, 0));
    deletion_start(d, &roots[2], many, 1, 0);
    deletion_start(d, &roots[3], many, 1, 0); /* the done one goes first */
    size_t g, h;
    assert_false(deletion_figures(d, &roots[1], &g, &h));
    assert_true(deletion_figures(d, &roots[0], &g, &h));
    deletion_start(d, &roots[4], many, 1, 0); /* then the oldest */
    assert_false(deletion_figures(d, &roots[0], &g, &h));
    deletion_told(d, &roots[0], &many[0], DELETION_PENDING, 0); /* of a root that is gone: nothing */
    assert_true(deletion_next(d, 0, &told, &whom));
    assert_false(deletion_receipt(d, &roots[0], &many[0], 1, 0));
    /* a holder that nobody knew of */
    assert_true(deletion_receipt(d, &roots[4], &many[9], 1, 0));
    assert_figures(d, &roots[4], 1, 2);
    deletion_free(d);
}

/* Many are open, and one holder answers at once each time: the others have their turn before it is asked
 * again. */
static void test_turns(void **state)
{
    (void)state;
    deletion_t *d = make(1, 100);
    cid_t root;
    peer_id_t holder = peer_of(1), whom;
    for (uint8_t n = 1; n <= 5; n++) {
        root = root_of(n);
        deletion_start(d, &root, &holder, 1, 1000);
    }
    uint64_t now = 1000;
    for (int round = 0; round < 3; round++)
        for (uint8_t n = 1; n <= 5; n++, now += 2500) { /* each is due again by then */
            cid_t expected = root_of(n);
            assert_true(deletion_next(d, now, &root, &whom) && cid_equal(&root, &expected));
            deletion_told(d, &root, &whom, DELETION_PENDING, now);
        }
    deletion_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_receipts), cmocka_unit_test(test_back_off),
                                       cmocka_unit_test(test_bounds), cmocka_unit_test(test_turns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
