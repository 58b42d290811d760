/* Nodes of one link find each other, with nobody told of anybody. */
#include "net/mdns.h"
#include "tests/support/net.h"
#include "wire/mdns.h"

enum { NODES = 5, MANY = 14 };
typedef struct services {
    mdns_service_t *items[NODES];
} services_t;

static size_t connected(net_world_t *w, size_t of)
{
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++)
        n += i != of && w->nodes[i].host && host_is_connected(w->nodes[of].host, host_id(w->nodes[i].host));
    return n;
}

static err_t find_each_other(task_t *t, void *arg)
{
    net_world_t *w = arg;
    services_t s = {0};
    net_start_all(t, w);
    for (size_t i = 0; i < NODES; i++) {
        s.items[i] = mdns_start(w->nodes[i].host);
        assert_ok(task_sleep(t, 300)); /* the later ones ask, the earlier ones have long asked */
    }
    assert_ok(task_sleep(t, 3000));
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(connected(w, i), NODES - 1);
    /* one that was gone for a while is found again */
    mdns_stop(t, s.items[2]);
    s.items[2] = NULL;
    net_stop(t, w, 2);
    assert_ok(task_sleep(t, 120000));
    net_start(t, w, 2);
    s.items[2] = mdns_start(w->nodes[2].host);
    assert_ok(task_sleep(t, 3000));
    assert_int_equal(connected(w, 2), NODES - 1);
    for (size_t i = 0; i < NODES; i++)
        mdns_stop(t, s.items[i]);
    net_stop_all(t, w);
    return OK;
}

static void test_find_each_other(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t hash, again;
        assert_ok(net_run(seed, NODES, find_each_other, NULL, &hash));
        assert_ok(net_run(seed, NODES, find_each_other, NULL, &again));
        assert_int_equal(hash, again);
    }
}

/* One that nobody can dial finds many at once, and dials them all. */
static err_t find_many(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_start_all(t, w);
    sim_refuse_dials(w->nodes[0].machine, true);
    mdns_service_t *items[MANY];
    for (size_t i = 0; i < MANY; i++)
        items[i] = mdns_start(w->nodes[i].host);
    assert_ok(task_sleep(t, 5000));
    for (size_t i = 1; i < MANY; i++)
        assert_true(host_is_connected(w->nodes[0].host, host_id(w->nodes[i].host)));
    for (size_t i = 0; i < MANY; i++)
        mdns_stop(t, items[i]);
    net_stop_all(t, w);
    return OK;
}

static void test_find_many(void **state)
{
    assert_ok(net_run(1, MANY, find_many, NULL, NULL));
}

static err_t lose_datagrams(task_t *t, void *arg)
{
    net_world_t *w = arg;
    sim_set_default_link(w->sim,
                         (sim_link_t){.latency_ms = 5, .loss = 0.5, .duplicate = 0.2, .reorder = 0.2});
    net_start_all(t, w);
    mdns_service_t *a = mdns_start(w->nodes[0].host), *b = mdns_start(w->nodes[1].host);
    for (int i = 0; i < 300 && !connected(w, 0); i++)
        assert_ok(task_sleep(t, 1000));
    assert_int_equal(connected(w, 0), 1);
    mdns_stop(t, a);
    mdns_stop(t, b);
    net_stop_all(t, w);
    return OK;
}

static void test_lossy_link(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_ok(net_run(seed, 2, lose_datagrams, NULL, NULL));
}

/* A neighbour that multicasts rubbish, and a thousand peers that are not there. */
static err_t send_rubbish(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_addr_t group = {.family = 4, .ip = {224, 0, 0, 251}, .port = MDNS_PORT, .scope = 1};
    udp_t *u;
    uint8_t rubbish[512];
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    mdns_t *liar = xcalloc(1, sizeof *liar);
    multiaddr_t nowhere;
    assert_ok(multiaddr_parse("/ip4/10.0.0.200/tcp/4001", &nowhere));
    net_start_all(t, w);
    mdns_service_t *a = mdns_start(w->nodes[0].host), *b = mdns_start(w->nodes[1].host);
    assert_ok(udp_open(sim_host_driver(w->nodes[2].machine), &group, &u));
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t binary[34] = {0x12, 0x20, (uint8_t)i, (uint8_t)(i >> 8)};
        peer_id_t id;
        prng_fill(sim_prng(w->sim), rubbish, sizeof rubbish);
        assert_ok(udp_send(u, &group, bytes_of(rubbish, i % sizeof rubbish)));
        assert_ok(peer_id_decode(bytes_of(binary, sizeof binary), &id));
        mdns_init(liar, &id, i);
        assert_true(mdns_set_addrs(liar, &nowhere, 1, 0));
        for (; mdns_output(liar, 1000, &out); buf_clear(&out))
            assert_ok(udp_send(u, &group, buf_bytes(&out)));
        assert_ok(task_sleep(t, 1 + i % 3));
    }
    assert_ok(task_sleep(t, 70000));
    assert_int_equal(connected(w, 0), 1); /* it found the honest one all the same */
    assert_in_range(mdns_found_count(a), 1, 2 * MDNS_PEERS_MAX + 2);
    free(liar);
    udp_close(u);
    mdns_stop(t, a);
    mdns_stop(t, b);
    net_stop_all(t, w);
    return OK;
}

/* Peers that are not there are still being heard and dialed when it stops. */
static err_t stop_while_hearing(task_t *t, void *arg)
{
    net_world_t *w = arg;
    net_addr_t group = {.family = 4, .ip = {224, 0, 0, 251}, .port = MDNS_PORT, .scope = 1};
    udp_t *u;
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    mdns_t *liar = xcalloc(1, sizeof *liar);
    multiaddr_t nowhere;
    assert_ok(multiaddr_parse("/ip4/10.0.0.200/tcp/4001", &nowhere));
    net_start_all(t, w);
    mdns_service_t *a = mdns_start(w->nodes[0].host);
    assert_ok(udp_open(sim_host_driver(w->nodes[1].machine), &group, &u));
    assert_ok(task_sleep(t, 1000));
    for (unsigned i = 0; i < 100; i++) {
        uint8_t binary[34] = {0x12, 0x20, (uint8_t)i};
        peer_id_t id;
        assert_ok(peer_id_decode(bytes_of(binary, sizeof binary), &id));
        mdns_init(liar, &id, i);
        assert_true(mdns_set_addrs(liar, &nowhere, 1, 0));
        for (; mdns_output(liar, 1000, &out); buf_clear(&out))
            assert_ok(udp_send(u, &group, buf_bytes(&out)));
    }
    while (!mdns_found_count(a))
        assert_ok(task_sleep(t, 1));
    assert_in_range(mdns_found_count(a), 1, 99);
    mdns_stop(t, a);
    assert_ok(task_sleep(t, 120000)); /* nothing of it is left that could run */
    free(liar);
    udp_close(u);
    net_stop_all(t, w);
    return OK;
}

static void test_stop_while_hearing(void **state)
{
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_ok(net_run(seed, 2, stop_while_hearing, NULL, NULL));
}

static void test_rubbish(void **state)
{
    assert_ok(net_run(3, 3, send_rubbish, NULL, NULL));
}

/* A host that listens on loopback alone, or not at all, is quiet. */
static err_t stay_quiet(task_t *t, void *arg)
{
    net_world_t *w = arg;
    multiaddr_t at;
    host_config_t c = {.key = w->nodes[0].key, .agent = "distribute/test", .limits = w->limits};
    assert_ok(host_new(sim_host_sched(w->nodes[0].machine), &c, &w->nodes[0].host));
    assert_ok(multiaddr_parse("/ip4/127.0.0.1/tcp/4001", &at));
    assert_ok(host_listen(t, w->nodes[0].host, &at));
    net_start(t, w, 1);
    mdns_service_t *a = mdns_start(w->nodes[0].host), *b = mdns_start(w->nodes[1].host);
    assert_ok(task_sleep(t, 200000));
    assert_int_equal(mdns_found_count(a) + mdns_found_count(b), 0);
    assert_ok(multiaddr_parse("/ip4/0.0.0.0/tcp/4002", &at));
    assert_ok(host_listen(t, w->nodes[0].host, &at)); /* now it has something to say */
    assert_ok(task_sleep(t, 3000));
    assert_int_equal(connected(w, 0), 1);
    mdns_stop(t, a);
    mdns_stop(t, b);
    net_stop_all(t, w);
    return OK;
}

static void test_quiet(void **state)
{
    assert_ok(net_run(4, 2, stay_quiet, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_each_other),    cmocka_unit_test(test_find_many),
        cmocka_unit_test(test_lossy_link),         cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_stop_while_hearing), cmocka_unit_test(test_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
