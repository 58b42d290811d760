/* spilled_dir: a directory whose files stand in a part of a run (entry_runs.h); its folders are in memory. */
#ifndef DAG_SPILLED_DIR_H
#define DAG_SPILLED_DIR_H
#include "dag/directory.h"
#include "dag/entry_runs.h"

typedef struct spilled_dir {
    uint64_t at, end;     /* the part of the run */
    size_t count;         /* of its entries */
    uint64_t rule_bytes;  /* what they count under the rule of sharding */
    uint64_t block_bytes; /* what they take in a basic directory */
} spilled_dir_t;
/* The entries that stand in the final run, in their order. */
void spilled_dir_note(spilled_dir_t *d, shard_rule_t rule, const run_entry_t *e, uint64_t offset,
                      uint64_t end);
/* folders: what else is in the directory, none of the names of the files; they are sorted. Else as
 * directory_write, in memory of one path of shards. */
MUST_CHECK err_t spilled_dir_write(task_t *t, node_writer_t *w, entry_runs_t *runs, const spilled_dir_t *d,
                                   dir_item_t *folders, size_t n, const unixfs_t *meta, dag_ref_t *ret_ref);
#endif
