#include "dag/node_writer.h"
#include "codec/dag_pb.h"

/* A directory over this is refused where a store or peer would refuse its block anyway. */
enum { NODE_MAX_BYTES = BLOCK_MAX_BYTES };

void node_writer_init(node_writer_t *w, const import_options_t *options, put_queue_t *queue)
{
    *w = (node_writer_t){.options = options, .queue = queue};
    buf_init(&w->scratch, NODE_MAX_BYTES);
}

void node_writer_deinit(node_writer_t *w)
{
    buf_deinit(&w->scratch);
}

err_t import_cid(const import_options_t *o, uint64_t codec, bytes_t block, cid_t *ret_cid)
{
    if (block.len < o->inline_below)
        return cid_of(1, codec, MH_IDENTITY, block, ret_cid);
    /* CIDv0 is dag-pb by definition: raw leaves below such nodes are CIDv1 */
    return cid_of(codec == CODEC_RAW ? 1 : (uint8_t)o->cid_version, codec, o->hash_code, block, ret_cid);
}

writer_t node_writer_begin(node_writer_t *nw)
{
    buf_clear(&nw->scratch);
    return writer_to(&nw->scratch);
}

err_t node_writer_put_unixfs(task_t *t, node_writer_t *nw, writer_t *w, const unixfs_t *u,
                             const uint64_t *sizes, size_t n_sizes, dag_ref_t *ret_ref)
{
    AUTO(buf_t) message = {0};
    buf_init(&message, NODE_MAX_BYTES);
    writer_t inner = writer_to(&message);
    unixfs_put(&inner, u, sizes, n_sizes);
    if (!inner.err && !w->err)
        dag_pb_put_data(w, buf_bytes(&message));
    if (inner.err || w->err)
        return fail(ERR_LIMIT, "a directory or file node over %d bytes", NODE_MAX_BYTES);
    dag_ref_t ref = {.tsize = nw->scratch.len};
    TRY(import_cid(nw->options, CODEC_DAG_PB, buf_bytes(&nw->scratch), &ref.cid));
    if (!cid_is_identity(&ref.cid)) {
        block_t *block;
        TRY(block_copy(&ref.cid, buf_bytes(&nw->scratch), &block));
        TRY(put_queue_add(t, nw->queue, block));
    }
    *ret_ref = ref;
    return OK;
}
