#include "cli/plain_object.h"
#include "tests/support/test.h"

static const char *const names[] = {"Cid", "Type"};

static void reads_members(void **state)
{
    static const struct {
        const char *text, *cid, *type;
    } rows[] = {
        {"{\"Cid\":\"Qm1\",\"Type\":\"recursive\"}", "Qm1", "recursive"},
        {"{\"Type\":\"direct\",\"Name\":\"a b {}[]:,\",\"Cid\":\"b\"}", "b", "direct"},
        {"{\"Type\":\"\"}", "", ""},
        {"{\"Cid\":\"1\",\"Cid\":\"2\"}", "2", ""}, /* as the library does */
    };
    bytes_t values[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(plain_object_read(bytes_str(rows[i].text), names, ARRAY_LEN(names), values));
        assert_true(bytes_equal(values[0], bytes_str(rows[i].cid)));
        assert_true(bytes_equal(values[1], bytes_str(rows[i].type)));
    }
}

static void leaves_the_rest(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "{}",
        "{\"Cid\"",
        "{\"Cid\":",
        "{\"Cid\":\"",
        "{\"Cid\":\"a",
        "{\"Cid\":\"a\"",
        "{\"Cid\":\"a\"} ",
        "{\"Cid\":\"a\",}",
        "{ \"Cid\":\"a\"}",
        "{\"Cid\":1}",
        "{\"Cid\":{\"a\":\"b\"}}",
        "{\"Cid\":\"\\u0041\"}",
        "{\"Cid\":\"\\\"\"}",
        "{\"Cid\":\"\x1b[1m\"}",
        "{\"Cid\":\"\xc3\xa4\"}",
        "[\"Cid\"]",
    };
    bytes_t values[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(plain_object_read(bytes_str(rows[i]), names, ARRAY_LEN(names), values));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_members),
        cmocka_unit_test(leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
