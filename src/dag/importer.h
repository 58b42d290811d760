/* importer: turns files into blocks. One importer serves one add of any number of files: they share its
 * write-behind queue, so that many small files cost few syncs.
 *
 * Content is read straight into its place in the block that will hold it, hashed on workers and stored in
 * the background; reading, hashing and writing overlap. Memory is bounded by a few batches, whatever the
 * size (importer_stat tells the peak). All calls from one task. */
#ifndef DAG_IMPORTER_H
#define DAG_IMPORTER_H
#include "dag/import_options.h"
#include "dag/node_writer.h"
#include "dag/ref.h"
#include "dag/unixfs.h"

/* Where content comes from: up to cap bytes; OK with 0 is the end. */
typedef struct source {
    err_t (*read)(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n);
    void *arg;
} source_t;

typedef struct importer importer_t;
typedef struct import_stat {
    uint64_t read_bytes; /* content read so far */
    uint64_t put_bytes;  /* blocks handed to the store */
    uint64_t peak_bytes; /* the most that was ever held: read but not yet stored */
} import_stat_t;
/* Called as content is read, for progress; must not wait. total: of the file so far. */
typedef void (*import_progress_fn)(void *arg, uint64_t total);

/* blocks is borrowed until importer_free. Errors of import_options_resolve. */
MUST_CHECK err_t importer_new(task_t *t, blocks_t *blocks, const import_options_t *options, importer_t **ret);
node_writer_t *importer_writer(importer_t *im);
void importer_set_progress(importer_t *im, import_progress_fn fn, void *arg);

/* Gets each leaf of a file in place of the store when it takes it: what is stored otherwise. offset: of its
 * content in the file. The leaf is raw. */
typedef err_t (*importer_leaf_fn)(task_t *t, void *arg, const block_t *leaf, uint64_t offset,
                                  bool *ret_taken);
void importer_set_leaves(importer_t *im, importer_leaf_fn fn, void *arg); /* fn NULL: all are stored */

/* meta gives mode and mtime of the root node (has_mode, has_mtime), may be NULL. Errors of the source and
 * of the store. */
MUST_CHECK err_t importer_add_file(task_t *t, importer_t *im, source_t source, const unixfs_t *meta,
                                   dag_ref_t *ret_ref);
MUST_CHECK err_t importer_add_symlink(task_t *t, importer_t *im, bytes_t target, const unixfs_t *meta,
                                      dag_ref_t *ret_ref);
/* Waits until all blocks so far are durable. Nothing may be acknowledged before. */
MUST_CHECK err_t importer_flush(task_t *t, importer_t *im);
import_stat_t importer_stat(const importer_t *im);
void importer_free(task_t *t, importer_t *im); /* gives up what is not flushed; NULL is fine */

/* A source over bytes in memory; keeps `b`, which its reads move. */
source_t source_of_bytes(bytes_t *b);
#endif
