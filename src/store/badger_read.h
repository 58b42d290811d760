/* badger_read: the records of a database of Badger (dgraph-io/badger 1.6, as ipfs/go-ds-badger uses it),
 * where Kubo could keep all that it had. Read where it is: nothing in the folder is made, changed or locked.
 *
 * Tables of seven levels and what the logs have beyond them are merged by key; of each key the newest version
 * counts, if it is neither a removal nor expired. A value that the collection of logs moved is found under
 * its other key, in a second merge that goes along with the first. Memory: a window of each table of level 0
 * and of one table of each other level, twice, and the keys of what is in no table yet. */
#ifndef STORE_BADGER_READ_H
#define STORE_BADGER_READ_H
#include "store/kv.h"
#include "store/records.h"

typedef struct badger_read badger_read_t;
/* ERR_NOT_FOUND: no database; ERR_UNSUPPORTED: of another version; ERR_CORRUPT; ERR_LIMIT. */
MUST_CHECK err_t badger_read_open(task_t *t, const char *folder, badger_read_t **ret);
void badger_read_close(badger_read_t *p); /* NULL is fine */
/* One line about what of the logs could not be replayed; NULL: nothing. Until it is closed. */
const char *badger_read_damage(const badger_read_t *p);
/* Visits what starts with prefix, in order. lost: for values and whole tables; NULL ends with ERR_CORRUPT
 * instead. */
MUST_CHECK err_t badger_read_each(task_t *t, badger_read_t *p, bytes_t prefix, kv_visit_fn visit,
                                  records_lost_fn lost, void *arg);
/* The value of a key into out (cleared first). ERR_NOT_FOUND; ERR_LIMIT when out->max is too small. */
MUST_CHECK err_t badger_read_get(task_t *t, badger_read_t *p, bytes_t key, buf_t *out);
#endif
