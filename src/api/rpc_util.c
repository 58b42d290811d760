#include "api/rpc_util.h"
#include "dag/path.h"
#include "dag/walk.h"

enum { MAX_COUNTED_BLOCKS = 1 << 22 };

err_t rpc_resolve_cid(task_t *t, rpc_t *r, const char *text, cid_t *ret_cid)
{
    if (!strchr(text, '/') && !cid_parse_str(text, ret_cid)) /* the common case needs no block */
        return OK;
    dag_path_t *path = xcalloc(1, sizeof *path);
    node_session_t session = {0};
    err_t e = dag_path_parse(bytes_str(text), path);
    if (!e)
        e = node_session_open(r->node, rpc_bool(r, "offline", false), &session);
    if (!e)
        e = dag_path_resolve_cid(t, session.blocks, path, ret_cid);
    node_session_close(&session);
    free(path);
    return e;
}

err_t rpc_dag_presence(task_t *t, rpc_t *r, const cid_t *root, bool *ret_complete, uint64_t *ret_bytes)
{
    AUTO(walk_t) w = {0};
    walk_options_t options = {SIZE_MAX, true, true, MAX_COUNTED_BLOCKS};
    walk_init(&w, node_local_blocks(r->node), root, options);
    uint64_t bytes = 0;
    bool has = true;
    err_t e = OK;
    while (!e && has) {
        walk_step_t step;
        e = walk_next(t, &w, &step, &has);
        if (!e && has && step.block)
            bytes += step.block->len;
    }
    if (e && e != ERR_NOT_FOUND && e != ERR_UNSUPPORTED)
        return e;
    *ret_complete = !e || (e == ERR_UNSUPPORTED && blocks_has(t, node_local_blocks(r->node), root));
    *ret_bytes = bytes;
    return OK;
}
