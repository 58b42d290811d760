/* mfs_journal: what makes small changes of the mutable tree durable with one sync: a file of records, each
 * with the blocks that came with the change and either the new root or, when nothing but files changed, the
 * places of these files: then no directory above them has to be written for the sake of durability. The store
 * has the blocks, too, but has not synced them yet. From time to time the store is synced, the root goes into
 * the state database with the number of its record, and the next record is written at the beginning of the
 * file again.
 *
 * A record: "DMFS" with a root, "DMFF" with files, length of the payload (4 bytes), number (8), checksum over
 * number and payload (8); payload: the root's CID or the list of files, behind its length, then blocks: CID
 * behind its length, data behind its length. A file: path behind its length, CID behind its length, the
 * cumulative size and the size of its content. Numbers are big-endian, lengths and sizes uvarints. What
 * follows the last record is older, torn or nothing: its number or checksum tells. */
#ifndef REPO_MFS_JOURNAL_H
#define REPO_MFS_JOURNAL_H
#include "base/reader.h"
#include "dag/ref.h"
#include "multi/block.h"
#include "task/driver.h"

#define MFS_JOURNAL_MAX_BYTES (8u << 20)
#define MFS_RECORD_MAX_BYTES (1u << 20)
#define MFS_RECORD_FILES_MAX_BYTES (64u << 10)

typedef struct mfs_journal {
    char *path;
    file_t *file;    /* NULL: not used yet */
    uint64_t at;     /* where the next record goes */
    uint64_t room;   /* bytes that the file has: what is written within them needs no change of its size */
    uint64_t number; /* of the last record */
    buf_t record;
    gate_t turn; /* one appends or replays at a time: a tree may begin anew while a commit is under way */
} mfs_journal_t;

void mfs_journal_init(mfs_journal_t *j, const char *path); /* copied */
void mfs_journal_deinit(mfs_journal_t *j);                 /* idempotent */
/* Files of a record, one behind the other. ERR_LIMIT: files is as it was, a record has no room for it. */
MUST_CHECK err_t mfs_files_add(buf_t *files, bytes_t path, const dag_ref_t *ref);
/* The next file; the path is borrowed. false: none is left, or (r->err, ERR_CORRUPT) the list is damaged. */
bool mfs_files_next(reader_t *r, bytes_t *ret_path, dag_ref_t *ret_ref);

typedef struct mfs_replayed {
    bool has_root;
    cid_t root;  /* the last one */
    buf_t files; /* put into its tree after it */
} mfs_replayed_t;
void mfs_replayed_deinit(mfs_replayed_t *r);
AUTO_DEFINE(mfs_replayed_t, mfs_replayed_deinit)
/* Reads the records behind number `after`: `put` gets the blocks of each. The journal goes on behind them.
 * Errors of reading and of put; damage ends the records. ret is the caller's to deinit, also on failure. */
typedef err_t (*mfs_journal_put_fn)(task_t *t, void *arg, block_t *const *blocks, size_t n);
MUST_CHECK err_t mfs_journal_replay(task_t *t, mfs_journal_t *j, uint64_t after, mfs_journal_put_fn put,
                                    void *arg, mfs_replayed_t *ret);

typedef struct mfs_record {
    const cid_t *root; /* NULL: the files */
    bytes_t files;
    block_t *const *blocks;
    size_t n;
} mfs_record_t;
/* Durable when it returns OK. ERR_LIMIT: the record or the journal would be too long; nothing was written. */
MUST_CHECK err_t mfs_journal_append(task_t *t, mfs_journal_t *j, const mfs_record_t *record);
void mfs_journal_rewind(mfs_journal_t *j); /* all records so far are durable elsewhere */
#endif
