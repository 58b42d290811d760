#include "task/exchange.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static void test_percent(void **state)
{
    AUTO(buf_t) b;
    buf_init(&b, 100);
    assert_ok(percent_decode(BYTES_LIT("a%20b+c%2f%C3%A9%00"), true, &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("a b c/é\0"));
    buf_clear(&b);
    assert_ok(percent_decode(BYTES_LIT("a+b"), false, &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("a+b"));
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "abc%"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(percent_decode(bytes_str(bad[i]), false, &b), ERR_INVALID);
    buf_clear(&b);
    assert_ok(percent_encode(BYTES_LIT("aZ09-._~ /é%\0"), "/", &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("aZ09-._~%20/%C3%A9%25%00"));
    buf_clear(&b);
    assert_ok(percent_encode(BYTES_LIT("a/"), NULL, &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("a%2F"));
}

static void expect_query(exchange_t *x, const char *name, size_t n, const char *want)
{
    AUTO(buf_t) b;
    buf_init(&b, 100);
    assert_ok(exchange_query(x, name, n, &b));
    assert_bytes(buf_bytes(&b), bytes_str(want));
}

static void test_query(void **state)
{
    exchange_t x = {.query =
                        "arg=/ipfs/a%20b&arg=two+words&&flag&empty=&n=42&%61=x&bad=%zz&eq=a=b&t=TRUE&f=false&"
                        "big=18446744073709551616&max=18446744073709551615&n%=1&neg=-1"};
    AUTO(buf_t) b;
    buf_init(&b, 100);
    expect_query(&x, "arg", 0, "/ipfs/a b");
    expect_query(&x, "arg", 1, "two words");
    assert_err(exchange_query(&x, "arg", 2, &b), ERR_NOT_FOUND);
    expect_query(&x, "a", 0, "x");
    expect_query(&x, "eq", 0, "a=b");
    expect_query(&x, "flag", 0, "");
    assert_err(exchange_query(&x, "bad", 0, &b), ERR_INVALID);
    assert_true(exchange_has_query(&x, "flag"));
    assert_true(exchange_has_query(&x, "bad"));
    assert_false(exchange_has_query(&x, "fla"));
    assert_true(exchange_query_bool(&x, "flag", false));
    assert_true(exchange_query_bool(&x, "t", false));
    assert_false(exchange_query_bool(&x, "f", true));
    assert_false(exchange_query_bool(&x, "bad", true));
    assert_true(exchange_query_bool(&x, "absent", true));
    uint64_t n = 7;
    assert_ok(exchange_query_u64(&x, "n", 0, &n));
    assert_int_equal(n, 42);
    assert_ok(exchange_query_u64(&x, "absent", 9, &n));
    assert_int_equal(n, 9);
    assert_ok(exchange_query_u64(&x, "max", 0, &n));
    assert_true(n == UINT64_MAX);
    assert_err(exchange_query_u64(&x, "big", 0, &n), ERR_USAGE);
    assert_err(exchange_query_u64(&x, "neg", 0, &n), ERR_USAGE);
    assert_err(exchange_query_u64(&x, "empty", 0, &n), ERR_USAGE);
    assert_err(exchange_query_u64(&x, "bad", 0, &n), ERR_INVALID);
    assert_true(n == UINT64_MAX);
}

/* ── in memory ── */
typedef struct caught {
    int status, headers;
    char text[400];
    const char *body;
    size_t read;
    bool fails;
} caught_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    ((caught_t *)arg)->status = status;
    return OK;
}

static err_t on_header(void *arg, const char *name, const char *value)
{
    caught_t *c = arg;
    assert_int_not_equal(c->status, 0);
    c->headers++;
    snprintf(c->text + strlen(c->text), sizeof c->text - strlen(c->text), "%s: %s\n", name, value);
    return OK;
}

static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    caught_t *c = arg;
    if (c->fails)
        return fail(ERR_CLOSED, "the sink is full");
    snprintf(c->text + strlen(c->text), sizeof c->text - strlen(c->text), "%.*s", (int)data.len, data.data);
    return OK;
}

static err_t on_read(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    caught_t *c = arg;
    size_t left = strlen(c->body) - c->read, n = left < 3 ? left : 3;
    memcpy(out, c->body + c->read, n < cap ? n : cap);
    c->read += n;
    *ret_n = n;
    return task_sleep(t, 1);
}

static memory_exchange_sink_t sink_of(caught_t *c)
{
    return (memory_exchange_sink_t){on_begin, on_header, on_write, on_header, on_read, c};
}

static err_t echo(task_t *t, exchange_t *x, void *arg)
{
    assert_string_equal(x->path, "/api/v0/echo");
    assert_string_equal(x->query, "n=1");
    assert_string_equal(x->target, "/api/v0/echo?n=1");
    assert_string_equal(exchange_header(x, "content-TYPE"), "text/plain");
    assert_null(exchange_header(x, "Accept"));
    assert_true(x->is_local);
    assert_false(exchange_is_gone(x));
    AUTO(buf_t) body;
    buf_init(&body, 100);
    TRY(exchange_read_all(t, x, 11, &body));
    assert_err(exchange_set_header(x, "X-Bad", "a\r\nSet-Cookie: b"), ERR_INVALID);
    assert_err(exchange_set_header(x, "X Bad", "a"), ERR_INVALID);
    assert_err(exchange_set_header(x, "", "a"), ERR_INVALID);
    TRY(exchange_set_header(x, "X-Good", "yes"));
    TRY(exchange_begin(x, 200, -1));
    TRY(exchange_write(t, x, buf_bytes(&body)));
    TRY(exchange_write(t, x, BYTES_LIT("!\n")));
    assert_int_equal(x->sent_bytes, x->method[0] == 'P' ? body.len + 2 : 0);
    return exchange_trailer(x, "X-Stream-Error", "none");
}

static err_t memory(task_t *t, void *arg)
{
    header_pair_t headers[] = {{"Content-Type", "text/plain"}};
    caught_t c = {.body = "hello world"};
    assert_ok(exchange_run_in_memory(t, "POST", "/api/v0/echo?n=1", headers, 1, sink_of(&c), echo, NULL));
    assert_int_equal(c.status, 200);
    assert_string_equal(c.text, "X-Good: yes\nhello world!\nX-Stream-Error: none\n");
    c = (caught_t){.body = "hello worlds"};
    assert_err(exchange_run_in_memory(t, "POST", "/api/v0/echo?n=1", headers, 1, sink_of(&c), echo, NULL),
               ERR_LIMIT);
    assert_int_equal(c.status, 0);
    c = (caught_t){.body = "x", .fails = true};
    assert_err(exchange_run_in_memory(t, "POST", "/api/v0/echo?n=1", headers, 1, sink_of(&c), echo, NULL),
               ERR_CLOSED);
    c = (caught_t){.body = ""};
    assert_ok(exchange_run_in_memory(t, "HEAD", "/api/v0/echo?n=1", headers, 1, sink_of(&c), echo, NULL));
    assert_non_null(strstr(c.text, "X-Good: yes\n"));
    assert_null(strstr(c.text, "!"));
    return OK;
}

static void test_memory(void **state)
{
    assert_ok(test_run(memory, NULL));
}

static err_t reply(task_t *t, exchange_t *x, void *arg)
{
    assert_string_equal(x->query, "");
    return exchange_reply(t, x, 404, arg, BYTES_LIT("gone"));
}

static err_t many_headers(task_t *t, exchange_t *x, void *arg)
{
    for (;;)
        TRY(exchange_set_header(x, "X", "y"));
}

static err_t replies(task_t *t, void *arg)
{
    caught_t c = {0};
    assert_ok(exchange_run_in_memory(t, "GET", "/x", NULL, 0, sink_of(&c), reply,
                                     (void *)(uintptr_t) "text/plain"));
    assert_int_equal(c.status, 404);
    assert_string_equal(c.text, "Content-Type: text/plain\nContent-Length: 4\ngone");
    c = (caught_t){0};
    assert_ok(exchange_run_in_memory(t, "HEAD", "/x", NULL, 0, sink_of(&c), reply, NULL));
    assert_string_equal(c.text, "Content-Length: 4\n");
    assert_ok(exchange_run_in_memory(t, "GET", "/x", NULL, 0, (memory_exchange_sink_t){0}, reply, NULL));
    assert_err(exchange_run_in_memory(t, "GET", "/x", NULL, 0, sink_of(&c), many_headers, NULL), ERR_LIMIT);
    char *target = malloc(20000);
    memset(target, 'x', 20000);
    target[19999] = 0;
    assert_err(exchange_run_in_memory(t, "GET", target, NULL, 0, sink_of(&c), reply, NULL), ERR_LIMIT);
    free(target);
    return OK;
}

static void test_replies(void **state)
{
    assert_ok(test_run(replies, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
