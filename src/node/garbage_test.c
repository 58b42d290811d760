/* A node that collects garbage by itself does so when it is nearly full, and keeps what is pinned. */
#include "node/garbage.h"
#include "node/node.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/tmp/repo"
enum { BLOCK_BYTES = 200000 };

static cid_t put(task_t *t, repo_t *r, uint8_t fill)
{
    AUTO_PTR(block_t) b = NULL;
    assert_ok(block_new(BLOCK_BYTES, &b));
    memset(b->data, fill, b->len);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b), &b->cid));
    assert_ok(blockstore_put(t, repo_blockstore(r), b));
    return b->cid;
}

static err_t collects_when_full(task_t *t, void *arg)
{
    node_options_t o = {.repo_path = REPO, .collects_garbage = true};
    node_t *n;
    bool is_due;
    assert_ok(repo_init(t, REPO, "test", NULL));
    assert_ok(node_open(t, &o, &n));
    repo_t *r = node_repo(n);
    cid_t kept = put(t, r, 1), dropped = put(t, r, 2);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &kept, PIN_DIRECT, NULL, NULL, NULL));
    assert_ok(repo_config_set(t, r, "Datastore.GCPeriod", "\"10m\""));
    assert_ok(garbage_is_due(t, r, &is_due));
    assert_false(is_due);
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 4000000)); /* an hour, as the node began with; it has looked, and there is room */
    assert_true(blockstore_has(t, repo_blockstore(r), &dropped));
    assert_ok(repo_config_set(t, r, "Datastore.StorageMax", "\"400KB\""));
    assert_ok(garbage_is_due(t, r, &is_due));
    assert_true(is_due);
    assert_ok(repo_config_set(t, r, "Datastore.StorageGCWatermark", "100000")); /* nonsense: 90 is used */
    assert_ok(garbage_is_due(t, r, &is_due));
    assert_true(is_due);
    assert_ok(task_sleep(t, 1000000));
    assert_false(blockstore_has(t, repo_blockstore(r), &dropped));
    assert_true(blockstore_has(t, repo_blockstore(r), &kept));
    node_close(t, n);
    return OK;
}

/* Only when the user asked for it. */
static err_t leaves_it_alone(task_t *t, void *arg)
{
    node_options_t o = {.repo_path = REPO};
    node_t *n;
    assert_ok(repo_init(t, REPO, "test", NULL));
    assert_ok(node_open(t, &o, &n));
    cid_t cid = put(t, node_repo(n), 1);
    assert_ok(repo_config_set(t, node_repo(n), "Datastore.StorageMax", "1000"));
    assert_ok(node_go_online(t, n, &o));
    assert_ok(task_sleep(t, 10000000));
    assert_true(blockstore_has(t, repo_blockstore(node_repo(n)), &cid));
    node_close(t, n);
    return OK;
}

static void test_collects_when_full(void **state)
{
    assert_ok(test_run(collects_when_full, NULL));
}

static void test_leaves_it_alone(void **state)
{
    assert_ok(test_run(leaves_it_alone, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collects_when_full),
        cmocka_unit_test(test_leaves_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
