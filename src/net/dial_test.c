/* Dials: many addresses, dead ones, wrong peers, merging, giving up, back-off, names. */
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
    assert_in_range(task_now_ms(t) - began, 15000, 15100); /* limits.dial_timeout_ms */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_addresses), cmocka_unit_test(test_refused_addresses),
        cmocka_unit_test(test_unreachable),    cmocka_unit_test(test_wrong_peer),
        cmocka_unit_test(test_merged),         cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_simultaneous),   cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
