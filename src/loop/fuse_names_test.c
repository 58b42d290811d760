#include "loop/fuse_names.h"
#include "tests/support/test.h"
#include <stdio.h>

static uint64_t remember(fuse_names_t *n, uint64_t parent, const char *name)
{
    uint64_t id = 0;
    assert_ok(fuse_names_remember(n, parent, name, &id));
    return id;
}

static void check_path(const fuse_names_t *n, uint64_t id, const char *want)
{
    char path[FUSE_PATH_BYTES_MAX];
    err_t e = fuse_names_path(n, id, NULL, path);
    if (!want) {
        assert_int_equal(e, ERR_NOT_FOUND);
        return;
    }
    assert_ok(e);
    assert_string_equal(path, want);
}

static void test_names(void **state)
{
    fuse_names_t n;
    char path[FUSE_PATH_BYTES_MAX];
    fuse_names_init(&n, 100);
    uint64_t a = remember(&n, FUSE_NAMES_ROOT, "a"), b = remember(&n, a, "b"), c = remember(&n, b, "c");
    check_path(&n, FUSE_NAMES_ROOT, "");
    check_path(&n, c, "a/b/c");
    assert_ok(fuse_names_path(&n, b, "new", path));
    assert_string_equal(path, "a/b/new");
    assert_true(remember(&n, a, "b") == b);
    fuse_names_forget(&n, b, 2); /* what is below it still needs it */
    check_path(&n, c, "a/b/c");
    assert_true(remember(&n, a, "b") == b);
    uint64_t d = remember(&n, FUSE_NAMES_ROOT, "d");
    fuse_names_move(&n, a, "b", d, "e");
    check_path(&n, c, "d/e/c");
    uint64_t over = remember(&n, d, "f");
    fuse_names_move(&n, d, "e", d, "f");
    check_path(&n, over, NULL);
    check_path(&n, c, "d/f/c");
    fuse_names_remove(&n, b, "c");
    check_path(&n, c, NULL);
    assert_true(remember(&n, b, "c") != c); /* another file by that name */
    fuse_names_forget(&n, c, 1);
    fuse_names_forget(&n, c, 1);
    fuse_names_forget(&n, 12345, 1);
    check_path(&n, 12345, NULL);
    fuse_names_move(&n, FUSE_NAMES_ROOT, "absent", FUSE_NAMES_ROOT, "a");
    check_path(&n, a, NULL);
    fuse_names_remove(&n, FUSE_NAMES_ROOT, "absent");
    fuse_names_deinit(&n);
}

static void test_forgotten_to_the_last(void **state)
{
    fuse_names_t n;
    uint64_t ids[50], at = FUSE_NAMES_ROOT, refused;
    fuse_names_init(&n, ARRAY_LEN(ids));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        at = ids[i] = remember(&n, at, "x");
    assert_int_equal(fuse_names_remember(&n, at, "x", &refused), ERR_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        fuse_names_forget(&n, ids[i], UINT64_MAX);
    assert_int_equal(map_count(&n.by_id) + map_count(&n.by_name), 0);
    assert_int_equal(fuse_names_remember(&n, ids[3], "x", &refused), ERR_NOT_FOUND);
    fuse_names_deinit(&n);
}

static void test_limits(void **state)
{
    fuse_names_t n;
    char path[FUSE_PATH_BYTES_MAX], name[FUSE_NAME_BYTES_MAX + 1] = {0};
    uint64_t at = FUSE_NAMES_ROOT;
    memset(name, 'n', sizeof name - 1);
    fuse_names_init(&n, 10000);
    for (size_t i = 0; i < FUSE_PATH_BYTES_MAX / 256; i++)
        at = remember(&n, at, name);
    assert_int_equal(fuse_names_path(&n, at, name, path), ERR_LIMIT);
    at = FUSE_NAMES_ROOT;
    for (size_t i = 0; i <= FUSE_DEPTH_MAX + 1; i++)
        at = remember(&n, at, "d");
    assert_int_equal(fuse_names_path(&n, at, NULL, path), ERR_LIMIT);
    fuse_names_deinit(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_forgotten_to_the_last),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
