#include "sim/sim.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static err_t put(task_t *t, const char *path, const char *text, bool is_synced)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, 0600, &f));
    bytes_t pieces[] = {bytes_slice(bytes_str(text), 0, 2), bytes_slice(bytes_str(text), 2, SIZE_MAX)};
    TRY(file_write_at(t, f, pieces, 2, 0));
    return is_synced ? file_sync(t, f) : OK;
}

static void expect_content(task_t *t, const char *path, const char *text)
{
    AUTO(buf_t) b;
    buf_init(&b, 1 << 20);
    assert_ok(fs_read_file(t, path, 1 << 20, &b));
    assert_bytes(buf_bytes(&b), bytes_str(text));
}

static bool exists(task_t *t, const char *path)
{
    file_info_t info;
    return !fs_stat(t, path, false, &info);
}

/* ── as any file system ── */
static err_t files_and_folders(task_t *t, void *arg)
{
    file_info_t info;
    file_t *f;
    assert_err(file_open(t, "/a/b", FILE_WRITE | FILE_CREATE, 0600, &f), ERR_NOT_FOUND);
    assert_ok(fs_mkdirs(t, "/a//b/c", 0755));
    assert_ok(fs_mkdirs(t, "/a/b/c/", 0755));
    assert_err(fs_mkdir(t, "/a/b", 0755), ERR_EXISTS);
    assert_ok(put(t, "/a/b/file", "content", true));
    expect_content(t, "/a/../a/./b/file", "content");
    assert_err(fs_mkdirs(t, "/a/b/file/x", 0755), ERR_EXISTS);
    assert_err(fs_stat(t, "/a/b/file/x", true, &info), ERR_NOT_FOUND);
    assert_ok(fs_stat(t, "/a/b/file", true, &info));
    assert_int_equal(info.kind, FILE_KIND_REGULAR);
    assert_int_equal(info.size_bytes, 7);
    assert_int_equal(info.disk_bytes, 4096);
    assert_int_equal(info.mode, 0600);
    assert_true(info.mtime_s > 1700000000);
    assert_err(file_open(t, "/a/b/file", FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, 0600, &f), ERR_EXISTS);
    assert_err(file_open(t, "/a/b", FILE_READ, 0600, &f), ERR_INVALID);

    assert_ok(fs_symlink(t, "b/file", "/a/link"));
    assert_ok(fs_symlink(t, "/a", "/round"));
    expect_content(t, "/round/link", "content");
    assert_err(file_open(t, "/a/link", FILE_READ | FILE_NO_FOLLOW, 0, &f), ERR_INVALID);
    assert_ok(fs_stat(t, "/a/link", false, &info));
    assert_int_equal(info.kind, FILE_KIND_SYMLINK);
    AUTO(buf_t) target;
    buf_init(&target, 100);
    assert_ok(fs_readlink(t, "/a/link", &target));
    assert_bytes(buf_bytes(&target), BYTES_LIT("b/file"));
    assert_err(fs_readlink(t, "/a/b/file", &target), ERR_INVALID);
    assert_ok(fs_symlink(t, "self", "/self"));
    assert_err(fs_stat(t, "/self", true, &info), ERR_INVALID);

    AUTO(dir_list_t) list = {0};
    assert_ok(put(t, "/a/b/Z", "zz", false));
    assert_ok(fs_list(t, "/a/b", &list));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.names[0], "Z");
    assert_string_equal(list.names[1], "c");
    assert_string_equal(list.names[2], "file");
    assert_err(fs_list(t, "/a/b/file", &list), ERR_NOT_FOUND);

    assert_err(fs_rmdir(t, "/a/b"), ERR_EXISTS);
    assert_err(fs_rmdir(t, "/a/b/file"), ERR_INVALID);
    assert_err(fs_unlink(t, "/a/b/c"), ERR_INVALID);
    assert_err(fs_rename(t, "/a", "/a/b/c/a"), ERR_INVALID);
    assert_err(fs_rename(t, "/a/b/file", "/a/b/c"), ERR_INVALID);
    assert_err(fs_rename(t, "/nothing", "/a/b/c"), ERR_NOT_FOUND);
    assert_ok(fs_rename(t, "/a/b/file", "/a/b/Z"));
    expect_content(t, "/a/b/Z", "content");
    assert_false(exists(t, "/a/b/file"));
    assert_ok(fs_rename(t, "/a/b", "/moved"));
    expect_content(t, "/moved/../moved/Z", "content");
    assert_ok(fs_rmdir(t, "/moved/c"));
    assert_ok(fs_write_file(t, "/moved/whole", 0600, BYTES_LIT("1")));
    assert_ok(fs_write_file(t, "/moved/whole", 0600, BYTES_LIT("22")));
    expect_content(t, "/moved/whole", "22");
    assert_err(fs_read_file(t, "/moved/whole", 1, &target), ERR_LIMIT);
    assert_ok(fs_mkdirs(t, "/moved/d/e/f/g", 0755));
    assert_ok(put(t, "/moved/d/e/x", "xx", false));
    assert_ok(fs_symlink(t, "/a", "/moved/d/e/link"));
    assert_ok(fs_remove_tree(t, "/moved"));
    assert_false(exists(t, "/moved"));
    assert_true(exists(t, "/a"));
    assert_ok(fs_remove_tree(t, "/self"));
    assert_err(fs_remove_tree(t, "/moved"), ERR_NOT_FOUND);
    return OK;
}

static void test_files_and_folders(void **state)
{
    assert_ok(test_run(files_and_folders, NULL));
}

static err_t contents(task_t *t, void *arg)
{
    file_t *f;
    uint64_t size;
    size_t n;
    static uint8_t data[20000], back[20000];
    memset(data, 7, sizeof data);
    assert_ok(file_open(t, "/f", FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &f));
    bytes_t all = bytes_of(data, sizeof data);
    assert_ok(file_write_at(t, f, &all, 1, 5000)); /* a hole before */
    assert_ok(file_size(t, f, &size));
    assert_int_equal(size, 25000);
    assert_ok(file_read_exact(t, f, back, sizeof back, 4990));
    assert_int_equal(back[9], 0);
    assert_int_equal(back[10], 7);
    assert_err(file_read_exact(t, f, back, sizeof back, 6000), ERR_EOF);
    assert_ok(file_read_at(t, f, back, sizeof back, 24990, &n));
    assert_int_equal(n, 10);
    assert_ok(file_read_at(t, f, back, sizeof back, 25000, &n));
    assert_int_equal(n, 0);
    int misses = 0;
    for (int i = 0; i < 100; i++) {
        err_t e = file_try_read_at(f, back, 10, 5000, &n);
        misses += e == ERR_AGAIN;
        assert_true(e == ERR_AGAIN || (!e && n == 10 && back[0] == 7));
    }
    assert_in_range(misses, 5, 60);
    assert_ok(file_punch(t, f, 8000, 9000));
    assert_ok(file_read_exact(t, f, back, 9002, 7999));
    assert_int_equal(back[0], 7);
    for (int i = 1; i <= 9000; i++)
        assert_int_equal(back[i], 0);
    assert_int_equal(back[9001], 7);
    assert_ok(file_truncate(t, f, 5001));
    assert_ok(file_truncate(t, f, 5003));
    assert_ok(file_read_exact(t, f, back, 3, 5000));
    assert_memory_equal(back, "\x07\0\0", 3); /* what was cut off does not come back */
    file_t *again;
    assert_ok(file_try_lock(f));
    assert_ok(file_open(t, "/f", FILE_READ, 0, &again));
    assert_err(file_try_lock(again), ERR_IN_USE);
    assert_err(file_write_at(t, again, &all, 1, 0), ERR_DENIED);
    assert_err(file_truncate(t, again, 0), ERR_DENIED);
    assert_ok(fs_unlink(t, "/f"));
    assert_ok(file_read_exact(t, again, back, 3, 5000)); /* still open */
    file_close(f);
    assert_ok(file_try_lock(again));
    file_close(again);
    assert_ok(file_open(t, "/g", FILE_WRITE | FILE_CREATE, 0600, &f));
    assert_err(file_read_at(t, f, back, 1, 0, &n), ERR_DENIED);
    file_close(f);
    return OK;
}

static void test_contents(void **state)
{
    assert_ok(test_run(contents, NULL));
}

/* ── power losses ── */
static err_t write_various(task_t *t, void *arg)
{
    sim_host_t *h = sim_host_of(t);
    assert_ok(fs_mkdirs(t, "/d", 0755));
    assert_ok(fs_sync_dir(t, "/"));
    assert_ok(put(t, "/d/durable", "durable", true));
    assert_ok(fs_sync_dir(t, "/d"));
    assert_ok(put(t, "/d/unnamed", "unnamed", true)); /* synced, but its name is not */
    assert_ok(put(t, "/d/first", "first", true));
    assert_ok(fs_rename(t, "/d/first", "/d/second"));
    file_t *f;
    static uint8_t ones[40960], twos[40960];
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    assert_ok(file_open(t, "/d/pages", FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &f));
    bytes_t b = bytes_of(ones, 20480);
    assert_ok(file_write_at(t, f, &b, 1, 0));
    assert_ok(file_sync(t, f));
    b = bytes_of(twos, sizeof twos);
    assert_ok(file_write_at(t, f, &b, 1, 0));
    sim_crash(h, SIM_POWER_LOSS);
    assert_err(file_sync(t, f), ERR_CLOSED);
    file_close(f);
    return OK;
}

typedef struct survivors {
    bool has_unnamed, has_first, has_second, has_neither, has_pages;
    int ones, twos, zeros, torn;
    uint64_t size;
} survivors_t;

static err_t look(task_t *t, void *arg)
{
    survivors_t *s = arg;
    expect_content(t, "/d/durable", "durable");
    s->has_unnamed = exists(t, "/d/unnamed");
    s->has_first = exists(t, "/d/first");
    s->has_second = exists(t, "/d/second");
    if (s->has_second)
        expect_content(t, "/d/second", "first"); /* a rename brings the content along */
    s->has_pages = exists(t, "/d/pages");
    if (!s->has_pages)
        return OK;
    file_t *f;
    uint8_t page[4096];
    assert_ok(file_open(t, "/d/pages", FILE_READ, 0, &f));
    assert_ok(file_size(t, f, &s->size));
    for (uint64_t at = 0; at + 4096 <= s->size; at += 4096) {
        assert_ok(file_read_exact(t, f, page, sizeof page, at));
        bool is_torn = false;
        for (size_t i = 512; i < 4096; i += 512) {
            assert_int_equal(page[i], page[i + 511]); /* sectors are whole */
            is_torn |= page[i] != page[0];
        }
        s->torn += is_torn;
        s->ones += !is_torn && page[0] == 1;
        s->twos += !is_torn && page[0] == 2;
        s->zeros += !is_torn && page[0] == 0;
        assert_true(at >= 20480 || page[0]); /* what was synced is old or new, never lost */
    }
    file_close(f);
    return OK;
}

static void test_power_loss(void **state)
{
    survivors_t sum = {0};
    int firsts = 0, seconds = 0, neither = 0, unnamed = 0, sizes[3] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sim_t *s = sim_new(seed);
        sim_host_t *h = sim_add_host(s, "10.0.0.1");
        assert_ok(sim_run(s, write_various, NULL));
        sim_restart(h);
        survivors_t one = {0};
        assert_ok(sim_run(s, look, &one));
        assert_false(one.has_first && one.has_second);
        assert_true(one.has_unnamed || (!one.has_first && !one.has_second)); /* in order */
        firsts += one.has_first;
        seconds += one.has_second;
        neither += !one.has_first && !one.has_second;
        unnamed += one.has_unnamed;
        sizes[one.size == 20480 ? 0 : one.size == 40960 ? 1 : 2] += one.has_pages;
        sum.ones += one.ones;
        sum.twos += one.twos;
        sum.torn += one.torn;
        sum.zeros += one.zeros;
        sim_free(s);
    }
    assert_true(firsts && seconds && neither && unnamed > neither / 4);
    assert_true(sizes[0] && sizes[1] && sizes[2]);
    assert_true(sum.ones && sum.twos && sum.torn && sum.zeros);
}

static err_t write_then_die(task_t *t, void *arg)
{
    assert_ok(put(t, "/tmp/f", "unsynced", false));
    sim_crash(sim_host_of(t), SIM_KILL);
    return OK;
}

static err_t still_there(task_t *t, void *arg)
{
    expect_content(t, "/tmp/f", "unsynced");
    return OK;
}

static void test_kill_keeps_the_page_cache(void **state)
{
    sim_t *s = sim_new(1);
    sim_host_t *h = sim_add_host(s, "10.0.0.1");
    assert_ok(sim_run(s, write_then_die, NULL));
    sim_restart(h);
    assert_ok(sim_run(s, still_there, NULL));
    sim_free(s);
}

/* An atomic write is old or new after each possible point of a power loss. */
static err_t rewrite(task_t *t, void *arg)
{
    TRY(fs_write_file(t, "/tmp/config", 0600, BYTES_LIT("version 2")));
    *(bool *)arg = true;
    return OK;
}

static err_t first_version(task_t *t, void *arg)
{
    return fs_write_file(t, "/tmp/config", 0600, BYTES_LIT("version 1"));
}

static err_t read_version(task_t *t, void *arg)
{
    AUTO(buf_t) b;
    buf_init(&b, 100);
    assert_ok(fs_read_file(t, "/tmp/config", 100, &b));
    assert_int_equal(b.len, 9);
    *(char *)arg = (char)b.data[8];
    return OK;
}

static err_t crash_later(task_t *t, void *arg)
{
    sim_host_t *victim = arg;
    TRY(task_sleep(t, driver_random_u64(task_driver(t)) % 4));
    sim_crash(victim, SIM_POWER_LOSS);
    return sim_host_join_dead(t, victim);
}

typedef struct atomic_case {
    sim_host_t *victim;
    bool is_done;
} atomic_case_t;

static err_t atomic_main(task_t *t, void *arg)
{
    atomic_case_t *c = arg;
    assert_ok(sim_host_start(c->victim, "first", first_version, NULL));
    assert_ok(task_sleep(t, 100));
    assert_ok(sim_host_start(c->victim, "rewrite", rewrite, &c->is_done));
    return crash_later(t, c->victim);
}

static void test_atomic_write(void **state)
{
    int old = 0, new = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        sim_t *s = sim_new(seed);
        sim_add_host(s, "10.0.0.1");
        atomic_case_t c = {.victim = sim_add_host(s, "10.0.0.2")};
        assert_ok(sim_run(s, atomic_main, &c));
        sim_restart(c.victim);
        char version = 0;
        assert_ok(sim_host_start(c.victim, "read", read_version, &version));
        assert_ok(sim_run(s, first_version, NULL));
        assert_true(version == '1' || version == '2');
        assert_true(version == '2' || !c.is_done); /* what was acknowledged stays */
        old += version == '1';
        new += version == '2';
        sim_free(s);
    }
    assert_true(old && new);
}

/* ── faults ── */
static err_t full_disk(task_t *t, void *arg)
{
    sim_host_t *h = sim_host_of(t);
    uint64_t room;
    sim_disk_set_capacity(h, 16384);
    assert_ok(fs_free_bytes(t, "/", &room));
    assert_int_equal(room, 16384);
    static uint8_t data[16384];
    assert_ok(fs_write_file(t, "/three", 0600, bytes_of(data, 12288)));
    assert_int_equal(sim_disk_used_bytes(h), 12288);
    assert_err(fs_write_file(t, "/two", 0600, bytes_of(data, 8192)), ERR_NO_SPACE);
    assert_false(exists(t, "/two"));
    AUTO(dir_list_t) list = {0};
    assert_ok(fs_list(t, "/", &list));
    assert_int_equal(list.count, 2); /* the temporary file is gone too */
    assert_ok(fs_sync_dir(t, "/"));
    assert_ok(fs_write_file(t, "/one", 0600, bytes_of(data, 4096)));
    assert_ok(fs_free_bytes(t, "/", &room));
    assert_int_equal(room, 0);
    assert_ok(fs_write_file(t, "/tmp/empty", 0600, BYTES_NONE));
    assert_ok(fs_unlink(t, "/three"));
    assert_ok(fs_sync_dir(t, "/"));
    assert_int_equal(sim_disk_used_bytes(h), 4096);
    return OK;
}

static void test_full_disk(void **state)
{
    assert_ok(test_run(full_disk, NULL));
}

static err_t every_write_fails_once(task_t *t, void *arg)
{
    sim_host_t *h = sim_host_of(t);
    uint64_t n = 1;
    for (;; n++) {
        assert_ok(fs_write_file(t, "/tmp/f", 0600, BYTES_LIT("old")));
        sim_disk_fail_nth(h, n, ERR_IO, false);
        err_t e = fs_write_file(t, "/tmp/f", 0600, BYTES_LIT("new"));
        sim_disk_fail_nth(h, 0, OK, false);
        if (!e)
            break;
        assert_err(e, ERR_IO);
        AUTO(buf_t) b;
        buf_init(&b, 100);
        assert_ok(fs_read_file(t, "/tmp/f", 100, &b));
        assert_true(bytes_equal(buf_bytes(&b), BYTES_LIT("old")) ||
                    bytes_equal(buf_bytes(&b), BYTES_LIT("new")));
        AUTO(dir_list_t) list = {0};
        assert_ok(fs_list(t, "/tmp", &list));
        assert_int_equal(list.count, 1);
    }
    assert_int_equal(n, 6); /* create, write, sync, rename, sync of the folder */
    uint64_t before = sim_disk_changes(h);
    sim_disk_fail_nth(h, 2, ERR_NO_SPACE, true);
    assert_ok(fs_mkdir(t, "/x", 0700));
    assert_err(fs_mkdir(t, "/y", 0700), ERR_NO_SPACE);
    assert_err(fs_rmdir(t, "/x"), ERR_NO_SPACE);
    assert_int_equal(sim_disk_changes(h) - before, 3);
    return OK;
}

static void test_nth_write_fails(void **state)
{
    assert_ok(test_run(every_write_fails_once, NULL));
}

static err_t bad_sectors(task_t *t, void *arg)
{
    sim_host_t *h = sim_host_of(t);
    AUTO(buf_t) b;
    buf_init(&b, 100);
    assert_ok(fs_write_file(t, "/f", 0600, BYTES_LIT("content")));
    sim_disk_set_unreadable(h, "/f", ERR_IO);
    assert_err(fs_read_file(t, "/f", 100, &b), ERR_IO);
    sim_disk_set_unreadable(h, "/f", OK);
    assert_ok(fs_read_file(t, "/f", 100, &b));
    sim_disk_corrupt(h, "/f", 1, 2);
    assert_ok(fs_read_file(t, "/f", 100, &b));
    assert_int_equal(b.data[0], 'c');
    assert_int_equal(b.data[1], (uint8_t) ~'o');
    assert_int_equal(b.data[3], 't');
    return OK;
}

static void test_bad_sectors(void **state)
{
    assert_ok(test_run(bad_sectors, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_and_folders), cmocka_unit_test(test_contents),
        cmocka_unit_test(test_power_loss),        cmocka_unit_test(test_kill_keeps_the_page_cache),
        cmocka_unit_test(test_atomic_write),      cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_nth_write_fails),   cmocka_unit_test(test_bad_sectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
