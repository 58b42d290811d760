/* leveldb_read: the records of a LevelDB database (google/leveldb; syndtr/goleveldb writes the same format),
 * where Kubo keeps what is no block. Opening one writes to its folder, therefore to be given a copy. The
 * library is loaded at the first use, so that a node that never imports does without it. Over the real disk
 * alone: not in the simulator. */
#ifndef STORE_LEVELDB_READ_H
#define STORE_LEVELDB_READ_H
#include "store/kv.h"

typedef struct leveldb_read leveldb_read_t;
/* ERR_UNSUPPORTED: the library is not installed, and how it is; ERR_CORRUPT, ERR_IO: what it says. */
MUST_CHECK err_t leveldb_read_open(task_t *t, const char *folder, leveldb_read_t **ret);
void leveldb_read_close(task_t *t, leveldb_read_t *l); /* NULL is fine */
/* Visits what starts with prefix, in order, in pages; the visitor may wait. ERR_CORRUPT, ERR_IO. */
MUST_CHECK err_t leveldb_read_each(task_t *t, leveldb_read_t *l, bytes_t prefix, kv_visit_fn visit,
                                   void *arg);
/* The value of a key into out (cleared first). ERR_NOT_FOUND; ERR_LIMIT when out->max is too small. */
MUST_CHECK err_t leveldb_read_get(task_t *t, leveldb_read_t *l, bytes_t key, buf_t *out);
#endif
