#include "base/writer.h"
#include "task/driver.h"
#include "task/stream.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static err_t pump(task_t *t, void *arg)
{
    static uint8_t data[100000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    stream_t *s = arg;
    bytes_t pieces[40];
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) /* more pieces than one window, some of them empty */
        pieces[i] = i % 3 ? bytes_of(data + i / 3 * 5000, i % 3 == 1 ? 5000 : 0) : BYTES_NONE;
    TRY(stream_write_pieces(t, s, pieces, ARRAY_LEN(pieces)));
    TRY(stream_write(t, s, BYTES_NONE));
    return stream_close_write(s);
}

static err_t back_pressure(task_t *t, void *arg)
{
    stream_t *a, *b;
    stream_pipe(task_sched(t), 1000, &a, &b);
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "pump", pump, a, NULL));
    assert_ok(task_sleep(t, 10));
    assert_int_equal(g.count, 1); /* it waits above the high-water mark */
    uint8_t part[777];
    size_t n, total = 0;
    for (;;) {
        assert_ok(stream_read(t, b, part, 1 + total % sizeof part, &n));
        if (!n)
            break;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(part[i], (uint8_t)((total + i) * 7));
        total += n;
    }
    assert_int_equal(total, 13 * 5000);
    assert_ok(group_join(t, &g));
    assert_err(stream_write(t, a, BYTES_LIT("x")), ERR_CLOSED);
    assert_ok(stream_write(t, b, BYTES_LIT("the other way"))); /* half closed */
    assert_ok(stream_read_full(t, a, part, 13));
    assert_memory_equal(part, "the other way", 13);
    stream_close(a);
    assert_err(stream_write(t, b, BYTES_LIT("x")), ERR_RESET);
    assert_err(stream_read_full(t, b, part, 1), ERR_EOF);
    stream_close(b);
    stream_close(NULL);
    return OK;
}

static void test_back_pressure(void **state)
{
    assert_ok(test_run(back_pressure, NULL));
}

static err_t read_one(task_t *t, void *arg)
{
    uint8_t b;
    size_t n;
    return stream_read(t, arg, &b, 1, &n);
}

static err_t resets(task_t *t, void *arg)
{
    stream_t *a, *b;
    stream_pipe(task_sched(t), 100, &a, &b);
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "reader", read_one, b, NULL));
    assert_ok(task_sleep(t, 1));
    assert_ok(stream_write(t, b, BYTES_LIT("lost")));
    stream_reset(a);
    assert_err(group_join(t, &g), ERR_RESET);
    uint8_t byte;
    size_t n;
    assert_err(stream_try_read(a, &byte, 1, &n), ERR_RESET);
    bytes_t piece = BYTES_LIT("x");
    assert_err(stream_try_write(b, &piece, 1, &n), ERR_RESET);
    stream_close(b);
    stream_close(a);
    deadline_t d = deadline_push(t, 10);
    stream_pipe(task_sched(t), 100, &a, &b);
    assert_err(stream_read(t, a, &byte, 1, &n), ERR_TIMEOUT);
    deadline_pop(t, &d);
    task_cancel(t);
    assert_err(stream_read(t, a, &byte, 1, &n), ERR_CANCELED);
    assert_err(stream_try_read(a, &byte, 1, &n), ERR_AGAIN);
    stream_close(b);
    stream_close(a);
    return OK;
}

static void test_resets(void **state)
{
    assert_ok(test_run(resets, NULL));
}

/* ── messages ── */
static err_t read_from(task_t *t, bytes_t content, size_t max, buf_t *out)
{
    stream_t *a, *b;
    stream_pipe(task_sched(t), 1 << 20, &a, &b);
    if (content.len)
        assert_ok(stream_write(t, a, content));
    stream_close(a);
    err_t e = stream_read_message(t, b, max, out);
    stream_close(b);
    return e;
}

static err_t messages(task_t *t, void *arg)
{
    AUTO(buf_t) out;
    buf_init(&out, 100000);
    assert_ok(buf_append(&out, BYTES_LIT("left over")));
    assert_err(read_from(t, BYTES_NONE, 10, &out), ERR_EOF);
    assert_int_equal(out.len, 0);
    assert_ok(read_from(t,
                        BYTES_LIT("\x03"
                                  "abcd"),
                        3, &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("abc"));
    assert_ok(read_from(t, bytes_of("\x00", 1), 0, &out));
    assert_int_equal(out.len, 0);
    assert_err(read_from(t,
                         BYTES_LIT("\x04"
                                   "abcd"),
                         3, &out),
               ERR_LIMIT);
    assert_err(read_from(t,
                         BYTES_LIT("\x04"
                                   "abc"),
                         4, &out),
               ERR_EOF);
    assert_bytes(buf_bytes(&out), BYTES_LIT("abc"));
    assert_err(read_from(t, BYTES_LIT("\x84"), 4, &out), ERR_EOF);
    assert_int_not_equal(out.len, 0); /* not a clean end */
    assert_err(read_from(t, BYTES_LIT("\x84\x00"), 4, &out), ERR_INVALID);
    assert_err(read_from(t, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 4, &out), ERR_INVALID);
    assert_err(read_from(t, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), SIZE_MAX, &out), ERR_LIMIT);

    /* Memory follows what came, not what was claimed. */
    AUTO(buf_t) big;
    buf_init(&big, 1 << 30);
    assert_err(read_from(t,
                         BYTES_LIT("\x80\x80\x80\x80\x04"
                                   "x"),
                         1 << 30, &big),
               ERR_EOF);
    assert_true(big.cap < 200000);
    return OK;
}

static void test_messages(void **state)
{
    assert_ok(test_run(messages, NULL));
}

static err_t write_messages(task_t *t, void *arg)
{
    static uint8_t data[70000];
    for (size_t len = 0; len < sizeof data; len = len * 2 + 1) {
        memset(data, (int)len, len);
        TRY(stream_write_message(t, arg, bytes_of(data, len)));
    }
    return stream_close_write(arg);
}

static err_t message_round_trip(task_t *t, void *arg)
{
    stream_t *a, *b;
    stream_pipe(task_sched(t), 500, &a, &b);
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "writer", write_messages, a, NULL));
    AUTO(buf_t) out;
    buf_init(&out, 70000);
    for (size_t len = 0; len < 70000; len = len * 2 + 1) {
        assert_ok(stream_read_message(t, b, 70000, &out));
        assert_int_equal(out.len, len);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(out.data[i], (uint8_t)len);
    }
    assert_err(stream_read_message(t, b, 70000, &out), ERR_EOF);
    assert_ok(group_join(t, &g));
    stream_close(a);
    stream_close(b);
    return OK;
}

static void test_message_round_trip(void **state)
{
    assert_ok(test_run(message_round_trip, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_message_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
