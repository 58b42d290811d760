/* node_writer: makes blocks out of nodes: encodes, computes the CID by the import options, and hands the
 * block to the put queue. */
#ifndef DAG_NODE_WRITER_H
#define DAG_NODE_WRITER_H
#include "base/writer.h"
#include "dag/import_options.h"
#include "dag/put_queue.h"
#include "dag/ref.h"
#include "dag/unixfs.h"

typedef struct node_writer {
    const import_options_t *options; /* resolved; borrowed */
    put_queue_t *queue;              /* borrowed */
    buf_t scratch;                   /* the node that is being encoded */
} node_writer_t;

void node_writer_init(node_writer_t *w, const import_options_t *options, put_queue_t *queue);
void node_writer_deinit(node_writer_t *w);

/* The CID that the options give a block: identity when it is short enough to be inlined. Thread-safe. */
MUST_CHECK err_t import_cid(const import_options_t *o, uint64_t codec, bytes_t block, cid_t *ret_cid);

/* One node: begin, put links into the writer, then put_unixfs, which appends the Data field. `ret_ref`
 * gets the CID and the block's own length as tsize; size 0. One node at a time. */
writer_t node_writer_begin(node_writer_t *nw);
MUST_CHECK err_t node_writer_put_unixfs(task_t *t, node_writer_t *nw, writer_t *w, const unixfs_t *u,
                                        const uint64_t *sizes, size_t n_sizes, dag_ref_t *ret_ref);
#endif
