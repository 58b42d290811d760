/* The stores over the real driver and a real disk: the suite of all stores, and LMDB and SQLite as they
 * are. Folders under $TMPDIR or /tmp, removed at the end. */
#include "loop/loop_testing.h"
#include "store/blockstore_suite.h"
#include "store/flat_store.h"
#include "store/pack_store.h"
#include "tests/crash/folder.h"
#include <signal.h>
#include <sys/resource.h>

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

/* No room for a file to grow, as on a full disk: refused, nothing acknowledged, all else readable; and when
 * there is room again it goes on. */
static void limit_files(uint64_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes ? bytes : l.rlim_max;
    setrlimit(RLIMIT_FSIZE, &l);
}

static err_t run_full(task_t *t, void *arg)
{
    blockstore_t *bs;
    blockstore_stat_t stat;
    uint64_t n = 0;
    err_t e = OK;
    signal(SIGXFSZ, SIG_IGN);
    TRY(pack_store_open(t, arg, NULL, &bs));
    limit_files(3000000);
    while (!e && n < 100)
        e = suite_put(t, bs, n++, 100000);
    CHECK(e == ERR_NO_SPACE && n > 10 && n < 40);
    TRY(suite_expect_absent(t, bs, n - 1, 100000));
    for (uint64_t i = 0; i + 1 < n; i++)
        TRY(suite_expect(t, bs, i, 100000));
    limit_files(0);
    TRY(suite_put(t, bs, n, 100000));
    blockstore_close(t, bs);
    TRY(pack_store_open(t, arg, NULL, &bs));
    TRY(blockstore_stat(t, bs, &stat));
    CHECK(stat.blocks == n);
    TRY(suite_expect(t, bs, 0, 100000));
    TRY(suite_expect(t, bs, n, 100000));
    /* The index alone has no room. */
    limit_files(20000);
    e = suite_put_range(t, bs, 10000, 2000, 10);
    limit_files(0);
    CHECK(e == ERR_NO_SPACE);
    TRY(suite_expect(t, bs, n, 100000));
    TRY(suite_put_range(t, bs, 10000, 2000, 10));
    TRY(suite_expect(t, bs, 11999, 10));
    blockstore_close(t, bs);
    return OK;
}

static void test_full_disk(void **state)
{
    char folder[FOLDER_MAX];
    test_folder_make(folder);
    run_on_driver(run_full, folder);
    test_folder_remove(folder);
}

/* LMDB's files are rubbish: the index is built anew. */
static err_t run_bad_index(task_t *t, void *arg)
{
    char path[FOLDER_MAX + 32];
    blockstore_t *bs;
    TRY(pack_store_open(t, arg, NULL, &bs));
    TRY(suite_put_range(t, bs, 0, 300, 3000));
    blockstore_close(t, bs);
    snprintf(path, sizeof path, "%s/index/data.mdb", (const char *)arg);
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            AUTO(buf_t) rubbish;
            buf_init(&rubbish, 100000);
            while (rubbish.len < 50000)
                TRY(buf_append(&rubbish, BYTES_LIT("this is no database ")));
            TRY(fs_write_file(t, path, 0600, buf_bytes(&rubbish)));
        } else {
            TRY(fs_unlink(t, path));
        }
        TRY(pack_store_open(t, arg, NULL, &bs));
        for (uint64_t k = 0; k < 300; k++)
            TRY(suite_expect(t, bs, k, 3000));
        blockstore_close(t, bs);
    }
    return OK;
}

static void test_bad_index(void **state)
{
    char folder[FOLDER_MAX];
    test_folder_make(folder);
    run_on_driver(run_bad_index, folder);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_flat),
        cmocka_unit_test(test_pack),      cmocka_unit_test(test_pack_small_segments),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_bad_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
