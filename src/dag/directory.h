/* directory: writes one directory from its entries: a basic one, or, over the sharding threshold of the
 * options, a HAMT. Entries are sorted by the bytes of their names; names are unique. */
#ifndef DAG_DIRECTORY_H
#define DAG_DIRECTORY_H
#include "dag/node_writer.h"

typedef struct dir_item {
    bytes_t name;         /* borrowed */
    const dag_ref_t *ref; /* borrowed */
    uint64_t hash;        /* set by directory_write when it shards */
} dir_item_t;

/* Would these entries be sharded? */
bool directory_is_sharded(const import_options_t *o, const dir_item_t *items, size_t n, const unixfs_t *meta);
/* Sorts `items`. meta: mode and mtime, may be NULL. ret_ref: tsize of all below, size 0. */
MUST_CHECK err_t directory_write(task_t *t, node_writer_t *w, dir_item_t *items, size_t n,
                                 const unixfs_t *meta, dag_ref_t *ret_ref);
#endif
