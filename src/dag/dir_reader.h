/* dir_reader: the entries of a directory, basic or sharded, and the entry of one name. Shards are checked
 * as they are read: an entry in another slot than its name's hash says is ERR_CORRUPT, so that a hostile
 * DAG of repeated shards ends at once. Names are what the block says, any bytes: who writes them to disk or
 * to a terminal must check them. */
#ifndef DAG_DIR_READER_H
#define DAG_DIR_READER_H
#include "dag/cursor.h"

typedef struct dir_entry {
    bytes_t name; /* borrowed until the next call */
    cid_t cid;
    uint64_t tsize;
} dir_entry_t;

typedef struct dir_reader {
    blocks_t *blocks;
    cursor_t cursor;
    uint64_t fanout;          /* 0: a basic directory */
    size_t slots[64 / 3 + 2]; /* the last slot + 1 of each shard on the way down */
} dir_reader_t;

/* Takes a reference of the node's block. ERR_INVALID: not a directory. */
MUST_CHECK err_t dir_reader_init(task_t *t, dir_reader_t *r, blocks_t *blocks, const dag_node_t *dir);
void dir_reader_deinit(dir_reader_t *r); /* idempotent */
AUTO_DEFINE(dir_reader_t, dir_reader_deinit)
/* The next entry, in the order of the blocks. *ret_has is false at the end. */
MUST_CHECK err_t dir_reader_next(task_t *t, dir_reader_t *r, dir_entry_t *ret_entry, bool *ret_has);

/* A hint that the next entries will be read themselves: asks for up to `count` of their blocks, as far as the
 * node that the reader stands in goes. */
void dir_reader_prefetch(task_t *t, const dir_reader_t *r, size_t count);

/* The entry of one name. ERR_NOT_FOUND, ERR_INVALID: not a directory. The name borrows from `name`. */
MUST_CHECK err_t dir_lookup(task_t *t, blocks_t *blocks, const dag_node_t *dir, bytes_t name,
                            dir_entry_t *ret_entry);
#endif
