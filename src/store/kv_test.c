/* kv over all its implementations, and SQLite under a file system that fails. */
#include "base/checksum.h"
#include "store/kv_impl.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

typedef err_t (*open_fn)(task_t *t, const char *path, kv_t **ret);
typedef struct subject {
    open_fn open; /* NULL: memory */
    const char *path;
    bool is_durable;
} subject_t;

static kv_t *open_it(task_t *t, const subject_t *s)
{
    kv_t *kv;
    if (!s->open)
        return kv_memory_new();
    assert_ok(s->open(t, s->path, &kv));
    return kv;
}

static void expect(task_t *t, kv_t *kv, const char *space, const char *key, const char *value)
{
    AUTO(buf_t) out;
    buf_init(&out, 1000);
    if (!value) {
        assert_err(kv_get(t, kv, space, bytes_str(key), &out), ERR_NOT_FOUND);
        assert_false(kv_has(t, kv, space, bytes_str(key)));
        return;
    }
    assert_ok(kv_get(t, kv, space, bytes_str(key), &out));
    assert_bytes(buf_bytes(&out), bytes_str(value));
    assert_true(kv_has(t, kv, space, bytes_str(key)));
}

static err_t join_key(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    TRY(buf_append(arg, key));
    TRY(buf_append_u8(arg, ' '));
    return bytes_equal(value, BYTES_LIT("stop")) ? ERR_REFUSED : OK;
}

static void expect_scan(task_t *t, kv_t *kv, const char *space, kv_range_t range, const char *want)
{
    AUTO(buf_t) out;
    buf_init(&out, 100000);
    assert_ok(kv_scan(t, kv, space, &range, join_key, &out));
    assert_bytes(buf_bytes(&out), bytes_str(want));
}

static void check_batches(task_t *t, kv_t *kv)
{
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    assert_ok(kv_commit(t, kv, &b));
    assert_ok(kv_batch_put(&b, "one", BYTES_LIT("a"), BYTES_LIT("1")));
    assert_ok(kv_batch_put(&b, "two", BYTES_LIT("a"), BYTES_LIT("2")));
    assert_ok(kv_batch_put(&b, "one", BYTES_LIT("b"), BYTES_LIT("")));
    assert_ok(kv_batch_put(&b, "one", BYTES_LIT(""), BYTES_LIT("empty key")));
    assert_ok(kv_batch_delete(&b, "one", BYTES_LIT("none")));
    assert_ok(kv_batch_delete(&b, "nowhere", BYTES_LIT("none")));
    assert_ok(kv_batch_put(&b, "one", BYTES_LIT("c"), BYTES_LIT("3")));
    assert_ok(kv_batch_delete(&b, "one", BYTES_LIT("c")));
    assert_int_equal(b.count, 8);
    assert_ok(kv_commit(t, kv, &b));
    assert_int_equal(b.count, 0);
    expect(t, kv, "one", "a", "1");
    expect(t, kv, "two", "a", "2");
    expect(t, kv, "one", "b", "");
    expect(t, kv, "one", "", "empty key");
    expect(t, kv, "one", "c", NULL);
    expect(t, kv, "nowhere", "a", NULL);
    assert_ok(kv_put(t, kv, "one", BYTES_LIT("a"), BYTES_LIT("changed")));
    expect(t, kv, "one", "a", "changed");
    AUTO(buf_t) small;
    buf_init(&small, 3);
    assert_err(kv_get(t, kv, "one", BYTES_LIT("a"), &small), ERR_LIMIT);
    assert_ok(kv_delete(t, kv, "one", BYTES_LIT("a")));
    assert_ok(kv_delete(t, kv, "one", BYTES_LIT("a")));
    expect(t, kv, "one", "a", NULL);
    assert_ok(kv_batch_put(&b, "one", BYTES_LIT("dropped"), BYTES_LIT("")));
    kv_batch_clear(&b);
    assert_ok(kv_commit(t, kv, &b));
    expect(t, kv, "one", "dropped", NULL);
}

static void check_limits(task_t *t, kv_t *kv)
{
    static uint8_t large[KV_VALUE_MAX_BYTES + 1];
    static const char *const bad[] = {"",  "Upper", "1st",    "a b",
                                      "ä", "a_b",   "a;drop", "abcdefghijklmnopqrstuvwxyz0123456"};
    AUTO(kv_batch_t) b;
    AUTO(buf_t) out;
    uint64_t count;
    kv_batch_init(&b);
    buf_init(&out, KV_VALUE_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_err(kv_batch_put(&b, bad[i], BYTES_LIT("k"), BYTES_NONE), ERR_INVALID);
        assert_err(kv_get(t, kv, bad[i], BYTES_LIT("k"), &out), ERR_INVALID);
        assert_err(kv_scan(t, kv, bad[i], NULL, join_key, &out), ERR_INVALID);
        assert_err(kv_count(t, kv, bad[i], BYTES_NONE, &count), ERR_INVALID);
    }
    assert_err(kv_put(t, kv, "s", bytes_of(large, KV_KEY_MAX_BYTES + 1), BYTES_NONE), ERR_LIMIT);
    assert_err(kv_put(t, kv, "s", BYTES_LIT("k"), bytes_of(large, KV_VALUE_MAX_BYTES + 1)), ERR_LIMIT);
    memset(large, 0xff, sizeof large);
    assert_ok(
        kv_put(t, kv, "limits", bytes_of(large, KV_KEY_MAX_BYTES), bytes_of(large, KV_VALUE_MAX_BYTES)));
    assert_ok(kv_get(t, kv, "limits", bytes_of(large, KV_KEY_MAX_BYTES), &out));
    assert_int_equal(out.len, KV_VALUE_MAX_BYTES);
    expect_scan(
        t, kv, "limits",
        (kv_range_t){
            .prefix = BYTES_LIT("\xff"), .limit = 0, .from = BYTES_LIT("\xff\xff"), .is_reverse = true},
        "");
    err_t e = OK;
    size_t n = 0;
    for (; !e && n < 1000; n++)
        e = kv_batch_put(&b, "s", BYTES_LIT("k"), bytes_of(large, KV_VALUE_MAX_BYTES));
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal(b.count, n - 1);
}

static void check_scans(task_t *t, kv_t *kv)
{
    static const char *const keys[] = {"a", "aa", "ab", "b", "ba\xff", "bb", "c"};
    uint64_t count;
    AUTO(buf_t) out;
    buf_init(&out, 1000);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_ok(kv_put(t, kv, "scan", bytes_str(keys[i]), bytes_str(i == 3 ? "stop" : "v")));
    assert_err(kv_scan(t, kv, "scan", NULL, join_key, &out), ERR_REFUSED);
    assert_bytes(buf_bytes(&out), BYTES_LIT("a aa ab b "));
    assert_ok(kv_put(t, kv, "scan", BYTES_LIT("b"), BYTES_LIT("v")));
    expect_scan(t, kv, "scan", (kv_range_t){0}, "a aa ab b ba\xff bb c ");
    expect_scan(t, kv, "scan", (kv_range_t){.is_reverse = true}, "c bb ba\xff b ab aa a ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("a")}, "a aa ab ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("a"), .is_reverse = true}, "ab aa a ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("ba\xff")}, "ba\xff ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("d")}, "");
    expect_scan(t, kv, "scan", (kv_range_t){.from = BYTES_LIT("ab")}, "ab b ba\xff bb c ");
    expect_scan(t, kv, "scan", (kv_range_t){.from = BYTES_LIT("ab"), .after_from = true}, "b ba\xff bb c ");
    expect_scan(t, kv, "scan", (kv_range_t){.from = BYTES_LIT("ac"), .after_from = true, .limit = 2},
                "b ba\xff ");
    expect_scan(t, kv, "scan", (kv_range_t){.from = BYTES_LIT("b"), .is_reverse = true}, "b ab aa a ");
    expect_scan(t, kv, "scan", (kv_range_t){.from = BYTES_LIT("b"), .is_reverse = true, .after_from = true},
                "ab aa a ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("b"), .from = BYTES_LIT("a")},
                "b ba\xff bb ");
    expect_scan(t, kv, "scan", (kv_range_t){.prefix = BYTES_LIT("b"), .from = BYTES_LIT("ba")}, "ba\xff bb ");
    expect_scan(t, kv, "scan",
                (kv_range_t){.prefix = BYTES_LIT("b"), .from = BYTES_LIT("z"), .is_reverse = true},
                "bb ba\xff b ");
    expect_scan(t, kv, "none", (kv_range_t){0}, "");
    assert_ok(kv_count(t, kv, "scan", BYTES_NONE, &count));
    assert_int_equal(count, 7);
    assert_ok(kv_count(t, kv, "scan", BYTES_LIT("b"), &count));
    assert_int_equal(count, 3);
    assert_ok(kv_count(t, kv, "none", BYTES_NONE, &count));
    assert_int_equal(count, 0);
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    assert_ok(kv_batch_delete_prefix(&b, "scan", BYTES_LIT("b")));
    assert_ok(kv_batch_delete_prefix(&b, "none", BYTES_LIT("b")));
    assert_ok(kv_commit(t, kv, &b));
    expect_scan(t, kv, "scan", (kv_range_t){0}, "a aa ab c ");
    assert_ok(kv_batch_delete_prefix(&b, "scan", BYTES_NONE));
    assert_ok(kv_commit(t, kv, &b));
    expect_scan(t, kv, "scan", (kv_range_t){0}, "");
}

typedef struct paging {
    kv_t *kv;
    uint32_t next;
    bool is_reverse;
} paging_t;

/* Commits and reads from inside a scan. */
static err_t visit_numbered(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    paging_t *p = arg;
    uint32_t number = (uint32_t)key.data[0] << 8 | key.data[1];
    if (number != p->next)
        return fail(ERR_INVALID, "%u came, not %u", number, p->next);
    p->next += p->is_reverse ? -1u : 1u;
    if (number % 500 == 0)
        TRY(kv_put(t, p->kv, "log", key, BYTES_LIT("x")));
    return OK;
}

/* More rows than a page holds, and rows larger than a page. */
static void check_pages(task_t *t, kv_t *kv)
{
    AUTO(kv_batch_t) b;
    uint64_t count;
    kv_batch_init(&b);
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t key[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        assert_ok(kv_batch_put(&b, "many", bytes_of(key, 2), BYTES_LIT("value")));
    }
    assert_ok(kv_commit(t, kv, &b));
    paging_t p = {.kv = kv};
    assert_ok(kv_scan(t, kv, "many", NULL, visit_numbered, &p));
    assert_int_equal(p.next, 2000);
    p = (paging_t){.kv = kv, .next = 1999, .is_reverse = true};
    assert_ok(kv_scan(t, kv, "many", &(kv_range_t){.is_reverse = true, .limit = 1500}, visit_numbered, &p));
    assert_int_equal(p.next, 499);
    assert_ok(kv_count(t, kv, "log", BYTES_NONE, &count));
    assert_int_equal(count, 4);
    static uint8_t large[KV_VALUE_MAX_BYTES];
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t key[2] = {0, (uint8_t)i};
        assert_ok(kv_put(t, kv, "large", bytes_of(key, 2), bytes_of(large, sizeof large)));
    }
    p = (paging_t){.kv = kv, .next = 0};
    assert_ok(kv_scan(t, kv, "large", NULL, visit_numbered, &p));
    assert_int_equal(p.next, 20);
}

typedef struct committer {
    kv_t *kv;
    int id;
} committer_t;

static err_t commit_some(task_t *t, void *arg)
{
    committer_t *c = arg;
    for (int i = 0; i < 20; i++) {
        char key[20];
        snprintf(key, sizeof key, "%d-%d", c->id, i);
        TRY(kv_put(t, c->kv, "shared", bytes_str(key), BYTES_LIT("v")));
        if (!kv_has(t, c->kv, "shared", bytes_str(key)))
            return fail(ERR_INVALID, "%s is not there after its commit", key);
    }
    return OK;
}

static void check_groups(task_t *t, kv_t *kv)
{
    committer_t c[8];
    uint64_t count;
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 0; i < 8; i++) {
        c[i] = (committer_t){kv, i};
        assert_ok(group_spawn(&g, "committer", commit_some, &c[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_ok(kv_count(t, kv, "shared", BYTES_NONE, &count));
    assert_int_equal(count, 160);
}

static err_t run_subject(task_t *t, void *arg)
{
    const subject_t *s = arg;
    kv_t *kv = open_it(t, s);
    check_batches(t, kv);
    check_limits(t, kv);
    check_scans(t, kv);
    check_pages(t, kv);
    check_groups(t, kv);
    kv_close(t, kv);
    if (s->is_durable) {
        kv = open_it(t, s);
        expect(t, kv, "two", "a", "2");
        expect(t, kv, "one", "a", NULL);
        check_batches(t, kv);
        kv_close(t, kv);
    }
    kv_close(t, NULL);
    return OK;
}

static void test_memory(void **state)
{
    assert_ok(test_run(run_subject, &(subject_t){0}));
}

static void test_journal(void **state)
{
    assert_ok(test_run(run_subject, &(subject_t){kv_open, "/tmp/state.db", true}));
}

/* ── SQLite on the real disk ─────────────────────────────────────────────────────────────────── */
static char folder[] = "/tmp/distribute-kv-XXXXXX";
static char db_path[64];

/* The file is made through the driver, which is the simulator's here: so it is made beforehand. */
static err_t open_sqlite(task_t *t, const char *path, kv_t **ret)
{
    TRY(fs_mkdirs(t, folder, 0700));
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    fclose(f);
    return kv_sqlite_open(t, path, ret);
}

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/distribute-kv-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(db_path, sizeof db_path, "%s/state.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char path[100];
        snprintf(path, sizeof path, "%s%s", db_path, suffixes[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void test_sqlite(void **state)
{
    assert_ok(test_run(run_subject, &(subject_t){open_sqlite, db_path, true}));
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static err_t sqlite_refusals(task_t *t, void *arg)
{
    kv_t *kv;
    assert_ok(open_sqlite(t, db_path, &kv));
    kv_close(t, kv);
    run_sql("PRAGMA user_version = 2");
    assert_err(open_sqlite(t, db_path, &kv), ERR_UNSUPPORTED);
    run_sql("PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert_err(open_sqlite(t, db_path, &kv), ERR_CORRUPT);
    FILE *f = fopen(db_path, "wb");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database", f);
    fclose(f);
    assert_err(open_sqlite(t, db_path, &kv), ERR_CORRUPT);
    assert_err(kv_sqlite_open(t, "/tmp/not/there.db", &kv), ERR_NOT_FOUND);
    return OK;
}

static void test_sqlite_refusals(void **state)
{
    assert_ok(test_run(sqlite_refusals, NULL));
}

/* A VFS in front of the system's, whose n-th write or sync fails, and all after it. */
static struct {
    sqlite3_vfs vfs, *real;
    long countdown; /* 0: nothing fails */
    long changes;
    int error;
} failing;
/* The methods of each kind of file (database, WAL), and the same with our writes. */
static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods ours;
} kinds[4];

static const sqlite3_io_methods *real_of(const sqlite3_file *f)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (f->pMethods == &kinds[i].ours)
            return kinds[i].real;
    abort();
}

static int next_change(void)
{
    failing.changes++;
    return failing.countdown && failing.changes >= failing.countdown ? failing.error : SQLITE_OK;
}

static int failing_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int rc = next_change();
    return rc ? rc : real_of(f)->xWrite(f, data, n, at);
}

static int failing_sync(sqlite3_file *f, int flags)
{
    int rc = next_change() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
    return rc ? rc : real_of(f)->xSync(f, flags);
}

static int failing_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    int rc = failing.real->xOpen(failing.real, name, f, flags, out);
    if (rc || !f->pMethods)
        return rc;
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(kinds) && kinds[i].real && kinds[i].real != f->pMethods)
        i++;
    assert_true(!kinds[i].real || kinds[i].real == f->pMethods);
    if (!kinds[i].real) {
        kinds[i].real = f->pMethods;
        kinds[i].ours = *f->pMethods;
        kinds[i].ours.xWrite = failing_write;
        kinds[i].ours.xSync = failing_sync;
    }
    f->pMethods = &kinds[i].ours;
    return rc;
}

static void failing_install(void)
{
    failing.real = sqlite3_vfs_find(NULL);
    failing.vfs = *failing.real;
    failing.vfs.zName = "failing";
    failing.vfs.pNext = NULL;
    failing.vfs.xOpen = failing_open;
    assert_int_equal(sqlite3_vfs_register(&failing.vfs, 1), SQLITE_OK);
}

/* Commits until one fails; what was acknowledged is there after, a pair is there whole or not at all. */
static err_t sqlite_fails(task_t *t, void *arg)
{
    err_t want = *(err_t *)arg;
    bool did_fail = true;
    size_t failures = 0;
    for (long n = 1; did_fail; n++) {
        kv_t *kv = NULL;
        bool acked[12] = {0};
        failing.countdown = 0;
        assert_ok(open_sqlite(t, db_path, &kv));
        assert_ok(kv_put(t, kv, "base", BYTES_LIT("k"), BYTES_LIT("v")));
        failing.changes = 0;
        failing.countdown = n;
        did_fail = false;
        for (uint8_t i = 0; i < 12; i++) {
            AUTO(kv_batch_t) b;
            kv_batch_init(&b);
            uint8_t left[2] = {'l', i}, right[2] = {'r', i};
            char space[10];
            snprintf(space, sizeof space, "s%d", i / 4);
            assert_ok(kv_batch_put(&b, space, bytes_of(left, 2), BYTES_LIT("v")));
            assert_ok(kv_batch_put(&b, space, bytes_of(right, 2), BYTES_LIT("v")));
            err_t e = kv_commit(t, kv, &b);
            acked[i] = e == OK;
            if (e) {
                assert_true(e == want || e == ERR_IO);
                did_fail = true;
                expect(t, kv, "base", "k", "v"); /* still readable */
            }
        }
        failures += did_fail;
        failing.countdown = 0;
        assert_ok(kv_put(t, kv, "base", BYTES_LIT("again"), BYTES_LIT("v"))); /* usable after */
        kv_close(t, kv);
        assert_ok(open_sqlite(t, db_path, &kv));
        expect(t, kv, "base", "again", "v");
        for (uint8_t i = 0; i < 12; i++) {
            uint8_t left[2] = {'l', i}, right[2] = {'r', i};
            char space[10];
            snprintf(space, sizeof space, "s%d", i / 4);
            bool has = kv_has(t, kv, space, bytes_of(left, 2));
            assert_int_equal(has, kv_has(t, kv, space, bytes_of(right, 2)));
            assert_true(has || !acked[i]);
        }
        kv_close(t, kv);
        remove_folder(NULL);
        mkdir(folder, 0700);
    }
    print_message("%d points of failure\n", (int)failures);
    assert_true(failures > 10);
    return OK;
}

static void test_sqlite_fails(void **state)
{
    failing_install();
    failing.error = SQLITE_FULL;
    assert_ok(test_run(sqlite_fails, &(err_t){ERR_NO_SPACE}));
    failing.error = SQLITE_IOERR_WRITE;
    assert_ok(test_run(sqlite_fails, &(err_t){ERR_IO}));
    sqlite3_vfs_unregister(&failing.vfs);
}

/* Against the published test values of XXH64. */
static void test_checksum(void **state)
{
    uint8_t data[101];
    uint64_t v = 2654435761u;
    for (size_t i = 0; i < sizeof data; i++) { /* the sanity buffer of the reference implementation */
        data[i] = (uint8_t)(v >> 56);
        v *= 11400714785074694797u;
    }
    assert_true(checksum_of(BYTES_NONE, 0) == 0xef46db3751d8e999u);
    assert_true(checksum_of(BYTES_LIT("a"), 0) == 0xd24ec4f1a98c6e5bu);
    assert_true(checksum_of(BYTES_LIT("abc"), 0) == 0x44bc2cf5ad770999u);
    assert_true(checksum_of(BYTES_LIT("Nobody inspects the spammish repetition"), 0) == 0xfbcea83c8a378bf1u);
    assert_true(checksum_of(bytes_of(data, 101), 0) != checksum_of(bytes_of(data, 101), 1));
    assert_true(checksum_of(bytes_of(data, 101), 0) != checksum_of(bytes_of(data, 100), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test_setup_teardown(test_sqlite, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_sqlite_refusals, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_sqlite_fails, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
