/* rpc_block: block/… Reference: ipfs/kubo core/commands/block.go. */
#include "api/rpc_util.h"
#include "api/upload.h"
#include "base/log.h"
#include "multi/multicodec.h"
#include <stdlib.h>

enum { BLOCK_PUT_MAX = 4 << 20 }; /* what may be read before it is refused by its own limit */

static err_t rpc_block_get(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(blocks_get(t, session.blocks, &cid, &block));
    TRY(rpc_begin_bytes(t, r, "application/vnd.ipld.raw", (int64_t)block->len));
    return exchange_write(t, r->x, block_bytes(block));
}

static err_t emit_key(task_t *t, rpc_t *r, const cid_t *cid, size_t size)
{
    char text[CID_TEXT_MAX];
    return rpc_emit(t, r, json_pack("{s:s, s:I}", "Key", rpc_cid(r, cid, text), "Size", (json_int_t)size));
}

static err_t rpc_block_stat(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(blocks_get(t, session.blocks, &cid, &block));
    return emit_key(t, r, &cid, block->len);
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */
typedef struct put_format {
    uint64_t codec, hash;
    uint8_t version;
} put_format_t;

/* `format` is the older option: v0 gives CIDv0, the others CIDv1 of dag-pb, dag-cbor or raw. */
static err_t put_options(rpc_t *r, put_format_t *ret)
{
    const char *codec = rpc_option(r, "cid-codec"), *format = rpc_option(r, "format");
    const char *hash = rpc_option(r, "mhtype");
    put_format_t f = {.codec = CODEC_RAW, .hash = MH_SHA2_256, .version = 1};
    if (hash && *hash && multicodec_from_name(hash, &f.hash))
        return fail(ERR_USAGE, "unrecognized multihash function: %s", hash);
    if (format && *format) {
        if (codec && *codec && strcmp(codec, "raw"))
            return fail(ERR_USAGE,
                        "unable to use \"format\" (deprecated) and a custom \"cid-codec\" at the same time");
        bool is_v0 = !strcmp(format, "v0");
        f.version = is_v0 ? 0 : 1;
        codec = is_v0 || !strcmp(format, "protobuf") ? "dag-pb"
                : !strcmp(format, "cbor")            ? "dag-cbor"
                                                     : format;
        if (is_v0 && f.hash != MH_SHA2_256)
            f.version = 1;
    }
    if (codec && *codec && multicodec_from_name(codec, &f.codec))
        return fail(ERR_USAGE, "unknown multicodec: \"%s\"", codec);
    *ret = f;
    return OK;
}

static err_t put_one(task_t *t, rpc_t *r, put_format_t f, bytes_t data)
{
    cid_t cid;
    AUTO_PTR(block_t) block = NULL;
    if (data.len > BLOCK_MAX_BYTES)
        return fail(ERR_LIMIT, "produced block is over 2MiB: big blocks can't be exchanged with other peers");
    TRY(cid_of(f.version, f.codec, f.hash, data, &cid));
    if (!cid_is_identity(&cid))
        TRY(cid_check_hash_allowed(&cid));
    AUTO(gc_hold_t) hold = gc_hold(repo_gc(node_repo(r->node)));
    TRY(block_copy(&cid, data, &block));
    if (!cid_is_identity(&cid))
        TRY(blockstore_put(t, repo_blockstore(node_repo(r->node)), block));
    if (rpc_bool(r, "pin", false))
        TRY(pins_add_present(t, repo_pins(node_repo(r->node)), &cid, PIN_RECURSIVE, NULL));
    node_announce(r->node, &cid);
    char text[CID_TEXT_MAX];
    log_info("block added", LOG_STR("cid", cid_print(&cid, text)), LOG_UINT("size", data.len));
    return emit_key(t, r, &cid, data.len);
}

static err_t rpc_block_put(task_t *t, rpc_t *r)
{
    AUTO(upload_t) u = {0};
    AUTO(buf_t) data = {0};
    put_format_t f;
    size_t count = 0;
    TRY(put_options(r, &f));
    if (upload_init(&u, r->x))
        return fail(ERR_USAGE, "file argument 'data' is required");
    for (;; count++) {
        bool has;
        TRY(upload_next(t, &u, &has));
        if (!has)
            break;
        buf_init(&data, BLOCK_PUT_MAX);
        TRY(upload_read_all(t, &u, &data));
        TRY(put_one(t, r, f, buf_bytes(&data)));
        buf_deinit(&data);
    }
    return count ? OK : fail(ERR_USAGE, "file argument 'data' is required");
}

/* ── rm ──────────────────────────────────────────────────────────────────────────────────────── */
static err_t remove_one(task_t *t, rpc_t *r, const pin_check_t *c)
{
    char text[CID_TEXT_MAX];
    const cid_t *cid = &c->pin.cid;
    if (c->pin.mode)
        return fail(ERR_IN_USE, c->pin.mode == PIN_INDIRECT ? "pinned via %s" : "pinned: %s",
                    c->pin.mode == PIN_INDIRECT ? cid_print(&c->through, text) : pin_mode_name(c->pin.mode));
    if (!blockstore_has(t, repo_blockstore(node_repo(r->node)), cid) && !rpc_bool(r, "force", false))
        return fail(ERR_NOT_FOUND, "ipld: could not find %s", cid_print(cid, text));
    return blockstore_remove(t, repo_blockstore(node_repo(r->node)), cid, 1);
}

static err_t remove_checked(task_t *t, rpc_t *r, const pin_check_t *checks)
{
    bool quiet = rpc_bool(r, "quiet", false);
    for (size_t i = 0; i < r->n_args; i++) {
        char text[CID_TEXT_MAX];
        err_t e = remove_one(t, r, &checks[i]);
        if (!e && quiet)
            continue;
        json_t *o = json_pack("{s:s}", "Hash", rpc_cid(r, &checks[i].pin.cid, text));
        if (e)
            json_object_set_new(o, "Error", rpc_bytes_json(bytes_str(error_text(e))));
        TRY(rpc_emit(t, r, o));
    }
    return OK;
}

static err_t rpc_block_rm(task_t *t, rpc_t *r)
{
    pin_check_t *checks = xcalloc(r->n_args, sizeof *checks);
    err_t e = OK;
    for (size_t i = 0; i < r->n_args && !e; i++)
        e = rpc_resolve_cid(t, r, r->args[i], &checks[i].pin.cid);
    if (!e)
        e = pins_check(t, repo_pins(node_repo(r->node)), node_local_blocks(r->node), PIN_ANY, checks,
                       r->n_args);
    if (!e)
        e = remove_checked(t, r, checks);
    free(checks);
    return e;
}

const rpc_command_t rpc_block_commands[] = {
    {"block/get", rpc_block_get, 1, 1, "cid"},
    {"block/stat", rpc_block_stat, 1, 1, "cid"},
    {"block/put", rpc_block_put, 0, 0, NULL},
    {"block/rm", rpc_block_rm, 1, RPC_MAX_ARGS, "cid"},
    {NULL, NULL, 0, 0, NULL},
};
