/* The mutable tree of files, in the simulator: concurrent writers, moves and removals under their hands,
 * garbage collection beside them, limits. */
#include "repo/mfs_file.h"
#include "tests/support/mfs.h"

enum { WRITERS = 6, FILES_EACH = 12 };

/* ── many writers ────────────────────────────────────────────────────────────────────────────── */
typedef struct writer_job {
    repo_t *repo;
    size_t number;
    bool must_stop;
} writer_job_t;

static const char *path_of(size_t writer, size_t i, char out[64])
{
    snprintf(out, 64, "/%s/dir-%zu/file-%zu-%zu", i % 2 ? "shared" : "own", i % 2 ? i % 3 : writer, writer,
             i);
    return out;
}

static size_t len_of(size_t writer, size_t i)
{
    return (writer * 7 + i * 13) % 5 == 0 ? 300000 : (writer * 31 + i * 17) % 4000;
}

static err_t write_many_files(task_t *t, void *arg)
{
    writer_job_t *j = arg;
    char path[64];
    for (size_t i = 0; i < FILES_EACH; i++)
        assert_ok(write_file(t, repo_mfs(j->repo), path_of(j->number, i, path), j->number * 100 + i,
                             len_of(j->number, i), (i + j->number) % 3 != 0));
    return OK;
}

static void check_many_files(task_t *t, repo_t *r)
{
    char path[64];
    for (size_t w = 0; w < WRITERS; w++)
        for (size_t i = 0; i < FILES_EACH; i++)
            check_file(t, r, path_of(w, i, path), w * 100 + i, len_of(w, i));
}

static void start_writers(task_t *t, group_t *g, repo_t *r, writer_job_t jobs[WRITERS])
{
    group_init(g, task_sched(t));
    for (size_t w = 0; w < WRITERS; w++) {
        jobs[w] = (writer_job_t){.repo = r, .number = w};
        assert_ok(group_spawn(g, "writer", write_many_files, &jobs[w], NULL));
    }
}

static err_t concurrent_writers(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    writer_job_t jobs[WRITERS];
    group_t g;
    cid_t before, after;
    start_writers(t, &g, r, jobs);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    check_many_files(t, r);
    assert_ok(mfs_root(t, repo_mfs(r), &before));
    repo_close(t, r); /* makes durable what was not flushed */
    r = open_repo(t);
    assert_ok(mfs_root(t, repo_mfs(r), &after));
    assert_true(cid_equal(&before, &after));
    check_many_files(t, r);
    repo_close(t, r);
    return OK;
}

static void test_concurrent_writers(void **state)
{
    assert_ok(test_run(concurrent_writers, NULL));
}

/* Collection runs again and again: nothing that was written is lost, and what was replaced goes. */
static err_t collect_all_the_time(task_t *t, void *arg)
{
    writer_job_t *j = arg;
    while (!j->must_stop) {
        gc_result_t result;
        assert_ok(gc_run(t, repo_gc(j->repo), NULL, NULL, &result));
        TRY(task_sleep(t, 5));
    }
    return OK;
}

static err_t collection_beside_writers(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    writer_job_t jobs[WRITERS], collector = {.repo = r};
    group_t g, c;
    gc_result_t result;
    start_writers(t, &g, r, jobs);
    group_init(&c, task_sched(t));
    assert_ok(group_spawn(&c, "collector", collect_all_the_time, &collector, NULL));
    assert_ok(group_join(t, &g));
    collector.must_stop = true;
    assert_ok(group_join(t, &c));
    group_deinit(&g);
    group_deinit(&c);
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    check_many_files(t, r);
    check_whole(t, r);
    assert_ok(mfs_remove(t, repo_mfs(r), NULL, "/own", true, false));
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    assert_true(result.removed_blocks > 20);
    check_whole(t, r);
    repo_close(t, r);
    return OK;
}

static void test_collection_beside_writers(void **state)
{
    assert_ok(test_run(collection_beside_writers, NULL));
}

/* ── what happens to a file while it is written ──────────────────────────────────────────────── */
static err_t write_slowly(task_t *t, void *arg)
{
    writer_job_t *j = arg;
    return write_file(t, repo_mfs(j->repo), "/d/slow", j->number, 90000, true);
}

static err_t moved_and_removed(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    writer_job_t job = {.repo = r, .number = 5};
    group_t g;
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "slow", write_slowly, &job, NULL));
    assert_ok(task_sleep(t, 10));
    assert_true(is_there(t, r, "/d/slow"));
    assert_ok(mfs_move(t, m, NULL, "/d", "/e", true));
    assert_ok(group_join(t, &g));
    check_file(t, r, "/e/slow", 5, 90000);
    assert_false(is_there(t, r, "/d"));
    assert_ok(group_spawn(&g, "slow", write_slowly, &job, NULL));
    assert_ok(task_sleep(t, 10));
    assert_ok(mfs_remove(t, m, NULL, "/d", true, false));
    assert_ok(mfs_mkdir(t, m, NULL, "/d", (mfs_mkdir_options_t){.flush = true}));
    assert_ok(group_join(t, &g));
    assert_false(is_there(t, r, "/d/slow"));
    assert_ok(group_spawn(&g, "slow", write_slowly, &job, NULL));
    assert_ok(task_sleep(t, 10));
    assert_ok(mfs_move(t, m, NULL, "/d/slow", "/e/fast", false));
    assert_ok(group_join(t, &g));
    check_file(t, r, "/e/fast", 5, 90000);
    assert_ok(group_spawn(&g, "slow", write_slowly, &job, NULL));
    assert_ok(task_sleep(t, 10));
    group_cancel(&g); /* the client leaves */
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    check_whole(t, r);
    repo_close(t, r);
    return OK;
}

static void test_moved_and_removed(void **state)
{
    assert_ok(test_run(moved_and_removed, NULL));
}

/* Two writers of one file: one after the other, and both ranges are there. */
typedef struct part {
    repo_t *repo;
    uint64_t offset;
} part_t;

static err_t write_part(task_t *t, void *arg)
{
    part_t *p = arg;
    input_t s = {.number = 1, .at = (size_t)p->offset, .len = (size_t)p->offset + 50000, .waits = true};
    return mfs_write(
        t, repo_mfs(p->repo), NULL, "/f", (source_t){read_stream, &s},
        (mfs_write_options_t){.create = true, .offset = p->offset, .flush = true, .raw_leaves = -1});
}

static err_t one_file(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    part_t parts[4];
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < 4; i++) {
        parts[i] = (part_t){r, (3 - i) * 50000};
        assert_ok(group_spawn(&g, "part", write_part, &parts[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    check_file(t, r, "/f", 1, 200000);
    repo_close(t, r);
    return OK;
}

/* Mode and time, changed while a slow writer has the file, which then gives back what it made of the old one.
 */
static err_t meta_while_written(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    part_t part = {r, 0};
    mfs_stat_t st;
    group_t g;
    assert_ok(write_file(t, m, "/f", 2, 10, true));
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "part", write_part, &part, NULL));
    assert_ok(task_sleep(t, 5)); /* it is reading its source */
    assert_ok(mfs_set_mode(t, m, NULL, "/f", 0604));
    assert_ok(mfs_set_mtime(t, m, NULL, "/f", (unixfs_time_t){.seconds = 1234}));
    assert_ok(mfs_stat(t, m, NULL, "/f", &st));
    assert_true(st.size == 10 && st.mode == 0604 &&
                st.mtime.seconds == 1234); /* at once, and before the writer */
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_ok(mfs_stat(t, m, NULL, "/f", &st));
    assert_true(st.size == 50000 && st.mode == 0604 && st.mtime.seconds == 1234);
    check_file(t, r, "/f", 1, 50000);
    repo_close(t, r);
    return OK;
}

static void test_meta_while_written(void **state)
{
    assert_ok(test_run(meta_while_written, NULL));
}

static void test_one_file(void **state)
{
    assert_ok(test_run(one_file, NULL));
}

/* ── smaller things ──────────────────────────────────────────────────────────────────────────── */
static void check_clean(const char *text, const char *expected)
{
    AUTO(buf_t) out = {0};
    const char *path;
    buf_init(&out, 2 * MFS_PATH_MAX_BYTES);
    assert_ok(mfs_clean_path(text, &out));
    assert_ok(buf_cstr(&out, &path));
    assert_string_equal(path, expected);
}

static void test_paths(void **state)
{
    static const char *const rows[][2] = {
        {"/", "/"},           {"//", "/"},       {"/a", "/a"},        {"/a/", "/a/"},  {"//a///b//", "/a/b/"},
        {"/a/./b/.", "/a/b"}, {"/..", "/"},      {"/../../x", "/x"},  {"/a/../", "/"}, {"/a/b/../../c", "/c"},
        {"/a/..", "/"},       {"/a/b/..", "/a"}, {"/a/b/../", "/a/"}, {"/...", "/..."}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_clean(rows[i][0], rows[i][1]);
    AUTO(buf_t) out = {0};
    buf_init(&out, 100);
    assert_err(mfs_clean_path("", &out), ERR_INVALID);
    assert_err(mfs_clean_path("a", &out), ERR_INVALID);
    char *deep = xcalloc(1, MFS_PATH_MAX_BYTES + 10);
    memset(deep, '/', MFS_PATH_MAX_BYTES + 1);
    assert_err(mfs_clean_path(deep, &out), ERR_LIMIT);
    free(deep);
}

static err_t limits(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    char *path = xcalloc(1, MFS_PATH_MAX_BYTES);
    mfs_mkdir_options_t all = {.parents = true, .flush = true};
    for (size_t i = 0; i < MFS_MAX_DEPTH - 1; i++)
        snprintf(path + 2 * i, 3, "/d");
    assert_ok(mfs_mkdir(t, m, NULL, path, all));
    snprintf(path + 2 * (MFS_MAX_DEPTH - 1), 5, "/d/d");
    assert_err(mfs_mkdir(t, m, NULL, path, all), ERR_LIMIT);
    check_whole(t, r);
    path[0] = '/';
    memset(path + 1, 'n', MFS_NAME_MAX_BYTES);
    path[1 + MFS_NAME_MAX_BYTES] = 0;
    assert_ok(mfs_mkdir(t, m, NULL, path, all));
    path[1 + MFS_NAME_MAX_BYTES] = 'n';
    path[2 + MFS_NAME_MAX_BYTES] = 0;
    assert_err(mfs_mkdir(t, m, NULL, path, all), ERR_LIMIT);
    assert_ok(mfs_mkdir(t, m, NULL, "/\xff\x01\n\xc3\x28", all)); /* names are bytes */
    assert_true(is_there(t, r, "/\xff\x01\n\xc3\x28"));
    for (int i = 0; i < 256; i++)
        assert_ok(mfs_count_unflushed(m, false));
    assert_err(mfs_count_unflushed(m, false), ERR_LIMIT);
    assert_ok(mfs_count_unflushed(m, true));
    assert_ok(mfs_count_unflushed(m, false));
    assert_err(mfs_move(t, m, NULL, "/d", "/d/d/x", true), ERR_INVALID);
    free(path);
    repo_close(t, r);
    return OK;
}

static void test_limits(void **state)
{
    assert_ok(test_run(limits, NULL));
}

/* More directories than stay in memory. */
static err_t many_dirs(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    char path[64];
    for (size_t i = 0; i < 4500; i++) {
        snprintf(path, sizeof path, "/many/d%zu/e", i);
        assert_ok(mfs_mkdir(t, repo_mfs(r), NULL, path, (mfs_mkdir_options_t){.parents = true}));
    }
    assert_true(repo_mfs(r)->loaded_dirs <= 4097);
    for (size_t i = 0; i < 4500; i += 9) {
        snprintf(path, sizeof path, "/many/d%zu/e", i);
        assert_true(is_there(t, r, path));
    }
    check_whole(t, r);
    repo_close(t, r);
    return OK;
}

static void test_many_dirs(void **state)
{
    assert_ok(test_run(many_dirs, NULL));
}

/* Another root, one that is none, and a root whose block is gone. */
static err_t roots(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    mfs_entry_t d, f;
    cid_t nowhere, root, whole;
    bool has;
    assert_ok(mfs_durable_root(t, m, &root, &has));
    assert_false(has);
    assert_ok(write_file(t, m, "/d/f", 3, 5000, true));
    assert_ok(mfs_lookup(t, m, NULL, "/d", &d));
    assert_ok(mfs_lookup(t, m, NULL, "/d/f", &f));
    assert_ok(mfs_root(t, m, &whole));
    assert_ok(mfs_set_root(t, m, &d.ref.cid));
    check_file(t, r, "/f", 3, 5000);
    assert_false(is_there(t, r, "/d"));
    assert_err(mfs_set_root(t, m, &f.ref.cid), ERR_INVALID);
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, BYTES_LIT("nothing"), &nowhere));
    assert_err(mfs_set_root(t, m, &nowhere), ERR_NOT_FOUND);
    assert_ok(mfs_durable_root(t, m, &root, &has));
    assert_true(has);
    assert_ok(blockstore_remove(t, repo_blockstore(r), &root, 1));
    repo_close(t, r);
    r = open_repo(t); /* the rest of the repository can be used */
    gc_result_t result;
    assert_err(mfs_root(t, repo_mfs(r), &root), ERR_CORRUPT);
    assert_err(gc_run(t, repo_gc(r), NULL, NULL, &result), ERR_CORRUPT); /* nobody knows what is needed */
    assert_ok(mfs_set_root(t, repo_mfs(r), &whole));
    assert_ok(mfs_root(t, repo_mfs(r), &root));
    assert_true(cid_equal(&root, &whole));
    repo_close(t, r);
    return OK;
}

static void test_roots(void **state)
{
    assert_ok(test_run(roots, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_concurrent_writers),
        cmocka_unit_test(test_collection_beside_writers),
        cmocka_unit_test(test_moved_and_removed),
        cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_meta_while_written),
        cmocka_unit_test(test_many_dirs),
        cmocka_unit_test(test_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
