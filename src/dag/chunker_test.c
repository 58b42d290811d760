#include "dag/chunker.h"
#include "tests/support/inputs.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

/* Each row of chunk-lengths.tsv: the lengths of all chunks, in order. */
static void test_lengths(void **state)
{
    tsv_t *v = tsv_open("chunk-lengths.tsv");
    AUTO(buf_t) content = {0};
    buf_init(&content, 16 << 20);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        chunker_t c;
        assert_ok(chunker_parse(tsv_get(v, "chunker"), &c));
        buf_clear(&content);
        inputs_append(tsv_get(v, "input"), &content);
        bytes_t left = buf_bytes(&content);
        const char *lengths = tsv_get(v, "lengths");
        size_t count = 0;
        for (char *end; left.len; lengths = *end ? end + 1 : end, count++) {
            size_t cut = chunker_cut(&c, bytes_slice(left, 0, c.max_bytes));
            assert_int_equal(cut, strtoul(lengths, &end, 10));
            left = bytes_slice(left, cut, left.len);
        }
        assert_int_equal(count, strtoul(tsv_get(v, "count"), NULL, 10));
        assert_true(!*lengths);
    }
    assert_int_equal(rows, 25);
    tsv_close(v);
}

static void test_size(void **state)
{
    chunker_t c;
    assert_ok(chunker_parse("size-10", &c));
    assert_int_equal(chunker_cut(&c, BYTES_LIT("0123456789ab")), 10);
    assert_int_equal(chunker_cut(&c, BYTES_LIT("012")), 3);
    assert_int_equal(chunker_cut(&c, BYTES_NONE), 0);
    assert_ok(chunker_parse("", &c));
    assert_int_equal(c.max_bytes, 262144);
    assert_ok(chunker_parse("default", &c));
    assert_int_equal(c.max_bytes, 262144);
    assert_ok(chunker_parse("size-+5", &c)); /* as the reference */
    assert_int_equal(c.max_bytes, 5);
    assert_ok(chunker_parse("size-2096896", &c));
    assert_ok(chunker_parse("rabin-min:20-avg:40-max:80", &c));
    assert_int_equal(c.min_bytes, 20);
    assert_int_equal(c.max_bytes, 80);
    assert_ok(chunker_parse("rabin-1397930", &c));
    assert_int_equal(c.max_bytes, 2096895);
    assert_ok(chunker_parse("buzhash-whatever", &c)); /* as the reference */
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"size", "incorrect chunker string format (expected size-{size})"},
        {"size-1-2", "incorrect chunker string format (expected size-{size})"},
        {"size-0", "chunker size must be greater than 0"},
        {"size-2096897", "chunker parameters may not exceed the maximum chunk size of 2096896"},
        {"size-99999999999999999999", "chunker parameters may not exceed the maximum chunk size of 2096896"},
        {"size-", "chunker: a number of bytes is missing"},
        {"size-4k", "chunker: \"4k\" is not a number of bytes"},
        {"fixed-3", "unrecognized chunker option: fixed-3"},
        {"sizes", "unrecognized chunker option: sizes"},
        {"rabin-1-2", "incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'"},
        {"rabin-1-2-3-4", "incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'"},
        {"rabin-15-64-128", "rabin min must be greater than 16"},
        {"rabin-64-64-128", "incorrect format: rabin-min must be smaller than rabin-avg"},
        {"rabin-32-64-64", "incorrect format: rabin-avg must be smaller than rabin-max"},
        {"rabin-32-64-2096897", "chunker parameters may not exceed the maximum chunk size of 2096896"},
        {"rabin-1397932", "chunker parameters may not exceed the maximum chunk size of 2096896"},
        {"rabin-a:32-64-128", "first label must be min"},
        {"rabin-32-a:64-128", "second label must be avg"},
        {"rabin-32-64-a:128", "final label must be max"},
        {"rabin-47", "rabin-[avg] must be at least 48"},
        {"rabin-0", "rabin-[avg] must be at least 48"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        chunker_t c = {.max_bytes = 7};
        assert_err(chunker_parse(rows[i].text, &c), ERR_USAGE);
        assert_string_equal(error_text(ERR_USAGE), rows[i].why);
        assert_int_equal(c.max_bytes, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths), cmocka_unit_test(test_size),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
