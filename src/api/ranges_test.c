#include "api/gateway.h"
#include "tests/support/test.h"

static void check(const char *header, uint64_t size, const char *expected)
{
    ranges_t r;
    char text[256] = "";
    ranges_parse(header, size, &r);
    for (size_t i = 0; i < r.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%llu+%llu ",
                 (unsigned long long)r.list[i].from, (unsigned long long)r.list[i].len);
    if (r.is_unsatisfiable)
        snprintf(text, sizeof text, "416");
    if (strcmp(text, expected))
        fail_msg("%s of %llu: %s, wanted %s", header ? header : "(none)", (unsigned long long)size, text,
                 expected);
}

static void test_ranges(void **state)
{
    check(NULL, 10, "");
    check("bytes=0-0", 10, "0+1 ");
    check("bytes=2-5", 10, "2+4 ");
    check("bytes=2-", 10, "2+8 ");
    check("bytes=-3", 10, "7+3 ");
    check("bytes=-30", 10, "0+10 ");
    check("bytes=5-500", 10, "5+5 ");
    check("BYTES=1-1", 10, "1+1 ");
    check("bytes=0-1, 4-5", 10, "0+2 4+2 ");
    check("bytes= 0-1 ,\t-1", 10, "0+2 9+1 ");
    check("bytes=0-1,20-30", 10, "0+2 ");
    check("bytes=,0-1, ,\t2-3,", 10, "0+2 2+2 ");
}

static void test_what_cannot_be_given(void **state)
{
    check("bytes=10-", 10, "416");
    check("bytes=10-12,15-", 10, "416");
    check("bytes=-0", 10, "416");
    check("bytes=0-", 0, "");
    check("bytes=-1", 0, "");
    check("bytes=18446744073709551600-", 10, "416");
}

static void test_malformed_is_ignored(void **state)
{
    static const char *const headers[] = {"",
                                          "bytes",
                                          "bytes=",
                                          "bytes=a-b",
                                          "bytes=5-2",
                                          "bytes=--1",
                                          "bytes=1",
                                          "items=0-1",
                                          "bytes=,",
                                          "bytes=0-1;",
                                          "bytes=99999999999999999999-",
                                          "bytes=0-1,x"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        check(headers[i], 10, "");
}

static void test_greedy_is_ignored(void **state)
{
    check("bytes=0-9,0-9", 10, "");
    check("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", 100, "");
}

static void test_types(void **state)
{
    assert_string_equal(content_type_of("a.html", BYTES_NONE), "text/html");
    assert_string_equal(content_type_of("A.PNG", BYTES_NONE), "image/png");
    assert_string_equal(content_type_of("x.tar.zst", BYTES_NONE), "application/zstd");
    assert_string_equal(content_type_of("", BYTES_LIT("\x89PNG\r\n\x1a\n....")), "image/png");
    assert_string_equal(content_type_of("noext", BYTES_LIT("  \n<!DOCTYPE HTML><p>")), "text/html");
    assert_string_equal(content_type_of("noext", BYTES_LIT("<htmlish")), "text/plain; charset=utf-8");
    assert_string_equal(content_type_of("noext", BYTES_LIT("plain\n")), "text/plain; charset=utf-8");
    assert_string_equal(content_type_of("noext", BYTES_LIT("\x01\x02")), "application/octet-stream");
    assert_string_equal(content_type_of("a.unknown", BYTES_LIT("%PDF-1.7")), "application/pdf");
}

/* The table is searched by halves: its order is checked here, by finding each first and last letter. */
static void test_table_is_sorted(void **state)
{
    static const char *const names[] = {"x.7z",  "x.aac", "x.c",   "x.car", "x.gz", "x.h",
                                        "x.mp4", "x.tar", "x.zip", "x.zst", "x.xz", "x.webp"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_not_equal(content_type_of(names[i], BYTES_LIT("\x01")), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_what_cannot_be_given),
        cmocka_unit_test(test_malformed_is_ignored),
        cmocka_unit_test(test_greedy_is_ignored),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_table_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
