#include "base/pb.h"
#include "tests/support/test.h"

static void test_round_trip(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 10000);
    writer_t w = writer_to(&b);
    pb_put_uint(&w, 1, 0);
    pb_put_uint_nonzero(&w, 2, 0);
    pb_put_uint_nonzero(&w, 2, UINT64_MAX);
    pb_put_bytes(&w, 3, BYTES_LIT("three"));
    pb_put_fixed64(&w, (1 << 29) - 1, 0x1122334455667788);
    size_t outer = pb_begin(&w, 16);
    size_t inner = pb_begin(&w, 1);
    for (int i = 0; i < 100; i++)
        pb_put_uint(&w, 7, (uint64_t)i);
    pb_end(&w, inner); /* 200 bytes: a length of two bytes moves the content */
    pb_put_uint(&w, 2, 5);
    pb_end(&w, outer);
    size_t empty = pb_begin(&w, 17);
    pb_end(&w, empty);
    assert_ok(w.err);

    reader_t r = reader_of(buf_bytes(&b));
    pb_field_t f;
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 1);
    assert_int_equal(pb_uint(&r, &f), 0);
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 2);
    assert_true(pb_uint(&r, &f) == UINT64_MAX);
    assert_true(pb_next(&r, &f));
    assert_bytes(pb_bytes(&r, &f, 5), BYTES_LIT("three"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, (1 << 29) - 1);
    assert_true(pb_fixed64(&r, &f) == 0x1122334455667788);
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 16);
    reader_t nested = reader_of(pb_bytes(&r, &f, 1000));
    assert_true(pb_next(&nested, &f));
    reader_t innermost = reader_of(pb_bytes(&nested, &f, 1000));
    for (int i = 0; i < 100; i++) {
        assert_true(pb_next(&innermost, &f));
        assert_int_equal(pb_uint(&innermost, &f), i);
    }
    assert_false(pb_next(&innermost, &f));
    assert_ok(innermost.err);
    assert_true(pb_next(&nested, &f));
    assert_int_equal(pb_uint(&nested, &f), 5);
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 17);
    assert_int_equal(pb_bytes(&r, &f, 0).len, 0);
    assert_false(pb_next(&r, &f));
    assert_ok(r.err);
}

static void test_writer_limit(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 6);
    writer_t w = writer_to(&b);
    size_t mark = pb_begin(&w, 1);
    pb_put_bytes(&w, 1, BYTES_LIT("abc"));
    pb_end(&w, mark); /* no room for the length */
    assert_err(w.err, ERR_LIMIT);
    pb_end(&w, mark);
}

static void test_packed(void **state)
{
    reader_t r = reader_of(BYTES_LIT("\x01\xac\x02\x00"));
    uint64_t v, sum = 0;
    int count = 0;
    for (; pb_packed_next(&r, &v); count++)
        sum += v;
    assert_ok(r.err);
    assert_int_equal(count, 3);
    assert_int_equal(sum, 301);
    r = reader_of(BYTES_LIT("\x01\x80"));
    assert_true(pb_packed_next(&r, &v));
    assert_false(pb_packed_next(&r, &v));
    assert_err(r.err, ERR_EOF);
}

static void test_hostile(void **state)
{
    static const struct {
        bytes_t in;
        err_t err;
    } cases[] = {
        {BYTES_LIT("\x00\x00"), ERR_INVALID},                 /* field number 0 */
        {BYTES_LIT("\x07"), ERR_INVALID},                     /* number 0, type 7 */
        {BYTES_LIT("\x0b"), ERR_INVALID},                     /* group */
        {BYTES_LIT("\x0c"), ERR_INVALID},                     /* end of group */
        {BYTES_LIT("\x0e\x00"), ERR_INVALID},                 /* type 6 */
        {BYTES_LIT("\x0f\x00"), ERR_INVALID},                 /* type 7 */
        {BYTES_LIT("\x80\x80\x80\x80\x10\x00"), ERR_INVALID}, /* number 2^29 */
        {BYTES_LIT("\x08"), ERR_EOF},                         /* no value */
        {BYTES_LIT("\x88"), ERR_EOF},                         /* half a tag */
        {BYTES_LIT("\x0a\x05"
                   "abcd"),
         ERR_EOF},                                                                /* short bytes */
        {BYTES_LIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERR_EOF},     /* 2^64 - 1 bytes */
        {BYTES_LIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), ERR_INVALID}, /* over 64 bits */
        {BYTES_LIT("\x09\x01\x02\x03\x04\x05\x06\x07"), ERR_EOF},                 /* 7 of 8 */
        {BYTES_LIT("\x0d\x01\x02\x03"), ERR_EOF},                                 /* 3 of 4 */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        reader_t r = reader_of(cases[i].in);
        pb_field_t f = {.number = 77};
        assert_false(pb_next(&r, &f));
        assert_err(r.err, cases[i].err);
        assert_int_equal(f.number, 77); /* untouched */
        assert_false(pb_next(&r, &f));
    }
}

static void test_wrong_types(void **state)
{
    pb_field_t f;
    reader_t r = reader_of(BYTES_LIT("\x0d\x01\x02\x03\x04"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.value, 0x04030201);
    assert_int_equal(pb_uint(&r, &f), 0);
    assert_err(r.err, ERR_INVALID);
    r = reader_of(BYTES_LIT("\x08\x01"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(pb_bytes(&r, &f, 10).len, 0);
    assert_err(r.err, ERR_INVALID);
    r = reader_of(BYTES_LIT("\x08\x01"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(pb_fixed64(&r, &f), 0);
    assert_err(r.err, ERR_INVALID);
    r = reader_of(BYTES_LIT("\x0a\x03"
                            "abc"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(pb_bytes(&r, &f, 2).len, 0);
    assert_err(r.err, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_writer_limit), cmocka_unit_test(test_packed),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_wrong_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
