/* Members that forge, lie, flood and take all room; holders that cannot do what they are asked. */
#include "tests/support/mesh.h"

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

static size_t blocks_of(task_t *t, world_t *w, size_t i)
{
    size_t n = 0;
    cid_t links[CHUNKS];
    for (uint8_t k = 0; k < CHUNKS; k++) {
        uint8_t chunk[CHUNK_BYTES];
        memset(chunk, CHUNKS + k, sizeof chunk);
        assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(chunk, sizeof chunk), &links[k]));
        n += blockstore_has(t, w->nodes[i].store, &links[k]);
    }
    return n + blockstore_has(t, w->nodes[i].store, &w->manifest);
}

/* A receipt means that the chunks are gone: until then it is said that they are not, also after a restart. */
static void honest_receipts(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 3), 3);
    size_t slow = a_holder(w, 1), quick = a_holder(w, slow + 1);
    w->nodes[slow].cannot_collect = true;
    mesh_deletion_t d = delete_file(t, w, 0, 60000);
    assert_int_equal(d.n_holders, 3);
    assert_int_equal(d.n_deleted, 2);
    for (size_t i = 0; i < d.n_holders; i++) {
        bool is_slow = peer_id_equal(&d.holders[i].holder, host_id(w->net->nodes[slow].host));
        assert_int_equal(d.holders[i].is_deleted, !is_slow);
        assert_string_equal(d.holders[i].why, is_slow ? "not collected yet" : "");
    }
    assert_int_equal(blocks_of(t, w, 0), 0);
    assert_int_equal(blocks_of(t, w, quick), 0);
    assert_int_equal(blocks_of(t, w, slow), CHUNKS + 1);
    AUTO(buf_t) good;
    tombstone(w->owner, &w->manifest, &good);
    assert_int_equal(ask_delete(t, w, 4, slow, buf_bytes(&good)), MESH_PENDING);
    stop(t, w, slow);
    start(t, w, slow);
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(ask_delete(t, w, 4, slow, buf_bytes(&good)), MESH_PENDING);
    w->nodes[slow].cannot_collect = false;
    uint64_t before_ms = task_now_ms(t);
    d = delete_file(t, w, 0, 5 * MINUTE_MS);
    assert_int_equal(d.n_deleted, 3);
    assert_true(task_now_ms(t) - before_ms < 3 * MINUTE_MS); /* inside the window */
    assert_int_equal(blocks_of(t, w, slow), 0);
    /* Without delay it takes less than two seconds. */
    store(t, w, 0, 2);
    assert_int_equal(keep(t, w, 0, 3), 3);
    before_ms = task_now_ms(t);
    assert_int_equal(delete_file(t, w, 0, 30000).n_deleted, 3);
    assert_true(task_now_ms(t) - before_ms < 2000);
}

static void test_honest_receipts(void **state)
{
    run_scenario(2, 5, honest_receipts);
}

/* What cannot be let go of at the start does not keep the node, nor the other files, from starting; what is
 * needed for something else is looked at rarely in the end. */
static void not_collected(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 3), 3);
    node_t *slow = &w->nodes[a_holder(w, 1)];
    slow->cannot_collect = true;
    delete_file(t, w, 0, 60000);
    stop(t, w, slow - w->nodes);
    assert_ok(kv_put(t, slow->state, "mesh-uncollected", BYTES_LIT("no CID"), BYTES_NONE));
    slow->cannot_let_go = true;
    start(t, w, slow - w->nodes);
    assert_int_equal(stat_of(w, slow - w->nodes).uncollected, 1);
    slow->is_all_needed = true;
    slow->cannot_collect = false;
    slow->collected = 0;
    assert_ok(task_sleep(t, 60 * MINUTE_MS));
    assert_int_equal(stat_of(w, slow - w->nodes).uncollected, 1);
    assert_in_range(slow->collected, 8, 20);
    slow->is_all_needed = false;
    assert_ok(task_sleep(t, 70 * MINUTE_MS));
    assert_int_equal(stat_of(w, slow - w->nodes).uncollected, 0);
}

static void test_not_collected(void **state)
{
    run_scenario(3, 4, not_collected);
}

/* A holder whose disk is full cannot take its pin back: it goes on, starts, signs nothing, and tries again.
 */
static void cannot_let_go(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 3), 3);
    size_t full = a_holder(w, 1);
    w->nodes[full].cannot_unpin = true;
    assert_int_equal(delete_file(t, w, 0, 60000).n_deleted, 2);
    stop(t, w, full);
    start(t, w, full);
    assert_ok(task_sleep(t, 30000));
    assert_int_equal(stat_of(w, full).uncollected, 1);
    assert_int_equal(blocks_of(t, w, full), CHUNKS + 1);
    w->nodes[full].cannot_unpin = false;
    assert_int_equal(delete_file(t, w, 0, 3 * MINUTE_MS).n_deleted, 3);
    assert_int_equal(blocks_of(t, w, full), 0);
    assert_false(replica_holds(w->nodes[full].replica, &w->manifest));
}

static void test_cannot_let_go(void **state)
{
    run_scenario(8, 4, cannot_let_go);
}

/* A holder that has lost the manifest cannot tell whose it was: it signs nothing while it keeps the rest. */
static void unreadable_manifest(task_t *t, world_t *w)
{
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 2), 2);
    size_t holder = a_holder(w, 1);
    assert_ok(blockstore_remove(t, w->nodes[holder].store, &w->manifest, 1));
    AUTO(buf_t) good;
    tombstone(w->owner, &w->manifest, &good);
    assert_int_equal(ask_delete(t, w, 2, holder, buf_bytes(&good)), MESH_PENDING);
    assert_true(replica_keeps(w->nodes[holder].replica, &w->manifest));
    assert_int_equal(stat_of(w, holder).receipts_signed, 0);
    mesh_deletion_t d = delete_file(t, w, 0, 20 * MINUTE_MS);
    assert_int_equal(d.n_deleted, d.n_holders);
    assert_false(replica_holds(w->nodes[holder].replica, &w->manifest));
}

static void test_unreadable_manifest(void **state)
{
    run_scenario(3, 3, unreadable_manifest);
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
    mesh_file_t *f = xcalloc(1, sizeof *f);
    assert_ok(mesh_status(t, w->nodes[0].mesh, &w->manifest, 3000, f));
    assert_int_equal(f->state, MESH_FILE_HEALING);
    assert_non_null(strstr(f->why, " refuses: your share of this node is used up (Mesh.MaxBytesPerPeer)"));
    free(f);
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

/* Small files count, too. */
static void file_quotas(task_t *t, world_t *w)
{
    w->nodes[1].max_files_per_peer = w->nodes[2].max_files_per_peer = 3;
    start_all(t, w);
    for (uint8_t k = 1; k <= 6; k++) {
        store(t, w, 0, k);
        assert_int_equal(keep(t, w, 0, 3), k <= 3 ? 3 : 1);
    }
    assert_int_equal(w->nodes[1].pinned, 3);
    assert_true(stat_of(w, 1).refused_quota > 0);
    store(t, w, 1, 100);
    assert_int_equal(keep(t, w, 1, 3), 3);
}

static void test_file_quotas(void **state)
{
    run_scenario(4, 3, file_quotas);
}

static mesh_message_kind_t bring(task_t *t, world_t *w, const private_key_t *owner, uint32_t number)
{
    cid_t cid;
    AUTO(buf_t) record;
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, bytes_of((uint8_t *)&number, sizeof number), &cid));
    tombstone(owner, &cid, &record);
    assert_ok(task_sleep(t, 10));
    return ask_delete(t, w, 2, 1, buf_bytes(&record));
}

/* One member brings tombstones of files that nobody has, by one owner and by many: neither takes all the
 * room, and files that are here are deleted all the same. */
static void tombstone_flood(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->net->n; i++)
        w->nodes[i].max_tombstones = 320; /* an owner: 20; the last 20 for files that are here */
    start_all(t, w);
    store(t, w, 0, 1);
    assert_int_equal(keep(t, w, 0, 2), 2);
    uint32_t number = 0, taken = 0;
    for (; bring(t, w, w->net->nodes[2].key, number) == MESH_RECEIPT; number++)
        taken++;
    assert_int_equal(taken, 20);
    for (uint8_t i = 0; i < 100; i++) {
        uint8_t seed[32] = {99, i};
        private_key_t *key;
        assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
        taken += bring(t, w, key, ++number) == MESH_RECEIPT;
        private_key_free(key);
    }
    assert_in_range(taken, 70, 76); /* a quarter of 300 */
    assert_int_equal(stat_of(w, 1).tombstones, taken);
    stop(t, w, 1); /* what an owner has is counted again */
    start(t, w, 1);
    assert_ok(task_sleep(t, 10000));
    assert_int_equal(bring(t, w, w->net->nodes[2].key, ++number), MESH_REFUSE);
    assert_int_equal(delete_file(t, w, 0, 30000).n_deleted, 2);
    assert_int_equal(holders(w), 0);
}

static void test_tombstone_flood(void **state)
{
    run_scenario(5, 3, tombstone_flood);
}

/* Also those that prove themselves end somewhere, on whoever takes them and on whoever makes them. */
static void tombstone_limit(task_t *t, world_t *w)
{
    cid_t files[3];
    w->nodes[1].max_tombstones = 2;
    start_all(t, w);
    for (uint8_t k = 0; k < 3; k++) {
        store(t, w, 0, (uint8_t)(k + 1));
        files[k] = w->manifest;
        assert_int_equal(keep(t, w, 0, 2), 2);
    }
    for (size_t k = 0; k < 3; k++) {
        AUTO(buf_t) record;
        tombstone(w->owner, &files[k], &record);
        assert_int_equal(ask_delete(t, w, 0, 1, buf_bytes(&record)), k < 2 ? MESH_PENDING : MESH_REFUSE);
        assert_ok(task_sleep(t, MINUTE_MS)); /* its receipt follows the collection */
        assert_int_equal(ask_delete(t, w, 0, 1, buf_bytes(&record)), k < 2 ? MESH_RECEIPT : MESH_REFUSE);
    }
    assert_int_equal(stat_of(w, 1).tombstones, 2);
    assert_true(replica_holds(w->nodes[1].replica, &files[2]));
    store(t, w, 1, 9);
    AUTO(buf_t) own;
    mesh_deletion_t *d = xcalloc(1, sizeof *d);
    tombstone(w->owner, &w->manifest, &own);
    assert_err(mesh_delete(t, w->nodes[1].mesh, buf_bytes(&own), NULL, NULL, d), ERR_LIMIT);
    free(d);
}

static void test_tombstone_limit(void **state)
{
    run_scenario(6, 2, tombstone_limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_and_foreign),  cmocka_unit_test(test_honest_receipts),
        cmocka_unit_test(test_not_collected),       cmocka_unit_test(test_cannot_let_go),
        cmocka_unit_test(test_unreadable_manifest), cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_file_quotas),         cmocka_unit_test(test_tombstone_flood),
        cmocka_unit_test(test_tombstone_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
