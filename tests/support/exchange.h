/* exchange: nodes with bitswap in the simulator. */
#ifndef TESTS_SUPPORT_EXCHANGE_H
#define TESTS_SUPPORT_EXCHANGE_H
#include "exchange/bitswap.h"
#include "tests/support/net.h"
#include "wire/bitswap.h"

enum { BLOCKS_MAX = 600 };
typedef struct node {
    bitswap_t *bitswap;
    blockstore_t *store;
    routing_t *routing;
    kv_t *state;
    uint64_t max_bytes;
    bool (*may_serve)(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid);
    size_t received;
} node_t;
typedef struct world {
    net_world_t *net;
    node_t nodes[NET_NODES_MAX];
    cid_t cids[BLOCKS_MAX];
    size_t n_blocks, block_bytes;
    size_t served; /* by bad peers */
    bool with_routing;
} world_t;

static inline void fill_block(size_t i, uint8_t *out, size_t len)
{
    prng_t rng;
    prng_seed(&rng, i + 1);
    prng_fill(&rng, out, len);
}

static inline block_t *make_block(size_t i, size_t len)
{
    block_t *b;
    assert_ok(block_new(len, &b));
    fill_block(i, b->data, len);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b), &b->cid));
    return b;
}

static inline void make_blocks(world_t *w, size_t n, size_t bytes)
{
    w->n_blocks = n;
    w->block_bytes = bytes;
    for (size_t i = 0; i < n; i++) {
        block_t *b = make_block(i, bytes);
        w->cids[i] = b->cid;
        block_release(b);
    }
}

static inline void put_blocks(task_t *t, world_t *w, size_t node, size_t from, size_t until)
{
    for (size_t i = from; i < until; i++) {
        block_t *b = make_block(i, w->block_bytes);
        assert_ok(blockstore_put(t, w->nodes[node].store, b));
        block_release(b);
    }
}

static inline void count_received(void *arg, const cid_t *cid)
{
    ((node_t *)arg)->received++;
}

static inline void start(task_t *t, world_t *w, size_t i)
{
    bitswap_config_t c;
    bitswap_config_default(&c);
    net_start(t, w->net, i);
    if (w->with_routing) {
        routing_config_t rc;
        routing_config_default(&rc);
        rc.mode = DHT_MODE_SERVER;
        rc.state = w->nodes[i].state = kv_memory_new();
        assert_ok(routing_start(t, w->net->nodes[i].host, &rc, &w->nodes[i].routing));
        c.routing = w->nodes[i].routing;
    }
    assert_ok(memory_store_new(w->nodes[i].max_bytes ? w->nodes[i].max_bytes : 1u << 30, &w->nodes[i].store));
    c.received = count_received;
    c.may_serve = w->nodes[i].may_serve;
    c.arg = &w->nodes[i];
    c.host = w->net->nodes[i].host;
    c.blocks = w->nodes[i].store;
    assert_ok(bitswap_start(t, &c, &w->nodes[i].bitswap));
}

static inline void stop(task_t *t, world_t *w, size_t i)
{
    bitswap_close(t, w->nodes[i].bitswap);
    w->nodes[i].bitswap = NULL;
    routing_close(t, w->nodes[i].routing);
    w->nodes[i].routing = NULL;
    if (w->net->nodes[i].host)
        net_stop(t, w->net, i);
    blockstore_close(t, w->nodes[i].store);
    w->nodes[i].store = NULL;
    kv_close(t, w->nodes[i].state);
    w->nodes[i].state = NULL;
}

static inline void start_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        start(t, w, i);
}

static inline void stop_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        if (w->nodes[i].store)
            stop(t, w, i);
}

static inline void connect(task_t *t, world_t *w, size_t from, size_t to)
{
    conn_t *c = net_connect(t, w->net, from, to);
    assert_ok(conn_wait_identified(t, c));
    conn_release(c);
}

static inline err_t get_one(task_t *t, bitswap_session_t *s, const cid_t *cid, uint64_t within_ms)
{
    AUTO_PTR(block_t) b = NULL;
    deadline_t d = deadline_push(t, within_ms);
    err_t e = bitswap_get(t, s, cid, &b);
    deadline_pop(t, &d);
    if (!e) {
        assert_true(cid_equal(&b->cid, cid));
        assert_ok(cid_verify(cid, block_bytes(b)));
    }
    return e;
}

/* Gets blocks in order with hints ahead, as a DAG reader does. */
static inline void get_all(task_t *t, world_t *w, bitswap_session_t *s, size_t from, size_t until)
{
    for (size_t i = from; i < until; i++) {
        if (i % 32 == 0)
            bitswap_prefetch(s, &w->cids[i], until - i < 64 ? until - i : 64);
        assert_ok(get_one(t, s, &w->cids[i], 300000));
    }
}

typedef void (*scenario_fn)(task_t *t, world_t *w);
static inline err_t run_world(task_t *t, void *arg)
{
    net_world_t *net = arg;
    world_t *w = xcalloc(1, sizeof *w);
    w->net = net;
    (*(scenario_fn *)net->arg)(t, w);
    stop_all(t, w);
    for (size_t i = 0; i < net->n; i++)
        if (net->nodes[i].host)
            net_stop(t, net, i);
    free(w);
    return OK;
}

static inline void run_scenario(uint64_t seed, size_t n, scenario_fn fn, uint64_t *ret_hash)
{
    assert_ok(net_run(seed, n, run_world, &fn, ret_hash));
}

typedef struct fetch {
    world_t *w;
    bitswap_session_t *s;
    size_t from, until, done;
    bool is_over;
} fetch_t;

static inline err_t fetch_task(task_t *t, void *arg)
{
    fetch_t *f = arg;
    for (size_t i = f->from; i < f->until; i++) {
        if (i % 32 == 0)
            bitswap_prefetch(f->s, &f->w->cids[i], f->until - i < 64 ? f->until - i : 64);
        assert_ok(get_one(t, f->s, &f->w->cids[i], 900000));
        f->done++;
    }
    f->is_over = true;
    return OK;
}

#endif
