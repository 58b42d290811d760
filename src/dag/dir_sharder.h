/* dir_sharder: writes a HAMT from entries that come in the order of the hashes of their names, from its
 * leaves up: in memory are the shards of one path. Names are unique. */
#ifndef DAG_DIR_SHARDER_H
#define DAG_DIR_SHARDER_H
#include "dag/node_writer.h"

typedef struct dir_sharder dir_sharder_t;
dir_sharder_t *dir_sharder_new(node_writer_t *w); /* borrowed; its options say the fanout */
void dir_sharder_free(dir_sharder_t *s);          /* NULL is fine */
/* ERR_LIMIT: more names of the same hash than a HAMT can hold. Errors of the node writer. */
MUST_CHECK err_t dir_sharder_add(task_t *t, dir_sharder_t *s, bytes_t name, uint64_t hash,
                                 const dag_ref_t *ref);
/* Writes what is left; the root has meta, which may be NULL. Nothing may be added after it. */
MUST_CHECK err_t dir_sharder_end(task_t *t, dir_sharder_t *s, const unixfs_t *meta, dag_ref_t *ret_ref);
#endif
