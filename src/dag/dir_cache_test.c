/* The cache of directories: the same answers as dir_lookup, from few reads, in bounded memory. */
#include "dag/dir_cache.h"
#include "dag/directory.h"
#include "dag/path.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 700, ALL = 8 << 20 };

/* Blocks that can be taken away, and that count what is read. */
typedef struct store {
    blocks_t base;
    blocks_map_t *map;
    size_t reads;
    bool is_empty;
} store_t;

static err_t store_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    store_t *s = CONTAINER_OF(b, store_t, base);
    s->reads++;
    return s->is_empty ? fail(ERR_NOT_FOUND, "gone") : blocks_get(t, blocks_map_blocks(s->map), cid, ret);
}

static bool store_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    store_t *s = CONTAINER_OF(b, store_t, base);
    return !s->is_empty && blocks_has(t, blocks_map_blocks(s->map), cid);
}

static const blocks_ops_t store_ops = {.get = store_get, .has = store_has};

static void store_init(store_t *s)
{
    *s = (store_t){.base = {&store_ops}, .map = blocks_map_new(true)};
}

static bytes_t name_of(size_t i, char out[32])
{
    snprintf(out, 32, "%s%zu", i % 5 ? "name-" : "a-longer-name-", i);
    return bytes_str(out);
}

static cid_t target_of(size_t i)
{
    char text[32];
    cid_t cid;
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, name_of(i, text), &cid));
    return cid;
}

/* A directory with the names from `first` on. */
static cid_t write_dir(task_t *t, store_t *s, size_t first, size_t n, bool is_sharded)
{
    char(*room)[32] = xcalloc(NAMES, 32);
    dir_item_t *items = xcalloc(NAMES, sizeof *items);
    dag_ref_t *refs = xcalloc(NAMES, sizeof *refs), ref;
    import_options_t o;
    put_queue_t q;
    node_writer_t w;
    for (size_t i = 0; i < n; i++) {
        refs[i] = (dag_ref_t){.cid = target_of(first + i)};
        items[i] = (dir_item_t){.name = name_of(first + i, room[i]), .ref = &refs[i]};
    }
    import_options_init(&o);
    assert_ok(import_options_resolve(&o));
    o.shard_threshold = is_sharded ? 1 : UINT64_MAX;
    put_queue_init(&q, task_sched(t), blocks_map_blocks(s->map), 1 << 20, 2);
    node_writer_init(&w, &o, &q);
    assert_ok(directory_write(t, &w, items, n, NULL, &ref));
    node_writer_deinit(&w);
    assert_ok(put_queue_drain(t, &q));
    put_queue_deinit(t, &q);
    free(refs);
    free(items);
    free(room);
    return ref.cid;
}

static cid_t put_pb(task_t *t, store_t *s, bytes_t bytes)
{
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, bytes, &cid));
    assert_ok(block_copy(&cid, bytes, &block));
    assert_ok(blocks_put_many(t, blocks_map_blocks(s->map), &block, 1));
    return cid;
}

static void finds_all(task_t *t, dir_cache_t *c, store_t *s, const cid_t *dir, size_t first, size_t n)
{
    char name[32];
    for (size_t i = 0; i < n; i++) {
        cid_t want = target_of(first + i), got;
        assert_ok(dir_cache_lookup(t, c, &s->base, dir, name_of(first + i, name), &got));
        assert_true(cid_equal(&got, &want));
    }
    cid_t got;
    assert_err(dir_cache_lookup(t, c, &s->base, dir, name_of(first + n, name), &got), ERR_NOT_FOUND);
    assert_true(dag_path_is_no_link(ERR_NOT_FOUND));
    assert_err(dir_cache_lookup(t, c, &s->base, dir, BYTES_NONE, &got), ERR_NOT_FOUND);
    assert_err(dir_cache_lookup(t, c, &s->base, dir, BYTES_LIT("00"), &got), ERR_NOT_FOUND);
}

static err_t lookups(task_t *t, void *arg)
{
    store_t s;
    store_init(&s);
    dir_cache_t *c = dir_cache_new(ALL);
    cid_t basic = write_dir(t, &s, 0, NAMES, false), none = write_dir(t, &s, 0, 0, false);
    cid_t sharded = write_dir(t, &s, 7, NAMES, true);
    finds_all(t, c, &s, &basic, 0, NAMES);
    assert_int_equal(s.reads, 1);
    finds_all(t, c, &s, &none, 0, 0);
    s.reads = 0;
    finds_all(t, c, &s, &sharded, 7, NAMES);
    assert_in_range(s.reads, 2, 257 + 64); /* each shard once */
    s.reads = 0;
    finds_all(t, c, &s, &sharded, 7, NAMES);
    assert_int_equal(s.reads, 0);
    s.is_empty = true; /* collected, or denied: what is known is not used */
    char name[32];
    cid_t got;
    assert_err(dir_cache_lookup(t, c, &s.base, &basic, name_of(1, name), &got), ERR_NOT_FOUND);
    assert_false(dag_path_is_no_link(ERR_NOT_FOUND));
    dir_cache_free(c);
    dir_cache_free(NULL);
    blocks_map_free(s.map);
    return OK;
}

static void test_lookups(void **state)
{
    assert_ok(test_run(lookups, NULL));
}

/* What is asked for seldom goes; a directory that is larger than the bound alone is still found in. */
static err_t bounds(task_t *t, void *arg)
{
    store_t s;
    store_init(&s);
    enum { DIRS = 20, PER_DIR = 100, ROOM = 64 << 10 };
    dir_cache_t *c = dir_cache_new(ROOM), *tiny = dir_cache_new(1);
    cid_t dirs[DIRS];
    for (size_t i = 0; i < DIRS; i++)
        dirs[i] = write_dir(t, &s, i, PER_DIR, false);
    for (size_t i = 0; i < DIRS; i++) {
        finds_all(t, c, &s, &dirs[i], i, PER_DIR);
        finds_all(t, c, &s, &dirs[0], 0, PER_DIR);
        assert_in_range(dir_cache_bytes(c), 1, ROOM);
    }
    assert_int_equal(s.reads, DIRS); /* the first one stayed */
    finds_all(t, tiny, &s, &dirs[0], 0, PER_DIR);
    size_t one = dir_cache_bytes(tiny);
    finds_all(t, tiny, &s, &dirs[1], 1, PER_DIR);
    assert_in_range(dir_cache_bytes(tiny), one - 500, one + 500);
    dir_cache_free(c);
    dir_cache_free(tiny);
    blocks_map_free(s.map);
    return OK;
}

static void test_bounds(void **state)
{
    assert_ok(test_run(bounds, NULL));
}

/* What others made: names twice, files, nodes that are no UnixFS, shards that lead nowhere; and the same
 * answers by paths. */
static err_t strange(task_t *t, void *arg)
{
    static const char one[] = "\x0a\x06\x01\x55\x00\x02"
                              "aa",
                      other[] = "\x0a\x06\x01\x55\x00\x02"
                                "bb";
    AUTO(buf_t) twice;
    store_t s;
    store_init(&s);
    dir_cache_t *c = dir_cache_new(ALL);
    cid_t got, dir = write_dir(t, &s, 0, 1, false), file = put_pb(t, &s, BYTES_LIT("\x0a\x02\x08\x02"));
    cid_t plain = put_pb(t, &s, BYTES_LIT("\x0a\x03xyz")), bad;
    buf_init(&twice, 256);
    for (int i = 0; i < 2; i++) {
        assert_ok(buf_append(&twice, BYTES_LIT("\x12\x0b")));
        assert_ok(buf_append(&twice, bytes_of(i ? other : one, 8)));
        assert_ok(buf_append(&twice, BYTES_LIT("\x12\x01n")));
    }
    assert_ok(buf_append(&twice, BYTES_LIT("\x0a\x02\x08\x01")));
    cid_t pair = put_pb(t, &s, buf_bytes(&twice));
    assert_ok(dir_cache_lookup(t, c, &s.base, &pair, BYTES_LIT("n"), &got));
    assert_memory_equal(got.digest, "aa", 2);
    assert_err(dir_cache_lookup(t, c, &s.base, &file, BYTES_LIT("n"), &got), ERR_INVALID);
    assert_err(dir_cache_lookup(t, c, &s.base, &plain, BYTES_LIT("n"), &got), ERR_CORRUPT);
    bad = target_of(99);
    assert_err(dir_cache_lookup(t, c, &s.base, &bad, BYTES_LIT("n"), &got), ERR_NOT_FOUND);
    dag_path_t *path = xcalloc(1, sizeof *path);
    dag_node_t node = {0};
    const cid_t *roots[] = {&pair, &file, &plain, &dir};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        assert_ok(dag_path_parse_rest(roots[i], i == 3 ? BYTES_LIT("absent") : BYTES_LIT("n/more"), path));
        err_t slow = dag_path_resolve(t, &s.base, path, &node);
        char *words = xstrdup(error_text(slow));
        assert_err(dag_path_resolve_by(t, &s.base, c, path, &node), slow);
        assert_string_equal(error_text(slow), words);
        free(words);
    }
    free(path);
    dir_cache_free(c);
    blocks_map_free(s.map);
    return OK;
}

static void test_strange(void **state)
{
    assert_ok(test_run(strange, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_strange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
