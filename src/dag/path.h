/* path: content paths: /ipfs/CID/a/b, CID/a/b, ipfs://CID/a. Already percent-decoded. Empty and "."
 * segments are left out, ".." goes up, never above the CID. */
#ifndef DAG_PATH_H
#define DAG_PATH_H
#include "dag/dir_reader.h"

#define PATH_MAX_SEGMENTS 256

typedef struct dag_path {
    cid_t root;
    bytes_t segments[PATH_MAX_SEGMENTS]; /* borrowed from the text */
    size_t count;
} dag_path_t;
/* ERR_INVALID with what is wrong with it; ERR_UNSUPPORTED: /ipns/, which needs a name system. */
MUST_CHECK err_t dag_path_parse(bytes_t text, dag_path_t *ret_path);
/* Only the part behind the CID. */
MUST_CHECK err_t dag_path_parse_rest(const cid_t *root, bytes_t rest, dag_path_t *ret_path);
/* Walks to the end of the path; gives its CID without fetching it. ERR_NOT_FOUND: "no link named …". */
MUST_CHECK err_t dag_path_resolve_cid(task_t *t, blocks_t *blocks, const dag_path_t *path, cid_t *ret_cid);
/* The same, telling `visit` the CID of every step, from the root to the end. */
typedef void (*dag_path_visit_fn)(void *arg, const cid_t *cid);
MUST_CHECK err_t dag_path_follow(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_path_visit_fn visit,
                                 void *arg, cid_t *ret_cid);
/* As dag_path_resolve_cid, and the node. */
MUST_CHECK err_t dag_path_resolve(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_node_t *ret_node);
#endif
