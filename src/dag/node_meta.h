/* node_meta: the same file or symlink with another mode and time. */
#ifndef DAG_NODE_META_H
#define DAG_NODE_META_H
#include "dag/dag_node.h"
#include "dag/node_writer.h"

/* meta: has_mode, mode, has_mtime, mtime. A raw block becomes a node around its bytes, with CIDv0, as in
 * boxo. ERR_LIMIT: the node would be too large. */
MUST_CHECK err_t node_with_meta(task_t *t, const dag_node_t *n, const unixfs_t *meta, put_queue_t *queue,
                                dag_ref_t *ret_ref);
#endif
