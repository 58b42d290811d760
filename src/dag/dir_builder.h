/* dir_builder: a directory whose entries come in the order of the hashes of their names, any number of them.
 * It is basic while the options say so, and its entries wait in memory; over the threshold they go to a
 * dir_sharder as they come. */
#ifndef DAG_DIR_BUILDER_H
#define DAG_DIR_BUILDER_H
#include "dag/dir_sharder.h"
#include "dag/directory.h"

typedef struct dir_builder {
    node_writer_t *w; /* borrowed */
    unixfs_t meta;
    dir_item_t *items; /* none once it is sharded */
    size_t count, cap;
    uint64_t rule_bytes, block_bytes; /* what they count under the rule of sharding, and in a block */
    dir_sharder_t *sharder;
} dir_builder_t;
/* meta: mode and mtime, may be NULL. */
void dir_builder_init(dir_builder_t *b, node_writer_t *w, const unixfs_t *meta);
void dir_builder_deinit(dir_builder_t *b); /* idempotent */
/* The next entry; name and ref are copied. ERR_LIMIT: a basic directory that is too large for a block. */
MUST_CHECK err_t dir_builder_add(task_t *t, dir_builder_t *b, bytes_t name, const dag_ref_t *ref);
MUST_CHECK err_t dir_builder_end(task_t *t, dir_builder_t *b, dag_ref_t *ret_ref);
#endif
