#include "dag/dag_node.h"

/* What the message says about its own sizes must agree with itself and with the links. */
static err_t check_file(dag_node_t *n)
{
    unixfs_sizes_t sizes = unixfs_sizes(&n->fs);
    uint64_t size, total = n->fs.data.len;
    if (n->fs.block_size_count != n->pb.link_count)
        return fail(ERR_CORRUPT, "a file node with %zu links and %zu block sizes", n->pb.link_count,
                    n->fs.block_size_count);
    while (unixfs_next_size(&sizes, &size))
        if (__builtin_add_overflow(total, size, &total))
            return fail(ERR_CORRUPT, "a file node whose block sizes overflow");
    if (n->fs.has_file_size && n->fs.file_size != total)
        return fail(ERR_CORRUPT, "a file node of %llu bytes whose parts have %llu",
                    (unsigned long long)n->fs.file_size, (unsigned long long)total);
    n->size = total;
    return OK;
}

static err_t decode(block_t *block, dag_node_t *n)
{
    if (block->cid.codec == CODEC_RAW) {
        n->pb = (dag_pb_t){.block = block_bytes(block)};
        n->pb.block.len = 0; /* no links to iterate */
        n->fs = (unixfs_t){.type = UNIXFS_FILE,
                           .data = block_bytes(block),
                           .has_data = true,
                           .file_size = block->len,
                           .has_file_size = true};
        n->size = block->len;
        return OK;
    }
    if (block->cid.codec != CODEC_DAG_PB)
        return fail(ERR_UNSUPPORTED, "codec 0x%llx is not a file or directory: only dag-pb and raw are",
                    (unsigned long long)block->cid.codec);
    if (dag_pb_decode(block_bytes(block), &n->pb) || unixfs_decode(n->pb.data, &n->fs))
        return ERR_CORRUPT;
    return dag_node_is_file(n) ? check_file(n) : OK;
}

err_t dag_node_decode(block_t *block, dag_node_t *ret_node)
{
    dag_node_t n = {0};
    err_t e = decode(block, &n);
    if (e) {
        char text[CID_TEXT_MAX];
        error_slot_t inner = *error_slot();
        return fail(e, "%s: %s", cid_print(&block->cid, text), inner.text);
    }
    n.block = block_ref(block);
    *ret_node = n;
    return OK;
}

err_t dag_node_get(task_t *t, blocks_t *b, const cid_t *cid, dag_node_t *ret_node)
{
    AUTO_PTR(block_t) block = NULL;
    TRY(blocks_get(t, b, cid, &block));
    return dag_node_decode(block, ret_node);
}

uint64_t dag_node_tsize(const dag_node_t *n)
{
    uint64_t sum = n->block->len;
    dag_pb_links_t links = dag_pb_links(&n->pb);
    dag_pb_link_t link;
    while (dag_pb_next_link(&links, &link))
        sum += link.tsize;
    return sum;
}

void dag_node_deinit(dag_node_t *n)
{
    block_release(n->block);
    n->block = NULL;
}
