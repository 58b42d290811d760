/* Rules of `_redirects`: the spec's examples (ipfs/specs src/http-gateways/web-redirects-file.md), and files
 * that are none. */
#include "api/redirects_file.h"
#include "tests/support/test.h"
#include <stdlib.h>

static const char example[] = "# comment\r\n"
                              "\n"
                              "/one /two\r\n"
                              "  /302-two\t/two.html  302\n"
                              "/posts/:month/:day/:year/:title /articles/:year/:month/:day/:title 301\n"
                              "/splat/* /redirected/:splat\n"
                              "/user/:id/x* /never\n"
                              "/a/:x/:xy /:xy-:x-:unknown\n"
                              "/slash/ /with\n"
                              "/gone/* /410.html 410\n"
                              "/away https://example.com/?q=:splat 307\n"
                              "/* /index.html 200";

typedef struct match_case {
    const char *path, *to;
    int status;
} match_case_t;
static const match_case_t cases[] = {
    {"/one", "/two", 301},
    {"/302-two", "/two.html", 302},
    {"/posts/01/02/2022/hello", "/articles/2022/01/02/hello", 301},
    {"/posts/01/02/2022", "/index.html", 200},
    {"/splat/a/b", "/redirected/a/b", 301},
    {"/splat", "/index.html", 200},
    {"/a/1/2", "/2-1-:unknown", 301},
    {"/slash", "/with", 301},
    {"/gone/x", "/410.html", 410},
    {"/away", "https://example.com/?q=", 307},
    {"/else", "/index.html", 200},
    {"", "", 0},
};

static void test_matches(void **state)
{
    AUTO(redirects_file_t) f = {0};
    AUTO(buf_t) to = {0};
    buf_init(&to, 4096);
    assert_ok(redirects_file_parse(BYTES_LIT(example), &f));
    assert_int_equal(f.count, 10);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status;
        buf_clear(&to);
        assert_ok(redirects_file_match(&f, bytes_str(cases[i].path), &to, &status));
        if (status != cases[i].status || !bytes_equal(buf_bytes(&to), bytes_str(cases[i].to)))
            fail_msg("%s: %d %.*s", cases[i].path, status, (int)to.len, (const char *)to.data);
    }
}

static void test_bad_files(void **state)
{
    static const char *const bad[] = {
        "/only-from", "/a /b 301 more",   "a /b",         "/a*b /c",     "/*/* /c",
        "/a /b 301!", "/a /b 201",        "/a /b x",      "/a /b 3010",  "/a javascript:alert(1)",
        "/a b",       "/a /b\n/c /d 999", "/a ftp://x/y", "/a /b 00301", "/:a/b/:a /c",
        "/a%zz /b",   "/a /b%",           "/a\1 /b",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(redirects_file_t) f = {0};
        if (redirects_file_parse(bytes_str(bad[i]), &f) != ERR_INVALID)
            fail_msg("%s", bad[i]);
    }
}

static void test_limits(void **state)
{
    AUTO(redirects_file_t) f = {0};
    AUTO(buf_t) to = {0};
    int status;
    char *text = xmalloc(REDIRECTS_FILE_MAX_BYTES + 1);
    memset(text, '\n', REDIRECTS_FILE_MAX_BYTES + 1);
    assert_ok(redirects_file_parse(bytes_of(text, REDIRECTS_FILE_MAX_BYTES), &f));
    assert_int_equal(redirects_file_parse(bytes_of(text, REDIRECTS_FILE_MAX_BYTES + 1), &f), ERR_LIMIT);
    free(text);
    buf_init(&to, 8);
    assert_ok(redirects_file_parse(BYTES_LIT("/x/* /:splat:splat:splat"), &f));
    assert_int_equal(redirects_file_match(&f, BYTES_LIT("/x/12345"), &to, &status), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_bad_files),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
