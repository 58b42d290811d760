/* gc: garbage collection beside everything else. A run marks what pins and other roots reach, then sweeps
 * the store in small batches; adds and reads go on meanwhile.
 *
 * Nothing live is lost, because: blocks that are put, read or asked for between the start of a run and its
 * end are kept by that run; while a hold is open the same is true from the hold's beginning on, so an
 * import whose root is not pinned yet, or a pin that is being walked, takes a hold. What was touched is
 * remembered in a filter of bounded size whose mistakes only keep garbage until the next run. */
#ifndef REPO_GC_H
#define REPO_GC_H
#include "dag/blocks.h"
#include "store/blockstore.h"

typedef struct gc gc_t;
typedef struct gc_hold {
    gc_t *gc; /* NULL: not held */
    uint64_t since;
} gc_hold_t;
/* An add in progress: from here to the release, touched blocks are not collected. Take it before the first
 * block is put, release it after the root is pinned (or given up). */
gc_hold_t gc_hold(gc_t *gc);
void gc_release(gc_hold_t *h); /* idempotent */
AUTO_DEFINE(gc_hold_t, gc_release)
/* Remembers a block as in use, as putting and reading do by themselves. */
void gc_touch(gc_t *gc, const cid_t *cid);

/* More roots than the pins (MFS, encrypted files, copies held for others). Called at each run; calls `keep`
 * for each root. Recursive roots keep the DAG below them (what of it is here), others the block alone. */
typedef err_t (*gc_keep_fn)(task_t *t, void *keep_arg, const cid_t *root, bool is_recursive);
typedef err_t (*gc_roots_fn)(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg);
void gc_add_roots(gc_t *gc, gc_roots_fn roots, void *arg);
/* The same for content that need not be whole here: what is missing of it is not counted as broken. */
void gc_add_partial_roots(gc_t *gc, gc_roots_fn roots, void *arg);

typedef struct gc_result {
    uint64_t removed_blocks, removed_bytes, kept_blocks;
    uint64_t broken_pins; /* pins with blocks missing or damaged: then nothing was removed */
} gc_result_t;
/* One run; ERR_IN_USE when one is under way. `removed` (may be NULL) is called for each block that goes.
 * Roots that cannot be listed end the run before anything is removed. */
typedef err_t (*gc_removed_fn)(task_t *t, void *arg, const cid_t *cid);
MUST_CHECK err_t gc_run(task_t *t, gc_t *gc, gc_removed_fn removed, void *arg, gc_result_t *ret);
bool gc_is_running(const gc_t *gc);
#endif
