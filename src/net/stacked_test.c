/* A stream on a stream that takes little at a time: what waits is charged, and its end is not lost. */
#include "net/stacked.h"
#include "tests/support/net.h"

enum { HIGH_WATER = 1000, BULK = 50000 };

typedef struct plain {
    stacked_t base;
    size_t n_ends;
} plain_t;

static err_t read_below(stacked_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    return stream_try_read(s->below, out, cap, ret_n);
}

static err_t encode(stacked_t *s, bytes_t plain, buf_t *out)
{
    return buf_append(out, plain);
}

static void say_end(stacked_t *s, buf_t *out)
{
    if (!((plain_t *)s)->n_ends++ && buf_append(out, BYTES_LIT("bye")))
        fail_msg("no room for the end");
}

static void free_plain(stacked_t *s)
{
    free(s);
}

static const stacked_ops_t ops = {
    .read = read_below, .encode = encode, .say_end = say_end, .free = free_plain};

static plain_t *plain_new(task_t *t, stream_t *below, limit_t *limit)
{
    plain_t *p = xcalloc(1, sizeof *p);
    stacked_init(&p->base, task_sched(t), &ops, below);
    stacked_charge(&p->base, limit);
    return p;
}

/* Until the end; how much came. */
static size_t read_all(task_t *t, stream_t *s)
{
    uint8_t piece[700];
    size_t n = 1, total = 0;
    while (n) {
        assert_ok(stream_read(t, s, piece, sizeof piece, &n));
        total += n;
    }
    return total;
}

static err_t half_close(task_t *t, void *arg)
{
    limit_t limit;
    stream_t *near, *far;
    static const uint8_t block[BULK];
    limit_init(&limit, "node", NULL, 1 << 20);
    stream_pipe(task_sched(t), HIGH_WATER, &near, &far);
    plain_t *p = plain_new(t, near, &limit);
    bytes_t all = bytes_of(block, BULK);
    size_t n = 0;
    assert_ok(stream_try_write(&p->base.base, &all, 1, &n)); /* a piece is taken, though it has to wait */
    assert_int_equal(n, BULK);
    assert_in_range(limit.used, BULK - 4 * HIGH_WATER, BULK);
    assert_ok(stream_close_write(&p->base.base));
    assert_int_equal(read_all(t, far), BULK + 3);
    assert_int_equal(limit.used, 0);
    assert_ok(stream_write(t, far, BYTES_LIT("still heard")));
    uint8_t answer[32];
    assert_ok(stream_read(t, &p->base.base, answer, sizeof answer, &n));
    assert_int_equal(n, 11);
    stream_close(&p->base.base);
    stream_close(far);
    limit_deinit(&limit);
    return OK;
}

/* Without room for what waits the stream fails, and whatever was charged comes back. */
static err_t no_room(task_t *t, void *arg)
{
    limit_t limit;
    stream_t *near, *far;
    static const uint8_t block[BULK];
    limit_init(&limit, "node", NULL, 10000);
    stream_pipe(task_sched(t), HIGH_WATER, &near, &far);
    plain_t *p = plain_new(t, near, &limit);
    bytes_t some = bytes_of(block, 8000), more = bytes_of(block, BULK);
    size_t n = 0;
    assert_ok(stream_try_write(&p->base.base, &some, 1, &n));
    assert_in_range(limit.used, 1, 8000);
    assert_err(stream_try_write(&p->base.base, &more, 1, &n), ERR_AGAIN); /* nothing more until it is gone */
    stream_close(&p->base.base);
    assert_int_equal(limit.used, 0);
    stream_close(far);
    stream_pipe(task_sched(t), HIGH_WATER, &near, &far);
    p = plain_new(t, near, &limit);
    assert_err(stream_try_write(&p->base.base, &more, 1, &n), ERR_LIMIT);
    stream_close(&p->base.base);
    assert_int_equal(limit.used, 0);
    stream_close(far);
    limit_deinit(&limit);
    return OK;
}

static void test_half_close(void **state)
{
    assert_ok(net_run(1, 1, half_close, NULL, NULL));
}

static void test_no_room(void **state)
{
    assert_ok(net_run(1, 1, no_room, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_half_close), cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
