#include "base/prng.h"
#include "logic/chunk_refs.h"
#include "tests/support/test.h"

static cid_t chunk_of(uint32_t n)
{
    uint8_t digest[32] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)};
    return cid_of_sha256(1, CODEC_RAW, digest);
}

static chunk_refs_t *make(size_t max_chunks, size_t max_due)
{
    chunk_refs_config_t c;
    chunk_refs_config_default(&c);
    c.max_chunks = max_chunks;
    c.max_due = max_due;
    return chunk_refs_new(&c);
}

/* Two manifests share a chunk; it goes with the last one, inside the window, unless it is needed again. */
static void test_shared(void **state)
{
    (void)state;
    chunk_refs_t *r = make(100, 100);
    cid_t a = chunk_of(1), got;
    assert_ok(chunk_refs_add(r, &a));
    assert_ok(chunk_refs_add(r, &a));
    assert_ok(chunk_refs_drop(r, &a, 1000));
    assert_int_equal(chunk_refs_count(r, &a), 1);
    assert_true(chunk_refs_deadline_ms(r) == UINT64_MAX);
    assert_ok(chunk_refs_drop(r, &a, 2000));
    assert_int_equal(chunk_refs_count(r, &a), 0);
    assert_int_equal(chunk_refs_deadline_ms(r), 302000);
    assert_false(chunk_refs_next(r, 301999, &got));
    assert_ok(chunk_refs_add(r, &a)); /* stored again */
    assert_false(chunk_refs_next(r, 302000, &got));
    assert_int_equal(chunk_refs_stat(r).spared, 1);
    assert_ok(chunk_refs_drop(r, &a, 400000));
    assert_true(chunk_refs_next(r, 700000, &got) && cid_equal(&got, &a));
    assert_false(chunk_refs_next(r, 700000, &got));
    assert_ok(chunk_refs_drop(r, &a, 700000)); /* never added: nothing */
    assert_true(chunk_refs_deadline_ms(r) == UINT64_MAX);
    assert_int_equal(chunk_refs_stat(r).collected, 1);
    assert_int_equal(chunk_refs_stat(r).chunks, 0);
    chunk_refs_free(r);
}

static void test_limits(void **state)
{
    (void)state;
    chunk_refs_t *r = make(3, 2);
    cid_t c[4];
    for (uint32_t i = 0; i < 4; i++)
        c[i] = chunk_of(i);
    for (size_t i = 0; i < 3; i++)
        assert_ok(chunk_refs_add(r, &c[i]));
    assert_err(chunk_refs_add(r, &c[3]), ERR_LIMIT);
    assert_ok(chunk_refs_add(r, &c[0]));
    assert_ok(chunk_refs_drop(r, &c[1], 0));
    assert_ok(chunk_refs_drop(r, &c[2], 0));
    assert_ok(chunk_refs_drop(r, &c[0], 0));
    assert_err(chunk_refs_drop(r, &c[0], 0), ERR_LIMIT);
    assert_int_equal(chunk_refs_count(r, &c[0]), 0);
    chunk_refs_free(r);
}

/* Against counters in an array. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 5000 };
    static uint32_t counts[N];
    memset(counts, 0, sizeof counts);
    chunk_refs_t *r = make(N, 1 << 20);
    prng_t rng;
    prng_seed(&rng, 4);
    for (uint64_t now = 0; now < 200000; now++) {
        uint32_t i = (uint32_t)prng_below(&rng, prng_below(&rng, 2) ? N : 50);
        cid_t c = chunk_of(i);
        if (prng_below(&rng, 2)) {
            assert_ok(chunk_refs_add(r, &c));
            counts[i]++;
        } else {
            assert_ok(chunk_refs_drop(r, &c, now * 100));
            counts[i] -= counts[i] > 0;
        }
        for (cid_t got; chunk_refs_next(r, now * 100, &got);)
            assert_int_equal(counts[got.digest[0] | got.digest[1] << 8], 0);
    }
    size_t used = 0;
    for (uint32_t i = 0; i < N; i++) {
        cid_t c = chunk_of(i);
        assert_int_equal(chunk_refs_count(r, &c), counts[i]);
        used += counts[i] > 0;
    }
    assert_int_equal(chunk_refs_stat(r).chunks, used);
    assert_true(chunk_refs_stat(r).collected > 1000 && chunk_refs_stat(r).spared > 1000);
    chunk_refs_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
