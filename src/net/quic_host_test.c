#include "net/host_internal.h"
#include "net/perf.h"
#include "tests/support/net.h"
#include "wire/quic.h"

#define ECHO "/test/echo/1.0.0"

static err_t echo(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[4096];
    size_t n;
    for (;;) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            break;
        TRY(stream_write(t, s, bytes_of(block, n)));
    }
    stream_close(s);
    return OK;
}

/* Starts the host of node i; beside TCP it listens on QUIC, of which *ret is the address with the peer. */
static host_t *start(task_t *t, net_world_t *w, size_t i, multiaddr_t *ret)
{
    host_t *h = net_start(t, w, i);
    net_addr_t at = sim_host_addr(w->nodes[i].machine, NET_PORT);
    multiaddr_t m;
    assert_ok(multiaddr_from_quic(4, at.ip, at.port, &m));
    assert_ok(host_listen(t, h, &m));
    assert_err(host_listen(t, h, &m), ERR_IN_USE);
    assert_ok(multiaddr_with_peer(&m, host_id(h), ret));
    assert_ok(host_handle(h, ECHO, NULL, echo, NULL));
    return h;
}

static void assert_quic(const conn_t *c)
{
    multiaddr_part_t part;
    assert_true(multiaddr_find(conn_remote_addr(c), MA_QUIC_V1, &part));
    assert_string_equal(conn_muxer(c), "");
    assert_string_equal(conn_security(c), "");
}

static err_t two_hosts(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2];
    host_t *a = start(t, w, 0, &at[0]), *b = start(t, w, 1, &at[1]);
    multiaddr_t listens[4];
    assert_int_equal(host_listen_addrs(b, listens, 4), 2);
    conn_t *c;
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_quic(c);
    assert_true(peer_id_equal(conn_peer(c), host_id(b)));
    assert_ok(conn_wait_identified(t, c));
    assert_true(peerstore_speaks(host_peerstore(a), host_id(b), ECHO));
    double rtt_ms;
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    assert_in_range((int)rtt_ms, 10, 60);
    assert_in_range(conn_rtt_ms(c), 10, 60);
    conn_t *back = host_conn(b, host_id(a));
    assert_quic(back);
    assert_true(conn_is_inbound(back));
    const char *protocols[] = {ECHO};
    stream_t *s;
    assert_ok(conn_open_stream(t, c, protocols, 1, &s, NULL));
    uint8_t out[5000], in[5000];
    memset(out, 7, sizeof out);
    assert_ok(stream_write(t, s, bytes_of(out, sizeof out)));
    assert_ok(stream_close_write(s));
    assert_ok(stream_read_full(t, s, in, sizeof in));
    assert_memory_equal(in, out, sizeof in);
    size_t n;
    assert_ok(stream_read(t, s, in, 5, &n));
    assert_int_equal(n, 0);
    stream_close(s);
    uint64_t in_bytes, out_bytes;
    conn_bytes(c, &in_bytes, &out_bytes);
    assert_true(in_bytes > 6000 && out_bytes > 6000);
    assert_ok(task_sleep(t, 200000)); /* kept alive while idle */
    assert_true(conn_is_open(c));
    assert_ok(conn_open_stream(t, c, protocols, 1, &s, NULL));
    conn_close(c);
    assert_false(conn_is_open(c));
    assert_err(stream_read(t, s, in, 1, &n), ERR_CLOSED);
    stream_close(s);
    conn_release(c);
    assert_ok(task_sleep(t, 1000));
    assert_false(host_is_connected(b, host_id(a)));
    assert_int_equal(host_limit(a)->used + host_limit(b)->used, 0);
    net_stop_all(t, w);
    return OK;
}

static void connects(void **state)
{
    assert_ok(net_run(1, 2, two_hosts, NULL, NULL));
}

/* A dial back (AutoNAT) comes from a port that no NAT has seen; the others from the one that listens. */
static err_t apart(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2], bare;
    host_t *a = start(t, w, 0, &at[0]), *b = start(t, w, 1, &at[1]);
    conn_t *c, *back, *conns[4];
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    multiaddr_without_peer(&at[0], &bare);
    for (int is_apart = 0; is_apart < 2; is_apart++) {
        upgrade_how_t how = {.expected = host_id(a), .remote = &bare, .is_apart = is_apart};
        net_addr_t from;
        assert_ok(transport_dial(t, b, &bare, &how, &back));
        assert_ok(task_sleep(t, 1000));
        assert_int_equal(host_conns(a, conns, 4), 2);
        assert_ok(net_addr_of_multiaddr(conn_remote_addr(conns[1]), &from));
        assert_int_equal(from.port == NET_PORT, !is_apart);
        conn_close(back);
        conn_release(back);
        assert_ok(task_sleep(t, 1000));
    }
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void dials_apart(void **state)
{
    assert_ok(net_run(1, 2, apart, NULL, NULL));
}

/* ── dials that fail ─────────────────────────────────────────────────────────────────────────── */
static err_t failing(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[3], wrong;
    host_t *a = start(t, w, 0, &at[0]);
    start(t, w, 1, &at[1]);
    host_t *c = start(t, w, 2, &at[2]);
    multiaddr_without_peer(&at[1], &wrong);
    assert_ok(multiaddr_with_peer(&wrong, host_id(c), &wrong));
    conn_t *conn;
    assert_err(host_connect_addr(t, a, &wrong, &conn), ERR_CRYPTO);
    multiaddr_t nobody;
    net_addr_t ip = sim_host_addr(w->nodes[2].machine, 9);
    assert_ok(multiaddr_from_quic(4, ip.ip, 9, &nobody));
    peer_id_t stranger = *host_id(c);
    stranger.data[20] ^= 1;
    assert_ok(multiaddr_with_peer(&nobody, &stranger, &nobody));
    uint64_t began_ms = task_now_ms(t);
    assert_err(host_connect_addr(t, a, &nobody, &conn), ERR_UNREACHABLE);
    assert_in_range(task_now_ms(t) - began_ms, 5000, 16000);
    host_forget_failures(a, &stranger);
    deadline_t d = deadline_push(t, 500); /* given up in the middle: nothing stays */
    assert_err(host_connect(t, a, &stranger, &nobody, 1, &conn), ERR_TIMEOUT);
    deadline_pop(t, &d);
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(host_conn_count(a), 0);
    net_stop_all(t, w);
    return OK;
}

static void does_not_connect(void **state)
{
    assert_ok(net_run(2, 3, failing, NULL, NULL));
}

/* ── when the machine moves ──────────────────────────────────────────────────────────────────── */
static void assert_remote_ip(const conn_t *c, const net_addr_t *ip)
{
    net_addr_t from;
    assert_ok(net_addr_of_multiaddr(conn_remote_addr(c), &from));
    assert_true(net_addr_same_ip(&from, ip));
}

/* The connection goes on from the new address, whether something is sent at once or much later. */
static err_t moving(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at;
    host_t *a = net_start(t, w, 0), *b = start(t, w, 1, &at);
    conn_t *c, *back;
    double rtt_ms;
    assert_ok(host_connect_addr(t, a, &at, &c));
    assert_ok(conn_wait_identified(t, c));
    back = host_conn(b, host_id(a));
    for (int i = 0; i < 6; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "10.9.%d.1", i);
        sim_host_move(w->nodes[0].machine, ip);
        net_addr_t here = sim_host_addr(w->nodes[0].machine, 0);
        if (i % 2) /* its keep-alive tells where it is */
            assert_ok(task_sleep(t, 25000));
        assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
        assert_ok(task_sleep(t, 2000));
        assert_remote_ip(back, &here);
        assert_true(conn_is_open(c));
    }
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void moves(void **state)
{
    assert_ok(net_run(7, 2, moving, NULL, NULL));
}

/* ── round trips, and the choice of the transport ────────────────────────────────────────────── */
static err_t counting(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2];
    host_t *a = start(t, w, 0, &at[0]), *b = start(t, w, 1, &at[1]);
    sim_link_t link = {.latency_ms = 100};
    sim_set_link(w->nodes[0].machine, w->nodes[1].machine, link);
    conn_t *c;
    uint64_t began_ms = task_now_ms(t);
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_in_range(task_now_ms(t) - began_ms, 200, 205); /* one round trip; TCP takes three */
    assert_quic(c);
    conn_close(c);
    conn_release(c);
    assert_ok(task_sleep(t, 1000));
    link.latency_ms = 5;
    sim_set_link(w->nodes[0].machine, w->nodes[1].machine, link);
    multiaddr_t both[] = {at[1], w->nodes[1].addr};
    assert_ok(host_connect(t, a, host_id(b), both, 2, &c)); /* in a private network: TCP when it is there */
    assert_string_equal(conn_muxer(c), "/yamux/1.0.0");
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void takes_one_round_trip(void **state)
{
    assert_ok(net_run(3, 2, counting, NULL, NULL));
}

/* ── bulk over a bad link ────────────────────────────────────────────────────────────────────── */
enum { BULK_BYTES = 2 << 20 };

static err_t send_bulk(task_t *t, void *arg)
{
    stream_t *s = arg;
    uint8_t block[10000];
    for (size_t at = 0; at < BULK_BYTES; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)((at + i) * 31 >> 8);
        TRY(stream_write(t, s,
                         bytes_of(block, BULK_BYTES - at < sizeof block ? BULK_BYTES - at : sizeof block)));
    }
    return stream_close_write(s);
}

static err_t bulk(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2];
    host_t *a = start(t, w, 0, &at[0]);
    start(t, w, 1, &at[1]);
    sim_link_t link = {.latency_ms = 10, .jitter_ms = 5, .loss = 0.02, .duplicate = 0.01, .reorder = 0.02};
    sim_set_link(w->nodes[0].machine, w->nodes[1].machine, link);
    conn_t *c;
    stream_t *s;
    const char *protocols[] = {ECHO};
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_ok(conn_open_stream(t, c, protocols, 1, &s, NULL));
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "send", send_bulk, s, NULL));
    uint8_t block[10000];
    size_t got = 0, n;
    for (;;) {
        assert_ok(stream_read(t, s, block, sizeof block, &n));
        if (!n)
            break;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], (uint8_t)((got + i) * 31 >> 8));
        got += n;
    }
    assert_int_equal(got, BULK_BYTES);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    stream_close(s);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void carries_bulk(void **state)
{
    assert_ok(net_run(4, 2, bulk, NULL, NULL));
}

/* Far away, who writes hears of room when packets leave, not only when they are answered: an open window is
 * filled at once, though a stream's queue is smaller. */
static err_t far_upload(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2];
    host_t *a = start(t, w, 0, &at[0]);
    host_t *b = start(t, w, 1, &at[1]);
    assert_ok(perf_serve(b, PERF_FOR_ALL));
    sim_set_link(w->nodes[0].machine, w->nodes[1].machine, (sim_link_t){.latency_ms = 100});
    conn_t *c;
    perf_result_t r;
    perf_plan_t plan = {.upload_bytes = 4 << 20};
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_ok(perf_measure(t, c, &plan, NULL, NULL, &r)); /* opens the windows */
    plan.upload_bytes = 1 << 20;
    assert_ok(perf_measure(t, c, &plan, NULL, NULL, &r));
    assert_in_range((uint64_t)r.upload_ms, 400,
                    800); /* the peer's windows, not one queue for each round trip */
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void fills_its_window(void **state)
{
    assert_ok(net_run(5, 2, far_upload, NULL, NULL));
}

/* ── a flood of connections that begin and say no more ───────────────────────────────────────── */
static err_t flood(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at[2];
    w->limits.max_inbound_pending = 16;
    host_t *a = start(t, w, 0, &at[0]), *b = start(t, w, 1, &at[1]);
    conn_t *c;
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_ok(task_sleep(t, 5000));
    uint64_t before = host_limit(b)->used;
    quic_endpoint_t *attacker;
    quic_config_t config;
    quic_config_default(&config);
    config.identity = w->nodes[2].key;
    assert_ok(quic_endpoint_new(&config, &attacker));
    udp_t *udp;
    net_addr_t any = {.family = 4}, to = sim_host_addr(w->nodes[1].machine, NET_PORT);
    assert_ok(udp_open(sim_host_driver(w->nodes[2].machine), &any, &udp));
    uint8_t *out = xmalloc(65536);
    for (int i = 0; i < 300; i++) {
        quic_start_t how = {.peer = &to, .now_ms = task_now_ms(t), .wall_s = 1700000000};
        quic_t *q;
        quic_burst_t burst;
        assert_ok(quic_dial(attacker, &how, host_id(b), &q));
        assert_true(quic_output(q, out, 65536, task_now_ms(t), &burst));
        assert_ok(udp_send(udp, &to, bytes_of(out, burst.len)));
        memset(out + 1, i, 300); /* and junk */
        assert_ok(udp_send(udp, &to, bytes_of(out, 1200)));
        quic_free(q);
        assert_ok(task_sleep(t, 1));
    }
    double rtt_ms;
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    conn_t *again; /* others still come in: they prove their address */
    assert_ok(host_connect_addr(t, b, &at[0], &again));
    conn_release(again);
    net_start(t, w, 3);
    assert_ok(host_connect_addr(t, w->nodes[3].host, &at[1], &again));
    conn_release(again);
    net_stop(t, w, 3);
    assert_ok(host_disconnect(b, host_id(a)));
    assert_ok(task_sleep(t, 60000));
    conn_release(c);
    assert_ok(host_connect_addr(t, a, &at[1], &c));
    assert_ok(task_sleep(t, 5000));
    assert_ok(host_ping(t, a, host_id(b), &rtt_ms));
    assert_in_range(host_limit(b)->used, 1, before + 2048); /* a ping may be under way */
    udp_close(udp);
    quic_endpoint_free(attacker);
    free(out);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void stands_a_flood(void **state)
{
    assert_ok(net_run(5, 4, flood, NULL, NULL));
}

static err_t off(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at, m;
    start(t, w, 1, &at);
    host_config_t c = {.key = w->nodes[0].key, .limits = w->limits, .without_quic = true};
    host_t *h;
    conn_t *conn;
    assert_ok(host_new(sim_host_sched(w->nodes[0].machine), &c, &h));
    multiaddr_without_peer(&at, &m);
    assert_err(host_listen(t, h, &m), ERR_UNSUPPORTED);
    assert_err(host_connect_addr(t, h, &at, &conn), ERR_UNREACHABLE);
    host_close(t, h);
    net_stop_all(t, w);
    return OK;
}

static void can_be_off(void **state)
{
    assert_ok(net_run(6, 2, off, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),         cmocka_unit_test(dials_apart),
        cmocka_unit_test(does_not_connect), cmocka_unit_test(takes_one_round_trip),
        cmocka_unit_test(carries_bulk),     cmocka_unit_test(fills_its_window),
        cmocka_unit_test(stands_a_flood),   cmocka_unit_test(moves),
        cmocka_unit_test(can_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
