/* pebble_read: the records of a database of Pebble (cockroachdb/pebble; formats 13 to 24), where Kubo can
 * keep all that it has. Read where it is: nothing in the folder is made, changed or locked. What was not yet
 * in tables is read from the logs, into memory.
 *
 * Not read: values in files of their own, ranges that were removed at once, compressions other than Snappy
 * and Zstandard: Kubo's plugin has no setting that writes them. */
#ifndef STORE_PEBBLE_READ_H
#define STORE_PEBBLE_READ_H
#include "store/kv.h"
#include "store/records.h"

typedef struct pebble_read pebble_read_t;
/* ERR_NOT_FOUND: no database; ERR_UNSUPPORTED, ERR_CORRUPT, ERR_LIMIT: logs of more than 1 GiB
 * or four million changes. */
MUST_CHECK err_t pebble_read_open(task_t *t, const char *folder, pebble_read_t **ret);
void pebble_read_close(pebble_read_t *p); /* NULL is fine */
/* One line about what of the logs could not be read, but for a last write that was cut off; NULL: nothing.
 * Until it is closed. */
const char *pebble_read_damage(const pebble_read_t *p);
/* Visits what starts with prefix, in order. Memory: a block of each table that overlaps it and is not below
 * the first level, and one of each level. lost: for blocks of tables, and whole tables; NULL ends with
 * ERR_CORRUPT instead. */
MUST_CHECK err_t pebble_read_each(task_t *t, pebble_read_t *p, bytes_t prefix, kv_visit_fn visit,
                                  records_lost_fn lost, void *arg);
/* The value of a key into out (cleared first). ERR_NOT_FOUND; ERR_LIMIT when out->max is too small. */
MUST_CHECK err_t pebble_read_get(task_t *t, pebble_read_t *p, bytes_t key, buf_t *out);
#endif
