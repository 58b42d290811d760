/* Two sessions that talk to each other, and one that is fed what no honest peer sends. */
#include "tests/support/test.h"
#include "wire/http2.h"
#include <string.h>

static const http_field_t request_fields[] = {
    {":method", "POST"}, {":scheme", "https"}, {":path", "/a.B/C"}, {":authority", "h"}, {"te", "trailers"}};
static const http_field_t answer_fields[] = {{":status", "200"}, {"content-type", "application/grpc"}};
static const http_field_t last_fields[] = {{"grpc-status", "0"}};

typedef struct pair {
    http2_t *client, *server;
} pair_t;

static void open_pair(pair_t *p)
{
    http2_config_t c;
    http2_config_default(true, &c);
    assert_ok(http2_new(&c, &p->client));
    http2_config_default(false, &c);
    c.max_streams = 3;
    assert_ok(http2_new(&c, &p->server));
}

static bool pass(http2_t *from, http2_t *to)
{
    bytes_t piece;
    bool any = false;
    for (;;) {
        assert_ok(http2_output(from, &piece));
        if (!piece.len)
            return any;
        any = true;
        assert_ok(http2_feed(to, piece));
    }
}

static void exchange(pair_t *p)
{
    for (bool any = true; any;) {
        any = pass(p->client, p->server);
        any = pass(p->server, p->client) || any;
    }
}

static void close_pair(pair_t *p)
{
    http2_free(p->client);
    http2_free(p->server);
}

static http2_stream_t *open_one(pair_t *p, http2_stream_t **ret_client)
{
    http2_event_t ev;
    assert_ok(http2_request(p->client, request_fields, ARRAY_LEN(request_fields), p, ret_client));
    exchange(p);
    assert_true(http2_next_event(p->server, &ev));
    assert_true(ev.news & HTTP2_NEWS_OPENED);
    return ev.stream;
}

static void expect_read(http2_stream_t *s, const char *text)
{
    uint8_t in[64];
    size_t n;
    assert_ok(http2_read(s, in, sizeof in, &n));
    assert_bytes(bytes_of(in, n), bytes_str(text));
}

static void whole_call(void **state)
{
    pair_t p;
    http2_stream_t *c, *s;
    http2_event_t ev;
    size_t n;
    uint8_t byte;
    open_pair(&p);
    s = open_one(&p, &c);
    assert_true(http2_has_head(s));
    assert_string_equal(http2_field(s, ":path"), "/a.B/C");
    assert_string_equal(http2_field(s, "te"), "trailers");
    assert_null(http2_field(s, "absent"));
    assert_err(http2_read(s, &byte, 1, &n), ERR_AGAIN);
    assert_ok(http2_write(c, BYTES_LIT("hello")));
    assert_ok(http2_end(c, NULL, 0));
    exchange(&p);
    expect_read(s, "hello");
    assert_ok(http2_read(s, &byte, 1, &n));
    assert_int_equal(n, 0);
    assert_ok(http2_respond(s, answer_fields, ARRAY_LEN(answer_fields), true));
    assert_ok(http2_write(s, BYTES_LIT("welcome")));
    exchange(&p);
    assert_true(http2_next_event(p.client, &ev));
    assert_true(ev.user == &p && (ev.news & HTTP2_NEWS_READABLE));
    assert_string_equal(http2_field(c, ":status"), "200");
    expect_read(c, "welcome");
    assert_ok(http2_end(s, last_fields, ARRAY_LEN(last_fields)));
    exchange(&p);
    assert_ok(http2_read(c, &byte, 1, &n));
    assert_int_equal(n, 0);
    assert_string_equal(http2_trailer(c, "grpc-status"), "0");
    assert_false(http2_has_failed(c) || http2_has_failed(s));
    http2_release(c);
    http2_release(s);
    exchange(&p);
    assert_int_equal(http2_stream_count(p.client) + http2_stream_count(p.server), 0);
    http2_end_session(p.server);
    exchange(&p);
    assert_err(http2_request(p.client, request_fields, ARRAY_LEN(request_fields), NULL, &c), ERR_CLOSED);
    close_pair(&p);
}

static void answers_alone(void **state)
{
    pair_t p;
    http2_stream_t *c, *s;
    size_t n;
    uint8_t byte;
    open_pair(&p);
    s = open_one(&p, &c);
    assert_ok(http2_respond(s, answer_fields, ARRAY_LEN(answer_fields), false));
    http2_release(s); /* the request has not ended: the answer still arrives */
    exchange(&p);
    assert_ok(http2_read(c, &byte, 1, &n));
    assert_int_equal(n, 0);
    assert_string_equal(http2_field(c, "content-type"), "application/grpc");
    http2_release(c);
    exchange(&p);
    assert_int_equal(http2_stream_count(p.server), 0);
    close_pair(&p);
}

/* A reader that does not read holds its writer back; what it read makes room again. */
static void windows(void **state)
{
    pair_t p;
    http2_stream_t *c, *s;
    static uint8_t block[65536];
    size_t sent = 0, got = 0, n;
    open_pair(&p);
    s = open_one(&p, &c);
    for (int i = 0; i < 100; i++) {
        err_t e = http2_write(c, bytes_of(block, sizeof block));
        assert_true(e == OK || e == ERR_AGAIN);
        sent += e ? 0 : sizeof block;
        exchange(&p);
    }
    assert_int_equal(sent, (1 << 20) + (512 << 10)); /* the window and the queue */
    assert_int_equal(http2_room(c), 0);
    while (!http2_read(s, block, sizeof block, &n)) {
        got += n;
        exchange(&p);
    }
    assert_int_equal(got, sent);
    assert_int_equal(http2_room(c), 512 << 10);
    http2_release(c);
    exchange(&p);
    assert_err(http2_read(s, block, 1, &n), ERR_RESET);
    assert_err(http2_write(s, BYTES_LIT("x")), ERR_RESET);
    http2_release(s);
    close_pair(&p);
}

/* What nobody reads any more takes no room from other streams. */
static void abandoned(void **state)
{
    pair_t p;
    http2_stream_t *c, *s;
    static uint8_t block[65536];
    open_pair(&p);
    for (int i = 0; i < 20; i++) {
        s = open_one(&p, &c);
        for (int k = 0; k < 8; k++)
            assert_ok(http2_write(c, bytes_of(block, sizeof block)));
        exchange(&p);
        http2_release(s);
        exchange(&p);
        assert_true(http2_has_failed(c));
        http2_release(c);
        exchange(&p);
    }
    assert_int_equal(http2_stream_count(p.server), 0);
    close_pair(&p);
}

static void too_many_streams(void **state)
{
    pair_t p;
    http2_stream_t *c[4], *s[3];
    open_pair(&p);
    exchange(&p);
    for (int i = 0; i < 3; i++)
        s[i] = open_one(&p, &c[i]);
    assert_err(http2_request(p.client, request_fields, ARRAY_LEN(request_fields), NULL, &c[3]), ERR_AGAIN);
    http2_free(p.client); /* before its users let go */
    for (int i = 0; i < 3; i++) {
        assert_true(http2_has_failed(c[i]));
        assert_err(http2_write(c[i], BYTES_LIT("x")), ERR_RESET);
        http2_release(c[i]);
    }
    http2_release(s[0]);
    http2_free(p.server);
    http2_release(s[1]);
    http2_reset(s[2]);
    http2_release(s[2]);
}

static void large_heads(void **state)
{
    pair_t p;
    http2_stream_t *c;
    http2_event_t ev;
    static char text[HTTP2_FIELDS_MAX];
    memset(text, 'x', sizeof text - 1);
    http_field_t fields[ARRAY_LEN(request_fields) + 1];
    memcpy(fields, request_fields, sizeof request_fields);
    fields[ARRAY_LEN(request_fields)] = (http_field_t){"x-large", text};
    open_pair(&p);
    assert_ok(http2_request(p.client, fields, ARRAY_LEN(fields), NULL, &c));
    exchange(&p);
    assert_true(http2_has_failed(c));
    assert_false(http2_next_event(p.server, &ev));
    http2_release(c);
    http2_release(open_one(&p, &c)); /* the session is as good as before */
    http2_release(c);
    close_pair(&p);
}

static void hostile(void **state)
{
    static const char *const inputs[] = {"GET / HTTP/1.1\r\n\r\n",
                                         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff"};
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        http2_config_t c;
        http2_t *h;
        bytes_t piece;
        http2_config_default(false, &c);
        assert_ok(http2_new(&c, &h));
        char zeroes[64] = {0};
        err_t e = http2_feed(h, bytes_str(inputs[i]));
        if (!e)
            e = http2_feed(h, bytes_of(zeroes, sizeof zeroes));
        bool is_over = http2_is_over(h);
        while (!http2_output(h, &piece) && piece.len)
            ;
        assert_true(e == ERR_PROTOCOL || is_over || http2_is_over(h));
        http2_free(h);
    }
    http2_free(NULL);
    http2_release(NULL);
}

/* Pings without end whose answers nobody takes. */
static void floods(void **state)
{
    http2_config_t c;
    http2_t *h;
    http2_config_default(false, &c);
    assert_ok(http2_new(&c, &h));
    assert_ok(http2_feed(h, BYTES_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")));
    err_t e = OK;
    for (int i = 0; i < 5000 && !e; i++)
        e = http2_feed(h, BYTES_LIT("\0\0\10\6\0\0\0\0\0abcdefgh"));
    assert_int_equal(e, ERR_LIMIT);
    assert_err(http2_feed(h, BYTES_LIT("x")), ERR_LIMIT);
    assert_true(http2_is_over(h));
    http2_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_call),       cmocka_unit_test(answers_alone),
                                       cmocka_unit_test(windows),          cmocka_unit_test(abandoned),
                                       cmocka_unit_test(too_many_streams), cmocka_unit_test(large_heads),
                                       cmocka_unit_test(hostile),          cmocka_unit_test(floods)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
