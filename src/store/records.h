/* records: what those who read the databases of other programs (Pebble, Badger) tell besides the records. */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H
#include "task/task.h"

/* Called for a record whose value is lost, or (key: BYTES_NONE) for a part of the database that is, and why:
 * newer versions of records may have stood there. An error ends the reading. */
typedef err_t (*records_lost_fn)(task_t *t, void *arg, bytes_t key, const char *why);
#endif
