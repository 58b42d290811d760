/* cursor: a position in a DAG, in depth-first order, without recursion: a stack of nodes of which the
 * links are iterated. Depth is bounded. */
#ifndef DAG_CURSOR_H
#define DAG_CURSOR_H
#include "dag/dag_node.h"

#define CURSOR_MAX_DEPTH 256

typedef struct cursor_frame {
    block_t *block;
    dag_pb_links_t links;
    unixfs_sizes_t sizes;
    uint64_t offset;   /* of the next child's content, in a file */
    size_t link_index; /* of the next link */
    bool has_sizes;
} cursor_frame_t;
typedef struct cursor {
    cursor_frame_t *frames;
    size_t depth, cap;
} cursor_t;
typedef struct cursor_step {
    dag_pb_link_t link; /* borrows from the node's block: until that node is left */
    uint64_t size;      /* of the child's content in a file; else its Tsize */
    uint64_t offset;    /* of the child's content in a file */
    size_t depth;       /* 1: a child of the root */
    size_t index;       /* of the link in its node */
    const cid_t *parent;
} cursor_step_t;

/* Zero-initialised is empty. */
void cursor_deinit(cursor_t *c); /* idempotent */
AUTO_DEFINE(cursor_t, cursor_deinit)
/* Goes down into a node; takes a reference of its own. offset: of its content in the file. The links come
 * next. ERR_LIMIT: too deep. */
MUST_CHECK err_t cursor_push_file(cursor_t *c, const dag_node_t *n, uint64_t offset);
MUST_CHECK err_t cursor_push(cursor_t *c, block_t *block, const dag_pb_t *pb);
/* The next link; false when all is done. Nodes at their end are left. */
bool cursor_next(cursor_t *c, cursor_step_t *ret);
MUST_CHECK err_t cursor_copy(const cursor_t *from, cursor_t *to); /* to is empty */

/* ahead: a second cursor that runs before a first one and asks for blocks before they are needed. It
 * enters inner nodes once they are here, so that the requests do not run dry at a node's end. Inner is
 * what has more content than any block, and what stands as high as a node that proved to be inner. */
typedef struct ahead {
    cursor_t cursor;
    bool has_begun, has_stalled;
    cursor_step_t stalled; /* an inner node that is not here yet */
    uint64_t asked;        /* leaves asked for, in the order of the first cursor */
    size_t inner_depth;    /* nodes down to here were inner so far */
} ahead_t;
bool ahead_is_inner(const ahead_t *a, const cursor_step_t *step);
/* The first cursor enters an inner node at this depth. When that was not foreseen (ahead_is_inner said no),
 * it begins anew from there: the leaves below were not asked for. `consumed`: leaves that the first cursor
 * has passed. */
void ahead_learn(ahead_t *a, size_t depth, bool was_foreseen, uint64_t consumed);
void ahead_deinit(ahead_t *a);
/* Asks until `until` leaves have been asked for in total, or content beyond end_offset comes (files).
 * `from`: where the first cursor stands, copied at the first call; `at`: its last step, whose block it gets
 * next. Never fails: what cannot be read here is found by the first cursor. */
void ahead_run(task_t *t, ahead_t *a, blocks_t *b, const cursor_t *from, const cursor_step_t *at,
               uint64_t until, uint64_t end_offset);
#endif
