/* mfs_journal: what makes small changes of the mutable tree durable with one sync: a file of records, each
 * with the new root and the blocks that came with it. The store has these blocks, too, but has not synced
 * them yet. From time to time the store is synced, the root goes into the state database with the number of
 * its record, and the next record is written at the beginning of the file again.
 *
 * A record: "DMFS", length of the payload (4 bytes), number (8), checksum over number and payload (8);
 * payload: the root's CID behind its length, then blocks: CID behind its length, data behind its length.
 * Numbers are big-endian, lengths uvarints. What follows the last record is older, torn or nothing: its
 * number or checksum tells. */
#ifndef REPO_MFS_JOURNAL_H
#define REPO_MFS_JOURNAL_H
#include "multi/block.h"
#include "task/driver.h"

#define MFS_JOURNAL_MAX_BYTES (8u << 20)
#define MFS_RECORD_MAX_BYTES (1u << 20)

typedef struct mfs_journal {
    char *path;
    file_t *file;    /* NULL: not used yet */
    uint64_t at;     /* where the next record goes */
    uint64_t room;   /* bytes that the file has: what is written within them needs no change of its size */
    uint64_t number; /* of the last record */
    buf_t record;
} mfs_journal_t;

void mfs_journal_init(mfs_journal_t *j, const char *path); /* copied */
void mfs_journal_deinit(mfs_journal_t *j);                 /* idempotent */
/* Reads the records behind number `after`: `put` gets the blocks of each, ret_root the last root. The journal
 * goes on behind them. *ret_has: there was at least one. Errors of reading and of put; damage ends the
 * records. */
typedef err_t (*mfs_journal_put_fn)(task_t *t, void *arg, block_t *const *blocks, size_t n);
MUST_CHECK err_t mfs_journal_replay(task_t *t, mfs_journal_t *j, uint64_t after, mfs_journal_put_fn put,
                                    void *arg, cid_t *ret_root, bool *ret_has);
/* Durable when it returns OK. ERR_LIMIT: the record or the journal would be too long; nothing was written. */
MUST_CHECK err_t mfs_journal_append(task_t *t, mfs_journal_t *j, const cid_t *root, block_t *const *blocks,
                                    size_t n);
void mfs_journal_rewind(mfs_journal_t *j); /* all records so far are durable elsewhere */
#endif
