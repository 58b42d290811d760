/* Pins, and garbage collection beside adds, fetches and pins, in the simulator. */
#include "base/log.h"
#include "dag/dag_node.h"
#include "dag/dag_walk.h"
#include "repo/gc_impl.h"
#include "repo/repo.h"
#include "store/blockstore_suite.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/tmp/repo"

static repo_t *fresh_repo(task_t *t)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    repo_t *r;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(repo_init(t, REPO, "test", key));
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

/* A dag-pb node with links to these, and its block. */
static block_t *node_of(const cid_t *links, size_t n, const char *data)
{
    AUTO(buf_t) out;
    buf_init(&out, 1 << 20);
    writer_t w = writer_to(&out);
    for (size_t i = 0; i < n; i++)
        dag_pb_put_link(&w, &(dag_pb_link_t){.cid = links[i], .has_name = true, .has_tsize = true});
    dag_pb_put_data(&w, bytes_str(data));
    assert_ok(w.err);
    cid_t cid;
    block_t *b;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&out), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&out), &b));
    return b;
}

static cid_t put_node(task_t *t, blocks_t *to, const cid_t *links, size_t n, const char *data)
{
    AUTO_PTR(block_t) b = node_of(links, n, data);
    assert_ok(blocks_put_many(t, to, &b, 1));
    return b->cid;
}

static cid_t put_leaf(task_t *t, blocks_t *to, uint64_t seed)
{
    AUTO_PTR(block_t) b = suite_block(seed, 500);
    assert_ok(blocks_put_many(t, to, &b, 1));
    return b->cid;
}

/* A root, two nodes below it, `leaves` leaves below each; the leaf seeds begin at `seed`. */
__attribute__((noinline)) static cid_t put_tree(task_t *t, blocks_t *to, uint64_t seed, size_t leaves)
{
    cid_t nodes[2], list[32];
    char name[40];
    for (uint64_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < leaves; i++)
            list[i] = put_leaf(t, to, seed + 100 * k + i);
        snprintf(name, sizeof name, "node %d %d", (int)seed, (int)k);
        nodes[k] = put_node(t, to, list, leaves, name);
    }
    snprintf(name, sizeof name, "root %d", (int)seed);
    return put_node(t, to, nodes, 2, name);
}

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

/* ── pins ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct seen_pins {
    size_t n, recursive, direct, indirect;
    pin_t last;
} seen_pins_t;

static err_t see_pin(task_t *t, void *arg, const pin_t *pin)
{
    seen_pins_t *s = arg;
    s->n++;
    s->recursive += pin->mode == PIN_RECURSIVE;
    s->direct += pin->mode == PIN_DIRECT;
    s->indirect += pin->mode == PIN_INDIRECT;
    s->last = *pin;
    return OK;
}

static seen_pins_t list_pins(task_t *t, repo_t *r, unsigned modes, const char *name)
{
    seen_pins_t s = {0};
    assert_ok(pins_each(t, repo_pins(r), repo_blocks(r), modes, name, see_pin, &s));
    return s;
}

static void count_progress(void *arg, const cid_t *cid, uint64_t size)
{
    ++*(size_t *)arg;
}

static err_t pinning(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    blocks_t *b = repo_blocks(r);
    pin_t pin;
    size_t visited = 0;
    uint64_t count;
    cid_t root = put_tree(t, b, 1000, 5), through;
    cid_t leaf = put_leaf(t, b, 1000), other = put_leaf(t, b, 5), absent = suite_cid(77, 77);
    assert_ok(pins_add(t, p, b, &root, PIN_RECURSIVE, "first", count_progress, &visited));
    assert_int_equal(visited, 13);
    assert_ok(pins_find(t, p, &root, &pin));
    assert_true(pin.mode == PIN_RECURSIVE && cid_equal(&pin.cid, &root));
    assert_string_equal(pin.name, "first");
    assert_ok(pins_add(t, p, b, &root, PIN_RECURSIVE, "renamed", NULL, NULL));
    assert_ok(pins_find(t, p, &root, &pin));
    assert_string_equal(pin.name, "renamed");
    assert_err(pins_add(t, p, b, &root, PIN_DIRECT, NULL, NULL, NULL), ERR_EXISTS);
    assert_ok(pins_add(t, p, b, &other, PIN_DIRECT, "", NULL, NULL));
    assert_err(pins_add(t, p, b, &other, PIN_INDIRECT, "", NULL, NULL), ERR_USAGE);
    assert_err(pins_add(t, p, b, &absent, PIN_RECURSIVE, "", NULL, NULL), ERR_NOT_FOUND);
    assert_err(pins_add(t, p, b, &absent, PIN_DIRECT, "", NULL, NULL), ERR_NOT_FOUND);
    assert_err(pins_find(t, p, &leaf, &pin), ERR_NOT_FOUND);
    assert_ok(pins_find_any(t, p, b, &leaf, &pin, &through));
    assert_true(pin.mode == PIN_INDIRECT && cid_equal(&through, &root));
    assert_ok(pins_find_any(t, p, b, &other, &pin, NULL));
    assert_true(pin.mode == PIN_DIRECT);
    assert_err(pins_find_any(t, p, b, &absent, &pin, NULL), ERR_NOT_FOUND);
    assert_ok(pins_count(t, p, &count));
    assert_int_equal(count, 2);

    seen_pins_t s = list_pins(t, r, PIN_ANY, NULL);
    assert_true(s.recursive == 1 && s.direct == 1 && s.indirect == 12);
    assert_int_equal(list_pins(t, r, PIN_DIRECT, NULL).n, 1);
    assert_int_equal(list_pins(t, r, PIN_RECURSIVE | PIN_DIRECT, "name").n, 1);
    assert_int_equal(list_pins(t, r, PIN_ANY, "nobody").n, 0);

    assert_err(pins_remove(t, p, &root, PIN_DIRECT), ERR_INVALID);
    assert_err(pins_remove(t, p, &other, PIN_RECURSIVE), ERR_NOT_FOUND);
    assert_err(pins_remove(t, p, &leaf, PIN_ANY), ERR_NOT_FOUND);
    assert_ok(pins_remove(t, p, &root, PIN_RECURSIVE));
    assert_err(pins_remove(t, p, &root, PIN_RECURSIVE), ERR_NOT_FOUND);
    /* A recursive pin takes the place of a direct one. */
    assert_ok(pins_add(t, p, b, &other, PIN_RECURSIVE, NULL, NULL, NULL));
    assert_ok(pins_find(t, p, &other, &pin));
    assert_true(pin.mode == PIN_RECURSIVE);
    repo_close(t, r);
    assert_ok(repo_open(t, REPO, &r));
    assert_ok(pins_find(t, repo_pins(r), &other, &pin));
    repo_close(t, r);
    return OK;
}

static void test_pinning(void **state)
{
    assert_ok(test_run(pinning, NULL));
}

static err_t pin_names(task_t *t, void *arg)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x9a\x80", "\xed\x9f\xbf"};
    static const char *const bad[] = {"\xff",
                                      "\xc0\x80",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xe2\x82",
                                      "a\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf5\x80\x80\x80"};
    repo_t *r = fresh_repo(t);
    cid_t leaf = put_leaf(t, repo_blocks(r), 1);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, bad[i]), ERR_USAGE);
    char longest[PIN_NAME_MAX_BYTES + 2];
    memset(longest, 'n', sizeof longest);
    longest[PIN_NAME_MAX_BYTES + 1] = 0;
    assert_err(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, longest), ERR_USAGE);
    longest[PIN_NAME_MAX_BYTES] = 0;
    assert_ok(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, longest));
    pin_t pin;
    pin_mode_t mode;
    assert_ok(pins_find(t, repo_pins(r), &leaf, &pin));
    assert_string_equal(pin.name, longest);
    assert_ok(pin_mode_parse("all", &mode));
    assert_int_equal(mode, PIN_ANY);
    assert_ok(pin_mode_parse("indirect", &mode));
    assert_int_equal(mode, PIN_INDIRECT);
    assert_err(pin_mode_parse("some", &mode), ERR_USAGE);
    uint8_t key[CID_BINARY_MAX];
    assert_ok(kv_put(t, repo_state(r), "pins", bytes_of(key, cid_encode(&leaf, key)), BYTES_LIT("\x09")));
    assert_err(pins_find(t, repo_pins(r), &leaf, &pin), ERR_CORRUPT);
    repo_close(t, r);
    return OK;
}

static void test_pin_names(void **state)
{
    assert_ok(test_run(pin_names, NULL));
}

static err_t pin_update(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    pin_t pin;
    cid_t a = put_tree(t, repo_blocks(r), 1, 3), b = put_tree(t, repo_blocks(r), 1000, 3);
    assert_err(pins_update(t, p, repo_blocks(r), &a, &b, false), ERR_NOT_FOUND);
    assert_ok(pins_add(t, p, repo_blocks(r), &a, PIN_RECURSIVE, "keep", NULL, NULL));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &a, false));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &b, true));
    assert_int_equal(list_pins(t, r, PIN_RECURSIVE, "keep").n, 2);
    assert_ok(pins_remove(t, p, &b, PIN_ANY));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &b, false));
    assert_ok(pins_find(t, p, &b, &pin));
    assert_string_equal(pin.name, "keep");
    assert_err(pins_find(t, p, &a, &pin), ERR_NOT_FOUND);
    repo_close(t, r);
    return OK;
}

static void test_pin_update(void **state)
{
    assert_ok(test_run(pin_update, NULL));
}

typedef struct verified {
    size_t good, bad;
    cid_t last_bad;
    err_t why;
} verified_t;

static err_t see_verified(task_t *t, void *arg, const pin_t *pin, const cid_t *bad, err_t why)
{
    verified_t *v = arg;
    v->good += !why;
    v->bad += why != OK;
    if (bad)
        v->last_bad = *bad;
    v->why = why;
    return OK;
}

static err_t pin_verify(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    verified_t v = {0};
    cid_t a = put_tree(t, repo_blocks(r), 1, 3), b = put_tree(t, repo_blocks(r), 1000, 3);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &a, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &b, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_verify(t, repo_pins(r), repo_blocks(r), see_verified, &v));
    assert_true(v.good == 2 && v.bad == 0);
    cid_t gone = suite_cid(1001, 500);
    assert_ok(blockstore_remove(t, repo_blockstore(r), &gone, 1));
    v = (verified_t){0};
    assert_ok(pins_verify(t, repo_pins(r), repo_blocks(r), see_verified, &v));
    assert_true(v.good == 1 && v.bad == 1 && cid_equal(&v.last_bad, &gone));
    repo_close(t, r);
    return OK;
}

static void test_pin_verify(void **state)
{
    assert_ok(test_run(pin_verify, NULL));
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
    assert_int_equal(result.removed_blocks, 1 + 10); /* the loose one, and what hung on the missing node */
    assert_true(blocks_has(t, b, &mine) && blocks_has(t, b, &tree) && !blocks_has(t, b, &loose));

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
        cid_t root = put_tree(t, b, s->base + 400 * i, 8);
        err_t e = pins_add(t, repo_pins(s->repo), b, &root, PIN_RECURSIVE, "found", NULL, NULL);
        if (e == ERR_NOT_FOUND) /* collected before it was pinned: no hold was taken */
            continue;
        TRY(e);
        pinned++;
        verified_t v = {0};
        TRY(pins_verify(t, repo_pins(s->repo), b, see_verified, &v));
        SUITE_CHECK(v.bad == 0);
        TRY(pins_remove(t, repo_pins(s->repo), &root, PIN_ANY));
    }
    SUITE_CHECK(pinned > 0);
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
        cmocka_unit_test(test_pinning),       cmocka_unit_test(test_pin_names),
        cmocka_unit_test(test_pin_update),    cmocka_unit_test(test_pin_verify),
        cmocka_unit_test(test_collects),      cmocka_unit_test(test_careful),
        cmocka_unit_test(test_beside),        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_walks),
        cmocka_unit_test(test_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
