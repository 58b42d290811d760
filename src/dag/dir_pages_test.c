#include "dag/dir_pages.h"
#include "dag/directory.h"
#include "dag/tree.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

enum { ENTRIES = 3000 };

/* A directory of numbered files, sharded or not. */
static err_t make(task_t *t, blocks_t *blocks, size_t count, dag_ref_t *ret)
{
    import_options_t o;
    importer_t *im;
    import_options_init(&o);
    o.inline_below = 33;
    o.max_directory_links = 100;
    assert_ok(importer_new(t, blocks, &o, &im));
    tree_t *tree = tree_new("/tmp");
    for (size_t i = 0; i < count; i++) {
        char name[32];
        dag_ref_t ref;
        snprintf(name, sizeof name, "name-%zu", i);
        bytes_t content = bytes_str(name);
        assert_ok(importer_add_file(t, im, source_of_bytes(&content), NULL, &ref));
        assert_ok(tree_put(t, tree, bytes_str(name), &ref));
    }
    assert_ok(tree_write(t, tree, im, true, NULL, NULL, ret));
    assert_ok(importer_flush(t, im));
    tree_free(tree);
    importer_free(t, im);
    return OK;
}

typedef struct listing {
    size_t count, max_bytes, ret_pages;
} listing_t;

/* Every name once, in order, with the CID of its content. */
static err_t list(task_t *t, void *arg)
{
    listing_t *l = arg;
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *blocks = blocks_map_blocks(map);
    dag_ref_t root;
    AUTO(dag_node_t) node = {0};
    AUTO(dir_pages_t) pages = {0};
    AUTO(buf_t) last = {0};
    buf_init(&last, 64);
    assert_ok(make(t, blocks, l->count, &root));
    assert_ok(dag_node_get(t, blocks, &root.cid, &node));
    dir_pages_init(&pages, blocks, &node, "/tmp", l->max_bytes);
    size_t total = 0, n;
    for (l->ret_pages = 0;; l->ret_pages++) {
        assert_ok(dir_pages_next(t, &pages, &n));
        if (!n)
            break;
        dir_pages_prefetch(t, &pages, 0, n);
        for (size_t i = 0; i < n; i++, total++) {
            dir_entry_t e = dir_pages_get(&pages, i);
            assert_true(!total || bytes_compare(buf_bytes(&last), e.name) < 0);
            assert_true(cid_is_identity(&e.cid) && bytes_starts_with(cid_digest(&e.cid), BYTES_LIT("\x0a")));
            assert_true(memmem(cid_digest(&e.cid).data, cid_digest(&e.cid).len, e.name.data, e.name.len));
            buf_clear(&last);
            assert_ok(buf_append(&last, e.name));
        }
        assert_true(pages.room.len <= l->max_bytes + BLOCK_MAX_BYTES);
    }
    assert_int_equal(total, l->count);
    assert_ok(dir_pages_next(t, &pages, &n));
    assert_int_equal(n, 0);
    blocks_map_free(map);
    return OK;
}

static void test_order(void **state)
{
    listing_t one = {.count = ENTRIES, .max_bytes = DIR_PAGES_BYTES};
    assert_ok(test_run(list, &one));
    assert_int_equal(one.ret_pages, 1);
    listing_t several = {.count = ENTRIES, .max_bytes = 30000};
    assert_ok(test_run(list, &several));
    assert_in_range(several.ret_pages, 5, 40);
    listing_t tiny = {.count = 200, .max_bytes = 1};
    assert_ok(test_run(list, &tiny));
    assert_int_equal(tiny.ret_pages, 200);
    listing_t basic = {.count = 20, .max_bytes = 1};
    assert_ok(test_run(list, &basic));
    assert_int_equal(basic.ret_pages, 1);
    listing_t none = {.count = 0, .max_bytes = 1000};
    assert_ok(test_run(list, &none));
    assert_int_equal(none.ret_pages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
