#include "base/json_depth.h"
#include "tests/support/test.h"

static void test_depth(void **state)
{
    static const struct {
        const char *text;
        size_t depth;
    } rows[] = {
        {"", 0},
        {"7", 0},
        {"\"[[{\"", 0},
        {"[]", 1},
        {"[[],[],{}]", 2},
        {"{\"a\":[{\"b\":1}],\"c\":{}}", 3},
        {"[\"\\\"[[[\",[\"\\\\\"]]", 2},
        {"]]][[", 2},
        {"[\"unended [[[", 1},
        {"[\"\\", 1},
        {"[[[[", 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(json_depth(bytes_str(rows[i].text)), rows[i].depth);
}

static void test_limit(void **state)
{
    assert_ok(json_check_depth(BYTES_LIT("[[]]"), 2));
    assert_err(json_check_depth(BYTES_LIT("[[[]]]"), 2), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
