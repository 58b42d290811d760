#include "api/gzip.h"
#include "tests/support/inputs.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <zlib.h>

typedef struct sink {
    buf_t out;
    size_t fail_after;
} sink_t;

static err_t collect(task_t *t, void *arg, bytes_t piece)
{
    sink_t *s = arg;
    if (s->fail_after && !--s->fail_after)
        return fail(ERR_CLOSED, "the reader left");
    return buf_append(&s->out, piece);
}

static void inflate_all(bytes_t in, buf_t *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.data, .avail_in = (uInt)in.len};
    uint8_t room[4096];
    int result;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    do {
        z.next_out = room;
        z.avail_out = sizeof room;
        result = inflate(&z, Z_NO_FLUSH);
        assert_true(result == Z_OK || result == Z_STREAM_END);
        assert_ok(buf_append(out, bytes_of(room, sizeof room - z.avail_out)));
    } while (result != Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    inflateEnd(&z);
}

static err_t round_trip(task_t *t, void *arg)
{
    static const char *const inputs[] = {"zero:0", "ctr:gzip:1", "zero:3000000", "ctr:gzip:300000"};
    static const int levels[] = {GZIP_DEFAULT_LEVEL, 1, 9};
    for (size_t i = 0; i < ARRAY_LEN(inputs) * ARRAY_LEN(levels); i++) {
        AUTO(buf_t) content = {0}, back = {0};
        AUTO_PTR(gzip_t) g = NULL;
        sink_t s = {.fail_after = 0};
        buf_init(&content, 4 << 20);
        buf_init(&back, 4 << 20);
        buf_init(&s.out, 4 << 20);
        inputs_append(inputs[i % ARRAY_LEN(inputs)], &content);
        assert_ok(gzip_new(levels[i / ARRAY_LEN(inputs)], collect, &s, &g));
        bytes_t left = buf_bytes(&content);
        for (size_t step = 1; left.len; step *= 7) {
            assert_ok(gzip_write(t, g, bytes_slice(left, 0, step)));
            left = bytes_slice(left, step, left.len);
        }
        assert_ok(gzip_finish(t, g));
        inflate_all(buf_bytes(&s.out), &back);
        assert_bytes(buf_bytes(&back), buf_bytes(&content));
        buf_deinit(&s.out);
    }
    return OK;
}

static void test_round_trip(void **state)
{
    assert_ok(test_run(round_trip, NULL));
}

static err_t broken_sink(task_t *t, void *arg)
{
    AUTO(buf_t) content = {0};
    AUTO_PTR(gzip_t) g = NULL;
    sink_t s = {.fail_after = 2};
    buf_init(&content, 4 << 20);
    buf_init(&s.out, 4 << 20);
    inputs_append("ctr:gzip:1000000", &content);
    assert_ok(gzip_new(6, collect, &s, &g));
    assert_err(gzip_write(t, g, buf_bytes(&content)), ERR_CLOSED);
    buf_deinit(&s.out);
    gzip_t *none = NULL;
    assert_err(gzip_new(10, collect, &s, &none), ERR_NO_MEMORY);
    assert_null(none);
    return OK;
}

static void test_broken_sink(void **state)
{
    assert_ok(test_run(broken_sink, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_broken_sink)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
