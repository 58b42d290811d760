#include "api/clean_path.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

/* As Go's net/http cleans the paths of requests. */
static void test_clean_path(void **state)
{
    static const struct {
        const char *path, *clean;
    } rows[] = {
        {"/", "/"},
        {"", "/"},
        {"/a/b", "/a/b"},
        {"/a/b/", "/a/b/"},
        {"//a///b//", "/a/b/"},
        {"/./a/./b/.", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a"},
        {"/a/b/../", "/a/"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/...", "/a/..."},
        {"/a/%2e%2e/b", "/a/%2e%2e/b"},
        {"a/b", "/a/b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) out = {0};
        const char *text;
        buf_init(&out, 64);
        assert_ok(clean_path(bytes_str(rows[i].path), &out));
        assert_ok(buf_cstr(&out, &text));
        assert_string_equal(text, rows[i].clean);
    }
}

typedef struct answer {
    int status;
    char location[128];
} answer_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    ((answer_t *)arg)->status = status;
    return OK;
}

static err_t on_header(void *arg, const char *name, const char *value)
{
    answer_t *a = arg;
    if (!strcmp(name, "Location"))
        snprintf(a->location, sizeof a->location, "%s", value);
    return OK;
}

static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    return OK;
}

static err_t handle(task_t *t, exchange_t *x, void *arg)
{
    bool was_redirected;
    TRY(reply_clean_path(t, x, &was_redirected));
    return was_redirected ? OK : exchange_reply(t, x, 200, "text/plain", BYTES_NONE);
}

static err_t redirects(task_t *t, void *arg)
{
    static const struct {
        const char *target;
        int status;
        const char *location;
    } rows[] = {
        {"/a/b?c=/../d", 200, ""},
        {"/a//b", 307, "/a/b"},
        {"//example.com/x", 307, "/example.com/x"},
        {"/a/../b?arg=a%20b&c", 307, "/b?arg=a%20b&c"},
        {"/x/../\\example.com", 307, "/%5Cexample.com"},
        {"/.//\t/example.com?a\\b", 307, "/%09/example.com?a%5Cb"},
        {"http://example.com/a//b", 200, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer_t a = {0};
        memory_exchange_sink_t sink = {on_begin, on_header, on_write, on_header, NULL, &a};
        assert_ok(exchange_run_in_memory(t, "POST", rows[i].target, NULL, 0, sink, handle, NULL));
        assert_int_equal(a.status, rows[i].status);
        assert_string_equal(a.location, rows[i].location);
    }
    return OK;
}

static void test_redirects(void **state)
{
    assert_ok(test_run(redirects, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean_path), cmocka_unit_test(test_redirects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
