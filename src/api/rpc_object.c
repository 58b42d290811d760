/* rpc_object: object/…: what the reference still has, and that the rest is gone. Reference: ipfs/kubo
 * core/commands/object. */
#include "api/rpc_util.h"
#include "dag/diff.h"
#include "dag/patch.h"

static err_t rpc_removed(task_t *t, rpc_t *r)
{
    return fail(ERR_INVALID, "removed, use 'ipfs dag' or 'ipfs files' instead");
}

/* ── diff ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct object_diff {
    rpc_t *r;
    size_t count;
} object_diff_t;

static json_t *link_or_null(const rpc_t *r, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    return cid ? json_pack("{s:s}", "/", rpc_cid(r, cid, text)) : json_null();
}

/* The changes are one array in one object, which is written as they are found. */
static err_t emit_change(task_t *t, void *arg, const dag_change_t *change)
{
    object_diff_t *d = arg;
    AUTO(buf_t) out = {0};
    json_t *o =
        json_pack("{s:i, s:o, s:o, s:o}", "Type", change->kind, "Path", rpc_bytes_json(change->path),
                  "Before", link_or_null(d->r, change->before), "After", link_or_null(d->r, change->after));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    buf_init(&out, 8 << 20);
    err_t e = buf_printf(&out, "%s%s", d->count++ ? "," : "{\"Changes\":[", text);
    free(text);
    return e ? e : rpc_emit_text(t, d->r, buf_bytes(&out));
}

static err_t rpc_object_diff(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    object_diff_t d = {.r = r};
    cid_t a, b;
    TRY(rpc_resolve_cid(t, r, r->args[0], &a));
    TRY(rpc_resolve_cid(t, r, r->args[1], &b));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(dag_diff(t, session.blocks, &a, &b, emit_change, &d));
    return rpc_emit_text(t, r, d.count ? BYTES_LIT("]}\n") : BYTES_LIT("{\"Changes\":[]}\n"));
}

/* ── patch ───────────────────────────────────────────────────────────────────────────────────── */
static err_t patch(task_t *t, rpc_t *r, bool adds)
{
    AUTO(node_session_t) session = {0};
    patch_options_t o = {rpc_bool(r, "create", false), rpc_bool(r, "allow-non-unixfs", false)};
    bytes_t path = bytes_str(r->args[1]);
    char text[CID_TEXT_MAX];
    cid_t root, child, changed;
    TRY(rpc_resolve_cid(t, r, r->args[0], &root));
    if (adds)
        TRY(rpc_resolve_cid(t, r, r->args[2], &child));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    AUTO(gc_hold_t) hold = gc_hold(repo_gc(node_repo(r->node)));
    TRY(adds ? patch_add_link(t, session.blocks, &root, path, &child, o, &changed)
             : patch_remove_link(t, session.blocks, &root, path, o, &changed));
    node_announce(r->node, &changed);
    return rpc_emit(t, r, json_pack("{s:s}", "Hash", rpc_cid(r, &changed, text)));
}

static err_t rpc_object_add_link(task_t *t, rpc_t *r)
{
    return patch(t, r, true);
}

static err_t rpc_object_rm_link(task_t *t, rpc_t *r)
{
    return patch(t, r, false);
}

const rpc_command_t rpc_object_commands[] = {
    {"object/data", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/diff", rpc_object_diff, 2, 2, "obj_a"},
    {"object/get", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/links", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/new", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/patch/add-link", rpc_object_add_link, 3, 3, "root"},
    {"object/patch/append-data", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/patch/rm-link", rpc_object_rm_link, 2, 2, "root"},
    {"object/patch/set-data", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/put", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {"object/stat", rpc_removed, 0, RPC_MAX_ARGS, NULL},
    {NULL, NULL, 0, 0, NULL},
};
