/* The stores over the real driver and a real disk: the suite of all stores, and LMDB and SQLite as they
 * are. Folders under $TMPDIR or /tmp, removed at the end. */
#include "loop/loop_testing.h"
#include "store/blockstore_suite.h"
#include "store/flat_store.h"
#include "store/pack_store.h"
#include "tests/crash/folder.h"

static err_t open_memory(task_t *t, suite_t *s, blockstore_t **ret)
{
    return memory_store_new(64 << 20, ret);
}

static err_t open_flat(task_t *t, suite_t *s, blockstore_t **ret)
{
    return flat_store_open(t, s->folder, ret);
}

static err_t open_pack(task_t *t, suite_t *s, blockstore_t **ret)
{
    static const pack_options_t options[] = {{0}, {.segment_bytes = 100000, .commit_bytes = 30000}};
    return pack_store_open(t, s->folder, &options[s->option], ret);
}

static err_t clear_folder(task_t *t, suite_t *s)
{
    TRY(fs_remove_tree(t, s->folder));
    return fs_mkdirs(t, s->folder, 0700);
}

static err_t run_suite(task_t *t, void *arg)
{
    return suite_run(t, arg, clear_folder);
}

static void run_store(err_t (*open)(task_t *, suite_t *, blockstore_t **), bool is_durable, int option)
{
    char folder[FOLDER_MAX];
    test_folder_make(folder);
    suite_t s = {.open = open, .folder = folder, .is_durable = is_durable, .option = option};
    run_on_driver(run_suite, &s);
    test_folder_remove(folder);
}

static void test_memory(void **state)
{
    run_store(open_memory, false, 0);
}

static void test_flat(void **state)
{
    run_store(open_flat, true, 0);
}

static void test_pack(void **state)
{
    run_store(open_pack, true, 0);
}

static void test_pack_small_segments(void **state)
{
    run_store(open_pack, true, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_small_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
