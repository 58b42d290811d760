/* Servers and clients of gRPC on one machine of the simulation. */
#include "net/grpc.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "web/dial_name.h"

typedef struct world {
    tls_mutual_t *tls, *other;
    grpc_server_t *server;
    size_t canceled, ended;
    grpc_status_t last;
    char field[32];
} world_t;

static err_t echo(task_t *t, grpc_call_t *c, void *arg)
{
    AUTO(buf_t) in = {0};
    buf_init(&in, GRPC_MESSAGE_MAX);
    err_t e;
    const char *field = grpc_call_field(c, "x-test");
    snprintf(((world_t *)arg)->field, sizeof((world_t *)arg)->field, "%s", field ? field : "");
    while (!(e = grpc_recv(t, c, &in)))
        TRY(grpc_send(t, c, buf_bytes(&in)));
    return e == ERR_EOF ? OK : e;
}

static err_t refuse(task_t *t, grpc_call_t *c, void *arg)
{
    return fail(ERR_DENIED, "not for 100%% of \"you\"");
}

static err_t fail_later(task_t *t, grpc_call_t *c, void *arg)
{
    TRY(grpc_send(t, c, BYTES_LIT("first")));
    return fail(ERR_NO_SPACE, "full");
}

static err_t wait_for_ever(task_t *t, grpc_call_t *c, void *arg)
{
    err_t e = task_sleep(t, 1u << 30);
    ((world_t *)arg)->canceled += e != OK;
    return e;
}

static const grpc_method_t methods[] = {{"/t.T/Echo", echo},
                                        {"/t.T/Refuse", refuse},
                                        {"/t.T/FailLater", fail_later},
                                        {"/t.T/Wait", wait_for_ever},
                                        {NULL, NULL}};

static void on_ended(void *arg, const char *path, grpc_status_t status, uint64_t took_ms)
{
    world_t *w = arg;
    w->ended++;
    w->last = status;
}

static tls_mutual_t *make_tls(const char *name)
{
    AUTO(buf_t) certificate, key;
    tls_mutual_t *m;
    buf_init(&certificate, TLS_MUTUAL_PEM_MAX);
    buf_init(&key, TLS_MUTUAL_PEM_MAX);
    assert_ok(tls_mutual_make(name, &certificate, &key));
    assert_ok(tls_mutual_new(buf_bytes(&certificate), buf_bytes(&key), BYTES_NONE, &m));
    return m;
}

static void start(task_t *t, world_t *w, bool has_tls)
{
    *w = (world_t){0};
    net_addr_t at;
    assert_ok(net_addr_parse("10.0.0.1:3001", &at));
    if (has_tls)
        w->tls = make_tls("server");
    w->other = make_tls("client");
    grpc_server_config_t c = {
        .methods = methods, .arg = w, .tls = w->tls, .max_connections = 3, .ended = on_ended};
    assert_ok(grpc_server_start(t, &at, &c, &w->server));
    assert_int_equal(grpc_server_address(w->server).port, 3001);
}

static void stop(task_t *t, world_t *w)
{
    grpc_server_stop(t, w->server);
    tls_mutual_free(w->tls);
    tls_mutual_free(w->other);
}

static grpc_conn_t *connect(task_t *t, world_t *w)
{
    grpc_target_t to = {.address = "10.0.0.1:3001",
                        .tls = w->tls ? w->other : NULL,
                        .fingerprint = w->tls ? tls_mutual_fingerprint(w->tls) : NULL};
    grpc_conn_t *c;
    assert_ok(grpc_connect(t, &to, &c));
    return c;
}

static err_t calls(task_t *t, void *arg)
{
    world_t w;
    start(t, &w, *(bool *)arg);
    grpc_conn_t *c = connect(t, &w);
    AUTO(buf_t) out = {0};
    buf_init(&out, GRPC_MESSAGE_MAX);
    assert_ok(grpc_unary(t, c, "/t.T/Echo", BYTES_LIT("hello"), &out));
    assert_bytes(buf_bytes(&out), BYTES_LIT("hello"));
    assert_ok(grpc_unary(t, c, "/t.T/Echo", BYTES_NONE, &out));
    assert_int_equal(out.len, 0);
    assert_err(grpc_unary(t, c, "/t.T/Refuse", BYTES_LIT("x"), &out), ERR_DENIED);
    assert_string_equal(error_text(ERR_DENIED), "not for 100% of \"you\"");
    assert_err(grpc_unary(t, c, "/t.T/None", BYTES_LIT("x"), &out), ERR_UNSUPPORTED);
    assert_err(grpc_unary(t, c, "/t.T/FailLater", BYTES_LIT("x"), &out), ERR_LIMIT);
    deadline_t d = deadline_push(t, 500);
    assert_err(grpc_unary(t, c, "/t.T/Wait", BYTES_LIT("x"), &out), ERR_TIMEOUT);
    deadline_pop(t, &d);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(w.canceled, 1);
    assert_int_equal(w.ended, 6);
    assert_int_equal(w.last, GRPC_DEADLINE_EXCEEDED);
    assert_true(grpc_conn_is_open(c));
    grpc_conn_close(t, c);
    stop(t, &w);
    return OK;
}

typedef struct stream_job {
    grpc_conn_t *conn;
    size_t messages, bytes;
    group_t group;
} stream_job_t;

static err_t send_all(task_t *t, void *arg)
{
    struct {
        grpc_call_t *call;
        stream_job_t *job;
    } *a = arg;
    uint8_t *data = xcalloc(1, a->job->bytes);
    err_t e = OK;
    for (size_t i = 0; i < a->job->messages && !e; i++) {
        data[0] = (uint8_t)i;
        e = grpc_send(t, a->call, bytes_of(data, a->job->bytes));
    }
    free(data);
    return e ? e : grpc_send_end(a->call);
}

/* Both ways at once, much more than the windows hold. */
static err_t stream_both_ways(task_t *t, void *arg)
{
    stream_job_t *job = arg;
    grpc_call_t *call;
    http_field_t field = {"x-test", "abc"};
    TRY(grpc_call_open(t, job->conn, "/t.T/Echo", &field, 1, &call));
    struct {
        grpc_call_t *call;
        stream_job_t *job;
    } a = {call, job};
    group_t sender;
    group_init(&sender, task_sched(t));
    assert_ok(group_spawn(&sender, "send", send_all, &a, NULL));
    AUTO(buf_t) out = {0};
    buf_init(&out, GRPC_MESSAGE_MAX);
    size_t n = 0;
    err_t e;
    for (; !(e = grpc_recv(t, call, &out)); n++)
        assert_true(out.len == job->bytes && out.data[0] == (uint8_t)n);
    assert_int_equal(n, job->messages);
    assert_int_equal(e, ERR_EOF);
    assert_ok(group_join(t, &sender));
    group_deinit(&sender);
    grpc_call_close(call);
    return OK;
}

static err_t streams(task_t *t, void *arg)
{
    world_t w;
    start(t, &w, true);
    stream_job_t job = {.conn = connect(t, &w), .messages = 4, .bytes = 300000};
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < 5; i++)
        assert_ok(group_spawn(&g, "both", stream_both_ways, &job, NULL));
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_string_equal(w.field, "abc");
    grpc_conn_close(t, job.conn);
    stop(t, &w);
    return OK;
}

/* A server that leaves, a client that leaves, calls that are given up. */
static err_t ends(task_t *t, void *arg)
{
    world_t w;
    grpc_call_t *call;
    AUTO(buf_t) out = {0};
    buf_init(&out, 100);
    start(t, &w, false);
    grpc_conn_t *c = connect(t, &w);
    assert_ok(grpc_call_open(t, c, "/t.T/Wait", NULL, 0, &call));
    assert_ok(task_sleep(t, 10));
    grpc_call_close(call);
    assert_ok(task_sleep(t, 10));
    assert_int_equal(w.canceled, 1);
    assert_ok(grpc_call_open(t, c, "/t.T/Wait", NULL, 0, &call));
    assert_ok(task_sleep(t, 10));
    grpc_server_stop(t, w.server);
    assert_int_equal(w.canceled, 2);
    assert_true(grpc_recv(t, call, &out) != OK);
    assert_ok(task_sleep(t, 10));
    assert_false(grpc_conn_is_open(c));
    assert_true(grpc_send(t, call, BYTES_LIT("x")) == ERR_RESET);
    grpc_call_close(call);
    assert_err(grpc_call_open(t, c, "/t.T/Wait", NULL, 0, &call), ERR_CLOSED);
    grpc_conn_close(t, c);
    w.server = NULL;
    stop(t, &w);
    return OK;
}

static size_t read_until_end(task_t *t, stream_t *s)
{
    uint8_t in[256];
    size_t n, sum = 0;
    while (!stream_read(t, s, in, sizeof in, &n) && n)
        sum += n;
    return sum;
}

/* Silent ones, talkative ones, and too many of them; others are served meanwhile. */
static err_t hostile(task_t *t, void *arg)
{
    world_t w;
    net_addr_t at;
    stream_t *silent, *rude, *more;
    AUTO(buf_t) out = {0};
    buf_init(&out, 100);
    start(t, &w, false);
    assert_ok(net_addr_parse("10.0.0.1:3001", &at));
    assert_ok(net_dial(t, &at, &silent));
    assert_ok(net_dial(t, &at, &rude));
    assert_ok(stream_write(t, rude, BYTES_LIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
    grpc_conn_t *c = connect(t, &w);
    assert_ok(grpc_unary(t, c, "/t.T/Echo", BYTES_LIT("a"), &out));
    read_until_end(t, rude);
    uint64_t before = task_now_ms(t);
    read_until_end(t, silent);
    assert_true(task_now_ms(t) - before <= GRPC_HELLO_MS + 100);
    stream_close(silent);
    stream_close(rude);
    assert_ok(net_dial(t, &at, &silent));
    assert_ok(net_dial(t, &at, &rude));
    assert_ok(net_dial(t, &at, &more));
    before = task_now_ms(t);
    read_until_end(t, more); /* the fourth connection is closed at once */
    assert_true(task_now_ms(t) - before < 100);
    stream_close(more);
    stream_close(silent);
    stream_close(rude);
    assert_ok(grpc_unary(t, c, "/t.T/Echo", BYTES_LIT("b"), &out));
    assert_ok(task_sleep(t, GRPC_IDLE_MS + 1000));
    assert_false(grpc_conn_is_open(c));
    grpc_conn_close(t, c);
    stop(t, &w);
    return OK;
}

static err_t wrong_certificates(task_t *t, void *arg)
{
    world_t w;
    grpc_conn_t *c;
    start(t, &w, true);
    grpc_target_t to = {
        .address = "10.0.0.1:3001", .tls = w.other, .fingerprint = tls_mutual_fingerprint(w.other)};
    assert_err(grpc_connect(t, &to, &c), ERR_CRYPTO);
    to.address = "10.0.0.1:3002";
    assert_true(grpc_connect(t, &to, &c) != OK);
    static const char *const bad[] = {"",   "10.0.0.1", "10.0.0.1:", "10.0.0.1:70000",
                                      ":1", "a/b:1",    "a:1x",      "::1:1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        to.address = bad[i];
        assert_err(grpc_connect(t, &to, &c), ERR_USAGE);
    }
    char host[HOST_NAME_MAX_BYTES];
    uint16_t port;
    assert_ok(host_port_parse("[::1]:42", host, &port));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 42);
    stop(t, &w);
    return OK;
}

static void plain_calls(void **state)
{
    bool has_tls = false;
    assert_ok(test_run(calls, &has_tls));
}

static void secured_calls(void **state)
{
    bool has_tls = true;
    assert_ok(test_run(calls, &has_tls));
}

static void streaming(void **state)
{
    assert_ok(test_run(streams, NULL));
}

static void ending(void **state)
{
    assert_ok(test_run(ends, NULL));
}

static void hostile_clients(void **state)
{
    assert_ok(test_run(hostile, NULL));
}

static void certificates(void **state)
{
    assert_ok(test_run(wrong_certificates, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_calls),     cmocka_unit_test(secured_calls),
                                       cmocka_unit_test(streaming),       cmocka_unit_test(ending),
                                       cmocka_unit_test(hostile_clients), cmocka_unit_test(certificates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
