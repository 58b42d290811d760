/* Two hosts that speak different securities, in each combination. */
#include "net/host_internal.h"
#include "tests/support/net.h"

enum { BULK_BYTES = 3 << 20 };
#define BULK "/test/bulk/1.0.0"

static void start(task_t *t, net_world_t *w, size_t i, const security_t *securities, size_t n)
{
    for (size_t k = 0; k < n; k++)
        w->securities[k] = securities[k];
    w->n_securities = n;
    net_start(t, w, i);
}

/* Sends back what comes. */
static err_t serve_bulk(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t block[8192];
    for (size_t n = 1; n;) {
        TRY(stream_read(t, s, block, sizeof block, &n));
        TRY(stream_write(t, s, bytes_of(block, n)));
    }
    stream_close(s);
    return OK;
}

typedef struct sending {
    stream_t *s;
} sending_t;

static err_t send_bulk(task_t *t, void *arg)
{
    sending_t *x = arg;
    uint8_t block[5000];
    for (size_t at = 0; at < BULK_BYTES; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)((at + i) * 31 >> 3);
        TRY(stream_write(t, x->s, bytes_slice(bytes_of(block, sizeof block), 0, BULK_BYTES - at)));
    }
    return stream_close_write(x->s);
}

static void echo_bulk(task_t *t, host_t *from, const peer_id_t *to)
{
    static const char *const protocols[] = {BULK};
    sending_t x;
    group_t g;
    assert_ok(host_open_stream(t, from, to, protocols, 1, &x.s, NULL));
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "send", send_bulk, &x, NULL));
    uint8_t block[10000];
    size_t at = 0;
    for (size_t n = 1; n; at += n) {
        assert_ok(stream_read(t, x.s, block, sizeof block, &n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], (uint8_t)((at + i) * 31 >> 3));
    }
    assert_int_equal(at, BULK_BYTES);
    assert_ok(group_join(t, &g));
    stream_close(x.s);
}

static const security_t noise[] = {SECURITY_NOISE}, tls[] = {SECURITY_TLS},
                        tls_noise[] = {SECURITY_TLS, SECURITY_NOISE};

typedef struct combination {
    const security_t *dialer, *listener;
    size_t n_dialer, n_listener;
    const char *agreed; /* NULL: nothing in common */
} combination_t;

static err_t agree(task_t *t, void *arg)
{
    net_world_t *w = arg;
    const combination_t *x = w->arg;
    start(t, w, 0, x->dialer, x->n_dialer);
    start(t, w, 1, x->listener, x->n_listener);
    assert_ok(host_handle(w->nodes[1].host, BULK, NULL, serve_bulk, NULL));
    conn_t *c = NULL;
    err_t e = host_connect_addr(t, w->nodes[0].host, &w->nodes[1].addr, &c);
    if (x->agreed) {
        assert_ok(e);
        assert_string_equal(conn_security(c), x->agreed);
        assert_true(peer_id_equal(conn_peer(c), host_id(w->nodes[1].host)));
        assert_ok(conn_wait_identified(t, c));
        echo_bulk(t, w->nodes[0].host, host_id(w->nodes[1].host));
        conn_t *back = host_conn(w->nodes[1].host, host_id(w->nodes[0].host));
        assert_non_null(back);
        assert_string_equal(conn_security(back), x->agreed);
        conn_close(c);
        assert_ok(task_sleep(t, 1000));
        assert_false(host_is_connected(w->nodes[1].host, host_id(w->nodes[0].host)));
        conn_release(c);
    } else {
        assert_err(e, ERR_UNREACHABLE);
        assert_ok(task_sleep(t, 20000)); /* the listener has given it up, too */
    }
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
    net_stop_all(t, w);
    return OK;
}

static void test_combinations(void **state)
{
    static const combination_t all[] = {
        {tls, tls, 1, 1, TLS_PROTOCOL},
        {tls_noise, noise, 2, 1, NOISE_PROTOCOL},
        {noise, tls_noise, 1, 2, NOISE_PROTOCOL},
        {tls_noise, NULL, 2, 0, TLS_PROTOCOL},
        {NULL, tls_noise, 0, 2, NOISE_PROTOCOL},
        {tls, noise, 1, 1, NULL},
        {noise, tls, 1, 1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_ok(net_run(i + 1, 2, agree, (void *)&all[i], NULL));
}

/* Another peer than the one that was dialed. */
static err_t other_peer(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w, 0, tls, 1);
    start(t, w, 1, tls, 1);
    multiaddr_t bare, wrong;
    peer_id_t id;
    conn_t *c;
    assert_ok(peer_id_of(private_key_public(w->nodes[2].key), &id));
    multiaddr_without_peer(&w->nodes[1].addr, &bare);
    assert_ok(multiaddr_with_peer(&bare, &id, &wrong));
    assert_err(host_connect_addr(t, w->nodes[0].host, &wrong, &c), ERR_CRYPTO);
    assert_non_null(strstr(error_text(ERR_CRYPTO), "instead of"));
    assert_int_equal(host_conn_count(w->nodes[0].host), 0);
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    net_stop_all(t, w);
    return OK;
}

static void test_other_peer(void **state)
{
    assert_ok(net_run(1, 3, other_peer, NULL, NULL));
}

/* An open connection does not survive a record that nobody sealed. */

static err_t forged_record(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w, 0, tls, 1);
    start(t, w, 1, tls, 1);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    assert_ok(stream_write(t, c->raw, BYTES_LIT("\x17\x03\x03\x00\x14twenty bytes of lies")));
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(host_conn_count(w->nodes[1].host), 0);
    assert_int_equal(host_conn_count(w->nodes[0].host), 0);
    assert_int_equal(host_limit(w->nodes[1].host)->used, 0);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_forged_record(void **state)
{
    assert_ok(net_run(1, 2, forged_record, NULL, NULL));
}

/* Round trips until the dialer may open streams: the connection's, that of the proposal of a security, and
 * that of its handshake, the muxer agreed on inside it. */
static err_t count_round_trips(task_t *t, void *arg)
{
    enum { LATENCY_MS = 100 };
    net_world_t *w = arg;
    const security_t *both = w->arg;
    start(t, w, 0, both, 1);
    start(t, w, 1, both, 1);
    sim_set_link(w->nodes[0].machine, w->nodes[1].machine, (sim_link_t){.latency_ms = LATENCY_MS});
    uint64_t began_ms = task_now_ms(t);
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[0].host, &w->nodes[1].addr, &c));
    assert_in_range(task_now_ms(t) - began_ms, 3 * 2 * LATENCY_MS, 3 * 2 * LATENCY_MS + 5);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_round_trips(void **state)
{
    assert_ok(net_run(1, 2, count_round_trips, (void *)noise, NULL));
    assert_ok(net_run(2, 2, count_round_trips, (void *)tls, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_other_peer),
        cmocka_unit_test(test_forged_record),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
