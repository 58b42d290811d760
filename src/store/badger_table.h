/* badger_table: one table file of Badger (dgraph-io/badger 1.6, table/builder), read from a key on in order.
 * Blocks of entries, each behind the key that it begins with; where blocks end; a Bloom filter, which is not
 * used. Memory: a window of the file, and where its blocks end. */
#ifndef STORE_BADGER_TABLE_H
#define STORE_BADGER_TABLE_H
#include "store/badger_format.h"
#include "task/driver.h"

typedef struct badger_table badger_table_t;
/* ERR_CORRUPT, also where another checksum is expected (NULL: none is known). */
MUST_CHECK err_t badger_table_open(task_t *t, const char *path, const uint8_t *checksum,
                                   badger_table_t **ret);
void badger_table_close(badger_table_t *p); /* NULL is fine */
/* The next row is the first one whose key is not below. */
MUST_CHECK err_t badger_table_seek(task_t *t, badger_table_t *p, bytes_t key);
/* Valid until the next call. */
MUST_CHECK err_t badger_table_next(task_t *t, badger_table_t *p, badger_row_t *ret, bool *ret_has);
#endif
