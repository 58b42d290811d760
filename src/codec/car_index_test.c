/* Indices of version 2 archives, and such archives as a whole, against those of the reference. */
#include "codec/car.h"
#include "codec/car_index.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

enum { FILE_MAX = 1 << 20 };

static void put_index(car_index_t *index, writer_t *w)
{
    bytes_t part;
    car_index_sort(index);
    while (car_index_next(index, &part))
        write_bytes(w, part);
    assert_ok(w->err);
}

/* Reads the archive; adds its sections to the index. */
static car_v2_t index_file(bytes_t file, car_index_t *index)
{
    AUTO(car_reader_t) r;
    uint64_t offset = 0;
    car_reader_init(&r, (car_options_t){0});
    for (;;) {
        block_t *b = NULL;
        car_event_t event = car_reader_next(&r, &b);
        assert_int_not_equal(event, CAR_ERROR);
        if (event == CAR_END)
            return r.v2;
        if (event == CAR_HEADER)
            offset = uvarint_size(r.header.len) + r.header.len;
        if (event == CAR_BLOCK) {
            assert_ok(car_index_add(index, &b->cid, offset));
            offset += car_section_bytes(&b->cid, b->len);
            block_release(b);
        }
        uint8_t *area;
        size_t cap;
        if (event != CAR_MORE)
            continue;
        car_reader_room(&r, &area, &cap);
        size_t n = file.len < cap ? file.len : cap;
        if (n)
            memcpy(area, file.data, n);
        file = bytes_slice(file, n, file.len);
        car_reader_filled(&r, n);
    }
}

/* What the reference wrote, written again from its blocks alone. */
static void test_vectors(void **state)
{
    static const char *const names[] = {"car/gocar-unixfs-v2.car", "car/gocar-rw-bs-v2.car"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(buf_t) file, out;
        AUTO(car_index_t) index;
        buf_init(&file, FILE_MAX);
        buf_init(&out, FILE_MAX);
        car_index_init(&index);
        vector_read(names[i], &file);
        car_v2_t v2 = index_file(buf_bytes(&file), &index);
        writer_t w = writer_to(&out);
        car_put_v2_head(&w, &v2);
        assert_int_equal(out.len, CAR_V2_PRAGMA_BYTES + CAR_V2_HEADER_BYTES);
        write_bytes(&w, bytes_slice(buf_bytes(&file), out.len, v2.index_offset - out.len));
        put_index(&index, &w);
        assert_bytes(buf_bytes(&out), buf_bytes(&file));
    }
}

static cid_t make_cid(uint64_t hash, uint32_t number)
{
    cid_t cid;
    assert_ok(cid_of(1, CODEC_RAW, hash, bytes_of(&number, sizeof number), &cid));
    return cid;
}

/* Functions in the order of their codes, digests of each in the order of their lengths, then of their bytes.
 */
static void test_order(void **state)
{
    AUTO(buf_t) out, want;
    AUTO(car_index_t) index;
    cid_t cid;
    buf_init(&out, FILE_MAX);
    buf_init(&want, FILE_MAX);
    car_index_init(&index);
    cid = make_cid(MH_SHA2_512, 1);
    assert_ok(car_index_add(&index, &cid, 3));
    const bytes_t identities[] = {BYTES_LIT("ba"), BYTES_LIT("c"), BYTES_LIT("a"), BYTES_LIT("")};
    for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
        assert_ok(cid_of(1, CODEC_RAW, MH_IDENTITY, identities[i], &cid));
        assert_ok(car_index_add(&index, &cid, i + 0x10));
    }
    assert_int_equal(index.bytes, 64 + 4 + 5 * 8);
    writer_t w = writer_to(&out);
    put_index(&index, &w);
    assert_ok(hex_decode(BYTES_LIT("8108"
                                   "02000000"
                                   "0000000000000000"
                                   "03000000"
                                   "08000000"
                                   "0800000000000000"
                                   "1300000000000000"
                                   "09000000"
                                   "1200000000000000"
                                   "611200000000000000"
                                   "631100000000000000"
                                   "0a000000"
                                   "0a00000000000000"
                                   "62611000000000000000"
                                   "1300000000000000"
                                   "01000000"
                                   "48000000"
                                   "4800000000000000"),
                         &want));
    cid = make_cid(MH_SHA2_512, 1);
    assert_ok(buf_append(&want, cid_digest(&cid)));
    assert_ok(buf_append(&want, BYTES_LIT("\x03\0\0\0\0\0\0\0")));
    assert_bytes(buf_bytes(&out), buf_bytes(&want));
}

/* As many as fit, and no more. */
static void test_full(void **state)
{
    AUTO(car_index_t) index;
    AUTO(buf_t) out;
    enum { FIT = CAR_INDEX_MAX_BYTES / 40 };
    cid_t cid = {.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32};
    car_index_init(&index);
    buf_init(&out, CAR_INDEX_MAX_BYTES + 1024);
    for (uint32_t i = 0; i < FIT; i++) {
        uint32_t scattered = i * 2654435761u;
        memcpy(cid.digest, &scattered, sizeof scattered);
        assert_int_equal(car_index_entry_bytes(&cid), 40);
        assert_ok(car_index_add(&index, &cid, i));
    }
    assert_err(car_index_add(&index, &cid, FIT), ERR_LIMIT);
    writer_t w = writer_to(&out);
    put_index(&index, &w);
    const uint8_t *entries = out.data + out.len - FIT * 40;
    for (size_t i = 1; i < FIT; i++)
        assert_true(memcmp(entries + (i - 1) * 40, entries + i * 40, 32) < 0);
}

/* An archive without blocks has nothing to write. */
static void test_empty(void **state)
{
    AUTO(car_index_t) index;
    bytes_t part;
    car_index_init(&index);
    car_index_sort(&index);
    assert_false(car_index_next(&index, &part));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
