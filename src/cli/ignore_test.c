#include "cli/ignore.h"
#include "tests/support/test.h"

static bool ignores(const char *rules, const char *name)
{
    AUTO(ignore_t) ig = {0};
    assert_ok(ignore_add(&ig, bytes_str(rules)));
    return ignore_matches(&ig, name);
}

static void test_rules(void **state)
{
    assert_true(ignores("foo.txt", "foo.txt"));
    assert_false(ignores("foo.txt", "fooxtxt"));
    assert_true(ignores("*.app", "x.app"));
    assert_false(ignores("*.app", "x.apple"));
    assert_true(ignores("/foo", "foo"));
    assert_true(ignores("**/baz", "baz"));
    assert_true(ignores("/**/baz", "baz"));
    assert_true(ignores("fizz/**", "fizz"));
    assert_false(ignores("bar/", "bar")); /* names of folders have no slash either */
    assert_false(ignores("a/b", "b"));
    assert_true(ignores("x[ab]", "xb"));
    assert_false(ignores("a?c", "abc"));
    assert_true(ignores("a?c", "a?c"));
    assert_false(ignores("#foo", "#foo"));
    assert_true(ignores("\\#foo", "#foo"));
    assert_true(ignores("  spaced  \r\n", "spaced"));
    assert_false(ignores("\n\n/\n**/\n", ""));
}

static void test_order(void **state)
{
    assert_false(ignores("*.log\n!keep.log\n", "keep.log"));
    assert_true(ignores("!keep.log\n*.log", "keep.log"));
    assert_true(ignores("*.log\n!keep.log\nkeep*", "keep.log"));
    assert_false(ignores("", "a"));
}

static void test_limit(void **state)
{
    AUTO(buf_t) lines = {0};
    AUTO(ignore_t) ig = {0};
    buf_init(&lines, 4 * IGNORE_MAX_RULES);
    for (int i = 0; i <= IGNORE_MAX_RULES; i++)
        assert_ok(buf_append(&lines, BYTES_LIT("a\n")));
    assert_err(ignore_add(&ig, buf_bytes(&lines)), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
