/* dht: nodes with a host and routing on machines of the simulator. */
#ifndef TESTS_SUPPORT_DHT_H
#define TESTS_SUPPORT_DHT_H
#include "crypto/hash.h"
#include "routing/routing_internal.h"
#include "sim/sim.h"
#include "tests/support/test.h"

enum { WORLD_MAX_NODES = 64, WORLD_PORT = 4001 };

typedef struct world_node {
    struct world *world;
    sim_host_t *machine;
    private_key_t *key;
    peer_id_t id;
    multiaddr_t addr; /* with /p2p/ID */
    routing_config_t config;
    kv_t *kv; /* outlives a restart of the node */
    host_t *host;
    routing_t *routing; /* NULL: a bare host, whose protocols the test serves */
    bool is_bare, is_up, must_stop;
    task_fn setup; /* of bare hosts: arg is the node */
    int kind;      /* of bare hosts: what the test makes of it */
} world_node_t;

typedef struct world {
    sim_t *sim;
    world_node_t nodes[WORLD_MAX_NODES];
    size_t n;
    event_t changed;
    routing_config_t config; /* of nodes that are added */
} world_t;

static inline world_t *world_new(uint64_t seed)
{
    world_t *w = xcalloc(1, sizeof *w);
    w->sim = sim_new(seed);
    event_init(&w->changed);
    routing_config_default(&w->config);
    w->config.reprovide_interval_ms = 0;
    w->config.scratch_folder = "/";
    sim_add_host(w->sim, "10.9.9.9"); /* of the scenario itself */
    return w;
}

static inline void world_free(world_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        private_key_free(w->nodes[i].key);
    sim_free(w->sim);
    free(w);
}

/* One more machine (ip) with a node; it is not started yet. */
static inline world_node_t *world_add(world_t *w, const char *ip)
{
    assert_true(w->n < WORLD_MAX_NODES);
    world_node_t *n = &w->nodes[w->n++];
    n->world = w;
    n->machine = sim_add_host(w->sim, ip);
    uint8_t seed[32] = {(uint8_t)w->n, 0x77};
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &n->key));
    assert_ok(peer_id_of(private_key_public(n->key), &n->id));
    char text[MULTIADDR_TEXT_MAX];
    snprintf(text, sizeof text, "/ip4/%s/tcp/%d", ip, WORLD_PORT);
    multiaddr_t bare;
    assert_ok(multiaddr_parse(text, &bare));
    assert_ok(multiaddr_with_peer(&bare, &n->id, &n->addr));
    n->config = w->config;
    return n;
}

static inline err_t run_node(task_t *t, world_node_t *n)
{
    host_config_t hc = {
        .key = n->key, .agent = "test", .protocol_version = "ipfs/0.1.0", .may_use_loopback = true};
    host_limits_default(&hc.limits);
    TRY(host_new(task_sched(t), &hc, &n->host));
    multiaddr_t at;
    multiaddr_without_peer(&n->addr, &at);
    err_t e = host_listen(t, n->host, &at);
    n->config.state = n->kv;
    if (!e && !n->is_bare)
        e = routing_start(t, n->host, &n->config, &n->routing);
    if (!e && n->setup)
        e = n->setup(t, n);
    n->is_up = !e;
    event_fire(&n->world->changed);
    while (!e && !n->must_stop)
        e = event_wait(t, &n->world->changed);
    routing_close(t, n->routing);
    n->routing = NULL;
    host_close(t, n->host);
    n->host = NULL;
    n->is_up = false;
    event_fire(&n->world->changed);
    return e;
}

static inline err_t node_main(task_t *t, void *arg)
{
    err_t e = run_node(t, arg);
    assert_ok(e);
    return e;
}

/* From the scenario: starts it and waits until it listens. */
static inline void world_start(task_t *t, world_node_t *n)
{
    n->must_stop = false;
    if (!n->kv)
        n->kv = kv_memory_new();
    assert_ok(sim_host_start(n->machine, "node", node_main, n));
    while (!n->is_up)
        assert_ok(event_wait(t, &n->world->changed));
}

/* Waits until it has closed. */
static inline void world_stop(task_t *t, world_node_t *n)
{
    if (!n->is_up)
        return;
    n->must_stop = true;
    event_fire(&n->world->changed);
    while (n->is_up)
        assert_ok(event_wait(t, &n->world->changed));
}

static inline void world_stop_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->n; i++) {
        world_stop(t, &w->nodes[i]);
        kv_close(t, w->nodes[i].kv);
        w->nodes[i].kv = NULL;
    }
}

typedef struct call {
    world_node_t *node;
    task_fn fn;
    void *arg;
    err_t result;
    bool is_done;
} call_t;

static inline err_t call_main(task_t *t, void *arg)
{
    call_t *c = arg;
    c->result = c->fn(t, c->arg);
    c->is_done = true;
    event_fire(&c->node->world->changed);
    return OK;
}

/* Runs fn(t, arg) on the node's machine and waits; its result. */
static inline err_t world_on(task_t *t, world_node_t *n, task_fn fn, void *arg)
{
    call_t c = {.node = n, .fn = fn, .arg = arg};
    assert_ok(sim_host_start(n->machine, "call", call_main, &c));
    while (!c.is_done)
        assert_ok(event_wait(t, &n->world->changed));
    return c.result;
}

typedef struct pair {
    world_node_t *from, *to;
} pair_t;

static inline err_t connect_call(task_t *t, void *arg)
{
    enum { TRIES = 5, PAUSE_MS = 20000 }; /* on a bad network a dial may fail, and backs off */
    pair_t *p = arg;
    conn_t *conn;
    err_t e = host_connect_addr(t, p->from->host, &p->to->addr, &conn);
    for (int i = 1; e && i < TRIES; i++) {
        TRY(task_sleep(t, PAUSE_MS));
        e = host_connect_addr(t, p->from->host, &p->to->addr, &conn);
    }
    TRY(e);
    e = conn_wait_identified(t, conn);
    conn_release(conn);
    return e;
}

/* The node connects to another by its address. */
static inline void world_connect(task_t *t, world_node_t *from, world_node_t *to)
{
    pair_t p = {from, to};
    assert_ok(world_on(t, from, connect_call, &p));
}

/* Starts n nodes, each joining through the first, and waits until all are bootstrapped. */
static inline void world_join(task_t *t, world_t *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "10.0.%zu.%zu", 1 + i / 200, 1 + i % 200);
        world_node_t *node = world_add(w, ip);
        world_start(t, node);
        if (i)
            world_connect(t, node, &w->nodes[0]);
    }
    for (size_t i = 0; i < n; i++)
        for (int tries = 0; !routing_is_bootstrapped(w->nodes[i].routing); tries++) {
            assert_true(tries < 600);
            assert_ok(task_sleep(t, 100));
        }
}

typedef struct scenario {
    world_t *world;
    task_fn fn;
} scenario_t;

static inline err_t scenario_main(task_t *t, void *arg)
{
    scenario_t *s = arg;
    TRY(s->fn(t, s->world));
    world_stop_all(t, s->world);
    return OK;
}

static inline void world_run(world_t *w, task_fn fn)
{
    scenario_t s = {w, fn};
    assert_ok(sim_run(w->sim, scenario_main, &s));
    world_free(w);
}

/* Over both DHTs. */
static inline size_t world_table_count(world_node_t *n)
{
    return routing_table_size(n->routing);
}

static inline bool world_knows(world_node_t *n, const peer_id_t *peer)
{
    for (size_t i = 0; i < n->routing->n_dhts; i++)
        if (kbucket_get(&n->routing->dhts[i].table, peer))
            return true;
    return false;
}

static inline cid_t world_cid(const char *text)
{
    uint8_t digest[32];
    sha256_of(bytes_str(text), digest);
    return cid_of_sha256(1, CODEC_RAW, digest);
}

typedef struct finding {
    world_node_t *node;
    cid_t cid;
    size_t max, n;
    peer_id_t *ids;
} finding_t;

static inline err_t provide_call(task_t *t, void *arg)
{
    finding_t *f = arg;
    return routing_provide(t, f->node->routing, &f->cid);
}

static inline err_t world_provide(task_t *t, world_node_t *n, const char *text)
{
    finding_t f = {.node = n, .cid = world_cid(text)};
    return world_on(t, n, provide_call, &f);
}

static inline bool on_provider(void *arg, const routed_peer_t *p)
{
    finding_t *f = arg;
    if (f->ids && f->n < 64)
        f->ids[f->n] = p->id;
    f->n++;
    return true;
}

static inline err_t find_call(task_t *t, void *arg)
{
    finding_t *f = arg;
    return routing_find_providers(t, f->node->routing, &f->cid, f->max, on_provider, NULL, f);
}

/* How many providers are found, at most max (0: all); the ids go to ret (may be NULL, else 64). */
static inline size_t world_find(task_t *t, world_node_t *n, const char *text, size_t max, peer_id_t *ret)
{
    finding_t f = {.node = n, .cid = world_cid(text), .max = max, .ids = ret};
    assert_ok(world_on(t, n, find_call, &f));
    return f.n;
}
#endif
