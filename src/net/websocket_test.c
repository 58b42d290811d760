/* Hosts that reach each other by WebSocket, alone and on one port with raw TCP; in public and private
 * networks. */
#include "net/host_internal.h"
#include "net/stacked.h"
#include "net/websocket.h"
#include "tests/support/net.h"

/* The address of node i with what follows the port. */
static multiaddr_t addr_of(net_world_t *w, size_t i, const char *suffix)
{
    char text[MULTIADDR_TEXT_MAX], id[PEER_ID_TEXT_MAX];
    multiaddr_t m;
    snprintf(text, sizeof text, "/ip4/10.0.0.%zu/tcp/%d%s/p2p/%s", i + 1, NET_PORT, suffix,
             peer_id_print(host_id(w->nodes[i].host), id));
    assert_ok(multiaddr_parse(text, &m));
    return m;
}

static void listen_on(task_t *t, net_world_t *w, size_t i, const char *suffix)
{
    multiaddr_t full = addr_of(w, i, suffix), bare;
    multiaddr_without_peer(&full, &bare);
    assert_ok(host_listen(t, w->nodes[i].host, &bare));
}

#define BULK "/test/bulk/1.0.0"
enum { BULK_BYTES = 3 << 20, BULK_MS = 8000 };

static err_t serve_bulk(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    static uint8_t block[200000];
    for (size_t at = 0; at < BULK_BYTES; at += sizeof block)
        TRY(stream_write(t, s, bytes_slice(bytes_of(block, sizeof block), 0, BULK_BYTES - at)));
    return stream_close_write(s);
}

/* Much in one direction, without a stall on the way. */
static void fetch_bulk(task_t *t, net_world_t *w)
{
    static const char *const protocols[] = {BULK};
    static uint8_t block[100000];
    stream_t *s;
    uint64_t began = task_now_ms(t);
    size_t at = 0;
    assert_ok(host_open_stream(t, w->nodes[0].host, host_id(w->nodes[1].host), protocols, 1, &s, NULL));
    for (size_t n = 1; n; at += n)
        assert_ok(stream_read(t, s, block, sizeof block, &n));
    assert_int_equal(at, BULK_BYTES);
    assert_in_range(task_now_ms(t) - began, 0, BULK_MS);
    stream_close(s);
}

static void check_conn(task_t *t, net_world_t *w, const char *suffix, bool is_websocket)
{
    multiaddr_t to = addr_of(w, 1, suffix);
    multiaddr_part_t part;
    conn_t *c;
    double ms;
    assert_ok(host_connect_addr(t, w->nodes[0].host, &to, &c));
    assert_ok(conn_wait_identified(t, c));
    assert_ok(host_ping(t, w->nodes[0].host, host_id(w->nodes[1].host), &ms));
    assert_int_equal(multiaddr_find(conn_remote_addr(c), MA_WS, &part), is_websocket);
    conn_t *back = host_conn(w->nodes[1].host, host_id(w->nodes[0].host));
    assert_int_equal(multiaddr_find(conn_remote_addr(back), MA_WS, &part), is_websocket);
    fetch_bulk(t, w);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 100000)); /* the other side sees it, and what identify told is forgotten */
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
}

/* The dialer knows the one address alone. */
static err_t one_port(task_t *t, void *arg)
{
    static const uint8_t key[32] = {1};
    net_world_t *w = arg;
    w->swarm_key = w->arg ? key : NULL;
    net_start(t, w, 1); /* TCP */
    listen_on(t, w, 1, "/ws");
    assert_ok(host_handle(w->nodes[1].host, BULK, NULL, serve_bulk, NULL));
    multiaddr_t addrs[4], again = addr_of(w, 1, "/ws");
    assert_int_equal(host_listen_addrs(w->nodes[1].host, addrs, 4), 2);
    assert_err(host_listen(t, w->nodes[1].host, &again), ERR_IN_USE);
    for (int i = 0; i < 2; i++) {
        net_start(t, w, 0);
        check_conn(t, w, i ? "/ws" : "", i);
        net_stop(t, w, 0);
    }
    net_stop_all(t, w);
    return OK;
}

static void test_one_port(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_ok(net_run(seed, 2, one_port, NULL, NULL));
        assert_ok(net_run(seed, 2, one_port, (void *)1, NULL));
    }
}

/* What follows the handshake is no WebSocket any more: the connection ends, and tries to say so. */
static err_t broken_later(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 1);
    net_start(t, w, 0);
    listen_on(t, w, 1, "/ws");
    multiaddr_t to = addr_of(w, 1, "/ws");
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[0].host, &to, &c));
    assert_ok(conn_wait_identified(t, c));
    assert_ok(stream_write(t, ((stacked_t *)c->raw)->below, BYTES_LIT("\xff\x80\1\2\3\4")));
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_false(conn_is_open(c));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_broken_later(void **state)
{
    assert_ok(net_run(1, 2, broken_later, NULL, NULL));
}

/* Frames without content, as fast as they go. */
static err_t empty_frames(task_t *t, void *arg)
{
    enum { COUNT = 60000 };
    net_world_t *w = arg;
    net_start(t, w, 1);
    net_start(t, w, 0);
    listen_on(t, w, 1, "/ws");
    multiaddr_t to = addr_of(w, 1, "/ws");
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[0].host, &to, &c));
    assert_ok(conn_wait_identified(t, c));
    uint8_t *frames = xmalloc(COUNT * 6);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(frames + 6 * i, "\x82\x80\1\2\3\4", 6);
    err_t e = stream_write(t, ((stacked_t *)c->raw)->below, bytes_of(frames, COUNT * 6));
    free(frames);
    assert_true(!e || e == ERR_RESET || e == ERR_CLOSED);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_empty_frames(void **state)
{
    assert_ok(net_run(1, 2, empty_frames, NULL, NULL));
}

/* A port for WebSocket alone, and bytes that are none. */
static err_t websocket_alone(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_config_t c = {.key = w->nodes[1].key, .agent = "test", .limits = w->limits, .without_tcp = true};
    assert_ok(host_new(sim_host_sched(w->nodes[1].machine), &c, &w->nodes[1].host));
    listen_on(t, w, 1, "/ws");
    assert_ok(host_handle(w->nodes[1].host, BULK, NULL, serve_bulk, NULL));
    multiaddr_t plain = addr_of(w, 1, ""), secure = addr_of(w, 1, "/tls/ws"), bare;
    multiaddr_without_peer(&plain, &bare);
    assert_err(host_listen(t, w->nodes[1].host, &bare), ERR_UNSUPPORTED);
    net_start(t, w, 0);
    conn_t *conn;
    assert_err(host_connect_addr(t, w->nodes[0].host, &plain, &conn), ERR_UNREACHABLE);
    assert_err(host_connect_addr(t, w->nodes[0].host, &secure, &conn), ERR_UNREACHABLE);
    net_stop(t, w, 0);
    net_start(t, w, 0);
    check_conn(t, w, "/ws", true);
    net_stop_all(t, w);
    return OK;
}

static void test_websocket_alone(void **state)
{
    assert_ok(net_run(1, 2, websocket_alone, NULL, NULL));
}

/* Peers that stall, or send something else, on a port that two transports share. */
static err_t hostile(task_t *t, void *arg)
{
    static const struct {
        bytes_t bytes;
        bool stalls;
    } inputs[] = {
        {BYTES_NONE, true},
        {BYTES_LIT("G"), true},
        {BYTES_LIT("GET / HTTP/1.1\r\nHost: a\r\n"), true},
        {BYTES_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), false},
        {BYTES_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), false},
        {BYTES_LIT("\x13/multistream/1.0.0\n"), true},
        {BYTES_LIT(
             "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
         true},
        {BYTES_LIT(
             "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x05hello"),
         false},
    };
    net_world_t *w = arg;
    net_start(t, w, 1);
    listen_on(t, w, 1, "/ws");
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        net_addr_t at = sim_host_addr(w->nodes[1].machine, NET_PORT);
        uint64_t began = task_now_ms(t);
        uint8_t block[256];
        size_t n;
        stream_t *s;
        assert_ok(net_dial(t, &at, &s));
        if (inputs[i].bytes.len)
            assert_ok(stream_write(t, s, inputs[i].bytes));
        while (!stream_read(t, s, block, sizeof block, &n) && n)
            ;
        if (inputs[i].stalls)
            assert_in_range(task_now_ms(t) - began, 14900, 31000);
        else
            assert_in_range(task_now_ms(t) - began, 0, 1000);
        stream_close(s);
    }
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
    net_stop_all(t, w);
    return OK;
}

static void test_hostile(void **state)
{
    assert_ok(net_run(1, 2, hostile, NULL, NULL));
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        int transport; /* -1: none */
        const char *name;
    } cases[] = {
        {"/ip4/1.2.3.4/tcp/5", TRANSPORT_TCP, ""},
        {"/ip4/1.2.3.4/tcp/5/ws", TRANSPORT_WS, ""},
        {"/ip6/::1/tcp/5/wss", TRANSPORT_WSS, ""},
        {"/ip4/1.2.3.4/tcp/5/tls/ws", TRANSPORT_WSS, ""},
        {"/ip4/1.2.3.4/tcp/5/tls/sni/example.com/ws", TRANSPORT_WSS, "example.com"},
        {"/ip4/1.2.3.4/tcp/5/ws/p2p/12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv", TRANSPORT_WS, ""},
        {"/ip4/1.2.3.4/tcp/5/tls", -1, ""},
        {"/ip4/1.2.3.4/tcp/5/ws/ws", -1, ""},
        {"/ip4/1.2.3.4/tcp/5/tls/wss", -1, ""},
        {"/ip4/1.2.3.4/tcp/5/ws/tls", -1, ""},
        {"/ip4/1.2.3.4/udp/5/quic-v1", TRANSPORT_QUIC, ""},
        {"/ip4/1.2.3.4/udp/5/quic-v1/webtransport", -1, ""},
        {"/ip4/1.2.3.4/udp/5/quic", -1, ""},
        {"/ip4/1.2.3.4/udp/5", -1, ""},
        {"/dns4/example.com/tcp/5/ws", -1, ""},
        {"/ip4/1.2.3.4/tcp/5/p2p/12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv/p2p-circuit", -1, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        multiaddr_t m;
        endpoint_t e;
        assert_ok(multiaddr_parse(cases[i].text, &m));
        if (cases[i].transport < 0) {
            assert_err(endpoint_of_multiaddr(&m, &e), ERR_UNSUPPORTED);
            continue;
        }
        assert_ok(endpoint_of_multiaddr(&m, &e));
        assert_int_equal(e.transport, cases[i].transport);
        assert_int_equal(e.at.port, 5);
        assert_string_equal(e.name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_port),     cmocka_unit_test(test_broken_later),
        cmocka_unit_test(test_empty_frames), cmocka_unit_test(test_websocket_alone),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
