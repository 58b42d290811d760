/* Hosts of private networks reach those with their key, and nobody else. */
#include "net/host_internal.h"
#include "net/stacked.h"
#include "tests/support/net.h"

static const uint8_t key_a[32] = {1, 2, 3}, key_b[32] = {3, 2, 1};

static void start(task_t *t, net_world_t *w, size_t i, const uint8_t *key)
{
    w->swarm_key = key;
    net_start(t, w, i);
    assert_int_equal(host_is_private(w->nodes[i].host), key != NULL);
}

static void check_ping(task_t *t, net_world_t *w, size_t from, size_t to)
{
    double ms;
    assert_ok(host_ping(t, w->nodes[from].host, host_id(w->nodes[to].host), &ms));
    assert_true(ms > 0);
}

static err_t members(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->securities[0] = *(const security_t *)w->arg;
    w->n_securities = 1;
    start(t, w, 0, key_a);
    start(t, w, 1, key_a);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    check_ping(t, w, 0, 1);
    check_ping(t, w, 1, 0);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

static void test_members(void **state)
{
    static const security_t both[] = {SECURITY_NOISE, SECURITY_TLS};
    for (size_t i = 0; i < 2; i++)
        assert_ok(net_run(i + 1, 2, members, (void *)&both[i], NULL));
}

/* Who has another key, or none, does not get in, neither way, and nothing of it stays. */
static err_t strangers(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w, 0, key_a);
    start(t, w, 1, key_b);
    start(t, w, 2, NULL);
    multiaddr_t quic; /* would let everybody in */
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/udp/4001/quic-v1", &quic));
    assert_err(host_listen(t, w->nodes[0].host, &quic), ERR_UNSUPPORTED);
    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++) {
            conn_t *c;
            if (from != to)
                assert_err(host_connect_addr(t, w->nodes[from].host, &w->nodes[to].addr, &c),
                           ERR_UNREACHABLE);
        }
    assert_ok(task_sleep(t, 20000));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(host_conn_count(w->nodes[i].host), 0);
        assert_int_equal(host_limit(w->nodes[i].host)->used, 0);
    }
    net_stop_all(t, w);
    return OK;
}

static void test_strangers(void **state)
{
    assert_ok(net_run(1, 3, strangers, NULL, NULL));
}

/* ── the stream alone, over a pipe that takes little at a time ───────────────────────────────── */
enum { BULK_BYTES = 300000 };

static err_t send_bulk(task_t *t, void *arg)
{
    stream_t *s = arg;
    static uint8_t block[70000];
    for (size_t at = 0; at < BULK_BYTES; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)((at + i) / 3);
        bytes_t all = bytes_slice(bytes_of(block, sizeof block), 0, BULK_BYTES - at);
        const bytes_t pieces[3] = {bytes_slice(all, 0, 10), BYTES_NONE, bytes_slice(all, 10, SIZE_MAX)};
        TRY(stream_write_pieces(t, s, pieces, 3));
    }
    return OK;
}

static err_t through_pipe(task_t *t, void *arg)
{
    net_world_t *w = arg;
    start(t, w, 0, key_a);
    stream_t *a, *b;
    uint8_t got[1000];
    size_t at = 0, n;
    group_t g;
    stream_pipe(task_sched(t), 1000, &a, &b);
    stream_t *from = private_stream(w->nodes[0].host, a, BYTES_NONE),
             *to = private_stream(w->nodes[0].host, b, BYTES_NONE);
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "send", send_bulk, from, NULL));
    while (at < BULK_BYTES) {
        assert_ok(stream_read(t, to, got, sizeof got, &n));
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++, at++)
            assert_int_equal(got[i], (uint8_t)(at / 3));
    }
    assert_ok(group_join(t, &g));
    assert_ok(stream_close_write(from));
    assert_ok(stream_read(t, to, got, sizeof got, &n));
    assert_int_equal(n, 0);
    stream_close(from);
    stream_close(to);
    net_stop_all(t, w);
    return OK;
}

static void test_through_pipe(void **state)
{
    assert_ok(net_run(1, 1, through_pipe, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_through_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
