/* The limit of the repository's size: kept under load, with pinned content, beside the tree of files. */
#include "base/log.h"
#include "dag/dag_walk.h"
#include "repo/mfs.h"
#include "repo/repo_impl.h"
#include "tests/support/repo.h"
#include <stdlib.h>

enum { BLOCK_BYTES = 20000, MAX_BYTES = 1000000, ROUNDS = 60 };

static repo_t *limited_repo(task_t *t)
{
    repo_t *r = fresh_repo(t);
    assert_ok(repo_config_set(t, r, "Datastore.StorageMax", "1000000"));
    repo_keep_limit(r);
    return r;
}

static uint64_t size_of(task_t *t, repo_t *r)
{
    repo_stat_t s;
    assert_ok(repo_stat(t, r, &s));
    return s.limited_bytes;
}

static err_t put(task_t *t, repo_t *r, uint64_t seed)
{
    AUTO_PTR(block_t) b = suite_block(seed, BLOCK_BYTES);
    return blockstore_put(t, repo_blockstore(r), b);
}

/* Garbage goes when room is needed; pinned blocks stay, and what does not fit beside them is refused until
 * one of them is let go. */
static err_t keeps_limit(task_t *t, void *arg)
{
    repo_t *r = limited_repo(t);
    uint64_t most = 0;
    for (uint64_t i = 0; i < 200; i++) {
        assert_ok(put(t, r, i));
        most = size_of(t, r) > most ? size_of(t, r) : most;
    }
    assert_true(most > MAX_BYTES / 2 && most <= MAX_BYTES);
    err_t e = OK;
    uint64_t n = 0;
    for (; !e && n < 200; n++) {
        cid_t cid = suite_cid(1000 + n, BLOCK_BYTES);
        gc_hold_t hold = gc_hold(repo_gc(r));
        e = put(t, r, 1000 + n);
        if (!e)
            e = pins_add_present(t, repo_pins(r), &cid, PIN_DIRECT, "");
        gc_release(&hold);
    }
    assert_err(e, ERR_NO_SPACE);
    assert_non_null(strstr(error_text(e), "Datastore.StorageMax"));
    assert_true(n > 20 && n < 60 && size_of(t, r) <= MAX_BYTES);
    assert_err(put(t, r, 5000), ERR_NO_SPACE);
    assert_ok(put(t, r, 1000)); /* it is here: it takes nothing */
    for (uint64_t i = 0; i < 5; i++) {
        cid_t cid = suite_cid(1000 + i, BLOCK_BYTES);
        assert_ok(pins_remove(t, repo_pins(r), &cid, PIN_ANY));
    }
    assert_ok(put(t, r, 5000));
    for (uint64_t i = 5; i < n - 1; i++)
        assert_ok(suite_expect(t, repo_blockstore(r), 1000 + i, BLOCK_BYTES));
    assert_ok(repo_config_set(t, r, "Datastore.StorageMax", "\"1GB\""));
    for (uint64_t i = 0; i < 60; i++)
        assert_ok(put(t, r, 6000 + i));
    repo_close(t, r);
    return OK;
}

static void test_keeps_limit(void **state)
{
    assert_ok(test_run(keeps_limit, NULL));
}

/* Without the switch nothing is refused, as in Kubo without --enable-gc. */
static err_t off(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    assert_ok(repo_config_set(t, r, "Datastore.StorageMax", "1000"));
    assert_ok(put(t, r, 1));
    assert_true(size_of(t, r) > BLOCK_BYTES);
    repo_close(t, r);
    return OK;
}

static void test_off(void **state)
{
    assert_ok(test_run(off, NULL));
}

/* ── under load ──────────────────────────────────────────────────────────────────────────────── */
typedef struct load {
    repo_t *repo;
    cid_t pinned;
    uint64_t base, done;
    bool is_over;
    uint64_t most_bytes;
    size_t reads, slowest_read_ms;
} load_t;

/* Adds a DAG, pins it, reads it, lets it go: nothing of it is missing in between. */
static err_t add_and_drop(task_t *t, void *arg)
{
    load_t *l = arg;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        repo_import_t *import = repo_import_begin(l->repo);
        cid_t root = put_tree(t, repo_import_blocks(import), l->base + 1000 * i, 30);
        TRY(repo_import_sync(t, import));
        TRY(pins_add_present(t, repo_pins(l->repo), &root, PIN_RECURSIVE, ""));
        repo_import_end(import);
        TRY(task_sleep(t, i % 5));
        verified_t v = {0};
        TRY(pins_verify(t, repo_pins(l->repo), repo_blocks(l->repo), see_verified, &v));
        SUITE_CHECK(!v.bad);
        TRY(pins_remove(t, repo_pins(l->repo), &root, PIN_ANY));
        l->done++;
    }
    return OK;
}

static err_t count_block(task_t *t, void *arg, block_t *block)
{
    ++*(size_t *)arg;
    return OK;
}

/* Reads what is pinned all the time. */
static err_t keep_reading(task_t *t, void *arg)
{
    load_t *l = arg;
    while (!l->is_over) {
        size_t n = 0;
        uint64_t began_ms = task_now_ms(t);
        TRY(dag_walk(t, repo_blocks(l->repo), &l->pinned, count_block, &n));
        SUITE_CHECK(n == 63);
        uint64_t took_ms = task_now_ms(t) - began_ms;
        l->slowest_read_ms = took_ms > l->slowest_read_ms ? took_ms : l->slowest_read_ms;
        l->reads++;
        uint64_t bytes = size_of(t, l->repo);
        l->most_bytes = bytes > l->most_bytes ? bytes : l->most_bytes;
        TRY(task_sleep(t, 1));
    }
    return OK;
}

static err_t fill_with_files(task_t *t, void *arg)
{
    load_t *l = arg;
    mfs_t *mfs = repo_mfs(l->repo);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        char path[40];
        snprintf(path, sizeof path, "/d%d", (int)(i % 10));
        err_t e = mfs_mkdir(t, mfs, NULL, path, (mfs_mkdir_options_t){.parents = true, .flush = true});
        TRY(e);
        TRY(mfs_remove(t, mfs, NULL, path, true, false));
    }
    l->done++;
    return OK;
}

static err_t under_load(task_t *t, void *arg)
{
    load_t a = {.repo = limited_repo(t), .base = 1000000}, b = {.repo = a.repo, .base = 5000000};
    load_t files = {.repo = a.repo}, reading = {.repo = a.repo};
    reading.pinned = put_tree(t, repo_blocks(a.repo), 1, 30);
    TRY(pins_add(t, repo_pins(a.repo), repo_blocks(a.repo), &reading.pinned, PIN_RECURSIVE, "", NULL, NULL));
    group_t workers, reader;
    group_init(&workers, task_sched(t));
    group_init(&reader, task_sched(t));
    assert_ok(group_spawn(&reader, "read", keep_reading, &reading, NULL));
    assert_ok(group_spawn(&workers, "add a", add_and_drop, &a, NULL));
    assert_ok(group_spawn(&workers, "add b", add_and_drop, &b, NULL));
    assert_ok(group_spawn(&workers, "files", fill_with_files, &files, NULL));
    err_t e = group_join(t, &workers);
    reading.is_over = true;
    err_t read = group_join(t, &reader);
    group_deinit(&workers);
    group_deinit(&reader);
    TRY(e);
    TRY(read);
    SUITE_CHECK(a.done == ROUNDS && b.done == ROUNDS && reading.reads > ROUNDS);
    /* Compaction writes what it keeps before it frees where that was. */
    SUITE_CHECK(reading.most_bytes <= MAX_BYTES * 5 / 4 && reading.most_bytes > MAX_BYTES / 2);
    SUITE_CHECK(size_of(t, a.repo) <= MAX_BYTES);
    repo_close(t, a.repo);
    return OK;
}

static void test_under_load(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        sim_t *s = sim_new(seed);
        assert_ok(sim_run(s, under_load, NULL));
        sim_free(s);
    }
}

/* A write that must not wait goes a little over the limit, tells who collects, and is refused beyond. */
static err_t without_waiting(task_t *t, void *arg)
{
    repo_t *r = limited_repo(t);
    room_t *m = &r->room;
    AUTO_PTR(block_t) b = suite_block(1, BLOCK_BYTES);
    cid_t cid;
    err_t e = OK;
    uint64_t n = 0;
    for (; !e && n < 100; n++) {
        gc_hold_t hold = gc_hold(repo_gc(r));
        cid = suite_cid(n, BLOCK_BYTES);
        AUTO_PTR(block_t) next = suite_block(n, BLOCK_BYTES);
        e = blockstore_put(t, r->quick_guard, next);
        if (!e)
            e = pins_add_present(t, repo_pins(r), &cid, PIN_DIRECT, "");
        gc_release(&hold);
    }
    assert_err(e, ERR_NO_SPACE);
    assert_true(m->wanted_bytes > BLOCK_BYTES && size_of(t, r) > MAX_BYTES - BLOCK_BYTES);
    assert_true(size_of(t, r) <= MAX_BYTES + MAX_BYTES / 20);
    assert_ok(repo_make_room(t, r));
    assert_err(put(t, r, 900), ERR_NO_SPACE);
    repo_close(t, r);
    return OK;
}

static void test_without_waiting(void **state)
{
    assert_ok(test_run(without_waiting, NULL));
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_limit),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_under_load),
        cmocka_unit_test(test_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
