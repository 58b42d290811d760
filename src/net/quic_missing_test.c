#include "net/quic.h"
#include "tests/support/net.h"

/* A build without QUIC says so when it is told to listen, and dials what it can. */
static err_t without(task_t *t, void *arg)
{
    net_world_t *w = arg;
    host_t *a = net_start(t, w, 0), *b = net_start(t, w, 1);
    multiaddr_t at, listens[4];
    conn_t *c;
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/udp/4001/quic-v1", &at));
    assert_err(host_listen(t, a, &at), ERR_UNSUPPORTED);
    assert_string_equal(error_text(ERR_UNSUPPORTED), host_quic_missing());
    assert_int_equal(host_listen_addrs(a, listens, 4), 1);
    assert_ok(multiaddr_parse("/ip4/10.0.0.2/udp/4001/quic-v1", &at));
    assert_err(host_connect(t, a, host_id(b), &at, 1, &c), ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(ERR_UNREACHABLE), host_quic_missing()));
    multiaddr_t both[] = {at, w->nodes[1].addr};
    assert_ok(task_sleep(t, 60000)); /* the failed dial is forgiven */
    assert_ok(host_connect(t, a, host_id(b), both, 2, &c));
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void says_so(void **state)
{
    assert_ok(net_run(1, 2, without, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
