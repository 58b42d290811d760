/* tar_tree: a UnixFS tree as a tar stream, in flat memory. Entries whose names lead elsewhere ("../x") are
 * written where they lead, as the reference does; one that leads out of the archive's root is refused. */
#ifndef API_TAR_TREE_H
#define API_TAR_TREE_H
#include "dag/dag_node.h"

/* Gets the archive piece by piece; may suspend. */
typedef err_t (*tar_sink_fn)(task_t *t, void *arg, bytes_t piece);
typedef struct tar_tree_options {
    uint64_t timeout_ms;  /* bounds the wait for each block; 0: the task's own deadline */
    int64_t mtime_s;      /* of what has no time of its own */
    bool has_exact_times; /* nanoseconds too, in pax headers */
} tar_tree_options_t;
/* Takes the node out of *root. `name` is the root's in the archive: no slash, not "." or "..". ERR_INVALID: a
 * name; ERR_LIMIT: nested too deep; those of the reader and the sink. */
MUST_CHECK err_t tar_tree_write(task_t *t, blocks_t *blocks, dag_node_t *root, bytes_t name,
                                tar_tree_options_t options, tar_sink_fn sink, void *arg);
MUST_CHECK err_t tar_tree_check_name(bytes_t name); /* of the root. ERR_INVALID */
#endif
