/* Databases that Pebble has written, in each of its formats: what is read is what Pebble reads; damaged ones
 * are told of or give only what was in them. */
#include "store/crc32c.h"
#include "store/pebble_read.h"
#include "store/pebble_version.h"
#include "store/snappy.h"
#include "store/zstd_block.h"
#include "tests/support/records.h"

enum { DAMAGES = 300 };
static const char *const formats[] = {"pebble/13", "pebble/16", "pebble/19",
                                      "pebble/21", "pebble/24", "pebble/24-zstd"};

static void compare_all(task_t *t, pebble_read_t *p, expected_t *x, bytes_t prefix)
{
    x->at = 0;
    x->prefix = prefix;
    assert_ok(pebble_read_each(t, p, prefix, compare_row, NULL, x));
    assert_int_equal(missing_rows(x), 0);
}

static err_t formats_task(task_t *t, void *arg)
{
    expected_t *x = arg;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        pebble_read_t *p;
        AUTO(buf_t) value = {0};
        copy_database(t, formats[f], 0);
        assert_ok(pebble_read_open(t, FOLDER, &p));
        compare_all(t, p, x, BYTES_NONE);
        compare_all(t, p, x, BYTES_LIT("/b/"));
        compare_all(t, p, x, BYTES_LIT("/c/key-02"));
        compare_all(t, p, x, BYTES_LIT("/nothing"));
        buf_init(&value, 4096);
        for (size_t i = 0; i < x->count; i++) {
            assert_ok(pebble_read_get(t, p, x->keys[i], &value));
            assert_true(is_value(x, i, buf_bytes(&value)));
        }
        assert_err(pebble_read_get(t, p, BYTES_LIT("/z/"), &value), ERR_NOT_FOUND);
        assert_err(pebble_read_get(t, p, BYTES_LIT("/zz"), &value), ERR_NOT_FOUND);
        pebble_read_close(p);
    }
    pebble_read_t *none;
    size_t rows = 0;
    copy_database(t, "pebble/24-minlz", 0);
    assert_ok(pebble_read_open(t, FOLDER, &none));
    assert_err(pebble_read_each(t, none, BYTES_NONE, count_row, NULL, &rows), ERR_UNSUPPORTED);
    assert_non_null(strstr(error_text(ERR_UNSUPPORTED), "MinLZ"));
    pebble_read_close(none);
    (void)!fs_remove_tree(t, FOLDER);
    assert_err(pebble_read_open(t, FOLDER, &none), ERR_NOT_FOUND);
    return OK;
}

static err_t count_lost(task_t *t, void *arg, bytes_t key, const char *why)
{
    assert_true(!key.len && strstr(why, "damaged"));
    return OK;
}

/* A damaged table or manifest ends it, or costs the block that is damaged where that is asked for; a log
 * counts up to the damage, and that is told. But for bytes that nobody reads, nothing is lost without a word.
 */
static err_t damages_task(task_t *t, void *arg)
{
    size_t told = 0, silent = 0, went_on = 0;
    for (uint64_t i = 1; i < DAMAGES; i++) {
        pebble_read_t *p = NULL;
        size_t rows = 0;
        copy_database(t, formats[i % ARRAY_LEN(formats)], i);
        err_t e = pebble_read_open(t, FOLDER, &p);
        bool is_told = e || pebble_read_damage(p);
        if (!e)
            e = pebble_read_each(t, p, BYTES_NONE, count_row, NULL, &rows);
        assert_true(rows <= 400);
        if (e)
            error_slot()->code = OK;
        if (e == ERR_CORRUPT && p) {
            size_t left = 0;
            assert_ok(pebble_read_each(t, p, BYTES_NONE, count_row, count_lost, &left));
            assert_true(left >= rows && left <= 400);
            went_on += left > rows;
        }
        told += e || is_told;
        silent += !e && !is_told && rows < *(size_t *)arg;
        pebble_read_close(p);
    }
    assert_true(told > DAMAGES / 3);
    assert_int_equal(silent, 0);
    assert_true(went_on > 5);
    return OK;
}

/* A log of removals of nothing, which take two bytes each there and more in memory. */
static err_t many_changes_task(task_t *t, void *arg)
{
    enum { BLOCK_BYTES = 32 << 10, HEADER_BYTES = 7, BLOCKS = 260, FULL_CHUNK = 1 };
    AUTO(buf_t) log = {0};
    pebble_read_t *p;
    uint8_t *block = xcalloc(1, BLOCK_BYTES);
    size_t len = BLOCK_BYTES - HEADER_BYTES - 1; /* of whole removals */
    block[4] = (uint8_t)len;
    block[5] = (uint8_t)(len >> 8);
    block[6] = FULL_CHUNK;
    uint32_t checksum = crc32c_masked(crc32c(0, bytes_of(block + 6, len + 1)));
    for (size_t i = 0; i < 4; i++)
        block[i] = (uint8_t)(checksum >> (8 * i));
    buf_init(&log, (size_t)BLOCKS * BLOCK_BYTES);
    for (size_t i = 0; i < BLOCKS; i++)
        assert_ok(buf_append(&log, bytes_of(block, BLOCK_BYTES)));
    free(block);
    copy_database(t, "pebble/24", 0);
    assert_ok(fs_write_file(t, FOLDER "/999999.log", 0600, buf_bytes(&log)));
    assert_err(pebble_read_open(t, FOLDER, &p), ERR_LIMIT);
    return OK;
}

static void test_many_changes(void **state)
{
    assert_ok(test_run(many_changes_task, NULL));
}

/* Two edits that a hundred thousand tables are in: time grows with them, not with their square. */
static void test_many_tables(void **state)
{
    enum { TABLES = 100000 };
    pebble_version_t v;
    AUTO(buf_t) added = {0}, removed = {0};
    buf_init(&added, 4 << 20);
    buf_init(&removed, 1 << 20);
    for (uint32_t i = 0; i < TABLES; i++) {
        uint8_t n[3] = {(uint8_t)(0x80 | (i & 127)), (uint8_t)(0x80 | (i >> 7 & 127)), (uint8_t)(i >> 14)};
        assert_ok(buf_append(&added, BYTES_LIT("\x07\x06"))); /* new, level 6 */
        assert_ok(buf_append(&added, bytes_of(n, sizeof n)));
        assert_ok(buf_append(&added, BYTES_LIT("\x01\x09k12345678\x09m12345678")));
        assert_ok(buf_append(&removed, BYTES_LIT("\x06\x06")));
        assert_ok(buf_append(&removed, bytes_of(n, sizeof n)));
    }
    pebble_version_init(&v);
    assert_ok(pebble_version_apply(&v, buf_bytes(&added)));
    assert_int_equal(v.count, TABLES);
    assert_int_equal(v.files[TABLES - 1].number, TABLES - 1);
    assert_int_equal(v.keys_bytes, 2 * TABLES);
    assert_err(pebble_version_apply(&v, buf_bytes(&added)), ERR_CORRUPT); /* twice */
    assert_ok(pebble_version_apply(&v, buf_bytes(&removed)));
    assert_int_equal(v.count, 0);
    assert_int_equal(v.keys_bytes, 0);
    assert_ok(pebble_version_apply(&v, buf_bytes(&added)));
    pebble_version_deinit(&v);
}

static void test_formats(void **state)
{
    expected_t *x = xcalloc(1, sizeof *x);
    load_expected(x, "pebble/records.tsv");
    assert_ok(test_run(formats_task, x));
    buf_deinit(&x->text);
    free(x);
}

static void test_damages(void **state)
{
    expected_t *x = xcalloc(1, sizeof *x);
    load_expected(x, "pebble/records.tsv");
    assert_ok(test_run(damages_task, &x->count));
    buf_deinit(&x->text);
    free(x);
}

static void test_crc32c(void **state)
{
    assert_int_equal(crc32c(0, BYTES_LIT("123456789")), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, BYTES_LIT("1234")), BYTES_LIT("56789")), 0xe3069283);
}

static void test_snappy(void **state)
{
    static const struct {
        bytes_t in, out;
        err_t error;
    } rows[] = {
        {BYTES_LIT("\x00"), BYTES_LIT(""), OK},
        {BYTES_LIT("\x03\x08"
                   "abc"),
         BYTES_LIT("abc"), OK},
        {BYTES_LIT("\x09\x08"
                   "abc\x09\x03"),
         BYTES_LIT("abcabcabc"), OK}, /* overlaps */
        {BYTES_LIT("\x08\x00"
                   "a\x1a\x01\x00"),
         BYTES_LIT("aaaaaaaa"), OK},
        {BYTES_LIT("\x05\x00"
                   "a\x0f\x01\x00\x00\x00"),
         BYTES_LIT("aaaaa"), OK},
        {BYTES_LIT("\x03\xf0\x02"
                   "abc"),
         BYTES_LIT("abc"), OK},
        {BYTES_LIT("\x04\x08"
                   "abc"),
         BYTES_NONE, ERR_CORRUPT}, /* too short */
        {BYTES_LIT("\x02\x08"
                   "abc"),
         BYTES_NONE, ERR_CORRUPT}, /* too long */
        {BYTES_LIT("\x09\x08"
                   "abc\x09\x04"),
         BYTES_NONE, ERR_CORRUPT}, /* from before the beginning */
        {BYTES_LIT("\x09\x08"
                   "abc\x09\x00"),
         BYTES_NONE, ERR_CORRUPT},
        {BYTES_LIT("\x09\x08"
                   "ab"),
         BYTES_NONE, ERR_CORRUPT},
        {BYTES_LIT("\xff\xff\x7f"), BYTES_NONE, ERR_LIMIT},
        {BYTES_NONE, BYTES_NONE, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        buf_init(&out, 1000);
        assert_err(snappy_decode(rows[i].in, &out), rows[i].error);
        if (!rows[i].error)
            assert_bytes(buf_bytes(&out), rows[i].out);
    }
}

static void test_zstd(void **state)
{
    static const uint8_t frame[] = {5, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0, 'a', 'b', 'c', 'd', 'e'};
    for (size_t len = 0; len <= sizeof frame; len++) {
        AUTO(buf_t) out = {0};
        buf_init(&out, 1000);
        err_t e = zstd_block_decode(bytes_of(frame, len), &out);
        assert_int_equal(e, len == sizeof frame ? OK : ERR_CORRUPT);
        if (!e)
            assert_bytes(buf_bytes(&out), BYTES_LIT("abcde"));
        else
            error_slot()->code = OK;
    }
    AUTO(buf_t) out = {0};
    buf_init(&out, 4);
    assert_err(zstd_block_decode(bytes_of(frame, sizeof frame), &out), ERR_LIMIT);
    assert_err(zstd_block_decode(BYTES_LIT("\x04\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00"
                                           "abcde"),
                                 &out),
               ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),      cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_many_changes), cmocka_unit_test(test_damages),
        cmocka_unit_test(test_crc32c),       cmocka_unit_test(test_snappy),
        cmocka_unit_test(test_zstd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
