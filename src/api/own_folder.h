/* own_folder: what this node's own name leads to, as a folder that programs write to (below /ipns). The tree
 * is the repository's (repo_published); its root is published under the node's key a moment after a change,
 * and once more when the folder is taken away. Changes that a crash kept from being published are the next
 * time. */
#ifndef API_OWN_FOLDER_H
#define API_OWN_FOLDER_H
#include "api/mount_files.h"

typedef struct own_folder {
    node_t *node;         /* borrowed; NULL: not open */
    mount_files_t *files; /* borrowed, of repo_published */
    uint64_t seen;        /* of its changes */
    group_t tasks;
} own_folder_t;
/* Takes what the name leads to, when it was published by others than this folder. ERR_INVALID: that is no
 * folder; other errors: it is not here and nobody gives it, or the name cannot be followed. */
MUST_CHECK err_t own_folder_open(task_t *t, own_folder_t *o, node_t *n, mount_files_t *files);
void own_folder_close(task_t *t, own_folder_t *o); /* idempotent */
#endif
