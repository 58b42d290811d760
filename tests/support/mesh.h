/* mesh: members of a mesh in the simulator for tests: the whole stack from hosts up to tombstones, stores in
 * memory. */
#ifndef TESTS_SUPPORT_MESH_H
#define TESTS_SUPPORT_MESH_H
#include "codec/receipt.h"
#include "codec/tombstone.h"
#include "net/nat.h"
#include "replica/mesh.h"
#include "replica/mesh_join.h"
#include "tests/support/net.h"
#include "wire/mesh.h"
#include "wire/replica.h"

enum { PINNED_MAX = 64, CHUNKS = 6, CHUNK_BYTES = 30000, MINUTE_MS = 60000 };

typedef struct node {
    bool is_up;
    routing_t *routing;
    bitswap_t *bitswap;
    pubsub_t *pubsub;
    blockstore_t *store;
    kv_t *state; /* outlives the process, as the disk does */
    replica_t *replica;
    mesh_t *mesh;
    mesh_join_t *join;
    cid_t roots[PINNED_MAX];
    size_t pinned, collected;
    bool cannot_collect, cannot_let_go, cannot_unpin, is_all_needed; /* by other roots */
    uint64_t max_bytes, max_bytes_per_peer;
    uint32_t max_files_per_peer, max_tombstones;
    const char *zone;
    bool is_relay, is_behind_nat;
    size_t dials_early;  /* whom it reaches over the relay before it is a member; 0: nobody */
    const char *contact; /* NULL: the first node's IP:PORT */
} node_t;
typedef struct world {
    net_world_t *net;
    node_t nodes[NET_NODES_MAX];
    private_key_t *owner;
    cid_t manifest;
    uint64_t size;
    mesh_contact_t met; /* what the last one that joined was told */
    size_t n_met;
} world_t;

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */
static inline err_t pin_hook(task_t *t, void *arg, const cid_t *root)
{
    node_t *n = arg;
    for (size_t i = 0; i < n->pinned; i++)
        if (cid_equal(&n->roots[i], root))
            return OK;
    assert_true(n->pinned < PINNED_MAX);
    n->roots[n->pinned++] = *root;
    return OK;
}

static inline err_t unpin_hook(task_t *t, void *arg, const cid_t *root)
{
    node_t *n = arg;
    if (n->cannot_unpin)
        return fail(ERR_NO_SPACE, "the disk is full");
    for (size_t i = 0; i < n->pinned; i++)
        if (cid_equal(&n->roots[i], root)) {
            n->roots[i] = n->roots[--n->pinned];
            return OK;
        }
    return ERR_NOT_FOUND;
}

/* Does a pinned manifest need it, or is it one? */
static inline bool is_needed(task_t *t, node_t *n, const cid_t *cid)
{
    for (size_t i = 0; i < n->pinned; i++) {
        AUTO_PTR(block_t) b = NULL;
        manifest_t m;
        if (cid_same_multihash(&n->roots[i], cid))
            return true;
        if (blockstore_get(t, n->store, &n->roots[i], &b) || manifest_decode(block_bytes(b), &m))
            continue;
        for (size_t k = 0; k < m.n_links; k++) {
            cid_t link = manifest_link(&m, k);
            if (cid_same_multihash(&link, cid))
                return true;
        }
    }
    return false;
}

static inline err_t sweep(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    node_t *n = arg;
    return n->is_all_needed || is_needed(t, n, cid) ? OK : blockstore_remove(t, n->store, cid, 1);
}

static inline err_t collect_hook(task_t *t, void *arg)
{
    node_t *n = arg;
    if (n->cannot_collect)
        return fail(ERR_IN_USE, "another run is under way");
    n->collected++;
    return blockstore_each(t, n->store, sweep, n);
}

static inline err_t let_go_hook(task_t *t, void *arg, const cid_t *root)
{
    return ((node_t *)arg)->cannot_let_go ? fail(ERR_IO, "the disk is gone") : ERR_NOT_FOUND;
}

static inline bool may_serve(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid)
{
    return !((node_t *)arg)->mesh || mesh_may_serve(t, ((node_t *)arg)->mesh, cid);
}

static inline void on_met(void *arg, const mesh_contact_t *c)
{
    ((world_t *)arg)->met = *c;
    ((world_t *)arg)->n_met++;
}

static inline void start_parts(task_t *t, world_t *w, size_t i)
{
    node_t *n = &w->nodes[i];
    host_t *h = w->net->nodes[i].host;
    routing_config_t rc;
    routing_config_default(&rc);
    rc.has_mesh = true;
    rc.state = n->state;
    assert_ok(routing_start(t, h, &rc, &n->routing));
    bitswap_config_t bc;
    bitswap_config_default(&bc);
    bc.host = h;
    bc.routing = n->routing;
    bc.blocks = n->store;
    bc.is_server = true;
    bc.may_serve = may_serve;
    bc.arg = n;
    assert_ok(bitswap_start(t, &bc, &n->bitswap));
    pubsub_config_t pc;
    pubsub_config_default(&pc);
    pc.host = h;
    pc.key = w->net->nodes[i].key;
    pc.signs = true;
    assert_ok(pubsub_start(t, &pc, &n->pubsub));
    replica_config_t c;
    replica_config_default(&c);
    c.host = h;
    c.routing = n->routing;
    c.bitswap = n->bitswap;
    c.blocks = n->store;
    c.state = n->state;
    c.key = w->net->nodes[i].key;
    c.max_bytes = n->max_bytes ? n->max_bytes : 1u << 30;
    c.heartbeat_ms = 1000;
    c.lost_grace_ms = 3000;
    c.prune_grace_ms = 10000;
    c.is_in_mesh = true;
    c.pin = pin_hook;
    c.unpin = unpin_hook;
    c.arg = n;
    assert_ok(replica_start(t, &c, &n->replica));
}

/* The relay does not know this node as a member yet, so that it limits the circuit. */
static inline void dial_early(task_t *t, world_t *w, size_t i)
{
    multiaddr_t relay, circuit, addr;
    conn_t *c;
    host_t *h = w->net->nodes[i].host;
    const peer_id_t *to = host_id(w->net->nodes[w->nodes[i].dials_early].host);
    assert_ok(multiaddr_parse("/ip4/10.0.0.1/tcp/4001", &relay));
    assert_ok(multiaddr_with_peer(&relay, host_id(w->net->nodes[0].host), &circuit));
    assert_ok(host_connect_addr(t, h, &circuit, &c));
    assert_ok(conn_wait_identified(t, c));
    conn_release(c);
    assert_ok(multiaddr_append(&circuit, MA_P2P_CIRCUIT, BYTES_NONE));
    assert_ok(multiaddr_with_peer(&circuit, to, &addr));
    assert_ok(host_connect_addr(t, h, &addr, &c));
    assert_true(conn_is_limited(c));
    conn_release(c);
}

static inline void start(task_t *t, world_t *w, size_t i)
{
    node_t *n = &w->nodes[i];
    host_t *h = net_start(t, w->net, i);
    if (!n->store)
        assert_ok(memory_store_new(1u << 30, &n->store));
    if (!n->state)
        n->state = kv_memory_new();
    if (n->is_relay || n->is_behind_nat) {
        nat_config_t nat;
        nat_config_default(&nat);
        nat.finds_relays = nat.punches_holes = nat.asks_autonat = false;
        nat.is_relay = n->is_relay;
        nat.unlimited = MESH_PROTOCOL;
        assert_ok(host_start_nat(h, &nat));
        host_force_reachability(h, n->is_relay ? REACHABILITY_PUBLIC : REACHABILITY_PRIVATE);
    }
    start_parts(t, w, i);
    if (n->dials_early)
        dial_early(t, w, i);
    mesh_config_t mc;
    mesh_config_default(&mc);
    mc.host = h;
    mc.routing = n->routing;
    mc.pubsub = n->pubsub;
    mc.replica = n->replica;
    mc.blocks = n->store;
    mc.state = n->state;
    mc.key = w->net->nodes[i].key;
    mc.max_bytes = n->max_bytes ? n->max_bytes : 1u << 30;
    mc.max_bytes_per_peer = n->max_bytes_per_peer;
    mc.heartbeat_ms = 1000;
    mc.gc_window_ms = 20000;
    mc.sync_horizon_ms = 10 * MINUTE_MS;
    mc.collect = collect_hook;
    mc.let_go = let_go_hook;
    mc.arg = n;
    if (n->max_files_per_peer)
        mc.max_files_per_peer = n->max_files_per_peer;
    if (n->max_tombstones)
        mc.max_tombstones = n->max_tombstones;
    if (n->zone)
        snprintf(mc.zone, sizeof mc.zone, "%s", n->zone);
    assert_ok(mesh_start(t, &mc, &n->mesh));
    const char *contact = n->contact ? n->contact : "10.0.0.1:4001";
    mesh_join_config_t jc = {.host = h,
                             .state = n->state,
                             .contacts = &contact,
                             .n_contacts = i > 0 || n->contact,
                             .takes_relays = true,
                             .met = on_met,
                             .arg = w};
    assert_ok(mesh_join_start(t, &jc, &n->join));
    n->is_up = true;
}

static inline void stop(task_t *t, world_t *w, size_t i)
{
    node_t *n = &w->nodes[i];
    if (!n->is_up)
        return;
    mesh_join_close(t, n->join);
    mesh_close(t, n->mesh);
    n->mesh = NULL;
    replica_close(t, n->replica);
    bitswap_close(t, n->bitswap);
    pubsub_close(t, n->pubsub);
    routing_close(t, n->routing);
    net_stop(t, w->net, i);
    n->is_up = false;
}

static inline void start_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        start(t, w, i);
    assert_ok(task_sleep(t, 10000)); /* they find each other */
}

typedef void (*scenario_fn)(task_t *t, world_t *w);
static inline err_t run_world(task_t *t, void *arg)
{
    net_world_t *net = arg;
    world_t *w = xcalloc(1, sizeof *w);
    uint8_t seed[32] = {77};
    w->net = net;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &w->owner));
    (*(scenario_fn *)net->arg)(t, w);
    for (size_t i = 0; i < net->n; i++) {
        stop(t, w, i);
        blockstore_close(t, w->nodes[i].store);
        kv_close(t, w->nodes[i].state);
    }
    private_key_free(w->owner);
    free(w);
    return OK;
}

static inline void run_scenario(uint64_t seed, size_t n, scenario_fn fn)
{
    uint64_t hash;
    assert_ok(net_run(seed, n, run_world, &fn, &hash));
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static inline cid_t put_block(task_t *t, world_t *w, size_t i, uint64_t codec, bytes_t bytes)
{
    cid_t cid;
    block_t *b;
    assert_ok(cid_of(1, codec, MH_SHA2_256, bytes, &cid));
    assert_ok(block_copy(&cid, bytes, &b));
    assert_ok(blockstore_put(t, w->nodes[i].store, b));
    block_release(b);
    w->size += bytes.len;
    return cid;
}

/* A manifest over chunks, signed by the owner; what is sealed does not matter here. */
static inline void store(task_t *t, world_t *w, size_t i, uint8_t salt)
{
    static const uint8_t wrapped[MANIFEST_WRAPPED_BYTES], check[MANIFEST_CHECK_BYTES];
    uint8_t salts[MANIFEST_SALT_BYTES], chunk[CHUNK_BYTES];
    cid_t links[CHUNKS];
    w->size = 0;
    memset(salts, salt, sizeof salts);
    for (size_t k = 0; k < CHUNKS; k++) {
        memset(chunk, (int)(salt * CHUNKS + k), sizeof chunk);
        links[k] = put_block(t, w, i, CODEC_RAW, bytes_of(chunk, sizeof chunk));
    }
    manifest_t m = {.owner = owner_key_of(w->owner),
                    .salt = bytes_of(salts, sizeof salts),
                    .check = bytes_of(check, sizeof check),
                    .wrapped = bytes_of(wrapped, sizeof wrapped),
                    .n_links = CHUNKS};
    AUTO(buf_t) clear, block;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&block, MANIFEST_MAX_BYTES);
    assert_ok(manifest_encode_clear(&m, links, &clear));
    assert_ok(manifest_encode(buf_bytes(&clear), BYTES_LIT("what nobody here can read"), w->owner, &block));
    w->manifest = put_block(t, w, i, CODEC_DAG_CBOR, buf_bytes(&block));
}

static inline uint32_t keep(task_t *t, world_t *w, size_t i, uint32_t factor)
{
    uint32_t have = 0;
    deadline_t d = deadline_push(t, MINUTE_MS);
    assert_ok(mesh_keep(t, w->nodes[i].mesh, &w->manifest, factor, TIME_NEVER, NULL, NULL, &have));
    deadline_pop(t, &d);
    return have;
}

static inline size_t holders(const world_t *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->net->n; i++)
        n += w->nodes[i].is_up && replica_holds(w->nodes[i].replica, &w->manifest);
    return n;
}

static inline void tombstone(const private_key_t *key, const cid_t *manifest, buf_t *out)
{
    buf_init(out, TOMBSTONE_MAX_BYTES);
    assert_ok(tombstone_seal(key, manifest, out));
}

static inline mesh_deletion_t delete_file(task_t *t, world_t *w, size_t i, uint64_t within_ms)
{
    AUTO(buf_t) record;
    mesh_deletion_t *d = xcalloc(1, sizeof *d), copy;
    tombstone(w->owner, &w->manifest, &record);
    deadline_t limit = deadline_push(t, within_ms);
    assert_ok(mesh_delete(t, w->nodes[i].mesh, buf_bytes(&record), NULL, NULL, d));
    deadline_pop(t, &limit);
    copy = *d;
    free(d);
    return copy;
}

static inline mesh_file_state_t state_at(task_t *t, world_t *w, size_t i, size_t *ret_holders)
{
    mesh_file_t *f = xcalloc(1, sizeof *f);
    assert_ok(mesh_status(t, w->nodes[i].mesh, &w->manifest, 5000, f));
    mesh_file_state_t state = f->state;
    *ret_holders = f->n_holders;
    free(f);
    return state;
}

static inline mesh_stat_t stat_of(const world_t *w, size_t i)
{
    mesh_stat_t s;
    mesh_stat(w->nodes[i].mesh, &s);
    return s;
}

static inline size_t a_holder(const world_t *w, size_t from)
{
    while (!w->nodes[from].is_up || !replica_holds(w->nodes[from].replica, &w->manifest))
        from++;
    return from;
}
#endif
