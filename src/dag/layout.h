/* layout: puts the leaves of one file, in order, under inner nodes. Memory is one node's links for each
 * level.
 *
 * Balanced: level by level, each node full before the next begins; a single leaf is the root itself. Trickle:
 * a node holds leaves up to the maximum, then four subtrees of each depth 1, 2, 3 …, each made by the same
 * rule; the root always is an inner node and has no deepest depth. */
#ifndef DAG_LAYOUT_H
#define DAG_LAYOUT_H
#include "dag/node_writer.h"
#include "dag/unixfs.h"

#define LAYOUT_MAX_LEVELS 64 /* 2 links a node and 2^63 bytes */

typedef struct layout_level {
    dag_ref_t *refs;
    size_t count, cap;
    /* trickle: a level is an open node, the root first */
    size_t leaf_count, max_depth, depth, repeat; /* depth: of the next subtree, the repeat-th of four */
} layout_level_t;
typedef struct layout {
    node_writer_t *writer; /* borrowed */
    size_t max_links;
    bool is_trickle;
    layout_level_t levels[LAYOUT_MAX_LEVELS];
    size_t level_count;
} layout_t;

/* Links and kind are those of the writer's options. */
void layout_init(layout_t *l, node_writer_t *writer);
void layout_deinit(layout_t *l); /* idempotent */
AUTO_DEFINE(layout_t, layout_deinit)
MUST_CHECK err_t layout_add(task_t *t, layout_t *l, const dag_ref_t *leaf);
/* The root. meta: its mode and mtime, when it is an inner node. Balanced: at least one leaf was added. */
MUST_CHECK err_t layout_finish(task_t *t, layout_t *l, const unixfs_t *meta, dag_ref_t *ret_root);
#endif
