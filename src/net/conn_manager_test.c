/* Which connections are kept, closed, made again: trimming, limits, idle and dead ones, staying connected. */
#include "tests/support/net.h"

static err_t trimming(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.low_conns = 3;
    w->limits.high_conns = 5;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    host_protect(a, host_id(w->nodes[1].host), "user");
    host_tag(a, host_id(w->nodes[2].host), "dht", 5);
    host_tag(a, host_id(w->nodes[3].host), "dht", 3);
    host_tag(a, host_id(w->nodes[3].host), "dht", 1);
    for (size_t i = 1; i < w->n; i++)
        conn_release(net_connect(t, w, i, 0));
    assert_ok(task_sleep(t, 2000));
    assert_int_equal(host_conn_count(a), w->n - 1); /* within the grace period nobody is cut */
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(host_conn_count(a), 3);
    assert_true(host_is_connected(a, host_id(w->nodes[1].host)));
    assert_true(host_is_connected(a, host_id(w->nodes[2].host)));
    assert_true(host_is_connected(a, host_id(w->nodes[3].host)));
    host_unprotect(a, host_id(w->nodes[1].host), "user");
    host_unprotect(a, host_id(w->nodes[1].host), "user");
    net_stop_all(t, w);
    return OK;
}

#define WORK "/test/work/1.0.0"

static err_t serve_work(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t byte;
    size_t n = 1;
    while (n)
        TRY(stream_read(t, s, &byte, 1, &n));
    stream_close(s);
    return OK;
}

/* Whatever their score: connections that carry something are left alone, and go when they do not any more. */
static err_t trimming_in_use(task_t *t, void *arg)
{
    net_world_t *w = arg;
    static const char *const work[] = {WORK};
    w->limits.low_conns = 2;
    w->limits.high_conns = 3;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    assert_ok(host_handle(a, WORK, NULL, serve_work, NULL));
    stream_t *s[2];
    for (size_t i = 1; i < w->n; i++)
        conn_release(net_connect(t, w, i, 0));
    for (size_t i = 0; i < 2; i++) { /* the oldest, without any tag */
        host_tag(a, host_id(w->nodes[i + 3].host), "dht", 5);
        assert_ok(host_open_stream(t, w->nodes[i + 1].host, host_id(a), work, 1, &s[i], NULL));
    }
    for (int second = 0; second < 60; second++) {
        for (size_t i = 0; i < 2; i++)
            assert_ok(stream_write(t, s[i], BYTES_LIT("x")));
        assert_ok(task_sleep(t, 1000));
    }
    assert_int_equal(host_conn_count(a), 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(host_is_connected(a, host_id(w->nodes[i + 1].host)));
    for (size_t i = 5; i < w->n; i++)
        conn_release(net_connect(t, w, i, 0));
    assert_ok(task_sleep(t, 60000)); /* now these two do nothing either, and have no tag */
    assert_int_equal(host_conn_count(a), 2);
    for (size_t i = 0; i < 2; i++)
        stream_close(s[i]);
    for (size_t i = 0; i < 2; i++)
        host_tag(a, host_id(w->nodes[i + 3].host), "dht", 0);
    net_stop_all(t, w);
    return OK;
}

static err_t limits(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.max_conns = 3;
    net_start_all(t, w);
    for (size_t i = 1; i <= 3; i++)
        conn_release(net_connect(t, w, i, 0));
    conn_t *c;
    err_t e = host_connect_addr(t, w->nodes[4].host, &w->nodes[0].addr, &c);
    if (!e) { /* the dialer may have been through before it was turned away */
        assert_ok(task_sleep(t, 1000));
        assert_false(conn_is_open(c));
        conn_release(c);
    }
    assert_int_equal(host_conn_count(w->nodes[0].host), 3);
    assert_err(host_connect_addr(t, w->nodes[0].host, &w->nodes[4].addr, &c), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "raise System.Conns in"));
    net_stop_all(t, w);
    return OK;
}

static err_t idle(task_t *t, void *arg)
{
    net_world_t *w = arg;
    w->limits.idle_conn_timeout_ms = 120000;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    conn_release(net_connect(t, w, 0, 1));
    conn_release(net_connect(t, w, 0, 2));
    host_tag(a, host_id(w->nodes[2].host), "kad", 1);
    host_tag(w->nodes[2].host, host_id(a), "kad", 1);
    assert_ok(task_sleep(t, 100000));
    assert_int_equal(host_conn_count(a), 2);
    assert_ok(task_sleep(t, 100000));
    assert_false(host_is_connected(a, host_id(w->nodes[1].host)));
    assert_true(host_is_connected(a, host_id(w->nodes[2].host)));
    host_tag(a, host_id(w->nodes[2].host), "kad", 0);
    net_stop_all(t, w);
    return OK;
}

typedef struct news {
    host_listener_t listener;
    size_t connected, disconnected, identified, changed;
} news_t;

static void on_connected(void *arg, conn_t *c)
{
    ((news_t *)arg)->connected++;
}
static void on_disconnected(void *arg, const peer_id_t *peer)
{
    ((news_t *)arg)->disconnected++;
}
static void on_identified(void *arg, conn_t *c)
{
    ((news_t *)arg)->identified++;
}
static void on_changed(void *arg, const peer_id_t *peer)
{
    ((news_t *)arg)->changed++;
}

static void listen_to(host_t *h, news_t *news)
{
    *news = (news_t){.listener = {.connected = on_connected,
                                  .disconnected = on_disconnected,
                                  .identified = on_identified,
                                  .protocols_changed = on_changed,
                                  .arg = news}};
    host_add_listener(h, &news->listener);
}

/* Connections that carry nothing for hours stay; when the network is cut, both sides notice in time. */
static err_t partition(task_t *t, void *arg)
{
    net_world_t *w = arg;
    news_t news[2];
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    listen_to(a, &news[0]);
    listen_to(b, &news[1]);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(task_sleep(t, 7200000));
    assert_true(conn_is_open(c));
    assert_in_range(conn_rtt_ms(c), 10, 40);
    assert_int_equal(news[0].identified, 1);
    sim_partition(w->nodes[0].machine, w->nodes[1].machine, true);
    assert_ok(task_sleep(t, 55000));
    assert_false(conn_is_open(c));
    assert_int_equal(host_conn_count(b), 0);
    assert_int_equal(news[0].disconnected, 1);
    assert_int_equal(news[1].disconnected, 1);
    conn_release(c);
    sim_partition(w->nodes[0].machine, w->nodes[1].machine, false);
    conn_release(net_connect(t, w, 0, 1));
    assert_int_equal(news[0].connected, 2);
    host_remove_listener(a, &news[0].listener);
    net_stop_all(t, w);
    return OK;
}

static err_t serve_none(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    stream_close(s);
    return OK;
}

static err_t pushes(task_t *t, void *arg)
{
    net_world_t *w = arg;
    news_t news;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host, *b = w->nodes[1].host;
    listen_to(a, &news);
    conn_t *c = net_connect(t, w, 0, 1);
    assert_ok(conn_wait_identified(t, c));
    assert_false(peerstore_speaks(host_peerstore(a), host_id(b), "/late/1"));
    assert_ok(host_handle(b, "/late/1", NULL, serve_none, NULL));
    protocol_options_t hidden = {.is_hidden = true};
    assert_ok(host_handle(b, "/hidden/1", &hidden, serve_none, NULL));
    assert_ok(task_sleep(t, 1000));
    assert_int_equal(news.changed, 1); /* two changes, one push */
    assert_true(peerstore_speaks(host_peerstore(a), host_id(b), "/late/1"));
    assert_false(peerstore_speaks(host_peerstore(a), host_id(b), "/hidden/1"));
    host_unhandle(b, "/late/1");
    assert_ok(task_sleep(t, 1000));
    assert_false(peerstore_speaks(host_peerstore(a), host_id(b), "/late/1"));
    multiaddr_t m;
    assert_ok(multiaddr_parse("/ip4/192.0.2.7/tcp/4001", &m));
    host_set_announce(b, &m, 1, true);
    assert_ok(task_sleep(t, 1000));
    multiaddr_t addrs[4];
    size_t n = peerstore_addrs(host_peerstore(a), host_id(b), addrs, 4);
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= multiaddr_equal(&addrs[i], &m);
    assert_true(found);
    conn_release(c);
    net_stop_all(t, w);
    return OK;
}

/* The bootstrap node dies and comes back: we are connected again, without hammering it. */
static err_t keeps(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    assert_ok(host_keep_connected(a, &w->nodes[1].addr));
    assert_ok(host_keep_connected(a, &w->nodes[1].addr));
    assert_err(host_keep_connected(a, &w->nodes[0].addr), ERR_INVALID);
    assert_ok(task_sleep(t, 1000));
    assert_true(host_is_connected(a, host_id(w->nodes[1].host)));
    assert_ok(task_sleep(t, 120000));
    peer_id_t b = *host_id(w->nodes[1].host);
    net_stop(t, w, 1);
    assert_ok(task_sleep(t, 600000));
    assert_false(host_is_connected(a, &b));
    net_start(t, w, 1);
    assert_ok(task_sleep(t, 380000)); /* the back-off is at most 5 min and a quarter */
    assert_true(host_is_connected(a, &b));
    host_stop_keeping(a, &b);
    host_stop_keeping(a, &b);
    assert_ok(host_disconnect(a, &b));
    assert_ok(task_sleep(t, 600000));
    assert_false(host_is_connected(a, &b));
    assert_ok(host_keep_connected(a, &w->nodes[1].addr));
    net_stop_all(t, w); /* while a dial is about to start */
    return OK;
}

/* A crash tells nobody anything: power goes, the machine comes back with the same identity. */
static err_t crash(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    host_t *a = w->nodes[0].host;
    peer_id_t b = *host_id(w->nodes[1].host);
    assert_ok(host_keep_connected(a, &w->nodes[1].addr));
    assert_ok(task_sleep(t, 100000));
    assert_true(host_is_connected(a, &b));
    host_t *dead = w->nodes[1].host;
    sim_crash(w->nodes[1].machine, SIM_POWER_LOSS);
    assert_ok(task_sleep(t, 60000));
    assert_false(host_is_connected(a, &b));
    host_close(t, dead); /* frees its memory; reaches nobody */
    assert_ok(sim_host_join_dead(t, w->nodes[1].machine));
    sim_restart(w->nodes[1].machine);
    net_start(t, w, 1);
    assert_ok(task_sleep(t, 120000));
    assert_true(host_is_connected(a, &b));
    net_stop_all(t, w);
    return OK;
}

static err_t replays(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    for (size_t i = 1; i < w->n; i++)
        conn_release(net_connect(t, w, 0, i));
    assert_ok(task_sleep(t, 100000));
    net_stop_all(t, w);
    return OK;
}

static void test_same_seed_same_run(void **state)
{
    uint64_t first, second, other;
    assert_ok(net_run(7, 6, replays, NULL, &first));
    assert_ok(net_run(7, 6, replays, NULL, &second));
    assert_ok(net_run(8, 6, replays, NULL, &other));
    assert_true(first == second);
    assert_true(first != other);
}

#define TEST(name, machines)                                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        for (uint64_t seed = 1; seed <= 3; seed++)                                                           \
            assert_ok(net_run(seed, machines, name, NULL, NULL));                                            \
    }
TEST(trimming, 10)
TEST(trimming_in_use, 8)
TEST(limits, 5)
TEST(idle, 3)
TEST(partition, 2)
TEST(pushes, 2)
TEST(keeps, 2)
TEST(crash, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trimming),
        cmocka_unit_test(test_trimming_in_use),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_pushes),
        cmocka_unit_test(test_keeps),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_same_seed_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
