#include "base/prng.h"
#include "routing/key_runs.h"
#include "sim/sim.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static bytes_t key_of(size_t i, uint8_t out[34])
{
    out[0] = 0x12;
    out[1] = 32;
    prng_t rng;
    prng_seed(&rng, i);
    prng_fill(&rng, out + 2, 32);
    return bytes_of(out, i % 7 ? 34 : 20); /* not all are of one length */
}

/* Reads all: in order, none twice; how many. */
static size_t read_all(task_t *t, key_runs_t *r)
{
    size_t n = 0;
    kad_key_t last = {0};
    const run_key_t *key;
    while ((key = key_runs_peek(r))) {
        kad_key_t at = kad_key_of(bytes_of(key->data, key->len));
        assert_memory_equal(at.data, key->at.data, KAD_KEY_BYTES);
        assert_true(!n || memcmp(last.data, at.data, KAD_KEY_BYTES) < 0);
        last = at;
        n++;
        if (n == 3) { /* the one after it is not touched */
            run_key_t back = *key;
            assert_ok(key_runs_pop(t, r));
            key_runs_put_back(r, &back);
            assert_memory_equal(key_runs_peek(r)->data, back.data, back.len);
        }
        assert_ok(key_runs_pop(t, r));
    }
    return n;
}

static err_t check_sizes(task_t *t, void *arg)
{
    static const size_t sizes[] = {0, 1, 1000, KEY_RUN_KEYS, KEY_RUN_KEYS + 1, 3 * KEY_RUN_KEYS + 77};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        key_runs_t *r = key_runs_new("/");
        uint8_t raw[34];
        for (size_t i = 0; i < sizes[s]; i++)
            assert_ok(key_runs_add(t, r, key_of(i, raw)));
        for (size_t i = 0; i < sizes[s]; i += 2)
            assert_ok(key_runs_add(t, r, key_of(i, raw)));
        assert_ok(key_runs_finish(t, r));
        assert_int_equal(key_runs_count(r), sizes[s] + (sizes[s] + 1) / 2);
        assert_int_equal(read_all(t, r), sizes[s]);
        key_runs_free(r);
    }
    key_runs_free(NULL);
    return OK;
}

static void test_sizes(void **state)
{
    assert_ok(test_run(check_sizes, NULL));
}

/* A folder that is not there, or a full disk: said with the folder's name, nothing leaks. */
static err_t check_failures(task_t *t, void *arg)
{
    key_runs_t *r = key_runs_new("/absent");
    uint8_t raw[34];
    err_t e = OK;
    for (size_t i = 0; !e && i <= KEY_RUN_KEYS; i++)
        e = key_runs_add(t, r, key_of(i, raw));
    assert_true(e != OK);
    assert_non_null(strstr(error_slot()->text, "/absent"));
    key_runs_free(r);
    return OK;
}

static void test_failures(void **state)
{
    assert_ok(test_run(check_failures, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
