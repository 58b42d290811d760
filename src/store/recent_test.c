#include "store/recent.h"
#include "tests/support/test.h"

static block_t *make(uint32_t number, size_t len)
{
    uint8_t data[RECENT_BLOCK_MAX_BYTES + 1] = {0};
    memcpy(data, &number, sizeof number);
    cid_t cid;
    block_t *b;
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(data, len), &cid));
    assert_ok(block_copy(&cid, bytes_of(data, len), &b));
    return b;
}

static bool has(const recent_t *r, const cid_t *cid)
{
    block_t *b = recent_get(r, cid);
    block_release(b);
    return b != NULL;
}

static void gives_what_was_put(void **state)
{
    recent_t r = {0};
    block_t *b = make(1, 100), *large = make(2, RECENT_BLOCK_MAX_BYTES + 1);
    assert_false(has(&r, &b->cid));
    recent_put(&r, b, 0);
    recent_put(&r, large, 0);
    assert_true(has(&r, &b->cid));
    assert_false(has(&r, &large->cid));
    cid_t other = b->cid; /* the same bytes under another codec are another block */
    other.codec = CODEC_DAG_PB;
    assert_false(has(&r, &other));
    block_release(large);
    recent_deinit(&r);
    assert_int_equal(b->refs, 1);
    block_release(b);
}

static void forgets_what_was_removed(void **state)
{
    recent_t r = {0};
    block_t *b = make(1, 100);
    recent_put(&r, b, r.removals);
    cid_t other = b->cid;
    other.codec = CODEC_DAG_PB;
    uint64_t before = r.removals;
    recent_drop(&r, &other, 1); /* stores know multihashes */
    assert_false(has(&r, &b->cid));
    recent_put(&r, b, before); /* it was read before the removal */
    assert_false(has(&r, &b->cid));
    recent_put(&r, b, r.removals);
    assert_true(has(&r, &b->cid));
    recent_deinit(&r);
    block_release(b);
}

static void stays_within_its_bytes(void **state)
{
    recent_t r = {0};
    for (uint32_t i = 0; i < 3000; i++) {
        block_t *b = make(i, 3000);
        recent_put(&r, b, 0);
        assert_true(r.bytes <= RECENT_MAX_BYTES);
        assert_true(has(&r, &b->cid));
        block_release(b);
    }
    assert_true(r.bytes > RECENT_MAX_BYTES / 2);
    recent_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_what_was_put),
                                       cmocka_unit_test(forgets_what_was_removed),
                                       cmocka_unit_test(stays_within_its_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
