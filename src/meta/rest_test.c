/* What answers, and what stands between, come to. */
#include "meta/rest.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

typedef struct server {
    listener_t *listener;
    const char *answer;
} server_t;

static err_t server_task(task_t *t, void *arg)
{
    server_t *s = arg;
    for (;;) {
        stream_t *stream;
        net_addr_t from;
        uint8_t in[4096];
        size_t n;
        TRY(listener_accept(t, s->listener, &stream, &from));
        err_t e = stream_read(t, stream, in, sizeof in, &n);
        if (!e)
            e = stream_write(t, stream, bytes_str(s->answer));
        stream_close(stream);
        TRY(e == ERR_CANCELED ? e : OK);
    }
}

static err_t ask(task_t *t, const char *address)
{
    rest_t r;
    json_t *answer = NULL;
    assert_ok(rest_init(&r, address, "dsk_of-this-test"));
    err_t e = rest_do(t, &r, "GET", "/chunks/x/locations", NULL, &answer);
    json_decref(answer);
    rest_deinit(&r);
    return e;
}

/* Storage nodes delete what the service does not know: nothing else may sound like that. */
static err_t run_not_found(task_t *t, void *arg)
{
    static const struct {
        const char *answer;
        err_t wanted;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nConnection: "
         "close\r\n\r\n{\"error\":{\"code\":\"not_found\",\"message\":\"no file has it\"}}",
         ERR_NOT_FOUND},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n<html>default backend - 404</html>",
         ERR_PROTOCOL},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"message\":\"no Route matched\"}",
         ERR_PROTOCOL},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ERR_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"locations\":[]}", OK},
    };
    server_t s = {0};
    group_t g;
    net_addr_t at;
    assert_ok(net_addr_parse("10.0.0.1:8080", &at));
    assert_ok(net_listen(task_driver(t), &at, &s.listener));
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "server", server_task, &s, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        s.answer = cases[i].answer;
        assert_err(ask(t, "10.0.0.1:8080"), cases[i].wanted);
    }
    assert_err(ask(t, "http://nowhere.example:8080"), ERR_UNREACHABLE);
    group_stop(t, &g);
    group_deinit(&g);
    listener_close(s.listener);
    return OK;
}

static void not_found_is_the_services_word(void **state)
{
    assert_ok(test_run(run_not_found, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(not_found_is_the_services_word)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
