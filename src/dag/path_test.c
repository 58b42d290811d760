/* Paths and walks across codecs. UnixFS alone: file_reader_test.c. */
#include "codec/ipld.h"
#include "dag/dag_walk.h"
#include "dag/path.h"
#include "dag/walk.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

typedef struct world {
    task_t *t;
    blocks_map_t *map;
    blocks_t *blocks;
    cid_t file, dir, cbor, json, plain, named;
} world_t;

/* %s in the text: the CID of `link`. */
static cid_t put(world_t *w, uint64_t codec, const char *json, const cid_t *link)
{
    AUTO(buf_t) text, data;
    AUTO_PTR(block_t) block = NULL;
    char link_text[CID_TEXT_MAX] = "";
    cid_t cid;
    buf_init(&text, 4096);
    buf_init(&data, 4096);
    if (link)
        cid_print(link, link_text);
    for (const char *p = json; *p; p++) {
        bool is_link = p[0] == '%' && p[1] == 's';
        assert_ok(buf_append(&text, is_link ? bytes_str(link_text) : bytes_of(p, 1)));
        p += is_link;
    }
    assert_ok(
        ipld_convert(codec == CODEC_JSON ? CODEC_JSON : CODEC_DAG_JSON, buf_bytes(&text), codec, &data));
    assert_ok(cid_of(1, codec, MH_SHA2_256, buf_bytes(&data), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&data), &block));
    assert_ok(blocks_put_many(w->t, w->blocks, &block, 1));
    return cid;
}

static void world_init(world_t *w, task_t *t)
{
    *w = (world_t){.t = t, .map = blocks_map_new(true)};
    w->blocks = blocks_map_blocks(w->map);
    w->file = put(w, CODEC_RAW, "{\"/\":{\"bytes\":\"aGVsbG8K\"}}", NULL);
    w->dir =
        put(w, CODEC_DAG_PB,
            "{\"Data\":{\"/\":{\"bytes\":\"CAE\"}},\"Links\":[{\"Hash\":{\"/\":\"%s\"},\"Name\":\"a.txt\","
            "\"Tsize\":6}]}",
            &w->file);
    w->cbor =
        put(w, CODEC_DAG_CBOR,
            "{\"dir\":{\"/\":\"%s\"},\"v\":{\"s\":\"text\",\"l\":[1,{\"deep\":{\"/\":\"%s\"}}],\"n\":null}}",
            &w->dir);
    w->json = put(w, CODEC_DAG_JSON, "{\"c\":{\"/\":\"%s\"}}", &w->cbor);
    w->plain = put(w, CODEC_JSON, "{\"c\":1,\"d\":[1,{\"/\":\"%s\"}]}", &w->dir);
    w->named = put(w, CODEC_DAG_PB, "{\"Links\":[{\"Hash\":{\"/\":\"%s\"},\"Name\":\"x\"}]}", &w->json);
}

static err_t follow(world_t *w, const char *before, const cid_t *root, const char *behind, cid_t *ret_cid,
                    size_t *ret_rest)
{
    char cid[CID_TEXT_MAX], text[CID_TEXT_MAX + 64];
    dag_path_t *path = xcalloc(1, sizeof *path);
    snprintf(text, sizeof text, "%s%s%s", before, cid_print(root, cid), behind);
    err_t e = dag_path_parse(bytes_str(text), path);
    if (!e)
        e = dag_path_follow_rest(w->t, w->blocks, path, NULL, NULL, ret_cid, ret_rest);
    free(path);
    return e;
}

static void leads_to(world_t *w, const char *before, const cid_t *root, const char *behind, const cid_t *want,
                     size_t want_rest)
{
    cid_t cid;
    size_t rest;
    assert_ok(follow(w, before, root, behind, &cid, &rest));
    if (!cid_equal(&cid, want) || rest != want_rest)
        fail_msg("%s: another CID, or %zu names left", behind, rest);
}

static void leads_nowhere(world_t *w, const char *before, const cid_t *root, const char *behind,
                          const char *why)
{
    cid_t cid;
    size_t rest;
    assert_err(follow(w, before, root, behind, &cid, &rest), ERR_NOT_FOUND);
    assert_true(dag_path_is_no_link(ERR_NOT_FOUND));
    if (!strstr(error_text(ERR_NOT_FOUND), why))
        fail_msg("%s: %s, and not: %s", behind, error_text(ERR_NOT_FOUND), why);
}

static err_t paths(task_t *t, void *arg)
{
    world_t w;
    world_init(&w, t);
    leads_to(&w, "", &w.cbor, "", &w.cbor, 0);
    leads_to(&w, "/ipfs/", &w.cbor, "/dir", &w.dir, 0);
    leads_to(&w, "/ipfs/", &w.cbor, "/dir/a.txt", &w.file, 0);
    leads_to(&w, "/ipfs/", &w.cbor, "/v/l/1/deep/a.txt", &w.file, 0);
    leads_to(&w, "/ipfs/", &w.cbor, "/v/l/01/deep", &w.dir, 0);
    leads_to(&w, "/ipfs/", &w.cbor, "/v", &w.cbor, 1);
    leads_to(&w, "/ipfs/", &w.cbor, "/v/l/0", &w.cbor, 3);
    leads_to(&w, "/ipfs/", &w.json, "/c/dir/a.txt", &w.file, 0);
    leads_to(&w, "/ipfs/", &w.json, "/c/v/s", &w.cbor, 2);
    leads_to(&w, "/ipfs/", &w.named, "/x/c/dir", &w.dir, 0);
    leads_to(&w, "/ipfs/", &w.plain, "/d/1", &w.plain, 2);
    leads_to(&w, "/ipld/", &w.dir, "/Links/0/Hash", &w.file, 0);
    leads_to(&w, "/ipld/", &w.dir, "/Links/0/Name", &w.dir, 3);
    leads_to(&w, "/ipld/", &w.cbor, "/dir/Links", &w.dir, 1);
    leads_nowhere(&w, "", &w.cbor, "/nope", "key not found: \"nope\"");
    leads_nowhere(&w, "", &w.cbor, "/v/nope/more", "no link named \"nope\" under bafyrei");
    leads_nowhere(&w, "", &w.cbor, "/v/l/2", "key not found: \"2\"");
    leads_nowhere(&w, "", &w.cbor, "/v/l/x", "invalid segment for lookup on a list: \"x\"");
    leads_nowhere(&w, "", &w.cbor, "/v/s/more", "called on a string node");
    leads_nowhere(&w, "", &w.cbor, "/dir/nope", "no link named \"nope\" under bafybei");
    leads_nowhere(&w, "", &w.cbor, "/dir/a.txt/x", "called on a bytes node");
    leads_nowhere(&w, "", &w.named, "/y", "no link named \"y\"");
    leads_nowhere(&w, "", &w.plain, "/d/1/~1/x", "no link named \"~1\"");
    leads_nowhere(&w, "/ipld/", &w.dir, "/a.txt", "no link named \"a.txt\"");
    blocks_map_free(w.map);
    return OK;
}

static void test_paths(void **state)
{
    assert_ok(test_run(paths, NULL));
}

/* Blocks that are not here, not of their codec, or of a codec that cannot be read. */
static err_t broken(task_t *t, void *arg)
{
    world_t w;
    AUTO_PTR(block_t) block = NULL;
    cid_t cid, got;
    size_t rest;
    world_init(&w, t);
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, BYTES_LIT("\xa1"), &cid));
    assert_err(follow(&w, "", &cid, "/x", &got, &rest), ERR_NOT_FOUND);
    assert_false(dag_path_is_no_link(ERR_NOT_FOUND));
    assert_ok(block_copy(&cid, BYTES_LIT("\xa1"), &block));
    assert_ok(blocks_put_many(t, w.blocks, &block, 1));
    assert_err(follow(&w, "", &cid, "/x", &got, &rest), ERR_CORRUPT);
    block_release(block);
    block = NULL;
    assert_ok(cid_of(1, 0x90, MH_SHA2_256, BYTES_LIT("{}"), &cid)); /* eth-block */
    assert_ok(block_copy(&cid, BYTES_LIT("{}"), &block));
    assert_ok(blocks_put_many(t, w.blocks, &block, 1));
    assert_err(follow(&w, "", &cid, "/x", &got, &rest), ERR_UNSUPPORTED);
    assert_ok(follow(&w, "", &cid, "", &got, &rest));
    blocks_map_free(w.map);
    return OK;
}

static void test_broken(void **state)
{
    assert_ok(test_run(broken, NULL));
}

static void no_visit(void *arg, const cid_t *cid)
{
    ++*(size_t *)arg;
}

/* A path that ends inside of a block: for who asks for a block, it is the CID alone, or a refusal. */
static err_t inside(task_t *t, void *arg)
{
    world_t w;
    cid_t cid;
    size_t visited = 0;
    dag_path_t *path = xcalloc(1, sizeof *path);
    AUTO(dag_node_t) node = {0};
    world_init(&w, t);
    assert_ok(dag_path_parse_rest(&w.json, BYTES_LIT("c/v/s"), path));
    assert_err(dag_path_follow(t, w.blocks, path, no_visit, &visited, &cid), ERR_UNSUPPORTED);
    assert_int_equal(visited, 2); /* json, cbor */
    assert_ok(dag_path_resolve_cid(t, w.blocks, path, &cid));
    assert_true(cid_equal(&cid, &w.cbor));
    assert_err(dag_path_resolve(t, w.blocks, path, &node), ERR_UNSUPPORTED);
    assert_ok(dag_path_parse_rest(&w.json, BYTES_LIT("c/dir"), path));
    assert_ok(dag_path_follow(t, w.blocks, path, NULL, NULL, &cid));
    assert_ok(dag_path_resolve(t, w.blocks, path, &node));
    assert_true(dag_node_is_dir(&node));
    free(path);
    blocks_map_free(w.map);
    return OK;
}

static void test_inside(void **state)
{
    assert_ok(test_run(inside, NULL));
}

static err_t count(task_t *t, void *arg, block_t *block)
{
    ++*(size_t *)arg;
    return OK;
}

/* From the dag-json root all is reached: json, cbor, dir, file. */
static err_t walks(task_t *t, void *arg)
{
    world_t w;
    size_t visited = 0, steps = 0;
    dag_stat_t stat;
    walk_step_t step;
    bool has = true;
    world_init(&w, t);
    assert_ok(dag_walk(t, w.blocks, &w.json, count, &visited));
    assert_int_equal(visited, 4);
    assert_ok(dag_stat(t, w.blocks, &w.json, NULL, NULL, &stat));
    assert_int_equal(stat.blocks, 4);
    AUTO(walk_t) walk;
    walk_init(&walk, w.blocks, &w.cbor, (walk_options_t){.max_depth = 1});
    for (; has; steps += has) {
        assert_ok(walk_next(t, &walk, &step, &has));
        if (has && step.depth)
            assert_true(cid_equal(&step.cid, &w.dir) && cid_equal(&step.parent, &w.cbor) && !step.name.len);
    }
    assert_int_equal(steps, 3); /* twice the directory */
    blocks_map_free(w.map);
    return OK;
}

static void test_walks(void **state)
{
    assert_ok(test_run(walks, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
