/* Archives of version 2 on their way out: with an index, without one, and when other blocks come than were
 * planned. */
#include "api/car_stream.h"
#include "codec/car.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

enum { BLOCKS = 5, BODY_MAX = 1 << 20, V2_HEAD = CAR_V2_PRAGMA_BYTES + CAR_V2_HEADER_BYTES };

typedef struct sending {
    bool has_plan;
    uint64_t more_section_bytes, more_index_bytes; /* than come */
    err_t want;
    buf_t body;
} sending_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    return OK;
}
static err_t on_header(void *arg, const char *name, const char *value)
{
    return OK;
}
static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    return buf_append(&((sending_t *)arg)->body, data);
}
static err_t on_read(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = 0;
    return OK;
}

/* Small ones and large ones: 10, 100 … 100,000 bytes. */
static void give(task_t *t, car_export_fn visit, void *arg)
{
    size_t size = 10;
    for (size_t i = 0; i < BLOCKS; i++, size *= 10) {
        AUTO_PTR(block_t) block = NULL;
        assert_ok(block_new(size, &block));
        memset(block->data, (int)i, size);
        assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(block), &block->cid));
        assert_ok(visit(t, arg, block));
    }
}

static err_t answer(task_t *t, exchange_t *x, void *arg)
{
    sending_t *s = arg;
    AUTO(car_stream_t) stream = {0};
    car_plan_t plan = {0};
    cid_t root;
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("root"), &root));
    give(t, car_plan_block, &plan);
    plan.section_bytes += s->more_section_bytes;
    plan.index_bytes += s->more_index_bytes;
    assert_ok(exchange_begin(x, 200, -1));
    assert_ok(car_stream_begin(&stream, x, &root, 1, s->has_plan ? &plan : NULL));
    give(t, car_stream_put, &stream);
    assert_err(car_stream_end(t, &stream, OK), s->want);
    return OK;
}

static err_t run(task_t *t, void *arg)
{
    memory_exchange_sink_t sink = {on_begin, on_header, on_write, NULL, on_read, arg};
    return exchange_run_in_memory(t, "POST", "/", NULL, 0, sink, answer, arg);
}

static void send_archive(sending_t *s)
{
    buf_init(&s->body, BODY_MAX);
    assert_ok(test_run(run, s));
}

static uint64_t field(const sending_t *s, size_t at)
{
    reader_t r = reader_of(bytes_slice(buf_bytes(&s->body), at, 8));
    return read_u64le(&r);
}

static void test_versions(void **state)
{
    sending_t v1 = {0}, v2 = {.has_plan = true},
              bare = {.has_plan = true, .more_index_bytes = CAR_INDEX_MAX_BYTES};
    send_archive(&v1);
    send_archive(&v2);
    send_archive(&bare); /* more blocks than an index takes */
    assert_bytes(bytes_slice(buf_bytes(&v2.body), V2_HEAD, v1.body.len), buf_bytes(&v1.body));
    assert_int_equal(v2.body.len, V2_HEAD + v1.body.len + 2 + 4 + 12 + 12 + BLOCKS * 40);
    assert_int_equal(v2.body.data[11], CAR_V2_FULLY_INDEXED);
    assert_int_equal(field(&v2, 27), V2_HEAD);
    assert_int_equal(field(&v2, 35), v1.body.len);
    assert_int_equal(field(&v2, 43), V2_HEAD + v1.body.len);
    assert_bytes(bytes_slice(buf_bytes(&bare.body), V2_HEAD, BODY_MAX), buf_bytes(&v1.body));
    assert_int_equal(bare.body.data[11], 0);
    assert_int_equal(field(&bare, 35), v1.body.len);
    assert_int_equal(field(&bare, 43), 0);
    buf_deinit(&v1.body);
    buf_deinit(&v2.body);
    buf_deinit(&bare.body);
}

/* The length that was promised is not the one that came: the answer must not pass for a whole one. */
static void test_changed_meanwhile(void **state)
{
    sending_t s = {.has_plan = true, .more_section_bytes = 1, .want = ERR_CORRUPT};
    send_archive(&s);
    buf_deinit(&s.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_changed_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
