#include "base/reader.h"
#include "base/writer.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static void test_round_trip(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 1000);
    writer_t w = writer_to(&b);
    write_u8(&w, 0x12);
    write_u16be(&w, 0x1234);
    write_u32be(&w, 0x12345678);
    write_u64be(&w, 0x123456789abcdef0);
    write_u32le(&w, 0x12345678);
    write_u64le(&w, 0x123456789abcdef0);
    write_uvarint(&w, 300);
    write_length_prefixed(&w, BYTES_LIT("text"));
    write_bytes(&w, BYTES_LIT("rest"));
    assert_ok(w.err);
    assert_int_equal(b.data[1], 0x12);
    assert_int_equal(b.data[15], 0x78);

    reader_t r = reader_of(buf_bytes(&b));
    assert_int_equal(reader_left(&r), b.len);
    assert_int_equal(read_u8(&r), 0x12);
    assert_int_equal(read_u16be(&r), 0x1234);
    assert_int_equal(read_u32be(&r), 0x12345678);
    assert_true(read_u64be(&r) == 0x123456789abcdef0);
    assert_int_equal(read_u32le(&r), 0x12345678);
    assert_true(read_u64le(&r) == 0x123456789abcdef0);
    assert_int_equal(read_uvarint(&r), 300);
    assert_bytes(read_length_prefixed(&r, 4), BYTES_LIT("text"));
    assert_bytes(read_bytes(&r, 2), BYTES_LIT("re"));
    assert_bytes(read_rest(&r), BYTES_LIT("st"));
    assert_ok(r.err);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(read_u8(&r), 0);
    assert_err(r.err, ERR_EOF);
}

static void test_first_error_stays(void **state)
{
    reader_t r = reader_of(BYTES_LIT("\x05"
                                     "abc"));
    assert_int_equal(read_length_prefixed(&r, 4).len, 0);
    assert_err(r.err, ERR_LIMIT);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(read_u8(&r), 0);
    assert_int_equal(read_u64be(&r), 0);
    assert_int_equal(read_rest(&r).len, 0);
    assert_int_equal(read_bytes(&r, 0).len, 0);
    assert_int_equal(read_uvarint(&r), 0);
    assert_int_equal(read_pb_varint(&r), 0);
    reader_fail(&r, ERR_INVALID);
    assert_err(r.err, ERR_LIMIT);

    r = reader_of(BYTES_LIT("\x05"
                            "abc"));
    assert_int_equal(read_length_prefixed(&r, 5).len, 0);
    assert_err(r.err, ERR_EOF);
    r = reader_of(BYTES_NONE);
    assert_int_equal(read_rest(&r).len, 0);
    assert_ok(r.err);
}

static void test_writer_stops(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 3);
    writer_t w = writer_to(&b);
    write_u16be(&w, 1);
    write_u32be(&w, 1);
    write_u8(&w, 1);
    assert_err(w.err, ERR_LIMIT);
    assert_int_equal(b.len, 2);
}

static void test_pb_varints(void **state)
{
    static const struct {
        bytes_t in;
        uint64_t value;
        err_t err;
    } cases[] = {
        {BYTES_LIT("\x00"), 0, OK},
        {BYTES_LIT("\x80\x00"), 0, OK}, /* any form */
        {BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINT64_MAX, OK},
        {BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, ERR_INVALID},
        {BYTES_LIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 0, ERR_INVALID},
        {BYTES_LIT("\x80"), 0, ERR_EOF},
        {{NULL, 0}, 0, ERR_EOF},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        reader_t r = reader_of(cases[i].in);
        assert_true(read_pb_varint(&r) == cases[i].value);
        assert_err(r.err, cases[i].err);
    }
}

/* tests/vectors/varint.tsv, both ways, and with each byte missing at the end. */
static void test_uvarint_vectors(void **state)
{
    tsv_t *v = tsv_open("varint.tsv");
    AUTO(buf_t) b;
    buf_init(&b, 100);
    size_t good = 0, bad = 0;
    while (tsv_next(v)) {
        tsv_hex(v, "bytes_hex", &b);
        const char *kind = tsv_get(v, "kind");
        uint64_t value = 0;
        size_t used = 0;
        err_t e = uvarint_get(buf_bytes(&b), &value, &used);
        if (strcmp(kind, "valid")) {
            assert_err(e, strcmp(kind, "invalid-underflow") ? ERR_INVALID : ERR_EOF);
            bad++;
            continue;
        }
        assert_ok(e);
        assert_true(value == strtoull(tsv_get(v, "value"), NULL, 10));
        assert_int_equal(used, atoi(tsv_get(v, "bytes_read")));
        uint8_t out[UVARINT_MAX_BYTES];
        assert_int_equal(uvarint_put(out, value), used);
        assert_int_equal(uvarint_size(value), used);
        assert_memory_equal(out, b.data, used);
        for (size_t cut = 0; cut < used; cut++)
            assert_err(uvarint_get(bytes_of(b.data, cut), &(uint64_t){0}, &(size_t){0}), ERR_EOF);
        good++;
    }
    tsv_close(v);
    assert_int_equal(good, 34);
    assert_int_equal(bad, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_writer_stops),    cmocka_unit_test(test_pb_varints),
        cmocka_unit_test(test_uvarint_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
