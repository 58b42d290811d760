/* mfs: the mutable tree of files over immutable blocks (`files …`). A repository has one, and another for the
 * folder that its own name leads to (repo_published); the CID of the root stands in the state database. There
 * is no spec: names, texts of errors and CIDs are those of ipfs/boxo mfs, which ipfs/kubo
 * core/commands/files.go drives.
 *
 * Durability: a change with `flush` is on disk when its call returns: blocks first, then the root. Changes of
 * several tasks share one such commit. Changes without it are seen by every call at once, and become durable
 * with the next commit of anybody; a crash before it leaves the last committed root, whole.
 *
 * Concurrency: any number of tasks may call. A file has one writer at a time, the next one waits for it;
 * readers see the last state that a writer has finished. The tree is locked only while directories are looked
 * up or changed in memory, never while content or a block of the network is waited for, so that writers of
 * different files do not wait for each other. No change is lost.
 *
 * Memory: directories that were touched stay loaded, up to a maximum; large ones are loaded shard by shard.
 *
 * Paths are absolute and clean, as mfs_clean_path makes them. `from` is where blocks that are not here are
 * fetched from (NULL: nowhere, ERR_NOT_FOUND): a tree may hold content that is not here. */
#ifndef REPO_MFS_H
#define REPO_MFS_H
#include "dag/import_options.h"
#include "dag/importer.h"
#include "dag/ref.h"
#include "repo/repo.h"

#define MFS_PATH_MAX_BYTES (16u << 10)
#define MFS_NAME_MAX_BYTES 4096
#define MFS_MAX_DEPTH 256

typedef struct mfs mfs_t;

/* The CID version and hash function of new nodes; not set: those of the directory above. */
typedef struct mfs_format {
    bool is_set;
    uint8_t version;
    uint64_t hash_code;
} mfs_format_t;
typedef struct mfs_entry {
    dag_ref_t ref; /* of its present state, unflushed changes included; size 0 for directories */
    bool is_dir;
} mfs_entry_t;

/* "/a/./b//c/.." to "/a/b" into out; a slash at the end is kept. ERR_INVALID "paths must not be empty",
 * "paths must start with a leading slash", NUL in it; ERR_LIMIT. */
MUST_CHECK err_t mfs_clean_path(const char *text, buf_t *out);

/* What stands at a path. ERR_NOT_FOUND "file does not exist"; ERR_INVALID: a file where a directory is
 * needed. The blocks of the entry are here (not durable when unflushed) unless it was put lazily. */
MUST_CHECK err_t mfs_lookup(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_entry_t *ret);

typedef struct mfs_mkdir_options {
    bool parents, flush;
    mfs_format_t format;
} mfs_mkdir_options_t;
/* ERR_EXISTS "file already exists" unless parents. */
MUST_CHECK err_t mfs_mkdir(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_mkdir_options_t o);

typedef struct mfs_put_options {
    bool force, flush;   /* force: takes the place of a file */
    bool takes_symlinks; /* else a flush of one says that it cannot, as the reference does, though it is there
                          */
} mfs_put_options_t;
/* Puts a UnixFS node (its root block is fetched, what is below it is not) at a path. ERR_EXISTS "directory
 * already has entry by that name". */
MUST_CHECK err_t mfs_put(task_t *t, mfs_t *m, blocks_t *from, const char *path, const cid_t *cid,
                         mfs_put_options_t o);
/* As mv: into dst when it is a directory; a file in its place is replaced. */
MUST_CHECK err_t mfs_move(task_t *t, mfs_t *m, blocks_t *from, const char *src, const char *dst, bool flush);
/* Durable at its return. force: whatever it is, and absent is fine. */
MUST_CHECK err_t mfs_remove(task_t *t, mfs_t *m, blocks_t *from, const char *path, bool recursive,
                            bool force);

typedef struct mfs_write_options {
    uint64_t offset;
    bool create, parents, truncate, flush;
    int raw_leaves; /* 1, 0; -1: as the file's CID version has them */
    mfs_format_t format;
} mfs_write_options_t;
/* Writes what the source gives (its end is the end of the write). Beyond the file's end the gap is zeros. A
 * failure, also of the source, leaves what was written before it. */
MUST_CHECK err_t mfs_write(task_t *t, mfs_t *m, blocks_t *from, const char *path, source_t source,
                           mfs_write_options_t o);

/* For callers that bound what is not flushed, as Kubo's commands do: counts a change without flush; with
 * flush the count begins anew. ERR_LIMIT over Internal.MFSNoFlushLimit of the config (256; 0: none). */
MUST_CHECK err_t mfs_count_unflushed(mfs_t *m, bool flush);
/* Makes all changes durable; ret_cid is that of the path. */
MUST_CHECK err_t mfs_flush(task_t *t, mfs_t *m, blocks_t *from, const char *path, cid_t *ret_cid);
/* The format of a directory's own node; not set: it stays. ERR_NOT_FOUND; ERR_INVALID for files. */
MUST_CHECK err_t mfs_set_format(task_t *t, mfs_t *m, blocks_t *from, const char *path, mfs_format_t format,
                                bool flush);
MUST_CHECK err_t mfs_set_mode(task_t *t, mfs_t *m, blocks_t *from, const char *path, uint32_t mode);
MUST_CHECK err_t mfs_set_mtime(task_t *t, mfs_t *m, blocks_t *from, const char *path, unixfs_time_t mtime);

/* The CID of the whole tree now (its blocks are in the store, not necessarily durable). */
MUST_CHECK err_t mfs_root(task_t *t, mfs_t *m, cid_t *ret_root);
/* The root that a crash would leave; *ret_has is false when there is none yet. Errors of a commit, which may
 * be needed to know it. */
MUST_CHECK err_t mfs_durable_root(task_t *t, mfs_t *m, cid_t *ret_root, bool *ret_has);
/* Another tree in its place, durably: what import and `files chroot` do. The root block must be here and a
 * directory: ERR_NOT_FOUND, ERR_INVALID. */
MUST_CHECK err_t mfs_set_root(task_t *t, mfs_t *m, const cid_t *root);
/* Of a tree that is published: which root that was the last time. */
MUST_CHECK err_t mfs_published(task_t *t, mfs_t *m, cid_t *ret_root, bool *ret_has);
MUST_CHECK err_t mfs_note_published(task_t *t, mfs_t *m, const cid_t *root);
#endif
