#include "tests/support/test.h"
#include "wire/ws.h"

#define REQUEST                                                                                              \
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* Feeds a copy in pieces of `step`; gives what was understood. */
static err_t feed(ws_t *w, bytes_t in, size_t step, buf_t *plain)
{
    static uint8_t copy[70000];
    assert_true(in.len <= sizeof copy);
    memcpy(copy, in.data, in.len);
    for (size_t at = 0, end = 0; at < in.len;) {
        end = end + step < in.len ? end + step : in.len;
        while (at < end) {
            size_t used = 0;
            bytes_t part;
            TRY(ws_feed(w, copy + at, end - at, &used, &part));
            assert_ok(buf_append(plain, part));
            if (!used)
                return OK;
            at += used;
        }
    }
    return OK;
}

static void take_output(ws_t *from, ws_t *to, size_t step, buf_t *plain)
{
    AUTO(buf_t) wire;
    buf_init(&wire, WS_OUTPUT_MAX);
    assert_ok(buf_append(&wire, ws_output(from)));
    ws_output_sent(from, wire.len);
    assert_ok(feed(to, buf_bytes(&wire), step, plain));
}

static void open_pair(ws_t *client, ws_t *server, size_t step)
{
    AUTO(buf_t) none;
    buf_init(&none, 10);
    assert_ok(ws_init_client(client, "example.com:443", "/", 7));
    ws_init_server(server);
    take_output(client, server, step, &none);
    assert_int_equal(server->state, WS_OPEN);
    take_output(server, client, step, &none);
    assert_int_equal(client->state, WS_OPEN);
    assert_int_equal(none.len, 0);
}

/* RFC 6455, 1.2 and 1.3. */
static void test_rfc_handshake(void **state)
{
    ws_t w;
    AUTO(buf_t) plain;
    buf_init(&plain, 100);
    ws_init_server(&w);
    assert_ok(feed(&w, BYTES_LIT(REQUEST), 1, &plain));
    assert_int_equal(w.state, WS_OPEN);
    assert_bytes(ws_output(&w),
                 BYTES_LIT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    ws_output_sent(&w, ws_output(&w).len);
    /* RFC 6455, 5.7: a masked "Hello", in one frame and in two, and a ping between them */
    assert_ok(feed(&w, BYTES_LIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 3, &plain));
    assert_bytes(buf_bytes(&plain), BYTES_LIT("Hello"));
    assert_ok(feed(&w,
                   BYTES_LIT("\x01\x83\0\0\0\0Hel"
                             "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                             "\x80\x82\0\0\0\0lo"),
                   2, &plain));
    assert_bytes(buf_bytes(&plain), BYTES_LIT("HelloHello"));
    assert_bytes(ws_output(&w), BYTES_LIT("\x8a\x05Hello"));
    ws_deinit(&w);
    ws_deinit(&w);
}

static void test_both_ways(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 1000, 65535, 65536, 66000},
                        steps[] = {1, 7, 100000};
    static uint8_t data[66000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13 >> 2);
    for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
        ws_t side[2];
        open_pair(&side[0], &side[1], steps[k]);
        for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
            AUTO(buf_t) wire, plain;
            buf_init(&wire, 70000);
            buf_init(&plain, 70000);
            bytes_t sent = bytes_of(data, lengths[i / 2]);
            assert_ok(ws_seal(&side[i & 1], sent, &wire));
            assert_true(wire.len <= sent.len + WS_HEADER_MAX);
            assert_ok(feed(&side[!(i & 1)], buf_bytes(&wire), steps[k], &plain));
            assert_bytes(buf_bytes(&plain), sent);
        }
        ws_deinit(&side[0]);
        ws_deinit(&side[1]);
    }
}

static void test_end(void **state)
{
    ws_t client, server;
    AUTO(buf_t) wire, plain;
    buf_init(&wire, 1000);
    buf_init(&plain, 1000);
    open_pair(&client, &server, 100);
    assert_ok(ws_seal(&client, BYTES_LIT("last"), &wire));
    assert_ok(ws_seal_end(&client, &wire));
    size_t len = wire.len;
    assert_ok(ws_seal_end(&client, &wire));
    assert_int_equal(wire.len, len);
    assert_ok(feed(&server, buf_bytes(&wire), 1, &plain));
    assert_bytes(buf_bytes(&plain), BYTES_LIT("last"));
    assert_int_equal(server.state, WS_ENDED);
    assert_bytes(ws_output(&server), BYTES_LIT("\x88\x02\x03\xe8"));
    take_output(&server, &client, 1, &plain);
    assert_int_equal(client.state, WS_ENDED);
    assert_int_equal(ws_output(&client).len, 0);
    uint8_t byte = 0;
    size_t used = 9;
    bytes_t part;
    assert_ok(ws_feed(&client, &byte, 1, &used, &part));
    assert_int_equal(used, 0);
    ws_deinit(&client);
    ws_deinit(&server);
}

static void test_bad_requests(void **state)
{
    static const struct {
        bytes_t request;
        const char *answer;
    } cases[] = {
        {BYTES_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 426"},
        {BYTES_LIT("POST / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400"},
        {BYTES_LIT("GET / HTTP/1.0\r\n\r\n"), "HTTP/1.1 400"},
        {BYTES_LIT("GET\r\n\r\n"), "HTTP/1.1 400"},
        {BYTES_LIT("\r\n\r\n"), "HTTP/1.1 400"},
        {BYTES_LIT("GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n"), "HTTP/1.1 426"},
        {BYTES_LIT("GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                   "Sec-WebSocket-Version: 8\r\n\r\n"),
         "HTTP/1.1 426"},
        {BYTES_LIT(
             "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: short\r\n\r\n"),
         "HTTP/1.1 400"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ws_t w;
        AUTO(buf_t) plain;
        buf_init(&plain, 10);
        ws_init_server(&w);
        assert_err(feed(&w, cases[i].request, 5, &plain), ERR_PROTOCOL);
        assert_int_equal(w.state, WS_FAILED);
        assert_true(bytes_starts_with(ws_output(&w), bytes_str(cases[i].answer)));
        assert_err(feed(&w, BYTES_LIT("x"), 5, &plain), ERR_PROTOCOL);
        ws_deinit(&w);
    }
    ws_t w;
    AUTO(buf_t) plain, huge;
    buf_init(&plain, 10);
    buf_init(&huge, 20000);
    for (int i = 0; i < 9000; i++)
        assert_ok(buf_append_u8(&huge, 'a'));
    ws_init_server(&w);
    assert_err(feed(&w, buf_bytes(&huge), 1000, &plain), ERR_LIMIT);
    ws_deinit(&w);
    assert_err(ws_init_client(&w, "a b", "/", 1), ERR_INVALID);
    assert_err(ws_init_client(&w, "a", "/\r\nX: y", 1), ERR_INVALID);
    assert_err(ws_init_client(&w, "", "/", 1), ERR_INVALID);
}

static void test_bad_answers(void **state)
{
    static const bytes_t answers[] = {
        BYTES_LIT("HTTP/1.1 200 OK\r\n\r\n"),
        BYTES_LIT("SSH-2.0-x\r\n\r\n"),
        BYTES_LIT("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        BYTES_LIT("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
        BYTES_LIT("HTTP/1.1 101\r\n\r\n"),
    };
    for (size_t i = 0; i <= ARRAY_LEN(answers); i++) {
        ws_t w;
        AUTO(buf_t) plain, extended;
        buf_init(&plain, 10);
        buf_init(&extended, 1000);
        assert_ok(ws_init_client(&w, "a", "/", 1));
        assert_ok(
            buf_printf(&extended,
                       "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                       w.accept));
        assert_err(feed(&w, i < ARRAY_LEN(answers) ? answers[i] : buf_bytes(&extended), 9, &plain),
                   ERR_PROTOCOL);
        ws_deinit(&w);
    }
}

static void test_bad_frames(void **state)
{
    static const struct {
        bool to_client;
        bytes_t frame;
    } cases[] = {
        {false, BYTES_LIT("\x82\x01x")},        /* not masked */
        {true, BYTES_LIT("\x82\x81\0\0\0\0x")}, /* masked */
        {true, BYTES_LIT("\xc2\x01x")},         /* reserved bit */
        {true, BYTES_LIT("\x83\x01x")},         /* unknown kinds */
        {true, BYTES_LIT("\x8b\x01x")},
        {true, BYTES_LIT("\x80\x01x")},          /* a part of nothing */
        {true, BYTES_LIT("\x02\x01x\x82\x01y")}, /* a message inside another */
        {true, BYTES_LIT("\x09\x01x")},          /* a ping in parts */
        {true, BYTES_LIT("\x89\x7e\0\x80")},     /* a long ping */
        {true, BYTES_LIT("\x82\x7e\0\x01x")},    /* lengths that are longer than they need be */
        {true, BYTES_LIT("\x82\x7f\0\0\0\0\0\0\xff\xff")},
        {true, BYTES_LIT("\x82\x7f\x80\0\0\0\0\0\0\0")}, /* and over 63 bits */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ws_t side[2];
        AUTO(buf_t) plain;
        buf_init(&plain, 100);
        open_pair(&side[0], &side[1], 1000);
        assert_err(feed(&side[!cases[i].to_client], cases[i].frame, 1, &plain), ERR_PROTOCOL);
        ws_deinit(&side[0]);
        ws_deinit(&side[1]);
    }
    ws_t side[2]; /* pings without end, whose answers nobody reads */
    AUTO(buf_t) plain;
    buf_init(&plain, 100);
    open_pair(&side[0], &side[1], 1000);
    err_t e = OK;
    for (int i = 0; i < 10000 && !e; i++)
        e = feed(&side[0], BYTES_LIT("\x89\x04ping"), 100, &plain);
    assert_err(e, ERR_LIMIT);
    assert_true(ws_output(&side[0]).len <= WS_OUTPUT_MAX);
    ws_deinit(&side[0]);
    ws_deinit(&side[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_handshake), cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_end),           cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_answers),   cmocka_unit_test(test_bad_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
