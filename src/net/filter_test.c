/* Networks that are filtered are neither dialed nor accepted from; what is hidden is not told. */
#include "net/host_internal.h"
#include "tests/support/net.h"

static multiaddr_t parsed(const char *text)
{
    multiaddr_t m;
    assert_ok(multiaddr_parse(text, &m));
    return m;
}

static err_t filter(host_t *h, const char *text)
{
    multiaddr_t m = parsed(text);
    return host_gate_add(h, GATE_DENY, &m);
}

static err_t unfilter(host_t *h, const char *text)
{
    multiaddr_t m = parsed(text);
    return host_gate_remove(h, GATE_DENY, &m);
}

static err_t dialing(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    conn_t *c;
    assert_ok(filter(a, "/ip4/10.0.0.2/ipcidr/31")); /* .2 and .3 */
    assert_err(host_connect_addr(t, a, &w->nodes[1].addr, &c), ERR_UNREACHABLE);
    assert_err(host_connect_addr(t, a, &w->nodes[2].addr, &c), ERR_UNREACHABLE);
    conn_release(net_connect(t, w, 0, 3)); /* .4 lies outside */
    net_addr_t mapped;                     /* leads to .2 as well */
    assert_ok(net_addr_parse("[::ffff:10.0.0.2]:4001", &mapped));
    assert_true(addr_is_filtered(a, &mapped));
    assert_ok(net_addr_parse("[::ffff:10.0.0.4]:4001", &mapped));
    assert_false(addr_is_filtered(a, &mapped));
    assert_ok(unfilter(a, "/ip4/10.0.0.2/ipcidr/31"));
    conn_release(net_connect(t, w, 0, 1));
    net_stop_all(t, w);
    return OK;
}

static err_t accepting(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    conn_t *c;
    assert_ok(filter(a, "/ip4/10.0.0.2"));
    assert_err(host_connect_addr(t, w->nodes[1].host, &w->nodes[0].addr, &c), ERR_UNREACHABLE);
    conn_release(net_connect(t, w, 2, 0));
    assert_ok(task_sleep(t, 200)); /* until this end has it, too */
    assert_int_equal(host_conn_count(a), 1);
    net_stop_all(t, w);
    return OK;
}

static err_t forms(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *h = net_start(t, w, 0);
    static const char *const wrong[] = {"/tcp/1", "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/ipcidr/33",
                                        "/ip4/1.2.3.4/ipcidr/8/tcp/1", "/dns4/a.example"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_err(filter(h, wrong[i]), ERR_INVALID);
    assert_ok(filter(h, "/ip6/fc00::/ipcidr/7"));
    assert_ok(filter(h, "/ip6/fc00::/ipcidr/7")); /* once is enough */
    assert_ok(filter(h, "/ip4/0.0.0.0/ipcidr/0"));
    assert_err(unfilter(h, "/ip4/9.0.0.0/ipcidr/8"), ERR_NOT_FOUND);
    for (int i = 0; i < 1022; i++) {
        char text[64];
        snprintf(text, sizeof text, "/ip4/1.%d.%d.0/ipcidr/24", i / 256, i % 256);
        assert_ok(filter(h, text));
    }
    assert_err(filter(h, "/ip4/2.0.0.0/ipcidr/8"), ERR_LIMIT);
    assert_ok(unfilter(h, "/ip4/0.0.0.0/ipcidr/0"));
    assert_ok(filter(h, "/ip4/2.0.0.0/ipcidr/8"));
    net_stop_all(t, w);
    return OK;
}

static err_t hiding(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *h = net_start(t, w, 0);
    multiaddr_t any = parsed("/ip4/0.0.0.0/tcp/5001"), out[8];
    multiaddr_t network = parsed("/ip4/127.0.0.0/ipcidr/8"), one = parsed("/ip4/10.0.0.1/tcp/4001");
    assert_ok(host_listen(t, h, &any)); /* 127.0.0.1 and 10.0.0.1 */
    assert_int_equal(host_addrs(h, out, 8), 3);
    assert_ok(host_hide(h, &network));
    assert_ok(host_hide(h, &one));
    assert_int_equal(host_addrs(h, out, 8), 1);
    multiaddr_t left = parsed("/ip4/10.0.0.1/tcp/5001");
    assert_true(multiaddr_equal(&out[0], &left));
    assert_int_equal(host_listen_addrs(h, out, 8), 3);
    net_stop_all(t, w);
    return OK;
}

static multiaddr_t named(net_world_t *w, size_t i)
{
    char text[160], id[PEER_ID_TEXT_MAX];
    snprintf(text, sizeof text, "/p2p/%s", peer_id_print(host_id(w->nodes[i].host), id));
    return parsed(text);
}

/* A peer that is denied: not dialed, not accepted, and a connection with it ends at once. */
static err_t denied_peer(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    multiaddr_t b = named(w, 1);
    conn_t *c = net_connect(t, w, 0, 1);
    conn_release(net_connect(t, w, 0, 2));
    assert_ok(host_gate_add(a, GATE_DENY, &b));
    assert_false(conn_is_open(c));
    conn_release(c);
    assert_int_equal(host_conn_count(a), 1);
    assert_err(host_connect_addr(t, a, &w->nodes[1].addr, &c), ERR_DENIED);
    assert_non_null(strstr(error_text(ERR_DENIED), "Swarm.Gating.Deny"));
    net_assert_refused(t, w, 1, 0);
    assert_false(host_is_connected(a, host_id(w->nodes[1].host)));
    assert_ok(host_gate_set(a, GATE_DENY, NULL, 0));
    conn_release(net_connect(t, w, 0, 1));
    net_stop_all(t, w);
    return OK;
}

static err_t allowed_alone(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    conn_t *c;
    for (size_t i = 1; i < 5; i++)
        conn_release(net_connect(t, w, i, 0));
    assert_ok(task_sleep(t, 1000));
    multiaddr_t both[] = {named(w, 1), parsed("/ip4/10.0.0.3")};
    assert_ok(host_gate_set(a, GATE_ALLOW, both, 2));
    assert_int_equal(host_conn_count(a), 2);
    net_assert_refused(t, w, 3, 0);
    assert_true(host_connect_addr(t, a, &w->nodes[4].addr, &c) != OK);
    assert_int_equal(host_conn_count(a), 2);
    assert_ok(host_gate_remove(a, GATE_ALLOW, &both[0])); /* networks alone: known before the handshake */
    assert_int_equal(host_conn_count(a), 1);
    net_assert_refused(t, w, 1, 0);
    assert_err(host_gate_remove(a, GATE_ALLOW, &both[0]), ERR_NOT_FOUND);
    multiaddr_t wrong[] = {both[0], parsed("/ip4/1.2.3.4/tcp/1")};
    assert_err(host_gate_set(a, GATE_ALLOW, wrong, 2), ERR_INVALID); /* nothing has changed */
    net_assert_refused(t, w, 1, 0);
    assert_ok(host_gate_set(a, GATE_ALLOW, NULL, 0));
    conn_release(net_connect(t, w, 1, 0));
    net_stop_all(t, w);
    return OK;
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        assert_ok(net_run(1, machines, name, NULL, NULL));                                                   \
    }
TEST(dialing, 4)
TEST(accepting, 3)
TEST(forms, 1)
TEST(hiding, 1)
TEST(denied_peer, 3)
TEST(allowed_alone, 5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialing),     cmocka_unit_test(test_accepting),
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_hiding),
        cmocka_unit_test(test_denied_peer), cmocka_unit_test(test_allowed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
