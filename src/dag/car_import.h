/* car_import: puts the blocks of CAR archives into a store. Reading, hashing on workers and writing overlap;
 * memory is bounded by a few batches, whatever the size. Each block's bytes are compared with its CID before
 * they are written. One import serves several archives. All calls from one task.
 *
 * Blocks with identity CIDs are counted and not stored, their CIDs hold them. */
#ifndef DAG_CAR_IMPORT_H
#define DAG_CAR_IMPORT_H
#include "codec/car.h"
#include "dag/cid_set.h"
#include "dag/importer.h"

typedef struct car_import car_import_t;
typedef struct car_import_stat {
    uint64_t blocks, bytes; /* of blocks, as often as they came */
    uint64_t peak_bytes;    /* the most that was ever held: read but not yet written */
} car_import_stat_t;

/* blocks is borrowed until car_import_free. takes_big_blocks: up to BLOCK_STORED_MAX_BYTES; else a block over
 * BLOCK_MAX_BYTES is ERR_LIMIT. */
car_import_t *car_import_new(task_t *t, blocks_t *blocks, bool takes_big_blocks);
/* Reads one archive to its end. The roots of its header go to `root` (NULL: to nobody) before its blocks.
 * Errors of the source, of car_reader_next and of the store; ERR_CORRUPT: a block that does not hash to its
 * CID; ERR_DENIED, ERR_UNSUPPORTED: a hash function that is not allowed or not known. The text names the
 * block. */
MUST_CHECK err_t car_import_read(task_t *t, car_import_t *im, source_t source, car_root_fn root, void *arg);
/* Waits until all blocks so far are durable. Nothing may be acknowledged before. */
MUST_CHECK err_t car_import_flush(task_t *t, car_import_t *im);
car_import_stat_t car_import_stat(const car_import_t *im);
/* Blocks without links that were written, for dag_walker_t.known: whoever walks what was imported need not
 * read them again. As many as a bound on memory allows. Borrowed until car_import_free. */
const cid_set_t *car_import_leaves(const car_import_t *im);
void car_import_free(task_t *t, car_import_t *im); /* NULL is fine; drops what is not flushed */
#endif
