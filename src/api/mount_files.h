/* mount_files: a mutable tree of files (repo/mfs.h) as a tree of a mount (task/mount.h). Paths begin with
 * "/". What a program changes is seen at once, is durable when its fsync or close has returned, and else a
 * moment later.
 */
#ifndef API_MOUNT_FILES_H
#define API_MOUNT_FILES_H
#include "node/node.h"
#include "repo/mfs_file.h"
#include "task/mount.h"

typedef struct mount_files {
    mfs_t *mfs;
    node_session_t session;
    bool stores_mode, stores_mtime;
    event_t changed;  /* fired after each change of the tree */
    uint64_t changes; /* how often */
    group_t tasks;
} mount_files_t;

MUST_CHECK err_t mount_files_init(task_t *t, mount_files_t *f, node_t *n, mfs_t *mfs);
void mount_files_deinit(task_t *t, mount_files_t *f); /* what is open was closed before; idempotent */

MUST_CHECK err_t mount_files_stat(task_t *t, mount_files_t *f, const char *path, mount_attr_t *ret);
MUST_CHECK err_t mount_files_open(task_t *t, mount_files_t *f, const char *path, mount_open_t how,
                                  mfs_file_t **ret);
MUST_CHECK err_t mount_files_handle_stat(task_t *t, mfs_file_t *file, mount_attr_t *ret);
/* file: NULL when it is not open; path: NULL when its name is gone. */
MUST_CHECK err_t mount_files_change(task_t *t, mount_files_t *f, const char *path, mfs_file_t *file,
                                    const mount_change_t *c);
MUST_CHECK err_t mount_files_mkdir(task_t *t, mount_files_t *f, const char *path);
MUST_CHECK err_t mount_files_symlink(task_t *t, mount_files_t *f, const char *path, bytes_t target);
MUST_CHECK err_t mount_files_remove(task_t *t, mount_files_t *f, const char *path, bool is_dir);
MUST_CHECK err_t mount_files_rename(task_t *t, mount_files_t *f, const char *path, const char *to,
                                    bool no_replace);
MUST_CHECK err_t mount_files_flush(task_t *t, mount_files_t *f, mfs_file_t *file, bool is_sync);
void mount_files_close(task_t *t, mount_files_t *f, mfs_file_t *file); /* NULL is fine */
#endif
