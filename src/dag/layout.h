/* layout: puts the leaves of one file, in order, under inner nodes. Balanced: level by level, each node
 * full before the next begins. Memory is one node's links for each level. */
#ifndef DAG_LAYOUT_H
#define DAG_LAYOUT_H
#include "dag/node_writer.h"
#include "dag/unixfs.h"

#define LAYOUT_MAX_LEVELS 64 /* 2 links a node and 2^63 bytes */

typedef struct layout_level {
    dag_ref_t *refs;
    size_t count, cap;
} layout_level_t;
typedef struct layout {
    node_writer_t *writer; /* borrowed */
    size_t max_links;
    layout_level_t levels[LAYOUT_MAX_LEVELS];
    size_t level_count;
} layout_t;

void layout_init(layout_t *l, node_writer_t *writer, size_t max_links);
void layout_deinit(layout_t *l); /* idempotent */
AUTO_DEFINE(layout_t, layout_deinit)
MUST_CHECK err_t layout_add(task_t *t, layout_t *l, const dag_ref_t *leaf);
/* The root; of a single leaf: that leaf. meta: mode and mtime of the root node, when it is an inner
 * one. At least one leaf was added. */
MUST_CHECK err_t layout_finish(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root);
#endif
