/* Nodes that replicate for each other, in the simulator: real hosts, bitswap and stores in memory. */
#include "codec/dag_pb.h"
#include "replica/replica.h"
#include "tests/support/net.h"
#include "wire/replica_seal.h"

typedef struct node {
    bool is_up;
    bitswap_t *bitswap;
    blockstore_t *store;
    kv_t *state; /* outlives a crash of the process, as the disk does */
    replica_t *replica;
    size_t pinned; /* roots that are pinned by replication */
    uint64_t max_bytes;
    bool is_stranger; /* in nobody's list */
} node_t;
typedef struct world {
    net_world_t *net;
    node_t nodes[NET_NODES_MAX];
    cid_t root;
    uint64_t size;
    size_t steps[8];
} world_t;

static err_t pin_hook(task_t *t, void *arg, const cid_t *root)
{
    ((node_t *)arg)->pinned = 1;
    return OK;
}

static err_t unpin_hook(task_t *t, void *arg, const cid_t *root)
{
    ((node_t *)arg)->pinned = 0;
    return OK;
}

static void start(task_t *t, world_t *w, size_t i)
{
    node_t *n = &w->nodes[i];
    net_start(t, w->net, i);
    host_t *h = w->net->nodes[i].host;
    if (!n->store)
        assert_ok(memory_store_new(1u << 30, &n->store));
    if (!n->state)
        n->state = kv_memory_new();
    bitswap_config_t bc;
    bitswap_config_default(&bc);
    bc.host = h;
    bc.blocks = n->store;
    assert_ok(bitswap_start(t, &bc, &n->bitswap));
    replica_config_t rc;
    replica_config_default(&rc);
    rc.host = h;
    rc.bitswap = n->bitswap;
    rc.blocks = n->store;
    rc.state = n->state;
    rc.key = w->net->nodes[i].key;
    rc.heartbeat_ms = 1000;
    rc.lost_grace_ms = 3000;
    rc.prune_grace_ms = 10000;
    rc.pin = pin_hook;
    rc.unpin = unpin_hook;
    rc.arg = n;
    if (n->max_bytes)
        rc.max_bytes = n->max_bytes;
    peer_id_t allowed[NET_NODES_MAX];
    for (size_t k = 0; k < w->net->n; k++) {
        public_key_t pk = *private_key_public(w->net->nodes[k].key);
        if (!w->nodes[k].is_stranger)
            assert_ok(peer_id_of(&pk, &allowed[rc.n_allow_from++]));
        /* What a DHT would know. */
        peer_id_t id;
        assert_ok(peer_id_of(&pk, &id));
        net_addr_t at = sim_host_addr(w->net->nodes[k].machine, NET_PORT);
        multiaddr_t m;
        assert_ok(multiaddr_from_tcp(at.family, at.ip, at.port, &m));
        peerstore_add_addrs(host_peerstore(h), &id, &m, 1, ADDR_TTL_PERMANENT);
    }
    rc.allow_from = allowed;
    assert_ok(replica_start(t, &rc, &n->replica));
    n->is_up = true;
}

/* The process ends; what is on its disk stays. */
static void stop(task_t *t, world_t *w, size_t i)
{
    node_t *n = &w->nodes[i];
    if (!n->is_up)
        return;
    replica_close(t, n->replica);
    bitswap_close(t, n->bitswap);
    net_stop(t, w->net, i);
    n->is_up = false;
}

static void finish(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++) {
        stop(t, w, i);
        blockstore_close(t, w->nodes[i].store);
        kv_close(t, w->nodes[i].state);
    }
}

typedef void (*scenario_fn)(task_t *t, world_t *w);
static err_t run_world(task_t *t, void *arg)
{
    net_world_t *net = arg;
    world_t *w = xcalloc(1, sizeof *w);
    w->net = net;
    (*(scenario_fn *)net->arg)(t, w);
    finish(t, w);
    free(w);
    return OK;
}

static void run_scenario(uint64_t seed, size_t n, scenario_fn fn)
{
    uint64_t hash;
    assert_ok(net_run(seed, n, run_world, &fn, &hash));
}

/* A dag-pb node over n raw leaves, into the store of node i. */
static void add_dag(task_t *t, world_t *w, size_t i, size_t n, size_t leaf_bytes)
{
    AUTO(buf_t) out;
    buf_init(&out, 1 << 20);
    writer_t wr = writer_to(&out);
    w->size = 0;
    for (size_t k = 0; k < n; k++) {
        block_t *b;
        assert_ok(block_new(leaf_bytes, &b));
        memset(b->data, (int)(k + 1), leaf_bytes);
        assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b), &b->cid));
        assert_ok(blockstore_put(t, w->nodes[i].store, b));
        dag_pb_link_t link = {.cid = b->cid, .tsize = leaf_bytes, .has_name = true, .has_tsize = true};
        dag_pb_put_link(&wr, &link);
        block_release(b);
        w->size += leaf_bytes;
    }
    assert_ok(wr.err);
    block_t *root;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&out), &w->root));
    assert_ok(block_copy(&w->root, buf_bytes(&out), &root));
    assert_ok(blockstore_put(t, w->nodes[i].store, root));
    w->size += root->len;
    block_release(root);
}

static void on_step(void *arg, const replica_progress_t *p)
{
    ((world_t *)arg)->steps[p->step]++;
    assert_non_null(p->reason);
}

static uint32_t pin(task_t *t, world_t *w, size_t i, uint32_t n)
{
    uint32_t have = 0;
    deadline_t d = deadline_push(t, 60000);
    assert_ok(replica_pin(t, w->nodes[i].replica, &w->root, n, on_step, w, &have));
    deadline_pop(t, &d);
    return have;
}

static size_t holders(const world_t *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->net->n; i++)
        n += w->nodes[i].is_up && w->nodes[i].pinned;
    return n;
}

static replica_status_t status(task_t *t, world_t *w, size_t i)
{
    replica_status_t *s = xcalloc(1, sizeof *s), copy;
    assert_ok(replica_status(t, w->nodes[i].replica, &w->root, 5000, s));
    copy = *s;
    free(s);
    return copy;
}

static void start_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        start(t, w, i);
    assert_ok(task_sleep(t, 5000)); /* they find each other */
}

static size_t a_holder(const world_t *w, size_t from)
{
    while (!w->nodes[from].is_up || !w->nodes[from].pinned)
        from++;
    return from;
}

/* ── scenarios ───────────────────────────────────────────────────────────────────────────────── */
static err_t count_root(task_t *t, void *arg, const replica_status_t *s)
{
    (*(size_t *)arg)++;
    assert_int_equal(s->n_holders, 3);
    return OK;
}

static void pin_and_status(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 20, 30000);
    replica_status_t s = status(t, w, 0);
    assert_true(s.is_local);
    assert_int_equal(s.target, 0);
    assert_int_equal(s.size_bytes, w->size);
    assert_int_equal(pin(t, w, 0, 3), 3);
    assert_int_equal(holders(w), 3);
    assert_int_equal(w->steps[REPLICA_ASKED], 2);
    assert_int_equal(w->steps[REPLICA_ACCEPTED], 2);
    assert_int_equal(w->steps[REPLICA_HOLDS], 2);
    for (size_t i = 0; i < w->net->n; i++) {
        s = status(t, w, i);
        assert_int_equal(s.is_local, w->nodes[i].pinned);
        assert_int_equal(s.n_holders, 3); /* also where none of it is */
        assert_int_equal(s.target, 3);
        if (!w->nodes[i].pinned)
            continue;
        assert_true(s.is_pinned);
        assert_int_equal(s.n_holders, 3);
        assert_int_equal(s.target, 3);
        assert_int_equal(s.size_bytes, w->size);
        assert_true(peer_id_equal(&s.owner, host_id(w->net->nodes[0].host)));
        size_t roots = 0;
        assert_ok(replica_each(t, w->nodes[i].replica, count_root, &roots));
        assert_int_equal(roots, 1);
        replica_stat_t st;
        replica_stat(w->nodes[i].replica, &st);
        assert_int_equal(st.held_bytes, i ? w->size : 0);
        assert_int_equal(st.roots_below_target + st.roots_above_target, 0);
    }
    assert_int_equal(pin(t, w, 0, 5), 5); /* more */
    assert_int_equal(pin(t, w, 0, 9), 5); /* there are no more nodes */
    assert_err(replica_pin(t, w->nodes[0].replica, &w->root, 0, NULL, NULL, NULL), ERR_INVALID);
    assert_err(replica_pin(t, w->nodes[0].replica, &w->root, 33, NULL, NULL, NULL), ERR_INVALID);
    assert_err(replica_unpin(t, w->nodes[a_holder(w, 1)].replica, &w->root), ERR_DENIED);
    assert_ok(replica_unpin(t, w->nodes[0].replica, &w->root));
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(holders(w), 0);
    assert_err(replica_unpin(t, w->nodes[0].replica, &w->root), ERR_NOT_FOUND);
    s = status(t, w, 0);
    assert_int_equal(s.target, 0);
}

static void test_pin_and_status(void **state)
{
    run_scenario(1, 5, pin_and_status);
}

/* One holder after the other goes, the adder first; each time one more node takes it, never two. */
static void heal(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 30, 50000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    stop(t, w, 0);
    assert_int_equal(holders(w), 2);
    size_t most = 0;
    for (int i = 0; i < 600; i++) {
        assert_ok(task_sleep(t, 100));
        if (holders(w) > most)
            most = holders(w);
    }
    assert_int_equal(holders(w), 3);
    assert_int_equal(most, 3);
    replica_status_t s = status(t, w, a_holder(w, 0));
    assert_int_equal(s.n_holders, 3);
    stop(t, w, a_holder(w, 1));
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 3);
    /* The adder returns: one too many, so one goes. */
    start(t, w, 0);
    for (int i = 0; i < 600; i++) {
        assert_ok(task_sleep(t, 200));
        assert_true(holders(w) >= 3);
    }
    assert_int_equal(holders(w), 3);
    assert_true(w->nodes[0].pinned);
    s = status(t, w, 0);
    assert_int_equal(s.n_holders, 3);
    assert_int_equal(s.target, 3);
}

static void test_heal(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_scenario(seed, 6, heal);
}

static void partition(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++)
            if (i % 2 != k % 2)
                sim_partition(w->net->nodes[i].machine, w->net->nodes[k].machine, true);
    assert_ok(task_sleep(t, 180000));
    size_t sides[2] = {0, 0};
    for (size_t i = 0; i < 6; i++)
        sides[i % 2] += w->nodes[i].pinned;
    assert_int_equal(sides[0], 3);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++)
            if (i % 2 != k % 2)
                sim_partition(w->net->nodes[i].machine, w->net->nodes[k].machine, false);
    for (int i = 0; i < 600; i++) {
        assert_ok(task_sleep(t, 1000));
        assert_true(holders(w) >= 3);
    }
    assert_int_equal(holders(w), 3);
}

static void test_partition(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_scenario(seed, 6, partition);
}

/* Refusals: from who is not in the list, and from a full node. */
static void refusals(task_t *t, world_t *w)
{
    w->nodes[3].is_stranger = true;
    w->nodes[2].max_bytes = 1000;
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 4), 2); /* itself and node 1 */
    assert_true(w->nodes[1].pinned);
    assert_int_equal(w->steps[REPLICA_REFUSED], 1);
    replica_stat_t st;
    replica_stat(w->nodes[2].replica, &st);
    assert_int_equal(st.offers_refused, 1);
    assert_int_equal(st.held_bytes, 0);
    /* The stranger asks them, and is refused by all that it asks. */
    w->nodes[0].pinned = w->nodes[1].pinned = 0;
    add_dag(t, w, 3, 11, 20000);
    assert_int_equal(pin(t, w, 3, 3), 1);
    assert_int_equal(holders(w), 1);
    replica_stat(w->nodes[1].replica, &st);
    assert_int_equal(st.offers_refused, 1);
    /* Room is made. */
    peer_id_t all[3];
    for (size_t i = 0; i < 3; i++)
        all[i] = *host_id(w->net->nodes[i].host);
    assert_ok(replica_allow(w->nodes[2].replica, all, 3, false, 1u << 30));
    assert_ok(task_sleep(t, 120000));
    assert_true(w->nodes[2].pinned);
}

static void test_refusals(void **state)
{
    run_scenario(2, 4, refusals);
}

/* ── hostile messages ────────────────────────────────────────────────────────────────────────── */
static replica_message_kind_t ask_raw(task_t *t, world_t *w, size_t from, size_t to,
                                      const replica_message_t *m)
{
    static const char *const protocols[] = {REPLICA_PROTOCOL};
    stream_t *s;
    AUTO(buf_t) out, in;
    buf_init(&out, REPLICA_MESSAGE_MAX_BYTES);
    buf_init(&in, REPLICA_MESSAGE_MAX_BYTES);
    assert_ok(host_open_stream(t, w->net->nodes[from].host, host_id(w->net->nodes[to].host), protocols, 1, &s,
                               NULL));
    assert_ok(replica_message_encode(m, &out));
    assert_ok(stream_write_message(t, s, buf_bytes(&out)));
    replica_message_t *answer = xcalloc(1, sizeof *answer);
    err_t e = stream_read_message(t, s, REPLICA_MESSAGE_MAX_BYTES, &in);
    if (!e)
        e = replica_message_decode(buf_bytes(&in), answer);
    replica_message_kind_t kind = e ? 0 : answer->kind;
    if (kind == REPLICA_STATE) /* of what others hold, nothing is told */
        assert_false(answer->has_record);
    free(answer);
    stream_close(s);
    return kind;
}

/* A record by `signer` about another one, or about itself. */
static replica_message_t *claim(world_t *w, replica_message_kind_t kind, size_t owner, size_t signer,
                                uint64_t size)
{
    replica_message_t *m = xcalloc(1, sizeof *m);
    m->kind = kind;
    m->has_record = m->has_root = true;
    m->root = m->record.root = w->root;
    m->record.size_bytes = size;
    m->record.n_heads = 1;
    peer_id_t id = *host_id(w->net->nodes[owner].host);
    m->record.heads[0] =
        (replica_head_t){.owner = id, .version = 1000, .target = 1, .is_released = kind == REPLICA_RELEASE};
    replica_entry_t e = {
        id, 1000, kind == REPLICA_RELEASE ? REPLICA_ENTRY_LEFT : REPLICA_ENTRY_HOLDS, 1, {0}};
    assert_ok(replica_head_seal(w->net->nodes[signer].key, &w->root, &m->record.heads[0]));
    assert_ok(replica_entry_seal(w->net->nodes[signer].key, &w->root, &e));
    assert_ok(replica_record_put(&m->record, &e));
    return m;
}

/* A stranger that knows a root and who owns it: it changes nothing, and learns nothing. */
static void strangers(task_t *t, world_t *w)
{
    w->nodes[3].is_stranger = true;
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    for (replica_message_kind_t kind = REPLICA_OFFER; kind <= REPLICA_STATE; kind++) {
        for (size_t owner = 0; owner < 4; owner += 3) {
            replica_message_t *m = claim(w, kind, owner, 3, 1);
            replica_message_kind_t answer = ask_raw(t, w, 3, 1, m);
            bool is_heartbeat = kind == REPLICA_HEARTBEAT; /* answered, with nothing in it */
            if (kind != REPLICA_OFFER)
                assert_int_equal(answer, is_heartbeat ? REPLICA_STATE : REPLICA_REFUSE);
            free(m);
        }
    }
    assert_ok(task_sleep(t, 120000));
    replica_status_t s = status(t, w, 1);
    assert_int_equal(s.target, 3);
    assert_int_equal(s.n_holders, 3);
    assert_int_equal(holders(w), 3);
    /* What it owns itself is not taken either, nor counted against anybody. */
    add_dag(t, w, 3, 4, 3000);
    replica_message_t *m = claim(w, REPLICA_OFFER, 3, 3, 1);
    assert_int_equal(ask_raw(t, w, 3, 1, m), REPLICA_REFUSE);
    free(m);
    replica_stat_t st;
    replica_stat(w->nodes[1].replica, &st);
    assert_int_equal(st.roots, 1);
    assert_in_range(st.offers_refused, 1, 10);
}

static void test_strangers(void **state)
{
    run_scenario(6, 4, strangers);
}

static void expect_copies(task_t *t, world_t *w, size_t n)
{
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), n);
    for (size_t i = 0; i < w->net->n; i++)
        if (w->nodes[i].pinned)
            assert_int_equal(status(t, w, i).n_holders, n);
}

/* A member that may use the others speaks for them: that they have left, that the owner wants it no more. And
 * it says that it owns the root itself, and then that it wants it no more. Nothing of it clears a copy. */
static void forgers(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    size_t liar = 1;
    while (w->nodes[liar].pinned)
        liar++;
    replica_stat_t st;
    for (size_t to = 0; to < w->net->n; to++) {
        for (size_t of = 0; of < w->net->n && to != liar; of++) {
            replica_message_t *m = claim(w, REPLICA_RELEASE, of, liar, 1);
            assert_int_equal(ask_raw(t, w, liar, to, m),
                             of == liar || !w->nodes[to].pinned ? REPLICA_ACCEPT : REPLICA_REFUSE);
            m->kind = REPLICA_UPDATE; /* its own head is a true one: two of them, then */
            if (of != liar)
                assert_int_equal(ask_raw(t, w, liar, to, m),
                                 !w->nodes[to].pinned ? REPLICA_ACCEPT : REPLICA_REFUSE);
            free(m);
        }
        replica_stat(w->nodes[to].replica, &st);
        assert_int_equal(st.forged, w->nodes[to].pinned ? 2 * (w->net->n - 1) : 0);
    }
    expect_copies(t, w, 3);
    assert_int_equal(status(t, w, 0).target, 3);
    replica_status_t s = status(t, w, 0);
    assert_true(peer_id_equal(&s.owner, host_id(w->net->nodes[0].host)));
}

static void test_forgers(void **state)
{
    run_scenario(8, 5, forgers);
}

/* Two want it: the one that wants more copies has its way, and when one lets go, the other's stay. */
static void two_owners(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    size_t second = a_holder(w, 1);
    assert_int_equal(pin(t, w, second, 2), 3);
    expect_copies(t, w, 3);
    assert_ok(replica_unpin(t, w->nodes[0].replica, &w->root));
    assert_ok(task_sleep(t, 60000));
    expect_copies(t, w, 2);
    assert_true(w->nodes[second].pinned);
    assert_err(replica_unpin(t, w->nodes[0].replica, &w->root),
               w->nodes[0].pinned ? ERR_DENIED : ERR_NOT_FOUND);
    assert_ok(replica_unpin(t, w->nodes[second].replica, &w->root));
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 0);
}

static void test_two_owners(void **state)
{
    run_scenario(9, 4, two_owners);
}

/* What a node once said of itself, brought again when it says something else. */
static void replays(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    assert_ok(task_sleep(t, 5000));
    replica_message_t *old = xcalloc(1, sizeof *old);
    AUTO(buf_t) value;
    uint8_t key[CID_BINARY_MAX];
    buf_init(&value, KV_VALUE_MAX_BYTES);
    size_t holder = a_holder(w, 1), liar = 1;
    while (w->nodes[liar].pinned)
        liar++;
    assert_ok(kv_get(t, w->nodes[holder].state, "replica-records", bytes_of(key, cid_encode(&w->root, key)),
                     &value));
    assert_ok(replica_record_decode(buf_bytes(&value), &old->record));
    old->kind = REPLICA_UPDATE;
    old->has_record = true;
    assert_ok(replica_unpin(t, w->nodes[0].replica, &w->root));
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(holders(w), 0);
    for (size_t to = 0; to < w->net->n; to++)
        if (to != liar)
            assert_int_equal(ask_raw(t, w, liar, to, old), REPLICA_ACCEPT);
    old->kind = REPLICA_OFFER;
    assert_int_equal(ask_raw(t, w, liar, holder, old), REPLICA_REFUSE); /* released, it knows */
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 0);
    assert_ok(replica_pin(t, w->nodes[0].replica, &w->root, 3, on_step, w, NULL));
    expect_copies(t, w, 3);
    free(old);
}

static void test_replays(void **state)
{
    run_scenario(10, 5, replays);
}

/* One that may store here lies about sizes: the quota counts all the same. */
static void size_liars(task_t *t, world_t *w)
{
    w->nodes[1].max_bytes = 1 << 20;
    start_all(t, w);
    replica_stat_t st;
    add_dag(t, w, 0, 40, 20000);
    replica_message_t *m = claim(w, REPLICA_OFFER, 0, 0, UINT64_MAX);
    assert_int_equal(ask_raw(t, w, 0, 1, m), REPLICA_REFUSE);
    free(m);
    m = claim(w, REPLICA_OFFER, 0, 0, 1); /* of 800,000 bytes */
    assert_int_equal(ask_raw(t, w, 0, 1, m), REPLICA_ACCEPT);
    free(m);
    assert_ok(task_sleep(t, 20000));
    replica_stat(w->nodes[1].replica, &st);
    assert_int_equal(st.held_bytes, 0);
    assert_int_equal(st.fetches_failed, 1);
    assert_false(w->nodes[1].pinned);
}

static void test_size_liars(void **state)
{
    run_scenario(7, 2, size_liars);
}

/* All stop and start again: the records are as before, and nobody is asked anew. */
static void restart(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 3), 3);
    for (size_t i = 0; i < 4; i++)
        stop(t, w, i);
    for (size_t i = 0; i < 4; i++)
        start(t, w, i);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 3);
    for (size_t i = 0; i < 4; i++) {
        replica_stat_t st;
        replica_stat(w->nodes[i].replica, &st);
        assert_int_equal(st.roots, w->nodes[i].pinned);
        assert_int_equal(st.offers_in, 0);
        if (w->nodes[i].pinned)
            assert_int_equal(status(t, w, i).n_holders, 3);
    }
}

static void test_restart(void **state)
{
    run_scenario(3, 4, restart);
}

/* A holder stops in the middle of its fetch and goes on when it is back. */
static void interrupted_fetch(task_t *t, world_t *w)
{
    sim_set_default_link(w->net->sim, (sim_link_t){.latency_ms = 10, .bytes_per_s = 200000});
    start_all(t, w);
    add_dag(t, w, 0, 100, 20000);
    uint32_t have;
    deadline_t d = deadline_push(t, 4000);
    assert_err(replica_pin(t, w->nodes[0].replica, &w->root, 2, on_step, w, &have), ERR_TIMEOUT);
    deadline_pop(t, &d);
    assert_int_equal(have, 1);
    stop(t, w, 1);
    assert_ok(task_sleep(t, 1000));
    start(t, w, 1);
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 2);
    assert_int_equal(status(t, w, 0).n_holders, 2);
}

/* Not even the time to ask one peer: the record is made all the same, and the copies follow. */
static void no_time_to_wait(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 100, 20000);
    uint32_t have = 0;
    assert_err(replica_keep(t, w->nodes[0].replica, &w->root, 3, 0, on_step, w, &have), ERR_TIMEOUT);
    assert_int_equal(have, 1);
    assert_true(replica_holds(w->nodes[0].replica, &w->root));
    assert_ok(task_sleep(t, 60000));
    assert_int_equal(holders(w), 3);
}

static void test_no_time_to_wait(void **state)
{
    run_scenario(5, 4, no_time_to_wait);
}

static void test_interrupted_fetch(void **state)
{
    run_scenario(4, 2, interrupted_fetch);
}

/* A holder lost its blocks and does not know: the audits find out, and it fetches them again. */
static err_t collect(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    return blockstore_remove(t, arg, cid, 1);
}

static void audits(task_t *t, world_t *w)
{
    start_all(t, w);
    add_dag(t, w, 0, 10, 20000);
    assert_int_equal(pin(t, w, 0, 2), 2);
    size_t liar = a_holder(w, 1);
    assert_ok(blockstore_each(t, w->nodes[liar].store, collect, w->nodes[liar].store));
    replica_status_t s = status(t, w, liar);
    assert_false(s.is_local);
    assert_int_equal(s.n_holders, 1);
    assert_ok(task_sleep(t, 60000));
    s = status(t, w, 0);
    assert_int_equal(s.n_holders, 2);
    s = status(t, w, liar);
    assert_true(s.is_local);
    assert_int_equal(s.n_holders, 2);
}

static void test_audits(void **state)
{
    run_scenario(5, 3, audits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin_and_status),  cmocka_unit_test(test_heal),
        cmocka_unit_test(test_partition),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_restart),         cmocka_unit_test(test_interrupted_fetch),
        cmocka_unit_test(test_no_time_to_wait), cmocka_unit_test(test_audits),
        cmocka_unit_test(test_strangers),       cmocka_unit_test(test_size_liars),
        cmocka_unit_test(test_forgers),         cmocka_unit_test(test_two_owners),
        cmocka_unit_test(test_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
