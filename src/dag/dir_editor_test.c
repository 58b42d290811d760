/* The directory editor: whatever the order of changes, it gives the directory that an import of its entries
 * gives, basic or sharded; what is missing or damaged changes nothing. */
#include "base/prng.h"
#include "dag/dir_editor.h"
#include "dag/dir_reader.h"
#include "dag/directory.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 400, CHANGES = 3000 };

typedef struct names {
    bool has[NAMES];
    dag_ref_t refs[NAMES];
    size_t count;
} names_t;

static bytes_t name_of(size_t i, char out[32])
{
    snprintf(out, 32, "name-%zu%s", i * 7919, i % 3 ? "" : "-longer");
    return bytes_str(out);
}

static dag_ref_t ref_of(uint64_t n)
{
    dag_ref_t ref = {.tsize = n % 1000};
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    assert_ok(cid_of(0, CODEC_DAG_PB, MH_SHA2_256, bytes_str(text), &ref.cid));
    return ref;
}

static void write_out(task_t *t, dir_editor_t *ed, blocks_t *b, dag_ref_t *ret)
{
    put_queue_t q;
    put_queue_init(&q, task_sched(t), b, 1 << 20, 2);
    assert_ok(dir_editor_write(t, ed, &q, ret));
    assert_ok(put_queue_drain(t, &q));
    put_queue_deinit(t, &q);
}

/* As an import writes it; or, when it is sharded though it would not have to be, as a shard. */
static dag_ref_t import(task_t *t, blocks_t *b, import_options_t o, const names_t *n, bool is_sharded)
{
    char room[NAMES][32];
    dir_item_t items[NAMES];
    size_t count = 0;
    dag_ref_t ref;
    put_queue_t q;
    node_writer_t w;
    for (size_t i = 0; i < NAMES; i++)
        if (n->has[i])
            items[count++] = (dir_item_t){.name = name_of(i, room[i]), .ref = &n->refs[i]};
    assert_ok(import_options_resolve(&o));
    o.shard_threshold = is_sharded ? 1 : UINT64_MAX;
    put_queue_init(&q, task_sched(t), b, 1 << 20, 2);
    node_writer_init(&w, &o, &q);
    assert_ok(directory_write(t, &w, items, count, NULL, &ref));
    node_writer_deinit(&w);
    assert_ok(put_queue_drain(t, &q));
    put_queue_deinit(t, &q);
    return ref;
}

static void check(task_t *t, blocks_t *b, dir_editor_t *ed, const import_options_t *o, const names_t *n)
{
    dag_ref_t ref;
    write_out(t, ed, b, &ref);
    dag_ref_t expected = import(t, b, *o, n, dir_editor_is_sharded(ed));
    assert_true(cid_equal(&ref.cid, &expected.cid));
    assert_int_equal(ref.tsize, expected.tsize);
}

static dir_editor_t *open_again(task_t *t, blocks_t *b, const import_options_t *o, dir_editor_t *ed)
{
    dag_ref_t ref;
    AUTO(dag_node_t) n = {0};
    write_out(t, ed, b, &ref);
    dir_editor_free(ed);
    assert_ok(dag_node_get(t, b, &ref.cid, &n));
    assert_ok(dir_editor_open(t, b, o, &n, &ed));
    return ed;
}

static void change(task_t *t, prng_t *r, dir_editor_t *ed, names_t *n, size_t limit, uint64_t step)
{
    char room[32];
    size_t i = prng_next(r) % limit;
    bytes_t name = name_of(i, room);
    bool had;
    dag_ref_t found;
    assert_ok(dir_editor_find(t, ed, name, &had, &found));
    assert_int_equal(had, n->has[i]);
    assert_true(!had || cid_equal(&found.cid, &n->refs[i].cid));
    if (prng_next(r) % 2) {
        n->count += !n->has[i];
        n->has[i] = true;
        n->refs[i] = ref_of(step);
        assert_ok(dir_editor_put(t, ed, name, &n->refs[i]));
    } else {
        n->count -= n->has[i];
        assert_ok(dir_editor_remove(t, ed, name, &had));
        assert_int_equal(had, n->has[i]);
        n->has[i] = false;
    }
}

static err_t random_changes(task_t *t, void *arg)
{
    static const shard_rule_t rules[] = {SHARD_BY_LINKS, SHARD_BY_BLOCK, SHARD_BY_COUNT};
    size_t turns = 0;
    for (size_t k = 0; k < 6; k++) {
        blocks_map_t *map = blocks_map_new(true);
        blocks_t *b = blocks_map_blocks(map);
        import_options_t o;
        prng_t r;
        names_t *n = xcalloc(1, sizeof *n);
        prng_seed(&r, k + 1);
        import_options_init(&o);
        o.cid_version = 0;
        o.raw_leaves = 0;
        o.shard_rule = rules[k % 3];
        o.shard_threshold = 5000;
        o.max_directory_links = k % 3 == 2 ? 90 : 0;
        o.shard_fanout = k < 3 ? 8 : 256;
        dir_editor_t *ed = dir_editor_new(b, &o, (node_format_t){0, MH_SHA2_256});
        for (uint64_t step = 0; step < CHANGES; step++) {
            bool was = dir_editor_is_sharded(ed);
            change(t, &r, ed, n, step % 1000 < 500 ? NAMES : 60, step);
            turns += was != dir_editor_is_sharded(ed);
            if (step % 97 == 0)
                check(t, b, ed, &o, n);
            if (step % 331 == 0)
                ed = open_again(t, b, &o, ed);
            if (step % 111 == 0)
                dir_editor_trim(ed);
        }
        check(t, b, ed, &o, n);
        dir_editor_free(ed);
        free(n);
        blocks_map_free(map);
    }
    assert_true(turns > 6); /* to shards and back */
    return OK;
}

static void test_random_changes(void **state)
{
    assert_ok(test_run(random_changes, NULL));
}

/* The links of a loaded root are fewer than the entries: by them alone a folder would become basic too early.
 */
static err_t within_the_maximum(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    import_options_t o;
    char room[32];
    bool had;
    dag_ref_t ref;
    import_options_init(&o);
    o.max_directory_links = 8;
    o.shard_fanout = 8;
    dir_editor_t *ed = dir_editor_new(b, &o, (node_format_t){0, MH_SHA2_256});
    for (size_t i = 0; i < 20; i++) {
        ref = ref_of(i);
        assert_ok(dir_editor_put(t, ed, name_of(i, room), &ref));
        assert_int_equal(dir_editor_is_sharded(ed), i >= 8);
    }
    for (size_t i = 20; i > 0; i--) {
        ed = open_again(t, b, &o, ed);
        assert_ok(dir_editor_remove(t, ed, name_of(i - 1, room), &had));
        assert_true(had);
        assert_int_equal(dir_editor_is_sharded(ed), i - 1 > 8);
    }
    dir_editor_free(ed);
    blocks_map_free(map);
    return OK;
}

static void test_within_the_maximum(void **state)
{
    assert_ok(test_run(within_the_maximum, NULL));
}

/* 0 is no threshold, of an editor and of a folder that is written at once. */
static err_t without_threshold(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    import_options_t o;
    char room[32];
    dag_ref_t ref;
    import_options_init(&o);
    o.shard_threshold = 0;
    assert_false(directory_is_over(&o, 1000, UINT64_MAX));
    dir_editor_t *ed = dir_editor_new(b, &o, (node_format_t){0, MH_SHA2_256});
    for (size_t i = 0; i < NAMES; i++) {
        ref = ref_of(i);
        assert_ok(dir_editor_put(t, ed, name_of(i, room), &ref));
    }
    assert_false(dir_editor_is_sharded(ed));
    o.max_directory_links = NAMES;
    assert_true(directory_is_over(&o, NAMES + 1, 0));
    ref = ref_of(0);
    assert_ok(dir_editor_put(t, ed, BYTES_LIT("one more"), &ref));
    assert_true(dir_editor_is_sharded(ed));
    dir_editor_free(ed);
    blocks_map_free(map);
    return OK;
}

static void test_without_threshold(void **state)
{
    assert_ok(test_run(without_threshold, NULL));
}

/* Below the root shard nothing is here: what needs it fails, and nothing has changed. */
static err_t missing_shards(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true), *bare = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map), *few = blocks_map_blocks(bare);
    import_options_t o;
    names_t *n = xcalloc(1, sizeof *n);
    size_t failures = 0;
    import_options_init(&o);
    assert_ok(import_options_resolve(&o));
    o.shard_threshold = 1000;
    for (size_t i = 0; i < NAMES; i++) {
        n->has[i] = true;
        n->refs[i] = ref_of(i);
    }
    dag_ref_t ref = import(t, b, o, n, true), after;
    AUTO_PTR(block_t) root = NULL;
    AUTO(dag_node_t) node = {0};
    assert_ok(blocks_get(t, b, &ref.cid, &root));
    assert_ok(blocks_put_many(t, few, &root, 1));
    assert_ok(dag_node_get(t, few, &ref.cid, &node));
    dir_editor_t *ed;
    assert_ok(dir_editor_open(t, few, &o, &node, &ed));
    for (size_t i = 0; i < NAMES; i++) {
        char room[32];
        bool had;
        err_t e = dir_editor_remove(t, ed, name_of(i, room), &had);
        failures += e == ERR_NOT_FOUND;
        assert_true(!e || e == ERR_NOT_FOUND);
    }
    assert_true(failures > NAMES / 2);
    dir_editor_free(ed);
    assert_ok(dir_editor_open(t, few, &o, &node, &ed));
    write_out(t, ed, few, &after);
    assert_true(cid_equal(&after.cid, &ref.cid));
    dir_editor_free(ed);
    free(n);
    blocks_map_free(map);
    blocks_map_free(bare);
    return OK;
}

static void test_missing_shards(void **state)
{
    assert_ok(test_run(missing_shards, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes), cmocka_unit_test(test_missing_shards),
        cmocka_unit_test(test_within_the_maximum), cmocka_unit_test(test_without_threshold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
