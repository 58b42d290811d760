/* blockstore: durable blocks by CID. One interface, several stores: pack (default), flat (file per block
 * in Kubo's layout), memory (tests). Keys are multihashes: the codec of a CID does not matter, as in
 * Kubo. Identity CIDs are answered from the CID itself and never stored. All calls on the loop thread. */
#ifndef STORE_BLOCKSTORE_H
#define STORE_BLOCKSTORE_H
#include "multi/block.h"
#include "task/task.h"

typedef struct blockstore blockstore_t;
typedef struct blockstore_stat {
    uint64_t blocks, bytes; /* bytes: of the blocks themselves */
    uint64_t disk_bytes;    /* what the store takes on disk */
} blockstore_stat_t;
/* Visits every multihash, in any order; stops at the first error, returning it. Adding and removing while
 * it runs is fine; a block added meanwhile may be missed. `cid` is raw CIDv1. */
typedef err_t (*blockstore_visit_fn)(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes);
typedef struct blockstore_ops {
    err_t (*put_many)(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
    err_t (*get)(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block);
    /* For blockstore_get_many, which gets singly what this leaves NULL; NULL: all of it. */
    err_t (*get_many)(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks);
    err_t (*size)(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size);
    err_t (*remove)(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n);
    err_t (*each)(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg);
    err_t (*stat)(task_t *t, blockstore_t *bs, blockstore_stat_t *ret);
    err_t (*compact)(task_t *t, blockstore_t *bs); /* gives room of removed blocks back */
    void (*close)(task_t *t, blockstore_t *bs);
    /* For blockstore_writer; NULL: put_many does it. t NULL in settle: forget without waiting. */
    err_t (*write_many)(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state);
    err_t (*settle)(task_t *t, blockstore_t *bs, void **state);
    /* NULL: put_many does it. */
    err_t (*write_behind)(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
    err_t (*sync)(task_t *t, blockstore_t *bs); /* NULL: all that can be read is durable */
    uint64_t (*losses)(const blockstore_t *bs); /* NULL when sync is */
    err_t (*discard)(task_t *t, blockstore_t *bs, const cid_t *cid); /* NULL: remove does it */
    /* Do the bytes stand outside of the store? Then damage is told as get tells it. NULL: none do. */
    bool (*is_elsewhere)(task_t *t, blockstore_t *bs, const cid_t *cid);
    bool wrong_is_absent; /* bytes that do not hash to the CID count as no block: the next put writes it */
} blockstore_ops_t;
struct blockstore {
    const blockstore_ops_t *ops;
};
/* Durable when it returns OK (group commit: concurrent puts share one sync). Blocks that are there already
 * cost a lookup. The blocks' hashes are trusted: verify what comes from outside before. ERR_NO_SPACE. */
MUST_CHECK err_t blockstore_put(task_t *t, blockstore_t *bs, block_t *block);
MUST_CHECK err_t blockstore_put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
/* A writer puts blocks whose durability is asked for once, at the end, so that a long add neither waits for
 * each sync nor holds its blocks until then. blockstore_write returns when the store has the bytes: the
 * blocks can be read back and the caller may release them. blockstore_flush returns OK when all that this
 * writer wrote is durable, else the first failure; then nothing of the add may be acknowledged. The store
 * syncs by itself whenever enough has come together, and holds writers back when the disk is behind. */
typedef struct blockstore_writer {
    blockstore_t *bs; /* borrowed */
    void *state;
} blockstore_writer_t;
void blockstore_writer_init(blockstore_writer_t *w, blockstore_t *bs);
MUST_CHECK err_t blockstore_write(task_t *t, blockstore_writer_t *w, block_t *const *blocks, size_t n);
/* The same over a state of the caller's (NULL at first), which several tasks may write through at once: it
 * must be the one place that holds it, since the first write of any of them makes it. */
MUST_CHECK err_t blockstore_write_shared(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n,
                                         void **state);
MUST_CHECK err_t blockstore_flush(task_t *t, blockstore_writer_t *w);
/* Puts few small blocks, whose durability is looked after elsewhere, without waiting for the disk where the
 * store can do so: they can be read at once and become durable with the next blockstore_sync. If they cannot
 * be written later, that counts as a loss. */
MUST_CHECK err_t blockstore_write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n);
/* Makes durable what any writer has written so far: before something else is stored that relies on blocks
 * which were found here. */
MUST_CHECK err_t blockstore_sync(task_t *t, blockstore_t *bs);
/* Counts up when blocks that could be read are gone since the disk refused to sync them. Who reads blocks and
 * then acknowledges that they are here notes it before the first one, and gives it to
 * blockstore_sync_since after the last: ERR_IO when any were lost meanwhile. */
uint64_t blockstore_losses(const blockstore_t *bs);
MUST_CHECK err_t blockstore_sync_since(task_t *t, blockstore_t *bs, uint64_t losses);
void blockstore_writer_deinit(blockstore_writer_t *w); /* idempotent; before the store is closed */
AUTO_DEFINE(blockstore_writer_t, blockstore_writer_deinit)
/* Verified on read: ERR_CORRUPT when the bytes on disk are not those that were put, which a store tells by
 * the checksum that it keeps beside them (block_t.is_checked) or else by hashing. ERR_NOT_FOUND. The block
 * carries the CID that was asked for. Suspends when the data is not in memory, and for larger blocks
 * while a worker hashes them. */
MUST_CHECK err_t blockstore_get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block);
/* With as few trips to the disk as the places of the blocks allow; the caller bounds their bytes. blocks[i]
 * is NULL where blockstore_get fails: that tells why. The only error is ERR_CANCELED; then all are NULL. */
MUST_CHECK err_t blockstore_get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n,
                                     block_t **blocks);
/* As blockstore_get without giving the block, and always by hashing. */
MUST_CHECK err_t blockstore_verify(task_t *t, blockstore_t *bs, const cid_t *cid);
MUST_CHECK err_t blockstore_size(task_t *t, blockstore_t *bs, const cid_t *cid,
                                 uint64_t *ret_size); /* ERR_NOT_FOUND */
bool blockstore_has(task_t *t, blockstore_t *bs, const cid_t *cid);
MUST_CHECK err_t blockstore_remove(task_t *t, blockstore_t *bs, const cid_t *cids,
                                   size_t n); /* absent ones are fine */
/* Makes room for a sound copy of a block whose bytes here turned out damaged. What only refers to bytes
 * elsewhere (to a file on a disk that may come back) stays. */
MUST_CHECK err_t blockstore_discard(task_t *t, blockstore_t *bs, const cid_t *cid);
MUST_CHECK err_t blockstore_each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg);
/* The same with `n_tasks` tasks that visit side by side, while another one lists. */
MUST_CHECK err_t blockstore_each_parallel(task_t *t, blockstore_t *bs, size_t n_tasks,
                                          blockstore_visit_fn visit, void *arg);
MUST_CHECK err_t blockstore_stat(task_t *t, blockstore_t *bs, blockstore_stat_t *ret);
MUST_CHECK err_t blockstore_compact(task_t *t, blockstore_t *bs);
void blockstore_close(task_t *t, blockstore_t *bs); /* NULL is fine */

/* max_bytes: ERR_NO_SPACE over it. */
MUST_CHECK err_t memory_store_new(uint64_t max_bytes, blockstore_t **ret);
#endif
