#include "base/utf8.h"
#include "tests/support/test.h"

static void test_lengths(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"é", 2},
        {"水", 3},
        {"😀", 4},
        {"", 0},
        {"\x80", 0},
        {"\xc1\x81", 0},
        {"\xc3", 0},
        {"\xc3(", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xee\x80\x80", 3},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(utf8_length(bytes_str(rows[i].text)), rows[i].length);
    assert_true(utf8_is_valid(BYTES_LIT("aé水😀")) && utf8_is_valid(BYTES_NONE));
    assert_false(utf8_is_valid(BYTES_LIT("a\xff")));
}

static void test_put(void **state)
{
    uint8_t out[4];
    for (uint32_t c = 0; c < 0x110000; c += c < 0x900 ? 1 : 97) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        size_t n = utf8_put(c, out);
        assert_int_equal(utf8_length(bytes_of(out, n)), n);
    }
    assert_bytes(bytes_of(out, utf8_put(0x1f600, out)), BYTES_LIT("😀"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
