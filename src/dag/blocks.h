/* blocks: where DAG code gets blocks from and puts them. A map in tests, the blockstore offline, the
 * blockstore with bitswap behind it online. */
#ifndef DAG_BLOCKS_H
#define DAG_BLOCKS_H
#include "multi/block.h"
#include "task/task.h"

typedef struct blocks blocks_t;
typedef struct blocks_ops {
    /* The bytes are verified. Identity CIDs work everywhere. ERR_NOT_FOUND: not here (offline) or nobody
     * has it before the task's deadline. */
    err_t (*get)(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block);
    /* A hint that these will be wanted soon, in this order; never fails, may do nothing. */
    void (*prefetch)(task_t *t, blocks_t *b, const cid_t *cids, size_t n);
    err_t (*put_many)(task_t *t, blocks_t *b, block_t *const *list, size_t n); /* durable when OK */
    bool (*has)(task_t *t, blocks_t *b, const cid_t *cid);                     /* locally */
    /* For blocks_writer; NULL: put_many does it. t NULL in settle: forget without waiting. */
    err_t (*write_many)(task_t *t, blocks_t *b, block_t *const *list, size_t n, void **state);
    err_t (*settle)(task_t *t, blocks_t *b, void **state);
    err_t (*write_behind)(task_t *t, blocks_t *b, block_t *const *list, size_t n); /* NULL: put_many */
} blocks_ops_t;
struct blocks {
    const blocks_ops_t *ops;
};
MUST_CHECK err_t blocks_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block);
void blocks_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n);
MUST_CHECK err_t blocks_put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n);
/* As blockstore_write_behind. */
MUST_CHECK err_t blocks_write_behind(task_t *t, blocks_t *b, block_t *const *list, size_t n);
bool blocks_has(task_t *t, blocks_t *b, const cid_t *cid);
/* Puts whose durability is asked for once, at the end: blocks_write returns when the store has the bytes,
 * blocks_flush when all that was written is durable. Several tasks may write at once. */
typedef struct blocks_writer {
    blocks_t *blocks; /* borrowed */
    void *state;
} blocks_writer_t;
MUST_CHECK err_t blocks_write(task_t *t, blocks_writer_t *w, block_t *const *list, size_t n);
MUST_CHECK err_t blocks_flush(task_t *t, blocks_writer_t *w);
void blocks_writer_deinit(blocks_writer_t *w); /* idempotent; what is not flushed is promised to nobody */
/* A map in memory, for tests; with keep_data false it knows only what it was given. */
typedef struct blocks_map blocks_map_t;
blocks_map_t *blocks_map_new(bool keep_data);
blocks_t *blocks_map_blocks(blocks_map_t *m);
void blocks_map_free(blocks_map_t *m); /* NULL is fine */
/* Takes everything and keeps nothing: for computing CIDs alone. */
blocks_t *blocks_null(void);
#endif
