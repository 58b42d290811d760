/* Garbage collection beside adds, fetches and pins, in the simulator. */
#include "base/log.h"
#include "dag/dag_node.h"
#include "dag/dag_walk.h"
#include "repo/gc_impl.h"
#include "tests/support/repo.h"

static uint64_t count_blocks(task_t *t, repo_t *r)
{
    repo_stat_t s;
    assert_ok(repo_stat(t, r, &s));
    return s.blocks;
}

static gc_result_t collect(task_t *t, repo_t *r)
{
    gc_result_t result;
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    return result;
}

/* ── collecting ──────────────────────────────────────────────────────────────────────────────── */
static err_t see_removed(task_t *t, void *arg, const cid_t *cid)
{
    ++*(size_t *)arg;
    return OK;
}

static err_t collects(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    blocks_t *b = repo_blocks(r);
    gc_result_t result;
    size_t removed = 0;
    cid_t pinned = put_tree(t, b, 1000, 20), loose = put_tree(t, b, 5000, 20);
    cid_t direct = put_node(t, b, &loose, 1, "direct");
    assert_ok(pins_add(t, repo_pins(r), b, &pinned, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add(t, repo_pins(r), b, &direct, PIN_DIRECT, "", NULL, NULL));
    assert_int_equal(count_blocks(t, r), 43 + 43 + 1);
    assert_ok(gc_run(t, repo_gc(r), see_removed, &removed, &result));
    assert_int_equal(removed, 43);
    assert_int_equal(result.removed_blocks, 43);
    assert_true(result.removed_bytes > 40 * 500);
    assert_int_equal(result.broken_pins, 0);
    assert_int_equal(count_blocks(t, r), 44);
    assert_false(blocks_has(t, b, &loose));
    verified_t v = {0};
    assert_ok(pins_verify(t, repo_pins(r), b, see_verified, &v));
    assert_true(v.good == 1 && v.bad == 0);
    assert_ok(pins_remove(t, repo_pins(r), &pinned, PIN_ANY));
    assert_int_equal(collect(t, r).removed_blocks, 43);
    assert_int_equal(collect(t, r).removed_blocks, 0);
    assert_true(blocks_has(t, b, &direct));
    repo_close(t, r);
    return OK;
}

static void test_collects(void **state)
{
    assert_ok(test_run(collects, NULL));
}

static err_t root_of_mine(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg)
{
    return keep(t, keep_arg, arg, true);
}

static err_t failing_roots(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg)
{
    return *(bool *)arg ? fail(ERR_IO, "roots cannot be read") : OK;
}

/* What of a broken pin is here stays; other roots count; when roots cannot be listed nothing goes; a codec
 * whose links are not known ends the run. */
static err_t careful(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    blocks_t *b = repo_blocks(r);
    gc_result_t result;
    bool is_failing = false;
    cid_t tree = put_tree(t, b, 1000, 10), mine = put_tree(t, b, 2000, 10), loose = put_leaf(t, b, 1);
    cid_t gone = suite_cid(1003, 500);
    assert_ok(pins_add(t, repo_pins(r), b, &tree, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(blockstore_remove(t, repo_blockstore(r), &gone, 1));
    /* The inner nodes: a raw leaf that is missing is not even read. */
    cid_t links[10];
    for (uint64_t i = 0; i < 10; i++)
        links[i] = suite_cid(1100 + i, 500);
    AUTO_PTR(block_t) node = node_of(links, 10, "node 1000 1");
    assert_ok(blockstore_remove(t, repo_blockstore(r), &node->cid, 1));
    gc_add_roots(repo_gc(r), root_of_mine, &mine);
    gc_add_roots(repo_gc(r), failing_roots, &is_failing);
    is_failing = true;
    assert_err(gc_run(t, repo_gc(r), NULL, NULL, &result), ERR_IO);
    assert_true(blocks_has(t, b, &loose));
    is_failing = false;
    result = collect(t, r);
    assert_int_equal(result.broken_pins, 1);
    assert_int_equal(result.removed_blocks, 0); /* what hangs on the missing node may be the last copy */
    assert_true(blocks_has(t, b, &mine) && blocks_has(t, b, &tree) && blocks_has(t, b, &loose));
    assert_ok(pins_remove(t, repo_pins(r), &tree, PIN_RECURSIVE));
    result = collect(t, r);
    assert_true(!result.broken_pins && result.removed_blocks > 10);
    assert_true(blocks_has(t, b, &mine) && !blocks_has(t, b, &tree) && !blocks_has(t, b, &loose));

    block_t *cbor;
    cid_t cid;
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, BYTES_LIT("\xa0"), &cid));
    assert_ok(block_copy(&cid, BYTES_LIT("\xa0"), &cbor));
    assert_ok(blocks_put_many(t, b, &cbor, 1));
    block_release(cbor);
    put_leaf(t, b, 1);
    assert_ok(pins_add_present(t, repo_pins(r), &cid, PIN_RECURSIVE, ""));
    err_t e = gc_run(t, repo_gc(r), NULL, NULL, &result);
    if (e) { /* as long as no links of dag-cbor are read */
        assert_int_equal(e, ERR_UNSUPPORTED);
        assert_true(blocks_has(t, b, &loose));
    } else {
        assert_true(blocks_has(t, b, &cid));
    }
    repo_close(t, r);
    return OK;
}

static void test_careful(void **state)
{
    assert_ok(test_run(careful, NULL));
}

/* ── beside other work ───────────────────────────────────────────────────────────────────────── */
typedef struct scene {
    repo_t *repo;
    bool is_over;
    size_t runs;
    cid_t roots[5]; /* of this round */
    size_t n;
    uint64_t base;
} scene_t;

static err_t keep_collecting(task_t *t, void *arg)
{
    scene_t *s = arg;
    gc_result_t result;
    while (!s->is_over) {
        TRY(gc_run(t, repo_gc(s->repo), NULL, NULL, &result));
        s->runs++;
        TRY(task_sleep(t, 1));
    }
    return OK;
}

/* Adds trees block by block under a hold, pins them, and drops older ones. */
static err_t keep_adding(task_t *t, void *arg)
{
    scene_t *s = arg;
    for (s->n = 0; s->n < 40; s->n++) {
        repo_import_t *import = repo_import_begin(s->repo);
        cid_t root = put_tree(t, repo_import_blocks(import), s->base + 20 * (s->n % 5), 8);
        TRY(repo_import_sync(t, import));
        TRY(task_sleep(t, s->n % 7));
        TRY(pins_add_present(t, repo_pins(s->repo), &root, PIN_RECURSIVE, ""));
        repo_import_end(import);
        s->roots[s->n % 5] = root;
        verified_t v = {0};
        TRY(pins_verify(t, repo_pins(s->repo), repo_blocks(s->repo), see_verified, &v));
        SUITE_CHECK(v.bad == 0);
        if (s->n % 5 == 4) /* the next round adds the same blocks, while they are being collected */
            for (size_t i = 0; i < 5; i++)
                TRY(pins_remove(t, repo_pins(s->repo), &s->roots[i], PIN_ANY));
    }
    return OK;
}

/* Pins what lies around unpinned: either it is here and stays, or it is not. */
static err_t keep_pinning(task_t *t, void *arg)
{
    scene_t *s = arg;
    blocks_t *b = repo_blocks(s->repo);
    size_t pinned = 0;
    for (uint64_t i = 0; i < 25; i++) {
        gc_hold_t hold = i % 5 ? (gc_hold_t){0} : gc_hold(repo_gc(s->repo)); /* now and then with care */
        cid_t root = put_tree(t, b, s->base + 400 * i, 8);
        err_t e = pins_add(t, repo_pins(s->repo), b, &root, PIN_RECURSIVE, "found", NULL, NULL);
        SUITE_CHECK(e != ERR_NOT_FOUND || !hold.gc);
        gc_release(&hold);
        if (e == ERR_NOT_FOUND) /* collected before it was pinned: no hold was taken */
            continue;
        TRY(e);
        pinned++;
        verified_t v = {0};
        TRY(pins_verify(t, repo_pins(s->repo), b, see_verified, &v));
        SUITE_CHECK(v.bad == 0);
        TRY(pins_remove(t, repo_pins(s->repo), &root, PIN_ANY));
    }
    SUITE_CHECK(pinned >= 5);
    return OK;
}

static err_t beside(task_t *t, void *arg)
{
    scene_t adding = {.repo = fresh_repo(t), .base = 100000};
    scene_t pinning_scene = {.repo = adding.repo, .base = 500000};
    scene_t collecting = {.repo = adding.repo};
    group_t workers, collector;
    group_init(&workers, task_sched(t));
    group_init(&collector, task_sched(t));
    assert_ok(group_spawn(&collector, "gc", keep_collecting, &collecting, NULL));
    assert_ok(group_spawn(&workers, "add", keep_adding, &adding, NULL));
    assert_ok(group_spawn(&workers, "pin", keep_pinning, &pinning_scene, NULL));
    err_t e = group_join(t, &workers);
    collecting.is_over = true;
    err_t collected = group_join(t, &collector);
    group_deinit(&workers);
    group_deinit(&collector);
    TRY(e);
    TRY(collected);
    SUITE_CHECK(collecting.runs > 3);
    collect(t, adding.repo);
    SUITE_CHECK(count_blocks(t, adding.repo) == 0);
    repo_close(t, adding.repo);
    return OK;
}

static void test_beside(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        sim_t *s = sim_new(seed);
        assert_ok(sim_run(s, beside, NULL));
        sim_free(s);
    }
}

static err_t holds(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    gc_result_t result;
    gc_hold_t none = {0};
    cid_t before = put_leaf(t, repo_blocks(r), 1);
    gc_hold_t hold = gc_hold(repo_gc(r));
    cid_t during = put_leaf(t, repo_blocks(r), 2);
    assert_int_equal(collect(t, r).removed_blocks, 1);
    assert_true(!blocks_has(t, repo_blocks(r), &before) && blocks_has(t, repo_blocks(r), &during));
    gc_release(&hold);
    gc_release(&hold);
    gc_release(&none);
    assert_int_equal(collect(t, r).removed_blocks, 1);
    /* A failing disk: the run ends with its error, and the next works. */
    put_leaf(t, repo_blocks(r), 3);
    sim_disk_fail_nth(sim_host_of(t), 1, ERR_IO, true);
    assert_err(gc_run(t, repo_gc(r), NULL, NULL, &result), ERR_IO);
    sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
    assert_int_equal(collect(t, r).removed_blocks, 1);
    repo_close(t, r);
    return OK;
}

/* Holds that overlap without end keep what was touched since the oldest of them, and no more. */
static err_t overlapping_holds(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    gc_t *gc = repo_gc(r);
    gc_hold_t holds[2] = {gc_hold(gc)};
    uint64_t removed = 0;
    for (uint64_t round = 0; round < 100; round++) {
        for (uint64_t i = 0; i < GC_PERIOD_TOUCHES; i++)
            put_leaf(t, repo_blocks(r), 1000 * round + i);
        holds[(round + 1) % 2] = gc_hold(gc);
        gc_release(&holds[round % 2]);
        cid_t last = put_leaf(t, repo_blocks(r), 1000 * round + 999);
        removed += collect(t, r).removed_blocks;
        assert_true(blocks_has(t, repo_blocks(r), &last));
    }
    assert_true(removed > 90 * GC_PERIOD_TOUCHES && gc->n_periods < 4);
    gc_release(&holds[0]);
    collect(t, r);
    assert_true(!gc->n_periods && count_blocks(t, r) == 0);
    /* Many at once: the last period takes all further ones. */
    gc_hold_t many[2 * GC_PERIODS_MAX];
    for (size_t k = 0; k < ARRAY_LEN(many); k++) {
        many[k] = gc_hold(gc);
        for (uint64_t i = 0; i < GC_PERIOD_TOUCHES; i++)
            put_leaf(t, repo_blocks(r), 1000 * k + i);
    }
    assert_int_equal(gc->n_periods, GC_PERIODS_MAX);
    assert_int_equal(collect(t, r).removed_blocks, 0);
    for (size_t k = 0; k + 1 < ARRAY_LEN(many); k++)
        gc_release(&many[k]);
    assert_true(collect(t, r).removed_blocks > (GC_PERIODS_MAX - 2) * GC_PERIOD_TOUCHES);
    gc_release(&many[ARRAY_LEN(many) - 1]);
    repo_close(t, r);
    return OK;
}

static void test_overlapping_holds(void **state)
{
    assert_ok(test_run(overlapping_holds, NULL));
}

static void test_holds(void **state)
{
    assert_ok(test_run(holds, NULL));
}

static err_t run_once(task_t *t, void *arg)
{
    scene_t *s = arg;
    gc_result_t result;
    err_t e = gc_run(t, repo_gc(s->repo), NULL, NULL, &result);
    s->is_over = true;
    return e == ERR_CANCELED ? OK : e;
}

static err_t one_at_a_time(task_t *t, void *arg)
{
    scene_t s = {.repo = fresh_repo(t)};
    gc_result_t result;
    group_t g;
    for (uint64_t i = 0; i < 10; i++)
        put_tree(t, repo_blocks(s.repo), 1000 * i, 30);
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "gc", run_once, &s, NULL));
    assert_ok(task_yield(t));
    assert_true(gc_is_running(repo_gc(s.repo)));
    assert_err(gc_run(t, repo_gc(s.repo), NULL, NULL, &result), ERR_IN_USE);
    repo_close(t, s.repo); /* ends the run */
    assert_true(s.is_over);
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    return OK;
}

static void test_one_at_a_time(void **state)
{
    assert_ok(test_run(one_at_a_time, NULL));
}

/* ── walks and sets ──────────────────────────────────────────────────────────────────────────── */
static err_t count_block(task_t *t, void *arg, block_t *block)
{
    return ++*(size_t *)arg == 9 ? ERR_REFUSED : OK;
}

static err_t walks(task_t *t, void *arg)
{
    blocks_map_t *m = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(m);
    size_t visited = 0;
    cid_t leaf = put_leaf(t, b, 1), links[3] = {leaf, leaf, leaf};
    cid_t node = put_node(t, b, links, 3, "thrice");
    cid_t chain = node;
    assert_ok(dag_walk(t, b, &node, count_block, &visited));
    assert_int_equal(visited, 2); /* each block once */
    for (int i = 0; i < 3000; i++) {
        char data[20];
        snprintf(data, sizeof data, "%d", i);
        chain = put_node(t, b, &chain, 1, data);
    }
    visited = 100;
    assert_ok(dag_walk(t, b, &chain, count_block, &visited)); /* deep, on a small stack */
    assert_int_equal(visited, 100 + 3002);
    visited = 0;
    assert_err(dag_walk(t, b, &chain, count_block, &visited), ERR_REFUSED);
    cid_t absent = suite_cid(5, 5);
    assert_err(dag_walk(t, b, &absent, count_block, &visited), ERR_NOT_FOUND);
    block_t *bad;
    cid_t cid;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, BYTES_LIT("\xff"), &cid));
    assert_ok(block_copy(&cid, BYTES_LIT("\xff"), &bad));
    assert_ok(blocks_put_many(t, b, &bad, 1));
    block_release(bad);
    visited = 0;
    assert_err(dag_walk(t, b, &cid, count_block, &visited), ERR_CORRUPT);
    blocks_map_free(m);
    return OK;
}

static void test_walks(void **state)
{
    assert_ok(test_run(walks, NULL));
}

static void test_sets(void **state)
{
    cid_set_t set;
    cid_filter_t filter;
    bool is_new;
    size_t wrong = 0;
    cid_set_init(&set);
    cid_filter_init(&filter);
    for (uint64_t i = 0; i < 30000; i++) {
        uint8_t digest[32] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
        cid_t cid = cid_of_sha256(1, CODEC_RAW, digest);
        assert_ok(cid_set_add(&set, &cid, &is_new));
        assert_true(is_new);
        wrong += cid_filter_may_have(&filter, &cid);
        cid_filter_add(&filter, &cid);
        assert_true(cid_filter_may_have(&filter, &cid));
        assert_ok(cid_set_add(&set, &cid, &is_new));
        assert_false(is_new);
        cid.codec = CODEC_DAG_PB; /* another block to walk, the same block to keep */
        assert_true(cid_filter_may_have(&filter, &cid));
        if (i < 10) {
            assert_ok(cid_set_add(&set, &cid, &is_new));
            assert_true(is_new);
        }
    }
    assert_true(wrong < 60);
    assert_true(filter.n_layers > 1);
    cid_set_deinit(&set);
    cid_filter_deinit(&filter);
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collects),
        cmocka_unit_test(test_careful),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_overlapping_holds),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
