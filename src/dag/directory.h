/* directory: writes one directory from its entries: a basic one, or, over the sharding threshold of the
 * options, a HAMT. Entries are sorted by the bytes of their names; names are unique. */
#ifndef DAG_DIRECTORY_H
#define DAG_DIRECTORY_H
#include "dag/node_writer.h"

typedef struct dir_item {
    bytes_t name;         /* borrowed */
    const dag_ref_t *ref; /* borrowed; NULL: packed has it */
    const packed_ref_t *packed;
    uint64_t hash; /* set where they are sorted by it */
} dir_item_t;

/* What an entry, and a directory without entries, count under a rule. */
size_t directory_link_bytes(shard_rule_t rule, bytes_t name, const dag_ref_t *ref);
size_t directory_data_bytes(shard_rule_t rule, const unixfs_t *meta);
/* Is a directory sharded that has n entries, which count `size` under the rule of the options? */
bool directory_is_over(const import_options_t *o, size_t n, uint64_t size);
/* Would these entries be sharded? */
bool directory_is_sharded(const import_options_t *o, const dir_item_t *items, size_t n, const unixfs_t *meta);
/* Sorts `items`. meta: mode and mtime, may be NULL. ret_ref: tsize of all below, size 0. */
MUST_CHECK err_t directory_write(task_t *t, node_writer_t *w, dir_item_t *items, size_t n,
                                 const unixfs_t *meta, dag_ref_t *ret_ref);

/* ── single nodes, for those who know which one they need ────────────────────────────────────── */
/* A basic directory; items are in order. */
MUST_CHECK err_t directory_write_basic(task_t *t, node_writer_t *w, const dir_item_t *items, size_t n,
                                       const unixfs_t *meta, dag_ref_t *ret_ref);
/* One link of a shard: an entry, or the shard of all entries of the slot. */
typedef struct shard_link {
    size_t slot;
    bytes_t name; /* of the entry; none for a shard */
    dag_ref_t ref;
} shard_link_t;
/* One shard, its links in the order of their slots; the writer's options say the fanout. */
MUST_CHECK err_t directory_write_shard(task_t *t, node_writer_t *w, const shard_link_t *links, size_t n,
                                       const unixfs_t *meta, dag_ref_t *ret_ref);
#endif
