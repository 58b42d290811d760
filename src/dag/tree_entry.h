/* tree_entry: a file or directory of a tree as an entry of entry_runs.h: its path, and what it is. Only for
 * dag/tree.c. */
#ifndef DAG_TREE_ENTRY_H
#define DAG_TREE_ENTRY_H
#include "dag/entry_runs.h"
#include "dag/unixfs.h"

typedef enum {
    TREE_IMPLICIT, /* a directory that stands above something; not in any run */
    TREE_DIR,
    TREE_FILE,
} tree_kind_t;
tree_kind_t tree_entry_kind(const run_entry_t *e);
/* The values of entries; appended to out. meta may be NULL. */
MUST_CHECK err_t tree_value_put_dir(const unixfs_t *meta, buf_t *out);
MUST_CHECK err_t tree_value_put_file(const dag_ref_t *ref, buf_t *out);
MUST_CHECK err_t tree_value_get_dir(bytes_t value, unixfs_t *ret_meta);
MUST_CHECK err_t tree_value_get_file(bytes_t value, dag_ref_t *ret_ref);

bytes_t tree_path_parent(bytes_t path);             /* "" of what stands in the root */
bytes_t tree_path_name(bytes_t path);               /* the last one */
bool tree_path_is_below(bytes_t path, bytes_t dir); /* or equal; everything is below "" */
/* The hash of an entry is that of its name. Order: depth first, a directory before what is in it, siblings
 * by the hashes of their names, then by name; of one path first the directory, then the file. */
int tree_entry_order(const run_entry_t *a, const run_entry_t *b);
#endif
