/* Files of the mutable tree that programs have open, in the simulator. */
#include "repo/mfs_file.h"
#include "tests/support/mfs.h"

enum { SIZE_MAX_BYTES = 1 << 20, STEPS = 400 };

static mfs_file_t *open_file(task_t *t, mfs_t *m, const char *path, bool create)
{
    mfs_file_t *f;
    assert_ok(mfs_file_open(t, m, NULL, path, (mfs_open_options_t){.create = create}, &f));
    return f;
}

static uint64_t size_at(task_t *t, mfs_t *m, const char *path)
{
    mfs_stat_t st;
    assert_ok(mfs_stat(t, m, NULL, path, &st));
    return st.size;
}

static void check_content(task_t *t, mfs_file_t *f, const uint8_t *want, size_t len)
{
    uint8_t *got = xmalloc(len + 1);
    mfs_stat_t st;
    size_t n;
    assert_ok(mfs_file_read(t, f, 0, got, len + 1, &n));
    assert_int_equal(n, len);
    assert_memory_equal(got, want, len);
    assert_ok(mfs_file_stat(t, f, &st));
    assert_int_equal(st.size, len);
    free(got);
}

/* Random writes, cuts, reads and flushes through two openings, beside a plain array. */
static err_t random_changes(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    uint8_t *model = xcalloc(1, 2 * SIZE_MAX_BYTES), *bytes = xmalloc(SIZE_MAX_BYTES);
    uint64_t state = 7;
    size_t len = 0;
    mfs_file_t *files[] = {open_file(t, m, "/f", true), open_file(t, m, "/f", false)};
    for (int i = 0; i < STEPS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        mfs_file_t *f = files[state >> 63];
        size_t at = (size_t)(state >> 20) % SIZE_MAX_BYTES, n = (size_t)(state >> 40) % 9000 + 1, got;
        switch (i % 8) {
        case 0:
            at %= len + 1;
            assert_ok(mfs_file_resize(t, f, at));
            memset(model + at, 0, 2 * SIZE_MAX_BYTES - at);
            len = at;
            break;
        case 1:
            assert_ok(mfs_file_flush(t, f, i % 16 == 1));
            break;
        case 2:
            assert_ok(mfs_file_read(t, f, at, bytes, n, &got));
            assert_int_equal(got, at >= len ? 0 : len - at < n ? len - at : n);
            assert_memory_equal(bytes, model + at, got);
            break;
        default:
            for (size_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)(state >> (k % 50));
            if (i % 8 == 3)
                at = len;
            if (at > len + 70000)
                at = len + 70000;
            assert_ok(mfs_file_write(t, f, i % 8 == 3 ? 5 : at, i % 8 == 3, bytes_of(bytes, n)));
            memcpy(model + at, bytes, n);
            len = at + n > len ? at + n : len;
        }
        assert_int_equal(size_at(t, m, "/f"), len);
    }
    check_content(t, files[0], model, len);
    mfs_file_close(t, files[0]);
    mfs_file_close(t, files[1]);
    repo_close(t, r);
    r = open_repo(t);
    mfs_file_t *f = open_file(t, repo_mfs(r), "/f", false); /* the first one after a start */
    check_content(t, f, model, len);
    mfs_file_close(t, f);
    repo_close(t, r);
    free(model);
    free(bytes);
    return OK;
}

static void test_random_changes(void **state)
{
    assert_ok(test_run(random_changes, NULL));
}

static err_t names(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    mfs_stat_t st;
    mfs_mkdir_options_t plain = {0};
    unixfs_t meta = {.has_mode = true, .mode = 0600};
    mfs_file_t *f = open_file(t, m, "/a", true), *again;
    assert_int_equal(mfs_file_open(t, m, NULL, "/a", (mfs_open_options_t){true, true}, &again), ERR_EXISTS);
    assert_int_equal(mfs_file_open(t, m, NULL, "/no", (mfs_open_options_t){0}, &again), ERR_NOT_FOUND);
    assert_ok(mfs_mkdir(t, m, NULL, "/d", plain));
    assert_ok(mfs_mkdir(t, m, NULL, "/e", plain));
    assert_int_equal(mfs_file_open(t, m, NULL, "/d", (mfs_open_options_t){0}, &again), ERR_INVALID);
    assert_ok(mfs_file_write(t, f, 0, false, BYTES_LIT("one")));
    assert_ok(mfs_rename(t, m, NULL, "/a", "/d/b", false)); /* while it is written */
    assert_ok(mfs_file_write(t, f, 0, true, BYTES_LIT("two")));
    assert_ok(mfs_change_meta(t, m, NULL, "/d/b", &meta));
    assert_ok(mfs_file_write(t, f, 0, true, BYTES_LIT("!")));
    check_content(t, f, (const uint8_t *)"onetwo!", 7);
    assert_ok(mfs_stat(t, m, NULL, "/d/b", &st));
    assert_true(st.has_mode && st.mode == 0600 && st.size == 7);
    assert_int_equal(mfs_stat(t, m, NULL, "/a", &st), ERR_NOT_FOUND);
    assert_int_equal(mfs_rmdir(t, m, NULL, "/d"), ERR_NOT_EMPTY);
    assert_int_equal(mfs_rename(t, m, NULL, "/e", "/d", false), ERR_NOT_EMPTY);
    assert_int_equal(mfs_rename(t, m, NULL, "/d", "/d/x", false), ERR_INVALID);
    assert_int_equal(mfs_rename(t, m, NULL, "/d/b", "/e", false), ERR_INVALID);
    assert_int_equal(mfs_rename(t, m, NULL, "/d", "/e", true), ERR_EXISTS);
    assert_int_equal(mfs_rename(t, m, NULL, "/", "/x", false), ERR_INVALID);
    assert_ok(mfs_rename(t, m, NULL, "/d", "/e", false)); /* in the place of an empty one */
    assert_int_equal(size_at(t, m, "/e/b"), 7);
    assert_ok(mfs_unlink(t, m, NULL, "/e/b"));
    check_content(t, f, (const uint8_t *)"onetwo!", 7); /* its own until it is closed */
    assert_ok(mfs_file_write(t, f, 3, false, BYTES_LIT("___")));
    assert_ok(mfs_file_flush(t, f, true));
    check_content(t, f, (const uint8_t *)"one___!", 7);
    mfs_file_close(t, f);
    assert_int_equal(mfs_unlink(t, m, NULL, "/e"), ERR_INVALID);
    assert_ok(mfs_symlink(t, m, NULL, "/e/l", BYTES_LIT("../x")));
    assert_ok(mfs_stat(t, m, NULL, "/e/l", &st));
    assert_true(st.type == UNIXFS_SYMLINK && st.size == 4);
    assert_int_equal(mfs_rmdir(t, m, NULL, "/e/l"), ERR_INVALID);
    assert_ok(mfs_unlink(t, m, NULL, "/e/l"));
    assert_ok(mfs_rmdir(t, m, NULL, "/e"));
    assert_false(mfs_is_durable(m));
    assert_ok(mfs_sync(t, m));
    assert_true(mfs_is_durable(m));
    repo_close(t, r);
    return OK;
}

static void test_names(void **state)
{
    assert_ok(test_run(names, NULL));
}

static void check_meta(task_t *t, mfs_t *m, mfs_file_t *f, const char *path, uint32_t mode, int64_t seconds)
{
    mfs_stat_t st[2];
    assert_ok(mfs_file_stat(t, f, &st[0]));
    assert_ok(mfs_stat(t, m, NULL, path, &st[1]));
    for (int i = 0; i < 2; i++) {
        assert_true(st[i].has_mode && st[i].has_mtime);
        assert_int_equal(st[i].mode, mode);
        assert_int_equal(st[i].mtime.seconds, seconds);
    }
}

/* Mode and time, changed while a program has not yet flushed what it wrote. */
static err_t meta_while_written(task_t *t, void *arg)
{
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    mfs_stat_t st;
    unixfs_t meta = {.has_mode = true, .mode = 0711};
    mfs_file_t *f = open_file(t, m, "/f", true);
    assert_ok(mfs_file_write(t, f, 0, false, BYTES_LIT("one")));
    assert_ok(mfs_set_mode(t, m, NULL, "/f", 0640));
    assert_ok(mfs_file_write(t, f, 0, true, BYTES_LIT("two")));
    assert_ok(mfs_set_mtime(t, m, NULL, "/f", (unixfs_time_t){.seconds = 77}));
    check_meta(t, m, f, "/f", 0640, 77);
    check_content(t, f, (const uint8_t *)"onetwo", 6);
    assert_ok(mfs_file_write(t, f, 0, true, BYTES_LIT("!"))); /* its time is that of the write again */
    assert_ok(mfs_set_meta(t, m, NULL, "/f", &meta));         /* without what was written */
    assert_ok(mfs_file_stat(t, f, &st));
    assert_true(st.mode == 0711 && st.size == 7);
    assert_ok(mfs_file_flush(t, f, true));
    assert_ok(mfs_file_stat(t, f, &st));
    assert_true(st.mode == 0711 && st.mtime.seconds != 77);
    assert_ok(mfs_file_write(t, f, 0, true, BYTES_LIT("!")));
    meta = (unixfs_t){.has_mtime = true, .mtime = {.seconds = 78}};
    assert_ok(mfs_set_meta(t, m, NULL, "/f", &meta));
    check_meta(t, m, f, "/f", 0711, 78);
    mfs_file_close(t, f);
    repo_close(t, r);
    r = open_repo(t);
    f = open_file(t, repo_mfs(r), "/f", false);
    check_meta(t, repo_mfs(r), f, "/f", 0711, 78);
    check_content(t, f, (const uint8_t *)"onetwo!!", 8);
    mfs_file_close(t, f);
    repo_close(t, r);
    return OK;
}

static void test_meta_while_written(void **state)
{
    assert_ok(test_run(meta_while_written, NULL));
}

/* More files at once than may have buffers; `files write` waits for one that is being written, no longer. */
static err_t many(task_t *t, void *arg)
{
    enum { FILES = 3 * MFS_EDITING_MAX };
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    mfs_file_t *files[FILES];
    char path[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "/f%d", i);
        files[i] = open_file(t, m, path, true);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < FILES; i++) {
            assert_ok(mfs_file_write(t, files[i], 0, true, bytes_str("round ")));
            assert_true(m->n_editing <= MFS_EDITING_MAX);
        }
    for (int i = 0; i < FILES; i++) {
        check_content(t, files[i], (const uint8_t *)"round round round ", 18);
        mfs_file_close(t, files[i]);
    }
    assert_int_equal(m->n_editing, 0);
    bytes_t other = BYTES_LIT("other");
    assert_ok(mfs_write(t, m, NULL, "/f0", source_of_bytes(&other), (mfs_write_options_t){.raw_leaves = -1}));
    files[0] = open_file(t, m, "/f0", false);
    check_content(t, files[0], (const uint8_t *)"other round round ", 18);
    mfs_file_close(t, files[0]);
    repo_close(t, r);
    return OK;
}

static void test_many(void **state)
{
    assert_ok(test_run(many, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_meta_while_written),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
