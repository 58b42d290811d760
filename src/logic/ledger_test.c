#include "base/prng.h"
#include "logic/ledger.h"
#include "tests/support/test.h"

static cid_t numbered(uint64_t i)
{
    cid_t c = {.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32};
    memcpy(c.digest, &i, sizeof i);
    return c;
}

static uint64_t number_of(const cid_t *c)
{
    uint64_t i;
    memcpy(&i, c->digest, sizeof i);
    return i;
}

static ledger_t *make(void)
{
    ledger_limits_t limits;
    ledger_limits_default(&limits);
    return ledger_new(&limits);
}

static ledger_peer_t *join(ledger_t *l, uint8_t n)
{
    peer_id_t id = {.len = 34, .data = {n}};
    return ledger_connected(l, &id);
}

static bool want(ledger_t *l, ledger_peer_t *p, uint64_t i, int32_t priority)
{
    cid_t c = numbered(i);
    return ledger_want(l, p, &c, priority, false, true);
}

static void test_priority_order(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1);
    assert_ptr_equal(join(l, 1), p);
    assert_false(ledger_has_work(l));
    static const int32_t priorities[] = {5, 9, 1, 9, INT32_MIN, INT32_MAX};
    static const uint64_t order[] = {5, 1, 3, 0, 2, 4};
    ledger_message_begin(l, p);
    for (uint64_t i = 0; i < 6; i++)
        assert_true(want(l, p, i, priorities[i]));
    ledger_message_end(l, p, false);
    size_t granted;
    assert_ptr_equal(ledger_turn_begin(l, &granted), p);
    for (size_t i = 0; i < 6; i++) {
        ledger_want_t w;
        assert_true(ledger_next_want(l, p, &w));
        assert_int_equal(number_of(&w.cid), order[i]);
        ledger_served(l, p, &w);
    }
    ledger_want_t w;
    assert_false(ledger_next_want(l, p, &w));
    ledger_turn_end(l, p, granted, 600);
    ledger_account_t a = ledger_peer_account(p);
    assert_int_equal(a.sent_bytes, 600);
    assert_int_equal(a.wants, 0);
    assert_int_equal(ledger_count(l), 0);
    ledger_free(l);
}

/* Serves for `turns` turns with blocks of the given size; counts bytes per peer. */
static void serve(ledger_t *l, size_t turns, size_t block_bytes, uint64_t *sent_by_user)
{
    while (turns--) {
        size_t granted, sent = 0;
        ledger_peer_t *p = ledger_turn_begin(l, &granted);
        if (!p)
            return;
        ledger_want_t w;
        while (sent < granted && ledger_next_want(l, p, &w)) {
            sent += block_bytes;
            ledger_served(l, p, &w);
        }
        ledger_turn_end(l, p, granted, sent);
        *(uint64_t *)ledger_peer_user(p) += sent;
    }
}

/* One asks for a thousand blocks, the other for one at a time: both get the same rate. */
static void test_fairness(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000, 256 << 10, 2 << 20};
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        ledger_t *l = make();
        ledger_peer_t *greedy = join(l, 1), *modest = join(l, 2);
        uint64_t to_greedy = 0, to_modest = 0, next = 0;
        ledger_peer_set_user(greedy, &to_greedy);
        ledger_peer_set_user(modest, &to_modest);
        for (int i = 0; i < 1000; i++)
            want(l, greedy, next++, 1);
        for (int i = 0; i < 200; i++) {
            for (int n = 0; n < 8; n++)
                want(l, modest, next++, 1);
            while (ledger_peer_account(greedy).wants < 1000)
                want(l, greedy, next++, 1);
            uint64_t before = to_modest;
            for (int n = 0; to_modest - before < 8 * sizes[k] && n < 100; n++)
                serve(l, 1, sizes[k], NULL);
        }
        assert_true(to_modest == 200 * 8 * sizes[k]);
        if (sizes[k] > 1000) /* else the modest one never uses up a turn */
            assert_true(to_greedy < to_modest + to_modest / 2 + (8u << 20));
        ledger_free(l);
    }
}

static void test_bounded(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1);
    for (uint64_t i = 0; i < 1024; i++)
        assert_true(want(l, p, i, 10));
    assert_false(want(l, p, 2000, 10)); /* no better than what is there */
    assert_true(want(l, p, 2001, 11));  /* better: the last one goes */
    assert_int_equal(ledger_peer_account(p).wants, 1024);
    ledger_want_t w;
    size_t granted;
    assert_ptr_equal(ledger_turn_begin(l, &granted), p);
    assert_true(ledger_next_want(l, p, &w));
    assert_int_equal(number_of(&w.cid), 2001);
    ledger_missing(l, p, &w);
    assert_true(want(l, p, 2002, 1)); /* what waits goes first */
    cid_t c = numbered(2001);
    assert_int_equal(ledger_have(l, &c), 0);
    ledger_turn_end(l, p, granted, 0);
    assert_int_equal(ledger_count(l), 1024);
    ledger_disconnected(l, p);
    assert_int_equal(ledger_count(l), 0);
    assert_false(ledger_has_work(l));
    ledger_free(l);
}

static void test_total_is_bounded(void **state)
{
    (void)state;
    ledger_limits_t limits;
    ledger_limits_default(&limits);
    limits.max_wants = 3000;
    limits.max_peers = 50;
    ledger_t *l = ledger_new(&limits);
    for (uint8_t n = 0; n < 50; n++) {
        ledger_peer_t *p = join(l, n);
        for (uint64_t i = 0; i < 1100; i++)
            want(l, p, i, 1);
    }
    assert_int_equal(ledger_count(l), 3000);
    assert_null(join(l, 50));
    ledger_free(l);
}

static void test_missing_then_have(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1), *q = join(l, 2);
    assert_true(want(l, p, 7, 1));
    assert_true(want(l, q, 7, 1));
    for (int i = 0; i < 2; i++) {
        size_t granted;
        ledger_peer_t *x = ledger_turn_begin(l, &granted);
        ledger_want_t w;
        assert_true(ledger_next_want(l, x, &w));
        ledger_missing(l, x, &w);
        ledger_turn_end(l, x, granted, 0);
    }
    size_t granted;
    assert_null(ledger_turn_begin(l, &granted));
    assert_int_equal(ledger_count(l), 2);
    cid_t c = numbered(7);
    c.codec = CODEC_DAG_PB; /* the multihash counts */
    assert_int_equal(ledger_have(l, &c), 2);
    assert_int_equal(ledger_have(l, &c), 0);
    assert_true(ledger_has_work(l));
    /* It comes while the store says that it is not there. */
    ledger_peer_t *x = ledger_turn_begin(l, &granted);
    ledger_want_t w;
    assert_true(ledger_next_want(l, x, &w));
    assert_int_equal(ledger_have(l, &c), 0);
    ledger_missing(l, x, &w);
    assert_true(ledger_next_want(l, x, &w));
    ledger_served(l, x, &w);
    ledger_turn_end(l, x, granted, 10);
    ledger_free(l);
}

static void test_cancel_and_full(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1);
    ledger_message_begin(l, p);
    for (uint64_t i = 0; i < 10; i++)
        want(l, p, i, 1);
    ledger_message_end(l, p, false);
    cid_t c = numbered(3);
    ledger_cancel(l, p, &c);
    ledger_cancel(l, p, &c);
    assert_int_equal(ledger_count(l), 9);
    /* While it is served: the answer finds nothing, or the new want, which it leaves alone. */
    size_t granted;
    ledger_want_t w;
    ledger_turn_begin(l, &granted);
    assert_true(ledger_next_want(l, p, &w));
    ledger_cancel(l, p, &w.cid);
    ledger_missing(l, p, &w);
    assert_int_equal(ledger_count(l), 8);
    want(l, p, number_of(&w.cid), 1);
    ledger_served(l, p, &w);
    assert_int_equal(ledger_count(l), 9);
    ledger_turn_end(l, p, granted, 0);
    ledger_message_begin(l, p);
    want(l, p, 4, 1);
    want(l, p, 100, 1);
    ledger_message_end(l, p, true);
    assert_int_equal(ledger_count(l), 2);
    ledger_clear(l, p);
    assert_int_equal(ledger_count(l), 0);
    ledger_free(l);
}

static void test_want_again(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1);
    cid_t c = numbered(1);
    ledger_want_t w;
    size_t granted;
    ledger_want(l, p, &c, 1, true, false);
    ledger_want(l, p, &c, 1, false, false); /* want-have becomes want-block */
    ledger_want(l, p, &c, 1, true, false);  /* and stays it */
    ledger_turn_begin(l, &granted);
    assert_true(ledger_next_want(l, p, &w));
    assert_false(w.is_have);
    assert_true(ledger_want(l, p, &c, 1, true, false)); /* being served: nothing new */
    assert_false(ledger_next_want(l, p, &w));
    ledger_missing(l, p, &w);
    ledger_want(l, p, &c, 1, true, true); /* waiting: as it is said now */
    assert_true(ledger_next_want(l, p, &w));
    assert_true(w.is_have && w.send_dont_have);
    assert_true(ledger_want(l, p, &c, 1, false, true)); /* now the block: queued again */
    ledger_served(l, p, &w);
    assert_true(ledger_next_want(l, p, &w));
    assert_false(w.is_have);
    ledger_turn_end(l, p, granted, 0);
    ledger_free(l);
}

/* At most two turns of one peer at a time; a peer that took too much waits. */
static void test_turns(void **state)
{
    (void)state;
    ledger_t *l = make();
    ledger_peer_t *p = join(l, 1), *q = join(l, 2);
    for (uint64_t i = 0; i < 100; i++)
        want(l, p, i, 1);
    size_t granted;
    assert_ptr_equal(ledger_turn_begin(l, &granted), p);
    assert_int_equal(granted, 1 << 20);
    assert_ptr_equal(ledger_turn_begin(l, &granted), p);
    assert_null(ledger_turn_begin(l, &granted));
    assert_true(ledger_peer_is_busy(p));
    ledger_turn_end(l, p, granted, 8 << 20);
    ledger_turn_end(l, p, granted, granted);
    for (uint64_t i = 0; i < 100; i++)
        want(l, q, i, 1);
    for (int i = 0; i < 7; i++) { /* q catches up */
        assert_ptr_equal(ledger_turn_begin(l, &granted), q);
        ledger_turn_end(l, q, granted, granted);
    }
    assert_false(ledger_peer_is_busy(p));
    ledger_received(q, 10);
    assert_int_equal(ledger_peer_account(q).received_bytes, 10);
    assert_int_equal(ledger_peer_account(q).exchanged, 8);
    assert_true(peer_id_equal(ledger_peer_id(q), &(peer_id_t){.len = 34, .data = {2}}));
    ledger_free(l);
}

/* Random traffic against a model: counts agree, nothing is lost or served twice. */
static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        prng_t rng;
        prng_seed(&rng, seed);
        ledger_t *l = make();
        enum { PEERS = 4, CIDS = 30 };
        ledger_peer_t *peers[PEERS];
        bool wanted[PEERS][CIDS] = {0};
        for (uint8_t i = 0; i < PEERS; i++)
            peers[i] = join(l, i);
        for (int step = 0; step < 2000; step++) {
            size_t p = prng_below(&rng, PEERS), i = prng_below(&rng, CIDS);
            cid_t c = numbered(i);
            switch (prng_below(&rng, 4)) {
            case 0:
            case 1:
                wanted[p][i] = ledger_want(l, peers[p], &c, (int32_t)prng_below(&rng, 5), false, true);
                assert_true(wanted[p][i]);
                break;
            case 2:
                ledger_cancel(l, peers[p], &c);
                wanted[p][i] = false;
                break;
            default: {
                size_t granted;
                ledger_peer_t *x = ledger_turn_begin(l, &granted);
                ledger_want_t w;
                size_t sent = 0;
                for (p = 0; x && p < PEERS && peers[p] != x;)
                    p++;
                while (x && sent < 3000 && ledger_next_want(l, x, &w)) {
                    assert_true(wanted[p][number_of(&w.cid)]);
                    if (prng_below(&rng, 3)) {
                        wanted[p][number_of(&w.cid)] = false;
                        ledger_served(l, x, &w);
                        sent += 1000;
                    } else {
                        ledger_missing(l, x, &w);
                        if (prng_below(&rng, 2))
                            assert_true(ledger_have(l, &w.cid) >= 1);
                    }
                }
                if (x)
                    ledger_turn_end(l, x, granted, sent);
            }
            }
            size_t count = 0;
            for (p = 0; p < PEERS; p++)
                for (i = 0; i < CIDS; i++)
                    count += wanted[p][i];
            assert_int_equal(ledger_count(l), count);
        }
        ledger_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priority_order),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_total_is_bounded),
        cmocka_unit_test(test_missing_then_have),
        cmocka_unit_test(test_cancel_and_full),
        cmocka_unit_test(test_want_again),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
