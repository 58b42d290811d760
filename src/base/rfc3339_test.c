#include "base/rfc3339.h"
#include "tests/support/test.h"

static void check(const char *text, int64_t seconds, uint32_t nanoseconds, const char *printed)
{
    int64_t s;
    uint32_t ns;
    char out[RFC3339_MAX];
    assert_ok(rfc3339_parse(bytes_str(text), &s, &ns));
    assert_int_equal(s, seconds);
    assert_int_equal(ns, nanoseconds);
    assert_string_equal(rfc3339_print(s, ns, out), printed);
}

static void test_times(void **state)
{
    check("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z");
    check("1969-12-31T23:59:59.5Z", -1, 500000000, "1969-12-31T23:59:59.5Z");
    check("2126-01-02T03:04:05.123456789Z", 4922996645, 123456789, "2126-01-02T03:04:05.123456789Z");
    check("2024-02-29T12:00:00.1234567899Z", 1709208000, 123456789, "2024-02-29T12:00:00.123456789Z");
    check("2024-02-29T12:00:00+02:30", 1709199000, 0, "2024-02-29T09:30:00Z");
    check("2024-02-28T23:30:00-01:00", 1709166600, 0, "2024-02-29T00:30:00Z");
    check("2000-03-01T00:00:00.100Z", 951868800, 100000000, "2000-03-01T00:00:00.1Z");
    check("0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z");
    check("9999-12-31T23:59:59Z", 253402300799, 0, "9999-12-31T23:59:59Z");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2024",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00ZZ",
        "2024-01-01T00:00:00z",
        "2024-01-01T00:00:00+2:00",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00.",
        "0000-01-01T00:00:00Z",
        "-024-01-01T00:00:00Z",
    };
    int64_t s;
    uint32_t ns;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(rfc3339_parse(bytes_str(bad[i]), &s, &ns), ERR_INVALID);
}

static void test_outside_of_years(void **state)
{
    char out[RFC3339_MAX];
    assert_string_equal(rfc3339_print(INT64_MAX, 0, out), "0001-01-01T00:00:00Z");
    assert_string_equal(rfc3339_print(253402300800, 0, out), "0001-01-01T00:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_outside_of_years)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
