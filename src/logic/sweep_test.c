#include "logic/sweep.h"
#include "tests/support/kad_model.h"
#include "tests/support/test.h"

/* ── prefixes ────────────────────────────────────────────────────────────────────────────────── */
static kad_key_t key_at(uint8_t first, uint8_t second)
{
    return (kad_key_t){.data = {first, second}};
}

static void test_prefixes(void **state)
{
    kad_key_t end;
    kad_prefix_t p = {key_at(0xa7, 0xff), 4};
    assert_true(kad_prefix_has(&p, &p.key));
    kad_key_t outside = key_at(0xb0, 0), want = key_at(0xb0, 0);
    assert_false(kad_prefix_has(&p, &outside));
    assert_true(kad_prefix_end(&p, &end));
    assert_memory_equal(end.data, want.data, KAD_KEY_BYTES);
    p = (kad_prefix_t){key_at(0x7f, 0xff), 8};
    want = key_at(0x80, 0);
    assert_true(kad_prefix_end(&p, &end));
    assert_memory_equal(end.data, want.data, KAD_KEY_BYTES);
    p = (kad_prefix_t){key_at(0xff, 0xff), 16};
    assert_false(kad_prefix_end(&p, &end));
    p.len = 0;
    assert_false(kad_prefix_end(&p, &end));
    assert_true(kad_prefix_has(&p, &outside));
}

/* ── the hand ────────────────────────────────────────────────────────────────────────────────── */
static const uint64_t HOUR = 3600000, NOW = 3600000000;

static void test_hand(void **state)
{
    sweep_t s;
    sweep_init(&s, 20 * HOUR, NOW);
    assert_int_equal(sweep_lag_ms(&s, NOW), 20 * HOUR); /* all is overdue */
    assert_int_equal(sweep_forecast_ms(&s), 0);
    kad_key_t half = key_at(0x80, 0);
    assert_int_equal(sweep_due_ms(&s, &half), NOW - 10 * HOUR);
    kad_prefix_t first = {key_at(0x13, 0), 1}, second = {key_at(0x93, 0), 1};
    assert_false(sweep_passed(&s, &first, 500, HOUR, NOW + HOUR));
    assert_int_equal(sweep_lag_ms(&s, NOW + HOUR), 11 * HOUR);
    assert_int_equal(sweep_forecast_ms(&s), 2 * HOUR);
    assert_false(s.has_done_round);
    assert_true(sweep_passed(&s, &second, 500, HOUR, NOW + 2 * HOUR));
    assert_true(s.has_done_round);
    assert_int_equal(s.last.keys, 1000);
    assert_int_equal(s.last.regions, 2);
    uint64_t next = NOW + 20 * HOUR / 8; /* an eighth after the first visit of the hurried round */
    assert_int_equal(sweep_lag_ms(&s, NOW + 2 * HOUR), 0);
    assert_int_equal(sweep_round_end_ms(&s), next + 20 * HOUR);
    assert_int_equal(sweep_due_ms(&s, &half), next + 10 * HOUR);
    assert_int_equal(sweep_forecast_ms(&s), 2 * HOUR);
    sweep_hurry(&s, NOW + 3 * HOUR);
    assert_int_equal(sweep_lag_ms(&s, NOW + 3 * HOUR), 20 * HOUR);

    sweep_init(&s, 20 * HOUR, NOW); /* a round that took long: the next one begins with no pause */
    sweep_passed(&s, &first, 500, HOUR, NOW + HOUR);
    sweep_passed(&s, &second, 500, 15 * HOUR, NOW + 16 * HOUR);
    assert_int_equal(sweep_lag_ms(&s, NOW + 16 * HOUR), 16 * HOUR - 20 * HOUR / 8);
}

static sweep_t restarted(const sweep_t *s, uint64_t interval_ms, uint64_t now_ms)
{
    uint8_t raw[SWEEP_STATE_BYTES];
    sweep_t back;
    sweep_encode(s, raw);
    assert_true(sweep_decode(&back, bytes_of(raw, sizeof raw)));
    sweep_resume(&back, interval_ms, now_ms);
    return back;
}

static void test_restarts(void **state)
{
    sweep_t s;
    sweep_init(&s, 20 * HOUR, NOW);
    kad_prefix_t first = {key_at(0x13, 0), 1};
    sweep_passed(&s, &first, 1, 1, NOW);
    sweep_t back = restarted(&s, 20 * HOUR, NOW + HOUR);
    assert_int_equal(back.began_ms, s.began_ms);
    assert_memory_equal(back.at.data, s.at.data, KAD_KEY_BYTES);
    back = restarted(&s, 20 * HOUR, NOW + 500 * HOUR); /* off for weeks */
    assert_int_equal(sweep_lag_ms(&back, NOW + 500 * HOUR), 20 * HOUR);
    back = restarted(&s, 40 * HOUR, NOW); /* another interval: as late as before, and ahead the same */
    assert_int_equal(sweep_lag_ms(&back, NOW), 10 * HOUR);
    kad_prefix_t second = {key_at(0x93, 0), 1};
    sweep_passed(&s, &second, 1, 1, NOW);
    s.began_ms = NOW + 3 * HOUR; /* the hand is not there yet */
    back = restarted(&s, 10 * HOUR, NOW);
    assert_int_equal(sweep_lag_ms(&back, NOW), 0);
    assert_int_equal(sweep_due_ms(&back, &back.at), NOW + 3 * HOUR);
    back = restarted(&s, 20 * HOUR, NOW - 100 * HOUR); /* the clock went back */
    assert_true(sweep_due_ms(&back, &back.at) <= NOW - 80 * HOUR);
    uint8_t raw[SWEEP_STATE_BYTES] = {0};
    assert_false(sweep_decode(&back, bytes_of(raw, sizeof raw)));
    assert_false(sweep_decode(&back, bytes_of(raw, 3)));
    sweep_encode(&s, raw);
    memset(raw + 1, 0xff, 8);
    assert_false(sweep_decode(&back, bytes_of(raw, sizeof raw)));
}

/* ── regions ─────────────────────────────────────────────────────────────────────────────────── */
static region_t new_region(void)
{
    region_config_t config;
    region_config_default(&config);
    region_t r;
    region_init(&r, &config);
    return r;
}

static void test_small_network_is_one_region(void **state)
{
    region_t r = new_region();
    peer_id_t peers[7];
    for (size_t i = 0; i < 7; i++)
        peers[i] = model_peer(i);
    kad_key_t target = kad_key_of(BYTES_LIT("x")), other = kad_key_of(BYTES_LIT("y"));
    kad_prefix_t next;
    region_start(&r, &target, peers, 7, true);
    assert_int_equal(r.prefix.len, 0);
    assert_false(region_next_target(&r, &next));
    uint16_t out[REGION_MAX_K];
    assert_int_equal(region_closest(&r, &other, out), 7);
    for (size_t i = 1; i < 7; i++)
        assert_true(kad_compare_distance(&other, &r.peers[out[i - 1]].key, &r.peers[out[i]].key) < 0);
    region_deinit(&r);
    region_deinit(&r);
}

static void test_few_keys_and_failures(void **state)
{
    region_t r = new_region();
    peer_id_t peers[20];
    for (size_t i = 0; i < 20; i++)
        peers[i] = model_peer(i);
    kad_key_t target = kad_key_of(BYTES_LIT("x"));
    kad_prefix_t next;
    region_start(&r, &target, peers, 20, false);
    assert_true(region_next_target(&r, &next));
    assert_int_equal(next.len, r.prefix.len + 1);
    assert_false(kad_prefix_has(&next, &target));
    region_failed(&r, &next);
    assert_false(region_next_target(&r, &next));
    region_start(&r, &target, peers, 20, false);
    region_shrink(&r);
    assert_false(region_next_target(&r, &next));
    assert_true(kad_prefix_has(&r.prefix, &target));
    target.data[31] ^= 1;
    assert_false(kad_prefix_has(&r.prefix, &target));
    region_deinit(&r);
}

/* Peers that crowd at one place: lookups and peers stay bounded. */
static void test_bounds(void **state)
{
    region_config_t config = {.k = 2, .max_peers = 10, .max_lookups = 5};
    region_t r;
    region_init(&r, &config);
    kad_key_t target = kad_key_of(BYTES_LIT("x"));
    peer_id_t two[2] = {model_peer(1), model_peer(2)};
    region_start(&r, &target, two, 2, false);
    kad_prefix_t next;
    size_t n = 1;
    for (; region_next_target(&r, &next); n++) {
        peer_id_t close = model_peer(100 + n);
        region_found(&r, &next.key, (peer_id_t[]){close, close}, 2, false);
        assert_true(r.n_todo <= REGION_TODO_MAX);
    }
    assert_true(n <= 5);
    assert_true(r.n_peers <= 10);
    region_deinit(&r);
}

/* Where it is crowded the region is the subtree where honest peers are to be expected, and more keep a
 * record. */
static void test_widened(void **state)
{
    region_t r = new_region();
    peer_id_t peers[20];
    for (size_t i = 0; i < 20; i++)
        peers[i] = model_peer(i);
    kad_key_t target = kad_key_of_peer(&peers[0]);
    region_start(&r, &target, peers, 20, false);
    r.prefix.len = 9; /* as if they were that close */
    r.n_todo = 0;
    region_widen(&r, 5);
    assert_int_equal(r.prefix.len, 5);
    assert_int_equal(r.n_todo, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(kad_prefix_has(&r.prefix, &r.todo[i].key) && !kad_prefix_has(&r.todo[i], &target));
    for (size_t i = 20; i < 50; i++)
        region_found(&r, &target, (peer_id_t[]){model_peer(i)}, 1, true);
    uint16_t out[REGION_MAX_K];
    assert_int_equal(region_closest(&r, &target, out), 50);
    region_deinit(&r);
}

/* In a network of engines: a few lookups find all peers of the region, and for each key in it the same peers
 * as a lookup of its own. */
static void test_region_is_exact(void **state)
{
    enum { NODES = 1000, REGIONS = 30, KEYS = 20 };
    model_t *m = model_new(NODES, 3);
    size_t lookups = 0, right = 0, peers = 0;
    for (size_t i = 0; i < REGIONS; i++) {
        size_t from = prng_below(&m->rng, NODES);
        region_t r = new_region();
        kad_prefix_t next = {.len = 0};
        prng_fill(&m->rng, next.key.data, KAD_KEY_BYTES);
        do {
            lookup_t l;
            peer_id_t got[MODEL_K];
            model_lookup(m, from, &next.key, &l);
            size_t n = lookup_closest(&l, true, got, MODEL_K);
            if (!r.is_started)
                region_start(&r, &next.key, got, n, false);
            else
                region_found(&r, &next.key, got, n, false);
            lookup_deinit(&l);
        } while (region_next_target(&r, &next));
        lookups += r.n_lookups;
        peers += r.n_peers;
        for (size_t j = 0; j < KEYS; j++) {
            kad_key_t key;
            uint16_t out[REGION_MAX_K];
            do
                prng_fill(&m->rng, key.data, KAD_KEY_BYTES);
            while (!kad_prefix_has(&r.prefix, &key));
            size_t n = region_closest(&r, &key, out);
            assert_int_equal(n, MODEL_K);
            peer_id_t got[MODEL_K];
            for (size_t x = 0; x < n; x++)
                got[x] = r.peers[out[x]].peer;
            right += model_count_closest(m, from, &key, got, n);
        }
        region_deinit(&r);
    }
    double share = (double)right / (REGIONS * KEYS * MODEL_K);
    print_message("%.1f lookups for a region of %.1f peers; %.2f%% of the true 20 closest\n",
                  (double)lookups / REGIONS, (double)peers / REGIONS, share * 100);
    assert_true(share > 0.99);
    assert_true(lookups < 5 * REGIONS);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_hand),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_small_network_is_one_region),
        cmocka_unit_test(test_few_keys_and_failures),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_widened),
        cmocka_unit_test(test_region_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
