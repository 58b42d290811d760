#include "loop/http_server.h"
#include "loop/http_testing.h"

enum { CLIENTS = 8, ANSWER_BYTES = 64 << 20 };

static err_t handle(task_t *t, exchange_t *x, void *arg)
{
    static uint8_t piece[1 << 20];
    if (strcmp(x->path, "/big") != 0)
        return exchange_reply(t, x, 200, "text/plain", BYTES_LIT("hello\n"));
    TRY(exchange_begin(x, 200, ANSWER_BYTES));
    for (size_t sent = 0; sent < ANSWER_BYTES; sent += sizeof piece)
        TRY(exchange_write(t, x, bytes_of(piece, sizeof piece)));
    return OK;
}

/* Newcomers are told that there is no room, until those who have waited longest are cut. */
static err_t come_and_go(task_t *t, const net_addr_t *at, buf_t *out)
{
    bool was_refused = false, is_served = false;
    uint64_t until_ms = task_now_ms(t) + 20000;
    while (!(was_refused && is_served) && task_now_ms(t) < until_ms) {
        TRY(talk_at(t, at, BYTES_LIT("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), out));
        was_refused |= has(out, " 503 ") && has(out, "read slowly");
        is_served = ends_with(out, "hello\n");
        TRY(task_sleep(t, 20));
    }
    CHECK(was_refused && is_served);
    return OK;
}

/* Clients that ask for much and read nothing: what waits for them has a bound. */
static err_t play(task_t *t, void *arg)
{
    http_server_t *server;
    stream_t *s[CLIENTS];
    AUTO(buf_t) out = {0};
    http_limits_t limits = {.max_held_bytes = 600 << 10, .slow_after_s = 1};
    net_addr_t at = loopback(0);
    buf_init(&out, 1 << 20);
    TRY(http_server_start(task_driver(t), task_sched(t), &at, &limits, handle, NULL, &server));
    at = http_server_address(server);
    for (size_t i = 0; i < CLIENTS; i++) {
        TRY(net_dial(t, &at, &s[i]));
        TRY(stream_write(t, s[i], BYTES_LIT("GET /big HTTP/1.1\r\nHost: h\r\n\r\n")));
    }
    err_t e = come_and_go(t, &at, &out);
    for (size_t i = 0; i < CLIENTS; i++)
        stream_close(s[i]);
    http_server_stop(t, server, 1000);
    return e;
}

static void slow_readers(void **state)
{
    run_on_driver(play, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slow_readers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
