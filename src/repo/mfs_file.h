/* mfs_file: the mutable tree as programs use a file system (`mount`): files that are open and written
 * anywhere, a little at a time, and names that change as rename(2), rmdir(2) and unlink(2) have it.
 *
 * A file: all who have it open see the same content, what was just written included. Writes gather in memory
 * and go into the file in large pieces; other readers of the tree see what `mfs_file_flush` (or the last
 * close) has given to it, and it is durable when a flush that says so has returned OK. From the first write
 * until then `files write` waits for the file, as it does for any other writer. A file that is renamed takes
 * its writers with it; one that is removed is theirs until they close it.
 *
 * When the store fails (ERR_NO_SPACE) the file is again what it was at the last flush, and the next flush
 * says so once more, since programs look at that one.
 *
 * Memory: the buffer of each file that is being written, of which there are at most MFS_EDITING_MAX; others
 * are given to the tree before one more begins. Paths as in mfs.h; `from` must outlive what was opened with
 * it. */
#ifndef REPO_MFS_FILE_H
#define REPO_MFS_FILE_H
#include "repo/mfs.h"

#define MFS_EDITING_MAX 16
#define MFS_FILE_BUFFER_BYTES (2u << 20)

typedef struct mfs_file mfs_file_t; /* one opening of a file; one call at a time for each */
typedef struct mfs_open_options {
    bool create, exclusive; /* exclusive: ERR_EXISTS when it is there */
} mfs_open_options_t;
/* ERR_NOT_FOUND, ERR_EXISTS; ERR_INVALID: a directory; ERR_UNSUPPORTED: a symbolic link. */
MUST_CHECK err_t mfs_file_open(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_open_options_t o,
                               mfs_file_t **ret);
/* Gives what was written to the tree (not durably: it is with the next commit of anybody). NULL is fine. */
void mfs_file_close(task_t *t, mfs_file_t *f);
/* Less than cap at the end alone. */
MUST_CHECK err_t mfs_file_read(task_t *t, mfs_file_t *f, uint64_t offset, uint8_t *out, size_t cap,
                               size_t *ret_n);
/* appends: at the end, whatever the offset is. A gap is zeros. Not interrupted by a cancellation. */
MUST_CHECK err_t mfs_file_write(task_t *t, mfs_file_t *f, uint64_t offset, bool appends, bytes_t data);
MUST_CHECK err_t mfs_file_resize(task_t *t, mfs_file_t *f, uint64_t size);
/* is_sync: also what others have changed in the tree becomes durable; else only when this opening wrote. */
MUST_CHECK err_t mfs_file_flush(task_t *t, mfs_file_t *f, bool is_sync);
/* Size, mode and time. */
typedef struct mfs_stat {
    unixfs_type_t type; /* of directories UNIXFS_DIRECTORY, sharded or not */
    uint64_t size;      /* of files, and of a link's target */
    cid_t cid;          /* of what was given to the tree; not of directories */
    bool has_mode, has_mtime;
    uint32_t mode;
    unixfs_time_t mtime;
} mfs_stat_t;
MUST_CHECK err_t mfs_file_stat(task_t *t, mfs_file_t *f, mfs_stat_t *ret);
/* Does not write directories, as mfs_lookup does: cheap while a tree is being filled. */
MUST_CHECK err_t mfs_stat(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_stat_t *ret);
/* has_mode, has_mtime: what changes. Not durable at its return. */
MUST_CHECK err_t mfs_change_meta(task_t *t, mfs_t *m, blocks_t *from, const char *path, const unixfs_t *meta);

/* Not durable at their return: seen at once. */
MUST_CHECK err_t mfs_symlink(task_t *t, mfs_t *m, blocks_t *from, const char *path, bytes_t target);
/* A file or a link; ERR_INVALID: a directory. */
MUST_CHECK err_t mfs_unlink(task_t *t, mfs_t *m, blocks_t *from, const char *path);
/* ERR_NOT_EMPTY; ERR_INVALID: not a directory, or the root. */
MUST_CHECK err_t mfs_rmdir(task_t *t, mfs_t *m, blocks_t *from, const char *path);
/* In the place of what stands there: of an empty directory, when a directory moves, and else of a file.
 * ERR_EXISTS: with no_replace; ERR_NOT_EMPTY; ERR_INVALID: into itself, or a file and a directory. */
MUST_CHECK err_t mfs_rename(task_t *t, mfs_t *m, blocks_t *from, const char *path, const char *to,
                            bool no_replace);
unixfs_time_t mfs_now(task_t *t);    /* as files are given it when they change */
bool mfs_is_durable(const mfs_t *m); /* nothing waits for a commit */
MUST_CHECK err_t mfs_sync(task_t *t, mfs_t *m);
#endif
