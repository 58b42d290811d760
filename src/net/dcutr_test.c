/* From a relayed connection to a direct one: reversed, at the same moment, or not at all. */
#include "net/nat_internal.h"
#include "net/transport.h"
#include "tests/support/net.h"
#include "wire/dcutr.h"

#define ECHO "/test/echo/1.0.0"
enum { A = 0, R = 1, B = 2 };

static err_t echo(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t byte;
    size_t n;
    TRY(stream_read(t, s, &byte, 1, &n));
    return stream_write(t, s, bytes_of(&byte, n));
}

/* B has a reservation at R, and nobody dials it. */
static void start(task_t *t, net_world_t *w)
{
    net_start_all(t, w);
    for (size_t i = 0; i < w->n; i++) {
        nat_config_t c;
        nat_config_default(&c);
        c.dials_private = true;
        c.asks_autonat = c.finds_relays = false;
        assert_ok(host_start_nat(w->nodes[i].host, &c));
        assert_ok(host_handle(w->nodes[i].host, ECHO, NULL, echo, NULL));
    }
    host_force_reachability(w->nodes[R].host, REACHABILITY_PUBLIC);
    host_force_reachability(w->nodes[B].host, REACHABILITY_PRIVATE);
    assert_ok(host_add_relay(w->nodes[B].host, &w->nodes[R].addr));
    relay_stats_t stats;
    do {
        assert_ok(task_sleep(t, 100));
        host_relay_stats(w->nodes[B].host, &stats);
    } while (!stats.relays);
}

static conn_t *dial_circuit(task_t *t, net_world_t *w)
{
    multiaddr_t addr = w->nodes[R].addr;
    conn_t *c;
    assert_ok(multiaddr_append(&addr, MA_P2P_CIRCUIT, BYTES_NONE));
    assert_ok(multiaddr_with_peer(&addr, host_id(w->nodes[B].host), &addr));
    assert_ok(host_connect_addr(t, w->nodes[A].host, &addr, &c));
    assert_true(conn_is_limited(c));
    return c;
}

static void wait_direct(task_t *t, net_world_t *w, uint64_t ms)
{
    uint64_t end = task_now_ms(t) + ms;
    while (task_now_ms(t) < end && !host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)))
        assert_ok(task_sleep(t, 50));
    assert_true(host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)));
    assert_ok(task_sleep(t, 100)); /* the last word of the handshake */
    assert_true(host_is_connected(w->nodes[B].host, host_id(w->nodes[A].host)));
}

static uint16_t port_of(const conn_t *c)
{
    endpoint_t e;
    assert_ok(endpoint_of_multiaddr(conn_remote_addr(c), &e));
    return e.at.port;
}

/* A can be dialed: B does so as soon as it knows A, and not from the port that holes are punched for. A
 * stream that was asked for meanwhile waits for it. */
static err_t reversed(task_t *t, void *arg)
{
    net_world_t *w = arg;
    static const char *const public_ips[] = {"5.5.5.1", "5.5.5.2", "5.5.5.3"};
    for (size_t i = 0; i < w->n; i++)
        w->nodes[i].machine = sim_add_host(w->sim, public_ips[i]);
    start(t, w);
    sim_refuse_dials(w->nodes[B].machine, true);
    conn_t *c = dial_circuit(t, w);
    static const char *const protocols[] = {ECHO};
    stream_t *s;
    assert_ok(host_open_stream(t, w->nodes[A].host, host_id(w->nodes[B].host), protocols, 1, &s, NULL));
    assert_ok(stream_write(t, s, BYTES_LIT("x")));
    uint8_t back;
    assert_ok(stream_read_full(t, s, &back, 1));
    stream_close(s);
    wait_direct(t, w, 1);
    conn_t *direct = host_conn(w->nodes[A].host, host_id(w->nodes[B].host));
    assert_false(multiaddr_is_circuit(conn_remote_addr(direct)));
    assert_true(conn_is_inbound(direct));
    assert_int_not_equal(port_of(direct), NET_PORT);
    assert_int_equal(port_of(host_conn(w->nodes[R].host, host_id(w->nodes[B].host))), NET_PORT);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* The way is closed until both have sent something: here, for a while. The one who dialed the relay is the
 * dialer of the connection that comes of it. */
static err_t same_moment(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w);
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
    conn_t *c = dial_circuit(t, w);
    assert_ok(task_sleep(t, 7000)); /* reversing was given up after 5 s */
    assert_false(host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)));
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, false);
    wait_direct(t, w, 20000);
    assert_false(conn_is_inbound(host_conn(w->nodes[A].host, host_id(w->nodes[B].host))));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* Three times, and no more; the relayed connection stays in use. */
static err_t in_vain(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w);
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
    conn_t *c = dial_circuit(t, w);
    assert_ok(task_sleep(t, 60000));
    assert_false(host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)));
    double rtt_ms;
    assert_ok(host_ping(t, w->nodes[A].host, host_id(w->nodes[B].host), &rtt_ms));
    static const char *const protocols[] = {ECHO};
    stream_t *s;
    assert_err(host_open_stream(t, w->nodes[A].host, host_id(w->nodes[B].host), protocols, 1, &s, NULL),
               ERR_UNSUPPORTED);
    assert_true(conn_is_open(c));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* A speaks DCUtR only after the circuit stands, and tells so. */
static err_t late(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w);
    host_unhandle(w->nodes[A].host, DCUTR_PROTOCOL);
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
    conn_t *c = dial_circuit(t, w);
    assert_ok(task_sleep(t, 30000));
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, false);
    assert_ok(task_sleep(t, 30000));
    assert_false(host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)));
    assert_ok(dcutr_start(w->nodes[A].host));
    wait_direct(t, w, 20000);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t hostile(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w);
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
    conn_t *c = net_connect(t, w, A, R), *relayed = dial_circuit(t, w);
    static const char *const protocols[] = {DCUTR_PROTOCOL};
    stream_t *s;
    uint8_t byte;
    size_t n;
    /* on a direct connection, and from the wrong side */
    conn_t *both[] = {c, relayed};
    for (int i = 0; i < 2; i++) {
        assert_ok(conn_wait_identified(t, both[i]));
        assert_ok(conn_open_stream(t, both[i], protocols, 1, &s, NULL));
        assert_ok(stream_write_message(t, s, BYTES_LIT("\x08\x64")));
        assert_err(stream_read(t, s, &byte, 1, &n), ERR_RESET);
        stream_close(s);
    }
    /* garbage, silence, addresses of nobody: B is the asking side, A is asked */
    conn_t *back = conn_ref(host_conn(w->nodes[B].host, host_id(w->nodes[A].host)));
    assert_ok(conn_wait_identified(t, back));
    static const char *const said[] = {"\xff\xff", "\x08\xac\x02", "\x08\x64"};
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        assert_ok(conn_open_stream(t, back, protocols, 1, &s, NULL));
        assert_ok(stream_write_message(t, s, bytes_str(said[i])));
        assert_err(stream_read(t, s, &byte, 1, &n), ERR_RESET);
        stream_close(s);
    }
    double rtt_ms;
    assert_ok(host_ping(t, w->nodes[R].host, host_id(w->nodes[A].host), &rtt_ms));
    conn_release(back);
    conn_release(c);
    conn_release(relayed);
    net_stop_all(t, w);
    return OK;
}

typedef struct victim {
    listener_t *listener;
    size_t n_dials;
} victim_t;

static err_t be_dialed(task_t *t, void *arg)
{
    victim_t *v = arg;
    for (stream_t *s; !listener_accept(t, v->listener, &s, &(net_addr_t){0}); v->n_dials++)
        stream_close(s);
    return OK;
}

/* A peer names a machine that has nothing to do with it: that one is dialed a few times. */
static err_t misled(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w);
    victim_t v = {0};
    net_addr_t at = sim_host_addr(w->nodes[R].machine, 999);
    assert_ok(net_listen(sim_host_driver(w->nodes[R].machine), &at, &v.listener));
    group_t g;
    group_init(&g, sim_host_sched(w->nodes[R].machine));
    assert_ok(group_spawn(&g, "victim", be_dialed, &v, NULL));
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
    conn_t *relayed = dial_circuit(t, w), *back;
    assert_ok(task_sleep(t, 40000)); /* B has asked in vain */
    back = conn_ref(host_conn(w->nodes[B].host, host_id(w->nodes[A].host)));
    static const char *const protocols[] = {DCUTR_PROTOCOL};
    multiaddr_t named;
    stream_t *s;
    AUTO(buf_t) message;
    buf_init(&message, DCUTR_MESSAGE_MAX_BYTES);
    writer_t out = writer_to(&message);
    assert_ok(multiaddr_from_tcp(4, at.ip, at.port, &named));
    dcutr_encode(DCUTR_CONNECT, &named, 1, &out);
    assert_ok(conn_open_stream(t, back, protocols, 1, &s, NULL));
    assert_ok(stream_write_message(t, s, buf_bytes(&message)));
    assert_ok(stream_read_message(t, s, DCUTR_MESSAGE_MAX_BYTES, &message));
    buf_clear(&message);
    dcutr_encode(DCUTR_SYNC, NULL, 0, &out);
    assert_ok(stream_write_message(t, s, buf_bytes(&message)));
    assert_ok(task_sleep(t, 10000));
    stream_close(s);
    assert_in_range(v.n_dials, 2, 12);
    listener_close(v.listener);
    group_stop(t, &g);
    group_deinit(&g);
    conn_release(back);
    conn_release(relayed);
    net_stop_all(t, w);
    return OK;
}

static void test_misled(void **state)
{
    assert_ok(net_run(5, 3, misled, NULL, NULL));
}

static void test_reversed(void **state)
{
    assert_ok(net_run(1, 3, reversed, NULL, NULL));
}

static void test_same_moment(void **state)
{
    assert_ok(net_run(2, 3, same_moment, NULL, NULL));
}

static void test_in_vain(void **state)
{
    assert_ok(net_run(3, 3, in_vain, NULL, NULL));
}

static void test_late(void **state)
{
    assert_ok(net_run(6, 3, late, NULL, NULL));
}

static void test_hostile(void **state)
{
    assert_ok(net_run(4, 3, hostile, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reversed), cmocka_unit_test(test_same_moment), cmocka_unit_test(test_in_vain),
        cmocka_unit_test(test_hostile),  cmocka_unit_test(test_misled),      cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
