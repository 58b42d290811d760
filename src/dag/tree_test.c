/* The tree with few files in memory: the directories are those of the tree with all of them there, and a
 * temporary file that cannot be written ends in one error. */
#include "base/prng.h"
#include "dag/dir_sharder.h"
#include "dag/tree.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>

enum { ALL = 1 << 20, TREES = 24, MAX_FILES = 3000 };

typedef struct made {
    size_t dirs;
    dag_ref_t refs[4096];
} made_t;

static void on_dir(void *arg, bytes_t path, const dag_ref_t *ref)
{
    made_t *m = arg;
    assert_true(m->dirs < ARRAY_LEN(m->refs));
    m->refs[m->dirs++] = *ref;
}

static dag_ref_t ref_of(uint64_t n)
{
    dag_ref_t ref = {.tsize = n % 100000};
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    assert_ok(
        cid_of(n % 3 ? 1 : 0, n % 3 ? CODEC_RAW : CODEC_DAG_PB, MH_SHA2_256, bytes_str(text), &ref.cid));
    return ref;
}

/* Files in some folders and in folders of their own, each name now and then again with other content, long
 * names, empty folders. */
static void put_random(task_t *t, tree_t *tree, uint64_t seed)
{
    prng_t r;
    prng_seed(&r, seed);
    size_t n = 1 + prng_next(&r) % MAX_FILES, names = 1 + n * 3 / 4;
    for (size_t i = 0; i < n; i++) {
        char path[512];
        size_t name = prng_next(&r) % names, dir = name % 7, pad = name % 11 ? 0 : name % 200;
        if (dir < 2)
            snprintf(path, sizeof path, "%0*zu", (int)pad + 1, name);
        else if (name % 17)
            snprintf(path, sizeof path, "dir%zu/%s%0*zu.txt", dir, dir == 6 ? "below/" : "", (int)pad + 1,
                     name);
        else
            snprintf(path, sizeof path, "dir%zu/own%zu/%0*zu/file", dir, name, (int)pad + 1, name);
        dag_ref_t ref = ref_of(prng_next(&r));
        assert_ok(tree_put(t, tree, bytes_str(path), &ref));
        if (!(prng_next(&r) % 300)) {
            unixfs_t meta = {.has_mode = true, .mode = 0700};
            assert_ok(tree_put_dir(t, tree, dir % 2 ? BYTES_LIT("dir3/empty") : BYTES_LIT("dir5"), &meta));
        }
    }
}

static import_options_t options_of(uint64_t seed)
{
    static const shard_rule_t rules[] = {SHARD_BY_LINKS, SHARD_BY_BLOCK, SHARD_BY_COUNT};
    import_options_t o;
    import_options_init(&o);
    o.shard_rule = rules[seed % 3];
    o.shard_threshold = seed % 5 ? 5000 << seed % 4 : IMPORT_SHARD_THRESHOLD;
    o.max_directory_links = seed % 4 ? 0 : 150;
    o.shard_fanout = (size_t)8 << seed % 6;
    return o;
}

static void write_tree(task_t *t, uint64_t seed, size_t max_held, made_t *ret)
{
    import_options_t o = options_of(seed);
    importer_t *im;
    dag_ref_t root;
    ret->dirs = 0;
    assert_ok(importer_new(t, blocks_null(), &o, &im));
    tree_t *tree = tree_new("/tmp");
    tree_set_held(tree, max_held);
    if (seed % 2)
        tree_omit_empty_dirs(tree);
    put_random(t, tree, seed);
    assert_ok(tree_write(t, tree, im, true, on_dir, ret, &root));
    tree_free(tree);
    importer_free(t, im);
}

static bool has(const made_t *m, const dag_ref_t *ref)
{
    for (size_t i = 0; i < m->dirs; i++)
        if (cid_equal(&m->refs[i].cid, &ref->cid) && m->refs[i].tsize == ref->tsize)
            return true;
    return false;
}

static err_t random_trees(task_t *t, void *arg)
{
    static const size_t bounds[] = {1, 7, 40, 500};
    static made_t whole, spilled;
    for (uint64_t seed = 0; seed < TREES; seed++) {
        write_tree(t, seed, ALL, &whole);
        write_tree(t, seed, bounds[seed % 4], &spilled);
        assert_int_equal(whole.dirs, spilled.dirs);
        assert_true(
            cid_equal(&whole.refs[whole.dirs - 1].cid, &spilled.refs[spilled.dirs - 1].cid)); /* root */
        for (size_t i = 0; i < whole.dirs; i++)
            assert_true(has(&spilled, &whole.refs[i]));
    }
    AUTO(dir_list_t) left = {0};
    assert_ok(fs_list(t, "/tmp", &left));
    assert_int_equal(left.count, 0);
    return OK;
}

static void test_random_trees(void **state)
{
    assert_ok(test_run(random_trees, NULL));
}

/* ── what does not go ────────────────────────────────────────────────────────────────────────── */
static err_t put_pair(task_t *t, tree_t *tree, const char *file, const char *then)
{
    dag_ref_t ref = ref_of(1);
    tree_set_held(tree, 1);
    TRY(tree_put(t, tree, bytes_str(file), &ref));
    TRY(tree_put(t, tree, BYTES_LIT("other"), &ref)); /* the file before it leaves memory */
    return tree_put(t, tree, bytes_str(then), &ref);
}

static err_t files_and_dirs(task_t *t, void *arg)
{
    static const struct {
        const char *file, *then;
        err_t e;
    } cases[] = {{"a", "a/b", ERR_INVALID},
                 {"x/a", "x/a/b", ERR_INVALID},
                 {"a/b", "a", ERR_INVALID},
                 {"a", "a", OK},
                 {"a/b", "a/c", OK}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        import_options_t o;
        importer_t *im;
        dag_ref_t root;
        import_options_init(&o);
        assert_ok(importer_new(t, blocks_null(), &o, &im));
        tree_t *tree = tree_new("/tmp");
        err_t e = put_pair(t, tree, cases[i].file, cases[i].then);
        if (!e)
            e = tree_write(t, tree, im, true, NULL, NULL, &root);
        assert_int_equal(e, cases[i].e);
        assert_true(!e || strstr(error_text(e), "stands where"));
        tree_free(tree);
        importer_free(t, im);
    }
    return OK;
}

static void test_files_and_dirs(void **state)
{
    assert_ok(test_run(files_and_dirs, NULL));
}

static err_t add_many(task_t *t, size_t count)
{
    import_options_t o;
    importer_t *im;
    dag_ref_t root, ref = ref_of(7);
    import_options_init(&o);
    assert_ok(importer_new(t, blocks_null(), &o, &im));
    tree_t *tree = tree_new("/tmp");
    tree_set_held(tree, 10);
    err_t e = OK;
    for (size_t i = 0; i < count && !e; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%zu", i);
        e = tree_put(t, tree, bytes_str(name), &ref);
    }
    if (!e)
        e = tree_write(t, tree, im, true, NULL, NULL, &root);
    error_slot_t why = *error_slot();
    tree_free(tree);
    importer_free(t, im);
    *error_slot() = why;
    return e;
}

/* Each change of the disk fails once, until none is left to fail. */
static err_t full_disk(task_t *t, void *arg)
{
    enum { FILES = 400 };
    err_t e = ERR_NO_SPACE;
    uint64_t n = 1;
    for (; e; n++) {
        AUTO(dir_list_t) left = {0};
        sim_disk_fail_nth(sim_host_of(t), n, ERR_NO_SPACE, true);
        e = add_many(t, FILES);
        sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
        if (e) {
            assert_int_equal(e, ERR_NO_SPACE);
            assert_non_null(strstr(error_text(e), "the entries of large folders, in /tmp: "));
            assert_null(strchr(error_text(e), '\n'));
        }
        assert_ok(fs_list(t, "/tmp", &left));
        assert_true(left.count <= (n == 2)); /* only an unlink that fails leaves a name */
        if (left.count)
            assert_ok(fs_remove_tree(t, "/tmp"));
        assert_ok(fs_mkdirs(t, "/tmp", 0700));
    }
    assert_true(n > FILES / 10);
    return OK;
}

static void test_full_disk(void **state)
{
    assert_ok(test_run(full_disk, NULL));
}

static err_t no_folder(task_t *t, void *arg)
{
    dag_ref_t ref = ref_of(7);
    tree_t *tree = tree_new("/none");
    tree_set_held(tree, 1);
    assert_ok(tree_put(t, tree, BYTES_LIT("a"), &ref));
    assert_err(tree_put(t, tree, BYTES_LIT("b"), &ref), ERR_NOT_FOUND);
    assert_non_null(strstr(error_text(ERR_NOT_FOUND), "/none"));
    tree_free(tree);
    return OK;
}

static void test_no_folder(void **state)
{
    assert_ok(test_run(no_folder, NULL));
}

/* ── hashes ──────────────────────────────────────────────────────────────────────────────────── */
static err_t shard_two(task_t *t, importer_t *im, bool parts)
{
    dag_ref_t root, ref = ref_of(3);
    dir_sharder_t *s = dir_sharder_new(importer_writer(im));
    uint64_t hash = 0xabcdef0123456700;
    err_t e = dir_sharder_add(t, s, BYTES_LIT("name-1"), hash, &ref);
    if (!e)
        e = dir_sharder_add(t, s, BYTES_LIT("name-2"), hash + parts, &ref);
    if (!e)
        e = dir_sharder_end(t, s, NULL, &root);
    dir_sharder_free(s);
    return e;
}

/* Names that part in the last byte of the hash stand seven shards deep; those that never part are refused. */
static err_t collisions(task_t *t, void *arg)
{
    import_options_t o;
    importer_t *im;
    import_options_init(&o);
    assert_ok(importer_new(t, blocks_null(), &o, &im));
    for (int parts = 0; parts < 2; parts++) {
        uint64_t before = importer_stat(im).put_bytes;
        err_t e = shard_two(t, im, parts > 0);
        assert_int_equal(e, parts ? OK : ERR_LIMIT);
        assert_true(parts ? importer_stat(im).put_bytes > before : importer_stat(im).put_bytes == before);
        assert_true(parts || strstr(error_text(e), "too many names with the same hash"));
    }
    importer_free(t, im);
    return OK;
}

static void test_collisions(void **state)
{
    assert_ok(test_run(collisions, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_trees),
                                       cmocka_unit_test(test_files_and_dirs),
                                       cmocka_unit_test(test_full_disk), cmocka_unit_test(test_no_folder),
                                       cmocka_unit_test(test_collisions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
