#include "routing/value_store.h"
#include "sim/sim.h"
#include "tests/support/test.h"

static const peer_id_t ourselves;

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 32, n}};
}

/* Records of "/num/": decimal text, the larger number wins. */
static err_t validate_number(void *arg, bytes_t key, bytes_t value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return ERR_INVALID;
    return value.len ? OK : ERR_INVALID;
}
static int select_number(void *arg, bytes_t key, bytes_t a, bytes_t b)
{
    return a.len != b.len ? (a.len > b.len ? -1 : 1) : -memcmp(a.data, b.data, a.len);
}
static const record_validator_t numbers = {validate_number, select_number, NULL};

static void setup(value_store_t *s)
{
    value_limits_t limits;
    value_limits_default(&limits);
    limits.max_per_peer = 10;
    limits.max_total = 30;
    value_store_init(s, kv_memory_new(), &limits);
    assert_ok(value_store_set_validator(s, "num", &numbers));
}

static void teardown(task_t *t, value_store_t *s)
{
    kv_t *kv = s->kv;
    value_store_deinit(s);
    value_store_deinit(s);
    kv_close(t, kv);
}

static void expect(task_t *t, value_store_t *s, const char *key, const char *want)
{
    AUTO(buf_t) value;
    buf_init(&value, VALUE_MAX_BYTES);
    uint64_t wall_ms;
    assert_err(value_store_get(t, s, bytes_str(key), &value, &wall_ms), want ? OK : ERR_NOT_FOUND);
    if (want)
        assert_bytes(buf_bytes(&value), bytes_str(want));
}

static void put(task_t *t, value_store_t *s, const char *key, const char *value, err_t want)
{
    assert_err(value_store_put(t, s, &ourselves, bytes_str(key), bytes_str(value)), want);
}

static err_t check_better_replaces(task_t *t, void *arg)
{
    value_store_t s;
    setup(&s);
    put(t, &s, "/num/x", "7", OK);
    expect(t, &s, "/num/x", "7");
    put(t, &s, "/num/x", "12", OK);
    put(t, &s, "/num/x", "9", ERR_EXISTS);
    put(t, &s, "/num/x", "12", OK);
    put(t, &s, "/num/x", "nine", ERR_INVALID);
    expect(t, &s, "/num/x", "12");
    expect(t, &s, "/num/y", NULL);
    assert_true(value_store_is_better(&s, BYTES_LIT("/num/x"), BYTES_LIT("2"), BYTES_LIT("1")));
    assert_ok(task_sleep(t, UINT64_C(49) * 3600 * 1000));
    expect(t, &s, "/num/x", NULL);
    put(t, &s, "/num/x", "1", OK); /* an expired one is in nobody's way */
    expect(t, &s, "/num/x", "1");
    teardown(t, &s);
    return OK;
}

/* CVE-2026-45783: nothing is kept without a validator. */
static err_t check_unknown_namespaces(task_t *t, void *arg)
{
    value_store_t s;
    setup(&s);
    static const char *const keys[] = {"/foo/x", "/nu/x", "/numb/x", "num/x",   "/num",
                                       "/num/",  "",      "/",       "x/num/y", "/NUM/x"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(t, &s, keys[i], "1", ERR_UNSUPPORTED);
    uint64_t left = 1;
    assert_ok(kv_count(t, s.kv, "dht-values", BYTES_NONE, &left));
    assert_int_equal(left, 0);
    static const char huge[VALUE_MAX_BYTES + 2] = {[0 ... VALUE_MAX_BYTES] = '1'};
    put(t, &s, "/num/x", huge, ERR_LIMIT);
    assert_false(value_store_is_better(&s, BYTES_LIT("/foo/x"), BYTES_LIT("2"), BYTES_LIT("1")));
    record_validator_t v = numbers;
    char name[40];
    for (int i = 0; i < VALUE_MAX_NAMESPACES - 2; i++) {
        snprintf(name, sizeof name, "space%d", i);
        assert_ok(value_store_set_validator(&s, name, &v));
    }
    assert_ok(value_store_set_validator(&s, "num", &v)); /* replaced */
    assert_err(value_store_set_validator(&s, "onemore", &v), ERR_LIMIT);
    teardown(t, &s);
    return OK;
}

static err_t check_caps(task_t *t, void *arg)
{
    value_store_t s;
    setup(&s);
    peer_id_t a = peer_of(1), b = peer_of(2), c = peer_of(3);
    char key[32];
    for (int i = 0; i < 15; i++) {
        snprintf(key, sizeof key, "/num/a%d", i);
        assert_err(value_store_put(t, &s, &a, bytes_str(key), BYTES_LIT("1")), i < 10 ? OK : ERR_LIMIT);
    }
    assert_ok(value_store_put(t, &s, &a, BYTES_LIT("/num/a3"), BYTES_LIT("2"))); /* a known key */
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "/num/b%d", i);
        assert_ok(value_store_put(t, &s, &b, bytes_str(key), BYTES_LIT("1")));
    }
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "/num/c%d", i);
        assert_ok(value_store_put(t, &s, &c, bytes_str(key), BYTES_LIT("1")));
    }
    put(t, &s, "/num/own", "1", OK); /* full of what others brought: ours comes in */
    expect(t, &s, "/num/own", "1");
    assert_ok(task_sleep(t, 2 * 3600 * 1000));
    assert_err(value_store_put(t, &s, &a, BYTES_LIT("/num/z"), BYTES_LIT("1")), ERR_LIMIT); /* all full */
    AUTO(kv_batch_t) gone;
    kv_batch_init(&gone);
    assert_ok(kv_batch_delete_prefix(&gone, "dht-values", BYTES_NONE));
    assert_ok(kv_commit(t, s.kv, &gone));
    for (int i = 0; i < 5; i++) /* who asks a full store often does not make it read itself each time */
        assert_err(value_store_put(t, &s, &a, BYTES_LIT("/num/z"), BYTES_LIT("1")), ERR_LIMIT);
    assert_ok(task_sleep(t, 60 * 1000));
    assert_ok(value_store_put(t, &s, &a, BYTES_LIT("/num/z"), BYTES_LIT("1")));
    assert_int_equal(s.total, 1);
    assert_ok(task_sleep(t, UINT64_C(48) * 3600 * 1000));
    assert_ok(value_store_put(t, &s, &a, BYTES_LIT("/num/z"), BYTES_LIT("1"))); /* the old ones have gone */
    assert_int_equal(s.total, 1);
    teardown(t, &s);
    return OK;
}

static err_t check_public_keys(task_t *t, void *arg)
{
    value_store_t s;
    setup(&s);
    static const uint8_t seed[32] = {1}, other_seed[32] = {2};
    private_key_t *k, *other;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &k));
    assert_ok(private_key_generate(KEY_ED25519, other_seed, 0, &other));
    peer_id_t id;
    assert_ok(peer_id_of(private_key_public(k), &id));
    AUTO(buf_t) key, value, wrong;
    buf_init(&key, 256);
    buf_init(&value, 2048);
    buf_init(&wrong, 2048);
    assert_ok(buf_append(&key, BYTES_LIT("/pk/")));
    assert_ok(buf_append(&key, peer_id_bytes(&id)));
    assert_ok(public_key_encode(private_key_public(k), &value));
    assert_ok(public_key_encode(private_key_public(other), &wrong));
    assert_ok(value_store_put(t, &s, &ourselves, buf_bytes(&key), buf_bytes(&value)));
    assert_ok(value_store_put(t, &s, &ourselves, buf_bytes(&key), buf_bytes(&value)));
    assert_err(value_store_put(t, &s, &ourselves, buf_bytes(&key), buf_bytes(&wrong)), ERR_CRYPTO);
    assert_true(value_store_put(t, &s, &ourselves, buf_bytes(&key), BYTES_LIT("junk")) != OK);
    assert_true(value_store_put(t, &s, &ourselves, BYTES_LIT("/pk/junk"), buf_bytes(&value)) != OK);
    private_key_free(k);
    private_key_free(other);
    teardown(t, &s);
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
SIM_TEST(better_replaces)
SIM_TEST(unknown_namespaces)
SIM_TEST(caps)
SIM_TEST(public_keys)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_better_replaces),
        cmocka_unit_test(test_unknown_namespaces),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_public_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
