#include "base/prng.h"
#include "logic/failure_detector.h"
#include "tests/support/test.h"

static void test_suspicion_grows(void **state)
{
    (void)state;
    failure_detector_t f;
    failure_detector_init(&f, 1000, 5000);
    assert_true(failure_detector_phi(&f, 5000) == 0);
    double last = 0;
    for (uint64_t ms = 5000; ms < 20000; ms += 100) {
        double phi = failure_detector_phi(&f, ms);
        assert_true(phi >= last && phi <= 300);
        last = phi;
    }
    assert_true(last > 100);
    assert_true(failure_detector_phi(&f, UINT64_MAX) <= 300);
}

static void test_due(void **state)
{
    (void)state;
    failure_detector_t f;
    failure_detector_init(&f, 5000, 1000);
    for (double threshold = 1; threshold <= 16; threshold *= 2) {
        uint64_t due = failure_detector_due_ms(&f, threshold);
        assert_true(failure_detector_phi(&f, due) >= threshold);
        assert_true(failure_detector_phi(&f, due - 1) < threshold);
    }
}

/* A regular peer is missed soon, an irregular one gets more time; many messages in a row change nothing. */
static void test_adapts(void **state)
{
    (void)state;
    failure_detector_t regular, irregular, chatty;
    prng_t rng;
    prng_seed(&rng, 1);
    failure_detector_init(&regular, 1000, 0);
    failure_detector_init(&irregular, 1000, 0);
    failure_detector_init(&chatty, 1000, 0);
    uint64_t now = 0, other = 0;
    for (int i = 0; i < 200; i++) {
        now += 1000;
        failure_detector_heard(&regular, now);
        other += 200 + prng_below(&rng, 3000);
        failure_detector_heard(&irregular, other);
        for (int k = 0; k < 5; k++)
            failure_detector_heard(&chatty, now + (uint64_t)k);
    }
    uint64_t soon = failure_detector_due_ms(&regular, 8) - now,
             late = failure_detector_due_ms(&irregular, 8) - other;
    assert_in_range(soon, 1500, 3000);
    assert_in_range(late, 4000, 12000);
    assert_in_range(failure_detector_due_ms(&chatty, 8) - now, 1500, 3000);
    failure_detector_heard(&regular, now - 500); /* a clock that jumps back does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_suspicion_grows), cmocka_unit_test(test_due),
                                       cmocka_unit_test(test_adapts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
