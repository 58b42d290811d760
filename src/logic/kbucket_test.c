#include "base/prng.h"
#include "crypto/hash.h"
#include "logic/kbucket.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

/* The n-th peer of a test: a sha2-256 multihash. */
static peer_id_t peer_of(uint64_t n)
{
    peer_id_t id = {.len = 34, .data = {0x12, 32}};
    sha256_of(bytes_of(&n, sizeof n), id.data + 2);
    return id;
}

/* The next peer (counting on from *n) whose key shares just prefix_len bits with self's. */
static peer_id_t peer_in_bucket(const peer_id_t *self, size_t prefix_len, uint64_t *n)
{
    kad_key_t own = kad_key_of_peer(self);
    for (;;) {
        peer_id_t id = peer_of((*n)++);
        kad_key_t key = kad_key_of_peer(&id);
        if (kad_common_prefix_len(&own, &key) == prefix_len)
            return id;
    }
}

static void new_table(kbucket_t *ret, peer_id_t *ret_self, size_t bucket_size)
{
    kbucket_config_t config;
    kbucket_config_default(&config);
    config.bucket_size = bucket_size;
    *ret_self = peer_of(1000000);
    kbucket_init(ret, &config, ret_self);
}

static void test_add_and_find(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 20);
    peer_id_t a = peer_of(1), none = {0};
    assert_int_equal(kbucket_add(&kb, &a, 0, false, 5), KBUCKET_ADDED);
    assert_int_equal(kbucket_add(&kb, &a, 0, false, 6), KBUCKET_PRESENT);
    assert_int_equal(kbucket_add(&kb, &self, 0, false, 6), KBUCKET_REFUSED);
    assert_int_equal(kbucket_add(&kb, &none, 0, false, 6), KBUCKET_REFUSED);
    assert_int_equal(kbucket_count(&kb), 1);
    assert_int_equal(kbucket_get(&kb, &a)->added_ms, 5);
    kbucket_useful(&kb, &a, 9);
    assert_int_equal(kbucket_get(&kb, &a)->last_useful_ms, 9);
    assert_true(kbucket_remove(&kb, &a));
    assert_false(kbucket_remove(&kb, &a));
    assert_false(kbucket_remove(&kb, &self));
    assert_null(kbucket_get(&kb, &a));
    kbucket_deinit(&kb);
    kbucket_deinit(&kb);
}

static void test_good_peers_stay(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 3);
    uint64_t n = 0;
    for (int i = 0; i < 3; i++) {
        peer_id_t p = peer_in_bucket(&self, 2, &n);
        assert_int_equal(kbucket_add(&kb, &p, 0, false, 1000), KBUCKET_ADDED);
    }
    peer_id_t late = peer_in_bucket(&self, 2, &n);
    assert_int_equal(kbucket_add(&kb, &late, 0, false, 2000), KBUCKET_FULL);
    peer_id_t elsewhere = peer_in_bucket(&self, 3, &n), checked;
    assert_int_equal(kbucket_add(&kb, &elsewhere, 0, false, 2000), KBUCKET_ADDED);
    assert_int_equal(kbucket_bucket_count(&kb, 2), 3);
    assert_int_equal(kbucket_bucket_count(&kb, 3), 1);
    assert_int_equal(kbucket_bucket_count(&kb, 999), 0);
    assert_false(kbucket_next_check(&kb, &checked));
    kbucket_deinit(&kb);
}

/* A stale entry is checked first: alive it stays, dead it makes room for the one that waited. */
static void test_check_before_eviction(void **state)
{
    for (int is_alive = 0; is_alive < 2; is_alive++) {
        peer_id_t self, checked;
        kbucket_t kb;
        new_table(&kb, &self, 2);
        uint64_t n = 0, later = 1000 + kb.config.useful_grace_ms + 1;
        peer_id_t old = peer_in_bucket(&self, 1, &n), good = peer_in_bucket(&self, 1, &n);
        peer_id_t fresh = peer_in_bucket(&self, 1, &n), another = peer_in_bucket(&self, 1, &n);
        assert_int_equal(kbucket_add(&kb, &old, 0, false, 1000), KBUCKET_ADDED);
        assert_int_equal(kbucket_add(&kb, &good, 0, false, 1000), KBUCKET_ADDED);
        kbucket_useful(&kb, &good, later);
        assert_int_equal(kbucket_add(&kb, &fresh, 0, false, later), KBUCKET_PENDING);
        assert_int_equal(kbucket_add(&kb, &another, 0, false, later), KBUCKET_FULL);
        assert_true(kbucket_next_check(&kb, &checked));
        assert_true(peer_id_equal(&checked, &old));
        assert_false(kbucket_next_check(&kb, &checked));
        kbucket_checked(&kb, &old, is_alive, later + 1);
        assert_int_equal(kbucket_get(&kb, &old) != NULL, is_alive);
        assert_int_equal(kbucket_get(&kb, &fresh) == NULL, is_alive);
        assert_non_null(kbucket_get(&kb, &good));
        assert_int_equal(kbucket_count(&kb), 2);
        kbucket_deinit(&kb);
    }
}

static void test_replaceable_while_filling(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 1);
    uint64_t n = 0;
    peer_id_t a = peer_in_bucket(&self, 0, &n), b = peer_in_bucket(&self, 0, &n);
    peer_id_t c = peer_in_bucket(&self, 0, &n);
    kbucket_add(&kb, &a, 0, true, 1);
    assert_int_equal(kbucket_add(&kb, &b, 0, true, 2), KBUCKET_ADDED);
    assert_null(kbucket_get(&kb, &a));
    kbucket_keep_all(&kb);
    assert_int_equal(kbucket_add(&kb, &c, 0, true, 3), KBUCKET_FULL);
    kbucket_deinit(&kb);
}

static void test_tick_checks_stale_and_drops_silent(void **state)
{
    peer_id_t self, checked;
    kbucket_t kb;
    new_table(&kb, &self, 20);
    peer_id_t a = peer_of(1), b = peer_of(2);
    kbucket_add(&kb, &a, 0, false, 0);
    kbucket_add(&kb, &b, 0, false, 0);
    kbucket_tick(&kb, kb.config.useful_grace_ms);
    assert_false(kbucket_next_check(&kb, &checked));
    uint64_t now = kb.config.useful_grace_ms + 1;
    kbucket_tick(&kb, now);
    kbucket_tick(&kb, now); /* asks once */
    assert_true(kbucket_next_check(&kb, &checked));
    assert_true(kbucket_next_check(&kb, &checked));
    assert_false(kbucket_next_check(&kb, &checked));
    kbucket_checked(&kb, &a, true, now + 1);
    kbucket_tick(&kb, now + kb.config.check_timeout_ms);
    assert_non_null(kbucket_get(&kb, &a));
    assert_null(kbucket_get(&kb, &b)); /* its check was never answered */
    kbucket_deinit(&kb);
}

/* A flood from one /16 gets 3 places, 2 in one bucket; places that they leave are free again. */
static void test_group_limits(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 20);
    multiaddr_t addr;
    assert_ok(multiaddr_parse("/ip4/203.0.113.7/tcp/4001", &addr));
    uint64_t group = kbucket_group(&addr), n = 0;
    size_t added = 0, in_first = 0;
    for (int i = 0; i < 500; i++) {
        peer_id_t p = peer_in_bucket(&self, (size_t)(i % 5), &n);
        if (kbucket_add(&kb, &p, group, false, 1) == KBUCKET_ADDED)
            added++;
    }
    in_first = kbucket_bucket_count(&kb, 0);
    assert_int_equal(added, 3);
    assert_true(in_first <= 2);
    peer_id_t found[3], fresh = peer_in_bucket(&self, 6, &n);
    assert_int_equal(kbucket_closest(&kb, &kb.self, NULL, found, 3), 3);
    assert_int_equal(kbucket_add(&kb, &fresh, group, false, 2), KBUCKET_REFUSED);
    kbucket_remove(&kb, &found[0]);
    assert_int_equal(kbucket_add(&kb, &fresh, group, false, 2), KBUCKET_ADDED);
    kbucket_deinit(&kb);

    new_table(&kb, &self, 20);
    n = 0;
    for (int i = 0; i < 3; i++) {
        peer_id_t p = peer_in_bucket(&self, 4, &n);
        assert_int_equal(kbucket_add(&kb, &p, group, false, 1), i < 2 ? KBUCKET_ADDED : KBUCKET_REFUSED);
    }
    kbucket_deinit(&kb);
}

static void test_groups_of_addresses(void **state)
{
    static const struct {
        const char *a, *b;
        bool same, limited;
    } rows[] = {
        {"/ip4/203.0.113.7/tcp/1", "/ip4/203.0.9.9/tcp/2", true, true},
        {"/ip4/203.0.113.7/tcp/1", "/ip4/203.1.113.7/tcp/1", false, true},
        {"/ip6/2604:1:1::1/tcp/1", "/ip6/2604:1:2::1/tcp/1", true, true},
        {"/ip6/2604:1:1::1/tcp/1", "/ip6/2604:2:1::1/tcp/1", false, true},
        {"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2", true, false},
        {"/ip4/10.1.2.3/tcp/1", "/ip4/192.168.1.1/tcp/2", true, false},
        {"/dns4/example.org/tcp/1", "/dns4/example.org/tcp/1", true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        multiaddr_t a, b;
        assert_ok(multiaddr_parse(rows[i].a, &a));
        assert_ok(multiaddr_parse(rows[i].b, &b));
        assert_int_equal(kbucket_group(&a) == kbucket_group(&b), rows[i].same);
        assert_int_equal(kbucket_group(&a) != 0, rows[i].limited);
    }
}

static void test_closest_against_sorting(void **state)
{
    peer_id_t self, got[20];
    kbucket_t kb;
    new_table(&kb, &self, 20);
    for (uint64_t i = 0; i < 400; i++) {
        peer_id_t p = peer_of(i);
        kbucket_add(&kb, &p, 0, false, 1);
    }
    for (uint64_t round = 0; round < 200; round++) {
        kad_key_t target = kad_key_of(bytes_of(&round, sizeof round));
        if (round == 0)
            target = kb.self;
        size_t n = kbucket_closest(&kb, &target, NULL, got, 20);
        assert_int_equal(n, 20);
        kad_key_t last = kad_key_of_peer(&got[19]);
        size_t closer = 0;
        for (uint64_t i = 0; i < 400; i++) {
            peer_id_t p = peer_of(i);
            kad_key_t key = kad_key_of_peer(&p);
            closer += kbucket_get(&kb, &p) && kad_compare_distance(&target, &key, &last) <= 0;
        }
        assert_int_equal(closer, 20); /* nothing in the table is closer and was left out */
        for (size_t i = 1; i < n; i++) {
            kad_key_t a = kad_key_of_peer(&got[i - 1]), b = kad_key_of_peer(&got[i]);
            assert_true(kad_compare_distance(&target, &a, &b) < 0);
        }
        peer_id_t without[20];
        assert_int_equal(kbucket_closest(&kb, &target, &got[0], without, 20), 20);
        assert_true(peer_id_equal(&without[0], &got[1]));
    }
    assert_int_equal(kbucket_closest(&kb, &kb.self, NULL, got, 0), 0);
    kbucket_deinit(&kb);
}

static void test_closest_vectors(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 64);
    tsv_t *v = tsv_open("kad/closest.tsv");
    while (tsv_next(v)) {
        peer_id_t p;
        assert_ok(peer_id_parse(tsv_get(v, "peer_id"), &p));
        kbucket_add(&kb, &p, 0, false, 1);
    }
    tsv_close(v);
    assert_int_equal(kbucket_count(&kb), 40);
    v = tsv_open("kad/closest.tsv");
    peer_id_t got[40];
    while (tsv_next(v)) {
        AUTO(buf_t) key = {0};
        buf_init(&key, 64);
        tsv_hex(v, "target_key_hex", &key);
        kad_key_t target;
        memcpy(target.data, key.data, KAD_KEY_BYTES);
        assert_int_equal(kbucket_closest(&kb, &target, NULL, got, 40), 40);
        peer_id_t want;
        assert_ok(peer_id_parse(tsv_get(v, "peer_id"), &want));
        assert_true(peer_id_equal(&got[strtol(tsv_get(v, "rank"), NULL, 10)], &want));
    }
    tsv_close(v);
    kbucket_deinit(&kb);
}

static void test_refresh_by_age(void **state)
{
    peer_id_t self;
    kbucket_t kb;
    new_table(&kb, &self, 20);
    size_t prefix_len;
    assert_false(kbucket_refresh_due(&kb, 1000, &prefix_len)); /* nobody to ask */
    uint64_t n = 0;
    peer_id_t p = peer_in_bucket(&self, 3, &n);
    kbucket_add(&kb, &p, 0, false, 0);
    for (size_t want = 0; want <= 4; want++) {
        assert_true(kbucket_refresh_due(&kb, 1000, &prefix_len));
        assert_int_equal(prefix_len, want);
        kbucket_refreshed(&kb, prefix_len, 1000);
    }
    assert_false(kbucket_refresh_due(&kb, 1000, &prefix_len));
    assert_false(kbucket_refresh_due(&kb, 999 + kb.config.refresh_after_ms, &prefix_len));
    assert_true(kbucket_refresh_due(&kb, 1000 + kb.config.refresh_after_ms, &prefix_len));
    assert_int_equal(prefix_len, 0);
    kbucket_refreshed(&kb, 999, 1);
    kbucket_deinit(&kb);
}

static bool count_entry(void *arg, size_t prefix_len, const kbucket_entry_t *e)
{
    size_t *left = arg;
    return --*left > 0;
}

static void test_table_is_bounded(void **state)
{
    peer_id_t self;
    kbucket_config_t config;
    kbucket_config_default(&config);
    config.max_entries = 30;
    self = peer_of(7);
    kbucket_t kb;
    kbucket_init(&kb, &config, &self);
    for (uint64_t i = 100; i < 1000; i++) {
        peer_id_t p = peer_of(i);
        kbucket_add(&kb, &p, i, false, 1);
    }
    assert_int_equal(kbucket_count(&kb), 30);
    size_t left = 100;
    kbucket_each(&kb, count_entry, &left);
    assert_int_equal(left, 70);
    left = 5;
    kbucket_each(&kb, count_entry, &left);
    assert_int_equal(left, 0);
    kbucket_deinit(&kb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_find),
        cmocka_unit_test(test_good_peers_stay),
        cmocka_unit_test(test_check_before_eviction),
        cmocka_unit_test(test_replaceable_while_filling),
        cmocka_unit_test(test_tick_checks_stale_and_drops_silent),
        cmocka_unit_test(test_group_limits),
        cmocka_unit_test(test_groups_of_addresses),
        cmocka_unit_test(test_closest_against_sorting),
        cmocka_unit_test(test_closest_vectors),
        cmocka_unit_test(test_refresh_by_age),
        cmocka_unit_test(test_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
