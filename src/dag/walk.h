/* walk: visits the blocks of a DAG in depth-first order, parents first, without recursion. Memory: one
 * block for each level, and the set of what was visited, which has a maximum. */
#ifndef DAG_WALK_H
#define DAG_WALK_H
#include "base/map.h"
#include "dag/cursor.h"

typedef struct walk_options {
    size_t max_depth;   /* 0: the root alone; SIZE_MAX: all */
    bool is_unique;     /* each block once, and what is below it once */
    bool loads_leaves;  /* raw leaves are fetched too, so that all is here afterwards */
    size_t max_visited; /* of is_unique; ERR_LIMIT over it */
} walk_options_t;
typedef struct walk_step {
    cid_t cid;
    cid_t parent;   /* of the root: itself */
    bytes_t name;   /* of the link; borrowed until the next call */
    size_t depth;   /* 0: the root */
    uint64_t tsize; /* as the link says */
    block_t *block; /* borrowed until the next call; NULL: not loaded (a raw leaf, or at max_depth) */
} walk_step_t;
typedef struct walk {
    blocks_t *blocks;
    walk_options_t options;
    cid_t root;
    cursor_t cursor;
    ahead_t ahead;
    map_t visited;
    block_t *leaf;
    uint64_t consumed;
    bool has_begun;
} walk_t;

/* blocks is borrowed until deinit. */
void walk_init(walk_t *w, blocks_t *blocks, const cid_t *root, walk_options_t options);
void walk_deinit(walk_t *w); /* idempotent */
AUTO_DEFINE(walk_t, walk_deinit)
/* *ret_has is false at the end. Errors of blocks_get; ERR_UNSUPPORTED: a codec whose links are not known. */
MUST_CHECK err_t walk_next(task_t *t, walk_t *w, walk_step_t *ret_step, bool *ret_has);

typedef struct dag_stat {
    uint64_t blocks, bytes; /* different blocks, and the sum of their lengths */
} dag_stat_t;
/* Loads all blocks. progress may be NULL. */
MUST_CHECK err_t dag_stat(task_t *t, blocks_t *blocks, const cid_t *root,
                          void (*progress)(void *arg, const dag_stat_t *so_far), void *arg,
                          dag_stat_t *ret_stat);
#endif
