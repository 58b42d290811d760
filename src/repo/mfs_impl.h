/* mfs_impl: what the files of the mutable tree share.
 *
 * The tree in memory has a node for each directory that was looked into and for each file that is being
 * written. A directory's editor holds the refs of its entries; those of directories below it that have
 * changed are brought up to date when the tree is written, bottom-up. `gate` is the lock of the tree: whoever
 * holds it may wait for the local store, never for the network or for a sync. Work that needs a block which
 * is not here is given up before it has changed anything, and begun anew when the block has been fetched. */
#ifndef REPO_MFS_IMPL_H
#define REPO_MFS_IMPL_H
#include "base/list.h"
#include "base/map.h"
#include "dag/dir_editor.h"
#include "repo/mfs.h"
#include "repo/mfs_journal.h"
#include "repo/repo_impl.h"

typedef struct mfs_node {
    struct mfs_node *parent; /* NULL: the root, or what was cut off the tree */
    char *name;
    bool is_dir;
    size_t users;   /* tasks that hold it or something below it: it stays in memory */
    bool is_orphan; /* cut off; freed with its last user */
    /* a directory */
    dir_editor_t *editor;
    map_t children;    /* name -> mfs_node_t */
    list_t in_use;     /* of all loaded directories, the least recently used first */
    list_t changed;    /* directories below it that must be written; this one's entry is in_changed */
    list_t in_changed; /* linked: has changes, itself or below */
    size_t entries;    /* that its editor holds, as counted last */
    uint64_t opened_at, cleared_at; /* ticks: see mfs_clear_cache */
    /* a file */
    gate_t writing;
    unixfs_t meta;              /* mode and time as they were changed last, while it was in memory */
    uint64_t mode_at, mtime_at; /* versions of the tree then; 0: never */
    struct mfs_shared *open;    /* while programs have it open: mfs_file.c */
} mfs_node_t;

/* What an editor reads and writes: reads go to `from`, writes into the local store. */
typedef struct mfs_blocks {
    blocks_t base;
    mfs_t *mfs;
    blocks_t *from, *local;
    bool has_missing; /* noted when from is NULL */
    cid_t missing;
} mfs_blocks_t;

/* What was changed since the last commit began: the next one takes it. */
typedef struct mfs_changes {
    block_t **blocks; /* that were written: they go into the journal */
    size_t n_blocks, bytes;
    buf_t files;     /* that took their places, as mfs_files_add has them */
    bool needs_root; /* files is not all that has changed */
    bool needs_sync; /* the store must be synced: there are too many blocks, or others wrote them */
} mfs_changes_t;
void mfs_changes_init(mfs_changes_t *c);
void mfs_changes_deinit(mfs_changes_t *c); /* idempotent */

struct mfs {
    repo_t *repo;
    const char *space;
    import_options_t options; /* of the config: format of the root, chunks, when directories are sharded */
    mfs_blocks_t local;
    gate_t gate;
    mfs_node_t *root;
    sched_t *sched;
    put_queue_t queue; /* of directory nodes */
    list_t editing;    /* files that programs are writing, the one that began first in front */
    size_t n_editing;
    list_t loaded; /* directories, through in_use */
    size_t loaded_dirs, loaded_entries;
    uint64_t ticks;
    /* commits */
    uint64_t version, durable; /* of the tree: counts changes */
    bool is_committing;
    event_t committed;
    bool has_durable;
    cid_t durable_root; /* the last one that was made durable */
    bool is_ahead;      /* the journal has files that were put after it */
    cid_t *ahead;       /* they, and those that are to be committed: the collector keeps them */
    size_t n_ahead;
    int64_t unflushed, max_unflushed;
    mfs_journal_t journal;
    mfs_changes_t changes;
    cid_t known_file;     /* what was written last is a file: the next writer need not look (zero: none) */
    uint64_t next_try_ms; /* to start over after losses */
    uint64_t losses;      /* of the store when all that the tree refers to was known to be there */
    uint64_t resets;      /* counts how often changes that were not durable were given up */
};

/* space: of the state database; journal: its file in the repository. */
mfs_t *mfs_new(repo_t *r, sched_t *s, const char *space, const char *journal);
MUST_CHECK err_t mfs_open(task_t *t, mfs_t *m);
void mfs_close(task_t *t, mfs_t *m); /* commits what is not flushed; NULL is fine */
err_t mfs_roots(task_t *t, void *mfs, gc_keep_fn keep, void *keep_arg);

/* ── mfs_tree.c; all under the gate ──────────────────────────────────────────────────────────── */
typedef struct mfs_path {
    bytes_t parts[MFS_MAX_DEPTH];
    size_t count;
    bool has_slash; /* at its end */
} mfs_path_t;
MUST_CHECK err_t mfs_path_parse(const char *path, mfs_path_t *ret);
/* The last part; empty for the root or behind a slash. */
bytes_t mfs_path_name(const mfs_path_t *p);
/* As text: "/a/b" of the first n parts without the slash in front when bare. */
const char *mfs_path_print(const mfs_path_t *p, size_t n, char out[160]);

/* The directory that the first n parts name. ERR_NOT_FOUND "file does not exist", ERR_INVALID; what is said
 * of a file in its place depends on what asks, as in the reference. */
typedef enum { MFS_SAY_NO_DIRECTORY, MFS_SAY_NOT_DIRECTORY, MFS_SAY_NO_ACCESS, MFS_SAY_EXPECTED } mfs_say_t;
MUST_CHECK err_t mfs_find_dir(task_t *t, mfs_t *m, const mfs_path_t *p, size_t n, mfs_say_t say,
                              mfs_node_t **ret);
typedef struct mfs_found {
    bool has, is_dir;
    dag_ref_t ref;    /* of files; of directories as of their last writing */
    mfs_node_t *node; /* loaded directory, or file that is being written; else NULL */
} mfs_found_t;
/* A name in a directory; loads it when it is a directory. */
MUST_CHECK err_t mfs_find_child(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t name, mfs_found_t *ret);
/* The whole path, last part included; dir is NULL for the root itself. */
MUST_CHECK err_t mfs_find(task_t *t, mfs_t *m, const mfs_path_t *p, mfs_node_t **ret_parent,
                          mfs_found_t *ret);
err_t mfs_not_exist(void);

mfs_node_t *mfs_node_new(mfs_t *m, mfs_node_t *parent, bytes_t name, dir_editor_t *editor);
void mfs_use(mfs_node_t *n);
void mfs_release(mfs_t *m, mfs_node_t *n);
bool mfs_is_attached(const mfs_t *m, const mfs_node_t *n);
/* Takes a loaded child out of the tree, which stays with its users. */
void mfs_cut_off(mfs_t *m, mfs_node_t *n);
void mfs_move_node(mfs_t *m, mfs_node_t *n, mfs_node_t *to, bytes_t name);
void mfs_mark_changed(mfs_t *m, mfs_node_t *dir);
/* The same, when all that has changed is that a file has taken its place. */
void mfs_mark_put(mfs_t *m, mfs_node_t *dir, bytes_t name, const dag_ref_t *ref);
/* Writes what has changed in and below a directory; its ref. The blocks can be read after it. */
MUST_CHECK err_t mfs_write_tree(task_t *t, mfs_t *m, mfs_node_t *dir, dag_ref_t *ret_ref);
/* What boxo does when it flushes a directory: the entries that are loaded below it are put anew, up to the
 * root, and forgotten. Decides about when sharded directories turn back. */
void mfs_clear_cache(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t touched);
void mfs_queue_init(mfs_t *m);
void mfs_write_again(task_t *t, mfs_t *m); /* after the queue has failed */
void mfs_trim(task_t *t, mfs_t *m);        /* keeps the directories in memory below their maximum */
void mfs_free_tree(mfs_t *m, mfs_node_t *n);

/* ── mfs_ops.c ───────────────────────────────────────────────────────────────────────────────── */
/* Under the gate: an entry to another name, in the place of what stands there. */
typedef struct mfs_place {
    mfs_node_t *dir;
    bytes_t name;
    mfs_found_t found;
} mfs_place_t;
MUST_CHECK err_t mfs_relocate(task_t *t, mfs_t *m, mfs_place_t *src, mfs_place_t *dst);
/* meta: has_mode, has_mtime: what changes. Of a file that is being written, too: its writer keeps them. */
MUST_CHECK err_t mfs_set_meta(task_t *t, mfs_t *m, blocks_t *from, const char *path, const unixfs_t *meta);
/* The same file with another mode or time; under the gate. Its block can be read after it. */
MUST_CHECK err_t mfs_with_meta(task_t *t, mfs_t *m, const unixfs_t *change, dag_ref_t *ref);
/* As boxo: the nine bits of the permissions; none of them is no mode at all. */
void mfs_apply_meta(const unixfs_t *change, unixfs_t *meta);

/* ── mfs_write.c ─────────────────────────────────────────────────────────────────────────────── */
typedef struct mfs_hold_options {
    bool create, exclusive;
    mfs_format_t format;
} mfs_hold_options_t;
/* The node of a file, held until mfs_let_go. */
MUST_CHECK err_t mfs_hold_file(task_t *t, mfs_t *m, blocks_t *from, const char *text, const mfs_path_t *path,
                               mfs_hold_options_t o, mfs_node_t **ret);
void mfs_let_go(task_t *t, mfs_t *m, mfs_node_t *file);
typedef struct mfs_taken {
    mfs_node_t *file; /* held */
    dag_ref_t ref;
    uint64_t resets;  /* of the tree when it was taken */
    uint64_t version; /* of the tree when ref was true */
    bool flushes;
} mfs_taken_t;
/* Its ref, now that its gate is the caller's. ERR_NOT_FOUND: not in the tree any more. */
MUST_CHECK err_t mfs_take_file(task_t *t, mfs_t *m, blocks_t *from, mfs_taken_t *f);
/* What was changed since then beside its content; false: nothing. */
bool mfs_meta_since(const mfs_taken_t *f, unixfs_t *ret_change);
/* With the mode and time that it was given meanwhile. A file that was removed meanwhile stays so. */
MUST_CHECK err_t mfs_give_file(task_t *t, mfs_t *m, blocks_t *from, mfs_taken_t *f);

/* ── mfs.c ───────────────────────────────────────────────────────────────────────────────────── */
/* Runs an operation under the gate, again for each block that it missed and `from` has. */
typedef err_t (*mfs_op_fn)(task_t *t, mfs_t *m, void *arg);
MUST_CHECK err_t mfs_run(task_t *t, mfs_t *m, blocks_t *from, mfs_op_fn op, void *arg);
bool mfs_has_lost(const mfs_t *m); /* the store has lost blocks, and the tree did not begin anew yet */
err_t mfs_lost_blocks(void);
err_t mfs_reset_op(task_t *t, mfs_t *m, void *arg); /* an mfs_op_fn: begins anew, if it has to */
void mfs_blocks_init(mfs_blocks_t *b, mfs_t *m, blocks_t *from);
node_format_t mfs_node_format(mfs_format_t f, node_format_t otherwise);
/* The file as boxo flushes it: a tree of one raw leaf becomes the leaf. */
MUST_CHECK err_t mfs_settle_file(task_t *t, mfs_t *m, blocks_t *from, const cid_t *cid, dag_ref_t *ret_ref);

/* ── mfs_commit.c ────────────────────────────────────────────────────────────────────────────── */
/* Makes the tree durable as it is. ERR_IO: changes were given up since the caller's (`resets`: m->resets when
 * it was made, or when its first block was written). */
MUST_CHECK err_t mfs_commit(task_t *t, mfs_t *m, uint64_t resets);
MUST_CHECK err_t mfs_commit_once(task_t *t, mfs_t *m); /* one that nobody else does at the same time */
MUST_CHECK err_t mfs_check_kept(const mfs_t *m, uint64_t resets);
/* The tree now refers to blocks that did not pass through it. */
void mfs_need_sync(mfs_t *m);
void mfs_note_blocks(mfs_t *m, block_t *const *list, size_t n); /* written behind, for the journal */
void mfs_note_file(mfs_t *m, const mfs_node_t *dir, bytes_t name, const dag_ref_t *ref);
/* The durable root as the disk has it; the blocks of the journal are put into the store again. ret_files:
 * what is to be put into its tree (mfs_put_back), the caller's to deinit. */
MUST_CHECK err_t mfs_recover(task_t *t, mfs_t *m, buf_t *ret_files);
/* An error: some of them are in the tree, which is none, then. */
MUST_CHECK err_t mfs_put_back(task_t *t, mfs_t *m, bytes_t files);
/* What the journal has beside the durable root. */
MUST_CHECK err_t mfs_keep_ahead(task_t *t, mfs_t *m, gc_keep_fn keep, void *keep_arg);
#endif
