/* file_editor: changes a file: writes at an offset, grows it, cuts it. Only the nodes on the way to what
 * changes are made anew. The results are those of ipfs/boxo ipld/unixfs/mod, CIDs included: content behind
 * the end is appended as a trickle tree with leaves of type Raw, whatever the layout of the file was; gaps
 * are leaves of 4,096 zeros; a file cut to nothing keeps an empty first leaf; a raw block that grows becomes
 * the first leaf of a tree, and a tree that has one raw leaf alone becomes that leaf when it is finished.
 *
 * Different from boxo, which loses or misplaces content there: the data that a node holds beside its links
 * counts as content in front of them, and a tree wider than its maximum whose last child is a leaf can be
 * appended to.
 *
 * Memory: the inner nodes between the root and the place of the change, and batches of new blocks that wait
 * for the store. All calls from one task. */
#ifndef DAG_FILE_EDITOR_H
#define DAG_FILE_EDITOR_H
#include "dag/importer.h"

#define FILE_EDITOR_MAX_DEPTH 64
#define FILE_EDITOR_MAX_LINKS 174 /* of the nodes of a tree that is appended to */
#define FILE_EDITOR_ZERO_BYTES 4096

typedef struct file_editor file_editor_t;
typedef struct file_editor_options {
    chunker_t chunker; /* of what is appended */
    int raw_leaves;    /* 1, 0; -1: as the CID version of the file has them */
    unixfs_time_t now; /* for a file that keeps its time of modification */
    /* What is appended to a file that was empty goes on where the last append ended, in the same tree as if
     * both had been one; else as boxo appends to a file that it finds, which skips places. */
    bool goes_on;
} file_editor_options_t;

/* blocks is borrowed until the editor is freed. Errors of dag_node_get; ERR_INVALID: not a file. */
MUST_CHECK err_t file_editor_open(task_t *t, blocks_t *blocks, const cid_t *file,
                                  const file_editor_options_t *o, file_editor_t **ret);
uint64_t file_editor_size(const file_editor_t *ed);
/* Cuts, or grows with zeros. */
MUST_CHECK err_t file_editor_resize(task_t *t, file_editor_t *ed, uint64_t size);
/* Writes all that the source gives at the offset, which is at most the size. When the source fails, what it
 * gave before is in the file, and its error is returned: the editor can be finished or freed after it. After
 * any other error it can only be freed. */
MUST_CHECK err_t file_editor_write(task_t *t, file_editor_t *ed, uint64_t offset, source_t source,
                                   bool *ret_source_failed);
/* The file as it is now. Its blocks are in the store, but not yet durable. */
MUST_CHECK err_t file_editor_finish(task_t *t, file_editor_t *ed, dag_ref_t *ret_ref);
void file_editor_free(task_t *t, file_editor_t *ed); /* NULL is fine */
#endif
