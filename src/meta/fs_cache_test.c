#include "meta/fs_cache.h"
#include "tests/support/repo.h"

static chunk_id_t put(task_t *t, fs_cache_t *c, uint8_t fill, size_t len)
{
    uint8_t *data = xmalloc(len);
    memset(data, fill, len);
    chunk_id_t id = chunk_id_of(bytes_of(data, len));
    fs_cache_put(t, c, &id, bytes_of(data, len));
    free(data);
    return id;
}

static bool has(task_t *t, fs_cache_t *c, const chunk_id_t *id, uint64_t size, uint8_t fill)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 1 << 20);
    bool is_there = fs_cache_get(t, c, id, size, &out);
    assert_true(!is_there || (out.len == size && out.data[size - 1] == fill));
    return is_there;
}

static size_t count_files(task_t *t, const char *folder)
{
    AUTO(dir_list_t) names = {0};
    assert_ok(fs_list(t, folder, &names));
    return names.count;
}

static err_t caches(task_t *t, void *arg)
{
    fs_cache_t *c = fs_cache_new("/cache/of/chunks", 10000);
    assert_true(fs_cache_takes(c, 2500) && !fs_cache_takes(c, 2501));
    chunk_id_t a = put(t, c, 1, 1000), b = put(t, c, 2, 2000);
    assert_true(has(t, c, &a, 1000, 1) && has(t, c, &b, 2000, 2));
    assert_false(has(t, c, &a, 999, 1)); /* another size is another thing: it goes */
    assert_false(has(t, c, &a, 1000, 1));
    chunk_id_t large = put(t, c, 3, 2600);
    assert_false(has(t, c, &large, 2600, 3));
    fs_cache_free(c);
    c = fs_cache_new("/cache/of/chunks", 10000); /* another process */
    assert_true(has(t, c, &b, 2000, 2));
    fs_cache_drop(t, c, &b);
    fs_cache_drop(t, c, &b);
    assert_false(has(t, c, &b, 2000, 2));
    fs_cache_free(c);
    c = fs_cache_new("/cache/of/chunks", 0);
    put(t, c, 4, 100);
    assert_int_equal(count_files(t, "/cache/of/chunks"), 0);
    fs_cache_free(c);
    return OK;
}

/* What was used longest ago goes first, and the bound holds over processes. */
static err_t is_bounded(task_t *t, void *arg)
{
    chunk_id_t id[10];
    fs_cache_t *c = fs_cache_new("/cache", 10000);
    for (uint8_t i = 0; i < 10; i++) {
        id[i] = put(t, c, (uint8_t)(i + 1), 1000);
        assert_ok(task_sleep(t, 10));
    }
    for (uint8_t i = 0; i < 10; i++)
        assert_true(has(t, c, &id[i], 1000, (uint8_t)(i + 1)));
    assert_ok(task_sleep(t, 10));
    assert_true(has(t, c, &id[0], 1000, 1)); /* used */
    fs_cache_free(c);
    c = fs_cache_new("/cache", 10000);
    chunk_id_t more = put(t, c, 99, 1000);
    assert_true(has(t, c, &more, 1000, 99) && has(t, c, &id[0], 1000, 1));
    assert_false(has(t, c, &id[1], 1000, 2));
    assert_int_equal(count_files(t, "/cache"), 7); /* three quarters */
    fs_cache_free(c);
    return OK;
}

static void caching(void **state)
{
    assert_ok(test_run(caches, NULL));
}

static void bounded(void **state)
{
    assert_ok(test_run(is_bounded, NULL));
}

__attribute__((unused)) static void *const silence[] = {(void *)put_tree,
                                                        (void *)fresh_repo}; /* of the header */

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(caching), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
