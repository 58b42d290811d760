/* What each strategy announces, of a repository with a pinned file of three chunks, a directly pinned block,
 * a file in the mutable tree, and a block that nobody asked for. */
#include "dag/importer.h"
#include "node/provided.h"
#include "repo/mfs.h"
#include "repo/pins.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static void test_words(void **state)
{
    static const struct {
        const char *strategy;
        unsigned flags; /* 0: refused */
    } rows[] = {{"", PROVIDED_ALL},
                {"all", PROVIDED_ALL},
                {"flat", PROVIDED_ALL},
                {"roots", PROVIDED_ROOTS},
                {"pinned+mfs", PROVIDED_PINNED | PROVIDED_MFS},
                {"mfs+unique", PROVIDED_MFS | PROVIDED_UNIQUE},
                {"pinned+mfs+entities", PROVIDED_PINNED | PROVIDED_MFS | PROVIDED_UNIQUE | PROVIDED_ENTITIES},
                {"pinned+", 0},
                {"+", 0},
                {"al", 0},
                {"all+mfs", 0},
                {"entities", 0},
                {"roots+unique", 0},
                {"pinned+roots+unique", 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned flags = 0;
        assert_int_equal(provided_parse(rows[i].strategy, &flags) == OK, rows[i].flags != 0);
        assert_int_equal(flags, rows[i].flags);
    }
}

enum { CHUNK = 1024 };
typedef struct shop {
    repo_t *repo;
    cid_t file, chunks[3], direct, loose, in_tree, tree_root;
    cid_t got[32];
    size_t n;
} shop_t;

static cid_t put_block(task_t *t, repo_t *r, const char *text)
{
    AUTO_PTR(block_t) b = NULL;
    assert_ok(block_new(strlen(text), &b));
    memcpy(b->data, text, b->len);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b), &b->cid));
    assert_ok(blockstore_put(t, repo_blockstore(r), b));
    return b->cid;
}

static cid_t put_file(task_t *t, repo_t *r, uint8_t fill, size_t size)
{
    uint8_t content[3 * CHUNK];
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)(fill + i / CHUNK);
    bytes_t left = bytes_of(content, size);
    import_options_t options;
    import_options_init(&options);
    options.cid_version = 1;
    assert_ok(chunker_parse("size-1024", &options.chunker));
    importer_t *im;
    dag_ref_t ref;
    assert_ok(importer_new(t, repo_blocks(r), &options, &im));
    assert_ok(importer_add_file(t, im, source_of_bytes(&left), NULL, &ref));
    assert_ok(importer_flush(t, im));
    importer_free(t, im);
    return ref.cid;
}

static err_t take(task_t *t, void *arg, const cid_t *cid)
{
    shop_t *s = arg;
    for (size_t i = 0; i < s->n; i++)
        if (cid_equal(&s->got[i], cid))
            return OK;
    assert_true(s->n < ARRAY_LEN(s->got));
    s->got[s->n++] = *cid;
    return OK;
}

static bool has(const shop_t *s, const cid_t *cid)
{
    bool found = false;
    for (size_t i = 0; i < s->n; i++)
        found |= cid_equal(&s->got[i], cid);
    return found;
}

static void ask(task_t *t, shop_t *s, const char *strategy, size_t n)
{
    unsigned flags;
    s->n = 0;
    assert_ok(provided_parse(strategy, &flags));
    assert_ok(provided_each(t, s->repo, flags, take, s));
    print_message("%s: %zu\n", strategy, s->n);
    assert_int_equal(s->n, n);
}

static void fill(task_t *t, shop_t *s)
{
    repo_t *r = s->repo;
    s->file = put_file(t, r, 1, 3 * CHUNK);
    s->direct = put_block(t, r, "pinned by itself");
    s->loose = put_block(t, r, "nobody asked for it");
    s->in_tree = put_file(t, r, 40, 2 * CHUNK);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &s->file, PIN_RECURSIVE, NULL, NULL, NULL));
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &s->direct, PIN_DIRECT, NULL, NULL, NULL));
    assert_ok(mfs_put(t, repo_mfs(r), repo_blocks(r), "/f", &s->in_tree, (mfs_put_options_t){.flush = true}));
    bool has;
    assert_ok(mfs_durable_root(t, repo_mfs(r), &s->tree_root, &has));
    assert_true(has);
}

static err_t check_strategies(task_t *t, void *arg)
{
    shop_t *s = xcalloc(1, sizeof *s);
    assert_ok(repo_init(t, "/tmp/repo", "test", NULL));
    assert_ok(repo_open(t, "/tmp/repo", &s->repo));
    fill(t, s);
    ask(t, s, "roots", 2);
    assert_true(has(s, &s->file) && has(s, &s->direct));
    ask(t, s, "pinned", 5); /* the file, its chunks, the direct pin */
    ask(t, s, "mfs", 4);    /* the root, the file, its chunks */
    assert_true(has(s, &s->tree_root) && has(s, &s->in_tree));
    ask(t, s, "pinned+mfs", 9);
    assert_false(has(s, &s->loose));
    ask(t, s, "pinned+mfs+unique", 9);
    ask(t, s, "pinned+mfs+entities", 4);
    assert_true(has(s, &s->file) && has(s, &s->in_tree) && has(s, &s->tree_root) && has(s, &s->direct));
    unsigned flags;
    s->n = 0;
    assert_ok(provided_parse("all", &flags));
    assert_ok(provided_each(t, s->repo, flags, take, s));
    assert_true(s->n >= 10 && has(s, &s->loose));
    repo_close(t, s->repo);
    free(s);
    return OK;
}

static void test_strategies(void **state)
{
    assert_ok(test_run(check_strategies, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_strategies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
