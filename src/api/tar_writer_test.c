#include "api/tar_writer.h"
#include "tests/support/test.h"

static uint64_t octal(const uint8_t *field)
{
    return strtoull((const char *)field, NULL, 8);
}

/* The sum of a header's bytes, its own field counted as spaces. */
static void check_sum(const uint8_t *block)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    assert_int_equal(sum, octal(block + 148));
    assert_memory_equal(block + 257, "ustar\00000", 8);
}

static void test_short(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 1 << 20);
    assert_ok(tar_put_header(
        &(tar_item_t){
            .name = BYTES_LIT("a/b"), .kind = TAR_ITEM_FILE, .size = 1000, .mode = 0755, .mtime_s = 99},
        &out));
    assert_int_equal(out.len, TAR_BLOCK);
    check_sum(out.data);
    assert_string_equal((char *)out.data, "a/b");
    assert_int_equal(octal(out.data + 100), 0755);
    assert_int_equal(octal(out.data + 124), 1000);
    assert_int_equal(octal(out.data + 136), 99);
    assert_int_equal(out.data[156], '0');
    assert_int_equal(tar_padding(1000), 24);
    assert_int_equal(tar_padding(1024), 0);
    buf_clear(&out);
    assert_ok(tar_put_header(&(tar_item_t){.name = BYTES_LIT("d"), .kind = TAR_ITEM_DIR}, &out));
    assert_string_equal((char *)out.data, "d");
    assert_int_equal(out.data[156], '5');
    buf_clear(&out);
    assert_ok(tar_put_header(
        &(tar_item_t){.name = BYTES_LIT("l"), .target = BYTES_LIT("../x"), .kind = TAR_ITEM_SYMLINK}, &out));
    assert_int_equal(out.data[156], '2');
    assert_string_equal((char *)out.data + 157, "../x");
}

static void test_pax(void **state)
{
    char name[201], record[256];
    memset(name, 'n', 200);
    name[200] = 0;
    AUTO(buf_t) out = {0};
    buf_init(&out, 1 << 20);
    assert_ok(tar_put_header(
        &(tar_item_t){.name = bytes_str(name), .kind = TAR_ITEM_FILE, .size = 20ull << 30}, &out));
    assert_int_equal(out.len, 3 * TAR_BLOCK); /* pax header, its records, the entry */
    check_sum(out.data);
    check_sum(out.data + 2 * TAR_BLOCK);
    assert_int_equal(out.data[156], 'x');
    int n = snprintf(record, sizeof record, "210 path=%s\n20 size=21474836480\n", name);
    assert_int_equal(octal(out.data + 124), n);
    assert_memory_equal(out.data + TAR_BLOCK, record, n);
    buf_clear(&out); /* what is not ASCII is UTF-8 in the records alone */
    assert_ok(tar_put_header(&(tar_item_t){.name = BYTES_LIT("\xc3\xa9"),
                                           .target = BYTES_LIT("\xc3\xa8"),
                                           .kind = TAR_ITEM_SYMLINK},
                             &out));
    assert_int_equal(out.len, 3 * TAR_BLOCK);
    static const char records[] = "11 path=\xc3\xa9\n15 linkpath=\xc3\xa8\n";
    assert_memory_equal(out.data + TAR_BLOCK, records, sizeof records - 1);
    /* a record's length counts its own digits, also where they become one more */
    for (size_t len = 101; len < 1200; len += 7) {
        char *text = xcalloc(1, len + 1);
        memset(text, 'x', len);
        buf_clear(&out);
        assert_ok(tar_put_header(&(tar_item_t){.name = bytes_str(text), .kind = TAR_ITEM_FILE}, &out));
        size_t said = strtoul((char *)out.data + TAR_BLOCK, NULL, 10);
        assert_int_equal(said, octal(out.data + 124));
        assert_int_equal(out.data[TAR_BLOCK + said - 1], '\n');
        free(text);
    }
}

static void test_refused(void **state)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 1 << 20);
    assert_err(tar_put_header(&(tar_item_t){.name = BYTES_LIT(""), .kind = TAR_ITEM_FILE}, &out),
               ERR_INVALID);
    assert_err(tar_put_header(&(tar_item_t){.name = BYTES_LIT("a\0b"), .kind = TAR_ITEM_FILE}, &out),
               ERR_INVALID);
    assert_err(
        tar_put_header(
            &(tar_item_t){.name = BYTES_LIT("l"), .target = BYTES_LIT("a\0b"), .kind = TAR_ITEM_SYMLINK},
            &out),
        ERR_INVALID);
}

static void test_times(void **state)
{
    static const struct {
        int64_t s;
        uint32_t ns;
        const char *text;
    } rows[] = {{5, 250000000, "14 mtime=5.25\n"},
                {-6, 500000000, "14 mtime=-5.5\n"},
                {-7, 0, "12 mtime=-7\n"},
                {0, 1, "21 mtime=0.000000001\n"},
                {1ll << 33, 0, "20 mtime=8589934592\n"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        buf_init(&out, 1 << 20);
        tar_item_t item = {
            .name = BYTES_LIT("a"), .kind = TAR_ITEM_FILE, .mtime_s = rows[i].s, .mtime_ns = rows[i].ns};
        assert_ok(tar_put_header(&item, &out));
        assert_int_equal(out.len, 3 * TAR_BLOCK);
        assert_string_equal((char *)out.data + TAR_BLOCK, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_pax),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
