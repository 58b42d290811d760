#include "base/metrics.h"
#include "net/host.h"
#include "tests/support/net.h"

#define ECHO "/test/echo/1.0.0"

static err_t echo(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[4096];
    size_t n;
    for (;;) {
        TRY(stream_read(t, s, block, sizeof block, &n)); /* on an error the host resets the stream */
        if (!n)
            break;
        TRY(stream_write(t, s, bytes_of(block, n)));
    }
    stream_close(s);
    return OK;
}

static stream_t *open_echo(task_t *t, host_t *h, const peer_id_t *peer)
{
    static const char *const protocols[] = {"/test/none", ECHO};
    stream_t *s;
    const char *protocol;
    assert_ok(host_open_stream(t, h, peer, protocols, 2, &s, &protocol));
    assert_string_equal(protocol, ECHO);
    return s;
}

static err_t two_hosts(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    assert_ok(host_handle(b, ECHO, NULL, echo, NULL));
    conn_t *c = net_connect(t, w, 0, 1);
    assert_true(peer_id_equal(conn_peer(c), host_id(b)));
    assert_true(host_is_connected(a, host_id(b)));
    assert_int_equal(host_conn_count(a), 1);
    assert_false(conn_is_inbound(c));
    assert_string_equal(conn_muxer(c), "/yamux/1.0.0");

    assert_ok(conn_wait_identified(t, c));
    peerstore_t *ps = host_peerstore(a);
    assert_string_equal(peerstore_agent(ps, host_id(b)), "distribute/test");
    assert_true(peerstore_speaks(ps, host_id(b), ECHO));
    assert_true(peerstore_speaks(ps, host_id(b), "/ipfs/id/1.0.0"));
    assert_false(peerstore_speaks(ps, host_id(b), "/test/none"));
    multiaddr_t addr;
    assert_int_equal(peerstore_addrs(ps, host_id(b), &addr, 1), 1);

    double rtt_ms;
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    assert_true(rtt_ms >= 10 && rtt_ms <= 60);
    assert_in_range(peerstore_latency_ms(ps, host_id(b)), 10, 40);

    stream_t *s = open_echo(t, a, host_id(b));
    assert_ok(stream_write(t, s, BYTES_LIT("hello")));
    uint8_t back[5];
    assert_ok(stream_read_full(t, s, back, 5));
    assert_memory_equal(back, "hello", 5);
    const char *names[4];
    assert_int_equal(conn_stream_protocols(c, names, 4), 1);
    assert_string_equal(names[0], ECHO);
    assert_ok(stream_close_write(s));
    size_t n;
    assert_ok(stream_read(t, s, back, 5, &n));
    assert_int_equal(n, 0);
    stream_close(s);
    conn_close(c);
    assert_false(conn_is_open(c));
    conn_release(c);
    assert_false(host_is_connected(a, host_id(b)));
    assert_ok(task_sleep(t, 1000));
    assert_false(host_is_connected(b, host_id(a)));
    AUTO(buf_t) metrics;
    buf_init(&metrics, 65536);
    const char *text;
    assert_ok(metrics_print(&metrics));
    assert_ok(buf_cstr(&metrics, &text));
    assert_non_null(strstr(text, "libp2p_swarm_connections_opened_total{dir=\"inbound\"} 1\n"));
    assert_non_null(strstr(text, "libp2p_swarm_connections_closed_total{dir=\"outbound\"} 1\n"));
    net_stop_all(t, w);
    return OK;
}

static void test_two_hosts(void **state)
{
    assert_ok(net_run(1, 2, two_hosts, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
