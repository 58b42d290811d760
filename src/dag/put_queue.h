/* put_queue: write-behind of new blocks. Blocks are gathered into batches that are stored in the
 * background, a few at a time, so that reading, hashing and writing overlap and a store's sync is shared
 * by many blocks. Memory is bounded: at most (max_batches + 1) * batch_bytes wait, whatever the import.
 *
 * Nothing is promised before put_queue_flush returned OK; then all of it is durable. */
#ifndef DAG_PUT_QUEUE_H
#define DAG_PUT_QUEUE_H
#include "dag/blocks.h"

typedef struct put_batch put_batch_t;
typedef struct put_queue {
    blocks_writer_t writer;
    size_t batch_bytes, max_batches;
    group_t writers;
    put_batch_t *filling;     /* NULL when empty */
    uint64_t waiting_bytes;   /* in batches, stored or being filled */
    uint64_t peak_bytes;      /* the most that ever waited */
    uint64_t put_bytes;       /* handed over so far */
    error_slot_t first_error; /* of a batch that failed in the background */
} put_queue_t;

/* blocks is borrowed until deinit. */
void put_queue_init(put_queue_t *q, sched_t *s, blocks_t *blocks, size_t batch_bytes, size_t max_batches);
/* Cancels what is being written and waits for it. Idempotent. */
void put_queue_deinit(task_t *t, put_queue_t *q);
/* Takes the reference, also on failure. Suspends while the maximum of batches is being written. The first
 * failure of a batch is returned by every later call. */
MUST_CHECK err_t put_queue_add(task_t *t, put_queue_t *q, block_t *block);
/* Waits until the store has all blocks: they can be read back, and are as durable as its next sync makes
 * them. */
MUST_CHECK err_t put_queue_drain(task_t *t, put_queue_t *q);
MUST_CHECK err_t put_queue_flush(task_t *t, put_queue_t *q);
#endif
