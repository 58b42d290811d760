/* rpc_block: block/… Reference: ipfs/kubo core/commands/block.go. */
#include "api/rpc_util.h"
#include "base/log.h"
#include "multi/multicodec.h"
#include <errno.h>
#include <stdlib.h>

static err_t find_block(task_t *t, rpc_t *r, block_t **ret)
{
    AUTO(node_session_t) session = {0};
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    return blocks_get(t, session.blocks, &cid, ret);
}

static err_t rpc_block_get(task_t *t, rpc_t *r)
{
    AUTO_PTR(block_t) block = NULL;
    TRY(find_block(t, r, &block));
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
    AUTO_PTR(block_t) block = NULL;
    TRY(find_block(t, r, &block));
    return emit_key(t, r, &block->cid, block->len);
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */
static err_t cid_of_block(const rpc_put_t *p, bytes_t data, cid_t *ret_cid)
{
    size_t len = data.len;
    if (p->hash == MH_IDENTITY) /* before it is hashed: what is too long has no form */
        TRY(multihash_check_allowed(MH_IDENTITY, data.len));
    else if (p->digest_len)
        len = p->digest_len;
    else
        TRY(multihash_natural_len(p->hash, &len));
    TRY(cid_of_length(p->version, p->codec, p->hash, len, data, ret_cid));
    return cid_check_hash_allowed(ret_cid);
}

err_t rpc_put_block(task_t *t, rpc_t *r, const rpc_put_t *p, bytes_t data, cid_t *ret_cid)
{
    repo_t *repo = node_repo(r->node);
    char text[CID_TEXT_MAX];
    cid_t cid;
    AUTO_PTR(block_t) block = NULL;
    if (!rpc_bool(r, "allow-big-block", false))
        TRY(block_check_exchangeable(data.len));
    TRY(cid_of_block(p, data, &cid));
    AUTO(gc_hold_t) hold = gc_hold(repo_gc(repo));
    TRY(block_copy(&cid, data, &block));
    if (!cid_is_identity(&cid))
        TRY(blockstore_put(t, repo_blockstore(repo), block));
    bool is_pinned = rpc_bool(r, "pin", false);
    if (is_pinned)
        TRY(pins_add_present(t, repo_pins(repo), &cid, PIN_RECURSIVE, NULL));
    if (is_pinned || !node_provides_pins_alone(r->node))
        node_announce(r->node, &cid);
    else
        node_offer(r->node, &cid);
    log_info("block added", LOG_STR("cid", cid_print(&cid, text)), LOG_UINT("size", data.len));
    *ret_cid = cid;
    return OK;
}

/* A code of the table, as a number: "113", "0x71". */
static bool codec_from_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long code = strtoull(text, &end, 0);
    bool is_known = (code >= CODEC_PRIVATE_FIRST && code <= CODEC_PRIVATE_LAST) || multicodec_name(code);
    if (text[0] < '0' || text[0] > '9' || *end || errno || !is_known)
        return false;
    *ret = code;
    return true;
}

err_t rpc_codec_option(rpc_t *r, const char *name, const char *otherwise, uint64_t *ret_codec)
{
    const char *text = rpc_option(r, name);
    text = text && *text ? text : otherwise;
    return codec_from_number(text, ret_codec) || !multicodec_from_name(text, ret_codec)
               ? OK
               : fail(ERR_INVALID, "unknown multicodec: \"%s\"", text);
}

/* `format` is the older option: v0 gives CIDv0, the others CIDv1 of dag-pb, dag-cbor or raw. */
static err_t read_format(rpc_t *r, const char *format, rpc_put_t *p)
{
    const char *codec = rpc_option(r, "cid-codec");
    bool is_v0 = !strcmp(format, "v0");
    if (codec && *codec && strcmp(codec, "raw"))
        return fail(ERR_INVALID,
                    "unable to use \"format\" (deprecated) and a custom \"cid-codec\" at the same time");
    const char *name = is_v0 || !strcmp(format, "protobuf") ? "dag-pb"
                       : !strcmp(format, "cbor")            ? "dag-cbor"
                                                            : format;
    if (multicodec_from_name(name, &p->codec))
        return fail(ERR_INVALID, "unknown multicodec: \"%s\"", name);
    p->version = is_v0 ? 0 : 1;
    if (is_v0 && (p->hash != MH_SHA2_256 || (p->digest_len && p->digest_len != 32)))
        return fail(ERR_INVALID, "only sha2-255-32 is allowed with CIDv0");
    return OK;
}

static err_t put_options(rpc_t *r, rpc_put_t *p)
{
    const char *hash = rpc_option(r, "mhtype"), *format = rpc_option(r, "format"),
               *len = rpc_option(r, "mhlen");
    *p = (rpc_put_t){.version = 1};
    hash =
        hash && *hash ? hash : config_str(repo_config(node_repo(r->node)), "Import.HashFunction", "sha2-256");
    if (strpbrk(hash, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
        multihash_from_name(hash, &p->hash)) /* `add` takes capitals */
        return fail(ERR_INVALID, "unrecognized multihash function: %s", hash);
    if (len && *len && strcmp(len, "-1")) {
        uint64_t value;
        TRY(rpc_u64(r, "mhlen", 0, &value));
        if (!value || value > MULTIHASH_DIGEST_MAX)
            return fail(ERR_INVALID, "mhlen: a digest has 1 to %d bytes", MULTIHASH_DIGEST_MAX);
        p->digest_len = (size_t)value;
    }
    return format && *format ? read_format(r, format, p) : rpc_codec_option(r, "cid-codec", "raw", &p->codec);
}

static err_t put_one(task_t *t, rpc_t *r, void *arg, bytes_t data)
{
    cid_t cid;
    TRY(rpc_put_block(t, r, arg, data, &cid));
    return emit_key(t, r, &cid, data.len);
}

static err_t rpc_block_put(task_t *t, rpc_t *r)
{
    rpc_put_t p;
    TRY(put_options(r, &p));
    return rpc_each_upload(t, r, "data", put_one, &p);
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
    TRY(node_check_held(t, r->node, cid));
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
