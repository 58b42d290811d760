#include "base/prng.h"
#include "base/queue.h"
#include "tests/support/test.h"

static void test_small(void **state)
{
    AUTO(queue_t) q;
    uint8_t out[16];
    queue_init(&q, 10);
    assert_int_equal(queue_front(&q).len, 0);
    assert_int_equal(queue_read(&q, out, sizeof out), 0);
    assert_ok(queue_push(&q, BYTES_LIT("abcdef")));
    assert_err(queue_push(&q, BYTES_LIT("ghijk")), ERR_LIMIT);
    assert_int_equal(q.len, 6); /* all or nothing */
    assert_int_equal(queue_room(&q), 4);
    assert_ok(queue_push(&q, BYTES_NONE));
    assert_int_equal(queue_peek(&q, out, 3), 3);
    assert_memory_equal(out, "abc", 3);
    queue_drop(&q, 2);
    assert_bytes(queue_front(&q), BYTES_LIT("cdef"));
    assert_int_equal(queue_read(&q, out, sizeof out), 4);
    assert_memory_equal(out, "cdef", 4);
    assert_null(q.head); /* a drained queue holds no memory */
    queue_drop(&q, 0);
}

static void test_grow(void **state)
{
    AUTO(queue_t) q;
    uint8_t *area, out[8];
    size_t room;
    queue_init(&q, 5000);
    assert_ok(queue_grow(&q, 9999, &area, &room));
    assert_int_equal(room, 5000);
    memcpy(area, "xyz", 3);
    queue_commit(&q, 3);
    assert_ok(queue_grow(&q, 4, &area, &room));
    memcpy(area, "1", 1);
    queue_commit(&q, 1);
    assert_int_equal(queue_peek(&q, out, 8), 4);
    assert_memory_equal(out, "xyz1", 4);
    assert_ok(queue_grow(&q, 4000, &area, &room));
    queue_commit(&q, 0); /* nothing came */
    assert_ok(queue_grow(&q, 4000, &area, &room));
    memset(area, 'g', room);
    queue_commit(&q, room);
    while (queue_room(&q)) {
        assert_ok(queue_grow(&q, 4000, &area, &room));
        memset(area, 'g', room);
        queue_commit(&q, room);
    }
    assert_err(queue_grow(&q, 1, &area, &room), ERR_LIMIT);
    queue_drop(&q, 4);
    while (q.len) {
        bytes_t front = queue_front(&q);
        for (size_t i = 0; i < front.len; i++)
            assert_int_equal(front.data[i], 'g');
        queue_drop(&q, front.len);
    }
    queue_deinit(&q);
    queue_deinit(&q);
    assert_ok(queue_push(&q, BYTES_LIT("again")));
}

/* Against a plain array, with random steps. */
static void test_model(void **state)
{
    enum { MAX = 300000 };
    static uint8_t model[MAX], chunk[100000], out[100000];
    size_t model_len = 0;
    prng_t rng;
    prng_seed(&rng, 3);
    AUTO(queue_t) q;
    queue_init(&q, MAX);
    for (int step = 0; step < 3000; step++) {
        size_t n = prng_below(&rng, prng_below(&rng, 4) ? 3000 : 100000);
        switch (prng_below(&rng, 4)) {
        case 0:
            prng_fill(&rng, chunk, n);
            err_t e = queue_push(&q, bytes_of(chunk, n));
            assert_int_equal(e, n > MAX - model_len ? ERR_LIMIT : OK);
            if (!e) {
                memcpy(model + model_len, chunk, n);
                model_len += n;
            }
            break;
        case 1: {
            uint8_t *area;
            size_t room;
            if (queue_grow(&q, n + 1, &area, &room)) {
                assert_int_equal(model_len, MAX);
                break;
            }
            assert_in_range(room, 1, n + 1);
            size_t used = prng_below(&rng, room + 1);
            prng_fill(&rng, area, used);
            memcpy(model + model_len, area, used);
            queue_commit(&q, used);
            model_len += used;
            break;
        }
        case 2: {
            size_t got = queue_peek(&q, out, n);
            assert_int_equal(got, n < model_len ? n : model_len);
            assert_memory_equal(out, model, got);
            bytes_t front = queue_front(&q);
            assert_true(front.len || !model_len);
            assert_memory_equal(model, front.len ? front.data : model, front.len);
            break;
        }
        default: {
            size_t got = queue_read(&q, out, n);
            assert_memory_equal(out, model, got);
            model_len -= got;
            memmove(model, model + got, model_len);
        }
        }
        assert_int_equal(q.len, model_len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
