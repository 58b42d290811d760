/* Members of a mesh in the simulator: the whole stack from hosts up to tombstones, stores in memory. */
#include "codec/receipt.h"
#include "codec/tombstone.h"
#include "net/nat.h"
#include "replica/mesh.h"
#include "replica/mesh_join.h"
#include "tests/support/net.h"
#include "wire/mesh.h"
#include "wire/replica.h"

enum { CHUNKS = 6, CHUNK_BYTES = 30000, MINUTE_MS = 60000 };

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
    size_t pinned, collected;
    uint64_t max_bytes, max_bytes_per_peer;
    const char *zone;
    bool is_relay, is_behind_nat;
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
static err_t pin_hook(task_t *t, void *arg, const cid_t *root)
{
    ((node_t *)arg)->pinned++;
    return OK;
}

static err_t unpin_hook(task_t *t, void *arg, const cid_t *root)
{
    ((node_t *)arg)->pinned--;
    return OK;
}

static err_t collect_hook(task_t *t, void *arg)
{
    ((node_t *)arg)->collected++;
    return OK;
}

static bool may_serve(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid)
{
    return !((node_t *)arg)->mesh || mesh_may_serve(((node_t *)arg)->mesh, cid);
}

static void on_met(void *arg, const mesh_contact_t *c)
{
    ((world_t *)arg)->met = *c;
    ((world_t *)arg)->n_met++;
}

static void start_parts(task_t *t, world_t *w, size_t i)
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

static void start(task_t *t, world_t *w, size_t i)
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
    mc.arg = n;
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

static void stop(task_t *t, world_t *w, size_t i)
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

static void start_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        start(t, w, i);
    assert_ok(task_sleep(t, 10000)); /* they find each other */
}

typedef void (*scenario_fn)(task_t *t, world_t *w);
static err_t run_world(task_t *t, void *arg)
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

static void run_scenario(uint64_t seed, size_t n, scenario_fn fn)
{
    uint64_t hash;
    assert_ok(net_run(seed, n, run_world, &fn, &hash));
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static cid_t put_block(task_t *t, world_t *w, size_t i, uint64_t codec, bytes_t bytes)
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
static void store(task_t *t, world_t *w, size_t i, uint8_t salt)
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

static uint32_t keep(task_t *t, world_t *w, size_t i, uint32_t factor)
{
    uint32_t have = 0;
    deadline_t d = deadline_push(t, MINUTE_MS);
    assert_ok(mesh_keep(t, w->nodes[i].mesh, &w->manifest, factor, TIME_NEVER, NULL, NULL, &have));
    deadline_pop(t, &d);
    return have;
}

static size_t holders(const world_t *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->net->n; i++)
        n += w->nodes[i].is_up && replica_holds(w->nodes[i].replica, &w->manifest);
    return n;
}

static void tombstone(const private_key_t *key, const cid_t *manifest, buf_t *out)
{
    buf_init(out, TOMBSTONE_MAX_BYTES);
    assert_ok(tombstone_seal(key, manifest, out));
}

static mesh_deletion_t delete_file(task_t *t, world_t *w, size_t i, uint64_t within_ms)
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

static mesh_file_state_t state_at(task_t *t, world_t *w, size_t i, size_t *ret_holders)
{
    mesh_file_t *f = xcalloc(1, sizeof *f);
    assert_ok(mesh_status(t, w->nodes[i].mesh, &w->manifest, 5000, f));
    mesh_file_state_t state = f->state;
    *ret_holders = f->n_holders;
    free(f);
    return state;
}

static mesh_stat_t stat_of(const world_t *w, size_t i)
{
    mesh_stat_t s;
    mesh_stat(w->nodes[i].mesh, &s);
    return s;
}

static size_t a_holder(const world_t *w, size_t from)
{
    while (!w->nodes[from].is_up || !replica_holds(w->nodes[from].replica, &w->manifest))
        from++;
    return from;
}

/* ── scenarios ───────────────────────────────────────────────────────────────────────────────── */
static void join_by_address(task_t *t, world_t *w)
{
    start_all(t, w);
    for (size_t i = 1; i < w->net->n; i++) {
        mesh_contact_t c;
        assert_int_equal(mesh_join_contacts(w->nodes[i].join, &c, 1), 1);
        assert_true(c.is_new && c.is_connected);
        assert_true(peer_id_equal(&c.peer, host_id(w->net->nodes[0].host)));
        /* by peer exchange all know all */
        mesh_peer_t *peers = xcalloc(NET_NODES_MAX, sizeof *peers);
        assert_int_equal(mesh_peers(w->nodes[i].mesh, peers, NET_NODES_MAX), w->net->n - 1);
        for (size_t k = 0; k + 1 < w->net->n; k++)
            assert_true(peers[k].is_connected && peers[k].free_bytes && peers[k].phi < 8);
        free(peers);
    }
    assert_int_equal(w->n_met, w->net->n - 1);
    stop(t, w, 2);
    start(t, w, 2); /* knows whom it met */
    assert_ok(task_sleep(t, 10000));
    mesh_contact_t c;
    assert_int_equal(mesh_join_contacts(w->nodes[2].join, &c, 1), 1);
    assert_true(!c.is_new && c.is_connected);
    assert_int_equal(w->n_met, w->net->n - 1);
    /* Somebody else at that address is not accepted, and it is said. */
    stop(t, w, 2);
    assert_ok(kv_put(t, w->nodes[2].state, MESH_JOIN_SPACE, BYTES_LIT("10.0.0.1:4001"),
                     peer_id_bytes(host_id(w->net->nodes[1].host))));
    start(t, w, 2);
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(mesh_join_contacts(w->nodes[2].join, &c, 1), 1);
    assert_true(c.is_stranger);
    assert_true(w->met.is_stranger);
    stop(t, w, 2);
    assert_ok(mesh_join_forget(t, w->nodes[2].state, "10.0.0.1:4001"));
    start(t, w, 2);
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(mesh_join_contacts(w->nodes[2].join, &c, 1), 1);
    assert_true(c.is_new && c.is_connected);
}

static void test_join_by_address(void **state)
{
    run_scenario(1, 4, join_by_address);
}

static void store_and_delete(task_t *t, world_t *w)
{
    size_t n;
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(state_at(t, w, 1, &n), MESH_FILE_UNKNOWN);
    assert_int_equal(keep(t, w, 0, 0), 3);
    assert_int_equal(holders(w), 3);
    for (size_t i = 0; i < w->net->n; i++) {
        assert_int_equal(state_at(t, w, i, &n), MESH_FILE_HEALTHY);
        assert_int_equal(n, 3);
    }
    /* A holder goes for good; another one takes over. */
    size_t gone = a_holder(w, 1);
    stop(t, w, gone);
    assert_ok(task_sleep(t, 5 * MINUTE_MS));
    assert_int_equal(holders(w), 3);
    start(t, w, gone);
    assert_ok(task_sleep(t, 2 * MINUTE_MS));
    assert_int_equal(holders(w), 3);
    mesh_deletion_t d = delete_file(t, w, 0, 30000);
    assert_int_equal(d.n_deleted, d.n_holders);
    assert_true(d.n_holders >= 3);
    assert_int_equal(holders(w), 0);
    assert_ok(task_sleep(t, 30000));
    for (size_t i = 0; i < w->net->n; i++) { /* all know it, also those that never held it */
        assert_int_equal(stat_of(w, i).tombstones, 1);
        assert_int_equal(w->nodes[i].pinned, 0);
    }
    assert_true(w->nodes[0].collected > 0);
    assert_int_equal(state_at(t, w, 0, &n), MESH_FILE_DELETED);
    assert_err(mesh_keep(t, w->nodes[0].mesh, &w->manifest, 3, TIME_NEVER, NULL, NULL, NULL), ERR_DENIED);
    d = delete_file(t, w, 0, 30000); /* again: the same figures */
    assert_true(d.n_deleted == d.n_holders && d.n_holders >= 3);
    /* The same chunks under a new manifest are another file. */
    store(t, w, 0, 2);
    assert_int_equal(keep(t, w, 0, 0), 3);
}

static void test_store_and_delete(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_scenario(seed, 5, store_and_delete);
}

/* A holder is away while the file is deleted, for longer than the horizon. */
static void away(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 3), 3);
    assert_ok(task_sleep(t, 2 * MINUTE_MS)); /* that they were here is written down */
    size_t gone = a_holder(w, 1);
    stop(t, w, gone);
    mesh_deletion_t d = delete_file(t, w, 0, 10000);
    assert_int_equal(d.n_holders, 3);
    assert_int_equal(d.n_deleted, 2);
    assert_ok(task_sleep(t, 15 * MINUTE_MS));
    start(t, w, gone);
    assert_true(stat_of(w, gone).is_catching_up);
    assert_false(mesh_may_serve(w->nodes[gone].mesh, &w->manifest));
    assert_ok(task_sleep(t, 30000));
    assert_false(stat_of(w, gone).is_catching_up);
    assert_int_equal(stat_of(w, gone).tombstones, 1);
    assert_int_equal(holders(w), 0);
    assert_true(mesh_is_deleted(w->nodes[gone].mesh, &w->manifest));
    d = delete_file(t, w, 0, 30000);
    assert_int_equal(d.n_deleted, 3);
    /* All of it outlives restarts. */
    stop(t, w, 0);
    start(t, w, 0);
    assert_true(mesh_is_deleted(w->nodes[0].mesh, &w->manifest));
    d = delete_file(t, w, 0, 1000);
    assert_int_equal(d.n_deleted, 3);
    assert_int_equal(d.n_holders, 3);
}

static void test_away(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_scenario(seed, 5, away);
}

/* Deletions by the hundred, of files that nobody here has seen: whoever lacks some finds out which. */
static void put_tombstones(task_t *t, world_t *w, size_t node, uint32_t from, uint32_t to)
{
    if (!w->nodes[node].state)
        w->nodes[node].state = kv_memory_new();
    for (uint32_t i = from; i < to; i++) {
        cid_t cid;
        AUTO(buf_t) record;
        uint8_t key[TOMBSTONE_KEY_BYTES];
        owner_key_t owner = owner_key_of(w->owner);
        assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, bytes_of((uint8_t *)&i, sizeof i), &cid));
        tombstone(w->owner, &cid, &record);
        tombstone_set_key(&cid, &owner, key);
        assert_ok(kv_put(t, w->nodes[node].state, "mesh-tombstones", bytes_of(key, sizeof key),
                         buf_bytes(&record)));
    }
}

static void many_deletions(task_t *t, world_t *w)
{
    put_tombstones(t, w, 0, 0, 300); /* more than fit into a reply: by prefixes */
    put_tombstones(t, w, 1, 200, 350);
    put_tombstones(t, w, 2, 0, 350);
    start_all(t, w);
    assert_ok(task_sleep(t, 2 * MINUTE_MS));
    for (size_t i = 0; i < w->net->n; i++)
        assert_int_equal(stat_of(w, i).tombstones, 350);
    stop(t, w, 1); /* and they are on disk */
    start(t, w, 1);
    assert_int_equal(stat_of(w, 1).tombstones, 350);
}

static void test_many_deletions(void **state)
{
    run_scenario(1, 3, many_deletions);
}

/* One request over the protocol, as anybody may make it. */
static mesh_message_kind_t ask_delete(task_t *t, world_t *w, size_t from, size_t to, bytes_t record)
{
    static const char *const protocols[] = {MESH_PROTOCOL};
    stream_t *s;
    AUTO(buf_t) out, in;
    buf_init(&out, MESH_MESSAGE_MAX_BYTES);
    buf_init(&in, MESH_MESSAGE_MAX_BYTES);
    mesh_message_t *m = xcalloc(1, sizeof *m);
    m->kind = MESH_DELETE;
    m->n_tombstones = 1;
    m->tombstones[0] = record;
    assert_ok(mesh_message_encode(m, &out));
    assert_ok(host_open_stream(t, w->net->nodes[from].host, host_id(w->net->nodes[to].host), protocols, 1, &s,
                               NULL));
    assert_ok(stream_write_message(t, s, buf_bytes(&out)));
    assert_ok(stream_read_message(t, s, MESH_MESSAGE_MAX_BYTES, &in));
    assert_ok(mesh_message_decode(buf_bytes(&in), m));
    mesh_message_kind_t kind = m->kind;
    stream_close(s);
    free(m);
    return kind;
}

static void forged_and_foreign(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 3), 3);
    size_t holder = a_holder(w, 1);
    AUTO(buf_t) good, foreign;
    tombstone(w->owner, &w->manifest, &good);
    tombstone(w->net->nodes[4].key, &w->manifest, &foreign); /* well signed, by somebody else */
    for (size_t at = 0; at < good.len; at += 7) {
        good.data[at] ^= 1;
        assert_int_equal(ask_delete(t, w, 4, holder, buf_bytes(&good)), MESH_REFUSE);
        good.data[at] ^= 1;
    }
    assert_true(stat_of(w, holder).tombstones_forged > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_delete(t, w, 4, holder, buf_bytes(&foreign)), MESH_REFUSE);
    assert_true(stat_of(w, holder).tombstones_foreign > 0);
    for (size_t i = 1; i < w->net->n; i++) /* whoever does not hold it keeps it, to no effect */
        if (i != 4 && !replica_holds(w->nodes[i].replica, &w->manifest))
            assert_int_equal(ask_delete(t, w, 4, i, buf_bytes(&foreign)), MESH_RECEIPT);
    assert_ok(task_sleep(t, MINUTE_MS));
    assert_int_equal(holders(w), 3);
    /* also for one that takes a copy later */
    assert_int_equal(keep(t, w, 0, 5), 5);
    assert_int_equal(holders(w), 5);
    assert_int_equal(delete_file(t, w, 0, 30000).n_deleted, 5);
    /* replayed: the same answer, nothing new */
    assert_int_equal(ask_delete(t, w, 4, holder, buf_bytes(&good)), MESH_RECEIPT);
    assert_int_equal(holders(w), 0);
}

static void test_forged_and_foreign(void **state)
{
    run_scenario(1, 5, forged_and_foreign);
}

/* One member stores without end; the others keep to their limits, and room for others. */
static void quotas(task_t *t, world_t *w)
{
    for (size_t i = 1; i < w->net->n; i++) {
        w->nodes[i].max_bytes = 2000000;
        w->nodes[i].max_bytes_per_peer = 800000;
    }
    start_all(t, w);
    for (uint8_t k = 1; k <= 12; k++) {
        uint32_t have;
        store(t, w, 0, k);
        deadline_t d = deadline_push(t, 20000);
        err_t e = mesh_keep(t, w->nodes[0].mesh, &w->manifest, 3, TIME_NEVER, NULL, NULL, &have);
        deadline_pop(t, &d);
        assert_true(!e || e == ERR_TIMEOUT);
    }
    for (size_t i = 1; i < w->net->n; i++) {
        assert_true(stat_of(w, i).held_bytes <= 800000);
        assert_true(stat_of(w, i).refused_quota > 0);
    }
    store(t, w, 1, 100); /* another one still finds room */
    assert_int_equal(keep(t, w, 1, 3), 3);
}

static void test_quotas(void **state)
{
    run_scenario(1, 3, quotas);
}

/* Copies go to different failure domains when there are some. */
static void zones(task_t *t, world_t *w)
{
    static const char *const names[] = {"a", "a", "a", "a", "b", "c"};
    for (size_t i = 0; i < w->net->n; i++)
        w->nodes[i].zone = names[i];
    start_all(t, w);
    for (uint8_t k = 1; k <= 4; k++) {
        store(t, w, 0, k);
        assert_int_equal(keep(t, w, 0, 3), 3);
        assert_true(replica_holds(w->nodes[4].replica, &w->manifest));
        assert_true(replica_holds(w->nodes[5].replica, &w->manifest));
    }
}

static void test_zones(void **state)
{
    run_scenario(1, 6, zones);
}

/* Members that do not reach each other, but for the relay that both joined at. */
static void over_a_relay(task_t *t, world_t *w)
{
    w->nodes[0].is_relay = true;
    for (size_t i = 1; i < w->net->n; i++) {
        w->nodes[i].is_behind_nat = true;
        for (size_t k = 1; k < i; k++)
            sim_partition(w->net->nodes[i].machine, w->net->nodes[k].machine, true);
    }
    start_all(t, w);
    assert_ok(task_sleep(t, MINUTE_MS));
    relay_stats_t relay;
    host_relay_stats(w->net->nodes[0].host, &relay);
    assert_int_equal(relay.reservations, w->net->n - 1);
    mesh_peer_t *peers = xcalloc(NET_NODES_MAX, sizeof *peers);
    size_t n = mesh_peers(w->nodes[1].mesh, peers, NET_NODES_MAX), relayed = 0;
    for (size_t i = 0; i < n; i++)
        relayed += peers[i].is_connected && peers[i].is_relayed;
    free(peers);
    assert_int_equal(relayed, w->net->n - 2);
    store(t, w, 1, 1);
    assert_int_equal(keep(t, w, 1, 4), 4);
    assert_int_equal(delete_file(t, w, 1, 30000).n_deleted, 4);
}

static void test_over_a_relay(void **state)
{
    run_scenario(1, 4, over_a_relay);
}

/* What is no manifest is held by nobody. */
static void only_manifests(task_t *t, world_t *w)
{
    uint32_t have = 0;
    start_all(t, w);
    w->manifest = put_block(t, w, 0, CODEC_RAW, BYTES_LIT("in the clear"));
    deadline_t d = deadline_push(t, 20000);
    err_t e = mesh_keep(t, w->nodes[0].mesh, &w->manifest, 3, TIME_NEVER, NULL, NULL, &have);
    deadline_pop(t, &d);
    assert_true(!e || e == ERR_TIMEOUT);
    assert_int_equal(holders(w), 1);
}

static void test_only_manifests(void **state)
{
    run_scenario(1, 3, only_manifests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_by_address),
        cmocka_unit_test(test_store_and_delete),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_many_deletions),
        cmocka_unit_test(test_forged_and_foreign),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_over_a_relay),
        cmocka_unit_test(test_only_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
