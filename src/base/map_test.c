#include "base/map.h"
#include "base/prng.h"
#include "tests/support/test.h"

static bytes_t key_of(int *i)
{
    return bytes_of(i, sizeof *i);
}

static void test_basics(void **state)
{
    map_t m;
    map_init(&m, 3);
    int a = 1, b = 2;
    void *old = &m;
    assert_null(map_get(&m, BYTES_LIT("x")));
    assert_null(map_remove(&m, BYTES_LIT("x")));
    assert_false(map_has(&m, BYTES_LIT("x")));
    assert_ok(map_put(&m, BYTES_LIT("x"), &a, &old));
    assert_null(old);
    assert_ok(map_put(&m, BYTES_LIT("x"), &b, &old));
    assert_ptr_equal(old, &a);
    assert_ptr_equal(map_get(&m, BYTES_LIT("x")), &b);
    assert_ok(map_put(&m, BYTES_NONE, NULL, NULL)); /* an empty key, and a NULL value */
    assert_true(map_has(&m, BYTES_LIT("")));
    assert_ok(map_put(&m, BYTES_LIT("y"), &a, NULL));
    assert_err(map_put(&m, BYTES_LIT("z"), &a, NULL), ERR_LIMIT);
    assert_ok(map_put(&m, BYTES_LIT("y"), &b, NULL)); /* replacing needs no room */
    assert_ptr_equal(map_remove(&m, BYTES_LIT("y")), &b);
    assert_ok(map_put(&m, BYTES_LIT("z"), &a, NULL));
    assert_int_equal(map_count(&m), 3);
    map_deinit(&m);
    map_deinit(&m);
    assert_int_equal(map_count(&m), 0);
    assert_ok(map_put(&m, BYTES_LIT("again"), &a, NULL));
    map_deinit(&m);
}

static void test_order_and_removal(void **state)
{
    map_t m;
    map_init(&m, 10000);
    for (int i = 0; i < 1000; i++)
        assert_ok(map_put(&m, key_of(&i), (void *)(intptr_t)(i + 1), NULL));
    int seen = 0;
    bytes_t key;
    void *value;
    for (size_t it = 0; map_next(&m, &it, &key, &value);) { /* insertion order, removing while iterating */
        int i;
        memcpy(&i, key.data, sizeof i);
        assert_int_equal(i, seen);
        assert_int_equal((intptr_t)value, i + 1);
        seen++;
        if (i % 3)
            assert_ptr_equal(map_remove(&m, key), value);
        int next = i + 1;
        if (i % 10 == 0 && map_remove(&m, key_of(&next))) /* also one that is still to come */
            seen++;
    }
    int last = -1;
    for (size_t it = 0; map_next(&m, &it, &key, NULL);) {
        int i;
        memcpy(&i, key.data, sizeof i);
        assert_true(i > last && i % 3 == 0);
        last = i;
    }
    for (int i = 5000; i < 7000; i++)
        assert_ok(map_put(&m, key_of(&i), NULL, NULL));
    for (size_t it = 0; map_next(&m, &it, &key, NULL);) {
        int i;
        memcpy(&i, key.data, sizeof i);
        assert_true(i > (last > 5000 ? last : -1));
        last = i;
    }
    map_deinit(&m);
}

/* Against an array, with random steps; holes are closed again and again. */
static void test_model(void **state)
{
    enum { KEYS = 500 };
    intptr_t model[KEYS] = {0};
    size_t count = 0;
    prng_t rng;
    prng_seed(&rng, 9);
    map_t m;
    map_init(&m, KEYS);
    for (int step = 0; step < 200000; step++) {
        int k = (int)prng_below(&rng, 1 + prng_below(&rng, KEYS));
        intptr_t v = 1 + (intptr_t)prng_below(&rng, 1000000);
        void *old;
        switch (prng_below(&rng, 3)) {
        case 0:
            assert_ok(map_put(&m, key_of(&k), (void *)v, &old));
            assert_int_equal((intptr_t)old, model[k]);
            count += !model[k];
            model[k] = v;
            break;
        case 1:
            assert_int_equal((intptr_t)map_remove(&m, key_of(&k)), model[k]);
            count -= model[k] != 0;
            model[k] = 0;
            break;
        default:
            assert_int_equal((intptr_t)map_get(&m, key_of(&k)), model[k]);
            assert_int_equal(map_has(&m, key_of(&k)), model[k] != 0);
        }
        assert_int_equal(map_count(&m), count);
    }
    assert_true(m.cap <= 2048);
    map_deinit(&m);
}

/* The vectors of the SipHash paper's reference code: key 00..0f, input 00, 01, … */
static void test_siphash(void **state)
{
    static const uint64_t want[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                                    0x85676696d7fb7e2d};
    uint8_t key[16], in[16];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = in[i] = i;
    for (size_t n = 0; n < ARRAY_LEN(want); n++)
        assert_true(siphash24(key, bytes_of(in, n)) == want[n]);
    assert_true(siphash24(key, bytes_of(in, 15)) == 0xa129ca6149be45e5);
    map_set_hash_key(key);
    map_t m;
    map_init(&m, 10);
    assert_ok(map_put(&m, bytes_of(in, 15), in, NULL));
    assert_true(m.entries[0].hash == 0xa129ca6149be45e5);
    map_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_order_and_removal),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_siphash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
