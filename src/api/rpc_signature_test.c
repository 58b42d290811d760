/* What requests are checked against. */
#include "api/rpc_signature.h"
#include "tests/support/test.h"

static void assert_number(const char *text, bool is_negative, uint64_t expected)
{
    bool minus;
    uint64_t value;
    assert_true(rpc_number_read(text, &minus, &value));
    assert_int_equal(value, expected);
    assert_int_equal(minus, is_negative);
}

static void test_numbers(void **state)
{
    static const char *const none[] = {"",   "-",  "+",  "_1", "1_",  "1__0", "0x",  "0b2",
                                       "08", "1e", "1 ", " 1", "--1", "+-1",  "0x_", "18446744073709551616"};
    bool minus;
    uint64_t value;
    assert_number("0", false, 0);
    assert_number("12", false, 12);
    assert_number("-12", true, 12);
    assert_number("+7", false, 7);
    assert_number("0x1F", false, 31);
    assert_number("017", false, 15);
    assert_number("0o17", false, 15);
    assert_number("0b11", false, 3);
    assert_number("1_000", false, 1000);
    assert_number("0_7", false, 7);
    assert_number("0x_a", false, 10);
    assert_number("18446744073709551615", false, UINT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(rpc_number_read(none[i], &minus, &value));
}

static bool accepts(const char *type, const char *value)
{
    return rpc_option_accepts(&(rpc_option_spec_t){.type = bytes_str(type)}, value);
}

static void test_types(void **state)
{
    assert_true(accepts("int", "-2147483648") && accepts("int", "2147483647"));
    assert_false(accepts("int", "2147483648") || accepts("int", "-2147483649"));
    assert_true(accepts("int64", "-9223372036854775808"));
    assert_false(accepts("int64", "9223372036854775808"));
    assert_true(accepts("uint", "4294967295") && accepts("uint64", "18446744073709551615"));
    assert_false(accepts("uint", "4294967296") || accepts("uint", "-0") || accepts("uint", "+1"));
    assert_true(accepts("bool", "T") && accepts("bool", "") && accepts("string", "-"));
    assert_false(accepts("bool", "yes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
