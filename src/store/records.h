/* records: what those who read the databases of other programs (Pebble, Badger) tell besides the records, and
 * how they find one of them. */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H
#include "base/bytes.h"
#include "task/task.h"

/* Called for a record whose value is lost, or (key: BYTES_NONE) for a part of the database that is, and why:
 * newer versions of records may have stood there. An error ends the reading. */
typedef err_t (*records_lost_fn)(task_t *t, void *arg, bytes_t key, const char *why);

/* The value of one key, out of a visit in order of what starts with it. Borrows both until its result. */
typedef struct records_one {
    bytes_t key;
    buf_t *out;
    bool is_found;
} records_one_t;
records_one_t records_one_of(bytes_t key, buf_t *out); /* clears out */
/* The visitor, for a records_one_t. Ends the visit with the first record, or with ERR_LIMIT when out->max is
 * too small. */
MUST_CHECK err_t records_one_take(task_t *t, void *one, bytes_t key, bytes_t value);
/* What the visit, which gave e, comes to: its own errors; ERR_NOT_FOUND. */
MUST_CHECK err_t records_one_result(const records_one_t *one, err_t e);
#endif
