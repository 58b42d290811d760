/* tree: a tree of directories that is being put together from paths, as an add sends them, and then
 * written bottom-up. Files are refs that an importer made. Entries are bounded. */
#ifndef DAG_TREE_H
#define DAG_TREE_H
#include "dag/importer.h"

#define TREE_MAX_ENTRIES (2u << 20)
#define TREE_MAX_DEPTH 512
#define TREE_MAX_NAME 4096

typedef struct tree tree_t;
tree_t *tree_new(void);
void tree_free(tree_t *tr); /* NULL is fine */
/* Puts a file or symlink at "a/b/c", making the directories above. A file in the place of another
 * replaces it. ERR_INVALID: an empty name, "." or "..", NUL, or a file where a directory is needed.
 * ERR_LIMIT. */
MUST_CHECK err_t tree_put(tree_t *tr, bytes_t path, const dag_ref_t *ref);
/* Makes a directory, empty unless something is put below it; "" names the root. meta may be NULL. */
MUST_CHECK err_t tree_put_dir(tree_t *tr, bytes_t path, const unixfs_t *meta);
/* Directories without any entry are left out, but for the topmost. */
void tree_omit_empty_dirs(tree_t *tr);
size_t tree_count(const tree_t *tr);
/* Writes all directories, children first, calling `each` (may be NULL) for each with its path, "" for the
 * root. Without with_root the root is not written: what stands in it are several roots. */
typedef void (*tree_dir_fn)(void *arg, bytes_t path, const dag_ref_t *ref);
MUST_CHECK err_t tree_write(task_t *t, tree_t *tr, importer_t *im, bool with_root, tree_dir_fn each,
                            void *arg, dag_ref_t *ret_root);
#endif
