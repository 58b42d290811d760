/* Blocks that are written behind: small ones are taken together, much is not kept waiting, and whoever closes
 * or syncs does not wait for others. */
#include "store/blockstore_suite.h"
#include "store/pack_store.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define FOLDER "/blocks"
enum { SMALL = 8, SMALL_BYTES = 500, LARGE = 9, LARGE_BYTES = 9000 };

static void write_behind(task_t *t, blockstore_t *store, uint64_t seed, size_t len)
{
    AUTO_PTR(block_t) b = suite_block(seed, len);
    assert_ok(blockstore_write_behind(t, store, &b, 1));
    assert_ok(suite_expect(t, store, seed, len));
}

static err_t play(task_t *t, void *host)
{
    blockstore_t *store;
    assert_ok(pack_store_open(t, FOLDER, NULL, &store));
    write_behind(t, store, 1, SMALL_BYTES);
    assert_ok(task_sleep(t, 100)); /* the segment is there */
    uint64_t before = sim_disk_changes(host);
    for (uint64_t i = 0; i < SMALL; i++)
        write_behind(t, store, 10 + i, SMALL_BYTES);
    assert_ok(task_sleep(t, 2));
    assert_true(sim_disk_changes(host) == before);
    assert_ok(task_sleep(t, 100));
    assert_in_range(sim_disk_changes(host) - before, 1, SMALL - 1);
    before = sim_disk_changes(host);
    for (uint64_t i = 0; i < LARGE; i++)
        write_behind(t, store, 100 + i, LARGE_BYTES);
    assert_ok(task_sleep(t, 2));
    assert_true(sim_disk_changes(host) > before);

    write_behind(t, store, 2, SMALL_BYTES);
    uint64_t at = task_now_ms(t);
    assert_ok(blockstore_sync(t, store));
    write_behind(t, store, 3, SMALL_BYTES);
    blockstore_close(t, store);
    assert_true(task_now_ms(t) - at < 100);
    assert_ok(pack_store_open(t, FOLDER, NULL, &store));
    for (uint64_t i = 1; i <= 3; i++)
        assert_ok(suite_expect(t, store, i, SMALL_BYTES));
    blockstore_close(t, store);
    return OK;
}

static void test_batches(void **state)
{
    sim_t *sim = sim_new(1);
    (void)state;
    sim_host_t *host = sim_add_host(sim, "10.0.0.1");
    assert_ok(sim_run(sim, play, host));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
