#include "wire/http_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_ok(e) assert_int_equal((e), OK)

static void start(http_client_t *c, const char *method)
{
    http_client_init(c, 0);
    assert_ok(http_client_request(c, &(http_request_t){.method = method, .target = "/", .host = "h"}));
    http_client_output_sent(c, http_client_output(c).len);
}

/* All events of `answer`, printed; "error NAME" at the end when it failed. */
static void read_answer(const char *method, bytes_t answer, bool closes, buf_t *out)
{
    http_client_t c;
    start(&c, method);
    buf_init(out, 1 << 20);
    http_event_t ev;
    err_t e = OK;
    size_t used = 1;
    while (!e && used) {
        used = 0;
        e = http_client_feed(&c, answer, &used);
        answer = bytes_slice(answer, used, answer.len);
        while (!e && http_client_next_event(&c, &ev)) {
            used = 1;
            if (ev.kind == HTTP_EVENT_BODY)
                assert_ok(buf_append(out, ev.data));
            else
                assert_ok(
                    buf_printf(out, "<%d %d%s>", (int)ev.kind, ev.status, ev.keep_alive ? "" : " close"));
            for (size_t i = 0; i < ev.n_fields; i++)
                assert_ok(buf_printf(out, "%s=%s;", ev.fields[i].name, ev.fields[i].value));
        }
        if (!e && !answer.len && closes) {
            closes = false;
            used = 1;
            e = http_client_feed_end(&c);
        }
    }
    if (e)
        assert_ok(buf_printf(out, "error %s", error_name(e)));
    if (answer.len && !e)
        assert_ok(buf_printf(out, "left %zu", answer.len));
    http_client_deinit(&c);
}

static void check(const char *method, const char *answer, bool closes, const char *expected)
{
    buf_t out;
    read_answer(method, bytes_str(answer), closes, &out);
    const char *text;
    assert_ok(buf_cstr(&out, &text));
    assert_string_equal(text, expected);
    buf_deinit(&out);
}

static void answers(void **state)
{
    check("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b c \r\n\r\nhello", false,
          "<0 200>Content-Length=5;X-A=b c;hello<3 200>");
    check("GET",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: "
          "x\r\n\r\n",
          false, "<0 200>Transfer-Encoding=chunked;abc0123456789<2 200>T=x;<3 200>");
    check("GET", "HTTP/1.0 200 OK\r\n\r\nall of it", true, "<0 200 close>all of it<3 200 close>");
    check("GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", false,
          "<0 200>Connection=Keep-Alive;Content-Length=1;x<3 200>");
    check("GET", "HTTP/1.1 200\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n", false,
          "<0 200 close>Connection=x, close;Content-Length=0;<3 200 close>");
    check("POST", "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
          false, "<0 201>Content-Length=1;x<3 201>");
    check("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", false,
          "<0 200>Content-Length=999;<3 200>");
    check("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", false, "<0 304>ETag=\"a\";<3 304>");
    check("GET", "HTTP/1.1 204 No Content\n\n", false, "<0 204><3 204>");
    check("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1", false,
          "<0 200>Content-Length=1;x<3 200>left 8");
}

static void bad_answers(void **state)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\rz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check("GET", bad[i], false, "error ERR_PROTOCOL");
    check("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", false,
          "<0 200>Transfer-Encoding=chunked;abcerror ERR_PROTOCOL");
    check("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", false,
          "<0 200>Transfer-Encoding=chunked;error ERR_PROTOCOL");
    check("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", false,
          "<0 200>Transfer-Encoding=chunked;error ERR_PROTOCOL");
    check("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true,
          "<0 200>Content-Length=5;helerror ERR_EOF");
    check("GET", "HTTP/1.1 200 OK\r\nConte", true, "error ERR_EOF");
}

static void bounds(void **state)
{
    AUTO(buf_t) answer;
    buf_init(&answer, 1 << 20);
    assert_ok(buf_printf(&answer, "HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i <= HTTP_CLIENT_FIELDS_MAX; i++)
        assert_ok(buf_printf(&answer, "A: b\r\n"));
    assert_ok(buf_printf(&answer, "\r\n"));
    buf_t out;
    read_answer("GET", buf_bytes(&answer), false, &out);
    assert_memory_equal(out.data, "error ERR_LIMIT", 15);
    buf_deinit(&out);
    buf_clear(&answer);
    while (answer.len <= HTTP_CLIENT_HEAD_MAX)
        assert_ok(buf_printf(&answer, "HTTP/1.1 200 OK"));
    read_answer("GET", buf_bytes(&answer), false, &out);
    assert_memory_equal(out.data, "error ERR_LIMIT", 15);
    buf_deinit(&out);
}

static void requests(void **state)
{
    http_client_t c;
    http_client_init(&c, 4096);
    http_field_t fields[] = {{"Accept", "*/*"}, {"X-Y", "a b"}};
    http_request_t r = {.method = "POST",
                        .target = "/api/v0/add?x=1",
                        .host = "127.0.0.1:5001",
                        .fields = fields,
                        .n_fields = 2,
                        .body = HTTP_BODY_CHUNKED};
    assert_ok(http_client_request(&c, &r));
    assert_true(http_client_is_sending(&c));
    assert_ok(http_client_write_body(&c, BYTES_LIT("0123456789abcdef!")));
    assert_ok(http_client_write_body(&c, BYTES_NONE));
    assert_ok(http_client_end_body(&c));
    const char *expected =
        "POST /api/v0/add?x=1 HTTP/1.1\r\nHost: 127.0.0.1:5001\r\nAccept: */*\r\nX-Y: a b\r\n"
        "Transfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n";
    assert_true(bytes_equal(http_client_output(&c), bytes_str(expected)));
    http_client_output_sent(&c, 10);
    assert_true(bytes_equal(http_client_output(&c), bytes_str(expected + 10)));
    assert_int_equal(http_client_request(&c, &r), ERR_INVALID); /* its answer is still to come */
    http_client_output_sent(&c, http_client_output(&c).len);
    assert_int_equal(http_client_output(&c).len, 0);
    http_client_deinit(&c);

    http_client_init(&c, 4096);
    r = (http_request_t){
        .method = "PUT", .target = "/", .host = "h", .body = HTTP_BODY_LENGTH, .body_bytes = 3};
    assert_ok(http_client_request(&c, &r));
    assert_int_equal(http_client_write_body(&c, BYTES_LIT("four")), ERR_INVALID);
    assert_ok(http_client_write_body(&c, BYTES_LIT("ab")));
    assert_int_equal(http_client_end_body(&c), ERR_INVALID);
    assert_ok(http_client_write_body(&c, BYTES_LIT("c")));
    assert_ok(http_client_end_body(&c));
    assert_int_equal(http_client_write_body(&c, BYTES_LIT("d")), ERR_INVALID);
    http_client_deinit(&c);
}

static void refused_requests(void **state)
{
    http_client_t c;
    http_client_init(&c, 200);
    http_field_t evil = {"X", "a\r\nY: b"}, space = {"X Y", "a"};
    http_request_t bad[] = {{.method = "GET", .target = "/a b", .host = "h"},
                            {.method = "GET", .target = "/a\r\nX: y", .host = "h"},
                            {.method = "G T", .target = "/", .host = "h"},
                            {.method = "GET", .target = "/", .host = ""},
                            {.method = "GET", .target = "", .host = "h"},
                            {.method = "GET", .target = "/", .host = "h", .fields = &evil, .n_fields = 1},
                            {.method = "GET", .target = "/", .host = "h", .fields = &space, .n_fields = 1}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_client_request(&c, &bad[i]), ERR_INVALID);
    char target[300];
    memset(target, 'a', sizeof target - 1);
    target[sizeof target - 1] = 0;
    assert_int_equal(
        http_client_request(&c, &(http_request_t){.method = "GET", .target = target, .host = "h"}),
        ERR_LIMIT);
    assert_int_equal(http_client_output(&c).len, 0);
    assert_ok(http_client_request(
        &c, &(http_request_t){.method = "POST", .target = "/", .host = "h", .body = HTTP_BODY_CHUNKED}));
    char big[200] = {0};
    assert_int_equal(http_client_write_body(&c, bytes_of(big, sizeof big)), ERR_LIMIT);
    size_t room = http_client_output_room(&c);
    assert_ok(http_client_write_body(&c, bytes_of(big, room)));
    http_client_deinit(&c);
}

static void early_answer_and_next_request(void **state)
{
    http_client_t c;
    http_client_init(&c, 0);
    http_request_t r = {
        .method = "POST", .target = "/", .host = "h", .body = HTTP_BODY_LENGTH, .body_bytes = 3};
    assert_ok(http_client_request(&c, &r));
    size_t used;
    http_event_t ev;
    assert_ok(http_client_feed(&c, BYTES_LIT("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), &used));
    assert_true(http_client_next_event(&c, &ev) && ev.kind == HTTP_EVENT_HEAD);
    assert_string_equal(http_client_field(&c, "content-LENGTH"), "0");
    assert_null(http_client_field(&c, "Content"));
    assert_true(http_client_next_event(&c, &ev) && ev.kind == HTTP_EVENT_END);
    assert_false(ev.keep_alive);
    assert_int_equal(http_client_request(&c, &r), ERR_INVALID);
    assert_ok(http_client_write_body(&c, BYTES_LIT("abc")));
    assert_ok(http_client_end_body(&c));
    assert_ok(http_client_request(&c, &(http_request_t){.method = "GET", .target = "/2", .host = "h"}));
    assert_ok(http_client_feed(&c, BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), &used));
    assert_true(http_client_next_event(&c, &ev) && ev.status == 200);
    assert_true(http_client_next_event(&c, &ev) && ev.kind == HTTP_EVENT_END && ev.keep_alive);
    assert_ok(http_client_feed_end(&c));
    http_client_deinit(&c);
    http_client_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),          cmocka_unit_test(bad_answers),
        cmocka_unit_test(bounds),           cmocka_unit_test(requests),
        cmocka_unit_test(refused_requests), cmocka_unit_test(early_answer_and_next_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
