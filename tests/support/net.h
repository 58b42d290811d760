/* net: machines of a simulation with libp2p hosts on them. */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H
#include "net/host_internal.h"
#include "sim/sim.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

enum { NET_NODES_MAX = 24, NET_PORT = 4001 };
typedef struct net_node {
    sim_host_t *machine;
    host_t *host;
    private_key_t *key;
    multiaddr_t addr; /* with /p2p/ID */
} net_node_t;
typedef struct net_world {
    sim_t *sim;
    size_t n;
    net_node_t nodes[NET_NODES_MAX];
    host_limits_t limits; /* of hosts started after it was changed, as the next two */
    security_t securities[SECURITY_COUNT];
    size_t n_securities;
    const uint8_t *swarm_key;
    void *arg;
} net_world_t;

/* Runs fn(t, world) on the first of n machines (10.0.0.1, 10.0.0.2, …) with no host started yet. */
static inline err_t net_run(uint64_t seed, size_t n, task_fn fn, void *arg, uint64_t *ret_hash)
{
    net_world_t *w = xcalloc(1, sizeof *w);
    w->sim = sim_new(seed);
    w->n = n;
    w->arg = arg;
    host_limits_default(&w->limits);
    for (size_t i = 0; i < n; i++) {
        char ip[32];
        uint8_t key_seed[32] = {(uint8_t)(i + 1)};
        snprintf(ip, sizeof ip, "10.0.0.%zu", i + 1);
        w->nodes[i].machine = sim_add_host(w->sim, ip);
        assert_ok(private_key_generate(KEY_ED25519, key_seed, 0, &w->nodes[i].key));
    }
    err_t e = sim_run(w->sim, fn, w);
    if (ret_hash)
        *ret_hash = sim_hash(w->sim);
    sim_free(w->sim);
    for (size_t i = 0; i < n; i++)
        private_key_free(w->nodes[i].key);
    free(w);
    return e;
}

/* What its open connections are charged while nothing is under way. */
static inline uint64_t net_idle_bytes(const host_t *h)
{
    uint64_t bytes = 0;
    LIST_EACH (c, &h->conns, const conn_t, node)
        bytes += c->use.memory;
    return bytes;
}

/* Starts the host of node i, listening on NET_PORT. */
static inline host_t *net_start(task_t *t, net_world_t *w, size_t i)
{
    net_node_t *node = &w->nodes[i];
    host_config_t c = {.key = node->key,
                       .agent = "distribute/test",
                       .limits = w->limits,
                       .securities = {w->securities[0], w->securities[1]},
                       .n_securities = w->n_securities,
                       .swarm_key = w->swarm_key};
    assert_ok(host_new(sim_host_sched(node->machine), &c, &node->host));
    net_addr_t at = sim_host_addr(node->machine, NET_PORT);
    multiaddr_t m;
    assert_ok(multiaddr_from_tcp(at.family, at.ip, at.port, &m));
    assert_ok(host_listen(t, node->host, &m));
    assert_ok(multiaddr_with_peer(&m, host_id(node->host), &node->addr));
    return node->host;
}

static inline void net_start_all(task_t *t, net_world_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        net_start(t, w, i);
}

static inline void net_stop(task_t *t, net_world_t *w, size_t i)
{
    host_close(t, w->nodes[i].host);
    w->nodes[i].host = NULL;
}

static inline void net_stop_all(task_t *t, net_world_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].host)
            net_stop(t, w, i);
}

/* A reference to the connection; released by the caller. */
static inline conn_t *net_connect(task_t *t, net_world_t *w, size_t from, size_t to)
{
    conn_t *c;
    assert_ok(host_connect_addr(t, w->nodes[from].host, &w->nodes[to].addr, &c));
    return c;
}

/* A dialer learns of the refusal at once, or from a connection that ends. */
static inline void net_assert_refused(task_t *t, net_world_t *w, size_t from, size_t to)
{
    conn_t *c;
    if (host_connect_addr(t, w->nodes[from].host, &w->nodes[to].addr, &c))
        return;
    assert_ok(task_sleep(t, 1000));
    assert_false(conn_is_open(c));
    conn_release(c);
}
#endif
