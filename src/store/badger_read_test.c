/* A database that Badger has written, with several versions of each record, removed and expired ones, values
 * in tables and in logs, values that its collection has moved, and a log of which nothing is in tables: what
 * is read is what Badger reads. Damaged ones are told of, or give what Badger would make of them. */
#include "store/badger_read.h"
#include "tests/support/records.h"

#define DATABASE "badger/db"
#define NEWEST_LOG FOLDER "/000007.vlog"
enum { DAMAGES = 400 };

typedef struct lost {
    expected_t *x;
    size_t visited, lost, parts;
    char why[512];
} lost_t;

static err_t note_lost(task_t *t, void *arg, bytes_t key, const char *why)
{
    lost_t *l = arg;
    l->lost++;
    l->parts += !key.len;
    snprintf(l->why, sizeof l->why, "%s", why);
    return OK;
}

static err_t note_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    lost_t *l = arg;
    l->visited++;
    return OK;
}

static void compare_all(task_t *t, badger_read_t *p, expected_t *x, bytes_t prefix)
{
    x->at = 0;
    x->prefix = prefix;
    assert_ok(badger_read_each(t, p, prefix, compare_row, NULL, x));
    assert_int_equal(missing_rows(x), 0);
}

static err_t all_task(task_t *t, void *arg)
{
    expected_t *x = arg;
    badger_read_t *p;
    AUTO(buf_t) value = {0};
    copy_database(t, DATABASE, 0);
    assert_ok(badger_read_open(t, FOLDER, &p));
    assert_null(badger_read_damage(p));
    compare_all(t, p, x, BYTES_NONE);
    compare_all(t, p, x, BYTES_LIT("/"));
    compare_all(t, p, x, BYTES_LIT("/blocks/"));
    compare_all(t, p, x, BYTES_LIT("/local/key-01"));
    compare_all(t, p, x, BYTES_LIT("/nothing"));
    buf_init(&value, 64 << 10);
    for (size_t i = 0; i < x->count; i++) {
        assert_ok(badger_read_get(t, p, x->keys[i], &value));
        assert_true(is_value(x, i, buf_bytes(&value)));
    }
    assert_err(badger_read_get(t, p, BYTES_LIT("/expired"), &value), ERR_NOT_FOUND);
    assert_err(badger_read_get(t, p, BYTES_LIT("/pins"), &value), ERR_NOT_FOUND);
    assert_err(badger_read_get(t, p, BYTES_LIT("/zz"), &value), ERR_NOT_FOUND);
    badger_read_close(p);
    return OK;
}

static void with_records(task_fn fn)
{
    expected_t *x = xcalloc(1, sizeof *x);
    load_expected(x, "badger/records.tsv");
    assert_ok(test_run(fn, x));
    buf_deinit(&x->text);
    free(x);
}

static void test_all(void **state)
{
    with_records(all_task);
}

/* ── damage ──────────────────────────────────────────────────────────────────────────────────── */
/* Whether somebody was told. */
static bool read_damaged(task_t *t, lost_t *l)
{
    badger_read_t *p = NULL;
    *l = (lost_t){0};
    err_t e = badger_read_open(t, FOLDER, &p);
    bool is_told = e || badger_read_damage(p);
    if (!e)
        e = badger_read_each(t, p, BYTES_NONE, note_row, note_lost, l);
    assert_true(!e || e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_LIMIT);
    if (e)
        error_slot()->code = OK;
    badger_read_close(p);
    return is_told || e || l->lost;
}

/* A byte of any file: all but those in the newest log's values that were written again later, and in filters,
 * are told of. */
static err_t bytes_task(task_t *t, void *arg)
{
    size_t told = 0;
    for (uint64_t i = 1; i < DAMAGES; i++) {
        lost_t l;
        copy_database(t, DATABASE, i);
        told += read_damaged(t, &l);
        assert_true(l.visited + l.lost <= ROWS_MAX);
    }
    assert_true(told > DAMAGES / 2);
    return OK;
}

static void test_bytes(void **state)
{
    assert_ok(test_run(bytes_task, NULL));
}

static void cut(task_t *t, const char *path, uint64_t len)
{
    file_t *f;
    assert_ok(file_open(t, path, FILE_WRITE, 0, &f));
    assert_ok(file_truncate(t, f, len));
    file_close(f);
}

static uint64_t size_of(task_t *t, const char *path)
{
    file_t *f;
    uint64_t size;
    assert_ok(file_open(t, path, FILE_READ, 0, &f));
    assert_ok(file_size(t, f, &size));
    file_close(f);
    return size;
}

/* The newest log ends anywhere behind what is in tables: no word of it, and the batches before count. */
static err_t torn_task(task_t *t, void *arg)
{
    size_t silent = 0, last = SIZE_MAX;
    copy_database(t, DATABASE, 0);
    uint64_t size = size_of(t, NEWEST_LOG);
    for (uint64_t len = size; len > 0; len -= len < 61 ? len : 61) {
        lost_t l;
        cut(t, NEWEST_LOG, len);
        bool is_told = read_damaged(t, &l);
        silent += !is_told;
        assert_true(is_told || l.visited > 250);
        assert_true(is_told || !l.lost);
        last = is_told && last == SIZE_MAX ? (size_t)len : last;
    }
    assert_true(silent > 20 && last > 0);
    return OK;
}

static void test_torn(void **state)
{
    assert_ok(test_run(torn_task, NULL));
}

/* Every file ends anywhere: told of, but for the manifest between its sets of changes. */
static err_t cut_task(task_t *t, void *arg)
{
    static const char *const names[] = {"MANIFEST", "000006.vlog", "000010.sst", "000011.sst", "000012.sst"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64];
        snprintf(path, sizeof path, FOLDER "/%s", names[i]);
        copy_database(t, DATABASE, 0);
        uint64_t size = size_of(t, path), step = size / 60 + 1;
        for (uint64_t len = size - 1; len > 0; len -= len < step ? len : step) {
            lost_t l;
            cut(t, path, len);
            assert_true(read_damaged(t, &l) || !i);
        }
        cut(t, path, 0);
        lost_t l;
        assert_true(read_damaged(t, &l));
    }
    return OK;
}

static void test_cut(void **state)
{
    assert_ok(test_run(cut_task, NULL));
}

static err_t missing_task(task_t *t, void *arg)
{
    expected_t *x = arg;
    badger_read_t *p;
    lost_t l;
    copy_database(t, DATABASE, 0);
    assert_ok(fs_unlink(t, FOLDER "/000006.vlog"));
    assert_true(read_damaged(t, &l));
    assert_true(l.lost > 50 && l.visited > 50 && l.lost + l.visited == x->count);
    assert_string_equal(l.why, "the value log " FOLDER "/000006.vlog is missing");
    assert_ok(badger_read_open(t, FOLDER, &p));
    assert_err(badger_read_each(t, p, BYTES_NONE, note_row, NULL, &l), ERR_CORRUPT);
    badger_read_close(p);
    copy_database(t, DATABASE, 0);
    assert_ok(fs_unlink(t, NEWEST_LOG));
    assert_ok(badger_read_open(t, FOLDER, &p));
    assert_string_equal(badger_read_damage(p), "the value log " NEWEST_LOG " is missing");
    badger_read_close(p);
    copy_database(t, DATABASE, 0);
    assert_ok(fs_unlink(t, FOLDER "/000010.sst"));
    assert_true(read_damaged(t, &l));
    assert_true(l.lost && l.visited && strstr(l.why, "000010.sst is missing"));
    assert_ok(badger_read_open(t, FOLDER, &p));
    assert_err(badger_read_each(t, p, BYTES_NONE, note_row, NULL, &l), ERR_CORRUPT);
    assert_non_null(strstr(error_text(ERR_CORRUPT), "000010.sst is missing"));
    badger_read_close(p);
    assert_ok(fs_write_file(t, FOLDER "/MANIFEST", 0600, BYTES_LIT("Bdgr\0\0\0\7")));
    assert_err(badger_read_open(t, FOLDER, &p), ERR_UNSUPPORTED);
    assert_ok(fs_write_file(t, FOLDER "/MANIFEST", 0600, BYTES_LIT("Bdgr\0\0\0\4\0\0\0")));
    assert_err(badger_read_open(t, FOLDER, &p), ERR_CORRUPT);
    assert_non_null(strstr(error_text(ERR_CORRUPT), "MANIFEST is damaged: it tells nothing"));
    assert_ok(fs_unlink(t, FOLDER "/MANIFEST"));
    assert_err(badger_read_open(t, FOLDER, &p), ERR_NOT_FOUND);
    return OK;
}

static void test_missing(void **state)
{
    with_records(missing_task);
}

/* Four tables in one level: each is found by its keys; one that is damaged costs its records alone, where
 * that is asked for. */
static err_t wide_task(task_t *t, void *arg)
{
    lost_t l = {0};
    badger_read_t *p;
    AUTO(buf_t) value = {0}, table = {0};
    buf_init(&value, 4096);
    buf_init(&table, FILE_MAX_BYTES);
    copy_database(t, "badger/wide", 0);
    assert_ok(badger_read_open(t, FOLDER, &p));
    assert_ok(badger_read_each(t, p, BYTES_LIT("/blocks/"), note_row, NULL, &l));
    assert_int_equal(l.visited, 100);
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "/blocks/key-%04d", i);
        assert_ok(badger_read_get(t, p, bytes_str(key), &value));
        assert_true(value.len == 200 && value.data[0] == i && value.data[199] == i);
    }
    badger_read_close(p);
    assert_ok(fs_read_file(t, FOLDER "/000013.sst", FILE_MAX_BYTES, &table));
    table.data[3000] ^= 1;
    assert_ok(fs_write_file(t, FOLDER "/000013.sst", 0600, buf_bytes(&table)));
    assert_ok(badger_read_open(t, FOLDER, &p));
    l = (lost_t){0};
    assert_ok(badger_read_each(t, p, BYTES_LIT("/"), note_row, note_lost, &l));
    assert_true(l.visited == 72 && l.lost == 1 && l.parts == 1);
    assert_non_null(strstr(l.why, "000013.sst is damaged"));
    assert_ok(badger_read_get(t, p, BYTES_LIT("/blocks/key-0099"), &value));
    assert_err(badger_read_get(t, p, BYTES_LIT("/blocks/key-0030"), &value), ERR_CORRUPT);
    badger_read_close(p);
    return OK;
}

static void test_wide(void **state)
{
    assert_ok(test_run(wide_task, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all), cmocka_unit_test(test_bytes),   cmocka_unit_test(test_torn),
        cmocka_unit_test(test_cut), cmocka_unit_test(test_missing), cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
