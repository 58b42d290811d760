/* Relays: reservations that are kept, circuits with and without limits, refusals, peers that misbehave. */
#include "net/nat.h"
#include "tests/support/net.h"
#include "wire/relay.h"

#define ECHO "/test/echo/1.0.0"
enum { A = 0, R = 1, B = 2 };

static err_t echo(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[4096];
    size_t n;
    for (;;) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            return stream_close_write(s);
        TRY(stream_write(t, s, bytes_of(block, n)));
    }
}

/* A and B do not reach each other; R serves as a relay. */
static void start(task_t *t, net_world_t *w, const nat_config_t *config)
{
    net_start_all(t, w);
    for (size_t i = 0; i < w->n; i++) {
        nat_config_t c = *config;
        c.is_relay = i == R;
        assert_ok(host_start_nat(w->nodes[i].host, &c));
        assert_ok(host_handle(w->nodes[i].host, ECHO, NULL, echo, NULL));
    }
    host_force_reachability(w->nodes[R].host, REACHABILITY_PUBLIC);
    host_force_reachability(w->nodes[B].host, REACHABILITY_PRIVATE);
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, true);
}

static nat_config_t quiet(void)
{
    nat_config_t c;
    nat_config_default(&c);
    c.finds_relays = c.punches_holes = c.asks_autonat = false;
    return c;
}

static size_t relays_of(net_world_t *w, size_t i)
{
    relay_stats_t stats;
    host_relay_stats(w->nodes[i].host, &stats);
    return stats.relays;
}

static void wait_reserved(task_t *t, net_world_t *w, size_t i, size_t n)
{
    for (int tries = 0; tries < 1000 && relays_of(w, i) != n; tries++)
        assert_ok(task_sleep(t, 100));
    assert_int_equal(relays_of(w, i), n);
}

/* B's address at the relay, with /p2p/B, as B tells it. */
static multiaddr_t circuit_of(net_world_t *w, size_t i)
{
    multiaddr_t addrs[16], full = {0};
    size_t n = host_addrs(w->nodes[i].host, addrs, 16);
    for (size_t k = 0; k < n; k++)
        if (multiaddr_is_circuit(&addrs[k]))
            assert_ok(multiaddr_with_peer(&addrs[k], host_id(w->nodes[i].host), &full));
    return full;
}

static conn_t *dial_circuit(task_t *t, net_world_t *w)
{
    multiaddr_t addr = circuit_of(w, B);
    assert_true(addr.len > 0);
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[A].host, &addr, &c));
    assert_true(multiaddr_is_circuit(conn_remote_addr(c)));
    return c;
}

static err_t limited(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    assert_ok(host_add_relay(b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    multiaddr_t bare;
    multiaddr_without_peer(&w->nodes[R].addr, &bare);
    conn_t *c = dial_circuit(t, w);
    assert_true(conn_is_limited(c));
    assert_false(host_is_connected(a, host_id(b))); /* nobody may count on it */
    assert_false(host_is_connected(b, host_id(a)));
    assert_ok(conn_wait_identified(t, c));
    assert_true(peerstore_speaks(host_peerstore(a), host_id(b), ECHO));
    double rtt_ms;
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    assert_in_range((uint64_t)rtt_ms, 20, 80); /* two links each way */
    static const char *const protocols[] = {ECHO};
    stream_t *s;
    assert_err(host_open_stream(t, a, host_id(b), protocols, 1, &s, NULL), ERR_UNSUPPORTED);
    conn_t *back = host_conn(b, host_id(a));
    assert_non_null(back);
    assert_true(conn_is_limited(back) && conn_is_inbound(back));
    relay_stats_t stats;
    host_relay_stats(w->nodes[R].host, &stats);
    assert_int_equal(stats.circuits, 1);
    /* two minutes, then the relay ends it */
    assert_ok(task_sleep(t, 115000));
    assert_true(conn_is_open(c));
    assert_ok(task_sleep(t, 10000));
    assert_false(conn_is_open(c));
    host_relay_stats(w->nodes[R].host, &stats);
    assert_int_equal(stats.circuits, 0);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* A circuit with limits is not yet the connection that is to be kept: it is tried for again, and stands when
 * the peer can be dialed. */
static err_t kept_through_relay(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    assert_ok(host_add_relay(b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    multiaddr_t circuit = circuit_of(w, B);
    assert_ok(host_keep_connected(a, &circuit));
    assert_ok(task_sleep(t, 30000));
    assert_non_null(host_conn(a, host_id(b)));
    assert_false(host_is_connected(a, host_id(b)));
    assert_ok(task_sleep(t, 600000)); /* the circuit has ended long ago */
    assert_false(host_is_connected(a, host_id(b)));
    sim_partition(w->nodes[A].machine, w->nodes[B].machine, false);
    assert_ok(task_sleep(t, 380000)); /* the back-off is at most 5 min and a quarter */
    assert_true(host_is_connected(a, host_id(b)));
    net_stop_all(t, w);
    return OK;
}

/* Circuits of members of a mesh have no limits, others through the same relay have. */
static err_t favoured(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.unlimited = ECHO;
    start(t, w, &config);
    assert_ok(host_add_relay(w->nodes[B].host, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    conn_t *c = dial_circuit(t, w);
    assert_false(conn_is_limited(c));
    assert_ok(task_sleep(t, 600000)); /* longer than the limit */
    assert_true(conn_is_open(c));
    assert_true(host_is_connected(w->nodes[A].host, host_id(w->nodes[B].host)));
    conn_close(c);
    conn_release(c);
    host_unhandle(w->nodes[A].host, ECHO); /* no member any more */
    assert_ok(task_sleep(t, 10000));
    c = dial_circuit(t, w);
    assert_true(conn_is_limited(c));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t limited_bytes(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.relay.circuit_bytes = 8192;
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    assert_ok(host_add_relay(b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    conn_t *c = dial_circuit(t, w);
    double rtt_ms;
    int pings = 0;
    while (pings < 200 && host_ping(t, a, host_id(b), &rtt_ms) == OK)
        pings++;
    assert_in_range(pings, 20, 150); /* then 8 KiB have gone through */
    conn_close(c);
    conn_release(c);
    assert_true(host_is_connected(b, host_id(w->nodes[R].host)));
    net_stop_all(t, w);
    return OK;
}

/* Without limits it is a connection as any other, with back-pressure through the relay. */
static err_t unlimited(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.relay.is_limited = false;
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    assert_ok(host_add_relay(b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    conn_t *c = dial_circuit(t, w);
    assert_false(conn_is_limited(c));
    assert_true(host_is_connected(a, host_id(b)));
    static const char *const protocols[] = {ECHO};
    stream_t *s;
    assert_ok(host_open_stream(t, a, host_id(b), protocols, 1, &s, NULL));
    enum { BLOCKS = 256 };
    uint8_t block[4096], back[4096];
    for (int i = 0; i < BLOCKS; i++) {
        memset(block, i, sizeof block);
        assert_ok(stream_write(t, s, bytes_of(block, sizeof block)));
        assert_ok(stream_read_full(t, s, back, sizeof back));
        assert_memory_equal(block, back, sizeof back);
    }
    stream_close(s);
    assert_ok(task_sleep(t, 600000));
    assert_true(conn_is_open(c));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* Reservations are refreshed, and taken up again when the relay was lost. */
static err_t kept(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    start(t, w, &config);
    assert_ok(host_add_relay(w->nodes[B].host, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    for (int hour = 0; hour < 5; hour++) {
        assert_ok(task_sleep(t, 3600000));
        assert_int_equal(relays_of(w, B), 1);
        conn_t *c = dial_circuit(t, w);
        conn_close(c);
        conn_release(c);
    }
    sim_reset_streams(w->nodes[B].machine, w->nodes[R].machine);
    assert_ok(task_sleep(t, 1));
    wait_reserved(t, w, B, 0);
    assert_int_equal(circuit_of(w, B).len, 0);
    wait_reserved(t, w, B, 1);
    conn_t *c = dial_circuit(t, w);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t refused(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.relay.max_reservations = 1;
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    multiaddr_t addr;
    conn_t *c;
    /* nobody is there */
    assert_ok(multiaddr_append(&w->nodes[R].addr, MA_P2P_CIRCUIT, BYTES_NONE));
    assert_ok(multiaddr_with_peer(&w->nodes[R].addr, host_id(b), &addr));
    assert_err(host_connect_addr(t, a, &addr, &c), ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(ERR_UNREACHABLE), "NO_RESERVATION"));
    /* a relay does not lead to itself, nor to one that is no relay */
    assert_ok(multiaddr_with_peer(&w->nodes[R].addr, host_id(w->nodes[R].host), &addr));
    assert_err(host_connect_addr(t, b, &addr, &c), ERR_UNREACHABLE);
    assert_err(host_add_relay(w->nodes[R].host, &w->nodes[R].addr), ERR_INVALID);
    multiaddr_without_peer(&w->nodes[A].addr, &addr);
    assert_err(host_add_relay(b, &addr), ERR_INVALID);
    /* one reservation is all it has */
    assert_ok(host_listen(t, b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    assert_ok(host_add_relay(w->nodes[3].host, &w->nodes[R].addr));
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(relays_of(w, 3), 0);
    /* when it comes free, the one who waits gets it */
    net_stop(t, w, B);
    wait_reserved(t, w, 3, 1);
    /* a relay that others cannot reach any more stops */
    host_force_reachability(w->nodes[R].host, REACHABILITY_PRIVATE);
    relay_stats_t stats;
    host_relay_stats(w->nodes[R].host, &stats);
    assert_int_equal(stats.reservations, 0);
    net_stop_all(t, w);
    return OK;
}

/* A node that others cannot dial takes relays among its peers by itself, and leaves them when they can. */
static err_t found(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.finds_relays = true;
    start(t, w, &config);
    conn_t *c = net_connect(t, w, B, R);
    conn_release(c);
    wait_reserved(t, w, B, 1);
    c = dial_circuit(t, w);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(relays_of(w, A), 0); /* it does not know yet how it is reached */
    host_force_reachability(w->nodes[B].host, REACHABILITY_PUBLIC);
    wait_reserved(t, w, B, 0);
    assert_ok(task_sleep(t, 200000));
    assert_int_equal(relays_of(w, A), 1); /* not knowing for long is taken for a no */
    net_stop_all(t, w);
    return OK;
}

/* Relays that nobody is connected with: a source names them. */
typedef struct source {
    net_world_t *w;
    size_t n_calls;
    bool is_slow;
} source_t;

static err_t name_peers(task_t *t, void *arg, relay_found_fn fn, void *found_arg)
{
    source_t *s = arg;
    s->n_calls++;
    if (s->is_slow)
        return task_sleep(t, 3600000);
    static const size_t order[] = {B, A, 3, R}; /* itself; no relay; one that is away */
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        multiaddr_t bare;
        multiaddr_without_peer(&s->w->nodes[order[i]].addr, &bare);
        if (!fn(found_arg, host_id(s->w->nodes[order[i]].host), &bare, 1))
            break;
    }
    return OK;
}

static err_t searched(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    start(t, w, &config);
    net_stop(t, w, B); /* anew, looking for relays */
    host_t *b = net_start(t, w, B);
    config.finds_relays = true;
    config.is_relay = false;
    assert_ok(host_start_nat(b, &config));
    source_t source = {.w = w};
    host_set_relay_source(b, name_peers, &source);
    sim_isolate(w->nodes[3].machine, true);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(source.n_calls, 0); /* nobody knows yet whether it is reached */
    host_force_reachability(b, REACHABILITY_PRIVATE);
    wait_reserved(t, w, B, 1);
    assert_int_equal(source.n_calls, 1);
    assert_true(circuit_of(w, B).len > 0);
    assert_ok(task_sleep(t, 3600000)); /* one is missing: it asks again, not all the time */
    assert_in_range(source.n_calls, 5, 13);
    source.is_slow = true;
    size_t n = source.n_calls;
    while (source.n_calls == n)
        assert_ok(task_sleep(t, 1000));
    host_drop_relay_source(t, b); /* ends the call */
    assert_ok(task_sleep(t, 3600000));
    assert_int_equal(source.n_calls, n + 1);
    host_force_reachability(b, REACHABILITY_PUBLIC);
    wait_reserved(t, w, B, 0);
    net_stop_all(t, w);
    return OK;
}

/* ── peers that misbehave ────────────────────────────────────────────────────────────────────── */
static relay_status_t tell(task_t *t, stream_t *s, bytes_t message, bool is_hop)
{
    AUTO(buf_t) in;
    relay_message_t m = {0};
    buf_init(&in, RELAY_MESSAGE_MAX_BYTES);
    assert_ok(stream_write_message(t, s, message));
    if (stream_read_message(t, s, RELAY_MESSAGE_MAX_BYTES, &in))
        return RELAY_UNUSED;
    assert_ok(is_hop ? relay_hop_decode(buf_bytes(&in), &m) : relay_stop_decode(buf_bytes(&in), &m));
    assert_int_equal(m.type, RELAY_STATUS);
    return (relay_status_t)m.status;
}

static relay_status_t ask(task_t *t, conn_t *c, const char *protocol, bytes_t message)
{
    stream_t *s;
    assert_ok(conn_open_stream(t, c, &protocol, 1, &s, NULL));
    relay_status_t status = tell(t, s, message, !strcmp(protocol, RELAY_HOP_PROTOCOL));
    stream_close(s);
    return status;
}

static void stop_message(const peer_id_t *peer, buf_t *out)
{
    relay_message_t m = {.type = RELAY_CONNECT, .has_peer = true, .peer = *peer};
    writer_t w = writer_to(out);
    relay_stop_encode(&m, &w);
    assert_ok(w.err);
}

static err_t hostile(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    start(t, w, &config);
    host_t *a = w->nodes[A].host, *b = w->nodes[B].host;
    conn_t *c = net_connect(t, w, A, R), *d = net_connect(t, w, R, B);
    assert_int_equal(ask(t, c, RELAY_HOP_PROTOCOL, BYTES_LIT("\xff")), RELAY_MALFORMED_MESSAGE);
    assert_int_equal(ask(t, c, RELAY_HOP_PROTOCOL, BYTES_LIT("\x08\x01")), RELAY_MALFORMED_MESSAGE);
    assert_int_equal(ask(t, c, RELAY_HOP_PROTOCOL, BYTES_LIT("\x08\x02\x28\x64")), RELAY_UNEXPECTED_MESSAGE);
    uint8_t much[RELAY_MESSAGE_MAX_BYTES + 1] = {0};
    assert_int_equal(ask(t, c, RELAY_HOP_PROTOCOL, bytes_of(much, sizeof much)), RELAY_UNUSED);
    /* a circuit from one who is no relay of ours */
    AUTO(buf_t) message = {0};
    buf_init(&message, 512);
    stop_message(host_id(a), &message);
    assert_int_equal(ask(t, d, RELAY_STOP_PROTOCOL, buf_bytes(&message)), RELAY_PERMISSION_DENIED);
    assert_int_equal(ask(t, d, RELAY_STOP_PROTOCOL, BYTES_LIT("\x08\x01\x20\x64")), RELAY_UNEXPECTED_MESSAGE);
    assert_int_equal(ask(t, d, RELAY_STOP_PROTOCOL, BYTES_LIT("\x08")), RELAY_MALFORMED_MESSAGE);
    /* from a relay that says nothing more: the upgrade's time-out ends it */
    assert_ok(host_add_relay(b, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    static const char *const stop[] = {RELAY_STOP_PROTOCOL};
    stream_t *silent[3];
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        assert_ok(conn_open_stream(t, d, stop, 1, &silent[i], NULL));
        assert_int_equal(tell(t, silent[i], buf_bytes(&message), false), RELAY_OK);
    }
    assert_ok(task_sleep(t, 20000));
    double rtt_ms;
    assert_ok(host_ping(t, w->nodes[R].host, host_id(b), &rtt_ms));
    size_t n;
    uint8_t byte;
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        while (!stream_read(t, silent[i], &byte, 1, &n) && n)
            continue; /* its part of the handshake */
        stream_close(silent[i]);
    }
    assert_int_equal(host_conn_count(b), 1);
    conn_release(c);
    conn_release(d);
    net_stop_all(t, w);
    return OK;
}

/* One peer gets no more circuits than its share, whatever it does with them. */
static err_t flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    nat_config_t config = quiet();
    config.relay.max_circuits_per_peer = 4;
    start(t, w, &config);
    assert_ok(host_add_relay(w->nodes[B].host, &w->nodes[R].addr));
    wait_reserved(t, w, B, 1);
    conn_t *c = net_connect(t, w, A, R);
    relay_message_t m = {.type = RELAY_CONNECT, .has_peer = true, .peer = *host_id(w->nodes[B].host)};
    AUTO(buf_t) message = {0};
    buf_init(&message, 512);
    writer_t out = writer_to(&message);
    relay_hop_encode(&m, NULL, 0, &out);
    static const char *const hop[] = {RELAY_HOP_PROTOCOL};
    stream_t *s[8];
    size_t n_ok = 0;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_ok(conn_open_stream(t, c, hop, 1, &s[i], NULL));
        relay_status_t status = tell(t, s[i], buf_bytes(&message), true);
        n_ok += status == RELAY_OK;
        assert_true(status == RELAY_OK || status == RELAY_RESOURCE_LIMIT_EXCEEDED);
    }
    assert_int_equal(n_ok, 4);
    relay_stats_t stats;
    host_relay_stats(w->nodes[R].host, &stats);
    assert_int_equal(stats.circuits, 4);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        stream_reset(s[i]);
        stream_close(s[i]);
    }
    assert_ok(task_sleep(t, 30000));
    host_relay_stats(w->nodes[R].host, &stats);
    assert_int_equal(stats.circuits, 0);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_limited(void **state)
{
    assert_ok(net_run(1, 3, limited, NULL, NULL));
}

static void test_favoured(void **state)
{
    assert_ok(net_run(1, 3, favoured, NULL, NULL));
}

static void test_limited_bytes(void **state)
{
    assert_ok(net_run(2, 3, limited_bytes, NULL, NULL));
}

static void test_unlimited(void **state)
{
    assert_ok(net_run(3, 3, unlimited, NULL, NULL));
}

static void test_kept(void **state)
{
    assert_ok(net_run(4, 3, kept, NULL, NULL));
}

static void test_refused(void **state)
{
    assert_ok(net_run(5, 4, refused, NULL, NULL));
}

static void test_found(void **state)
{
    assert_ok(net_run(6, 3, found, NULL, NULL));
}

static void test_searched(void **state)
{
    assert_ok(net_run(9, 4, searched, NULL, NULL));
}

static void test_hostile(void **state)
{
    assert_ok(net_run(7, 3, hostile, NULL, NULL));
}

static void test_kept_through_relay(void **state)
{
    assert_ok(net_run(9, 3, kept_through_relay, NULL, NULL));
}

static void test_flood(void **state)
{
    assert_ok(net_run(8, 3, flood, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_favoured),
        cmocka_unit_test(test_limited),
        cmocka_unit_test(test_limited_bytes),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_searched),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_kept_through_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
