#include "api/announce.h"
#include "base/log.h"
#include "dag/dag_walk.h"

announce_t announce_options(rpc_t *r)
{
    const config_t *c = repo_config(node_repo(r->node));
    return (announce_t){
        .root = rpc_bool(r, "fast-provide-root", config_bool(c, "Import.FastProvideRoot", true)),
        .dag = rpc_bool(r, "fast-provide-dag", config_bool(c, "Import.FastProvideDAG", false)),
        .waits = rpc_bool(r, "fast-provide-wait", config_bool(c, "Import.FastProvideWait", false)),
    };
}

/* Of a raw leaf, which is not read, it may be that it is not here. */
static err_t queue_block(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    node_t *n = arg;
    if (!cid_is_identity(cid) && (block || blocks_has(t, node_local_blocks(n), cid)))
        node_announce(n, cid);
    return OK;
}

static err_t skip_missing(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    return OK;
}

/* What was stored stays stored. */
static void queue_dag(task_t *t, node_t *n, const cid_t *root)
{
    AUTO(dag_walker_t) w;
    dag_walker_init(&w, node_local_blocks(n));
    w.skips_raw = true;
    w.visit = queue_block;
    w.missing = skip_missing;
    w.arg = n;
    err_t e = dag_walker_run(t, &w, root);
    if (e)
        log_warn("not all blocks are announced", LOG_STR("error", error_text(e)));
}

err_t announce(task_t *t, rpc_t *r, const announce_t *a, const cid_t *root, bool is_pinned)
{
    node_t *n = r->node;
    if (!(a->root || a->dag) || cid_is_identity(root) || (node_provides_pins_alone(n) && !is_pinned)) {
        node_offer(n, root);
        return OK;
    }
    if (a->dag)
        queue_dag(t, n, root);
    if (!a->waits) {
        node_announce(n, root);
        return OK;
    }
    err_t e = node_announce_now(t, n, root);
    return e ? fail_also(e, "fast-provide") : OK;
}
