#include "base/log.h"
#include "net/span.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

typedef struct collector {
    listener_t *listener;
    buf_t got;
    size_t requests;
} collector_t;

static err_t collect(task_t *t, void *arg)
{
    collector_t *c = arg;
    for (;;) {
        stream_t *s;
        net_addr_t from;
        uint8_t in[4096];
        size_t n, length;
        TRY(listener_accept(t, c->listener, &s, &from));
        buf_clear(&c->got);
        const char *text, *end = NULL, *field;
        do {
            assert_ok(stream_read(t, s, in, sizeof in, &n));
            assert_ok(buf_append(&c->got, bytes_of(in, n)));
            assert_ok(buf_cstr(&c->got, &text));
            end = strstr(text, "\r\n\r\n");
            field = strcasestr(text, "content-length: ");
            length = field ? strtoul(field + 16, NULL, 10) : 0;
        } while (n && (!end || strlen(end + 4) < length));
        c->requests++;
        assert_ok(stream_write(t, s, BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")));
        stream_close(s);
    }
}

static err_t traces(task_t *t, void *arg)
{
    static const char incoming[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char *const bad[] = {"",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"};
    trace_span_t s, child;
    char text[TRACEPARENT_CHARS + 1];
    span_begin(t, &s, SPAN_SERVER, "a", incoming);
    assert_string_equal(s.trace, "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(s.parent, "b7ad6b7169203331");
    assert_string_equal(log_trace(), s.trace);
    span_begin(t, &child, SPAN_CLIENT, "b", NULL);
    assert_string_equal(child.trace, s.trace);
    assert_string_not_equal(child.id, s.id);
    span_traceparent(&child, text);
    assert_int_equal(strlen(text), TRACEPARENT_CHARS);
    span_begin(t, &s, SPAN_SERVER, "c", text);
    assert_string_equal(s.parent, child.id);
    task_set_trace(t, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        span_begin(t, &s, SPAN_SERVER, "d", bad[i]);
        assert_string_equal(s.parent, "");
        assert_int_equal(strlen(s.trace), 32);
        assert_string_not_equal(s.trace, "0af7651916cd43dd8448eb211c80319c");
        task_set_trace(t, NULL);
    }
    span_begin(t, &s, SPAN_SERVER, "e",
               "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-of-later-versions");
    assert_string_equal(s.parent, "b7ad6b7169203331");
    span_end(t, &s, false, NULL); /* nobody takes it */
    return OK;
}

static err_t exports(task_t *t, void *arg)
{
    collector_t c = {0};
    group_t g;
    net_addr_t at;
    span_exporter_t *e;
    trace_span_t s;
    const char *text;
    buf_init(&c.got, 1 << 20);
    group_init(&g, task_sched(t));
    assert_ok(net_addr_parse("10.0.0.1:4318", &at));
    assert_ok(net_listen(task_driver(t), &at, &c.listener));
    assert_ok(group_spawn(&g, "collector", collect, &c, NULL));
    assert_err(span_exporter_start(t, "collector", "x", &e), ERR_USAGE);
    assert_false(span_is_exported());
    assert_ok(span_exporter_start(t, "http://10.0.0.1:4318", "distribute-test", &e));
    assert_true(span_is_exported());
    span_begin(t, &s, SPAN_SERVER, "GET \"/x\"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_ok(task_sleep(t, 20));
    span_end(t, &s, true, "500");
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(c.requests, 1);
    assert_ok(buf_cstr(&c.got, &text));
    assert_non_null(strstr(text, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(text, "\"stringValue\":\"distribute-test\""));
    assert_non_null(strstr(text, "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\""));
    assert_non_null(strstr(text, "\"parentSpanId\":\"b7ad6b7169203331\",\"kind\":2,"));
    assert_non_null(strstr(
        text, "\"name\":\"GET /x\",\"attributes\":[{\"key\":\"detail\",\"value\":{\"stringValue\":\"500\"}}],"
              "\"status\":{\"code\":2}"));
    for (int i = 0; i < SPANS_MAX + 10; i++) { /* more than wait: the oldest are lost */
        span_begin(t, &s, SPAN_INTERNAL, "many", NULL);
        span_end(t, &s, false, NULL);
    }
    span_exporter_stop(t, e);
    assert_int_equal(c.requests, 1 + SPANS_MAX / 256);
    assert_false(span_is_exported());
    /* a collector that is not there costs spans, nothing else */
    assert_ok(span_exporter_start(t, "http://10.0.0.1:9/", "distribute-test", &e));
    span_begin(t, &s, SPAN_INTERNAL, "lost", NULL);
    span_end(t, &s, false, NULL);
    assert_ok(task_sleep(t, 20000));
    span_exporter_stop(t, e);
    span_exporter_stop(t, NULL);
    group_stop(t, &g);
    group_deinit(&g);
    listener_close(c.listener);
    buf_deinit(&c.got);
    return OK;
}

static void contexts(void **state)
{
    assert_ok(test_run(traces, NULL));
}

static void exporting(void **state)
{
    assert_ok(test_run(exports, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(contexts), cmocka_unit_test(exporting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
