/* Links added and removed, and what tells the difference. */
#include "codec/ipld.h"
#include "dag/diff.h"
#include "dag/patch.h"
#include "dag/path.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

typedef struct world {
    task_t *t;
    blocks_map_t *map;
    blocks_t *blocks;
    cid_t empty, file, shard, other; /* folder, raw leaf, HAMT shard, dag-cbor */
    char changes[4096];
} world_t;

static cid_t put(world_t *w, uint8_t version, uint64_t codec, const char *json)
{
    AUTO(buf_t) data;
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    buf_init(&data, 4096);
    assert_ok(ipld_convert(CODEC_DAG_JSON, bytes_str(json), codec, &data));
    assert_ok(cid_of(version, codec, MH_SHA2_256, buf_bytes(&data), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&data), &block));
    assert_ok(blocks_put_many(w->t, w->blocks, &block, 1));
    return cid;
}

static void world_init(world_t *w, task_t *t)
{
    *w = (world_t){.t = t, .map = blocks_map_new(true)};
    w->blocks = blocks_map_blocks(w->map);
    w->empty = put(w, 0, CODEC_DAG_PB, "{\"Data\":{\"/\":{\"bytes\":\"CAE\"}},\"Links\":[]}");
    w->file = put(w, 1, CODEC_RAW, "{\"/\":{\"bytes\":\"aGVsbG8K\"}}");
    w->shard = put(w, 1, CODEC_DAG_PB, "{\"Data\":{\"/\":{\"bytes\":\"CAUSASAoIjCAAg\"}},\"Links\":[]}");
    w->other = put(w, 1, CODEC_DAG_CBOR, "{\"a\":1}");
}

static cid_t add_link(world_t *w, const cid_t *root, const char *path, const cid_t *child)
{
    cid_t changed;
    assert_ok(patch_add_link(w->t, w->blocks, root, bytes_str(path), child,
                             (patch_options_t){.makes_parents = true}, &changed));
    return changed;
}

static cid_t find(world_t *w, const cid_t *root, const char *path)
{
    dag_path_t *p = xcalloc(1, sizeof *p);
    cid_t cid;
    assert_ok(dag_path_parse_rest(root, bytes_str(path), p));
    assert_ok(dag_path_resolve_cid(w->t, w->blocks, p, &cid));
    free(p);
    return cid;
}

static err_t note(task_t *t, void *arg, const dag_change_t *c)
{
    world_t *w = arg;
    size_t n = strlen(w->changes);
    assert_true((c->before != NULL) == (c->kind != DAG_ADDED) &&
                (c->after != NULL) == (c->kind != DAG_REMOVED));
    snprintf(w->changes + n, sizeof w->changes - n, "%c%.*s ", "+-~"[c->kind], (int)c -> path.len,
             (const char *)c->path.data);
    return OK;
}

static const char *changes(world_t *w, const cid_t *a, const cid_t *b)
{
    w->changes[0] = 0;
    assert_ok(dag_diff(w->t, w->blocks, a, b, note, w));
    return w->changes;
}

static err_t patches(task_t *t, void *arg)
{
    world_t w;
    cid_t got;
    world_init(&w, t);
    cid_t one = add_link(&w, &w.empty, "b", &w.file);
    cid_t two = add_link(&w, &one, "a/deep/er", &w.other);
    assert_int_equal(two.version, 0); /* as the root was */
    got = find(&w, &two, "a/deep/er");
    assert_true(cid_equal(&got, &w.other));
    got = find(&w, &two, "b");
    assert_true(cid_equal(&got, &w.file));
    /* what is replaced is gone, what is removed is as if it had never been there */
    cid_t three = add_link(&w, &two, "b", &w.empty);
    got = find(&w, &three, "b");
    assert_true(cid_equal(&got, &w.empty));
    assert_ok(patch_remove_link(t, w.blocks, &two, BYTES_LIT("a"), (patch_options_t){0}, &got));
    assert_true(cid_equal(&got, &one));
    assert_ok(patch_remove_link(t, w.blocks, &one, BYTES_LIT("b"), (patch_options_t){0}, &got));
    assert_true(cid_equal(&got, &w.empty));
    assert_ok(patch_remove_link(t, w.blocks, &two, BYTES_LIT("a/deep/er"), (patch_options_t){0}, &got));
    assert_string_equal(changes(&w, &two, &got), "-a/deep/er ");
    blocks_map_free(w.map);
    return OK;
}

static void test_patches(void **state)
{
    assert_ok(test_run(patches, NULL));
}

static void refused(world_t *w, bool adds, const cid_t *root, const char *path, const char *why)
{
    cid_t got;
    err_t e =
        adds ? patch_add_link(w->t, w->blocks, root, bytes_str(path), &w->file, (patch_options_t){0}, &got)
             : patch_remove_link(w->t, w->blocks, root, bytes_str(path), (patch_options_t){0}, &got);
    assert_err(e, ERR_INVALID);
    if (!strstr(error_text(e), why))
        fail_msg("%s: %s, and not: %s", path, error_text(e), why);
}

static err_t refusals(task_t *t, void *arg)
{
    world_t w;
    cid_t got;
    char deep[2 * 300 + 1];
    world_init(&w, t);
    cid_t plain = put(&w, 1, CODEC_DAG_PB, "{\"Links\":[]}");
    cid_t pb_file =
        put(&w, 1, CODEC_DAG_PB, "{\"Data\":{\"/\":{\"bytes\":\"CAISBmhlbGxvChgG\"}},\"Links\":[]}");
    refused(&w, true, &w.other, "x", "expected protobuf dag node");
    refused(&w, true, &plain, "x", "cannot add named links to a non-UnixFS dag-pb node");
    refused(&w, false, &plain, "x", "cannot remove links from a non-UnixFS dag-pb node");
    refused(&w, true, &w.shard, "x", "HAMTShard");
    refused(&w, false, &w.shard, "x", "'ipfs files rm'");
    refused(&w, true, &pb_file, "x", "cannot add named links to a UnixFS File node");
    refused(&w, false, &pb_file, "x", "cannot remove links from a UnixFS File node");
    refused(&w, true, &w.empty, "", "cannot create link with no name");
    refused(&w, true, &w.empty, "x/y", "no link by that name");
    refused(&w, false, &w.empty, "x", "no link by that name");
    cid_t root = add_link(&w, &w.empty, "f", &w.file);
    refused(&w, true, &root, "f/x", "expected protobuf dag node");
    assert_ok(patch_add_link(t, w.blocks, &plain, BYTES_LIT("x"), &w.file,
                             (patch_options_t){.allows_any_node = true}, &got));
    for (size_t i = 0; i < 300; i++)
        memcpy(deep + 2 * i, "a/", 3);
    assert_err(patch_add_link(t, w.blocks, &w.empty, bytes_str(deep), &w.file,
                              (patch_options_t){.makes_parents = true}, &got),
               ERR_LIMIT);
    blocks_map_free(w.map);
    return OK;
}

static void test_refusals(void **state)
{
    assert_ok(test_run(refusals, NULL));
}

static err_t differences(task_t *t, void *arg)
{
    world_t w;
    world_init(&w, t);
    cid_t a = add_link(&w, &w.empty, "x/one", &w.file);
    a = add_link(&w, &a, "x/two", &w.file);
    a = add_link(&w, &a, "gone", &w.file);
    cid_t b = add_link(&w, &w.empty, "x/one", &w.other);
    b = add_link(&w, &b, "x/three", &w.file);
    b = add_link(&w, &b, "came/too", &w.file);
    assert_string_equal(changes(&w, &a, &b), "~x/one -x/two +x/three -gone +came ");
    assert_string_equal(changes(&w, &b, &a), "~x/one -x/three +x/two -came +gone ");
    assert_string_equal(changes(&w, &a, &a), "");
    assert_string_equal(changes(&w, &w.file, &w.other), "~ ");
    assert_string_equal(changes(&w, &w.empty, &w.shard), "~ ");
    assert_string_equal(changes(&w, &w.empty, &a), "+gone +x ");
    cid_t absent = cid_of_sha256(1, CODEC_DAG_PB, (const uint8_t[32]){1});
    assert_err(dag_diff(t, w.blocks, &absent, &a, note, &w), ERR_NOT_FOUND);
    blocks_map_free(w.map);
    return OK;
}

static void test_differences(void **state)
{
    assert_ok(test_run(differences, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
