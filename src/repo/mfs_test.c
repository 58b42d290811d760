/* The mutable tree of files, in the simulator: concurrent writers, moves and removals under their hands,
 * garbage collection beside them, crashes and failing disks, limits. */
#include "dag/dag_walk.h"
#include "dag/file_reader.h"
#include "repo/mfs_file.h"
#include "repo/mfs_impl.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>

#define REPO "/tmp/repo"
enum { WRITERS = 6, FILES_EACH = 12, CRASHES = 14, DISK_FAULTS = 40 };

static repo_t *open_repo(task_t *t)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    repo_t *r;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    if (repo_check(t, REPO) == ERR_NOT_FOUND)
        assert_ok(repo_init(t, REPO, "test", key));
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

/* ── content ─────────────────────────────────────────────────────────────────────────────────── */
/* So many bytes of a number's own, with waits between its pieces. */
typedef struct input {
    uint64_t number;
    size_t at, len;
    bool waits;
} input_t;

static uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(((number * 1000003 + at) * 0x9e3779b97f4a7c15u) >> 56);
}

static err_t read_stream(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    input_t *s = arg;
    size_t n = s->len - s->at < cap ? s->len - s->at : cap;
    if (s->waits && n > 3000)
        n = 3000;
    if (s->waits)
        TRY(task_sleep(t, 1));
    for (size_t i = 0; i < n; i++)
        out[i] = byte_of(s->number, s->at + i);
    s->at += n;
    *ret_n = n;
    return OK;
}

static err_t write_file(task_t *t, mfs_t *m, const char *path, uint64_t number, size_t len, bool flush)
{
    input_t s = {.number = number, .len = len, .waits = len > 3000};
    return mfs_write(
        t, m, NULL, path, (source_t){read_stream, &s},
        (mfs_write_options_t){
            .create = true, .parents = true, .truncate = true, .flush = flush, .raw_leaves = -1});
}

static bool is_there(task_t *t, repo_t *r, const char *path)
{
    mfs_entry_t entry;
    err_t e = mfs_lookup(t, repo_mfs(r), NULL, path, &entry);
    assert_true(!e || e == ERR_NOT_FOUND);
    return !e;
}

static void check_file(task_t *t, repo_t *r, const char *path, uint64_t number, size_t len)
{
    AUTO(file_reader_t) reader = {0};
    mfs_entry_t entry;
    size_t at = 0;
    assert_ok(mfs_lookup(t, repo_mfs(r), NULL, path, &entry));
    assert_ok(file_reader_open(t, &reader, repo_blocks(r), &entry.ref.cid));
    assert_int_equal(reader.size, len);
    for (;;) {
        bytes_t piece;
        assert_ok(file_reader_next(t, &reader, &piece));
        if (!piece.len)
            break;
        for (size_t i = 0; i < piece.len; i++)
            assert_int_equal(piece.data[i], byte_of(number, at + i));
        at += piece.len;
    }
    assert_int_equal(at, len);
}

static err_t visit_any(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    return OK;
}

/* Every block below the root is here. */
static void check_whole(task_t *t, repo_t *r)
{
    AUTO(dag_walker_t) w;
    cid_t root;
    assert_ok(mfs_root(t, repo_mfs(r), &root));
    dag_walker_init(&w, repo_blocks(r));
    w.visit = visit_any;
    assert_ok(dag_walker_run(t, &w, &root));
}

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

/* ── crashes ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct life {
    size_t acknowledged; /* files, by all lives */
    bool has_begun, is_over;
    event_t changed;
} life_t;

static const char *crash_path(size_t i, char out[64])
{
    snprintf(out, 64, "/d%zu/e/f%zu", i % 5, i);
    return out;
}

static void check_acknowledged(task_t *t, repo_t *r, size_t n)
{
    char path[64];
    for (size_t i = 0; i < n; i++)
        check_file(t, r, crash_path(i, path), i, i * 37 % 3000);
    check_whole(t, r);
}

static err_t live(task_t *t, void *arg)
{
    life_t *l = arg;
    char path[64];
    repo_t *r = open_repo(t);
    check_acknowledged(t, r, l->acknowledged);
    l->has_begun = true;
    event_fire(&l->changed);
    for (err_t e = OK; !e && l->acknowledged < 400;) {
        e = write_file(t, repo_mfs(r), "/unflushed/x", 7, 5000, false);
        if (!e)
            e = write_file(t, repo_mfs(r), crash_path(l->acknowledged, path), l->acknowledged,
                           l->acknowledged * 37 % 3000, true);
        l->acknowledged += !e;
    }
    repo_close(t, r);
    l->is_over = true;
    event_fire(&l->changed);
    return OK;
}

static err_t crashes(task_t *t, void *arg)
{
    life_t l = {0};
    sim_host_t *h = ((sim_host_t **)arg)[0];
    prng_t *r = sim_prng(((sim_t **)arg)[1]);
    event_init(&l.changed);
    for (size_t i = 0; i <= CRASHES; i++) {
        l.has_begun = l.is_over = false;
        assert_ok(sim_host_start(h, "life", live, &l));
        while (!l.has_begun)
            assert_ok(event_wait(t, &l.changed));
        if (i == CRASHES)
            break;
        assert_ok(task_sleep(t, prng_below(r, 90)));
        sim_crash(h, i % 3 ? SIM_POWER_LOSS : SIM_KILL);
        assert_ok(sim_host_join_dead(t, h));
        sim_restart(h);
    }
    while (!l.is_over)
        assert_ok(event_wait(t, &l.changed));
    assert_int_equal(l.acknowledged, 400);
    return OK;
}

static void test_crashes(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        sim_t *sim = sim_new(seed);
        sim_add_host(sim, "10.0.0.1");
        void *arg[2] = {sim_add_host(sim, "10.0.0.2"), sim};
        assert_ok(sim_run(sim, crashes, arg));
        sim_free(sim);
    }
}

/* Whoever is asked for a block never answers. */
static err_t get_never(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    event_t never;
    event_init(&never);
    return event_wait(t, &never);
}

static void remove_while_full(task_t *t, mfs_t *m, const char *path)
{
    static const blocks_ops_t ops = {.get = get_never};
    blocks_t nobody = {&ops};
    deadline_t d = deadline_push(t, 60000);
    err_t e = mfs_remove(t, m, &nobody, path, false, false);
    assert_true(e && e != ERR_TIMEOUT);
    deadline_pop(t, &d);
}

/* The disk fills, and the store loses what the journal has acknowledged: nothing is collected before it is
 * back, and it comes back by itself when there is room. */
static err_t full_disk(task_t *t, void *arg)
{
    char path[64];
    gc_result_t result;
    repo_t *r = open_repo(t);
    assert_ok(write_file(t, repo_mfs(r), "/a/b/first", 1, 1000, true));
    repo_close(t, r);
    r = open_repo(t); /* it is durable in the store */
    for (uint64_t i = 0; i < 20; i++)
        assert_ok(write_file(t, repo_mfs(r), crash_path(i, path), i, 2000 + i, true));
    uint64_t before = blockstore_losses(repo_blockstore(r));
    sim_disk_set_capacity(sim_host_of(t),
                          sim_disk_used_bytes(sim_host_of(t))); /* what is there may be written over */
    assert_true(blockstore_sync(t, repo_blockstore(r)) != OK);
    assert_true(blockstore_losses(repo_blockstore(r)) != before);
    for (uint64_t i = 0; i < 5; i++) /* the journal has room, which is that of what was acknowledged */
        assert_true(write_file(t, repo_mfs(r), "/late", i, 10 + i, true) != OK);
    assert_err(gc_run(t, repo_gc(r), NULL, NULL, &result), ERR_IO);
    check_file(t, r, "/a/b/first", 1, 1000);
    for (uint64_t i = 0; i < 20; i++)
        remove_while_full(t, repo_mfs(r), crash_path(i, path));
    sim_disk_set_capacity(sim_host_of(t), 0);
    assert_ok(task_sleep(t, 5000));
    for (int round = 0; round < 2; round++) {
        check_file(t, r, "/a/b/first", 1, 1000);
        for (uint64_t i = 0; i < 20; i++)
            check_file(t, r, crash_path(i, path), i, 2000 + i);
        assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
        check_whole(t, r);
    }
    repo_close(t, r);
    return OK;
}

static void test_full_disk(void **state)
{
    (void)state;
    assert_ok(test_run(full_disk, NULL));
}

/* The n-th change of the disk fails: the call fails or not, and whatever was acknowledged is there, now and
 * after. */
static err_t disk_fault(task_t *t, void *arg)
{
    size_t n = *(size_t *)arg;
    bool done[6];
    char path[64];
    repo_t *r = open_repo(t);
    assert_ok(write_file(t, repo_mfs(r), "/first", 1, 1000, true));
    sim_disk_fail_nth(sim_host_of(t), n, n % 2 ? ERR_NO_SPACE : ERR_IO, false);
    for (size_t i = 0; i < ARRAY_LEN(done); i++)
        done[i] = !write_file(t, repo_mfs(r), crash_path(i, path), i, 2000 + i, true);
    sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
    for (int round = 0; round < 2; round++) {
        check_file(t, r, "/first", 1, 1000);
        for (size_t i = 0; i < ARRAY_LEN(done); i++)
            if (done[i])
                check_file(t, r, crash_path(i, path), i, 2000 + i);
        check_whole(t, r);
        if (!round)
            assert_ok(write_file(t, repo_mfs(r), "/last", 2, 1000, true));
        repo_close(t, r);
        r = open_repo(t);
    }
    check_file(t, r, "/last", 2, 1000);
    repo_close(t, r);
    return OK;
}

static void test_disk_faults(void **state)
{
    for (size_t n = 1; n <= DISK_FAULTS; n++)
        assert_ok(test_run(disk_fault, &n));
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
    assert_false(mfs_durable_root(m, &root));
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
    assert_true(mfs_durable_root(m, &root));
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

/* ── the journal ─────────────────────────────────────────────────────────────────────────────── */
static err_t count_blocks(task_t *t, void *arg, block_t *const *blocks, size_t n)
{
    *(size_t *)arg += n;
    return OK;
}

static void append_record(task_t *t, mfs_journal_t *j, uint64_t number, size_t n)
{
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    block_t *list[100];
    uint8_t bytes[300] = {(uint8_t)number};
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(bytes, sizeof bytes), &cid));
    assert_ok(block_copy(&cid, bytes_of(bytes, sizeof bytes), &block));
    for (size_t i = 0; i < n; i++)
        list[i] = block;
    assert_ok(mfs_journal_append(t, j, &cid, list, n));
    assert_int_equal(j->number, number);
}

/* Records from `first` on, behind number `after`; then what a new reader finds. */
static size_t replay(task_t *t, uint64_t after, size_t *ret_blocks)
{
    mfs_journal_t j;
    cid_t root;
    bool has;
    *ret_blocks = 0;
    mfs_journal_init(&j, "/tmp/journal");
    assert_ok(mfs_journal_replay(t, &j, after, count_blocks, ret_blocks, &root, &has));
    size_t records = j.number - after;
    assert_int_equal(has, records > 0);
    mfs_journal_deinit(&j);
    return records;
}

static err_t journal(task_t *t, void *arg)
{
    mfs_journal_t j;
    size_t blocks;
    assert_int_equal(replay(t, 0, &blocks), 0); /* there is none */
    mfs_journal_init(&j, "/tmp/journal");
    for (uint64_t i = 1; i <= 5; i++)
        append_record(t, &j, i, (size_t)i * 20);
    assert_int_equal(replay(t, 0, &blocks), 5);
    assert_int_equal(blocks, 300);
    assert_int_equal(replay(t, 3, &blocks), 0); /* the first one is older */
    mfs_journal_rewind(&j);
    append_record(t, &j, 6, 1);
    assert_int_equal(replay(t, 5, &blocks), 1); /* what follows it is older */
    append_record(t, &j, 7, 90);
    sim_disk_corrupt(sim_host_of(t), "/tmp/journal", j.at - 10, 1);
    assert_int_equal(replay(t, 5, &blocks), 1);
    assert_int_equal(blocks, 1);
    sim_disk_corrupt(sim_host_of(t), "/tmp/journal", 4, 1); /* the length of the first */
    assert_int_equal(replay(t, 5, &blocks), 0);
    mfs_journal_deinit(&j);
    return OK;
}

static void test_journal(void **state)
{
    assert_ok(test_run(journal, NULL));
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
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_disk_faults),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_many_dirs),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
