/* Streams over connections: bulk data, back-pressure, ends, resets, limits, optimistic negotiation. */
#include "tests/support/net.h"

#define SINK "/test/sink/1.0.0"
#define SOURCE "/test/source/1.0.0"
#define HOLD "/test/hold/1.0.0"
enum { BULK = 10 << 20 };

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 131 + (i >> 13));
}

/* Reads to the end, slowly when asked to; checks each byte. */
static err_t read_bulk(task_t *t, stream_t *s, uint32_t pause_ms, uint64_t *ret_total)
{
    uint8_t block[4096];
    uint64_t total = 0;
    for (size_t n;; total += n) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            break;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], byte_at(total + i));
        if (pause_ms)
            TRY(task_sleep(t, pause_ms));
    }
    *ret_total = total;
    return OK;
}

static err_t write_bulk(task_t *t, stream_t *s, uint64_t total)
{
    uint8_t block[5000];
    for (uint64_t done = 0; done < total;) {
        size_t n = total - done < sizeof block ? (size_t)(total - done) : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(done + i);
        TRY(stream_write(t, s, bytes_of(block, n)));
        done += n;
    }
    return stream_close_write(s);
}

typedef struct sink {
    uint32_t pause_ms;
    uint64_t total;
    err_t result;
    size_t calls;
} sink_t;

static err_t serve_sink(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    sink_t *sink = arg;
    sink->calls++;
    sink->result = read_bulk(t, s, sink->pause_ms, &sink->total);
    TRY(sink->result);
    TRY(stream_write(t, s, BYTES_LIT("done")));
    stream_close(s);
    return OK;
}

static err_t serve_source(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    TRY(write_bulk(t, s, BULK));
    stream_close(s);
    return OK;
}

/* Holds the stream until the other side ends it. */
static err_t serve_hold(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t byte;
    size_t n;
    err_t e = stream_read(t, s, &byte, 1, &n);
    if (arg)
        *(err_t *)arg = e;
    TRY(e);
    stream_close(s);
    return OK;
}

static stream_t *open_one(task_t *t, host_t *from, host_t *to, const char *protocol)
{
    stream_t *s;
    assert_ok(host_open_stream(t, from, host_id(to), &protocol, 1, &s, NULL));
    return s;
}

static err_t bulk_both_ways(task_t *t, void *arg)
{
    net_world_t *w = arg;
    sink_t sink = {.pause_ms = 1};
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    assert_ok(host_handle(b, SINK, NULL, serve_sink, &sink));
    assert_ok(host_handle(b, SOURCE, NULL, serve_source, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));

    stream_t *s = open_one(t, a, b, SINK);
    assert_ok(write_bulk(t, s, BULK));
    uint8_t done[4];
    assert_ok(stream_read_full(t, s, done, 4));
    assert_memory_equal(done, "done", 4);
    stream_close(s);
    assert_int_equal(sink.total, BULK);
    /* the reader was slower than the writer: what waits is bounded by windows and queues */
    assert_in_range(host_limit(b)->peak, 1, 4 << 20);
    assert_in_range(host_limit(a)->peak, 1, 1 << 20);

    s = open_one(t, a, b, SOURCE);
    uint64_t total;
    assert_ok(read_bulk(t, s, 0, &total));
    assert_int_equal(total, BULK);
    stream_close(s);
    uint64_t in, out;
    conn_bytes(c, &in, &out);
    assert_in_range(in, BULK, BULK + BULK / 50);
    assert_in_range(out, BULK, BULK + BULK / 50);
    conn_release(c);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(host_limit(a)->used, net_idle_bytes(a));
    assert_int_equal(host_limit(b)->used, net_idle_bytes(b));
    net_stop_all(t, w);
    return OK;
}

static err_t resets(task_t *t, void *arg)
{
    net_world_t *w = arg;
    err_t seen = OK;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    assert_ok(host_handle(b, HOLD, NULL, serve_hold, &seen));
    conn_t *c = net_connect(t, w, 0, 1);
    stream_t *s = open_one(t, a, b, HOLD);
    assert_ok(stream_write(t, s, BYTES_NONE));
    assert_ok(task_sleep(t, 100));
    stream_reset(s);
    uint8_t byte;
    size_t n;
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_CLOSED);
    assert_err(stream_write(t, s, BYTES_LIT("x")), ERR_CLOSED);
    stream_close(s);
    assert_ok(task_sleep(t, 100));
    assert_int_equal(seen, ERR_RESET);

    /* the end of the connection ends its streams on both sides */
    seen = OK;
    s = open_one(t, a, b, HOLD);
    assert_ok(task_sleep(t, 100));
    conn_close(c);
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_CLOSED);
    assert_err(conn_open_stream(t, c, (const char *const[]){HOLD}, 1, &s, NULL), ERR_CLOSED);
    stream_close(s);
    assert_ok(task_sleep(t, 100));
    assert_int_equal(seen, ERR_RESET);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* A peer may have so many streams of one protocol and no more; others go on. */
static err_t stream_limits(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    protocol_options_t opt = {.max_inbound_per_peer = 3};
    assert_ok(host_handle(b, HOLD, &opt, serve_hold, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    stream_t *s[5];
    uint8_t byte;
    size_t n;
    for (int i = 0; i < 5; i++)
        s[i] = open_one(t, a, b, HOLD);
    assert_ok(task_sleep(t, 200));
    for (int i = 0; i < 5; i++) {
        err_t e = stream_try_read(s[i], &byte, 1, &n);
        assert_int_equal(e, i < 3 ? ERR_AGAIN : ERR_RESET);
        stream_close(s[i]);
    }
    double rtt_ms;
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t unsupported(task_t *t, void *arg)
{
    net_world_t *w = arg;
    sink_t sink = {0};
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    assert_ok(host_handle(b, SINK, NULL, serve_sink, &sink));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    stream_t *s;
    const char *const none[] = {"/none/1", "/none/2"};
    assert_err(conn_open_stream(t, c, none, 2, &s, NULL), ERR_UNSUPPORTED);
    /* the peer stops speaking it between identify and the optimistic proposal */
    host_unhandle(b, SINK);
    s = open_one(t, a, b, SINK);
    uint8_t byte;
    size_t n;
    assert_ok(stream_write(t, s, BYTES_LIT("early")));
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_UNSUPPORTED);
    stream_close(s);
    assert_int_equal(sink.calls, 0);
    /* push tells it, so that the next one does not try */
    assert_ok(task_sleep(t, 2000));
    assert_false(peerstore_speaks(host_peerstore(a), host_id(b), SINK));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t serve_early_return(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    return fail(ERR_INVALID, "this handler leaves the stream to the host");
}

static err_t serve_closed_then_failed(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    stream_close(s);
    uint8_t byte;
    size_t n;
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_CLOSED);
    return fail(ERR_INVALID, "failed after closing");
}

static err_t handlers_that_fail(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    assert_ok(host_handle(b, "/test/left", NULL, serve_early_return, NULL));
    assert_ok(host_handle(b, "/test/closed", NULL, serve_closed_then_failed, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c)); /* proposals are optimistic now */
    uint8_t byte;
    size_t n = 1;
    stream_t *s = open_one(t, a, b, "/test/left");
    assert_err(stream_read(t, s, &byte, 1, &n), ERR_RESET);
    stream_close(s);
    s = open_one(t, a, b, "/test/closed");
    assert_ok(stream_read(t, s, &byte, 1, &n));
    assert_int_equal(n, 0);
    stream_close(s);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* More streams at once than the peer acknowledges at once: the opener waits and all get through. */
typedef struct many {
    net_world_t *w;
    conn_t *conn;
    size_t n_done;
} many_t;

static err_t open_hold(task_t *t, void *arg)
{
    many_t *m = arg;
    stream_t *s;
    const char *const protocols[] = {HOLD};
    TRY(conn_open_stream(t, m->conn, protocols, 1, &s, NULL));
    m->n_done++;
    stream_close(s);
    return OK;
}

static err_t many_streams(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    protocol_options_t opt = {.max_inbound_per_peer = 10000};
    assert_ok(host_handle(w->nodes[1].host, HOLD, &opt, serve_hold, NULL));
    many_t m = {w, net_connect(t, w, 0, 1), 0};
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < 600; i++)
        assert_ok(group_spawn(&g, "open", open_hold, &m, NULL));
    assert_ok(group_join(t, &g));
    assert_int_equal(m.n_done, 600);
    conn_release(m.conn);
    net_stop_all(t, w);
    return OK;
}

static void test_bulk_both_ways(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_ok(net_run(seed, 2, bulk_both_ways, NULL, NULL));
}
static void test_resets(void **state)
{
    assert_ok(net_run(1, 2, resets, NULL, NULL));
}
static void test_stream_limits(void **state)
{
    assert_ok(net_run(1, 2, stream_limits, NULL, NULL));
}
static void test_unsupported(void **state)
{
    assert_ok(net_run(1, 2, unsupported, NULL, NULL));
}
static void test_handlers_that_fail(void **state)
{
    assert_ok(net_run(1, 2, handlers_that_fail, NULL, NULL));
}
static void test_many_streams(void **state)
{
    assert_ok(net_run(1, 2, many_streams, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_both_ways),     cmocka_unit_test(test_resets),
        cmocka_unit_test(test_stream_limits),      cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_handlers_that_fail), cmocka_unit_test(test_many_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
