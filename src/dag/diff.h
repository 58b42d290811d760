/* diff: what changes one DAG into another, by the names of dag-pb links. Reference: ipfs/boxo
 * ipld/merkledag/dagutils diff.go. Only where both nodes are dag-pb and one has links does it go down;
 * otherwise two CIDs that differ are one change. Iterates; depth and links of a node are bounded. */
#ifndef DAG_DIFF_H
#define DAG_DIFF_H
#include "dag/blocks.h"

typedef enum { DAG_ADDED = 0, DAG_REMOVED = 1, DAG_CHANGED = 2 } dag_change_kind_t;
typedef struct dag_change {
    dag_change_kind_t kind;
    bytes_t path;        /* "a/b", borrowed until the callback returns; "" the roots themselves */
    const cid_t *before; /* NULL: added */
    const cid_t *after;  /* NULL: removed */
} dag_change_t;
typedef err_t (*dag_change_fn)(task_t *t, void *arg, const dag_change_t *change);
/* Tells the changes from a to b in the order of a's links, for each node: changed ones with all below,
 * removed ones, added ones. Errors of blocks_get and `tell`; ERR_CORRUPT: no dag-pb node; ERR_LIMIT: too
 * deep. */
MUST_CHECK err_t dag_diff(task_t *t, blocks_t *blocks, const cid_t *a, const cid_t *b, dag_change_fn tell,
                          void *arg);
#endif
