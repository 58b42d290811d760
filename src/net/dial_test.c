/* Dials: many addresses, dead ones, wrong peers, merging, giving up, back-off, names. */
#include "base/metrics.h"
#include "net/host_internal.h"
#include "tests/support/net.h"

static multiaddr_t addr_of(const char *text)
{
    multiaddr_t m;
    assert_ok(multiaddr_parse(text, &m));
    return m;
}

static err_t dead_addresses(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    const peer_id_t *b = host_id(w->nodes[1].host);
    multiaddr_t addrs[6];
    for (int i = 0; i < 5; i++) { /* the third machine is there and hears nothing */
        char text[64];
        snprintf(text, sizeof text, "/ip4/10.0.0.3/tcp/%d", 5000 + i);
        addrs[i] = addr_of(text);
    }
    sim_isolate(w->nodes[2].machine, true);
    addrs[5] = w->nodes[1].addr;
    uint64_t began = task_now_ms(t);
    conn_t *c;
    assert_ok(host_connect(t, a, b, addrs, 6, &c));
    assert_in_range(task_now_ms(t) - began, 1250, 1500); /* five staggers of 250 ms */
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t refused_addresses(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    multiaddr_t addrs[3] = {addr_of("/ip4/10.0.0.2/tcp/1"), addr_of("/ip4/10.0.0.2/tcp/2"), w->nodes[1].addr};
    uint64_t began = task_now_ms(t);
    conn_t *c;
    assert_ok(host_connect(t, w->nodes[0].host, host_id(w->nodes[1].host), addrs, 3, &c));
    assert_in_range(task_now_ms(t) - began, 1, 250); /* a refusal makes room at once */
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static err_t unreachable(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    const peer_id_t *b = host_id(w->nodes[1].host);
    conn_t *c;
    assert_err(host_connect(t, a, b, NULL, 0, &c), ERR_NOT_FOUND);
    assert_err(host_connect(t, a, host_id(a), NULL, 0, &c), ERR_INVALID);
    sim_isolate(w->nodes[1].machine, true);
    uint64_t began = task_now_ms(t);
    assert_err(host_connect_addr(t, a, &w->nodes[1].addr, &c), ERR_UNREACHABLE);
    assert_in_range(task_now_ms(t) - began, 5000, 5100); /* that is near */
    /* without new addresses the next try has to wait */
    began = task_now_ms(t);
    assert_err(host_connect(t, a, b, NULL, 0, &c), ERR_UNREACHABLE);
    assert_int_equal(task_now_ms(t), began);
    assert_non_null(strstr(error_text(ERR_UNREACHABLE), "next try is in 5 s"));
    sim_isolate(w->nodes[1].machine, false);
    assert_ok(task_sleep(t, 5000));
    assert_ok(host_connect(t, a, b, NULL, 0, &c));
    conn_release(c);
    multiaddr_t unknown = addr_of("/ip4/10.0.0.2/udp/4001/quic-v1");
    assert_ok(host_disconnect(a, b));
    assert_err(host_disconnect(a, b), ERR_NOT_FOUND);
    assert_err(host_connect(t, a, host_id(w->nodes[2].host), &unknown, 1, &c), ERR_UNREACHABLE);
    net_stop_all(t, w);
    return OK;
}

static err_t wrong_peer(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    multiaddr_t bare, lie;
    multiaddr_without_peer(&w->nodes[1].addr, &bare);
    assert_ok(multiaddr_with_peer(&bare, host_id(w->nodes[2].host), &lie));
    conn_t *c;
    assert_err(host_connect_addr(t, a, &lie, &c), ERR_CRYPTO);
    assert_non_null(strstr(error_text(ERR_CRYPTO), "instead of"));
    assert_int_equal(host_conn_count(a), 0);
    /* the right address besides: it gets through */
    multiaddr_t both[2] = {bare, w->nodes[2].addr};
    assert_ok(host_connect(t, a, host_id(w->nodes[2].host), both, 2, &c));
    conn_release(c);
    /* our own address under another name */
    multiaddr_without_peer(&w->nodes[0].addr, &bare);
    assert_ok(multiaddr_with_peer(&bare, host_id(w->nodes[1].host), &lie));
    assert_err(host_connect_addr(t, a, &lie, &c), ERR_CRYPTO);
    net_stop_all(t, w);
    return OK;
}

typedef struct dialer {
    net_world_t *w;
    size_t from, to;
    conn_t *conn;
    err_t result;
} dialer_t;

static err_t dial_in_task(task_t *t, void *arg)
{
    dialer_t *d = arg;
    d->result = host_connect_addr(t, d->w->nodes[d->from].host, &d->w->nodes[d->to].addr, &d->conn);
    return OK;
}

static err_t merged(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    dialer_t d[4];
    group_t g;
    group_init(&g, task_sched(t));
    task_t *first;
    for (int i = 0; i < 4; i++) {
        d[i] = (dialer_t){w, 0, 1, NULL, OK};
        assert_ok(group_spawn(&g, "dial", dial_in_task, &d[i], i ? NULL : &first));
    }
    assert_ok(task_sleep(t, 1));
    task_cancel(first); /* one leaves, the others get their connection */
    assert_ok(group_join(t, &g));
    assert_int_equal(d[0].result, ERR_CANCELED);
    assert_ok(d[1].result);
    assert_true(d[1].conn == d[2].conn && d[2].conn == d[3].conn);
    assert_int_equal(host_conn_count(w->nodes[0].host), 1);
    for (int i = 1; i < 4; i++)
        conn_release(d[i].conn);
    net_stop_all(t, w);
    return OK;
}

static err_t given_up(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    sim_isolate(w->nodes[1].machine, true);
    deadline_t deadline = deadline_push(t, 2000);
    conn_t *c;
    uint64_t began = task_now_ms(t);
    assert_err(host_connect_addr(t, w->nodes[0].host, &w->nodes[1].addr, &c), ERR_TIMEOUT);
    deadline_pop(t, &deadline);
    assert_int_equal(task_now_ms(t) - began, 2000);
    sim_isolate(w->nodes[1].machine, false);
    assert_ok(
        host_connect_addr(t, w->nodes[0].host, &w->nodes[1].addr, &c)); /* no back-off: nothing failed */
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* Both dial each other at the same moment: both see a connection, and it works. */
static err_t simultaneous(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    dialer_t d[2] = {{w, 0, 1, NULL, OK}, {w, 1, 0, NULL, OK}};
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < 2; i++)
        assert_ok(group_spawn(&g, "dial", dial_in_task, &d[i], NULL));
    assert_ok(group_join(t, &g));
    assert_ok(task_sleep(t, 1000));
    for (int i = 0; i < 2; i++) {
        assert_ok(d[i].result);
        assert_true(conn_is_open(d[i].conn));
        double rtt_ms;
        assert_ok(host_ping(t, w->nodes[i].host, host_id(w->nodes[!i].host), &rtt_ms));
        conn_release(d[i].conn);
    }
    net_stop_all(t, w);
    return OK;
}

static err_t names(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    char id[PEER_ID_TEXT_MAX], text[400];
    peer_id_print(host_id(w->nodes[1].host), id);
    sim_dns_add(w->sim, "b.example", DNS_A, BYTES_LIT("\x0a\x00\x00\x02"));
    snprintf(text, sizeof text, "dnsaddr=/dns4/b.example/tcp/4001/p2p/%s", id);
    sim_dns_add(w->sim, "_dnsaddr.boot.example", DNS_TXT, bytes_str(text));
    char other[PEER_ID_TEXT_MAX];
    snprintf(text, sizeof text, "dnsaddr=/ip4/10.0.0.3/tcp/4001/p2p/%s",
             peer_id_print(host_id(w->nodes[2].host), other));
    sim_dns_add(w->sim, "_dnsaddr.boot.example", DNS_TXT, bytes_str(text));
    sim_dns_add(w->sim, "_dnsaddr.boot.example", DNS_TXT, BYTES_LIT("dnsaddr=/dnsaddr/boot.example"));
    sim_dns_add(w->sim, "_dnsaddr.boot.example", DNS_TXT, BYTES_LIT("dnsaddr=nonsense"));
    snprintf(text, sizeof text, "/dnsaddr/boot.example/p2p/%s", id);
    multiaddr_t m = addr_of(text);
    conn_t *c;
    assert_ok(host_connect_addr(t, a, &m, &c));
    assert_true(peer_id_equal(conn_peer(c), host_id(w->nodes[1].host)));
    char remote[MULTIADDR_TEXT_MAX];
    assert_string_equal(multiaddr_print(conn_remote_addr(c), remote), "/ip4/10.0.0.2/tcp/4001");
    conn_release(c);
    assert_ok(host_disconnect(a, host_id(w->nodes[1].host)));
    snprintf(text, sizeof text, "/dns/none.example/tcp/4001/p2p/%s", other);
    m = addr_of(text);
    assert_err(host_connect_addr(t, a, &m, &c), ERR_UNREACHABLE);
    net_stop_all(t, w);
    return OK;
}

static size_t resolved(task_t *t, net_world_t *w, const char *text, multiaddr_t *out, size_t cap)
{
    multiaddr_t m = addr_of(text);
    return resolve_addrs(t, host_id(w->nodes[0].host), &m, 1, out, cap);
}

/* Names that lead to names, and many of them: a few steps, a few dozen questions for one peer, and nothing
 * that is said of others. */
static err_t name_limits(task_t *t, void *arg)
{
    enum { CHAIN = 8, MANY = 40, CAP = 64 };
    net_world_t *w = arg;
    net_start(t, w, 0);
    multiaddr_t *in = xcalloc(MANY, sizeof *in), *out = xcalloc(CAP, sizeof *out);
    char name[64], text[160];
    for (int i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof name, "_dnsaddr.c%d.example", i);
        snprintf(text, sizeof text,
                 i + 1 < CHAIN ? "dnsaddr=/dnsaddr/c%d.example" : "dnsaddr=/ip4/1.2.3.4/tcp/%d", i + 1);
        sim_dns_add(w->sim, name, DNS_TXT, bytes_str(text));
    }
    assert_int_equal(resolved(t, w, "/dnsaddr/c4.example", out, CAP), 1);
    assert_int_equal(resolved(t, w, "/dnsaddr/c3.example", out, CAP), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "m%d.example", i);
        sim_dns_add(w->sim, name, DNS_A, BYTES_LIT("\x01\x02\x03\x04"));
        snprintf(text, sizeof text, "/dns4/%s/tcp/%d", name, i + 1);
        in[i] = addr_of(text);
    }
    assert_int_equal(resolve_addrs(t, host_id(w->nodes[0].host), in, MANY, out, CAP), 32);
    assert_int_equal(resolve_addrs(t, host_id(w->nodes[0].host), in, MANY, out, 5), 5);
    sim_dns_add(
        w->sim, "_dnsaddr.o.example", DNS_TXT,
        BYTES_LIT("dnsaddr=/ip4/1.2.3.4/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"));
    assert_int_equal(resolved(t, w, "/dnsaddr/o.example", out, CAP), 0);
    free(in);
    free(out);
    net_stop_all(t, w);
    return OK;
}

/* ── the order, and what is left out ─────────────────────────────────────────────────────────── */
/* Starts node i on a machine of the public network. */
static host_t *start_public(task_t *t, net_world_t *w, size_t i, const char *ips)
{
    w->nodes[i].machine = sim_add_host(w->sim, ips);
    return net_start(t, w, i);
}

static uint64_t connect_ms(task_t *t, net_world_t *w, const multiaddr_t *addrs, size_t n)
{
    host_t *a = w->nodes[0].host;
    const peer_id_t *b = host_id(w->nodes[1].host);
    conn_t *c;
    uint64_t began = task_now_ms(t);
    assert_ok(host_connect(t, a, b, addrs, n, &c));
    uint64_t took = task_now_ms(t) - began;
    conn_release(c);
    assert_ok(host_disconnect(a, b));
    return took;
}

static err_t dead_networks_nearby(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start(t, w, 0);
    start_public(t, w, 1, "1.2.3.4");
    sim_isolate(w->nodes[2].machine, true);
    multiaddr_t addrs[] = {addr_of("/ip4/10.0.0.3/tcp/1"), addr_of("/ip4/10.0.0.3/tcp/2"),
                           addr_of("/ip4/10.0.0.3/tcp/3"), w->nodes[1].addr};
    assert_in_range(connect_ms(t, w, addrs, ARRAY_LEN(addrs)), 0, 100);
    net_stop_all(t, w);
    return OK;
}

static err_t each_address_rests(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    const peer_id_t *b = host_id(w->nodes[1].host);
    multiaddr_t refused = addr_of("/ip4/10.0.0.2/tcp/1"), good;
    multiaddr_t addrs[] = {refused, w->nodes[1].addr};
    multiaddr_without_peer(&w->nodes[1].addr, &good);
    connect_ms(t, w, addrs, 2);
    uint64_t retry_ms = peerstore_addr_retry_ms(host_peerstore(a), b, &refused);
    assert_int_equal(peerstore_addr_retry_ms(host_peerstore(a), b, &good), 0);
    assert_in_range(retry_ms - task_now_ms(t), 4900, 5000);
    connect_ms(t, w, addrs, 2); /* now without it */
    assert_int_equal(peerstore_addr_retry_ms(host_peerstore(a), b, &refused), retry_ms);
    net_stop_all(t, w);
    return OK;
}

/* Connections over addresses that were asked for stand beside each other. */
static err_t over_this_address(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    net_addr_t at = sim_host_addr(w->nodes[1].machine, NET_PORT + 1);
    multiaddr_t second, dead = addr_of("/ip4/10.0.0.2/tcp/1");
    assert_ok(multiaddr_from_tcp(at.family, at.ip, at.port, &second));
    assert_ok(host_listen(t, w->nodes[1].host, &second));
    assert_ok(multiaddr_with_peer(&second, host_id(w->nodes[1].host), &second));
    assert_ok(multiaddr_with_peer(&dead, host_id(w->nodes[1].host), &dead));
    conn_t *c[4];
    assert_ok(host_connect_addr(t, a, &w->nodes[1].addr, &c[0]));
    assert_ok(host_connect_addr(t, a, &second, &c[1]));
    assert_ok(host_connect_addr(t, a, &w->nodes[1].addr, &c[2]));
    assert_err(host_connect_addr(t, a, &dead, &c[3]), ERR_UNREACHABLE); /* whatever else is open */
    assert_true(c[0] == c[2] && c[0] != c[1]);
    assert_int_equal(host_conn_count(a), 2);
    multiaddr_t bare;
    multiaddr_without_peer(&second, &bare);
    assert_true(multiaddr_equal(conn_remote_addr(c[1]), &bare));
    for (int i = 0; i < 3; i++)
        conn_release(c[i]);
    net_stop_all(t, w);
    return OK;
}

static peer_id_t stranger_no(const peer_id_t *like, size_t n)
{
    peer_id_t id = *like;
    id.data[20] ^= (uint8_t)(n + 1);
    return id;
}

/* IPv6 leads nowhere: after a hundred dials in vain it is left out, but for one peer in a hundred. */
static err_t black_hole(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *a = start_public(t, w, 0, "1.2.3.1 2a00::1");
    start_public(t, w, 1, "1.2.3.2 2a00::2");
    sim_host_t *swallowed = sim_add_host(w->sim, "2a00::3");
    sim_isolate(swallowed, true);
    multiaddr_t in_vain = addr_of("/ip6/2a00::3/tcp/4001");
    multiaddr_t both[] = {in_vain, w->nodes[1].addr};
    conn_t *c;
    assert_in_range(connect_ms(t, w, both, 2), 250, 400); /* IPv6 first */
    metric_t *state = metric_gauge("libp2p_swarm_black_hole_filter_state", "name=\"IPv6\"", "");
    for (size_t i = 0; i < BLACK_HOLE_N - 1; i++) {
        assert_true(metric_value(state) == BLACK_HOLE_PROBING);
        peer_id_t nobody = stranger_no(host_id(a), i);
        assert_err(host_connect(t, a, &nobody, &in_vain, 1, &c), ERR_UNREACHABLE);
    }
    assert_true(metric_value(state) == BLACK_HOLE_BLOCKED);
    assert_in_range(connect_ms(t, w, both, 2), 0, 100);
    peer_id_t nobody = stranger_no(host_id(a), BLACK_HOLE_N);
    uint64_t began = task_now_ms(t);
    assert_err(host_connect(t, a, &nobody, &in_vain, 1, &c), ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(ERR_UNREACHABLE), "no UDP or IPv6"));
    assert_int_equal(task_now_ms(t), began);
    /* an address that was asked for is dialed; one success is enough */
    multiaddr_t works = addr_of("/ip6/2a00::2/tcp/4001");
    assert_ok(host_listen(t, w->nodes[1].host, &works));
    assert_ok(multiaddr_with_peer(&works, host_id(w->nodes[1].host), &works));
    assert_ok(host_connect_addr(t, a, &works, &c));
    conn_release(c);
    assert_true(metric_value(state) == BLACK_HOLE_PROBING);
    net_stop_all(t, w);
    return OK;
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        for (uint64_t seed = 1; seed <= 5; seed++)                                                           \
            assert_ok(net_run(seed, machines, name, NULL, NULL));                                            \
    }
TEST(dead_addresses, 3)
TEST(refused_addresses, 2)
TEST(unreachable, 3)
TEST(wrong_peer, 3)
TEST(merged, 2)
TEST(given_up, 2)
TEST(simultaneous, 2)
TEST(names, 3)
TEST(name_limits, 1)
TEST(dead_networks_nearby, 3)
TEST(each_address_rests, 2)
TEST(over_this_address, 2)

static void test_black_hole(void **state)
{
    assert_ok(net_run(1, 2, black_hole, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_addresses),
        cmocka_unit_test(test_refused_addresses),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_wrong_peer),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_simultaneous),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_limits),
        cmocka_unit_test(test_dead_networks_nearby),
        cmocka_unit_test(test_each_address_rests),
        cmocka_unit_test(test_over_this_address),
        cmocka_unit_test(test_black_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
