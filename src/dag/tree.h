/* tree: a tree of directories that is being put together from paths, as an add sends them, and then
 * written bottom-up. Files are refs that an importer made. Entries stay in memory up to a bound; then all of
 * them go to a temporary file (entry_runs.h), sorted by their paths, so that there may be any number of files
 * and directories. The sorted paths are gone through once, depth first: in memory are the directories of
 * one path (dir_builder.h). Entries are bounded. */
#ifndef DAG_TREE_H
#define DAG_TREE_H
#include "dag/importer.h"

#define TREE_MAX_ENTRIES (64u << 20) /* files that replaced others count, too */
#define TREE_MAX_DEPTH 512
#define TREE_MAX_PATH 4096
#define TREE_HELD_ENTRIES 16384
#define TREE_HELD_BYTES (4u << 20)

typedef struct tree tree_t;
/* folder: where the temporary file is made, and unlinked at once; borrowed. */
tree_t *tree_new(const char *folder);
void tree_free(tree_t *tr); /* NULL is fine */
/* How many entries are held in memory; TREE_HELD_ENTRIES unless set. */
void tree_set_held(tree_t *tr, size_t count);
/* Puts a file or symlink at "a/b/c", making the directories above. A file in the place of another
 * replaces it. ERR_INVALID: an empty name, "." or "..", NUL, or a file where a directory is needed, which
 * tree_write finds when one of them is in the temporary file. ERR_LIMIT. Errors of the temporary file. */
MUST_CHECK err_t tree_put(task_t *t, tree_t *tr, bytes_t path, const dag_ref_t *ref);
/* Makes a directory, empty unless something is put below it; "" names the root. meta may be NULL. */
MUST_CHECK err_t tree_put_dir(task_t *t, tree_t *tr, bytes_t path, const unixfs_t *meta);
/* Directories without any entry are left out, but for the topmost. */
void tree_omit_empty_dirs(tree_t *tr);
size_t tree_count(const tree_t *tr);
/* Writes all directories, children first, calling `each` (may be NULL) for each with its path, "" for the
 * root. Without with_root the root is not written: what stands in it are several roots. Nothing may be put
 * after it. */
typedef void (*tree_dir_fn)(void *arg, bytes_t path, const dag_ref_t *ref);
MUST_CHECK err_t tree_write(task_t *t, tree_t *tr, importer_t *im, bool with_root, tree_dir_fn each,
                            void *arg, dag_ref_t *ret_root);
#endif
