/* gateway_resolve: from a content path to the block at its end. What is here is found without a wait; what is
 * not is asked for with a bitswap session, each wait bounded by Gateway.RetrievalTimeout. */
#include "api/gateway.h"

bool gateway_may_fetch(const gateway_request_t *r)
{
    return node_is_online(r->api->node) && !r->settings->no_fetch;
}

err_t gateway_widen(gateway_request_t *r)
{
    if (r->session.session || r->is_cached_only || !gateway_may_fetch(r))
        return OK;
    TRY(node_session_open(r->api->node, false, &r->session));
    node_session_reads(&r->session);
    r->blocks = r->session.blocks;
    return OK;
}

deadline_t gateway_begin_retrieval(task_t *t, const gateway_request_t *r)
{
    uint64_t ms = r->settings->retrieval_timeout_ms;
    return deadline_push(t, ms ? ms : r->settings->max_duration_ms);
}

err_t gateway_next_piece(task_t *t, gateway_request_t *r, file_reader_t *f, bytes_t *ret_piece)
{
    deadline_t d = gateway_begin_retrieval(t, r);
    err_t e = file_reader_next(t, f, ret_piece);
    deadline_pop(t, &d);
    return e;
}

err_t gateway_get_block(task_t *t, gateway_request_t *r, const cid_t *cid, block_t **ret)
{
    err_t e = blocks_get(t, r->blocks, cid, ret);
    if (e != ERR_NOT_FOUND || r->session.session || r->is_cached_only || !gateway_may_fetch(r))
        return e;
    TRY(gateway_widen(r));
    deadline_t d = gateway_begin_retrieval(t, r);
    e = blocks_get(t, r->blocks, cid, ret);
    deadline_pop(t, &d);
    return e;
}

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */

typedef struct roots {
    gateway_request_t *request;
    cid_t last; /* its text is the request's cid_text */
} roots_t;

static void add_root(void *arg, const cid_t *cid)
{
    roots_t *roots = arg;
    gateway_request_t *r = roots->request;
    roots->last = *cid;
    cid_print(cid, r->cid_text);
    if ((r->roots.len && buf_append_u8(&r->roots, ',')) || buf_append(&r->roots, bytes_str(r->cid_text)))
        buf_clear(&r->roots);
}

static err_t follow(task_t *t, gateway_request_t *r)
{
    roots_t roots = {.request = r};
    size_t rest; /* of the path, inside of a block: that block proves it */
    buf_clear(&r->roots);
    err_t e = r->format == GATEWAY_FORMAT_CAR
                  ? dag_path_follow_rest(t, r->blocks, &r->path, add_root, &roots, &r->cid, &rest)
                  : dag_path_follow(t, r->blocks, &r->path, add_root, &roots, &r->cid);
    if (e || !cid_equal(&roots.last, &r->cid))
        r->cid_text[0] = 0;
    return e;
}

err_t gateway_resolve(task_t *t, gateway_request_t *r)
{
    err_t e = follow(t, r);
    bool is_missing_block = e == ERR_NOT_FOUND && !dag_path_is_no_link(e);
    if (!is_missing_block || r->is_cached_only || r->session.session || !gateway_may_fetch(r))
        return e;
    TRY(gateway_widen(r));
    deadline_t d = gateway_begin_retrieval(t, r);
    e = follow(t, r);
    deadline_pop(t, &d);
    return e;
}

/* What lies below a node that is here may not be: it is read through a session, which asks the network for
 * what is missing. A file of one block, the common case, needs none. */
err_t gateway_read_node(task_t *t, gateway_request_t *r)
{
    AUTO_PTR(block_t) block = NULL;
    dag_node_deinit(&r->node);
    TRY(gateway_get_block(t, r, &r->cid, &block));
    TRY(dag_node_decode(block, &r->node));
    return r->node.pb.link_count ? gateway_widen(r) : OK;
}
