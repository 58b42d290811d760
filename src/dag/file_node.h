/* file_node: a node of a file in memory, as the file editor changes it. Only for the editor's files. */
#ifndef DAG_FILE_NODE_H
#define DAG_FILE_NODE_H
#include "dag/dag_node.h"
#include "dag/file_editor.h"
#include "dag/node_format.h"
#include "dag/node_writer.h"

typedef struct file_link {
    dag_ref_t ref; /* size: of its content */
} file_link_t;
typedef struct file_node {
    node_format_t format;
    unixfs_t fs; /* type, mode, mtime, has_data; data borrows from own_data */
    buf_t own_data;
    file_link_t *links;
    size_t count, cap;
    uint64_t size; /* of the content: data and links */
} file_node_t;

/* What is written: bytes of a source, or zeros. */
typedef struct feed {
    source_t source; /* read NULL: zeros */
    uint64_t zeros;
    uint8_t *buf; /* FEED_BYTES, read ahead */
    size_t position, len;
    bool has_ended;
    error_slot_t error; /* of the source */
} feed_t;

struct file_editor {
    blocks_t *blocks;
    file_editor_options_t options;
    node_format_t format; /* of new nodes */
    bool has_raw_leaves;
    dag_ref_t original;
    bool is_changed;
    bool goes_on; /* the root is what appending alone has made, and goes on so */
    block_t *raw; /* the file is one raw block; else: */
    file_node_t *root;
    put_queue_t queue;
    import_options_t node_options; /* of the node that is being written */
    node_writer_t writer;
    uint8_t *chunk;
    dag_ref_t zero_leaf; /* of a whole leaf of zeros; tsize 0: none was made yet */
    bool zero_leaf_is_raw;
};

/* Leaves whose hashes are being made. */
typedef struct late_leaf late_leaf_t;
typedef struct file_leaves {
    file_editor_t *ed;
    bool is_raw;
    import_options_t options;
    file_node_t *node; /* whose links they are */
    late_leaf_t *late; /* a ring of cap */
    size_t cap, next, n_late;
    group_t hashers;
    event_t hashed;
} file_leaves_t;

file_node_t *file_node_new(node_format_t format, unixfs_type_t type);
void file_node_free(file_node_t *n); /* NULL is fine */
AUTO_PTR_DEFINE(file_node_t, file_node_free)
/* A dag-pb node of a file. */
MUST_CHECK err_t file_node_of(const dag_node_t *from, file_node_t **ret);
MUST_CHECK err_t file_node_load(task_t *t, file_editor_t *ed, const cid_t *cid, file_node_t **ret);
void file_node_add(file_node_t *n, const dag_ref_t *child);
void file_node_remove_last(file_node_t *n);
MUST_CHECK err_t file_node_set_data(file_node_t *n, bytes_t data);
MUST_CHECK err_t file_node_write(task_t *t, file_editor_t *ed, const file_node_t *n, dag_ref_t *ret_ref);
/* A raw block of these bytes. */
MUST_CHECK err_t file_raw_write(task_t *t, file_editor_t *ed, node_format_t format, bytes_t data,
                                dag_ref_t *ret_ref);
/* A leaf of type Raw, or a raw block. */
MUST_CHECK err_t file_leaf_write(task_t *t, file_editor_t *ed, bool is_raw, bytes_t data, dag_ref_t *ret_ref);
/* The block around such a leaf, for file_leaves_add: its data at *ret_content, to be filled in when data is
 * NULL. */
MUST_CHECK err_t file_leaf_block(bool is_raw, const uint8_t *data, size_t len, block_t **ret,
                                 uint8_t **ret_content);
bool file_leaf_is_late(size_t len); /* worth a worker */

void file_leaves_init(file_leaves_t *l, task_t *t, file_editor_t *ed, bool is_raw, size_t max_leaf_bytes);
void file_leaves_deinit(task_t *t, file_leaves_t *l);
/* Takes the block, whose content has `size` bytes, and appends a link to it, without its CID yet. All that
 * are late are of one node. */
MUST_CHECK err_t file_leaves_add(task_t *t, file_leaves_t *l, file_node_t *n, block_t *block, size_t size);
/* After it all links have their CIDs. */
MUST_CHECK err_t file_leaves_collect(task_t *t, file_leaves_t *l);

bool feed_has(task_t *t, feed_t *f);                              /* is there at least one byte more? */
size_t feed_read(task_t *t, feed_t *f, uint8_t *out, size_t cap); /* less than cap only at the end */
/* Appends all of the feed. The editor has a root node and room for a chunk. */
MUST_CHECK err_t file_append(task_t *t, file_editor_t *ed, feed_t *f, const chunker_t *chunker,
                             bool raw_leaves);
#endif
