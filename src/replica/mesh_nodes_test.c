/* Members of a mesh in the simulator: the whole stack from hosts up to tombstones, stores in memory. */
#include "tests/support/mesh.h"

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

/* A member that never had the file hears that it was deleted, and then reads it from one that has not. */
static void read_late(task_t *t, world_t *w)
{
    size_t reader = 0;
    AUTO_PTR(block_t) manifest = NULL;
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 2), 2);
    for (size_t i = 1; i < w->net->n; i++)
        if (!blockstore_has(t, w->nodes[i].store, &w->manifest))
            reader = i;
    assert_true(reader);
    assert_ok(blockstore_get(t, w->nodes[0].store, &w->manifest, &manifest));
    delete_file(t, w, 0, 30000);
    assert_ok(task_sleep(t, 30000));
    mesh_t *m = w->nodes[reader].mesh;
    assert_int_equal(stat_of(w, reader).tombstones, 1);
    assert_ok(mesh_check(t, m, &w->manifest)); /* it is not here: whose it is cannot be told */
    put_block(t, w, reader, w->manifest.codec, block_bytes(manifest));
    assert_false(mesh_may_serve(t, m, &w->manifest));
    assert_true(mesh_is_deleted(m, &w->manifest));
    assert_err(mesh_check(t, m, &w->manifest), ERR_DENIED);
    assert_ok(task_sleep(t, 15 * MINUTE_MS));
    assert_false(blockstore_has(t, w->nodes[reader].store, &w->manifest)); /* collected */
}

static void test_read_late(void **state)
{
    run_scenario(1, 4, read_late);
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
    assert_false(mesh_may_serve(t, w->nodes[gone].mesh, &w->manifest));
    assert_ok(task_sleep(t, 30000));
    assert_false(stat_of(w, gone).is_catching_up);
    assert_int_equal(stat_of(w, gone).tombstones, 1);
    assert_int_equal(holders(w), 0);
    assert_true(mesh_is_deleted(w->nodes[gone].mesh, &w->manifest));
    d = delete_file(t, w, 0, 30000);
    assert_int_equal(d.n_deleted, 3);
    /* All of it outlives restarts; a receipt of one's own that is damaged is signed anew. */
    uint8_t key[CID_BINARY_MAX + PEER_ID_MAX_BYTES];
    bytes_t self = peer_id_bytes(host_id(w->net->nodes[0].host));
    size_t len = cid_encode(&w->manifest, key);
    memcpy(key + len, self.data, self.len);
    stop(t, w, 0);
    assert_true(kv_has(t, w->nodes[0].state, "mesh-receipts", bytes_of(key, len + self.len)));
    assert_ok(
        kv_put(t, w->nodes[0].state, "mesh-receipts", bytes_of(key, len + self.len), BYTES_LIT("damaged")));
    start(t, w, 0);
    assert_ok(task_sleep(t, 30000));
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
    /* one starts again and is quicker than the relay: it is not kept apart for the two minutes of the limit
     */
    stop(t, w, 2);
    w->nodes[2].dials_early = 1;
    start(t, w, 2);
    assert_ok(task_sleep(t, 20000));
    assert_true(host_is_connected(w->net->nodes[2].host, host_id(w->net->nodes[1].host)));
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
        cmocka_unit_test(test_join_by_address), cmocka_unit_test(test_store_and_delete),
        cmocka_unit_test(test_read_late),       cmocka_unit_test(test_away),
        cmocka_unit_test(test_many_deletions),  cmocka_unit_test(test_zones),
        cmocka_unit_test(test_over_a_relay),    cmocka_unit_test(test_only_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
