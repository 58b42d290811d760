/* dag_walk: goes through DAGs of any codec whose links are known, each block once, parents before children,
 * without recursion. Memory: the CIDs that are still to be visited and a set of those that were. Next ones
 * are asked for ahead of their turn. */
#ifndef DAG_DAG_WALK_H
#define DAG_DAG_WALK_H
#include "codec/ipld.h"
#include "dag/blocks.h"
#include "dag/cid_set.h"

typedef struct dag_walker {
    blocks_t *from;
    bool skips_raw;   /* raw leaves are visited without being read */
    bool revisits;    /* a block as often as it is linked: the set is left alone */
    bool is_stopped;  /* set by a visitor: the run ends with OK */
    bool skips_links; /* set by a visitor, for this block: what it links to is left alone */
    /* For each block once, but with revisits; block NULL: a raw leaf that was not read. */
    err_t (*visit)(task_t *t, void *arg, const cid_t *cid, block_t *block);
    /* A block that cannot be read (e), or whose links cannot (ERR_UNSUPPORTED, ERR_CORRUPT; then it has been
     * visited). OK: go on without it. NULL: e ends the run. */
    err_t (*missing)(task_t *t, void *arg, const cid_t *cid, err_t e);
    void *arg;
    const cid_set_t *known; /* neither visited nor entered; may be NULL */
    cid_set_t seen;         /* over all runs */
    buf_t todo;             /* CIDs, each followed by its length; the next one last */
    size_t since_ahead;
} dag_walker_t;
#define DAG_WALK_TODO_MAX_BYTES (64u << 20)
void dag_walker_init(dag_walker_t *w, blocks_t *from);
void dag_walker_deinit(dag_walker_t *w); /* idempotent */
AUTO_DEFINE(dag_walker_t, dag_walker_deinit)
MUST_CHECK err_t dag_walker_run(task_t *t, dag_walker_t *w, const cid_t *root);

/* Calls fn for each link of a block. ERR_UNSUPPORTED: a codec whose links are not known; ERR_CORRUPT. */
typedef ipld_link_fn block_link_fn;
MUST_CHECK err_t block_each_link(const cid_t *cid, bytes_t data, block_link_fn fn, void *arg);

/* Walks a DAG through `from`, each block once, parents before children. Stops at the first error. */
typedef err_t (*dag_visit_fn)(task_t *t, void *arg, block_t *block);
MUST_CHECK err_t dag_walk(task_t *t, blocks_t *from, const cid_t *root, dag_visit_fn visit, void *arg);
#endif
