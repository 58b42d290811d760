#include "base/prng.h"
#include "routing/provider_store.h"
#include "sim/sim.h"
#include "tests/support/test.h"

static peer_id_t peer_of(uint32_t n)
{
    peer_id_t id = {.len = 34, .data = {0x12, 32}};
    memcpy(id.data + 2, &n, sizeof n);
    return id;
}

static multiaddr_t addr_of(const char *text)
{
    multiaddr_t a;
    assert_ok(multiaddr_parse(text, &a));
    return a;
}

typedef struct seen {
    peer_id_t ids[64];
    size_t n_addrs[64];
    size_t n, stop_at;
} seen_t;

static bool see(void *arg, const provider_t *p)
{
    seen_t *s = arg;
    s->n_addrs[s->n] = p->n_addrs;
    s->ids[s->n++] = p->id;
    return !s->stop_at || s->n < s->stop_at;
}

static seen_t providers_of(task_t *t, provider_store_t *s, const char *key)
{
    seen_t seen = {.n = 0};
    assert_ok(provider_store_get(t, s, bytes_str(key), see, &seen));
    return seen;
}

typedef struct fixture {
    kv_t *kv;
    provider_store_t store;
    peer_id_t self;
} fixture_t;

static void setup(task_t *t, fixture_t *f)
{
    provider_limits_t limits;
    provider_limits_default(&limits);
    limits.max_per_key = 5;
    limits.max_per_peer = 8;
    limits.max_total = 40;
    f->kv = kv_memory_new();
    f->self = peer_of(999);
    provider_store_init(&f->store, f->kv, task_sched(t), &f->self, &limits);
}

static void teardown(task_t *t, fixture_t *f)
{
    provider_store_deinit(&f->store);
    provider_store_deinit(&f->store);
    kv_close(t, f->kv);
}

static void add(task_t *t, fixture_t *f, const char *key, uint32_t peer, err_t want)
{
    peer_id_t id = peer_of(peer);
    multiaddr_t addr = addr_of("/ip4/192.0.2.1/tcp/4001");
    assert_err(provider_store_add(t, &f->store, bytes_str(key), &id, &addr, 1), want);
}

static err_t check_add_and_get(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    add(t, &f, "a", 1, OK);
    add(t, &f, "a", 2, OK);
    add(t, &f, "b", 3, OK);
    for (int flushed = 0; flushed < 2; flushed++) {
        seen_t seen = providers_of(t, &f.store, "a");
        assert_int_equal(seen.n, 2);
        assert_int_equal(seen.n_addrs[0], 1);
        assert_int_equal(providers_of(t, &f.store, "b").n, 1);
        assert_int_equal(providers_of(t, &f.store, "c").n, 0);
        assert_ok(provider_store_flush(t, &f.store));
        assert_int_equal(map_count(&f.store.pending), 0);
    }
    add(t, &f, "a", 1, OK); /* announced again: still one record */
    assert_int_equal(providers_of(t, &f.store, "a").n, 2);
    assert_int_equal(provider_store_count(&f.store), 3);
    seen_t first = {.stop_at = 1};
    assert_ok(provider_store_get(t, &f.store, BYTES_LIT("a"), see, &first));
    assert_int_equal(first.n, 1);
    teardown(t, &f);
    return OK;
}

static err_t check_expiry(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    add(t, &f, "a", 1, OK);
    assert_ok(provider_store_flush(t, &f.store));
    assert_ok(task_sleep(t, UINT64_C(25) * 3600 * 1000));
    add(t, &f, "a", 2, OK);
    seen_t seen = providers_of(t, &f.store, "a");
    assert_int_equal(seen.n, 2);
    for (size_t i = 0; i < 2; i++) { /* the addresses of the old record are too old */
        peer_id_t old = peer_of(1);
        assert_int_equal(seen.n_addrs[i], peer_id_equal(&seen.ids[i], &old) ? 0 : 1);
    }
    assert_ok(task_sleep(t, UINT64_C(24) * 3600 * 1000));
    assert_int_equal(providers_of(t, &f.store, "a").n, 1);
    assert_ok(provider_store_sweep(t, &f.store));
    uint64_t left = 0;
    assert_ok(kv_count(t, f.kv, "dht-providers", BYTES_NONE, &left));
    assert_int_equal(left, 1);
    assert_int_equal(provider_store_count(&f.store), 1);
    sim_host_jump_wall(sim_host_of(t), -INT64_C(100) * 24 * 3600 * 1000);
    assert_int_equal(providers_of(t, &f.store, "a").n, 1); /* a clock that goes back expires nothing */
    teardown(t, &f);
    return OK;
}

static err_t check_caps(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    for (uint32_t i = 0; i < 5; i++)
        add(t, &f, "one key", i, OK);
    add(t, &f, "one key", 5, ERR_LIMIT);
    add(t, &f, "one key", 3, OK); /* known ones go on */
    assert_ok(provider_store_flush(t, &f.store));
    add(t, &f, "one key", 5, ERR_LIMIT);
    char key[32];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "many %d", i);
        add(t, &f, key, 77, i < 8 ? OK : ERR_LIMIT);
    }
    for (int i = 0; i < 100; i++) { /* our own are under no cap */
        snprintf(key, sizeof key, "own %d", i);
        assert_ok(provider_store_add(t, &f.store, bytes_str(key), &f.self, NULL, 0));
    }
    assert_int_equal(provider_store_count(&f.store), 13);
    for (uint32_t i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "spread %u", i);
        add(t, &f, key, 1000 + i, i < 27 ? OK : ERR_LIMIT);
    }
    assert_ok(provider_store_sweep(t, &f.store));
    assert_int_equal(provider_store_count(&f.store), 40);
    seen_t own = providers_of(t, &f.store, "own 3");
    assert_int_equal(own.n, 1);
    assert_true(peer_id_equal(&own.ids[0], &f.self));
    teardown(t, &f);
    return OK;
}

/* More than fits in the write-behind: it is written in between, nothing is lost. */
static err_t check_flood(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    f.store.limits.max_total = f.store.limits.max_per_peer = 10000;
    char key[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k %d", i);
        add(t, &f, key, 1, OK);
        assert_true(map_count(&f.store.pending) <= 256);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k %d", i);
        assert_int_equal(providers_of(t, &f.store, key).n, 1);
    }
    teardown(t, &f);
    return OK;
}

static err_t check_task(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "store", provider_store_task, &f.store, NULL));
    add(t, &f, "a", 1, OK);
    assert_ok(task_sleep(t, 1500));
    assert_int_equal(map_count(&f.store.pending), 0); /* written a second later */
    assert_ok(task_sleep(t, UINT64_C(50) * 3600 * 1000));
    uint64_t left = 1;
    assert_ok(kv_count(t, f.kv, "dht-providers", BYTES_NONE, &left));
    assert_int_equal(left, 0); /* swept */
    add(t, &f, "b", 1, OK);
    group_stop(t, &g); /* writes what is pending */
    group_deinit(&g);
    assert_ok(kv_count(t, f.kv, "dht-providers", BYTES_NONE, &left));
    assert_int_equal(left, 1);
    teardown(t, &f);
    return OK;
}

static err_t check_corrupt_records(task_t *t, void *arg)
{
    fixture_t f;
    setup(t, &f);
    add(t, &f, "a", 1, OK);
    assert_ok(provider_store_flush(t, &f.store));
    kad_key_t at = kad_key_of(BYTES_LIT("a"));
    uint8_t key[40] = {0};
    memcpy(key, at.data, sizeof at.data);
    assert_ok(kv_put(t, f.kv, "dht-providers", bytes_of(key, 40), BYTES_LIT("\x01 garbage")));
    key[39] = 1;
    assert_ok(kv_put(t, f.kv, "dht-providers", bytes_of(key, 40), BYTES_LIT("\x07")));
    assert_ok(kv_put(t, f.kv, "dht-providers", bytes_of(key, 32), BYTES_LIT("")));
    assert_int_equal(providers_of(t, &f.store, "a").n, 1);
    assert_ok(provider_store_sweep(t, &f.store));
    assert_int_equal(providers_of(t, &f.store, "a").n, 1);
    teardown(t, &f);
    return OK;
}

static void run(task_fn fn)
{
    sim_t *s = sim_new(1);
    assert_ok(sim_run(s, fn, NULL));
    sim_free(s);
}

#define SIM_TEST(name)                                                                                       \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        run(check_##name);                                                                                   \
    }
SIM_TEST(add_and_get)
SIM_TEST(expiry)
SIM_TEST(caps)
SIM_TEST(flood)
SIM_TEST(task)
SIM_TEST(corrupt_records)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_get), cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_caps),        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_task),        cmocka_unit_test(test_corrupt_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
