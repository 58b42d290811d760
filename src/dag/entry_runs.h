/* entry_runs: entries of directories that are too many for memory, as sorted runs in an unlinked temporary
 * file. The order is that of directories, then of the hashes of names, then of names. Runs are merged
 * RUNS_FAN_IN at a time, so that memory is bounded whatever their number. Of equal names of a directory the
 * one in the later run counts.
 *
 * Errors of the file name its folder. */
#ifndef DAG_ENTRY_RUNS_H
#define DAG_ENTRY_RUNS_H
#include "dag/ref.h"
#include "task/driver.h"

#define RUNS_FAN_IN 32
#define RUNS_NAME_MAX 4096

typedef struct run_entry {
    uint64_t dir, hash;
    bytes_t name;
    dag_ref_t ref; /* without the size of the content */
} run_entry_t;
int run_entry_compare(const run_entry_t *a, const run_entry_t *b);

typedef struct entry_runs entry_runs_t;
entry_runs_t *entry_runs_new(const char *folder); /* borrowed; the file is made at the first write */
void entry_runs_free(entry_runs_t *r);            /* NULL is fine */
/* Adds to the run that is being written: sorted, each name once; names of at most RUNS_NAME_MAX. */
MUST_CHECK err_t entry_runs_add(task_t *t, entry_runs_t *r, const run_entry_t *e);
MUST_CHECK err_t entry_runs_end(task_t *t, entry_runs_t *r); /* of the run */
/* Merges all runs into one; tells of each entry in its order, and where in the file it stands. */
typedef err_t (*entry_runs_fn)(void *arg, const run_entry_t *e, uint64_t offset, uint64_t end);
MUST_CHECK err_t entry_runs_finish(task_t *t, entry_runs_t *r, entry_runs_fn each, void *arg);

/* Reads a part of a run, whose bounds are those of entries. */
typedef struct run_reader {
    entry_runs_t *runs; /* borrowed */
    uint64_t at, end;   /* of what is not in memory yet */
    buf_t buf;
    size_t used;
    run_entry_t entry; /* borrows from buf until the next call */
    bool has;          /* false: the end was reached */
} run_reader_t;
void run_reader_init(run_reader_t *d, entry_runs_t *r, uint64_t at, uint64_t end);
void run_reader_deinit(run_reader_t *d); /* idempotent */
AUTO_DEFINE(run_reader_t, run_reader_deinit)
MUST_CHECK err_t run_reader_next(task_t *t, run_reader_t *d);
#endif
