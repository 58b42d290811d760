/* entry_runs: entries that are too many for memory, as sorted runs in an unlinked temporary file. Runs are
 * merged RUNS_FAN_IN at a time, so that memory is bounded whatever their number. Of entries that are equal
 * in the order the one in the later run counts.
 *
 * Errors of the file name its folder. */
#ifndef DAG_ENTRY_RUNS_H
#define DAG_ENTRY_RUNS_H
#include "dag/ref.h"
#include "task/driver.h"

#define RUNS_FAN_IN 32
#define RUNS_KEY_MAX 4096
#define RUNS_VALUE_MAX 256

typedef struct run_entry {
    uint64_t hash;
    bytes_t key, value; /* what they mean is the business of who adds them */
} run_entry_t;
typedef int (*run_order_fn)(const run_entry_t *a, const run_entry_t *b);

typedef struct entry_runs entry_runs_t;
/* folder: borrowed; the file is made at the first write. */
entry_runs_t *entry_runs_new(const char *folder, run_order_fn order);
void entry_runs_free(entry_runs_t *r); /* NULL is fine */
/* Adds to the run that is being written: in order, of equal ones one; at most RUNS_KEY_MAX and
 * RUNS_VALUE_MAX. */
MUST_CHECK err_t entry_runs_add(task_t *t, entry_runs_t *r, const run_entry_t *e);
MUST_CHECK err_t entry_runs_end(task_t *t, entry_runs_t *r); /* of the run */
/* The next of all entries; the first call ends the writing. *ret_entry borrows until the next call; NULL:
 * the end. */
MUST_CHECK err_t entry_runs_next(task_t *t, entry_runs_t *r, const run_entry_t **ret_entry);

/* A link as a value: what a folder says of an entry. */
MUST_CHECK err_t run_value_put_ref(const dag_ref_t *ref, buf_t *out); /* appends */
MUST_CHECK err_t run_value_get_ref(bytes_t value, dag_ref_t *ret);    /* ERR_CORRUPT */
#endif
