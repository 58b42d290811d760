/* dag_node: a block decoded as UnixFS: a raw leaf, or a dag-pb node with its UnixFS message. Holds a
 * reference of its block, from which everything in it borrows. */
#ifndef DAG_DAG_NODE_H
#define DAG_DAG_NODE_H
#include "codec/dag_pb.h"
#include "dag/blocks.h"
#include "dag/unixfs.h"

typedef struct dag_node {
    block_t *block; /* NULL: empty */
    dag_pb_t pb;    /* without links for a raw leaf */
    unixfs_t fs;    /* of a raw leaf: a file with the block as its data */
    uint64_t size;  /* content bytes of a file, as its own message says; 0 otherwise */
} dag_node_t;

/* Takes a reference of its own. ERR_CORRUPT: not a dag-pb node or not UnixFS, or a file whose sizes do
 * not add up; ERR_UNSUPPORTED: another codec. */
MUST_CHECK err_t dag_node_decode(block_t *block, dag_node_t *ret_node);
MUST_CHECK err_t dag_node_get(task_t *t, blocks_t *b, const cid_t *cid, dag_node_t *ret_node);
uint64_t dag_node_tsize(const dag_node_t *n); /* its block and, as its links say, all below */
void dag_node_deinit(dag_node_t *n);          /* idempotent */
AUTO_DEFINE(dag_node_t, dag_node_deinit)
static inline bool dag_node_is_file(const dag_node_t *n)
{
    return n->fs.type == UNIXFS_FILE || n->fs.type == UNIXFS_RAW;
}
static inline bool dag_node_is_dir(const dag_node_t *n)
{
    return n->fs.type == UNIXFS_DIRECTORY || n->fs.type == UNIXFS_HAMT_SHARD;
}
#endif
