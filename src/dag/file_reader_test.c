/* Reading back: files by ranges and over a slow network, directories, paths, walks; and DAGs that lie. */
#include "base/map.h"
#include "base/prng.h"
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include "dag/tree.h"
#include "dag/walk.h"
#include "tests/support/inputs.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

typedef struct world {
    task_t *t;
    blocks_map_t *map;
    blocks_t *blocks;
    importer_t *importer;
    import_options_t options;
} world_t;

static void world_init(world_t *w, task_t *t)
{
    w->t = t;
    w->map = blocks_map_new(true);
    w->blocks = blocks_map_blocks(w->map);
    assert_ok(importer_new(t, w->blocks, &w->options, &w->importer));
}
static void world_deinit(world_t *w)
{
    importer_free(w->t, w->importer);
    blocks_map_free(w->map);
}
static dag_ref_t add(world_t *w, bytes_t content)
{
    dag_ref_t ref;
    assert_ok(importer_add_file(w->t, w->importer, source_of_bytes(&content), NULL, &ref));
    assert_ok(importer_flush(w->t, w->importer));
    return ref;
}

/* ── files ── */
static err_t ranges(task_t *t, void *arg)
{
    AUTO(buf_t) content = {0};
    buf_init(&content, 1 << 20);
    inputs_append("ctr:ranges:50001", &content);
    for (int raw = 0; raw < 2; raw++) {
        world_t w = {0};
        import_options_init(&w.options);
        w.options.chunker.max_bytes = 100;
        w.options.max_links = 7;
        w.options.raw_leaves = raw;
        world_init(&w, t);
        dag_ref_t ref = add(&w, buf_bytes(&content));
        AUTO(file_reader_t) r = {0};
        assert_ok(file_reader_open(t, &r, w.blocks, &ref.cid));
        prng_t rng;
        prng_seed(&rng, 7);
        for (int i = 0; i < 400; i++) {
            uint64_t from = prng_below(&rng, 50100), len = prng_below(&rng, i % 3 ? 300 : 60000);
            uint8_t *out = xmalloc(60001);
            size_t n;
            file_reader_seek(&r, from, len);
            assert_ok(file_reader_read(t, &r, out, 60000, &n));
            assert_bytes(bytes_of(out, n), bytes_slice(buf_bytes(&content), from, len));
            free(out);
        }
        file_reader_seek(&r, 3, UINT64_MAX);
        uint8_t byte;
        size_t n;
        for (size_t i = 3; i < 500; i++) {
            assert_ok(file_reader_read(t, &r, &byte, 1, &n));
            assert_true(n == 1 && byte == content.data[i]);
        }
        world_deinit(&w);
    }
    return OK;
}

static void test_ranges(void **state)
{
    assert_ok(test_run(ranges, NULL));
}

/* Blocks behind a network: 50 ms each; what was prefetched comes meanwhile. */
typedef struct far_blocks {
    blocks_t base;
    blocks_t *behind;
    map_t here; /* CID -> the time when it is here */
    map_t read; /* CIDs that were got */
    size_t most_in_flight, most_ahead;
} far_blocks_t;

static bytes_t key_of(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode(cid, room));
}
static void far_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    far_blocks_t *f = (far_blocks_t *)b;
    uint8_t room[CID_BINARY_MAX];
    size_t flying = 0;
    void *value;
    for (size_t i = 0; i < n; i++)
        if (!map_has(&f->here, key_of(&cids[i], room)))
            assert_ok(
                map_put(&f->here, key_of(&cids[i], room), (void *)(uintptr_t)(task_now_ms(t) + 50), NULL));
    for (size_t i = 0; map_next(&f->here, &i, NULL, &value);)
        flying += (uintptr_t)value > task_now_ms(t);
    size_t ahead = map_count(&f->here) - map_count(&f->read);
    if (ahead > f->most_ahead)
        f->most_ahead = ahead;
    if (flying > f->most_in_flight)
        f->most_in_flight = flying;
}
static err_t far_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    far_blocks_t *f = (far_blocks_t *)b;
    uint8_t room[CID_BINARY_MAX];
    far_prefetch(t, b, cid, 1);
    uint64_t at = (uintptr_t)map_get(&f->here, key_of(cid, room));
    if (at > task_now_ms(t))
        TRY(task_sleep(t, at - task_now_ms(t)));
    assert_ok(map_put(&f->read, key_of(cid, room), f, NULL));
    return blocks_get(t, f->behind, cid, ret);
}
static bool far_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    uint8_t room[CID_BINARY_MAX];
    void *at = map_get(&((far_blocks_t *)b)->here, key_of(cid, room));
    return at && (uintptr_t)at <= task_now_ms(t);
}
static void far_reset(far_blocks_t *f)
{
    map_init(&f->here, 10000);
    map_init(&f->read, 10000);
    f->most_in_flight = f->most_ahead = 0;
}
static const blocks_ops_t far_ops = {.get = far_get, .prefetch = far_prefetch, .has = far_has};

/* 700 leaves at 50 ms are 35 s one by one; the window makes it less than two. */
static err_t window(task_t *t, void *arg)
{
    /* Smaller and larger than a block are the parts of 174 leaves: the first prove to be inner, the others
     * must be. */
    const size_t leaf_bytes = (size_t)arg;
    char spec[40];
    AUTO(buf_t) content = {0};
    buf_init(&content, 700 * leaf_bytes);
    snprintf(spec, sizeof spec, "ctr:window:%zu", 700 * leaf_bytes);
    inputs_append(spec, &content);
    for (int raw = 0; raw < 2; raw++) {
        world_t w = {0};
        import_options_init(&w.options);
        w.options.chunker.max_bytes = leaf_bytes;
        w.options.raw_leaves = raw;
        world_init(&w, t);
        dag_ref_t ref = add(&w, buf_bytes(&content));
        far_blocks_t f = {.base = {&far_ops}, .behind = w.blocks};
        far_reset(&f);
        AUTO(file_reader_t) r = {0};
        assert_ok(file_reader_open(t, &r, &f.base, &ref.cid));
        uint64_t began = task_now_ms(t), total = 0;
        for (;;) {
            bytes_t piece;
            assert_ok(file_reader_next(t, &r, &piece));
            if (!piece.len)
                break;
            total += piece.len;
        }
        assert_int_equal(total, content.len);
        assert_true(task_now_ms(t) - began < 2000);
        assert_in_range(f.most_in_flight, FILE_READER_WINDOW / 2, 2 * FILE_READER_WINDOW);
        assert_in_range(f.most_ahead, FILE_READER_WINDOW / 2,
                        FILE_READER_WINDOW + 6); /* in the reader's order */
        map_deinit(&f.here);
        map_deinit(&f.read);
        /* the walk asks ahead too */
        far_reset(&f);
        began = task_now_ms(t);
        dag_stat_t stat;
        assert_ok(dag_stat(t, &f.base, &ref.cid, NULL, NULL, &stat));
        assert_int_equal(stat.bytes, ref.tsize);
        assert_true(task_now_ms(t) - began < 2000);
        map_deinit(&f.here);
        map_deinit(&f.read);
        /* a small range asks for little beyond it */
        far_reset(&f);
        file_reader_seek(&r, 300500, 2000);
        uint8_t out[2000];
        size_t n;
        assert_ok(file_reader_read(t, &r, out, sizeof out, &n));
        assert_bytes(bytes_of(out, n), bytes_slice(buf_bytes(&content), 300500, 2000));
        assert_in_range(map_count(&f.here), 2, 6);
        map_deinit(&f.here);
        map_deinit(&f.read);
        file_reader_deinit(&r);
        world_deinit(&w);
    }
    return OK;
}

static void test_asks_ahead(void **state)
{
    assert_ok(test_run(window, (void *)(size_t)1000));
    assert_ok(test_run(window, (void *)(size_t)16384));
}

/* ── DAGs that lie ── */
static cid_t put_node(world_t *w, const unixfs_t *u, const cid_t *children, const uint64_t *sizes, size_t n)
{
    AUTO(buf_t) message = {0}, out = {0};
    buf_init(&message, 1 << 20);
    buf_init(&out, 1 << 20);
    writer_t inner = writer_to(&message), outer = writer_to(&out);
    unixfs_put(&inner, u, sizes, n);
    for (size_t i = 0; i < n; i++) {
        dag_pb_link_t link = {.cid = children[i], .has_name = true, .has_tsize = true, .tsize = sizes[i]};
        dag_pb_put_link(&outer, &link);
    }
    dag_pb_put_data(&outer, buf_bytes(&message));
    cid_t cid;
    AUTO_PTR(block_t) block = NULL;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&out), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&out), &block));
    assert_ok(blocks_put_many(w->t, w->blocks, &block, 1));
    return cid;
}

static cid_t put_raw(world_t *w, bytes_t data)
{
    cid_t cid;
    AUTO_PTR(block_t) block = NULL;
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, data, &cid));
    assert_ok(block_copy(&cid, data, &block));
    assert_ok(blocks_put_many(w->t, w->blocks, &block, 1));
    return cid;
}

static err_t read_all(world_t *w, const cid_t *cid, uint64_t *ret_total)
{
    AUTO(file_reader_t) r = {0};
    *ret_total = 0;
    TRY(file_reader_open(w->t, &r, w->blocks, cid));
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(w->t, &r, &piece));
        if (!piece.len)
            return OK;
        *ret_total += piece.len;
    }
}

static unixfs_t file_of(uint64_t size)
{
    return (unixfs_t){.type = UNIXFS_FILE, .has_file_size = true, .file_size = size};
}

static err_t lies(task_t *t, void *arg)
{
    world_t w = {0};
    import_options_init(&w.options);
    world_init(&w, t);
    uint64_t total;
    cid_t five = put_raw(&w, BYTES_LIT("hello")), bad;
    /* a child with another size than its parent says */
    unixfs_t u = file_of(9);
    bad = put_node(&w, &u, (cid_t[]){five, five}, (uint64_t[]){5, 4}, 2);
    assert_err(read_all(&w, &bad, &total), ERR_CORRUPT);
    assert_int_equal(total, 5);
    /* sizes that do not add up, overflow, or are missing */
    u = file_of(11);
    bad = put_node(&w, &u, (cid_t[]){five, five}, (uint64_t[]){5, 5}, 2);
    assert_err(read_all(&w, &bad, &total), ERR_CORRUPT);
    u = file_of(8);
    bad = put_node(&w, &u, (cid_t[]){five, five}, (uint64_t[]){UINT64_MAX, 9}, 2);
    assert_err(read_all(&w, &bad, &total), ERR_CORRUPT);
    /* a directory as a part of a file */
    u = (unixfs_t){.type = UNIXFS_DIRECTORY};
    cid_t dir = put_node(&w, &u, NULL, NULL, 0);
    u = file_of(5);
    bad = put_node(&w, &u, &dir, (uint64_t[]){5}, 1);
    assert_err(read_all(&w, &bad, &total), ERR_CORRUPT);
    assert_err(read_all(&w, &dir, &total), ERR_INVALID);
    /* a chain without end: each node has one child */
    cid_t at = five;
    u = file_of(5);
    for (int i = 0; i < 300; i++)
        at = put_node(&w, &u, &at, (uint64_t[]){5}, 1);
    assert_err(read_all(&w, &at, &total), ERR_LIMIT);
    /* children without content are not visited, however many */
    at = put_raw(&w, BYTES_NONE);
    u = file_of(0);
    uint64_t none[100] = {0};
    cid_t *many = xcalloc(100, sizeof *many);
    for (int level = 0; level < 20; level++) {
        for (size_t i = 0; i < 100; i++)
            many[i] = at;
        at = put_node(&w, &u, many, none, 100);
    }
    free(many);
    assert_ok(read_all(&w, &at, &total));
    assert_int_equal(total, 0);
    /* content in an inner node comes before that of its children */
    u = (unixfs_t){.type = UNIXFS_FILE,
                   .data = BYTES_LIT("say "),
                   .has_data = true,
                   .has_file_size = true,
                   .file_size = 14};
    at = put_node(&w, &u, (cid_t[]){five, five}, (uint64_t[]){5, 5}, 2);
    AUTO(file_reader_t) r = {0};
    uint8_t out[32];
    size_t n;
    assert_ok(file_reader_open(t, &r, w.blocks, &at));
    assert_ok(file_reader_read(t, &r, out, sizeof out, &n));
    assert_bytes(bytes_of(out, n), BYTES_LIT("say hellohello"));
    file_reader_seek(&r, 2, 4);
    assert_ok(file_reader_read(t, &r, out, sizeof out, &n));
    assert_bytes(bytes_of(out, n), BYTES_LIT("y he"));
    world_deinit(&w);
    return OK;
}

static void test_lies_are_corrupt(void **state)
{
    assert_ok(test_run(lies, NULL));
}

/* ── directories and paths ── */
static void expect_path(world_t *w, const char *text, err_t want, const cid_t *cid)
{
    dag_path_t *path = xcalloc(1, sizeof *path);
    cid_t got = {0};
    err_t e = dag_path_parse(bytes_str(text), path);
    if (!e)
        e = dag_path_resolve_cid(w->t, w->blocks, path, &got);
    if (e != want)
        print_error("%s: %s, %s\n", text, error_name(e), error_text(e));
    assert_int_equal(e, want);
    if (!e)
        assert_true(cid_equal(&got, cid));
    free(path);
}

static err_t directories(task_t *t, void *arg)
{
    for (int sharded = 0; sharded < 2; sharded++) {
        world_t w = {0};
        import_options_init(&w.options);
        w.options.shard_threshold = sharded ? 1 : IMPORT_SHARD_THRESHOLD;
        world_init(&w, t);
        tree_t *tree = tree_new("/tmp");
        dag_ref_t *refs = xcalloc(1000, sizeof *refs), root;
        for (int i = 0; i < 1000; i++) {
            char text[32];
            snprintf(text, sizeof text, "sub/dir/%d", i);
            refs[i] = add(&w, bytes_str(text));
            assert_ok(tree_put(t, tree, bytes_str(text), &refs[i]));
        }
        assert_err(tree_put(t, tree, BYTES_LIT("sub/dir"), &refs[0]), ERR_INVALID);
        assert_err(tree_put(t, tree, BYTES_LIT("sub/dir/1/x"), &refs[0]), ERR_INVALID);
        assert_err(tree_put(t, tree, BYTES_LIT("a/../b"), &refs[0]), ERR_INVALID);
        assert_err(tree_put(t, tree, BYTES_LIT("x//b"), &refs[0]), ERR_INVALID);
        assert_ok(tree_write(t, tree, w.importer, true, NULL, NULL, &root));
        tree_free(tree);
        assert_ok(importer_flush(t, w.importer));
        char cid[CID_TEXT_MAX], text[CID_TEXT_MAX + 64];
        cid_print(&root.cid, cid);
        snprintf(text, sizeof text, "/ipfs/%s/sub/dir/77", cid);
        expect_path(&w, text, OK, &refs[77].cid);
        snprintf(text, sizeof text, "%s//sub/./x/../dir/999/", cid);
        expect_path(&w, text, OK, &refs[999].cid);
        snprintf(text, sizeof text, "ipfs://%s", cid);
        expect_path(&w, text, OK, &root.cid);
        snprintf(text, sizeof text, "/ipfs/%s/sub/dir/1000", cid);
        expect_path(&w, text, ERR_NOT_FOUND, NULL);
        snprintf(text, sizeof text, "/ipfs/%s/sub/dir/5/below", cid);
        expect_path(&w, text, ERR_NOT_FOUND, NULL);
        snprintf(text, sizeof text, "/ipfs/%s/..", cid);
        expect_path(&w, text, ERR_INVALID, NULL);
        expect_path(&w, "/ipfs/QmNotACid/x", ERR_INVALID, NULL);
        expect_path(&w, "/ipfs/", ERR_INVALID, NULL);
        expect_path(&w, "", ERR_INVALID, NULL);
        expect_path(&w, "/other/x", ERR_INVALID, NULL);
        expect_path(&w, "/ipns/x", ERR_UNSUPPORTED, NULL);
        /* every entry is listed once */
        AUTO(dag_node_t) n = {0};
        dag_path_t *path = xcalloc(1, sizeof *path);
        snprintf(text, sizeof text, "%s/sub/dir", cid);
        assert_ok(dag_path_parse(bytes_str(text), path));
        assert_ok(dag_path_resolve(t, w.blocks, path, &n));
        free(path);
        AUTO(dir_reader_t) dir = {0};
        assert_ok(dir_reader_init(t, &dir, w.blocks, &n));
        bool seen[1000] = {0}, has;
        dir_entry_t entry;
        size_t count = 0;
        for (;; count++) {
            assert_ok(dir_reader_next(t, &dir, &entry, &has));
            if (!has)
                break;
            char name[16] = "";
            memcpy(name, entry.name.data, entry.name.len);
            int i = (int)strtol(name, NULL, 10);
            assert_true(!seen[i] && cid_equal(&entry.cid, &refs[i].cid) && entry.tsize == refs[i].tsize);
            seen[i] = true;
        }
        assert_int_equal(count, 1000);
        free(refs);
        world_deinit(&w);
    }
    return OK;
}

static void test_directories_and_paths(void **state)
{
    assert_ok(test_run(directories, NULL));
}

/* A shard whose slots all lead to the same shard would list 256^8 entries. */
static err_t shard_bomb(task_t *t, void *arg)
{
    world_t w = {0};
    import_options_init(&w.options);
    world_init(&w, t);
    cid_t at = put_raw(&w, BYTES_LIT("x"));
    for (int level = 0; level < 8; level++) {
        AUTO(buf_t) message = {0}, out = {0};
        buf_init(&message, 1 << 20);
        buf_init(&out, 1 << 20);
        uint8_t bits[32];
        memset(bits, 0xff, sizeof bits);
        unixfs_t u = {.type = UNIXFS_HAMT_SHARD,
                      .data = bytes_of(bits, 32),
                      .has_data = true,
                      .fanout = 256,
                      .hash_type = UNIXFS_HASH_MURMUR3};
        writer_t inner = writer_to(&message), outer = writer_to(&out);
        unixfs_put(&inner, &u, NULL, 0);
        for (int slot = 0; slot < 256; slot++) {
            char name[8];
            snprintf(name, sizeof name, level ? "%02X" : "%02Xx", slot);
            dag_pb_link_t link = {.cid = at, .name = bytes_str(name), .has_name = true, .has_tsize = true};
            dag_pb_put_link(&outer, &link);
        }
        dag_pb_put_data(&outer, buf_bytes(&message));
        AUTO_PTR(block_t) block = NULL;
        assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&out), &at));
        assert_ok(block_copy(&at, buf_bytes(&out), &block));
        assert_ok(blocks_put_many(t, w.blocks, &block, 1));
    }
    AUTO(dag_node_t) n = {0};
    AUTO(dir_reader_t) dir = {0};
    assert_ok(dag_node_get(t, w.blocks, &at, &n));
    assert_ok(dir_reader_init(t, &dir, w.blocks, &n));
    bool has = true;
    dir_entry_t entry;
    err_t e = OK;
    size_t count = 0;
    while (!e && has && count++ < 10)
        e = dir_reader_next(t, &dir, &entry, &has);
    assert_err(e, ERR_CORRUPT);
    world_deinit(&w);
    return OK;
}

static void test_shard_bomb(void **state)
{
    assert_ok(test_run(shard_bomb, NULL));
}

/* ── walks ── */
static size_t walk_count(world_t *w, const cid_t *root, walk_options_t o)
{
    AUTO(walk_t) walk = {0};
    walk_init(&walk, w->blocks, root, o);
    for (size_t count = 0;; count++) {
        walk_step_t step;
        bool has;
        assert_ok(walk_next(w->t, &walk, &step, &has));
        if (!has)
            return count;
        assert_true(!o.loads_leaves || step.block);
    }
}

static err_t walks(task_t *t, void *arg)
{
    world_t w = {0};
    import_options_init(&w.options);
    w.options.chunker.max_bytes = 10;
    w.options.max_links = 4;
    w.options.raw_leaves = 1;
    world_init(&w, t);
    AUTO(buf_t) zeros = {0};
    buf_init(&zeros, 1000);
    inputs_append("zero:640", &zeros);
    dag_ref_t ref = add(&w, buf_bytes(&zeros)); /* 64 equal leaves, 16 + 4 + 1 nodes above: 4 differ */
    walk_options_t all = {.max_depth = SIZE_MAX, .max_visited = 100};
    assert_int_equal(walk_count(&w, &ref.cid, all), 64 + 16 + 4 + 1);
    all.is_unique = true;
    assert_int_equal(walk_count(&w, &ref.cid, all), 4);
    all.loads_leaves = true;
    assert_int_equal(walk_count(&w, &ref.cid, all), 4);
    walk_options_t shallow = {.max_depth = 2};
    assert_int_equal(walk_count(&w, &ref.cid, shallow), 1 + 4 + 16);
    shallow.max_depth = 0;
    assert_int_equal(walk_count(&w, &ref.cid, shallow), 1);
    AUTO(walk_t) small = {0};
    walk_init(&small, w.blocks, &ref.cid,
              (walk_options_t){.max_depth = SIZE_MAX, .is_unique = true, .max_visited = 2});
    err_t e = OK;
    bool has = true;
    walk_step_t step;
    while (!e && has)
        e = walk_next(t, &small, &step, &has);
    assert_err(e, ERR_LIMIT);
    cid_t absent = cid_of_sha256(1, CODEC_DAG_PB, (const uint8_t[32]){0});
    dag_stat_t stat;
    assert_err(dag_stat(t, w.blocks, &absent, NULL, NULL, &stat), ERR_NOT_FOUND);
    world_deinit(&w);
    return OK;
}

static void test_walks(void **state)
{
    assert_ok(test_run(walks, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),           cmocka_unit_test(test_asks_ahead),
        cmocka_unit_test(test_lies_are_corrupt), cmocka_unit_test(test_directories_and_paths),
        cmocka_unit_test(test_shard_bomb),       cmocka_unit_test(test_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
