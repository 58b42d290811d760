/* file_reader: reads a file, or a range of one, from blocks. Gives borrowed pieces, copies nothing. A
 * window of leaves is asked for ahead; it starts small and grows while the reading goes on. Blocks whose
 * sizes differ from what their parent says are ERR_CORRUPT: offsets would lie. */
#ifndef DAG_FILE_READER_H
#define DAG_FILE_READER_H
#include "dag/cursor.h"

#define FILE_READER_WINDOW 40 /* leaves: 10 MiB of 256 KiB, what 1 Gbit/s holds at 80 ms */

typedef struct file_reader {
    blocks_t *blocks;
    dag_node_t root;
    uint64_t size;          /* of the whole file */
    uint64_t position, end; /* what is read next, and up to where */
    cursor_t cursor;
    dag_node_t leaf;   /* the block that `piece` lies in */
    bytes_t piece;     /* not read yet */
    uint64_t consumed; /* leaves */
    ahead_t ahead;
    bool has_begun;
} file_reader_t;

/* Takes the node out of *file (it is empty after) when it is a file; ERR_INVALID otherwise: a directory or
 * symlink. blocks is borrowed until deinit. */
MUST_CHECK err_t file_reader_init(file_reader_t *r, blocks_t *blocks, dag_node_t *file);
MUST_CHECK err_t file_reader_open(task_t *t, file_reader_t *r, blocks_t *blocks, const cid_t *cid);
void file_reader_deinit(file_reader_t *r); /* idempotent */
AUTO_DEFINE(file_reader_t, file_reader_deinit)
/* From now on reads [from, from + len), cut to the size of the file. */
void file_reader_seek(file_reader_t *r, uint64_t from, uint64_t len);
/* The next bytes, borrowed until the next call; empty at the end. Suspends while a block is not here. */
MUST_CHECK err_t file_reader_next(task_t *t, file_reader_t *r, bytes_t *ret_piece);
/* Copies up to cap bytes; 0 at the end. */
MUST_CHECK err_t file_reader_read(task_t *t, file_reader_t *r, uint8_t *out, size_t cap, size_t *ret_n);
#endif
