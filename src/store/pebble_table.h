/* pebble_table: one table file of Pebble (cockroachdb/pebble sstable, versions 1 to 7), read from a key on in
 * order. Memory: one block of data, of the index and of the index of the index. */
#ifndef STORE_PEBBLE_TABLE_H
#define STORE_PEBBLE_TABLE_H
#include "store/pebble_block.h"
#include "task/driver.h"

typedef struct pebble_table pebble_table_t;
/* size_bytes: of the file, as the manifest has it. ERR_UNSUPPORTED: ranges that were removed at once, values
 * in other files, a compression that is not read here; ERR_CORRUPT: it has another size, too. */
MUST_CHECK err_t pebble_table_open(task_t *t, const char *path, uint64_t size_bytes, pebble_table_t **ret);
void pebble_table_close(pebble_table_t *p); /* NULL is fine */
/* The next row is the first one whose key is not below. */
MUST_CHECK err_t pebble_table_seek(task_t *t, pebble_table_t *p, bytes_t key);
/* Valid until the next call, which goes on behind the damage when this one tells of some. */
MUST_CHECK err_t pebble_table_next(task_t *t, pebble_table_t *p, pebble_row_t *ret, bool *ret_has);
#endif
