/* rpc_dag: dag/put, dag/get, dag/resolve, dag/stat, resolve. Reference: ipfs/kubo core/commands/dag. The
 * archives: rpc_car.c. */
#include "api/convert.h"
#include "api/rpc_util.h"
#include "api/unzlib.h"
#include "codec/ipld_tree.h"
#include "dag/cid_set.h"
#include "dag/dag_walk.h"
#include "dag/path.h"
#include "multi/multicodec.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GET_MAX_BYTES = 64 << 20,
    /* Kubo's own number for objects of git as they lie in its folder: compressed. Only read. */
    CODEC_GIT_ZLIB = CODEC_PRIVATE_FIRST + CODEC_GIT_RAW,
};

/* To the RPC's clients all that is wrong with a block is one kind of failure. */
static err_t invalid(err_t e)
{
    error_slot_t inner = *error_slot();
    return e == ERR_UNSUPPORTED || e == ERR_EOF ? fail(ERR_INVALID, "%s", inner.text) : e;
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */
typedef struct dag_put {
    rpc_put_t how; /* codec: that it is stored in */
    uint64_t input_codec;
} dag_put_t;

static err_t put_options(rpc_t *r, dag_put_t *p)
{
    *p = (dag_put_t){.how.version = 1};
    TRY(rpc_codec_option(r, "input-codec", "dag-json", &p->input_codec));
    TRY(rpc_codec_option(r, "store-codec", "dag-cbor", &p->how.codec));
    const char *hash = config_str(repo_config(node_repo(r->node)), "Import.HashFunction", "sha2-256");
    TRY(rpc_codec_option(r, "hash", hash, &p->how.hash));
    if (!ipld_has_codec(p->input_codec) && p->input_codec != CODEC_GIT_ZLIB)
        return fail(ERR_INVALID, "no decoder registered for multicodec code %" PRIu64 " (0x%" PRIx64 ")",
                    p->input_codec, p->input_codec);
    if (!ipld_has_codec(p->how.codec))
        return fail(ERR_INVALID, "no encoder registered for multicodec code %" PRIu64 " (0x%" PRIx64 ")",
                    p->how.codec, p->how.codec);
    return OK;
}

static err_t convert_input(void *arg, bytes_t input, buf_t *out)
{
    const dag_put_t *p = arg;
    AUTO(ipld_tree_t) tree = {0};
    AUTO(buf_t) plain = {0};
    if (p->input_codec == CODEC_GIT_ZLIB) {
        buf_init(&plain, GET_MAX_BYTES);
        TRY(unzlib(input, &plain));
        TRY(ipld_tree_read(&tree, CODEC_GIT_RAW, buf_bytes(&plain), 0));
    } else {
        TRY(ipld_tree_read(&tree, p->input_codec, input, IPLD_JSON_INT64));
    }
    return ipld_tree_write(&tree, 0, p->how.codec, out);
}

static err_t put_one(task_t *t, rpc_t *r, void *arg, bytes_t input)
{
    const dag_put_t *p = arg;
    AUTO(buf_t) data = {0};
    char text[CID_TEXT_MAX];
    cid_t cid;
    buf_init(&data, GET_MAX_BYTES);
    err_t e = api_convert(t, convert_input, arg, input, &data);
    if (e)
        return invalid(e);
    TRY(rpc_put_block(t, r, &p->how, buf_bytes(&data), &cid));
    return rpc_emit(t, r, json_pack("{s:{s:s}}", "Cid", "/", rpc_cid(r, &cid, text)));
}

static err_t rpc_dag_put(task_t *t, rpc_t *r)
{
    dag_put_t p;
    TRY(put_options(r, &p));
    return rpc_each_upload(t, r, "object data", put_one, &p);
}

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct place {
    node_session_t session;
    buf_t text; /* as it was asked for, names under /ipns resolved; the path borrows from it */
    dag_path_t path;
    cid_t cid;
    size_t rest; /* the last segments of the path: inside of the block */
} place_t;

static void place_free(place_t *p)
{
    node_session_close(&p->session);
    buf_deinit(&p->text);
    free(p);
}
AUTO_PTR_DEFINE(place_t, place_free)

static err_t find_place(task_t *t, rpc_t *r, const char *text, place_t **ret)
{
    AUTO_PTR(place_t) p = xcalloc(1, sizeof *p); /* large for a task's stack */
    buf_init(&p->text, RPC_PATH_MAX_BYTES);
    TRY(rpc_content_path(t, r, text, &p->text));
    TRY(dag_path_parse(buf_bytes(&p->text), &p->path));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &p->session));
    TRY(dag_path_follow_rest(t, p->session.blocks, &p->path, NULL, NULL, &p->cid, &p->rest));
    *ret = p;
    p = NULL;
    return OK;
}

/* ── get ─────────────────────────────────────────────────────────────────────────────────────── */
typedef struct dag_get {
    const place_t *place;
    uint64_t codec;
} dag_get_t;

static err_t write_value(void *arg, bytes_t block, buf_t *out)
{
    const dag_get_t *get = arg;
    const place_t *p = get->place;
    uint64_t codec = get->codec;
    const char *name = multicodec_name(codec);
    AUTO(ipld_tree_t) tree = {0};
    size_t at = 0;
    TRY(ipld_tree_read(&tree, p->cid.codec, block, 0));
    for (size_t i = p->path.count - p->rest; i < p->path.count; i++)
        TRY(ipld_tree_find(&tree, at, p->path.segments[i], &at));
    if (!ipld_has_codec(codec))
        return fail(ERR_INVALID,
                    "invalid encoding: %s - no encoder registered for multicodec code %" PRIu64 " (0x%" PRIx64
                    ")",
                    name ? name : "private use", codec, codec);
    return ipld_tree_write(&tree, at, codec, out);
}

static err_t rpc_dag_get(task_t *t, rpc_t *r)
{
    AUTO_PTR(place_t) p = NULL;
    AUTO_PTR(block_t) block = NULL;
    AUTO(buf_t) out = {0};
    uint64_t codec;
    TRY(rpc_codec_option(r, "output-codec", "dag-json", &codec));
    TRY(find_place(t, r, r->args[0], &p));
    TRY(blocks_get(t, p->session.blocks, &p->cid, &block));
    buf_init(&out, GET_MAX_BYTES);
    dag_get_t get = {p, codec};
    err_t e = api_convert(t, write_value, &get, block_bytes(block), &out);
    if (e)
        return invalid(e);
    TRY(rpc_begin_bytes(t, r, NULL, -1));
    return exchange_write(t, r->x, buf_bytes(&out));
}

/* ── resolve ─────────────────────────────────────────────────────────────────────────────────── */
/* "/a/b": the names that lead on inside of the block. */
static err_t print_rest(const place_t *p, buf_t *out)
{
    for (size_t i = p->path.count - p->rest; i < p->path.count; i++) {
        TRY(buf_append(out, BYTES_LIT("/")));
        TRY(buf_append(out, p->path.segments[i]));
    }
    return OK;
}

static err_t rpc_dag_resolve(task_t *t, rpc_t *r)
{
    AUTO_PTR(place_t) p = NULL;
    AUTO(buf_t) rest = {0};
    char text[CID_TEXT_MAX];
    TRY(find_place(t, r, r->args[0], &p));
    buf_init(&rest, p->text.len + 2);
    TRY(print_rest(p, &rest));
    return rpc_emit(t, r,
                    json_pack("{s:{s:s}, s:o}", "Cid", "/", rpc_cid(r, &p->cid, text), "RemPath",
                              rpc_bytes_json(buf_bytes(&rest))));
}

/* Without a base asked for, the CID is printed in the base of the one in the path. */
static err_t rpc_resolve(task_t *t, rpc_t *r)
{
    AUTO_PTR(place_t) p = NULL;
    AUTO(buf_t) out = {0};
    char text[CID_TEXT_MAX];
    AUTO(buf_t) clean = {0};
    const char *path;
    buf_init(&clean, RPC_PATH_MAX_BYTES);
    TRY(rpc_clean_path(r->args[0], &clean));
    TRY(buf_cstr(&clean, &path));
    if (!strncmp(path, "/ipns/", 6) && !rpc_bool(r, "recursive", true))
        return rpc_resolve_name(t, r, path, false, false);
    TRY(find_place(t, r, path, &p));
    buf_init(&out, p->text.len + CID_TEXT_MAX + 16);
    TRY(buf_printf(&out, "/%s/%s", p->path.is_data ? "ipld" : "ipfs",
                   r->cid_base ? rpc_cid(r, &p->cid, text)
                               : cid_print_as_in_path(&p->cid, buf_bytes(&p->text), text)));
    TRY(print_rest(p, &out));
    return rpc_emit(t, r, json_pack("{s:o}", "Path", rpc_bytes_json(buf_bytes(&out))));
}

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct dag_count {
    rpc_t *r;
    cid_set_t seen; /* under all roots */
    uint64_t unique_blocks, total_bytes, redundant_bytes;
    struct {
        cid_t cid;
        uint64_t blocks, bytes;
    } * roots;
    size_t n_roots;
    bool shows_progress;
} dag_count_t;

/* A float of 32 bits with the fewest digits that read the same, as Go prints it. */
static void print_ratio(float ratio, char out[32])
{
    for (int digits = 1; digits < 10; digits++) {
        snprintf(out, 32, "%.*g", digits, ratio);
        if (strtof(out, NULL) == ratio)
            return;
    }
}

static err_t put_number(buf_t *out, const char *name, uint64_t value)
{
    return value ? buf_printf(out, "\"%s\":%" PRIu64 ",", name, value) : OK;
}

/* Zeros are left out, as the reference does. While it goes on there is no summary but the total. */
static err_t emit_counts(task_t *t, const dag_count_t *c, bool is_final)
{
    AUTO(buf_t) out = {0};
    char text[CID_TEXT_MAX], ratio[32];
    buf_init(&out, 1024 + c->n_roots * (CID_TEXT_MAX + 100));
    TRY(buf_append(&out, BYTES_LIT("{")));
    if (is_final)
        TRY(put_number(&out, "UniqueBlocks", c->unique_blocks));
    TRY(put_number(&out, "TotalSize", c->total_bytes));
    if (is_final) {
        TRY(put_number(&out, "SharedSize", c->redundant_bytes - c->total_bytes));
        print_ratio((float)c->redundant_bytes / (float)c->total_bytes, ratio);
        if (c->total_bytes)
            TRY(buf_printf(&out, "\"Ratio\":%s,", ratio));
    }
    TRY(buf_append(&out, BYTES_LIT("\"DagStats\":[")));
    for (size_t i = 0; i < c->n_roots; i++) {
        TRY(buf_printf(&out, "%s{\"Cid\":\"%s\"", i ? "," : "", rpc_cid(c->r, &c->roots[i].cid, text)));
        if (c->roots[i].bytes)
            TRY(buf_printf(&out, ",\"Size\":%" PRIu64, c->roots[i].bytes));
        if (c->roots[i].blocks)
            TRY(buf_printf(&out, ",\"NumBlocks\":%" PRIu64, c->roots[i].blocks));
        TRY(buf_append(&out, BYTES_LIT("}")));
    }
    TRY(buf_append(&out, BYTES_LIT("]}\n")));
    return rpc_emit_text(t, c->r, buf_bytes(&out));
}

static err_t count_block(task_t *t, void *arg, block_t *block)
{
    dag_count_t *c = arg;
    bool is_new;
    TRY(cid_set_add(&c->seen, &block->cid, &is_new));
    c->roots[c->n_roots - 1].blocks++;
    c->roots[c->n_roots - 1].bytes += block->len;
    c->redundant_bytes += block->len;
    c->unique_blocks += is_new;
    c->total_bytes += is_new ? block->len : 0;
    return c->shows_progress ? emit_counts(t, c, false) : OK;
}

static err_t count_root(task_t *t, dag_count_t *c, const char *text)
{
    AUTO_PTR(place_t) p = NULL;
    TRY(find_place(t, c->r, text, &p));
    if (p->rest)
        return fail(ERR_INVALID, "cannot return size for anything other than a DAG with a root CID");
    c->roots[c->n_roots++].cid = p->cid;
    err_t e = dag_walk(t, p->session.blocks, &p->cid, count_block, c);
    if (e != ERR_NOT_FOUND || !c->roots[c->n_roots - 1].blocks)
        return e;
    error_slot_t inner = *error_slot();
    return fail(e, "error traversing DAG: %s", inner.text);
}

static err_t rpc_dag_stat(task_t *t, rpc_t *r)
{
    dag_count_t c = {.r = r, .shows_progress = rpc_bool(r, "progress", true)};
    err_t e = OK;
    cid_set_init(&c.seen);
    c.roots = xcalloc(r->n_args, sizeof *c.roots);
    for (size_t i = 0; i < r->n_args && !e; i++)
        e = count_root(t, &c, r->args[i]);
    if (!e)
        e = emit_counts(t, &c, true);
    free(c.roots);
    cid_set_deinit(&c.seen);
    return e;
}

const rpc_command_t rpc_dag_commands[] = {
    {"dag/put", rpc_dag_put, 0, 0, NULL},
    {"dag/get", rpc_dag_get, 1, 1, "ref"},
    {"dag/resolve", rpc_dag_resolve, 1, 1, "ref"},
    {"resolve", rpc_resolve, 1, 1, "name"},
    {"dag/stat", rpc_dag_stat, 1, RPC_MAX_ARGS, "root"},
    {NULL, NULL, 0, 0, NULL},
};
